// RUN: aicc-opt %s --split-input-file --aicc-plan-buffers | FileCheck %s

exec.kernel @twice(%a: tensor<16xf32>) -> (tensor<16xf32>) attributes {in_place = array<i64: 0>} {
  %s = graph.add %a, %a : tensor<16xf32>
  exec.return %s : tensor<16xf32>
}
// The input's memory is the caller's: the first result gets memory of its own,
// the others follow in place, and the last is the output.
// CHECK: exec.program @program
// CHECK-SAME: arena_bytes = 0 : i64
// CHECK-SAME: {name = "", storage = "input", type = tensor<16xf32>}
// CHECK-SAME: {alias = 3 : i64, {{[^}]*}}storage = "temporary", type = tensor<16xf32>}
// CHECK-SAME: {alias = 3 : i64, {{[^}]*}}storage = "temporary", type = tensor<16xf32>}
// CHECK-SAME: {name = "", storage = "output", type = tensor<16xf32>}
exec.program @program("x" = %x: tensor<16xf32>) -> ("y") {
  %0 = exec.launch @twice(%x) : (tensor<16xf32>) -> tensor<16xf32>
  %1 = exec.launch @twice(%0) : (tensor<16xf32>) -> tensor<16xf32>
  %2 = exec.launch @twice(%1) : (tensor<16xf32>) -> tensor<16xf32>
  exec.finish %2 : tensor<16xf32>
}

// -----

// An output that is an input, and one value twice, are copied.
// CHECK: exec.program @program
// CHECK: exec.copy %arg0
// CHECK: exec.copy %0
exec.kernel @k(%a: tensor<16xf32>) -> (tensor<16xf32>) {
  %s = graph.exp %a : tensor<16xf32>
  exec.return %s : tensor<16xf32>
}
exec.program @program("x" = %x: tensor<16xf32>) -> ("a", "b", "c") {
  %0 = exec.launch @k(%x) : (tensor<16xf32>) -> tensor<16xf32>
  exec.finish %x, %0, %0 : tensor<16xf32>, tensor<16xf32>, tensor<16xf32>
}

// -----

// Two lives that don't meet share a place; a dynamic size leaves it open.
exec.kernel @k(%a: tensor<16xf32>) -> (tensor<16xf32>) {
  %s = graph.exp %a : tensor<16xf32>
  exec.return %s : tensor<16xf32>
}
// CHECK: exec.program @program
// CHECK-SAME: arena_bytes = 128 : i64
// CHECK-SAME: first = 0 : i64, last = 1 : i64, name = "", offset = [[A:[0-9]+]] : i64
// CHECK-SAME: first = 1 : i64, last = 2 : i64, name = "", offset = [[B:[0-9]+]] : i64
// CHECK-SAME: first = 2 : i64, last = 3 : i64, name = "", offset = [[A]] : i64
exec.program @program("x" = %x: tensor<16xf32>) -> ("y") {
  %0 = exec.launch @k(%x) : (tensor<16xf32>) -> tensor<16xf32>
  %1 = exec.launch @k(%0) : (tensor<16xf32>) -> tensor<16xf32>
  %2 = exec.launch @k(%1) : (tensor<16xf32>) -> tensor<16xf32>
  %3 = exec.launch @k(%2) : (tensor<16xf32>) -> tensor<16xf32>
  exec.finish %3 : tensor<16xf32>
}

// -----

// Carried values enter and leave an iteration by copies; two that change
// places are saved first. What the loop reads stays until it ends.
exec.kernel @k(%a: tensor<16xf32>) -> (tensor<16xf32>) {
  %s = graph.exp %a : tensor<16xf32>
  exec.return %s : tensor<16xf32>
}
// CHECK: exec.program @program
// CHECK-SAME: first = 0 : i64, last = 8 : i64, name = ""
// CHECK: %[[K:.*]] = exec.launch @k(%arg0)
// CHECK: %[[A:.*]] = exec.copy %arg0
// CHECK: %[[B:.*]] = exec.copy %arg1
// CHECK: exec.loop {{.*}} carries %[[A]], %[[B]] attributes {buffers = array<i64: {{.*}}>, carried = array<i64: {{.*}}>}
// CHECK-NEXT: ^bb0(%[[X:.*]]: tensor<16xf32>, %[[Y:.*]]: tensor<16xf32>)
// CHECK: exec.launch @k(%[[K]])
// CHECK: exec.copy %[[Y]]
// CHECK: exec.copy %[[X]]
// CHECK: exec.copy
// CHECK: exec.copy
// CHECK: exec.yield
exec.program @program("x" = %x: tensor<16xf32>, "y" = %y: tensor<16xf32>) -> ("a", "b") {
  %k = exec.launch @k(%x) : (tensor<16xf32>) -> tensor<16xf32>
  %r:2 = exec.loop affine_map<() -> (3)> symbol 0 carries %x, %y : (tensor<16xf32>, tensor<16xf32>) -> (tensor<16xf32>, tensor<16xf32>) {
  ^bb0(%a: tensor<16xf32>, %b: tensor<16xf32>):
    %0 = exec.launch @k(%k) : (tensor<16xf32>) -> tensor<16xf32>
    exec.yield %b, %a : tensor<16xf32>, tensor<16xf32>
  }
  exec.finish %r#0, %r#1 : tensor<16xf32>, tensor<16xf32>
}

// -----

// What an iteration only updates stays where it is: no copy of the whole, and
// the update writes to the output itself. Where others need the old value, it
// is copied first.
exec.kernel @k(%a: tensor<1x4xf32>) -> (tensor<1x4xf32>) {
  %s = graph.exp %a : tensor<1x4xf32>
  exec.return %s : tensor<1x4xf32>
}
// CHECK: exec.program @program
// CHECK: %[[I:.*]] = exec.copy %arg0
// CHECK: exec.loop {{.*}} carries %[[I]]
// CHECK-NEXT: ^bb0(%[[X:.*]]: tensor<8x4xf32>)
// CHECK-NEXT: %[[R:.*]] = exec.launch
// CHECK-NEXT: %[[U:.*]] = exec.update %[[X]], %[[R]] at
// CHECK-NEXT: exec.yield %[[U]]
// CHECK: %[[C:.*]] = exec.copy %arg0
// CHECK-NEXT: exec.update %[[C]], %arg1
exec.program @program("x" = %x: tensor<8x4xf32>, "y" = %y: tensor<1x4xf32>) -> ("a", "b") {
  %r = exec.loop affine_map<() -> (8)> symbol 0 carries %x : (tensor<8x4xf32>) -> tensor<8x4xf32> {
  ^bb0(%a: tensor<8x4xf32>):
    %0 = exec.launch @k(%y) : (tensor<1x4xf32>) -> tensor<1x4xf32>
    %1 = exec.update %a, %0 at affine_map<()[s0] -> (s0 * 4)> : tensor<8x4xf32>, tensor<1x4xf32>
    exec.yield %1 : tensor<8x4xf32>
  }
  %u = exec.update %x, %y at affine_map<() -> (4)> : tensor<8x4xf32>, tensor<1x4xf32>
  exec.finish %r, %u : tensor<8x4xf32>, tensor<8x4xf32>
}

// -----

// A size that the run finds out: who wrote the memory before, as a value of
// known size, keeps it for itself.
exec.kernel @k(%a: tensor<12xf32>) -> (tensor<12xf32>) {
  %s = graph.exp %a : tensor<12xf32>
  exec.return %s : tensor<12xf32>
}
exec.kernel @over(%a: tensor<?xf32, affine_map<()[s0] -> (s0)>>) -> (tensor<?xf32, affine_map<()[s0] -> (s0)>>) attributes {in_place = array<i64: 0>} {
  %s = graph.exp %a : tensor<?xf32, affine_map<()[s0] -> (s0)>>
  exec.return %s : tensor<?xf32, affine_map<()[s0] -> (s0)>>
}
// CHECK: exec.program @program
// CHECK-SAME: {first = 0 : i64, last = 2 : i64, name = "", {{[^}]*}}storage = "temporary", type = tensor<12xf32>}
// CHECK-SAME: {name = "", storage = "output", type = tensor<?xf32
exec.program @program("x" = %x: tensor<12xf32>, "n" = %n: tensor<1xi64>) -> ("y") {
  %0 = exec.launch @k(%x) : (tensor<12xf32>) -> tensor<12xf32>
  exec.read %n[0] symbol 0 : tensor<1xi64>
  %1 = exec.view %0 : (tensor<12xf32>) -> tensor<?xf32, affine_map<()[s0] -> (s0)>>
  %2 = exec.launch @over(%1) : (tensor<?xf32, affine_map<()[s0] -> (s0)>>) -> tensor<?xf32, affine_map<()[s0] -> (s0)>>
  exec.finish %2 : tensor<?xf32, affine_map<()[s0] -> (s0)>>
}
