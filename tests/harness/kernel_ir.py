# kernel_ir.py - what the kernels of a model compute, read from `aicc --emit=kernels`.
#
# Licensed under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Finds the products among the linalg operations that the compiler prints."""

import collections
import re

# rows, columns, reduced and batch are numbers of iterations, 0 where a size is
# only known at run time; types are those of the operands in memory.
Product = collections.namedtuple("Product", "kernel rows columns reduced batch types")


def _shape(text):
    """("4x?xf16") -> ([4, 0], "f16")"""
    *sizes, element = text.split(",")[0].split("x")
    return [int(n) if n.isdigit() else 0 for n in sizes], element


def products(ir):
    """Yields a Product for every sum of products of the IR."""
    maps = {}
    for name, body in re.findall(r"^(#\w+) = affine_map<\([^)]*\)(?:\[[^\]]*\])? -> \((.*)\)>$", ir, re.M):
        maps[name] = [e.strip() for e in body.split(",")]
    for part in ir.split("exec.kernel @")[1:]:
        kernel = re.match(r"[\w.$-]+|\"[^\"]+\"", part).group(0).strip('"')
        for attributes, operands, body in re.findall(
                r"linalg\.generic \{indexing_maps = \[([^\]]*)\], iterator_types = \[[^\]]*\"reduction\"[^\]]*\]\} "
                r"([^{]*)\{(.*?)linalg\.yield", part, re.S):
            if not re.search(r"arith\.(mulf|muli)", body) or "arith.add" not in body:
                continue
            names = re.findall(r"#\w+", attributes)
            tensors = [_shape(t) for t in re.findall(r"tensor<([^>]*)", operands)]
            if len(names) != 3 or len(tensors) != 3:
                continue
            a, b, out = ({i for i in map(str, re.findall(r"d\d+", " ".join(maps.get(name, []))))} for name in names)
            sizes = {}
            for name, (shape, _) in zip(names, tensors):
                for expression, size in zip(maps.get(name, []), shape):
                    if re.fullmatch(r"d\d+", expression):
                        sizes[expression] = size

            def count(loops):
                total = 1
                for loop in loops:
                    total *= sizes.get(loop, 0)
                return total

            yield Product(kernel, count((a & out) - b), count((b & out) - a), count((a | b) - out), count(a & b & out),
                          (tensors[0][1], tensors[1][1]))
