//===- Reduction.td - products, convolutions, reductions, loops -----------===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef AICC_DIALECTS_GRAPH_REDUCTION_TD
#define AICC_DIALECTS_GRAPH_REDUCTION_TD

include "dialects/graph/GraphDialect.td"

def Graph_DotGeneralOp : Graph_Op<"dot_general", [
    Graph_Inferred]> {
  let summary = "batched product over contracting dimensions";
  let description = [{
    The result's dimensions are the batch dimensions (in lhs_batch's order),
    lhs's free dimensions, rhs's free dimensions. The element type of the
    result is `accumulator`'s if given, else the operands'.

    `rhs_packed` = p > 0: rhs is a weight matrix `[K, N]` stored as panels
    `[ceil(N/p), K, p]`, the last panel padded with zeros; `rhs_columns` is N.
    Then lhs is contracted over its last dimension and nothing is batched.
  }];
  let arguments = (ins Graph_Tensor:$lhs, Graph_Tensor:$rhs,
      DenseI64ArrayAttr:$lhs_batch, DenseI64ArrayAttr:$rhs_batch,
      DenseI64ArrayAttr:$lhs_contracting, DenseI64ArrayAttr:$rhs_contracting,
      OptionalAttr<TypeAttr>:$accumulator,
      DefaultValuedAttr<I64Attr, "0">:$rhs_packed,
      DefaultValuedAttr<I64Attr, "0">:$rhs_columns);
  let results = (outs Graph_Tensor:$result);
  let assemblyFormat = [{
    $lhs `,` $rhs `batch` $lhs_batch `x` $rhs_batch
    `contract` $lhs_contracting `x` $rhs_contracting attr-dict
    `:` functional-type(operands, results)
  }];
  let hasVerifier = 1;
  let extraClassDeclaration = Graph_compatible;
}

def Graph_ConvolutionOp : Graph_Op<"convolution", [
    Graph_Inferred]> {
  let summary = "convolution (cross-correlation) of any number of spatial dimensions";
  let description = [{
    Operand `[N, C, spatial...]`, filter `[F, C / groups, spatial...]`, result
    `[N, F, spatial...]`; with `channels_last` operand and result are
    `[N, spatial..., C]` and the filter is `[spatial..., C / groups, F]`.
    `low` and `high` are zeros added around the operand, in elements.

    `packed` = p > 0 (channels_last, groups = 1): the filter is stored as
    panels `[ceil(F/p), spatial..., C, p]`; `filters` is F.

    The element type of the result is `accumulator`'s if given, else the
    operand's.
  }];
  let arguments = (ins Graph_Tensor:$operand, Graph_Tensor:$filter,
      DenseI64ArrayAttr:$strides, DenseI64ArrayAttr:$low,
      DenseI64ArrayAttr:$high, DenseI64ArrayAttr:$dilations,
      I64Attr:$groups, UnitAttr:$channels_last,
      DefaultValuedAttr<I64Attr, "0">:$packed,
      DefaultValuedAttr<I64Attr, "0">:$filters,
      OptionalAttr<TypeAttr>:$accumulator);
  let results = (outs Graph_Tensor:$result);
  let assemblyFormat = [{
    $operand `,` $filter `strides` $strides `low` $low `high` $high
    `dilations` $dilations `groups` $groups attr-dict
    `:` functional-type(operands, results)
  }];
  let hasVerifier = 1;
  let extraClassDeclaration = Graph_compatible;
}

def Graph_ConvolutionTransposeOp : Graph_Op<"convolution_transpose", [
    Graph_Inferred]> {
  let summary = "gradient of a convolution with respect to its operand";
  let description = "Operand `[N, C, spatial...]`, filter `[C, F / groups, spatial...]`; result size (in - 1) * stride + (kernel - 1) * dilation + 1 - low - high + extra.";
  let arguments = (ins Graph_Tensor:$operand, Graph_Tensor:$filter,
      DenseI64ArrayAttr:$strides, DenseI64ArrayAttr:$low,
      DenseI64ArrayAttr:$high, DenseI64ArrayAttr:$dilations,
      DenseI64ArrayAttr:$extra, I64Attr:$groups);
  let results = (outs Graph_Tensor:$result);
  let assemblyFormat = [{
    $operand `,` $filter `strides` $strides `low` $low `high` $high
    `dilations` $dilations `extra` $extra `groups` $groups attr-dict
    `:` functional-type(operands, results)
  }];
  let hasVerifier = 1;
  let extraClassDeclaration = Graph_compatible;
}

def Graph_ReduceKind : I32EnumAttr<"ReduceKind", "how elements are combined", [
    I32EnumAttrCase<"sum", 0>, I32EnumAttrCase<"product", 1>,
    I32EnumAttrCase<"maximum", 2>, I32EnumAttrCase<"minimum", 3>,
    I32EnumAttrCase<"mean", 4>]> {
  let cppNamespace = "::aicc::graph";
  let genSpecializedAttr = 0;
}
def Graph_ReduceKindAttr : EnumAttr<Graph_Dialect, Graph_ReduceKind, "reduce_kind">;

def Graph_ReduceOp : Graph_Op<"reduce", [
    Graph_Inferred]> {
  let summary = "combine all elements along axes; the axes disappear";
  let arguments = (ins Graph_Tensor:$operand, Graph_ReduceKindAttr:$kind,
                       DenseI64ArrayAttr:$axes);
  let results = (outs Graph_Tensor:$result);
  let assemblyFormat = "$kind $operand $axes attr-dict `:` functional-type(operands, results)";
  let hasVerifier = 1;
  let extraClassDeclaration = Graph_compatible;
}

def Graph_ArgReduceOp : Graph_Op<"arg_reduce", [
    Graph_Inferred]> {
  let summary = "i64 index of the maximum or minimum along one axis, which disappears";
  let arguments = (ins Graph_Tensor:$operand, Graph_ReduceKindAttr:$kind,
                       I64Attr:$axis, UnitAttr:$last);
  let results = (outs Graph_Tensor:$result);
  let assemblyFormat = "$kind $operand `axis` $axis attr-dict `:` functional-type(operands, results)";
  let hasVerifier = 1;
  let extraClassDeclaration = Graph_compatible;
}

def Graph_ReduceWindowOp : Graph_Op<"reduce_window", [
    Graph_Inferred]> {
  let summary = "combine the elements of a sliding window (pooling)";
  let description = [{
    One entry per dimension of the operand, 1 / 1 / 0 / 0 / 1 for a dimension
    without a window. Padding is never combined; `mean` divides by the number
    of elements in the window that are not padding, or by the whole window's
    with `count_padding`. Result size floor((in + low + high - span) / stride) + 1;
    an importer expresses ceil mode by enlarging `high`.
    `excess` says how much of `high` was added by that: it never counts.
  }];
  let arguments = (ins Graph_Tensor:$operand, Graph_ReduceKindAttr:$kind,
      DenseI64ArrayAttr:$window, DenseI64ArrayAttr:$strides,
      DenseI64ArrayAttr:$low, DenseI64ArrayAttr:$high,
      DenseI64ArrayAttr:$dilations, UnitAttr:$count_padding,
      OptionalAttr<DenseI64ArrayAttr>:$excess);
  let results = (outs Graph_Tensor:$result);
  let assemblyFormat = [{
    $kind $operand `window` $window `strides` $strides `low` $low `high` $high
    `dilations` $dilations attr-dict `:` functional-type(operands, results)
  }];
  let hasVerifier = 1;
  let extraClassDeclaration = Graph_compatible;
}

def Graph_SoftmaxOp : Graph_Op<"softmax", [SameOperandsAndResultType]> {
  let summary = "exp(x - max) / sum along one axis; with `log`, its logarithm";
  let arguments = (ins Graph_FloatTensor:$operand, I64Attr:$axis, UnitAttr:$log);
  let results = (outs Graph_FloatTensor:$result);
  let assemblyFormat = "$operand `axis` $axis attr-dict `:` type($result)";
  let hasVerifier = 1;
}

def Graph_NormalizeOp : Graph_Op<"normalize", [SameOperandsAndResultType]> {
  let summary = "(x - mean) / sqrt(variance + epsilon) over the axes from `axis` on";
  let description = "With `rms` the mean is not subtracted: x / sqrt(mean(x * x) + epsilon). Scale and bias are separate multiplications and additions, which fusion joins.";
  let arguments = (ins Graph_FloatTensor:$operand, I64Attr:$axis,
                       F64Attr:$epsilon, UnitAttr:$rms);
  let results = (outs Graph_FloatTensor:$result);
  let assemblyFormat = "$operand `axis` $axis `epsilon` $epsilon attr-dict `:` type($result)";
  let hasVerifier = 1;
}

def Graph_CumulativeOp : Graph_Op<"cumulative", [SameOperandsAndResultType]> {
  let summary = "running sum or product along one axis";
  let arguments = (ins Graph_Tensor:$operand, Graph_ReduceKindAttr:$kind,
      I64Attr:$axis, UnitAttr:$exclusive, UnitAttr:$reverse);
  let results = (outs Graph_Tensor:$result);
  let assemblyFormat = "$kind $operand `axis` $axis attr-dict `:` type($result)";
  let hasVerifier = 1;
}

def Graph_UpdateOp : Graph_Op<"update", [AllTypesMatch<["operand", "result"]>]> {
  let summary = "operand with the box at `offsets` replaced by `update`";
  let arguments = (ins Graph_Tensor:$operand, Graph_Tensor:$update,
                       AffineMapAttr:$offsets);
  let results = (outs Graph_Tensor:$result);
  let assemblyFormat = "$operand `,` $update `at` $offsets attr-dict `:` type($operand) `,` type($update)";
  let hasVerifier = 1;
}

#endif
