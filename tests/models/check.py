#!/usr/bin/env python3
# check.py - compiles one model of the suite, runs it on each device, compares.
#
# Licensed under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""check.py MODEL [--devices=cpu,intel] [--targets=cpu,cuda,rocm,intel] [--joint] [--report=FILE]

MODEL is one of zoo.py's names, or light/NAME for one of the nine light CNNs of
the conformance data. The model is compiled twice: into a package for `cpu`
alone and into one for all targets, whose weights are stored once and laid out
for a target when a session is created (--joint: the second one alone). Then

- every run (three sizes for a model with dynamic dimensions) of either package
  on every device agrees with ONNX Runtime within 1e-4 of the output's largest
  value,
- CPU and each other device agree within 1e-5,
- the objects for NVIDIA, AMD and Intel are accepted by the vendors' tools.

Prints a table. Exits with 0, 1, or 77 if there was nothing to check.
"""

import argparse
import importlib.util
import json
import os
import pathlib
import shutil
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "harness"))
from aicc_testing import BUILD, call, conformance_data, has_device, last_line, program, relative_error, skip  # noqa: E402
import objects  # noqa: E402

AGAINST_REFERENCE = 1e-4
AGAINST_EACH_OTHER = 1e-5
COMPILE_SECONDS = 600
RUN_SECONDS = 600


def light_model(name, folder):
    """A light CNN of the conformance data in the form that export.py writes."""
    import numpy
    import onnx
    from onnx import numpy_helper

    data = conformance_data()
    if not data:
        skip("the conformance data is absent (AICC_TEST_DATA)")
    source = data / "real" / f"test_{name}"
    model = onnx.load(source / "model.onnx", load_external_data=False)
    initialized = {tensor.name for tensor in model.graph.initializer}
    names = {"input": [i.name for i in model.graph.input if i.name not in initialized],
             "output": [o.name for o in model.graph.output]}
    run = folder / "run_0"
    (run / "expect").mkdir(parents=True, exist_ok=True)
    for kind, where in (("input", run), ("output", run / "expect")):
        for k in range(len(names[kind])):
            tensor = onnx.TensorProto()
            tensor.ParseFromString((source / "test_data_set_0" / f"{kind}_{k}.pb").read_bytes())
            # The tensors' names have slashes.
            numpy.save(where / f"{kind}_{k}.npy", numpy_helper.to_array(tensor))
    return source / "model.onnx", {
        "name": name,
        "inputs": [{"name": n, "file": f"input_{k}"} for k, n in enumerate(names["input"])],
        "outputs": [{"name": n, "file": f"output_{k}"} for k, n in enumerate(names["output"])],
        "runs": [{"folder": "run_0", "sizes": {}}],
        "skip": {},
    }


class Check:
    def __init__(self, name, devices, targets, joint):
        self.name = name
        self.targets = targets
        self.joint = joint
        self.devices = devices
        self.rows = []
        self.failed = False
        self.work = BUILD / "models" / "check" / f"{name.replace('/', '_')}-{targets.replace(',', '-')}"
        shutil.rmtree(self.work, ignore_errors=True)
        self.work.mkdir(parents=True)
        if name.startswith("light/"):
            self.folder = self.work
            self.model, self.record = light_model(name.split("/", 1)[1], self.work)
        else:
            self.folder = pathlib.Path(os.environ.get("AICC_MODELS_DIR", BUILD / "models")) / name
            if not (self.folder / "model.json").exists():
                skip(f"{name} was not exported to {self.folder}")
            self.model = self.folder / "model.onnx"
            self.record = json.loads((self.folder / "model.json").read_text())

    def row(self, what, state, detail="", **more):
        self.failed |= state == "FAILED"
        self.rows.append({"model": self.name, "what": what, "state": state, "detail": detail, **more})
        print(f"{self.name:26s} {what:34s} {state:7s} {detail}", flush=True)

    def compile(self, targets, package, *options):
        begin = time.time()
        status, _, err = call(program("aicc"), self.model, f"--target={targets}", "-o", package, *options,
                              timeout=COMPILE_SECONDS)
        seconds = time.time() - begin
        if status:
            self.row(f"compile for {targets}", "FAILED", f"exit {status}: {last_line(err)}")
            return False
        self.row(f"compile for {targets}", "ok",
                 f"{seconds:.1f} s, {package.stat().st_size / 1e6:.1f} MB", seconds=seconds)
        return True

    def run(self, package, label, device, run):
        """Returns {output: array}, or None after a failure."""
        import numpy

        out = self.work / "out"
        shutil.rmtree(out, ignore_errors=True)
        source = self.folder / run["folder"]
        command = [program("aicc-run"), package, f"--device={device}", f"--save-outputs={out}"]
        for port in self.record["inputs"]:
            command += ["--input", f"{port['name']}={source / (port.get('file', port['name']) + '.npy')}"]
        sizes = ",".join(f"{k}={v}" for k, v in run["sizes"].items())
        what = f"{label} on {device}" + (f", {sizes}" if sizes else "")
        status, _, err = call(*command, timeout=RUN_SECONDS)
        if status:
            self.row(what, "FAILED", f"exit {status}: {last_line(err)}")
            return None
        worst, found = 0.0, {}
        for k, port in enumerate(self.record["outputs"]):
            path = out / f"output_{k}.npy"
            if not path.exists():
                self.row(what, "FAILED", f"no output {path.name}")
                return None
            found[port["name"]] = numpy.load(path)
            expected = numpy.load(source / "expect" / f"{port.get('file', port['name'])}.npy")
            worst = max(worst, relative_error(found[port["name"]], expected))
        self.row(what, "ok" if worst <= AGAINST_REFERENCE else "FAILED",
                 f"{worst:.1e} from the reference", error=worst)
        return found

    def compare(self, a, b, what):
        worst = max(relative_error(b[name], a[name]) for name in a)
        self.row(what, "ok" if worst <= AGAINST_EACH_OTHER else "FAILED", f"{worst:.1e} apart", error=worst)

    def check(self):
        alone, together = self.work / "cpu.aicc", self.work / "all.aicc"
        results = {}
        if "cpu" in self.devices and not self.joint and self.compile("cpu", alone):
            for run in self.record["runs"]:
                self.run(alone, "cpu package", "cpu", run)
            alone.unlink()
        saved = self.work / "objects"
        others = [device for device in self.devices if device != "cpu"]
        if others and self.compile(self.targets, together, f"--save-objects={saved}"):
            for run in self.record["runs"]:
                for device in self.devices:
                    if reason := self.record["skip"].get(device):
                        self.row(f"joint package on {device}", "SKIP", reason)
                    else:
                        results[device] = self.run(together, "joint package", device, run)
                sizes = "".join(f", {k}={v}" for k, v in run["sizes"].items())
                for device in others:
                    if results.get("cpu") and results.get(device):
                        self.compare(results["cpu"], results[device], f"cpu and {device}{sizes}")
            together.unlink()
            # Virtual devices have no tool but themselves.
            real = ",".join(t for t in self.targets.split(",") if ":virtual" not in t)
            for tool, state, detail in objects.check(saved, real):
                self.row(f"objects by {tool}", state, detail)
        shutil.rmtree(self.work, ignore_errors=True)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("model")
    parser.add_argument("--devices", default="cpu,intel")
    parser.add_argument("--targets", default="cpu,cuda,rocm,intel", help="of the second package")
    parser.add_argument("--joint", action="store_true", help="only the second package")
    parser.add_argument("--report", type=pathlib.Path, help="write the rows as JSON")
    arguments = parser.parse_args()
    program("aicc"), program("aicc-run")
    for module in ("numpy", "onnx"):
        if importlib.util.find_spec(module) is None:
            skip(f"no Python module {module} (scripts/install.sh test)")
    devices = []
    absent = []
    for device in arguments.devices.split(","):
        (devices if has_device(device) else absent).append(device)
    check = Check(arguments.model, devices, arguments.targets, arguments.joint)
    for device in absent:
        check.row(f"on {device}", "SKIP", f"aicc-run lists no {device} device")
    if not devices:
        return 77
    check.check()
    name = arguments.model.replace("/", "_")
    if any(":" in device for device in devices):
        name += "-virtual"
    report = arguments.report or BUILD / "reports" / "models" / f"{name}.json"
    report.parent.mkdir(parents=True, exist_ok=True)
    report.write_text(json.dumps(check.rows, indent=1) + "\n")
    return 1 if check.failed else 0


if __name__ == "__main__":
    sys.exit(main())
