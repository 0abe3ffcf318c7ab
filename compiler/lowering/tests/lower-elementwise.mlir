// RUN: aicc-opt %s --aicc-lower-kernels | FileCheck %s

#rows = affine_map<()[s0] -> (s0, 8)>
module attributes {graph.symbols = ["batch"]} {

// Dynamic sizes come from symbols; arguments keep their declared types.
// CHECK-LABEL: exec.kernel @add
// CHECK-SAME: (%[[A:.*]]: tensor<?x8xf32> as tensor<?x8xf32, #{{.*}}>, %[[B:.*]]: tensor<?x8xf32> as
// CHECK: %[[N:.*]] = exec.symbol 0
// CHECK: %[[E:.*]] = tensor.empty(%[[N]]) : tensor<?x8xf32>
// CHECK: %[[R:.*]] = linalg.generic {{.*}} iterator_types = ["parallel", "parallel"]} ins(%[[A]], %[[B]] : {{.*}}) outs(%[[E]] :
// CHECK: arith.addf
// CHECK-NOT: unrealized_conversion_cast
// CHECK: exec.return %[[R]] : tensor<?x8xf32>
exec.kernel @add(%a: tensor<?x8xf32, #rows>, %b: tensor<?x8xf32, #rows>) -> (tensor<?x8xf32, #rows>) {
  %0 = graph.add %a, %b : tensor<?x8xf32, #rows>
  exec.return %0 : tensor<?x8xf32, #rows>
}

// Signless elements, unsigned arithmetic, x / 0 = 0.
// CHECK-LABEL: exec.kernel @divide_unsigned
// CHECK-SAME: tensor<4xi8> as tensor<4xui8>
// CHECK: %[[Z:.*]] = arith.cmpi eq, %{{.*}}, %{{.*}} : i8
// CHECK: arith.select %[[Z]]
// CHECK: arith.divui
// CHECK: arith.select %[[Z]]
exec.kernel @divide_unsigned(%a: tensor<4xui8>, %b: tensor<4xui8>) -> (tensor<4xui8>) {
  %0 = graph.divide %a, %b : tensor<4xui8>
  exec.return %0 : tensor<4xui8>
}

// CHECK-LABEL: exec.kernel @divide_signed
// CHECK: arith.divsi
exec.kernel @divide_signed(%a: tensor<4xi8>, %b: tensor<4xi8>) -> (tensor<4xi8>) {
  %0 = graph.divide %a, %b : tensor<4xi8>
  exec.return %0 : tensor<4xi8>
}

// Narrow floats are computed in f32.
// CHECK-LABEL: exec.kernel @half
// CHECK: arith.extf %{{.*}} : f16 to f32
// CHECK: math.exp %{{.*}} : f32
// CHECK: arith.truncf %{{.*}} : f32 to f16
exec.kernel @half(%a: tensor<4xf16>) -> (tensor<4xf16>) {
  %0 = graph.exp %a : tensor<4xf16>
  exec.return %0 : tensor<4xf16>
}

// CHECK-LABEL: exec.kernel @compare
// CHECK: arith.cmpf une
// CHECK: arith.cmpi ult
exec.kernel @compare(%a: tensor<4xf32>, %b: tensor<4xui8>) -> (tensor<4xi1>, tensor<4xi1>) {
  %0 = graph.compare not_equal %a, %a : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xi1>
  %1 = graph.compare less %b, %b : (tensor<4xui8>, tensor<4xui8>) -> tensor<4xi1>
  exec.return %0, %1 : tensor<4xi1>, tensor<4xi1>
}

// Saturates, and NaN gives 0: the conversion itself never leaves its range.
// CHECK-LABEL: exec.kernel @saturate
// CHECK: %[[SAFE:.*]] = arith.select %{{.*}}, %{{.*}}, %{{.*}} : f32
// CHECK: arith.fptoui %[[SAFE]] : f32 to i8
// CHECK-COUNT-2: arith.select {{.*}} : i8
exec.kernel @saturate(%a: tensor<4xf32>) -> (tensor<4xui8>) {
  %0 = graph.cast %a : (tensor<4xf32>) -> tensor<4xui8>
  exec.return %0 : tensor<4xui8>
}

// CHECK-LABEL: exec.kernel @scalar
// CHECK: linalg.generic {{.*}} iterator_types = []}
exec.kernel @scalar(%a: tensor<f32>) -> (tensor<f32>) {
  %0 = graph.negate %a : tensor<f32>
  exec.return %0 : tensor<f32>
}
}
