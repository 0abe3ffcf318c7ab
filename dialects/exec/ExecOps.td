//===- ExecOps.td - operators of the exec dialect -------------------------===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

include "dialects/exec/ExecDialect.td"

def Exec_KernelOp : Exec_Op<"kernel", [
    Symbol, IsolatedFromAbove, SingleBlock, HasParent<"::mlir::ModuleOp">]> {
  let summary = "one launch's worth of work";
  let description = [{
    The body computes the yielded tensors from the arguments. Arguments and
    results carry their dimensions as encodings (see `graph`), also after the
    body has been lowered to `linalg` on types without encodings:
    `argument_types` and `result_types` keep them. `sources` names the model's
    nodes that the kernel computes. The only result may have the memory of an
    argument in `in_place`.
  }];
  let arguments = (ins SymbolNameAttr:$sym_name,
                       TypeArrayAttr:$argument_types,
                       TypeArrayAttr:$result_types,
                       DefaultValuedAttr<StrArrayAttr, "{}">:$sources,
                       OptionalAttr<DenseI64ArrayAttr>:$in_place);
  let regions = (region SizedRegion<1>:$body);
  let hasCustomAssemblyFormat = 1;
  let hasVerifier = 1;
  let extraClassDeclaration = [{
    mlir::Block *getBodyBlock() { return &getBody().front(); }
    /// The symbols that the body and the sizes of arguments and results use,
    /// ascending: the kernel's scalar arguments.
    llvm::SmallVector<int64_t> getUsedSymbols();
  }];
}

def Exec_ReturnOp : Exec_Op<"return", [Pure, Terminator,
    HasParent<"KernelOp">]> {
  let summary = "what a kernel computes";
  let arguments = (ins Variadic<AnyRankedTensor>:$operands);
  let assemblyFormat = "attr-dict ($operands^ `:` type($operands))?";
}

def Exec_ScatterOp : Exec_Op<"scatter", [Pure, SingleBlock,
    AllTypesMatch<["operand", "result"]>]> {
  let summary = "operand with elements at computed positions replaced";
  let description = [{
    The only operation of a lowered kernel that isn't `linalg.generic`. For
    every index i of `updates`, in row-major order: the element of the result
    at i, with `positions[i]` at `axis`, becomes what the region computes from
    its present value and `updates[i]`. Positions outside the dimension do
    nothing. It is the kernel's only result.
  }];
  let arguments = (ins AnyRankedTensor:$operand, AnyRankedTensor:$positions,
                       AnyRankedTensor:$updates, I64Attr:$axis);
  let results = (outs AnyRankedTensor:$result);
  let regions = (region SizedRegion<1>:$combiner);
  let assemblyFormat = "$operand `,` $positions `,` $updates `axis` $axis attr-dict-with-keyword `:` type($operand) `,` type($positions) `,` type($updates) $combiner";
  let hasVerifier = 1;
}

def Exec_CombineOp : Exec_Op<"combine", [Pure, Terminator,
    HasParent<"ScatterOp">]> {
  let summary = "what the element becomes";
  let arguments = (ins AnyType:$value);
  let assemblyFormat = "$value attr-dict `:` type($value)";
}

def Exec_SymbolOp : Exec_Op<"symbol", [Pure]> {
  let summary = "value of a symbol at run time";
  let arguments = (ins I64Attr:$number);
  let results = (outs Index:$result);
  let assemblyFormat = "$number attr-dict";
}

def Exec_ProgramOp : Exec_Op<"program", [
    Symbol, IsolatedFromAbove, SingleBlock, HasParent<"::mlir::ModuleOp">]> {
  let summary = "the schedule of one variant";
  let description = [{
    Arguments are the model's inputs; `exec.finish` names its outputs. Values
    have tensor types with their dimensions as encodings. The names of inputs
    and outputs are `argument_names` and `result_names`.
  }];
  let arguments = (ins SymbolNameAttr:$sym_name, StrArrayAttr:$argument_names,
                       StrArrayAttr:$result_names);
  let regions = (region SizedRegion<1>:$body);
  let hasCustomAssemblyFormat = 1;
  let hasVerifier = 1;
}

def Exec_FinishOp : Exec_Op<"finish", [Terminator, HasParent<"ProgramOp">]> {
  let summary = "the model's outputs";
  let arguments = (ins Variadic<AnyRankedTensor>:$operands);
  let assemblyFormat = "attr-dict ($operands^ `:` type($operands))?";
}

def Exec_ConstantOp : Exec_Op<"constant", [Pure, ConstantLike,
    AllTypesMatch<["value", "result"]>]> {
  let summary = "a weight of the package";
  let arguments = (ins ElementsAttr:$value);
  let results = (outs AnyRankedTensor:$result);
  let assemblyFormat = "attr-dict $value";
  let hasFolder = 1;
}

def Exec_LaunchOp : Exec_Op<"launch", [Pure,
    DeclareOpInterfaceMethods<SymbolUserOpInterface>]> {
  let summary = "run a kernel; its results are new buffers";
  let description = [{
    With `prepare` the launch depends on weights only and runs once, when the
    session is created.
  }];
  let arguments = (ins FlatSymbolRefAttr:$kernel,
                       Variadic<AnyRankedTensor>:$operands,
                       UnitAttr:$prepare);
  let results = (outs Variadic<AnyRankedTensor>:$results);
  let assemblyFormat = [{
    $kernel `(` $operands `)` attr-dict
    `:` functional-type(operands, results)
  }];
}

def Exec_ViewOp : Exec_Op<"view", [Pure]> {
  let summary = "the same memory with other dimensions";
  let arguments = (ins AnyRankedTensor:$operand);
  let results = (outs AnyRankedTensor:$result);
  let assemblyFormat = "$operand attr-dict `:` functional-type(operands, results)";
  let hasVerifier = 1;
}

def Exec_CallOp : Exec_Op<"call", [Pure]> {
  let summary = "run a function of the host; its results are new buffers";
  let description = [{
    `options` is a JSON object. `sources` are the nodes of the model that an
    error names.
  }];
  let arguments = (ins StrAttr:$function, Variadic<AnyRankedTensor>:$operands,
                       StrAttr:$options,
                       DefaultValuedAttr<StrArrayAttr, "{}">:$sources);
  let results = (outs Variadic<AnyRankedTensor>:$results);
  let assemblyFormat = "$function `(` $operands `)` attr-dict `:` functional-type($operands, $results)";
}

def Exec_CopyOp : Exec_Op<"copy", [Pure, SameOperandsAndResultType]> {
  let summary = "the same elements in a buffer of their own";
  let arguments = (ins AnyRankedTensor:$operand);
  let results = (outs AnyRankedTensor:$result);
  let assemblyFormat = "$operand attr-dict `:` type($operand)";
}

def Exec_ReadOp : Exec_Op<"read", []> {
  let summary = "bind a symbol to an element of an integer tensor";
  let description = [{
    An element less than `minimum` is an error that names `sources`, nodes of
    the model.
  }];
  let arguments = (ins AnyRankedTensor:$operand, I64Attr:$element,
                       I64Attr:$symbol,
                       DefaultValuedAttr<I64Attr, "0">:$minimum,
                       DefaultValuedAttr<StrArrayAttr, "{}">:$sources);
  let assemblyFormat = "$operand `[` $element `]` `symbol` $symbol (`minimum` $minimum^)? attr-dict `:` type($operand)";
}

def Exec_UpdateOp : Exec_Op<"update", [
    Pure, AllTypesMatch<["operand", "result"]>]> {
  let summary = "operand with consecutive elements replaced by `update`";
  let description = [{
    `at` is the place of the first one in row-major order. The result has the
    memory of the operand if nobody needs that any more.
  }];
  let arguments = (ins AnyRankedTensor:$operand, AnyRankedTensor:$update,
                       AffineMapAttr:$at);
  let results = (outs AnyRankedTensor:$result);
  let assemblyFormat = "$operand `,` $update `at` $at attr-dict `:` type($operand) `,` type($update)";
  let hasVerifier = 1;
}

def Exec_LoopOp : Exec_Op<"loop", [
    SingleBlock, RecursiveMemoryEffects]> {
  let summary = "repeat with carried values; symbol = iteration";
  let description = [{
    With `conditional` the first carried value, a bool scalar, is tested before
    each iteration. `trips` is bound to the number of iterations afterwards.
  }];
  let arguments = (ins Variadic<AnyRankedTensor>:$inits, AffineMapAttr:$count,
                       I64Attr:$symbol, UnitAttr:$conditional,
                       OptionalAttr<I64Attr>:$trips);
  let results = (outs Variadic<AnyRankedTensor>:$results);
  let regions = (region SizedRegion<1>:$body);
  let assemblyFormat = "$count `symbol` $symbol (`while` $conditional^)? (`trips` $trips^)? `carries` $inits attr-dict-with-keyword `:` functional-type($inits, $results) $body";
  let hasVerifier = 1;
}

def Exec_IfOp : Exec_Op<"if", [
    SingleBlock, RecursiveMemoryEffects, NoRegionArguments]> {
  let summary = "run one of two regions";
  let arguments = (ins AnyRankedTensor:$condition);
  let results = (outs Variadic<AnyRankedTensor>:$results);
  let regions = (region SizedRegion<1>:$body, SizedRegion<1>:$otherwise);
  let assemblyFormat = "$condition attr-dict-with-keyword `:` type($condition) (`->` type($results)^)? $body `else` $otherwise";
  let hasVerifier = 1;
}

def Exec_YieldOp : Exec_Op<"yield", [Pure, Terminator,
    ParentOneOf<["LoopOp", "IfOp"]>]> {
  let summary = "the values of the next iteration, or of a region";
  let arguments = (ins Variadic<AnyRankedTensor>:$operands);
  let assemblyFormat = "attr-dict ($operands^ `:` type($operands))?";
}
