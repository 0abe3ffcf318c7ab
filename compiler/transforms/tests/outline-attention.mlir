// RUN: aicc-opt %s --split-input-file --aicc-outline-kernels=attention=true | FileCheck %s
// RUN: aicc-opt %s --split-input-file --aicc-outline-kernels | FileCheck %s --check-prefix=APART

// From the operands as their products leave them to the result as the next one
// takes it: one kernel. The mask is broadcast and made of indices, so it needs
// no memory either.
// CHECK-LABEL: exec.kernel
// CHECK-SAME: (%{{.*}}: tensor<2x64x4x16xf32>, %{{.*}}: tensor<2x80x4x16xf32>, %{{.*}}: tensor<2x80x4x16xf32>) -> (tensor<2x64x4x16xf32>)
// CHECK-DAG: graph.iota
// CHECK-DAG: graph.dot_general
// CHECK: graph.softmax
// CHECK: graph.dot_general
// CHECK: graph.transpose {{.*}} -> tensor<2x64x4x16xf32>
// CHECK-NEXT: exec.return
// CHECK-NOT: exec.kernel
// CHECK: exec.program
// CHECK-COUNT-1: exec.launch
// CHECK-NOT: exec.launch

// The targets that haven't got it keep their kernels.
// APART-COUNT-3: exec.kernel
// APART: exec.program
func.func @main(%q: tensor<2x64x4x16xf32>, %k: tensor<2x80x4x16xf32>, %v: tensor<2x80x4x16xf32>) -> tensor<2x64x64xf32> {
  %c = graph.constant dense<0.25> : tensor<f32>
  %z = graph.constant dense<0.0> : tensor<f32>
  %i = graph.constant dense<0xFF800000> : tensor<f32>
  %qt = graph.transpose %q [0, 2, 1, 3] : (tensor<2x64x4x16xf32>) -> tensor<2x4x64x16xf32>
  %kt = graph.transpose %k [0, 2, 3, 1] : (tensor<2x80x4x16xf32>) -> tensor<2x4x16x80xf32>
  %vt = graph.transpose %v [0, 2, 1, 3] : (tensor<2x80x4x16xf32>) -> tensor<2x4x80x16xf32>
  %cb = graph.broadcast %c [] : (tensor<f32>) -> tensor<2x4x64x16xf32>
  %qs = graph.multiply %qt, %cb : tensor<2x4x64x16xf32>
  %row = graph.iota 0 : tensor<64x80xi64>
  %column = graph.iota 1 : tensor<64x80xi64>
  %keep = graph.compare less_equal %column, %row : (tensor<64x80xi64>, tensor<64x80xi64>) -> tensor<64x80xi1>
  %zm = graph.broadcast %z [] : (tensor<f32>) -> tensor<64x80xf32>
  %im = graph.broadcast %i [] : (tensor<f32>) -> tensor<64x80xf32>
  %m = graph.select %keep, %zm, %im : tensor<64x80xi1>, tensor<64x80xf32>
  %s = graph.dot_general %qs, %kt batch [0, 1] x [0, 1] contract [3] x [2] : (tensor<2x4x64x16xf32>, tensor<2x4x16x80xf32>) -> tensor<2x4x64x80xf32>
  %mb = graph.broadcast %m [2, 3] : (tensor<64x80xf32>) -> tensor<2x4x64x80xf32>
  %a = graph.add %s, %mb : tensor<2x4x64x80xf32>
  %p = graph.softmax %a axis 3 : tensor<2x4x64x80xf32>
  %n = graph.is_nan %p : (tensor<2x4x64x80xf32>) -> tensor<2x4x64x80xi1>
  %zb = graph.broadcast %z [] : (tensor<f32>) -> tensor<2x4x64x80xf32>
  %w = graph.select %n, %zb, %p : tensor<2x4x64x80xi1>, tensor<2x4x64x80xf32>
  %y = graph.dot_general %w, %vt batch [0, 1] x [0, 1] contract [3] x [2] : (tensor<2x4x64x80xf32>, tensor<2x4x80x16xf32>) -> tensor<2x4x64x16xf32>
  %t = graph.transpose %y [0, 2, 1, 3] : (tensor<2x4x64x16xf32>) -> tensor<2x64x4x16xf32>
  %r = graph.reshape %t : (tensor<2x64x4x16xf32>) -> tensor<2x64x64xf32>
  return %r : tensor<2x64x64xf32>
}

// -----

// Masks of lengths and of indices and their sum need no memory.
// CHECK-LABEL: exec.kernel
// CHECK-SAME: (%{{.*}}: tensor<2xi64>, %{{.*}}: tensor<2x64x16xf32>, %{{.*}}: tensor<2x16x80xf32>, %{{.*}}: tensor<2x80x16xf32>) -> (tensor<2x64x16xf32>)
// CHECK-NOT: exec.kernel
// CHECK: exec.program
func.func @main(%q: tensor<2x64x16xf32>, %k: tensor<2x16x80xf32>, %v: tensor<2x80x16xf32>, %lengths: tensor<2xi64>) -> tensor<2x64x16xf32> {
  %z = graph.constant dense<0.0> : tensor<f32>
  %i = graph.constant dense<0xFF800000> : tensor<f32>
  %zm = graph.broadcast %z [] : (tensor<f32>) -> tensor<2x64x80xf32>
  %im = graph.broadcast %i [] : (tensor<f32>) -> tensor<2x64x80xf32>
  %row = graph.iota 1 : tensor<2x64x80xi64>
  %column = graph.iota 2 : tensor<2x64x80xi64>
  %length = graph.broadcast %lengths [0] : (tensor<2xi64>) -> tensor<2x64x80xi64>
  %there = graph.compare less %column, %length : (tensor<2x64x80xi64>, tensor<2x64x80xi64>) -> tensor<2x64x80xi1>
  %m0 = graph.select %there, %zm, %im : tensor<2x64x80xi1>, tensor<2x64x80xf32>
  %keep = graph.compare less_equal %column, %row : (tensor<2x64x80xi64>, tensor<2x64x80xi64>) -> tensor<2x64x80xi1>
  %m1 = graph.select %keep, %zm, %im : tensor<2x64x80xi1>, tensor<2x64x80xf32>
  %m = graph.add %m0, %m1 : tensor<2x64x80xf32>
  %s = graph.dot_general %q, %k batch [0] x [0] contract [2] x [1] : (tensor<2x64x16xf32>, tensor<2x16x80xf32>) -> tensor<2x64x80xf32>
  %a = graph.add %s, %m : tensor<2x64x80xf32>
  %p = graph.softmax %a axis 2 : tensor<2x64x80xf32>
  %y = graph.dot_general %p, %v batch [0] x [0] contract [2] x [1] : (tensor<2x64x80xf32>, tensor<2x80x16xf32>) -> tensor<2x64x16xf32>
  return %y : tensor<2x64x16xf32>
}

// -----

// The weights are a result too: they have to be in memory.
// CHECK-COUNT-3: exec.kernel
// CHECK: exec.program
func.func @main(%q: tensor<2x64x16xf32>, %k: tensor<2x16x80xf32>, %v: tensor<2x80x16xf32>) -> (tensor<2x64x16xf32>, tensor<2x64x80xf32>) {
  %s = graph.dot_general %q, %k batch [0] x [0] contract [2] x [1] : (tensor<2x64x16xf32>, tensor<2x16x80xf32>) -> tensor<2x64x80xf32>
  %p = graph.softmax %s axis 2 : tensor<2x64x80xf32>
  %y = graph.dot_general %p, %v batch [0] x [0] contract [2] x [1] : (tensor<2x64x80xf32>, tensor<2x80x16xf32>) -> tensor<2x64x16xf32>
  return %y, %p : tensor<2x64x16xf32>, tensor<2x64x80xf32>
}

// -----

// Weights that are chosen one by one are no multiple of their row.
// CHECK-COUNT-3: exec.kernel
// CHECK: exec.program
func.func @main(%q: tensor<2x64x16xf32>, %k: tensor<2x16x80xf32>, %v: tensor<2x80x16xf32>, %keep: tensor<2x64x80xi1>) -> tensor<2x64x16xf32> {
  %z = graph.constant dense<0.0> : tensor<f32>
  %s = graph.dot_general %q, %k batch [0] x [0] contract [2] x [1] : (tensor<2x64x16xf32>, tensor<2x16x80xf32>) -> tensor<2x64x80xf32>
  %p = graph.softmax %s axis 2 : tensor<2x64x80xf32>
  %zb = graph.broadcast %z [] : (tensor<f32>) -> tensor<2x64x80xf32>
  %w = graph.select %keep, %p, %zb : tensor<2x64x80xi1>, tensor<2x64x80xf32>
  %y = graph.dot_general %w, %v batch [0] x [0] contract [2] x [1] : (tensor<2x64x80xf32>, tensor<2x80x16xf32>) -> tensor<2x64x16xf32>
  return %y : tensor<2x64x16xf32>
}

// -----

// 300 columns of values are more than a workgroup keeps in registers.
// CHECK-COUNT-3: exec.kernel
// CHECK: exec.program
func.func @main(%q: tensor<2x64x16xf32>, %k: tensor<2x16x80xf32>, %v: tensor<2x80x300xf32>) -> tensor<2x64x300xf32> {
  %s = graph.dot_general %q, %k batch [0] x [0] contract [2] x [1] : (tensor<2x64x16xf32>, tensor<2x16x80xf32>) -> tensor<2x64x80xf32>
  %p = graph.softmax %s axis 2 : tensor<2x64x80xf32>
  %y = graph.dot_general %p, %v batch [0] x [0] contract [2] x [1] : (tensor<2x64x80xf32>, tensor<2x80x300xf32>) -> tensor<2x64x300xf32>
  return %y : tensor<2x64x300xf32>
}
