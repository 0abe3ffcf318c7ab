//===- Exec.cpp - the exec dialect ----------------------------------------===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "dialects/exec/Exec.h"
#include "dialects/graph/Graph.h"

#include "mlir/IR/Builders.h"

using namespace mlir;
using namespace aicc::exec;

#include "dialects/exec/ExecDialect.cpp.inc"

#define GET_OP_CLASSES
#include "dialects/exec/ExecOps.cpp.inc"

void ExecDialect::initialize() {
  addOperations<
#define GET_OP_LIST
#include "dialects/exec/ExecOps.cpp.inc"
      >();
}

OpFoldResult ConstantOp::fold(FoldAdaptor) { return getValue(); }

//===----------------------------------------------------------------------===//
// KernelOp: exec.kernel @name(%a : type, …) -> (types) attributes {…} { … }
//===----------------------------------------------------------------------===//

/// Prints or parses `(%a: body type as declared type, …)`. The declared type
/// is written only where the body's differs from it.
static void printArguments(OpAsmPrinter &p, Block &block, ArrayAttr declared) {
  p << "(";
  llvm::interleaveComma(llvm::zip(block.getArguments(), declared), p,
                        [&](auto pair) {
                          auto [arg, type] = pair;
                          p.printRegionArgument(arg);
                          Type kept = cast<TypeAttr>(type).getValue();
                          if (kept != arg.getType())
                            p << " as " << kept;
                        });
  p << ")";
}

static ParseResult parseArguments(OpAsmParser &parser,
                                  SmallVectorImpl<OpAsmParser::Argument> &args,
                                  SmallVectorImpl<Attribute> &declared) {
  return parser.parseCommaSeparatedList(
      OpAsmParser::Delimiter::Paren, [&]() -> ParseResult {
        OpAsmParser::Argument arg;
        if (parser.parseArgument(arg, /*allowType=*/true))
          return failure();
        Type kept = arg.type;
        if (succeeded(parser.parseOptionalKeyword("as")) &&
            parser.parseType(kept))
          return failure();
        args.push_back(arg);
        declared.push_back(TypeAttr::get(kept));
        return success();
      });
}

ParseResult KernelOp::parse(OpAsmParser &parser, OperationState &state) {
  StringAttr name;
  SmallVector<OpAsmParser::Argument> args;
  SmallVector<Attribute> argTypes, resultTypes;
  if (parser.parseSymbolName(name, "sym_name", state.attributes) ||
      parseArguments(parser, args, argTypes) || parser.parseArrow() ||
      parser.parseCommaSeparatedList(OpAsmParser::Delimiter::Paren, [&] {
        Type type;
        if (parser.parseType(type))
          return failure();
        resultTypes.push_back(TypeAttr::get(type));
        return success();
      }))
    return failure();
  Builder &b = parser.getBuilder();
  state.addAttribute("argument_types", b.getArrayAttr(argTypes));
  state.addAttribute("result_types", b.getArrayAttr(resultTypes));
  if (parser.parseOptionalAttrDictWithKeyword(state.attributes))
    return failure();
  return parser.parseRegion(*state.addRegion(), args);
}

void KernelOp::print(OpAsmPrinter &p) {
  p << ' ';
  p.printSymbolName(getSymName());
  printArguments(p, *getBodyBlock(), getArgumentTypes());
  p << " -> (";
  llvm::interleaveComma(getResultTypes(), p, [&](Attribute type) {
    p << cast<TypeAttr>(type).getValue();
  });
  p << ")";
  p.printOptionalAttrDictWithKeyword(
      (*this)->getAttrs(), {"sym_name", "argument_types", "result_types"});
  p << ' ';
  p.printRegion(getBody(), /*printEntryBlockArgs=*/false);
}

/// The same element as stored and the same static sizes; encodings and signs
/// may differ, which a lowered body has lost.
static bool sameTensor(Type a, Type b) {
  auto x = dyn_cast<RankedTensorType>(a), y = dyn_cast<RankedTensorType>(b);
  if (!x || !y || x.getShape() != y.getShape())
    return false;
  return aicc::graph::storedType(x.getElementType()) ==
         aicc::graph::storedType(y.getElementType());
}

LogicalResult KernelOp::verify() {
  Block &block = *getBodyBlock();
  if (block.getNumArguments() != getArgumentTypes().size())
    return emitOpError() << "has " << block.getNumArguments()
                         << " arguments, expected "
                         << getArgumentTypes().size();
  for (auto [i, arg] : llvm::enumerate(block.getArguments()))
    if (!sameTensor(arg.getType(),
                    cast<TypeAttr>(getArgumentTypes()[i]).getValue()))
      return emitOpError() << "argument " << i << " is " << arg.getType()
                           << ", expected " << getArgumentTypes()[i];
  if (block.empty() || !isa<ReturnOp>(block.back()))
    return emitOpError("body has no terminator, expected exec.return");
  auto ret = cast<ReturnOp>(block.back());
  if (ret.getNumOperands() != getResultTypes().size())
    return ret.emitOpError()
           << "has " << ret.getNumOperands() << " operands, expected "
           << getResultTypes().size();
  for (auto [i, type] : llvm::enumerate(ret.getOperandTypes()))
    if (!sameTensor(type, cast<TypeAttr>(getResultTypes()[i]).getValue()))
      return ret.emitOpError() << "operand " << i << " is " << type
                               << ", expected " << getResultTypes()[i];
  return success();
}

SmallVector<int64_t> KernelOp::getUsedSymbols() {
  SmallVector<int64_t> numbers;
  getBody().walk([&](SymbolOp op) { numbers.push_back(op.getNumber()); });
  // Sizes of arguments and results are needed to address them.
  for (ArrayAttr types : {getArgumentTypes(), getResultTypes()})
    for (Attribute type : types) {
      auto tensor = cast<RankedTensorType>(cast<TypeAttr>(type).getValue());
      if (auto map = dyn_cast_or_null<AffineMapAttr>(tensor.getEncoding()))
        map.getValue().walkExprs([&](AffineExpr expr) {
          if (auto symbol = dyn_cast<AffineSymbolExpr>(expr))
            numbers.push_back(symbol.getPosition());
        });
    }
  llvm::sort(numbers);
  numbers.erase(llvm::unique(numbers), numbers.end());
  return numbers;
}

LogicalResult ScatterOp::verify() {
  auto type = cast<RankedTensorType>(getOperand().getType());
  auto positions = cast<RankedTensorType>(getPositions().getType());
  auto updates = cast<RankedTensorType>(getUpdates().getType());
  int64_t rank = type.getRank();
  if (getAxis() >= uint64_t(rank) || positions.getRank() != rank ||
      updates.getRank() != rank)
    return emitOpError() << "has operands of ranks " << rank << ", "
                         << positions.getRank() << " and " << updates.getRank()
                         << " and axis " << getAxis()
                         << ", expected one rank above the axis";
  Type element = type.getElementType();
  Block &block = getCombiner().front();
  if (!positions.getElementType().isInteger(64) ||
      updates.getElementType() != element || block.getNumArguments() != 2 ||
      block.getArgument(0).getType() != element ||
      block.getArgument(1).getType() != element)
    return emitOpError() << "combines other types than " << element
                         << ", expected that one, and i64 positions";
  auto combine =
      block.empty() ? CombineOp() : dyn_cast<CombineOp>(block.back());
  if (!combine || combine.getValue().getType() != element)
    return emitOpError() << "region doesn't give an element, expected "
                         << element;
  return success();
}

//===----------------------------------------------------------------------===//
// ProgramOp: exec.program @name("x" = %x : type, …) -> ("y") { … }
//===----------------------------------------------------------------------===//

ParseResult ProgramOp::parse(OpAsmParser &parser, OperationState &state) {
  StringAttr name;
  SmallVector<OpAsmParser::Argument> args;
  SmallVector<Attribute> argNames, resultNames;
  auto parseName = [&](SmallVectorImpl<Attribute> &names) -> ParseResult {
    std::string text;
    if (parser.parseString(&text))
      return failure();
    names.push_back(parser.getBuilder().getStringAttr(text));
    return success();
  };
  if (parser.parseSymbolName(name, "sym_name", state.attributes) ||
      parser.parseCommaSeparatedList(
          OpAsmParser::Delimiter::Paren,
          [&]() -> ParseResult {
            OpAsmParser::Argument arg;
            if (parseName(argNames) || parser.parseEqual() ||
                parser.parseArgument(arg, /*allowType=*/true))
              return failure();
            args.push_back(arg);
            return success();
          }) ||
      parser.parseArrow() ||
      parser.parseCommaSeparatedList(OpAsmParser::Delimiter::Paren,
                                     [&] { return parseName(resultNames); }))
    return failure();
  Builder &b = parser.getBuilder();
  state.addAttribute("argument_names", b.getArrayAttr(argNames));
  state.addAttribute("result_names", b.getArrayAttr(resultNames));
  if (parser.parseOptionalAttrDictWithKeyword(state.attributes))
    return failure();
  return parser.parseRegion(*state.addRegion(), args);
}

void ProgramOp::print(OpAsmPrinter &p) {
  p << ' ';
  p.printSymbolName(getSymName());
  p << "(";
  llvm::interleaveComma(llvm::zip(getBody().getArguments(), getArgumentNames()),
                        p, [&](auto pair) {
                          p << std::get<1>(pair) << " = ";
                          p.printRegionArgument(std::get<0>(pair));
                        });
  p << ") -> (";
  llvm::interleaveComma(getResultNames(), p);
  p << ")";
  p.printOptionalAttrDictWithKeyword(
      (*this)->getAttrs(), {"sym_name", "argument_names", "result_names"});
  p << ' ';
  p.printRegion(getBody(), /*printEntryBlockArgs=*/false);
}

LogicalResult ProgramOp::verify() {
  Block &block = getBody().front();
  if (block.getNumArguments() != getArgumentNames().size())
    return emitOpError() << "has " << block.getNumArguments()
                         << " arguments, expected "
                         << getArgumentNames().size();
  if (block.empty() || !isa<FinishOp>(block.back()))
    return emitOpError("body has no terminator, expected exec.finish");
  if (block.back().getNumOperands() != getResultNames().size())
    return emitOpError() << "finishes with " << block.back().getNumOperands()
                         << " outputs, expected " << getResultNames().size();
  return success();
}

//===----------------------------------------------------------------------===//
// Instructions
//===----------------------------------------------------------------------===//

LogicalResult LaunchOp::verifySymbolUses(SymbolTableCollection &symbols) {
  auto kernel =
      symbols.lookupNearestSymbolFrom<KernelOp>(*this, getKernelAttr());
  if (!kernel)
    return emitOpError() << "launches @" << getKernel()
                         << ", which is no kernel";
  auto check = [&](TypeRange have, ArrayAttr want,
                   StringRef what) -> LogicalResult {
    if (have.size() != want.size())
      return emitOpError() << "has " << have.size() << " " << what
                           << "s, expected " << want.size();
    for (auto [i, type] : llvm::enumerate(have))
      if (type != cast<TypeAttr>(want[i]).getValue())
        return emitOpError() << what << " " << i << " is " << type
                             << ", expected " << want[i];
    return success();
  };
  if (failed(check(getOperandTypes(), kernel.getArgumentTypes(), "operand")))
    return failure();
  return check(getResultTypes(), kernel.getResultTypes(), "result");
}

LogicalResult ViewOp::verify() {
  auto from = cast<RankedTensorType>(getOperand().getType());
  auto to = cast<RankedTensorType>(getType());
  if (from.getElementType() != to.getElementType())
    return emitOpError() << "is " << to.getElementType() << " for "
                         << from.getElementType() << ", expected one type";
  if (from.hasStaticShape() && to.hasStaticShape() &&
      from.getNumElements() != to.getNumElements())
    return emitOpError() << "has " << to.getNumElements()
                         << " elements for a view of " << from.getNumElements()
                         << ", expected as many";
  return success();
}

LogicalResult UpdateOp::verify() {
  auto type = cast<RankedTensorType>(getType());
  auto update = cast<RankedTensorType>(getUpdate().getType());
  if (update.getElementType() != type.getElementType())
    return emitOpError() << "update is of " << update.getElementType()
                         << ", expected " << type.getElementType();
  if (getAt().getNumDims() != 0 || getAt().getNumResults() != 1)
    return emitOpError() << "place has " << getAt().getNumDims()
                         << " dimensions and " << getAt().getNumResults()
                         << " expressions, expected none and one";
  return success();
}

LogicalResult LoopOp::verify() {
  Block &block = getBody().front();
  unsigned yields = block.empty() ? 0 : unsigned(block.back().getNumOperands());
  if (getInits().size() != getNumResults() || yields != getNumResults() ||
      block.getNumArguments() != getNumResults())
    return emitOpError() << "carries " << getInits().size()
                         << " values, but the body yields " << yields
                         << " and takes " << block.getNumArguments();
  return success();
}

LogicalResult IfOp::verify() {
  for (Region *region : {&getBody(), &getOtherwise()}) {
    Block &block = region->front();
    unsigned yields = block.empty() ? 0 : block.back().getNumOperands();
    if (yields != getNumResults())
      return emitOpError() << "has " << getNumResults()
                           << " results, but a region yields " << yields;
  }
  return success();
}
