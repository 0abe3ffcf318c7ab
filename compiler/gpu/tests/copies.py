# copies.py - how operands of products come to the matrix instructions
#
# Licensed under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""copies.py COMPILE-KERNELS: reads the main loop of products in AMD's assembly.

Where a lane copies 16 bytes to LDS, both operands come so, the loop waits once, by a count, and never for all; where
it copies fewer, they go through registers. Tensors too long for a descriptor, or of unknown size, are read right."""
import pathlib
import re
import subprocess
import sys
import tempfile

import dynamic
import kernels


def product(name, m, n, k, batch=0):
    return kernels.matrix_product(name, "f16", m, n, k, batch=batch, transposed=True)


# b is short everywhere; 2 GiB is the longest descriptor.
CASES = {
    "short": product("short", 4096, 4096, 4096),
    "edges": product("edges", 500, 500, 456),
    "columns": kernels.matrix_product("columns", "f16", 4096, 4096, 4096),
    "both": kernels.matrix_product("both", "f16", 4096, 4096, 4096, across=True),
    "bytes": kernels.matrix_product("bytes", "i8", 4096, 4096, 4096, transposed=True),
    "long": product("long", 140000, 4096, 16384),
    "long_batch": product("long_batch", 4096, 4096, 4096, batch=128),
    "rows": dynamic.rows_of_loops("rows", [(1,)], 4096, 4096),
    "lines": dynamic.rows_of_loops("lines", [(1, 1)], 4096, 4096),
}
# How a is read: through a descriptor or by its address.
BY_ADDRESS = ["lines"]
CHIPS = {"gfx90a": False, "gfx942": False, "gfx950": True, "gfx1100": None, "gfx1201": None}


def main_loop(text):
    """The lines from a label to the branch back that has matrix instructions between."""
    lines = text.splitlines()
    labels = {line.split(":")[0]: i for i, line in enumerate(lines) if line.startswith(".L")}
    for end, line in enumerate(lines):
        branch = re.match(r"\s+s_cbranch\w+\s+(\.L\w+)", line)
        begin = labels.get(branch.group(1), end) if branch else end
        if begin < end and re.search(r"v_w?mfma|v_wmma", "\n".join(lines[begin:end])):
            return [line.strip() for line in lines[begin + 1:end]]
    return []


def problems(name, copies, loop):
    def count(pattern):
        return sum(bool(re.search(pattern, line)) for line in loop)

    if not loop:
        yield "there is no loop with matrix instructions"
        return
    viewed, addressed = count("^buffer_load"), count("^global_load")
    if (addressed > 0) != (name in BY_ADDRESS) or not viewed:
        yield f"{viewed} loads through descriptors and {addressed} by address"
    to_lds = count(r"\blds$|load_lds_")
    if not copies:
        if to_lds or not count("^ds_(write|store)"):
            yield f"{to_lds} copies to LDS, expected registers"
        return
    if to_lds != viewed + addressed or count("^ds_(write|store)") or count("dwordx4") != to_lds:
        yield f"{to_lds} copies of 16 bytes to LDS among {viewed + addressed} loads"
    # What one slice is stays under way: the ring is three slices long.
    waits = [int(n) for line in loop for n in re.findall(r"vmcnt\((\d+)\)", line)]
    if waits != [to_lds]:
        yield f"waits until {waits} copies are under way, expected once for {to_lds}"
    if count("ds_read_b64_tr") and name not in ("columns", "both"):
        yield "transposes what lies as it is wanted"
    if count("^s_barrier") != 1:
        yield f"{count('^s_barrier')} barriers, expected one"


def main():
    failures = 0
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        (folder / "kernels.mlir").write_text("\n".join(case.text for case in CASES.values()))
        for chip, copies in CHIPS.items():
            subprocess.run([sys.argv[1], folder / "kernels.mlir", f"rocm:{chip}", folder / chip], check=True)
            for name in CASES:
                for problem in problems(name, copies, main_loop((folder / chip / f"{name}.s").read_text())):
                    print(f"{chip} {name}: {problem}")
                    failures += 1
    print(f"{len(CHIPS) * len(CASES)} loops read")
    return failures > 0


sys.exit(main())
