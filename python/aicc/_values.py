# _values.py - sequences, optionals and maps as the tensors that a program has.
#
# Licensed under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""A sequence is a list, an absent optional None, a map a dict. How ports make
them up is in a package's signature (aicc_package_signature); where that is
None, ports and values are the same."""

import numpy

from ._runtime import Error


def flatten(signature, values):
    """{port: array} for {name: value}, ports by their positions."""
    arrays = {}

    def add(entry, value):
        kind, parts = entry["kind"], entry.get("elements")
        if kind == "tensor":
            arrays[entry["port"]] = value
        elif kind == "optional":
            if (value is not None) != bool(parts):
                raise Error(f"optional {entry['name']!r} {'has no' if value is None else 'has an'} element, expected "
                            f"{'one' if parts else 'none'} as it was compiled")
            if parts:
                add(parts[0], value)
        elif kind == "map":
            if not isinstance(value, dict):
                raise Error(f"map {entry['name']!r} is {type(value).__name__}, expected a dict")
            for part, column in zip(parts, (list(value.keys()), list(value.values()))):
                add(part, numpy.array(column))
        else:
            if not isinstance(value, (list, tuple)):
                raise Error(f"sequence {entry['name']!r} is {type(value).__name__}, expected a list")
            if len(value) != len(parts):
                raise Error(f"sequence {entry['name']!r} has {len(value)} elements, expected {len(parts)} as it was "
                            "compiled")
            for part, element in zip(parts, value):
                add(part, element)

    for entry in signature["inputs"]:
        if entry["name"] not in values:
            raise Error(f"input {entry['name']!r} is missing")
        add(entry, values[entry["name"]])
    return arrays


def assemble(signature, arrays):
    """The outputs, from the arrays of the output ports."""

    def make(entry):
        kind, parts = entry["kind"], entry.get("elements")
        if kind == "tensor":
            return arrays[entry["port"]]
        if kind == "sequence":
            return [make(part) for part in parts]
        if kind == "optional":
            return make(parts[0]) if parts else None
        keys, values = (make(part).tolist() for part in parts)
        return dict(zip(keys, values)) if kind == "map" else [dict(zip(keys, row)) for row in values]

    return [make(entry) for entry in signature["outputs"]]
