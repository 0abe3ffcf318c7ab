//===- Elementwise.td - operators that act on each element ----------------===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef AICC_DIALECTS_GRAPH_ELEMENTWISE_TD
#define AICC_DIALECTS_GRAPH_ELEMENTWISE_TD

include "dialects/graph/GraphDialect.td"

/// All operands have one shape (broadcasts are explicit).
def Graph_Elementwise : NativeOpTrait<"Elementwise"> {
  let cppNamespace = "::aicc::graph";
}

class Graph_ElementwiseOp<string mnemonic, list<Trait> traits = []>
    : Graph_Op<mnemonic, !listconcat([Graph_Elementwise], traits)>;

class Graph_Unary<string mnemonic, string text>
    : Graph_ElementwiseOp<mnemonic, [SameOperandsAndResultType]> {
  let summary = text;
  let arguments = (ins Graph_Tensor:$operand);
  let results = (outs Graph_Tensor:$result);
  let assemblyFormat = "$operand attr-dict `:` type($result)";
}

class Graph_Binary<string mnemonic, string text, list<Trait> traits = []>
    : Graph_ElementwiseOp<mnemonic,
          !listconcat([SameOperandsAndResultType], traits)> {
  let summary = text;
  let arguments = (ins Graph_Tensor:$lhs, Graph_Tensor:$rhs);
  let results = (outs Graph_Tensor:$result);
  let assemblyFormat = "$lhs `,` $rhs attr-dict `:` type($result)";
}

def Graph_AbsOp : Graph_Unary<"abs", "absolute value">;
def Graph_NegateOp : Graph_Unary<"negate", "negation">;
def Graph_ExpOp : Graph_Unary<"exp", "natural exponential">;
def Graph_Log1pOp : Graph_Unary<"log1p", "log(1 + x)">;
def Graph_LogOp : Graph_Unary<"log", "natural logarithm">;
def Graph_SqrtOp : Graph_Unary<"sqrt", "square root">;
def Graph_RsqrtOp : Graph_Unary<"rsqrt", "reciprocal square root">;
def Graph_ReciprocalOp : Graph_Unary<"reciprocal", "1 / x">;
def Graph_SinOp : Graph_Unary<"sin", "sine of radians">;
def Graph_CosOp : Graph_Unary<"cos", "cosine of radians">;
def Graph_TanOp : Graph_Unary<"tan", "tangent of radians">;
def Graph_AsinOp : Graph_Unary<"asin", "arc sine">;
def Graph_AcosOp : Graph_Unary<"acos", "arc cosine">;
def Graph_AtanOp : Graph_Unary<"atan", "arc tangent">;
def Graph_SinhOp : Graph_Unary<"sinh", "hyperbolic sine">;
def Graph_CoshOp : Graph_Unary<"cosh", "hyperbolic cosine">;
def Graph_AsinhOp : Graph_Unary<"asinh", "inverse hyperbolic sine">;
def Graph_AcoshOp : Graph_Unary<"acosh", "inverse hyperbolic cosine">;
def Graph_AtanhOp : Graph_Unary<"atanh", "inverse hyperbolic tangent">;
def Graph_TanhOp : Graph_Unary<"tanh", "hyperbolic tangent">;
def Graph_ErfOp : Graph_Unary<"erf", "error function">;
def Graph_SigmoidOp : Graph_Unary<"sigmoid", "1 / (1 + exp(-x))">;
def Graph_FloorOp : Graph_Unary<"floor", "round toward minus infinity">;
def Graph_CeilOp : Graph_Unary<"ceil", "round toward plus infinity">;
def Graph_RoundEvenOp : Graph_Unary<"round_even", "round to nearest, ties to even">;
def Graph_SignOp : Graph_Unary<"sign", "-1, 0 or 1; NaN stays NaN">;
def Graph_NotOp : Graph_Unary<"not", "bitwise complement; logical on i1">;

class Graph_Predicate<string mnemonic, string text>
    : Graph_ElementwiseOp<mnemonic, [
        Graph_Inferred]> {
  let summary = text;
  let arguments = (ins Graph_FloatTensor:$operand);
  let results = (outs Graph_BoolTensor:$result);
  let assemblyFormat =
      "$operand attr-dict `:` functional-type(operands, results)";
  let extraClassDeclaration = Graph_compatible;
}
def Graph_IsNanOp : Graph_Predicate<"is_nan", "true where the element is NaN">;
def Graph_IsInfOp : Graph_Predicate<"is_inf", "true where the element is infinite">;

def Graph_AddOp : Graph_Binary<"add", "sum (or of i1)", [Commutative]>;
def Graph_SubtractOp : Graph_Binary<"subtract", "difference">;
def Graph_MultiplyOp : Graph_Binary<"multiply", "product (and of i1)", [Commutative]>;
def Graph_DivideOp : Graph_Binary<"divide",
    "quotient; integers truncate toward zero, x / 0 is 0">;
def Graph_RemainderOp : Graph_Binary<"remainder",
    "remainder with the sign of the dividend (C's % and fmod)">;
def Graph_PowerOp : Graph_Binary<"power", "lhs to the power of rhs">;
def Graph_MaximumOp : Graph_Binary<"maximum", "larger; NaN wins", [Commutative]>;
def Graph_MinimumOp : Graph_Binary<"minimum", "smaller; NaN wins", [Commutative]>;
def Graph_AndOp : Graph_Binary<"and", "bitwise and", [Commutative]>;
def Graph_OrOp : Graph_Binary<"or", "bitwise or", [Commutative]>;
def Graph_XorOp : Graph_Binary<"xor", "bitwise exclusive or", [Commutative]>;
def Graph_ShiftLeftOp : Graph_Binary<"shift_left", "shift left">;
def Graph_ShiftRightOp : Graph_Binary<"shift_right", "logical shift right for unsigned types, arithmetic for signed">;
def Graph_Atan2Op : Graph_Binary<"atan2", "angle of the point (rhs, lhs)">;

def Graph_Comparison : I32EnumAttr<"Comparison", "comparison predicate", [
    I32EnumAttrCase<"equal", 0>, I32EnumAttrCase<"not_equal", 1>,
    I32EnumAttrCase<"less", 2>, I32EnumAttrCase<"less_equal", 3>,
    I32EnumAttrCase<"greater", 4>, I32EnumAttrCase<"greater_equal", 5>]> {
  let cppNamespace = "::aicc::graph";
  let genSpecializedAttr = 0;
}
def Graph_ComparisonAttr : EnumAttr<Graph_Dialect, Graph_Comparison, "comparison">;

def Graph_CompareOp : Graph_ElementwiseOp<"compare", [
    SameTypeOperands, Graph_Inferred]> {
  let summary = "compare element by element; ordered, so NaN equals nothing";
  let arguments = (ins Graph_Tensor:$lhs, Graph_Tensor:$rhs,
                       Graph_ComparisonAttr:$predicate);
  let results = (outs Graph_BoolTensor:$result);
  let assemblyFormat =
      "$predicate $lhs `,` $rhs attr-dict `:` functional-type(operands, results)";
  let extraClassDeclaration = Graph_compatible;
}

def Graph_SelectOp : Graph_ElementwiseOp<"select", [
    AllTypesMatch<["on_true", "on_false", "result"]>]> {
  let summary = "on_true where condition holds, else on_false";
  let arguments = (ins Graph_BoolTensor:$condition, Graph_Tensor:$on_true,
                       Graph_Tensor:$on_false);
  let results = (outs Graph_Tensor:$result);
  let assemblyFormat = "$condition `,` $on_true `,` $on_false attr-dict `:` "
                       "type($condition) `,` type($result)";
  let hasVerifier = 1;
}

def Graph_BitcastOp : Graph_ElementwiseOp<"bitcast", []> {
  let summary = "read the bits of elements as another type of the same width";
  let arguments = (ins Graph_Tensor:$operand);
  let results = (outs Graph_Tensor:$result);
  let assemblyFormat =
      "$operand attr-dict `:` functional-type(operands, results)";
  let hasVerifier = 1;
  let hasFolder = 1;
}

def Graph_Rounding : I32EnumAttr<"Rounding", "rounding to a power of two", [
    I32EnumAttrCase<"up", 0>, I32EnumAttrCase<"down", 1>,
    I32EnumAttrCase<"nearest", 2>]> {
  let cppNamespace = "::aicc::graph";
  let genSpecializedAttr = 0;
}
def Graph_RoundingAttr : EnumAttr<Graph_Dialect, Graph_Rounding, "rounding">;

def Graph_CastOp : Graph_ElementwiseOp<"cast", []> {
  let summary = "convert the element type";
  let description = [{
    Signedness comes from the element type (`ui8` is unsigned, `i8` and `si8`
    signed). Float to integer truncates toward zero and saturates; integer to
    narrower integer wraps; anything to `i1` is `x != 0`. To an integer of fewer
    than eight bits, a float wraps too (what 32 bits can't hold becomes 0).

    Float to float rounds to the nearest, ties to even. What is too large
    becomes infinity; in a format of eight bits or fewer the largest number,
    also an infinity does, or, with `overflow`, infinity or else NaN, where the
    format has one. NaN becomes 0 in a format without NaN.

    `f8E8M0FNU` has powers of two only: `rounding` says which one a number
    between two of them becomes (`up` if absent), ties of `nearest` go up. What
    is too small becomes the smallest, with `overflow` NaN; signs are lost.
  }];
  let arguments = (ins Graph_Tensor:$operand, UnitAttr:$overflow,
                       OptionalAttr<Graph_RoundingAttr>:$rounding);
  let results = (outs Graph_Tensor:$result);
  let assemblyFormat =
      "$operand attr-dict `:` functional-type(operands, results)";
  let hasFolder = 1;
}

#endif
