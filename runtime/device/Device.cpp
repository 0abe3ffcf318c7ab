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
#include <utility>

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

// A driver and, once somebody asked for them, its devices: a vendor's library
// takes time and memory, and a program for the cpu needs none of it.
struct Entry {
  std::unique_ptr<aicc_driver> table;
  bool opened = false;
  std::vector<aicc_device *> devices; // for good
  std::string note;                   // why there are none
};

struct Registry {
  std::mutex mutex;
  std::vector<std::unique_ptr<Entry>> entries;
  std::string notes; // of drivers that were not taken

  Status add(const aicc_driver *table);
  Status load(const std::string &path);
  void open(Entry &entry);
  std::vector<aicc_device *> devices(std::string_view family = {});
};

// The names in a list, e.g. of an environment variable.
std::vector<std::string> split(std::string_view text, char separator) {
  std::vector<std::string> parts;
  while (!text.empty()) {
    const size_t end = std::min(text.find(separator), text.size());
    if (end)
      parts.emplace_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return parts;
}

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
  auto entry = std::make_unique<Entry>();
  entry->table = std::move(table);
  entries.push_back(std::move(entry));
  return {};
}

void Registry::open(Entry &entry) {
  if (std::exchange(entry.opened, true))
    return;
  const aicc_driver &driver = *entry.table;
  const std::string family = driver.family;
  // Two drivers of one family count on.
  size_t taken = 0;
  for (const std::unique_ptr<Entry> &other : entries)
    if (family == other->table->family)
      taken += other->devices.size();
  uint32_t count = 0;
  if (driver.device_count(&count) != AICC_OK || count == 0) {
    const char *reason = driver.last_error();
    entry.note = family + ": " + (reason && *reason ? reason : "no device");
    return;
  }
  for (uint32_t i = 0; i < count; ++i) {
    auto device = std::make_unique<aicc_device>();
    device->driver = &driver;
    device->name = family + ":" + std::to_string(taken + i);
    if (driver.device_open(i, &device->handle) != AICC_OK) {
      entry.note = device->name + ": " + driver.last_error();
      continue;
    }
    device->properties = driver.device_properties(device->handle);
    entry.devices.push_back(device.release());
  }
}

// Of one family, or of all.
std::vector<aicc_device *> Registry::devices(std::string_view family) {
  std::vector<aicc_device *> result;
  for (const std::unique_ptr<Entry> &entry : entries) {
    if (!family.empty() && family != entry->table->family)
      continue;
    open(*entry);
    result.insert(result.end(), entry->devices.begin(), entry->devices.end());
  }
  return result;
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
    auto note = [created](Status status) {
      if (!status.ok())
        created->notes += status.message() + "\n";
    };
    const char *only = std::getenv("AICC_DRIVERS");
    const std::vector<std::string> families = split(only ? only : "", ',');
    for (aicc_driver_function function : linkedDrivers()) {
      const aicc_driver *table = function();
      if (!only || std::find(families.begin(), families.end(), table->family) !=
                       families.end())
        note(created->add(table));
    }
    const char *paths = std::getenv("AICC_DRIVER_PATH");
    for (const std::string &path : split(paths ? paths : "", ':'))
      note(created->load(path));
    return created;
  }();
  return *instance;
}

} // namespace

std::vector<aicc_device *> aicc::device::all() {
  Registry &r = registry();
  std::lock_guard lock(r.mutex);
  return r.devices();
}

Status aicc::device::find(std::string_view name, aicc_device *&out) {
  Registry &r = registry();
  std::lock_guard lock(r.mutex);
  // The longest family that the name begins with: "cuda:virtual" is one.
  std::string_view family = name.substr(0, name.find(':'));
  for (const std::unique_ptr<Entry> &entry : r.entries) {
    const std::string_view other = entry->table->family;
    if (other.size() > family.size() && name.starts_with(other) &&
        (name.size() == other.size() || name[other.size()] == ':'))
      family = other;
  }
  for (aicc_device *device : r.devices(family))
    if (device->name == name || family == name) {
      out = device;
      return {};
    }
  std::string known;
  for (aicc_device *device : r.devices())
    known += (known.empty() ? "" : ", ") + device->name;
  std::string message = "device '" + std::string(name) +
                        "' doesn't exist; there is " +
                        (known.empty() ? "none" : known);
  for (const std::unique_ptr<Entry> &entry : r.entries)
    if (family == entry->table->family && !entry->note.empty())
      message += " (" + entry->note + ")";
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
  std::string text = r.notes;
  // A family of several drivers is there if one of them has a device.
  auto there = [&](std::string_view family) {
    return std::any_of(r.entries.begin(), r.entries.end(),
                       [&](const std::unique_ptr<Entry> &entry) {
                         return family == entry->table->family &&
                                !entry->devices.empty();
                       });
  };
  for (const std::unique_ptr<Entry> &entry : r.entries)
    if (!entry->note.empty() &&
        (!entry->devices.empty() || !there(entry->table->family)))
      text += entry->note + "\n";
  return text;
}
