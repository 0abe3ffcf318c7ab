//===- Structure.td - constants and data movement -------------------------===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef AICC_DIALECTS_GRAPH_STRUCTURE_TD
#define AICC_DIALECTS_GRAPH_STRUCTURE_TD

include "dialects/graph/GraphDialect.td"

def Graph_ConstantOp : Graph_Op<"constant", [ConstantLike,
    AllTypesMatch<["value", "result"]>]> {
  let summary = "a tensor known at compile time";
  let description = [{
    Weights are `dense_resource` blobs that point into the mapped model file;
    small constants are `dense`.
  }];
  let arguments = (ins ElementsAttr:$value);
  let results = (outs Graph_Tensor:$result);
  let builders = [OpBuilder<(ins "::mlir::ElementsAttr":$value), [{
    build($_builder, $_state, value.getType(), value);
  }]>];
  let assemblyFormat = "attr-dict $value";
  let hasFolder = 1;
  let hasVerifier = 1;
  let extraClassDeclaration = [{
    static bool isBuildableWith(::mlir::Attribute value, ::mlir::Type type);
  }];
}

def Graph_IotaOp : Graph_Op<"iota"> {
  let summary = "the index along one dimension";
  let arguments = (ins I64Attr:$dimension);
  let results = (outs Graph_Tensor:$result);
  let assemblyFormat = "$dimension attr-dict `:` type($result)";
  let hasVerifier = 1;
}

def Graph_DimensionsOp : Graph_Op<"dimensions"> {
  let summary = "a 1-D tensor of dimension expressions";
  let description = "What ONNX calls Shape, after arithmetic: each element is an expression over the symbols.";
  let arguments = (ins AffineMapAttr:$expressions);
  let results = (outs Graph_IntTensor:$result);
  let assemblyFormat = "$expressions attr-dict `:` type($result)";
  let hasVerifier = 1;
}

def Graph_ReshapeOp : Graph_Op<"reshape"> {
  let summary = "same elements in row-major order, other dimensions";
  let arguments = (ins Graph_Tensor:$operand);
  let results = (outs Graph_Tensor:$result);
  let assemblyFormat = "$operand attr-dict `:` functional-type(operands, results)";
  let hasVerifier = 1;
  let hasFolder = 1;
}

def Graph_TransposeOp : Graph_Op<"transpose", [
    Graph_Inferred]> {
  let summary = "permute dimensions: result dimension i is operand dimension permutation[i]";
  let arguments = (ins Graph_Tensor:$operand, DenseI64ArrayAttr:$permutation);
  let results = (outs Graph_Tensor:$result);
  let assemblyFormat = "$operand $permutation attr-dict `:` functional-type(operands, results)";
  let hasVerifier = 1;
  let hasFolder = 1;
  let hasCanonicalizer = 1;
  let extraClassDeclaration = Graph_compatible;
}

def Graph_BroadcastOp : Graph_Op<"broadcast"> {
  let summary = "repeat along new dimensions and dimensions of size 1";
  let description = "Operand dimension i becomes result dimension `dimensions[i]` (ascending); its size is that dimension's or 1.";
  let arguments = (ins Graph_Tensor:$operand, DenseI64ArrayAttr:$dimensions);
  let results = (outs Graph_Tensor:$result);
  let assemblyFormat = "$operand $dimensions attr-dict `:` functional-type(operands, results)";
  let hasVerifier = 1;
  let hasFolder = 1;
}

def Graph_SliceOp : Graph_Op<"slice"> {
  let summary = "a box with strides; sizes are the result's";
  let description = "Element i of the result is element `offsets + i * strides` of the operand. Offsets are expressions over the symbols; a stride may be negative.";
  let arguments = (ins Graph_Tensor:$operand, AffineMapAttr:$offsets,
                       DenseI64ArrayAttr:$strides);
  let results = (outs Graph_Tensor:$result);
  let assemblyFormat = "$operand `at` $offsets $strides attr-dict `:` functional-type(operands, results)";
  let hasVerifier = 1;
  let hasFolder = 1;
}

def Graph_ConcatenateOp : Graph_Op<"concatenate", [
    Graph_Inferred]> {
  let summary = "join along one dimension";
  let arguments = (ins Variadic<Graph_Tensor>:$operands, I64Attr:$dimension);
  let results = (outs Graph_Tensor:$result);
  let assemblyFormat = "$dimension `,` $operands attr-dict `:` functional-type(operands, results)";
  let hasVerifier = 1;
  let hasFolder = 1;
  let hasCanonicalizer = 1;
  let extraClassDeclaration = Graph_compatible;
}

def Graph_PadMode : I32EnumAttr<"PadMode", "what the padding holds", [
    I32EnumAttrCase<"constant", 0>, I32EnumAttrCase<"reflect", 1>,
    I32EnumAttrCase<"edge", 2>, I32EnumAttrCase<"wrap", 3>]> {
  let cppNamespace = "::aicc::graph";
  let genSpecializedAttr = 0;
}
def Graph_PadModeAttr : EnumAttr<Graph_Dialect, Graph_PadMode, "pad_mode">;

def Graph_PadOp : Graph_Op<"pad", [
    Graph_Inferred]> {
  let summary = "add elements (or, negative, remove some) before and after each dimension";
  let arguments = (ins Graph_Tensor:$operand, Graph_Tensor:$value,
                       AffineMapAttr:$low, AffineMapAttr:$high,
                       Graph_PadModeAttr:$mode);
  let results = (outs Graph_Tensor:$result);
  let assemblyFormat = "$operand `,` $value $mode $low $high attr-dict `:` functional-type(operands, results)";
  let hasVerifier = 1;
  let extraClassDeclaration = Graph_compatible;
}

def Graph_ReverseOp : Graph_Op<"reverse", [SameOperandsAndResultType]> {
  let summary = "reverse the order along dimensions";
  let arguments = (ins Graph_Tensor:$operand, DenseI64ArrayAttr:$dimensions);
  let results = (outs Graph_Tensor:$result);
  let assemblyFormat = "$operand $dimensions attr-dict `:` type($result)";
  let hasVerifier = 1;
}

def Graph_GatherOp : Graph_Op<"gather", [
    Graph_Inferred]> {
  let summary = "slices of `operand` along `axis`, chosen by `indices`";
  let description = "The result's dimensions are operand's before axis, those of indices, operand's after axis. Negative indices count from the end; an index outside the dimension is clamped to it.";
  let arguments = (ins Graph_Tensor:$operand, Graph_IntTensor:$indices,
                       I64Attr:$axis);
  let results = (outs Graph_Tensor:$result);
  let assemblyFormat = "$operand `,` $indices `axis` $axis attr-dict `:` functional-type(operands, results)";
  let hasVerifier = 1;
  let extraClassDeclaration = Graph_compatible;
}

def Graph_GatherElementsOp : Graph_Op<"gather_elements", [
    Graph_Inferred]> {
  let summary = "result[i..] = operand[i.. with indices[i..] at axis]";
  let arguments = (ins Graph_Tensor:$operand, Graph_IntTensor:$indices,
                       I64Attr:$axis);
  let results = (outs Graph_Tensor:$result);
  let assemblyFormat = "$operand `,` $indices `axis` $axis attr-dict `:` functional-type(operands, results)";
  let hasVerifier = 1;
  let extraClassDeclaration = Graph_compatible;
}

def Graph_GatherNdOp : Graph_Op<"gather_nd", [
    Graph_Inferred]> {
  let summary = "slices of `operand` at the index tuples in the last dimension of `indices`";
  let arguments = (ins Graph_Tensor:$operand, Graph_IntTensor:$indices,
                       I64Attr:$batch_dims);
  let results = (outs Graph_Tensor:$result);
  let assemblyFormat = "$operand `,` $indices `batch` $batch_dims attr-dict `:` functional-type(operands, results)";
  let hasVerifier = 1;
  let extraClassDeclaration = Graph_compatible;
}

def Graph_ResizeMode : I32EnumAttr<"ResizeMode", "interpolation", [
    I32EnumAttrCase<"nearest", 0>, I32EnumAttrCase<"linear", 1>,
    I32EnumAttrCase<"cubic", 2>]> {
  let cppNamespace = "::aicc::graph";
  let genSpecializedAttr = 0;
}
def Graph_ResizeModeAttr : EnumAttr<Graph_Dialect, Graph_ResizeMode, "resize_mode">;

def Graph_ResizeOp : Graph_Op<"resize"> {
  let summary = "resample along any dimensions";
  let description = [{
    `coordinates` is how a result coordinate maps to an operand coordinate:
    half_pixel, asymmetric, align_corners or pytorch_half_pixel; `rounding` is
    how `nearest` rounds: floor, ceil, round_prefer_floor, round_prefer_ceil.
    `scales` has one factor per dimension, 1.0 where nothing is resampled.
  }];
  let arguments = (ins Graph_Tensor:$operand, Graph_ResizeModeAttr:$mode,
                       DenseF64ArrayAttr:$scales, StrAttr:$coordinates,
                       StrAttr:$rounding);
  let results = (outs Graph_Tensor:$result);
  let assemblyFormat = "$operand $mode $scales $coordinates $rounding attr-dict `:` functional-type(operands, results)";
  let hasVerifier = 1;
}

#endif
