// RUN: aicc-opt %s --pass-pipeline='builtin.module(func.func(aicc-expand-convolutions))' | FileCheck %s

// CHECK-LABEL: func.func @padded
func.func @padded(%x: tensor<1x8x8x3xf32>, %w: tensor<3x3x3x4xf32>) -> tensor<1x8x8x4xf32> {
  // CHECK: graph.pad {{.*}} -> tensor<1x10x10x3xf32>
  // CHECK: graph.convolution {{.*}} low [0, 0] high [0, 0] {{.*}} (tensor<1x10x10x3xf32>
  %c = graph.convolution %x, %w strides [1, 1] low [1, 1] high [1, 1] dilations [1, 1] groups 1 {channels_last} : (tensor<1x8x8x3xf32>, tensor<3x3x3x4xf32>) -> tensor<1x8x8x4xf32>
  return %c : tensor<1x8x8x4xf32>
}

// CHECK-LABEL: func.func @pointwise
func.func @pointwise(%x: tensor<?x8x8x3xf32, affine_map<()[s0] -> (s0, 8, 8, 3)>>, %w: tensor<1x1x3x4xf32>) -> tensor<?x8x8x4xf32, affine_map<()[s0] -> (s0, 8, 8, 4)>> {
  // CHECK: graph.dot_general {{.*}} contract [1] x [0] : (tensor<?x3xf32, {{.*}}>, tensor<3x4xf32>) -> tensor<?x4xf32, {{.*}}>
  // CHECK-NEXT: graph.reshape
  %c = graph.convolution %x, %w strides [1, 1] low [0, 0] high [0, 0] dilations [1, 1] groups 1 {channels_last} : (tensor<?x8x8x3xf32, affine_map<()[s0] -> (s0, 8, 8, 3)>>, tensor<1x1x3x4xf32>) -> tensor<?x8x8x4xf32, affine_map<()[s0] -> (s0, 8, 8, 4)>>
  return %c : tensor<?x8x8x4xf32, affine_map<()[s0] -> (s0, 8, 8, 4)>>
}
