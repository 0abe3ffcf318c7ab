//===- StandIn.h - a driver over a stand-in, for tests ----------*- C++ -*-===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef AICC_TESTS_DEVICES_STANDIN_H
#define AICC_TESTS_DEVICES_STANDIN_H

#include "aicc/driver.h"
#include "aicc/runtime.h"
#include "aicc/virtual.h"

#include <gtest/gtest.h>

#include <dlfcn.h>
#include <string>
#include <vector>

/// What differs between the vendors, for a test.
struct VendorUnderTest {
  const char *environment;
  const aicc_driver *(*real)();
  const aicc_driver *(*virtualised)();
  bool keepsLog;
  const char *invalidImage, *noBinary, *invalidCode, *outOfMemory,
      *illegalAddress, *misaligned, *launchFailed, *peerUnsupported,
      *captureUnsupported;
  // Entry points.
  const char *init, *alloc, *allocAsync, *hostAlloc, *launch, *synchronize,
      *copyPeer, *moduleLoad, *moduleFunction, *eventRecord, *streamCreate,
      *eventCreate, *copy, *fill, *endCapture, *instantiate, *graphLaunch;
};

extern const VendorUnderTest cudaUnderTest, hipUnderTest;
/// Chosen on the command line.
extern const VendorUnderTest *vendor;
extern std::string libraryPath, kernelsPath, emptyPath;

/// One device of the stand-in, opened, and a stream on it.
struct StandIn : ::testing::Test {
  const aicc_driver *driver = nullptr;
  aicc_driver_device *device = nullptr;
  aicc_driver_stream *stream = nullptr;
  aicc_driver_module *module = nullptr;

  void SetUp() override;
  void TearDown() override;

  std::string error() const { return driver->last_error(); }
  /// The nth call of an entry point from now on fails.
  void inject(const char *entry, uint32_t nth, int code);
  aicc_driver_stream *newStream(aicc_driver_device *on = nullptr);
  aicc_driver_event *newEvent();
  /// Memory of `count` floats, freed at the end.
  float *floats(size_t count, float value = 0,
                aicc_driver_device *on = nullptr);
  std::vector<float> read(const float *memory, size_t count,
                          aicc_driver_stream *on = nullptr);
  aicc_driver_kernel *kernel(const char *entry);
  /// Of a kernel with arguments x, y, n.
  int launch(aicc_driver_stream *on, aicc_driver_kernel *kernel, const float *x,
             float *y, int64_t n, uint32_t groups = 1, uint32_t threads = 1,
             uint32_t shared = 0, aicc_driver_event *timing = nullptr);

private:
  std::vector<std::pair<aicc_driver_device *, void *>> memory_;
  std::vector<aicc_driver_stream *> streams_;
  std::vector<aicc_driver_event *> events_;
};

#define EXPECT_DONE(call) EXPECT_EQ((call), AICC_OK) << driver->last_error()
#define ASSERT_DONE(call) ASSERT_EQ((call), AICC_OK) << driver->last_error()
/// Fails with that status and with a message that has all these words.
#define EXPECT_FAILS(call, status, ...)                                        \
  do {                                                                         \
    EXPECT_EQ((call), status);                                                 \
    for (const char *word : std::initializer_list<const char *>{__VA_ARGS__})  \
      EXPECT_NE(error().find(word), std::string::npos)                         \
          << "'" << word << "' isn't in: " << error();                         \
  } while (false)

#endif // AICC_TESTS_DEVICES_STANDIN_H
