/*===- compiler.h - the compiler as a library ---------------------*- C -*-===*\
|*
|* Licensed under the Apache License v2.0 with LLVM Exceptions.
|* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
|*
|* Compiles a model file to a package (libaicc_compiler). All strings are UTF-8
|* and belong to the caller, but for messages, which are freed with
|* aicc_compiler_message_free. Any thread may call any function at any time.
|*
\*===----------------------------------------------------------------------===*/

#ifndef AICC_COMPILER_H
#define AICC_COMPILER_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define AICC_COMPILER_API __attribute__((visibility("default")))

typedef enum aicc_compiler_status {
  AICC_COMPILER_OK = 0,
  AICC_COMPILER_FAILED = 1,          /* the model can't be compiled */
  AICC_COMPILER_INVALID_ARGUMENT = 2 /* the options are wrong */
} aicc_compiler_status;

/* Fixes the size of a dynamic dimension. */
typedef struct aicc_compiler_dim {
  const char *name;
  int64_t size;
} aicc_compiler_dim;

/* Zero everything, then set struct_size and what is wanted. */
typedef struct aicc_compiler_options {
  size_t struct_size;         /* sizeof(aicc_compiler_options) */
  const char *input;          /* model file */
  const char *output;         /* package file to write */
  const char *const *targets; /* "family[:chip]"; none means "cpu" */
  size_t target_count;
  const aicc_compiler_dim *dims;
  size_t dim_count;
  unsigned jobs; /* threads, 0 = one per core */
  int no_cache;  /* neither read nor write the user's cache of kernels */
} aicc_compiler_options;

/* On failure *out_message (which may be NULL) says why, one line per error. */
AICC_COMPILER_API aicc_compiler_status aicc_compiler_compile(
    const aicc_compiler_options *options, char **out_message);

AICC_COMPILER_API void aicc_compiler_message_free(char *message);

/* "aicc 0.1.0"; lives as long as the library. */
AICC_COMPILER_API const char *aicc_compiler_version(void);

#ifdef __cplusplus
}
#endif

#endif /* AICC_COMPILER_H */
