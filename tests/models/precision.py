#!/usr/bin/env python3
# precision.py - models computed in f16 and bf16, beside their f32 results.
#
# Licensed under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""precision.py MODEL… [--devices=cpu,intel] [--precision=f16,bf16] [--dim NAME=SIZE]

Each model of zoo.py is compiled with --precision for all the devices and run on
each with its first exported inputs. Every output must be within 5e-3 (f16) or 4e-2 (bf16) of the f32 result, relative to
the output's largest value, and have its type.

A model whose outputs move further when nothing but its weights is rounded to
the type (which ONNX Runtime computes here, in f32) is ill-conditioned: then twice
that movement is the bound, and the line says so. Packages must be smaller than
their f32 ones by the weights of the products.

Exits with 0, 1, or 77 if there was nothing to check.
"""

import argparse
import json
import os
import pathlib
import shutil
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "harness"))
from aicc_testing import BUILD, call, has_device, last_line, program, relative_error, skip  # noqa: E402

BOUNDS = {"f16": 5e-3, "bf16": 4e-2}


def rounded(array, precision):
    """The values of the type nearest to an array of f32."""
    import numpy

    if precision == "f16":
        return array.astype(numpy.float16).astype(numpy.float32)
    bits = numpy.ascontiguousarray(array).view(numpy.uint32)
    bits = (bits + 0x7FFF + ((bits >> 16) & 1)) & numpy.uint32(0xFFFF0000)
    return bits.astype(numpy.uint32).view(numpy.float32)


def conditioning(path, precision, inputs, expected):
    """How far outputs move when only the weights are rounded."""
    import numpy
    import onnx
    import onnxruntime
    from onnx import numpy_helper

    model = onnx.load(path)
    for tensor in model.graph.initializer:
        array = numpy_helper.to_array(tensor)
        if array.dtype == numpy.float32 and array.ndim >= 2:
            tensor.CopyFrom(numpy_helper.from_array(rounded(array, precision), tensor.name))
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    found = dict(zip(names, session.run(None, inputs)))
    return max(relative_error(found[name], array) for name, array in expected.items())


def run(package, device, inputs, outputs, out):
    """{output: array}, or a message."""
    import numpy

    shutil.rmtree(out, ignore_errors=True)
    command = [program("aicc-run"), package, f"--device={device}", f"--save-outputs={out}"]
    for name, path in inputs.items():
        command += ["--input", f"{name}={path}"]
    status, _, err = call(*command, timeout=600)
    if status:
        return f"exit {status}: {last_line(err)}"
    return {name: numpy.load(out / f"output_{k}.npy") for k, name in enumerate(outputs)}


def check(model, precisions, devices, dims, work):
    import numpy

    folder = pathlib.Path(os.environ.get("AICC_MODELS_DIR", BUILD / "models")) / model
    if not (folder / "model.json").exists():
        print(f"{model:16s} SKIP    it was not exported to {folder}")
        return None
    record = json.loads((folder / "model.json").read_text())
    source = folder / record["runs"][0]["folder"]
    inputs = {port["name"]: source / f"{port['name']}.npy" for port in record["inputs"]}
    expected = {port["name"]: numpy.load(source / "expect" / f"{port['name']}.npy") for port in record["outputs"]}
    good = True
    sizes = {}
    families = ",".join(dict.fromkeys(device for device in devices))
    for precision in ("f32", *precisions):
        package = work / f"{precision}.aicc"
        status, _, err = call(program("aicc"), folder / "model.onnx", f"--target={families}",
                              f"--precision={precision}", "-v", "-o", package,
                              *[f"--dim={dim}" for dim in dims], timeout=1200)
        if status:
            print(f"{model:16s} {precision:5s} FAILED  exit {status}: {last_line(err)}")
            return False
        sizes[precision] = package.stat().st_size
        if precision == "f32":
            package.unlink()
            continue
        summary = [line for line in err.splitlines() if f"precision {precision}:" in line]
        for device in devices:
            found = run(package, device, inputs, expected, work / "out")
            if isinstance(found, str):
                print(f"{model:16s} {precision:5s} {device:14s} FAILED  {found}")
                good = False
                continue
            worst = max(relative_error(found[name], expected[name]) for name in expected)
            bound, note = BOUNDS[precision], ""
            if worst > bound:
                moved = conditioning(folder / "model.onnx", precision,
                                     {name: numpy.load(path) for name, path in inputs.items()}, expected)
                if moved > bound / 2:
                    bound, note = 2 * moved, f", ill-conditioned: rounded weights alone make {moved:.1e}"
            good &= worst <= bound
            print(f"{model:16s} {precision:5s} {device:14s} {'ok' if worst <= bound else 'FAILED':7s} {worst:.1e} from "
                  f"f32, at most {bound:.1e}{note}", flush=True)
        print(f"{model:16s} {precision:5s} {sizes[precision] / 1e6:.1f} MB, f32 {sizes['f32'] / 1e6:.1f} MB; "
              f"{summary[-1] if summary else 'nothing was reported'}", flush=True)
        good &= bool(summary)
        # Code is a part of small packages, for all targets.
        if sizes["f32"] > 16e6 and sizes[precision] > 0.7 * sizes["f32"]:
            print(f"{model:16s} {precision:5s} FAILED  the weights are not halved")
            good = False
        package.unlink()
    return good


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("models", nargs="+")
    parser.add_argument("--devices", default="cpu,intel")
    parser.add_argument("--precision", default="f16,bf16")
    parser.add_argument("--dim", action="append", default=[])
    arguments = parser.parse_args()
    program("aicc"), program("aicc-run")
    devices = [device for device in arguments.devices.split(",") if has_device(device)]
    for device in arguments.devices.split(","):
        if device not in devices:
            print(f"SKIP: aicc-run lists no {device} device")
    results = []
    for model in arguments.models if devices else ():
        with tempfile.TemporaryDirectory(prefix="aicc-precision-") as work:
            results.append(check(model, arguments.precision.split(","), devices, arguments.dim, pathlib.Path(work)))
    if False in results:
        return 1
    if True not in results:
        skip("no model was exported, or no device is there")
    return 0


if __name__ == "__main__":
    sys.exit(main())
