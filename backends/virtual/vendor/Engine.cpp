//===- Engine.cpp - devices, memory and code of a stand-in ----------------===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Engine.h"

#include "aicc/runtime.h"
#include "aicc/tensors.h"
#include "backends/virtual/driver/Symbol.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <elf.h>

using namespace aicc::backends::virtual_vendor;
namespace virtual_device = aicc::backends::virtual_device;

bool aicc::backends::virtual_vendor::isSticky(int code) {
  return code == 214 || code == illegalAddress || code == 702 ||
         code == contextIsDestroyed || code == 710 ||
         (code >= 714 && code <= launchFailed);
}

static uint64_t number(const char *variable, uint64_t otherwise) {
  const char *text = std::getenv(variable);
  return text && *text ? std::strtoull(text, nullptr, 0) : otherwise;
}

Engine::Engine(const aicc_driver &table, const char *const *entries)
    : table_(table), entries_(entries),
      memoryBytes_(number("AICC_VIRTUAL_MEMORY", uint64_t(16) << 30)) {
  // ENTRY:NTH=CODE, separated by commas.
  const char *faults = std::getenv("AICC_VIRTUAL_FAULTS");
  std::string text = faults ? faults : "";
  for (size_t at = 0; at < text.size();) {
    const size_t end = std::min(text.find(',', at), text.size());
    const std::string fault = text.substr(at, end - at);
    at = end + 1;
    const size_t colon = fault.find(':'), equals = fault.find('=');
    if (colon == std::string::npos || equals == std::string::npos ||
        colon > equals ||
        !inject(fault.substr(0, colon).c_str(),
                uint32_t(std::atoi(fault.c_str() + colon + 1)),
                std::atoi(fault.c_str() + equals + 1)))
      std::fprintf(stderr,
                   "AICC_VIRTUAL_FAULTS has '%s', expected ENTRY:NTH=CODE\n",
                   fault.c_str());
  }
}

//===----------------------------------------------------------------------===//
// Faults
//===----------------------------------------------------------------------===//

int Engine::enter(const char *entry, Device *device) {
  std::lock_guard lock(mutex_);
  if (faults_.empty())
    return success;
  auto found = faults_.find(entry);
  if (found == faults_.end())
    return success;
  auto fault = found->second.find(++calls_[entry]);
  if (fault == found->second.end())
    return success;
  const int code = fault->second;
  if (device && isSticky(code) && !device->error) {
    device->error = code;
    mistake_.clear();
  }
  return code;
}

int Engine::inject(const char *entry, uint32_t nth, int code) {
  std::lock_guard lock(mutex_);
  bool exists = false;
  for (const char *const *name = entries_; *name; ++name)
    exists |= !std::strcmp(*name, entry);
  if (!exists)
    return 0;
  if (!nth) {
    faults_.erase(entry);
    return 1;
  }
  if (!faults_.count(entry))
    calls_[entry] = 0;
  faults_[entry][calls_[entry] + nth] = code;
  return 1;
}

const char *Engine::mistake() {
  static thread_local std::string text;
  std::lock_guard lock(mutex_);
  text = mistake_;
  return text.c_str();
}

// What a kernel or a copy did wrong, as the vendors' hardware would notice it;
// what only a virtual device sees is a failed launch.
int Engine::failed(std::string what) {
  const bool outside = what.find(" out of bounds") != std::string::npos ||
                       what.find("a copy of ") == 0;
  const bool misaligned = what.find(" is no multiple of ") != std::string::npos;
  std::lock_guard lock(mutex_);
  mistake_ = std::move(what);
  return outside      ? illegalAddress
         : misaligned ? misalignedAddress
                      : launchFailed;
}

//===----------------------------------------------------------------------===//
// Devices
//===----------------------------------------------------------------------===//

int Engine::init() {
  std::lock_guard lock(mutex_);
  if (initialized_)
    return devices_.empty() ? int(noDevice) : int(success);
  uint32_t there = 0;
  table_.device_count(&there);
  const uint64_t count =
      there ? std::min<uint64_t>(number("AICC_VIRTUAL_DEVICES", 1), 16) : 0;
  for (uint64_t i = 0; i < count; ++i) {
    auto device = std::make_unique<Device>();
    device->number = int(i);
    if (table_.device_open(0, &device->handle) ||
        table_.stream_create(device->handle, nullptr, &device->queue))
      return operatingSystem;
    const aicc_device_properties *p = table_.device_properties(device->handle);
    maxShared_ = p->max_shared_bytes;
    maxWorkgroup_ = p->max_workgroup;
    devices_.push_back(std::move(device));
  }
  initialized_ = true;
  return devices_.empty() ? noDevice : success;
}

bool Engine::initialized() {
  std::lock_guard lock(mutex_);
  return initialized_;
}

int Engine::count() {
  std::lock_guard lock(mutex_);
  return int(devices_.size());
}

Device *Engine::device(int number) {
  std::lock_guard lock(mutex_);
  return number >= 0 && size_t(number) < devices_.size()
             ? devices_[size_t(number)].get()
             : nullptr;
}

int Engine::retain(Device &device) {
  std::lock_guard lock(mutex_);
  ++device.references;
  return success;
}

// The last one takes the error with it, as a context does.
int Engine::release(Device &device) {
  std::unique_lock lock(mutex_);
  if (!device.references)
    return invalidContext;
  if (--device.references == 0) {
    drain(device, lock);
    device.error = 0;
  }
  return success;
}

bool Engine::isRetained(Device &device) {
  std::lock_guard lock(mutex_);
  return device.references > 0;
}

int Engine::stickyError(Device &device) {
  std::lock_guard lock(mutex_);
  return device.error;
}

bool Engine::known(const void *handle) const {
  return handle && live_.count(handle);
}

//===----------------------------------------------------------------------===//
// Memory
//===----------------------------------------------------------------------===//

// The allocation that holds these bytes as a whole.
const Engine::Allocation *Engine::allocationOf(const void *memory,
                                               uint64_t bytes) const {
  auto next = memory_.upper_bound(const_cast<void *>(memory));
  if (next == memory_.begin())
    return nullptr;
  const auto &[begin, allocation] = *std::prev(next);
  const auto offset = uint64_t(static_cast<const char *>(memory) -
                               static_cast<const char *>(begin));
  return offset <= allocation.bytes && bytes <= allocation.bytes - offset
             ? &allocation
             : nullptr;
}

int Engine::alloc(Device &device, uint64_t bytes, bool pinned, void **out) {
  std::lock_guard lock(mutex_);
  if (const int code = safe(nullptr))
    return code;
  if (!out || !bytes)
    return invalidValue;
  if (!pinned && (bytes > memoryBytes_ || device.used > memoryBytes_ - bytes))
    return outOfMemory;
  if (table_.alloc(device.handle, bytes, AICC_MEMORY_DEVICE, out))
    return outOfMemory;
  memory_[*out] = {&device, bytes, pinned};
  if (!pinned)
    device.used += bytes;
  return success;
}

// Waits for everything on the device, which may be using it.
int Engine::free(void *memory, bool pinned) {
  std::unique_lock lock(mutex_);
  if (const int code = safe(nullptr))
    return code;
  if (!memory)
    return success;
  auto found = memory_.find(memory);
  if (found == memory_.end() || found->second.pinned != pinned)
    return invalidValue;
  const Allocation allocation = found->second;
  drain(*allocation.device, lock);
  memory_.erase(memory);
  if (!pinned)
    allocation.device->used -= allocation.bytes;
  table_.free(allocation.device->handle, memory, AICC_MEMORY_DEVICE);
  return allocation.device->error;
}

int Engine::allocAsync(Stream *stream, uint64_t bytes, void **out) {
  {
    std::lock_guard lock(mutex_);
    if (!known(stream))
      return invalidHandle;
    if (stream->capture)
      return notSupported;
  }
  return alloc(*stream->device, bytes, false, out);
}

int Engine::freeAsync(Stream *stream, void *memory) {
  std::lock_guard lock(mutex_);
  if (!known(stream))
    return invalidHandle;
  if (stream->capture)
    return notSupported;
  auto found = memory_.find(memory);
  if (found == memory_.end() || found->second.pinned)
    return invalidValue;
  const Allocation allocation = found->second;
  memory_.erase(found);
  return push(stream, {[this, allocation, memory] {
                         Device &device = *allocation.device;
                         table_.free(device.handle, memory, AICC_MEMORY_DEVICE);
                         std::lock_guard lock(mutex_);
                         device.used -= allocation.bytes;
                         return int(success);
                       },
                       nullptr,
                       nullptr,
                       {}});
}

int Engine::copy(Stream *stream, void *to, const void *from, uint64_t bytes) {
  if (!bytes)
    return success;
  if (!to || !from)
    return invalidValue;
  return enqueue(stream, [this, stream, to, from, bytes]() -> int {
    return table_.copy(stream->device->queue, to, from, bytes)
               ? failed(table_.last_error())
               : success;
  });
}

int Engine::copyPeer(Stream *stream, void *to, Device &device, const void *from,
                     Device &peer, uint64_t bytes) {
  if (!bytes)
    return success;
  if (!to || !from)
    return invalidValue;
  // Over the host: each side is looked up in its own device.
  return enqueue(stream, [this, to, from, bytes, &device, &peer]() -> int {
    std::vector<char> between(bytes);
    return table_.copy(peer.queue, between.data(), from, bytes) ||
                   table_.copy(device.queue, to, between.data(), bytes)
               ? failed(table_.last_error())
               : success;
  });
}

int Engine::fill(Stream *stream, void *to, uint64_t value, unsigned width,
                 uint64_t count) {
  if (!count)
    return success;
  if (reinterpret_cast<uintptr_t>(to) % width || count > UINT64_MAX / width)
    return invalidValue;
  const uint64_t bytes = count * width;
  {
    std::lock_guard lock(mutex_);
    if (!allocationOf(to, bytes))
      return invalidValue;
  }
  return enqueue(stream, [this, stream, to, value, width, bytes] {
    table_.fill(stream->device->queue, to, bytes, value, width);
    return int(success);
  });
}

int Engine::enablePeer(Device &device, Device &peer) {
  std::lock_guard lock(mutex_);
  if (&device == &peer)
    return invalidDevice;
  return device.peers.insert(peer.number).second ? success
                                                 : peerAccessAlreadyEnabled;
}

//===----------------------------------------------------------------------===//
// Code
//===----------------------------------------------------------------------===//

// What an image is, by its first bytes, and how long if it is ours.
static int checkImage(const void *image, uint64_t &out_bytes,
                      std::string &out_log) {
#if defined(__x86_64__)
  constexpr unsigned host = EM_X86_64;
#else
  constexpr unsigned host = EM_AARCH64;
#endif
  const auto *bytes = static_cast<const unsigned char *>(image);
  const std::string expected = ", expected an object of format elf-virtual";
  if (std::strncmp(static_cast<const char *>(image), ELFMAG, SELFMAG) != 0) {
    const bool text = std::strchr("/. \t\n", *bytes) && *bytes;
    out_log = text ? "error: found text such as PTX" + expected
                   : "error: found bytes of no known format" + expected;
    return text ? invalidPtx : invalidImage;
  }
  Elf64_Ehdr header;
  std::memcpy(&header, image, sizeof header);
  if (header.e_ident[EI_CLASS] != ELFCLASS64 || header.e_machine != host) {
    out_log = "error: found code for machine " +
              std::to_string(header.e_machine) + expected;
    return noBinaryForGpu;
  }
  constexpr uint64_t most = uint64_t(1) << 40;
  if (header.e_shoff > most || header.e_phoff > most ||
      header.e_shentsize != sizeof(Elf64_Shdr) ||
      header.e_phentsize != sizeof(Elf64_Phdr)) {
    out_log = "error: found a damaged ELF header" + expected;
    return invalidImage;
  }
  out_bytes = header.e_shoff + uint64_t(header.e_shnum) * sizeof(Elf64_Shdr);
  for (unsigned i = 0; i < header.e_phnum; ++i) {
    Elf64_Phdr segment;
    std::memcpy(&segment, bytes + header.e_phoff + i * sizeof segment,
                sizeof segment);
    if (segment.p_offset < most && segment.p_filesz < most)
      out_bytes = std::max(out_bytes, segment.p_offset + segment.p_filesz);
  }
  return success;
}

int Engine::moduleLoad(Device &device, const void *image, Module **out,
                       std::string &out_log) {
  if (!image || !out)
    return invalidValue;
  uint64_t bytes = 0;
  if (const int code = checkImage(image, bytes, out_log))
    return code;
  auto module = std::make_unique<Module>();
  module->device = &device;
  const aicc_module_options options{sizeof options, "elf-virtual", nullptr};
  if (table_.module_load(device.handle, image, bytes, &options,
                         &module->handle)) {
    out_log = table_.last_error();
    return invalidImage;
  }
  std::lock_guard lock(mutex_);
  live_.insert(module.get());
  *out = module.release();
  return success;
}

int Engine::moduleUnload(Module *module) {
  std::unique_lock lock(mutex_);
  if (!known(module))
    return invalidHandle;
  Device &device = *module->device;
  drain(device, lock);
  live_.erase(module);
  std::erase_if(functions_, [&](const auto &entry) {
    if (entry.first.first != module)
      return false;
    live_.erase(entry.second.get());
    return true;
  });
  std::erase_if(globals_, [&](const auto &entry) {
    return entry.second.second == module;
  });
  table_.module_unload(module->handle);
  delete module;
  return device.error;
}

int Engine::moduleFunction(Module *module, const char *name, Function **out) {
  std::lock_guard lock(mutex_);
  if (!known(module))
    return invalidHandle;
  std::unique_ptr<Function> &function = functions_[{module, name}];
  if (!function) {
    auto made = std::make_unique<Function>();
    made->module = module;
    if (table_.module_kernel(module->handle, name, &made->kernel)) {
      functions_.erase({module, name});
      return notFound;
    }
    size_t bytes = 0;
    const void *tensors = virtual_device::moduleSymbol(
        module->handle, (std::string(name) + "__tensors").c_str(), &bytes);
    if (tensors && bytes >= sizeof(aicc_tensors))
      made->mapBytes = static_cast<const aicc_tensors *>(tensors)->count *
                       size_t(AICC_TENSOR_MAP_BYTES);
    live_.insert(made.get());
    function = std::move(made);
  }
  *out = function.get();
  return success;
}

int Engine::moduleGlobal(Module *module, const char *name, const void **out,
                         size_t *outBytes) {
  std::lock_guard lock(mutex_);
  if (!known(module))
    return invalidHandle;
  size_t bytes = 0;
  const void *found =
      virtual_device::moduleSymbol(module->handle, name, &bytes);
  if (!found)
    return notFound;
  globals_[found] = {bytes, module};
  if (out)
    *out = found;
  if (outBytes)
    *outBytes = bytes;
  return success;
}

bool Engine::isGlobal(const void *memory, size_t bytes) {
  std::lock_guard lock(mutex_);
  auto found = globals_.upper_bound(memory);
  if (found == globals_.begin())
    return false;
  --found;
  const size_t offset = static_cast<const char *>(memory) -
                        static_cast<const char *>(found->first);
  const size_t size = found->second.first;
  return offset <= size && bytes <= size - offset;
}

int Engine::allowShared(Function *function, int bytes) {
  std::lock_guard lock(mutex_);
  if (!known(function))
    return invalidHandle;
  if (bytes < 0 || unsigned(bytes) > maxShared_)
    return invalidValue;
  function->dynamicShared = unsigned(bytes);
  return success;
}

int Engine::launch(Function *function, const unsigned *grid,
                   const unsigned *block, unsigned sharedBytes, Stream *stream,
                   void **extra, uintptr_t endMarker) {
  {
    std::lock_guard lock(mutex_);
    if (!known(function) || !known(stream))
      return invalidHandle;
    if (sharedBytes > function->dynamicShared)
      return invalidValue;
  }
  if (function->module->device != stream->device)
    return invalidContext;
  uint64_t threads = 1;
  for (unsigned i = 0; i < 3; ++i) {
    if (!grid[i] || !block[i])
      return invalidValue;
    threads *= block[i];
  }
  if (threads > maxWorkgroup_ || grid[1] > 65535 || grid[2] > 65535)
    return invalidValue;
  // Pairs of a key and a pointer; only packed arguments are known here.
  const void *arguments = nullptr;
  size_t size = 0;
  for (; extra && reinterpret_cast<uintptr_t>(*extra) != endMarker;
       extra += 2) {
    const auto key = reinterpret_cast<uintptr_t>(extra[0]);
    if (key == 1)
      arguments = extra[1];
    else if (key == 2)
      size = *static_cast<const size_t *>(extra[1]);
    else
      return invalidValue;
  }
  if (!extra)
    return notSupported;
  // As on the hardware: what is packed begins with a gap.
  const size_t gap = function->firstParameter();
  if (size < gap)
    return invalidValue;
  arguments = static_cast<const char *>(arguments) + gap;
  size -= gap;
  // Less than the kernel's parameters, which end with the maps.
  if (function->mapBytes &&
      (size <= function->mapBytes || size % AICC_TENSOR_MAP_ALIGN))
    return invalidValue;
  auto packed = std::make_shared<std::vector<uint64_t>>((size + 7) / 8 + 1);
  if (size)
    std::memcpy(packed->data(), arguments, size);
  aicc_launch launch{};
  launch.struct_size = sizeof launch;
  launch.kernel = function->kernel;
  launch.args = packed->data();
  launch.args_bytes = uint32_t(size);
  std::copy_n(grid, 3, launch.grid);
  std::copy_n(block, 3, launch.workgroup);
  launch.shared_bytes = sharedBytes;
  return enqueue(stream, [this, stream, packed, launch]() -> int {
    return table_.launch(stream->device->queue, &launch)
               ? failed(table_.last_error())
               : success;
  });
}
