# sass.py - what one kernel costs an NVIDIA multiprocessor, counted in its machine code.
#
# Licensed under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Reads nvdisasm's text: regions of a kernel that run equally often (loops, and what
is outside of them), with the instructions of each by the unit that executes them.

Everything is per warp. Both sides of a branch count; what stands after the last
unconditional exit and is no loop (divisions that are rarely needed) doesn't.
"""

import collections
import re

INSTRUCTION = re.compile(r"/\*([0-9a-f]{4,})\*/\s+(?:@!?U?P\w+\s+)?([A-Z][A-Z0-9_]*)((?:\.[\w]+)*)([^;]*);")
WIDTHS = {"U8": 1, "S8": 1, "U16": 2, "S16": 2, "64": 8, "128": 16}
# Units by mnemonic; the rest, address arithmetic of the uniform unit apart, is "float".
UNITS = {
    "integer": {"IADD3", "LOP3", "LEA", "SHF", "PRMT", "SEL", "ISETP", "VIADD", "IMNMX", "VIMNMX", "IABS", "FSETP",
                "FSEL", "FMNMX", "HSETP2", "PLOP3", "VOTE", "SHL", "SHR", "IADD"},
    "multiply": {"IMAD", "IDP"},
    "convert": {"F2F", "F2I", "I2F", "F2FP", "I2I", "FRND", "F2IP", "I2FP"},
    "special": {"MUFU", "POPC", "FLO", "BREV"},
    "double": {"DADD", "DMUL", "DFMA", "DSETP"},
}
UNIT_OF = {name: unit for unit, names in UNITS.items() for name in names}


class Region:
    """A loop's body, or the code outside of loops."""

    def __init__(self, loop):
        self.loop = loop
        self.count = collections.Counter()  # issued, units
        self.matrix = collections.Counter()  # multiply-adds by type; "group": by instructions of four warps
        self.shared_bytes = 0  # that 32 lanes move to or from shared memory
        self.loaded = self.stored = 0  # bytes of global memory
        self.copied = 0  # bytes that go on beside the threads
        self.rounds = 0  # loads that wait for what was loaded before


def _multiply_adds(mnemonic, suffixes):
    """(multiply-adds of one warp, type, whether it is an instruction of four warps) or None."""
    shape = next((s for s in suffixes if re.fullmatch(r"\d+x\d+x\d+|\d{3,5}", s)), "")
    types = {"HMMA": "f16", "IMMA": "i8", "DMMA": "f64", "QMMA": "f8", "HGMMA": "f16", "IGMMA": "i8", "QGMMA": "f8"}
    if mnemonic not in types or not shape:
        return None
    kind = "tf32" if "TF32" in suffixes else "bf16" if "BF16" in suffixes else types[mnemonic]
    if "x" in shape:
        m, n, k = map(int, shape.split("x"))
        return m * n * k // 4, kind, True
    m, n, k = {"16816": (16, 8, 16), "1688": (16, 8, 8), "16832": (16, 8, 32), "16864": (16, 8, 64), "884": (8, 8, 4),
               "1684": (16, 8, 4), "16816x": (16, 8, 16), "8816": (8, 8, 16)}[shape]
    return m * n * k, kind, False


def _add(region, mnemonic, suffixes, operands, waiting):
    region.count["issued"] += 1
    registers = set(re.findall(r"\bR\d+\b", operands))
    width = next((WIDTHS[s] for s in suffixes if s in WIDTHS), 4)
    matrix = _multiply_adds(mnemonic, suffixes)
    if waiting["registers"] & registers:
        waiting["consumed"] = True
        waiting["registers"].clear()
    if matrix:
        amount, kind, wide = matrix
        if wide:  # a and b come from shared memory, unless a is a register
            m, n, k = map(int, next(s for s in suffixes if "x" in s).split("x"))
            size = {"i8": 1, "f8": 1, "tf32": 4}.get(kind, 2)
            region.shared_bytes += (n * k + (m * k if "gdesc" in operands else 0)) * size // 4
        region.matrix["group" if wide else "warp", kind] += amount
    elif mnemonic == "LDSM":
        region.shared_bytes += 128 * int(suffixes[-1] if suffixes[-1] in ("2", "4") else 1)
    elif mnemonic in ("LDS", "STS"):
        region.shared_bytes += max(128, 32 * width)
    elif mnemonic == "LDGSTS":
        region.shared_bytes += 32 * width
        region.copied += 32 * width
    elif mnemonic == "LDG":
        if waiting["consumed"] or not region.rounds:
            region.rounds += 1
            waiting["consumed"] = False
        first = re.match(r"\s*(?:P\w+,\s*)?(R\d+)", operands)
        if first:
            waiting["registers"].add(first.group(1))
        region.loaded += 32 * width
    elif mnemonic == "STG":
        region.stored += 32 * width
    elif mnemonic in UNIT_OF:
        region.count[UNIT_OF[mnemonic]] += 1
    elif not mnemonic.startswith("U"):
        region.count["float"] += 1


def kernels(text):
    """{kernel: [Region]}: the code outside of loops first."""
    found = {}
    for part in re.split(r"^\.text\.", text, flags=re.M)[1:]:
        name, _, body = part.partition(":")
        labels, code = {}, []
        for line in body.splitlines():
            label = re.match(r"(\.L\w+):", line)
            if label:
                labels[label.group(1)] = len(code)
            instruction = INSTRUCTION.search(line)
            if instruction:
                predicated = "@" in line.split("*/")[1].split(instruction.group(2))[0]
                code.append((instruction.group(2), [s for s in instruction.group(3).split(".") if s],
                             instruction.group(4), predicated))
        loops = []
        for at, (mnemonic, _, operands, _) in enumerate(code):
            target = re.search(r"`\((\.L\w+)\)", operands)
            if mnemonic == "BRA" and target and labels.get(target.group(1), at + 1) < at:
                loops.append((labels[target.group(1)], at))
        # The same head may have several branches back; the outermost one ends the loop.
        loops = sorted({head: max(end for h, end in loops if h == head) for head, _ in loops}.items())
        exits = [at for at, (m, _, _, predicated) in enumerate(code) if m == "EXIT" and not predicated]
        end = max(exits, default=len(code))
        regions = [Region(None)] + [Region(loop) for loop in loops]
        waiting = [{"registers": set(), "consumed": False} for _ in regions]
        for at, (mnemonic, suffixes, operands, _) in enumerate(code):
            inside = [i for i, (head, tail) in enumerate(loops, 1) if head <= at <= tail]
            if not inside and at > end or mnemonic == "NOP":
                continue
            # The innermost one.
            index = min(inside, key=lambda i: loops[i - 1][1] - loops[i - 1][0]) if inside else 0
            _add(regions[index], mnemonic, suffixes, operands, waiting[index])
        found[name.strip()] = regions
    return found
