//===- Parser.h - checks a package's header -------------------------------===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Private to Parse.cpp (what a package lists) and ParseProgram.cpp (what its
// programs do). Turns the FlatBuffer into program::Package. The FlatBuffers
// verifier makes sure that reading is safe; everything about the meaning is
// checked here.
//
//===----------------------------------------------------------------------===//

#ifndef AICC_RUNTIME_PACKAGE_PARSER_H
#define AICC_RUNTIME_PACKAGE_PARSER_H

#include "Reader.h"

namespace aicc::program {

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
    return spend(vector ? uint64_t(vector->size()) : 0);
  }
  Status spend(uint64_t cost) {
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
  Status devices(const package::Variant &from, Variant &to);
  Status outputDevices(const Variant &in);
  Status kernel(const package::Kernel &from, const Variant &in, Kernel &to);
  Status buffer(const package::Buffer &from, size_t index, size_t count,
                Variant &in, Buffer &to);
  Status aliases(const package::Variant &from, Variant &to);
  using Instructions =
      flatbuffers::Vector<flatbuffers::Offset<package::Instruction>>;

  // ParseProgram.cpp
  Status program(const Instructions *from, Variant &in, bool prepare,
                 std::vector<Instruction> &to);
  Status instructions(const Instructions *from, Variant &in,
                      std::vector<Instruction> &to);
  Status instruction(const package::Instruction &from, Variant &in,
                     Instruction &to);
  Status launch(const package::Instruction &from, Variant &in, Instruction &to);
  Status transfer(const package::Instruction &from, Variant &in,
                  Instruction &to);
  Status loop(const package::Instruction &from, Variant &in, Instruction &to);
  Status branch(const package::Instruction &from, Variant &in, Instruction &to);
  Status read(const package::Instruction &from, Variant &in, Instruction &to);
  Status call(const package::Instruction &from, Variant &in, Instruction &to);
  Status swap(const Variant &in, const Instruction &instruction);
  Status bufferList(const package::Instruction &from, const Variant &in,
                    size_t expected, Instruction &to);
  Status access(const Variant &in, uint32_t buffer, bool write);
  Status condition(const Variant &in, uint32_t buffer);
  Status sameDevice(const Variant &in, const std::vector<uint32_t> &buffers,
                    uint32_t device);
  Status expression(uint32_t index, const Variant &in, const char *what);
  Status value(uint32_t index, const Variant &in, const char *what);
  Status bind(uint32_t symbol, const char *what);
  void unbind(size_t mark);
  Status outputsAreKnown();

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
  // Of the variant being read: which expressions need any symbol.
  std::vector<bool> needsSymbol;
  // Of the program being read: what has a value at the instruction at hand, of
  // the variant's expressions and of the package's, and which symbols count
  // the iterations of the loops around it.
  bool prepare = false;
  std::optional<Availability> known, knownPorts;
  std::vector<bool> counting;
  // For each expression how many buffers it is the size of.
  std::vector<uint32_t> buffersOf;
};

// "buffer 3 ('x')"
std::string numbered(const char *what, size_t index, const std::string &name);

} // namespace aicc::program

#endif
