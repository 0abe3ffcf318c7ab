// RUN: aicc-opt %s --aicc-lower-kernels --aicc-lower-to-gpu=subgroup=32 | FileCheck %s
// RUN: aicc-opt %s --aicc-lower-kernels "--aicc-lower-to-gpu=subgroup=16 vector=1 tile=4" | FileCheck %s --check-prefix=SCALAR

// 64 queries of a head per workgroup; 96 keys are two tiles, of which the
// second is half empty. Slices of queries, keys and values and the weights of a
// tile are in shared memory, scores aren't in any.
// CHECK-DAG: @[[N:.*]]_queries() {{.*}} : !llvm.array<1088 x f32>
// CHECK-DAG: @[[N]]_keys() {{.*}} : !llvm.array<1088 x f32>
// CHECK-DAG: @[[N]]_values() {{.*}} : !llvm.array<1088 x f32>
// CHECK-DAG: @[[N]]_weights() {{.*}} : !llvm.array<4352 x f32>
// CHECK: llvm.func
// CHECK-SAME: grid = "()[s0, s1] -> ((s0 * (s1 ceildiv 64)) * 8, 1, 1)"
// CHECK-SAME: workgroup = array<i32: 32, 8, 1>

// Keys, with results, maxima and sums carried; the depth; a slice of it.
// CHECK: scf.for {{.*}} iter_args(
// CHECK: scf.for
// CHECK: gpu.barrier
// CHECK: scf.for
// CHECK-COUNT-16: math.fma
// CHECK: gpu.barrier
// Four rows: the maximum of 16 threads, then what was summed is scaled.
// CHECK: llvm.call_intrinsic "llvm.maxnum"
// CHECK-COUNT-4: gpu.shuffle
// CHECK: math.exp
// CHECK: gpu.shuffle
// The weights meet the values.
// CHECK: scf.for
// CHECK: gpu.barrier
// CHECK: scf.for
// CHECK-COUNT-16: math.fma
// CHECK: gpu.barrier
// The sums are divided by at the end.
// CHECK: gpu.shuffle
// CHECK: arith.divf
// CHECK-COUNT-16: llvm.store {{.*}} : f32, !llvm.ptr<1>
// CHECK: llvm.return

// SCALAR: workgroup = array<i32: 16, 16, 1>
exec.kernel @attention(%q: tensor<?x8x?x64xf32, affine_map<()[s0, s1] -> (s0, 8, s1, 64)>>, %k: tensor<?x8x96x64xf32, affine_map<()[s0, s1] -> (s0, 8, 96, 64)>>, %v: tensor<?x8x96x64xf32, affine_map<()[s0, s1] -> (s0, 8, 96, 64)>>) -> (tensor<?x8x?x64xf32, affine_map<()[s0, s1] -> (s0, 8, s1, 64)>>) {
  %s = graph.dot_general %q, %k batch [0, 1] x [0, 1] contract [3] x [3] : (tensor<?x8x?x64xf32, affine_map<()[s0, s1] -> (s0, 8, s1, 64)>>, tensor<?x8x96x64xf32, affine_map<()[s0, s1] -> (s0, 8, 96, 64)>>) -> tensor<?x8x?x96xf32, affine_map<()[s0, s1] -> (s0, 8, s1, 96)>>
  %p = graph.softmax %s axis 3 : tensor<?x8x?x96xf32, affine_map<()[s0, s1] -> (s0, 8, s1, 96)>>
  %y = graph.dot_general %p, %v batch [0, 1] x [0, 1] contract [3] x [2] : (tensor<?x8x?x96xf32, affine_map<()[s0, s1] -> (s0, 8, s1, 96)>>, tensor<?x8x96x64xf32, affine_map<()[s0, s1] -> (s0, 8, 96, 64)>>) -> tensor<?x8x?x64xf32, affine_map<()[s0, s1] -> (s0, 8, s1, 64)>>
  exec.return %y : tensor<?x8x?x64xf32, affine_map<()[s0, s1] -> (s0, 8, s1, 64)>>
}

// The tiles of keys that a tile of 64 queries sees: up to the last query, which
// is that of the tile or of all.
// CHECK-LABEL: llvm.func @causal
// CHECK-DAG: %[[ALL:.*]] = arith.constant 96 : index
// CHECK-DAG: %[[ONE:.*]] = arith.constant 1 : index
// CHECK: %[[LAST:.*]] = arith.minsi
// CHECK: %[[END:.*]] = arith.addi %[[LAST]], %[[ONE]]
// CHECK: %[[LESS:.*]] = arith.minsi %[[END]], %[[ALL]]
// CHECK: %[[KEYS:.*]] = arith.maxsi %[[LESS]],
// CHECK: scf.for {{.*}} to %[[KEYS]] step {{.*}} iter_args(
exec.kernel @causal(%q: tensor<8x90x64xf32>, %k: tensor<8x96x64xf32>, %v: tensor<8x96x64xf32>) -> (tensor<8x90x64xf32>) {
  %i = graph.constant dense<0xFF800000> : tensor<f32>
  %row = graph.iota 1 : tensor<8x90x96xi64>
  %column = graph.iota 2 : tensor<8x90x96xi64>
  %keep = graph.compare less_equal %column, %row : (tensor<8x90x96xi64>, tensor<8x90x96xi64>) -> tensor<8x90x96xi1>
  %hidden = graph.broadcast %i [] : (tensor<f32>) -> tensor<8x90x96xf32>
  %s = graph.dot_general %q, %k batch [0] x [0] contract [2] x [2] : (tensor<8x90x64xf32>, tensor<8x96x64xf32>) -> tensor<8x90x96xf32>
  %a = graph.select %keep, %s, %hidden : tensor<8x90x96xi1>, tensor<8x90x96xf32>
  %p = graph.softmax %a axis 2 : tensor<8x90x96xf32>
  %y = graph.dot_general %p, %v batch [0] x [0] contract [2] x [1] : (tensor<8x90x96xf32>, tensor<8x96x64xf32>) -> tensor<8x90x64xf32>
  exec.return %y : tensor<8x90x64xf32>
}
