// RUN: aicc-opt %s --pass-pipeline='builtin.module(func.func(aicc-sink-transposes))' | FileCheck %s

// CHECK-LABEL: func.func @residual
func.func @residual(%x: tensor<2x3x4xf32>, %y: tensor<2x3x4xf32>) -> tensor<2x4x3xf32> {
  // CHECK-NEXT: graph.add %arg0, %arg1 : tensor<2x3x4xf32>
  // CHECK-NEXT: graph.transpose {{.*}} [0, 2, 1]
  %a = graph.transpose %x [0, 2, 1] : (tensor<2x3x4xf32>) -> tensor<2x4x3xf32>
  %b = graph.transpose %y [0, 2, 1] : (tensor<2x3x4xf32>) -> tensor<2x4x3xf32>
  %s = graph.add %a, %b : tensor<2x4x3xf32>
  return %s : tensor<2x4x3xf32>
}

// One transposed, one not: moving it would gain nothing.
// CHECK-LABEL: func.func @mixed
func.func @mixed(%x: tensor<2x3xf32>, %y: tensor<3x2xf32>) -> tensor<3x2xf32> {
  // CHECK-NEXT: graph.transpose
  // CHECK-NEXT: graph.add
  // CHECK-NEXT: return
  %a = graph.transpose %x [1, 0] : (tensor<2x3xf32>) -> tensor<3x2xf32>
  %s = graph.add %a, %y : tensor<3x2xf32>
  return %s : tensor<3x2xf32>
}

// CHECK-LABEL: func.func @pooled
func.func @pooled(%x: tensor<1x8x8x16xf32>) -> tensor<1x16xf32> {
  // CHECK-NEXT: graph.reduce mean %arg0 [1, 2]
  // CHECK-NEXT: return
  %t = graph.transpose %x [0, 3, 1, 2] : (tensor<1x8x8x16xf32>) -> tensor<1x16x8x8xf32>
  %r = graph.reduce mean %t [2, 3] : (tensor<1x16x8x8xf32>) -> tensor<1x16xf32>
  return %r : tensor<1x16xf32>
}

// CHECK-LABEL: func.func @reshaped
func.func @reshaped(%x: tensor<1x14x14x64xf32>) -> tensor<1x196x64xf32> {
  // CHECK-NEXT: graph.reshape %arg0 : (tensor<1x14x14x64xf32>) -> tensor<1x196x64xf32>
  // CHECK-NEXT: return
  %t = graph.transpose %x [0, 3, 1, 2] : (tensor<1x14x14x64xf32>) -> tensor<1x64x14x14xf32>
  %r = graph.reshape %t : (tensor<1x64x14x14xf32>) -> tensor<1x64x196xf32>
  %u = graph.transpose %r [0, 2, 1] : (tensor<1x64x196xf32>) -> tensor<1x196x64xf32>
  return %u : tensor<1x196x64xf32>
}

// CHECK-LABEL: func.func @attention
func.func @attention(%q: tensor<2x5x4x8xf32>, %k: tensor<2x5x4x8xf32>) -> tensor<2x4x5x5xf32> {
  // The query is read as it is; the key's columns have to be contiguous.
  // CHECK-NEXT: %[[K:.*]] = graph.transpose %arg1 [0, 2, 3, 1]
  // CHECK-NEXT: graph.dot_general %arg0, %[[K]] batch [0, 2] x [0, 1] contract [3] x [2]
  %a = graph.transpose %q [0, 2, 1, 3] : (tensor<2x5x4x8xf32>) -> tensor<2x4x5x8xf32>
  %b = graph.transpose %k [0, 2, 3, 1] : (tensor<2x5x4x8xf32>) -> tensor<2x4x8x5xf32>
  %d = graph.dot_general %a, %b batch [0, 1] x [0, 1] contract [3] x [2] : (tensor<2x4x5x8xf32>, tensor<2x4x8x5xf32>) -> tensor<2x4x5x5xf32>
  return %d : tensor<2x4x5x5xf32>
}

// CHECK-LABEL: func.func @broadcasts
func.func @broadcasts(%x: tensor<7x5x3x1xf32>) -> tensor<7x5x3x5xf32> {
  // Either operand could be the one that is transposed: one is, once.
  // CHECK: graph.transpose
  // CHECK-NOT: graph.transpose
  // CHECK: return
  %t = graph.transpose %x [0, 3, 2, 1] : (tensor<7x5x3x1xf32>) -> tensor<7x1x3x5xf32>
  %a = graph.broadcast %t [0, 1, 2, 3] : (tensor<7x1x3x5xf32>) -> tensor<7x5x3x5xf32>
  %b = graph.broadcast %x [0, 1, 2, 3] : (tensor<7x5x3x1xf32>) -> tensor<7x5x3x5xf32>
  %r = graph.multiply %a, %b : tensor<7x5x3x5xf32>
  return %r : tensor<7x5x3x5xf32>
}

// CHECK-LABEL: func.func @unit
func.func @unit(%x: tensor<1x6x3xf32>, %y: tensor<1x6x3xf32>) -> tensor<3x6x6x3xf32> {
  // Moving y's unit dimension is no transpose that could travel back.
  // CHECK: graph.subtract
  // CHECK-NEXT: graph.transpose
  // CHECK-NEXT: return
  %t = graph.transpose %x [2, 1, 0] : (tensor<1x6x3xf32>) -> tensor<3x6x1xf32>
  %a = graph.broadcast %y [1, 2, 3] : (tensor<1x6x3xf32>) -> tensor<3x6x6x3xf32>
  %b = graph.broadcast %t [0, 1, 2] : (tensor<3x6x1xf32>) -> tensor<3x6x6x3xf32>
  %r = graph.subtract %a, %b : tensor<3x6x6x3xf32>
  return %r : tensor<3x6x6x3xf32>
}
