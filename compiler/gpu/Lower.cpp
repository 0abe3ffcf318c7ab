//===- Lower.cpp - a kernel as a gpu.module -------------------------------===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "compiler/gpu/Strategies.h"
#include "compiler/lowering/Lowering.h"

#include "dialects/graph/Graph.h"
#include "runtime/include/aicc/tensors.h"

#include "mlir/Conversion/ArithToLLVM/ArithToLLVM.h"
#include "mlir/Conversion/ControlFlowToLLVM/ControlFlowToLLVM.h"
#include "mlir/Conversion/IndexToLLVM/IndexToLLVM.h"
#include "mlir/Conversion/MathToLLVM/MathToLLVM.h"
#include "mlir/Conversion/Passes.h"
#include "mlir/Conversion/UBToLLVM/UBToLLVM.h"
#include "mlir/Conversion/VectorToLLVM/ConvertVectorToLLVM.h"
#include "mlir/Dialect/Affine/IR/AffineOps.h"
#include "mlir/Dialect/Arith/Transforms/Passes.h"
#include "mlir/Dialect/ControlFlow/IR/ControlFlow.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/Dialect/UB/IR/UBOps.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/Pass/PassManager.h"
#include "mlir/Target/LLVMIR/Dialect/Builtin/BuiltinToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Dialect/GPU/GPUToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Dialect/LLVMIR/LLVMToLLVMIRTranslation.h"
#include "mlir/Transforms/GreedyPatternRewriteDriver.h"
#include "mlir/Transforms/Passes.h"

using namespace mlir;
using namespace aicc;
using namespace aicc::gpu;

void aicc::gpu::registerDialects(DialectRegistry &registry) {
  registry.insert<
      affine::AffineDialect, arith::ArithDialect, cf::ControlFlowDialect,
      exec::ExecDialect, mlir::gpu::GPUDialect, linalg::LinalgDialect,
      LLVM::LLVMDialect, math::MathDialect, scf::SCFDialect,
      tensor::TensorDialect, ub::UBDialect, vector::VectorDialect>();
  arith::registerConvertArithToLLVMInterface(registry);
  cf::registerConvertControlFlowToLLVMInterface(registry);
  index::registerConvertIndexToLLVMInterface(registry);
  registerConvertMathToLLVMInterface(registry);
  ub::registerConvertUBToLLVMInterface(registry);
  vector::registerConvertVectorToLLVMInterface(registry);
  registerBuiltinDialectTranslation(registry);
  registerGPUDialectTranslation(registry);
  registerLLVMDialectTranslation(registry);
}

/// ENTRY__tensors: aicc/tensors.h.
static void describeTensors(Emitter &e) {
  aicc_tensors all{};
  all.version = AICC_TENSORS_VERSION;
  all.count = e.tensors.size();
  assert(all.count <= AICC_TENSORS_MOST && "more tensors than there is room");
  for (auto [number, tensor] : llvm::enumerate(e.tensors)) {
    aicc_tensor &to = all.tensors[number];
    to.argument = tensor.argument;
    to.element_bytes = tensor.elementBytes;
    to.rank = tensor.sizes.size();
    llvm::copy(tensor.box, to.box);
    llvm::copy(tensor.sizes, to.sizes);
    llvm::copy(tensor.strides, to.strides);
  }
  OpBuilder::InsertionGuard guard(e.b);
  e.b.setInsertionPointToStart(e.module.getBody());
  StringRef bytes(reinterpret_cast<const char *>(&all), sizeof all);
  LLVM::GlobalOp::create(
      e.b, e.loc, LLVM::LLVMArrayType::get(e.b.getI8Type(), bytes.size()),
      /*isConstant=*/true, LLVM::Linkage::External,
      (e.function.getName() + "__tensors").str(), e.b.getStringAttr(bytes),
      /*alignment=*/8, /*addrSpace=*/1);
}

LogicalResult aicc::gpu::lowerKernel(exec::KernelOp kernel,
                                     const Options &options, Lowered &out) {
  MLIRContext *context = kernel.getContext();
  Options own = options;
  Value first = kernel.getBodyBlock()->getTerminator()->getOperand(0);
  auto scatter = first.getDefiningOp<exec::ScatterOp>();
  std::optional<MatrixAttentionPlan> attention;
  std::optional<AttentionPlan> plainAttention;
  std::optional<MatrixPlan> tiles;
  if (!scatter && !(attention = planMatrixAttention(kernel, options)) &&
      !(plainAttention = planAttention(kernel, options)))
    tiles = planMatrixTiles(kernel, options);
  if (attention)
    own.workgroup = attention->workgroup;
  if (attention || tiles)
    own.subgroup = options.matrixLanes();
  Emitter e(kernel, own);
  AffineExpr groups;
  if (scatter)
    groups = emitScatter(e, scatter);
  else if (attention)
    groups = emitMatrixAttention(e, *attention);
  else if (plainAttention)
    groups = emitAttention(e, *plainAttention);
  else if (tiles)
    groups = emitMatrixTiles(e, *tiles);
  else if (auto plan = planTiles(kernel, options))
    groups = emitTiles(e, *plan);
  else if (auto rows = matchRows(kernel))
    groups = emitRows(e, *rows);
  else if (auto plan = planTransposed(kernel, options))
    groups = emitTransposed(e, *plan);
  else
    groups = emitElements(e);
  if (e.failed) {
    e.module.erase();
    return failure();
  }
  LLVM::ReturnOp::create(e.b, e.loc, ValueRange{});
  unsigned symbols = 0;
  for (int64_t number : kernel.getUsedSymbols())
    symbols = std::max<unsigned>(symbols, number + 1);
  groups.walk([&](AffineExpr part) {
    if (auto symbol = dyn_cast<AffineSymbolExpr>(part))
      symbols = std::max(symbols, symbol.getPosition() + 1);
  });
  AffineExpr one = getAffineConstantExpr(1, context);
  out.module = e.module;
  out.function = e.function;
  out.grid = AffineMap::get(0, symbols, {groups, one, one}, context);
  out.scratch =
      AffineMap::get(0, symbols, {getAffineConstantExpr(0, context)}, context);
  out.workgroup = {own.subgroup, own.workgroup / own.subgroup, 1};
  out.subgroup = own.subgroup;
  out.sharedBytes = e.sharedBytes;
  out.shuffles = e.shuffles;
  if (!e.tensors.empty())
    describeTensors(e);
  if (options.finish)
    options.finish(e.function, out.workgroup);
  if (attention && options.takeRegisters)
    options.takeRegisters(e.function);
  return success();
}

namespace {
/// What has no instruction: divisions of integers that round up or down,
/// conversions from and to bf16.
struct ExpandPass : PassWrapper<ExpandPass, OperationPass<>> {
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(ExpandPass)
  void runOnOperation() override {
    RewritePatternSet patterns(&getContext());
    arith::populateArithExpandOpsPatterns(patterns);
    arith::populateExpandBFloat16Patterns(patterns);
    if (failed(applyPatternsGreedily(getOperation(), std::move(patterns))))
      signalPassFailure();
  }
};
} // namespace

/// Vendors' conversions declare LLVM's mathematical intrinsics illegal, to call
/// their libraries instead; calls by name pass. Those that are one instruction
/// everywhere are wanted as they are.
static void nameIntrinsics(Operation *root) {
  root->walk([](Operation *op) {
    if (!isa<LLVM::FAbsOp, LLVM::FCeilOp, LLVM::FFloorOp, LLVM::SqrtOp,
             LLVM::CopySignOp, LLVM::RoundOp, LLVM::RoundEvenOp,
             LLVM::FTruncOp>(op))
      return;
    OpBuilder b(op);
    std::string name =
        ("llvm" + op->getName().stripDialect().drop_front(4)).str();
    auto call = LLVM::CallIntrinsicOp::create(
        b, op->getLoc(), op->getResult(0).getType(), b.getStringAttr(name),
        op->getOperands());
    op->replaceAllUsesWith(call);
    op->erase();
  });
}

LogicalResult aicc::gpu::prepareModule(mlir::gpu::GPUModuleOp module) {
  PassManager passes(module.getContext(), "gpu.module");
  passes.addPass(lowering::createExpandMathematicsPass());
  passes.addPass(std::make_unique<ExpandPass>());
  passes.addPass(createCanonicalizerPass());
  passes.addPass(createCSEPass());
  passes.addPass(createSCFToControlFlowPass());
  // Vendors' conversions would call their own math libraries.
  passes.addPass(createConvertMathToLLVMPass());
  if (failed(passes.run(module)))
    return failure();
  nameIntrinsics(module);
  return success();
}

namespace {
/// Options as a test wants them.
struct LowerToGpuPass : PassWrapper<LowerToGpuPass, OperationPass<ModuleOp>> {
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(LowerToGpuPass)
  LowerToGpuPass() = default;
  LowerToGpuPass(const LowerToGpuPass &other) : PassWrapper(other) {}
  StringRef getArgument() const override { return "aicc-lower-to-gpu"; }
  StringRef getDescription() const override {
    return "Lower kernels to the form that all GPU vendors share";
  }
  void getDependentDialects(DialectRegistry &registry) const override {
    aicc::gpu::registerDialects(registry);
  }
  Option<unsigned> subgroup{*this, "subgroup", llvm::cl::init(32),
                            llvm::cl::desc("threads in lockstep")};
  Option<unsigned> vector{*this, "vector", llvm::cl::init(4),
                          llvm::cl::desc("elements moved at once")};
  Option<unsigned> tile{*this, "tile", llvm::cl::init(8),
                        llvm::cl::desc("rows and columns of a thread")};

  void runOnOperation() override {
    Options options;
    options.subgroup = subgroup;
    options.vector = vector;
    options.tile = tile;
    Builder b(&getContext());
    for (auto kernel :
         llvm::make_early_inc_range(getOperation().getOps<exec::KernelOp>())) {
      Lowered lowered;
      if (failed(aicc::gpu::lowerKernel(kernel, options, lowered)))
        return signalPassFailure();
      std::string grid; // as text: maps are printed under other names
      llvm::raw_string_ostream(grid) << lowered.grid;
      lowered.function->setAttr("grid", b.getStringAttr(grid));
      lowered.function->setAttr(
          "workgroup", b.getDenseI32ArrayAttr({int(lowered.workgroup[0]),
                                               int(lowered.workgroup[1]),
                                               int(lowered.workgroup[2])}));
      kernel.erase();
    }
  }
};
} // namespace

std::unique_ptr<Pass> aicc::gpu::createLowerToGpuPass() {
  return std::make_unique<LowerToGpuPass>();
}

void aicc::gpu::registerGpuPasses() { PassRegistration<LowerToGpuPass>(); }
