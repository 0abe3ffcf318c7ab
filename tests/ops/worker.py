#!/usr/bin/env python3
# worker.py - compiles and runs conformance cases, one after the other (see run.py).
#
# Licensed under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""worker.py DEVICE TARGET: reads a JSON request a line, writes an answer a line."""

import json
import os
import pathlib
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "harness"))
import aicc_compiler  # noqa: E402
import aicc_runtime  # noqa: E402

import numpy  # noqa: E402
import onnx  # noqa: E402
from onnx import numpy_helper  # noqa: E402


class Failure(Exception):
    pass


def tensor(path, kind):
    """The array in a .pb file of a model's input or output of the given type."""
    if kind.WhichOneof("value") != "tensor_type":
        raise Failure(f"{kind.WhichOneof('value').replace('_type', '')} inputs and outputs are not supported")
    proto = onnx.TensorProto()
    proto.ParseFromString(path.read_bytes())
    if proto.data_type == onnx.TensorProto.STRING:
        raise Failure("strings are not supported")
    return numpy_helper.to_array(proto)


def compare(name, found, expected, rtol, atol):
    if found.dtype != expected.dtype:
        raise Failure(f"output '{name}' is {found.dtype}, expected {expected.dtype}")
    if found.shape != expected.shape:
        raise Failure(f"output '{name}' has shape {found.shape}, expected {expected.shape}")
    if found.dtype.kind in "iub":
        if not numpy.array_equal(found, expected):
            raise Failure(f"output '{name}': largest difference {numpy.count_nonzero(found != expected)} elements")
        return
    wide = numpy.complex128 if found.dtype.kind == "c" else numpy.float64
    found, expected = found.astype(wide), expected.astype(wide)
    if not numpy.allclose(found, expected, rtol=rtol, atol=atol, equal_nan=True):
        with numpy.errstate(all="ignore"):
            worst = numpy.nanmax(numpy.abs(found - expected)) if found.size else 0
        raise Failure(f"output '{name}': largest difference {worst:.3g}")


def compile_case(model, target, package, arrays):
    """Compiles ahead of time; where the import needs the value of a list of integers
    (axes, shapes) it becomes a constant. Returns those."""
    constants = {}
    while True:
        try:
            aicc_compiler.compile(model, target, package, constants)
            return constants
        except aicc_compiler.Error as error:
            more = {name: arrays[name] for name in error.needed if name not in constants and name in arrays
                    and arrays[name].dtype.kind in "iub" and arrays[name].ndim <= 1}
            if not more:
                raise
            constants |= more


def run_case(folder, device, target, rtol, atol, scratch):
    model = onnx.load(folder / "model.onnx", load_external_data=False)
    initialized = {i.name for i in model.graph.initializer}
    inputs = [i for i in model.graph.input if i.name not in initialized]
    session, constants = None, {}
    try:
        for data in sorted(folder.glob("test_data_set_*")):
            arrays = {}
            for k, port in enumerate(inputs):
                path = data / f"input_{k}.pb"
                if path.exists():
                    arrays[port.name] = tensor(path, port.type)
            if session is None or any(not numpy.array_equal(arrays[name], constants[name]) for name in constants):
                if session:
                    session.close()
                constants = compile_case(folder / "model.onnx", target, scratch / "case.aicc", arrays)
                session = aicc_runtime.Session(scratch / "case.aicc", device, 1)
            session.bind(arrays)
            found = session.results()
            for k, port in enumerate(model.graph.output):
                expected = tensor(data / f"output_{k}.pb", port.type)
                compare(port.name, found[port.name], expected, rtol, atol)
    finally:
        if session:
            session.close()


def main():
    device, target = sys.argv[1:]
    # Whatever the libraries print must not come between the answers.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    with tempfile.TemporaryDirectory() as folder:
        for line in sys.stdin:
            request = json.loads(line)
            try:
                run_case(pathlib.Path(request["folder"]), device, target, request["rtol"], request["atol"],
                         pathlib.Path(folder))
                answer = {"state": "PASS", "message": ""}
            except (Failure, aicc_compiler.Error, aicc_runtime.Error) as problem:
                answer = {"state": "FAIL", "message": str(problem)}
            except Exception as problem:  # A case that the harness can't read fails, it doesn't end the run.
                answer = {"state": "FAIL", "message": f"{type(problem).__name__}: {problem}"}
            answers.write(json.dumps(answer) + "\n")
            answers.flush()


if __name__ == "__main__":
    main()
