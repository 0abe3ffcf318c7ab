// The inner loops, read in assembly.
// RUN: sed 's/PANELS/8/g; s/PANEL/32/g' %s > %t.v4.mlir
// RUN: aicc-cpu-kernel %t.v4.mlir x86-64-v4 %t.so %t.v4.s
// RUN: FileCheck-22 %s --check-prefix=V4 --implicit-check-not='(%%rsp)' < %t.v4.s
// RUN: sed 's/PANELS/16/g; s/PANEL/16/g' %s > %t.v3.mlir
// RUN: aicc-cpu-kernel %t.v3.mlir x86-64-v3 %t.so %t.v3.s
// RUN: FileCheck-22 %s --check-prefix=V3 --implicit-check-not='(%%rsp)' < %t.v3.s

// Twelve rows by two vectors, four steps at a time: an element is broadcast
// from memory and meets two registers; nothing is on the stack.
// V4-LABEL: product:
// V4: vbroadcastss {{.*}}(%r{{.*}},4), %zmm
// V4-COUNT-96: vfmadd231ps %zmm
// V4: jb

// Six rows by two.
// V3-LABEL: product:
// V3: vbroadcastss {{.*}}(%r{{.*}},4), %ymm
// V3-COUNT-48: vfmadd231ps %ymm
// V3: jb
exec.kernel @product(%a: tensor<96x512xf32>, %w: tensor<PANELSx512xPANELxf32>) -> (tensor<96x256xf32>) {
  %0 = graph.dot_general %a, %w batch [] x [] contract [1] x [0] {rhs_packed = PANEL : i64, rhs_columns = 256 : i64} : (tensor<96x512xf32>, tensor<PANELSx512xPANELxf32>) -> tensor<96x256xf32>
  exec.return %0 : tensor<96x256xf32>
}
