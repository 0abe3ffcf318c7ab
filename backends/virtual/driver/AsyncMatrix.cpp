//===- AsyncMatrix.cpp - matrix instructions beside the threads -----------===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// They take place when somebody waits for them, as late as they may. Until then
// the threads hold tokens in place of the sums, and what the operands' memory
// held at the beginning is kept, to see whether it still does at the end.
//
//===----------------------------------------------------------------------===//

#include "Workgroup.h"

#include <cstring>

using namespace aicc::backends::virtual_device;

static constexpr size_t chunkBytes = 16, lineBytes = 128, blockBytes = 1024;

// A quiet NaN, so that as a float it spoils whatever it is used for.
static constexpr uint32_t tokenBase = 0x7fc00000, tokenMask = 0x003fffff;

static bool isToken(uint32_t word) { return (word & ~tokenMask) == tokenBase; }

static uint32_t wordOf(const void *elements, size_t i) {
  uint32_t word;
  std::memcpy(&word, static_cast<const unsigned char *>(elements) + 4 * i, 4);
  return word;
}

//===----------------------------------------------------------------------===//
// Operands
//===----------------------------------------------------------------------===//

std::string Workgroup::read(const aicc_virtual_matrix &what, Operand &operand) {
  constexpr uint64_t offsetBits = 0x3fff;
  const uint64_t word = operand.descriptor;
  const uint64_t start = (word & offsetBits) * chunkBytes,
                 leading = (word >> 16 & offsetBits) * chunkBytes,
                 stride = (word >> 32 & offsetBits) * chunkBytes;
  constexpr uint64_t known =
      offsetBits | offsetBits << 16 | offsetBits << 32 | uint64_t(3) << 62;
  if (word >> 62 != 1 || word & ~known)
    return "has a descriptor of an unknown format";
  if (start % blockBytes >= lineBytes || stride % blockBytes ||
      (operand.across && leading % blockBytes))
    return "has a descriptor by which blocks of eight lines don't begin at "
           "multiples of " +
           std::to_string(blockBytes) + " bytes";
  const size_t bytes = MatrixSums::size(what.operand);
  if (operand.across && bytes != 2)
    return "has operands of " + std::to_string(bytes) +
           " bytes that lie across, expected 2 bytes";
  const uint64_t sharedBytes = launch_.kernel->shared_bytes;
  std::vector<unsigned char> found(operand.lines * what.depth * bytes);
  // In the order in which the bytes are kept.
  for (size_t at = 0; at < found.size(); at += chunkBytes) {
    uint64_t address = start;
    if (operand.across) {
      const size_t line = at / bytes % operand.lines,
                   depth = at / bytes / operand.lines;
      address += line / 64 * leading + depth / 8 * stride +
                 depth % 8 * lineBytes + line % 64 * bytes;
    } else {
      const size_t row = what.depth * bytes, line = at / row;
      address += line / 8 * stride + line % 8 * lineBytes + at % row;
    }
    address ^= (address / lineBytes % 8) * chunkBytes;
    if (address + chunkBytes > sharedBytes)
      return "reads out of bounds, at " + std::to_string(address) + " of the " +
             std::to_string(sharedBytes) + " bytes of workgroup memory";
    const Written &last = written_[address / chunkBytes];
    if (last.when > writesBefore_ &&
        last.when > threads_[last.thread].published)
      return "reads workgroup memory that " + nameOf(last.thread) +
             " wrote and did not make visible to it";
    Access other;
    switch (sharedShadow_.touch(
        address, chunkBytes, /*write=*/false, /*initialised=*/true,
        Access(sharedClock_, besideThreads, false), sharedClock_, other)) {
    case Mistake::none:
      break;
    case Mistake::uninitialised:
      return "reads workgroup memory that nobody wrote";
    default:
      return "reads workgroup memory that " + nameOf(other.thread()) +
             " wrote, with no barrier between: a race";
    }
    std::memcpy(&found[at], shared_ + address, chunkBytes);
  }
  if (operand.bytes.empty())
    operand.bytes = std::move(found);
  else if (operand.bytes != found)
    return "reads workgroup memory that was overwritten while it was under way";
  return "";
}

//===----------------------------------------------------------------------===//
// The beginning
//===----------------------------------------------------------------------===//

void Workgroup::matrixBegin(aicc_virtual_thread *self,
                            const aicc_virtual_matrix *what, uint64_t a,
                            uint64_t b, uint32_t across, void *sums,
                            uint32_t site) {
  auto *thread = static_cast<Thread *>(self);
  thread->kind = matrixBeginKind;
  thread->matrix = what;
  thread->descriptors[0] = a;
  thread->descriptors[1] = b;
  thread->across = across;
  thread->operands = {nullptr, nullptr, sums, sums};
  thread->workgroup->wait(*thread, State::shuffle, site);
}

std::shared_ptr<Workgroup::Sums>
Workgroup::sumsOf(const aicc_virtual_matrix &what, size_t first,
                  std::string &wrong) {
  const size_t lanes = size_t(1) << what.c.lane_bits,
               count = size_t(1) << what.c.element_bits;
  const uint32_t token = wordOf(threads_[first].operands.c, 0);
  auto known = isToken(token) ? sums_.find(token) : sums_.end();
  bool fenced = true;
  size_t tokens = 0;
  for (size_t lane = 0; lane < lanes; ++lane) {
    const Thread &thread = threads_[first + lane];
    fenced &= thread.fenced;
    for (size_t i = 0; i < count; ++i)
      tokens += sums_.count(wordOf(thread.operands.c, i)) &&
                wordOf(thread.operands.c, i) == token;
  }
  if (known != sums_.end()) {
    if (tokens == lanes * count && !known->second->taken)
      return known->second;
    wrong = "adds to elements some of which are those of an instruction under "
            "way";
    return nullptr;
  }
  if (!fenced) {
    wrong = "adds to elements that threads have touched, with no fence between";
    return nullptr;
  }
  auto made = std::make_shared<Sums>(what);
  for (size_t lane = 0; lane < lanes; ++lane)
    made->values.put(what, lane, threads_[first + lane].operands.c);
  return made;
}

bool Workgroup::releaseMatrixBegin(size_t leader) {
  const Thread &one = threads_[leader];
  const aicc_virtual_matrix &what = *one.matrix;
  const size_t lanes = size_t(1) << what.c.lane_bits,
               first = leader / lanes * lanes;
  auto fail = [&](const std::string &wrong) {
    error_ = nameOf(one.number) + " and those who execute it together: it " +
             wrong + ": " + siteText(one.site);
    return false;
  };
  if (first + lanes > threads_.size() || MatrixSums::size(what.result) != 4)
    return fail("wants " + std::to_string(lanes) + " lanes");
  for (size_t i = first; i < first + lanes; ++i) {
    const Thread &thread = threads_[i];
    if (thread.state != State::shuffle || thread.kind != matrixBeginKind ||
        thread.site != one.site)
      return false;
    if (thread.descriptors[0] != one.descriptors[0] ||
        thread.descriptors[1] != one.descriptors[1] ||
        thread.across != one.across)
      return fail("is given different descriptors by different threads");
  }
  std::string wrong;
  auto work = std::make_shared<MatrixWork>();
  work->what = &what;
  work->site = one.site;
  work->sums = sumsOf(what, first, wrong);
  work->a = {one.descriptors[0],
             what.rows,
             (one.across & AICC_VIRTUAL_A_ACROSS) != 0,
             {}};
  work->b = {one.descriptors[1],
             what.columns,
             (one.across & AICC_VIRTUAL_B_ACROSS) != 0,
             {}};
  if (wrong.empty())
    wrong = read(what, work->a);
  if (wrong.empty())
    wrong = read(what, work->b);
  if (!wrong.empty())
    return fail(wrong);
  sums_.erase(work->sums->token);
  const uint32_t token = tokenBase | (++tokens_ & tokenMask);
  work->sums->token = token;
  sums_[token] = work->sums;
  for (size_t i = first; i < first + lanes; ++i) {
    Thread &thread = threads_[i];
    auto *to = static_cast<unsigned char *>(thread.operands.d);
    for (size_t e = 0; e < size_t(1) << what.c.element_bits; ++e)
      std::memcpy(to + 4 * e, &token, 4);
    thread.openWorks.push_back(work);
    thread.state = State::ready;
  }
  return true;
}

//===----------------------------------------------------------------------===//
// The end
//===----------------------------------------------------------------------===//

void Workgroup::matrixFence(aicc_virtual_thread *self) {
  static_cast<Thread *>(self)->fenced = true;
}

void Workgroup::matrixCommit(aicc_virtual_thread *self, uint32_t) {
  auto *thread = static_cast<Thread *>(self);
  thread->works.push_back(std::move(thread->openWorks));
  thread->openWorks.clear();
}

bool Workgroup::finish(const Thread &thread, MatrixWork &work) {
  if (work.done)
    return true;
  work.done = true;
  std::string wrong = read(*work.what, work.a);
  if (wrong.empty())
    wrong = read(*work.what, work.b);
  if (!wrong.empty()) {
    blame(thread, work.site, "waits for a matrix instruction that " + wrong);
    return false;
  }
  work.sums->values.add(*work.what, work.a.bytes.data(), work.a.across,
                        work.b.bytes.data(), work.b.across);
  return true;
}

void Workgroup::matrixWait(aicc_virtual_thread *self, uint32_t pending,
                           uint32_t) {
  auto *thread = static_cast<Thread *>(self);
  while (thread->works.size() > pending) {
    for (const std::shared_ptr<MatrixWork> &work : thread->works.front())
      if (!thread->workgroup->finish(*thread, *work))
        thread->workgroup->abandon(*thread);
    thread->works.erase(thread->works.begin());
  }
}

void Workgroup::matrixResult(aicc_virtual_thread *self, void *elements,
                             uint64_t bytes, uint32_t site) {
  auto *thread = static_cast<Thread *>(self);
  Workgroup &group = *thread->workgroup;
  thread->fenced = false;
  const uint32_t token = wordOf(elements, 0);
  auto known = isToken(token) ? group.sums_.find(token) : group.sums_.end();
  if (known == group.sums_.end())
    return;
  Sums &sums = *known->second;
  for (size_t i = 0; i < bytes / 4; ++i)
    if (wordOf(elements, i) != token)
      group.stop(*thread, site, []() -> std::string {
        return "takes results of different matrix instructions";
      });
  if (!thread->openWorks.empty() || !thread->works.empty())
    group.stop(*thread, site, []() -> std::string {
      return "takes results while a matrix instruction is under way";
    });
  const size_t lanes = size_t(1) << sums.what.c.lane_bits;
  sums.values.take(sums.what, thread->number % lanes, elements);
  if (++sums.taken == lanes)
    group.sums_.erase(known);
}

void Workgroup::publish(aicc_virtual_thread *self) {
  auto *thread = static_cast<Thread *>(self);
  thread->published = thread->workgroup->writes_;
}
