// Along a dimension that isn't the last, neighbours in memory are elements of
// other rows: those are the lanes, and what a row needs is computed once for it,
// not once for each of its elements. So exponentials are there twice: in whole
// vectors and in the masked one at the end, neither of them on the way to a
// result.
// RUN: aicc-cpu-kernel %s x86-64-v3 %t.so %t.s
// RUN: FileCheck-22 %s < %t.s

// CHECK-LABEL: softmax:
// CHECK: vmaxps
// CHECK-COUNT-2: vpslld $23,
// CHECK-NOT: vpslld $23,
// CHECK: vdivps
// CHECK-NOT: vpslld $23,
// CHECK: vmulps
// CHECK: vmaskmovps
// CHECK-COUNT-2: vpslld $23,
// CHECK: vdivps
// CHECK-NOT: vpslld $23,
exec.kernel @softmax(%x: tensor<8x3137x19xf32>) -> (tensor<8x3137x19xf32>) {
  %0 = graph.softmax %x axis 1 : tensor<8x3137x19xf32>
  exec.return %0 : tensor<8x3137x19xf32>
}
