/* Kernels.c - kernels in C, in the ABI of generated ones, for tests.
 *
 * Licensed under the Apache License v2.0 with LLVM Exceptions.
 * SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 */

#include <stdint.h>

#define KERNEL __attribute__((visibility("default"))) void

/* Each workgroup does one row of eight. */
enum { row = 8 };

struct unary {
  const float *x;
  float *y;
  int64_t n;
};

struct binary {
  const float *a, *b;
  float *y;
  int64_t n;
};

KERNEL test_double(const void *args, const uint32_t *id, void *scratch) {
  const struct unary *p = args;
  (void)scratch;
  for (int64_t i = id[0] * row; i < (int64_t)id[0] * row + row && i < p->n; ++i)
    p->y[i] = 2 * p->x[i];
}

KERNEL test_mul(const void *args, const uint32_t *id, void *scratch) {
  const struct binary *p = args;
  (void)scratch;
  for (int i = 0; i < row; ++i)
    p->y[id[0] * row + i] = p->a[id[0] * row + i] * p->b[i];
}

KERNEL test_add(const void *args, const uint32_t *id, void *scratch) {
  const struct binary *p = args;
  (void)scratch;
  for (int i = 0; i < row; ++i)
    p->y[id[0] * row + i] = p->a[id[0] * row + i] + p->b[i];
}

/* y[i] += i + step, over the whole of y; n, step. */
struct step {
  float *y;
  int64_t n, step;
};

KERNEL test_step(const void *args, const uint32_t *id, void *scratch) {
  const struct step *p = args;
  (void)id;
  (void)scratch;
  for (int64_t i = 0; i < p->n; ++i)
    p->y[i] += (float)(i + p->step);
}

/* y[workgroup] = sum of scratch after writing it whole; n = its bytes. */
KERNEL test_scratch(const void *args, const uint32_t *id, void *scratch) {
  const struct {
    float *y;
    int64_t n, width, height;
  } *p = args;
  unsigned char *bytes = scratch;
  int64_t sum = 0;
  unsigned char value = (unsigned char)(id[0] + 3 * id[1] + 5 * id[2]);
  for (int64_t i = 0; i < p->n; ++i)
    bytes[i] = value;
  for (int64_t i = 0; i < p->n; ++i)
    sum += bytes[i];
  p->y[(id[2] * p->height + id[1]) * p->width + id[0]] =
      (float)sum + ((uintptr_t)scratch % 64 ? 1e9f : 0);
}

KERNEL test_nothing(const void *args, const uint32_t *id, void *scratch) {
  (void)args;
  (void)id;
  (void)scratch;
}

/* count[0] = how many of x are positive. */
KERNEL test_count(const void *args, const uint32_t *id, void *scratch) {
  const struct {
    const float *x;
    int64_t *count, n;
  } *p = args;
  int64_t count = 0;
  (void)id;
  (void)scratch;
  for (int64_t i = 0; i < p->n; ++i)
    count += p->x[i] > 0;
  *p->count = count;
}

/* y = the positive ones of x. */
KERNEL test_take(const void *args, const uint32_t *id, void *scratch) {
  const struct unary *p = args;
  float *y = p->y;
  (void)id;
  (void)scratch;
  for (int64_t i = 0; i < p->n; ++i)
    if (p->x[i] > 0)
      *y++ = p->x[i];
}

/* below[0] = x[0] < limit. */
KERNEL test_below(const void *args, const uint32_t *id, void *scratch) {
  const struct {
    const float *x;
    unsigned char *below;
    int64_t limit;
  } *p = args;
  (void)id;
  (void)scratch;
  *p->below = *p->x < (float)p->limit;
}

/* y = x and one element more, which is n. */
KERNEL test_append(const void *args, const uint32_t *id, void *scratch) {
  const struct {
    const float *x;
    float *y;
    int64_t n;
  } *p = args;
  (void)id;
  (void)scratch;
  for (int64_t i = 0; i < p->n; ++i)
    p->y[i] = p->x[i];
  p->y[p->n] = (float)p->n;
}

/* size[0] = n. */
KERNEL test_size(const void *args, const uint32_t *id, void *scratch) {
  const struct {
    int64_t *size, n;
  } *p = args;
  (void)id;
  (void)scratch;
  *p->size = p->n;
}
