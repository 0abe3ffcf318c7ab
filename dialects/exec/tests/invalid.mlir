// RUN: aicc-opt %s --split-input-file --verify-diagnostics

// expected-error @below {{argument 0 is 'tensor<4xf32>', expected tensor<5xf32>}}
exec.kernel @k(%a: tensor<4xf32> as tensor<5xf32>) -> (tensor<4xf32>) {
  exec.return %a : tensor<4xf32>
}

// -----

exec.kernel @k(%a: tensor<4xf32>) -> (tensor<4xf32>, tensor<4xf32>) {
  // expected-error @below {{has 1 operands, expected 2}}
  exec.return %a : tensor<4xf32>
}

// -----

exec.kernel @k(%a: tensor<4xf32>) -> (tensor<4xi32>) {
  // expected-error @below {{operand 0 is 'tensor<4xf32>', expected tensor<4xi32>}}
  exec.return %a : tensor<4xf32>
}

// -----

// expected-error @below {{finishes with 1 outputs, expected 2}}
exec.program @program("x" = %x: tensor<4xf32>) -> ("a", "b") {
  exec.finish %x : tensor<4xf32>
}

// -----

exec.program @program("x" = %x: tensor<4xf32>) -> ("y") {
  // expected-error @below {{has 5 elements for a view of 4, expected as many}}
  %v = exec.view %x : (tensor<4xf32>) -> tensor<5xf32>
  exec.finish %v : tensor<5xf32>
}

// -----

exec.program @program("x" = %x: tensor<4xf32>) -> ("y") {
  // expected-error @below {{launches @nothing, which is no kernel}}
  %v = exec.launch @nothing(%x) : (tensor<4xf32>) -> tensor<4xf32>
  exec.finish %v : tensor<4xf32>
}

// -----

exec.kernel @k(%a: tensor<4xf32>) -> (tensor<4xf32>) {
  exec.return %a : tensor<4xf32>
}
exec.program @program("x" = %x: tensor<5xf32>) -> ("y") {
  // expected-error @below {{operand 0 is 'tensor<5xf32>', expected tensor<4xf32>}}
  %v = exec.launch @k(%x) : (tensor<5xf32>) -> tensor<4xf32>
  exec.finish %v : tensor<4xf32>
}

// -----

exec.program @program("x" = %x: tensor<4xf32>) -> ("y") {
  // expected-error @below {{carries 1 values, but the body yields 0 and takes 1}}
  %v = exec.loop affine_map<() -> (3)> symbol 0 carries %x : (tensor<4xf32>) -> tensor<4xf32> {
  ^bb0(%b: tensor<4xf32>):
    exec.yield
  }
  exec.finish %v : tensor<4xf32>
}
