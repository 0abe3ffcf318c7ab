// RUN: aicc-opt %s | aicc-opt | FileCheck %s

#d = affine_map<()[s0] -> (s0, 4)>

// CHECK: exec.kernel @square(%arg0: tensor<?x4xf32> as tensor<?x4xf32, #{{.*}}>) -> (tensor<?x4xf32, #{{.*}}>) attributes {in_place = array<i64: 0>, sources = ["mul"]}
exec.kernel @square(%a: tensor<?x4xf32> as tensor<?x4xf32, #d>) -> (tensor<?x4xf32, #d>) attributes {in_place = array<i64: 0>, sources = ["mul"]} {
  // CHECK: exec.symbol 0
  %n = exec.symbol 0
  %e = tensor.empty(%n) : tensor<?x4xf32>
  exec.return %e : tensor<?x4xf32>
}

exec.kernel @scatter(%a: tensor<5x4xf32>, %p: tensor<3x4xi64>, %u: tensor<3x4xf32>) -> (tensor<5x4xf32>) {
  // CHECK: exec.scatter %{{.*}}, %{{.*}}, %{{.*}} axis 0 : tensor<5x4xf32>, tensor<3x4xi64>, tensor<3x4xf32> {
  %0 = exec.scatter %a, %p, %u axis 0 : tensor<5x4xf32>, tensor<3x4xi64>, tensor<3x4xf32> {
  ^bb0(%old: f32, %update: f32):
    // CHECK: exec.combine %{{.*}} : f32
    exec.combine %update : f32
  }
  exec.return %0 : tensor<5x4xf32>
}

// CHECK: exec.program @program("x" = %arg0: tensor<?x4xf32, #{{.*}}>) -> ("y")
exec.program @program("x" = %x: tensor<?x4xf32, #d>) -> ("y") {
  // CHECK: exec.constant dense<1.000000e+00> : tensor<4xf32>
  %c = exec.constant dense<1.0> : tensor<4xf32>
  // CHECK: exec.launch @square(%arg0) : (tensor<?x4xf32, #{{.*}}>) -> tensor<?x4xf32, #{{.*}}>
  %0 = exec.launch @square(%x) : (tensor<?x4xf32, #d>) -> tensor<?x4xf32, #d>
  // CHECK: exec.view
  %1 = exec.view %0 : (tensor<?x4xf32, #d>) -> tensor<?xf32, affine_map<()[s0] -> (s0 * 4)>>
  %2 = exec.view %1 : (tensor<?xf32, affine_map<()[s0] -> (s0 * 4)>>) -> tensor<?x4xf32, #d>
  // CHECK: exec.loop {{.*}} symbol 1 carries %{{.*}} : (tensor<?x4xf32, #{{.*}}>) -> tensor<?x4xf32, #{{.*}}>
  %3 = exec.loop affine_map<()[s0] -> (s0)> symbol 1 carries %2 : (tensor<?x4xf32, #d>) -> tensor<?x4xf32, #d> {
  ^bb0(%b: tensor<?x4xf32, #d>):
    // CHECK: exec.update %{{.*}}, %{{.*}} at #{{.*}} : tensor<?x4xf32, #{{.*}}>, tensor<?x4xf32, #{{.*}}>
    %u = exec.update %b, %b at affine_map<()[s0] -> (s0 * 4)> : tensor<?x4xf32, #d>, tensor<?x4xf32, #d>
    // CHECK: exec.copy
    %4 = exec.copy %b : tensor<?x4xf32, #d>
    // CHECK: exec.yield
    exec.yield %4 : tensor<?x4xf32, #d>
  }
  // CHECK: exec.finish
  exec.finish %3 : tensor<?x4xf32, #d>
}

// CHECK: exec.program @control
exec.program @control("n" = %n: tensor<2xi64>, "c" = %c: tensor<i1>, "x" = %x: tensor<4xf32>) -> ("y") {
  // CHECK: exec.read %{{.*}}[1] symbol 0 minimum 1 {sources = ["node"]} : tensor<2xi64>
  exec.read %n[1] symbol 0 minimum 1 {sources = ["node"]} : tensor<2xi64>
  // CHECK: exec.loop #{{.*}} symbol 1 while trips 2 carries
  %0:2 = exec.loop affine_map<()[s0] -> (s0)> symbol 1 while trips 2 carries %c, %x : (tensor<i1>, tensor<4xf32>) -> (tensor<i1>, tensor<4xf32>) {
  ^bb0(%a: tensor<i1>, %b: tensor<4xf32>):
    exec.yield %a, %b : tensor<i1>, tensor<4xf32>
  }
  // CHECK: exec.if %{{.*}} : tensor<i1> -> tensor<4xf32> {
  %1 = exec.if %0#0 : tensor<i1> -> tensor<4xf32> {
    exec.yield %x : tensor<4xf32>
  // CHECK: } else {
  } else {
    exec.yield %0#1 : tensor<4xf32>
  }
  exec.finish %1 : tensor<4xf32>
}
