//===- cross.c - runs kernels of another instruction set ------------------===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A program without a C library, so that it needs nothing but a compiler for
// the instruction set and an emulator. Calls the kernels of cross.mlir and
// compares with loops; exits with the number of the first kernel that is wrong.
//
//===----------------------------------------------------------------------===//

typedef unsigned int u32;
typedef long i64;
typedef void Kernel(const void *args, const u32 workgroup[3], void *scratch);
extern Kernel product, rows, swap, pool;

static void leave(long status) {
#if defined(__aarch64__)
  register long x0 __asm__("x0") = status;
  register long x8 __asm__("x8") = 93;
  __asm__ volatile("svc 0" ::"r"(x0), "r"(x8));
#elif defined(__riscv)
  register long a0 __asm__("a0") = status;
  register long a7 __asm__("a7") = 93;
  __asm__ volatile("ecall" ::"r"(a0), "r"(a7));
#else
  __asm__ volatile("syscall" ::"a"(60), "D"(status));
#endif
  for (;;)
    ;
}

void *memset(void *to, int value, unsigned long size) {
  for (unsigned long i = 0; i < size; ++i)
    ((char *)to)[i] = value;
  return to;
}
void *memcpy(void *to, const void *from, unsigned long size) {
  for (unsigned long i = 0; i < size; ++i)
    ((char *)to)[i] = ((const char *)from)[i];
  return to;
}

static float a[4096], w[4096], b[64], out[4096], want[4096];
static char scratch[4096];

static void fill(float *x, int count, int seed) {
  for (int i = 0; i < count; ++i)
    x[i] = (float)((i * 7 + seed * 13) % 23 - 11) / 8;
}

static void call(Kernel *kernel, const void *args, u32 grid) {
  for (u32 x = 0; x < grid; ++x) {
    u32 workgroup[3] = {x, 0, 0};
    kernel(args, workgroup, scratch);
  }
}

static void check(int count, long number) {
  for (int i = 0; i < count; ++i) {
    float d = out[i] - want[i];
    if (!(d < 1e-4f && d > -1e-4f))
      leave(number);
  }
}

void _start(void) {
#if defined(__riscv)
  __asm__ volatile(".option push\n.option norelax\nla gp, __global_pointer$\n.option pop");
#endif
  fill(a, 13 * 40, 1);
  fill(w, 5 * 40 * 8, 2);
  fill(b, 37, 3);
  for (int m = 0; m < 13; ++m)
    for (int n = 0; n < 37; ++n) {
      float sum = b[n];
      for (int k = 0; k < 40; ++k)
        sum += a[m * 40 + k] * w[n / 8 * 320 + k * 8 + n % 8];
      want[m * 37 + n] = sum;
    }
  const void *four[] = {a, w, b, out};
  call(product, four, 1);
  check(13 * 37, 1);

  // Rows of a run-time count: each sums to one, in the order of its inputs.
  struct {
    const void *from, *to;
    i64 count;
  } some = {a, out, 6};
  call(rows, &some, 1);
  for (int r = 0; r < 6; ++r) {
    float sum = 0;
    for (int i = 0; i < 19; ++i) {
      sum += out[r * 19 + i];
      if (i && (a[r * 19 + i] > a[r * 19 + i - 1]) !=
                   (out[r * 19 + i] > out[r * 19 + i - 1]))
        leave(2);
    }
    if (!(sum > 0.9999f && sum < 1.0001f))
      leave(2);
  }

  for (int i = 0; i < 77; ++i)
    want[i % 7 * 11 + i / 7] = a[i];
  const void *two[] = {a, out};
  call(swap, two, 1);
  check(77, 3);

  fill(a, 9 * 9 * 12, 5);
  for (int y = 0; y < 5; ++y)
    for (int x = 0; x < 5; ++x)
      for (int c = 0; c < 12; ++c) {
        float most = -1e30f;
        for (int i = 2 * y - 1; i <= 2 * y + 1; ++i)
          for (int j = 2 * x - 1; j <= 2 * x + 1; ++j)
            if (i >= 0 && i < 9 && j >= 0 && j < 9 &&
                a[(i * 9 + j) * 12 + c] > most)
              most = a[(i * 9 + j) * 12 + c];
        want[(y * 5 + x) * 12 + c] = most;
      }
  call(pool, two, 1);
  check(5 * 5 * 12, 4);
  leave(0);
}
