// RUN: aicc-opt %s --aicc-widen-operands | FileCheck %s

// The activation is made f32 where it is computed, before the view of it; the
// weight stays.
// CHECK-LABEL: func.func @dot
func.func @dot(%x: tensor<2x2x8xf16>) -> tensor<4x16xf16> {
  // CHECK: %[[S:.*]] = graph.negate %{{.*}} : tensor<2x2x8xf16>
  // CHECK: %[[C:.*]] = graph.cast %[[S]] : (tensor<2x2x8xf16>) -> tensor<2x2x8xf32>
  // CHECK: %[[R:.*]] = graph.reshape %[[C]] : (tensor<2x2x8xf32>) -> tensor<4x8xf32>
  // CHECK: graph.dot_general %[[R]], %{{.*}} {accumulator = f16} : (tensor<4x8xf32>, tensor<8x16xf16>) -> tensor<4x16xf16>
  %w = graph.constant dense<0.5> : tensor<8x16xf16>
  %s = graph.negate %x : tensor<2x2x8xf16>
  %r = graph.reshape %s : (tensor<2x2x8xf16>) -> tensor<4x8xf16>
  %d = graph.dot_general %r, %w batch [] x [] contract [1] x [0] : (tensor<4x8xf16>, tensor<8x16xf16>) -> tensor<4x16xf16>
  return %d : tensor<4x16xf16>
}

// CHECK-LABEL: func.func @convolution
func.func @convolution(%x: tensor<1x1x4x4xbf16>) -> tensor<1x2x4x4xf32> {
  // CHECK: %[[C:.*]] = graph.cast %{{.*}} -> tensor<1x1x4x4xf32>
  // CHECK: graph.convolution %[[C]], %{{.*}} {accumulator = f32} : (tensor<1x1x4x4xf32>, tensor<2x1x1x1xbf16>) -> tensor<1x2x4x4xf32>
  %w = graph.constant dense<0.5> : tensor<2x1x1x1xbf16>
  %c = graph.convolution %x, %w strides [1, 1] low [0, 0] high [0, 0] dilations [1, 1] groups 1 {accumulator = f32} : (tensor<1x1x4x4xbf16>, tensor<2x1x1x1xbf16>) -> tensor<1x2x4x4xf32>
  return %c : tensor<1x2x4x4xf32>
}

// CHECK-LABEL: func.func @transposed
func.func @transposed(%x: tensor<1x2x4x4xf16>) -> tensor<1x1x8x8xf16> {
  // CHECK: graph.convolution_transpose {{.*}} -> tensor<1x1x8x8xf32>
  // CHECK: graph.cast %{{.*}} : (tensor<1x1x8x8xf32>) -> tensor<1x1x8x8xf16>
  %w = graph.constant dense<0.5> : tensor<2x1x2x2xf16>
  %c = graph.convolution_transpose %x, %w strides [2, 2] low [0, 0] high [0, 0] dilations [1, 1] extra [0, 0] groups 1 : (tensor<1x2x4x4xf16>, tensor<2x1x2x2xf16>) -> tensor<1x1x8x8xf16>
  return %c : tensor<1x1x8x8xf16>
}

// Bytes are multiplied in 16 bits.
// CHECK-LABEL: func.func @bytes
// CHECK-DAG: %[[A:.*]] = graph.cast %arg0 : (tensor<4x8xi8>) -> tensor<4x8xi16>
// CHECK-DAG: %[[B:.*]] = graph.cast %arg1 : (tensor<8x6xi8>) -> tensor<8x6xi16>
// CHECK: graph.dot_general %[[A]], %[[B]] {{.*}}{accumulator = i32} : (tensor<4x8xi16>, tensor<8x6xi16>) -> tensor<4x6xi32>
func.func @bytes(%a: tensor<4x8xi8>, %b: tensor<8x6xi8>) -> tensor<4x6xi32> {
  %0 = graph.dot_general %a, %b batch [] x [] contract [1] x [0] {accumulator = i32} : (tensor<4x8xi8>, tensor<8x6xi8>) -> tensor<4x6xi32>
  return %0 : tensor<4x6xi32>
}
