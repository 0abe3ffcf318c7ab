// RUN: aicc-opt %s --aicc-expand-mathematics | FileCheck %s

// Only arithmetic and operations that are exact everywhere remain.
// CHECK-NOT: math.{{(exp|log|sin|pow|tanh|erf)}}
// CHECK-NOT: arith.{{(remf|maximumf|minimumf)}}
// CHECK-NOT: fastmath

// CHECK-LABEL: func.func @vector
// CHECK: math.fma {{.*}} : vector<16xf32>
// CHECK: arith.bitcast {{.*}} : vector<16xi32> to vector<16xf32>
func.func @vector(%a: vector<16xf32>) -> vector<16xf32> {
  %0 = math.exp %a : vector<16xf32>
  return %0 : vector<16xf32>
}

// CHECK-LABEL: func.func @scalars
func.func @scalars(%a: f32, %b: f64) -> (f32, f64) {
  %0 = math.tanh %a : f32
  %1 = math.erf %0 : f32
  %2 = math.powf %1, %a : f32
  %3 = math.sin %b : f64
  %4 = math.log1p %3 : f64
  %5 = arith.remf %4, %b : f64
  return %2, %5 : f32, f64
}

// CHECK-LABEL: func.func @half
// CHECK: arith.extf %{{.*}} : f16 to f32
// CHECK: arith.truncf %{{.*}} : f32 to f16
func.func @half(%a: f16) -> f16 {
  %0 = math.exp %a : f16
  return %0 : f16
}

// CHECK-LABEL: func.func @brain
// CHECK-NOT: arith.extf
// CHECK: arith.bitcast %{{.*}} : bf16 to i16
// CHECK-NOT: arith.truncf
// CHECK: arith.bitcast %{{.*}} : i16 to bf16
func.func @brain(%a: bf16) -> bf16 {
  %0 = arith.extf %a : bf16 to f32
  %1 = arith.truncf %0 : f32 to bf16
  return %1 : bf16
}

// Integers too: no target has such an instruction.
// CHECK-LABEL: func.func @brain_of_integer
// CHECK: arith.sitofp %{{.*}} : i64 to f32
// CHECK-NOT: truncf
// CHECK: arith.bitcast %{{.*}} : i16 to bf16
func.func @brain_of_integer(%a: i64) -> bf16 {
  %0 = arith.sitofp %a : i64 to bf16
  return %0 : bf16
}

// With a constant that is no NaN one comparison is enough, and NaN passes.
// CHECK-LABEL: func.func @relu
// CHECK-SAME: (%[[A:.*]]: f32)
// CHECK: %[[Z:.*]] = arith.constant 0.0
// CHECK-NEXT: %[[C:.*]] = arith.cmpf ogt, %[[Z]], %[[A]]
// CHECK-NEXT: %[[R:.*]] = arith.select %[[C]], %[[Z]], %[[A]]
// CHECK-NEXT: return %[[R]]
func.func @relu(%a: f32) -> f32 {
  %0 = arith.constant 0.0 : f32
  %1 = arith.maximumf %a, %0 : f32
  return %1 : f32
}

// CHECK-LABEL: func.func @maximum
// CHECK-SAME: (%[[A:.*]]: f32, %[[B:.*]]: f32)
// CHECK: %[[C:.*]] = arith.cmpf ogt, %[[A]], %[[B]]
// CHECK: %[[M:.*]] = arith.select %[[C]], %[[A]], %[[B]]
// CHECK: %[[N:.*]] = arith.cmpf uno, %[[A]], %[[A]]
// CHECK: arith.select %[[N]], %[[A]], %[[M]]
func.func @maximum(%a: f32, %b: f32) -> f32 {
  %0 = arith.maximumf %a, %b : f32
  return %0 : f32
}
