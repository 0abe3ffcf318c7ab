// RUN: aicc-opt %s --pass-pipeline='builtin.module(func.func(aicc-convert-precision{type=f16}))' 2>%t.f16 | FileCheck %s
// RUN: FileCheck %s --check-prefix=REMARK <%t.f16
// RUN: aicc-opt %s --pass-pipeline='builtin.module(func.func(aicc-convert-precision{type=bf16}))' 2>/dev/null | FileCheck %s --check-prefix=BF16
// RUN: not aicc-opt %s --pass-pipeline='builtin.module(func.func(aicc-convert-precision{type=f8}))' 2>&1 | FileCheck %s --check-prefix=WRONG
// WRONG: precision "f8" is not known, expected f16 or bf16

// REMARK: remark: precision f16: 2 products and 1 other results in f16, 0 products and 0 other results kept in f32
// REMARK: remark: precision f16: 1 products and 2 other results in f16
// REMARK: remark: dot_general stays in f32: an operand may exceed the range of the type
// REMARK: remark: dot_general stays in f32: an operand holds whole numbers
// REMARK: remark: dot_general stays in f32: an operand's elements are all too small for the type
// REMARK: remark: precision f16: 0 products and 0 other results in f16, 3 products

// Two layers: products of 16 bits, the bias and the activation in f32 without
// a rounding between, what lies between the layers rounded once.
// CHECK-LABEL: func.func @layers(
// CHECK-SAME: tensor<4x8xf32>) -> tensor<4x2xf32>
// BF16-LABEL: func.func @layers(
// BF16: graph.dot_general {{.*}} {accumulator = f32} : (tensor<4x8xbf16>, tensor<8x16xbf16>) -> tensor<4x16xf32>
func.func @layers(%x: tensor<4x8xf32>) -> tensor<4x2xf32> {
  %w = graph.constant dense<0.5> : tensor<8x16xf32>
  %v = graph.constant dense<0.25> : tensor<16x2xf32>
  %b = graph.constant dense<1.0> : tensor<4x16xf32>
  %z = graph.constant dense<0.0> : tensor<4x16xf32>
  // CHECK: %[[X:.*]] = graph.cast %{{.*}} : (tensor<4x8xf32>) -> tensor<4x8xf16>
  // CHECK: %[[D:.*]] = graph.dot_general %[[X]], {{.*}} {accumulator = f32} : (tensor<4x8xf16>, tensor<8x16xf16>) -> tensor<4x16xf32>
  // CHECK: %[[A:.*]] = graph.add %[[D]], %{{.*}} : tensor<4x16xf32>
  // CHECK: %[[R:.*]] = graph.maximum %[[A]], %{{.*}} : tensor<4x16xf32>
  // CHECK: %[[H:.*]] = graph.cast %[[R]] : (tensor<4x16xf32>) -> tensor<4x16xf16>
  // CHECK: %[[Y:.*]] = graph.dot_general %[[H]], {{.*}} {accumulator = f32} : (tensor<4x16xf16>, tensor<16x2xf16>) -> tensor<4x2xf32>
  // CHECK: return %[[Y]]
  %d = graph.dot_general %x, %w batch [] x [] contract [1] x [0] : (tensor<4x8xf32>, tensor<8x16xf32>) -> tensor<4x16xf32>
  %a = graph.add %d, %b : tensor<4x16xf32>
  %r = graph.maximum %a, %z : tensor<4x16xf32>
  %y = graph.dot_general %r, %v batch [] x [] contract [1] x [0] : (tensor<4x16xf32>, tensor<16x2xf32>) -> tensor<4x2xf32>
  return %y : tensor<4x2xf32>
}

// A mask of -1e9 and the softmax that reads it: f32 until the probabilities.
// CHECK-LABEL: func.func @masked(
func.func @masked(%q: tensor<4x4xf32>, %m: tensor<4x4xi1>) -> tensor<4x4xf32> {
  %one = graph.constant dense<1.0> : tensor<4x4xf32>
  %far = graph.constant dense<-1.0e9> : tensor<4x4xf32>
  // CHECK: %[[S:.*]] = graph.dot_general {{.*}} {accumulator = f32} : (tensor<4x4xf16>, tensor<4x4xf16>) -> tensor<4x4xf32>
  // CHECK: graph.subtract %{{.*}} : tensor<4x4xf32>
  // CHECK: %[[N:.*]] = graph.multiply %{{.*}} : tensor<4x4xf32>
  // CHECK: %[[B:.*]] = graph.add %[[S]], %[[N]] : tensor<4x4xf32>
  // CHECK: %[[P:.*]] = graph.softmax %[[B]] axis 1 : tensor<4x4xf32>
  // CHECK: %[[H:.*]] = graph.cast %[[P]] : (tensor<4x4xf32>) -> tensor<4x4xf16>
  // CHECK: graph.transpose %[[H]] [1, 0] : (tensor<4x4xf16>) -> tensor<4x4xf16>
  %s = graph.dot_general %q, %q batch [] x [] contract [1] x [1] : (tensor<4x4xf32>, tensor<4x4xf32>) -> tensor<4x4xf32>
  %f = graph.cast %m : (tensor<4x4xi1>) -> tensor<4x4xf32>
  %i = graph.subtract %one, %f : tensor<4x4xf32>
  %n = graph.multiply %i, %far : tensor<4x4xf32>
  %b = graph.add %s, %n : tensor<4x4xf32>
  %p = graph.softmax %b axis 1 : tensor<4x4xf32>
  %t = graph.transpose %p [1, 0] : (tensor<4x4xf32>) -> tensor<4x4xf32>
  %w = graph.broadcast %t [0, 1] : (tensor<4x4xf32>) -> tensor<4x4xf32>
  %r = graph.normalize %w axis 1 epsilon 1.0e-5 : tensor<4x4xf32>
  return %r : tensor<4x4xf32>
}

// Products that 16 bits would spoil.
// CHECK-LABEL: func.func @kept(
func.func @kept(%x: tensor<4x4xf32>, %p: tensor<4x4xi64>) -> (tensor<4x4xf32>, tensor<4x4xf32>, tensor<4x4xf32>) {
  // CHECK: graph.exp %{{.*}} : tensor<4x4xf32>
  // CHECK-COUNT-3: graph.dot_general {{.*}} : (tensor<4x4xf32>, tensor<4x4xf32>) -> tensor<4x4xf32>
  %e = graph.exp %x : tensor<4x4xf32>
  %i = graph.cast %p : (tensor<4x4xi64>) -> tensor<4x4xf32>
  %w = graph.constant dense<1.0e-7> : tensor<4x4xf32>
  %a = graph.dot_general %e, %x batch [] x [] contract [1] x [0] : (tensor<4x4xf32>, tensor<4x4xf32>) -> tensor<4x4xf32>
  %b = graph.dot_general %i, %x batch [] x [] contract [1] x [0] : (tensor<4x4xf32>, tensor<4x4xf32>) -> tensor<4x4xf32>
  %c = graph.dot_general %x, %w batch [] x [] contract [1] x [0] : (tensor<4x4xf32>, tensor<4x4xf32>) -> tensor<4x4xf32>
  return %a, %b, %c : tensor<4x4xf32>, tensor<4x4xf32>, tensor<4x4xf32>
}

// In a loop: what it carries stays, the product inside doesn't; sizes that are
// symbols; weights are converted outside.
// CHECK-LABEL: func.func @loop(
func.func @loop(%h: tensor<?x4xf32, affine_map<()[s0] -> (s0, 4)>>) -> tensor<?x4xf32, affine_map<()[s0] -> (s0, 4)>> {
  // CHECK: graph.cast %{{.*}} : (tensor<4x4xf32>) -> tensor<4x4xf16>
  // CHECK: graph.loop {{.*}} (tensor<?x4xf32
  // CHECK: graph.dot_general {{.*}} {accumulator = f32} : (tensor<?x4xf16, {{.*}}>, tensor<4x4xf16>) -> tensor<?x4xf32
  // CHECK: graph.tanh %{{.*}} : tensor<?x4xf32
  // CHECK: graph.yield %{{.*}} : tensor<?x4xf32
  %w = graph.constant dense<0.5> : tensor<4x4xf32>
  %r = graph.loop affine_map<() -> (3)> symbol 1 carries %h : (tensor<?x4xf32, affine_map<()[s0] -> (s0, 4)>>) -> tensor<?x4xf32, affine_map<()[s0] -> (s0, 4)>> {
  ^bb0(%c: tensor<?x4xf32, affine_map<()[s0] -> (s0, 4)>>):
    %d = graph.dot_general %c, %w batch [] x [] contract [1] x [0] : (tensor<?x4xf32, affine_map<()[s0] -> (s0, 4)>>, tensor<4x4xf32>) -> tensor<?x4xf32, affine_map<()[s0] -> (s0, 4)>>
    %t = graph.tanh %d : tensor<?x4xf32, affine_map<()[s0] -> (s0, 4)>>
    graph.yield %t : tensor<?x4xf32, affine_map<()[s0] -> (s0, 4)>>
  }
  return %r : tensor<?x4xf32, affine_map<()[s0] -> (s0, 4)>>
}

// Positions in floats, rounded to the integer below: all of their bits count.
// CHECK-LABEL: func.func @positions(
func.func @positions(%x: tensor<4xi32>) -> tensor<4xi64> {
  // CHECK-NOT: f16
  // CHECK: return
  %f = graph.cast %x : (tensor<4xi32>) -> tensor<4xf32>
  %s = graph.constant dense<0.5> : tensor<4xf32>
  %m = graph.multiply %f, %s : tensor<4xf32>
  %t = graph.reverse %m [0] : tensor<4xf32>
  %d = graph.floor %t : tensor<4xf32>
  %i = graph.cast %d : (tensor<4xf32>) -> tensor<4xi64>
  return %i : tensor<4xi64>
}
