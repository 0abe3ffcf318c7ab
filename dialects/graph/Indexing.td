//===- Indexing.td - order, scattering, sampling --------------------------===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef AICC_DIALECTS_GRAPH_INDEXING_TD
#define AICC_DIALECTS_GRAPH_INDEXING_TD

include "dialects/graph/GraphDialect.td"
include "dialects/graph/Reduction.td"

def Graph_ScatterOp : Graph_Op<"scatter", [
    AllTypesMatch<["operand", "result"]>]> {
  let summary = "operand with elements replaced by, or combined with, those of `updates`";
  let description = [{
    For every index i of `updates`, in row-major order: the element of the
    result at i, with `indices[i]` at `axis`, becomes `updates[i]` or, with
    `kind`, the combination of itself and `updates[i]`. Negative indices count
    from the end; an index outside the dimension does nothing.
  }];
  let arguments = (ins Graph_Tensor:$operand, Graph_IntTensor:$indices,
      Graph_Tensor:$updates, I64Attr:$axis,
      OptionalAttr<Graph_ReduceKindAttr>:$kind);
  let results = (outs Graph_Tensor:$result);
  let assemblyFormat = "$operand `,` $indices `,` $updates `axis` $axis (`kind` $kind^)? attr-dict `:` type($operand) `,` type($indices) `,` type($updates)";
  let hasVerifier = 1;
}

def Graph_MergeRunsOp : Graph_Op<"merge_runs", [
    AllTypesMatch<["order", "result"]>]> {
  let summary = "one pass of a merge sort along the last dimension";
  let description = [{
    `order` holds indices into the last dimension of `keys`, of which every
    run of 2 ** `pass` neighbours is sorted by key; in the result every run
    of twice that length is. Equal keys keep their order; NaN is larger than
    every number. With `descending` larger keys come first. `order` may be
    longer than `keys`: indices beyond the keys come last.
  }];
  let arguments = (ins Graph_Tensor:$keys, Graph_IntTensor:$order,
      AffineMapAttr:$pass, UnitAttr:$descending);
  let results = (outs Graph_IntTensor:$result);
  let assemblyFormat = "$keys `,` $order `pass` $pass attr-dict `:` type($keys) `,` type($order)";
  let hasVerifier = 1;
}

def Graph_ArgReduceWindowOp : Graph_Op<"arg_reduce_window"> {
  let summary = "where in its window the maximum of `reduce_window` lies";
  let description = [{
    The i64 row-major index, within the dimensions whose window is given, of
    the first maximum of every window. Padding never is the maximum. The first
    `rank - window size` dimensions have no window.
  }];
  let arguments = (ins Graph_Tensor:$operand, DenseI64ArrayAttr:$window,
      DenseI64ArrayAttr:$strides, DenseI64ArrayAttr:$low,
      DenseI64ArrayAttr:$dilations);
  let results = (outs Graph_IntTensor:$result);
  let assemblyFormat = "$operand `window` $window `strides` $strides `low` $low `dilations` $dilations attr-dict `:` functional-type(operands, results)";
  let hasVerifier = 1;
}

def Graph_SampleMode : I32EnumAttr<"SampleMode", "interpolation", [
    I32EnumAttrCase<"nearest", 0>, I32EnumAttrCase<"linear", 1>,
    I32EnumAttrCase<"cubic", 2>,
    I32EnumAttrCase<"linear_maximum", 3>]> {
  let cppNamespace = "::aicc::graph";
  let genSpecializedAttr = 0;
}
def Graph_SampleModeAttr : EnumAttr<Graph_Dialect, Graph_SampleMode, "sample_mode">;

def Graph_SampleBorder : I32EnumAttr<"SampleBorder", "what lies outside", [
    I32EnumAttrCase<"zeros", 0>, I32EnumAttrCase<"edge", 1>,
    I32EnumAttrCase<"reflect", 2>, I32EnumAttrCase<"reflect_half", 3>]> {
  let cppNamespace = "::aicc::graph";
  let genSpecializedAttr = 0;
}
def Graph_SampleBorderAttr : EnumAttr<Graph_Dialect, Graph_SampleBorder, "sample_border">;

def Graph_SampleOp : Graph_Op<"sample"> {
  let summary = "interpolate at coordinates that are data";
  let description = [{
    `operand` is `[N, C, spatial...]`, `coordinates` `[M, points..., r]` with
    one coordinate per spatial dimension, in elements, the first dimension
    first; the result is `[M, C, points...]`. Sample m reads batch
    `batches[m]` of the operand, or m without `batches`. Outside lie zeros, the
    nearest element, or reflections, at the middle of the outermost elements
    (`reflect`) or at their outer borders (`reflect_half`). `linear_maximum`
    takes the largest of linear interpolation's weighted elements.
  }];
  let arguments = (ins Graph_Tensor:$operand, Graph_FloatTensor:$coordinates,
      Optional<Graph_IntTensor>:$batches, Graph_SampleModeAttr:$mode,
      Graph_SampleBorderAttr:$border);
  let results = (outs Graph_Tensor:$result);
  let assemblyFormat = "$operand `,` $coordinates (`batches` $batches^)? $mode $border attr-dict `:` functional-type(operands, results)";
  let hasVerifier = 1;
}

def Graph_ResampleOp : Graph_Op<"resample"> {
  let summary = "weighted sums of elements along one dimension";
  let description = [{
    `indices` and `weights` are `[size, taps]`: element i of the result along
    `axis` is the sum over t of `weights[i, t]` times the operand's element
    `indices[i, t]`, which is limited to the dimension.
  }];
  let arguments = (ins Graph_FloatTensor:$operand, Graph_IntTensor:$indices,
      Graph_FloatTensor:$weights, I64Attr:$axis);
  let results = (outs Graph_FloatTensor:$result);
  let assemblyFormat = "$operand `,` $indices `,` $weights `axis` $axis attr-dict `:` functional-type(operands, results)";
  let hasVerifier = 1;
}

#endif
