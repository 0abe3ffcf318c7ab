// RUN: aicc-opt %s --pass-pipeline='builtin.module(func.func(aicc-recognize-attention,canonicalize,cse))' | FileCheck %s

// PyTorch's scaled_dot_product_attention: the root of the scale on both
// operands, an additive mask, zeros instead of NaN. One factor is left.
// CHECK-LABEL: func.func @sdpa
// CHECK-SAME: %[[Q:.*]]: tensor<2x4x8x16xf32>, %[[K:.*]]: tensor<2x4x16x8xf32>, %[[V:.*]]: tensor<2x4x8x16xf32>
func.func @sdpa(%q: tensor<2x4x8x16xf32>, %k: tensor<2x4x16x8xf32>, %v: tensor<2x4x8x16xf32>, %mask: tensor<2x1x8x8xf32>) -> tensor<2x4x8x16xf32> {
  // CHECK: %[[S:.*]] = graph.constant dense<2.500000e-01>
  // CHECK: %[[X:.*]] = graph.multiply %[[Q]], %[[S]]
  // CHECK: graph.dot_general %[[X]], %[[K]] batch [0, 1] x [0, 1] contract [3] x [2]
  %c = graph.constant dense<0.5> : tensor<f32>
  %z = graph.constant dense<0.0> : tensor<f32>
  %qc = graph.broadcast %c [] : (tensor<f32>) -> tensor<2x4x8x16xf32>
  %kc = graph.broadcast %c [] : (tensor<f32>) -> tensor<2x4x16x8xf32>
  %qs = graph.multiply %q, %qc : tensor<2x4x8x16xf32>
  %ks = graph.multiply %k, %kc : tensor<2x4x16x8xf32>
  %s = graph.dot_general %qs, %ks batch [0, 1] x [0, 1] contract [3] x [2] : (tensor<2x4x8x16xf32>, tensor<2x4x16x8xf32>) -> tensor<2x4x8x8xf32>
  %m = graph.broadcast %mask [0, 1, 2, 3] : (tensor<2x1x8x8xf32>) -> tensor<2x4x8x8xf32>
  %a = graph.add %s, %m : tensor<2x4x8x8xf32>
  %p = graph.softmax %a axis 3 : tensor<2x4x8x8xf32>
  %n = graph.is_nan %p : (tensor<2x4x8x8xf32>) -> tensor<2x4x8x8xi1>
  %zb = graph.broadcast %z [] : (tensor<f32>) -> tensor<2x4x8x8xf32>
  %w = graph.select %n, %zb, %p : tensor<2x4x8x8xi1>, tensor<2x4x8x8xf32>
  %y = graph.dot_general %w, %v batch [0, 1] x [0, 1] contract [3] x [2] : (tensor<2x4x8x8xf32>, tensor<2x4x8x16xf32>) -> tensor<2x4x8x16xf32>
  return %y : tensor<2x4x8x16xf32>
}

// Batched products of three dimensions (torch.bmm, older Hugging Face models):
// the reshapes between move to the operands and the result.
// CHECK-LABEL: func.func @merged_batch
func.func @merged_batch(%q: tensor<8x5x16xf16>, %k: tensor<8x16x7xf16>, %v: tensor<8x7x16xf16>, %mask: tensor<2x1x5x7xf16>) -> tensor<8x5x16xf16> {
  // CHECK: graph.reshape %{{.*}} : (tensor<8x5x16xf16>) -> tensor<2x4x5x16xf16>
  // CHECK: %[[S:.*]] = graph.dot_general {{.*}} -> tensor<2x4x5x7xf16>
  // CHECK-NOT: graph.reshape %[[S]]
  // CHECK: graph.add %[[S]]
  // CHECK: graph.softmax {{.*}} axis 3 : tensor<2x4x5x7xf32>
  // CHECK-NEXT: graph.cast
  // CHECK: %[[Y:.*]] = graph.dot_general {{.*}} -> tensor<2x4x5x16xf16>
  // CHECK-NEXT: graph.reshape %[[Y]] : (tensor<2x4x5x16xf16>) -> tensor<8x5x16xf16>
  %s = graph.dot_general %q, %k batch [0] x [0] contract [2] x [1] : (tensor<8x5x16xf16>, tensor<8x16x7xf16>) -> tensor<8x5x7xf16>
  %s4 = graph.reshape %s : (tensor<8x5x7xf16>) -> tensor<2x4x5x7xf16>
  %m = graph.broadcast %mask [0, 1, 2, 3] : (tensor<2x1x5x7xf16>) -> tensor<2x4x5x7xf16>
  %a = graph.add %s4, %m : tensor<2x4x5x7xf16>
  %a3 = graph.reshape %a : (tensor<2x4x5x7xf16>) -> tensor<8x5x7xf16>
  %f = graph.cast %a3 : (tensor<8x5x7xf16>) -> tensor<8x5x7xf32>
  %p = graph.softmax %f axis 2 : tensor<8x5x7xf32>
  %h = graph.cast %p : (tensor<8x5x7xf32>) -> tensor<8x5x7xf16>
  %y = graph.dot_general %h, %v batch [0] x [0] contract [2] x [1] : (tensor<8x5x7xf16>, tensor<8x7x16xf16>) -> tensor<8x5x16xf16>
  return %y : tensor<8x5x16xf16>
}

// Llama's repeat_kv: keys and values of 2 heads for queries of 6. The queries
// that share keys become rows of one product, and nothing is repeated.
// CHECK-LABEL: func.func @shared_keys
// CHECK-SAME: (%[[Q:[^:]*]]: tensor<1x5x6x16xf32>, %[[K:[^:]*]]: tensor<1x2x?x16xf32
func.func @shared_keys(%q: tensor<1x5x6x16xf32>, %k: tensor<1x2x?x16xf32, affine_map<()[s0] -> (1, 2, s0, 16)>>, %v: tensor<1x2x?x16xf32, affine_map<()[s0] -> (1, 2, s0, 16)>>, %mask: tensor<1x1x5x?xf32, affine_map<()[s0] -> (1, 1, 5, s0)>>) -> tensor<1x5x96xf32> {
  // CHECK: %[[G:.*]] = graph.reshape %[[Q]] : (tensor<1x5x6x16xf32>) -> tensor<1x5x2x3x16xf32>
  // CHECK: %[[T:.*]] = graph.transpose %[[G]] [0, 2, 3, 1, 4]
  // CHECK: graph.dot_general %[[T]], %[[K]] batch [0, 1] x [0, 1] contract [4] x [3] {{.*}} -> tensor<1x2x3x5x?xf32
  // CHECK: graph.broadcast %{{.*}} [0, 1, 3, 4]
  // CHECK: graph.softmax {{.*}} axis 4
  // CHECK: %[[Y:.*]] = graph.dot_general {{.*}} batch [0, 1] x [0, 1] contract [4] x [2] {{.*}} -> tensor<1x2x3x5x16xf32>
  // CHECK: %[[U:.*]] = graph.transpose %[[Y]] [0, 3, 1, 2, 4]
  // CHECK-NEXT: graph.reshape %[[U]] : (tensor<1x5x2x3x16xf32>) -> tensor<1x5x96xf32>
  %qt = graph.transpose %q [0, 2, 1, 3] : (tensor<1x5x6x16xf32>) -> tensor<1x6x5x16xf32>
  %kb = graph.broadcast %k [0, 1, 3, 4] : (tensor<1x2x?x16xf32, affine_map<()[s0] -> (1, 2, s0, 16)>>) -> tensor<1x2x3x?x16xf32, affine_map<()[s0] -> (1, 2, 3, s0, 16)>>
  %kr = graph.reshape %kb : (tensor<1x2x3x?x16xf32, affine_map<()[s0] -> (1, 2, 3, s0, 16)>>) -> tensor<1x6x?x16xf32, affine_map<()[s0] -> (1, 6, s0, 16)>>
  %vb = graph.broadcast %v [0, 1, 3, 4] : (tensor<1x2x?x16xf32, affine_map<()[s0] -> (1, 2, s0, 16)>>) -> tensor<1x2x3x?x16xf32, affine_map<()[s0] -> (1, 2, 3, s0, 16)>>
  %vr = graph.reshape %vb : (tensor<1x2x3x?x16xf32, affine_map<()[s0] -> (1, 2, 3, s0, 16)>>) -> tensor<1x6x?x16xf32, affine_map<()[s0] -> (1, 6, s0, 16)>>
  %s = graph.dot_general %qt, %kr batch [0, 1] x [0, 1] contract [3] x [3] : (tensor<1x6x5x16xf32>, tensor<1x6x?x16xf32, affine_map<()[s0] -> (1, 6, s0, 16)>>) -> tensor<1x6x5x?xf32, affine_map<()[s0] -> (1, 6, 5, s0)>>
  %m = graph.broadcast %mask [0, 1, 2, 3] : (tensor<1x1x5x?xf32, affine_map<()[s0] -> (1, 1, 5, s0)>>) -> tensor<1x6x5x?xf32, affine_map<()[s0] -> (1, 6, 5, s0)>>
  %a = graph.add %s, %m : tensor<1x6x5x?xf32, affine_map<()[s0] -> (1, 6, 5, s0)>>
  %p = graph.softmax %a axis 3 : tensor<1x6x5x?xf32, affine_map<()[s0] -> (1, 6, 5, s0)>>
  %y = graph.dot_general %p, %vr batch [0, 1] x [0, 1] contract [3] x [2] : (tensor<1x6x5x?xf32, affine_map<()[s0] -> (1, 6, 5, s0)>>, tensor<1x6x?x16xf32, affine_map<()[s0] -> (1, 6, s0, 16)>>) -> tensor<1x6x5x16xf32>
  %yt = graph.transpose %y [0, 2, 1, 3] : (tensor<1x6x5x16xf32>) -> tensor<1x5x6x16xf32>
  %r = graph.reshape %yt : (tensor<1x5x6x16xf32>) -> tensor<1x5x96xf32>
  return %r : tensor<1x5x96xf32>
}

// ONNX's Attention: rows without anything visible give zeros. They are chosen
// once, after the softmax, and the reduced dimension isn't kept in between.
// CHECK-LABEL: func.func @hidden_rows
func.func @hidden_rows(%q: tensor<1x2x5x16xf32>, %k: tensor<1x2x7x16xf32>, %v: tensor<1x2x7x16xf32>, %mask: tensor<1x2x5x7xf32>) -> tensor<1x2x5x16xf32> {
  // CHECK: %[[A:.*]] = graph.add
  // CHECK: %[[M:.*]] = graph.reduce {{ ?}}maximum %[[A]] [3]
  // CHECK: %[[H:.*]] = graph.compare {{ ?}}equal %[[M]]
  // CHECK: %[[B:.*]] = graph.broadcast %[[H]] [0, 1, 2] : (tensor<1x2x5xi1>) -> tensor<1x2x5x7xi1>
  // CHECK: %[[P:.*]] = graph.softmax %[[A]] axis 3
  // CHECK: graph.select %[[B]], %{{.*}}, %[[P]]
  %i = graph.constant dense<0xFF800000> : tensor<f32>
  %z = graph.constant dense<0.0> : tensor<f32>
  %s = graph.dot_general %q, %k batch [0, 1] x [0, 1] contract [3] x [3] : (tensor<1x2x5x16xf32>, tensor<1x2x7x16xf32>) -> tensor<1x2x5x7xf32>
  %a = graph.add %s, %mask : tensor<1x2x5x7xf32>
  %b = graph.reduce maximum %a [3] : (tensor<1x2x5x7xf32>) -> tensor<1x2x5xf32>
  %bk = graph.reshape %b : (tensor<1x2x5xf32>) -> tensor<1x2x5x1xf32>
  %ib = graph.broadcast %i [] : (tensor<f32>) -> tensor<1x2x5x1xf32>
  %h = graph.compare equal %bk, %ib : (tensor<1x2x5x1xf32>, tensor<1x2x5x1xf32>) -> tensor<1x2x5x1xi1>
  %hb = graph.broadcast %h [0, 1, 2, 3] : (tensor<1x2x5x1xi1>) -> tensor<1x2x5x7xi1>
  %zb = graph.broadcast %z [] : (tensor<f32>) -> tensor<1x2x5x7xf32>
  %c = graph.select %hb, %zb, %a : tensor<1x2x5x7xi1>, tensor<1x2x5x7xf32>
  %p = graph.softmax %c axis 3 : tensor<1x2x5x7xf32>
  %w = graph.select %hb, %zb, %p : tensor<1x2x5x7xi1>, tensor<1x2x5x7xf32>
  %y = graph.dot_general %w, %v batch [0, 1] x [0, 1] contract [3] x [2] : (tensor<1x2x5x7xf32>, tensor<1x2x7x16xf32>) -> tensor<1x2x5x16xf32>
  return %y : tensor<1x2x5x16xf32>
}

// An einsum that gives keys by queries and is transposed: the operands change
// places.
// CHECK-LABEL: func.func @keys_by_queries
// CHECK-SAME: %[[Q:.*]]: tensor<2x5x4x16xf32>, %[[K:.*]]: tensor<2x7x4x16xf32>
func.func @keys_by_queries(%q: tensor<2x5x4x16xf32>, %k: tensor<2x7x4x16xf32>) -> tensor<2x4x5x7xf32> {
  // CHECK-NEXT: %[[S:.*]] = graph.dot_general %[[Q]], %[[K]] batch [0, 2] x [0, 2] contract [3] x [3]
  // CHECK-NEXT: graph.softmax %[[S]] axis 3
  %s = graph.dot_general %k, %q batch [0, 2] x [0, 2] contract [3] x [3] : (tensor<2x7x4x16xf32>, tensor<2x5x4x16xf32>) -> tensor<2x4x7x5xf32>
  %t = graph.transpose %s [0, 1, 3, 2] : (tensor<2x4x7x5xf32>) -> tensor<2x4x5x7xf32>
  %p = graph.softmax %t axis 3 : tensor<2x4x5x7xf32>
  return %p : tensor<2x4x5x7xf32>
}

// Queries, keys and values of one product (GPT-2): heads are split first.
// CHECK-LABEL: func.func @slices
// CHECK-SAME: %[[X:.*]]: tensor<?x5x96xf32
func.func @slices(%x: tensor<?x5x96xf32, affine_map<()[s0] -> (s0, 5, 96)>>) -> tensor<?x5x2x16xf32, affine_map<()[s0] -> (s0, 5, 2, 16)>> {
  // CHECK-NEXT: %[[H:.*]] = graph.reshape %[[X]] : {{.*}} -> tensor<?x5x6x16xf32
  // CHECK-NEXT: graph.slice %[[H]] at #{{.*}} [1, 1, 1, 1] : {{.*}} -> tensor<?x5x2x16xf32
  %s = graph.slice %x at affine_map<() -> (0, 0, 32)> [1, 1, 1] : (tensor<?x5x96xf32, affine_map<()[s0] -> (s0, 5, 96)>>) -> tensor<?x5x32xf32, affine_map<()[s0] -> (s0, 5, 32)>>
  %h = graph.reshape %s : (tensor<?x5x32xf32, affine_map<()[s0] -> (s0, 5, 32)>>) -> tensor<?x5x2x16xf32, affine_map<()[s0] -> (s0, 5, 2, 16)>>
  return %h : tensor<?x5x2x16xf32, affine_map<()[s0] -> (s0, 5, 2, 16)>>
}

// Keys transposed with heads merged into the batch, as PyTorch's exporter does.
// CHECK-LABEL: func.func @merged_transpose
// CHECK-SAME: %[[X:.*]]: tensor<2x?x5x16xf32
func.func @merged_transpose(%x: tensor<2x?x5x16xf32, affine_map<()[s0] -> (2, s0, 5, 16)>>) -> tensor<2x?x16x5xf32, affine_map<()[s0] -> (2, s0, 16, 5)>> {
  // CHECK-NEXT: %[[T:.*]] = graph.transpose %[[X]] [0, 1, 3, 2]
  // CHECK-NEXT: return %[[T]]
  %m = graph.reshape %x : (tensor<2x?x5x16xf32, affine_map<()[s0] -> (2, s0, 5, 16)>>) -> tensor<?x5x16xf32, affine_map<()[s0] -> (s0 * 2, 5, 16)>>
  %t = graph.transpose %m [0, 2, 1] : (tensor<?x5x16xf32, affine_map<()[s0] -> (s0 * 2, 5, 16)>>) -> tensor<?x16x5xf32, affine_map<()[s0] -> (s0 * 2, 16, 5)>>
  %y = graph.reshape %t : (tensor<?x16x5xf32, affine_map<()[s0] -> (s0 * 2, 16, 5)>>) -> tensor<2x?x16x5xf32, affine_map<()[s0] -> (2, s0, 16, 5)>>
  return %y : tensor<2x?x16x5xf32, affine_map<()[s0] -> (2, s0, 16, 5)>>
}
