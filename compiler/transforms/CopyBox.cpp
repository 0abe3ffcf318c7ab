//===- CopyBox.cpp - strided copies of whole tensors ----------------------===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "compiler/transforms/CopyBox.h"

#include "mlir/IR/Threading.h"
#include "llvm/ADT/SmallVector.h"

#include <algorithm>
#include <cstdint>
#include <cstring>

using namespace mlir;
using llvm::ArrayRef;
using llvm::SmallVector;

namespace aicc::transforms {

SmallVector<int64_t> stridesOf(ArrayRef<int64_t> dims) {
  SmallVector<int64_t> strides(dims.size(), 1);
  for (int i = int(dims.size()) - 2; i >= 0; --i)
    strides[i] = strides[i + 1] * dims[i + 1];
  return strides;
}

namespace {
struct Loop {
  int64_t size, out, in;
};

/// Elements of a block's side: 32 x 32 words of both operands stay in L1.
constexpr int64_t side = 32;

template <typename T>
void copyBlock(T *out, const T *in, Loop a, Loop b, int64_t a0, int64_t b0) {
  int64_t a1 = std::min(a.size, a0 + side), b1 = std::min(b.size, b0 + side);
  for (int64_t i = a0; i < a1; ++i)
    for (int64_t j = b0; j < b1; ++j)
      out[i * a.out + j * b.out] = in[i * a.in + j * b.in];
}

template <typename T>
void copyLoops(MLIRContext *context, T *out, const T *in,
               SmallVector<Loop> loops) {
  // The two inner loops: b walks the result's fastest dimension, a the
  // operand's (or, where they are one, the next).
  auto byOut = [](const Loop &x, const Loop &y) { return x.out < y.out; };
  auto pick = [&](auto less) {
    auto it = std::min_element(loops.begin(), loops.end(), less);
    Loop loop = *it;
    loops.erase(it);
    return loop;
  };
  Loop b = loops.empty() ? Loop{1, 0, 0} : pick(byOut);
  bool rows = b.out == 1 && b.in == 1;
  Loop a = loops.empty() ? Loop{1, 0, 0}
           : rows        ? pick(byOut)
                         : pick([](const Loop &x, const Loop &y) {
                      return std::abs(x.in) < std::abs(y.in);
                    });
  int64_t outer = 1;
  for (Loop &loop : loops)
    outer *= loop.size;
  int64_t blocksA = (a.size + side - 1) / side;
  int64_t blocksB = rows ? 1 : (b.size + side - 1) / side;
  auto run = [&](int64_t index) {
    int64_t blockB = index % blocksB, rest = index / blocksB;
    int64_t blockA = rest % blocksA;
    rest /= blocksA;
    T *to = out;
    const T *from = in;
    for (Loop &loop : llvm::reverse(loops)) {
      int64_t i = rest % loop.size;
      rest /= loop.size;
      to += i * loop.out;
      from += i * loop.in;
    }
    if (!rows)
      return copyBlock(to, from, a, b, blockA * side, blockB * side);
    int64_t end = std::min(a.size, (blockA + 1) * side);
    for (int64_t i = blockA * side; i < end; ++i)
      std::memcpy(to + i * a.out, from + i * a.in, b.size * sizeof(T));
  };
  int64_t total = outer * blocksA * blocksB;
  int64_t bytes = outer * a.size * b.size * int64_t(sizeof(T));
  if (bytes < (1 << 20) || !context) {
    for (int64_t i = 0; i < total; ++i)
      run(i);
    return;
  }
  int64_t chunks = std::min<int64_t>(total, 64);
  parallelFor(context, 0, chunks, [&](size_t chunk) {
    int64_t end = total * (int64_t(chunk) + 1) / chunks;
    for (int64_t i = total * int64_t(chunk) / chunks; i < end; ++i)
      run(i);
  });
}
} // namespace

void copyBox(MLIRContext *context, char *out, ArrayRef<int64_t> outStrides,
             const char *in, ArrayRef<int64_t> inStrides,
             ArrayRef<int64_t> dims, unsigned elementBytes) {
  SmallVector<Loop> loops;
  for (size_t i = 0; i < dims.size(); ++i) {
    if (dims[i] == 0)
      return;
    if (dims[i] == 1)
      continue;
    Loop loop{dims[i], outStrides[i], inStrides[i]};
    // Two dimensions that both sides step through alike are one.
    if (!loops.empty() && loops.back().out == loop.out * loop.size &&
        loops.back().in == loop.in * loop.size)
      loops.back() = {loops.back().size * loop.size, loop.out, loop.in};
    else
      loops.push_back(loop);
  }
  switch (elementBytes) {
  case 1:
    return copyLoops(context, reinterpret_cast<uint8_t *>(out),
                     reinterpret_cast<const uint8_t *>(in), loops);
  case 2:
    return copyLoops(context, reinterpret_cast<uint16_t *>(out),
                     reinterpret_cast<const uint16_t *>(in), loops);
  case 4:
    return copyLoops(context, reinterpret_cast<uint32_t *>(out),
                     reinterpret_cast<const uint32_t *>(in), loops);
  case 8:
    return copyLoops(context, reinterpret_cast<uint64_t *>(out),
                     reinterpret_cast<const uint64_t *>(in), loops);
  default:
    using Wide = std::array<uint64_t, 2>;
    return copyLoops(context, reinterpret_cast<Wide *>(out),
                     reinterpret_cast<const Wide *>(in), loops);
  }
}

} // namespace aicc::transforms
