// RUN: aicc %s -o %t.aicc --target=cpu --no-cache
// RUN: aicc-run %t.aicc --describe --json | FileCheck %s
// RUN: aicc-run %t.aicc --input x=%S/Inputs/ones.npy --expect y=%S/Inputs/sixteens.npy

// Two loops with one symbol in the IR: the package gives each its own, and
// their equal bodies are one kernel.
// CHECK: "y"
func.func @main(%x: tensor<4xf32> {graph.name = "x"}) -> (tensor<4xf32> {graph.name = "y"}) {
  %a = graph.loop affine_map<() -> (2)> symbol 0 carries %x : (tensor<4xf32>) -> tensor<4xf32> {
  ^bb0(%c: tensor<4xf32>):
    %d = graph.add %c, %c : tensor<4xf32>
    graph.yield %d : tensor<4xf32>
  }
  %b = graph.loop affine_map<() -> (2)> symbol 0 carries %a : (tensor<4xf32>) -> tensor<4xf32> {
  ^bb0(%c: tensor<4xf32>):
    %d = graph.add %c, %c : tensor<4xf32>
    graph.yield %d : tensor<4xf32>
  }
  return %b : tensor<4xf32>
}
