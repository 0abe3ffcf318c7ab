// RUN: aicc-opt %s --aicc-lower-kernels | FileCheck %s

// CHECK-DAG: #[[PANELS:.*]] = affine_map<(d0, d1, d2) -> (d1 floordiv 16, d2, d1 mod 16)>
// CHECK-DAG: #[[WINDOW:.*]] = affine_map<(d0, d1, d2, d3) -> (d0, d1 * 2 + d3, d2)>
// CHECK-DAG: #[[GROUPS:.*]] = affine_map<(d0, d1, d2, d3, d4, d5) -> (d0, d1, d2 * 3 + d3)>
// CHECK-DAG: #[[TILED:.*]] = affine_map<(d0, d1, d2, d3) -> (d0, d3, d2 floordiv 2)>
module {

// CHECK-LABEL: exec.kernel @dot
// CHECK: linalg.generic {{.*}} iterator_types = ["parallel", "parallel", "reduction"]}
// CHECK: %[[P:.*]] = arith.mulf
// CHECK: arith.addf %{{.*}}, %[[P]]
exec.kernel @dot(%a: tensor<4x8xf32>, %b: tensor<8x2xf32>) -> (tensor<4x2xf32>) {
  %0 = graph.dot_general %a, %b batch [] x [] contract [1] x [0] : (tensor<4x8xf32>, tensor<8x2xf32>) -> tensor<4x2xf32>
  exec.return %0 : tensor<4x2xf32>
}

// CHECK-LABEL: exec.kernel @dot_packed
// CHECK: linalg.generic {indexing_maps = [#{{.*}}, #[[PANELS]], #{{.*}}]
exec.kernel @dot_packed(%a: tensor<4x8xf32>, %b: tensor<2x8x16xf32>) -> (tensor<4x20xf32>) {
  %0 = graph.dot_general %a, %b batch [] x [] contract [1] x [0] {rhs_packed = 16 : i64, rhs_columns = 20 : i64} : (tensor<4x8xf32>, tensor<2x8x16xf32>) -> tensor<4x20xf32>
  exec.return %0 : tensor<4x20xf32>
}

// CHECK-LABEL: exec.kernel @dot_bytes
// CHECK: arith.extui %{{.*}} : i8 to i32
// CHECK: arith.extsi %{{.*}} : i8 to i32
// CHECK: arith.muli
// CHECK: arith.addi
exec.kernel @dot_bytes(%a: tensor<4x8xui8>, %b: tensor<8x2xi8>) -> (tensor<4x2xi32>) {
  %0 = graph.dot_general %a, %b batch [] x [] contract [1] x [0] {accumulator = i32} : (tensor<4x8xui8>, tensor<8x2xi8>) -> tensor<4x2xi32>
  exec.return %0 : tensor<4x2xi32>
}

// A depthwise convolution has one loop for the channel.
// CHECK-LABEL: exec.kernel @depthwise
// CHECK: linalg.generic {indexing_maps = [#[[WINDOW]],
// CHECK-SAME: iterator_types = ["parallel", "parallel", "parallel", "reduction"]
exec.kernel @depthwise(%x: tensor<1x9x6xf32>, %w: tensor<3x1x6xf32>) -> (tensor<1x4x6xf32>) {
  %0 = graph.convolution %x, %w strides [2] low [0] high [0] dilations [1] groups 6 {channels_last} : (tensor<1x9x6xf32>, tensor<3x1x6xf32>) -> tensor<1x4x6xf32>
  exec.return %0 : tensor<1x4x6xf32>
}

// CHECK-LABEL: exec.kernel @grouped
// CHECK: linalg.generic {indexing_maps = [#{{.*}}, #{{.*}}, #{{.*}}, #[[GROUPS]]]
exec.kernel @grouped(%x: tensor<1x9x4xf32>, %w: tensor<3x2x6xf32>) -> (tensor<1x7x6xf32>) {
  %0 = graph.convolution %x, %w strides [1] low [0] high [0] dilations [1] groups 2 {channels_last} : (tensor<1x9x4xf32>, tensor<3x2x6xf32>) -> tensor<1x7x6xf32>
  exec.return %0 : tensor<1x7x6xf32>
}

// CHECK-LABEL: exec.kernel @padded
// CHECK: arith.cmpi ult
// CHECK: tensor.extract
// CHECK: arith.select
exec.kernel @padded(%x: tensor<1x4x9xf32>, %w: tensor<6x4x3xf32>) -> (tensor<1x6x9xf32>) {
  %0 = graph.convolution %x, %w strides [1] low [1] high [1] dilations [1] groups 1 : (tensor<1x4x9xf32>, tensor<6x4x3xf32>) -> tensor<1x6x9xf32>
  exec.return %0 : tensor<1x6x9xf32>
}

// Windows that tile the result have one source for each element.
// CHECK-LABEL: exec.kernel @transposed_tiles
// CHECK: linalg.generic {indexing_maps = [#[[TILED]],
// CHECK-NOT: tensor.extract
exec.kernel @transposed_tiles(%x: tensor<1x4x5xf32>, %w: tensor<4x3x2xf32>) -> (tensor<1x3x10xf32>) {
  %0 = graph.convolution_transpose %x, %w strides [2] low [0] high [0] dilations [1] extra [0] groups 1 : (tensor<1x4x5xf32>, tensor<4x3x2xf32>) -> tensor<1x3x10xf32>
  exec.return %0 : tensor<1x3x10xf32>
}

// CHECK-LABEL: exec.kernel @transposed
// CHECK: arith.divsi
// CHECK: tensor.extract
// CHECK: arith.select
exec.kernel @transposed(%x: tensor<1x4x5xf32>, %w: tensor<4x3x3xf32>) -> (tensor<1x3x11xf32>) {
  %0 = graph.convolution_transpose %x, %w strides [2] low [0] high [0] dilations [1] extra [0] groups 1 : (tensor<1x4x5xf32>, tensor<4x3x3xf32>) -> tensor<1x3x11xf32>
  exec.return %0 : tensor<1x3x11xf32>
}
}
