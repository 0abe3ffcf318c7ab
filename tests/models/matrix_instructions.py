#!/usr/bin/env python3
# matrix_instructions.py - the products of models, in the assembly of every GPU.
#
# Licensed under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""matrix_instructions.py MODEL… [--targets=cuda:sm_90,…] [--precision=f16,f32]

Compiles models for GPUs and reads the assembly of every kernel that has a
product of at least 16 x 16 x 16: it must hold the family's matrix instruction, if
the chip's table has one for the precision. Nothing is run. Prints a line for each model and target; exits with 0, 1, or 77
if there was nothing to check.
"""

import argparse
import json
import os
import pathlib
import re
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "harness"))
from aicc_testing import BUILD, call, last_line, program, skip  # noqa: E402
import kernel_ir  # noqa: E402

INSTRUCTIONS = {
    "cuda": (".ptx", re.compile(r"\b(mma\.sync|wgmma\.mma_async)")),
    "rocm": (".s", re.compile(r"\bv_(mfma|wmma)_")),
    "intel": (".spvasm", re.compile(r"_matrix_mad_k\d+|SubgroupMatrixMultiplyAccumulate")),
}
SMALLEST = 16


def promised(target, precision):
    """Whether the chip's table has a row for operands of that type."""
    status, out, err = call(program("compile-kernels"), "--matrix", target)
    if status:
        sys.exit(f"{target}: no table: {last_line(err)}")
    return any(row["operand"] == precision for row in json.loads(out))


def check(model, path, target, precision, work):
    family, chip = target.split(":")
    status, _, err = call(program("aicc"), path, f"--target={target}", f"--precision={precision}",
                          "-o", work / "model.aicc", f"--save-objects={work / 'objects'}", timeout=1800)
    if status:
        print(f"{model} for {target}: FAILED: exit {status}: {last_line(err)}")
        return False
    status, ir, err = call(program("aicc"), path, f"--target={target}", f"--precision={precision}", "--emit=kernels",
                           timeout=1800)
    if status:
        print(f"{model} for {target}: FAILED: exit {status}: {last_line(err)}")
        return False
    suffix, instruction = INSTRUCTIONS[family]
    missing, found = {}, set()
    for product in kernel_ir.products(ir):
        wide = product.types != (precision, precision)
        if wide or min(product.rows, product.columns, product.reduced) < SMALLEST:
            continue
        name = product.kernel.removeprefix("k_")
        text = (work / "objects" / f"{family}-{chip}" / f"{name}{suffix}").read_text(errors="replace")
        if instruction.search(text):
            found.add(product.kernel)
        else:
            missing[product.kernel] = product
    for kernel, product in missing.items():
        print(f"{model} for {target}: FAILED: kernel {kernel} multiplies {product.rows} x {product.columns} x "
              f"{product.reduced} without a matrix instruction")
    print(f"{model} for {target}, {precision}: {len(found)} kernels of products with matrix instructions, "
          f"{len(missing)} without", flush=True)
    return not missing and bool(found)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("models", nargs="+")
    parser.add_argument("--targets", default="cuda:sm_90,cuda:sm_90a,rocm:gfx942,rocm:gfx1201,intel:pvc")
    parser.add_argument("--precision", default="f16,f32")
    arguments = parser.parse_args()
    program("aicc")
    results = []
    for model in arguments.models:
        path = pathlib.Path(os.environ.get("AICC_MODELS_DIR", BUILD / "models")) / model / "model.onnx"
        if not path.exists():
            print(f"SKIP: {model} was not exported to {path.parent}")
            continue
        for target in arguments.targets.split(","):
            for precision in arguments.precision.split(","):
                if not promised(target, precision):
                    print(f"{model} for {target}, {precision}: the chip has no instruction")
                    continue
                with tempfile.TemporaryDirectory(prefix="aicc-matrix-") as work:
                    results.append(check(model, path, target, precision, pathlib.Path(work)))
    if not results:
        skip("no model was exported")
    return 0 if all(results) else 1


if __name__ == "__main__":
    sys.exit(main())
