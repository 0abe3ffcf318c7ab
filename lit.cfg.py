# lit.cfg.py - the lit tests of all components: every .mlir and .test in a folder `tests`.
#
# Licensed under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#
# `lit dialects/graph/tests` runs one folder, `ctest -L lit` all. Programs come
# from build/, or from the folder in AICC_BINARY_DIR.
import os
import shutil

import lit.formats

root = os.path.dirname(os.path.abspath(__file__))
build = os.environ.get("AICC_BINARY_DIR", os.path.join(root, "build"))

config.name = "aicc"
config.test_format = lit.formats.ShTest(execute_external=False)
config.suffixes = [".mlir", ".test"]
config.excludes = ["build", "Inputs", "data"] + [name for name in os.listdir(root) if name.startswith("build")]
config.test_source_root = root
config.test_exec_root = os.path.join(build, "lit")
config.environment["PATH"] = os.pathsep.join([
    os.path.join(build, "bin"),
    "/usr/lib/llvm-22/bin",
    os.path.join(build, "venv", "bin"),
    os.environ["PATH"],
])
for name in ("AICC_OPENCL_LIBRARY", "CL_CONFIG_CPU_TARGET_ARCH", "AICC_TEST_DATA", "HOME"):
    if name in os.environ:
        config.environment[name] = os.environ[name]
config.substitutions += [("%root", root), ("%build", build), ("%python", os.path.join(build, "venv", "bin", "python"))]
for program in ("aicc", "aicc-opt", "aicc-run"):
    if os.path.exists(os.path.join(build, "bin", program)):
        config.available_features.add(program)
for program in ("qemu-aarch64", "qemu-riscv64", "clang-22"):
    if shutil.which(program, path=config.environment["PATH"]):
        config.available_features.add(program)
