//===- Text.cpp - elements that are strings, attributes of calls ----------===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/host/Text.h"

#include <nlohmann/json.hpp>

#include <cstring>

using namespace aicc;
using namespace aicc::host;
using nlohmann::json;

Text aicc::host::keep(Pool &pool, std::string_view text) {
  if (text.empty())
    return {"", 0};
  char *copy = pool.allocate(text.size());
  std::memcpy(copy, text.data(), text.size());
  return {copy, text.size()};
}

static Status checkList(const char *what, std::span<const Tensor> found,
                        std::initializer_list<program::ElementType> expected) {
  if (found.size() != expected.size())
    return invalidArgument("gets " + std::to_string(found.size()) + " " + what +
                           "s, expected " + std::to_string(expected.size()));
  for (size_t i = 0; i < found.size(); ++i)
    if (expected.begin()[i] != anyType && expected.begin()[i] != found[i].type)
      return invalidArgument(
          std::string(what) + " " + std::to_string(i) + " has element type " +
          program::elementTypeName(found[i].type) + ", expected " +
          program::elementTypeName(expected.begin()[i]));
  return {};
}

Status
aicc::host::checkTypes(const Call &call,
                       std::initializer_list<program::ElementType> inputs,
                       std::initializer_list<program::ElementType> outputs) {
  AICC_RETURN_IF_ERROR(checkList("input", call.inputs, inputs));
  return checkList("output", call.outputs, outputs);
}

Status aicc::host::checkCount(const Tensor &tensor, uint64_t expected) {
  if (tensor.elements() == expected)
    return {};
  return invalidArgument("an argument has " +
                         std::to_string(tensor.elements()) +
                         " elements, expected " + std::to_string(expected));
}

Attributes::Attributes() = default;
Attributes::~Attributes() = default;

Status Attributes::parse(const std::string &text, Attributes &out) {
  out.object = std::make_unique<json>(
      text.empty() ? json::object() : json::parse(text, nullptr, false));
  if (!out.object->is_object())
    return invalidArgument("attributes are no JSON object");
  return {};
}

// Bytes of a string with one byte in each code point.
static bool decode(const json &value, std::string &out) {
  const auto *text = value.get_ptr<const std::string *>();
  if (!text)
    return false;
  out.clear();
  for (size_t i = 0; i < text->size(); ++i) {
    const auto c = static_cast<unsigned char>((*text)[i]);
    if (c < 0x80) {
      out += char(c);
      continue;
    }
    if ((c != 0xc2 && c != 0xc3) || i + 1 == text->size())
      return false;
    out += char((c & 3) << 6 | ((*text)[++i] & 0x3f));
  }
  return true;
}

static Status wrong(const char *name, const char *expected) {
  return invalidArgument("attribute '" + std::string(name) + "' is not " +
                         expected);
}

Status Attributes::text(const char *name,
                        std::optional<std::string> &out) const {
  const auto it = object->find(name);
  if (it == object->end() || it->is_null())
    return {};
  if (!decode(*it, out.emplace()))
    return wrong(name, "a string");
  return {};
}

Status Attributes::texts(const char *name,
                         std::vector<std::string> &out) const {
  const auto it = object->find(name);
  if (it == object->end())
    return {};
  if (!it->is_array())
    return wrong(name, "a list of strings");
  for (const json &element : *it)
    if (!decode(element, out.emplace_back()))
      return wrong(name, "a list of strings");
  return {};
}

Status Attributes::number(const char *name, std::optional<int64_t> &out) const {
  const auto it = object->find(name);
  if (it == object->end() || it->is_null())
    return {};
  const auto *value = it->get_ptr<const int64_t *>();
  if (!value)
    return wrong(name, "an integer");
  out = *value;
  return {};
}
