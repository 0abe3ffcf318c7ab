# instructions.py - sample products run on matrix instructions, and on nothing beside them
#
# Licensed under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""instructions.py COMPILE-KERNELS: reads the assembly of the sample products and attentions for chips of every
vendor (Intel's needs ocloc). Where the chip's table has a row for the type, the kernel must hold a matrix instruction
and no sum of products computed one by one; where it has none, exactly such sums must be seen, so that a reader that
sees nothing fails, too. models_matrix_instructions does the same for whole models."""
import json
import pathlib
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[3] / "tests" / "harness"))
from aicc_testing import skip, vendor_tool  # noqa: E402
import assembly  # noqa: E402
import gpu_resources  # noqa: E402

try:
    import numpy  # noqa: F401
except ImportError:
    skip("NumPy is not installed")
import kernels  # noqa: E402

FILES = {"cuda": ".ptx", "rocm": ".s", "intel": ".spirv"}
TARGETS = ["cuda:sm_80", "cuda:sm_90a", "rocm:gfx942", "rocm:gfx1201", "intel:pvc"]
# Samples whose types their names don't say.
PLAIN = dict.fromkeys(("matmul", "matmul_edges", "convolution", "convolution_large", "attention", "attention_wide"),
                      "f32")
# ocloc takes seconds a kernel.
FOR_OCLOC = ("matmul", "attention", "product_f16", "product_f16_edges", "product_bf16", "attention_f16",
             "attention_f16_128", "attention_f16_widest_edges")
LONGEST = 16


def samples(names):
    """{name: type of the operands} of the kernels to be read."""
    found = dict(PLAIN)
    for name in names:
        operation, _, rest = name.partition("_")
        kind = rest.split("_")[0]
        if operation in ("product", "matmul", "attention") and kind in ("f16", "bf16"):
            found[name] = kind
    return found


def read(folder, name, family, chip):
    path = folder / f"{name}{FILES[family]}"
    if family != "intel":
        return path.read_text(errors="replace")
    status, text, made = gpu_resources.assembly_of(vendor_tool("ocloc"), path, chip)
    if status or len(made) != 1:
        sys.exit(f"ocloc exits with {status} for {name} and makes {len(made)} kernels: {text}")
    return next(iter(made.values()))


def main():
    compiler = sys.argv[1]
    every, failures = kernels.kernels(), 0
    wanted = samples(every)
    with tempfile.TemporaryDirectory() as directory:
        source = pathlib.Path(directory) / "kernels.mlir"
        source.write_text("\n".join(every[name].text for name in wanted))
        for target in TARGETS:
            family, chip = target.split(":")
            if family == "intel" and not vendor_tool("ocloc"):
                print(f"{target}: left out, ocloc is not installed")
                continue
            table = json.loads(subprocess.run([compiler, "--matrix", target], check=True, capture_output=True).stdout)
            types = {row["operand"] for row in table}
            folder = pathlib.Path(directory) / chip
            subprocess.run([compiler, source, target, folder], check=True)
            by_matrix = one_by_one = 0
            for name, kind in wanted.items():
                if family == "intel" and name not in FOR_OCLOC:
                    continue
                text = read(folder, name, family, chip)
                matrix = assembly.has_matrix_instruction(text, family)
                loops, length = len(assembly.scalar_loops(text, family)), assembly.longest_chain(text, family)
                plain = loops > 0 or length >= LONGEST
                by_matrix += matrix and not plain
                one_by_one += plain and not matrix
                promised = kind in types
                if matrix != promised or plain == matrix:
                    failures += 1
                    print(f"FAILED: {name} for {target}: {'has' if matrix else 'no'} matrix instruction, {loops} loops "
                          f"that add products one by one, at most {length} in a row; the table has "
                          f"{'a' if promised else 'no'} row")
            print(f"{target}: {by_matrix} kernels by matrix instructions alone, {one_by_one} one by one")
    sys.exit(failures > 0)


main()
