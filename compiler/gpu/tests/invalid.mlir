// RUN: aicc-opt %s --aicc-lower-to-gpu --split-input-file --verify-diagnostics

// expected-error@+1 {{kernel 'slice' for a GPU: operation tensor.extract_slice in a kernel, expected linalg.generic}}
exec.kernel @slice(%x: tensor<8xf32>) -> (tensor<4xf32>) {
  %0 = tensor.extract_slice %x[0] [4] [1] : tensor<8xf32> to tensor<4xf32>
  exec.return %0 : tensor<4xf32>
}

// -----

// expected-error@+1 {{kernel 'branch' for a GPU: operation scf.if in a generic's body, expected scalar arithmetic}}
exec.kernel @branch(%x: tensor<8xi1>) -> (tensor<8xf32>) {
  %e = tensor.empty() : tensor<8xf32>
  %a = arith.constant 1.0 : f32
  %b = arith.constant 2.0 : f32
  %0 = linalg.generic {indexing_maps = [affine_map<(d0) -> (d0)>, affine_map<(d0) -> (d0)>], iterator_types = ["parallel"]} ins(%x : tensor<8xi1>) outs(%e : tensor<8xf32>) {
  ^bb0(%i: i1, %o: f32):
    %s = scf.if %i -> f32 {
      scf.yield %a : f32
    } else {
      scf.yield %b : f32
    }
    linalg.yield %s : f32
  } -> tensor<8xf32>
  exec.return %0 : tensor<8xf32>
}
