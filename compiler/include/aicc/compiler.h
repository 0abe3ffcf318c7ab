/*===- compiler.h - the compiler as a library ---------------------*- C -*-===*\
|*
|* Licensed under the Apache License v2.0 with LLVM Exceptions.
|* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
|*
|* Compiles a model to a package (libaicc_compiler). All strings are UTF-8 and
|* what the options point to belongs to the caller; strings of a result live as
|* long as the result, which the caller frees. Any thread may call any function
|* at any time.
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

/* Makes an input of the model a constant. */
typedef struct aicc_compiler_value {
  const char *name; /* of the input */
  const char *type; /* of the elements, as aicc_type_name says: "i64" */
  size_t rank;
  const int64_t *dims;
  const void *data; /* row-major, as the runtime holds tensors */
  size_t bytes;
} aicc_compiler_value;

/* What is in an input that is a sequence or an optional: "3" for so many
 * elements of the shape that its type gives, "[2,3][4,n]" for the shapes of the
 * elements (n is a dynamic dimension, so is "?"), "none" for an optional
 * without an element. For a tensor of unknown rank, its shape. */
typedef struct aicc_compiler_sequence {
  const char *name;
  const char *contents;
} aicc_compiler_sequence;

/* Puts the nodes whose names match a regular expression on a target of a set,
 * by its family ("intel"), or its number where a set has several of a family.
 * Of several that match a node the last one counts. */
typedef struct aicc_compiler_place {
  const char *nodes;
  const char *target;
} aicc_compiler_place;

/* Zero everything, then set struct_size and what is wanted. Newer versions only
 * append fields. */
typedef struct aicc_compiler_options {
  size_t struct_size; /* sizeof(aicc_compiler_options) */
  const char *input;  /* model file; with `model` a name for messages */
  const char *output; /* package file to write */
  /* "family[:chip]"; none means "cpu". "cpu+intel" is a set: one program for
   * several devices, the first for what `places` and the model don't place. */
  const char *const *targets;
  size_t target_count;
  const aicc_compiler_dim *dims;
  size_t dim_count;
  unsigned jobs; /* threads, 0 = one per core */
  int no_cache;  /* neither read nor write the user's cache of kernels */
  const aicc_compiler_value *values;
  size_t value_count;
  const void *model; /* an ONNX model in memory; NULL = read `input` */
  size_t model_bytes;
  const char *model_directory; /* where its external data is; NULL = nowhere */
  const aicc_compiler_sequence *sequences;
  size_t sequence_count;
  int allow_tf32; /* products of f32 may round their operands to tf32 */
  const char
      *precision; /* "f16" or "bf16"; NULL or "f32" = as the model says */
  const aicc_compiler_place *places;
  size_t place_count;
} aicc_compiler_options;

/* What a compilation had to say. */
typedef struct aicc_compiler_result aicc_compiler_result;

/* Sets *out_result (unless out_result is NULL) whether it succeeds or not. */
AICC_COMPILER_API aicc_compiler_status aicc_compiler_compile(
    const aicc_compiler_options *options, aicc_compiler_result **out_result);

/* Why it failed, one line per error; "" after a success. */
AICC_COMPILER_API const char *
aicc_compiler_result_message(const aicc_compiler_result *result);
/* Names of inputs whose values would have been needed while compiling, such as
 * the axes of a reduction, which decide about ranks. Given as `values` of a
 * next attempt (which may need more) they make the model compile. */
AICC_COMPILER_API size_t
aicc_compiler_result_needed_count(const aicc_compiler_result *result);
AICC_COMPILER_API const char *
aicc_compiler_result_needed(const aicc_compiler_result *result, size_t index);
AICC_COMPILER_API void aicc_compiler_result_free(aicc_compiler_result *result);

/* "aicc 0.1.0"; lives as long as the library. */
AICC_COMPILER_API const char *aicc_compiler_version(void);

#ifdef __cplusplus
}
#endif

#endif /* AICC_COMPILER_H */
