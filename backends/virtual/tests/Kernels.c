/* Kernels.c - kernels of a virtual device, written by hand, for tests.
 *
 * Licensed under the Apache License v2.0 with LLVM Exceptions.
 * SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 *
 * The first three are those of runtime/testing/Kernels.c; others make the
 * mistakes that their names say.
 */

#include "aicc/tensors.h"
#include "aicc/virtual.h"

#define EXPORT __attribute__((visibility("default")))

/* A kernel whose accesses are at its one site. */
#define KERNEL(name)                                                           \
  static const char *const name##_sites[] = {#name};                           \
  EXPORT const aicc_virtual_kernel name##__virtual = {                         \
      AICC_VIRTUAL_VERSION, 32, 0, 1, 0, 0, 0, name##_sites, 0};               \
  EXPORT void name(const void *args, aicc_virtual_thread *self)

enum { row = 8 };

static float *at(aicc_virtual_thread *self, float *p, uint32_t flags) {
  self->services->access(self, p, sizeof *p, sizeof *p, flags, 0);
  return p;
}
static float get(aicc_virtual_thread *self, const float *p) {
  return *at(self, (float *)p, 0);
}
static void put(aicc_virtual_thread *self, float *p, float value) {
  *at(self, p, AICC_VIRTUAL_WRITE) = value;
}

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

KERNEL(test_double) {
  const struct unary *p = args;
  int64_t first = (int64_t)self->group[0] * row;
  for (int64_t i = first; i < first + row && i < p->n; ++i)
    put(self, p->y + i, 2 * get(self, p->x + i));
}

KERNEL(test_mul) {
  const struct binary *p = args;
  int64_t first = (int64_t)self->group[0] * row;
  for (int64_t i = 0; i < row; ++i)
    put(self, p->y + first + i,
        get(self, p->a + first + i) * get(self, p->b + i));
}

KERNEL(test_add) {
  const struct binary *p = args;
  int64_t first = (int64_t)self->group[0] * row;
  for (int64_t i = 0; i < row; ++i)
    put(self, p->y + first + i,
        get(self, p->a + first + i) + get(self, p->b + i));
}

/* y[i] = x[n - 1 - i], one element per thread, all of them behind a barrier. */
KERNEL(test_reverse) {
  const struct unary *p = args;
  int64_t i = (int64_t)self->group[0] * self->group_size[0] + self->thread[0];
  float value = i < p->n ? get(self, p->x + p->n - 1 - i) : 0;
  self->services->barrier(self, 0);
  if (i < p->n)
    put(self, p->y + i, value);
}

KERNEL(test_outside) {
  const struct unary *p = args;
  put(self, p->y + p->n, 0);
}

KERNEL(test_misaligned) {
  const struct unary *p = args;
  put(self, (float *)((char *)p->y + 2), 0);
}

/* All threads write the same element. */
KERNEL(test_race) {
  const struct unary *p = args;
  put(self, p->y, (float)self->thread[0]);
}

/* y[0] = whether the map behind the arguments is that of x. */
EXPORT const aicc_tensors test_map__tensors = {
    AICC_TENSORS_VERSION,
    1,
    {{0, sizeof(float), 2, {32, 4}, {32, 8}, {sizeof(float), 128}}}};

KERNEL(test_map) {
  const struct unary *p = args;
  const aicc_virtual_tensor *map =
      (const void *)((const char *)args + AICC_TENSOR_MAP_ALIGN);
  put(self, p->y,
      map->mark == AICC_VIRTUAL_TENSOR && map->address == (uintptr_t)p->x &&
          map->rank == 2 && map->box[1] == 4 && map->sizes[1] == 8 &&
          map->strides[1] == 128);
}
