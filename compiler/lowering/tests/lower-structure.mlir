// RUN: aicc-opt %s --aicc-lower-kernels | FileCheck %s

// CHECK-DAG: #[[TRANSPOSED:.*]] = affine_map<(d0, d1, d2) -> (d1, d2, d0)>
// CHECK-DAG: #[[BROADCAST:.*]] = affine_map<(d0, d1, d2) -> (d1, 0)>
// CHECK-DAG: #[[BOX:.*]] = affine_map<(d0, d1) -> (d0 + 1, -d1 + 3)>
// CHECK-DAG: #[[REVERSED:.*]] = affine_map<(d0) -> (-d0 + 3)>
// CHECK-DAG: #[[SPLIT:.*]] = affine_map<(d0, d1, d2) -> (d0, d2 + d1 * 4)>
// CHECK-DAG: #[[JOINED:.*]] = affine_map<(d0, d1) -> (d0, d1 floordiv 4, d1 mod 4)>
module attributes {graph.symbols = ["n"]} {

// CHECK-LABEL: exec.kernel @transpose
// CHECK: linalg.generic {indexing_maps = [#[[TRANSPOSED]],
exec.kernel @transpose(%a: tensor<2x3x4xf32>) -> (tensor<4x2x3xf32>) {
  %0 = graph.transpose %a [2, 0, 1] : (tensor<2x3x4xf32>) -> tensor<4x2x3xf32>
  exec.return %0 : tensor<4x2x3xf32>
}

// CHECK-LABEL: exec.kernel @broadcast
// CHECK: linalg.generic {indexing_maps = [#[[BROADCAST]],
exec.kernel @broadcast(%a: tensor<3x1xf32>) -> (tensor<2x3x4xf32>) {
  %0 = graph.broadcast %a [1, 2] : (tensor<3x1xf32>) -> tensor<2x3x4xf32>
  exec.return %0 : tensor<2x3x4xf32>
}

// CHECK-LABEL: exec.kernel @slice
// CHECK: linalg.generic {indexing_maps = [#[[BOX]],
// CHECK-NOT: tensor.extract
exec.kernel @slice(%a: tensor<4x4xf32>) -> (tensor<2x4xf32>) {
  %0 = graph.slice %a at affine_map<() -> (1, 3)> [1, -1] : (tensor<4x4xf32>) -> tensor<2x4xf32>
  exec.return %0 : tensor<2x4xf32>
}

// A map (d0) would give the loop the operand's size.
// CHECK-LABEL: exec.kernel @prefix
// CHECK: tensor.extract
exec.kernel @prefix(%a: tensor<4xf32>) -> (tensor<2xf32>) {
  %0 = graph.slice %a at affine_map<() -> (0)> [1] : (tensor<4xf32>) -> tensor<2xf32>
  exec.return %0 : tensor<2xf32>
}

// Offsets known at run time are clamped into the tensor.
// CHECK-LABEL: exec.kernel @slice_symbol
// CHECK: %[[S:.*]] = exec.symbol 0
// CHECK: %[[AT:.*]] = arith.addi %[[S]], %{{.*}} : index
// CHECK: arith.minsi %[[AT]]
// CHECK: arith.maxsi
// CHECK: tensor.extract
exec.kernel @slice_symbol(%a: tensor<4xf32>) -> (tensor<2xf32>) {
  %0 = graph.slice %a at affine_map<()[s0] -> (s0)> [1] : (tensor<4xf32>) -> tensor<2xf32>
  exec.return %0 : tensor<2xf32>
}

// CHECK-LABEL: exec.kernel @reverse
// CHECK: linalg.generic {indexing_maps = [#[[REVERSED]],
exec.kernel @reverse(%a: tensor<4xf32>) -> (tensor<4xf32>) {
  %0 = graph.reverse %a [0] : tensor<4xf32>
  exec.return %0 : tensor<4xf32>
}

// CHECK-LABEL: exec.kernel @split
// CHECK: linalg.generic {indexing_maps = [#[[SPLIT]],
exec.kernel @split(%a: tensor<?x12xf32, affine_map<()[s0] -> (s0, 12)>>) -> (tensor<?x3x4xf32, affine_map<()[s0] -> (s0, 3, 4)>>) {
  %0 = graph.reshape %a : (tensor<?x12xf32, affine_map<()[s0] -> (s0, 12)>>) -> tensor<?x3x4xf32, affine_map<()[s0] -> (s0, 3, 4)>>
  exec.return %0 : tensor<?x3x4xf32, affine_map<()[s0] -> (s0, 3, 4)>>
}

// CHECK-LABEL: exec.kernel @join
// CHECK: linalg.generic {indexing_maps = [#[[JOINED]],
exec.kernel @join(%a: tensor<2x3x4xf32>) -> (tensor<2x12xf32>) {
  %0 = graph.reshape %a : (tensor<2x3x4xf32>) -> tensor<2x12xf32>
  exec.return %0 : tensor<2x12xf32>
}

// CHECK-LABEL: exec.kernel @concatenate
// CHECK: tensor.extract %{{.*}}[%{{.*}}] : tensor<2xf32>
// CHECK: tensor.extract %{{.*}}[%{{.*}}] : tensor<3xf32>
// CHECK: arith.cmpi sge
// CHECK: arith.select
exec.kernel @concatenate(%a: tensor<2xf32>, %b: tensor<3xf32>) -> (tensor<5xf32>) {
  %0 = graph.concatenate 0, %a, %b : (tensor<2xf32>, tensor<3xf32>) -> tensor<5xf32>
  exec.return %0 : tensor<5xf32>
}

// CHECK-LABEL: exec.kernel @pad
// CHECK: %[[IN:.*]] = arith.cmpi ult
// CHECK: %[[X:.*]] = tensor.extract
// CHECK: arith.select %[[IN]], %[[X]]
exec.kernel @pad(%a: tensor<2xf32>, %v: tensor<f32>) -> (tensor<4xf32>) {
  %0 = graph.pad %a, %v constant affine_map<() -> (1)> affine_map<() -> (1)> : (tensor<2xf32>, tensor<f32>) -> tensor<4xf32>
  exec.return %0 : tensor<4xf32>
}

// CHECK-LABEL: exec.kernel @gather
// CHECK: arith.index_cast %{{.*}} : i64 to index
// CHECK: arith.cmpi slt
// CHECK: arith.minsi
// CHECK: arith.maxsi
// CHECK: tensor.extract
exec.kernel @gather(%a: tensor<5x8xf32>, %i: tensor<3xi64>) -> (tensor<3x8xf32>) {
  %0 = graph.gather %a, %i axis 0 : (tensor<5x8xf32>, tensor<3xi64>) -> tensor<3x8xf32>
  exec.return %0 : tensor<3x8xf32>
}

// Nothing to compute: a fill over no elements, whatever the operator.
// CHECK-LABEL: exec.kernel @empty
// CHECK: linalg.generic
// CHECK-NEXT: ^bb0
// CHECK-NEXT: arith.constant 0.0
// CHECK-NEXT: linalg.yield
exec.kernel @empty(%a: tensor<0x3xf32>) -> (tensor<0x3xf32>) {
  %0 = graph.exp %a : tensor<0x3xf32>
  exec.return %0 : tensor<0x3xf32>
}
}
