//===- Emit.cpp - SPIR-V out of LLVM IR -----------------------------------===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "backends/intel/codegen/Emit.h"

#include "compiler/gpu/Gpu.h"

#include "llvm/Support/CommandLine.h"
#include "llvm/Support/ErrorHandling.h"

#include <cerrno>
#include <csignal>
#include <cstring>
#include <fcntl.h>
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

using namespace aicc;

extern "C" bool // exported by LLVM's library, declared in no header
SPIRVTranslate(llvm::Module *module, std::string &spirv, std::string &error,
               const std::vector<std::string> &extensions,
               llvm::CodeGenOptLevel level, llvm::Triple triple);

namespace {
constexpr int secondsAllowed = 60;

enum class Ending { done, refused, died, late };
struct Outcome {
  Ending ending = Ending::died;
  std::string bytes; // the module, or the reason
};
} // namespace

static void writeAll(int file, const char *data, size_t size) {
  while (size) {
    ssize_t n = write(file, data, size);
    if (n < 0 && errno == EINTR)
      continue;
    if (n <= 0)
      return;
    data += n;
    size -= n;
  }
}

/// Strength reduction in the back end turns a mask into `trunc to i2`; integers
/// of such widths are then computed in 8 bits, and the mask is lost. The switch
/// is of the whole process: only for the child.
static bool disableStrengthReduction() {
  auto &options = llvm::cl::getRegisteredOptions();
  auto found = options.find("disable-lsr");
  if (found == options.end())
    return false;
  static_cast<llvm::cl::opt<bool> *>(found->second)->setValue(true);
  return true;
}

/// What the child does. It shares nothing but the pipe, and never returns.
[[noreturn]] static void
child(llvm::Module &module, llvm::TargetMachine &machine, bool text, int file) {
  for (int number : {SIGSEGV, SIGABRT, SIGBUS, SIGILL, SIGFPE})
    signal(number, SIG_DFL);
  llvm::install_fatal_error_handler(
      [](void *data, const char *why, bool) {
        int file = static_cast<int>(reinterpret_cast<intptr_t>(data));
        writeAll(file, "E", 1);
        writeAll(file, why, strlen(why));
        _exit(0);
      },
      reinterpret_cast<void *>(static_cast<intptr_t>(file)));
  std::string bytes, error = "the writer failed";
  bool done = disableStrengthReduction();
  if (!done) {
    error = "this build of LLVM can't leave out strength reduction";
  } else if (text) {
    bytes = gpu::emitFile(module, machine, llvm::CodeGenFileType::AssemblyFile);
    done = !bytes.empty();
  } else {
    done = SPIRVTranslate(&module, bytes, error, {},
                          llvm::CodeGenOptLevel::Default,
                          machine.getTargetTriple());
  }
  const std::string &result = done ? bytes : error;
  writeAll(file, done ? "S" : "E", 1);
  writeAll(file, result.data(), result.size());
  _exit(0);
}

/// Reads until the child closes its end.
static bool readAll(int file, std::string &bytes) {
  char buffer[65536];
  while (true) {
    pollfd waiting{file, POLLIN, 0};
    int ready = poll(&waiting, 1, secondsAllowed * 1000);
    if (ready < 0 && errno == EINTR)
      continue;
    if (ready <= 0)
      return false;
    ssize_t n = read(file, buffer, sizeof buffer);
    if (n < 0 && errno == EINTR)
      continue;
    if (n <= 0)
      return true;
    bytes.append(buffer, n);
  }
}

static Outcome emitInChild(llvm::Module &module, llvm::TargetMachine &machine,
                           bool text) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC))
    return {Ending::died, "no pipe"};
  pid_t process = fork();
  if (process == 0) {
    close(ends[0]);
    child(module, machine, text, ends[1]);
  }
  close(ends[1]);
  Outcome outcome;
  if (process < 0) {
    outcome.bytes = "no child process";
  } else {
    bool closed = readAll(ends[0], outcome.bytes);
    if (!closed)
      kill(process, SIGKILL);
    int status = 0;
    while (waitpid(process, &status, 0) < 0 && errno == EINTR)
      ;
    char kind = outcome.bytes.empty() ? '\0' : outcome.bytes.front();
    outcome.ending = !closed                                     ? Ending::late
                     : !WIFEXITED(status) || WEXITSTATUS(status) ? Ending::died
                     : kind == 'S'                               ? Ending::done
                     : kind == 'E' ? Ending::refused
                                   : Ending::died;
    if (!outcome.bytes.empty())
      outcome.bytes.erase(0, 1);
  }
  close(ends[0]);
  return outcome;
}

std::optional<std::string>
backends::intel::emitSpirv(llvm::Module &module, llvm::TargetMachine &machine,
                           bool text, std::string &error) {
  // A child may inherit a lock that another thread held; it isn't there the
  // second time.
  Outcome outcome;
  for (unsigned attempt = 0; attempt < 2; ++attempt) {
    outcome = emitInChild(module, machine, text);
    if (outcome.ending != Ending::late)
      break;
  }
  switch (outcome.ending) {
  case Ending::done:
    return std::move(outcome.bytes);
  case Ending::refused:
    error = "LLVM's SPIR-V back end: " + outcome.bytes;
    break;
  case Ending::died:
    error = "LLVM's SPIR-V back end crashed";
    break;
  case Ending::late:
    error = "LLVM's SPIR-V back end took more than " +
            std::to_string(secondsAllowed) + " s";
    break;
  }
  return std::nullopt;
}
