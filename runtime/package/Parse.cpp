//===- Parse.cpp - checks a package's header ------------------------------===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Parser.h"

#include <algorithm>

using namespace aicc;
using namespace aicc::program;
using package::ExprOp;

std::string aicc::program::numbered(const char *what, size_t index,
                                    const std::string &name) {
  std::string text = what + (" " + std::to_string(index));
  return name.empty() ? text : text + " ('" + name + "')";
}

Status Parser::section(const package::Section *from, Section &to) {
  if (!from)
    return error("its section is missing");
  to = {from->offset(), from->size(), from->checksum()};
  if (to.offset > fileSize || to.size > fileSize - to.offset)
    return error("section of ", to.size, " bytes at offset ", to.offset,
                 " exceeds the file of ", fileSize, " bytes");
  if (to.size && to.offset % package::sectionAlignment != 0)
    return error("section's offset ", to.offset, " is not a multiple of ",
                 package::sectionAlignment);
  return {};
}

Status Parser::type(package::ElementType from, ElementType &to) {
  if (elementSize(from) == 0)
    return error("element type ", unsigned(from), " doesn't exist");
  to = from;
  return {};
}

Status Parser::indices(const flatbuffers::Vector<uint32_t> *from, size_t limit,
                       const char *what, std::vector<uint32_t> &to) {
  AICC_RETURN_IF_ERROR(spend(from));
  if (!from)
    return {};
  to.assign(from->begin(), from->end());
  for (uint32_t index : to)
    if (index >= limit)
      return error(what, " index ", index, ", but there are ", limit);
  return {};
}

Status
Parser::expressions(const flatbuffers::Vector<const package::ExprNode *> *from,
                    Expressions &to) {
  AICC_RETURN_IF_ERROR(spend(from));
  AICC_RETURN_IF_ERROR(alignedTo8(from));
  for (unsigned i = 0; from && i < from->size(); ++i) {
    const package::ExprNode &node = *from->Get(i);
    if (node.op() > package::ExprOp::MAX)
      return error("expression ", i, " has unknown operator ",
                   unsigned(node.op()));
    if (node.op() == ExprOp::symbol) {
      if (node.value() < 0 || node.value() >= int64_t(out.symbolCount))
        return error("expression ", i, " uses symbol ", node.value(),
                     ", but there are ", out.symbolCount);
    } else if (node.op() != ExprOp::constant &&
               (node.lhs() >= i || node.rhs() >= i)) {
      return error("expression ", i, " has operands ", node.lhs(), " and ",
                   node.rhs(), ", which don't precede it");
    }
    to.nodes.push_back(node);
  }
  return {};
}

Status Parser::ports(
    const flatbuffers::Vector<flatbuffers::Offset<package::Port>> *from,
    const char *what, std::vector<Port> &to) {
  AICC_RETURN_IF_ERROR(spend(from));
  const std::vector<bool> unnamed =
      out.exprs.dependsOnSymbolsFrom(uint32_t(out.symbols.size()));
  for (unsigned i = 0; from && i < from->size(); ++i) {
    Port &port = to.emplace_back();
    AICC_RETURN_IF_ERROR(text(from->Get(i)->name(), port.name));
    Place place(*this, numbered(what, i, port.name));
    AICC_RETURN_IF_ERROR(type(from->Get(i)->type(), port.type));
    AICC_RETURN_IF_ERROR(indices(from->Get(i)->dims(), out.exprs.size(),
                                 "dimension has expression", port.dims));
    // An output's may depend on what the program reads.
    for (size_t d = 0; d < port.dims.size() && &to == &out.inputs; ++d)
      if (unnamed[port.dims[d]])
        return error("dimension ", d, " depends on a symbol without a name");
  }
  return {};
}

Status Parser::weight(const package::Weight &from, Weight &to) {
  AICC_RETURN_IF_ERROR(type(from.type(), to.type));
  if (to.type == ElementType::string)
    return error("its elements are strings, which a file can't hold");
  AICC_RETURN_IF_ERROR(spend(from.dims()));
  AICC_RETURN_IF_ERROR(alignedTo8(from.dims()));
  if (from.dims())
    to.dims.assign(from.dims()->begin(), from.dims()->end());
  AICC_RETURN_IF_ERROR(section(from.data(), to.data));
  uint64_t bytes = elementSize(to.type);
  for (int64_t dim : to.dims)
    if (dim < 0 || __builtin_mul_overflow(bytes, uint64_t(dim), &bytes))
      return error("dimension ", dim, " is absurd");
  if (bytes != to.data.size)
    return error("its dimensions need ", bytes, " bytes, but its section has ",
                 to.data.size);
  return {};
}

// Every named symbol must follow from the shapes of the inputs.
Status Parser::symbolsAreKnown() {
  std::vector<bool> known(out.symbols.size());
  std::vector<std::vector<uint32_t>> forms;
  for (const Port &port : out.inputs)
    for (uint32_t dim : port.dims) {
      const Expressions::Node &node = out.exprs.nodes[dim];
      if (node.op() == ExprOp::symbol)
        known[node.value()] = true;
      // Looking for symbols is linear in the list; so many forms aren't real.
      else if (node.op() != ExprOp::constant && forms.size() < 4096)
        forms.push_back(out.exprs.symbolsOf(dim));
    }
  for (bool progress = true; progress;) {
    progress = false;
    for (const std::vector<uint32_t> &form : forms) {
      auto unknown = [&](uint32_t symbol) { return !known[symbol]; };
      if (std::count_if(form.begin(), form.end(), unknown) == 1) {
        known[*std::find_if(form.begin(), form.end(), unknown)] = true;
        progress = true;
      }
    }
  }
  for (size_t i = 0; i < known.size(); ++i)
    if (!known[i])
      return error("symbol '", out.symbols[i],
                   "' doesn't follow from the dimensions of any input");
  return {};
}

Status Parser::parse(const package::Package &from) {
  if (from.version() != package::formatVersion)
    return error("header has version ", from.version(), ", expected ",
                 package::formatVersion);
  AICC_RETURN_IF_ERROR(text(from.producer(), out.producer));
  AICC_RETURN_IF_ERROR(text(from.model(), out.model));
  AICC_RETURN_IF_ERROR(text(from.signature(), out.signature));
  AICC_RETURN_IF_ERROR(texts(from.symbols(), out.symbols));
  out.symbolCount = from.symbol_count();
  if (out.symbolCount < out.symbols.size())
    return error("symbol count ", out.symbolCount, " is below the ",
                 out.symbols.size(), " names");
  // Every symbol costs memory at run time, named or not.
  if (out.symbolCount - out.symbols.size() > (1u << 20))
    return error("symbol count ", out.symbolCount, " is absurd");
  AICC_RETURN_IF_ERROR(expressions(from.exprs(), out.exprs));
  AICC_RETURN_IF_ERROR(ports(from.inputs(), "input", out.inputs));
  AICC_RETURN_IF_ERROR(ports(from.outputs(), "output", out.outputs));
  if (from.limits())
    for (const package::Limit *limit : *from.limits()) {
      if (limit->lhs() >= out.exprs.size() || limit->rhs() >= out.exprs.size())
        return error("a limit of expressions ", limit->lhs(), " and ",
                     limit->rhs(), ", but there are ", out.exprs.size());
      out.limits.push_back({limit->lhs(), limit->rhs()});
    }
  AICC_RETURN_IF_ERROR(symbolsAreKnown());
  AICC_RETURN_IF_ERROR(spend(from.weights()));
  for (unsigned i = 0; from.weights() && i < from.weights()->size(); ++i) {
    Weight &weight = out.weights.emplace_back();
    AICC_RETURN_IF_ERROR(text(from.weights()->Get(i)->name(), weight.name));
    Place place(*this, numbered("weight", i, weight.name));
    AICC_RETURN_IF_ERROR(this->weight(*from.weights()->Get(i), weight));
  }
  AICC_RETURN_IF_ERROR(spend(from.variants()));
  for (unsigned i = 0; from.variants() && i < from.variants()->size(); ++i) {
    Variant &variant = out.variants.emplace_back();
    AICC_RETURN_IF_ERROR(
        text(from.variants()->Get(i)->target(), variant.target));
    Place place(*this, numbered("variant", i, variant.target));
    AICC_RETURN_IF_ERROR(this->variant(*from.variants()->Get(i), variant));
  }
  return {};
}

Status Parser::variant(const package::Variant &from, Variant &to) {
  AICC_RETURN_IF_ERROR(text(from.family(), to.family));
  AICC_RETURN_IF_ERROR(devices(from, to));
  AICC_RETURN_IF_ERROR(texts(from.options(), to.options));
  AICC_RETURN_IF_ERROR(spend(from.objects()));
  for (unsigned i = 0; from.objects() && i < from.objects()->size(); ++i) {
    Object &object = to.objects.emplace_back();
    const package::Object &source = *from.objects()->Get(i);
    AICC_RETURN_IF_ERROR(text(source.format(), object.format));
    AICC_RETURN_IF_ERROR(text(source.chip(), object.chip));
    Place place(*this, numbered("object", i, object.chip));
    AICC_RETURN_IF_ERROR(section(source.data(), object.data));
    object.device = source.device();
    if (object.device >= to.devices.size())
      return error("device index ", object.device, ", but there are ",
                   to.devices.size());
  }
  AICC_RETURN_IF_ERROR(spend(from.kernels()));
  for (unsigned i = 0; from.kernels() && i < from.kernels()->size(); ++i) {
    Kernel &kernel = to.kernels.emplace_back();
    AICC_RETURN_IF_ERROR(text(from.kernels()->Get(i)->entry(), kernel.entry));
    Place place(*this, numbered("kernel", i, kernel.entry));
    AICC_RETURN_IF_ERROR(this->kernel(*from.kernels()->Get(i), to, kernel));
  }
  AICC_RETURN_IF_ERROR(expressions(from.exprs(), to.exprs));
  needsSymbol = to.exprs.dependsOnSymbolsFrom(0);
  AICC_RETURN_IF_ERROR(spend(from.buffers()));
  const size_t count = from.buffers() ? from.buffers()->size() : 0;
  for (unsigned i = 0; i < count; ++i) {
    Buffer &buffer = to.buffers.emplace_back();
    AICC_RETURN_IF_ERROR(text(from.buffers()->Get(i)->name(), buffer.name));
    Place place(*this, numbered("buffer", i, buffer.name));
    AICC_RETURN_IF_ERROR(
        this->buffer(*from.buffers()->Get(i), i, count, to, buffer));
  }
  AICC_RETURN_IF_ERROR(aliases(from, to));
  AICC_RETURN_IF_ERROR(outputDevices(to));
  buffersOf.assign(to.exprs.size(), 0);
  for (const Buffer &buffer : to.buffers) {
    ++buffersOf[buffer.bytes];
    ++buffersOf[to.buffers[buffer.root].bytes];
  }
  {
    Place place(*this, "prepare");
    AICC_RETURN_IF_ERROR(program(from.prepare(), to, true, to.prepare));
  }
  Place place(*this, "program");
  return program(from.program(), to, false, to.program);
}

Status Parser::devices(const package::Variant &from, Variant &to) {
  AICC_RETURN_IF_ERROR(spend(from.devices()));
  const size_t count = from.devices() ? from.devices()->size() : 0;
  // Every run has memory and a stream on each.
  constexpr size_t most = 64;
  if (count > most)
    return error("has ", count, " devices, expected at most ", most);
  for (unsigned i = 0; i < count; ++i) {
    const package::Device &source = *from.devices()->Get(i);
    Device &device = to.devices.emplace_back();
    AICC_RETURN_IF_ERROR(text(source.target(), device.target));
    AICC_RETURN_IF_ERROR(text(source.family(), device.family));
    AICC_RETURN_IF_ERROR(texts(source.requires_(), device.required));
    device.arenaBytes = source.arena_bytes();
  }
  if (count == 0) {
    Device &device = to.devices.emplace_back();
    device.target = to.target;
    device.family = to.family;
    AICC_RETURN_IF_ERROR(texts(from.requires_(), device.required));
    device.arenaBytes = from.arena_bytes();
  }
  for (const Device &device : to.devices)
    if (device.arenaBytes < -1)
      return error("arena of ", device.arenaBytes, " bytes");
  return {};
}

// A caller's tensor is in one place.
Status Parser::outputDevices(const Variant &in) {
  std::vector<std::optional<uint32_t>> found(out.outputs.size());
  for (uint32_t i = 0; i < in.buffers.size(); ++i) {
    const Buffer &buffer = in.buffers[i];
    if (buffer.storage != Storage::output)
      continue;
    std::optional<uint32_t> &device = found[buffer.index];
    if (device && *device != buffer.device)
      return error(numbered("buffer", i, buffer.name), " is on device ",
                   buffer.device, ", but output '",
                   out.outputs[buffer.index].name, "' is on device ", *device);
    device = buffer.device;
  }
  return {};
}

Status Parser::kernel(const package::Kernel &from, const Variant &in,
                      Kernel &to) {
  to.object = from.object();
  if (to.object >= in.objects.size())
    return error("object index ", to.object, ", but there are ",
                 in.objects.size());
  AICC_RETURN_IF_ERROR(texts(from.sources(), to.sources));
  to.buffers = from.buffers();
  to.outputs = from.outputs();
  to.scalars = from.scalars();
  if (to.outputs > to.buffers)
    return error(to.outputs, " outputs among ", to.buffers, " buffers");
  if (from.workgroup()) {
    if (from.workgroup()->size() != 3)
      return error("workgroup has ", from.workgroup()->size(),
                   " sizes, expected 3");
    for (unsigned i = 0; i < 3; ++i) {
      to.workgroup[i] = from.workgroup()->Get(i);
      if (to.workgroup[i] == 0)
        return error("workgroup size ", i, " is 0");
    }
  }
  to.sharedBytes = from.shared_bytes();
  to.subgroup = from.subgroup();
  return {};
}

Status Parser::buffer(const package::Buffer &from, size_t index, size_t count,
                      Variant &in, Buffer &to) {
  if (from.storage() > package::Storage::MAX)
    return error("storage ", unsigned(from.storage()), " doesn't exist");
  to.storage = from.storage();
  to.index = from.index();
  AICC_RETURN_IF_ERROR(type(from.type(), to.type));
  AICC_RETURN_IF_ERROR(indices(from.dims(), in.exprs.size(),
                               "dimension has expression", to.dims));
  to.bytes = from.bytes();
  AICC_RETURN_IF_ERROR(expression(to.bytes, in, "size"));
  if (to.storage == Storage::prepared && needsSymbol[to.bytes])
    return error("size of a prepared buffer depends on a symbol");
  const size_t limit = to.storage == Storage::input    ? out.inputs.size()
                       : to.storage == Storage::output ? out.outputs.size()
                       : to.storage == Storage::weight ? out.weights.size()
                                                       : SIZE_MAX;
  if (to.index >= limit)
    return error(package::EnumNameStorage(to.storage), " index ", to.index,
                 ", but there are ", limit);
  to.first = from.first();
  to.last = from.last();
  if (to.storage == Storage::temporary && to.first > to.last)
    return error("lifetime from ", to.first, " to ", to.last);
  to.offset = from.offset();
  if (to.offset < -1 ||
      (to.offset > 0 && to.offset % int64_t(package::bufferAlignment) != 0))
    return error("arena offset ", to.offset, " is not a multiple of ",
                 package::bufferAlignment);
  if (from.alias() > count)
    return error("alias of buffer ", from.alias() - 1, ", but there are ",
                 count);
  to.root = from.alias() ? from.alias() - 1 : uint32_t(index);
  to.device = from.device();
  if (to.device >= in.devices.size())
    return error("device index ", to.device, ", but there are ",
                 in.devices.size());
  return {};
}

// Replaces each alias by the buffer at the end of the chain.
Status Parser::aliases(const package::Variant &from, Variant &to) {
  std::vector<uint32_t> direct;
  for (const Buffer &buffer : to.buffers)
    direct.push_back(buffer.root);
  std::vector<uint8_t> state(direct.size()); // 1: on the path, 2: done
  std::vector<uint32_t> path;
  for (uint32_t i = 0; i < direct.size(); ++i) {
    uint32_t at = i;
    path.clear();
    while (state[at] == 0 && direct[at] != at) {
      state[at] = 1;
      path.push_back(at);
      at = direct[at];
    }
    if (state[at] == 1)
      return error("buffer ", at, " is an alias of itself");
    const uint32_t root = to.buffers[at].root;
    for (uint32_t member : path) {
      to.buffers[member].root = root;
      state[member] = 2;
    }
    state[at] = 2;
  }
  for (uint32_t i = 0; i < direct.size(); ++i) {
    const Buffer &buffer = to.buffers[i], &root = to.buffers[buffer.root];
    // A string is an address.
    if (buffer.type == ElementType::string && root.storage == Storage::weight)
      return error(numbered("buffer", i, buffer.name),
                   " takes a weight for strings");
    if (buffer.root == i)
      continue;
    if (buffer.device != root.device)
      return error(numbered("buffer", i, buffer.name), " on device ",
                   buffer.device, " cannot be a view of buffer ", buffer.root,
                   " on device ", root.device);
    const bool bound = buffer.storage != Storage::temporary &&
                       buffer.storage != Storage::prepared;
    if ((bound &&
         (buffer.storage != root.storage || buffer.index != root.index)) ||
        (buffer.storage == Storage::prepared &&
         root.storage != Storage::prepared && root.storage != Storage::weight))
      return error(numbered("buffer", i, buffer.name), ", storage ",
                   package::EnumNameStorage(buffer.storage),
                   ", cannot be a view of buffer ", buffer.root,
                   " with storage ", package::EnumNameStorage(root.storage));
  }
  return {};
}

Status aicc::parseHeader(std::span<const uint8_t> header, uint64_t fileSize,
                         Package &out) {
  // A table takes at least eight bytes, so more of them means sharing.
  flatbuffers::Verifier verifier(
      header.data(), header.size(),
      /*max_depth=*/64,
      /*max_tables=*/
      uint32_t(std::min<uint64_t>(header.size() / 8 + 1, UINT32_MAX)));
  if (!package::VerifyPackageBuffer(verifier))
    return Status(Code::badPackage, "package is damaged: its header is not a "
                                    "FlatBuffer of the format's schema");
  return Parser(header, fileSize, out)
      .parse(*package::GetPackage(header.data()));
}

size_t aicc::program::elementSize(ElementType type) {
  switch (type) {
  case ElementType::bool_:
  case ElementType::i8:
  case ElementType::u8:
  case ElementType::f8e4m3fn:
  case ElementType::f8e4m3fnuz:
  case ElementType::f8e5m2:
  case ElementType::f8e5m2fnuz:
  case ElementType::f8e8m0fnu:
  case ElementType::f4e2m1fn:
  case ElementType::f6e2m3fn:
  case ElementType::f6e3m2fn:
  case ElementType::i4:
  case ElementType::u4:
  case ElementType::i2:
  case ElementType::u2:
    return 1;
  case ElementType::i16:
  case ElementType::u16:
  case ElementType::f16:
  case ElementType::bf16:
    return 2;
  case ElementType::i32:
  case ElementType::u32:
  case ElementType::f32:
    return 4;
  case ElementType::i64:
  case ElementType::u64:
  case ElementType::f64:
  case ElementType::c64:
    return 8;
  case ElementType::c128:
  case ElementType::string:
    return 16;
  case ElementType::invalid:
    break;
  }
  return 0;
}

static constexpr std::pair<const char *, ElementType> typeNames[] = {
    {"bool", ElementType::bool_},
    {"i8", ElementType::i8},
    {"u8", ElementType::u8},
    {"i16", ElementType::i16},
    {"u16", ElementType::u16},
    {"i32", ElementType::i32},
    {"u32", ElementType::u32},
    {"i64", ElementType::i64},
    {"u64", ElementType::u64},
    {"f16", ElementType::f16},
    {"bf16", ElementType::bf16},
    {"f32", ElementType::f32},
    {"f64", ElementType::f64},
    {"f8e4m3fn", ElementType::f8e4m3fn},
    {"f8e4m3fnuz", ElementType::f8e4m3fnuz},
    {"f8e5m2", ElementType::f8e5m2},
    {"f8e5m2fnuz", ElementType::f8e5m2fnuz},
    {"f8e8m0fnu", ElementType::f8e8m0fnu},
    {"f4e2m1fn", ElementType::f4e2m1fn},
    {"f6e2m3fn", ElementType::f6e2m3fn},
    {"f6e3m2fn", ElementType::f6e3m2fn},
    {"i4", ElementType::i4},
    {"u4", ElementType::u4},
    {"i2", ElementType::i2},
    {"u2", ElementType::u2},
    {"c64", ElementType::c64},
    {"c128", ElementType::c128},
    {"string", ElementType::string}};

const char *aicc::program::elementTypeName(ElementType type) {
  for (auto [name, candidate] : typeNames)
    if (candidate == type)
      return name;
  return "invalid";
}

ElementType aicc::program::elementTypeFromName(std::string_view name) {
  for (auto [candidate, type] : typeNames)
    if (candidate == name)
      return type;
  return ElementType::invalid;
}
