// RUN: aicc-opt %s --split-input-file --verify-diagnostics

func.func @no_expression(%a: tensor<?x4xf32>) {
  // expected-error @+1 {{operand #0 must be ranked tensor with an expression for every dynamic dimension}}
  %0 = graph.exp %a : tensor<?x4xf32>
  return
}

// -----

func.func @wrong_encoding(%a: tensor<?x4xf32, affine_map<()[s0] -> (s0, 5)>>) {
  // expected-error @+1 {{operand #0 must be ranked tensor with an expression for every dynamic dimension}}
  %0 = graph.exp %a : tensor<?x4xf32, affine_map<()[s0] -> (s0, 5)>>
  return
}

// -----

func.func @elementwise(%a: tensor<4xi1>, %b: tensor<4xf32>, %c: tensor<5xf32>) {
  // expected-error @+1 {{mixes the dimensions of 'tensor<5xf32>' and 'tensor<4xi1>', expected one shape}}
  %0 = "graph.select"(%a, %c, %c) : (tensor<4xi1>, tensor<5xf32>, tensor<5xf32>) -> tensor<5xf32>
  return
}

// -----

func.func @bitcast(%a: tensor<4xf32>) {
  // expected-error @below {{reads 'f32' as 'i16', expected types of the same width}}
  %0 = graph.bitcast %a : (tensor<4xf32>) -> tensor<4xi16>
  return
}

// -----

func.func @cast(%a: tensor<4xf32>) {
  // expected-error @+1 {{mixes the dimensions of 'tensor<5xf16>' and 'tensor<4xf32>', expected one shape}}
  %0 = graph.cast %a : (tensor<4xf32>) -> tensor<5xf16>
  return
}

// -----

func.func @iota() {
  // expected-error @+1 {{axis is 2, expected one of a tensor of rank 1}}
  %0 = graph.iota 2 : tensor<4xi32>
  return
}

// -----

func.func @dimensions() {
  // expected-error @+1 {{expressions has 2 expressions, expected 3}}
  %0 = graph.dimensions affine_map<()[s0] -> (s0, 1)> : tensor<3xi64>
  return
}

// -----

func.func @reshape(%a: tensor<2x3xf32>) {
  // expected-error @+1 {{result 'tensor<7xf32>' has another number of elements than 'tensor<2x3xf32>'}}
  %0 = graph.reshape %a : (tensor<2x3xf32>) -> tensor<7xf32>
  return
}

// -----

func.func @transpose(%a: tensor<2x3xf32>) {
  // expected-error @+1 {{permutation is [0, 0], expected each of 0 to 1 once}}
  %0 = graph.transpose %a [0, 0] : (tensor<2x3xf32>) -> tensor<2x2xf32>
  return
}

// -----

func.func @inferred(%a: tensor<2x3xf32>) {
  // expected-error @+2 {{failed to infer returned types}}
  // expected-error @+1 {{inferred type(s) 'tensor<3x2xf32>' are incompatible with return type(s) of operation 'tensor<2x3xf32>'}}
  %0 = graph.transpose %a [1, 0] : (tensor<2x3xf32>) -> tensor<2x3xf32>
  return
}

// -----

func.func @broadcast(%a: tensor<3xf32>) {
  // expected-error @+1 {{dimension 0 of the operand is 3, expected 1 or 4}}
  %0 = graph.broadcast %a [1] : (tensor<3xf32>) -> tensor<2x4xf32>
  return
}

// -----

func.func @broadcast_order(%a: tensor<3x4xf32>) {
  // expected-error @+1 {{dimensions are [1, 0], expected ascending ones below 2}}
  %0 = graph.broadcast %a [1, 0] : (tensor<3x4xf32>) -> tensor<4x3xf32>
  return
}

// -----

func.func @slice(%a: tensor<4xf32>) {
  // expected-error @+1 {{reads element 4 of dimension 0, expected 0 to below 4}}
  %0 = graph.slice %a at affine_map<() -> (2)> [1] : (tensor<4xf32>) -> tensor<3xf32>
  return
}

// -----

func.func @slice_dynamic(%a: tensor<?xf32, affine_map<()[s0] -> (s0)>>) {
  // expected-error @+1 {{reads element s0 of dimension 0, expected 0 to below s0}}
  %0 = graph.slice %a at affine_map<()[s0] -> (s0 - 1)> [1] : (tensor<?xf32, affine_map<()[s0] -> (s0)>>) -> tensor<2xf32>
  return
}

// -----

func.func @slice_stride(%a: tensor<4xf32>) {
  // expected-error @+1 {{stride of dimension 0 is 0, expected another number}}
  %0 = graph.slice %a at affine_map<() -> (0)> [0] : (tensor<4xf32>) -> tensor<4xf32>
  return
}

// -----

func.func @concatenate(%a: tensor<2x3xf32>, %b: tensor<2x4xf32>) {
  // expected-error @+1 {{operand 1 is 'tensor<2x4xf32>', expected to differ from 'tensor<2x3xf32>' in dimension 0 only}}
  %0 = graph.concatenate 0, %a, %b : (tensor<2x3xf32>, tensor<2x4xf32>) -> tensor<4x3xf32>
  return
}

// -----

func.func @pad(%a: tensor<2xf32>, %v: tensor<1xf32>) {
  // expected-error @+1 {{value is 'tensor<1xf32>', expected a scalar of 'f32'}}
  %0 = graph.pad %a, %v constant affine_map<() -> (1)> affine_map<() -> (1)> : (tensor<2xf32>, tensor<1xf32>) -> tensor<4xf32>
  return
}

// -----

func.func @gather(%a: tensor<2xf32>, %i: tensor<3xi64>) {
  // expected-error @+1 {{axis is 1, expected one of a tensor of rank 1}}
  %0 = graph.gather %a, %i axis 1 : (tensor<2xf32>, tensor<3xi64>) -> tensor<2xf32>
  return
}

// -----

func.func @gather_nd(%a: tensor<2x3xf32>, %i: tensor<4x3xi64>) {
  // expected-error @+1 {{has 0 batch dimensions and tuples of 3, expected at most rank 2 together}}
  %0 = graph.gather_nd %a, %i batch 0 : (tensor<2x3xf32>, tensor<4x3xi64>) -> tensor<4x2x3xf32>
  return
}

// -----

func.func @resize(%a: tensor<2xf32>) {
  // expected-error @+1 {{coordinates are "tf", expected half_pixel, asymmetric, align_corners or pytorch_half_pixel}}
  %0 = graph.resize %a nearest [2.0] "tf" "floor" : (tensor<2xf32>) -> tensor<4xf32>
  return
}

// -----

func.func @dot(%a: tensor<2x3xf32>, %b: tensor<4x5xf32>) {
  // expected-error @+1 {{dimension 1 of lhs is 3, but dimension 0 of rhs is 4, expected equal sizes}}
  %0 = graph.dot_general %a, %b batch [] x [] contract [1] x [0] : (tensor<2x3xf32>, tensor<4x5xf32>) -> tensor<2x5xf32>
  return
}

// -----

func.func @dot_packed(%a: tensor<2x3xf32>, %b: tensor<2x3x8xf32>) {
  // expected-error @+1 {{packed rhs is 'tensor<2x3x8xf32>', expected 'tensor<2x3x16xf32>'}}
  %0 = graph.dot_general %a, %b batch [] x [] contract [1] x [0] {rhs_packed = 16 : i64, rhs_columns = 20 : i64} : (tensor<2x3xf32>, tensor<2x3x8xf32>) -> tensor<2x20xf32>
  return
}

// -----

func.func @convolution(%x: tensor<1x4x8x8xf32>, %w: tensor<6x3x3x3xf32>) {
  // expected-error @+1 {{operand has 4 channels, expected 3 for 1 groups of the filter's 3}}
  %0 = graph.convolution %x, %w strides [1, 1] low [0, 0] high [0, 0] dilations [1, 1] groups 1 : (tensor<1x4x8x8xf32>, tensor<6x3x3x3xf32>) -> tensor<1x6x6x6xf32>
  return
}

// -----

func.func @convolution_small(%x: tensor<1x3x2x8xf32>, %w: tensor<6x3x3x3xf32>) {
  // expected-error @+1 {{window of 3 does not fit into spatial dimension 0 of 2 with its padding}}
  %0 = graph.convolution %x, %w strides [1, 1] low [0, 0] high [0, 0] dilations [1, 1] groups 1 : (tensor<1x3x2x8xf32>, tensor<6x3x3x3xf32>) -> tensor<1x6x0x6xf32>
  return
}

// -----

func.func @convolution_strides(%x: tensor<1x3x8x8xf32>, %w: tensor<6x3x3x3xf32>) {
  // expected-error @+1 {{strides are [0, 1], expected numbers of at least 1}}
  %0 = graph.convolution %x, %w strides [0, 1] low [0, 0] high [0, 0] dilations [1, 1] groups 1 : (tensor<1x3x8x8xf32>, tensor<6x3x3x3xf32>) -> tensor<1x6x6x6xf32>
  return
}

// -----

func.func @convolution_transpose(%x: tensor<1x4x8xf32>, %w: tensor<3x2x3xf32>) {
  // expected-error @+1 {{operand has 4 channels, expected the filter's 3}}
  %0 = graph.convolution_transpose %x, %w strides [1] low [0] high [0] dilations [1] extra [0] groups 1 : (tensor<1x4x8xf32>, tensor<3x2x3xf32>) -> tensor<1x2x10xf32>
  return
}

// -----

func.func @reduce(%a: tensor<2x3xf32>) {
  // expected-error @+1 {{axes are [1, 1], expected different ones below 2}}
  %0 = graph.reduce sum %a [1, 1] : (tensor<2x3xf32>) -> tensor<2xf32>
  return
}

// -----

func.func @arg_reduce(%a: tensor<2x3xf32>) {
  // expected-error @+1 {{kind is sum, expected maximum or minimum}}
  %0 = graph.arg_reduce sum %a axis 1 : (tensor<2x3xf32>) -> tensor<2xi64>
  return
}

// -----

func.func @reduce_window(%a: tensor<8xf32>) {
  // expected-error @+1 {{has 2 window, expected 1}}
  %0 = graph.reduce_window maximum %a window [2, 2] strides [1] low [0] high [0] dilations [1] : (tensor<8xf32>) -> tensor<7xf32>
  return
}

// -----

func.func @softmax(%a: tensor<8xf32>) {
  // expected-error @+1 {{axis is -1, expected one of a tensor of rank 1}}
  %0 = graph.softmax %a axis -1 : tensor<8xf32>
  return
}

// -----

func.func @cumulative(%a: tensor<8xf32>) {
  // expected-error @+1 {{kind is mean, expected sum, product, maximum or minimum}}
  %0 = graph.cumulative mean %a axis 0 : tensor<8xf32>
  return
}

// -----

func.func @update(%a: tensor<4xf32>, %b: tensor<3xf32>) {
  // expected-error @+1 {{update of 3 elements at 2 does not fit into dimension 0 of 4}}
  %0 = graph.update %a, %b at affine_map<() -> (2)> : tensor<4xf32>, tensor<3xf32>
  return
}

// -----

func.func @loop(%a: tensor<4xf32>) {
  // expected-error @+1 {{yielded values are 'tensor<5xf32>', expected the carried values' 'tensor<4xf32>'}}
  %0 = graph.loop affine_map<() -> (3)> symbol 0 carries %a : (tensor<4xf32>) -> tensor<4xf32> {
  ^bb0(%x: tensor<4xf32>):
    %1 = graph.constant dense<0.0> : tensor<5xf32>
    graph.yield %1 : tensor<5xf32>
  }
  return
}

// -----

func.func @scatter(%a: tensor<5x4xf32>, %i: tensor<3x6xi64>, %u: tensor<3x6xf32>) {
  // expected-error @+1 {{dimension 1 of the updates is 6, expected at most 4}}
  %0 = graph.scatter %a, %i, %u axis 0 : tensor<5x4xf32>, tensor<3x6xi64>, tensor<3x6xf32>
  return
}

// -----

func.func @scatter_types(%a: tensor<5xf32>, %i: tensor<3xi64>, %u: tensor<3xf16>) {
  // expected-error @+1 {{updates have element type 'f16', expected 'f32'}}
  %0 = graph.scatter %a, %i, %u axis 0 : tensor<5xf32>, tensor<3xi64>, tensor<3xf16>
  return
}

// -----

func.func @merge(%k: tensor<5xf32>, %o: tensor<5xi32>) {
  // expected-error @+1 {{order has element type 'i32', expected i64}}
  %0 = graph.merge_runs %k, %o pass affine_map<() -> (0)> : tensor<5xf32>, tensor<5xi32>
  return
}

// -----

func.func @arg_window(%x: tensor<1x1x8xf32>) {
  // expected-error @+1 {{result has element type 'i32', expected i64}}
  %0 = graph.arg_reduce_window %x window [2] strides [2] low [0] dilations [1] : (tensor<1x1x8xf32>) -> tensor<1x1x4xi32>
  return
}

// -----

func.func @sample(%x: tensor<2x4x8x8xf32>, %p: tensor<3x6x2xf32>) {
  // expected-error @+1 {{has coordinates for 3 batches, expected 2}}
  %0 = graph.sample %x, %p linear zeros : (tensor<2x4x8x8xf32>, tensor<3x6x2xf32>) -> tensor<3x4x6xf32>
  return
}

// -----

func.func @resample(%x: tensor<8xf32>, %i: tensor<6x2xi64>, %w: tensor<6x3xf32>) {
  // expected-error @+1 {{dimension 1 of the weights is 3, expected 2}}
  %0 = graph.resample %x, %i, %w axis 0 : (tensor<8xf32>, tensor<6x2xi64>, tensor<6x3xf32>) -> tensor<6xf32>
  return
}

// -----

func.func @condition(%a: tensor<4xf32>) {
  // expected-error @+1 {{has no condition, expected a bool scalar as first carried value}}
  %0 = graph.loop affine_map<() -> (3)> symbol 0 while carries %a : (tensor<4xf32>) -> tensor<4xf32> {
  ^bb0(%x: tensor<4xf32>):
    graph.yield %x : tensor<4xf32>
  }
  return
}

// -----

func.func @trips(%a: tensor<4xf32>) {
  // expected-error @+1 {{trips is 0, expected a symbol of its own}}
  %0 = graph.loop affine_map<() -> (3)> symbol 0 trips 0 carries %a : (tensor<4xf32>) -> tensor<4xf32> {
  ^bb0(%x: tensor<4xf32>):
    graph.yield %x : tensor<4xf32>
  }
  return
}

// -----

func.func @branch(%c: tensor<i1>, %a: tensor<4xf32>, %b: tensor<5xf32>) {
  %0 = graph.if %c : tensor<i1> -> tensor<4xf32> {
    graph.yield %a : tensor<4xf32>
  } else {
    // expected-error @+1 {{yields 'tensor<5xf32>', expected 'tensor<4xf32>'}}
    graph.yield %b : tensor<5xf32>
  }
  return
}

// -----

func.func @read(%a: tensor<2xi64>) {
  // expected-error @+1 {{reads element 2 of 'tensor<2xi64>', expected one that exists}}
  graph.read %a[2] symbol 0 : tensor<2xi64>
  return
}

// -----

func.func @symbol(%a: tensor<2xi64>) {
  // expected-error @+1 {{symbol is -1, expected at least 0}}
  graph.read %a[1] symbol -1 : tensor<2xi64>
  return
}
