//===- GraphDialect.td - the neutral tensor operators ---------------------===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef AICC_DIALECTS_GRAPH_DIALECT_TD
#define AICC_DIALECTS_GRAPH_DIALECT_TD

include "mlir/IR/OpBase.td"
include "mlir/IR/AttrTypeBase.td"
include "mlir/IR/EnumAttr.td"
include "mlir/Interfaces/InferTypeOpInterface.td"
include "mlir/Interfaces/SideEffectInterfaces.td"
include "mlir/Interfaces/ControlFlowInterfaces.td"

def Graph_Dialect : Dialect {
  let name = "graph";
  let cppNamespace = "::aicc::graph";
  let summary = "Tensor operators that no framework and no device owns";
  let description = [{
    `graph` is what every importer produces and every target consumes. Its
    operators have value semantics, explicit broadcasts and static attributes.

    A dimension is a number or an expression over the symbols of the module
    (`graph.symbols`, an array of their names). A tensor type with a dynamic
    dimension carries its dimensions as an encoding, an affine map without
    dimensions: `tensor<?x768xf32, affine_map<()[s0] -> (s0, 768)>>`; symbol
    `sN` is the N-th name of `graph.symbols`. Use `dialects/graph/Dims.h`.

    The value of a model's tensor keeps that tensor's name as a `NameLoc`.
  }];
  let hasConstantMaterializer = 1;
  let useDefaultAttributePrinterParser = 1;
  let useDefaultTypePrinterParser = 1;
}

class Graph_Op<string mnemonic, list<Trait> traits = []>
    : Op<Graph_Dialect, mnemonic, !listconcat([Pure], traits)>;

def Graph_StringType : TypeDef<Graph_Dialect, "String"> {
  let mnemonic = "string";
  let summary = "an element that is a sequence of bytes";
  let description = [{
    In memory a pointer to the bytes and their number, 64 bits each; only
    devices that share the host's memory hold such elements.
  }];
}

/// A dynamic dimension without an expression has no meaning here.
def Graph_HasDims : CPred<"::aicc::graph::hasDims($_self)">;
class Graph_TensorOf<list<Type> elements>
    : RankedTensorOf<elements, [Graph_HasDims],
                     "ranked tensor with an expression for every dynamic dimension">;

def Graph_Tensor
    : Graph_TensorOf<[AnyInteger, AnyFloat, AnyComplex, Graph_StringType]>;
def Graph_FloatTensor : Graph_TensorOf<[AnyFloat]>;
def Graph_IntTensor : Graph_TensorOf<[AnyInteger]>;
def Graph_BoolTensor : Graph_TensorOf<[I1]>;

/// Result types are inferred; a declared type may say more or less about a
/// dimension, but not contradict what was inferred.
def Graph_Inferred : DeclareOpInterfaceMethods<InferTypeOpInterface>;
defvar Graph_compatible = [{
    static bool isCompatibleReturnTypes(::mlir::TypeRange inferred,
                                        ::mlir::TypeRange declared) {
      return ::aicc::graph::compatibleTypes(inferred, declared);
    }
}];

#endif
