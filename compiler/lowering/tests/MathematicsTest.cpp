//===- MathematicsTest.cpp - accuracy of the elementary functions ---------===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Compiles every function for this machine, on vectors and on scalars, and
// compares with the C library in the next wider format: f32 in steps over all
// bit patterns (an argument sets the step), f64 at pseudo-random points.
// Vectors and scalars must give the same bits.
//
//===----------------------------------------------------------------------===//

#include "compiler/lowering/Lowering.h"

#include "mlir/Conversion/ArithToLLVM/ArithToLLVM.h"
#include "mlir/Conversion/ControlFlowToLLVM/ControlFlowToLLVM.h"
#include "mlir/Conversion/FuncToLLVM/ConvertFuncToLLVMPass.h"
#include "mlir/Conversion/MathToLLVM/MathToLLVM.h"
#include "mlir/Conversion/SCFToControlFlow/SCFToControlFlow.h"
#include "mlir/Conversion/VectorToLLVM/ConvertVectorToLLVMPass.h"
#include "mlir/ExecutionEngine/ExecutionEngine.h"
#include "mlir/ExecutionEngine/OptUtils.h"
#include "mlir/Parser/Parser.h"
#include "mlir/Pass/PassManager.h"
#include "mlir/Target/LLVMIR/Dialect/Builtin/BuiltinToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Dialect/LLVMIR/LLVMToLLVMIRTranslation.h"
#include "llvm/Support/TargetSelect.h"

#include <cmath>
#include <cstdio>
#include <cstring>
#include <random>

using namespace mlir;

namespace {

struct Function {
  const char *op;
  double (*narrow)(double);
  long double (*wide)(long double);
  /// Where f64 is compared; f32 is compared everywhere.
  double low, high;
};

double rsqrtOf(double x) { return 1 / std::sqrt(x); }
long double rsqrtOf(long double x) { return 1 / sqrtl(x); }

const Function unary[] = {
    {"math.exp", std::exp, expl, -745, 709},
    {"math.exp2", std::exp2, exp2l, -1070, 1023},
    {"math.log", std::log, logl, 0, 1e300},
    {"math.log1p", std::log1p, log1pl, -1, 1e3},
    {"math.log2", std::log2, log2l, 0, 1e3},
    {"math.sin", std::sin, sinl, -1e4, 1e4},
    {"math.cos", std::cos, cosl, -1e4, 1e4},
    {"math.tan", std::tan, tanl, -1e4, 1e4},
    {"math.asin", std::asin, asinl, -1, 1},
    {"math.acos", std::acos, acosl, -1, 1},
    {"math.atan", std::atan, atanl, -1e2, 1e2},
    {"math.sinh", std::sinh, sinhl, -700, 700},
    {"math.cosh", std::cosh, coshl, -700, 700},
    {"math.tanh", std::tanh, tanhl, -20, 20},
    {"math.asinh", std::asinh, asinhl, -1e3, 1e3},
    {"math.acosh", std::acosh, acoshl, 1, 1e3},
    {"math.atanh", std::atanh, atanhl, -1, 1},
    {"math.erf", std::erf, erfl, -6, 6},
    {"math.rsqrt", rsqrtOf, rsqrtOf, 0, 1e300},
};

struct Function2 {
  const char *op;
  double (*narrow)(double, double);
  long double (*wide)(long double, long double);
};
const Function2 binary[] = {
    {"math.powf", std::pow, powl},
    {"math.atan2", std::atan2, atan2l},
    {"arith.remf", std::fmod, fmodl},
};

/// A loop over arrays, `width` elements at a time (1: scalars).
std::string program(std::string name, std::string op, std::string element,
                    unsigned width, bool two) {
  std::string type =
      width == 1 ? element
                 : "vector<" + std::to_string(width) + "x" + element + ">";
  std::string text = "llvm.func @" + name +
                     "(%x: !llvm.ptr, %y: !llvm.ptr, %out: !llvm.ptr, %n: i64) "
                     "attributes {llvm.emit_c_interface} {\n"
                     "  %c0 = arith.constant 0 : i64\n"
                     "  %step = arith.constant " +
                     std::to_string(width) +
                     " : i64\n"
                     "  scf.for %i = %c0 to %n step %step : i64 {\n";
  auto pointer = [&](std::string p) {
    return "    %p" + p + " = llvm.getelementptr %" + p +
           "[%i] : (!llvm.ptr, i64) -> !llvm.ptr, " + element + "\n";
  };
  auto load = [&](std::string p) {
    return pointer(p) + "    %v" + p + " = llvm.load %p" + p +
           " {alignment = 4 : i64} : !llvm.ptr -> " + type + "\n";
  };
  text += load("x");
  if (two)
    text += load("y");
  text += "    %r = " + op + " %vx" + (two ? ", %vy" : "") + " : " + type +
          "\n" + pointer("out") +
          "    llvm.store %r, %pout {alignment = 4 : i64} : " + type +
          ", !llvm.ptr\n  }\n  llvm.return\n}\n";
  return text;
}

template <typename T> struct Format;
template <> struct Format<float> {
  using Wide = double;
  static constexpr int digits = 24, least = -149;
};
template <> struct Format<double> {
  using Wide = long double;
  static constexpr int digits = 53, least = -1074;
};

/// The error in units of the last place of the reference.
template <typename T> double error(T got, typename Format<T>::Wide want) {
  using Wide = typename Format<T>::Wide;
  if (std::isnan(want) || std::isnan(got))
    return std::isnan(want) && std::isnan(got) ? 0 : INFINITY;
  T rounded = static_cast<T>(want);
  if (std::isinf(rounded) || std::isinf(got)) {
    if (got == rounded)
      return 0;
    // Near the end of the range either is a small error.
    Wide most = std::numeric_limits<T>::max();
    return std::fabs(want) > most * (1 - Wide(1e-6)) &&
                   std::fabs(Wide(got)) > most * (1 - Wide(1e-6))
               ? 1
               : INFINITY;
  }
  if (want == 0)
    return got == 0 && std::signbit(got) == std::signbit(want) ? 0 : INFINITY;
  int exponent = std::ilogb(want) - Format<T>::digits + 1;
  Wide ulp = std::ldexp(Wide(1), std::max(exponent, Format<T>::least));
  return static_cast<double>(std::fabs(Wide(got) - want) / ulp);
}

using Loop = void (*)(const void *, const void *, void *, int64_t);

template <typename T> struct Runner {
  Loop vector, scalar;
  bool failed = false;

  /// Compares all points; `want(x, y)` is the reference.
  template <typename F>
  void check(const char *op, const std::vector<T> &x, const std::vector<T> &y,
             double limit, F want) {
    std::vector<T> out(x.size()), again(x.size());
    vector(x.data(), y.data(), out.data(), x.size());
    scalar(x.data(), y.data(), again.data(), x.size());
    double worst = 0;
    size_t at = 0, differ = 0;
    for (size_t i = 0; i < x.size(); ++i) {
      double e = error<T>(out[i], want(x[i], y[i]));
      if (e > worst) {
        worst = e;
        at = i;
      }
      bool nan = std::isnan(out[i]) && std::isnan(again[i]);
      differ += !nan && std::memcmp(&out[i], &again[i], sizeof(T)) != 0;
    }
    bool bad = !(worst <= limit) || differ;
    std::printf("%s %-12s %s: %.3f ulp at %a, %a: %a, expected %a; %zu of "
                "%zu differ between vector and scalar\n",
                bad ? "FAIL" : "ok  ", op, sizeof(T) == 4 ? "f32" : "f64",
                worst, double(x[at]), double(y[at]), double(out[at]),
                double(want(x[at], y[at])), differ, x.size());
    failed |= bad;
  }
};

/// Numbers where functions of two arguments are special.
template <typename T> std::vector<T> specials() {
  T inf = std::numeric_limits<T>::infinity();
  std::vector<T> half = {0,
                         1,
                         2,
                         3,
                         T(0.5),
                         T(1.5),
                         T(2.5),
                         inf,
                         100,
                         T(1e-30),
                         T(1e30),
                         8388609,
                         16777216,
                         std::numeric_limits<T>::denorm_min(),
                         std::numeric_limits<T>::min(),
                         std::numeric_limits<T>::max()};
  std::vector<T> all = {std::numeric_limits<T>::quiet_NaN()};
  for (T x : half) {
    all.push_back(x);
    all.push_back(-x);
  }
  return all;
}

template <typename T> void pad(std::vector<T> &x, std::vector<T> &y) {
  while (x.size() % 16) {
    x.push_back(1);
    y.push_back(1);
  }
}

} // namespace

int main(int argc, char **argv) {
  uint32_t step = argc > 1 ? std::strtoul(argv[1], nullptr, 0) : 4099;
  if (step == 0) {
    std::fprintf(stderr, "usage: mathematics-test [STEP]\n");
    return 2;
  }
  llvm::InitializeNativeTarget();
  llvm::InitializeNativeTargetAsmPrinter();

  std::string text;
  auto nameOf = [](std::string op, const char *element, bool scalar) {
    return op.substr(op.find('.') + 1) + "_" + element + (scalar ? "_1" : "");
  };
  auto addPrograms = [&](const char *op, bool two) {
    for (auto [element, width] : {std::pair("f32", 16u), std::pair("f64", 8u)})
      for (bool scalar : {false, true})
        text += program(nameOf(op, element, scalar), op, element,
                        scalar ? 1 : width, two);
  };
  for (const Function &f : unary)
    addPrograms(f.op, false);
  for (const Function2 &f : binary)
    addPrograms(f.op, true);

  DialectRegistry registry;
  registry.insert<arith::ArithDialect, math::MathDialect, scf::SCFDialect,
                  vector::VectorDialect, LLVM::LLVMDialect>();
  registerBuiltinDialectTranslation(registry);
  registerLLVMDialectTranslation(registry);
  MLIRContext context(registry);
  auto module = parseSourceString<ModuleOp>(text, &context);
  if (!module)
    return 1;
  PassManager pm(&context);
  pm.addPass(aicc::lowering::createExpandMathematicsPass());
  pm.addPass(createCanonicalizerPass());
  pm.addPass(createCSEPass());
  pm.addPass(createSCFToControlFlowPass());
  pm.addPass(createConvertVectorToLLVMPass());
  pm.addPass(createConvertMathToLLVMPass());
  pm.addPass(createArithToLLVMConversionPass());
  pm.addPass(createConvertControlFlowToLLVMPass());
  if (failed(pm.run(*module)))
    return 1;
  ExecutionEngineOptions options;
  auto machine = llvm::cantFail(
      llvm::cantFail(llvm::orc::JITTargetMachineBuilder::detectHost())
          .createTargetMachine());
  auto optimize = makeOptimizingTransformer(2, 0, machine.get());
  options.transformer = optimize;
  auto made = ExecutionEngine::create(*module, options, std::move(machine));
  if (!made) {
    std::fprintf(stderr, "no execution engine: %s\n",
                 llvm::toString(made.takeError()).c_str());
    return 1;
  }
  std::unique_ptr<ExecutionEngine> engine = std::move(*made);
  auto find = [&](const char *op, const char *element, bool scalar) {
    return reinterpret_cast<Loop>(
        llvm::cantFail(engine->lookup(nameOf(op, element, scalar))));
  };

  bool failed = false;
  std::vector<float> x, y;
  for (uint64_t bits = 0; bits < (uint64_t(1) << 32); bits += step) {
    uint32_t pattern = bits;
    float value;
    std::memcpy(&value, &pattern, 4);
    x.push_back(value);
  }
  for (float special : specials<float>())
    x.push_back(special);
  y.assign(x.size(), 1);
  pad(x, y);
  std::mt19937_64 random(1);
  for (const Function &f : unary) {
    Runner<float> single{find(f.op, "f32", false), find(f.op, "f32", true)};
    single.check(f.op, x, y, 2, [&](double a, double) { return f.narrow(a); });
    std::uniform_real_distribution<double> spread(f.low, f.high);
    std::vector<double> wide;
    for (int i = 0; i < 40000; ++i)
      wide.push_back(spread(random) * (i % 4 ? 1 : std::ldexp(1, -(i % 50))));
    if (f.low == 1)
      for (double &value : wide)
        value = std::max(std::fabs(value), 1.0);
    for (double special : specials<double>())
      if (std::fabs(special) < 1e20 || std::isinf(special))
        wide.push_back(special);
    std::vector<double> ones(wide.size(), 1);
    pad(wide, ones);
    Runner<double> twice{find(f.op, "f64", false), find(f.op, "f64", true)};
    twice.check(f.op, wide, ones, 4,
                [&](long double a, long double) { return f.wide(a); });
    failed |= single.failed || twice.failed;
  }
  auto pairs = [&]<typename T>(T, double most) {
    std::pair<std::vector<T>, std::vector<T>> result;
    auto &[a, b] = result;
    for (T p : specials<T>())
      for (T q : specials<T>()) {
        a.push_back(p);
        b.push_back(q);
      }
    std::uniform_real_distribution<double> exponent(-most, most);
    for (int i = 0; i < 400000; ++i) {
      double range = i % 3 ? 10 : most;
      double p = std::exp2(exponent(random) * range / most);
      double q = std::exp2(exponent(random) * range / most);
      a.push_back(T(i % 5 ? p : -p));
      b.push_back(T(i % 2 ? q : i % 4 ? -q : std::floor(q)));
    }
    pad(a, b);
    return result;
  };
  auto [sx, sy] = pairs(float(), 140);
  auto [dx, dy] = pairs(double(), 1000);
  for (const Function2 &f : binary) {
    bool exact = std::string(f.op) == "arith.remf";
    Runner<float> single{find(f.op, "f32", false), find(f.op, "f32", true)};
    single.check(f.op, sx, sy, exact ? 0 : 2,
                 [&](double a, double b) { return f.narrow(a, b); });
    Runner<double> twice{find(f.op, "f64", false), find(f.op, "f64", true)};
    twice.check(f.op, dx, dy, exact ? 0 : 4,
                [&](long double a, long double b) { return f.wide(a, b); });
    failed |= single.failed || twice.failed;
  }
  return failed;
}
