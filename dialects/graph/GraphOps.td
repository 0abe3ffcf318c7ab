//===- GraphOps.td - all operators of the graph dialect -------------------===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

include "dialects/graph/Elementwise.td"
include "dialects/graph/Structure.td"
include "dialects/graph/Reduction.td"
include "dialects/graph/Indexing.td"
include "dialects/graph/Control.td"
include "dialects/graph/Call.td"
