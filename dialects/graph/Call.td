//===- Call.td - functions of the host ------------------------------------===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef AICC_DIALECTS_GRAPH_CALL_TD
#define AICC_DIALECTS_GRAPH_CALL_TD

include "dialects/graph/GraphDialect.td"

def Graph_CallOp : Graph_Op<"call"> {
  let summary = "a function that the runtime has by name";
  let description = [{
    For what no kernel can do: strings and decoding. The function belongs to
    the host, so only targets that share its memory take it. It has no side
    effects. `options` is a JSON object; its strings hold one byte in each
    code point.
  }];
  let arguments = (ins StrAttr:$function, Variadic<Graph_Tensor>:$operands,
                       DefaultValuedAttr<StrAttr, "{}">:$options);
  let results = (outs Variadic<Graph_Tensor>:$results);
  let assemblyFormat = "$function `(` $operands `)` attr-dict `:` functional-type($operands, $results)";
  let hasVerifier = 1;
}

#endif
