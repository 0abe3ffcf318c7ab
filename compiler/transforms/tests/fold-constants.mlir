// RUN: aicc-opt %s --pass-pipeline='builtin.module(func.func(aicc-fold-constants))' | FileCheck %s

// CHECK-LABEL: func.func @movement
func.func @movement() -> (tensor<3x2xf32>, tensor<2xi64>, tensor<1x4xf32>) {
  %a = graph.constant dense<[[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]> : tensor<2x3xf32>
  // CHECK: dense<{{\[\[}}1.000000e+00, 4.000000e+00], [2.000000e+00, 5.000000e+00], [3.000000e+00, 6.000000e+00]]> : tensor<3x2xf32>
  %t = graph.transpose %a [1, 0] : (tensor<2x3xf32>) -> tensor<3x2xf32>
  // CHECK: dense<[7, -1]> : tensor<2xi64>
  %f = graph.constant dense<[7.9, -1.9]> : tensor<2xf32>
  %c = graph.cast %f : (tensor<2xf32>) -> tensor<2xi64>
  // CHECK: dense<{{\[\[}}9.000000e+00, 5.000000e+00, 6.000000e+00, 9.000000e+00]]> : tensor<1x4xf32>
  %s = graph.slice %a at affine_map<() -> (1, 1)> [1, 1] : (tensor<2x3xf32>) -> tensor<1x2xf32>
  %nine = graph.constant dense<9.0> : tensor<f32>
  %p = graph.pad %s, %nine constant affine_map<() -> (0, 1)> affine_map<() -> (0, 1)> : (tensor<1x2xf32>, tensor<f32>) -> tensor<1x4xf32>
  return %t, %c, %p : tensor<3x2xf32>, tensor<2xi64>, tensor<1x4xf32>
}

// CHECK-LABEL: func.func @arithmetic
func.func @arithmetic() -> (tensor<3xf32>, tensor<2xi1>, tensor<2xf32>) {
  // A broadcast is evaluated where it is read, and never kept.
  // CHECK: dense<[2.000000e+00, 4.000000e+00, 6.000000e+00]> : tensor<3xf32>
  %a = graph.constant dense<[1.0, 2.0, 3.0]> : tensor<3xf32>
  %two = graph.constant dense<2.0> : tensor<f32>
  %b = graph.broadcast %two [] : (tensor<f32>) -> tensor<3xf32>
  %m = graph.multiply %a, %b : tensor<3xf32>
  // NaN equals nothing.
  // CHECK: dense<[true, false]> : tensor<2xi1>
  %n = graph.constant dense<[1.0, 0x7FC00000]> : tensor<2xf32>
  %e = graph.compare equal %n, %n : (tensor<2xf32>, tensor<2xf32>) -> tensor<2xi1>
  // CHECK: dense<[3.000000e+00, 7.000000e+00]> : tensor<2xf32>
  %q = graph.constant dense<[[1.0, 2.0], [3.0, 4.0]]> : tensor<2x2xf32>
  %r = graph.reduce sum %q [1] : (tensor<2x2xf32>) -> tensor<2xf32>
  return %m, %e, %r : tensor<3xf32>, tensor<2xi1>, tensor<2xf32>
}

// CHECK-LABEL: func.func @bounded
func.func @bounded() -> tensor<1024x512xf32> {
  // A large result of small operands stays work for run time.
  // CHECK: graph.concatenate
  %a = graph.constant dense<1.0> : tensor<f32>
  %b = graph.broadcast %a [] : (tensor<f32>) -> tensor<1024x256xf32>
  %c = graph.concatenate 1, %b, %b : (tensor<1024x256xf32>, tensor<1024x256xf32>) -> tensor<1024x512xf32>
  return %c : tensor<1024x512xf32>
}
