//===- Host.h - functions that a program calls on the host ----------------===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// What no kernel can do (strings, decoding) is a function of the runtime, which
// a package calls by name. A function is made once for every call in a program,
// from the attributes that the package holds; it is then run by any number of
// threads at once. Its results have the sizes that the package says: where they
// depend on the data, a function of its own computes them, and the program
// reads them first.
//
//===----------------------------------------------------------------------===//

#ifndef AICC_RUNTIME_HOST_HOST_H
#define AICC_RUNTIME_HOST_HOST_H

#include "runtime/core/Status.h"
#include "runtime/package/Program.h"

#include <span>

namespace aicc::host {

// An argument or a result: dense, row-major.
struct Tensor {
  void *data = nullptr;
  program::ElementType type = program::ElementType::invalid;
  std::span<const int64_t> dims;

  uint64_t elements() const {
    uint64_t count = 1;
    for (int64_t dim : dims)
      count *= uint64_t(dim);
    return count;
  }
};

// Memory that lives until the run's results have been taken over; for what
// results refer to.
class Pool {
public:
  char *allocate(size_t bytes) {
    return blocks.emplace_back(std::make_unique<char[]>(bytes)).get();
  }
  void clear() { blocks.clear(); }

private:
  std::vector<std::unique_ptr<char[]>> blocks;
};

struct Call {
  std::span<const Tensor> inputs, outputs;
  Pool &pool;
};

class Function {
public:
  virtual ~Function() = default;
  // The message says what is wrong with the arguments; the caller puts the name
  // of the node in front.
  virtual Status run(const Call &call) const = 0;
};

// Makes a function for one call. `attributes` is a JSON object, from a file
// that may be damaged; so may the numbers and types of arguments be that the
// function is run with.
using Factory = Status (*)(const std::string &attributes,
                           std::unique_ptr<Function> &out);

// Null if there is no function of that name.
Factory find(std::string_view name);

// One more function, for the process's life; for tests.
void add(std::string name, Factory factory);

} // namespace aicc::host

#endif
