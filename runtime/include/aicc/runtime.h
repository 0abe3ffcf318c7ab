/*===- aicc/runtime.h - load and run compiled models -----------------------===*
 *
 * Licensed under the Apache License v2.0 with LLVM Exceptions.
 * SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 *
 *===----------------------------------------------------------------------===*
 *
 *     aicc_package *package;
 *     aicc_session *session;
 *     aicc_package_open("model.aicc", NULL, &package);
 *     aicc_session_create(package, aicc_device_find("cpu:0"), NULL, &session);
 *     aicc_tensor *in, *out = NULL;
 *     int64_t dims[] = {1, 64};
 *     aicc_tensor_from_host(data, AICC_F32, 2, dims, NULL, NULL, &in);
 *     aicc_session_run(session, &in, 1, &out, 1);
 *     const float *result = aicc_tensor_data(out);
 *
 * Results.    Functions that can fail return an aicc_status. After a failure
 *             aicc_message() gives one line that names the thing, what was
 *             found and what was expected, for the calling thread. Results come
 *             through the parameters named out_*, which are written on success
 *             only.
 *
 * Ownership.  Packages, sessions, tensors and runs are counted: a create or
 *             open function gives the caller one reference, retain adds one,
 *             release gives one back and accepts NULL. A session keeps its
 *             package. Devices belong to the process and are never released.
 *             Strings and arrays that are returned live as long as the object
 *             they were asked of.
 *
 * Threads.    Every function may be called from several threads at once, also
 *             on the same object; one session may be run by several threads at
 *             once. A tensor's data is not guarded: while a run writes a
 *tensor, nobody else may read or write it.
 *
 * Versions.   Structures begin with struct_size, which the caller sets to
 *             sizeof; newer versions only append fields. An options pointer may
 *             be NULL. AICC_RUNTIME_VERSION is raised when fields or functions
 *             are added.
 *
 * Trust.      Packages may be damaged or hostile in their data: that gives a
 *             status. But a package contains machine code, which runs with the
 *             rights of the process.
 *
 *===----------------------------------------------------------------------===*/

#ifndef AICC_RUNTIME_H
#define AICC_RUNTIME_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define AICC_RUNTIME_VERSION 4u

#if defined(AICC_STATIC)
#define AICC_API
#elif defined(__GNUC__)
#define AICC_API __attribute__((visibility("default")))
#else
#define AICC_API
#endif

/* AICC_RUNTIME_VERSION of the library. */
AICC_API uint32_t aicc_runtime_version(void);

/* --- results ---------------------------------------------------------------
 */

typedef enum aicc_status {
  AICC_OK = 0,
  AICC_INVALID_ARGUMENT = 1, /* wrong shape, type, name, …: the caller's data */
  AICC_NOT_FOUND = 2,
  AICC_BAD_PACKAGE = 3, /* damaged, or of another version */
  AICC_UNSUPPORTED = 4, /* no code for the device, … */
  AICC_OUT_OF_MEMORY = 5,
  AICC_DEVICE_ERROR = 6,
  AICC_IO_ERROR = 7
} aicc_status;

/* Of the calling thread's last failure; "" before the first. Valid until the
 * thread's next failure. */
AICC_API const char *aicc_message(void);

/* --- element types ----------------------------------------------------------
 */

typedef enum aicc_type {
  AICC_BOOL = 1,
  AICC_I8,
  AICC_U8,
  AICC_I16,
  AICC_U16,
  AICC_I32,
  AICC_U32,
  AICC_I64,
  AICC_U64,
  AICC_F16,
  AICC_BF16,
  AICC_F32,
  AICC_F64,
  AICC_F8E4M3FN,
  AICC_F8E4M3FNUZ,
  AICC_F8E5M2,
  AICC_F8E5M2FNUZ,
  AICC_F8E8M0FNU,
  /* Narrower than a byte, one to a byte: integers extended to 8 bits by their
   * sign or zeros, floats in the low bits of the byte. */
  AICC_F4E2M1FN,
  AICC_F6E2M3FN,
  AICC_F6E3M2FN,
  AICC_I4,
  AICC_U4,
  AICC_I2,
  AICC_U2,
  AICC_C64, /* real part, imaginary part, f32 each */
  AICC_C128,
  AICC_STRING, /* struct aicc_string */
  /* Makes every non-negative int a value that a caller may give. */
  AICC_TYPE_LIMIT = 0x7fffffff
} aicc_type;

/* An element of type AICC_STRING. The bytes are UTF-8 by convention, need no
 * zero at the end and belong to the tensor. */
typedef struct aicc_string {
  const char *data;
  uint64_t size;
} aicc_string;

/* Bytes of an element, 0 for what is no type. */
AICC_API size_t aicc_type_size(aicc_type type);
/* "f32"; "invalid" for what is no type. */
AICC_API const char *aicc_type_name(aicc_type type);

/* --- devices ----------------------------------------------------------------
 */

typedef struct aicc_device aicc_device;

typedef struct aicc_device_info {
  size_t struct_size;
  const char *name;        /* "cpu:0" */
  const char *family;      /* "cpu" */
  const char *description; /* the vendor's name of it */
  const char *chip;        /* "x86-64-v4"; may be "" */
  const char *version;     /* of the vendor's driver; may be "" */
  const char *const *features;
  size_t feature_count;
  uint64_t memory_bytes; /* 0 = unknown */
  uint32_t compute_units;
} aicc_device_info;

/* Devices of all drivers. Vendors' libraries are loaded when a device of their
 * family is asked for, or all devices are counted. The environment variable
 * AICC_DRIVERS (families, separated by commas) excludes others. */
AICC_API size_t aicc_device_count(void);
/* NULL if `index` is out of range. */
AICC_API aicc_device *aicc_device_at(size_t index);
/* "cpu:0", or "cpu" for the first of its family; NULL if there is none, and
 * aicc_message() says why. */
AICC_API aicc_device *aicc_device_find(const char *name);
AICC_API aicc_status aicc_device_get_info(const aicc_device *device,
                                          aicc_device_info *out_info);
/* Loads a driver from a shared object (aicc/driver.h). */
AICC_API aicc_status aicc_driver_load(const char *path);
/* What drivers had to say when they found no device, one line each. */
AICC_API const char *aicc_driver_notes(void);

/* --- packages ---------------------------------------------------------------
 */

typedef struct aicc_package aicc_package;

typedef struct aicc_package_options {
  size_t struct_size;
  /* Not zero: don't compare weights with their checksums when a session is
   * created. Objects are always compared. */
  uint32_t trust_weights;
} aicc_package_options;

/* Maps the file; it must not be changed while the package lives. */
AICC_API aicc_status aicc_package_open(const char *path,
                                       const aicc_package_options *options,
                                       aicc_package **out_package);
/* `release(context)` is called when `data` is needed no longer, also after a
 * failure; NULL for data that outlives the package. Data that doesn't begin at
 * a multiple of 64 is copied. */
AICC_API aicc_status aicc_package_from_memory(
    const void *data, size_t bytes, void (*release)(void *context),
    void *context, const aicc_package_options *options,
    aicc_package **out_package);
AICC_API void aicc_package_retain(aicc_package *package);
AICC_API void aicc_package_release(aicc_package *package);

typedef struct aicc_port {
  size_t struct_size;
  const char *name;
  aicc_type type;
  size_t rank;
  /* A dimension that is known, or -1 … */
  const int64_t *dims;
  /* … and how it is computed: "64", "batch", "past + 1". What only a run finds
   * out is numbered: "?0". */
  const char *const *expressions;
  /* Not zero: an output whose dimensions are not all known before a run. */
  uint32_t data_dependent;
} aicc_port;

AICC_API size_t aicc_package_input_count(const aicc_package *package);
AICC_API size_t aicc_package_output_count(const aicc_package *package);
AICC_API aicc_status aicc_package_input(const aicc_package *package,
                                        size_t index, aicc_port *out_port);
AICC_API aicc_status aicc_package_output(const aicc_package *package,
                                         size_t index, aicc_port *out_port);
/* Position of an input or output by name; AICC_NOT_FOUND lists the names. */
AICC_API aicc_status aicc_package_find_input(const aicc_package *package,
                                             const char *name,
                                             size_t *out_index);
AICC_API aicc_status aicc_package_find_output(const aicc_package *package,
                                              const char *name,
                                              size_t *out_index);
/* Names of the dimensions that a caller chooses. */
AICC_API size_t aicc_package_symbol_count(const aicc_package *package);
AICC_API const char *aicc_package_symbol(const aicc_package *package,
                                         size_t index);
AICC_API size_t aicc_package_variant_count(const aicc_package *package);
/* "cpu:x86-64-v4" */
AICC_API const char *aicc_package_variant(const aicc_package *package,
                                          size_t index);
/* How inputs and outputs make up the sequences, optionals and maps of the
 * model, as JSON:
 *   {"inputs": [VALUE...], "outputs": [VALUE...]}
 *   VALUE = {"name": ..., "kind": "tensor", "port": index}
 *         | {"name": ..., "kind": "sequence" | "optional" | "map" | "maps",
 *            "elements": [VALUE...]}
 * Elements of a map are a vector of keys and one of values; "maps" is a
 * sequence of maps with the same keys: these, and a matrix with the values of
 * one map in a row. NULL if there are tensors only. The text comes from the
 * package as it is. */
AICC_API const char *aicc_package_signature(const aicc_package *package);
/* Everything inside, as JSON. */
AICC_API const char *aicc_package_describe(aicc_package *package);

/* The dimensions of input or output `index` for given symbols (all of them, in
 * the package's order). `out_dims` has room for the port's rank. An output
 * whose shape only a run finds out is AICC_UNSUPPORTED. */
AICC_API aicc_status aicc_package_input_dims(const aicc_package *package,
                                             size_t index,
                                             const int64_t *symbols,
                                             int64_t *out_dims);
AICC_API aicc_status aicc_package_output_dims(const aicc_package *package,
                                              size_t index,
                                              const int64_t *symbols,
                                              int64_t *out_dims);
/* The symbols' values from all inputs' dimensions: `dims[i]` are those of input
 * i, `ranks[i]` their number. Also checks them. */
AICC_API aicc_status aicc_package_bind(const aicc_package *package,
                                       const int64_t *const *dims,
                                       const size_t *ranks,
                                       int64_t *out_symbols);

/* --- tensors ----------------------------------------------------------------
 */

typedef struct aicc_tensor aicc_tensor;

/* New memory of the host, row-major, aligned to 64, not initialised. */
AICC_API aicc_status aicc_tensor_create(aicc_type type, size_t rank,
                                        const int64_t *dims,
                                        aicc_tensor **out_tensor);
/* The caller's memory of the host, without a copy; aligned to the element.
 * `release(context)`, unless NULL, is called when the tensor goes. */
AICC_API aicc_status aicc_tensor_from_host(void *data, aicc_type type,
                                           size_t rank, const int64_t *dims,
                                           void (*release)(void *context),
                                           void *context,
                                           aicc_tensor **out_tensor);
/* Memory of a device, in its driver's terms. To run with it, it must begin at a
 * multiple of 64 bytes where kernels don't take any memory of the host. */
AICC_API aicc_status aicc_tensor_from_device(aicc_device *device, void *data,
                                             aicc_type type, size_t rank,
                                             const int64_t *dims,
                                             void (*release)(void *context),
                                             void *context,
                                             aicc_tensor **out_tensor);
AICC_API void aicc_tensor_retain(aicc_tensor *tensor);
AICC_API void aicc_tensor_release(aicc_tensor *tensor);
AICC_API aicc_type aicc_tensor_type(const aicc_tensor *tensor);
AICC_API size_t aicc_tensor_rank(const aicc_tensor *tensor);
AICC_API const int64_t *aicc_tensor_dims(const aicc_tensor *tensor);
AICC_API size_t aicc_tensor_bytes(const aicc_tensor *tensor);
/* The address on the tensor's device, which is the host unless it was made
 * from a device's memory. */
AICC_API void *aicc_tensor_data(const aicc_tensor *tensor);
/* NULL for memory of the host. */
AICC_API aicc_device *aicc_tensor_device(const aicc_tensor *tensor);

/* DLPack 0.x, whose structure is declared in dlpack.h. from_dlpack takes over
 * `managed` on success (its deleter is called when the tensor goes); it must be
 * contiguous memory of the host. to_dlpack gives a structure that holds a
 * reference to the tensor until its deleter is called. */
struct DLManagedTensor;
AICC_API aicc_status aicc_tensor_from_dlpack(struct DLManagedTensor *managed,
                                             aicc_tensor **out_tensor);
AICC_API aicc_status aicc_tensor_to_dlpack(
    aicc_tensor *tensor, struct DLManagedTensor **out_managed);

/* --- sessions ---------------------------------------------------------------
 */

typedef struct aicc_session aicc_session;
typedef struct aicc_run aicc_run;

typedef struct aicc_session_options {
  size_t struct_size;
  uint32_t threads;    /* on a CPU, the caller's included; 0 = one per core */
  const char *variant; /* "cpu:x86-64-v3"; NULL = the first that fits */
} aicc_session_options;

/* Loads the code and lays out the weights, which sessions of one package on one
 * device share. */
AICC_API aicc_status aicc_session_create(aicc_package *package,
                                         aicc_device *device,
                                         const aicc_session_options *options,
                                         aicc_session **out_session);
/* The same on several devices, for a package whose code was placed on a set of
 * targets. All of them take part; which is which follows from their families,
 * of several of one family from their order. Inputs may be in the memory of any
 * of them. `devices` is needed during the call only. */
AICC_API aicc_status aicc_session_create_on_devices(
    aicc_package *package, aicc_device *const *devices, size_t device_count,
    const aicc_session_options *options, aicc_session **out_session);
AICC_API void aicc_session_retain(aicc_session *session);
AICC_API void aicc_session_release(aicc_session *session);
AICC_API aicc_package *aicc_session_package(const aicc_session *session);
/* The first of its devices. */
AICC_API aicc_device *aicc_session_device(const aicc_session *session);
/* All of them, in the order of the variant's targets; NULL if `index` is out of
 * range. */
AICC_API size_t aicc_session_device_count(const aicc_session *session);
AICC_API aicc_device *aicc_session_device_at(const aicc_session *session,
                                             size_t index);
/* The variant that was taken, "cpu:x86-64-v4". */
AICC_API const char *aicc_session_variant(const aicc_session *session);

/* Runs and waits. Inputs and outputs stand in the package's order. outputs[i]
 * is the caller's tensor to write into, or NULL: then a new one is returned
 * there. On failure no tensor is created; those given may have been written.
 * Where only the run finds out an output's shape, NULL gives a tensor of that
 * shape, and a given tensor of another one is a failure. */
AICC_API aicc_status aicc_session_run(aicc_session *session,
                                      aicc_tensor *const *inputs,
                                      size_t input_count, aicc_tensor **outputs,
                                      size_t output_count);
/* The same without waiting. Inputs' shapes are checked before it returns; new
 * outputs are there at once and hold their values after the wait, but for those
 * whose shape only the run finds out: outputs[i] stays NULL, and
 * aicc_run_output() gives them. The run keeps the tensors. Runs of one session
 * begin in the order they were given, and where one's memory is another's they
 * follow each other. */
AICC_API aicc_status aicc_session_run_async(
    aicc_session *session, aicc_tensor *const *inputs, size_t input_count,
    aicc_tensor **outputs, size_t output_count, aicc_run **out_run);
/* Waits, and returns how the run ended; any number of times. */
AICC_API aicc_status aicc_run_wait(aicc_run *run);
/* Output `index` of a run that ended well; the run's, retain it to keep it. */
AICC_API aicc_status aicc_run_output(const aicc_run *run, size_t index,
                                     aicc_tensor **out_tensor);
/* Not zero once it ended. */
AICC_API int aicc_run_done(const aicc_run *run);
AICC_API void aicc_run_retain(aicc_run *run);
/* A run that is not waited for goes on. */
AICC_API void aicc_run_release(aicc_run *run);

typedef struct aicc_memory_info {
  size_t struct_size;
  uint64_t weight_bytes;      /* of the package, as used on each device */
  uint64_t prepared_bytes;    /* laid out for its devices, shared */
  uint64_t arena_bytes;       /* temporaries of the largest run so far */
  uint64_t arena_total_bytes; /* of all concurrent runs, held now */
  uint64_t staging_bytes;     /* copies of inputs and outputs, and of what goes
                                 from device to device, held now */
  uint64_t peak_bytes; /* most held at once, without the mapped weights */
} aicc_memory_info;

AICC_API aicc_status aicc_session_memory(const aicc_session *session,
                                         aicc_memory_info *out_info);

/* One launch (or copy, or call of a function of the host) of a run. A profiled
 * run is never a replay of a recorded one. */
typedef struct aicc_profile_event {
  size_t struct_size;
  const char *name;   /* the nodes it computes, joined by " + " */
  const char *kernel; /* its symbol in the object; "copy", "fill"; a function */
  const char *device; /* "cpu:0" */
  uint64_t begin_ns;  /* CLOCK_MONOTONIC, or the device's clock close to it */
  uint64_t end_ns;
  uint32_t index; /* position in the program, loops counted once; UINT32_MAX:
                     a copy of an input or output between host and device */
  uint32_t grid[3];
  uint32_t stream; /* of the device: work of one has an order, that of two may
                      overlap */
} aicc_profile_event;

/* `callback` is called for each event after every run, from the thread that
 * ran it; NULL switches profiling off. Runs under way may miss the change. */
AICC_API aicc_status aicc_session_profile(
    aicc_session *session,
    void (*callback)(const aicc_profile_event *event, void *context),
    void *context);

/* A value that a run has computed and that the model has a name for. */
typedef struct aicc_value {
  size_t struct_size;
  const char *name;  /* of the model's tensor */
  const char *nodes; /* whose kernel it is from, joined by " + "; may be "" */
  uint32_t index;    /* as in aicc_profile_event; of a view (a reshape), that of
                        its first use */
  size_t loop_count; /* loops around it … */
  const int64_t *iterations; /* … and where each is, the outermost first */
  aicc_type type;
  size_t rank;
  const int64_t *dims;
  const void *data; /* memory of the host, row-major */
} aicc_value;

/* `callback` is called with each such value as it is computed, in the order of
 * the program, by the thread that runs; what it is given lives until it
 * returns. A kernel's inner values don't exist, so that two variants have
 * different ones. What a loop computes comes once an iteration, of a branch
 * comes the way that was taken; a value may come twice where it is copied, the
 * same both times. Each is waited for and copied, so that such a run is slow.
 * NULL ends it. Runs under way may miss the change. */
AICC_API aicc_status aicc_session_observe(
    aicc_session *session,
    void (*callback)(const aicc_value *value, void *context), void *context);

#ifdef __cplusplus
} /* extern "C" */
#endif

#endif /* AICC_RUNTIME_H */
