// RUN: not aicc %s --emit=simplify 2>&1 | FileCheck %s
// RUN: not aicc %s --emit=simplify --dim n=3 2>&1 | FileCheck %s --check-prefix=DIM

// All element types that nothing after the import knows, in one go.
// CHECK: aicc: error: {{.*}}has element type 'f80', which is not supported
// CHECK: aicc: error: {{.*}}has element type 'i3', which is not supported
// DIM: aicc: error: --dim is for models, not for
func.func @main(%x: tensor<4xf80> {graph.name = "x"}) -> (tensor<4xi3> {graph.name = "y"}) {
  %y = graph.cast %x : (tensor<4xf80>) -> tensor<4xi3>
  return %y : tensor<4xi3>
}
