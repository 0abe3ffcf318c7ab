# xmx.py - kernels with matrix instructions through Intel's runtime for processors
#
# Licensed under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Products of f16, bf16 and int8, and one whose right operand is given transposed, compiled for each chip that has
such instructions: their code calls the matrix built-ins, and the same
objects, linked with the driver's own versions of them, give the right numbers on a processor. Without being
asked for that, the driver must refuse them."""
import os
import pathlib
import re
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[3] / "tests" / "harness"))
from aicc_testing import program, skip  # noqa: E402

try:
    import numpy as np
    import onnx
    from onnx import TensorProto, helper
except ImportError as error:
    skip(f"{error.name} is not installed")

ROWS, DEPTH, COLUMNS = 70, 96, 144
LANES = {"pvc": 16, "dg2": 8}  # of a subgroup


def model(kind):
    a, b = [ROWS, DEPTH], [DEPTH, COLUMNS]
    given = result = {"f16": TensorProto.FLOAT16, "turned": TensorProto.FLOAT16, "bf16": TensorProto.BFLOAT16,
                      "i8": TensorProto.INT8}[kind]
    product = "MatMul"
    if kind == "i8":
        product, result = "MatMulInteger", TensorProto.INT32
    # bf16 has no file format of NumPy: it is converted on the way.
    if kind != "bf16":
        nodes, outer, end = [helper.make_node(product, ["a", "b"], ["y"])], given, result
        if kind == "turned":
            b.reverse()
            nodes = [helper.make_node("Transpose", ["b"], ["t"], perm=[1, 0]), helper.make_node(product, ["a", "t"], ["y"])]
    else:
        outer = end = TensorProto.FLOAT
        nodes = [helper.make_node("Cast", ["a"], ["p"], to=given), helper.make_node("Cast", ["b"], ["q"], to=given),
                 helper.make_node("MatMul", ["p", "q"], ["r"]), helper.make_node("Cast", ["r"], ["y"], to=end)]
    graph = helper.make_graph(nodes, "product", [helper.make_tensor_value_info("a", outer, a),
                                                 helper.make_tensor_value_info("b", outer, b)],
                              [helper.make_tensor_value_info("y", end, [ROWS, COLUMNS])])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)])


def inputs(kind):
    rng = np.random.default_rng(3)
    if kind == "i8":
        a, b = (rng.integers(-128, 128, s).astype(np.int8) for s in ((ROWS, DEPTH), (DEPTH, COLUMNS)))
        return a, b, a.astype(np.int32) @ b.astype(np.int32)
    a, b = (rng.standard_normal(s).astype(np.float32) for s in ((ROWS, DEPTH), (DEPTH, COLUMNS)))
    if kind in ("f16", "turned"):
        a, b = a.astype(np.float16), b.astype(np.float16)
        given = np.ascontiguousarray(b.T) if kind == "turned" else b
        return a, given, (a.astype(np.float64) @ b.astype(np.float64)).astype(np.float16)
    # Numbers that bf16 holds.
    a, b = ((v.view(np.uint32) & 0xffff0000).view(np.float32) for v in (a, b))
    return a, b, (a.astype(np.float64) @ b.astype(np.float64)).astype(np.float32)


def run(folder, chip, kind):
    a, b, y = inputs(kind)
    onnx.save(model(kind), folder / "model.onnx")
    for name, value in (("a", a), ("b", b), ("y", y)):
        np.save(folder / f"{name}.npy", value)
    package, objects = folder / "model.aicc", folder / "objects"
    subprocess.run([program("aicc"), folder / "model.onnx", f"--target=intel:{chip}", "-o", package,
                    f"--save-objects={objects}"], check=True)
    text = "".join(path.read_text(errors="replace") for path in objects.rglob("*.spvasm"))
    calls = text.count("_matrix_mad_k")
    command = [program("aicc-run"), package, "--device=intel", "--input", f"a={folder / 'a.npy'}", "--input",
               f"b={folder / 'b.npy'}", "--expect", f"y={folder / 'y.npy'}"]
    # Rounding to the result's type is the only difference that there may be.
    command.append({"f16": "--tolerance=1e-3", "turned": "--tolerance=1e-3", "bf16": "--tolerance=8e-3", "i8": "--tolerance=0"}[kind])
    asked = subprocess.run(command, capture_output=True, text=True,
                           env={**os.environ, "AICC_INTEL_SOFTWARE_XMX": "1"})
    if "no OpenCL" in asked.stderr or "doesn't exist" in asked.stderr:
        skip(asked.stderr.strip())
    environment = {k: v for k, v in os.environ.items() if k != "AICC_INTEL_SOFTWARE_XMX"}
    unasked = subprocess.run(command, capture_output=True, text=True, env=environment)
    problems = []
    if not calls:
        problems.append("no matrix built-in is called")
    if chip == "pvc" and not re.search("2d_block_read_trans(form|pose)_", text):
        problems.append("no block is loaded")
    if asked.returncode:
        problems.append((asked.stdout + asked.stderr).strip())
    if unasked.returncode == 0 or f"needs xmx{LANES[chip]}" not in unasked.stderr:
        problems.append(f"without the variable: {unasked.returncode}, {unasked.stderr.strip()}, expected a refusal")
    print(f"{'FAIL' if problems else 'ok  '} {chip} {kind}: {calls} mentions of matrix built-ins " + "; ".join(problems))
    return not problems


def main():
    results = []
    for chip in LANES:
        for kind in ("f16", "turned", "bf16", "i8"):
            with tempfile.TemporaryDirectory() as folder:
                results.append(run(pathlib.Path(folder), chip, kind))
    return 0 if all(results) else 1


sys.exit(main())
