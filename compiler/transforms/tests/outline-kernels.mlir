// RUN: aicc-opt %s --split-input-file --aicc-outline-kernels | FileCheck %s

// A product takes its bias and the residual; the second product with the same
// shape is the same kernel.
// CHECK-LABEL: module
// CHECK: exec.kernel @[[K:.*]](%{{.*}}: tensor<4x4xf32>, %{{.*}}: tensor<4x4xf32>, %{{.*}}: tensor<4xf32>) -> (tensor<4x4xf32>)
// CHECK-NEXT: graph.dot_general
// CHECK-NEXT: graph.broadcast
// CHECK-NEXT: graph.add
// CHECK-NEXT: graph.add
// CHECK-NEXT: exec.return
// CHECK-NOT: exec.kernel
// CHECK: exec.program @program("0" = %[[X:.*]]: tensor<4x4xf32>) -> ("0")
// CHECK-DAG: %[[W:.*]] = exec.constant
// CHECK-DAG: %[[B:.*]] = exec.constant
// CHECK: %[[A:.*]] = exec.launch @[[K]](%[[X]], %{{.*}}, %{{.*}})
// CHECK: %[[C:.*]] = exec.launch @[[K]](%[[A]], %{{.*}}, %{{.*}})
// CHECK: exec.finish %[[C]]
module {
func.func @main(%x: tensor<4x4xf32>) -> tensor<4x4xf32> {
  %w = graph.constant dense<[[1.0, 2.0, 3.0, 4.0], [1.0, 2.0, 3.0, 4.0], [1.0, 2.0, 3.0, 4.0], [1.0, 2.0, 3.0, 4.0]]> : tensor<4x4xf32>
  %b = graph.constant dense<[1.0, 2.0, 3.0, 4.0]> : tensor<4xf32>
  %bb = graph.broadcast %b [1] : (tensor<4xf32>) -> tensor<4x4xf32>
  %d = graph.dot_general %x, %w batch [] x [] contract [1] x [0] : (tensor<4x4xf32>, tensor<4x4xf32>) -> tensor<4x4xf32>
  %a = graph.add %d, %bb : tensor<4x4xf32>
  %r = graph.add %a, %x : tensor<4x4xf32>
  %d2 = graph.dot_general %r, %w batch [] x [] contract [1] x [0] : (tensor<4x4xf32>, tensor<4x4xf32>) -> tensor<4x4xf32>
  %a2 = graph.add %d2, %bb : tensor<4x4xf32>
  %r2 = graph.add %a2, %r : tensor<4x4xf32>
  return %r2 : tensor<4x4xf32>
}
}

// -----

// The sum is normalised and needed again: one kernel with two results. What
// would close a cycle (the product between) stays apart.
// CHECK-LABEL: module
// CHECK: exec.kernel {{.*}} -> (tensor<4x4xf32>, tensor<4x4xf32>)
// CHECK-NEXT: graph.add
// CHECK-NEXT: graph.normalize
// CHECK-NEXT: exec.return
// CHECK: exec.kernel {{.*}} -> (tensor<4x4xf32>)
// CHECK: graph.dot_general
// CHECK: graph.add
// CHECK: exec.program
module {
func.func @main(%x: tensor<4x4xf32>, %y: tensor<4x4xf32>) -> tensor<4x4xf32> {
  %s = graph.add %x, %y : tensor<4x4xf32>
  %n = graph.normalize %s axis 1 epsilon 1.0e-5 : tensor<4x4xf32>
  %d = graph.dot_general %n, %x batch [] x [] contract [1] x [0] : (tensor<4x4xf32>, tensor<4x4xf32>) -> tensor<4x4xf32>
  %r = graph.add %d, %s : tensor<4x4xf32>
  return %r : tensor<4x4xf32>
}
}

// -----

// The first kernel, which the sum joined, waits for the second, because of the
// sum; the last addition needs what is made of the first, so it can't be in the
// second.
// CHECK-LABEL: module
// CHECK: exec.program
// CHECK: %[[T:.*]] = exec.launch
// CHECK: %[[D:.*]]:2 = exec.launch {{.*}}(%{{.*}}, %[[T]])
// CHECK: %[[R:.*]] = exec.launch {{.*}}(%[[D]]#0, %[[T]])
// CHECK: exec.finish %[[D]]#0, %[[D]]#1, %[[R]]
module {
func.func @main(%x: tensor<4x8xf32>, %y: tensor<8xf32>) -> (tensor<4x8xf32>, tensor<4x8xf32>, tensor<8xf32>) {
  %d = graph.exp %x : tensor<4x8xf32>
  %e = graph.reduce maximum %d [0] : (tensor<4x8xf32>) -> tensor<8xf32>
  %t = graph.exp %y : tensor<8xf32>
  %b = graph.broadcast %t [1] : (tensor<8xf32>) -> tensor<4x8xf32>
  %s = graph.add %d, %b : tensor<4x8xf32>
  %r = graph.add %t, %e : tensor<8xf32>
  return %d, %s, %r : tensor<4x8xf32>, tensor<4x8xf32>, tensor<8xf32>
}
}

// -----

// Work on weights only is done once; a reshape is a view; an elementwise
// kernel may write over its operand.
// CHECK-LABEL: module
// CHECK: exec.kernel @{{.*}} attributes {in_place = array<i64: 0>
// CHECK: graph.exp
// CHECK: exec.program
// CHECK: exec.launch {{.*}} {prepare}
// CHECK: exec.view
// CHECK: exec.launch
module {
func.func @main(%x: tensor<2x2xf32>) -> (tensor<2x2xf32>, tensor<3x2xf32>) {
  %w = graph.constant dense<[[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]> : tensor<2x3xf32>
  %t = graph.transpose %w [1, 0] : (tensor<2x3xf32>) -> tensor<3x2xf32>
  %v = graph.reshape %x : (tensor<2x2xf32>) -> tensor<4xf32>
  %e = graph.exp %v : tensor<4xf32>
  %u = graph.reshape %e : (tensor<4xf32>) -> tensor<2x2xf32>
  return %u, %t : tensor<2x2xf32>, tensor<3x2xf32>
}
}

// -----

// A loop keeps its body's kernels; work on constants leaves it.
// CHECK-LABEL: module
// CHECK: exec.program
// CHECK: exec.launch {{.*}} {prepare}
// CHECK: exec.loop
// CHECK: exec.launch
// CHECK: exec.yield
// CHECK: exec.finish
module {
func.func @main(%x: tensor<2x2xf32>) -> tensor<2x2xf32> {
  %w = graph.constant dense<[[1.0, 2.0], [3.0, 4.0]]> : tensor<2x2xf32>
  %r = graph.loop affine_map<() -> (3)> symbol 0 carries %x : (tensor<2x2xf32>) -> tensor<2x2xf32> {
  ^bb0(%c: tensor<2x2xf32>):
    %t = graph.transpose %w [1, 0] : (tensor<2x2xf32>) -> tensor<2x2xf32>
    %d = graph.dot_general %c, %t batch [] x [] contract [1] x [0] : (tensor<2x2xf32>, tensor<2x2xf32>) -> tensor<2x2xf32>
    graph.yield %d : tensor<2x2xf32>
  }
  return %r : tensor<2x2xf32>
}
}

// -----

// Sizes are known in a run only: a kernel that needs no more than them is
// nothing to prepare.
// CHECK-LABEL: module
// CHECK: exec.program
// CHECK-NOT: {prepare}
// CHECK: exec.finish
module attributes {graph.symbols = ["n"]} {
func.func @main(%x: tensor<?xf32, affine_map<()[s0] -> (s0)>>) -> tensor<2xi64> {
  %d = graph.dimensions affine_map<()[s0] -> (s0, 3)> : tensor<2xi64>
  return %d : tensor<2xi64>
}
}

// -----

// What a size that data decides is needed for waits for it, wherever it stood;
// nothing that uses the symbol joins the kernel that computes it.
// CHECK-LABEL: module
// CHECK: exec.program @program("0" = %[[X:.*]]: tensor<4xf32>, "1" = %[[C:.*]]: tensor<i1>)
// CHECK: %[[N:.*]]:2 = exec.launch @{{.*}}(%[[X]]) : (tensor<4xf32>) -> (tensor<f32>, tensor<i64>)
// CHECK: exec.read %[[N]]#1[0] symbol 0
// CHECK: %[[P:.*]] = exec.launch @{{.*}}(%[[N]]#0) : (tensor<f32>) -> tensor<?xf32, #{{.*}}>
// CHECK: %[[Y:.*]] = exec.if %[[C]] : tensor<i1> -> tensor<?xf32, #{{.*}}> {
// CHECK: exec.yield %[[P]]
// CHECK: } else {
// CHECK: %[[Q:.*]] = exec.launch @{{.*}}(%[[P]])
// CHECK: exec.yield %[[Q]]
// CHECK: exec.finish %[[Y]]
#n = affine_map<()[s0] -> (s0)>
module {
func.func @main(%x: tensor<4xf32>, %c: tensor<i1>) -> tensor<?xf32, #n> {
  %i = graph.iota 0 : tensor<?xi64, #n>
  %f = graph.cast %i : (tensor<?xi64, #n>) -> tensor<?xf32, #n>
  %m = graph.reduce maximum %x [0] : (tensor<4xf32>) -> tensor<f32>
  %k = graph.cast %m : (tensor<f32>) -> tensor<i64>
  %b = graph.broadcast %m [] : (tensor<f32>) -> tensor<?xf32, #n>
  %s = graph.add %b, %f : tensor<?xf32, #n>
  graph.read %k[0] symbol 0 : tensor<i64>
  %r = graph.if %c : tensor<i1> -> tensor<?xf32, #n> {
    graph.yield %s : tensor<?xf32, #n>
  } else {
    %t = graph.exp %s : tensor<?xf32, #n>
    graph.yield %t : tensor<?xf32, #n>
  }
  return %r : tensor<?xf32, #n>
}
}
