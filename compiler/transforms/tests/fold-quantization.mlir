// RUN: aicc-opt %s --pass-pipeline='builtin.module(func.func(aicc-fold-quantization,canonicalize))' | FileCheck %s

// DequantizeLinear on both sides of a product: a zero point on one, a scale for
// each column on the other.
// CHECK-LABEL: func.func @matmul
// CHECK-SAME: %[[A:.*]]: tensor<4x8xui8>, %[[B:.*]]: tensor<8x3xi8>, %[[Z:.*]]: tensor<ui8>, %[[S:.*]]: tensor<f32>, %[[T:.*]]: tensor<3xf32>
func.func @matmul(%a: tensor<4x8xui8>, %b: tensor<8x3xi8>, %z: tensor<ui8>, %s: tensor<f32>, %t: tensor<3xf32>) -> tensor<4x3xf32> {
  %ai = graph.cast %a : (tensor<4x8xui8>) -> tensor<4x8xi32>
  %zi = graph.cast %z : (tensor<ui8>) -> tensor<i32>
  %zb = graph.broadcast %zi [] : (tensor<i32>) -> tensor<4x8xi32>
  %d = graph.subtract %ai, %zb : tensor<4x8xi32>
  %df = graph.cast %d : (tensor<4x8xi32>) -> tensor<4x8xf32>
  %sb = graph.broadcast %s [] : (tensor<f32>) -> tensor<4x8xf32>
  %x = graph.multiply %df, %sb : tensor<4x8xf32>
  %bf = graph.cast %b : (tensor<8x3xi8>) -> tensor<8x3xf32>
  %tb = graph.broadcast %t [1] : (tensor<3xf32>) -> tensor<8x3xf32>
  %w = graph.multiply %bf, %tb : tensor<8x3xf32>
  // CHECK-DAG: %[[A16:.*]] = graph.cast %[[A]] : (tensor<4x8xui8>) -> tensor<4x8xi16>
  // CHECK-DAG: %[[Z16:.*]] = graph.cast %[[Z]] : (tensor<ui8>) -> tensor<i16>
  // CHECK-DAG: %[[ZB:.*]] = graph.broadcast %[[Z16]] [] : (tensor<i16>) -> tensor<4x8xi16>
  // CHECK-DAG: %[[D:.*]] = graph.subtract %[[A16]], %[[ZB]] : tensor<4x8xi16>
  // CHECK-DAG: %[[B16:.*]] = graph.cast %[[B]] : (tensor<8x3xi8>) -> tensor<8x3xi16>
  // CHECK: %[[SUM:.*]] = graph.dot_general %[[D]], %[[B16]] {{.*}} {accumulator = f32} : (tensor<4x8xi16>, tensor<8x3xi16>) -> tensor<4x3xf32>
  // CHECK-DAG: graph.broadcast %[[S]] [] : (tensor<f32>) -> tensor<4x3xf32>
  // CHECK-DAG: graph.broadcast %[[T]] [1] : (tensor<3xf32>) -> tensor<4x3xf32>
  // CHECK: graph.multiply %[[SUM]], %{{.*}}
  // CHECK-NEXT: return
  %y = graph.dot_general %x, %w batch [] x [] contract [1] x [0] : (tensor<4x8xf32>, tensor<8x3xf32>) -> tensor<4x3xf32>
  return %y : tensor<4x3xf32>
}

// A convolution with a scale for each filter.
// CHECK-LABEL: func.func @conv
// CHECK-SAME: %[[X:.*]]: tensor<1x2x4x4xi8>
func.func @conv(%x: tensor<1x2x4x4xi8>, %w: tensor<3x2x3x3xi8>, %s: tensor<f32>, %t: tensor<3xf32>) -> tensor<1x3x2x2xf32> {
  %xf = graph.cast %x : (tensor<1x2x4x4xi8>) -> tensor<1x2x4x4xf32>
  %sb = graph.broadcast %s [] : (tensor<f32>) -> tensor<1x2x4x4xf32>
  %xs = graph.multiply %xf, %sb : tensor<1x2x4x4xf32>
  %wf = graph.cast %w : (tensor<3x2x3x3xi8>) -> tensor<3x2x3x3xf32>
  %tb = graph.broadcast %t [0] : (tensor<3xf32>) -> tensor<3x2x3x3xf32>
  %ws = graph.multiply %wf, %tb : tensor<3x2x3x3xf32>
  // CHECK: graph.convolution {{.*}}{accumulator = f32}
  // CHECK-SAME: (tensor<1x2x4x4xi8>, tensor<3x2x3x3xi8>) -> tensor<1x3x2x2xf32>
  // CHECK: graph.broadcast %{{.*}} [1] : (tensor<3xf32>) -> tensor<1x3x2x2xf32>
  // CHECK-NOT: graph.convolution
  %y = graph.convolution %xs, %ws strides [1, 1] low [0, 0] high [0, 0] dilations [1, 1] groups 1 : (tensor<1x2x4x4xf32>, tensor<3x2x3x3xf32>) -> tensor<1x3x2x2xf32>
  return %y : tensor<1x3x2x2xf32>
}

// MatMulInteger: a product of 32-bit integers that hold 9 bits.
// CHECK-LABEL: func.func @integers
func.func @integers(%a: tensor<4x8xui8>, %b: tensor<8x3xi8>) -> tensor<4x3xi32> {
  %three = graph.constant dense<3> : tensor<i32>
  %z = graph.broadcast %three [] : (tensor<i32>) -> tensor<4x8xi32>
  %ai = graph.cast %a : (tensor<4x8xui8>) -> tensor<4x8xi32>
  %d = graph.subtract %ai, %z : tensor<4x8xi32>
  %bi = graph.cast %b : (tensor<8x3xi8>) -> tensor<8x3xi32>
  // CHECK: graph.dot_general {{.*}} {accumulator = i32} : (tensor<4x8xi16>, tensor<8x3xi16>) -> tensor<4x3xi32>
  %y = graph.dot_general %d, %bi batch [] x [] contract [1] x [0] : (tensor<4x8xi32>, tensor<8x3xi32>) -> tensor<4x3xi32>
  return %y : tensor<4x3xi32>
}

// Whatever 32 bits hold stays as it is, and so does a product of one
// dequantised operand and one float.
// CHECK-LABEL: func.func @neither
func.func @neither(%a: tensor<4x8xi32>, %b: tensor<8x3xi8>, %f: tensor<8x3xf32>, %s: tensor<f32>) -> (tensor<4x3xi32>, tensor<3x3xf32>) {
  %bi = graph.cast %b : (tensor<8x3xi8>) -> tensor<8x3xi32>
  // CHECK: graph.dot_general {{.*}} : (tensor<4x8xi32>, tensor<8x3xi32>) -> tensor<4x3xi32>
  %y = graph.dot_general %a, %bi batch [] x [] contract [1] x [0] : (tensor<4x8xi32>, tensor<8x3xi32>) -> tensor<4x3xi32>
  %bf = graph.cast %b : (tensor<8x3xi8>) -> tensor<8x3xf32>
  %sb = graph.broadcast %s [] : (tensor<f32>) -> tensor<8x3xf32>
  %w = graph.multiply %bf, %sb : tensor<8x3xf32>
  // CHECK: graph.dot_general {{.*}} : (tensor<8x3xf32>, tensor<8x3xf32>) -> tensor<3x3xf32>
  %v = graph.dot_general %f, %w batch [] x [] contract [0] x [0] : (tensor<8x3xf32>, tensor<8x3xf32>) -> tensor<3x3xf32>
  return %y, %v : tensor<4x3xi32>, tensor<3x3xf32>
}

// A scale for each row of the contracted dimension can't leave the product.
// CHECK-LABEL: func.func @rows
func.func @rows(%a: tensor<4x8xi8>, %b: tensor<8x3xi8>, %s: tensor<f32>, %t: tensor<8xf32>) -> tensor<4x3xf32> {
  %af = graph.cast %a : (tensor<4x8xi8>) -> tensor<4x8xf32>
  %sb = graph.broadcast %s [] : (tensor<f32>) -> tensor<4x8xf32>
  %x = graph.multiply %af, %sb : tensor<4x8xf32>
  %bf = graph.cast %b : (tensor<8x3xi8>) -> tensor<8x3xf32>
  %tb = graph.broadcast %t [0] : (tensor<8xf32>) -> tensor<8x3xf32>
  %w = graph.multiply %bf, %tb : tensor<8x3xf32>
  // CHECK: graph.dot_general {{.*}} : (tensor<4x8xf32>, tensor<8x3xf32>) -> tensor<4x3xf32>
  %y = graph.dot_general %x, %w batch [] x [] contract [1] x [0] : (tensor<4x8xf32>, tensor<8x3xf32>) -> tensor<4x3xf32>
  return %y : tensor<4x3xf32>
}

// What is computed in bytes wraps in bytes, and is widened afterwards.
// CHECK-LABEL: func.func @wraps
// CHECK-SAME: %[[A:.*]]: tensor<4x8xui8>, %[[C:.*]]: tensor<4x8xui8>, %[[S:.*]]: tensor<8x3xi16>
func.func @wraps(%a: tensor<4x8xui8>, %c: tensor<4x8xui8>, %s: tensor<8x3xi16>) -> tensor<4x3xi32> {
  // CHECK-DAG: %[[D:.*]] = graph.subtract %[[A]], %[[C]] : tensor<4x8xui8>
  // CHECK-DAG: %[[D16:.*]] = graph.cast %[[D]] : (tensor<4x8xui8>) -> tensor<4x8xi16>
  // CHECK-DAG: %[[B:.*]] = graph.cast %[[S]] : (tensor<8x3xi16>) -> tensor<8x3xi8>
  // CHECK-DAG: %[[B16:.*]] = graph.cast %[[B]] : (tensor<8x3xi8>) -> tensor<8x3xi16>
  // CHECK: graph.dot_general %[[D16]], %[[B16]] {{.*}} {accumulator = i32}
  %d = graph.subtract %a, %c : tensor<4x8xui8>
  %di = graph.cast %d : (tensor<4x8xui8>) -> tensor<4x8xi32>
  %b = graph.cast %s : (tensor<8x3xi16>) -> tensor<8x3xi8>
  %bi = graph.cast %b : (tensor<8x3xi8>) -> tensor<8x3xi32>
  %y = graph.dot_general %di, %bi batch [] x [] contract [1] x [0] : (tensor<4x8xi32>, tensor<8x3xi32>) -> tensor<4x3xi32>
  return %y : tensor<4x3xi32>
}

// Floats of eight bits: a zero point that is 0, a scale that has been folded to
// the operand's shape, and rounding to the model's type.
// CHECK-LABEL: func.func @float8
// CHECK-SAME: %[[A:.*]]: tensor<4x8xf8E4M3FN>, %[[B:.*]]: tensor<8x3xf8E4M3FN>, %[[T:.*]]: tensor<3xf32>
func.func @float8(%a: tensor<4x8xf8E4M3FN>, %b: tensor<8x3xf8E4M3FN>, %t: tensor<3xf32>) -> tensor<4x3xf16> {
  %z = graph.constant dense<0.0> : tensor<f8E4M3FN>
  %zf = graph.cast %z : (tensor<f8E4M3FN>) -> tensor<f32>
  %zb = graph.broadcast %zf [] : (tensor<f32>) -> tensor<4x8xf32>
  %s = graph.constant dense<0.5> : tensor<4x8xf32>
  %af = graph.cast %a : (tensor<4x8xf8E4M3FN>) -> tensor<4x8xf32>
  %ad = graph.subtract %af, %zb : tensor<4x8xf32>
  %as = graph.multiply %ad, %s : tensor<4x8xf32>
  %x = graph.cast %as : (tensor<4x8xf32>) -> tensor<4x8xf16>
  %bf = graph.cast %b : (tensor<8x3xf8E4M3FN>) -> tensor<8x3xf32>
  %tb = graph.broadcast %t [1] : (tensor<3xf32>) -> tensor<8x3xf32>
  %bs = graph.multiply %bf, %tb : tensor<8x3xf32>
  %w = graph.cast %bs : (tensor<8x3xf32>) -> tensor<8x3xf16>
  // CHECK: %[[SUM:.*]] = graph.dot_general %[[A]], %[[B]] {{.*}}{accumulator = f32} : (tensor<4x8xf8E4M3FN>, tensor<8x3xf8E4M3FN>) -> tensor<4x3xf32>
  // CHECK-DAG: graph.broadcast %[[T]] [1] : (tensor<3xf32>) -> tensor<4x3xf32>
  // CHECK: %[[Y:.*]] = graph.multiply %[[SUM]], %{{.*}} : tensor<4x3xf32>
  // CHECK-NEXT: %[[R:.*]] = graph.cast %[[Y]] : (tensor<4x3xf32>) -> tensor<4x3xf16>
  // CHECK-NEXT: return %[[R]]
  %y = graph.dot_general %x, %w batch [] x [] contract [1] x [0] : (tensor<4x8xf16>, tensor<8x3xf16>) -> tensor<4x3xf16>
  return %y : tensor<4x3xf16>
}

// Formats differ: the floats are multiplied.
// CHECK-LABEL: func.func @two_formats
// CHECK: graph.dot_general {{.*}} : (tensor<4x8xf32>, tensor<8x3xf32>) -> tensor<4x3xf32>
func.func @two_formats(%a: tensor<4x8xf8E4M3FN>, %b: tensor<8x3xf8E5M2>) -> tensor<4x3xf32> {
  %s = graph.constant dense<0.5> : tensor<4x8xf32>
  %t = graph.constant dense<0.25> : tensor<8x3xf32>
  %af = graph.cast %a : (tensor<4x8xf8E4M3FN>) -> tensor<4x8xf32>
  %x = graph.multiply %af, %s : tensor<4x8xf32>
  %bf = graph.cast %b : (tensor<8x3xf8E5M2>) -> tensor<8x3xf32>
  %w = graph.multiply %bf, %t : tensor<8x3xf32>
  %y = graph.dot_general %x, %w batch [] x [] contract [1] x [0] : (tensor<4x8xf32>, tensor<8x3xf32>) -> tensor<4x3xf32>
  return %y : tensor<4x3xf32>
}
