// RUN: aicc-opt %s --canonicalize | FileCheck %s

// CHECK-LABEL: func.func @identities
func.func @identities(%a: tensor<2x3xf32>) -> tensor<2x3xf32> {
  // CHECK-NEXT: return %{{.*}} : tensor<2x3xf32>
  %0 = graph.cast %a : (tensor<2x3xf32>) -> tensor<2x3xf32>
  %1 = graph.reshape %0 : (tensor<2x3xf32>) -> tensor<2x3xf32>
  %2 = graph.transpose %1 [0, 1] : (tensor<2x3xf32>) -> tensor<2x3xf32>
  %3 = graph.broadcast %2 [0, 1] : (tensor<2x3xf32>) -> tensor<2x3xf32>
  %4 = graph.slice %3 at affine_map<() -> (0, 0)> [1, 1] : (tensor<2x3xf32>) -> tensor<2x3xf32>
  %5 = graph.concatenate 0, %4 : (tensor<2x3xf32>) -> tensor<2x3xf32>
  return %5 : tensor<2x3xf32>
}

// A square tensor keeps a transpose that its type does not show.
// CHECK-LABEL: func.func @square
func.func @square(%a: tensor<3x3xf32>) -> tensor<3x3xf32> {
  // CHECK: graph.transpose
  %0 = graph.transpose %a [1, 0] : (tensor<3x3xf32>) -> tensor<3x3xf32>
  return %0 : tensor<3x3xf32>
}

// CHECK-LABEL: func.func @reshapes
func.func @reshapes(%a: tensor<2x3xf32>) -> tensor<6xf32> {
  // CHECK-NEXT: graph.reshape %{{.*}} : (tensor<2x3xf32>) -> tensor<6xf32>
  // CHECK-NEXT: return
  %0 = graph.reshape %a : (tensor<2x3xf32>) -> tensor<3x2xf32>
  %1 = graph.reshape %0 : (tensor<3x2xf32>) -> tensor<6xf32>
  return %1 : tensor<6xf32>
}

// CHECK-LABEL: func.func @transposes
func.func @transposes(%a: tensor<2x3x4xf32>) -> (tensor<4x3x2xf32>, tensor<2x3x4xf32>) {
  // CHECK-NEXT: %[[T:.*]] = graph.transpose %[[A:.*]] [2, 1, 0]
  // CHECK-NEXT: return %[[T]], %[[A]]
  %0 = graph.transpose %a [1, 2, 0] : (tensor<2x3x4xf32>) -> tensor<3x4x2xf32>
  %1 = graph.transpose %0 [1, 0, 2] : (tensor<3x4x2xf32>) -> tensor<4x3x2xf32>
  %2 = graph.transpose %0 [2, 0, 1] : (tensor<3x4x2xf32>) -> tensor<2x3x4xf32>
  return %1, %2 : tensor<4x3x2xf32>, tensor<2x3x4xf32>
}

// CHECK-LABEL: func.func @units
func.func @units(%a: tensor<1x3x1x4xf32>) -> tensor<3x1x4x1xf32> {
  // CHECK-NEXT: graph.reshape
  %0 = graph.transpose %a [1, 0, 3, 2] : (tensor<1x3x1x4xf32>) -> tensor<3x1x4x1xf32>
  return %0 : tensor<3x1x4x1xf32>
}

// CHECK-LABEL: func.func @empty
func.func @empty(%a: tensor<2x0xf32>, %b: tensor<2x3xf32>) -> tensor<2x3xf32> {
  // CHECK-NEXT: return
  %0 = graph.concatenate 1, %a, %b : (tensor<2x0xf32>, tensor<2x3xf32>) -> tensor<2x3xf32>
  return %0 : tensor<2x3xf32>
}

// CHECK-LABEL: func.func @constants
func.func @constants() -> (tensor<2x2xf32>, tensor<4xf32>, tensor<3xi8>, tensor<4xi1>) {
  // CHECK-DAG: graph.constant dense<{{\[}}[1.000000e+00, 2.000000e+00], [3.000000e+00, 4.000000e+00]]> : tensor<2x2xf32>
  // CHECK-DAG: graph.constant dense<5.000000e-01> : tensor<4xf32>
  // CHECK-DAG: graph.constant dense<[-128, 127, 0]> : tensor<3xi8>
  // CHECK-DAG: graph.constant dense<true> : tensor<4xi1>
  // CHECK-NOT: graph.reshape
  // CHECK-NOT: graph.broadcast
  // CHECK-NOT: graph.cast
  %0 = graph.constant dense<[1.0, 2.0, 3.0, 4.0]> : tensor<4xf32>
  %1 = graph.reshape %0 : (tensor<4xf32>) -> tensor<2x2xf32>
  %2 = graph.constant dense<0.5> : tensor<f32>
  %3 = graph.broadcast %2 [] : (tensor<f32>) -> tensor<4xf32>
  %4 = graph.constant dense<[-1.0e9, 300.0, 0x7FC00000]> : tensor<3xf32>
  %5 = graph.cast %4 : (tensor<3xf32>) -> tensor<3xi8>
  %6 = graph.cast %3 : (tensor<4xf32>) -> tensor<4xi1>
  return %1, %3, %5, %6 : tensor<2x2xf32>, tensor<4xf32>, tensor<3xi8>, tensor<4xi1>
}

// Inferred dimensions: symbols survive, numbers win.
// CHECK-LABEL: func.func @dynamic
func.func @dynamic(%a: tensor<?x8xf32, affine_map<()[s0] -> (s0, 8)>>)
    -> tensor<?x8xf32, affine_map<()[s0] -> (s0, 8)>> {
  // CHECK-NEXT: return %{{.*}}
  %0 = graph.transpose %a [1, 0] : (tensor<?x8xf32, affine_map<()[s0] -> (s0, 8)>>) -> tensor<8x?xf32, affine_map<()[s0] -> (8, s0)>>
  %1 = graph.transpose %0 [1, 0] : (tensor<8x?xf32, affine_map<()[s0] -> (8, s0)>>) -> tensor<?x8xf32, affine_map<()[s0] -> (s0, 8)>>
  return %1 : tensor<?x8xf32, affine_map<()[s0] -> (s0, 8)>>
}

// The table of ONNX's Cast: beyond the largest number, infinity and NaN.
// CHECK-LABEL: func.func @narrow_floats
func.func @narrow_floats() -> (tensor<7xi8>, tensor<7xi8>, tensor<7xi8>, tensor<7xi8>, tensor<4xi8>, tensor<4xi8>, tensor<4xi8>) {
  %x = graph.constant dense<[0x7FC00000, 0x7F800000, 0xFF800000, 1.0e6, 464.0, -0.0, 0.4789]> : tensor<7xf32>
  // CHECK-DAG: dense<[127, 126, -2, 126, 126, -128, 47]>
  %0 = graph.cast %x : (tensor<7xf32>) -> tensor<7xf8E4M3FN>
  // CHECK-DAG: dense<[127, 127, -1, 127, 126, -128, 47]>
  %1 = graph.cast %x {overflow} : (tensor<7xf32>) -> tensor<7xf8E4M3FN>
  // CHECK-DAG: dense<[126, 124, -4, 124, 95, -128, 56]>
  %2 = graph.cast %x {overflow} : (tensor<7xf32>) -> tensor<7xf8E5M2>
  // CHECK-DAG: dense<[-128, 127, -1, 127, 127, 0, 55]>
  %3 = graph.cast %x : (tensor<7xf32>) -> tensor<7xf8E4M3FNUZ>
  %p = graph.constant dense<[0.0, 0.124, 1.5, 2.0]> : tensor<4xf32>
  // CHECK-DAG: dense<[0, 124, -128, -128]>
  %4 = graph.cast %p : (tensor<4xf32>) -> tensor<4xf8E8M0FNU>
  // CHECK-DAG: dense<[0, 123, 127, -128]>
  %5 = graph.cast %p {rounding = #graph<rounding down>} : (tensor<4xf32>) -> tensor<4xf8E8M0FNU>
  // CHECK-DAG: dense<[-1, 124, -128, -128]>
  %6 = graph.cast %p {overflow, rounding = #graph<rounding nearest>} : (tensor<4xf32>) -> tensor<4xf8E8M0FNU>
  %7 = graph.bitcast %0 : (tensor<7xf8E4M3FN>) -> tensor<7xi8>
  %8 = graph.bitcast %1 : (tensor<7xf8E4M3FN>) -> tensor<7xi8>
  %9 = graph.bitcast %2 : (tensor<7xf8E5M2>) -> tensor<7xi8>
  %10 = graph.bitcast %3 : (tensor<7xf8E4M3FNUZ>) -> tensor<7xi8>
  %11 = graph.bitcast %4 : (tensor<4xf8E8M0FNU>) -> tensor<4xi8>
  %12 = graph.bitcast %5 : (tensor<4xf8E8M0FNU>) -> tensor<4xi8>
  %13 = graph.bitcast %6 : (tensor<4xf8E8M0FNU>) -> tensor<4xi8>
  return %7, %8, %9, %10, %11, %12, %13 : tensor<7xi8>, tensor<7xi8>, tensor<7xi8>, tensor<7xi8>, tensor<4xi8>, tensor<4xi8>, tensor<4xi8>
}
