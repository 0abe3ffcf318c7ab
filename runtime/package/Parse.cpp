//===- Parse.cpp - checks a package's header ------------------------------===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Turns the FlatBuffer into program::Package. The FlatBuffers verifier makes
// sure that reading is safe; everything about the meaning is checked here.
//
//===----------------------------------------------------------------------===//

#include "Reader.h"

#include <algorithm>

using namespace aicc;
using namespace aicc::program;
using package::ExprOp;

namespace {

// An error carries its own place: "variant 0 (cpu): kernel 3 (main_3): ...".
class Parser {
public:
  Parser(std::span<const uint8_t> header, uint64_t fileSize, Package &out)
      : out(out), fileSize(fileSize),
        // FlatBuffers allows tables and vectors to be shared, by which a
        // small file could ask for endless work; without it, work is
        // proportional to the header's size.
        budget(header.size() * 16 + 65536) {}

  Status parse(const package::Package &from);

private:
  template <typename... Parts> Status error(Parts &&...parts) {
    std::string message = "package is damaged: ";
    for (const std::string &place : places)
      message += place + ": ";
    auto append = [&](const auto &part) {
      if constexpr (std::is_convertible_v<decltype(part), std::string>)
        message += part;
      else
        message += std::to_string(part);
    };
    (append(parts), ...);
    return Status(Code::badPackage, message);
  }
  template <typename T> Status spend(const T *vector) {
    const uint64_t cost = vector ? vector->size() : 0;
    if (cost > budget)
      return error("header refers to the same data too many times");
    budget -= cost;
    return {};
  }

  // The FlatBuffers verifier checks the alignment of a vector's length only.
  template <typename T> Status alignedTo8(const T *vector) {
    if (vector && reinterpret_cast<uintptr_t>(vector->Data()) % 8 != 0)
      return error("header has a vector of 64-bit numbers at an address that "
                   "isn't a multiple of 8");
    return {};
  }

  Status text(const flatbuffers::String *from, std::string &to) {
    AICC_RETURN_IF_ERROR(spend(from));
    if (from)
      to.assign(from->c_str(), from->size());
    return {};
  }
  template <typename From>
  Status texts(const From *from, std::vector<std::string> &to) {
    AICC_RETURN_IF_ERROR(spend(from));
    for (unsigned i = 0; from && i < from->size(); ++i)
      AICC_RETURN_IF_ERROR(text(from->Get(i), to.emplace_back()));
    return {};
  }
  Status section(const package::Section *from, Section &to);
  Status type(package::ElementType from, ElementType &to);
  Status indices(const flatbuffers::Vector<uint32_t> *from, size_t limit,
                 const char *what, std::vector<uint32_t> &to);
  Status expressions(const flatbuffers::Vector<const package::ExprNode *> *from,
                     Expressions &to);
  Status
  ports(const flatbuffers::Vector<flatbuffers::Offset<package::Port>> *from,
        const char *what, std::vector<Port> &to);
  Status weight(const package::Weight &from, Weight &to);
  Status symbolsAreKnown();
  Status variant(const package::Variant &from, Variant &to);
  Status kernel(const package::Kernel &from, const Variant &in, Kernel &to);
  Status buffer(const package::Buffer &from, size_t index, size_t count,
                Variant &in, Buffer &to);
  Status aliases(const package::Variant &from, Variant &to);
  using Instructions =
      flatbuffers::Vector<flatbuffers::Offset<package::Instruction>>;
  Status instructions(const Instructions *from, Variant &in, bool prepare,
                      std::vector<bool> &openSymbols,
                      std::vector<Instruction> &to);
  Status launch(const package::Instruction &from, Variant &in, bool prepare,
                Instruction &to);
  Status transfer(const package::Instruction &from, Variant &in, bool prepare,
                  Instruction &to);
  Status loop(const package::Instruction &from, Variant &in, bool prepare,
              std::vector<bool> &openSymbols, Instruction &to);
  Status access(const Variant &in, uint32_t buffer, bool write, bool prepare);
  Status expression(uint32_t index, const Variant &in, const char *what);

  struct Place {
    Place(Parser &parser, std::string name) : parser(parser) {
      parser.places.push_back(std::move(name));
    }
    ~Place() { parser.places.pop_back(); }
    Parser &parser;
  };

  Package &out;
  uint64_t fileSize;
  uint64_t budget;
  std::vector<std::string> places;
  // Of the variant being read: which expressions need a loop's symbol, and
  // which any symbol at all.
  std::vector<bool> needsLoop, needsSymbol;
  std::vector<bool> usedAsLoop;
};

std::string numbered(const char *what, size_t index, const std::string &name) {
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
  std::vector<bool> loops =
      out.exprs.dependsOnSymbolsFrom(uint32_t(out.symbols.size()));
  for (unsigned i = 0; from && i < from->size(); ++i) {
    Port &port = to.emplace_back();
    AICC_RETURN_IF_ERROR(text(from->Get(i)->name(), port.name));
    Place place(*this, numbered(what, i, port.name));
    AICC_RETURN_IF_ERROR(type(from->Get(i)->type(), port.type));
    AICC_RETURN_IF_ERROR(indices(from->Get(i)->dims(), out.exprs.size(),
                                 "dimension has expression", port.dims));
    for (size_t d = 0; d < port.dims.size(); ++d)
      if (loops[port.dims[d]])
        return error("dimension ", d, " depends on a symbol without a name");
  }
  return {};
}

Status Parser::weight(const package::Weight &from, Weight &to) {
  AICC_RETURN_IF_ERROR(type(from.type(), to.type));
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
  AICC_RETURN_IF_ERROR(texts(from.requires_(), to.required));
  AICC_RETURN_IF_ERROR(spend(from.objects()));
  for (unsigned i = 0; from.objects() && i < from.objects()->size(); ++i) {
    Object &object = to.objects.emplace_back();
    const package::Object &source = *from.objects()->Get(i);
    AICC_RETURN_IF_ERROR(text(source.format(), object.format));
    AICC_RETURN_IF_ERROR(text(source.chip(), object.chip));
    Place place(*this, numbered("object", i, object.chip));
    AICC_RETURN_IF_ERROR(section(source.data(), object.data));
  }
  AICC_RETURN_IF_ERROR(spend(from.kernels()));
  for (unsigned i = 0; from.kernels() && i < from.kernels()->size(); ++i) {
    Kernel &kernel = to.kernels.emplace_back();
    AICC_RETURN_IF_ERROR(text(from.kernels()->Get(i)->entry(), kernel.entry));
    Place place(*this, numbered("kernel", i, kernel.entry));
    AICC_RETURN_IF_ERROR(this->kernel(*from.kernels()->Get(i), to, kernel));
  }
  AICC_RETURN_IF_ERROR(expressions(from.exprs(), to.exprs));
  needsLoop = to.exprs.dependsOnSymbolsFrom(uint32_t(out.symbols.size()));
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
  to.arenaBytes = from.arena_bytes();
  if (to.arenaBytes < -1)
    return error("arena of ", to.arenaBytes, " bytes");
  usedAsLoop.assign(out.symbolCount, false);
  std::vector<bool> openSymbols(out.symbolCount);
  {
    Place place(*this, "prepare");
    AICC_RETURN_IF_ERROR(
        instructions(from.prepare(), to, true, openSymbols, to.prepare));
  }
  usedAsLoop.assign(out.symbolCount, false);
  std::fill_n(openSymbols.begin(), out.symbols.size(), true);
  Place place(*this, "program");
  return instructions(from.program(), to, false, openSymbols, to.program);
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
  if (needsLoop[to.bytes])
    return error("size depends on a loop");
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
    if (buffer.root == i)
      continue;
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

Status Parser::expression(uint32_t index, const Variant &in, const char *what) {
  if (index >= in.exprs.size())
    return error(what, " has expression index ", index, ", but there are ",
                 in.exprs.size());
  return {};
}

Status Parser::access(const Variant &in, uint32_t buffer, bool write,
                      bool prepare) {
  const Storage storage = in.buffers[in.buffers[buffer].root].storage;
  if (write && (storage == Storage::input || storage == Storage::weight))
    return error(
        "writes to ", numbered("buffer", buffer, in.buffers[buffer].name),
        ", which has the memory of an ", package::EnumNameStorage(storage));
  if (write && storage == Storage::prepared && !prepare)
    return error("writes to ",
                 numbered("buffer", buffer, in.buffers[buffer].name),
                 ", which only the prepare program may do");
  if (prepare && (storage == Storage::input || storage == Storage::output))
    return error("uses ", numbered("buffer", buffer, in.buffers[buffer].name),
                 ", which has no memory before a run");
  if (prepare && needsSymbol[in.buffers[buffer].bytes])
    return error("uses ", numbered("buffer", buffer, in.buffers[buffer].name),
                 ", whose size depends on a symbol");
  return {};
}

Status Parser::launch(const package::Instruction &from, Variant &in,
                      bool prepare, Instruction &to) {
  to.kernel = from.kernel();
  if (to.kernel >= in.kernels.size())
    return error("kernel index ", to.kernel, ", but there are ",
                 in.kernels.size());
  const Kernel &kernel = in.kernels[to.kernel];
  Place place(*this, numbered("launch of kernel", to.kernel, kernel.entry));
  AICC_RETURN_IF_ERROR(
      indices(from.buffers(), in.buffers.size(), "buffer", to.buffers));
  if (to.buffers.size() != kernel.buffers)
    return error("passes ", to.buffers.size(), " buffers, expected ",
                 kernel.buffers);
  AICC_RETURN_IF_ERROR(
      indices(from.scalars(), in.exprs.size(), "expression", to.scalars));
  if (to.scalars.size() != kernel.scalars)
    return error("passes ", to.scalars.size(), " scalars, expected ",
                 kernel.scalars);
  for (size_t i = 0; i < to.buffers.size(); ++i)
    AICC_RETURN_IF_ERROR(access(in, to.buffers[i],
                                i >= kernel.buffers - kernel.outputs, prepare));
  std::vector<uint32_t> grid;
  AICC_RETURN_IF_ERROR(
      indices(from.grid(), in.exprs.size(), "grid has expression", grid));
  if (grid.size() != 3)
    return error("grid has ", grid.size(), " sizes, expected 3");
  std::copy(grid.begin(), grid.end(), to.grid.begin());
  to.scratch = from.scratch();
  return expression(to.scratch, in, "scratch");
}

Status Parser::transfer(const package::Instruction &from, Variant &in,
                        bool prepare, Instruction &to) {
  AICC_RETURN_IF_ERROR(
      indices(from.buffers(), in.buffers.size(), "buffer", to.buffers));
  const size_t expected = from.op() == Operation::copy ? 2 : 1;
  if (to.buffers.size() != expected)
    return error("has ", to.buffers.size(), " buffers, expected ", expected);
  if (expected == 2)
    AICC_RETURN_IF_ERROR(access(in, to.buffers[0], false, prepare));
  return access(in, to.buffers.back(), true, prepare);
}

Status Parser::loop(const package::Instruction &from, Variant &in, bool prepare,
                    std::vector<bool> &openSymbols, Instruction &to) {
  to.symbol = from.symbol();
  to.count = from.count();
  if (to.symbol < out.symbols.size() || to.symbol >= out.symbolCount)
    return error("loop sets symbol ", to.symbol, ", expected ",
                 out.symbols.size(), " to ", out.symbolCount);
  if (usedAsLoop[to.symbol])
    return error("two loops set symbol ", to.symbol);
  usedAsLoop[to.symbol] = true;
  AICC_RETURN_IF_ERROR(expression(to.count, in, "loop count"));
  openSymbols[to.symbol] = true;
  AICC_RETURN_IF_ERROR(
      instructions(from.body(), in, prepare, openSymbols, to.body));
  openSymbols[to.symbol] = false;
  return {};
}

Status Parser::instructions(const Instructions *from, Variant &in, bool prepare,
                            std::vector<bool> &openSymbols,
                            std::vector<Instruction> &to) {
  AICC_RETURN_IF_ERROR(spend(from));
  AICC_RETURN_IF_ERROR(spend(&in.exprs.nodes));
  const std::vector<bool> available = in.exprs.computable(openSymbols);
  for (unsigned i = 0; from && i < from->size(); ++i) {
    const package::Instruction &source = *from->Get(i);
    Instruction &instruction = to.emplace_back();
    if (source.op() > package::Operation::MAX)
      return error("instruction ", i, " has unknown operation ",
                   unsigned(source.op()));
    Place place(*this, std::string("instruction ") + std::to_string(i));
    instruction.op = source.op();
    if (source.op() == Operation::launch)
      AICC_RETURN_IF_ERROR(launch(source, in, prepare, instruction));
    else if (source.op() == Operation::loop)
      AICC_RETURN_IF_ERROR(loop(source, in, prepare, openSymbols, instruction));
    else
      AICC_RETURN_IF_ERROR(transfer(source, in, prepare, instruction));

    // A value must be there when it is asked for: named symbols in the main
    // program, and those of the loops around.
    auto check = [&](uint32_t index) -> Status {
      if (!available[index])
        return error("expression ", index,
                     " uses a symbol that has no value here");
      return {};
    };
    for (uint32_t scalar : instruction.scalars)
      AICC_RETURN_IF_ERROR(check(scalar));
    if (source.op() == Operation::launch) {
      for (uint32_t size : instruction.grid)
        AICC_RETURN_IF_ERROR(check(size));
      AICC_RETURN_IF_ERROR(check(instruction.scratch));
    } else if (source.op() == Operation::loop) {
      AICC_RETURN_IF_ERROR(check(instruction.count));
    }
  }
  return {};
}

} // namespace

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
    return 8;
  case ElementType::invalid:
    break;
  }
  return 0;
}

static constexpr std::pair<const char *, ElementType> typeNames[] = {
    {"bool", ElementType::bool_}, {"i8", ElementType::i8},
    {"u8", ElementType::u8},      {"i16", ElementType::i16},
    {"u16", ElementType::u16},    {"i32", ElementType::i32},
    {"u32", ElementType::u32},    {"i64", ElementType::i64},
    {"u64", ElementType::u64},    {"f16", ElementType::f16},
    {"bf16", ElementType::bf16},  {"f32", ElementType::f32},
    {"f64", ElementType::f64}};

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
