// RUN: aicc-opt %s --aicc-lower-to-gpu=subgroup=32 --canonicalize | FileCheck %s

// One thread per element; both generics are computed in it, the middle value
// once, and the last workgroup is masked.
// CHECK-LABEL: gpu.module @scale_shift_module
// CHECK: llvm.func @scale_shift(%[[ARGS:.*]]: !llvm.ptr {llvm.align = 8 : i64, llvm.byval = !llvm.struct<(ptr<1>, ptr<1>, ptr<1>)>})
// CHECK-SAME: grid = "() -> (4, 1, 1)"
// CHECK-SAME: workgroup = array<i32: 32, 8, 1>
// CHECK: gpu.block_id x
// CHECK: scf.if
// CHECK: %[[X:.*]] = llvm.load {{.*}} : !llvm.ptr<1> -> f32
// CHECK: %[[SUM:.*]] = arith.addf %[[X]],
// CHECK-NOT: arith.addf
// CHECK: arith.mulf %[[SUM]], %[[SUM]]
// CHECK: llvm.store
// CHECK-NOT: llvm.store
exec.kernel @scale_shift(%x: tensor<30x33xf32>, %b: tensor<33xf32>) -> (tensor<30x33xf32>) {
  %e = tensor.empty() : tensor<30x33xf32>
  %0 = linalg.generic {indexing_maps = [affine_map<(d0, d1) -> (d0, d1)>, affine_map<(d0, d1) -> (d1)>, affine_map<(d0, d1) -> (d0, d1)>], iterator_types = ["parallel", "parallel"]} ins(%x, %b : tensor<30x33xf32>, tensor<33xf32>) outs(%e : tensor<30x33xf32>) {
  ^bb0(%i: f32, %j: f32, %o: f32):
    %s = arith.addf %i, %j : f32
    linalg.yield %s : f32
  } -> tensor<30x33xf32>
  %1 = linalg.generic {indexing_maps = [affine_map<(d0, d1) -> (d0, d1)>, affine_map<(d0, d1) -> (d0, d1)>, affine_map<(d0, d1) -> (d0, d1)>], iterator_types = ["parallel", "parallel"]} ins(%0, %0 : tensor<30x33xf32>, tensor<30x33xf32>) outs(%e : tensor<30x33xf32>) {
  ^bb0(%i: f32, %j: f32, %o: f32):
    %s = arith.mulf %i, %j : f32
    linalg.yield %s : f32
  } -> tensor<30x33xf32>
  exec.return %1 : tensor<30x33xf32>
}

// A whole number of workgroups needs no mask, and an index that is the thread's
// number needs no division.
// CHECK-LABEL: llvm.func @exact
// CHECK-NOT: scf.if
// CHECK-NOT: arith.divui
// CHECK: llvm.return
exec.kernel @exact(%x: tensor<16x32xf32>) -> (tensor<16x32xf32>) {
  %e = tensor.empty() : tensor<16x32xf32>
  %0 = linalg.generic {indexing_maps = [affine_map<(d0, d1) -> (d0, d1)>, affine_map<(d0, d1) -> (d0, d1)>], iterator_types = ["parallel", "parallel"]} ins(%x : tensor<16x32xf32>) outs(%e : tensor<16x32xf32>) {
  ^bb0(%i: f32, %o: f32):
    %s = arith.negf %i : f32
    linalg.yield %s : f32
  } -> tensor<16x32xf32>
  exec.return %0 : tensor<16x32xf32>
}

// Sizes are symbols: a scalar of the struct, and the grid computed from it.
// CHECK-LABEL: llvm.func @dynamic
// CHECK-SAME: !llvm.struct<(ptr<1>, ptr<1>, i64)>
// CHECK-SAME: grid = "()[s0, s1] -> ((s1 * 3) ceildiv 256, 1, 1)"
exec.kernel @dynamic(%x: tensor<?x3xi1> as tensor<?x3xi1, affine_map<()[s0, s1] -> (s1, 3)>>) -> (tensor<?x3xi1, affine_map<()[s0, s1] -> (s1, 3)>>) {
  %n = exec.symbol 1
  %e = tensor.empty(%n) : tensor<?x3xi1>
  %t = arith.constant true
  // Truth values are bytes in memory.
  // CHECK: llvm.load {{.*}} -> i8
  // CHECK: llvm.store {{.*}} : i8
  %0 = linalg.generic {indexing_maps = [affine_map<(d0, d1) -> (d0, d1)>, affine_map<(d0, d1) -> (d0, d1)>], iterator_types = ["parallel", "parallel"]} ins(%x : tensor<?x3xi1>) outs(%e : tensor<?x3xi1>) {
  ^bb0(%i: i1, %o: i1):
    %s = arith.xori %i, %t : i1
    linalg.yield %s : i1
  } -> tensor<?x3xi1>
  exec.return %0 : tensor<?x3xi1>
}
