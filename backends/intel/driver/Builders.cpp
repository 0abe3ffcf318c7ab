//===- Builders.cpp - threads that compile modules ------------------------===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Builders.h"

#include <algorithm>

using namespace aicc::intel;

Builders::~Builders() {
  {
    std::lock_guard lock(mutex);
    stopping = true;
  }
  changed.notify_all();
  for (std::thread &thread : threads)
    thread.join();
}

void Builders::add(Buildable *module) {
  std::lock_guard lock(mutex);
  queue.push_back(module);
  const unsigned most = std::clamp(std::thread::hardware_concurrency(), 1u, 8u);
  if (threads.size() < std::min<size_t>(most, queue.size()))
    threads.emplace_back([this] { work(); });
  changed.notify_one();
}

bool Builders::remove(Buildable *module) {
  std::lock_guard lock(mutex);
  auto found = std::find(queue.begin(), queue.end(), module);
  if (found == queue.end())
    return false;
  queue.erase(found);
  return true;
}

void Builders::work() {
  std::unique_lock lock(mutex);
  while (true) {
    changed.wait(lock, [&] { return stopping || !queue.empty(); });
    if (stopping)
      return;
    Buildable *module = queue.front();
    queue.pop_front();
    lock.unlock();
    module->build();
    lock.lock();
  }
}
