// RUN: aicc-opt %s --aicc-convert-float8=kept=f8E5M2 | FileCheck %s
// RUN: aicc-opt %s --aicc-convert-float8=f32 | FileCheck %s --check-prefix=F32

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
// F32-NOT: f8E5M2>, tensor
func.func @kept(%a: tensor<4x8xf8E5M2>, %b: tensor<8x4xf8E5M2>, %c: tensor<8x4xf8E4M3FN>) -> (tensor<4x4xf32>, tensor<4x4xf32>) {
  %d = graph.dot_general %a, %b batch [] x [] contract [1] x [0] {accumulator = f32} : (tensor<4x8xf8E5M2>, tensor<8x4xf8E5M2>) -> tensor<4x4xf32>
  %e = graph.dot_general %a, %c batch [] x [] contract [1] x [0] {accumulator = f32} : (tensor<4x8xf8E5M2>, tensor<8x4xf8E4M3FN>) -> tensor<4x4xf32>
  return %d, %e : tensor<4x4xf32>, tensor<4x4xf32>
}
