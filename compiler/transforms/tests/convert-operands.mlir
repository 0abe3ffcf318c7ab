// RUN: aicc-opt %s --aicc-convert-operands=kept=f8E5M2 | FileCheck %s
// RUN: aicc-opt %s --aicc-convert-operands=f32 | FileCheck %s --check-prefix=F32

// Both operands, each once; the sum stays as it is.
// CHECK-LABEL: func.func @dot
// CHECK-DAG: %[[A:.*]] = graph.cast %arg0 : (tensor<4x8xf8E4M3FN>) -> tensor<4x8xf16>
// CHECK-DAG: %[[B:.*]] = graph.cast %arg1 : (tensor<8x4xf8E4M3FN>) -> tensor<8x4xf16>
// CHECK: graph.dot_general %[[A]], %[[B]] {{.*}}{accumulator = f32} : (tensor<4x8xf16>, tensor<8x4xf16>) -> tensor<4x4xf32>
// CHECK: graph.dot_general %[[B]], %[[A]]
// F32-LABEL: func.func @dot
// F32: graph.dot_general {{.*}} : (tensor<4x8xf32>, tensor<8x4xf32>) -> tensor<4x4xf32>
func.func @dot(%a: tensor<4x8xf8E4M3FN>, %b: tensor<8x4xf8E4M3FN>) -> (tensor<4x4xf32>, tensor<8x8xf32>) {
  %c = graph.dot_general %a, %b batch [] x [] contract [1] x [0] {accumulator = f32} : (tensor<4x8xf8E4M3FN>, tensor<8x4xf8E4M3FN>) -> tensor<4x4xf32>
  %d = graph.dot_general %b, %a batch [] x [] contract [1] x [0] {accumulator = f32} : (tensor<8x4xf8E4M3FN>, tensor<4x8xf8E4M3FN>) -> tensor<8x8xf32>
  return %c, %d : tensor<4x4xf32>, tensor<8x8xf32>
}

// What the target multiplies stays, unless the other operand is of another type.
// CHECK-LABEL: func.func @kept
// CHECK: graph.dot_general {{.*}} : (tensor<4x8xf8E5M2>, tensor<8x4xf8E5M2>) -> tensor<4x4xf32>
// CHECK: graph.dot_general {{.*}} : (tensor<4x8xf16>, tensor<8x4xf16>) -> tensor<4x4xf32>
// F32-LABEL: func.func @kept
// F32: graph.dot_general {{.*}} : (tensor<4x8xf32>, tensor<8x4xf32>) -> tensor<4x4xf32>
// F32: graph.dot_general {{.*}} : (tensor<4x8xf32>, tensor<8x4xf32>) -> tensor<4x4xf32>
func.func @kept(%a: tensor<4x8xf8E5M2>, %b: tensor<8x4xf8E5M2>, %c: tensor<8x4xf8E4M3FN>) -> (tensor<4x4xf32>, tensor<4x4xf32>) {
  %d = graph.dot_general %a, %b batch [] x [] contract [1] x [0] {accumulator = f32} : (tensor<4x8xf8E5M2>, tensor<8x4xf8E5M2>) -> tensor<4x4xf32>
  %e = graph.dot_general %a, %c batch [] x [] contract [1] x [0] {accumulator = f32} : (tensor<4x8xf8E5M2>, tensor<8x4xf8E4M3FN>) -> tensor<4x4xf32>
  return %d, %e : tensor<4x4xf32>, tensor<4x4xf32>
}

// Bytes with a zero point take nine bits.
// CHECK-LABEL: func.func @nine_bits
// CHECK: graph.dot_general {{.*}}{accumulator = f32} : (tensor<4x8xf16>, tensor<8x4xf16>) -> tensor<4x4xf32>
// F32-LABEL: func.func @nine_bits
// F32: graph.dot_general {{.*}} : (tensor<4x8xf32>, tensor<8x4xf32>) -> tensor<4x4xf32>
func.func @nine_bits(%a: tensor<4x8xi16>, %b: tensor<8x4xi8>) -> tensor<4x4xf32> {
  %c = graph.dot_general %a, %b batch [] x [] contract [1] x [0] {accumulator = f32} : (tensor<4x8xi16>, tensor<8x4xi8>) -> tensor<4x4xf32>
  return %c : tensor<4x4xf32>
}

// Bytes that are summed as f32 come from a quantised model; those that are
// summed as integers say so themselves, and stay.
// CHECK-LABEL: func.func @integers
// CHECK: %[[SUM:.*]] = graph.dot_general %arg0, %arg1 {{.*}}{accumulator = i32} : (tensor<4x8xi8>, tensor<8x4xi8>) -> tensor<4x4xi32>
// CHECK: graph.cast %[[SUM]] : (tensor<4x4xi32>) -> tensor<4x4xf32>
// CHECK: graph.dot_general %arg0, %arg1 {{.*}}{accumulator = i32}
// F32-LABEL: func.func @integers
// F32-DAG: %[[A:.*]] = graph.cast %arg0 : (tensor<4x8xi8>) -> tensor<4x8xf32>
// F32-DAG: %[[B:.*]] = graph.cast %arg1 : (tensor<8x4xi8>) -> tensor<8x4xf32>
// F32: graph.dot_general %[[A]], %[[B]] {{.*}} -> tensor<4x4xf32>
// F32: graph.dot_general %arg0, %arg1 {{.*}}{accumulator = i32}
func.func @integers(%a: tensor<4x8xi8>, %b: tensor<8x4xi8>) -> (tensor<4x4xf32>, tensor<4x4xi32>) {
  %c = graph.dot_general %a, %b batch [] x [] contract [1] x [0] {accumulator = f32} : (tensor<4x8xi8>, tensor<8x4xi8>) -> tensor<4x4xf32>
  %d = graph.dot_general %a, %b batch [] x [] contract [1] x [0] {accumulator = i32} : (tensor<4x8xi8>, tensor<8x4xi8>) -> tensor<4x4xi32>
  return %c, %d : tensor<4x4xf32>, tensor<4x4xi32>
}
