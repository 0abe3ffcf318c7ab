// RUN: aicc-opt %s --pass-pipeline='builtin.module(func.func(aicc-split-products{processors=132}))' | FileCheck %s
// RUN: aicc-opt %s --pass-pipeline='builtin.module(func.func(aicc-split-products))' | FileCheck %s --check-prefix=WHOLE

// Two tiles for 132 processors: as many shares as leave each a depth of 512.
// Partial sums are f32, and so is what adds them up.
// CHECK-LABEL: func.func @product
// CHECK-SAME: %[[X:.*]]: tensor<128x3072xf16>
// CHECK: %[[A:.*]] = graph.reshape %[[X]] : (tensor<128x3072xf16>) -> tensor<128x6x512xf16>
// CHECK: %[[B:.*]] = graph.reshape %{{.*}} : (tensor<3072x64xf16>) -> tensor<6x512x64xf16>
// CHECK: %[[P:.*]] = graph.dot_general %[[A]], %[[B]] batch [1] x [0] contract [2] x [1] {accumulator = f32} : {{.*}} -> tensor<6x128x64xf32>
// CHECK: %[[S:.*]] = graph.reduce sum %[[P]] [0] : (tensor<6x128x64xf32>) -> tensor<128x64xf32>
// CHECK: graph.cast %[[S]] : (tensor<128x64xf32>) -> tensor<128x64xf16>
// WHOLE-LABEL: func.func @product
// WHOLE-NOT: graph.reduce
func.func @product(%x: tensor<128x3072xf16>) -> tensor<128x64xf16> {
  %w = graph.constant dense<0.5> : tensor<3072x64xf16>
  %d = graph.dot_general %x, %w batch [] x [] contract [1] x [0] : (tensor<128x3072xf16>, tensor<3072x64xf16>) -> tensor<128x64xf16>
  return %d : tensor<128x64xf16>
}

// 64 tiles and 3 shares are more than 132: no more than that.
// CHECK-LABEL: func.func @enough
// CHECK: graph.reduce sum {{.*}} : (tensor<3x512x512xf32>) -> tensor<512x512xf32>
// CHECK-NOT: graph.cast
func.func @enough(%x: tensor<512x3072xf32>) -> tensor<512x512xf32> {
  %w = graph.constant dense<0.5> : tensor<3072x512xf32>
  %d = graph.dot_general %x, %w batch [] x [] contract [1] x [0] : (tensor<512x3072xf32>, tensor<3072x512xf32>) -> tensor<512x512xf32>
  return %d : tensor<512x512xf32>
}

// The window counts as depth; shares are of channels. The groups of the
// result are side by side.
// CHECK-LABEL: func.func @convolution
// CHECK: graph.reshape %{{.*}} : (tensor<3x3x256x64xf16>) -> tensor<3x3x4x64x64xf16>
// CHECK: graph.transpose %{{.*}} [0, 1, 3, 2, 4]
// CHECK: graph.reshape %{{.*}} -> tensor<3x3x64x256xf16>
// CHECK: graph.convolution {{.*}} groups 4 {accumulator = f32, channels_last} : {{.*}} -> tensor<1x14x14x256xf32>
// CHECK: graph.reshape %{{.*}} -> tensor<1x14x14x4x64xf32>
// CHECK: graph.reduce sum %{{.*}} [3] : {{.*}} -> tensor<1x14x14x64xf32>
func.func @convolution(%x: tensor<1x16x16x256xf16>) -> tensor<1x14x14x64xf16> {
  %w = graph.constant dense<0.5> : tensor<3x3x256x64xf16>
  %c = graph.convolution %x, %w strides [1, 1] low [0, 0] high [0, 0] dilations [1, 1] groups 1 {channels_last} : (tensor<1x16x16x256xf16>, tensor<3x3x256x64xf16>) -> tensor<1x14x14x64xf16>
  return %c : tensor<1x14x14x64xf16>
}

// Left as they are: too shallow, tiles enough, computed operands (they may be
// an attention's), an unknown number of rows, a depth that has no even shares.
// CHECK-LABEL: func.func @whole
// CHECK-NOT: graph.reduce
func.func @whole(%a: tensor<128x768xf16>, %b: tensor<1024x2048xf16>, %c: tensor<2048x64xf16>, %d: tensor<?x2048xf16, affine_map<()[s0] -> (s0, 2048)>>, %e: tensor<16x2050xf16>)
    -> (tensor<128x64xf16>, tensor<1024x2048xf16>, tensor<1024x64xf16>, tensor<?x64xf16, affine_map<()[s0] -> (s0, 64)>>, tensor<16x64xf16>) {
  %u = graph.constant dense<0.5> : tensor<768x64xf16>
  %v = graph.constant dense<0.5> : tensor<2048x2048xf16>
  %w = graph.constant dense<0.5> : tensor<2048x64xf16>
  %x = graph.constant dense<0.5> : tensor<2050x64xf16>
  %0 = graph.dot_general %a, %u batch [] x [] contract [1] x [0] : (tensor<128x768xf16>, tensor<768x64xf16>) -> tensor<128x64xf16>
  %1 = graph.dot_general %b, %v batch [] x [] contract [1] x [0] : (tensor<1024x2048xf16>, tensor<2048x2048xf16>) -> tensor<1024x2048xf16>
  %2 = graph.dot_general %b, %c batch [] x [] contract [1] x [0] : (tensor<1024x2048xf16>, tensor<2048x64xf16>) -> tensor<1024x64xf16>
  %3 = graph.dot_general %d, %w batch [] x [] contract [1] x [0] : (tensor<?x2048xf16, affine_map<()[s0] -> (s0, 2048)>>, tensor<2048x64xf16>) -> tensor<?x64xf16, affine_map<()[s0] -> (s0, 64)>>
  %4 = graph.dot_general %e, %x batch [] x [] contract [1] x [0] : (tensor<16x2050xf16>, tensor<2050x64xf16>) -> tensor<16x64xf16>
  return %0, %1, %2, %3, %4 : tensor<128x64xf16>, tensor<1024x2048xf16>, tensor<1024x64xf16>, tensor<?x64xf16, affine_map<()[s0] -> (s0, 64)>>, tensor<16x64xf16>
}
