//===- Benchmark.cpp - sessions, timed ------------------------------------===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Benchmark.h"

#include <algorithm>
#include <chrono>

using namespace aicc::run;

using Clock = std::chrono::steady_clock;

static double millisecondsSince(Clock::time_point begin) {
  return std::chrono::duration<double, std::milli>(Clock::now() - begin)
      .count();
}

Runner::Runner(aicc_package *package, const std::string &names,
               uint32_t threads, const std::string &variant) {
  std::vector<aicc_device *> devices;
  for (size_t begin = 0; begin <= names.size();) {
    const size_t end = std::min(names.find_first_of(",+", begin), names.size());
    aicc_device *found =
        aicc_device_find(names.substr(begin, end - begin).c_str());
    if (!found)
      throw Error(aicc_message());
    devices.push_back(found);
    begin = end + 1;
  }
  aicc_session_options options{};
  options.struct_size = sizeof options;
  options.threads = threads;
  options.variant = variant.empty() ? nullptr : variant.c_str();
  const Clock::time_point begin = Clock::now();
  check(aicc_session_create_on_devices(package, devices.data(), devices.size(),
                                       &options, &handle));
  createMilliseconds = millisecondsSince(begin);
}

Runner::~Runner() {
  release();
  aicc_session_release(handle);
}

void Runner::release() {
  for (aicc_tensor *tensor : inputTensors)
    aicc_tensor_release(tensor);
  for (aicc_tensor *tensor : outputTensors)
    aicc_tensor_release(tensor);
  inputTensors.clear();
  outputTensors.clear();
}

void Runner::run(std::vector<Array> &inputs) {
  release();
  for (Array &array : inputs) {
    aicc_tensor *tensor = nullptr;
    check(aicc_tensor_from_host(array.data(), array.type, array.dims.size(),
                                array.dims.data(), nullptr, nullptr, &tensor));
    inputTensors.push_back(tensor);
  }
  outputTensors.assign(aicc_package_output_count(aicc_session_package(handle)),
                       nullptr);
  const Clock::time_point begin = Clock::now();
  again();
  firstMilliseconds = millisecondsSince(begin);
}

void Runner::again() {
  check(aicc_session_run(handle, inputTensors.data(), inputTensors.size(),
                         outputTensors.data(), outputTensors.size()));
}

std::vector<Array>
Runner::outputs(const std::vector<std::string> &names) const {
  std::vector<Array> arrays;
  for (size_t i = 0; i < outputTensors.size(); ++i)
    arrays.push_back(fromTensor(outputTensors[i], names[i]));
  return arrays;
}

Timing aicc::run::benchmark(Runner &runner, double seconds) {
  runner.again(); // caches and pages, once more
  std::vector<double> times;
  const Clock::time_point begin = Clock::now();
  Clock::time_point last = begin;
  do {
    runner.again();
    const Clock::time_point now = Clock::now();
    times.push_back(
        std::chrono::duration<double, std::milli>(now - last).count());
    last = now;
  } while (times.size() < 3 ||
           std::chrono::duration<double>(last - begin).count() < seconds);
  Timing timing;
  timing.runs = times.size();
  timing.perSecond = double(times.size()) /
                     std::chrono::duration<double>(last - begin).count();
  std::sort(times.begin(), times.end());
  timing.minimum = times.front();
  timing.median = times[times.size() / 2];
  timing.p99 = times[std::min(times.size() - 1, times.size() * 99 / 100)];
  return timing;
}

// Of one run, in nanoseconds: what its launches took, together.
static uint64_t launchTime(const std::vector<ProfileEvent> &events) {
  uint64_t sum = 0;
  for (const ProfileEvent &event : events)
    sum += event.end - event.begin;
  return sum;
}

static std::vector<ProfileEvent> profileOnce(Runner &runner) {
  std::vector<ProfileEvent> events;
  check(aicc_session_profile(
      runner.session(),
      [](const aicc_profile_event *event, void *context) {
        ProfileEvent copy{event->name,
                          event->kernel,
                          event->device,
                          event->begin_ns,
                          event->end_ns,
                          event->index,
                          {event->grid[0], event->grid[1], event->grid[2]},
                          event->stream};
        static_cast<std::vector<ProfileEvent> *>(context)->push_back(copy);
      },
      &events));
  runner.again();
  check(aicc_session_profile(runner.session(), nullptr, nullptr));
  return events;
}

std::vector<ProfileEvent> aicc::run::profile(Runner &runner, double seconds) {
  constexpr size_t most = 101;
  runner.again();
  std::vector<std::vector<ProfileEvent>> runs;
  const Clock::time_point begin = Clock::now();
  do
    runs.push_back(profileOnce(runner));
  while (runs.size() < most && millisecondsSince(begin) < 1e3 * seconds);
  const auto middle = runs.begin() + runs.size() / 2;
  std::nth_element(runs.begin(), middle, runs.end(),
                   [](const auto &a, const auto &b) {
                     return launchTime(a) < launchTime(b);
                   });
  return std::move(*middle);
}
