# assembly.py - the loops of a kernel, read in the assembly of every GPU's vendor.
#
# Licensed under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Finds where a kernel multiplies and adds floats one by one.

    cuda   PTX
    rocm   LLVM's assembly for AMD
    intel  the assembly that Intel's graphics compiler dumps (gpu_resources.assembly_of)

A fused multiply-add takes one number of each lane. Where one adds to what the
pass before of a loop left, or to a chain of such sums, a sum of products is
computed one by one that a matrix instruction could have computed.
"""

import re
from collections import namedtuple

# Patterns: of a line's label, of the label that a line branches to, of an
# instruction's operands, of the fused multiply-add of floats, of registers and of
# matrix instructions. `addend` counts operands from the result; the result is the
# addend where there are fewer.
Syntax = namedtuple("Syntax", "label branch instruction product addend register matrix")

SYNTAX = {
    "cuda": Syntax(re.compile(r"\s*(\$?\w+):"), re.compile(r"\bbra(?:\.uni)?\s+(\$?\w+)"),
                   re.compile(r"\s*(?:@!?%p\d+\s+)?[a-z][\w.:]*\s+(.*);"), re.compile(r"\bfma\.r[a-z]+\."), 3,
                   re.compile(r"%\w+"), re.compile(r"\b(?:mma\.sync|wgmma\.mma_async)")),
    "rocm": Syntax(re.compile(r"(\.L\w+):"), re.compile(r"\bs_c?branch\w*\s+(\.L\w+)"),
                   re.compile(r"\s+[a-z]\w+\s+(.*)"),
                   re.compile(r"\bv_(?:pk_|dual_)?(?:fma|fmac|mac|mad|dot\d+c?)_\w*f(?:16|32|64)"), 3,
                   re.compile(r"\b[asv](?:\d+|\[\d+:\d+\])"), re.compile(r"\bv_(?:mfma|wmma|smfmac|swmmac)_")),
    "intel": Syntax(re.compile(r"(\w+):\s*(?://.*)?$"), re.compile(r"\b(?:jmpi|while|goto)\b.*?\s(_\w+)"),
                    re.compile(r"(?:\([^)]*\))?\s+[a-z][\w.]*\s+\(\d+\|M\d+\)\s+(.*?)\s*(?:\{|//|$)"),
                    re.compile(r"\bmad\s+\(\d+\|M\d+\)\s+\S+:(?:h|d|b)?f\b"), 1,
                    re.compile(r"\b(?:r\d+(?::\d+)?|acc\d+)"), re.compile(r"\bdpasw?\.")),
}


def has_matrix_instruction(text, family):
    return bool(SYNTAX[family].matrix.search(text))


def _operands(text, family):
    """Splits at commas outside of brackets; Intel's are columns."""
    if family == "intel":
        return text.split()
    parts, depth = [""], 0
    for character in text:
        depth += (character in "{[(") - (character in "}])")
        if character == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += character
    return parts


def _registers(text, syntax):
    found = set()
    for name in syntax.register.findall(text):
        if span := re.fullmatch(r"([asv])\[(\d+):(\d+)\]", name):
            found |= {f"{span[1]}{n}" for n in range(int(span[2]), int(span[3]) + 1)}
        elif span := re.fullmatch(r"r(\d+):(\d+)", name):
            found |= {f"r{int(span[1]) + n}" for n in range(int(span[2]))}
        else:
            found.add(name)
    return found


def _steps(lines, family):
    """Yields (registers written, registers read, registers that a product is added to) of every instruction. What
    writes nothing reads its first operand, too: that it counts as written makes a sum seem to begin anew, no more."""
    syntax = SYNTAX[family]
    for line in lines:
        # A pair of instructions that AMD's chips take at once.
        for part in line.split("::"):
            if not (instruction := syntax.instruction.match(part if part is line else "  " + part.strip())):
                continue
            operands = _operands(instruction.group(1), family)
            addend = set()
            if syntax.product.search(part):
                addend = _registers(operands[syntax.addend if syntax.addend < len(operands) else 0], syntax)
            yield (_registers(operands[0], syntax),
                   set().union(*(_registers(operand, syntax) for operand in operands[1:])) | addend, addend)


def loops(text, family):
    """Yields the lines of every loop that has no loop inside."""
    syntax, lines, labels, ends = SYNTAX[family], text.splitlines(), {}, {}
    for i, line in enumerate(lines):
        if label := syntax.label.match(line):
            labels[label.group(1)] = i
        if (branch := syntax.branch.search(line)) and branch.group(1) in labels:
            ends[labels[branch.group(1)]] = i
    for start, end in ends.items():
        if not any(start < other and ends[other] <= end for other in ends):
            yield lines[start:end + 1]


def scalar_loops(text, family):
    """The innermost loops of a kernel, as text, that hold no matrix instruction and add products of single numbers to
    what the pass before left."""
    found = []
    for lines in loops(text, family):
        if any(SYNTAX[family].matrix.search(line) for line in lines):
            continue
        steps = list(_steps(lines, family))
        handed_on, seen = set(), set()
        for written, read, _ in steps:
            handed_on |= read - seen
            seen |= written
        handed_on &= seen
        if any(addend & handed_on for _, _, addend in steps):
            found.append("\n".join(lines))
    return found


def longest_chain(text, family):
    """The most products of single numbers that a kernel adds up in straight code, one after the other."""
    longest, length = 0, {}
    for written, _, addend in _steps(text.splitlines(), family):
        steps = 1 + max((length.get(register, 0) for register in addend), default=0) if addend else 0
        length.update(dict.fromkeys(written, steps))
        longest = max(longest, steps)
    return longest
