// RUN: rm -rf %t && aicc %s --target=cpu:x86-64-v4 --no-cache --save-objects=%t -o %t.aicc
// RUN: cat %t/cpu-x86-64-v4/*.s | FileCheck %s

// Bits are transposed: no conversion, and no function of a library for it.
// CHECK-NOT: truncsfbf2
// CHECK-NOT: call
// CHECK: vpermt2
// CHECK-NOT: truncsfbf2
func.func @main(%x: tensor<30x32x120xbf16>) -> tensor<30x120x32xbf16> {
  %y = graph.transpose %x [0, 2, 1] : (tensor<30x32x120xbf16>) -> tensor<30x120x32xbf16>
  return %y : tensor<30x120x32xbf16>
}
