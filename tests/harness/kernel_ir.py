# kernel_ir.py - what the kernels of a model compute, read from `aicc --emit=kernels`.
#
# Licensed under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Finds products and how operands are read among the linalg operations that the compiler prints."""

import collections
import re

# rows, columns, reduced and batch are numbers of iterations, 0 where a size is
# only known at run time; types are those of the operands in memory.
Product = collections.namedtuple("Product", "kernel rows columns reduced batch types")


def _shape(text):
    """("4x?xf16") -> ([4, 0], "f16")"""
    *sizes, element = text.split(",")[0].split("x")
    return [int(n) if n.isdigit() else 0 for n in sizes], element


def _maps(ir):
    """{name of a map: its results}"""
    return {name: [e.strip() for e in body.split(",")] for name, body in
            re.findall(r"^(#\w+) = affine_map<\([^)]*\)(?:\[[^\]]*\])? -> \((.*)\)>$", ir, re.M)}


def _kernels(ir):
    """Yields (name, text) of every kernel."""
    for part in ir.split("exec.kernel @")[1:]:
        yield re.match(r"[\w.$-]+|\"[^\"]+\"", part).group(0).strip('"'), part.split("\n  }\n")[0]


def _loop_sizes(maps, names, shapes):
    """{loop: size} as far as operands that loops index directly say it."""
    sizes, joined = {}, []
    for name, shape in zip(names, shapes):
        for expression, size in zip(maps.get(name, []), shape):
            if re.fullmatch(r"d\d+", expression):
                sizes[expression] = size
            elif parts := re.fullmatch(r"(d\d+) \* (\d+) \+ (d\d+)", expression):
                joined.append((*parts.groups(), size))
    # A group and its members: nothing is left between groups.
    for group, count, member, size in joined:
        if sizes.get(member, int(count)) == int(count):
            sizes.setdefault(member, int(count))
            sizes.setdefault(group, size // int(count))
    return sizes


def products(ir):
    """Yields a Product for every sum of products of the IR."""
    maps = _maps(ir)
    for kernel, part in _kernels(ir):
        for attributes, operands, body in re.findall(
                r"linalg\.generic \{indexing_maps = \[([^\]]*)\], iterator_types = \[[^\]]*\"reduction\"[^\]]*\]\} "
                r"([^{]*)\{(.*?)linalg\.yield", part, re.S):
            if not re.search(r"arith\.(mulf|muli)", body) or "arith.add" not in body:
                continue
            names = re.findall(r"#\w+", attributes)
            tensors = [_shape(t) for t in re.findall(r"tensor<([^>]*)", operands)]
            if len(names) != len(tensors):
                continue
            sizes = _loop_sizes(maps, names, [shape for shape, _ in tensors])
            # Operands that only say how many iterations there are aren't read.
            arguments, _, rest = body.partition("):")
            read = [i for i, value in enumerate(re.findall(r"%\w+", arguments)) if re.search(rf"{value}\b", rest)]
            if len(read) != 3:
                continue
            names, tensors = [names[i] for i in read], [tensors[i] for i in read]
            a, b, out = (set(re.findall(r"d\d+", " ".join(maps.get(name, [])))) for name in names)

            def count(loops):
                total = 1
                for loop in loops:
                    total *= sizes.get(loop, 0)
                return total

            yield Product(kernel, count((a & out) - b), count((b & out) - a), count((a | b) - out), count(a & b & out),
                          (tensors[0][1], tensors[1][1]))


def accesses(ir):
    """{kernel: {argument: (bytes read at positions that are data, bytes of sectors read across memory)}}, 0 where the
    argument isn't read so. Neighbouring threads have neighbouring elements of what the operation writes: where the
    argument's neighbours belong to another loop, each element costs a sector of 32 bytes of the cache."""
    maps, found = _maps(ir), {}
    for kernel, part in _kernels(ir):
        mine = {}
        for attributes, kinds, operands, body in re.findall(
                r"linalg\.generic \{indexing_maps = \[([^\]]*)\], iterator_types = \[([^\]]*)\]\} "
                r"([^{]*)\{(.*?)linalg\.yield", part, re.S):
            names, values = re.findall(r"#\w+", attributes), re.findall(r"%\w+", operands)
            shapes = [_shape(t)[0] for t in re.findall(r"tensor<([^>]*)", operands)]
            sizes = _loop_sizes(maps, names, shapes)
            count = 1
            for size in sizes.values():
                count *= size
            for argument, shape in re.findall(r"tensor\.extract %arg(\d+)\[[^\]]*\] : tensor<([^>]*)>", body):
                gathered, across = mine.get(int(argument), (0, 0))
                bits = int(re.search(r"\d+$", _shape(shape)[1]).group(0))
                mine[int(argument)] = (gathered + count * max(1, bits // 8), across)
            last = f"d{len(kinds.split(',')) - 1}"
            if "reduction" in kinds:
                continue
            for value, name in zip(values, names):
                results = maps.get(name, [])
                if value.startswith("%arg") and last in " ".join(results) and last not in results[-1]:
                    gathered, across = mine.get(int(value[4:]), (0, 0))
                    mine[int(value[4:])] = (gathered, across + 32 * count)
        if mine:
            found[kernel] = mine
    return found
