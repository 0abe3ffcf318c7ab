//===- Placement.cpp - which node is for which target ---------------------===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "compiler/driver/Placement.h"

#include "dialects/graph/Graph.h"
#include "dialects/graph/Names.h"

#include "llvm/ADT/SetVector.h"

using namespace mlir;
using llvm::StringRef;

namespace aicc::driver {

/// The member that a name means: its family, what the user called it, or its
/// number. `subject` is who says so.
static std::optional<unsigned> memberOf(const TargetSet &targets,
                                        StringRef name, const Twine &subject,
                                        std::string &error) {
  std::optional<unsigned> found;
  bool several = false;
  std::string known;
  for (unsigned i = 0; i < targets.members.size(); ++i) {
    const std::string &family = targets.members[i].record.family;
    known += (known.empty() ? "" : ", ") + family;
    if (name != family && name != targets.given[i] && name != std::to_string(i))
      continue;
    several |= found.has_value();
    found = i;
  }
  if (several)
    error = (subject + " names \"" + name + "\", of which " + targets.name() +
             " has several, expected its number, from 0")
                .str();
  else if (!found)
    error = (subject + " names \"" + name + "\", which is not in " +
             targets.name() + ", expected one of " + known)
                .str();
  return several ? std::nullopt : found;
}

bool Placement::check(const Options &options, const TargetSet &targets,
                      std::string &error) {
  for (const auto &[pattern, name] : options.places) {
    std::string reason;
    if (!llvm::Regex(pattern).isValid(reason)) {
      error =
          "place \"" + pattern + "\" is not a regular expression: " + reason;
      return false;
    }
    if (!memberOf(targets, name, "place \"" + pattern + "\"", error))
      return false;
  }
  return true;
}

std::unique_ptr<Placement> Placement::create(const Options &options,
                                             const TargetSet &targets,
                                             ModuleOp model,
                                             ArrayRef<std::string> nodes,
                                             std::string &error) {
  auto placement = std::make_unique<Placement>();
  if (auto devices = model->getAttrOfType<DictionaryAttr>("graph.devices"))
    for (NamedAttribute entry : devices) {
      StringRef node = entry.getName();
      auto name = dyn_cast<StringAttr>(entry.getValue());
      std::optional<unsigned> member =
          memberOf(targets, name ? name.getValue() : "",
                   "node \"" + node + "\": aicc.device", error);
      if (!member)
        return nullptr;
      placement->nodes[node] = *member;
    }
  for (const auto &[pattern, name] : options.places) {
    std::optional<unsigned> member =
        memberOf(targets, name, "place \"" + pattern + "\"", error);
    if (!member)
      return nullptr;
    llvm::Regex regex(pattern);
    bool matched = false;
    for (const std::string &node : nodes)
      if (regex.match(node)) {
        matched = true;
        placement->nodes[node] = *member;
      }
    if (!matched) {
      error = "place \"" + pattern + "\" matches none of the model's " +
              std::to_string(nodes.size()) + " nodes";
      if (!nodes.empty())
        error += ", such as \"" + nodes.front() + "\"";
      return nullptr;
    }
    placement->patterns.emplace_back(std::move(regex), *member);
  }
  return placement;
}

unsigned Placement::ofNode(StringRef node) const {
  auto it = nodes.find(node);
  if (it != nodes.end())
    return it->second;
  // What the compiler named itself.
  for (const auto &[regex, member] : llvm::reverse(patterns))
    if (regex.match(node))
      return member;
  return 0;
}

static StringRef firstNode(Location loc) {
  if (auto fused = dyn_cast<FusedLoc>(loc)) {
    for (Location part : fused.getLocations())
      if (StringRef name = firstNode(part); !name.empty())
        return name;
    return {};
  }
  return graph::nodeName(loc);
}

unsigned Placement::of(Operation *op) const {
  // What prepares a weight has its location, and belongs to who needs it.
  for (unsigned depth = 0; depth < 64; ++depth) {
    if (StringRef node = firstNode(op->getLoc()); !node.empty())
      return ofNode(node);
    if (op->use_empty())
      break;
    Operation *user = *op->user_begin();
    // A loop or branch that reads it from outside.
    while (user->getBlock() != op->getBlock() && user->getParentOp() &&
           firstNode(user->getLoc()).empty())
      user = user->getParentOp();
    op = user;
  }
  return 0;
}

std::vector<std::string> nodesOf(ModuleOp module) {
  llvm::SetVector<StringRef> names;
  module.walk([&](Operation *op) {
    if (StringRef name = firstNode(op->getLoc()); !name.empty())
      names.insert(name);
  });
  std::vector<std::string> result;
  for (StringRef name : names)
    result.push_back(name.str());
  return result;
}

} // namespace aicc::driver
