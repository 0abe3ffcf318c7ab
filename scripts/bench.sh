#!/usr/bin/env bash
# bench.sh - measures aicc beside ONNX Runtime and OpenVINO: bench.sh [MODEL...]
#
# Licensed under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#
# One thread on one core, all engines interleaved in one run. Takes some ten
# minutes for all models; leave the machine alone meanwhile.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/lib/common.sh"

bash "$ROOT/scripts/install.sh" bench
say "building"
build release aicc aicc-run aicc_runtime
say "exporting the models that are not there yet"
"$PYTHON" "$ROOT/tests/models/export.py" "${AICC_MODELS_DIR:-$BUILD/models}" "$@" 2>/dev/null
say "compile time"
"$PYTHON" "$ROOT/benchmarks/compile/bench.py" "$@"
say "run time"
"$PYTHON" "$ROOT/benchmarks/models/bench.py" "$@"
