// RUN: aicc-opt %s --pass-pipeline='builtin.module(func.func(aicc-collapse-products))' | FileCheck %s
// RUN: aicc-opt %s --pass-pipeline='builtin.module(func.func(aicc-collapse-products,aicc-sink-reshapes))' | FileCheck %s --check-prefix=SUNK

// CHECK-LABEL: func.func @linear
// SUNK-LABEL: func.func @linear
func.func @linear(%x: tensor<2x5x8xf32>, %w: tensor<4x8xf32>, %b: tensor<4xf32>, %r: tensor<2x5x4xf32>) -> tensor<2x5x4xf32> {
  // CHECK: %[[W:.*]] = graph.transpose %arg1 [1, 0] : (tensor<4x8xf32>) -> tensor<8x4xf32>
  // CHECK: %[[X:.*]] = graph.reshape %arg0 : (tensor<2x5x8xf32>) -> tensor<10x8xf32>
  // CHECK: graph.dot_general %[[X]], %[[W]] batch [] x [] contract [1] x [0]
  // CHECK: graph.reshape
  %d = graph.dot_general %x, %w batch [] x [] contract [2] x [1] : (tensor<2x5x8xf32>, tensor<4x8xf32>) -> tensor<2x5x4xf32>
  // Bias and residual stay with the product.
  // SUNK: %[[D:.*]] = graph.dot_general
  // SUNK: %[[B:.*]] = graph.broadcast %arg2 [1] : (tensor<4xf32>) -> tensor<10x4xf32>
  // SUNK: %[[A:.*]] = graph.add %[[D]], %[[B]]
  // SUNK: %[[R:.*]] = graph.reshape %arg3 : (tensor<2x5x4xf32>) -> tensor<10x4xf32>
  // SUNK: %[[S:.*]] = graph.add %[[A]], %[[R]]
  // SUNK: %[[N:.*]] = graph.normalize %[[S]] axis 1
  // SUNK: graph.reshape %[[N]] : (tensor<10x4xf32>) -> tensor<2x5x4xf32>
  %bb = graph.broadcast %b [2] : (tensor<4xf32>) -> tensor<2x5x4xf32>
  %a = graph.add %d, %bb : tensor<2x5x4xf32>
  %s = graph.add %a, %r : tensor<2x5x4xf32>
  %n = graph.normalize %s axis 2 epsilon 1.0e-5 : tensor<2x5x4xf32>
  return %n : tensor<2x5x4xf32>
}

// A broadcast along a part of the rows can't follow.
// CHECK-LABEL: func.func @positions
// SUNK-LABEL: func.func @positions
func.func @positions(%x: tensor<10x4xf32>, %p: tensor<5x4xf32>) -> tensor<2x5x4xf32> {
  // SUNK: graph.reshape
  // SUNK: graph.add {{.*}} : tensor<2x5x4xf32>
  %r = graph.reshape %x : (tensor<10x4xf32>) -> tensor<2x5x4xf32>
  %b = graph.broadcast %p [1, 2] : (tensor<5x4xf32>) -> tensor<2x5x4xf32>
  %s = graph.add %r, %b : tensor<2x5x4xf32>
  return %s : tensor<2x5x4xf32>
}
