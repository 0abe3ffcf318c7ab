//===- Builders.h - threads that compile modules ----------------*- C++ -*-===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// A vendor's compiler takes tens of milliseconds for a module. It is begun when
// the module is loaded, and whoever needs the module first waits for it.
//
//===----------------------------------------------------------------------===//

#ifndef AICC_BACKENDS_INTEL_DRIVER_BUILDERS_H
#define AICC_BACKENDS_INTEL_DRIVER_BUILDERS_H

#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>
#include <vector>

namespace aicc::intel {

class Buildable {
public:
  /// Called once, by any thread.
  virtual void build() = 0;

protected:
  ~Buildable() = default;
};

/// Starts threads when there is something to do. Any thread; what was added
/// must be built or removed before it goes.
class Builders {
public:
  ~Builders();
  void add(Buildable *module);
  /// True if nobody had begun it.
  bool remove(Buildable *module);

private:
  void work();
  std::mutex mutex;
  std::condition_variable changed;
  std::deque<Buildable *> queue;
  std::vector<std::thread> threads;
  bool stopping = false;
};

} // namespace aicc::intel

#endif // AICC_BACKENDS_INTEL_DRIVER_BUILDERS_H
