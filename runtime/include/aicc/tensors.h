/*===- aicc/tensors.h - tensors that a kernel copies boxes of -------*- C -*-===*
 *
 * Licensed under the Apache License v2.0 with LLVM Exceptions.
 * SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 *
 *===----------------------------------------------------------------------===*
 *
 * Some hardware copies boxes of a tensor to a workgroup's memory by a map of the
 * tensor: words that only the vendor's driver can write, and that hold an
 * address. The code of a kernel that wants such maps says so in its object, and
 * the driver writes them at each launch, behind the kernel's arguments: map i is
 * at 128 * i from the next multiple of 64 bytes on. The object has, per kernel
 * ENTRY that wants maps, a global constant
 *
 *     const aicc_tensors ENTRY__tensors;
 *
 *===----------------------------------------------------------------------===*/

#ifndef AICC_TENSORS_H
#define AICC_TENSORS_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define AICC_TENSORS_VERSION 1u
#define AICC_TENSORS_MOST 2u
#define AICC_TENSOR_MAP_BYTES 128u
#define AICC_TENSOR_MAP_ALIGN 64u

/* Dimensions are those of the tensor in memory, innermost first; the innermost
 * elements are neighbours. A box's innermost dimension takes 128 bytes and is
 * swizzled: 16 bytes at place c of line x of 128 bytes lie at c ^ (x % 8). What
 * lies outside of the tensor is 0. */
typedef struct aicc_tensor {
  uint32_t argument; /* the pointer's number among the arguments */
  uint32_t element_bytes;
  uint32_t rank; /* 2 .. 5 */
  uint32_t box[5];
  uint64_t sizes[5];
  uint64_t strides[5]; /* in bytes, multiples of 16 but for the first */
} aicc_tensor;

typedef struct aicc_tensors {
  uint32_t version; /* AICC_TENSORS_VERSION */
  uint32_t count;   /* at most AICC_TENSORS_MOST */
  aicc_tensor tensors[AICC_TENSORS_MOST];
} aicc_tensors;

#ifdef __cplusplus
} /* extern "C" */
#endif

#endif /* AICC_TENSORS_H */
