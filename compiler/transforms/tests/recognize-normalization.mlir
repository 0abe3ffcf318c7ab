// RUN: aicc-opt %s --pass-pipeline='builtin.module(func.func(aicc-simplify-algebra,aicc-recognize-normalization,canonicalize))' | FileCheck %s

// PyTorch's TorchScript exporter before opset 17: mean, pow, sqrt, division.
// CHECK-LABEL: func.func @torchscript
// CHECK-SAME: %[[X:.*]]: tensor<2x3x8xf32>
func.func @torchscript(%x: tensor<2x3x8xf32>) -> tensor<2x3x8xf32> {
  %two = graph.constant dense<2.0> : tensor<f32>
  %e = graph.constant dense<1.0e-5> : tensor<f32>
  %s = graph.reduce mean %x [2] : (tensor<2x3x8xf32>) -> tensor<2x3xf32>
  %k = graph.reshape %s : (tensor<2x3xf32>) -> tensor<2x3x1xf32>
  %m = graph.broadcast %k [0, 1, 2] : (tensor<2x3x1xf32>) -> tensor<2x3x8xf32>
  %d = graph.subtract %x, %m : tensor<2x3x8xf32>
  %p = graph.broadcast %two [] : (tensor<f32>) -> tensor<2x3x8xf32>
  %q = graph.power %d, %p : tensor<2x3x8xf32>
  %v = graph.reduce mean %q [2] : (tensor<2x3x8xf32>) -> tensor<2x3xf32>
  %vk = graph.reshape %v : (tensor<2x3xf32>) -> tensor<2x3x1xf32>
  %eb = graph.broadcast %e [] : (tensor<f32>) -> tensor<2x3x1xf32>
  %a = graph.add %vk, %eb : tensor<2x3x1xf32>
  %r = graph.sqrt %a : tensor<2x3x1xf32>
  %rb = graph.broadcast %r [0, 1, 2] : (tensor<2x3x1xf32>) -> tensor<2x3x8xf32>
  // CHECK-NEXT: %[[N:.*]] = graph.normalize %[[X]] axis 2 epsilon 9.99{{.*}}E-6 : tensor<2x3x8xf32>
  // CHECK-NEXT: return %[[N]]
  %y = graph.divide %d, %rb : tensor<2x3x8xf32>
  return %y : tensor<2x3x8xf32>
}

// Llama's norm as the dynamo exporter writes it: x * rsqrt(mean(x^2) + e).
// CHECK-LABEL: func.func @rms
// CHECK-SAME: %[[X:.*]]: tensor<?x8xf32
func.func @rms(%x: tensor<?x8xf32, affine_map<()[s0] -> (s0, 8)>>) -> tensor<?x8xf32, affine_map<()[s0] -> (s0, 8)>> {
  %e = graph.constant dense<1.0e-3> : tensor<f32>
  %q = graph.multiply %x, %x : tensor<?x8xf32, affine_map<()[s0] -> (s0, 8)>>
  %v = graph.reduce mean %q [1] : (tensor<?x8xf32, affine_map<()[s0] -> (s0, 8)>>) -> tensor<?xf32, affine_map<()[s0] -> (s0)>>
  %eb = graph.broadcast %e [] : (tensor<f32>) -> tensor<?xf32, affine_map<()[s0] -> (s0)>>
  %a = graph.add %v, %eb : tensor<?xf32, affine_map<()[s0] -> (s0)>>
  %r = graph.sqrt %a : tensor<?xf32, affine_map<()[s0] -> (s0)>>
  %i = graph.reciprocal %r : tensor<?xf32, affine_map<()[s0] -> (s0)>>
  %b = graph.broadcast %i [0] : (tensor<?xf32, affine_map<()[s0] -> (s0)>>) -> tensor<?x8xf32, affine_map<()[s0] -> (s0, 8)>>
  // CHECK-NEXT: %[[N:.*]] = graph.normalize %[[X]] axis 1 epsilon {{.*}} {rms}
  // CHECK-NEXT: return %[[N]]
  %y = graph.multiply %b, %x : tensor<?x8xf32, affine_map<()[s0] -> (s0, 8)>>
  return %y : tensor<?x8xf32, affine_map<()[s0] -> (s0, 8)>>
}

// Keras and TensorFlow: scale and shift are put together first.
// CHECK-LABEL: func.func @keras
// CHECK-SAME: %[[X:.*]]: tensor<3x8xf32>, %[[G:.*]]: tensor<8xf32>, %[[B:.*]]: tensor<8xf32>
func.func @keras(%x: tensor<3x8xf32>, %g: tensor<8xf32>, %b: tensor<8xf32>) -> tensor<3x8xf32> {
  %e = graph.constant dense<1.0e-3> : tensor<f32>
  %m = graph.reduce mean %x [1] : (tensor<3x8xf32>) -> tensor<3xf32>
  %mb = graph.broadcast %m [0] : (tensor<3xf32>) -> tensor<3x8xf32>
  %d = graph.subtract %x, %mb : tensor<3x8xf32>
  %q = graph.multiply %d, %d : tensor<3x8xf32>
  %v = graph.reduce mean %q [1] : (tensor<3x8xf32>) -> tensor<3xf32>
  %eb = graph.broadcast %e [] : (tensor<f32>) -> tensor<3xf32>
  %a = graph.add %v, %eb : tensor<3xf32>
  %r = graph.rsqrt %a : tensor<3xf32>
  %rb = graph.broadcast %r [0] : (tensor<3xf32>) -> tensor<3x8xf32>
  %gb = graph.broadcast %g [1] : (tensor<8xf32>) -> tensor<3x8xf32>
  %s = graph.multiply %rb, %gb : tensor<3x8xf32>
  %xs = graph.multiply %x, %s : tensor<3x8xf32>
  %ms = graph.multiply %mb, %s : tensor<3x8xf32>
  %bb = graph.broadcast %b [1] : (tensor<8xf32>) -> tensor<3x8xf32>
  %t = graph.subtract %bb, %ms : tensor<3x8xf32>
  // CHECK: %[[N:.*]] = graph.normalize %[[X]] axis 1
  // CHECK-NEXT: %[[S:.*]] = graph.multiply %[[N]], %{{.*}}
  // CHECK-NEXT: graph.add %[[S]], %{{.*}}
  // CHECK-NEXT: return
  %y = graph.add %xs, %t : tensor<3x8xf32>
  return %y : tensor<3x8xf32>
}

// A mean over other dimensions is no normalisation of rows.
// CHECK-LABEL: func.func @columns
func.func @columns(%x: tensor<8x8xf32>) -> tensor<8x8xf32> {
  %q = graph.multiply %x, %x : tensor<8x8xf32>
  %v = graph.reduce mean %q [0] : (tensor<8x8xf32>) -> tensor<8xf32>
  %r = graph.rsqrt %v : tensor<8xf32>
  // CHECK-NOT: graph.normalize
  %b = graph.broadcast %r [1] : (tensor<8xf32>) -> tensor<8x8xf32>
  %y = graph.multiply %x, %b : tensor<8x8xf32>
  return %y : tensor<8x8xf32>
}

// The mean of one tensor and the values of another.
// CHECK-LABEL: func.func @another
func.func @another(%x: tensor<8x8xf32>, %z: tensor<8x8xf32>) -> tensor<8x8xf32> {
  %q = graph.multiply %x, %x : tensor<8x8xf32>
  %v = graph.reduce mean %q [1] : (tensor<8x8xf32>) -> tensor<8xf32>
  %r = graph.rsqrt %v : tensor<8xf32>
  // CHECK-NOT: graph.normalize
  %b = graph.broadcast %r [0] : (tensor<8xf32>) -> tensor<8x8xf32>
  %y = graph.multiply %z, %b : tensor<8x8xf32>
  return %y : tensor<8x8xf32>
}
