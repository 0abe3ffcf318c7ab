// RUN: aicc-opt %s --aicc-lower-to-gpu=subgroup=32 | FileCheck %s

// A workgroup for each row, which is in registers: a thread loads its 20
// elements once, its part of the sum meets the others' by shuffles and in
// shared memory, and the result is computed from what has been loaded.
// CHECK-LABEL: gpu.module @centre_module
// CHECK: llvm.mlir.global internal @centre_partial0() {addr_space = 3 : i32
// CHECK: llvm.func @centre
// CHECK-SAME: grid = "() -> (10, 1, 1)"
// CHECK-NOT: scf.for
// CHECK-COUNT-20: llvm.load %{{.*}} {alignment = 4 : i64} : !llvm.ptr<1> -> f32
// CHECK-NOT: !llvm.ptr<1> -> f32
// CHECK: gpu.shuffle xor
// CHECK-NOT: !llvm.ptr<1> -> f32
// CHECK: gpu.barrier
// CHECK-NOT: !llvm.ptr<1> -> f32
// CHECK: arith.subf
// CHECK-NOT: !llvm.ptr<1> -> f32
// CHECK: llvm.store
exec.kernel @centre(%x: tensor<10x5000xf32>) -> (tensor<10x5000xf32>) {
  %e = tensor.empty() : tensor<10x5000xf32>
  %z = arith.constant dense<0.0> : tensor<10xf32>
  %s = linalg.generic {indexing_maps = [affine_map<(d0, d1) -> (d0, d1)>, affine_map<(d0, d1) -> (d0)>], iterator_types = ["parallel", "reduction"]} ins(%x : tensor<10x5000xf32>) outs(%z : tensor<10xf32>) {
  ^bb0(%i: f32, %o: f32):
    %a = arith.addf %o, %i : f32
    linalg.yield %a : f32
  } -> tensor<10xf32>
  %0 = linalg.generic {indexing_maps = [affine_map<(d0, d1) -> (d0, d1)>, affine_map<(d0, d1) -> (d0)>, affine_map<(d0, d1) -> (d0, d1)>], iterator_types = ["parallel", "parallel"]} ins(%x, %s : tensor<10x5000xf32>, tensor<10xf32>) outs(%e : tensor<10x5000xf32>) {
  ^bb0(%i: f32, %j: f32, %o: f32):
    %d = arith.subf %i, %j : f32
    linalg.yield %d : f32
  } -> tensor<10x5000xf32>
  exec.return %0 : tensor<10x5000xf32>
}

// Longer ones are read anew for each loop. The next elements are loaded before
// the last ones are added: 4 sums and 32 elements are carried.
// CHECK-LABEL: llvm.func @centre_long
// CHECK-COUNT-32: llvm.load {{.*}} : !llvm.ptr<1> -> f32
// CHECK: scf.for {{.*}} iter_args
// CHECK-COUNT-32: llvm.load {{.*}} : !llvm.ptr<1> -> f32
// CHECK-COUNT-32: arith.addf
// CHECK: scf.yield
// CHECK: gpu.shuffle xor
// CHECK: gpu.barrier
// CHECK: scf.for
// CHECK: llvm.load {{.*}} : !llvm.ptr<1> -> f32
// CHECK: arith.subf
// CHECK: llvm.store
exec.kernel @centre_long(%x: tensor<10x50000xf32>) -> (tensor<10x50000xf32>) {
  %e = tensor.empty() : tensor<10x50000xf32>
  %z = arith.constant dense<0.0> : tensor<10xf32>
  %s = linalg.generic {indexing_maps = [affine_map<(d0, d1) -> (d0, d1)>, affine_map<(d0, d1) -> (d0)>], iterator_types = ["parallel", "reduction"]} ins(%x : tensor<10x50000xf32>) outs(%z : tensor<10xf32>) {
  ^bb0(%i: f32, %o: f32):
    %a = arith.addf %o, %i : f32
    linalg.yield %a : f32
  } -> tensor<10xf32>
  %0 = linalg.generic {indexing_maps = [affine_map<(d0, d1) -> (d0, d1)>, affine_map<(d0, d1) -> (d0)>, affine_map<(d0, d1) -> (d0, d1)>], iterator_types = ["parallel", "parallel"]} ins(%x, %s : tensor<10x50000xf32>, tensor<10xf32>) outs(%e : tensor<10x50000xf32>) {
  ^bb0(%i: f32, %j: f32, %o: f32):
    %d = arith.subf %i, %j : f32
    linalg.yield %d : f32
  } -> tensor<10x50000xf32>
  exec.return %0 : tensor<10x50000xf32>
}

// Short rows: a thread each, without any exchange.
// CHECK-LABEL: llvm.func @pool
// CHECK-SAME: grid = "() -> (2, 1, 1)"
// CHECK-NOT: gpu.shuffle
// CHECK-NOT: gpu.barrier
// CHECK-NOT: scf.for
// CHECK-COUNT-4: llvm.load {{.*}} : !llvm.ptr<1> -> f32
// CHECK: llvm.store
exec.kernel @pool(%x: tensor<16x16x8xf32>) -> (tensor<8x8x8xf32>) {
  %n = arith.constant dense<0xFF800000> : tensor<8x8x8xf32>
  %w = tensor.empty() : tensor<2x2xf32>
  %0 = linalg.generic {indexing_maps = [affine_map<(d0, d1, d2, d3, d4) -> (d0 * 2 + d3, d1 * 2 + d4, d2)>, affine_map<(d0, d1, d2, d3, d4) -> (d3, d4)>, affine_map<(d0, d1, d2, d3, d4) -> (d0, d1, d2)>], iterator_types = ["parallel", "parallel", "parallel", "reduction", "reduction"]} ins(%x, %w : tensor<16x16x8xf32>, tensor<2x2xf32>) outs(%n : tensor<8x8x8xf32>) {
  ^bb0(%i: f32, %j: f32, %o: f32):
    %m = arith.maximumf %o, %i : f32
    linalg.yield %m : f32
  } -> tensor<8x8x8xf32>
  exec.return %0 : tensor<8x8x8xf32>
}

// Rows side by side in memory: 8 of them, 16 bytes, for a thread, 32 threads
// for each. Threads of a subgroup that have the same rows meet by shuffles,
// subgroups in shared memory.
// CHECK-LABEL: gpu.module @columns_module
// CHECK: llvm.mlir.global internal @columns_partial0() {{.*}} !llvm.array<512 x f32>
// CHECK: llvm.func @columns
// CHECK-SAME: grid = "() -> (16, 1, 1)"
// CHECK: scf.for {{.*}} iter_args
// CHECK-COUNT-64: llvm.load {{.*}} : !llvm.ptr<1> -> f16
// CHECK-COUNT-64: arith.addf
// CHECK: scf.yield
// CHECK-COUNT-16: gpu.shuffle xor
// CHECK-NOT: gpu.shuffle
// CHECK: gpu.barrier
// CHECK: scf.if
// CHECK-COUNT-8: llvm.store
// CHECK-NOT: llvm.store
exec.kernel @columns(%x: tensor<4096x1024xf16>) -> (tensor<1024xf32>) {
  %z = arith.constant dense<0.0> : tensor<1024xf32>
  %s = linalg.generic {indexing_maps = [affine_map<(d0, d1) -> (d0, d1)>, affine_map<(d0, d1) -> (d1)>], iterator_types = ["reduction", "parallel"]} ins(%x : tensor<4096x1024xf16>) outs(%z : tensor<1024xf32>) {
  ^bb0(%i: f16, %o: f32):
    %e = arith.extf %i : f16 to f32
    %a = arith.addf %o, %e : f32
    linalg.yield %a : f32
  } -> tensor<1024xf32>
  exec.return %s : tensor<1024xf32>
}

// The best element and where it is: of two threads' parts that are equally good
// the one that comes first in the row stays.
// CHECK-LABEL: llvm.func @arg_max
// CHECK-SAME: grid = "() -> (8, 1, 1)"
// CHECK: gpu.shuffle
// CHECK: %[[SWAP:.*]] = arith.cmpi slt
// CHECK-COUNT-4: arith.select %[[SWAP]]
// CHECK: arith.cmpf ogt
// CHECK: gpu.barrier
// CHECK: arith.cmpi slt
// CHECK: llvm.store
exec.kernel @arg_max(%x: tensor<8x3000xf32>) -> (tensor<8xi64>) {
  %n = arith.constant dense<0xFF800000> : tensor<8xf32>
  %z = arith.constant dense<0> : tensor<8xi64>
  %0:2 = linalg.generic {indexing_maps = [affine_map<(d0, d1) -> (d0, d1)>, affine_map<(d0, d1) -> (d0)>, affine_map<(d0, d1) -> (d0)>], iterator_types = ["parallel", "reduction"]} ins(%x : tensor<8x3000xf32>) outs(%n, %z : tensor<8xf32>, tensor<8xi64>) {
  ^bb0(%i: f32, %o: f32, %p: i64):
    %k = linalg.index 1 : index
    %j = arith.index_cast %k : index to i64
    %c = arith.cmpf ogt, %i, %o : f32
    %v = arith.select %c, %i, %o : f32
    %w = arith.select %c, %j, %p : i64
    linalg.yield %v, %w : f32, i64
  } -> (tensor<8xf32>, tensor<8xi64>)
  exec.return %0#1 : tensor<8xi64>
}

// What starts elsewhere than at 0 is one thread's.
// CHECK-LABEL: llvm.func @arg_max_from
// CHECK-NOT: gpu.shuffle
// CHECK: scf.for
// CHECK: llvm.store
exec.kernel @arg_max_from(%x: tensor<8x3000xf32>) -> (tensor<8xi64>) {
  %n = arith.constant dense<0xFF800000> : tensor<8xf32>
  %z = arith.constant dense<7> : tensor<8xi64>
  %0:2 = linalg.generic {indexing_maps = [affine_map<(d0, d1) -> (d0, d1)>, affine_map<(d0, d1) -> (d0)>, affine_map<(d0, d1) -> (d0)>], iterator_types = ["parallel", "reduction"]} ins(%x : tensor<8x3000xf32>) outs(%n, %z : tensor<8xf32>, tensor<8xi64>) {
  ^bb0(%i: f32, %o: f32, %p: i64):
    %k = linalg.index 1 : index
    %j = arith.index_cast %k : index to i64
    %c = arith.cmpf ogt, %i, %o : f32
    %v = arith.select %c, %i, %o : f32
    %w = arith.select %c, %j, %p : i64
    linalg.yield %v, %w : f32, i64
  } -> (tensor<8xf32>, tensor<8xi64>)
  exec.return %0#1 : tensor<8xi64>
}
