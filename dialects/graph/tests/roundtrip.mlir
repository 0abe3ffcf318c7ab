// RUN: aicc-opt %s | aicc-opt | FileCheck %s
// RUN: aicc-opt %s --mlir-print-op-generic | aicc-opt | FileCheck %s

module attributes {graph.symbols = ["batch", "length"]} {

// CHECK-LABEL: func.func @elementwise
func.func @elementwise(%a: tensor<?x8xf32, affine_map<()[s0] -> (s0, 8)>>,
                       %b: tensor<?x8xf32, affine_map<()[s0] -> (s0, 8)>>)
    -> tensor<?x8xf16, affine_map<()[s0] -> (s0, 8)>> {
  // CHECK: graph.add %{{.*}}, %{{.*}} : tensor<?x8xf32, #[[MAP:.*]]>
  %0 = graph.add %a, %b : tensor<?x8xf32, affine_map<()[s0] -> (s0, 8)>>
  // CHECK: graph.exp %{{.*}} : tensor<?x8xf32
  %1 = graph.exp %0 : tensor<?x8xf32, affine_map<()[s0] -> (s0, 8)>>
  // CHECK: graph.compare less %{{.*}}, %{{.*}} : (tensor<?x8xf32, #[[MAP]]>, tensor<?x8xf32, #[[MAP]]>) -> tensor<?x8xi1, #[[MAP]]>
  %2 = graph.compare less %0, %1 : (tensor<?x8xf32, affine_map<()[s0] -> (s0, 8)>>, tensor<?x8xf32, affine_map<()[s0] -> (s0, 8)>>) -> tensor<?x8xi1, affine_map<()[s0] -> (s0, 8)>>
  // CHECK: graph.is_nan
  %3 = graph.is_nan %0 : (tensor<?x8xf32, affine_map<()[s0] -> (s0, 8)>>) -> tensor<?x8xi1, affine_map<()[s0] -> (s0, 8)>>
  %4 = graph.or %2, %3 : tensor<?x8xi1, affine_map<()[s0] -> (s0, 8)>>
  // CHECK: graph.select %{{.*}}, %{{.*}}, %{{.*}} : tensor<?x8xi1, #[[MAP]]>, tensor<?x8xf32, #[[MAP]]>
  %5 = graph.select %4, %0, %1 : tensor<?x8xi1, affine_map<()[s0] -> (s0, 8)>>, tensor<?x8xf32, affine_map<()[s0] -> (s0, 8)>>
  // CHECK: graph.cast %{{.*}} : (tensor<?x8xf32, #[[MAP]]>) -> tensor<?x8xf16, #[[MAP]]>
  %6 = graph.cast %5 : (tensor<?x8xf32, affine_map<()[s0] -> (s0, 8)>>) -> tensor<?x8xf16, affine_map<()[s0] -> (s0, 8)>>
  return %6 : tensor<?x8xf16, affine_map<()[s0] -> (s0, 8)>>
}

// CHECK-LABEL: func.func @narrow_types
func.func @narrow_types(%a: tensor<4xf32>, %s: tensor<4x!graph.string>, %c: tensor<4xcomplex<f64>>)
    -> (tensor<4x!graph.string>, tensor<4xcomplex<f64>>) {
  // CHECK: graph.cast %{{.*}} {overflow} : (tensor<4xf32>) -> tensor<4xf8E4M3FN>
  %0 = graph.cast %a {overflow} : (tensor<4xf32>) -> tensor<4xf8E4M3FN>
  // CHECK: graph.cast %{{.*}} {rounding = #graph<rounding nearest>} : (tensor<4xf32>) -> tensor<4xf8E8M0FNU>
  %1 = graph.cast %a {rounding = #graph<rounding nearest>} : (tensor<4xf32>) -> tensor<4xf8E8M0FNU>
  // CHECK: graph.bitcast %{{.*}} : (tensor<4xf8E4M3FN>) -> tensor<4xi8>
  %2 = graph.bitcast %0 : (tensor<4xf8E4M3FN>) -> tensor<4xi8>
  // CHECK: graph.cast %{{.*}} : (tensor<4xi8>) -> tensor<4xui2>
  %3 = graph.cast %2 : (tensor<4xi8>) -> tensor<4xui2>
  return %s, %c : tensor<4x!graph.string>, tensor<4xcomplex<f64>>
}

// CHECK-LABEL: func.func @structure
func.func @structure(%a: tensor<2x3x4xf32>, %i: tensor<5xi64>, %p: tensor<2x3x4xi32>) {
  // CHECK: graph.constant dense<1.000000e+00> : tensor<f32>
  %c = graph.constant dense<1.0> : tensor<f32>
  // CHECK: graph.iota 1 : tensor<2x3xi64>
  %0 = graph.iota 1 : tensor<2x3xi64>
  // CHECK: graph.dimensions #{{.*}} : tensor<2xi64>
  %1 = graph.dimensions affine_map<()[s0] -> (s0 * 2, 3)> : tensor<2xi64>
  // CHECK: graph.reshape %{{.*}} : (tensor<2x3x4xf32>) -> tensor<6x4xf32>
  %2 = graph.reshape %a : (tensor<2x3x4xf32>) -> tensor<6x4xf32>
  // CHECK: graph.transpose %{{.*}} [2, 0, 1] : (tensor<2x3x4xf32>) -> tensor<4x2x3xf32>
  %3 = graph.transpose %a [2, 0, 1] : (tensor<2x3x4xf32>) -> tensor<4x2x3xf32>
  // CHECK: graph.broadcast %{{.*}} [1, 2] : (tensor<6x4xf32>) -> tensor<5x6x4xf32>
  %4 = graph.broadcast %2 [1, 2] : (tensor<6x4xf32>) -> tensor<5x6x4xf32>
  // CHECK: graph.slice %{{.*}} at #{{.*}} [1, 2, -1]
  %5 = graph.slice %a at affine_map<() -> (1, 0, 3)> [1, 2, -1] : (tensor<2x3x4xf32>) -> tensor<1x2x4xf32>
  // CHECK: graph.concatenate 0, %{{.*}}, %{{.*}} : (tensor<2x3x4xf32>, tensor<2x3x4xf32>) -> tensor<4x3x4xf32>
  %6 = graph.concatenate 0, %a, %a : (tensor<2x3x4xf32>, tensor<2x3x4xf32>) -> tensor<4x3x4xf32>
  // CHECK: graph.pad %{{.*}}, %{{.*}} constant
  %7 = graph.pad %a, %c constant affine_map<() -> (1, 0, 0)> affine_map<() -> (0, 2, -1)> : (tensor<2x3x4xf32>, tensor<f32>) -> tensor<3x5x3xf32>
  // CHECK: graph.reverse %{{.*}} [0, 2]
  %8 = graph.reverse %a [0, 2] : tensor<2x3x4xf32>
  // CHECK: graph.gather %{{.*}}, %{{.*}} axis 1 : (tensor<2x3x4xf32>, tensor<5xi64>) -> tensor<2x5x4xf32>
  %9 = graph.gather %a, %i axis 1 : (tensor<2x3x4xf32>, tensor<5xi64>) -> tensor<2x5x4xf32>
  // CHECK: graph.gather_elements
  %10 = graph.gather_elements %a, %p axis 2 : (tensor<2x3x4xf32>, tensor<2x3x4xi32>) -> tensor<2x3x4xf32>
  %11 = graph.reshape %i : (tensor<5xi64>) -> tensor<5x1xi64>
  // CHECK: graph.gather_nd %{{.*}}, %{{.*}} batch 0 : (tensor<2x3x4xf32>, tensor<5x1xi64>) -> tensor<5x3x4xf32>
  %12 = graph.gather_nd %a, %11 batch 0 : (tensor<2x3x4xf32>, tensor<5x1xi64>) -> tensor<5x3x4xf32>
  // CHECK: graph.resize %{{.*}} linear [1.000000e+00, 1.000000e+00, 2.000000e+00] "half_pixel" "floor"
  %13 = graph.resize %a linear [1.0, 1.0, 2.0] "half_pixel" "floor" : (tensor<2x3x4xf32>) -> tensor<2x3x8xf32>
  return
}

// CHECK-LABEL: func.func @reductions
func.func @reductions(%a: tensor<2x3x4xf32>, %b: tensor<2x4x5xf32>,
                      %x: tensor<1x4x8x8xf32>, %w: tensor<6x2x3x3xf32>, %t: tensor<4x3x3x3xf32>) {
  // CHECK: graph.dot_general %{{.*}}, %{{.*}} batch [0] x [0] contract [2] x [1] : (tensor<2x3x4xf32>, tensor<2x4x5xf32>) -> tensor<2x3x5xf32>
  %0 = graph.dot_general %a, %b batch [0] x [0] contract [2] x [1] : (tensor<2x3x4xf32>, tensor<2x4x5xf32>) -> tensor<2x3x5xf32>
  // CHECK: graph.convolution %{{.*}}, %{{.*}} strides [2, 1] low [1, 1] high [1, 1] dilations [1, 1] groups 2
  %1 = graph.convolution %x, %w strides [2, 1] low [1, 1] high [1, 1] dilations [1, 1] groups 2 : (tensor<1x4x8x8xf32>, tensor<6x2x3x3xf32>) -> tensor<1x6x4x8xf32>
  // CHECK: graph.convolution_transpose
  %2 = graph.convolution_transpose %x, %t strides [2, 2] low [1, 1] high [1, 1] dilations [1, 1] extra [1, 1] groups 1 : (tensor<1x4x8x8xf32>, tensor<4x3x3x3xf32>) -> tensor<1x3x16x16xf32>
  // CHECK: graph.reduce mean %{{.*}} [1, 2] : (tensor<2x3x4xf32>) -> tensor<2xf32>
  %3 = graph.reduce mean %a [1, 2] : (tensor<2x3x4xf32>) -> tensor<2xf32>
  // CHECK: graph.arg_reduce maximum %{{.*}} axis 2 {last}
  %4 = graph.arg_reduce maximum %a axis 2 {last} : (tensor<2x3x4xf32>) -> tensor<2x3xi64>
  // CHECK: graph.reduce_window maximum %{{.*}} window [1, 1, 3, 3]
  %5 = graph.reduce_window maximum %x window [1, 1, 3, 3] strides [1, 1, 2, 2] low [0, 0, 1, 1] high [0, 0, 1, 1] dilations [1, 1, 1, 1] : (tensor<1x4x8x8xf32>) -> tensor<1x4x4x4xf32>
  // CHECK: graph.softmax %{{.*}} axis 2 : tensor<2x3x4xf32>
  %6 = graph.softmax %a axis 2 : tensor<2x3x4xf32>
  // CHECK: graph.softmax %{{.*}} axis 1 {log} : tensor<2x3x4xf32>
  %7 = graph.softmax %a axis 1 {log} : tensor<2x3x4xf32>
  // CHECK: graph.normalize %{{.*}} axis 1 epsilon {{.*}} : tensor<2x3x4xf32>
  %8 = graph.normalize %a axis 1 epsilon 1.0e-5 : tensor<2x3x4xf32>
  // CHECK: graph.cumulative sum %{{.*}} axis 2 {exclusive} : tensor<2x3x4xf32>
  %9 = graph.cumulative sum %a axis 2 {exclusive} : tensor<2x3x4xf32>
  return
}

// CHECK-LABEL: func.func @indexing
func.func @indexing(%a: tensor<2x5x4xf32>, %i: tensor<2x3x4xi32>, %u: tensor<2x3x4xf32>,
                    %o: tensor<2x5x4xi64>, %x: tensor<1x4x8x8xf32>, %p: tensor<3x6x2xf32>,
                    %b: tensor<3xi64>, %n: tensor<6x2xi64>, %w: tensor<6x2xf32>) {
  // CHECK: graph.scatter %{{.*}}, %{{.*}}, %{{.*}} axis 1 : tensor<2x5x4xf32>, tensor<2x3x4xi32>, tensor<2x3x4xf32>
  %0 = graph.scatter %a, %i, %u axis 1 : tensor<2x5x4xf32>, tensor<2x3x4xi32>, tensor<2x3x4xf32>
  // CHECK: graph.scatter %{{.*}} axis 1 kind maximum
  %1 = graph.scatter %a, %i, %u axis 1 kind maximum : tensor<2x5x4xf32>, tensor<2x3x4xi32>, tensor<2x3x4xf32>
  // CHECK: graph.merge_runs %{{.*}}, %{{.*}} pass #{{.*}} {descending} : tensor<2x5x4xf32>, tensor<2x5x4xi64>
  %2 = graph.merge_runs %a, %o pass affine_map<()[s0, s1] -> (s1)> {descending} : tensor<2x5x4xf32>, tensor<2x5x4xi64>
  // CHECK: graph.arg_reduce_window %{{.*}} window [3, 3] strides [2, 2] low [1, 1] dilations [1, 1]
  %3 = graph.arg_reduce_window %x window [3, 3] strides [2, 2] low [1, 1] dilations [1, 1] : (tensor<1x4x8x8xf32>) -> tensor<1x4x4x4xi64>
  // CHECK: graph.sample %{{.*}}, %{{.*}} batches %{{.*}} linear zeros
  %4 = graph.sample %x, %p batches %b linear zeros : (tensor<1x4x8x8xf32>, tensor<3x6x2xf32>, tensor<3xi64>) -> tensor<3x4x6xf32>
  // CHECK: graph.resample %{{.*}}, %{{.*}}, %{{.*}} axis 1
  %5 = graph.resample %a, %n, %w axis 1 : (tensor<2x5x4xf32>, tensor<6x2xi64>, tensor<6x2xf32>) -> tensor<2x6x4xf32>
  return
}

// CHECK-LABEL: func.func @loop
func.func @loop(%h: tensor<4xf32>, %y: tensor<?x4xf32, affine_map<()[s0, s1] -> (s1, 4)>>)
    -> tensor<?x4xf32, affine_map<()[s0, s1] -> (s1, 4)>> {
  // CHECK: graph.loop #{{.*}} symbol 2 carries %{{.*}}, %{{.*}} : (tensor<4xf32>, tensor<?x4xf32, #{{.*}}>) -> (tensor<4xf32>, tensor<?x4xf32, #{{.*}}>) {
  %0:2 = graph.loop affine_map<()[s0, s1] -> (s1)> symbol 2 carries %h, %y : (tensor<4xf32>, tensor<?x4xf32, affine_map<()[s0, s1] -> (s1, 4)>>) -> (tensor<4xf32>, tensor<?x4xf32, affine_map<()[s0, s1] -> (s1, 4)>>) {
  ^bb0(%a: tensor<4xf32>, %b: tensor<?x4xf32, affine_map<()[s0, s1] -> (s1, 4)>>):
    // CHECK: graph.slice %{{.*}} at #{{.*}} [1, 1] : (tensor<?x4xf32, #{{.*}}>) -> tensor<1x4xf32>
    %1 = graph.slice %b at affine_map<()[s0, s1, s2] -> (s2, 0)> [1, 1] : (tensor<?x4xf32, affine_map<()[s0, s1] -> (s1, 4)>>) -> tensor<1x4xf32>
    // CHECK: graph.update %{{.*}}, %{{.*}} at #{{.*}} : tensor<?x4xf32, #{{.*}}>, tensor<1x4xf32>
    %2 = graph.update %b, %1 at affine_map<()[s0, s1, s2] -> (s2, 0)> : tensor<?x4xf32, affine_map<()[s0, s1] -> (s1, 4)>>, tensor<1x4xf32>
    // CHECK: graph.yield %{{.*}}, %{{.*}} : tensor<4xf32>, tensor<?x4xf32, #{{.*}}>
    graph.yield %a, %2 : tensor<4xf32>, tensor<?x4xf32, affine_map<()[s0, s1] -> (s1, 4)>>
  }
  return %0#1 : tensor<?x4xf32, affine_map<()[s0, s1] -> (s1, 4)>>
}

// CHECK-LABEL: func.func @control
func.func @control(%n: tensor<2xi64>, %c: tensor<i1>, %x: tensor<4xf32>) -> tensor<?xf32, affine_map<()[s0, s1, s2] -> (s2)>> {
  // CHECK: graph.read %{{.*}}[1] symbol 2 : tensor<2xi64>
  graph.read %n[1] symbol 2 : tensor<2xi64>
  // CHECK: graph.read %{{.*}}[0] symbol 3 minimum 1 : tensor<2xi64>
  graph.read %n[0] symbol 3 minimum 1 : tensor<2xi64>
  // CHECK: graph.loop #{{.*}} symbol 4 while trips 5 carries %{{.*}}, %{{.*}} : (tensor<i1>, tensor<4xf32>) -> (tensor<i1>, tensor<4xf32>) {
  %0:2 = graph.loop affine_map<()[s0, s1, s2, s3] -> (s3)> symbol 4 while trips 5 carries %c, %x : (tensor<i1>, tensor<4xf32>) -> (tensor<i1>, tensor<4xf32>) {
  ^bb0(%a: tensor<i1>, %b: tensor<4xf32>):
    graph.yield %a, %b : tensor<i1>, tensor<4xf32>
  }
  // CHECK: graph.if %{{.*}} : tensor<i1> -> tensor<4xf32> {
  %1 = graph.if %0#0 : tensor<i1> -> tensor<4xf32> {
    graph.yield %x : tensor<4xf32>
  // CHECK: } else {
  } else {
    graph.yield %0#1 : tensor<4xf32>
  }
  // CHECK: graph.broadcast
  %2 = graph.slice %1 at affine_map<() -> (0)> [1] : (tensor<4xf32>) -> tensor<1xf32>
  %3 = graph.broadcast %2 [0] : (tensor<1xf32>) -> tensor<?xf32, affine_map<()[s0, s1, s2] -> (s2)>>
  return %3 : tensor<?xf32, affine_map<()[s0, s1, s2] -> (s2)>>
}
}
