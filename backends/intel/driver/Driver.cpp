//===- Driver.cpp - runs SPIR-V kernels through OpenCL --------------------===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The same calls serve Intel's GPUs and Intel's runtime for CPUs. Memory is
// unified shared memory, so that a kernel's one argument, the packed struct,
// holds plain pointers. A stream is an in-order queue.
//
// A module is one or more SPIR-V kernels. Vendors compile it when it is
// loaded, which takes tens of milliseconds: that is done by threads of the
// device, and whoever needs the kernel first waits for it.
//
//===----------------------------------------------------------------------===//

#include "Builders.h"
#include "Cache.h"
#include "LevelZero.h"
#include "Matrix.h"
#include "OpenCl.h"

#include "aicc/driver.h"
#include "aicc/runtime.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <map>
#include <memory>
#include <mutex>
#include <vector>

using namespace aicc::intel;

namespace {

thread_local std::string lastError;

int fail(aicc_status status, std::string message) {
  lastError = std::move(message);
  return status;
}

int failed(cl_int error, const std::string &what) {
  const bool memory = error == CL_MEM_OBJECT_ALLOCATION_FAILURE ||
                      error == CL_OUT_OF_RESOURCES ||
                      error == CL_OUT_OF_HOST_MEMORY ||
                      error == CL_INVALID_BUFFER_SIZE;
  return fail(memory ? AICC_OUT_OF_MEMORY : AICC_DEVICE_ERROR,
              what + ": " + errorName(error));
}

// A device found, before it is opened.
struct Found {
  const Library *cl;
  cl_platform_id platform;
  cl_device_id device;
  cl_ulong type;
};

std::string text(const Found &f, cl_uint what) {
  size_t size = 0;
  if (f.cl->clGetDeviceInfo(f.device, what, 0, nullptr, &size) || size < 2)
    return "";
  std::string result(size, '\0');
  f.cl->clGetDeviceInfo(f.device, what, size, result.data(), nullptr);
  result.resize(std::strlen(result.c_str()));
  return result;
}

template <typename T> T number(const Found &f, cl_uint what) {
  T value{};
  f.cl->clGetDeviceInfo(f.device, what, sizeof value, &value, nullptr);
  return value;
}

// Intel's devices of one library.
void findDevices(const Library *cl, std::vector<Found> &out) {
  cl_platform_id platforms[16];
  cl_uint count = 0;
  if (cl->clGetPlatformIDs(16, platforms, &count))
    return;
  for (cl_uint i = 0; i < std::min(count, cl_uint(16)); ++i) {
    char name[256] = {};
    cl->clGetPlatformInfo(platforms[i], CL_PLATFORM_NAME, sizeof name - 1, name,
                          nullptr);
    cl_device_id devices[64];
    cl_uint found = 0;
    Memory memory;
    if (!std::strstr(name, "Intel") ||
        cl->clGetDeviceIDs(platforms[i], CL_DEVICE_TYPE_ALL, 64, devices,
                           &found) ||
        !findMemory(*cl, platforms[i], memory))
      continue;
    for (cl_uint j = 0; j < std::min(found, cl_uint(64)); ++j) {
      Found f{cl, platforms[i], devices[j], 0};
      f.type = number<cl_ulong>(f, CL_DEVICE_TYPE);
      if (text(f, CL_DEVICE_IL_VERSION).find("SPIR-V") != std::string::npos)
        out.push_back(f);
    }
  }
}

struct Devices {
  std::vector<Found> list;
  std::string error; // why there is none
};

// GPUs first, but for those that Level Zero serves. The library is
// AICC_OPENCL_LIBRARY, else the system's loader, else Intel's runtime for CPUs
// where the linker finds it.
const Devices &devices() {
  static const Devices all = [] {
    Devices result;
    const DriverChoice choice = chosenDriver();
    if (choice == DriverChoice::levelZero || choice == DriverChoice::invalid) {
      result.error = choiceMessage();
      return result;
    }
    const char *chosen = std::getenv("AICC_OPENCL_LIBRARY");
    std::vector<const char *> paths = {"libOpenCL.so.1", "libintelocl.so"};
    if (chosen && *chosen)
      paths = {chosen};
    for (const char *path : paths) {
      std::string error;
      if (const Library *cl = openLibrary(path, error))
        findDevices(cl, result.list);
      else if (result.error.empty())
        result.error = error;
      if (!result.list.empty())
        break;
    }
    auto gpu = [](const Found &f) { return f.type & CL_DEVICE_TYPE_GPU; };
    if (std::any_of(result.list.begin(), result.list.end(), gpu) &&
        levelZeroServesGpus())
      std::erase_if(result.list, gpu);
    if (result.error.empty() && result.list.empty())
      result.error = "no OpenCL device of Intel that takes SPIR-V";
    std::vector<Found> found;
    for (const bool gpu : {true, false})
      for (const Found &f : result.list)
        if (bool(f.type & CL_DEVICE_TYPE_GPU) == gpu)
          found.push_back(f);
    result.list = std::move(found);
    return result;
  }();
  return all;
}

} // namespace

struct aicc_driver_device {
  Found found;
  Memory memory;
  cl_context context = nullptr;
  std::string name, version, buildOptions;
  std::vector<std::string> featureNames;
  std::vector<const char *> features;
  aicc_device_properties properties{};
  CacheKey cacheKey; // of what modules are compiled for
  MatrixSupport matrix = MatrixSupport::none;
  size_t smallestSubgroup = SIZE_MAX;
  int64_t clockOffset = 0; // from the device's clock to the host's
  std::unique_ptr<Builders> builders = std::make_unique<Builders>();

  const Library &cl() const { return *found.cl; }
  /// Intel's compiler for chips with smaller subgroups doesn't decide by itself
  /// how many registers threads get.
  bool choosesRegisters() const {
    return found.type & CL_DEVICE_TYPE_GPU && smallestSubgroup < 16;
  }
};

struct aicc_driver_stream {
  aicc_driver_device *device;
  cl_command_queue queue;
};

struct aicc_driver_event {
  aicc_driver_device *device;
  cl_event event = nullptr; // of the last record
  bool timesLaunch = false;

  void set(cl_event next, bool launch) {
    if (event)
      device->cl().clReleaseEvent(event);
    event = next;
    timesLaunch = launch;
  }
};

struct aicc_driver_kernel {
  aicc_driver_module *module;
  std::string entry;
  std::mutex mutex; // arguments belong to the kernel object until enqueued
  cl_kernel handle = nullptr;
};

struct aicc_driver_module final : Buildable {
  aicc_driver_device *device;
  std::string name;
  std::string spirv; // until it is built
  cl_program program = nullptr;
  std::mutex mutex;
  std::condition_variable built;
  bool done = false;
  int status = AICC_OK;
  std::string error;
  std::map<std::string, std::unique_ptr<aicc_driver_kernel>> kernels;

  void build() override;
  int wait();

private:
  bool load(const std::string &binary);
  void save(const std::string &cacheName);
  bool spills() const;
};

// What has been compiled before. A driver may refuse it.
bool aicc_driver_module::load(const std::string &binary) {
  const Library &cl = device->cl();
  const size_t size = binary.size();
  auto *data = reinterpret_cast<const unsigned char *>(binary.data());
  cl_int status = 0, error = 0;
  cl_program loaded = cl.clCreateProgramWithBinary(
      device->context, 1, &device->found.device, &size, &data, &status, &error);
  if (!error && !status &&
      !cl.clBuildProgram(loaded, 1, &device->found.device,
                         device->buildOptions.c_str(), nullptr, nullptr)) {
    program = loaded;
    return true;
  }
  if (loaded)
    cl.clReleaseProgram(loaded);
  return false;
}

void aicc_driver_module::save(const std::string &cacheName) {
  const Library &cl = device->cl();
  size_t size = 0;
  if (cl.clGetProgramInfo(program, CL_PROGRAM_BINARY_SIZES, sizeof size, &size,
                          nullptr) ||
      size == 0)
    return;
  std::string binary(size, '\0');
  char *data = binary.data();
  if (!cl.clGetProgramInfo(program, CL_PROGRAM_BINARIES, sizeof data, &data,
                           nullptr))
    writeCache(cacheName, binary);
}

// Whether registers of some kernel are kept in memory.
bool aicc_driver_module::spills() const {
  const Library &cl = device->cl();
  cl_uint count = 0;
  if (cl.clCreateKernelsInProgram(program, 0, nullptr, &count))
    return false;
  std::vector<cl_kernel> all(count);
  if (cl.clCreateKernelsInProgram(program, count, all.data(), nullptr))
    return false;
  bool any = false;
  for (cl_kernel kernel : all) {
    cl_ulong bytes = 0;
    cl.clGetKernelWorkGroupInfo(kernel, device->found.device,
                                CL_KERNEL_SPILL_MEM_SIZE_INTEL, sizeof bytes,
                                &bytes, nullptr);
    any |= bytes != 0;
    cl.clReleaseKernel(kernel);
  }
  return any;
}

void aicc_driver_module::build() {
  const Library &cl = device->cl();
  cl_device_id id = device->found.device;
  CacheKey key = device->cacheKey;
  key.add(spirv.data(), spirv.size());
  const std::string binary = readCache(key.name());
  cl_int error = 0;
  if (binary.empty() || !load(binary)) {
    if (device->matrix == MatrixSupport::software && usesMatrix(spirv)) {
      program = buildWithMatrix(cl, device->context, id, spirv,
                                device->buildOptions.c_str(), error);
    } else {
      program = cl.clCreateProgramWithIL(device->context, spirv.data(),
                                         spirv.size(), &error);
      if (!error)
        error = cl.clBuildProgram(program, 1, &id, device->buildOptions.c_str(),
                                  nullptr, nullptr);
      if (!error && device->choosesRegisters() && spills())
        error = cl.clBuildProgram(
            program, 1, &id,
            (device->buildOptions + " -cl-intel-256-GRF-per-thread").c_str(),
            nullptr, nullptr);
    }
    if (!error)
      save(key.name());
  }
  spirv = {};
  std::string log;
  if (error && program) {
    size_t size = 0;
    cl.clGetProgramBuildInfo(program, id, CL_PROGRAM_BUILD_LOG, 0, nullptr,
                             &size);
    log.resize(size);
    cl.clGetProgramBuildInfo(program, id, CL_PROGRAM_BUILD_LOG, size,
                             log.data(), nullptr);
    log.resize(std::strlen(log.c_str()));
  }
  std::lock_guard lock(mutex);
  if (error) {
    status = AICC_DEVICE_ERROR;
    this->error = "cannot compile object '" + name + "' for " + device->name +
                  ": " + errorName(error) + (log.empty() ? "" : ": " + log);
  }
  done = true;
  built.notify_all();
}

int aicc_driver_module::wait() {
  // Better now and here than later.
  if (device->builders->remove(this))
    build();
  std::unique_lock lock(mutex);
  built.wait(lock, [&] { return done; });
  return status ? fail(aicc_status(status), error) : int(AICC_OK);
}

namespace {

int deviceCount(uint32_t *out) {
  *out = uint32_t(devices().list.size());
  if (*out == 0)
    lastError = devices().error;
  return AICC_OK;
}

void describe(aicc_driver_device &device) {
  const Found &f = device.found;
  device.name = text(f, CL_DEVICE_NAME);
  device.version = text(f, CL_DRIVER_VERSION);
  auto feature = [&](std::string name) {
    device.featureNames.push_back(std::move(name));
  };
  size_t sizes[16];
  size_t bytes = 0, &smallest = device.smallestSubgroup;
  if (!f.cl->clGetDeviceInfo(f.device, CL_DEVICE_SUB_GROUP_SIZES, sizeof sizes,
                             sizes, &bytes))
    for (size_t i = 0; i < bytes / sizeof(size_t); ++i) {
      feature("subgroup" + std::to_string(sizes[i]));
      smallest = std::min(smallest, sizes[i]);
    }
  const std::string extensions = text(f, CL_DEVICE_EXTENSIONS);
  for (const char *name : {"fp16", "fp64"})
    if (extensions.find(std::string("cl_khr_") + name) != std::string::npos)
      feature(name);
  feature(f.type & CL_DEVICE_TYPE_GPU ? "gpu" : "cpu");
  device.matrix = matrixSupport(extensions, f.type & CL_DEVICE_TYPE_CPU);
  if (device.matrix == MatrixSupport::hardware)
    feature(matrixFeature(smallest));
  if (device.matrix == MatrixSupport::software)
    for (size_t lanes : softwareMatrixSubgroups)
      feature(matrixFeature(lanes));
  if (device.matrix == MatrixSupport::software ||
      extensions.find("cl_intel_subgroup_2d_block_io") != std::string::npos)
    feature(blockFeature);
  for (const std::string &name : device.featureNames)
    device.features.push_back(name.c_str());
  if (number<cl_ulong>(f, CL_DEVICE_SINGLE_FP_CONFIG) &
      CL_FP_CORRECTLY_ROUNDED_DIVIDE_SQRT)
    device.buildOptions = "-cl-fp32-correctly-rounded-divide-sqrt";
  // A thread may have twice the registers, and half the threads are there then:
  // the compiler decides for each kernel.
  if (f.type & CL_DEVICE_TYPE_GPU)
    device.buildOptions += " -cl-intel-enable-auto-large-GRF-mode";

  // The processor's runtime compiles for the instruction set that this names.
  const char *arch = std::getenv("CL_CONFIG_CPU_TARGET_ARCH");
  for (const std::string &part :
       {device.name, device.version, device.buildOptions,
        std::string(arch ? arch : ""), extensions})
    device.cacheKey.add(part);

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
  p.memory_bytes = number<cl_ulong>(f, CL_DEVICE_GLOBAL_MEM_SIZE);
  // The processor is its own device: all memory is one.
  if (f.type & CL_DEVICE_TYPE_CPU) {
    p.flags |= AICC_DEVICE_HOST_ACCESSIBLE;
    if (number<cl_ulong>(f, CL_DEVICE_SHARED_SYSTEM_MEM))
      p.flags |= AICC_DEVICE_HOST_POINTERS;
  }
  p.compute_units = number<cl_uint>(f, CL_DEVICE_MAX_COMPUTE_UNITS);
  p.max_workgroup = uint32_t(number<size_t>(f, CL_DEVICE_MAX_WORK_GROUP_SIZE));
  p.max_shared_bytes = uint32_t(number<cl_ulong>(f, CL_DEVICE_LOCAL_MEM_SIZE));
  p.max_argument_bytes =
      uint32_t(number<size_t>(f, CL_DEVICE_MAX_PARAMETER_SIZE));
  p.alignment = 64;
}

int deviceOpen(uint32_t index, aicc_driver_device **out) {
  const std::vector<Found> &list = devices().list;
  if (index >= list.size())
    return fail(AICC_NOT_FOUND,
                list.empty() ? devices().error
                             : "there are " + std::to_string(list.size()) +
                                   " intel devices, found index " +
                                   std::to_string(index));
  auto device = std::make_unique<aicc_driver_device>();
  device->found = list[index];
  findMemory(device->cl(), device->found.platform, device->memory);
  cl_int error = 0;
  device->context = device->cl().clCreateContext(
      nullptr, 1, &device->found.device, nullptr, nullptr, &error);
  if (error)
    return failed(error, "opening the device (-2 also means that files are "
                         "missing beside the library)");
  cl_ulong there = 0, here = 0;
  if (!device->cl().clGetDeviceAndHostTimer(device->found.device, &there,
                                            &here))
    device->clockOffset = int64_t(here - there);
  describe(*device);
  *out = device.release();
  return AICC_OK;
}

void deviceClose(aicc_driver_device *device) {
  if (!device)
    return;
  device->builders.reset();
  device->cl().clReleaseContext(device->context);
  delete device;
}

const aicc_device_properties *deviceProperties(aicc_driver_device *device) {
  return &device->properties;
}

int alloc(aicc_driver_device *device, uint64_t bytes, uint32_t kind,
          void **out) {
  cl_int error = 0;
  bytes = std::max<uint64_t>(bytes, 1);
  *out = kind == AICC_MEMORY_PINNED
             ? device->memory.clHostMemAllocINTEL(device->context, nullptr,
                                                  bytes, 64, &error)
             : device->memory.clDeviceMemAllocINTEL(device->context,
                                                    device->found.device,
                                                    nullptr, bytes, 64, &error);
  if (error || !*out)
    return fail(AICC_OUT_OF_MEMORY, "no memory for " + std::to_string(bytes) +
                                        " bytes on " + device->name + ": " +
                                        errorName(error));
  return AICC_OK;
}

void release(aicc_driver_device *device, void *memory, uint32_t) {
  if (memory)
    device->memory.clMemBlockingFreeINTEL(device->context, memory);
}

int streamCreate(aicc_driver_device *device, const aicc_stream_options *,
                 aicc_driver_stream **out) {
  const cl_ulong properties[] = {CL_QUEUE_PROPERTIES, CL_QUEUE_PROFILING, 0};
  cl_int error = 0;
  cl_command_queue queue = device->cl().clCreateCommandQueueWithProperties(
      device->context, device->found.device, properties, &error);
  if (error)
    return failed(error, "creating a queue");
  *out = new aicc_driver_stream{device, queue};
  return AICC_OK;
}

void streamDestroy(aicc_driver_stream *stream) {
  if (!stream)
    return;
  stream->device->cl().clReleaseCommandQueue(stream->queue);
  delete stream;
}

int streamSynchronize(aicc_driver_stream *stream) {
  const cl_int error = stream->device->cl().clFinish(stream->queue);
  return error ? failed(error, "waiting for the device") : int(AICC_OK);
}

int streamWait(aicc_driver_stream *stream, aicc_driver_event *event) {
  if (!event->event)
    return AICC_OK;
  const cl_int error = stream->device->cl().clEnqueueBarrierWithWaitList(
      stream->queue, 1, &event->event, nullptr);
  return error ? failed(error, "waiting for an event") : int(AICC_OK);
}

int eventCreate(aicc_driver_device *device, aicc_driver_event **out) {
  *out = new aicc_driver_event{device};
  return AICC_OK;
}

void eventDestroy(aicc_driver_event *event) {
  if (!event)
    return;
  event->set(nullptr, false);
  delete event;
}

int eventRecord(aicc_driver_stream *stream, aicc_driver_event *event) {
  const Library &cl = stream->device->cl();
  cl_event marker = nullptr;
  cl_int error =
      cl.clEnqueueMarkerWithWaitList(stream->queue, 0, nullptr, &marker);
  // Other queues may wait for it: it has to be on its way.
  if (!error)
    error = cl.clFlush(stream->queue);
  if (error)
    return failed(error, "recording an event");
  event->set(marker, false);
  return AICC_OK;
}

int eventSynchronize(aicc_driver_event *event) {
  if (!event->event)
    return AICC_OK;
  const cl_int error = event->device->cl().clWaitForEvents(1, &event->event);
  return error ? failed(error, "waiting for an event") : int(AICC_OK);
}

int eventQuery(aicc_driver_event *event, int *out) {
  *out = 1;
  if (!event->event)
    return AICC_OK;
  cl_int status = 0;
  const cl_int error = event->device->cl().clGetEventInfo(
      event->event, CL_EVENT_STATUS, sizeof status, &status, nullptr);
  if (error || status < 0)
    return failed(error ? error : status, "asking for an event");
  *out = status == 0;
  return AICC_OK;
}

int eventTimes(aicc_driver_event *event, uint64_t *begin, uint64_t *end) {
  *begin = *end = 0;
  if (!event->event)
    return AICC_OK;
  const Library &cl = event->device->cl();
  cl_ulong from = 0, to = 0;
  cl_int error = cl.clGetEventProfilingInfo(event->event, CL_PROFILING_END,
                                            sizeof to, &to, nullptr);
  if (!error)
    error = cl.clGetEventProfilingInfo(event->event, CL_PROFILING_START,
                                       sizeof from, &from, nullptr);
  if (error)
    return failed(error, "reading an event's times");
  *end = to + uint64_t(event->device->clockOffset);
  *begin =
      event->timesLaunch ? from + uint64_t(event->device->clockOffset) : *end;
  return AICC_OK;
}

int moduleLoad(aicc_driver_device *device, const void *object, size_t bytes,
               const aicc_module_options *options, aicc_driver_module **out) {
  const std::string name = options->name ? options->name : "kernels";
  if (std::strcmp(options->format, "spirv") != 0)
    return fail(AICC_UNSUPPORTED, "object '" + name + "' has format '" +
                                      options->format +
                                      "', an intel device takes 'spirv'");
  // Some of Intel's compilers end the process when a module is cut short.
  uint32_t magic = 0;
  if (bytes >= 20)
    std::memcpy(&magic, object, sizeof magic);
  if (bytes < 20 || bytes % 4 || magic != 0x07230203)
    return fail(AICC_BAD_PACKAGE, "object '" + name + "' is no SPIR-V module");
  auto module = std::make_unique<aicc_driver_module>();
  module->device = device;
  module->name = name;
  module->spirv.assign(static_cast<const char *>(object), bytes);
  device->builders->add(module.get());
  *out = module.release();
  return AICC_OK;
}

void moduleUnload(aicc_driver_module *module) {
  if (!module)
    return;
  if (!module->device->builders->remove(module)) {
    std::unique_lock lock(module->mutex);
    module->built.wait(lock, [&] { return module->done; });
  }
  const Library &cl = module->device->cl();
  for (auto &[name, kernel] : module->kernels)
    cl.clReleaseKernel(kernel->handle);
  if (module->program)
    cl.clReleaseProgram(module->program);
  delete module;
}

int moduleKernel(aicc_driver_module *module, const char *entry,
                 aicc_driver_kernel **out) {
  if (const int status = module->wait())
    return status;
  std::lock_guard lock(module->mutex);
  std::unique_ptr<aicc_driver_kernel> &kernel = module->kernels[entry];
  if (!kernel) {
    const Library &cl = module->device->cl();
    cl_int error = 0;
    cl_kernel handle = cl.clCreateKernel(module->program, entry, &error);
    if (error) {
      module->kernels.erase(entry);
      return fail(AICC_NOT_FOUND, "object '" + module->name +
                                      "' has no kernel '" + entry +
                                      "': " + errorName(error));
    }
    kernel = std::make_unique<aicc_driver_kernel>();
    kernel->module = module;
    kernel->entry = entry;
    kernel->handle = handle;
    // Its pointers are hidden in the argument struct.
    const cl_uint yes = 1;
    for (cl_uint kind : {CL_EXEC_INDIRECT_HOST, CL_EXEC_INDIRECT_DEVICE,
                         CL_EXEC_INDIRECT_SHARED})
      cl.clSetKernelExecInfo(handle, kind, sizeof yes, &yes);
  }
  *out = kernel.get();
  return AICC_OK;
}

int launch(aicc_driver_stream *stream, const aicc_launch *launch) {
  const Library &cl = stream->device->cl();
  aicc_driver_kernel *kernel = launch->kernel;
  size_t local[3], global[3];
  for (unsigned i = 0; i < 3; ++i) {
    local[i] = launch->workgroup[i];
    if (__builtin_mul_overflow(local[i], size_t(launch->grid[i]), &global[i]))
      return fail(AICC_INVALID_ARGUMENT,
                  "launch of '" + kernel->entry + "' is too large");
  }
  cl_event event = nullptr;
  cl_int error = 0;
  {
    std::lock_guard lock(kernel->mutex);
    error =
        cl.clSetKernelArg(kernel->handle, 0, launch->args_bytes, launch->args);
    if (!error)
      error = cl.clEnqueueNDRangeKernel(stream->queue, kernel->handle, 3,
                                        nullptr, global, local, 0, nullptr,
                                        launch->timing ? &event : nullptr);
  }
  if (error)
    return failed(error, "launching '" + kernel->entry + "'");
  if (launch->timing)
    launch->timing->set(event, true);
  return AICC_OK;
}

int copy(aicc_driver_stream *stream, void *destination, const void *source,
         uint64_t bytes) {
  if (bytes == 0)
    return AICC_OK;
  const cl_int error = stream->device->memory.clEnqueueMemcpyINTEL(
      stream->queue, /*blocking=*/0, destination, source, bytes, 0, nullptr,
      nullptr);
  return error ? failed(error, "copying " + std::to_string(bytes) + " bytes")
               : int(AICC_OK);
}

int fill(aicc_driver_stream *stream, void *destination, uint64_t bytes,
         uint64_t value, uint32_t valueBytes) {
  if (valueBytes != 1 && valueBytes != 2 && valueBytes != 4 && valueBytes != 8)
    return fail(AICC_INVALID_ARGUMENT, "fill with a value of " +
                                           std::to_string(valueBytes) +
                                           " bytes, expected 1, 2, 4 or 8");
  if (bytes == 0)
    return AICC_OK;
  const cl_int error = stream->device->memory.clEnqueueMemFillINTEL(
      stream->queue, destination, &value, valueBytes, bytes, 0, nullptr,
      nullptr);
  return error ? failed(error, "filling " + std::to_string(bytes) + " bytes")
               : int(AICC_OK);
}

} // namespace

extern "C" const aicc_driver *aicc_driver_intel(void) {
  static const aicc_driver table = [] {
    aicc_driver t{};
    t.struct_size = sizeof t;
    t.version = AICC_DRIVER_VERSION;
    t.family = "intel";
    t.name = "Intel, through OpenCL";
    t.last_error = [] { return lastError.c_str(); };
    t.device_count = deviceCount;
    t.device_open = deviceOpen;
    t.device_close = deviceClose;
    t.device_properties = deviceProperties;
    t.alloc = alloc;
    t.free = release;
    t.stream_create = streamCreate;
    t.stream_destroy = streamDestroy;
    t.stream_synchronize = streamSynchronize;
    t.stream_wait = streamWait;
    t.event_create = eventCreate;
    t.event_destroy = eventDestroy;
    t.event_record = eventRecord;
    t.event_synchronize = eventSynchronize;
    t.event_query = eventQuery;
    t.event_times = eventTimes;
    t.module_load = moduleLoad;
    t.module_unload = moduleUnload;
    t.module_kernel = moduleKernel;
    t.launch = launch;
    t.copy = copy;
    t.fill = fill;
    return t;
  }();
  return &table;
}
