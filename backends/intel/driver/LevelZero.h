//===- LevelZero.h - the part of Level Zero that the driver uses -*- C++ -*-==//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Own declarations, resolved at run time: nothing of a vendor is needed to
// build. Version 1.4 of the interface, which every driver in use has.
//
//===----------------------------------------------------------------------===//

#ifndef AICC_BACKENDS_INTEL_DRIVER_LEVELZERO_H
#define AICC_BACKENDS_INTEL_DRIVER_LEVELZERO_H

#include <cstddef>
#include <cstdint>
#include <string>

namespace aicc::intel {

using ze_result_t = uint32_t;
using ze_driver_handle_t = struct ZeDriver *;
using ze_device_handle_t = struct ZeDevice *;
using ze_context_handle_t = struct ZeContext *;
using ze_command_queue_handle_t = struct ZeQueue *;
using ze_command_list_handle_t = struct ZeList *;
using ze_event_pool_handle_t = struct ZeEventPool *;
using ze_event_handle_t = struct ZeEvent *;
using ze_module_handle_t = struct ZeModule *;
using ze_module_build_log_handle_t = struct ZeLog *;
using ze_kernel_handle_t = struct ZeKernel *;

enum : ze_result_t {
  ZE_RESULT_SUCCESS = 0,
  ZE_RESULT_NOT_READY = 1,
  ZE_RESULT_ERROR_OUT_OF_HOST_MEMORY = 0x70000002,
  ZE_RESULT_ERROR_OUT_OF_DEVICE_MEMORY = 0x70000003,
  ZE_RESULT_ERROR_UNSUPPORTED_SIZE = 0x78000009,
};

// The first field of every structure says which one it is.
enum : uint32_t {
  ZE_DRIVER_PROPERTIES = 0x1,
  ZE_DEVICE_PROPERTIES = 0x3,
  ZE_DEVICE_COMPUTE_PROPERTIES = 0x4,
  ZE_DEVICE_MODULE_PROPERTIES = 0x5,
  ZE_COMMAND_QUEUE_GROUP_PROPERTIES = 0x6,
  ZE_DEVICE_MEMORY_PROPERTIES = 0x7,
  ZE_CONTEXT_DESC = 0xd,
  ZE_COMMAND_QUEUE_DESC = 0xe,
  ZE_COMMAND_LIST_DESC = 0xf,
  ZE_EVENT_POOL_DESC = 0x10,
  ZE_EVENT_DESC = 0x11,
  ZE_DEVICE_MEM_ALLOC_DESC = 0x15,
  ZE_HOST_MEM_ALLOC_DESC = 0x16,
  ZE_MODULE_DESC = 0x1b,
  ZE_KERNEL_DESC = 0x1d,
  ZE_KERNEL_PROPERTIES = 0x1e,
  ZE_RELAXED_ALLOCATION_LIMITS = 0x20001,
  ZE_INTEL_DEVICE_BLOCK_ARRAY_PROPERTIES = 0x30007,
  ZE_INTEL_DEVICE_MODULE_DP_PROPERTIES = 0x30013,
};

enum : uint32_t {
  ZE_INIT_FLAG_GPU_ONLY = 1,
  ZE_DEVICE_TYPE_GPU = 1,
  ZE_DEVICE_PROPERTY_FLAG_INTEGRATED = 1,
  ZE_DEVICE_MODULE_FLAG_FP16 = 1,
  ZE_DEVICE_MODULE_FLAG_FP64 = 2,
  ZE_DEVICE_FP_ROUNDED_DIVIDE_SQRT = 1 << 6,
  ZE_INTEL_DEVICE_MODULE_FLAG_DPAS = 2,
  ZE_INTEL_DEVICE_FLAG_2D_BLOCK_LOAD = 2,
  ZE_QUEUE_GROUP_COMPUTE = 1,
  ZE_QUEUE_MODE_ASYNCHRONOUS = 2,
  ZE_EVENT_POOL_HOST_VISIBLE = 1,
  ZE_EVENT_POOL_KERNEL_TIMESTAMP = 4,
  ZE_EVENT_SCOPE_HOST = 4,
  ZE_MODULE_FORMAT_IL_SPIRV = 0,
  ZE_MODULE_FORMAT_NATIVE = 1,
  ZE_KERNEL_INDIRECT_ACCESS_ALL = 7, // host, device and shared memory
  ZE_RELAXED_ALLOCATION_MAX_SIZE = 1,
};

struct ze_driver_properties_t {
  uint32_t stype = ZE_DRIVER_PROPERTIES;
  void *pNext = nullptr;
  uint8_t uuid[16];
  uint32_t driverVersion;
};
struct ze_device_properties_t {
  uint32_t stype = ZE_DEVICE_PROPERTIES;
  void *pNext = nullptr;
  uint32_t type, vendorId, deviceId, flags, subdeviceId, coreClockRate;
  uint64_t maxMemAllocSize;
  uint32_t maxHardwareContexts, maxCommandQueuePriority, numThreadsPerEU,
      physicalEUSimdWidth, numEUsPerSubslice, numSubslicesPerSlice, numSlices;
  uint64_t timerResolution; // ns
  uint32_t timestampValidBits, kernelTimestampValidBits;
  uint8_t uuid[16];
  char name[256];
};
struct ze_device_compute_properties_t {
  uint32_t stype = ZE_DEVICE_COMPUTE_PROPERTIES;
  void *pNext = nullptr;
  uint32_t maxTotalGroupSize, maxGroupSize[3], maxGroupCount[3],
      maxSharedLocalMemory, numSubGroupSizes, subGroupSizes[8];
};
struct ze_device_module_properties_t {
  uint32_t stype = ZE_DEVICE_MODULE_PROPERTIES;
  void *pNext = nullptr;
  uint32_t spirvVersionSupported, flags, fp16flags, fp32flags, fp64flags,
      maxArgumentsSize, printfBufferSize;
  uint8_t nativeKernelSupported[16];
};
/// Intel's extension, behind the former; drivers that don't know it leave it.
struct ze_intel_device_module_dp_properties_t {
  uint32_t stype = ZE_INTEL_DEVICE_MODULE_DP_PROPERTIES;
  void *pNext = nullptr;
  uint32_t flags = 0;
};
/// Another one, behind the device's properties.
struct ze_intel_device_block_array_properties_t {
  uint32_t stype = ZE_INTEL_DEVICE_BLOCK_ARRAY_PROPERTIES;
  void *pNext = nullptr;
  uint32_t flags = 0;
};
struct ze_device_memory_properties_t {
  uint32_t stype = ZE_DEVICE_MEMORY_PROPERTIES;
  void *pNext = nullptr;
  uint32_t flags, maxClockRate, maxBusWidth;
  uint64_t totalSize;
  char name[256];
};
struct ze_command_queue_group_properties_t {
  uint32_t stype = ZE_COMMAND_QUEUE_GROUP_PROPERTIES;
  void *pNext = nullptr;
  uint32_t flags;
  size_t maxMemoryFillPatternSize;
  uint32_t numQueues;
};
struct ze_context_desc_t {
  uint32_t stype = ZE_CONTEXT_DESC;
  const void *pNext = nullptr;
  uint32_t flags = 0;
};
struct ze_command_queue_desc_t {
  uint32_t stype = ZE_COMMAND_QUEUE_DESC;
  const void *pNext = nullptr;
  uint32_t ordinal = 0, index = 0, flags = 0;
  uint32_t mode = ZE_QUEUE_MODE_ASYNCHRONOUS, priority = 0;
};
struct ze_command_list_desc_t {
  uint32_t stype = ZE_COMMAND_LIST_DESC;
  const void *pNext = nullptr;
  uint32_t commandQueueGroupOrdinal = 0, flags = 0;
};
struct ze_event_pool_desc_t {
  uint32_t stype = ZE_EVENT_POOL_DESC;
  const void *pNext = nullptr;
  uint32_t flags = ZE_EVENT_POOL_HOST_VISIBLE | ZE_EVENT_POOL_KERNEL_TIMESTAMP;
  uint32_t count = 0;
};
struct ze_event_desc_t {
  uint32_t stype = ZE_EVENT_DESC;
  const void *pNext = nullptr;
  uint32_t index = 0, signal = ZE_EVENT_SCOPE_HOST, wait = ZE_EVENT_SCOPE_HOST;
};
struct ze_device_mem_alloc_desc_t {
  uint32_t stype = ZE_DEVICE_MEM_ALLOC_DESC;
  const void *pNext = nullptr;
  uint32_t flags = 0, ordinal = 0;
};
struct ze_host_mem_alloc_desc_t {
  uint32_t stype = ZE_HOST_MEM_ALLOC_DESC;
  const void *pNext = nullptr;
  uint32_t flags = 0;
};
struct ze_relaxed_allocation_limits_t {
  uint32_t stype = ZE_RELAXED_ALLOCATION_LIMITS;
  const void *pNext = nullptr;
  uint32_t flags = ZE_RELAXED_ALLOCATION_MAX_SIZE;
};
struct ze_module_desc_t {
  uint32_t stype = ZE_MODULE_DESC;
  const void *pNext = nullptr;
  uint32_t format = ZE_MODULE_FORMAT_IL_SPIRV;
  size_t inputSize = 0;
  const uint8_t *pInputModule = nullptr;
  const char *pBuildFlags = nullptr;
  const void *pConstants = nullptr;
};
struct ze_kernel_desc_t {
  uint32_t stype = ZE_KERNEL_DESC;
  const void *pNext = nullptr;
  uint32_t flags = 0;
  const char *pKernelName = nullptr;
};
struct ze_kernel_properties_t {
  uint32_t stype = ZE_KERNEL_PROPERTIES;
  void *pNext = nullptr;
  uint32_t numKernelArgs = 0, requiredGroupSize[3] = {};
  uint32_t requiredNumSubGroups = 0, requiredSubgroupSize = 0;
  uint32_t maxSubgroupSize = 0, maxNumSubgroups = 0;
  uint32_t localMemSize = 0, privateMemSize = 0, spillMemSize = 0;
  uint8_t uuid[32] = {};
};
struct ze_group_count_t {
  uint32_t x, y, z;
};
struct ze_kernel_timestamp_result_t {
  struct {
    uint64_t start, end;
  } global, context;
};

#define AICC_ZE_FUNCTIONS(X)                                                   \
  X(zeInit, (uint32_t))                                                        \
  X(zeDriverGet, (uint32_t *, ze_driver_handle_t *))                           \
  X(zeDriverGetProperties, (ze_driver_handle_t, ze_driver_properties_t *))     \
  X(zeDeviceGet, (ze_driver_handle_t, uint32_t *, ze_device_handle_t *))       \
  X(zeDeviceGetProperties, (ze_device_handle_t, ze_device_properties_t *))     \
  X(zeDeviceGetComputeProperties,                                              \
    (ze_device_handle_t, ze_device_compute_properties_t *))                    \
  X(zeDeviceGetModuleProperties,                                               \
    (ze_device_handle_t, ze_device_module_properties_t *))                     \
  X(zeDeviceGetMemoryProperties,                                               \
    (ze_device_handle_t, uint32_t *, ze_device_memory_properties_t *))         \
  X(zeDeviceGetCommandQueueGroupProperties,                                    \
    (ze_device_handle_t, uint32_t *, ze_command_queue_group_properties_t *))   \
  X(zeDeviceGetGlobalTimestamps, (ze_device_handle_t, uint64_t *, uint64_t *)) \
  X(zeDeviceCanAccessPeer,                                                     \
    (ze_device_handle_t, ze_device_handle_t, uint8_t *))                       \
  X(zeContextCreate,                                                           \
    (ze_driver_handle_t, const ze_context_desc_t *, ze_context_handle_t *))    \
  X(zeMemAllocDevice,                                                          \
    (ze_context_handle_t, const ze_device_mem_alloc_desc_t *, size_t, size_t,  \
     ze_device_handle_t, void **))                                             \
  X(zeMemAllocHost, (ze_context_handle_t, const ze_host_mem_alloc_desc_t *,    \
                     size_t, size_t, void **))                                 \
  X(zeMemFree, (ze_context_handle_t, void *))                                  \
  X(zeCommandQueueCreate,                                                      \
    (ze_context_handle_t, ze_device_handle_t, const ze_command_queue_desc_t *, \
     ze_command_queue_handle_t *))                                             \
  X(zeCommandQueueDestroy, (ze_command_queue_handle_t))                        \
  X(zeCommandQueueExecuteCommandLists,                                         \
    (ze_command_queue_handle_t, uint32_t, ze_command_list_handle_t *, void *)) \
  X(zeCommandQueueSynchronize, (ze_command_queue_handle_t, uint64_t))          \
  X(zeCommandListCreate,                                                       \
    (ze_context_handle_t, ze_device_handle_t, const ze_command_list_desc_t *,  \
     ze_command_list_handle_t *))                                              \
  X(zeCommandListCreateImmediate,                                              \
    (ze_context_handle_t, ze_device_handle_t, const ze_command_queue_desc_t *, \
     ze_command_list_handle_t *))                                              \
  X(zeCommandListClose, (ze_command_list_handle_t))                            \
  X(zeCommandListDestroy, (ze_command_list_handle_t))                          \
  X(zeCommandListAppendBarrier, (ze_command_list_handle_t, ze_event_handle_t,  \
                                 uint32_t, ze_event_handle_t *))               \
  X(zeCommandListAppendEventReset,                                             \
    (ze_command_list_handle_t, ze_event_handle_t))                             \
  X(zeCommandListAppendMemoryCopy,                                             \
    (ze_command_list_handle_t, void *, const void *, size_t,                   \
     ze_event_handle_t, uint32_t, ze_event_handle_t *))                        \
  X(zeCommandListAppendMemoryFill,                                             \
    (ze_command_list_handle_t, void *, const void *, size_t, size_t,           \
     ze_event_handle_t, uint32_t, ze_event_handle_t *))                        \
  X(zeCommandListAppendLaunchKernel,                                           \
    (ze_command_list_handle_t, ze_kernel_handle_t, const ze_group_count_t *,   \
     ze_event_handle_t, uint32_t, ze_event_handle_t *))                        \
  X(zeEventPoolCreate,                                                         \
    (ze_context_handle_t, const ze_event_pool_desc_t *, uint32_t,              \
     ze_device_handle_t *, ze_event_pool_handle_t *))                          \
  X(zeEventPoolDestroy, (ze_event_pool_handle_t))                              \
  X(zeEventCreate,                                                             \
    (ze_event_pool_handle_t, const ze_event_desc_t *, ze_event_handle_t *))    \
  X(zeEventDestroy, (ze_event_handle_t))                                       \
  X(zeEventHostReset, (ze_event_handle_t))                                     \
  X(zeEventHostSynchronize, (ze_event_handle_t, uint64_t))                     \
  X(zeEventQueryStatus, (ze_event_handle_t))                                   \
  X(zeEventQueryKernelTimestamp,                                               \
    (ze_event_handle_t, ze_kernel_timestamp_result_t *))                       \
  X(zeModuleCreate,                                                            \
    (ze_context_handle_t, ze_device_handle_t, const ze_module_desc_t *,        \
     ze_module_handle_t *, ze_module_build_log_handle_t *))                    \
  X(zeModuleDestroy, (ze_module_handle_t))                                     \
  X(zeModuleBuildLogGetString,                                                 \
    (ze_module_build_log_handle_t, size_t *, char *))                          \
  X(zeModuleBuildLogDestroy, (ze_module_build_log_handle_t))                   \
  X(zeModuleGetNativeBinary, (ze_module_handle_t, size_t *, uint8_t *))        \
  X(zeModuleGetKernelNames, (ze_module_handle_t, uint32_t *, const char **))   \
  X(zeKernelCreate,                                                            \
    (ze_module_handle_t, const ze_kernel_desc_t *, ze_kernel_handle_t *))      \
  X(zeKernelDestroy, (ze_kernel_handle_t))                                     \
  X(zeKernelGetProperties, (ze_kernel_handle_t, ze_kernel_properties_t *))     \
  X(zeKernelSetIndirectAccess, (ze_kernel_handle_t, uint32_t))                 \
  X(zeKernelSetGroupSize, (ze_kernel_handle_t, uint32_t, uint32_t, uint32_t))  \
  X(zeKernelSetArgumentValue,                                                  \
    (ze_kernel_handle_t, uint32_t, size_t, const void *))

/// The loader's functions; lives as long as the process.
struct LevelZero {
#define X(name, parameters) ze_result_t(*name) parameters = nullptr;
  AICC_ZE_FUNCTIONS(X)
#undef X
};

/// Opens the library; null with a message if it isn't there or isn't complete.
const LevelZero *openLevelZero(const char *path, std::string &out_error);

/// The environment variable AICC_INTEL_DRIVER: `level-zero`, `opencl`. Without
/// it Level Zero serves what GPUs it finds, and OpenCL the rest.
enum class DriverChoice { any, levelZero, openCl, invalid };
DriverChoice chosenDriver();
/// Why the other one has no devices then: "AICC_INTEL_DRIVER is opencl".
std::string choiceMessage();
/// Whether Level Zero has found GPUs, and may serve them.
bool levelZeroServesGpus();

/// "ZE_RESULT_ERROR_DEVICE_LOST"; the number where the name isn't known.
std::string resultName(ze_result_t result);

} // namespace aicc::intel

#endif // AICC_BACKENDS_INTEL_DRIVER_LEVELZERO_H
