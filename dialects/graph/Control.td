//===- Control.td - loops, branches, sizes that data decides --------------===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef AICC_DIALECTS_GRAPH_CONTROL_TD
#define AICC_DIALECTS_GRAPH_CONTROL_TD

include "dialects/graph/GraphDialect.td"

class Graph_ControlOp<string mnemonic, list<Trait> traits = []>
    : Op<Graph_Dialect, mnemonic, traits>;

def Graph_ReadOp : Graph_ControlOp<"read", [MemoryEffects<[MemWrite]>]> {
  let summary = "bind a symbol to an element of a tensor when the program runs";
  let description = [{
    `symbol` takes the value of element `element` (in row-major order). It is
    numbered behind the named symbols; whatever its dimensions or attributes
    say about it depends on the read, wherever it stands in the block. An
    element that is less than `minimum` ends the run with an error that names
    the operator's nodes, so a read checks, too. Several reads may bind one
    symbol where only one of them runs, in the regions of a `graph.if`.
  }];
  let arguments = (ins Graph_IntTensor:$operand, I64Attr:$element,
                       I64Attr:$symbol,
                       DefaultValuedAttr<I64Attr, "0">:$minimum);
  let assemblyFormat = "$operand `[` $element `]` `symbol` $symbol (`minimum` $minimum^)? attr-dict `:` type($operand)";
  let hasVerifier = 1;
}

def Graph_LoopOp : Graph_ControlOp<"loop", [
    SingleBlock, RecursiveMemoryEffects,
    DeclareOpInterfaceMethods<MemoryEffectsOpInterface>]> {
  let summary = "repeat at most `count` times with carried values";
  let description = [{
    The body sees the carried values as arguments and the iteration number as
    symbol `symbol`, which offsets of `slice` and `update` may use. The types
    of carried values do not change. With `conditional` the first carried value
    is a bool scalar, and the loop ends where it is false before an iteration.
    `trips` is a symbol that is bound to the number of iterations afterwards.
  }];
  let arguments = (ins Variadic<Graph_Tensor>:$inits, AffineMapAttr:$count,
                       I64Attr:$symbol, UnitAttr:$conditional,
                       OptionalAttr<I64Attr>:$trips);
  let results = (outs Variadic<Graph_Tensor>:$results);
  let regions = (region SizedRegion<1>:$body);
  let assemblyFormat = "$count `symbol` $symbol (`while` $conditional^)? (`trips` $trips^)? `carries` $inits attr-dict-with-keyword `:` functional-type($inits, $results) $body";
  let hasVerifier = 1;
}

def Graph_IfOp : Graph_ControlOp<"if", [
    SingleBlock, RecursiveMemoryEffects, NoRegionArguments]> {
  let summary = "the values of one of two regions";
  let description = [{
    Both regions may use values from outside and yield values of the same
    types. A dimension that the regions do not agree on is a symbol that each
    of them binds by a `graph.read`.
  }];
  let arguments = (ins 0DTensorOf<[I1]>:$condition);
  let results = (outs Variadic<Graph_Tensor>:$results);
  let regions = (region SizedRegion<1>:$body, SizedRegion<1>:$otherwise);
  let assemblyFormat = "$condition attr-dict-with-keyword `:` type($condition) (`->` type($results)^)? $body `else` $otherwise";
  let hasVerifier = 1;
}

def Graph_YieldOp : Graph_Op<"yield", [
    Terminator, ParentOneOf<["LoopOp", "IfOp"]>]> {
  let summary = "the values of the next iteration, or of a region";
  let arguments = (ins Variadic<Graph_Tensor>:$operands);
  let assemblyFormat = "($operands^ `:` type($operands))? attr-dict";
}

#endif
