// RUN: aicc-opt %s --split-input-file --verify-diagnostics | FileCheck %s

// CHECK-LABEL: @call
func.func @call(%a: tensor<4x!graph.string>) -> tensor<4xi64> {
  // CHECK: graph.call "f"(%{{.*}}) {options = "{\22k\22: 1}"} : (tensor<4x!graph.string>) -> (tensor<4xi64>, tensor<i64>)
  %0:2 = graph.call "f"(%a) {options = "{\22k\22: 1}"} : (tensor<4x!graph.string>) -> (tensor<4xi64>, tensor<i64>)
  return %0#0 : tensor<4xi64>
}

// -----

func.func @call_without_name(%a: tensor<4xui8>) {
  // expected-error @+1 {{function has no name}}
  %0 = graph.call ""(%a) : (tensor<4xui8>) -> tensor<4xi64>
  return
}

// -----

func.func @call_options(%a: tensor<4xui8>) {
  // expected-error @+1 {{options are no JSON}}
  %0 = graph.call "f"(%a) {options = "{"} : (tensor<4xui8>) -> tensor<4xi64>
  return
}

// -----

func.func @call_options_list(%a: tensor<4xui8>) {
  // expected-error @+1 {{options are no JSON object}}
  %0 = graph.call "f"(%a) {options = "[]"} : (tensor<4xui8>) -> tensor<4xi64>
  return
}
