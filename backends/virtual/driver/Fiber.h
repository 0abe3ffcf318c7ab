//===- Fiber.h - points of execution with a stack of their own --*- C++ -*-===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A fiber runs until it switches to another one. Those of one OS thread only
// may switch to each other; a thread's own point of execution is a Fiber that
// was never prepared. A fiber that is left for good is simply forgotten, its
// stack may be used again.
//
// The switch is a dozen instructions on x86-64 and aarch64, and <ucontext.h>
// elsewhere (or with AICC_FIBER_UCONTEXT), which asks the system for the signal
// mask each time. AddressSanitizer and ThreadSanitizer are told.
//
//===----------------------------------------------------------------------===//

#ifndef AICC_BACKENDS_VIRTUAL_DRIVER_FIBER_H
#define AICC_BACKENDS_VIRTUAL_DRIVER_FIBER_H

#include <cstddef>

#if !defined(__x86_64__) && !defined(__aarch64__)
#define AICC_FIBER_UCONTEXT
#endif
#ifdef AICC_FIBER_UCONTEXT
#include <ucontext.h>
#endif

namespace aicc::backends::virtual_device {

class Fiber {
public:
  Fiber() = default;
  Fiber(const Fiber &) = delete;
  Fiber &operator=(const Fiber &) = delete;
  ~Fiber();

  /// The next switch to it calls `function`, which must not return, on the
  /// stack of `bytes` that begins at `stack`.
  void prepare(void *stack, size_t bytes, void (*function)(void *),
               void *argument);
  /// Goes on in `to`; returns when somebody switches back.
  void switchTo(Fiber &to);

private:
  static void enter(void *self);
  void arrive();

  void (*function_)(void *) = nullptr;
  void *argument_ = nullptr;
  const void *stack_ = nullptr;
  size_t bytes_ = 0;
  // Of the sanitizers.
  [[maybe_unused]] void *fakeStack_ = nullptr;
  [[maybe_unused]] void *tsan_ = nullptr;
#ifdef AICC_FIBER_UCONTEXT
  static void enterContext(unsigned high, unsigned low);
  ucontext_t context_;
#else
  void *top_ = nullptr;
#endif
};

} // namespace aicc::backends::virtual_device

#endif // AICC_BACKENDS_VIRTUAL_DRIVER_FIBER_H
