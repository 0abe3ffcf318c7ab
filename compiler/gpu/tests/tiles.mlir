// RUN: aicc-opt %s --aicc-lower-to-gpu=subgroup=32 | FileCheck %s
// RUN: aicc-opt %s "--aicc-lower-to-gpu=subgroup=16 vector=1 tile=4" | FileCheck %s --check-prefix=SCALAR

// A large product: slices in shared memory, a tile of 8 x 8 in registers, four
// elements at once; the bias is added to the accumulators.
// CHECK-LABEL: gpu.module @product_module
// CHECK-DAG: @product_a() {addr_space = 3 : i32, alignment = 16 : i64} : !llvm.array<2112 x f32>
// CHECK-DAG: @product_b() {addr_space = 3 : i32, alignment = 16 : i64} : !llvm.array<2112 x f32>
// CHECK: llvm.func @product
// CHECK-SAME: grid = "() -> (64, 1, 1)"
// CHECK: scf.for
// CHECK: gpu.barrier
// CHECK: scf.for
// CHECK-COUNT-4: llvm.load {{.*}} : !llvm.ptr<3> -> vector<4xf32>
// CHECK-COUNT-64: math.fma
// CHECK-COUNT-4: llvm.load {{.*}} : !llvm.ptr<3> -> vector<4xf32>
// CHECK-COUNT-64: math.fma
// CHECK-NOT: math.fma
// CHECK: gpu.barrier
// CHECK-COUNT-64: llvm.store {{.*}} : f32, !llvm.ptr<1>
// CHECK-NOT: scf.if
// CHECK: llvm.return

// SCALAR-LABEL: gpu.module @product_module
// SCALAR-DAG: @product_a() {addr_space = 3 : i32, alignment = 16 : i64} : !llvm.array<1088 x f32>
// SCALAR: grid = "() -> (256, 1, 1)"
// SCALAR-SAME: workgroup = array<i32: 16, 16, 1>
// SCALAR-COUNT-32: math.fma
// SCALAR-NOT: math.fma
exec.kernel @product(%a: tensor<1024x64xf32>, %b: tensor<64x1024xf32>, %c: tensor<1024xf32>) -> (tensor<1024x1024xf32>) {
  %e = tensor.empty() : tensor<1024x1024xf32>
  %z = arith.constant dense<0.0> : tensor<1024x1024xf32>
  %0 = linalg.generic {indexing_maps = [affine_map<(d0, d1, d2) -> (d0, d2)>, affine_map<(d0, d1, d2) -> (d2, d1)>, affine_map<(d0, d1, d2) -> (d0, d1)>], iterator_types = ["parallel", "parallel", "reduction"]} ins(%a, %b : tensor<1024x64xf32>, tensor<64x1024xf32>) outs(%z : tensor<1024x1024xf32>) {
  ^bb0(%i: f32, %j: f32, %o: f32):
    %p = arith.mulf %i, %j : f32
    %s = arith.addf %o, %p : f32
    linalg.yield %s : f32
  } -> tensor<1024x1024xf32>
  %1 = linalg.generic {indexing_maps = [affine_map<(d0, d1) -> (d0, d1)>, affine_map<(d0, d1) -> (d1)>, affine_map<(d0, d1) -> (d0, d1)>], iterator_types = ["parallel", "parallel"]} ins(%0, %c : tensor<1024x1024xf32>, tensor<1024xf32>) outs(%e : tensor<1024x1024xf32>) {
  ^bb0(%i: f32, %j: f32, %o: f32):
    %s = arith.addf %i, %j : f32
    linalg.yield %s : f32
  } -> tensor<1024x1024xf32>
  exec.return %1 : tensor<1024x1024xf32>
}
