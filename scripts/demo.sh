#!/usr/bin/env bash
# demo.sh - from a clone to a trained model running on two vendors, in one command.
#
# Licensed under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#
# Installs what is missing, builds, compiles examples/digits into one package for
# CPU, NVIDIA, AMD and Intel, runs it on the CPU and on Intel's runtime, and
# shows digits and answers. Fails unless the accuracy is the trained one.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/lib/common.sh"

bash "$ROOT/scripts/install.sh" demo
say "building (the first time takes some minutes)"
build release aicc aicc-run

targets=cpu,cuda,rocm,intel
package=$BUILD/digits.aicc
say "compiling examples/digits/digits.onnx for $targets"
"$BUILD/bin/aicc" "$ROOT/examples/digits/digits.onnx" --target=$targets -o "$package"
"$BUILD/bin/aicc-run" "$package" --describe

say "running it"
use_intel_runtime
"$PYTHON" "$ROOT/examples/digits/demo.py" "$package" --aicc-run="$BUILD/bin/aicc-run" --device=cpu,intel
say "done: $package runs on CPU and Intel, and holds code for NVIDIA and AMD"
