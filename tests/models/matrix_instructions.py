#!/usr/bin/env python3
# matrix_instructions.py - the products of models, in the assembly of every GPU.
#
# Licensed under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""matrix_instructions.py MODEL… [--targets=cuda:sm_90,…] [--precision=f16,f32]

Compiles models for GPUs and reads the assembly of every kernel that has a
product of at least 16 x 16 x 16. If the chip's table has a row for the precision,
the kernel must hold the family's matrix instruction, and nothing that multiplies
and adds numbers one by one (tests/harness/assembly.py says how that is seen). Of
Intel, what ocloc makes of our SPIR-V is read, too, where it is there. Nothing is
run. Prints a line for each model and target; exits with 0, 1, or 77 if there was
nothing to check.
"""

import argparse
import concurrent.futures
import json
import os
import pathlib
import re
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "harness"))
from aicc_testing import BUILD, call, last_line, program, skip, vendor_tool  # noqa: E402
import assembly  # noqa: E402
import gpu_resources  # noqa: E402
import kernel_ir  # noqa: E402

# What --save-objects writes of a kernel to be read; Intel's own assembly is ocloc's.
FILES = {"cuda": ".ptx", "rocm": ".s", "intel": ".spvasm"}
SPIRV = re.compile(r"_matrix_mad_k\d+|SubgroupMatrixMultiplyAccumulate")
SMALLEST = 16


def promised(target, precision):
    """Whether the chip's table has a row for operands of that type."""
    status, out, err = call(program("compile-kernels"), "--matrix", target)
    if status:
        sys.exit(f"{target}: no table: {last_line(err)}")
    return any(row["operand"] == precision for row in json.loads(out))


def intel_assembly(folder, chip):
    """({kernel: assembly}, "") of what ocloc makes of a target's modules, or ({}, why not)."""
    tool = vendor_tool("ocloc")
    if not tool:
        return {}, "ocloc is not installed"
    kernels = {}
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        paths = sorted(folder.glob("linked*.spv"))
        for module, (status, text, made) in zip(paths, pool.map(
                lambda path: gpu_resources.assembly_of(tool, path, chip), paths)):
            if status:
                sys.exit(f"{module.name}: ocloc exits with {status}: {last_line(text)}")
            kernels.update(made)
    return kernels, ""


def one_by_one(text, family):
    """What a kernel's assembly has instead of matrix instructions, or None."""
    if not assembly.has_matrix_instruction(text, family):
        return "without a matrix instruction"
    if loops := assembly.scalar_loops(text, family):
        first = next((line.strip() for line in loops[0].splitlines() if line.strip()), "")
        return f"and adds products one by one in {len(loops)} loops, the first at '{first}'"
    if (length := assembly.longest_chain(text, family)) >= SMALLEST:
        return f"and adds up {length} products one by one"
    return None


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
    folder = work / "objects" / f"{family}-{chip}"
    compiled, reason = intel_assembly(folder, chip) if family == "intel" else ({}, "")
    problems, found = {}, set()
    for product in kernel_ir.products(ir):
        wide = product.types != (precision, precision)
        if wide or min(product.rows, product.columns, product.reduced) < SMALLEST:
            continue
        name = product.kernel.removeprefix("k_")
        text = (folder / f"{name}{FILES[family]}").read_text(errors="replace")
        if family == "intel" and not SPIRV.search(text):
            problem = "without a matrix instruction in its SPIR-V"
        elif family == "intel" and reason:
            problem = None
        else:
            problem = one_by_one(compiled.get(product.kernel, "") if family == "intel" else text, family)
        if problem:
            problems[product.kernel] = f"{product.rows} x {product.columns} x {product.reduced} {problem}"
        else:
            found.add(product.kernel)
    for kernel, problem in problems.items():
        print(f"{model} for {target}: FAILED: kernel {kernel} multiplies {problem}")
    print(f"{model} for {target}, {precision}: {len(found)} kernels of products with matrix instructions and nothing "
          f"one by one, {len(problems)} not so{f'; only SPIR-V was read: {reason}' if reason else ''}", flush=True)
    return not problems and bool(found)


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
