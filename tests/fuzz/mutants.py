#!/usr/bin/env python3
# mutants.py - damaged models through aicc and aicc-run.
#
# Licensed under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""mutants.py [--count=100] [--seed=1] [--only=K] [--jobs=N]

Takes models of the suite and changes what a damaged or hostile file could have
otherwise: dimensions, element types, attributes, initializers, which value a node
reads. Each is compiled for the CPU and, if that is possible, run on random inputs.

Right is success, or exit status 1 with one line on stderr (and notes). Everything
else (a signal, another status, silence, more lines, more than 12 GiB, no end) is an
error; such models are left in build/mutants. Mutant K of a seed is always the same.
libFuzzer does the same to the importer alone (frontends/onnx/tests/FuzzOnnx.cpp);
this goes through all of the compiler and the runtime.
"""

import argparse
import collections
import concurrent.futures
import importlib.util
import os
import pathlib
import random
import resource
import struct
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent / "ops"), str(HERE.parent / "harness")]
from aicc_testing import BUILD, program, python_package, skip  # noqa: E402

LARGEST = 64 << 10
MEMORY = 12 << 30
SECONDS = 120
INT32, INT64 = 1 << 31, 1 << 63
NUMBERS = (0, 1, 2, 3, 4, 5, 7, 8, 16, 64, 1023, 1 << 20, 1 << 32, 1 << 40, 1 << 62, INT32 - 1, -1, -2, -3, -INT32,
           -(1 << 40), -INT64, INT64 - 1)
REALS = (float("nan"), float("inf"), -1.0, 0.0, 1e30, 1e-30, 1e-40)


class Mutator:
    """Changes a model at one place at a time."""

    def __init__(self, seed):
        self.random = random.Random(seed)

    def number(self):
        return self.random.choice(NUMBERS if self.random.random() < 0.5 else NUMBERS[:10])

    def index(self, of):
        return self.random.randrange(len(of))

    def tensor(self, tensor):
        choice = self.random.randrange(4)
        if choice == 0:
            tensor.data_type = self.random.randrange(1, 27)
        elif choice == 1 and tensor.dims:
            tensor.dims[self.index(tensor.dims)] = self.number()
        elif tensor.int64_data:
            tensor.int64_data[self.index(tensor.int64_data)] = self.number()
        elif tensor.float_data:
            tensor.float_data[self.index(tensor.float_data)] = self.random.choice(REALS)
        elif tensor.raw_data:
            data = bytearray(tensor.raw_data)
            if tensor.data_type == 7 and len(data) >= 8:
                at = 8 * self.random.randrange(len(data) // 8)
                data[at:at + 8] = struct.pack("<q", self.number())
            else:
                data[self.index(data)] = self.random.randrange(256)
            tensor.raw_data = bytes(data)

    def attribute(self, attribute):
        if attribute.HasField("t") and self.random.random() < 0.7:
            self.tensor(attribute.t)
        elif attribute.HasField("g") and self.random.random() < 0.7:
            self.graph(attribute.g)
        elif attribute.ints:
            choice = self.random.randrange(3)
            if choice == 0:
                attribute.ints[self.index(attribute.ints)] = self.number()
            elif choice == 1:
                attribute.ints.append(self.number())
            else:
                del attribute.ints[-1]
        elif attribute.floats:
            attribute.floats[self.index(attribute.floats)] = self.random.choice(REALS)
        elif attribute.type == attribute.FLOAT:
            attribute.f = self.random.choice(REALS)
        else:
            attribute.i = self.number()

    def node(self, node, graph):
        values = ["", *(value.name for value in (*graph.input, *graph.initializer)),
                  *(name for other in graph.node for name in other.output)]
        choice = self.random.randrange(8)
        if choice == 0 and node.input:
            node.input[self.index(node.input)] = self.random.choice(values)
        elif choice == 1:
            node.input.append(self.random.choice(values))
        elif choice == 2 and node.input:
            del node.input[-1]
        elif choice == 3:
            node.output.append(f"extra{self.random.randrange(9)}")
        elif node.attribute:
            self.attribute(node.attribute[self.index(node.attribute)])

    def value(self, value):
        tensor = value.type.tensor_type
        choice = self.random.randrange(4)
        if choice == 0:
            tensor.elem_type = self.random.randrange(1, 27)
        elif choice == 1:
            tensor.shape.dim.add().dim_value = self.number()
        elif tensor.shape.dim:
            dim = tensor.shape.dim[self.index(tensor.shape.dim)]
            if self.random.random() < 0.6:
                dim.dim_param = self.random.choice(("n", "m", "n + m", "2 * n"))
            else:
                dim.dim_value = self.number()

    def graph(self, graph):
        choice = self.random.randrange(7)
        if choice == 0 and graph.initializer:
            self.tensor(graph.initializer[self.index(graph.initializer)])
        elif choice in (1, 2) and graph.input:
            self.value(graph.input[self.index(graph.input)])
        elif choice == 3 and graph.input:
            # A constant in place of an input.
            at, constant = self.index(graph.input), graph.initializer.add()
            constant.name, constant.data_type = graph.input[at].name, 7
            constant.int64_data.extend(self.number() for _ in range(self.random.randrange(5)))
            constant.dims.append(len(constant.int64_data))
            del graph.input[at]
        elif graph.node:
            self.node(graph.node[self.index(graph.node)], graph)

    def mutate(self, model):
        for _ in range(self.random.choice((1, 1, 1, 2, 3))):
            try:
                self.graph(model.graph)
            except ValueError:  # A number that the field can't have.
                pass


def limited():
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def run(*command):
    """(whether it succeeded or refused as it should; success; what it said)."""
    try:
        done = subprocess.run(list(map(str, command)), capture_output=True, text=True, errors="replace", timeout=SECONDS,
                              preexec_fn=limited)
    except subprocess.TimeoutExpired:
        return False, False, f"no end within {SECONDS} s"
    lines = [line for line in done.stderr.splitlines() if line.strip() and ": note:" not in line]
    good = done.returncode == 0 or done.returncode == 1 and len(lines) == 1
    return good, done.returncode == 0, f"status {done.returncode}: {' / '.join(lines)[-300:]}"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", type=int)
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    arguments = parser.parse_args()
    if importlib.util.find_spec("onnx") is None:
        skip("no Python module onnx (scripts/install.sh test)")
    python_package()
    aicc_compile, aicc_run = program("aicc"), program("aicc-run")
    import aicc
    from cases import Cases

    cases = Cases("cpu")
    kept = BUILD / "mutants"

    def one(k):
        mutator = Mutator(f"{arguments.seed}-{k}")
        path = mutator.random.choice(cases.paths)
        model = type(cases.model(path))()
        model.CopyFrom(cases.model(path))
        if model.ByteSize() > LARGEST:
            return "LARGE", path
        mutator.mutate(model)
        with tempfile.TemporaryDirectory(prefix="aicc-mutants-") as folder:
            file, package = pathlib.Path(folder) / "model.onnx", pathlib.Path(folder) / "model.aicc"
            file.write_bytes(model.SerializeToString())
            good, compiled, text = run(aicc_compile, file, "--target=cpu", "--no-cache", "-j1", "-o", package)
            state = "COMPILED" if compiled else "REFUSED"
            if compiled:
                symbols = aicc.load(package).symbols
                good, ran, text = run(aicc_run, package, "--device=cpu", "--random",
                                      *(f"--dim={name}={2 + i}" for i, name in enumerate(symbols)))
                state = "RAN" if ran else "COMPILED"
            if not good:
                kept.mkdir(parents=True, exist_ok=True)
                file.rename(kept / f"{arguments.seed}-{k}.onnx")
                return "WRONG", f"{path}: {text}"
            return state, ""

    begin = time.time()
    todo = range(arguments.count) if arguments.only is None else [arguments.only]
    with concurrent.futures.ThreadPoolExecutor(arguments.jobs) as pool:
        results = list(zip(todo, pool.map(one, todo)))
    states = collections.Counter(state for _, (state, _) in results)
    for k, (state, message) in results:
        if state == "WRONG":
            print(f"WRONG {arguments.seed}-{k}: {message}")
    print(f"{len(todo)} mutants in {time.time() - begin:.0f} s ({', '.join(f'{n} {state}' for state, n in sorted(states.items()))})")
    return 1 if states["WRONG"] else 0


if __name__ == "__main__":
    sys.exit(main())
