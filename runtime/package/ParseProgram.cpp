//===- ParseProgram.cpp - checks a package's programs ---------------------===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Follows a program the way it runs and keeps account of which symbols have a
// value, so that the executor never asks for one that has none.
//
//===----------------------------------------------------------------------===//

#include "Parser.h"

#include <algorithm>

using namespace aicc;
using namespace aicc::program;

Status Parser::expression(uint32_t index, const Variant &in, const char *what) {
  if (index >= in.exprs.size())
    return error(what, " has expression index ", index, ", but there are ",
                 in.exprs.size());
  return {};
}

// An expression that is asked for at this place.
Status Parser::value(uint32_t index, const Variant &in, const char *what) {
  AICC_RETURN_IF_ERROR(expression(index, in, what));
  if (!known->computable(index))
    return error(what, ": expression ", index,
                 " uses a symbol that has no value here");
  return {};
}

Status Parser::access(const Variant &in, uint32_t buffer, bool write) {
  const Buffer &entry = in.buffers[buffer];
  const Buffer &root = in.buffers[entry.root];
  const Storage storage = root.storage;
  const auto name = [&] { return numbered("buffer", buffer, entry.name); };
  if (write && (storage == Storage::input || storage == Storage::weight))
    return error("writes to ", name(), ", which has the memory of an ",
                 package::EnumNameStorage(storage));
  if (write && storage == Storage::prepared && !prepare)
    return error("writes to ", name(),
                 ", which only the prepare program may do");
  if (prepare && (storage == Storage::input || storage == Storage::output))
    return error("uses ", name(), ", which has no memory before a run");
  if (prepare && needsSymbol[entry.bytes])
    return error("uses ", name(), ", whose size depends on a symbol");
  if (!known->computable(entry.bytes) || !known->computable(root.bytes))
    return error("uses ", name(),
                 ", whose size depends on a symbol that has no value here");
  if (storage == Storage::output)
    for (uint32_t dim : out.outputs[root.index].dims)
      if (!knownPorts->computable(dim))
        return error("uses ", name(), ", but the dimensions of output '",
                     out.outputs[root.index].name,
                     "' depend on a symbol that has no value here");
  return {};
}

// Kernels and functions reach the memory of their device only.
Status Parser::sameDevice(const Variant &in,
                          const std::vector<uint32_t> &buffers,
                          uint32_t device) {
  for (uint32_t index : buffers)
    if (in.buffers[index].device != device)
      return error("uses ", numbered("buffer", index, in.buffers[index].name),
                   " on device ", in.buffers[index].device,
                   ", expected one on device ", device);
  return {};
}

// A buffer of booleans that the program asks for.
Status Parser::condition(const Variant &in, uint32_t buffer) {
  if (buffer >= in.buffers.size())
    return error("condition has buffer index ", buffer, ", but there are ",
                 in.buffers.size());
  if (in.buffers[buffer].type != ElementType::bool_)
    return error("condition has type ",
                 elementTypeName(in.buffers[buffer].type), ", expected bool");
  return access(in, buffer, false);
}

// A symbol gets a value, with it everything that follows from it.
Status Parser::bind(uint32_t symbol, const char *what) {
  if (symbol < out.symbols.size() || symbol >= out.symbolCount)
    return error(what, " sets symbol ", symbol, ", expected ",
                 out.symbols.size(), " to ", out.symbolCount);
  if (counting[symbol])
    return error(what, " sets symbol ", symbol,
                 ", which counts the iterations of a loop around it");
  known->bind(symbol);
  knownPorts->bind(symbol);
  // What the executor keeps for it is bounded by the same.
  uint64_t cost = knownPorts->dependents(symbol).size();
  for (uint32_t index : known->dependents(symbol))
    cost += 1 + buffersOf[index];
  return spend(cost);
}

void Parser::unbind(size_t mark) {
  known->rewind(mark);
  knownPorts->rewind(mark);
}

Status Parser::bufferList(const package::Instruction &from, const Variant &in,
                          size_t expected, Instruction &to) {
  AICC_RETURN_IF_ERROR(
      indices(from.buffers(), in.buffers.size(), "buffer", to.buffers));
  if (to.buffers.size() != expected)
    return error("has ", to.buffers.size(), " buffers, expected ", expected);
  return {};
}

Status Parser::launch(const package::Instruction &from, Variant &in,
                      Instruction &to) {
  to.kernel = from.kernel();
  if (to.kernel >= in.kernels.size())
    return error("kernel index ", to.kernel, ", but there are ",
                 in.kernels.size());
  const Kernel &kernel = in.kernels[to.kernel];
  AICC_RETURN_IF_ERROR(texts(from.sources(), to.sources));
  Place place(*this, numbered("launch of kernel", to.kernel, kernel.entry));
  AICC_RETURN_IF_ERROR(
      indices(from.buffers(), in.buffers.size(), "buffer", to.buffers));
  if (to.buffers.size() != kernel.buffers)
    return error("passes ", to.buffers.size(), " buffers, expected ",
                 kernel.buffers);
  AICC_RETURN_IF_ERROR(sameDevice(in, to.buffers, in.deviceOf(kernel)));
  AICC_RETURN_IF_ERROR(
      indices(from.scalars(), in.exprs.size(), "expression", to.scalars));
  if (to.scalars.size() != kernel.scalars)
    return error("passes ", to.scalars.size(), " scalars, expected ",
                 kernel.scalars);
  for (size_t i = 0; i < to.buffers.size(); ++i)
    AICC_RETURN_IF_ERROR(
        access(in, to.buffers[i], i >= kernel.buffers - kernel.outputs));
  std::vector<uint32_t> grid;
  AICC_RETURN_IF_ERROR(
      indices(from.grid(), in.exprs.size(), "grid has expression", grid));
  if (grid.size() != 3)
    return error("grid has ", grid.size(), " sizes, expected 3");
  std::copy(grid.begin(), grid.end(), to.grid.begin());
  to.scratch = from.scratch();
  for (uint32_t scalar : to.scalars)
    AICC_RETURN_IF_ERROR(value(scalar, in, "scalar"));
  for (uint32_t size : to.grid)
    AICC_RETURN_IF_ERROR(value(size, in, "grid"));
  return value(to.scratch, in, "scratch");
}

Status Parser::transfer(const package::Instruction &from, Variant &in,
                        Instruction &to) {
  const bool copies = from.op() == Operation::copy;
  AICC_RETURN_IF_ERROR(bufferList(from, in, copies ? 2 : 1, to));
  if (copies) {
    AICC_RETURN_IF_ERROR(access(in, to.buffers[0], false));
    AICC_RETURN_IF_ERROR(
        indices(from.scalars(), in.exprs.size(), "expression", to.scalars));
    if (to.scalars.size() > 1)
      return error("copies to ", to.scalars.size(), " places, expected one");
    for (uint32_t place : to.scalars)
      AICC_RETURN_IF_ERROR(value(place, in, "place of a copy"));
  }
  return access(in, to.buffers.back(), true);
}

Status Parser::loop(const package::Instruction &from, Variant &in,
                    Instruction &to) {
  to.symbol = from.symbol();
  to.count = from.count();
  AICC_RETURN_IF_ERROR(value(to.count, in, "loop count"));
  if (from.condition()) {
    to.condition = from.condition() - 1;
    AICC_RETURN_IF_ERROR(condition(in, *to.condition));
  }
  if (to.symbol >= out.symbols.size() && to.symbol < out.symbolCount &&
      known->knows(to.symbol))
    return error("loop sets symbol ", to.symbol,
                 ", which has another value already");
  const size_t mark = known->mark();
  AICC_RETURN_IF_ERROR(bind(to.symbol, "loop"));
  counting[to.symbol] = true;
  AICC_RETURN_IF_ERROR(instructions(from.body(), in, to.body));
  counting[to.symbol] = false;
  unbind(mark);
  if (from.trips()) {
    to.trips = from.trips() - 1;
    return bind(*to.trips, "loop's trip count");
  }
  return {};
}

Status Parser::branch(const package::Instruction &from, Variant &in,
                      Instruction &to) {
  AICC_RETURN_IF_ERROR(bufferList(from, in, 1, to));
  AICC_RETURN_IF_ERROR(condition(in, to.buffers[0]));
  const size_t mark = known->mark();
  AICC_RETURN_IF_ERROR(instructions(from.body(), in, to.body));
  std::vector<uint32_t> both = known->since(mark);
  unbind(mark);
  {
    Place place(*this, "otherwise");
    AICC_RETURN_IF_ERROR(instructions(from.otherwise(), in, to.otherwise));
  }
  std::erase_if(both, [&](uint32_t symbol) { return !known->knows(symbol); });
  unbind(mark);
  for (uint32_t symbol : both)
    AICC_RETURN_IF_ERROR(bind(symbol, "branch"));
  return {};
}

Status Parser::read(const package::Instruction &from, Variant &in,
                    Instruction &to) {
  AICC_RETURN_IF_ERROR(bufferList(from, in, 1, to));
  const ElementType type = in.buffers[to.buffers[0]].type;
  if (type < ElementType::bool_ || type > ElementType::u64)
    return error("reads an element of type ", elementTypeName(type),
                 ", expected an integer");
  AICC_RETURN_IF_ERROR(access(in, to.buffers[0], false));
  to.symbol = from.symbol();
  to.element = from.element();
  to.minimum = from.minimum();
  AICC_RETURN_IF_ERROR(texts(from.sources(), to.sources));
  return bind(to.symbol, "read");
}

Status Parser::call(const package::Instruction &from, Variant &in,
                    Instruction &to) {
  AICC_RETURN_IF_ERROR(text(from.function(), to.function));
  AICC_RETURN_IF_ERROR(text(from.attributes(), to.attributes));
  AICC_RETURN_IF_ERROR(texts(from.sources(), to.sources));
  Place place(*this, "call of '" + to.function + "'");
  AICC_RETURN_IF_ERROR(
      indices(from.buffers(), in.buffers.size(), "buffer", to.buffers));
  to.outputs = from.outputs();
  if (to.outputs > to.buffers.size())
    return error(to.outputs, " outputs among ", to.buffers.size(), " buffers");
  if (!to.buffers.empty())
    AICC_RETURN_IF_ERROR(
        sameDevice(in, to.buffers, in.buffers[to.buffers[0]].device));
  for (size_t i = 0; i < to.buffers.size(); ++i) {
    AICC_RETURN_IF_ERROR(
        access(in, to.buffers[i], i >= to.buffers.size() - to.outputs));
    // The function is told the dimensions.
    for (uint32_t dim : in.buffers[to.buffers[i]].dims)
      AICC_RETURN_IF_ERROR(value(dim, in, "dimension of a buffer"));
  }
  return {};
}

Status Parser::swap(const Variant &in, const Instruction &instruction) {
  for (uint32_t index : instruction.buffers) {
    AICC_RETURN_IF_ERROR(access(in, index, true));
    if (in.buffers[index].root != index ||
        in.buffers[index].storage != Storage::temporary)
      return error("swaps ", numbered("buffer", index, in.buffers[index].name),
                   ", expected a temporary that is no view");
  }
  const Buffer &a = in.buffers[instruction.buffers[0]],
               &b = in.buffers[instruction.buffers[1]];
  if (a.device != b.device)
    return error("swaps ", numbered("buffer", b.root, b.name), " on device ",
                 b.device, " with one on device ", a.device);
  // With equal lifetimes no third buffer has the memory of one of them while
  // the other's contents are needed.
  if (a.root == b.root || a.bytes != b.bytes || a.first != b.first ||
      a.last != b.last)
    return error("swaps ", numbered("buffer", a.root, a.name), " with ",
                 numbered("buffer", b.root, b.name),
                 ", expected another one of the same size and lifetime");
  return {};
}

Status Parser::instruction(const package::Instruction &from, Variant &in,
                           Instruction &to) {
  to.op = from.op();
  const bool always =
      to.op == Operation::launch || to.op == Operation::copy ||
      to.op == Operation::fill_zero ||
      (to.op == Operation::loop && !from.condition() && !from.trips());
  if (prepare && !always)
    return error("has operation ", package::EnumNameOperation(to.op),
                 ", which depends on values that only a run has");
  switch (to.op) {
  case Operation::launch:
    return launch(from, in, to);
  case Operation::copy:
  case Operation::fill_zero:
    return transfer(from, in, to);
  case Operation::loop:
    return loop(from, in, to);
  case Operation::read:
    return read(from, in, to);
  case Operation::branch:
    return branch(from, in, to);
  case Operation::call:
    return call(from, in, to);
  case Operation::swap:
    AICC_RETURN_IF_ERROR(bufferList(from, in, 2, to));
    return swap(in, to);
  }
  return error("has unknown operation ", unsigned(to.op));
}

Status Parser::instructions(const Instructions *from, Variant &in,
                            std::vector<Instruction> &to) {
  AICC_RETURN_IF_ERROR(spend(from));
  for (unsigned i = 0; from && i < from->size(); ++i) {
    Place place(*this, "instruction " + std::to_string(i));
    AICC_RETURN_IF_ERROR(instruction(*from->Get(i), in, to.emplace_back()));
  }
  return {};
}

Status Parser::outputsAreKnown() {
  for (size_t i = 0; i < out.outputs.size(); ++i)
    for (size_t d = 0; d < out.outputs[i].dims.size(); ++d)
      if (!knownPorts->computable(out.outputs[i].dims[d]))
        return error(numbered("output", i, out.outputs[i].name), ": dimension ",
                     d, " depends on a symbol that never gets a value");
  return {};
}

Status Parser::program(const Instructions *from, Variant &in, bool prepare,
                       std::vector<Instruction> &to) {
  this->prepare = prepare;
  AICC_RETURN_IF_ERROR(spend(in.exprs.size()));
  AICC_RETURN_IF_ERROR(spend(out.exprs.size()));
  AICC_RETURN_IF_ERROR(spend(out.symbolCount));
  known.emplace(in.exprs, out.symbolCount);
  knownPorts.emplace(out.exprs, out.symbolCount);
  counting.assign(out.symbolCount, false);
  if (!prepare)
    for (uint32_t symbol = 0; symbol < out.symbols.size(); ++symbol) {
      known->bind(symbol);
      knownPorts->bind(symbol);
    }
  AICC_RETURN_IF_ERROR(instructions(from, in, to));
  return prepare ? Status() : outputsAreKnown();
}
