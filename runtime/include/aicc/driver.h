/*===- aicc/driver.h - what a vendor gives the runtime
 *----------------------===*
 *
 * Licensed under the Apache License v2.0 with LLVM Exceptions.
 * SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 *
 *===----------------------------------------------------------------------===*
 *
 * A driver is one table of functions. Drivers in this repository are linked in;
 * any other is a shared object that exports
 *
 *     const aicc_driver *aicc_driver_get(uint32_t runtime_version);
 *
 * and is loaded by aicc_driver_load() or the environment variable
 * AICC_DRIVER_PATH (a list of files separated by colons). It returns NULL if it
 * cannot serve a runtime of that AICC_DRIVER_VERSION.
 *
 * Results.    Functions return AICC_OK (0) or another aicc_status of
 *             aicc/runtime.h. After a failure last_error() gives the message of
 *             the calling thread's last failure: lower case, no final period.
 *
 * Ownership.  Every handle is owned by the runtime from its create function to
 *             its destroy function, which accepts NULL. A device's streams,
 *             events, modules and memory are destroyed before it is closed.
 *             Structures and strings of a driver live as long as the process.
 *             What the runtime passes in is valid during the call only, unless
 *             said otherwise.
 *
 * Threads.    Every function may be called from several threads at once. One
 *             stream is used by one thread at a time. Kernels are shared: the
 *             same kernel is launched by several threads on their own streams.
 *
 * Order.      Work on one stream runs in the order it was given; between
 *             streams, events order it. A function of the kind "enqueue" may
 *             return before the work is done, unless the device has
 *             AICC_DEVICE_SYNCHRONOUS.
 *
 * Versions.   Structures begin with struct_size, set by who fills them. Newer
 *             runtimes only append fields: a table's function past its
 *             struct_size counts as NULL. Functions marked optional may be
 *NULL.
 *
 *===----------------------------------------------------------------------===*/

#ifndef AICC_DRIVER_H
#define AICC_DRIVER_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define AICC_DRIVER_VERSION 1u

typedef struct aicc_driver_device aicc_driver_device;
typedef struct aicc_driver_stream aicc_driver_stream;
typedef struct aicc_driver_event aicc_driver_event;
typedef struct aicc_driver_module aicc_driver_module;
typedef struct aicc_driver_kernel aicc_driver_kernel;
typedef struct aicc_driver_graph aicc_driver_graph;

/* Flags of a device. */
enum {
  /* The host reads and writes memory of alloc(AICC_MEMORY_DEVICE) directly. */
  AICC_DEVICE_HOST_ACCESSIBLE = 1u << 0,
  /* Kernels read and write any memory of the host directly. */
  AICC_DEVICE_HOST_POINTERS = 1u << 1,
  /* Enqueue functions return when the work is done. */
  AICC_DEVICE_SYNCHRONOUS = 1u << 2,
  /* Every temporary of known size wants an allocation of its own: the device
   * tells accesses that leave one. */
  AICC_DEVICE_SEPARATE_BUFFERS = 1u << 3,
  /* A recording takes in streams of the device that wait for an event of one
   * that is recorded, if that has waited for all of them at graph_end. */
  AICC_DEVICE_RECORDS_STREAMS = 1u << 4
};

typedef struct aicc_device_properties {
  size_t struct_size;
  const char *name;    /* "Intel(R) Data Center GPU Max 1550" */
  const char *vendor;  /* "Intel" */
  const char *version; /* of the vendor's driver; may be "" */
  const char *chip;    /* "x86-64-v4", "sm_90", "gfx942", "pvc"; may be "" */
  const char *const *features; /* what a package's variants may require */
  size_t feature_count;
  const char *const *formats; /* objects that load_module takes: "elf-so" … */
  size_t format_count;
  uint64_t memory_bytes;  /* 0 = unknown */
  uint32_t flags;         /* AICC_DEVICE_* */
  uint32_t compute_units; /* cores, multiprocessors, … */
  uint32_t max_workgroup; /* threads per workgroup; 1 on a CPU */
  uint32_t max_shared_bytes;
  uint32_t max_argument_bytes; /* 0 = any */
  /* Beginning of the memory that alloc returns, at least 64. */
  uint32_t alignment;
} aicc_device_properties;

enum {
  AICC_MEMORY_DEVICE = 0, /* for kernels */
  AICC_MEMORY_PINNED = 1  /* of the host, fast to copy from and to */
};

typedef struct aicc_stream_options {
  size_t struct_size;
  uint32_t
      threads; /* of a CPU, the caller's included; 0 = the driver's choice */
} aicc_stream_options;

typedef struct aicc_launch {
  size_t struct_size;
  aicc_driver_kernel *kernel;
  /* Packed: `buffers` pointers in order, then 64-bit integers. Copied by an
   * asynchronous driver before launch returns. */
  const void *args;
  uint32_t args_bytes;
  uint32_t buffers;      /* how many of the leading words are pointers */
  uint32_t grid[3];      /* workgroups in x, y, z; none is 0 */
  uint32_t workgroup[3]; /* threads per workgroup */
  uint32_t shared_bytes; /* workgroup memory asked for at launch */
  /* Private to every running workgroup, given to a CPU kernel as its third
   * argument. Contents are undefined at its start. */
  uint64_t scratch_bytes;
  /* If not NULL, the times of this launch are recorded in it. */
  aicc_driver_event *timing;
} aicc_launch;

/* What load_module needs to know of the kernels it will be asked for. */
typedef struct aicc_module_options {
  size_t struct_size;
  const char *format; /* "elf-so", "ptx", "cubin", "hsaco", "spirv" */
  const char *name;   /* for messages and debuggers; may be NULL */
} aicc_module_options;

typedef struct aicc_driver {
  size_t struct_size;
  uint32_t version; /* AICC_DRIVER_VERSION it was compiled with */
  uint32_t reserved;
  const char *family; /* "cpu", "cuda": devices are family:index */
  const char *name;   /* for people */

  /* The message of the last failure on this thread, "" if none. */
  const char *(*last_error)(void);

  /* --- devices --------------------------------------------------------- */

  /* How many there are now. A vendor library that is absent means 0, not an
   * error; last_error() then says why. */
  int (*device_count)(uint32_t *out_count);
  int (*device_open)(uint32_t index, aicc_driver_device **out_device);
  void (*device_close)(aicc_driver_device *device);
  /* The result lives as long as the device. */
  const aicc_device_properties *(*device_properties)(
      aicc_driver_device *device);

  /* --- memory ------------------------------------------------------------ */

  /* At least one byte is given for a size of 0. Contents are undefined. */
  int (*alloc)(aicc_driver_device *device, uint64_t bytes, uint32_t kind,
               void **out_memory);
  void (*free)(aicc_driver_device *device, void *memory, uint32_t kind);
  /* Optional: from a pool, in the order of the stream. */
  int (*alloc_async)(aicc_driver_stream *stream, uint64_t bytes,
                     void **out_memory);
  int (*free_async)(aicc_driver_stream *stream, void *memory);

  /* --- streams and events --------------------------------------------------
   */

  int (*stream_create)(aicc_driver_device *device,
                       const aicc_stream_options *options,
                       aicc_driver_stream **out_stream);
  void (*stream_destroy)(aicc_driver_stream *stream);
  /* Returns when all work given so far is done; reports its errors. */
  int (*stream_synchronize)(aicc_driver_stream *stream);
  /* Enqueue: later work waits for the event's last record before this call. */
  int (*stream_wait)(aicc_driver_stream *stream, aicc_driver_event *event);

  int (*event_create)(aicc_driver_device *device,
                      aicc_driver_event **out_event);
  void (*event_destroy)(aicc_driver_event *event);
  /* Enqueue: the event is done when all earlier work of the stream is. */
  int (*event_record)(aicc_driver_stream *stream, aicc_driver_event *event);
  int (*event_synchronize)(aicc_driver_event *event);
  /* Without waiting; an event never recorded is done. */
  int (*event_query)(aicc_driver_event *event, int *out_done);
  /* Begin and end of the launch it was the timing of (equal for
   * event_record), in ns of CLOCK_MONOTONIC or a clock close to it. Valid once
   * the event is done. */
  int (*event_times)(aicc_driver_event *event, uint64_t *out_begin,
                     uint64_t *out_end);

  /* --- code ----------------------------------------------------------------
   */

  /* `object` is not needed after the call. */
  int (*module_load)(aicc_driver_device *device, const void *object,
                     size_t bytes, const aicc_module_options *options,
                     aicc_driver_module **out_module);
  /* Destroys its kernels, too. */
  void (*module_unload)(aicc_driver_module *module);
  int (*module_kernel)(aicc_driver_module *module, const char *entry,
                       aicc_driver_kernel **out_kernel);

  /* Enqueue. */
  int (*launch)(aicc_driver_stream *stream, const aicc_launch *launch);

  /* --- copies (enqueue) ------------------------------------------------------
   */

  /* Either side is memory of the device or of the host. Host memory must stay
   * until the work is done. The two don't overlap. */
  int (*copy)(aicc_driver_stream *stream, void *destination, const void *source,
              uint64_t bytes);
  /* Repeats `value`, of 1, 2, 4 or 8 bytes, over a size that is its multiple.
   */
  int (*fill)(aicc_driver_stream *stream, void *destination, uint64_t bytes,
              uint64_t value, uint32_t value_bytes);
  /* Optional: to this stream's device from another one of the same driver.
   * Streams of such a driver wait for events of its other devices, too. */
  int (*copy_peer)(aicc_driver_stream *stream, void *destination,
                   aicc_driver_device *source_device, const void *source,
                   uint64_t bytes);

  /* --- recording and replay (optional, all or none)
   * --------------------------- */

  /* Work given to the stream until graph_end is recorded, not run. */
  int (*graph_begin)(aicc_driver_stream *stream);
  int (*graph_end)(aicc_driver_stream *stream, aicc_driver_graph **out_graph);
  int (*graph_launch)(aicc_driver_stream *stream, aicc_driver_graph *graph);
  void (*graph_destroy)(aicc_driver_graph *graph);
} aicc_driver;

typedef const aicc_driver *(*aicc_driver_get_function)(uint32_t);

#ifdef __cplusplus
} /* extern "C" */
#endif

#endif /* AICC_DRIVER_H */
