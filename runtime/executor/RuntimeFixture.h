//===- RuntimeFixture.h - what tests of sessions share -------------------===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef AICC_RUNTIME_EXECUTOR_RUNTIMEFIXTURE_H
#define AICC_RUNTIME_EXECUTOR_RUNTIMEFIXTURE_H

#include "FakeDriver.h"

#include "runtime/device/Device.h"
#include "runtime/testing/PackageBuilder.h"

#include "aicc/runtime.h"

#include <gtest/gtest.h>

#include <utility>

namespace aicc::testing {

constexpr auto f32 = package::ElementType::f32;

inline const std::vector<uint8_t> &kernels() {
  static const std::vector<uint8_t> bytes = readFile(AICC_TEST_KERNELS);
  return bytes;
}

inline aicc_device *deviceNamed(const std::string &family) {
  static const bool added = device::addDriver(FakeDevice::table()).ok() &&
                            device::addDriver(FakeDevice::peers()).ok();
  EXPECT_TRUE(added);
  return aicc_device_find(family.c_str());
}

// Handles that release themselves.
template <typename T, void (*Release)(T *)> struct Handle {
  T *value = nullptr;
  Handle() = default;
  Handle(const Handle &) = delete;
  ~Handle() { Release(value); }
  operator T *() const { return value; }
  T **out() { return &value; }
};
using Package = Handle<aicc_package, aicc_package_release>;
using Session = Handle<aicc_session, aicc_session_release>;
using Tensor = Handle<aicc_tensor, aicc_tensor_release>;
using Pending = Handle<aicc_run, aicc_run_release>;

inline aicc_status openBytes(const std::vector<uint8_t> &file,
                             aicc_package **out) {
  auto *copy = new std::vector<uint8_t>(file);
  return aicc_package_from_memory(
      copy->data(), copy->size(),
      [](void *context) {
        delete static_cast<std::vector<uint8_t> *>(context);
      },
      copy, nullptr, out);
}

struct OnDevice : ::testing::TestWithParam<const char *> {
  Package package;
  Session session;

  void TearDown() override { FakeDevice::failAfter = -1; }
  PackageBuilder model() {
    return affineModel(GetParam(), "elf-so", kernels());
  }
  // In the place of what was created before.
  void create(const PackageBuilder &builder, uint32_t threads = 1) {
    aicc_session_release(std::exchange(session.value, nullptr));
    aicc_package_release(std::exchange(package.value, nullptr));
    ASSERT_EQ(openBytes(builder.finish(), package.out()), AICC_OK)
        << aicc_message();
    aicc_session_options options{sizeof options, threads, nullptr};
    ASSERT_EQ(aicc_session_create(package, deviceNamed(GetParam()), &options,
                                  session.out()),
              AICC_OK)
        << aicc_message();
  }
  static void newTensor(std::vector<int64_t> dims, Tensor &out,
                        aicc_type type = AICC_F32) {
    ASSERT_EQ(aicc_tensor_create(type, dims.size(), dims.data(), out.out()),
              AICC_OK);
  }
  static float *floats(aicc_tensor *tensor) {
    return static_cast<float *>(aicc_tensor_data(tensor));
  }
};

} // namespace aicc::testing

#endif
