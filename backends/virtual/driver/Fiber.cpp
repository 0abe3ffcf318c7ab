//===- Fiber.cpp - points of execution with a stack of their own ----------===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Fiber.h"

#include <cstdint>
#include <cstdlib>

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define AICC_FIBER_ASAN
#endif
#if __has_feature(thread_sanitizer)
#define AICC_FIBER_TSAN
#endif
#endif
#ifdef __SANITIZE_ADDRESS__
#define AICC_FIBER_ASAN
#endif
#ifdef __SANITIZE_THREAD__
#define AICC_FIBER_TSAN
#endif
#ifdef AICC_FIBER_ASAN
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif
#ifdef AICC_FIBER_TSAN
#include <sanitizer/tsan_interface.h>
#endif

using namespace aicc::backends::virtual_device;

#ifndef AICC_FIBER_UCONTEXT
extern "C" {
/// Saves what a call must keep on the stack, its pointer in `*from`, and takes
/// up what was saved under `to`. Control words of the floating-point units are
/// the same for all fibers.
void aicc_virtual_fiber_switch(void **from, void *to)
    __attribute__((visibility("hidden")));
/// Where a new fiber begins: calls a function with one argument, both left in
/// registers that the switch takes up.
void aicc_virtual_fiber_begin(void) __attribute__((visibility("hidden")));
}
#endif

#if defined(AICC_FIBER_UCONTEXT)
#elif defined(__x86_64__)
asm(R"(
        .text
        .p2align 4
        .globl  aicc_virtual_fiber_switch
        .hidden aicc_virtual_fiber_switch
        .type   aicc_virtual_fiber_switch, @function
aicc_virtual_fiber_switch:
        pushq   %rbp
        pushq   %rbx
        pushq   %r12
        pushq   %r13
        pushq   %r14
        pushq   %r15
        movq    %rsp, (%rdi)
        movq    %rsi, %rsp
        popq    %r15
        popq    %r14
        popq    %r13
        popq    %r12
        popq    %rbx
        popq    %rbp
        retq
        .size   aicc_virtual_fiber_switch, .-aicc_virtual_fiber_switch

        .p2align 4
        .globl  aicc_virtual_fiber_begin
        .hidden aicc_virtual_fiber_begin
        .type   aicc_virtual_fiber_begin, @function
aicc_virtual_fiber_begin:
        .cfi_startproc
        .cfi_undefined %rip
        movq    %r15, %rdi
        callq   *%r14
        ud2
        .cfi_endproc
        .size   aicc_virtual_fiber_begin, .-aicc_virtual_fiber_begin
)");

/// What the first switch takes up, at the end of a stack.
static void *firstFrame(uintptr_t end, void (*function)(void *),
                        void *argument) {
  auto *frame = reinterpret_cast<void **>(end & ~uintptr_t(15)) - 9;
  frame[0] = argument;                           // r15
  frame[1] = reinterpret_cast<void *>(function); // r14
  frame[2] = frame[3] = frame[4] = frame[5] = nullptr;
  // After its return the stack is aligned as it must be before a call.
  frame[6] = reinterpret_cast<void *>(aicc_virtual_fiber_begin);
  frame[7] = frame[8] = nullptr;
  return frame;
}
#elif defined(__aarch64__)
asm(R"(
        .text
        .p2align 4
        .globl  aicc_virtual_fiber_switch
        .hidden aicc_virtual_fiber_switch
        .type   aicc_virtual_fiber_switch, %function
aicc_virtual_fiber_switch:
        sub     sp, sp, #160
        stp     x19, x20, [sp]
        stp     x21, x22, [sp, #16]
        stp     x23, x24, [sp, #32]
        stp     x25, x26, [sp, #48]
        stp     x27, x28, [sp, #64]
        stp     x29, x30, [sp, #80]
        stp     d8, d9, [sp, #96]
        stp     d10, d11, [sp, #112]
        stp     d12, d13, [sp, #128]
        stp     d14, d15, [sp, #144]
        mov     x9, sp
        str     x9, [x0]
        mov     sp, x1
        ldp     x19, x20, [sp]
        ldp     x21, x22, [sp, #16]
        ldp     x23, x24, [sp, #32]
        ldp     x25, x26, [sp, #48]
        ldp     x27, x28, [sp, #64]
        ldp     x29, x30, [sp, #80]
        ldp     d8, d9, [sp, #96]
        ldp     d10, d11, [sp, #112]
        ldp     d12, d13, [sp, #128]
        ldp     d14, d15, [sp, #144]
        add     sp, sp, #160
        ret
        .size   aicc_virtual_fiber_switch, .-aicc_virtual_fiber_switch

        .p2align 4
        .globl  aicc_virtual_fiber_begin
        .hidden aicc_virtual_fiber_begin
        .type   aicc_virtual_fiber_begin, %function
aicc_virtual_fiber_begin:
        .cfi_startproc
        .cfi_undefined x30
        mov     x0, x19
        blr     x20
        brk     #1
        .cfi_endproc
        .size   aicc_virtual_fiber_begin, .-aicc_virtual_fiber_begin
)");

static void *firstFrame(uintptr_t end, void (*function)(void *),
                        void *argument) {
  auto *frame = reinterpret_cast<void **>(end & ~uintptr_t(15)) - 20;
  for (int i = 0; i < 20; ++i)
    frame[i] = nullptr;
  frame[0] = argument;                                            // x19
  frame[1] = reinterpret_cast<void *>(function);                  // x20
  frame[11] = reinterpret_cast<void *>(aicc_virtual_fiber_begin); // x30
  return frame;
}
#endif

Fiber::~Fiber() {
#ifdef AICC_FIBER_TSAN
  if (function_ && tsan_)
    __tsan_destroy_fiber(tsan_);
#endif
}

void Fiber::prepare(void *stack, size_t bytes, void (*function)(void *),
                    void *argument) {
  function_ = function;
  argument_ = argument;
  stack_ = stack;
  bytes_ = bytes;
#ifdef AICC_FIBER_ASAN
  // A fiber that was left for good had its variables there.
  __asan_unpoison_memory_region(stack, bytes);
#endif
#ifdef AICC_FIBER_TSAN
  if (!tsan_)
    tsan_ = __tsan_create_fiber(0);
#endif
#ifdef AICC_FIBER_UCONTEXT
  getcontext(&context_);
  context_.uc_stack.ss_sp = stack;
  context_.uc_stack.ss_size = bytes;
  context_.uc_link = nullptr;
  const auto address = reinterpret_cast<uintptr_t>(this);
  makecontext(&context_, reinterpret_cast<void (*)()>(enterContext), 2,
              unsigned(uint64_t(address) >> 32), unsigned(address));
#else
  top_ = firstFrame(reinterpret_cast<uintptr_t>(stack) + bytes, enter, this);
#endif
}

#ifdef AICC_FIBER_UCONTEXT
// Contexts pass their arguments as ints.
void Fiber::enterContext(unsigned high, unsigned low) {
  enter(reinterpret_cast<void *>(uintptr_t(uint64_t(high) << 32 | low)));
}
#endif

#ifdef AICC_FIBER_ASAN
/// Who switched last, for the one who is switched to.
static thread_local Fiber *previous;
#endif

void Fiber::enter(void *self) {
  auto *fiber = static_cast<Fiber *>(self);
  fiber->arrive();
  fiber->function_(fiber->argument_);
  std::abort(); // it must not return
}

// Told on the new stack.
void Fiber::arrive() {
#ifdef AICC_FIBER_ASAN
  const void *stack = nullptr;
  size_t bytes = 0;
  __sanitizer_finish_switch_fiber(fakeStack_, &stack, &bytes);
  // A thread's own stack becomes known by leaving it.
  if (!previous->stack_) {
    previous->stack_ = stack;
    previous->bytes_ = bytes;
  }
#endif
}

void Fiber::switchTo(Fiber &to) {
#ifdef AICC_FIBER_ASAN
  previous = this;
  __sanitizer_start_switch_fiber(&fakeStack_, to.stack_, to.bytes_);
#endif
#ifdef AICC_FIBER_TSAN
  if (!tsan_)
    tsan_ = __tsan_get_current_fiber();
  __tsan_switch_to_fiber(to.tsan_, 0);
#endif
#ifdef AICC_FIBER_UCONTEXT
  swapcontext(&context_, &to.context_);
#else
  aicc_virtual_fiber_switch(&top_, to.top_);
#endif
  arrive();
}
