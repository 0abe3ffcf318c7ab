//===- embed.cpp - an application in C++ that runs a compiled model -------===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// embed_cpp MODEL.aicc [DEVICE]
//
// Keeps several asynchronous runs of one session under way, on the caller's own
// memory, and prints the first values of the first output of each.
//
//===----------------------------------------------------------------------===//

#include <aicc/runtime.h>

#include <cstdio>
#include <memory>
#include <stdexcept>
#include <vector>

namespace {

void check(aicc_status status) {
  if (status != AICC_OK)
    throw std::runtime_error(aicc_message());
}

template <auto Release> struct Releaser {
  template <typename T> void operator()(T *object) const { Release(object); }
};
using Package = std::unique_ptr<aicc_package, Releaser<aicc_package_release>>;
using Session = std::unique_ptr<aicc_session, Releaser<aicc_session_release>>;
using Tensor = std::unique_ptr<aicc_tensor, Releaser<aicc_tensor_release>>;
using Run = std::unique_ptr<aicc_run, Releaser<aicc_run_release>>;

// A call that returns a handle through its last parameter.
template <typename Handle, typename Function, typename... Args>
Handle make(Function function, Args... args) {
  typename Handle::pointer object = nullptr;
  check(function(args..., &object));
  return Handle(object);
}

// One run and the memory it works on.
struct Job {
  std::vector<std::vector<float>> memory;
  std::vector<Tensor> inputs, outputs;
  Run run;

  Job(const Package &package, const Session &session, float value) {
    const std::vector<int64_t> symbols(aicc_package_symbol_count(package.get()),
                                       1);
    std::vector<aicc_tensor *> in;
    for (size_t i = 0; i < aicc_package_input_count(package.get()); ++i) {
      aicc_port port{};
      port.struct_size = sizeof port;
      check(aicc_package_input(package.get(), i, &port));
      if (port.type != AICC_F32)
        throw std::runtime_error("this example feeds f32 inputs only");
      std::vector<int64_t> dims(port.rank);
      check(aicc_package_input_dims(package.get(), i, symbols.data(),
                                    dims.data()));
      size_t count = 1;
      for (int64_t dim : dims)
        count *= static_cast<size_t>(dim);
      // The tensor uses our memory; nothing is copied.
      memory.emplace_back(count, value);
      inputs.push_back(make<Tensor>(
          aicc_tensor_from_host, static_cast<void *>(memory.back().data()),
          port.type, dims.size(), static_cast<const int64_t *>(dims.data()),
          nullptr, nullptr));
      in.push_back(inputs.back().get());
    }
    std::vector<aicc_tensor *> out(aicc_package_output_count(package.get()));
    run = make<Run>(aicc_session_run_async, session.get(), in.data(), in.size(),
                    out.data(), out.size());
    for (aicc_tensor *tensor : out)
      outputs.emplace_back(tensor);
  }
};

} // namespace

int main(int argc, char **argv) try {
  if (argc < 2) {
    std::fprintf(stderr, "usage: embed_cpp MODEL.aicc [DEVICE]\n");
    return 2;
  }
  const auto package = make<Package>(
      aicc_package_open, static_cast<const char *>(argv[1]), nullptr);
  aicc_device *device = aicc_device_find(argc > 2 ? argv[2] : "cpu");
  if (!device)
    throw std::runtime_error(aicc_message());
  const auto session =
      make<Session>(aicc_session_create, package.get(), device, nullptr);

  std::vector<std::unique_ptr<Job>> jobs;
  for (int i = 0; i < 4; ++i)
    jobs.push_back(std::make_unique<Job>(package, session, float(i)));
  for (const std::unique_ptr<Job> &job : jobs) {
    check(aicc_run_wait(job->run.get()));
    const aicc_tensor *output = job->outputs.front().get();
    const auto *data = static_cast<const float *>(aicc_tensor_data(output));
    for (size_t k = 0; k < aicc_tensor_bytes(output) / sizeof *data && k < 8;
         ++k)
      std::printf("%g ", data[k]);
    std::printf("\n");
  }
  return 0;
} catch (const std::exception &error) {
  std::fprintf(stderr, "embed_cpp: %s\n", error.what());
  return 1;
}
