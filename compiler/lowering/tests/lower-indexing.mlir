// RUN: aicc-opt %s --aicc-lower-kernels --split-input-file | FileCheck %s

// A negative position counts from the end; the sum is of f32.
// CHECK-LABEL: exec.kernel @scatter
// CHECK: linalg.generic
// CHECK: arith.cmpi slt
// CHECK: exec.scatter %arg0, %{{.*}}, %arg2 axis 0
// CHECK: ^bb0(%[[OLD:.*]]: f16, %[[UPDATE:.*]]: f16)
// CHECK-DAG: arith.extf %[[OLD]]
// CHECK-DAG: arith.extf %[[UPDATE]]
// CHECK: arith.addf
// CHECK: %[[SUM:.*]] = arith.truncf
// CHECK: exec.combine %[[SUM]] : f16
exec.kernel @scatter(%a: tensor<5xf16>, %i: tensor<3xi32>, %u: tensor<3xf16>) -> (tensor<5xf16>) {
  %0 = graph.scatter %a, %i, %u axis 0 kind sum : tensor<5xf16>, tensor<3xi32>, tensor<3xf16>
  exec.return %0 : tensor<5xf16>
}

// -----

// A binary search of pass + 1 steps at every place.
// CHECK-LABEL: exec.kernel @merge
// CHECK: tensor.empty({{.*}}) : tensor<?xi8>
// CHECK: iterator_types = ["parallel", "reduction"]
// CHECK: arith.cmpf olt
// CHECK: linalg.yield %{{.*}}, %{{.*}} : i64, i64
exec.kernel @merge(%k: tensor<9xf32>, %o: tensor<9xi64>) -> (tensor<9xi64>) {
  %0 = graph.merge_runs %k, %o pass affine_map<()[s0] -> (s0)> : tensor<9xf32>, tensor<9xi64>
  exec.return %0 : tensor<9xi64>
}

// -----

// CHECK-LABEL: exec.kernel @window
// CHECK: iterator_types = ["parallel", "parallel", "parallel", "reduction"]
// CHECK: arith.cmpf ogt
exec.kernel @window(%x: tensor<1x1x8xf32>) -> (tensor<1x1x4xi64>) {
  %0 = graph.arg_reduce_window %x window [3] strides [2] low [1] dilations [1] : (tensor<1x1x8xf32>) -> tensor<1x1x4xi64>
  exec.return %0 : tensor<1x1x4xi64>
}

// -----

// Two elements of each of two dimensions; none outside.
// CHECK-LABEL: exec.kernel @sample
// CHECK-COUNT-4: arith.select %{{.*}}, %{{.*}}, %{{.*}} : f32
exec.kernel @sample(%x: tensor<1x4x8x8xf32>, %p: tensor<1x6x2xf32>) -> (tensor<1x4x6xf32>) {
  %0 = graph.sample %x, %p linear zeros : (tensor<1x4x8x8xf32>, tensor<1x6x2xf32>) -> tensor<1x4x6xf32>
  exec.return %0 : tensor<1x4x6xf32>
}

// -----

// CHECK-LABEL: exec.kernel @resample
// CHECK: tensor.extract
// CHECK: arith.mulf
// CHECK: arith.addf
exec.kernel @resample(%x: tensor<8xf32>, %i: tensor<6x2xi64>, %w: tensor<6x2xf32>) -> (tensor<6xf32>) {
  %0 = graph.resample %x, %i, %w axis 0 : (tensor<8xf32>, tensor<6x2xi64>, tensor<6x2xf32>) -> tensor<6xf32>
  exec.return %0 : tensor<6xf32>
}
