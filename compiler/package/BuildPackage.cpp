//===- BuildPackage.cpp - compiled variants to a package ------------------===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "compiler/package/BuildPackage.h"
#include "compiler/package/FileWriter.h"
#include "compiler/scheduling/Schedule.h"
#include "compiler/transforms/Evaluate.h"
#include "dialects/exec/Devices.h"
#include "dialects/graph/Dims.h"
#include "dialects/graph/Graph.h"
#include "runtime/package/Preamble.h"

#include "llvm/ADT/DenseMap.h"

#include <deque>
#include <set>

using namespace mlir;
using namespace aicc;
using namespace aicc::package;

namespace {
ElementType typeOf(Type element) {
  if (element.isF16())
    return ElementType::f16;
  if (element.isBF16())
    return ElementType::bf16;
  if (element.isF32())
    return ElementType::f32;
  if (element.isF64())
    return ElementType::f64;
  if (isa<Float8E4M3FNType>(element))
    return ElementType::f8e4m3fn;
  if (isa<Float8E4M3FNUZType>(element))
    return ElementType::f8e4m3fnuz;
  if (isa<Float8E5M2Type>(element))
    return ElementType::f8e5m2;
  if (isa<Float8E5M2FNUZType>(element))
    return ElementType::f8e5m2fnuz;
  if (isa<Float8E8M0FNUType>(element))
    return ElementType::f8e8m0fnu;
  if (isa<Float4E2M1FNType>(element))
    return ElementType::f4e2m1fn;
  if (isa<Float6E2M3FNType>(element))
    return ElementType::f6e2m3fn;
  if (isa<Float6E3M2FNType>(element))
    return ElementType::f6e3m2fn;
  if (isa<graph::StringType>(element))
    return ElementType::string;
  if (auto complex = dyn_cast<ComplexType>(element))
    return complex.getElementType().isF32()   ? ElementType::c64
           : complex.getElementType().isF64() ? ElementType::c128
                                              : ElementType::invalid;
  auto integer = dyn_cast<IntegerType>(element);
  if (!integer)
    return ElementType::invalid;
  bool isUnsigned = integer.isUnsigned();
  switch (integer.getWidth()) {
  case 1:
    return ElementType::bool_;
  case 2:
    return isUnsigned ? ElementType::u2 : ElementType::i2;
  case 4:
    return isUnsigned ? ElementType::u4 : ElementType::i4;
  case 8:
    return isUnsigned ? ElementType::u8 : ElementType::i8;
  case 16:
    return isUnsigned ? ElementType::u16 : ElementType::i16;
  case 32:
    return isUnsigned ? ElementType::u32 : ElementType::i32;
  case 64:
    return isUnsigned ? ElementType::u64 : ElementType::i64;
  default:
    return ElementType::invalid;
  }
}

/// A list of expressions, equal ones once, operands before their users.
class ExprList {
public:
  ExprList(std::vector<ExprNode> &nodes, unsigned &symbolCount)
      : nodes(nodes), symbolCount(symbolCount) {}

  uint32_t add(AffineExpr expr) {
    auto it = index.find(expr);
    if (it != index.end())
      return it->second;
    ExprNode node(0, 0, 0, ExprOp::constant);
    if (auto constant = dyn_cast<AffineConstantExpr>(expr)) {
      node = ExprNode(constant.getValue(), 0, 0, ExprOp::constant);
    } else if (auto symbol = dyn_cast<AffineSymbolExpr>(expr)) {
      symbolCount = std::max(symbolCount, symbol.getPosition() + 1);
      node = ExprNode(symbol.getPosition(), 0, 0, ExprOp::symbol);
    } else {
      auto binary = cast<AffineBinaryOpExpr>(expr);
      uint32_t lhs = add(binary.getLHS()), rhs = add(binary.getRHS());
      node = ExprNode(0, lhs, rhs, operationOf(expr.getKind()));
    }
    nodes.push_back(node);
    index[expr] = nodes.size() - 1;
    return nodes.size() - 1;
  }
  std::vector<uint32_t> add(ArrayRef<AffineExpr> exprs) {
    std::vector<uint32_t> result;
    for (AffineExpr expr : exprs)
      result.push_back(add(expr));
    return result;
  }

private:
  static ExprOp operationOf(AffineExprKind kind) {
    switch (kind) {
    case AffineExprKind::Add:
      return ExprOp::add;
    case AffineExprKind::Mul:
      return ExprOp::mul;
    case AffineExprKind::FloorDiv:
      return ExprOp::floordiv;
    case AffineExprKind::CeilDiv:
      return ExprOp::ceildiv;
    default:
      return ExprOp::mod;
    }
  }

  std::vector<ExprNode> &nodes;
  unsigned &symbolCount;
  llvm::DenseMap<AffineExpr, uint32_t> index;
};

class PackageAssembler {
public:
  PackageAssembler(FileWriter &file, std::string &error)
      : file(file), error(error) {}

  bool build(StringRef modelName, ArrayRef<VariantInput> variants) {
    package.version = formatVersion;
    package.producer = "aicc " AICC_VERSION;
    package.model = modelName.str();
    ModuleOp first = variants.front().module;
    if (auto names = first->getAttrOfType<ArrayAttr>("graph.symbols"))
      for (auto name : names.getAsRange<StringAttr>())
        package.symbols.push_back(name.getValue().str());
    symbolCount = package.symbols.size();
    numberReads(first);
    if (!signature(programOf(first)))
      return false;
    for (const VariantInput &variant : variants)
      if (!addVariant(variant))
        return false;
    package.symbol_count = symbolCount;
    return true;
  }

  PackageT package;

private:
  bool fail(const Twine &message) {
    error = message.str();
    return false;
  }

  static exec::ProgramOp programOf(ModuleOp module) {
    return *module.getOps<exec::ProgramOp>().begin();
  }

  /// Symbols that the program reads or counts, behind the named ones and the
  /// same for all variants; a loop's own come behind them.
  void numberReads(ModuleOp module) {
    std::set<int64_t> bound;
    module.walk([&](mlir::Operation *op) {
      if (auto read = dyn_cast<exec::ReadOp>(op))
        bound.insert(read.getSymbol());
      if (auto loop = dyn_cast<exec::LoopOp>(op); loop && loop.getTrips())
        bound.insert(*loop.getTrips());
    });
    MLIRContext *context = module.getContext();
    for (int64_t symbol : bound)
      packageSymbols[getAffineSymbolExpr(symbol, context)] =
          getAffineSymbolExpr(symbolCount++, context);
    firstLoop = symbolCount;
  }

  AffineExpr renamed(AffineExpr expr) { return expr.replace(packageSymbols); }
  SmallVector<AffineExpr> renamed(ArrayRef<AffineExpr> exprs) {
    return llvm::map_to_vector(exprs, [&](AffineExpr e) { return renamed(e); });
  }
  uint32_t numberOf(int64_t symbol, MLIRContext *context) {
    return cast<AffineSymbolExpr>(renamed(getAffineSymbolExpr(symbol, context)))
        .getPosition();
  }

  bool signature(exec::ProgramOp program) {
    ExprList exprs(package.exprs, symbolCount);
    auto port = [&](std::vector<std::unique_ptr<PortT>> &ports, Attribute name,
                    Value value) {
      auto type = cast<RankedTensorType>(value.getType());
      auto &entry = ports.emplace_back(std::make_unique<PortT>());
      entry->name = cast<StringAttr>(name).getValue().str();
      entry->type = typeOf(type.getElementType());
      entry->dims = exprs.add(renamed(graph::dimsOf(type)));
      return entry->type != ElementType::invalid ||
             fail("tensor " + entry->name +
                  " has an element type that a "
                  "package can't hold");
    };
    Block &body = program.getBody().front();
    for (auto [name, value] :
         llvm::zip(program.getArgumentNames(), body.getArguments()))
      if (!port(package.inputs, name, value))
        return false;
    for (auto [name, value] : llvm::zip(program.getResultNames(),
                                        body.getTerminator()->getOperands()))
      if (!port(package.outputs, name, value))
        return false;
    if (auto text = program->getParentOp()->getAttrOfType<StringAttr>(
            "graph.signature"))
      package.signature = text.getValue().str();
    if (auto limits =
            program->getParentOp()->getAttrOfType<ArrayAttr>("graph.limits"))
      for (auto limit : limits.getAsRange<AffineMapAttr>()) {
        auto sides = exprs.add(renamed(limit.getValue().getResults()));
        package.limits.push_back(Limit(sides[0], sides[1]));
      }
    return true;
  }

  /// The index of a weight; equal ones of all variants are one.
  std::optional<uint32_t> weight(const scheduling::Buffer &buffer,
                                 exec::ConstantOp op) {
    auto it = weights.find(op.getValue());
    if (it != weights.end())
      return it->second;
    auto data = transforms::dataOf(op.getValue());
    if (!data) {
      fail("weight " + buffer.name + " has a form that a package can't hold");
      return std::nullopt;
    }
    auto entry = std::make_unique<WeightT>();
    entry->name = buffer.name;
    entry->type = typeOf(buffer.type.getElementType());
    entry->dims.assign(buffer.type.getShape().begin(),
                       buffer.type.getShape().end());
    // The file is written when all sections are known: bytes that aren't in an
    // attribute stay here until then.
    ArrayRef<char> bytes = data->bytes;
    if (data->splat || !data->owned.empty()) {
      std::string &copy = kept.emplace_back();
      size_t repeat = data->splat ? buffer.type.getNumElements() : 1;
      copy.reserve(bytes.size() * repeat);
      for (size_t i = 0; i < repeat; ++i)
        copy.append(bytes.data(), bytes.size());
      bytes = ArrayRef<char>(copy.data(), copy.size());
    }
    entry->data = file.add(bytes.data(), bytes.size());
    package.weights.push_back(std::move(entry));
    weights[op.getValue()] = package.weights.size() - 1;
    return package.weights.size() - 1;
  }

  bool addVariant(const VariantInput &input) {
    auto variant = std::make_unique<VariantT>();
    bool tf32 = false;
    for (const target::TargetRecord *record : input.records) {
      const char *plus = variant->target.empty() ? "" : "+";
      variant->target += plus + record->name();
      variant->family += plus + record->family;
      tf32 |= record->allowTf32;
    }
    if (input.records.size() == 1)
      variant->requires_ = input.records.front()->required;
    if (input.precision != "f32")
      variant->options.push_back(("precision=" + input.precision).str());
    if (tf32)
      variant->options.push_back("allow-tf32");
    for (auto [device, object] : llvm::zip(input.deviceOf, input.objects)) {
      auto entry = std::make_unique<ObjectT>();
      entry->format = object.format;
      entry->chip = object.chip;
      entry->data = file.add(object.bytes.data(), object.bytes.size());
      entry->device = device;
      variant->objects.push_back(std::move(entry));
    }
    kernelIndex.clear();
    kernelOps.clear();
    for (auto kernel : ModuleOp(input.module).getOps<exec::KernelOp>()) {
      unsigned i = kernelOps.size();
      const target::KernelCode &code = input.kernels[i];
      kernelIndex[kernel.getSymName()] = i;
      kernelOps.push_back(kernel);
      auto entry = std::make_unique<KernelT>();
      entry->entry = code.entry;
      entry->object = input.objectOf[i];
      for (auto source : kernel.getSources().getAsRange<StringAttr>())
        entry->sources.push_back(source.getValue().str());
      entry->buffers =
          kernel.getArgumentTypes().size() + kernel.getResultTypes().size();
      entry->outputs = kernel.getResultTypes().size();
      entry->scalars = kernel.getUsedSymbols().size();
      entry->workgroup.assign(code.workgroup.begin(), code.workgroup.end());
      entry->shared_bytes = code.sharedBytes;
      entry->subgroup = code.subgroup;
      variant->kernels.push_back(std::move(entry));
    }
    ExprList list(variant->exprs, symbolCount);
    exprs = &list;
    loops = 0;
    codes = input.kernels;
    exec::ProgramOp program = programOf(input.module);
    if (!buffers(program, *variant))
      return false;
    Block &body = program.getBody().front();
    instructions(body, true, variant->prepare);
    instructions(body, false, variant->program);
    if (input.records.size() == 1)
      variant->arena_bytes = scheduling::arenaBytesOf(program, 0);
    for (auto [i, record] : llvm::enumerate(input.records)) {
      if (input.records.size() == 1)
        break;
      auto device = std::make_unique<DeviceT>();
      device->target = record->name();
      device->family = record->family;
      device->requires_ = record->required;
      device->arena_bytes = scheduling::arenaBytesOf(program, i);
      variant->devices.push_back(std::move(device));
    }
    package.variants.push_back(std::move(variant));
    return true;
  }

  bool buffers(exec::ProgramOp program, VariantT &variant) {
    plan = scheduling::buffersOf(program);
    bufferOf.clear();
    Block &body = program.getBody().front();
    SmallVector<exec::ConstantOp> constants(plan.size());
    for (BlockArgument arg : body.getArguments())
      bufferOf[arg] = arg.getArgNumber();
    program.walk([&](mlir::Operation *op) {
      if (op->getNumResults())
        for (auto [result, index] :
             llvm::zip(op->getResults(), scheduling::resultBuffers(op)))
          bufferOf[result] = index;
      if (auto constant = dyn_cast<exec::ConstantOp>(op))
        constants[bufferOf[constant.getResult()]] = constant;
      if (auto loop = dyn_cast<exec::LoopOp>(op))
        for (auto [arg, index] : llvm::zip(loop.getBody().getArguments(),
                                           scheduling::carriedBuffers(loop)))
          bufferOf[arg] = index;
    });
    for (auto [i, buffer] : llvm::enumerate(plan)) {
      auto entry = std::make_unique<BufferT>();
      entry->name = buffer.name;
      entry->storage = static_cast<package::Storage>(buffer.storage);
      entry->index = buffer.index;
      entry->type = typeOf(buffer.type.getElementType());
      if (entry->type == ElementType::invalid)
        return fail("tensor " + buffer.name +
                    " has an element type that a package can't hold");
      entry->dims = exprs->add(renamed(graph::dimsOf(buffer.type)));
      entry->bytes = exprs->add(renamed(graph::simplify(
          graph::numElements(buffer.type) *
          int64_t(scheduling::elementBytes(buffer.type.getElementType())))));
      entry->alias = buffer.alias + 1;
      entry->first = buffer.first;
      entry->last = buffer.last;
      entry->offset = buffer.offset;
      entry->device = buffer.device;
      if (buffer.storage == scheduling::Storage::weight) {
        auto index = weight(buffer, constants[i]);
        if (!index)
          return false;
        entry->index = *index;
      }
      variant.buffers.push_back(std::move(entry));
    }
    return true;
  }

  void instructions(Block &block, bool prepare,
                    std::vector<std::unique_ptr<InstructionT>> &out) {
    for (mlir::Operation &op : block) {
      if (auto launch = dyn_cast<exec::LaunchOp>(op)) {
        if (launch.getPrepare() == prepare)
          out.push_back(launchInstruction(launch));
      } else if (prepare) {
        continue;
      } else if (auto copy = dyn_cast<exec::CopyOp>(op)) {
        if (exec::isPort(copy))
          continue;
        uint32_t from = bufferOf[copy.getOperand()];
        uint32_t to = bufferOf[copy.getResult()];
        auto entry = std::make_unique<InstructionT>();
        entry->op = package::Operation::copy;
        entry->buffers = {from, to};
        out.push_back(std::move(entry));
      } else if (auto call = dyn_cast<exec::CallOp>(op)) {
        auto entry = std::make_unique<InstructionT>();
        entry->op = package::Operation::call;
        entry->function = call.getFunction().str();
        entry->attributes = call.getOptions().str();
        for (auto source : call.getSources().getAsRange<StringAttr>())
          entry->sources.push_back(source.getValue().str());
        for (Value operand : call.getOperands())
          entry->buffers.push_back(bufferOf[operand]);
        for (Value result : call.getResults())
          entry->buffers.push_back(bufferOf[result]);
        entry->outputs = call.getNumResults();
        out.push_back(std::move(entry));
      } else if (auto update = dyn_cast<exec::UpdateOp>(op)) {
        auto entry = std::make_unique<InstructionT>();
        entry->op = package::Operation::copy;
        entry->buffers = {bufferOf[update.getUpdate()],
                          bufferOf[update.getResult()]};
        unsigned bytes = scheduling::elementBytes(
            cast<RankedTensorType>(update.getType()).getElementType());
        entry->scalars = {exprs->add(renamed(
            graph::simplify(update.getAt().getResult(0) * int64_t(bytes))))};
        out.push_back(std::move(entry));
      } else if (auto loop = dyn_cast<exec::LoopOp>(op)) {
        auto entry = std::make_unique<InstructionT>();
        entry->op = package::Operation::loop;
        entry->count = exprs->add(renamed(loop.getCount().getResult(0)));
        // Every loop of a package has a symbol of its own; in the IR, loops
        // beside each other may share one, so that their kernels are equal.
        unsigned number = firstLoop + loops++;
        symbolCount = std::max(symbolCount, number + 1);
        entry->symbol = number;
        MLIRContext *context = loop.getContext();
        AffineExpr inIr = getAffineSymbolExpr(loop.getSymbol(), context);
        if (loop.getConditional())
          entry->condition = bufferOf[loop.getBody().getArgument(0)] + 1;
        if (loop.getTrips())
          entry->trips = numberOf(*loop.getTrips(), context) + 1;
        AffineExpr outer = packageSymbols.lookup(inIr);
        packageSymbols[inIr] = getAffineSymbolExpr(number, context);
        instructions(loop.getBody().front(), false, entry->body);
        if (outer)
          packageSymbols[inIr] = outer;
        else
          packageSymbols.erase(inIr);
        out.push_back(std::move(entry));
      } else if (auto branch = dyn_cast<exec::IfOp>(op)) {
        auto entry = std::make_unique<InstructionT>();
        entry->op = package::Operation::branch;
        entry->buffers = {bufferOf[branch.getCondition()]};
        instructions(branch.getBody().front(), false, entry->body);
        instructions(branch.getOtherwise().front(), false, entry->otherwise);
        out.push_back(std::move(entry));
      } else if (auto read = dyn_cast<exec::ReadOp>(op)) {
        auto entry = std::make_unique<InstructionT>();
        entry->op = package::Operation::read;
        entry->buffers = {bufferOf[read.getOperand()]};
        entry->element = read.getElement();
        entry->symbol = numberOf(read.getSymbol(), read.getContext());
        entry->minimum = static_cast<int64_t>(read.getMinimum());
        for (auto source : read.getSources().getAsRange<StringAttr>())
          entry->sources.push_back(source.getValue().str());
        out.push_back(std::move(entry));
      }
    }
  }

  std::unique_ptr<InstructionT> launchInstruction(exec::LaunchOp launch) {
    auto entry = std::make_unique<InstructionT>();
    unsigned kernel = kernelIndex.lookup(launch.getKernel());
    const target::KernelCode &code = codes[kernel];
    entry->op = package::Operation::launch;
    entry->kernel = kernel;
    // The nodes of this place, where the kernel has others as well.
    if (auto fused = dyn_cast<FusedLoc>(launch.getLoc()))
      if (auto nodes = dyn_cast_or_null<ArrayAttr>(fused.getMetadata());
          nodes && nodes.size() != kernelOps[kernel].getSources().size())
        for (auto node : nodes.getAsRange<StringAttr>())
          entry->sources.push_back(node.getValue().str());
    for (Value operand : launch.getOperands())
      entry->buffers.push_back(bufferOf[operand]);
    for (Value result : launch.getResults())
      entry->buffers.push_back(bufferOf[result]);
    MLIRContext *context = launch.getContext();
    for (int64_t symbol : kernelOps[kernel].getUsedSymbols())
      entry->scalars.push_back(
          exprs->add(renamed(getAffineSymbolExpr(symbol, context))));
    for (AffineExpr size : code.grid.getResults())
      entry->grid.push_back(exprs->add(renamed(size)));
    entry->scratch = exprs->add(renamed(code.scratch.getResult(0)));
    return entry;
  }

  FileWriter &file;
  std::string &error;
  unsigned symbolCount = 0;
  llvm::DenseMap<Attribute, uint32_t> weights;
  std::deque<std::string> kept;
  // Of the variant at hand.
  ExprList *exprs = nullptr;
  unsigned loops = 0;
  unsigned firstLoop = 0;
  /// From the IR's symbols to the package's, where they differ.
  llvm::DenseMap<AffineExpr, AffineExpr> packageSymbols;
  ArrayRef<target::KernelCode> codes;
  llvm::StringMap<unsigned> kernelIndex;
  SmallVector<exec::KernelOp> kernelOps;
  std::vector<scheduling::Buffer> plan;
  llvm::DenseMap<Value, uint32_t> bufferOf;
};
} // namespace

bool aicc::package::writePackage(const std::string &path, StringRef modelName,
                                 ArrayRef<VariantInput> variants,
                                 std::string &error) {
  auto file = FileWriter::create(path, error);
  if (!file)
    return false;
  PackageAssembler builder(*file, error);
  return builder.build(modelName, variants) &&
         file->finish(builder.package, error);
}
