// RUN: aicc-opt %s --pass-pipeline='builtin.module(func.func(aicc-fold-constants{all=true}))' | FileCheck %s

// Weights of few bits that grow eightfold stay as they are stored, with all
// steps that lead to what a product reads.
// CHECK-LABEL: func.func @compressed
func.func @compressed(%x: tensor<4x1024xf64>) -> tensor<4x1024xf64> {
  // CHECK: graph.constant dense<3> : tensor<1024x1024xi8>
  // CHECK: graph.cast
  // CHECK: graph.multiply
  %w = graph.constant dense<3> : tensor<1024x1024xi8>
  %s = graph.constant dense<0.5> : tensor<f64>
  %f = graph.cast %w : (tensor<1024x1024xi8>) -> tensor<1024x1024xf64>
  %b = graph.broadcast %s [] : (tensor<f64>) -> tensor<1024x1024xf64>
  %m = graph.multiply %f, %b : tensor<1024x1024xf64>
  %y = graph.dot_general %x, %m batch [] x [] contract [1] x [0] : (tensor<4x1024xf64>, tensor<1024x1024xf64>) -> tensor<4x1024xf64>
  return %y : tensor<4x1024xf64>
}

// Four times as many bytes are folded.
// CHECK-LABEL: func.func @folded
func.func @folded(%x: tensor<4x1024xf32>) -> tensor<4x1024xf32> {
  // CHECK: graph.constant dense<3.000000e+00> : tensor<1024x1024xf32>
  // CHECK-NOT: graph.cast
  %w = graph.constant dense<3> : tensor<1024x1024xi8>
  %f = graph.cast %w : (tensor<1024x1024xi8>) -> tensor<1024x1024xf32>
  %y = graph.dot_general %x, %f batch [] x [] contract [1] x [0] : (tensor<4x1024xf32>, tensor<1024x1024xf32>) -> tensor<4x1024xf32>
  return %y : tensor<4x1024xf32>
}

// What is on the way may be large if what it leads to is not.
// CHECK-LABEL: func.func @large_step
func.func @large_step() -> tensor<1024xf64> {
  // CHECK-NEXT: graph.constant {{.*}} : tensor<1024xf64>
  // CHECK-NEXT: return
  %w = graph.constant dense<3> : tensor<1024x1024xi8>
  %f = graph.cast %w : (tensor<1024x1024xi8>) -> tensor<1024x1024xf64>
  %r = graph.reduce sum %f [1] : (tensor<1024x1024xf64>) -> tensor<1024xf64>
  return %r : tensor<1024xf64>
}

// Nothing is made of iotas and one number that is larger than any weight:
// 8 TiB here.
// CHECK-LABEL: func @made_of_nothing
// CHECK: graph.iota
// CHECK: graph.add
func.func @made_of_nothing(%x: tensor<1099511627776xi64>) -> tensor<1099511627776xi64> {
  %i = graph.iota 0 : tensor<1099511627776xi64>
  %c = graph.constant dense<2> : tensor<1099511627776xi64>
  %s = graph.add %i, %c : tensor<1099511627776xi64>
  %y = graph.add %s, %x : tensor<1099511627776xi64>
  return %y : tensor<1099511627776xi64>
}

// CHECK-LABEL: func @mask
// CHECK-NOT: graph.iota
func.func @mask(%x: tensor<1024x1024xi64>) -> tensor<1024x1024xi64> {
  %i = graph.iota 0 : tensor<1024x1024xi64>
  %j = graph.iota 1 : tensor<1024x1024xi64>
  %s = graph.subtract %i, %j : tensor<1024x1024xi64>
  %y = graph.add %s, %x : tensor<1024x1024xi64>
  return %y : tensor<1024x1024xi64>
}
