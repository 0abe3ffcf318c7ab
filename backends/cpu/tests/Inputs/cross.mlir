exec.kernel @product(%a: tensor<13x40xf32>, %w: tensor<5x40x8xf32>, %b: tensor<37xf32>) -> (tensor<13x37xf32>) {
  %0 = graph.dot_general %a, %w batch [] x [] contract [1] x [0] {rhs_packed = 8 : i64, rhs_columns = 37 : i64} : (tensor<13x40xf32>, tensor<5x40x8xf32>) -> tensor<13x37xf32>
  %1 = graph.broadcast %b [1] : (tensor<37xf32>) -> tensor<13x37xf32>
  %2 = graph.add %0, %1 : tensor<13x37xf32>
  exec.return %2 : tensor<13x37xf32>
}
exec.kernel @rows(%a: tensor<?x19xf32, affine_map<()[s0] -> (s0, 19)>>) -> (tensor<?x19xf32, affine_map<()[s0] -> (s0, 19)>>) {
  %0 = graph.softmax %a axis 1 : tensor<?x19xf32, affine_map<()[s0] -> (s0, 19)>>
  exec.return %0 : tensor<?x19xf32, affine_map<()[s0] -> (s0, 19)>>
}
exec.kernel @swap(%a: tensor<11x7xf32>) -> (tensor<7x11xf32>) {
  %0 = graph.transpose %a [1, 0] : (tensor<11x7xf32>) -> tensor<7x11xf32>
  exec.return %0 : tensor<7x11xf32>
}
exec.kernel @pool(%a: tensor<1x9x9x12xf32>) -> (tensor<1x5x5x12xf32>) {
  %0 = graph.reduce_window maximum %a window [1, 3, 3, 1] strides [1, 2, 2, 1] low [0, 1, 1, 0] high [0, 1, 1, 0] dilations [1, 1, 1, 1] : (tensor<1x9x9x12xf32>) -> tensor<1x5x5x12xf32>
  exec.return %0 : tensor<1x5x5x12xf32>
}
