//===- Runtime.cpp - the C API --------------------------------------------===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Checks what a C caller can get wrong and hands on; the work is done
// elsewhere. Tensors are in Tensor.cpp.
//
//===----------------------------------------------------------------------===//

#include "runtime/core/Describe.h"
#include "runtime/core/Tensor.h"
#include "runtime/executor/Session.h"

#include <algorithm>
#include <cstring>

using namespace aicc;

//===----------------------------------------------------------------------===//
// Results and types
//===----------------------------------------------------------------------===//

static thread_local std::string lastMessage;

aicc_status aicc::report(const Status &status) {
  if (!status.ok())
    lastMessage = status.message();
  return aicc_status(status.code());
}

uint32_t aicc_runtime_version(void) { return AICC_RUNTIME_VERSION; }

const char *aicc_message(void) { return lastMessage.c_str(); }

size_t aicc_type_size(aicc_type type) {
  return program::elementSize(elementType(type));
}

const char *aicc_type_name(aicc_type type) {
  return program::elementTypeName(elementType(type));
}

// A field of the caller's options, its default where the struct is older.
template <typename Options, typename Field>
static Field option(const Options *options, Field Options::*field,
                    Field fallback) {
  if (!options)
    return fallback;
  const char *begin = reinterpret_cast<const char *>(options);
  const char *end = reinterpret_cast<const char *>(&(options->*field) + 1);
  return options->struct_size >= size_t(end - begin) ? options->*field
                                                     : fallback;
}

// Fills as much of the caller's struct as it knows.
template <typename Info> static aicc_status fill(Info *out, const Info &info) {
  const size_t size = out->struct_size;
  if (size < sizeof(size_t))
    return report(invalidArgument("struct_size is " + std::to_string(size) +
                                  ", expected sizeof the struct"));
  std::memcpy(out, &info, std::min(size, sizeof info));
  out->struct_size = size;
  return AICC_OK;
}

//===----------------------------------------------------------------------===//
// Devices
//===----------------------------------------------------------------------===//

size_t aicc_device_count(void) { return device::all().size(); }

aicc_device *aicc_device_at(size_t index) {
  std::vector<aicc_device *> devices = device::all();
  return index < devices.size() ? devices[index] : nullptr;
}

aicc_device *aicc_device_find(const char *name) {
  aicc_device *found = nullptr;
  if (report(device::find(name ? name : "", found)) != AICC_OK)
    return nullptr;
  return found;
}

aicc_status aicc_device_get_info(const aicc_device *device,
                                 aicc_device_info *out) {
  const aicc_device_properties &properties = *device->properties;
  aicc_device_info info{};
  info.name = device->name.c_str();
  info.family = device->driver->family;
  info.description = properties.name;
  info.chip = properties.chip;
  info.version = properties.version;
  info.features = properties.features;
  info.feature_count = properties.feature_count;
  info.memory_bytes = properties.memory_bytes;
  info.compute_units = properties.compute_units;
  return fill(out, info);
}

aicc_status aicc_driver_load(const char *path) {
  return report(device::loadDriver(path));
}

const char *aicc_driver_notes(void) {
  static thread_local std::string notes;
  notes = device::notes();
  return notes.c_str();
}

//===----------------------------------------------------------------------===//
// Packages
//===----------------------------------------------------------------------===//

struct aicc_package {
  std::atomic<uint32_t> references{1};
  std::shared_ptr<executor::PackageState> state;
  bool trustWeights = false;

  struct PortText {
    std::vector<int64_t> dims;
    std::vector<std::string> texts;
    std::vector<const char *> pointers;
    bool late = false; // some are known during a run only
  };
  std::vector<PortText> inputs, outputs;
  std::once_flag described;
  std::string description;

  const program::Package &contents() const { return state->reader->contents(); }
};

struct aicc_session {
  std::atomic<uint32_t> references{1};
  aicc_package *package = nullptr; // a reference
  std::unique_ptr<executor::Session> session;

  ~aicc_session() {
    session.reset();
    aicc_package_release(package);
  }
};

static aicc_package::PortText portText(const program::Package &package,
                                       const program::Port &port) {
  aicc_package::PortText text;
  const uint32_t named = uint32_t(package.symbols.size());
  for (uint32_t dim : port.dims) {
    const std::vector<uint32_t> symbols = package.exprs.symbolsOf(dim);
    text.late |= !symbols.empty() && symbols.back() >= named;
    const Expressions::Node &node = package.exprs.nodes[dim];
    text.dims.push_back(node.op() == package::ExprOp::constant ? node.value()
                                                               : -1);
    text.texts.push_back(package.exprs.print(dim, package.symbols));
  }
  for (const std::string &string : text.texts)
    text.pointers.push_back(string.c_str());
  return text;
}

static aicc_package *makePackage(std::shared_ptr<executor::PackageState> state,
                                 const aicc_package_options *options) {
  auto *package = new aicc_package;
  package->state = std::move(state);
  package->trustWeights =
      option(options, &aicc_package_options::trust_weights, 0u) != 0;
  for (const program::Port &port : package->contents().inputs)
    package->inputs.push_back(portText(package->contents(), port));
  for (const program::Port &port : package->contents().outputs)
    package->outputs.push_back(portText(package->contents(), port));
  return package;
}

aicc_status aicc_package_open(const char *path,
                              const aicc_package_options *options,
                              aicc_package **out) {
  std::shared_ptr<executor::PackageState> state;
  if (Status status = executor::openShared(path, state); !status.ok())
    return report(status);
  *out = makePackage(std::move(state), options);
  return AICC_OK;
}

aicc_status aicc_package_from_memory(const void *data, size_t bytes,
                                     void (*release)(void *context),
                                     void *context,
                                     const aicc_package_options *options,
                                     aicc_package **out) {
  auto state = std::make_shared<executor::PackageState>();
  std::function<void()> releaser;
  if (release)
    releaser = [release, context] { release(context); };
  if (Status status = PackageReader::fromMemory(
          data, bytes, std::move(releaser), state->reader);
      !status.ok())
    return report(status);
  *out = makePackage(std::move(state), options);
  return AICC_OK;
}

void aicc_package_retain(aicc_package *package) {
  package->references.fetch_add(1, std::memory_order_relaxed);
}

void aicc_package_release(aicc_package *package) {
  if (package &&
      package->references.fetch_sub(1, std::memory_order_acq_rel) == 1)
    delete package;
}

size_t aicc_package_input_count(const aicc_package *package) {
  return package->inputs.size();
}

size_t aicc_package_output_count(const aicc_package *package) {
  return package->outputs.size();
}

static Status checkIndex(const char *what, size_t index, size_t count) {
  if (index < count)
    return {};
  return invalidArgument(std::string(what) + " index is " +
                         std::to_string(index) + ", but there are " +
                         std::to_string(count));
}

static aicc_status getPort(const std::vector<program::Port> &ports,
                           const std::vector<aicc_package::PortText> &texts,
                           const char *what, size_t index, aicc_port *out) {
  if (Status status = checkIndex(what, index, ports.size()); !status.ok())
    return report(status);
  aicc_port port{};
  port.name = ports[index].name.c_str();
  port.type = publicType(ports[index].type);
  port.rank = ports[index].dims.size();
  port.dims = texts[index].dims.data();
  port.expressions = texts[index].pointers.data();
  port.data_dependent = texts[index].late;
  return fill(out, port);
}

aicc_status aicc_package_input(const aicc_package *package, size_t index,
                               aicc_port *out) {
  return getPort(package->contents().inputs, package->inputs, "input", index,
                 out);
}

aicc_status aicc_package_output(const aicc_package *package, size_t index,
                                aicc_port *out) {
  return getPort(package->contents().outputs, package->outputs, "output", index,
                 out);
}

static aicc_status findPort(const std::vector<program::Port> &ports,
                            const char *what, const char *name, size_t *out) {
  std::string known;
  for (size_t i = 0; i < ports.size(); ++i) {
    if (ports[i].name == name) {
      *out = i;
      return AICC_OK;
    }
    known += (i ? ", '" : "'") + ports[i].name + "'";
  }
  return report(Status(Code::notFound, "model has no " + std::string(what) +
                                           " '" + name + "'; it has " +
                                           (known.empty() ? "none" : known)));
}

aicc_status aicc_package_find_input(const aicc_package *package,
                                    const char *name, size_t *out) {
  return findPort(package->contents().inputs, "input", name, out);
}

aicc_status aicc_package_find_output(const aicc_package *package,
                                     const char *name, size_t *out) {
  return findPort(package->contents().outputs, "output", name, out);
}

size_t aicc_package_symbol_count(const aicc_package *package) {
  return package->contents().symbols.size();
}

const char *aicc_package_symbol(const aicc_package *package, size_t index) {
  const std::vector<std::string> &symbols = package->contents().symbols;
  return index < symbols.size() ? symbols[index].c_str() : nullptr;
}

size_t aicc_package_variant_count(const aicc_package *package) {
  return package->contents().variants.size();
}

const char *aicc_package_variant(const aicc_package *package, size_t index) {
  const std::vector<program::Variant> &variants = package->contents().variants;
  return index < variants.size() ? variants[index].target.c_str() : nullptr;
}

const char *aicc_package_signature(const aicc_package *package) {
  const std::string &text = package->contents().signature;
  return text.empty() ? nullptr : text.c_str();
}

const char *aicc_package_describe(aicc_package *package) {
  std::call_once(package->described, [&] {
    package->description =
        describe(package->contents(), package->state->reader->bytes().size());
  });
  return package->description.c_str();
}

static aicc_status getDims(const aicc_package *package,
                           const std::vector<program::Port> &ports,
                           const std::vector<aicc_package::PortText> &texts,
                           const char *what, size_t index,
                           const int64_t *symbols, int64_t *out) {
  if (Status status = checkIndex(what, index, ports.size()); !status.ok())
    return report(status);
  const program::Package &contents = package->contents();
  if (texts[index].late)
    return report(Status(Code::unsupported,
                         std::string(what) + " '" + ports[index].name +
                             "' has a shape that only a run finds out"));
  std::vector<int64_t> values(contents.symbolCount), dims;
  std::copy_n(symbols, contents.symbols.size(), values.begin());
  if (Status status = executor::portDims(contents, ports[index], values, dims);
      !status.ok())
    return report(status);
  std::copy(dims.begin(), dims.end(), out);
  return AICC_OK;
}

aicc_status aicc_package_input_dims(const aicc_package *package, size_t index,
                                    const int64_t *symbols, int64_t *out) {
  return getDims(package, package->contents().inputs, package->inputs, "input",
                 index, symbols, out);
}

aicc_status aicc_package_output_dims(const aicc_package *package, size_t index,
                                     const int64_t *symbols, int64_t *out) {
  return getDims(package, package->contents().outputs, package->outputs,
                 "output", index, symbols, out);
}

aicc_status aicc_package_bind(const aicc_package *package,
                              const int64_t *const *dims, const size_t *ranks,
                              int64_t *out) {
  const program::Package &contents = package->contents();
  std::vector<std::span<const int64_t>> spans;
  for (size_t i = 0; i < contents.inputs.size(); ++i)
    spans.emplace_back(dims[i], ranks[i]);
  std::vector<int64_t> symbols;
  if (Status status = executor::bindSymbols(contents, spans, symbols);
      !status.ok())
    return report(status);
  std::copy_n(symbols.begin(), contents.symbols.size(), out);
  return AICC_OK;
}

//===----------------------------------------------------------------------===//
// Sessions
//===----------------------------------------------------------------------===//

aicc_status aicc_session_create(aicc_package *package, aicc_device *device,
                                const aicc_session_options *options,
                                aicc_session **out) {
  return aicc_session_create_on_devices(package, &device, 1, options, out);
}

aicc_status aicc_session_create_on_devices(aicc_package *package,
                                           aicc_device *const *devices,
                                           size_t count,
                                           const aicc_session_options *options,
                                           aicc_session **out) {
  std::vector<aicc_device *> all(devices, devices + count);
  if (!package || all.empty() || std::count(all.begin(), all.end(), nullptr))
    return report(
        invalidArgument("a session needs a package and a device, found no " +
                        std::string(package ? "device" : "package")));
  for (auto it = all.begin(); it != all.end(); ++it)
    if (std::count(all.begin(), it, *it))
      return report(invalidArgument("device " + (*it)->name +
                                    " is given twice, expected other ones"));
  auto session = std::make_unique<aicc_session>();
  const char *none = nullptr;
  if (Status status = executor::Session::create(
          package->state, std::move(all),
          option(options, &aicc_session_options::threads, 0u),
          option(options, &aicc_session_options::variant, none),
          !package->trustWeights, session->session);
      !status.ok())
    return report(status);
  aicc_package_retain(package);
  session->package = package;
  *out = session.release();
  return AICC_OK;
}

void aicc_session_retain(aicc_session *session) {
  session->references.fetch_add(1, std::memory_order_relaxed);
}

void aicc_session_release(aicc_session *session) {
  if (session &&
      session->references.fetch_sub(1, std::memory_order_acq_rel) == 1)
    delete session;
}

aicc_package *aicc_session_package(const aicc_session *session) {
  return session->package;
}

aicc_device *aicc_session_device(const aicc_session *session) {
  return session->session->code().devices.front();
}

size_t aicc_session_device_count(const aicc_session *session) {
  return session->session->code().devices.size();
}

aicc_device *aicc_session_device_at(const aicc_session *session, size_t index) {
  const std::vector<aicc_device *> &devices = session->session->code().devices;
  return index < devices.size() ? devices[index] : nullptr;
}

const char *aicc_session_variant(const aicc_session *session) {
  return session->session->code().variant->target.c_str();
}

aicc_status aicc_session_run(aicc_session *session, aicc_tensor *const *inputs,
                             size_t input_count, aicc_tensor **outputs,
                             size_t output_count) {
  return report(session->session->run(std::span(inputs, input_count),
                                      std::span(outputs, output_count)));
}

aicc_status aicc_session_run_async(aicc_session *session,
                                   aicc_tensor *const *inputs,
                                   size_t input_count, aicc_tensor **outputs,
                                   size_t output_count, aicc_run **out_run) {
  aicc_run *run;
  Status status = session->session->runAsync(
      std::span(inputs, input_count), std::span(outputs, output_count), run);
  if (status.ok())
    *out_run = run;
  return report(status);
}

aicc_status aicc_run_wait(aicc_run *run) {
  std::unique_lock lock(run->mutex);
  run->finished.wait(lock, [run] { return run->done.load(); });
  if (run->code == Code::ok)
    return AICC_OK;
  return report(Status(run->code, run->message));
}

aicc_status aicc_run_output(const aicc_run *run, size_t index,
                            aicc_tensor **out) {
  if (!run->done.load(std::memory_order_acquire))
    return report(invalidArgument("run has not ended, expected a wait for it"));
  if (run->code != Code::ok)
    return report(Status(run->code, run->message));
  if (Status status = checkIndex("output", index, run->outputs.size());
      !status.ok())
    return report(status);
  *out = run->outputs[index];
  return AICC_OK;
}

int aicc_run_done(const aicc_run *run) {
  return run->done.load(std::memory_order_acquire);
}

void aicc_run_retain(aicc_run *run) {
  run->references.fetch_add(1, std::memory_order_relaxed);
}

void aicc_run_release(aicc_run *run) {
  if (run && run->references.fetch_sub(1, std::memory_order_acq_rel) == 1)
    delete run;
}

aicc_status aicc_session_memory(const aicc_session *session,
                                aicc_memory_info *out) {
  aicc_memory_info info{};
  session->session->memory(info);
  return fill(out, info);
}

aicc_status aicc_session_profile(
    aicc_session *session,
    void (*callback)(const aicc_profile_event *event, void *context),
    void *context) {
  session->session->setProfiler({callback, context});
  return AICC_OK;
}

aicc_status aicc_session_observe(aicc_session *session,
                                 void (*callback)(const aicc_value *value,
                                                  void *context),
                                 void *context) {
  session->session->setObserver({callback, context});
  return AICC_OK;
}
