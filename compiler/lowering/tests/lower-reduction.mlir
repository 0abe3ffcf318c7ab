// RUN: aicc-opt %s --aicc-lower-kernels | FileCheck %s

module attributes {graph.symbols = ["n"]} {

// CHECK-LABEL: exec.kernel @mean
// CHECK: linalg.generic
// CHECK: arith.constant 0.0
// CHECK: linalg.generic {{.*}} iterator_types = ["parallel", "reduction"]}
// CHECK: arith.addf
// CHECK: linalg.generic
// CHECK: %[[R:.*]] = arith.constant 1.250000e-01 : f32
// CHECK: arith.mulf %{{.*}}, %[[R]]
exec.kernel @mean(%a: tensor<4x8xf32>) -> (tensor<4xf32>) {
  %0 = graph.reduce mean %a [1] : (tensor<4x8xf32>) -> tensor<4xf32>
  exec.return %0 : tensor<4xf32>
}

// CHECK-LABEL: exec.kernel @sum_half
// CHECK: outs(%{{.*}} : tensor<f32>)
// CHECK: iterator_types = ["reduction"]
// CHECK: arith.extf
// CHECK: arith.truncf
exec.kernel @sum_half(%a: tensor<8xf16>) -> (tensor<f16>) {
  %0 = graph.reduce sum %a [0] : (tensor<8xf16>) -> tensor<f16>
  exec.return %0 : tensor<f16>
}

// CHECK-LABEL: exec.kernel @maximum
// CHECK: arith.constant 0xFF800000 : f32
// CHECK: arith.maximumf
exec.kernel @maximum(%a: tensor<8xf32>) -> (tensor<f32>) {
  %0 = graph.reduce maximum %a [0] : (tensor<8xf32>) -> tensor<f32>
  exec.return %0 : tensor<f32>
}

// CHECK-LABEL: exec.kernel @arg_reduce
// CHECK: %[[R:.*]]:2 = linalg.generic
// CHECK: arith.cmpf ogt
// CHECK: linalg.index 1
// CHECK: exec.return %[[R]]#1 : tensor<4xi64>
exec.kernel @arg_reduce(%a: tensor<4x8xf32>) -> (tensor<4xi64>) {
  %0 = graph.arg_reduce maximum %a axis 1 : (tensor<4x8xf32>) -> tensor<4xi64>
  exec.return %0 : tensor<4xi64>
}

// Maximum, exponentials, their sum, its reciprocal, the result.
// CHECK-LABEL: exec.kernel @softmax
// CHECK: arith.maximumf {{.*}} fastmath<nnan>
// CHECK: math.exp
// CHECK: arith.addf
// CHECK: arith.divf
// CHECK: arith.mulf
exec.kernel @softmax(%a: tensor<4x8xf32>) -> (tensor<4x8xf32>) {
  %0 = graph.softmax %a axis 1 : tensor<4x8xf32>
  exec.return %0 : tensor<4x8xf32>
}

// CHECK-LABEL: exec.kernel @normalize
// CHECK: exec.symbol 0
// CHECK: arith.addf
// CHECK: arith.sitofp
// CHECK: arith.divf
// CHECK: %[[D:.*]] = arith.subf
// CHECK: arith.mulf %[[D]], %[[D]]
// CHECK: math.rsqrt
exec.kernel @normalize(%a: tensor<4x?xf32, affine_map<()[s0] -> (4, s0)>>) -> (tensor<4x?xf32, affine_map<()[s0] -> (4, s0)>>) {
  %0 = graph.normalize %a axis 1 epsilon 1.0e-5 : tensor<4x?xf32, affine_map<()[s0] -> (4, s0)>>
  exec.return %0 : tensor<4x?xf32, affine_map<()[s0] -> (4, s0)>>
}

// CHECK-LABEL: exec.kernel @cumulative
// CHECK: iterator_types = ["parallel", "parallel", "reduction"]
// CHECK: arith.cmpi slt
exec.kernel @cumulative(%a: tensor<4x8xf32>) -> (tensor<4x8xf32>) {
  %0 = graph.cumulative sum %a axis 1 {exclusive} : tensor<4x8xf32>
  exec.return %0 : tensor<4x8xf32>
}

// The window's loops are bounded by the shape of a tensor that nobody reads.
// CHECK-LABEL: exec.kernel @pool
// CHECK: %[[W:.*]] = tensor.empty() : tensor<2xf32>
// CHECK: ins(%{{.*}}, %[[W]] : tensor<8xf32>, tensor<2xf32>)
exec.kernel @pool(%a: tensor<8xf32>) -> (tensor<4xf32>) {
  %0 = graph.reduce_window maximum %a window [2] strides [2] low [0] high [0] dilations [1] : (tensor<8xf32>) -> tensor<4xf32>
  exec.return %0 : tensor<4xf32>
}

// CHECK-LABEL: exec.kernel @pool_padded
// CHECK: arith.cmpi ult
// CHECK: tensor.extract
// CHECK: arith.maximumf
exec.kernel @pool_padded(%a: tensor<8xf32>) -> (tensor<4xf32>) {
  %0 = graph.reduce_window maximum %a window [3] strides [2] low [1] high [0] dilations [1] : (tensor<8xf32>) -> tensor<4xf32>
  exec.return %0 : tensor<4xf32>
}
}
