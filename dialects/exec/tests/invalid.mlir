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

exec.kernel @scatter(%a: tensor<5x4xf32>, %p: tensor<3xi64>, %u: tensor<3x4xf32>) -> (tensor<5x4xf32>) {
  // expected-error @below {{has operands of ranks 2, 1 and 2 and axis 0, expected one rank above the axis}}
  %0 = exec.scatter %a, %p, %u axis 0 : tensor<5x4xf32>, tensor<3xi64>, tensor<3x4xf32> {
  ^bb0(%old: f32, %update: f32):
    exec.combine %update : f32
  }
  exec.return %0 : tensor<5x4xf32>
}

// -----

exec.kernel @types(%a: tensor<5xf32>, %p: tensor<3xi32>, %u: tensor<3xf32>) -> (tensor<5xf32>) {
  // expected-error @below {{combines other types than 'f32', expected that one, and i64 positions}}
  %0 = exec.scatter %a, %p, %u axis 0 : tensor<5xf32>, tensor<3xi32>, tensor<3xf32> {
  ^bb0(%old: f32, %update: f32):
    exec.combine %update : f32
  }
  exec.return %0 : tensor<5xf32>
}

// -----

exec.kernel @nothing(%a: tensor<5xf32>, %p: tensor<3xi64>, %u: tensor<3xf32>) -> (tensor<5xf32>) {
  // expected-error @below {{region doesn't give an element, expected 'f32'}}
  %0 = exec.scatter %a, %p, %u axis 0 : tensor<5xf32>, tensor<3xi64>, tensor<3xf32> {
  ^bb0(%old: f32, %update: f32):
    %1 = arith.constant 0 : i1
    exec.combine %1 : i1
  }
  exec.return %0 : tensor<5xf32>
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

// -----

exec.program @program("c" = %c: tensor<i1>, "x" = %x: tensor<4xf32>) -> ("y") {
  // expected-error @below {{has 1 results, but a region yields 0}}
  %v = exec.if %c : tensor<i1> -> tensor<4xf32> {
    exec.yield %x : tensor<4xf32>
  } else {
    exec.yield
  }
  exec.finish %v : tensor<4xf32>
}

// -----

exec.program @program("x" = %x: tensor<4xf32>, "y" = %y: tensor<2xi32>) -> ("z") {
  // expected-error @below {{update is of 'i32', expected 'f32'}}
  %v = exec.update %x, %y at affine_map<() -> (1)> : tensor<4xf32>, tensor<2xi32>
  exec.finish %v : tensor<4xf32>
}

// -----

exec.program @program("x" = %x: tensor<4xf32>, "y" = %y: tensor<2xf32>) -> ("z") {
  // expected-error @below {{place has 0 dimensions and 2 expressions, expected none and one}}
  %v = exec.update %x, %y at affine_map<() -> (1, 1)> : tensor<4xf32>, tensor<2xf32>
  exec.finish %v : tensor<4xf32>
}
