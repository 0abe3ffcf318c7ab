#!/usr/bin/env python3
# same_numbers.py - a model gives the same numbers on every target.
#
# Licensed under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""same_numbers.py MODEL [--precision=f32,f16,bf16] [--devices=NAME@VARIANT,...] [--keep]

MODEL is one of small.py's. One package holds the code for the CPU and for every
GPU target; every device of the list runs it beside the CPU, on the same inputs,
and each output and each intermediate tensor that exists on both sides is
compared (aicc-run --compare-devices). How far they may be apart, relative to the
tensor's largest value, is fixed per type: 1e-5 for f32, 5e-3 for f16, 4e-2 for
bf16; integers must be equal. In a model that computes in a narrower type the
tensors that stay f32 carry that type's rounding and have its bound.

The CPU's outputs are compared with ONNX Runtime's, so that not all are wrong
together. Prints a table. Exits with 0, 1, or 77 if there was nothing to check.
"""

import argparse
import hashlib
import importlib.util
import json
import os
import pathlib
import shutil
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "harness")]
from aicc_testing import BUILD, call, has_device, last_line, program, relative_error, skip  # noqa: E402
import small  # noqa: E402

BOUNDS = {"f32": 1e-5, "f16": 5e-3, "bf16": 4e-2}
# Of the CPU's f32 from the reference: as in check.py. Narrower types have their bound.
AGAINST_REFERENCE = {"f32": 1e-4, "f16": 2 * BOUNDS["f16"], "bf16": 2 * BOUNDS["bf16"]}
DEVICES = ["cuda:virtual@cuda:virtual:sm_80", "cuda:virtual@cuda:virtual:sm_90a",
           "rocm:virtual@rocm:virtual:gfx942", "rocm:virtual@rocm:virtual:gfx1100",
           "rocm:virtual@rocm:virtual:gfx1201", "intel:virtual", "intel:virtual@intel:virtual:dg2",
           "intel:virtual@intel:virtual:pvc", "intel"]
TARGETS = ("cpu,cuda:virtual:sm_80,cuda:virtual:sm_90a,rocm:virtual:gfx942,rocm:virtual:gfx1100,rocm:virtual:gfx1201,"
           "intel:virtual,intel:virtual:dg2,intel:virtual:pvc,intel")
SECONDS = 600


def exported(name):
    """The folder of the model, made where it isn't there already."""
    stamp = hashlib.sha256(b"".join((HERE / file).read_bytes() for file in ("small.py", "zoo.py", "export.py")))
    out = BUILD / "models" / "small"
    record = out / name / "model.json"
    if not (record.exists() and json.loads(record.read_text()).get("stamp") == stamp.hexdigest()):
        for module in ("torch", "torchvision", "transformers", "onnxscript", "onnxruntime"):
            if importlib.util.find_spec(module) is None:
                skip(f"no Python module {module} (scripts/install.sh test)")
        os.environ.setdefault("HF_HUB_OFFLINE", "1")
        from export import export

        out.mkdir(parents=True, exist_ok=True)
        export(small.BY_NAME[name], out, stamp.hexdigest())
    return out / name, json.loads(record.read_text())


class Table:
    def __init__(self, model):
        self.model, self.rows, self.failed = model, [], False

    def row(self, precision, what, state, detail, **more):
        self.failed |= state == "FAILED"
        self.rows.append({"model": self.model, "precision": precision, "what": what, "state": state,
                          "detail": detail, **more})
        print(f"{self.model:16s} {precision:5s} {what:36s} {state:7s} {detail}", flush=True)


def against_reference(table, precision, package, folder, record, inputs):
    import numpy

    out = package.with_suffix(".out")
    shutil.rmtree(out, ignore_errors=True)
    status, _, err = call(program("aicc-run"), package, "--device=cpu", f"--save-outputs={out}", *inputs,
                          timeout=SECONDS)
    if status:
        return table.row(precision, "cpu", "FAILED", f"exit {status}: {last_line(err)}")
    worst = 0.0
    for k, port in enumerate(record["outputs"]):
        expected = numpy.load(folder / "run_0" / "expect" / f"{port['name']}.npy")
        worst = max(worst, relative_error(numpy.load(out / f"output_{k}.npy"), expected))
    table.row(precision, "cpu and ONNX Runtime", "ok" if worst <= AGAINST_REFERENCE[precision] else "FAILED",
              f"{worst:.1e} apart", error=worst)


def compare(table, precision, package, device, inputs):
    begin = time.time()
    name = device.split("@")[-1]
    status, out, err = call(
        program("aicc-run"), package, f"--compare-devices=cpu,{device}", "--json",
        *([f"--bound=f32={BOUNDS[precision]}"] if precision != "f32" else []), *inputs, timeout=SECONDS)
    try:
        report = json.loads(out)
    except json.JSONDecodeError:
        return table.row(precision, name, "FAILED", f"exit {status}: {last_line(err)}")
    values = report["values"]
    if not any(value["output"] for value in values):
        return table.row(precision, name, "FAILED", "no output was compared")
    wrong = [value for value in values if not value["equal"]]
    worst = max((value["difference"] for value in values if value["difference"] is not None), default=0.0)
    detail = f"{worst:.1e} apart at most in {len(values)} tensors, {time.time() - begin:.1f} s"
    if wrong or status:
        first = wrong[0] if wrong else {"tensor": "?", "nodes_b": "?", "reason": last_line(err)}
        return table.row(precision, name, "FAILED", f"{len(wrong)} of {len(values)} tensors differ, first "
                         f"'{first['tensor']}' of {first['nodes_b']}: {first['reason']}")
    table.row(precision, name, "ok", detail, error=worst, tensors=len(values))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", choices=list(small.BY_NAME))
    parser.add_argument("--precision", default="f32,f16,bf16")
    parser.add_argument("--devices", default=",".join(DEVICES))
    parser.add_argument("--keep", action="store_true", help="leave the packages")
    arguments = parser.parse_args()
    program("aicc"), program("aicc-run")
    if importlib.util.find_spec("numpy") is None:
        skip("no Python module numpy (scripts/install.sh test)")
    folder, record = exported(arguments.model)
    table = Table(arguments.model)
    devices = []
    for device in arguments.devices.split(","):
        if has_device(device.split("@")[0]):
            devices.append(device)
        else:
            table.row("", device, "SKIP", f"aicc-run lists no {device.split('@')[0]} device")
    if not devices:
        return 77
    inputs = [option for port in record["inputs"]
              for option in ("--input", f"{port['name']}={folder / 'run_0' / (port['name'] + '.npy')}")]
    for precision in arguments.precision.split(","):
        package = folder / f"{precision}.aicc"
        begin = time.time()
        status, _, err = call(program("aicc"), folder / "model.onnx", f"--target={TARGETS}", "-o", package,
                              *([f"--precision={precision}"] if precision != "f32" else []), timeout=SECONDS)
        if status:
            table.row(precision, "compile", "FAILED", f"exit {status}: {last_line(err)}")
            continue
        table.row(precision, "compile", "ok", f"{time.time() - begin:.1f} s")
        against_reference(table, precision, package, folder, record, inputs)
        for device in devices:
            compare(table, precision, package, device, inputs)
        if not arguments.keep:
            package.unlink()
            shutil.rmtree(package.with_suffix(".out"), ignore_errors=True)
    report = BUILD / "reports" / "same_numbers" / f"{arguments.model}.json"
    report.parent.mkdir(parents=True, exist_ok=True)
    report.write_text(json.dumps(table.rows, indent=1) + "\n")
    return 1 if table.failed else 0


if __name__ == "__main__":
    sys.exit(main())
