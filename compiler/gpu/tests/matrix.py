# matrix.py - the vendors' tables of matrix instructions against their documents
#
# Licensed under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""matrix.py COMPILE-KERNELS: every row of every chip's table (`compile-kernels --matrix TARGET`) must
place each element once (or equally often, where lanes hold the same), and as the formulas below say, which
are written from the vendors' documents and share nothing with the tables."""
import collections
import json
import re
import subprocess
import sys

TARGETS = ["cuda:sm_80", "cuda:sm_89", "cuda:sm_90", "cuda:sm_90a", "cuda:sm_120", "rocm:gfx90a", "rocm:gfx942", "rocm:gfx950", "rocm:gfx1100",
           "rocm:gfx1201", "intel:pvc", "intel:dg2"]

BYTES = {"f16": 2, "bf16": 2, "tf32": 4, "i8": 1, "f8E4M3FN": 1, "f8E5M2": 1, "f8E4M3FNUZ": 1, "f8E5M2FNUZ": 1}


# Each formula gives (row, depth) of a, (column, depth) of b, (row, column) of the result for element i of lane l.
def mma_sync(row):  # PTX ISA, "Matrix fragments for mma.m16n8k16" and its neighbours
    packed = 4 // BYTES[row["operand"]]

    def a(l, i):
        register = i // packed
        return l // 4 + 8 * (register % 2), (l % 4) * packed + i % packed + 4 * packed * (register // 2)

    def b(l, i):
        return l // 4, (l % 4) * packed + i % packed + 4 * packed * (i // packed)

    def c(l, i):
        return l // 4 + 8 * (i // 2), (l % 4) * 2 + i % 2
    return a, b, c


def wgmma(row):  # PTX ISA, "Register fragments and shared memory matrix layouts" of wgmma.mma_async: D
    assert row["line"] == 128 and row["descriptor"] == [0, 16, 32, 1 << 62], row["descriptor"]
    assert row["across"] == (row["operand"] in ("f16", "bf16")), "only operands of 16 bits may be transposed"
    assert row["depth"] * BYTES[row["operand"]] == 32

    def c(t, i):  # thread t of the 128
        return 16 * (t // 32) + t % 32 // 4 + 8 * (i // 2 % 2), 8 * (i // 4) + 2 * (t % 4) + i % 2
    return None, None, c


def mma_sync_f64(_):  # PTX ISA, "Matrix fragments for mma.m8n8k4 with .f64"
    return lambda l, i: (l // 4, l % 4), lambda l, i: (l // 4, l % 4), lambda l, i: (l // 4, (l % 4) * 2 + i)


def mfma(row):  # AMD CDNA3 ISA, "Dense matrix multiplication"; B is stored like A, transposed
    size, depth = row["rows"], row["depth"]
    each = depth * size // 64

    def operand(l, i):
        return l % size, l // size * each + i

    def c(l, i):
        block = 4 * (64 // size)
        return i // 4 * block + l // size * 4 + i % 4, l % size

    def c_f64(l, i):
        return l // 16 + 4 * i, l % 16
    return operand, operand, c_f64 if row["operand"] == "f64" else c


def wmma11(_):  # AMD RDNA3 ISA, "WMMA": both halves of a wave hold the operands
    return lambda l, i: (l % 16, i), lambda l, i: (l % 16, i), lambda l, i: (2 * i + l // 16, l % 16)


def wmma12(_):  # AMD RDNA4 ISA
    return (lambda l, i: (l % 16, 8 * (l // 16) + i), lambda l, i: (l % 16, 8 * (l // 16) + i),
            lambda l, i: (8 * (l // 16) + i, l % 16))


def dpas(target, row):  # cl_intel_subgroup_matrix_multiply_accumulate, tables for subgroups of 8 and of 16
    lanes = {"intel:dg2": 8, "intel:pvc": 16}[target]
    assert (row["rows"], row["columns"], row["depth"]) == (8, lanes, 32 if row["operand"] == "i8" else 16)
    packed = row["depth"] // lanes  # 32 bits for subgroups of 8, 16 bits for those of 16
    return lambda l, i: (i // packed, packed * l + i % packed), lambda l, i: (l, i), lambda l, i: (i, l)


def formula(target, row):
    if row["name"].startswith("mma.sync"):
        return mma_sync_f64(row) if row["operand"] == "f64" else mma_sync(row)
    if row["name"].startswith("wgmma"):
        return wgmma(row)
    if "mfma" in row["name"]:
        return mfma(row)
    if "wmma" in row["name"]:
        return wmma11(row) if "gfx11" in target else wmma12(row)
    assert row["name"].startswith("dpas"), row["name"]
    return dpas(target, row)


def at(layout, lane, element):
    line = place = 0
    for bases, number in ((layout["lanes"], lane), (layout["elements"], element)):
        for bit, (x, y) in enumerate(bases):
            if number >> bit & 1:
                line += x
                place += y
    return line, place


def check(target, row):
    shapes = {"a": (row["rows"], row["depth"]), "b": (row["columns"], row["depth"]),
              "c": (row["rows"], row["columns"])}
    problems = []
    for part, expected in zip("abc", formula(target, row)):
        if expected is None:  # in shared memory, where a descriptor says
            continue
        layout = row[part]
        seen = collections.Counter()
        for lane in range(1 << len(layout["lanes"])):
            for element in range(1 << len(layout["elements"])):
                found = at(layout, lane, element)
                seen[found] += 1
                if found != expected(lane, element):
                    problems.append(f"{part}: element {element} of lane {lane} is {found}, expected "
                                    f"{expected(lane, element)}")
        lines, places = shapes[part]
        every = {(x, y) for x in range(lines) for y in range(places)}
        if set(seen) != every or len(set(seen.values())) != 1 or (part == "c" and max(seen.values()) > 1):
            problems.append(f"{part}: elements of the {lines} x {places} tile are missing or there more than once")
    numbers = [int(n) for n in re.findall(r"\d+", re.search(r"(\d+x\d+x\d+|m\d+n\d+k\d+|8x8)", row["name"]).group())]
    if len(numbers) == 3 and numbers != [row["rows"], row["columns"], row["depth"] // row["calls"]]:
        problems.append(f"the shape is {row['rows']} x {row['columns']} x {row['depth']}")
    return problems


def main():
    failures = count = 0
    for target in TARGETS:
        rows = json.loads(subprocess.run([sys.argv[1], "--matrix", target], check=True, capture_output=True).stdout)
        if not rows:
            print(f"{target}: no rows")
            failures += 1
        for row in rows:
            count += 1
            for problem in check(target, row)[:5]:
                print(f"{target} {row['name']}: {problem}")
                failures += 1
    print(f"{count} rows checked")
    return failures > 0


sys.exit(main())
