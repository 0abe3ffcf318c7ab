#!/usr/bin/env python3
# export.py - writes the models of zoo.py as ONNX files, with inputs and results.
#
# Licensed under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Exports the models of zoo.py with PyTorch's exporter.

    export.py OUT [MODEL...] [--list]

writes, for every model,

    OUT/MODEL/model.onnx        (and model.onnx.data where weights are external)
    OUT/MODEL/run_K/INPUT.npy   the inputs of run K
    OUT/MODEL/run_K/expect/OUTPUT.npy   what ONNX Runtime computes from them
    OUT/MODEL/model.json        inputs, outputs, sizes of each run

A model that is there already, written by the same version of these scripts, is
left alone.
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
import warnings

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
import zoo  # noqa: E402


def fingerprint():
    digest = hashlib.sha256()
    for name in ("zoo.py", "export.py"):
        digest.update((HERE / name).read_bytes())
    return digest.hexdigest()[:16]


def export_onnx(model, net, path):
    import torch

    example = model.inputs(model.sizes[min(1, len(model.sizes) - 1)])
    arguments = tuple(tensor for _, tensor in example)
    names = [name for name, _ in example]
    options = {"input_names": names, "output_names": list(model.outputs)}
    if model.exporter == "dynamo":
        if model.dynamic:
            options["dynamic_shapes"] = tuple(
                {axis: torch.export.Dim(symbol) for axis, symbol in model.dynamic.get(name, {}).items()}
                for name in names
            )
        torch.onnx.export(net, arguments, str(path), dynamo=True, external_data=model.external, verbose=False,
                          **options)
    else:
        if model.dynamic:
            options["dynamic_axes"] = model.dynamic
        torch.onnx.export(net, arguments, str(path), dynamo=False, **options)


def write_runs(model, path, folder, threads):
    import numpy
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    runs = []
    for k, sizes in enumerate(model.sizes):
        run = folder / f"run_{k}"
        (run / "expect").mkdir(parents=True)
        inputs = {name: tensor.numpy() for name, tensor in model.inputs(sizes)}
        results = session.run(None, inputs)
        for name, array in inputs.items():
            numpy.save(run / f"{name}.npy", array)
        for info, array in zip(session.get_outputs(), results):
            numpy.save(run / "expect" / f"{info.name}.npy", array)
        runs.append({"folder": run.name, "sizes": sizes})
    return {
        "name": model.name,
        "inputs": [{"name": i.name, "type": i.type, "shape": i.shape} for i in session.get_inputs()],
        "outputs": [{"name": o.name, "type": o.type, "shape": o.shape} for o in session.get_outputs()],
        "runs": runs,
        "skip": model.skip,
        "variant_of": model.variant_of,
    }


def export(model, out, stamp):
    import torch

    folder = out / model.name
    record = folder / "model.json"
    if record.exists() and json.loads(record.read_text()).get("stamp") == stamp:
        return False
    temporary = out / f".{model.name}.{os.getpid()}"
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(parents=True)
    torch.manual_seed(1)
    net = model.build()
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        export_onnx(model, net, temporary / "model.onnx")
    del net
    description = write_runs(model, temporary / "model.onnx", temporary, os.cpu_count())
    description["stamp"] = stamp
    (temporary / "model.json").write_text(json.dumps(description, indent=1) + "\n")
    shutil.rmtree(folder, ignore_errors=True)
    temporary.rename(folder)
    return True


def main():
    parser = argparse.ArgumentParser(description="export the models of the tests as ONNX")
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("models", nargs="*", help="all of them by default")
    parser.add_argument("--list", action="store_true", help="print the models' names and stop")
    arguments = parser.parse_args()
    if arguments.list:
        print("\n".join(zoo.BY_NAME))
        return 0
    for name in arguments.models:
        if name not in zoo.BY_NAME:
            print(f"error: no model named '{name}'; there are {', '.join(zoo.BY_NAME)}", file=sys.stderr)
            return 2
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    for module in ("torch", "torchvision", "transformers", "onnxscript", "onnxruntime"):
        if importlib.util.find_spec(module) is None:
            print(f"SKIP: no Python module {module} (scripts/install.sh test)")
            return 77
    arguments.out.mkdir(parents=True, exist_ok=True)
    failed = 0
    for model in zoo.MODELS:
        if arguments.models and model.name not in arguments.models:
            continue
        begin = time.time()
        try:
            written = export(model, arguments.out, fingerprint())
            state = f"{time.time() - begin:6.1f} s" if written else "there already"
            print(f"{model.name:28s} {state}", flush=True)
        except Exception as problem:  # The exporters raise anything.
            failed += 1
            print(f"{model.name:28s} FAILED: {type(problem).__name__}: {str(problem)[-2000:]}", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
