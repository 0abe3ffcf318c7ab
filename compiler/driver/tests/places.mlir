// RUN: aicc %s --target=cpu:x86-64-v3+intel --place=second=intel --emit=kernels | FileCheck %s --check-prefix=KERNELS
// RUN: aicc %s --target=cpu:x86-64-v3+intel --place=second=intel --emit=schedule | FileCheck %s
// RUN: aicc %s --target=cpu:x86-64-v3+intel --place=second=intel -v -o %t.aicc 2>&1 | FileCheck %s --check-prefix=REPORT
// RUN: aicc-run %t.aicc --describe --json | FileCheck %s --check-prefix=PACKAGE
// RUN: aicc %s --target=cpu:x86-64-v3+intel --place=.=intel --place=third=cpu --emit=kernels | FileCheck %s --check-prefix=LAST
// RUN: aicc %s --target=cpu:x86-64-v3+cpu:x86-64-v3 --place=second=1 --emit=kernels | FileCheck %s --check-prefix=KERNELS

// Operators that one kernel would compute are three, because the one in the
// middle is for another target. What has no node is where it is needed.
// KERNELS-LABEL: // {{.*}}+{{.*}}
// KERNELS-NOT: device
// KERNELS: exec.kernel @k_first
// KERNELS: exec.kernel @k_second{{.*}} attributes {device = 1 : i64
// KERNELS: exec.kernel @k_third
// KERNELS: exec.program
// KERNELS: exec.launch @k_first
// KERNELS: exec.launch @k_second{{.*}} {device = 1 : i64}
// KERNELS: exec.launch @k_third

// The second kernel's operand is copied once, its result, which is an output
// besides, where it is needed; the input is given to both devices.
// CHECK: exec.program
// CHECK: %[[X:.*]] = exec.copy %arg0 {{{.*}}device = 1 : i64, port}
// CHECK: %[[A:.*]] = exec.launch @k_first
// CHECK-NEXT: %[[THERE:.*]] = exec.copy %[[A]] {{{.*}}device = 1 : i64}
// CHECK-NEXT: %[[B:.*]] = exec.launch @k_second(%[[THERE]], %[[X]]) {{{.*}}device = 1 : i64}
// CHECK-NEXT: %[[BACK:.*]] = exec.copy %[[B]] {
// CHECK-NEXT: %[[C:.*]] = exec.launch @k_third(%[[BACK]], %[[A]])
// CHECK-NEXT: exec.finish %[[C]], %[[B]]

// REPORT: cpu:x86-64-v3: 2 kernels
// REPORT-NEXT: from intel:generic: 1 copy, 256 bytes
// REPORT: intel:generic: 1 kernels
// REPORT-NEXT: from cpu:x86-64-v3: 1 copy, 256 bytes
// REPORT-NEXT: k_second ({{.*}} bytes): second

// PACKAGE: "device": 1
// PACKAGE: "family": "cpu+intel"
// PACKAGE: "target": "cpu:x86-64-v3+intel:generic"

// LAST: exec.kernel @k_second{{.*}} attributes {device = 1 : i64, sources = ["first", "second"]}
// LAST: exec.kernel @k_third{{.*}} attributes {{{in_place|sources}}
// LAST: exec.program
func.func @main(%x: tensor<64xf32> {graph.name = "x"}) -> (tensor<64xf32> {graph.name = "y"}, tensor<64xf32> {graph.name = "z"}) {
  %a = graph.exp %x : tensor<64xf32> loc("node:first")
  %b = graph.multiply %a, %x : tensor<64xf32> loc("node:second")
  %c = graph.add %b, %a : tensor<64xf32> loc("node:third")
  return %c, %b : tensor<64xf32>, tensor<64xf32>
}
