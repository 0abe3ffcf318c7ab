//===- OpenCl.h - the part of OpenCL that the driver uses -------*- C++ -*-===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Own declarations, resolved at run time: nothing of a vendor is needed to
// build. The functions of Intel's unified shared memory are an extension and
// belong to a platform.
//
//===----------------------------------------------------------------------===//

#ifndef AICC_BACKENDS_INTEL_DRIVER_OPENCL_H
#define AICC_BACKENDS_INTEL_DRIVER_OPENCL_H

#include <cstddef>
#include <cstdint>
#include <string>

namespace aicc::intel {

using cl_int = int32_t;
using cl_uint = uint32_t;
using cl_ulong = uint64_t;
using cl_platform_id = struct ClPlatform *;
using cl_device_id = struct ClDevice *;
using cl_context = struct ClContext *;
using cl_command_queue = struct ClQueue *;
using cl_program = struct ClProgram *;
using cl_kernel = struct ClKernel *;
using cl_event = struct ClEvent *;

enum : cl_uint {
  CL_PLATFORM_NAME = 0x902,
  CL_DEVICE_TYPE = 0x1000,
  CL_DEVICE_MAX_COMPUTE_UNITS = 0x1002,
  CL_DEVICE_MAX_WORK_GROUP_SIZE = 0x1004,
  CL_DEVICE_MAX_PARAMETER_SIZE = 0x1017,
  CL_DEVICE_SINGLE_FP_CONFIG = 0x101B,
  CL_DEVICE_GLOBAL_MEM_SIZE = 0x101F,
  CL_DEVICE_LOCAL_MEM_SIZE = 0x1023,
  CL_DEVICE_NAME = 0x102B,
  CL_DRIVER_VERSION = 0x102D,
  CL_DEVICE_EXTENSIONS = 0x1030,
  CL_DEVICE_IL_VERSION = 0x105B,
  CL_DEVICE_SUB_GROUP_SIZES = 0x4108,
  CL_KERNEL_SPILL_MEM_SIZE_INTEL = 0x4109,
  CL_DEVICE_SHARED_SYSTEM_MEM = 0x4193,
  CL_QUEUE_PROPERTIES = 0x1093,
  CL_PROGRAM_BINARY_SIZES = 0x1165,
  CL_PROGRAM_BINARIES = 0x1166,
  CL_PROGRAM_BUILD_LOG = 0x1183,
  CL_EVENT_STATUS = 0x11D3,
  CL_PROFILING_START = 0x1282,
  CL_PROFILING_END = 0x1283,
  CL_EXEC_INDIRECT_HOST = 0x4200,
  CL_EXEC_INDIRECT_DEVICE = 0x4201,
  CL_EXEC_INDIRECT_SHARED = 0x4202,
};
enum : uint64_t {
  CL_DEVICE_TYPE_CPU = 2,
  CL_DEVICE_TYPE_GPU = 4,
  CL_DEVICE_TYPE_ALL = 0xFFFFFFFF,
  CL_QUEUE_PROFILING = 2,
  CL_FP_CORRECTLY_ROUNDED_DIVIDE_SQRT = 1 << 7,
};
enum : cl_int {
  CL_MEM_OBJECT_ALLOCATION_FAILURE = -4,
  CL_OUT_OF_RESOURCES = -5,
  CL_OUT_OF_HOST_MEMORY = -6,
  CL_INVALID_BUFFER_SIZE = -61,
};

/// Functions of the library, then those of the extension.
#define AICC_CL_FUNCTIONS(X)                                                   \
  X(cl_int, clGetPlatformIDs, (cl_uint, cl_platform_id *, cl_uint *))          \
  X(cl_int, clGetPlatformInfo,                                                 \
    (cl_platform_id, cl_uint, size_t, void *, size_t *))                       \
  X(cl_int, clGetDeviceIDs,                                                    \
    (cl_platform_id, cl_ulong, cl_uint, cl_device_id *, cl_uint *))            \
  X(cl_int, clGetDeviceInfo,                                                   \
    (cl_device_id, cl_uint, size_t, void *, size_t *))                         \
  X(cl_context, clCreateContext,                                               \
    (const intptr_t *, cl_uint, const cl_device_id *,                          \
     void (*)(const char *, const void *, size_t, void *), void *, cl_int *))  \
  X(cl_int, clReleaseContext, (cl_context))                                    \
  X(cl_command_queue, clCreateCommandQueueWithProperties,                      \
    (cl_context, cl_device_id, const cl_ulong *, cl_int *))                    \
  X(cl_int, clReleaseCommandQueue, (cl_command_queue))                         \
  X(cl_program, clCreateProgramWithIL,                                         \
    (cl_context, const void *, size_t, cl_int *))                              \
  X(cl_program, clCreateProgramWithBinary,                                     \
    (cl_context, cl_uint, const cl_device_id *, const size_t *,                \
     const unsigned char **, cl_int *, cl_int *))                              \
  X(cl_program, clCreateProgramWithSource,                                     \
    (cl_context, cl_uint, const char **, const size_t *, cl_int *))            \
  X(cl_int, clCompileProgram,                                                  \
    (cl_program, cl_uint, const cl_device_id *, const char *, cl_uint,         \
     const cl_program *, const char **, void (*)(cl_program, void *), void *)) \
  X(cl_program, clLinkProgram,                                                 \
    (cl_context, cl_uint, const cl_device_id *, const char *, cl_uint,         \
     const cl_program *, void (*)(cl_program, void *), void *, cl_int *))      \
  X(cl_int, clGetProgramInfo, (cl_program, cl_uint, size_t, void *, size_t *)) \
  X(cl_int, clBuildProgram,                                                    \
    (cl_program, cl_uint, const cl_device_id *, const char *,                  \
     void (*)(cl_program, void *), void *))                                    \
  X(cl_int, clGetProgramBuildInfo,                                             \
    (cl_program, cl_device_id, cl_uint, size_t, void *, size_t *))             \
  X(cl_int, clReleaseProgram, (cl_program))                                    \
  X(cl_kernel, clCreateKernel, (cl_program, const char *, cl_int *))           \
  X(cl_int, clCreateKernelsInProgram,                                          \
    (cl_program, cl_uint, cl_kernel *, cl_uint *))                             \
  X(cl_int, clGetKernelWorkGroupInfo,                                          \
    (cl_kernel, cl_device_id, cl_uint, size_t, void *, size_t *))              \
  X(cl_int, clReleaseKernel, (cl_kernel))                                      \
  X(cl_int, clSetKernelArg, (cl_kernel, cl_uint, size_t, const void *))        \
  X(cl_int, clSetKernelExecInfo, (cl_kernel, cl_uint, size_t, const void *))   \
  X(cl_int, clEnqueueNDRangeKernel,                                            \
    (cl_command_queue, cl_kernel, cl_uint, const size_t *, const size_t *,     \
     const size_t *, cl_uint, const cl_event *, cl_event *))                   \
  X(cl_int, clEnqueueMarkerWithWaitList,                                       \
    (cl_command_queue, cl_uint, const cl_event *, cl_event *))                 \
  X(cl_int, clEnqueueBarrierWithWaitList,                                      \
    (cl_command_queue, cl_uint, const cl_event *, cl_event *))                 \
  X(cl_int, clFinish, (cl_command_queue))                                      \
  X(cl_int, clFlush, (cl_command_queue))                                       \
  X(cl_int, clWaitForEvents, (cl_uint, const cl_event *))                      \
  X(cl_int, clGetEventInfo, (cl_event, cl_uint, size_t, void *, size_t *))     \
  X(cl_int, clGetEventProfilingInfo,                                           \
    (cl_event, cl_uint, size_t, void *, size_t *))                             \
  X(cl_int, clReleaseEvent, (cl_event))                                        \
  X(cl_int, clGetDeviceAndHostTimer, (cl_device_id, cl_ulong *, cl_ulong *))   \
  X(void *, clGetExtensionFunctionAddressForPlatform,                          \
    (cl_platform_id, const char *))

#define AICC_CL_EXTENSION(X)                                                   \
  X(void *, clDeviceMemAllocINTEL,                                             \
    (cl_context, cl_device_id, const cl_ulong *, size_t, cl_uint, cl_int *))   \
  X(void *, clHostMemAllocINTEL,                                               \
    (cl_context, const cl_ulong *, size_t, cl_uint, cl_int *))                 \
  X(cl_int, clMemBlockingFreeINTEL, (cl_context, void *))                      \
  X(cl_int, clEnqueueMemcpyINTEL,                                              \
    (cl_command_queue, cl_uint, void *, const void *, size_t, cl_uint,         \
     const cl_event *, cl_event *))                                            \
  X(cl_int, clEnqueueMemFillINTEL,                                             \
    (cl_command_queue, void *, const void *, size_t, size_t, cl_uint,          \
     const cl_event *, cl_event *))

/// One library; lives as long as the process.
struct Library {
#define X(result, name, parameters) result(*name) parameters = nullptr;
  AICC_CL_FUNCTIONS(X)
#undef X
};

/// A platform's unified shared memory.
struct Memory {
#define X(result, name, parameters) result(*name) parameters = nullptr;
  AICC_CL_EXTENSION(X)
#undef X
};

/// Opens a library; null with a message if it isn't there or isn't complete.
Library *openLibrary(const char *path, std::string &out_error);
/// False if the platform lacks the extension.
bool findMemory(const Library &cl, cl_platform_id platform, Memory &out);

/// "CL_OUT_OF_RESOURCES (-5)"; the number alone where the name isn't known.
std::string errorName(cl_int error);

} // namespace aicc::intel

#endif // AICC_BACKENDS_INTEL_DRIVER_OPENCL_H
