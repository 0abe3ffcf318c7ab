//===- Text.h - elements that are strings, attributes of calls --*- C++ -*-===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// What functions over strings share. No state.
//
//===----------------------------------------------------------------------===//

#ifndef AICC_RUNTIME_HOST_TEXT_H
#define AICC_RUNTIME_HOST_TEXT_H

#include "runtime/host/Host.h"

#include <nlohmann/json_fwd.hpp>

#include <optional>
#include <string_view>
#include <vector>

namespace aicc::host {

// An element of type string, as aicc_string in aicc/runtime.h.
struct Text {
  const char *data;
  uint64_t size;

  std::string_view view() const { return {data, size_t(size)}; }
};
static_assert(sizeof(Text) == 16);

inline std::span<const Text> texts(const Tensor &tensor) {
  return {static_cast<const Text *>(tensor.data), size_t(tensor.elements())};
}
inline std::span<Text> textsOf(const Tensor &tensor) {
  return {static_cast<Text *>(tensor.data), size_t(tensor.elements())};
}
template <typename T> std::span<T> numbersOf(const Tensor &tensor) {
  return {static_cast<T *>(tensor.data), size_t(tensor.elements())};
}

// A copy that lives as long as the pool.
Text keep(Pool &pool, std::string_view text);

// Whether the arguments have these types; `none` leaves one to the function.
// The message names the argument.
inline constexpr program::ElementType anyType = program::ElementType::invalid;
Status checkTypes(const Call &call,
                  std::initializer_list<program::ElementType> inputs,
                  std::initializer_list<program::ElementType> outputs);
// Whether two arguments have the same number of elements.
Status checkCount(const Tensor &tensor, uint64_t expected);

// A call's attributes. Strings hold a byte in each code point, since what the
// model has need not be UTF-8.
class Attributes {
public:
  static Status parse(const std::string &text, Attributes &out);
  Attributes();
  ~Attributes();

  // Nothing where the attribute is absent or null; of another type is an error.
  Status text(const char *name, std::optional<std::string> &out) const;
  Status texts(const char *name, std::vector<std::string> &out) const;
  Status number(const char *name, std::optional<int64_t> &out) const;

private:
  std::unique_ptr<nlohmann::json> object;
};

// Functions made of attributes, a constructor `Status make(const Attributes &)`
// filling them in.
template <typename F>
Status makeFunction(const std::string &text, std::unique_ptr<Function> &out) {
  Attributes attributes;
  AICC_RETURN_IF_ERROR(Attributes::parse(text, attributes));
  auto function = std::make_unique<F>();
  AICC_RETURN_IF_ERROR(function->make(attributes));
  out = std::move(function);
  return {};
}

struct Entry {
  std::string_view name;
  Factory factory;
};
std::span<const Entry> textFunctions();
std::span<const Entry> numberFunctions();

} // namespace aicc::host

#endif
