// RUN: aicc-opt %s --pass-pipeline='builtin.module(func.func(aicc-choose-layout))' | FileCheck %s
// RUN: aicc-opt %s --pass-pipeline='builtin.module(func.func(aicc-choose-layout,aicc-sink-transposes))' | FileCheck %s --check-prefix=SUNK

// CHECK-LABEL: func.func @network
// SUNK-LABEL: func.func @network
func.func @network(%x: tensor<1x3x8x8xf32>, %w: tensor<4x3x3x3xf32>, %b: tensor<4xf32>) -> tensor<1x4x3x3xf32> {
  // CHECK: graph.transpose {{.*}} [0, 2, 3, 1] : (tensor<1x3x8x8xf32>) -> tensor<1x8x8x3xf32>
  // CHECK: graph.transpose {{.*}} [2, 3, 1, 0] : (tensor<4x3x3x3xf32>) -> tensor<3x3x3x4xf32>
  // CHECK: graph.convolution {{.*}} {channels_last} : {{.*}} -> tensor<1x6x6x4xf32>
  // CHECK: graph.transpose {{.*}} [0, 3, 1, 2]
  %c = graph.convolution %x, %w strides [1, 1] low [0, 0] high [0, 0] dilations [1, 1] groups 1 : (tensor<1x3x8x8xf32>, tensor<4x3x3x3xf32>) -> tensor<1x4x6x6xf32>
  %bb = graph.broadcast %b [1] : (tensor<4xf32>) -> tensor<1x4x6x6xf32>
  %a = graph.add %c, %bb : tensor<1x4x6x6xf32>
  // CHECK: graph.reduce_window {{.*}} window [1, 2, 2, 1] strides [1, 2, 2, 1]
  %p = graph.reduce_window maximum %a window [1, 1, 2, 2] strides [1, 1, 2, 2] low [0, 0, 0, 0] high [0, 0, 0, 0] dilations [1, 1, 1, 1] : (tensor<1x4x6x6xf32>) -> tensor<1x4x3x3xf32>
  // One at the input, one for the weights, one at the output.
  // SUNK-COUNT-2: graph.transpose
  // SUNK: graph.convolution
  // SUNK: graph.broadcast %{{.*}} [3]
  // SUNK-NOT: graph.transpose
  // SUNK: graph.reduce_window
  // SUNK-NEXT: graph.transpose {{.*}} [0, 3, 1, 2]
  // SUNK-NEXT: return
  return %p : tensor<1x4x3x3xf32>
}
