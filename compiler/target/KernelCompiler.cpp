//===- KernelCompiler.cpp - kernels in parallel, each only once -----------===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "compiler/target/KernelCompiler.h"

#include "dialects/graph/Graph.h"

#include "mlir/AsmParser/AsmParser.h"
#include "mlir/Parser/Parser.h"
#include "llvm/Support/CachePruning.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/JSON.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/Process.h"
#include "llvm/Support/SHA256.h"
#include "llvm/Support/ThreadPool.h"
#include "llvm/Support/xxhash.h"

#include <atomic>
#include <chrono>
#include <dlfcn.h>
#include <mutex>

using namespace mlir;

namespace aicc::target {

std::string defaultCacheDirectory() {
  using llvm::sys::Process;
  if (auto named = Process::GetEnv("AICC_CACHE_DIR"))
    return *named;
  llvm::SmallString<128> path;
  if (auto base = Process::GetEnv("XDG_CACHE_HOME"); base && !base->empty())
    path = *base;
  else if (auto home = Process::GetEnv("HOME"); home && !home->empty()) {
    path = *home;
    llvm::sys::path::append(path, ".cache");
  } else {
    return "";
  }
  llvm::sys::path::append(path, "aicc");
  return std::string(path);
}

/// What tells this build of the compiler from any other: the file that holds
/// this code, its size and its time.
static std::string compilerIdentity() {
  static const std::string identity = [] {
    Dl_info info;
    llvm::sys::fs::file_status status;
    if (!dladdr(reinterpret_cast<void *>(&compilerIdentity), &info) ||
        llvm::sys::fs::status(info.dli_fname, status))
      return std::string("unknown");
    return std::to_string(status.getSize()) + "." +
           std::to_string(
               status.getLastModificationTime().time_since_epoch().count());
  }();
  return identity;
}

/// A kernel alone in its module, as text without locations.
static std::string textOf(exec::KernelOp kernel) {
  std::string text;
  llvm::raw_string_ostream stream(text);
  OpPrintingFlags flags;
  flags.enableDebugInfo(false);
  flags.useLocalScope(); // else values of all other kernels are numbered, too
  kernel->print(stream, flags);
  return text;
}

static std::string keyOf(llvm::StringRef text, const TargetRecord &r,
                         const CodeOptions &options) {
  llvm::SHA256 hash;
  auto add = [&](llvm::StringRef part) {
    hash.update(std::to_string(part.size()) + ":");
    hash.update(part);
  };
  add(compilerIdentity());
  for (const std::string &part :
       {r.family, r.chip, r.triple, r.cpu, r.features})
    add(part);
  for (unsigned number :
       {r.weightPanel, r.vectorBits, r.vectorRegisters, r.tileRows,
        r.tileVectors, r.l1Bytes, r.l2Bytes, r.subgroup, r.maxWorkgroup,
        r.sharedBytes, r.processors, unsigned(r.allowTf32), unsigned(options.assembly)})
    add(std::to_string(number));
  add(text);
  return llvm::toHex(hash.final(), /*LowerCase=*/true);
}

//===----------------------------------------------------------------------===//
// A compiled kernel as bytes: a line of JSON, then object and assembly
//===----------------------------------------------------------------------===//

static std::string mapText(AffineMap map) {
  std::string text;
  llvm::raw_string_ostream(text) << map;
  return text;
}

static AffineMap parseMap(llvm::StringRef text, MLIRContext *context) {
  auto attribute = dyn_cast_or_null<AffineMapAttr>(
      parseAttribute(("affine_map<" + text + ">").str(), context));
  return attribute ? attribute.getValue() : AffineMap();
}

/// KernelCode with its maps as text, so that it belongs to no context.
struct Portable {
  KernelCode code;
  std::string grid, scratch;
};

static std::string serialize(const Portable &p) {
  std::string payload = p.code.object + p.code.assembly;
  llvm::json::Object header{
      {"entry", p.code.entry},
      {"grid", p.grid},
      {"scratch", p.scratch},
      {"workgroup", llvm::json::Array{p.code.workgroup[0], p.code.workgroup[1],
                                      p.code.workgroup[2]}},
      {"shared", p.code.sharedBytes},
      {"subgroup", p.code.subgroup},
      {"object", int64_t(p.code.object.size())},
      {"assembly", int64_t(p.code.assembly.size())},
      {"checksum", llvm::utohexstr(llvm::xxh3_64bits(payload))}};
  std::string text;
  llvm::raw_string_ostream(text) << llvm::json::Value(std::move(header));
  return text + "\n" + payload;
}

static bool deserialize(llvm::StringRef bytes, Portable &p) {
  auto [line, payload] = bytes.split('\n');
  auto parsed = llvm::json::parse(line);
  if (!parsed) {
    llvm::consumeError(parsed.takeError());
    return false;
  }
  const llvm::json::Object *header = parsed->getAsObject();
  if (!header)
    return false;
  auto text = [&](llvm::StringRef key, std::string &out) {
    auto value = header->getString(key);
    out = value.value_or("").str();
    return value.has_value();
  };
  std::string sum;
  auto object = header->getInteger("object");
  auto assembly = header->getInteger("assembly");
  const llvm::json::Array *workgroup = header->getArray("workgroup");
  if (!text("entry", p.code.entry) || !text("grid", p.grid) ||
      !text("scratch", p.scratch) || !text("checksum", sum) || !object ||
      !assembly || *object < 0 || *assembly < 0 || !workgroup ||
      workgroup->size() != 3 ||
      uint64_t(*object) + uint64_t(*assembly) != payload.size() ||
      sum != llvm::utohexstr(llvm::xxh3_64bits(payload)))
    return false;
  for (unsigned i = 0; i < 3; ++i)
    p.code.workgroup[i] = (*workgroup)[i].getAsInteger().value_or(1);
  p.code.sharedBytes = header->getInteger("shared").value_or(0);
  p.code.subgroup = header->getInteger("subgroup").value_or(0);
  p.code.object = payload.take_front(*object).str();
  p.code.assembly = payload.drop_front(*object).str();
  return true;
}

static bool readCache(const std::string &path, Portable &p) {
  auto buffer = llvm::MemoryBuffer::getFile(path, /*IsText=*/false,
                                            /*RequiresNullTerminator=*/false);
  return buffer && deserialize((*buffer)->getBuffer(), p);
}

/// A cache that cannot be written is only slower.
static void writeCache(const std::string &path, const Portable &p) {
  llvm::SmallString<128> temporary;
  int descriptor;
  if (llvm::sys::fs::createUniqueFile(path + ".%%%%%%%%", descriptor,
                                      temporary))
    return;
  llvm::raw_fd_ostream file(descriptor, /*shouldClose=*/true);
  file << serialize(p);
  file.close();
  if (file.has_error()) {
    file.clear_error();
    llvm::sys::fs::remove(temporary);
    return;
  }
  if (llvm::sys::fs::rename(temporary, path))
    llvm::sys::fs::remove(temporary);
}

/// How large a cache grows, from $AICC_CACHE_POLICY over these defaults; both
/// in LLVM's syntax for it. What was used last stays longest.
static llvm::Expected<llvm::CachePruningPolicy> cachePolicy() {
  std::string text = "prune_interval=10m:prune_after=2160h:cache_size=50%:"
                     "cache_size_bytes=4g";
  if (auto given = llvm::sys::Process::GetEnv("AICC_CACHE_POLICY"))
    text += ":" + *given;
  return llvm::parseCachePruningPolicy(text);
}

//===----------------------------------------------------------------------===//
// Compilation
//===----------------------------------------------------------------------===//

static bool compileText(const std::string &text, const CodeGenerator &generator,
                        const TargetRecord &record, const CodeOptions &options,
                        Portable &p, std::string &error) {
  DialectRegistry registry;
  registry.insert<exec::ExecDialect, graph::GraphDialect>();
  generator.registerDialects(registry);
  MLIRContext context(registry, MLIRContext::Threading::DISABLED);
  context.loadAllAvailableDialects();
  ScopedDiagnosticHandler handler(&context, [&](Diagnostic &diagnostic) {
    if (error.empty())
      error = diagnostic.str();
    return success();
  });
  auto module = parseSourceString<ModuleOp>(text, &context);
  if (!module)
    return false;
  auto kernels = module->getOps<exec::KernelOp>();
  if (failed(generator.compile(*kernels.begin(), record, options, p.code)))
    return false;
  p.grid = mapText(p.code.grid);
  p.scratch = mapText(p.code.scratch);
  return true;
}

LogicalResult compileKernels(llvm::ArrayRef<exec::KernelOp> kernels,
                             const CodeGenerator &generator,
                             const TargetRecord &record,
                             const KernelCompilerOptions &options,
                             std::vector<KernelCode> &codes) {
  struct Task {
    std::string name, text, error;
    Portable result;
    bool ok = false;
  };
  std::vector<Task> tasks(kernels.size());
  for (auto [task, kernel] : llvm::zip(tasks, kernels)) {
    task.name = exec::KernelOp(kernel).getSymName().str();
    task.text = textOf(kernel);
  }
  const std::string &folder = options.cacheDirectory;
  bool caches = !folder.empty() && !llvm::sys::fs::create_directories(folder);
  llvm::CachePruningPolicy policy;
  if (caches && !kernels.empty()) {
    auto parsed = cachePolicy();
    if (!parsed)
      return emitError(
                 UnknownLoc::get(exec::KernelOp(kernels.front()).getContext()))
             << "AICC_CACHE_POLICY: " << llvm::toString(parsed.takeError());
    policy = *parsed;
  }

  std::mutex mutex;
  unsigned done = 0;
  std::atomic<bool> wrote = false;
  auto run = [&](Task &task) {
    auto start = std::chrono::steady_clock::now();
    llvm::SmallString<128> path(folder);
    bool cached = false;
    if (caches) {
      // LLVM prunes nothing without this prefix.
      llvm::sys::path::append(path, "llvmcache-" +
                                        keyOf(task.text, record, options.code));
      cached = task.ok = readCache(std::string(path), task.result);
    }
    if (!task.ok) {
      task.result = {};
      task.ok = compileText(task.text, generator, record, options.code,
                            task.result, task.error);
      if (task.ok && caches) {
        writeCache(std::string(path), task.result);
        wrote = true;
      }
    }
    std::chrono::duration<double> took =
        std::chrono::steady_clock::now() - start;
    std::lock_guard lock(mutex);
    ++done;
    if (options.progress)
      options.progress(done, tasks.size(), task.name, took.count(), cached);
  };
  llvm::DefaultThreadPool pool(llvm::hardware_concurrency(options.jobs));
  for (Task &task : tasks)
    pool.async([&run, &task] { run(task); });
  pool.wait();
  if (wrote)
    llvm::pruneCache(folder, policy);

  codes.resize(kernels.size());
  bool ok = true;
  for (auto [task, kernel, code] : llvm::zip(tasks, kernels, codes)) {
    exec::KernelOp op = kernel;
    if (task.ok) {
      code = std::move(task.result.code);
      code.grid = parseMap(task.result.grid, op.getContext());
      code.scratch = parseMap(task.result.scratch, op.getContext());
      task.ok = code.grid && code.grid.getNumResults() == 3 && code.scratch &&
                code.scratch.getNumResults() == 1;
      if (!task.ok)
        task.error = "has no valid grid";
    }
    if (task.ok)
      continue;
    ok = false;
    op.emitError() << "kernel " << task.name << " for " << record.name()
                   << " failed: "
                   << (task.error.empty() ? "no reason given" : task.error);
  }
  return success(ok);
}

} // namespace aicc::target
