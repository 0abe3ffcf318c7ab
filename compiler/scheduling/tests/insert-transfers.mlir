// RUN: aicc-opt %s --split-input-file --aicc-insert-transfers | FileCheck %s
// RUN: aicc-opt %s --split-input-file --aicc-insert-transfers --aicc-plan-buffers | FileCheck %s --check-prefix=PLAN

exec.kernel @here(%a: tensor<16xf32>, %b: tensor<16xf32>) -> (tensor<16xf32>) {
  %s = graph.add %a, %b : tensor<16xf32>
  exec.return %s : tensor<16xf32>
}
exec.kernel @there(%a: tensor<16xf32>, %b: tensor<16xf32>) -> (tensor<16xf32>) attributes {device = 1 : i64} {
  %s = graph.multiply %a, %b : tensor<16xf32>
  exec.return %s : tensor<16xf32>
}
// Once for each device that asks for it, behind where it is computed.
// CHECK-LABEL: exec.program @program
// CHECK: %[[A:.*]] = exec.launch @here
// CHECK-NEXT: %[[C:.*]] = exec.copy %[[A]] {device = 1 : i64}
// CHECK-NEXT: %[[B:.*]] = exec.launch @here
// CHECK-NEXT: exec.launch @there(%[[C]], %[[C]])
// CHECK: exec.launch @there(%[[C]],
// CHECK-NOT: exec.copy %[[A]]
// Each device has an arena of its own.
// PLAN-LABEL: exec.program @program
// PLAN-SAME: arena_bytes = array<i64: {{[1-9][0-9]*}}, {{[1-9][0-9]*}}>
// PLAN-SAME: device = 1 : i64, first = 1 : i64, last = {{[0-9]+}} : i64, name = "", offset = 0 : i64, storage = "temporary"
exec.program @program("x" = %x: tensor<16xf32>) -> ("y", "z") {
  %a = exec.launch @here(%x, %x) : (tensor<16xf32>, tensor<16xf32>) -> tensor<16xf32>
  %b = exec.launch @here(%a, %x) : (tensor<16xf32>, tensor<16xf32>) -> tensor<16xf32>
  %c = exec.launch @there(%a, %a) {device = 1 : i64} : (tensor<16xf32>, tensor<16xf32>) -> tensor<16xf32>
  %d = exec.launch @there(%a, %c) {device = 1 : i64} : (tensor<16xf32>, tensor<16xf32>) -> tensor<16xf32>
  exec.finish %b, %d : tensor<16xf32>, tensor<16xf32>
}

// -----

exec.kernel @prepare(%a: tensor<16xf32>) -> (tensor<16xf32>) {
  %s = graph.negate %a : tensor<16xf32>
  exec.return %s : tensor<16xf32>
}
exec.kernel @here(%a: tensor<16xf32>, %b: tensor<16xf32>) -> (tensor<16xf32>) {
  %s = graph.add %a, %b : tensor<16xf32>
  exec.return %s : tensor<16xf32>
}
exec.kernel @there(%a: tensor<16xf32>, %b: tensor<16xf32>, %c: tensor<16xf32>) -> (tensor<16xf32>) attributes {device = 1 : i64} {
  %s = graph.multiply %a, %b : tensor<16xf32>
  %t = graph.multiply %s, %c : tensor<16xf32>
  exec.return %t : tensor<16xf32>
}
// Constants and what is prepared of them are nobody's; an input is given to
// each device; a view is made anew of the copy.
// CHECK-LABEL: module
// CHECK: exec.kernel @prepare(
// CHECK: exec.kernel @prepare_0({{.*}} attributes {device = 1 : i64
// CHECK: exec.program
// CHECK-DAG: %[[X:.*]] = exec.copy %arg0 {device = 1 : i64, port}
// CHECK-DAG: %[[W0:.*]] = exec.constant dense<
// CHECK-DAG: %[[W1:.*]] = exec.constant {device = 1 : i64} dense<
// CHECK-DAG: %[[P0:.*]] = exec.launch @prepare(%[[W0]]) {prepare}
// CHECK-DAG: %[[P1:.*]] = exec.launch @prepare_0(%[[W1]]) {device = 1 : i64, prepare}
// CHECK: %[[A:.*]] = exec.launch @here(%arg0, %[[P0]])
// CHECK-NEXT: %[[C:.*]] = exec.copy %[[A]] {device = 1 : i64}
// CHECK-NEXT: %[[V:.*]] = exec.view %[[C]]
// CHECK: %[[U:.*]] = exec.view %[[V]]
// CHECK: exec.launch @there(%[[U]], %[[P1]], %[[X]])
// The port takes no instruction and the caller's memory.
// PLAN-LABEL: exec.program @program
// PLAN-SAME: {device = 1 : i64, name = "", storage = "input", type = tensor<16xf32>}
exec.program @program("x" = %x: tensor<16xf32>) -> ("y") {
  %w = exec.constant dense<[1.0, 2.0, 3.0, 4.0, 1.0, 2.0, 3.0, 4.0, 1.0, 2.0, 3.0, 4.0, 1.0, 2.0, 3.0, 4.0]> : tensor<16xf32>
  %p = exec.launch @prepare(%w) {prepare} : (tensor<16xf32>) -> tensor<16xf32>
  %a = exec.launch @here(%x, %p) : (tensor<16xf32>, tensor<16xf32>) -> tensor<16xf32>
  %v = exec.view %a : (tensor<16xf32>) -> tensor<4x4xf32>
  %u = exec.view %v : (tensor<4x4xf32>) -> tensor<16xf32>
  %c = exec.launch @there(%u, %p, %x) {device = 1 : i64} : (tensor<16xf32>, tensor<16xf32>, tensor<16xf32>) -> tensor<16xf32>
  exec.finish %c : tensor<16xf32>
}

// -----

exec.kernel @there(%a: tensor<16xf32>) -> (tensor<16xf32>) attributes {device = 1 : i64} {
  %s = graph.negate %a : tensor<16xf32>
  exec.return %s : tensor<16xf32>
}
// A loop on device 0 whose body is on device 1: what it carries comes back, and
// what enters is the loop's.
// CHECK-LABEL: #map = affine_map<() -> (3)>
// CHECK: exec.program
// CHECK: exec.loop
// CHECK: ^bb0(%[[S:.*]]: tensor<16xf32>):
// CHECK-NEXT: %[[T:.*]] = exec.copy %[[S]] {device = 1 : i64}
// CHECK-NEXT: %[[N:.*]] = exec.launch @there(%[[T]]) {device = 1 : i64}
// CHECK-NEXT: %[[B:.*]] = exec.copy %[[N]] : tensor<16xf32>
// CHECK-NEXT: exec.yield %[[B]]
exec.program @program("x" = %x: tensor<16xf32>) -> ("y") {
  %r = exec.loop affine_map<() -> (3)> symbol 0 carries %x : (tensor<16xf32>) -> tensor<16xf32> {
  ^bb0(%s: tensor<16xf32>):
    %n = exec.launch @there(%s) {device = 1 : i64} : (tensor<16xf32>) -> tensor<16xf32>
    exec.yield %n : tensor<16xf32>
  }
  exec.finish %r : tensor<16xf32>
}
