//===- LevelZeroDevice.cpp - Intel's GPUs through Level Zero --------------===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "LevelZeroDevice.h"

#include "Matrix.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <vector>

using namespace aicc::intel;
using namespace aicc::intel::level_zero;

thread_local std::string level_zero::lastError;

int level_zero::fail(aicc_status status, std::string message) {
  lastError = std::move(message);
  return status;
}

int level_zero::failed(ze_result_t result, const std::string &what) {
  const bool memory = result == ZE_RESULT_ERROR_OUT_OF_HOST_MEMORY ||
                      result == ZE_RESULT_ERROR_OUT_OF_DEVICE_MEMORY;
  return fail(memory ? AICC_OUT_OF_MEMORY : AICC_DEVICE_ERROR,
              what + ": " + resultName(result));
}

namespace {

struct Devices {
  const LevelZero *ze = nullptr;
  std::vector<Found> list;
  std::string error; // why there is none
};

// The two steps of every list: how many there are, then what. Some drivers
// don't correct a number that is too large.
template <typename T, typename Get>
ze_result_t listOf(std::vector<T> &out, Get get) {
  uint32_t count = 0;
  ze_result_t result = get(&count, nullptr);
  out.resize(count);
  if (!result && count)
    result = get(&count, out.data());
  out.resize(std::min<size_t>(out.size(), count));
  return result;
}

void findDevices(const LevelZero &ze, Devices &out) {
  if (const ze_result_t result = ze.zeInit(ZE_INIT_FLAG_GPU_ONLY)) {
    out.error = "Level Zero finds no GPU: " + resultName(result);
    return;
  }
  std::vector<ze_driver_handle_t> drivers;
  if (const ze_result_t result = listOf(drivers, ze.zeDriverGet)) {
    out.error = "Level Zero has no driver: " + resultName(result);
    return;
  }
  for (ze_driver_handle_t driver : drivers) {
    std::vector<ze_device_handle_t> devices;
    if (listOf(devices, [&](uint32_t *count, ze_device_handle_t *list) {
          return ze.zeDeviceGet(driver, count, list);
        }))
      continue;
    ze_context_handle_t context = nullptr;
    for (ze_device_handle_t device : devices) {
      ze_device_properties_t properties;
      if (ze.zeDeviceGetProperties(device, &properties) ||
          properties.type != ZE_DEVICE_TYPE_GPU ||
          properties.vendorId != 0x8086)
        continue;
      const ze_context_desc_t description;
      if (!context)
        if (const ze_result_t result =
                ze.zeContextCreate(driver, &description, &context)) {
          out.error = "creating a Level Zero context: " + resultName(result);
          break;
        }
      out.list.push_back({driver, context, device});
    }
  }
}

// The library is AICC_LEVEL_ZERO_LIBRARY, else the system's loader.
const Devices &devices() {
  static const Devices all = [] {
    Devices result;
    const DriverChoice choice = chosenDriver();
    if (choice == DriverChoice::openCl || choice == DriverChoice::invalid) {
      result.error = choiceMessage();
      return result;
    }
    const char *chosen = std::getenv("AICC_LEVEL_ZERO_LIBRARY");
    result.ze = openLevelZero(chosen && *chosen ? chosen : "libze_loader.so.1",
                              result.error);
    if (result.ze)
      findDevices(*result.ze, result);
    if (result.error.empty() && result.list.empty())
      result.error = "Level Zero finds no GPU of Intel";
    return result;
  }();
  return all;
}

} // namespace

const LevelZero &level_zero::ze() { return *devices().ze; }

// A slot returns its event when nobody knows it any more.
int Device::slot(std::shared_ptr<Slot> &out) {
  constexpr uint32_t poolSize = 64;
  std::lock_guard lock(mutex);
  if (idle.empty()) {
    ze_event_pool_desc_t description;
    description.count = poolSize;
    ze_event_pool_handle_t pool = nullptr;
    AICC_ZE_TRY(ze().zeEventPoolCreate(found.context, &description, 1,
                                       &found.device, &pool),
                "creating events");
    pools.push_back(pool);
    for (uint32_t i = 0; i < poolSize; ++i) {
      ze_event_desc_t event;
      event.index = i;
      ze_event_handle_t handle = nullptr;
      AICC_ZE_TRY(ze().zeEventCreate(pool, &event, &handle),
                  "creating an event");
      events.push_back(handle);
      idle.push_back(handle);
    }
  }
  const ze_event_handle_t event = idle.back();
  AICC_ZE_TRY(ze().zeEventHostReset(event), "resetting an event");
  idle.pop_back();
  out = std::shared_ptr<Slot>(new Slot{event}, [this](Slot *slot) {
    std::lock_guard lock(mutex);
    idle.push_back(slot->event);
    delete slot;
  });
  return AICC_OK;
}

int level_zero::deviceCount(uint32_t *out) {
  *out = uint32_t(devices().list.size());
  if (*out == 0)
    lastError = devices().error;
  return AICC_OK;
}

static int describe(Device &device) {
  const Found &f = device.found;
  ze_driver_properties_t driver;
  AICC_ZE_TRY(ze().zeDriverGetProperties(f.driver, &driver),
              "asking for a driver's properties");
  const uint32_t v = driver.driverVersion;
  device.version = std::to_string(v >> 24) + "." +
                   std::to_string(v >> 16 & 0xff) + "." +
                   std::to_string(v & 0xffff);
  ze_intel_device_block_array_properties_t blocks;
  ze_device_properties_t base;
  base.pNext = &blocks;
  AICC_ZE_TRY(ze().zeDeviceGetProperties(f.device, &base),
              "asking for a device's properties");
  base.name[sizeof base.name - 1] = 0;
  device.name = base.name;
  device.largest = base.maxMemAllocSize;
  device.tick = std::max<uint64_t>(base.timerResolution, 1);
  device.timestampMask =
      base.kernelTimestampValidBits >= 64
          ? UINT64_MAX
          : (uint64_t(1) << base.kernelTimestampValidBits) - 1;
  ze_device_compute_properties_t compute;
  AICC_ZE_TRY(ze().zeDeviceGetComputeProperties(f.device, &compute),
              "asking for a device's compute properties");
  ze_intel_device_module_dp_properties_t products;
  ze_device_module_properties_t module;
  module.pNext = &products;
  AICC_ZE_TRY(ze().zeDeviceGetModuleProperties(f.device, &module),
              "asking for a device's module properties");
  std::vector<ze_device_memory_properties_t> memories;
  AICC_ZE_TRY(listOf(memories,
                     [&](uint32_t *count, ze_device_memory_properties_t *list) {
                       return ze().zeDeviceGetMemoryProperties(f.device, count,
                                                               list);
                     }),
              "asking for a device's memory");
  uint64_t memory = 0;
  for (const ze_device_memory_properties_t &part : memories)
    memory += part.totalSize;
  std::vector<ze_command_queue_group_properties_t> groups;
  AICC_ZE_TRY(
      listOf(groups,
             [&](uint32_t *count, ze_command_queue_group_properties_t *list) {
               return ze().zeDeviceGetCommandQueueGroupProperties(f.device,
                                                                  count, list);
             }),
      "asking for a device's queues");
  while (device.ordinal < groups.size() &&
         !(groups[device.ordinal].flags & ZE_QUEUE_GROUP_COMPUTE))
    ++device.ordinal;
  if (device.ordinal == groups.size())
    return fail(AICC_UNSUPPORTED, device.name + " has no queue for kernels");

  uint32_t &smallest = device.smallestSubgroup;
  for (uint32_t i = 0; i < std::min(compute.numSubGroupSizes, 8u); ++i) {
    device.featureNames.push_back("subgroup" +
                                  std::to_string(compute.subGroupSizes[i]));
    smallest = std::min(smallest, compute.subGroupSizes[i]);
  }
  if (products.flags & ZE_INTEL_DEVICE_MODULE_FLAG_DPAS)
    device.featureNames.push_back(matrixFeature(smallest));
  if (blocks.flags & ZE_INTEL_DEVICE_FLAG_2D_BLOCK_LOAD)
    device.featureNames.push_back(blockFeature);
  if (module.flags & ZE_DEVICE_MODULE_FLAG_FP16)
    device.featureNames.push_back("fp16");
  if (module.flags & ZE_DEVICE_MODULE_FLAG_FP64)
    device.featureNames.push_back("fp64");
  device.featureNames.push_back("gpu");
  for (const std::string &name : device.featureNames)
    device.features.push_back(name.c_str());
  if (module.fp32flags & ZE_DEVICE_FP_ROUNDED_DIVIDE_SQRT)
    device.buildOptions = "-cl-fp32-correctly-rounded-divide-sqrt ";
  // As in Driver.cpp.
  device.buildOptions += "-ze-intel-enable-auto-large-GRF-mode";
  for (const std::string &part : {std::string("level zero"), device.name,
                                  device.version, device.buildOptions})
    device.cacheKey.add(part);
  device.cacheKey.add(&base.deviceId, sizeof base.deviceId);

  static const char *const formats[] = {"spirv"};
  aicc_device_properties &p = device.properties;
  p.struct_size = sizeof p;
  p.name = device.name.c_str();
  p.vendor = "Intel";
  p.version = device.version.c_str();
  p.chip = "";
  p.features = device.features.data();
  p.feature_count = device.features.size();
  p.formats = formats;
  p.format_count = 1;
  p.memory_bytes = memory;
  p.compute_units =
      base.numSlices * base.numSubslicesPerSlice * base.numEUsPerSubslice;
  p.max_workgroup = compute.maxTotalGroupSize;
  p.max_shared_bytes = compute.maxSharedLocalMemory;
  p.max_argument_bytes = module.maxArgumentsSize;
  p.alignment = 64;
  return AICC_OK;
}

int level_zero::deviceOpen(uint32_t index, aicc_driver_device **out) {
  const std::vector<Found> &list = devices().list;
  if (index >= list.size())
    return fail(AICC_NOT_FOUND,
                list.empty()
                    ? devices().error
                    : "Level Zero has " + std::to_string(list.size()) +
                          " devices, found index " + std::to_string(index));
  auto device = std::make_unique<Device>();
  device->found = list[index];
  if (const int status = describe(*device))
    return status;
  *out = reinterpret_cast<aicc_driver_device *>(device.release());
  return AICC_OK;
}

void level_zero::deviceClose(aicc_driver_device *handle) {
  Device *device = of(handle);
  if (!device)
    return;
  device->builders.reset();
  for (ze_event_handle_t event : device->events)
    ze().zeEventDestroy(event);
  for (ze_event_pool_handle_t pool : device->pools)
    ze().zeEventPoolDestroy(pool);
  delete device;
}

const aicc_device_properties *
level_zero::deviceProperties(aicc_driver_device *device) {
  return &of(device)->properties;
}

DriverChoice aicc::intel::chosenDriver() {
  const char *name = std::getenv("AICC_INTEL_DRIVER");
  if (!name || !*name)
    return DriverChoice::any;
  return !std::strcmp(name, "level-zero") ? DriverChoice::levelZero
         : !std::strcmp(name, "opencl")   ? DriverChoice::openCl
                                          : DriverChoice::invalid;
}

std::string aicc::intel::choiceMessage() {
  const std::string name = std::getenv("AICC_INTEL_DRIVER");
  return chosenDriver() == DriverChoice::invalid
             ? "AICC_INTEL_DRIVER is '" + name +
                   "', expected 'level-zero' or 'opencl'"
             : "AICC_INTEL_DRIVER is " + name;
}

bool aicc::intel::levelZeroServesGpus() { return !devices().list.empty(); }
