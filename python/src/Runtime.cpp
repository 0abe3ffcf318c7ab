//===- Runtime.cpp - the runtime's C interface for Python -----------------===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The module aicc._runtime: devices, packages, sessions and tensors, thinly.
// What is convenient is Python (aicc/__init__.py). Each object holds one
// reference of the C interface; its threading is the C interface's, and the
// interpreter's lock is released while a model runs.
//
//===----------------------------------------------------------------------===//

#include <aicc/dlpack.h>
#include <aicc/runtime.h>

#include <nanobind/nanobind.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/variant.h>
#include <nanobind/stl/vector.h>

#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

namespace nb = nanobind;

namespace {

struct Error : std::runtime_error {
  using std::runtime_error::runtime_error;
};

void check(aicc_status status) {
  if (status != AICC_OK)
    throw Error(aicc_message());
}

/// One reference to a counted object.
template <typename T, void (*release)(T *)> class Handle {
public:
  Handle() = default;
  explicit Handle(T *object) : object(object) {}
  Handle(Handle &&other) noexcept
      : object(std::exchange(other.object, nullptr)) {}
  Handle &operator=(Handle &&other) noexcept {
    std::swap(object, other.object);
    return *this;
  }
  ~Handle() { release(object); }
  T *get() const { return object; }

private:
  T *object = nullptr;
};

struct Tensor : Handle<aicc_tensor, aicc_tensor_release> {
  using Handle::Handle;
};
struct Package : Handle<aicc_package, aicc_package_release> {
  using Handle::Handle;
};
struct Session : Handle<aicc_session, aicc_session_release> {
  using Handle::Handle;
};

/// Gives back what a C object held of Python's.
void releaseObject(void *object) {
  // Whoever lets the last reference go need not hold the lock.
  nb::gil_scoped_acquire lock;
  Py_DECREF(static_cast<PyObject *>(object));
}

//===----------------------------------------------------------------------===//
// Tensors
//===----------------------------------------------------------------------===//

Tensor createTensor(int type, const std::vector<int64_t> &dims) {
  aicc_tensor *tensor;
  check(aicc_tensor_create(aicc_type(type), dims.size(), dims.data(), &tensor));
  return Tensor(tensor);
}

/// Memory at an address that lives as long as `owner`.
Tensor tensorAt(uintptr_t address, int type, const std::vector<int64_t> &dims,
                nb::object owner) {
  aicc_tensor *tensor;
  check(aicc_tensor_from_host(reinterpret_cast<void *>(address),
                              aicc_type(type), dims.size(), dims.data(),
                              releaseObject, owner.ptr(), &tensor));
  owner.release();
  return Tensor(tensor);
}

Tensor fromDLPack(nb::object object) {
  // Those who make it still own what a capsule of this name holds.
  constexpr const char *fresh = "dltensor", *used = "used_dltensor";
  nb::object capsule = object.attr("__dlpack__")();
  auto *managed = static_cast<DLManagedTensor *>(
      PyCapsule_GetPointer(capsule.ptr(), fresh));
  if (!managed)
    throw nb::python_error();
  aicc_tensor *tensor;
  check(aicc_tensor_from_dlpack(managed, &tensor));
  PyCapsule_SetName(capsule.ptr(), used);
  return Tensor(tensor);
}

nb::object toDLPack(const Tensor &tensor) {
  DLManagedTensor *managed;
  check(aicc_tensor_to_dlpack(tensor.get(), &managed));
  PyObject *capsule = PyCapsule_New(managed, "dltensor", [](PyObject *object) {
    // A consumer renames the capsule and calls the deleter itself.
    if (!PyCapsule_IsValid(object, "dltensor"))
      return;
    auto *managed = static_cast<DLManagedTensor *>(
        PyCapsule_GetPointer(object, "dltensor"));
    managed->deleter(managed);
  });
  if (!capsule)
    throw nb::python_error();
  return nb::steal(capsule);
}

nb::tuple dlpackDevice(const Tensor &tensor) {
  DLManagedTensor *managed;
  check(aicc_tensor_to_dlpack(tensor.get(), &managed));
  const DLDevice device = managed->dl_tensor.device;
  managed->deleter(managed);
  return nb::make_tuple(device.device_type, device.device_id);
}

/// The elements as bytes, which NumPy takes without a copy.
int getBuffer(PyObject *self, Py_buffer *view, int flags) {
  const aicc_tensor *tensor = nb::inst_ptr<Tensor>(self)->get();
  if (aicc_tensor_device(tensor)) {
    PyErr_SetString(PyExc_BufferError, "the tensor is in a device's memory");
    return -1;
  }
  return PyBuffer_FillInfo(view, self, aicc_tensor_data(tensor),
                           Py_ssize_t(aicc_tensor_bytes(tensor)), 0, flags);
}

PyType_Slot tensorSlots[] = {
    {Py_bf_getbuffer, reinterpret_cast<void *>(getBuffer)}, {0, nullptr}};

nb::tuple dimsOf(const Tensor &tensor) {
  const int64_t *dims = aicc_tensor_dims(tensor.get());
  nb::list list;
  for (size_t d = 0; d < aicc_tensor_rank(tensor.get()); ++d)
    list.append(dims[d]);
  return nb::tuple(list);
}

//===----------------------------------------------------------------------===//
// Packages and sessions
//===----------------------------------------------------------------------===//

Package openPackage(const std::string &path) {
  aicc_package *package;
  check(aicc_package_open(path.c_str(), nullptr, &package));
  return Package(package);
}

Package packageFromBytes(nb::bytes data) {
  aicc_package *package;
  PyObject *owner = data.ptr();
  // It is given back even where there is no package.
  Py_INCREF(owner);
  check(aicc_package_from_memory(data.c_str(), data.size(), releaseObject,
                                 owner, nullptr, &package));
  return Package(package);
}

using Dim = std::variant<int64_t, std::string>;
using Port = std::tuple<std::string, std::string, std::vector<Dim>>;

nb::list ports(const Package &package, size_t count,
               aicc_status (*get)(const aicc_package *, size_t, aicc_port *)) {
  nb::list list;
  for (size_t i = 0; i < count; ++i) {
    aicc_port port = {};
    port.struct_size = sizeof(port);
    check(get(package.get(), i, &port));
    nb::list dims;
    for (size_t d = 0; d < port.rank; ++d)
      if (port.dims[d] >= 0)
        dims.append(port.dims[d]);
      else
        dims.append(port.expressions[d]);
    list.append(
        nb::make_tuple(port.name, aicc_type_name(port.type), nb::tuple(dims)));
  }
  return list;
}

nb::list names(size_t count, auto get) {
  nb::list list;
  for (size_t i = 0; i < count; ++i)
    list.append(get(i));
  return list;
}

Session createSession(const Package &package,
                      const std::vector<std::string> &names, uint32_t threads,
                      const std::optional<std::string> &variant) {
  std::vector<aicc_device *> devices;
  for (const std::string &name : names) {
    devices.push_back(aicc_device_find(name.c_str()));
    if (!devices.back())
      throw Error(aicc_message());
  }
  aicc_session_options options = {};
  options.struct_size = sizeof(options);
  options.threads = threads;
  options.variant = variant ? variant->c_str() : nullptr;
  aicc_session *session;
  {
    nb::gil_scoped_release unlocked;
    check(aicc_session_create_on_devices(package.get(), devices.data(),
                                         devices.size(), &options, &session));
  }
  return Session(session);
}

/// `outputs` gives tensors to write into; None or nothing makes new ones.
nb::list run(const Session &session, nb::list inputs, nb::list outputs) {
  std::vector<aicc_tensor *> in, out;
  std::vector<bool> given;
  for (nb::handle input : inputs)
    in.push_back(nb::cast<Tensor &>(input).get());
  for (nb::handle output : outputs) {
    given.push_back(!output.is_none());
    out.push_back(given.back() ? nb::cast<Tensor &>(output).get() : nullptr);
  }
  aicc_status status;
  {
    nb::gil_scoped_release unlocked;
    status = aicc_session_run(session.get(), in.data(), in.size(), out.data(),
                              out.size());
  }
  check(status);
  nb::list results;
  for (size_t i = 0; i < out.size(); ++i)
    if (given[i])
      results.append(outputs[i]);
    else
      results.append(nb::cast(Tensor(out[i])));
  return results;
}

nb::dict deviceInfo(const aicc_device *device) {
  aicc_device_info info = {};
  info.struct_size = sizeof(info);
  check(aicc_device_get_info(device, &info));
  nb::dict result;
  result["name"] = info.name;
  result["family"] = info.family;
  result["description"] = info.description;
  result["chip"] = info.chip;
  result["version"] = info.version;
  result["features"] =
      names(info.feature_count, [&](size_t i) { return info.features[i]; });
  result["memory_bytes"] = info.memory_bytes;
  result["compute_units"] = info.compute_units;
  return result;
}

} // namespace

NB_MODULE(_runtime, m) {
  nb::exception<Error>(m, "Error", PyExc_RuntimeError);

  // {name: (number, bytes)} of the element types.
  nb::dict types;
  constexpr int last = 255;
  for (int type = 1; type <= last; ++type)
    if (size_t size = aicc_type_size(aicc_type(type)))
      types[aicc_type_name(aicc_type(type))] = nb::make_tuple(type, size);
  m.attr("TYPES") = types;

  nb::class_<Tensor>(m, "Tensor", nb::type_slots(tensorSlots))
      .def_prop_ro("shape", dimsOf)
      .def_prop_ro("type",
                   [](const Tensor &tensor) {
                     return aicc_type_name(aicc_tensor_type(tensor.get()));
                   })
      .def_prop_ro(
          "nbytes",
          [](const Tensor &tensor) { return aicc_tensor_bytes(tensor.get()); })
      .def_prop_ro("address",
                   [](const Tensor &tensor) {
                     return reinterpret_cast<uintptr_t>(
                         aicc_tensor_data(tensor.get()));
                   })
      .def(
          "__dlpack__",
          [](const Tensor &tensor, const nb::kwargs &) {
            return toDLPack(tensor);
          },
          nb::arg("kwargs"))
      .def("__dlpack_device__", dlpackDevice);
  m.def("create_tensor", createTensor);
  m.def("tensor_at", tensorAt);
  m.def("from_dlpack", fromDLPack);

  nb::class_<Package>(m, "Package")
      .def_prop_ro("inputs",
                   [](const Package &package) {
                     return ports(package,
                                  aicc_package_input_count(package.get()),
                                  aicc_package_input);
                   })
      .def_prop_ro("outputs",
                   [](const Package &package) {
                     return ports(package,
                                  aicc_package_output_count(package.get()),
                                  aicc_package_output);
                   })
      .def_prop_ro("symbols",
                   [](const Package &package) {
                     return names(aicc_package_symbol_count(package.get()),
                                  [&](size_t i) {
                                    return aicc_package_symbol(package.get(),
                                                               i);
                                  });
                   })
      .def_prop_ro("variants",
                   [](const Package &package) {
                     return names(aicc_package_variant_count(package.get()),
                                  [&](size_t i) {
                                    return aicc_package_variant(package.get(),
                                                                i);
                                  });
                   })
      .def_prop_ro("signature",
                   [](const Package &package) -> nb::object {
                     const char *text = aicc_package_signature(package.get());
                     return text ? nb::cast(text) : nb::none();
                   })
      .def("describe", [](const Package &package) {
        return aicc_package_describe(package.get());
      });
  m.def("open_package", openPackage);
  m.def("package_from_bytes", packageFromBytes);

  nb::class_<Session>(m, "Session")
      .def_prop_ro("variant",
                   [](const Session &session) {
                     return aicc_session_variant(session.get());
                   })
      .def("run", run);
  m.def("create_session", createSession);

  m.def("devices", [] {
    nb::list list;
    for (size_t i = 0; i < aicc_device_count(); ++i)
      list.append(deviceInfo(aicc_device_at(i)));
    return list;
  });
  m.def("has_device", [](const std::string &name) {
    return aicc_device_find(name.c_str()) != nullptr;
  });
  m.def("load_driver",
        [](const std::string &path) { check(aicc_driver_load(path.c_str())); });
}
