#!/usr/bin/env python3
# tf32.py - f32 is multiplied as it is, and as tf32 only where the user says so.
#
# Licensed under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""A product and an attention in f32, compiled with and without --allow-tf32 and run on the CPU and on NVIDIA's virtual
device: without the option both agree within 1e-5 and no kernel has an instruction of tf32; with it both kernels have
one, and the results agree as well as 10 bits of mantissa let them, and no better.
"""

import importlib.util
import json
import pathlib
import re
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "harness"))
from aicc_testing import call, has_device, last_line, program, skip  # noqa: E402

for module in ("numpy", "onnx"):
    if importlib.util.find_spec(module) is None:
        skip(f"no Python module {module}")

import onnx  # noqa: E402
from onnx import TensorProto, helper  # noqa: E402

CHIPS = ("sm_80", "sm_90a")
EXACT, ROUNDED = 1e-5, 5e-3
MODELS = {
    "product": ("MatMul", {}, {"a": [64, 96], "b": [96, 128]}, [64, 128]),
    "attention": ("Attention", {"is_causal": 1}, {name: [2, 3, 80, 64] for name in "qkv"}, [2, 3, 80, 64]),
}
INSTRUCTION = re.compile(r"\b(?:mma\.sync|wgmma\.mma_async)\S*\.tf32\b")


def write(name, path):
    operator, attributes, inputs, result = MODELS[name]
    graph = helper.make_graph(
        [helper.make_node(operator, list(inputs), ["y"], name=name, **attributes)], name,
        [helper.make_tensor_value_info(n, TensorProto.FLOAT, shape) for n, shape in inputs.items()],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, result)])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 23)], ir_version=10), path)


def check(name, chip, allowed, folder):
    """None, or what is wrong."""
    path, package, objects = folder / f"{name}.onnx", folder / "model.aicc", folder / f"{name}-{chip}-{allowed:d}"
    write(name, path)
    flags = ["--allow-tf32"] if allowed else []
    # The virtual device's own objects aren't PTX: that is read of the chip itself.
    for target, more in ((f"cpu,cuda:virtual:{chip}", []), (f"cuda:{chip}", [f"--save-objects={objects}"])):
        status, _, err = call(program("aicc"), path, f"--target={target}", *flags, *more, "-o",
                              folder / "chip.aicc" if more else package)
        if status:
            return f"aicc exits with {status}: {last_line(err)}"
    texts = [file.read_text() for file in objects.rglob("*.ptx")]
    if not texts:
        return "--save-objects wrote no .ptx"
    if any(INSTRUCTION.search(text) for text in texts) != allowed:
        return f"expected {'an' if allowed else 'no'} instruction of tf32 in the kernels"
    # Ends with 1 where values differ by more than what f32 allows.
    status, out, err = call(program("aicc-run"), package, "--compare-devices=cpu,cuda:virtual", "--random=1", "--json")
    if not out:
        return f"aicc-run exits with {status}: {last_line(err)}"
    difference = max(value["difference"] for value in json.loads(out)["values"] if value["output"])
    if not (EXACT < difference <= ROUNDED if allowed else difference <= EXACT):
        return f"results differ by {difference:.2g} of the largest value"
    return None


def main():
    if not has_device("cuda:virtual"):
        skip("no virtual device")
    failures = 0
    with tempfile.TemporaryDirectory(prefix="aicc-tf32-") as folder:
        for name in MODELS:
            for chip in CHIPS:
                for allowed in (False, True):
                    problem = check(name, chip, allowed, pathlib.Path(folder))
                    failures += problem is not None
                    print(f"{'FAIL' if problem else 'ok  '} {name} {chip} {'with' if allowed else 'without'} --allow-tf32 "
                          f"{problem or ''}".rstrip(), flush=True)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
