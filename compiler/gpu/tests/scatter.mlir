// RUN: aicc-opt %s --aicc-lower-kernels --aicc-lower-to-gpu=subgroup=32 --canonicalize | FileCheck %s

// A thread has a piece of the line: it copies it and applies the updates that
// fall into it, in their order.
// CHECK-LABEL: llvm.func @scatter
// CHECK-SAME: grid = "() -> (1, 1, 1)"
// CHECK: scf.for
// CHECK: llvm.store
// CHECK: scf.for
// CHECK: %[[INSIDE:.*]] = arith.cmpi ult
// CHECK: scf.if %[[INSIDE]]
// CHECK: arith.addf
// CHECK: llvm.store
exec.kernel @scatter(%a: tensor<500xf32>, %i: tensor<30xi64>, %u: tensor<30xf32>) -> (tensor<500xf32>) {
  %0 = graph.scatter %a, %i, %u axis 0 kind sum : tensor<500xf32>, tensor<30xi64>, tensor<30xf32>
  exec.return %0 : tensor<500xf32>
}
