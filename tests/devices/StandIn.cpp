//===- StandIn.cpp - a driver over a stand-in, for tests ------------------===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// aicc_stand_in_test --vendor=cuda|rocm --library=FILE --kernels=FILE
//                    --empty=FILE [GoogleTest's options]
//
//===----------------------------------------------------------------------===//

#include "StandIn.h"

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>

extern "C" {
const aicc_driver *aicc_driver_cuda(void);
const aicc_driver *aicc_driver_cuda_virtual(void);
const aicc_driver *aicc_driver_rocm(void);
const aicc_driver *aicc_driver_rocm_virtual(void);
}

const VendorUnderTest cudaUnderTest = {"AICC_CUDA_LIBRARY",
                                       aicc_driver_cuda,
                                       aicc_driver_cuda_virtual,
                                       true,
                                       "CUDA_ERROR_INVALID_IMAGE (200)",
                                       "CUDA_ERROR_NO_BINARY_FOR_GPU (209)",
                                       "CUDA_ERROR_INVALID_PTX (218)",
                                       "CUDA_ERROR_OUT_OF_MEMORY (2)",
                                       "CUDA_ERROR_ILLEGAL_ADDRESS (700)",
                                       "CUDA_ERROR_MISALIGNED_ADDRESS (716)",
                                       "CUDA_ERROR_LAUNCH_FAILED (719)",
                                       "PEER_ACCESS_UNSUPPORTED (217)",
                                       "CAPTURE_UNSUPPORTED (900)",
                                       "cuInit",
                                       "cuMemAlloc_v2",
                                       "cuMemAllocAsync",
                                       "cuMemHostAlloc",
                                       "cuLaunchKernel",
                                       "cuStreamSynchronize",
                                       "cuMemcpyPeerAsync",
                                       "cuModuleLoadDataEx",
                                       "cuModuleGetFunction",
                                       "cuEventRecord",
                                       "cuStreamCreate",
                                       "cuEventCreate",
                                       "cuMemcpyAsync",
                                       "cuMemsetD32Async",
                                       "cuStreamEndCapture",
                                       "cuGraphInstantiateWithFlags",
                                       "cuGraphLaunch"};
const VendorUnderTest hipUnderTest = {"AICC_HIP_LIBRARY",
                                      aicc_driver_rocm,
                                      aicc_driver_rocm_virtual,
                                      false,
                                      "hipErrorInvalidImage (200)",
                                      "hipErrorNoBinaryForGpu (209)",
                                      "hipErrorInvalidKernelFile (218)",
                                      "hipErrorOutOfMemory (2)",
                                      "hipErrorIllegalAddress (700)",
                                      "hipErrorMisalignedAddress (716)",
                                      "hipErrorLaunchFailure (719)",
                                      "PeerAccessUnsupported (217)",
                                      "StreamCaptureUnsupported (900)",
                                      "hipInit",
                                      "hipMalloc",
                                      "hipMallocAsync",
                                      "hipHostMalloc",
                                      "hipModuleLaunchKernel",
                                      "hipStreamSynchronize",
                                      "hipMemcpyPeerAsync",
                                      "hipModuleLoadData",
                                      "hipModuleGetFunction",
                                      "hipEventRecord",
                                      "hipStreamCreateWithFlags",
                                      "hipEventCreateWithFlags",
                                      "hipMemcpyAsync",
                                      "hipMemsetD32Async",
                                      "hipStreamEndCapture",
                                      "hipGraphInstantiateWithFlags",
                                      "hipGraphLaunch"};
const VendorUnderTest *vendor = &cudaUnderTest;
std::string libraryPath, kernelsPath, emptyPath;

void StandIn::SetUp() {
  driver = vendor->virtualised();
  uint32_t count = 0;
  ASSERT_DONE(driver->device_count(&count));
  ASSERT_GE(count, 1u) << error();
  ASSERT_DONE(driver->device_open(0, &device));
  ASSERT_DONE(driver->stream_create(device, nullptr, &stream));
}

void StandIn::TearDown() {
  for (aicc_driver_event *event : events_)
    driver->event_destroy(event);
  for (aicc_driver_stream *other : streams_)
    driver->stream_destroy(other);
  for (auto [on, memory] : memory_)
    driver->free(on, memory, AICC_MEMORY_DEVICE);
  driver->module_unload(module);
  driver->stream_destroy(stream);
  driver->device_close(device);
  events_.clear();
  streams_.clear();
  memory_.clear();
  module = nullptr;
}

void StandIn::inject(const char *entry, uint32_t nth, int code) {
  void *library = dlopen(libraryPath.c_str(), RTLD_NOW);
  ASSERT_NE(library, nullptr);
  auto *standIn = static_cast<const aicc_virtual_vendor *>(
      dlsym(library, "aicc_virtual_vendor_library"));
  ASSERT_NE(standIn, nullptr);
  ASSERT_EQ(standIn->inject(entry, nth, code), 1) << entry;
}

aicc_driver_stream *StandIn::newStream(aicc_driver_device *on) {
  aicc_driver_stream *created = nullptr;
  EXPECT_DONE(driver->stream_create(on ? on : device, nullptr, &created));
  streams_.push_back(created);
  return created;
}

aicc_driver_event *StandIn::newEvent() {
  aicc_driver_event *created = nullptr;
  EXPECT_DONE(driver->event_create(device, &created));
  events_.push_back(created);
  return created;
}

float *StandIn::floats(size_t count, float value, aicc_driver_device *on) {
  void *memory = nullptr;
  if (!on)
    on = device;
  EXPECT_DONE(
      driver->alloc(on, count * sizeof(float), AICC_MEMORY_DEVICE, &memory));
  memory_.emplace_back(on, memory);
  uint32_t bits;
  static_assert(sizeof bits == sizeof value);
  std::memcpy(&bits, &value, sizeof bits);
  aicc_driver_stream *filling = on == device ? stream : newStream(on);
  EXPECT_DONE(driver->fill(filling, memory, count * sizeof value, bits, 4));
  EXPECT_DONE(driver->stream_synchronize(filling));
  return static_cast<float *>(memory);
}

std::vector<float> StandIn::read(const float *memory, size_t count,
                                 aicc_driver_stream *on) {
  std::vector<float> result(count, -1);
  if (!on)
    on = stream;
  EXPECT_DONE(driver->copy(on, result.data(), memory, count * sizeof(float)));
  EXPECT_DONE(driver->stream_synchronize(on));
  return result;
}

aicc_driver_kernel *StandIn::kernel(const char *entry) {
  if (!module) {
    std::ifstream file(kernelsPath, std::ios::binary);
    const std::string image((std::istreambuf_iterator<char>(file)), {});
    const aicc_module_options options{sizeof options, "elf-virtual", "kernels"};
    EXPECT_DONE(driver->module_load(device, image.data(), image.size(),
                                    &options, &module));
  }
  aicc_driver_kernel *found = nullptr;
  if (module)
    EXPECT_DONE(driver->module_kernel(module, entry, &found));
  return found;
}

int StandIn::launch(aicc_driver_stream *on, aicc_driver_kernel *kernel,
                    const float *x, float *y, int64_t n, uint32_t groups,
                    uint32_t threads, uint32_t shared,
                    aicc_driver_event *timing) {
  const struct {
    const float *x;
    float *y;
    int64_t n;
  } args = {x, y, n};
  aicc_launch given{};
  given.struct_size = sizeof given;
  given.kernel = kernel;
  given.args = &args;
  given.args_bytes = sizeof args;
  given.buffers = 2;
  given.grid[0] = groups;
  given.grid[1] = given.grid[2] = 1;
  given.workgroup[0] = threads;
  given.workgroup[1] = given.workgroup[2] = 1;
  given.shared_bytes = shared;
  given.timing = timing;
  return driver->launch(on, &given);
}

int main(int argc, char **argv) {
  ::testing::InitGoogleTest(&argc, argv);
  for (int i = 1; i < argc; ++i) {
    const std::string argument = argv[i];
    const size_t equals = argument.find('=');
    const std::string key = argument.substr(0, equals),
                      value = equals == std::string::npos
                                  ? ""
                                  : argument.substr(equals + 1);
    if (key == "--vendor" && (value == "cuda" || value == "rocm")) {
      vendor = value == "cuda" ? &cudaUnderTest : &hipUnderTest;
    } else if (key == "--library") {
      libraryPath = value;
    } else if (key == "--kernels") {
      kernelsPath = value;
    } else if (key == "--empty") {
      emptyPath = value;
    } else {
      std::fprintf(stderr, "unknown option '%s'\n", argv[i]);
      return 2;
    }
  }
  setenv(vendor->environment, libraryPath.c_str(), 1);
  return RUN_ALL_TESTS();
}
