#!/usr/bin/env python3
# packages.py - the ONNX conformance cases compiled for a GPU, to be run where there is one.
#
# Licensed under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""packages.py TARGET FOLDER [--filter=WORD] [--jobs=N]

Compiles the cases of the package onnx for TARGET (cuda:sm_90a) as run.py would, and
writes each to a folder: model.aicc, input_<k>.pb, output_<k>.pb. FOLDER/suite.tsv
has a line for each: folder, relative and absolute tolerance, case, and what is
expected of it ("pass", or the reason in the device's list). Cases of which the list
says that they can't be compiled are left out; another one that can't is an error.
tests/devices/on_gpu.sh calls it.
"""

import argparse
import os
import pathlib
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "harness"))
from aicc_testing import environment, python_package  # noqa: E402
from aicc_workers import run_all  # noqa: E402


class _Session:
    """In place of a session: keeps what it is called with."""

    def __init__(self, package, kept):
        self.package, self.kept, self.arrays = package, kept, None

    def __call__(self, **named):
        from aicc._values import flatten

        signature = self.package.signature
        ports = self.package.inputs
        self.arrays = flatten(signature, named) if signature else {
            k: named[port.name] for k, port in enumerate(ports)}
        entries = signature["outputs"] if signature else self.package.outputs
        self.kept["session"] = self
        return [None] * len(entries)


def _write(folder, prefix, arrays):
    import numpy
    from onnx import numpy_helper

    for k, array in arrays.items():
        proto = numpy_helper.from_array(numpy.asarray(array))
        (folder / f"{prefix}_{k}.pb").write_bytes(proto.SerializeToString())


def writer(cases, target, out):
    """A function that writes a case, for run_all."""
    import aicc
    from aicc import onnx_backend
    from aicc._values import flatten

    kept = {}

    class Representation(onnx_backend.BackendRep):
        def _compile(self, constants, sequences, dims):
            options = {**self._options, "dims": {**dims, **self._options.get("dims", {})}}
            folder = kept["folder"] / str(kept["count"])
            folder.mkdir(parents=True, exist_ok=True)
            package = aicc.compile(self._model, values=constants, sequences=sequences, output=folder / "model.aicc",
                                   **options)
            kept["names"], kept["last"] = self.outputs, folder
            return _Session(package, kept)

    def prepare(cls, model, name="CPU", **kwargs):
        return Representation(model, target, targets=target, jobs=1, cache=False)

    def assert_similar_outputs(cls, ref_outputs, outputs, rtol, atol, model_dir=None):
        session = kept["session"]
        values = dict(zip(kept["names"], ref_outputs))
        signature = session.package.signature
        arrays = flatten({"inputs": signature["outputs"]}, values) if signature else {
            k: values[port.name] for k, port in enumerate(session.package.outputs)}
        folder = kept["last"]
        _write(folder, "input", session.arrays)
        _write(folder, "output", arrays)
        if any(getattr(array, "dtype", None) == "bfloat16" for array in arrays.values()):
            rtol = max(rtol, 2**-6)  # As ONNX's runner has it.
        kept["lines"].append(f"{folder.relative_to(out)}\t{rtol}\t{atol}")
        kept["count"] += 1

    cases.runner.backend.prepare = classmethod(prepare)
    type(cases.runner).assert_similar_outputs = classmethod(assert_similar_outputs)

    def write(path):
        kept.update(folder=out / path, count=0, lines=[])
        state, message = cases.run(path)
        return (state, "\n".join(kept["lines"])) if state == "PASS" else (state, message)

    return write


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("target")
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--filter", default="")
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    arguments = parser.parse_args()
    python_package()
    os.environ.update(environment())

    from cases import Cases
    from run import CASE_SECONDS, expectations

    import aicc._compiler  # noqa: F401  Loaded once, for all workers.

    family = arguments.target.split(":")[0]
    expected = expectations(f"{family}:virtual")
    cases = Cases("cpu")
    todo = [path for path in cases.paths if arguments.filter in path]
    out = arguments.folder.resolve()
    out.mkdir(parents=True, exist_ok=True)
    lines, errors, left = [], [], 0
    for path, (state, message) in run_all(writer(cases, arguments.target, out), todo, arguments.jobs,
                                          CASE_SECONDS).items():
        if state == "PASS":
            lines += [f"{line}\t{path}\t{expected.get(path, 'pass')}" for line in message.splitlines()]
        elif path in expected:
            left += 1
        else:
            errors.append(f"{path}: {message}")
    (out / "suite.tsv").write_text("".join(line + "\n" for line in sorted(lines)))
    print("\n".join(errors[:50]))
    print(f"{len(lines)} runs of {len(todo) - left - len(errors)} cases for {arguments.target}; {left} cases, listed as "
          f"not compiling, are left out; {len(errors)} failed")
    return 1 if errors else 0


if __name__ == "__main__":
    sys.exit(main())
