/*===- aicc/virtual.h - code for a virtual device and who runs it ---*- C -*-===*
 *
 * Licensed under the Apache License v2.0 with LLVM Exceptions.
 * SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 *
 *===----------------------------------------------------------------------===*
 *
 * A virtual device runs a GPU's kernels on the CPU, one fiber per GPU thread.
 * The compiler (compiler/gpu/Virtual.cpp) takes a kernel's LLVM IR as it goes to
 * the vendor's back end and replaces what only the vendor's hardware has by
 * calls of the services below; the driver (backends/virtual/driver) provides
 * them. An object is an ELF shared object that exports, per kernel ENTRY,
 *
 *     void ENTRY(const void *args, aicc_virtual_thread *self);
 *     const aicc_virtual_kernel ENTRY__virtual;
 *
 * A kernel is called once per GPU thread; services may switch to another one.
 * Everything a service is told is checked and reported, never trusted: a kernel
 * with a mistake is what a virtual device is for.
 *
 * A stand-in (backends/virtual/vendor) is a library with the entry points of a
 * vendor's one, over a virtual device. It exports one object more,
 *
 *     const aicc_virtual_vendor aicc_virtual_vendor_library;
 *
 * by which a driver tells it from the vendor's.
 *
 *===----------------------------------------------------------------------===*/

#ifndef AICC_VIRTUAL_H
#define AICC_VIRTUAL_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define AICC_VIRTUAL_VERSION 4u

typedef struct aicc_virtual_thread aicc_virtual_thread;

/* Flags of an access. */
enum {
  AICC_VIRTUAL_WRITE = 1u << 0,
  /* Of the workgroup's memory; else of the device's. */
  AICC_VIRTUAL_SHARED = 1u << 1,
  AICC_VIRTUAL_ATOMIC = 1u << 2
};

/* How a shuffle finds the lane whose value it takes. */
enum {
  AICC_VIRTUAL_SHUFFLE_XOR = 0,  /* lane ^ operand */
  AICC_VIRTUAL_SHUFFLE_INDEX = 1 /* operand */
};

/* Types of a matrix instruction's elements. tf32 is an f32 whose last 13 bits
 * the hardware ignores. */
enum {
  AICC_VIRTUAL_F16 = 0,
  AICC_VIRTUAL_BF16 = 1,
  AICC_VIRTUAL_TF32 = 2,
  AICC_VIRTUAL_F32 = 3,
  AICC_VIRTUAL_F64 = 4,
  AICC_VIRTUAL_I8 = 5,
  AICC_VIRTUAL_I32 = 6,
  /* As ONNX defines them: FN without infinities, FNUZ without these and -0. */
  AICC_VIRTUAL_F8E4M3FN = 7,
  AICC_VIRTUAL_F8E5M2 = 8,
  AICC_VIRTUAL_F8E4M3FNUZ = 9,
  AICC_VIRTUAL_F8E5M2FNUZ = 10
};

/* Where the elements of a matrix are: the place of element e of lane l is the
 * sum of lanes[i] over the bits i set in l and of elements[i] over those set in
 * e. The first number of a pair is the row (for b the column), the second the
 * position in it. A pair of zeros: lanes that differ in this bit hold the same.
 */
typedef struct aicc_virtual_layout {
  uint32_t lane_bits, element_bits;
  uint16_t lanes[8][2];
  uint16_t elements[8][2];
} aicc_virtual_layout;

/* d[rows, columns] = c + a[rows, depth] * b[depth, columns]. Operands that lie
 * in the workgroup's memory have no layout (zeros). */
typedef struct aicc_virtual_matrix {
  uint32_t rows, columns, depth;
  uint32_t operand, result; /* AICC_VIRTUAL_F16 ... of a and b, of c and d */
  aicc_virtual_layout a, b, c;
} aicc_virtual_matrix;

/* Where an operand lies in the workgroup's memory: a descriptor of 64 bits with
 * offsets in units of 16 bytes, bits 0 .. 13 the start, 16 .. 29 the leading
 * offset, 32 .. 45 the stride; bits 62 and 63 are 1: a swizzle of 128 bytes. The
 * other bits are 0. Memory is lines of 128 bytes; of line x (address / 128) the
 * 16 bytes at place c lie at place c ^ (x % 8). An element's address before that
 * is, in bytes from the start,
 *     line / 8 * stride + line % 8 * 128 + depth * size
 * or, if the operand lies across (elements of 2 bytes only),
 *     line / 64 * leading + depth / 8 * stride + depth % 8 * 128 + line % 64 * 2
 * where a line is a row of a or a column of b. */
enum {
  AICC_VIRTUAL_A_ACROSS = 1u << 0,
  AICC_VIRTUAL_B_ACROSS = 1u << 1
};

/* A block of a matrix in the device's memory as lanes hold it: the layout's first
 * number is the line from the block's first one on, the second the element from
 * its first place on. The matrix begins at a multiple of `begin_alignment`; of
 * its lines' bytes and the bytes from line to line there are multiples and bounds,
 * and no more lines than a line may have bytes. */
typedef struct aicc_virtual_block {
  uint32_t element_bytes;
  uint32_t place_bytes; /* unit of the block's first place */
  uint32_t begin_alignment, pitch_alignment, width_alignment;
  uint32_t shortest, longest;
  aicc_virtual_layout layout;
} aicc_virtual_block;

/* The matrix, the same for all lanes, and the block's first place and line. */
typedef struct aicc_virtual_place {
  const void *begin;
  int32_t width, height, pitch; /* bytes of a line; lines; bytes between lines */
  int32_t place, line;
} aicc_virtual_place;

typedef struct aicc_virtual_services {
  uint32_t version; /* AICC_VIRTUAL_VERSION */
  uint32_t reserved;
  /* Before every load and store: `bytes` at `address`, which the code takes to
   * be a multiple of `alignment`. Does not return if that is a mistake. */
  void (*access)(aicc_virtual_thread *self, const void *address, uint64_t bytes,
                 uint32_t alignment, uint32_t flags, uint32_t site);
  /* All threads of the workgroup. */
  void (*barrier)(aicc_virtual_thread *self, uint32_t site);
  /* The lanes of `mask` in the subgroup, which all come here. */
  uint64_t (*shuffle)(aicc_virtual_thread *self, uint64_t value, uint32_t kind,
                      uint32_t operand, uint64_t mask, uint32_t site);
  /* All lanes of the subgroup, each with its elements of a, b and c one behind
   * the other; d gets the lane's elements of the result. */
  void (*matrix)(aicc_virtual_thread *self, const aicc_virtual_matrix *what,
                 const void *a, const void *b, const void *c, void *d,
                 uint32_t site);
  /* Begins to copy `bytes` to the workgroup's memory; those behind the first
   * `given` become 0 there. It belongs to the thread's open group of copies. */
  void (*copy)(aicc_virtual_thread *self, void *destination, const void *source,
               uint64_t bytes, uint64_t given, uint32_t site);
  /* Closes the open group. */
  void (*copy_commit)(aicc_virtual_thread *self);
  /* Returns when at most `pending` of the thread's groups are under way. */
  void (*copy_wait)(aicc_virtual_thread *self, uint32_t pending, uint32_t site);
  /* Matrix instructions that go on beside the threads: all lanes of as many
   * subgroups as the layout of c counts. `a` and `b` are descriptors; what is
   * there must stay until the instruction has been waited for. `sums` is the
   * thread's elements of c and becomes a token for those of the result, good for
   * nothing but the next such instruction and `matrix_result`. */
  void (*matrix_begin)(aicc_virtual_thread *self,
                       const aicc_virtual_matrix *what, uint64_t a, uint64_t b,
                       uint32_t across, void *sums, uint32_t site);
  /* Orders the next ones behind what the thread did to its elements. */
  void (*matrix_fence)(aicc_virtual_thread *self);
  void (*matrix_commit)(aicc_virtual_thread *self, uint32_t site);
  void (*matrix_wait)(aicc_virtual_thread *self, uint32_t pending,
                      uint32_t site);
  /* The result for a token; anything else stays as it is. */
  void (*matrix_result)(aicc_virtual_thread *self, void *sums, uint64_t bytes,
                        uint32_t site);
  /* Makes what the thread wrote to the workgroup's memory visible to such
   * instructions. */
  void (*publish)(aicc_virtual_thread *self);
  /* A word of 64 bits in the workgroup's memory counts phases. A phase is over
   * after `arrivals` calls of counter_expect, when as many bytes have come as
   * these said. */
  void (*counter_init)(aicc_virtual_thread *self, void *counter,
                       uint32_t arrivals, uint32_t site);
  void (*counter_expect)(aicc_virtual_thread *self, void *counter,
                         uint32_t bytes, uint32_t site);
  /* Returns when the phase of the parity is over; the first one has 0. */
  void (*counter_wait)(aicc_virtual_thread *self, void *counter,
                       uint32_t parity, uint32_t site);
  /* Begins to copy a box of the tensor of a map, whose begin is at `rank`
   * coordinates. */
  void (*copy_box)(aicc_virtual_thread *self, void *destination, void *counter,
                   const void *map, const int32_t *coordinates, uint32_t rank,
                   uint32_t site);
  /* A descriptor is made of `bytes` from an address on. Does not return if that
   * is more than there is. */
  void (*view)(aicc_virtual_thread *self, const void *address, uint64_t bytes,
               uint32_t site);
  /* All lanes of the subgroup: `to` gets the lane's elements of a block, 0 for
   * those outside of the matrix. */
  void (*load_block)(aicc_virtual_thread *self, const aicc_virtual_block *what,
                     const aicc_virtual_place *from, void *to, uint32_t site);
} aicc_virtual_services;

/* What a map (aicc/tensors.h) is on a virtual device: 128 bytes. */
typedef struct aicc_virtual_tensor {
  uint64_t mark; /* AICC_VIRTUAL_TENSOR */
  uint64_t address;
  uint16_t rank, element_bytes;
  uint16_t box[5];
  uint16_t reserved;
  uint32_t sizes[5];
  uint32_t reserved2;
  uint64_t strides[5]; /* the first one is element_bytes */
  uint64_t reserved3[4];
} aicc_virtual_tensor;
#define AICC_VIRTUAL_TENSOR 0x5249454e53303031u

/* What a thread may ask of itself. Threads of a workgroup are numbered with x
 * fastest; `subgroup_size` consecutive ones are a subgroup. */
struct aicc_virtual_thread {
  const aicc_virtual_services *services;
  unsigned char *shared; /* the workgroup's memory, 128-byte aligned; addresses
                          * in descriptors count from here */
  uint32_t thread[3];    /* in the workgroup */
  uint32_t group[3];     /* the workgroup in the grid */
  uint32_t group_size[3];
  uint32_t grid[3]; /* workgroups */
  uint32_t lane;    /* in the subgroup */
  uint32_t subgroup;
  uint32_t subgroup_size;
};

/* A table that lies in the object itself. */
typedef struct aicc_virtual_constant {
  const void *address;
  uint64_t bytes;
} aicc_virtual_constant;

/* Of a kernel: it has matrix instructions that take operands from memory. */
enum { AICC_VIRTUAL_USES_MATRIX_BEGIN = 1u << 0 };

typedef struct aicc_virtual_kernel {
  uint32_t version; /* AICC_VIRTUAL_VERSION */
  uint32_t subgroup_size;
  uint64_t shared_bytes;
  /* What stands at a site, as LLVM IR text. */
  uint32_t site_count;
  uint32_t constant_count;
  uint32_t flags; /* AICC_VIRTUAL_USES_... */
  uint32_t reserved;
  const char *const *sites;
  const aicc_virtual_constant *constants;
} aicc_virtual_kernel;

typedef struct aicc_virtual_vendor {
  uint32_t version; /* AICC_VIRTUAL_VERSION */
  uint32_t reserved;
  const char *format;  /* the objects that it loads */
  const char *feature; /* of the host, which their code needs */
  /* What the last kernel that failed did wrong, "" if none did. Valid until the
   * calling thread asks again. */
  const char *(*mistake)(void);
  /* The nth call of an entry point from now on, 1 being the next one, fails
   * with the vendor's `code`; 0 for nth takes that back. 0 if there is no such
   * entry point. */
  int (*inject)(const char *entry, uint32_t nth, int code);
} aicc_virtual_vendor;

#ifdef __cplusplus
} /* extern "C" */
#endif

#endif /* AICC_VIRTUAL_H */
