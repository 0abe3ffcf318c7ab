// RUN: aicc-opt %s --pass-pipeline='builtin.module(func.func(aicc-pack-weights{panel=8},canonicalize))' | FileCheck %s
// RUN: aicc-opt %s --pass-pipeline='builtin.module(func.func(aicc-pack-weights{panel=2},aicc-fold-constants{all}))' | FileCheck %s --check-prefix=FOLDED

// CHECK-LABEL: func.func @product
// FOLDED-LABEL: func.func @product
func.func @product(%x: tensor<5x2xf32>) -> tensor<5x3xf32> {
  // CHECK: graph.pad {{.*}} -> tensor<2x8xf32>
  // CHECK: graph.reshape {{.*}} -> tensor<{{.*}}8xf32>
  // CHECK: graph.dot_general {{.*}} {rhs_columns = 3 : i64, rhs_packed = 8 : i64} : (tensor<5x2xf32>, tensor<1x2x8xf32>)
  // FOLDED: dense<{{\[\[\[}}1.000000e+00, 2.000000e+00], [4.000000e+00, 5.000000e+00]], {{\[\[}}3.000000e+00, 0.000000e+00], [6.000000e+00, 0.000000e+00]]]> : tensor<2x2x2xf32>
  %w = graph.constant dense<[[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]> : tensor<2x3xf32>
  %d = graph.dot_general %x, %w batch [] x [] contract [1] x [0] : (tensor<5x2xf32>, tensor<2x3xf32>) -> tensor<5x3xf32>
  return %d : tensor<5x3xf32>
}

// CHECK-LABEL: func.func @convolution
func.func @convolution(%x: tensor<1x8x8x3xf32>) -> tensor<1x6x6x16xf32> {
  // CHECK: graph.convolution {{.*}} filters = 16 : i64, packed = 8 : i64} : (tensor<1x8x8x3xf32>, tensor<2x3x3x3x8xf32>)
  %w = graph.constant dense<0.5> : tensor<3x3x3x16xf32>
  %c = graph.convolution %x, %w strides [1, 1] low [0, 0] high [0, 0] dilations [1, 1] groups 1 {channels_last} : (tensor<1x8x8x3xf32>, tensor<3x3x3x16xf32>) -> tensor<1x6x6x16xf32>
  return %c : tensor<1x6x6x16xf32>
}

// What isn't constant stays.
// CHECK-LABEL: func.func @activations
func.func @activations(%x: tensor<5x2xf32>, %y: tensor<2x3xf32>) -> tensor<5x3xf32> {
  // CHECK-NOT: rhs_packed
  %d = graph.dot_general %x, %y batch [] x [] contract [1] x [0] : (tensor<5x2xf32>, tensor<2x3xf32>) -> tensor<5x3xf32>
  return %d : tensor<5x3xf32>
}

// A constant in as many rows as a symbol says isn't laid out before a run.
#rows = affine_map<()[s0] -> (s0, 3)>
#columns = affine_map<()[s0] -> (5, s0)>
// CHECK-LABEL: func.func @symbolic
func.func @symbolic(%x: tensor<5x?xf32, #columns>) -> tensor<5x3xf32> {
  // CHECK-NOT: rhs_packed
  %c = graph.constant dense<[[1.0, 2.0, 3.0]]> : tensor<1x3xf32>
  %w = graph.broadcast %c [0, 1] : (tensor<1x3xf32>) -> tensor<?x3xf32, #rows>
  %d = graph.dot_general %x, %w batch [] x [] contract [1] x [0] : (tensor<5x?xf32, #columns>, tensor<?x3xf32, #rows>) -> tensor<5x3xf32>
  return %d : tensor<5x3xf32>
}
