//===- Describe.cpp - what is inside a package, as JSON -------------------===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Describe.h"

#include <cstdio>

using namespace aicc;
using namespace aicc::program;

namespace {

// Writes JSON; commas and quotes are its business.
class Writer {
public:
  std::string text;

  Writer &open(char bracket) {
    comma();
    text += bracket;
    first = true;
    return *this;
  }
  Writer &close(char bracket) {
    text += bracket;
    first = false;
    return *this;
  }
  Writer &key(const char *name) {
    comma();
    text += std::string("\"") + name + "\":";
    first = true;
    return *this;
  }
  Writer &value(const std::string &string) {
    comma();
    quote(string);
    return *this;
  }
  Writer &value(const char *string) { return value(std::string(string)); }
  template <typename T>
  requires std::is_integral_v<T> Writer &value(T number) {
    comma();
    text += std::to_string(number);
    return *this;
  }
  template <typename T> Writer &value(const std::vector<T> &list) {
    open('[');
    for (const T &entry : list)
      value(entry);
    return close(']');
  }
  template <typename T> Writer &field(const char *name, const T &content) {
    return key(name).value(content);
  }

private:
  void comma() {
    if (!first)
      text += ',';
    first = false;
  }
  // Names come from models; what isn't UTF-8 becomes U+FFFD.
  void quote(const std::string &string) {
    text += '"';
    for (size_t i = 0; i < string.size();) {
      const unsigned char c = string[i];
      if (c == '"' || c == '\\') {
        text += {'\\', char(c)};
        ++i;
      } else if (c < 0x20) {
        char escape[8];
        snprintf(escape, sizeof escape, "\\u%04x", c);
        text += escape;
        ++i;
      } else if (const size_t length = sequence(string, i)) {
        text.append(string, i, length);
        i += length;
      } else {
        text += "\\ufffd";
        ++i;
      }
    }
    text += '"';
  }
  // Length of the valid UTF-8 sequence at `i`, else 0.
  static size_t sequence(const std::string &string, size_t i) {
    const unsigned char c = string[i];
    const size_t length = c < 0x80                 ? 1
                          : c >= 0xc2 && c <= 0xdf ? 2
                          : c >= 0xe0 && c <= 0xef ? 3
                          : c >= 0xf0 && c <= 0xf4 ? 4
                                                   : 0;
    if (length == 0 || i + length > string.size())
      return 0;
    for (size_t k = 1; k < length; ++k)
      if ((string[i + k] & 0xc0) != 0x80)
        return 0;
    const unsigned char second = length > 1 ? string[i + 1] : 0;
    // Overlong forms, surrogates, and beyond U+10FFFF.
    if ((c == 0xe0 && second < 0xa0) || (c == 0xed && second > 0x9f) ||
        (c == 0xf0 && second < 0x90) || (c == 0xf4 && second > 0x8f))
      return 0;
    return length;
  }

  bool first = true;
};

class Describer {
public:
  Describer(const program::Package &package, size_t bytes)
      : package(package), bytes(bytes) {}

  std::string run() {
    out.open('{');
    out.field("model", package.model);
    out.field("producer", package.producer);
    out.field("bytes", bytes);
    out.field("symbols", package.symbols);
    ports("inputs", package.inputs);
    ports("outputs", package.outputs);
    uint64_t total = 0;
    out.key("weights").open('[');
    for (const Weight &weight : package.weights) {
      out.open('{');
      out.field("name", weight.name);
      out.field("type", elementTypeName(weight.type));
      out.field("dims", weight.dims);
      out.field("bytes", weight.data.size);
      out.close('}');
      total += weight.data.size;
    }
    out.close(']').field("weight_bytes", total);
    out.key("variants").open('[');
    for (const Variant &variant : package.variants)
      this->variant(variant);
    out.close(']');
    if (!package.signature.empty())
      out.field("signature", package.signature);
    out.close('}');
    return std::move(out.text);
  }

private:
  void ports(const char *name, const std::vector<Port> &ports) {
    out.key(name).open('[');
    for (const Port &port : ports) {
      out.open('{');
      out.field("name", port.name);
      out.field("type", elementTypeName(port.type));
      out.key("dims").open('[');
      for (uint32_t dim : port.dims)
        expression(package.exprs, dim);
      out.close(']').close('}');
    }
    out.close(']');
  }

  // A number where it is one, else its text.
  void expression(const Expressions &exprs, uint32_t index) {
    if (exprs.nodes[index].op() == package::ExprOp::constant)
      out.value(exprs.nodes[index].value());
    else
      out.value(exprs.print(index, package.symbols));
  }

  // As expressions print it: those of the program have no name.
  void symbol(const char *key, uint32_t number) {
    out.field(key, "?" + std::to_string(number - package.symbols.size()));
  }

  void variant(const Variant &variant) {
    out.open('{');
    out.field("target", variant.target);
    out.field("family", variant.family);
    const bool several = variant.devices.size() > 1;
    if (several) {
      out.key("devices").open('[');
      for (const Device &device : variant.devices) {
        out.open('{');
        out.field("target", device.target);
        out.field("family", device.family);
        out.field("requires", device.required);
        out.field("arena_bytes", device.arenaBytes);
        out.close('}');
      }
      out.close(']');
    } else {
      out.field("requires", variant.devices[0].required);
    }
    out.field("options", variant.options);
    out.key("objects").open('[');
    for (const Object &object : variant.objects) {
      out.open('{');
      out.field("format", object.format);
      out.field("chip", object.chip);
      out.field("bytes", object.data.size);
      if (several)
        out.field("device", object.device);
      out.close('}');
    }
    out.close(']').key("kernels").open('[');
    for (const Kernel &kernel : variant.kernels) {
      out.open('{');
      out.field("entry", kernel.entry);
      out.field("object", kernel.object);
      out.field("sources", kernel.sources);
      out.field("buffers", kernel.buffers);
      out.field("outputs", kernel.outputs);
      out.field("scalars", kernel.scalars);
      out.key("workgroup").open('[');
      for (uint32_t size : kernel.workgroup)
        out.value(size);
      out.close(']');
      out.field("shared_bytes", kernel.sharedBytes);
      out.close('}');
    }
    out.close(']').key("buffers").open('[');
    for (uint32_t i = 0; i < variant.buffers.size(); ++i)
      buffer(variant, i);
    out.close(']');
    if (!several)
      out.field("arena_bytes", variant.devices[0].arenaBytes);
    instructions("prepare", variant, variant.prepare);
    instructions("program", variant, variant.program);
    out.close('}');
  }

  void buffer(const Variant &variant, uint32_t index) {
    const Buffer &buffer = variant.buffers[index];
    out.open('{');
    out.field("name", buffer.name);
    out.field("storage", package::EnumNameStorage(buffer.storage));
    out.field("type", elementTypeName(buffer.type));
    out.key("dims").open('[');
    for (uint32_t dim : buffer.dims)
      expression(variant.exprs, dim);
    out.close(']').key("bytes");
    expression(variant.exprs, buffer.bytes);
    if (buffer.root != index) {
      out.field("view_of", buffer.root);
    } else if (buffer.storage == Storage::temporary) {
      out.field("first", buffer.first).field("last", buffer.last);
      if (buffer.offset >= 0)
        out.field("offset", buffer.offset);
    } else if (buffer.storage != Storage::prepared) {
      out.field("index", buffer.index);
    }
    if (variant.devices.size() > 1)
      out.field("device", buffer.device);
    out.close('}');
  }

  void instructions(const char *name, const Variant &variant,
                    const std::vector<Instruction> &list) {
    out.key(name).open('[');
    for (const Instruction &instruction : list) {
      out.open('{');
      out.field("op", package::EnumNameOperation(instruction.op));
      if (instruction.op == Operation::loop) {
        out.key("count");
        expression(variant.exprs, instruction.count);
        if (instruction.condition)
          out.field("condition", *instruction.condition);
        symbol("symbol", instruction.symbol);
        if (instruction.trips)
          symbol("trips", *instruction.trips);
        instructions("body", variant, instruction.body);
      } else {
        if (instruction.op == Operation::launch)
          out.field("kernel", instruction.kernel);
        out.field("buffers", instruction.buffers);
      }
      if (instruction.op == Operation::copy && !instruction.scalars.empty()) {
        out.key("place");
        expression(variant.exprs, instruction.scalars[0]);
      }
      if (instruction.op == Operation::branch) {
        instructions("body", variant, instruction.body);
        instructions("otherwise", variant, instruction.otherwise);
      }
      if (instruction.op == Operation::read) {
        out.field("element", instruction.element);
        out.field("minimum", instruction.minimum);
        symbol("symbol", instruction.symbol);
      }
      if (instruction.op == Operation::call) {
        out.field("function", instruction.function);
        out.field("attributes", instruction.attributes);
        out.field("outputs", instruction.outputs);
      }
      if (!instruction.sources.empty())
        out.field("sources", instruction.sources);
      if (instruction.op == Operation::launch) {
        out.key("grid").open('[');
        for (uint32_t size : instruction.grid)
          expression(variant.exprs, size);
        out.close(']').key("scalars").open('[');
        for (uint32_t scalar : instruction.scalars)
          expression(variant.exprs, scalar);
        out.close(']').key("scratch");
        expression(variant.exprs, instruction.scratch);
      }
      out.close('}');
    }
    out.close(']');
  }

  const program::Package &package;
  size_t bytes;
  Writer out;
};

} // namespace

std::string aicc::describe(const program::Package &package, size_t bytes) {
  return Describer(package, bytes).run();
}
