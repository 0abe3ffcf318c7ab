// RUN: aicc-opt %s --pass-pipeline='builtin.module(func.func(aicc-fold-scales,aicc-fold-constants))' | FileCheck %s

// conv, bias, then batch normalisation's scale and shift: one conv, one bias.
// CHECK-LABEL: func.func @normalized
func.func @normalized(%x: tensor<1x1x4x4xf32>) -> tensor<1x2x4x4xf32> {
  %w = graph.constant dense<[[[[1.0]]], [[[2.0]]]]> : tensor<2x1x1x1xf32>
  %bias = graph.constant dense<[1.0, 2.0]> : tensor<2xf32>
  %scale = graph.constant dense<[10.0, 100.0]> : tensor<2xf32>
  // CHECK: dense<{{.*}}1.000000e+01{{.*}}2.000000e+02{{.*}}> : tensor<2x1x1x1xf32>
  // CHECK: graph.convolution
  // CHECK-NOT: graph.multiply
  // CHECK: dense<[1.000000e+01, 2.000000e+02]> : tensor<2xf32>
  // CHECK-NOT: graph.multiply
  // CHECK: graph.add
  // CHECK-NEXT: return
  %c = graph.convolution %x, %w strides [1, 1] low [0, 0] high [0, 0] dilations [1, 1] groups 1 : (tensor<1x1x4x4xf32>, tensor<2x1x1x1xf32>) -> tensor<1x2x4x4xf32>
  %b = graph.broadcast %bias [1] : (tensor<2xf32>) -> tensor<1x2x4x4xf32>
  %a = graph.add %c, %b : tensor<1x2x4x4xf32>
  %s = graph.broadcast %scale [1] : (tensor<2xf32>) -> tensor<1x2x4x4xf32>
  %m = graph.multiply %a, %s : tensor<1x2x4x4xf32>
  return %m : tensor<1x2x4x4xf32>
}

// A scale of rows is none of columns.
// CHECK-LABEL: func.func @rows
func.func @rows(%x: tensor<2x2xf32>) -> tensor<2x2xf32> {
  %w = graph.constant dense<[[1.0, 2.0], [3.0, 4.0]]> : tensor<2x2xf32>
  %scale = graph.constant dense<[10.0, 100.0]> : tensor<2xf32>
  %d = graph.dot_general %x, %w batch [] x [] contract [1] x [0] : (tensor<2x2xf32>, tensor<2x2xf32>) -> tensor<2x2xf32>
  %s = graph.broadcast %scale [0] : (tensor<2xf32>) -> tensor<2x2xf32>
  // CHECK: graph.multiply
  %m = graph.multiply %d, %s : tensor<2x2xf32>
  return %m : tensor<2x2xf32>
}
