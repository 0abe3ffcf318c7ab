// RUN: aicc-opt %s --pass-pipeline='builtin.module(func.func(aicc-simplify-algebra,aicc-recognize-activations,canonicalize))' | FileCheck %s

// SiLU by hand, and a sigmoid by a reciprocal.
// CHECK-LABEL: func.func @silu
// CHECK-SAME: %[[X:.*]]: tensor<4xf32>
func.func @silu(%x: tensor<4xf32>) -> (tensor<4xf32>, tensor<4xf32>) {
  %one = graph.constant dense<1.0> : tensor<f32>
  %b = graph.broadcast %one [] : (tensor<f32>) -> tensor<4xf32>
  %n = graph.negate %x : tensor<4xf32>
  %e = graph.exp %n : tensor<4xf32>
  %s = graph.add %b, %e : tensor<4xf32>
  // CHECK: %[[S:.*]] = graph.sigmoid %[[X]]
  // CHECK: %[[Y:.*]] = graph.multiply %[[X]], %[[S]]
  // CHECK: %[[R:.*]] = graph.sigmoid %[[X]]
  // CHECK: return %[[Y]], %[[R]]
  %y = graph.divide %x, %s : tensor<4xf32>
  %r = graph.reciprocal %s : tensor<4xf32>
  return %y, %r : tensor<4xf32>, tensor<4xf32>
}

// GELU of PyTorch: x / sqrt 2, erf, + 1, * x, * 0.5.
// CHECK-LABEL: func.func @gelu
// CHECK-SAME: %[[X:.*]]: tensor<4xf32>
func.func @gelu(%x: tensor<4xf32>) -> tensor<4xf32> {
  %root = graph.constant dense<1.41421354> : tensor<f32>
  %one = graph.constant dense<1.0> : tensor<f32>
  %half = graph.constant dense<0.5> : tensor<f32>
  %rb = graph.broadcast %root [] : (tensor<f32>) -> tensor<4xf32>
  %ob = graph.broadcast %one [] : (tensor<f32>) -> tensor<4xf32>
  %hb = graph.broadcast %half [] : (tensor<f32>) -> tensor<4xf32>
  %d = graph.divide %x, %rb : tensor<4xf32>
  %e = graph.erf %d : tensor<4xf32>
  %a = graph.add %e, %ob : tensor<4xf32>
  %m = graph.multiply %x, %a : tensor<4xf32>
  // CHECK: %[[E:.*]] = graph.erf
  // CHECK: %[[H:.*]] = graph.multiply %[[E]]
  // CHECK-NEXT: %[[P:.*]] = graph.add %[[H]]
  // CHECK-NEXT: %[[Y:.*]] = graph.multiply %[[X]], %[[P]]
  // CHECK-NEXT: return %[[Y]]
  %y = graph.multiply %m, %hb : tensor<4xf32>
  return %y : tensor<4xf32>
}

// The tanh form of Keras and GPT-2, with a power.
// CHECK-LABEL: func.func @tanh_gelu
// CHECK-SAME: %[[X:.*]]: tensor<4xf32>
func.func @tanh_gelu(%x: tensor<4xf32>) -> tensor<4xf32> {
  %three = graph.constant dense<3.0> : tensor<f32>
  %c = graph.constant dense<4.471500e-02> : tensor<f32>
  %k = graph.constant dense<7.978846e-01> : tensor<f32>
  %one = graph.constant dense<1.0> : tensor<f32>
  %half = graph.constant dense<0.5> : tensor<f32>
  %tb = graph.broadcast %three [] : (tensor<f32>) -> tensor<4xf32>
  %cb = graph.broadcast %c [] : (tensor<f32>) -> tensor<4xf32>
  %kb = graph.broadcast %k [] : (tensor<f32>) -> tensor<4xf32>
  %ob = graph.broadcast %one [] : (tensor<f32>) -> tensor<4xf32>
  %hb = graph.broadcast %half [] : (tensor<f32>) -> tensor<4xf32>
  // CHECK-NOT: graph.power
  // CHECK-NOT: graph.tanh
  // CHECK: dense<1.595{{.*}}>
  // CHECK: %[[S:.*]] = graph.sigmoid
  // CHECK-NEXT: %[[Y:.*]] = graph.multiply %[[X]], %[[S]]
  // CHECK-NEXT: return %[[Y]]
  %p = graph.power %x, %tb : tensor<4xf32>
  %pc = graph.multiply %p, %cb : tensor<4xf32>
  %s = graph.add %x, %pc : tensor<4xf32>
  %u = graph.multiply %s, %kb : tensor<4xf32>
  %t = graph.tanh %u : tensor<4xf32>
  %a = graph.add %t, %ob : tensor<4xf32>
  %h = graph.multiply %x, %hb : tensor<4xf32>
  %y = graph.multiply %h, %a : tensor<4xf32>
  return %y : tensor<4xf32>
}

// Other constants are other functions.
// CHECK-LABEL: func.func @neither
func.func @neither(%x: tensor<4xf32>) -> tensor<4xf32> {
  %two = graph.constant dense<2.0> : tensor<f32>
  %b = graph.broadcast %two [] : (tensor<f32>) -> tensor<4xf32>
  %n = graph.negate %x : tensor<4xf32>
  %e = graph.exp %n : tensor<4xf32>
  %s = graph.add %b, %e : tensor<4xf32>
  // CHECK: graph.divide
  %y = graph.divide %x, %s : tensor<4xf32>
  return %y : tensor<4xf32>
}
