//===- Device.cpp - the devices of this process ---------------------------===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Device.h"

#include "Drivers.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <dlfcn.h>
#include <mutex>

using namespace aicc;

bool aicc_device::hasFeature(std::string_view feature) const {
  for (size_t i = 0; i < properties->feature_count; ++i)
    if (feature == properties->features[i])
      return true;
  return false;
}

bool aicc_device::takesFormat(std::string_view format) const {
  for (size_t i = 0; i < properties->format_count; ++i)
    if (format == properties->formats[i])
      return true;
  return false;
}

Status aicc_device::failure(int result, const char *what) const {
  const char *reason = driver->last_error();
  Code code = result > 0 && result <= int(Code::ioError) ? Code(result)
                                                         : Code::deviceError;
  return Status(code,
                name + ": " + what + " failed: " +
                    (reason && *reason ? reason : "the driver gave no reason"));
}

Status aicc_device::allocate(uint64_t bytes, Memory &out, uint32_t kind) {
  void *memory = nullptr;
  AICC_RETURN_IF_ERROR(
      check(driver->alloc(handle, bytes, kind, &memory), "allocation"));
  out = Memory(memory, Freer{this, kind});
  return {};
}

namespace {

struct Registry {
  std::mutex mutex;
  std::vector<aicc_device *> devices;
  std::string notes;

  void note(const std::string &line) { notes += line + "\n"; }
  Status add(const aicc_driver *table);
  Status load(const std::string &path);
};

Status Registry::add(const aicc_driver *given) {
  if (!given)
    return Status(Code::unsupported, "driver does not serve runtime version " +
                                         std::to_string(AICC_DRIVER_VERSION));
  if (given->version != AICC_DRIVER_VERSION ||
      given->struct_size < offsetof(aicc_driver, copy_peer))
    return Status(Code::unsupported,
                  "driver has table version " + std::to_string(given->version) +
                      ", expected " + std::to_string(AICC_DRIVER_VERSION));
  // Functions that an older table doesn't have are NULL in the copy.
  auto table = std::make_unique<aicc_driver>();
  std::memset(table.get(), 0, sizeof *table);
  std::memcpy(table.get(), given, std::min(given->struct_size, sizeof *table));
  const bool complete =
      table->family && table->name && table->last_error &&
      table->device_count && table->device_open && table->device_close &&
      table->device_properties && table->alloc && table->free &&
      table->stream_create && table->stream_destroy &&
      table->stream_synchronize && table->stream_wait && table->event_create &&
      table->event_destroy && table->event_record && table->event_synchronize &&
      table->event_query && table->event_times && table->module_load &&
      table->module_unload && table->module_kernel && table->launch &&
      table->copy && table->fill;
  if (!complete)
    return Status(Code::unsupported, "driver lacks a required function");
  uint32_t count = 0;
  const std::string family = table->family;
  if (int result = table->device_count(&count);
      result != AICC_OK || count == 0) {
    const char *reason = table->last_error();
    note(family + ": " + (reason && *reason ? reason : "no device"));
    return {};
  }
  const aicc_driver *driver = table.release(); // with its devices, for good
  const size_t taken =
      size_t(std::count_if(devices.begin(), devices.end(), [&](auto *device) {
        return family == device->driver->family;
      }));
  for (uint32_t i = 0; i < count; ++i) {
    auto device = std::make_unique<aicc_device>();
    device->driver = driver;
    device->name = family + ":" + std::to_string(taken + i);
    if (driver->device_open(i, &device->handle) != AICC_OK) {
      note(device->name + ": " + driver->last_error());
      continue;
    }
    device->properties = driver->device_properties(device->handle);
    devices.push_back(device.release());
  }
  return {};
}

Status Registry::load(const std::string &path) {
  void *library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (!library) {
    const char *reason = dlerror();
    return Status(Code::notFound, "cannot load driver '" + path + "': " +
                                      (reason ? reason : "unknown reason"));
  }
  auto get = reinterpret_cast<aicc_driver_get_function>(
      dlsym(library, "aicc_driver_get"));
  if (!get)
    return Status(Code::unsupported,
                  "driver '" + path + "' doesn't export aicc_driver_get");
  return add(get(AICC_DRIVER_VERSION)).in("'" + path + "'");
}

// Never destroyed: threads may still run kernels while the process exits.
Registry &registry() {
  static Registry *instance = [] {
    auto *created = new Registry;
    for (aicc_driver_function function : linkedDrivers())
      if (Status status = created->add(function()); !status.ok())
        created->note(status.message());
    if (const char *paths = std::getenv("AICC_DRIVER_PATH")) {
      std::string_view rest = paths;
      while (!rest.empty()) {
        const size_t end = std::min(rest.find(':'), rest.size());
        const std::string path(rest.substr(0, end));
        rest.remove_prefix(std::min(end + 1, rest.size()));
        if (path.empty())
          continue;
        if (Status status = created->load(path); !status.ok())
          created->note(status.message());
      }
    }
    return created;
  }();
  return *instance;
}

} // namespace

std::vector<aicc_device *> aicc::device::all() {
  Registry &r = registry();
  std::lock_guard lock(r.mutex);
  return r.devices;
}

Status aicc::device::find(std::string_view name, aicc_device *&out) {
  Registry &r = registry();
  std::lock_guard lock(r.mutex);
  std::string known;
  for (aicc_device *device : r.devices) {
    if (device->name == name || device->driver->family == name) {
      out = device;
      return {};
    }
    known += (known.empty() ? "" : ", ") + device->name;
  }
  std::string message = "device '" + std::string(name) +
                        "' doesn't exist; there is " +
                        (known.empty() ? "none" : known);
  // What its driver had to say, if any.
  const std::string family(name.substr(0, name.find(':')));
  size_t at = 0;
  while (at < r.notes.size()) {
    const size_t end = r.notes.find('\n', at);
    std::string line = r.notes.substr(at, end - at);
    if (line.compare(0, family.size(), family) == 0)
      message += " (" + line + ")";
    at = end + 1;
  }
  return Status(Code::notFound, message);
}

Status aicc::device::loadDriver(const std::string &path) {
  Registry &r = registry();
  std::lock_guard lock(r.mutex);
  return r.load(path);
}

Status aicc::device::addDriver(const aicc_driver *table) {
  Registry &r = registry();
  std::lock_guard lock(r.mutex);
  return r.add(table);
}

std::string aicc::device::notes() {
  Registry &r = registry();
  std::lock_guard lock(r.mutex);
  return r.notes;
}
