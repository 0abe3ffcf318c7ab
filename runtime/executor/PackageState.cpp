//===- PackageState.cpp - a package in use, and its code on a device ------===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "PackageState.h"

#include "runtime/executor/Run.h"

#include <algorithm>
#include <sys/stat.h>
#include <tuple>

using namespace aicc;
using namespace aicc::executor;
using package::Storage;

LoadedVariant::~LoadedVariant() {
  for (size_t i = 0; i < modules.size(); ++i)
    devices[variant->objects[i].device]->driver->module_unload(modules[i]);
}

bool LoadedVariant::isSynchronous() const {
  return std::all_of(devices.begin(), devices.end(), [](aicc_device *device) {
    return device->flag(AICC_DEVICE_SYNCHRONOUS);
  });
}

Status LoadedVariant::load(std::shared_ptr<const PackageReader> reader,
                           uint32_t variant,
                           const std::vector<aicc_device *> &devices,
                           uint32_t threads, bool verifyWeights,
                           std::shared_ptr<LoadedVariant> &out) {
  std::shared_ptr<LoadedVariant> loaded(new LoadedVariant);
  loaded->reader = std::move(reader);
  loaded->variant = &loaded->package().variants[variant];
  loaded->devices = devices;
  loaded->program =
      flatten(loaded->package(), *loaded->variant, /*prepare=*/false);
  const FlatProgram prepare =
      flatten(loaded->package(), *loaded->variant, /*prepare=*/true);
  AICC_RETURN_IF_ERROR(loaded->loadKernels());
  AICC_RETURN_IF_ERROR(loaded->makeCalls());
  AICC_RETURN_IF_ERROR(loaded->placeWeights(prepare, verifyWeights));
  AICC_RETURN_IF_ERROR(loaded->runPrepare(prepare, threads));
  out = std::move(loaded);
  return {};
}

Status LoadedVariant::loadKernels() {
  for (size_t i = 0; i < variant->objects.size(); ++i) {
    const program::Object &object = variant->objects[i];
    const std::string name = variant->target + "/" + std::to_string(i);
    // Before any vendor's loader sees it: they don't all survive damage.
    AICC_RETURN_IF_ERROR(reader->verify(
        object.data, "object " + std::to_string(i) + " of " + variant->target));
    std::span<const uint8_t> bytes = reader->section(object.data);
    aicc_device *device = devices[object.device];
    const aicc_module_options options{sizeof options, object.format.c_str(),
                                      name.c_str()};
    aicc_driver_module *module = nullptr;
    AICC_RETURN_IF_ERROR(device->check(
        device->driver->module_load(device->handle, bytes.data(), bytes.size(),
                                    &options, &module),
        "loading code"));
    modules.push_back(module);
  }
  for (const program::Kernel &kernel : variant->kernels) {
    aicc_device *device = devices[variant->deviceOf(kernel)];
    aicc_driver_kernel *handle = nullptr;
    AICC_RETURN_IF_ERROR(device->check(
        device->driver->module_kernel(modules[kernel.object],
                                      kernel.entry.c_str(), &handle),
        "finding a kernel"));
    kernels.push_back(handle);
  }
  return {};
}

Status LoadedVariant::makeCalls() {
  for (const program::Instruction *call : program.calls) {
    const aicc_device *device =
        devices[call->buffers.empty()
                    ? 0
                    : variant->buffers[call->buffers.front()].device];
    std::string name = "host function '" + call->function + "'";
    for (const std::string &source : call->sources)
      name += " of " + source;
    if (!device->flag(AICC_DEVICE_HOST_ACCESSIBLE) ||
        !device->flag(AICC_DEVICE_HOST_POINTERS))
      return Status(Code::unsupported,
                    name +
                        " needs a device that shares the host's memory, "
                        "found " +
                        device->name);
    host::Factory factory = host::find(call->function);
    if (!factory)
      return Status(Code::unsupported, name + " is unknown to this runtime");
    AICC_RETURN_IF_ERROR(
        factory(call->attributes, calls.emplace_back()).in(name));
  }
  return {};
}

Status LoadedVariant::placeWeights(const FlatProgram &prepare, bool verify) {
  resident.assign(variant->buffers.size(), nullptr);
  std::vector<bool> verified(package().weights.size(), !verify);
  for (uint32_t device = 0; device < devices.size(); ++device)
    AICC_RETURN_IF_ERROR(placeWeights(prepare, device, verified));
  return {};
}

Status LoadedVariant::placeWeights(const FlatProgram &prepare, uint32_t index,
                                   std::vector<bool> &verified) {
  aicc_device *device = devices[index];
  std::vector<void *> placed(package().weights.size(), nullptr);
  aicc_driver_stream *stream = nullptr;
  const bool upload = !device->flag(AICC_DEVICE_HOST_POINTERS);
  std::unique_ptr<aicc_driver_stream, void (*)(aicc_driver_stream *)> owner(
      nullptr, device->driver->stream_destroy);
  if (upload) {
    AICC_RETURN_IF_ERROR(device->check(
        device->driver->stream_create(device->handle, nullptr, &stream),
        "creating a stream"));
    owner.reset(stream);
  }
  for (size_t i = 0; i < variant->buffers.size(); ++i) {
    const program::Buffer &root = variant->buffers[variant->buffers[i].root];
    if (root.storage != Storage::weight || root.device != index ||
        !(program.used[i] || prepare.used[i]))
      continue;
    void *&place = placed[root.index];
    const program::Weight &weight = package().weights[root.index];
    if (!place) {
      std::span<const uint8_t> bytes = reader->section(weight.data);
      if (!verified[root.index])
        AICC_RETURN_IF_ERROR(
            reader->verify(weight.data, "weight '" + weight.name + "'"));
      verified[root.index] = true;
      weightBytes += bytes.size();
      if (upload) {
        aicc_device::Memory memory;
        AICC_RETURN_IF_ERROR(device->allocate(bytes.size(), memory)
                                 .in("weight '" + weight.name + "'"));
        AICC_RETURN_IF_ERROR(
            device->check(device->driver->copy(stream, memory.get(),
                                               bytes.data(), bytes.size()),
                          "copying a weight"));
        place = memory.get();
        uploadedBytes += bytes.size();
        this->memory.push_back(std::move(memory));
      } else {
        // Mapped read-only; the reader has refused kernels that write to it.
        place = const_cast<uint8_t *>(bytes.data());
      }
    }
    resident[i] = place;
  }
  if (upload)
    AICC_RETURN_IF_ERROR(device->check(
        device->driver->stream_synchronize(stream), "copying weights"));
  return {};
}

Status LoadedVariant::runPrepare(const FlatProgram &prepare, uint32_t threads) {
  auto binding = std::make_shared<Binding>();
  AICC_RETURN_IF_ERROR(bindPrepare(package(), *variant, prepare, *binding));

  // One block on each device for everything that stays.
  std::vector<uint64_t> offsets(variant->buffers.size());
  std::vector<uint64_t> totals(devices.size());
  for (size_t i = 0; i < variant->buffers.size(); ++i) {
    const program::Buffer &buffer = variant->buffers[i];
    if (buffer.storage != Storage::prepared || buffer.root != i)
      continue;
    uint64_t &total = totals[buffer.device];
    const int64_t bytes = binding->exprs[buffer.bytes];
    // 2^46 bytes is more than any machine has, and its sums don't overflow.
    if (bytes < 0 || bytes > int64_t(1) << 46 || total > uint64_t(1) << 46)
      return Status(Code::badPackage, "package is damaged: prepared buffer '" +
                                          buffer.name + "' would have " +
                                          std::to_string(bytes) + " bytes");
    offsets[i] = total;
    total += (uint64_t(bytes) + package::bufferAlignment - 1) /
             package::bufferAlignment * package::bufferAlignment;
  }
  for (uint32_t device = 0; device < devices.size(); ++device) {
    if (!totals[device])
      continue;
    aicc_device::Memory block;
    AICC_RETURN_IF_ERROR(devices[device]
                             ->allocate(totals[device], block)
                             .in("prepared weights"));
    for (size_t i = 0; i < variant->buffers.size(); ++i) {
      const uint32_t root = variant->buffers[i].root;
      if (variant->buffers[root].storage == Storage::prepared &&
          variant->buffers[root].device == device)
        resident[i] = static_cast<char *>(block.get()) + offsets[root];
    }
    preparedBytes += totals[device];
    memory.push_back(std::move(block));
  }
  if (prepare.steps.empty())
    return {};
  RunState state(*this, prepare);
  AICC_RETURN_IF_ERROR(state.create(threads));
  AICC_RETURN_IF_ERROR(state.adopt(binding));
  return state.execute({}).in("preparing weights");
}

Status PackageState::variant(uint32_t index,
                             const std::vector<aicc_device *> &devices,
                             uint32_t threads, bool verifyWeights,
                             std::shared_ptr<LoadedVariant> &out) {
  std::lock_guard lock(mutex);
  std::weak_ptr<LoadedVariant> &entry = loaded[{index, devices}];
  out = entry.lock();
  if (out)
    return {};
  AICC_RETURN_IF_ERROR(
      LoadedVariant::load(reader, index, devices, threads, verifyWeights, out));
  entry = out;
  return {};
}

// Why part `part` of a variant can't run on a device; empty if it can.
static std::string obstacle(const program::Variant &variant, uint32_t part,
                            const aicc_device &device) {
  const program::Device &wanted = variant.devices[part];
  if (wanted.family != device.driver->family)
    return "is for family " + wanted.family;
  for (const std::string &feature : wanted.required)
    if (!device.hasFeature(feature))
      return "needs " + feature;
  for (const program::Object &object : variant.objects)
    if (object.device == part && !device.takesFormat(object.format))
      return "has code of format " + object.format;
  return {};
}

// Gives each part of a variant a device, in the order of `out`; why that can't
// be done otherwise.
static std::string assign(const program::Variant &variant,
                          const std::vector<aicc_device *> &devices,
                          std::vector<aicc_device *> &out) {
  if (variant.devices.size() == 1 && devices.size() == 1) {
    out = devices;
    return obstacle(variant, 0, *devices[0]);
  }
  if (variant.devices.size() != devices.size())
    return "is for " + std::to_string(variant.devices.size()) +
           (variant.devices.size() == 1 ? " device" : " devices");
  std::vector<aicc_device *> left = devices;
  out.clear();
  for (uint32_t part = 0; part < variant.devices.size(); ++part) {
    std::string reason;
    auto taken = left.end();
    for (auto it = left.begin(); it != left.end() && taken == left.end(); ++it)
      if (std::string why = obstacle(variant, part, **it); why.empty())
        taken = it;
      else if (variant.devices[part].family == (*it)->driver->family)
        reason = "on " + (*it)->name + " " + why;
    if (taken == left.end())
      return !reason.empty()
                 ? reason
                 : "needs a device of family " + variant.devices[part].family;
    out.push_back(*taken);
    left.erase(taken);
  }
  return {};
}

Status PackageState::choose(std::vector<aicc_device *> &devices,
                            const char *wanted, uint32_t &out) const {
  const std::vector<program::Variant> &variants = reader->contents().variants;
  std::string reasons;
  std::vector<aicc_device *> assigned;
  for (uint32_t i = 0; i < variants.size(); ++i) {
    if (wanted && variants[i].target != wanted)
      continue;
    const std::string reason = assign(variants[i], devices, assigned);
    if (reason.empty()) {
      out = i;
      devices = assigned;
      return {};
    }
    reasons +=
        (reasons.empty() ? "" : "; ") + variants[i].target + " " + reason;
  }
  if (wanted && reasons.empty()) {
    std::string known;
    for (const program::Variant &variant : variants)
      known += (known.empty() ? "" : ", ") + variant.target;
    return Status(Code::notFound, "package has no variant '" +
                                      std::string(wanted) + "'; it has " +
                                      (known.empty() ? "none" : known));
  }
  std::string names, absent;
  for (const aicc_device *device : devices) {
    const std::string chip = device->properties->chip;
    names += (names.empty() ? "" : ", ") + device->name +
             (chip.empty() ? "" : " (" + chip + ")");
    const std::string &family = device->driver->family;
    const bool has = std::ranges::any_of(variants, [&](const auto &variant) {
      return std::ranges::any_of(variant.devices, [&](const auto &part) {
        return part.family == family;
      });
    });
    if (!has && devices.size() == 1)
      absent = "; compile it with --target=" + family;
  }
  return Status(Code::unsupported,
                "package has no code that " + names +
                    (devices.size() > 1 ? " run: " : " runs: ") +
                    (reasons.empty() ? "it has none at all" : reasons) +
                    absent);
}

Status aicc::executor::openShared(const std::string &path,
                                  std::shared_ptr<PackageState> &out) {
  using Key = std::tuple<dev_t, ino_t, off_t, int64_t, int64_t>;
  static std::mutex *mutex = new std::mutex;
  static auto *open = new std::map<Key, std::weak_ptr<PackageState>>;

  struct stat info;
  const bool known = stat(path.c_str(), &info) == 0;
  std::lock_guard lock(*mutex);
  std::erase_if(*open,
                [](const auto &entry) { return entry.second.expired(); });
  Key key;
  if (known) {
    key = Key(info.st_dev, info.st_ino, info.st_size,
              int64_t(info.st_mtim.tv_sec), int64_t(info.st_mtim.tv_nsec));
    if (auto found = open->find(key); found != open->end()) {
      out = found->second.lock();
      if (out)
        return {};
    }
  }
  auto state = std::make_shared<PackageState>();
  AICC_RETURN_IF_ERROR(PackageReader::open(path, state->reader));
  if (known)
    (*open)[key] = state;
  out = std::move(state);
  return {};
}
