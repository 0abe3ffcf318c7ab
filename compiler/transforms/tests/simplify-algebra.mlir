// RUN: aicc-opt %s --pass-pipeline='builtin.module(func.func(aicc-simplify-algebra))' | FileCheck %s

// CHECK-LABEL: func.func @identities
// CHECK-SAME: %[[X:.*]]: tensor<4xf32>
func.func @identities(%x: tensor<4xf32>) -> (tensor<4xf32>, tensor<4xf32>, tensor<4xf32>) {
  %one = graph.constant dense<1.0> : tensor<f32>
  %zero = graph.constant dense<0.0> : tensor<f32>
  %minus = graph.constant dense<-0.0> : tensor<f32>
  %b1 = graph.broadcast %one [] : (tensor<f32>) -> tensor<4xf32>
  %b0 = graph.broadcast %zero [] : (tensor<f32>) -> tensor<4xf32>
  %bm = graph.broadcast %minus [] : (tensor<f32>) -> tensor<4xf32>
  %m = graph.multiply %x, %b1 : tensor<4xf32>
  // x + 0 turns -0 into 0: it stays.
  // CHECK: %[[SUM:.*]] = graph.add %[[X]]
  %s = graph.add %x, %b0 : tensor<4xf32>
  %n = graph.add %x, %bm : tensor<4xf32>
  // CHECK: return %[[X]], %[[SUM]], %[[X]]
  return %m, %s, %n : tensor<4xf32>, tensor<4xf32>, tensor<4xf32>
}

// CHECK-LABEL: func.func @divisions
func.func @divisions(%x: tensor<4xf32>) -> (tensor<4xf32>, tensor<4xf32>) {
  %eight = graph.constant dense<8.0> : tensor<f32>
  %three = graph.constant dense<3.0> : tensor<f32>
  %b8 = graph.broadcast %eight [] : (tensor<f32>) -> tensor<4xf32>
  %b3 = graph.broadcast %three [] : (tensor<f32>) -> tensor<4xf32>
  // CHECK: dense<1.250000e-01>
  // CHECK: graph.multiply
  %a = graph.divide %x, %b8 : tensor<4xf32>
  // CHECK: graph.divide
  %b = graph.divide %x, %b3 : tensor<4xf32>
  return %a, %b : tensor<4xf32>, tensor<4xf32>
}

// CHECK-LABEL: func.func @broadcasts
// CHECK-SAME: %[[X:.*]]: tensor<1x8xf32>
func.func @broadcasts(%x: tensor<1x8xf32>) -> tensor<4x8xf32> {
  // CHECK: %[[E:.*]] = graph.exp %[[X]] : tensor<1x8xf32>
  // CHECK: graph.broadcast %[[E]] [0, 1]
  %b = graph.broadcast %x [0, 1] : (tensor<1x8xf32>) -> tensor<4x8xf32>
  %e = graph.exp %b : tensor<4x8xf32>
  return %e : tensor<4x8xf32>
}
