# cases.py - the project's benchmark list for GPUs.
#
# Licensed under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""What is measured on a GPU, estimated where there is none, and checked for spilled
registers: products, attention, kernels that only move memory (256 MiB each way or
more), and models.

`CASES` lists them; `path(case, folder)` is the model's file, written to `folder` if
it is one operator, exported by tests/models/export.py otherwise.
"""

import collections
import math
import os
import pathlib

import numpy

from aicc_testing import BUILD

# flags: what `aicc` gets besides the target; model: a name of tests/models, or None.
Case = collections.namedtuple("Case", "name group flags model")

ROWS, COLUMNS = 16384, 8192  # 256 MiB of f16


def _operator(name, group):
    return Case(name, group, (), None)


def _model(name, model, batch, *dims):
    return Case(f"{name}_batch{batch}", "model", ("--precision=f16", f"--dim=batch={batch}", *dims), model)


CASES = [
    *(_operator(f"gemm_{size}_{kind}", "product") for size in (4096, 8192) for kind in ("f16", "bf16")),
    _operator("attention_causal_f16", "attention"),
    *(_operator(f"{name}_f16", "memory") for name in (
        "relu", "add", "softmax", "layer_norm", "reduce_rows", "reduce_columns", "transpose", "gather")),
    *(_model("resnet50", "resnet50_dynamic", batch) for batch in (1, 32)),
    *(_model("bert_base", "bert_base_dynamic", batch, "--dim=sequence=128") for batch in (1, 32)),
]
BY_NAME = {case.name: case for case in CASES}


def _graph(name):
    """Nodes, inputs and output of a case of one operator: (operator, attributes, {input: (type, shape)}, result)."""
    kind = name.rsplit("_", 1)[1]
    big = (kind, [ROWS, COLUMNS])
    if name.startswith("gemm_"):
        size = int(name.split("_")[1])
        return "MatMul", {}, {"a": (kind, [size, size]), "b": (kind, [size, size])}, (kind, [size, size])
    return {
        "attention_causal_f16": ("Attention", {"is_causal": 1},
                                 {name: (kind, [4, 32, 4096, 128]) for name in ("query", "key", "value")},
                                 (kind, [4, 32, 4096, 128])),
        "relu_f16": ("Relu", {}, {"x": big}, big),
        "add_f16": ("Add", {}, {"x": big, "y": big}, big),
        "softmax_f16": ("Softmax", {"axis": -1}, {"x": big}, big),
        "layer_norm_f16": ("LayerNormalization", {"axis": -1},
                           {"x": big, "scale": (kind, [COLUMNS]), "bias": (kind, [COLUMNS])}, big),
        "reduce_rows_f16": ("ReduceSum", {"keepdims": 0}, {"x": big, "axes": ("i64", [1])}, (kind, [ROWS])),
        "reduce_columns_f16": ("ReduceSum", {"keepdims": 0}, {"x": big, "axes": ("i64", [0])}, (kind, [COLUMNS])),
        "transpose_f16": ("Transpose", {"perm": [1, 0]}, {"x": big}, (kind, [COLUMNS, ROWS])),
        # A table four times as large as what is taken from it.
        "gather_f16": ("Gather", {"axis": 0}, {"table": (kind, [4 * ROWS, COLUMNS]), "rows": ("i64", [ROWS])}, big),
    }[name]


def _write(name, path):
    import onnx
    from onnx import TensorProto, helper

    types = {"f16": TensorProto.FLOAT16, "bf16": TensorProto.BFLOAT16, "i64": TensorProto.INT64}
    operator, attributes, inputs, (kind, shape) = _graph(name)
    constants = []
    if operator == "ReduceSum":
        constants.append(helper.make_tensor("axes", TensorProto.INT64, [1], inputs.pop("axes")[1]))
        names = ["x", "axes"]
    else:
        names = list(inputs)
    graph = helper.make_graph(
        [helper.make_node(operator, names, ["result"], **attributes)], name,
        [helper.make_tensor_value_info(n, types[t], s) for n, (t, s) in inputs.items()],
        [helper.make_tensor_value_info("result", types[kind], shape)], constants)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 23)], ir_version=11), path)


def is_causal(case):
    """Whether the case's only product of queries and keys is one of as many queries as keys, of which each sees those
    up to its own."""
    return not case.model and bool(_graph(case.name)[1].get("is_causal"))


def work(case):
    """(floating-point operations, bytes that must be moved) of a case of one operator; 0 for what doesn't limit it."""
    if case.model:
        return 0, 0
    if case.group == "product":
        return 2 * int(case.name.split("_")[1]) ** 3, 0
    operator, _, inputs, result = _graph(case.name)
    if operator == "Attention":
        batch, heads, rows, size = inputs["query"][1]
        return 2 * 2 * batch * heads * rows * (rows + 1) // 2 * size, 0
    if operator == "Gather":
        inputs = {"rows": inputs["rows"], "taken": result}
    return 0, sum(math.prod(shape) * (8 if kind == "i64" else 2) for kind, shape in (*inputs.values(), result))


def inputs(case):
    """Inputs whose values count: rows to be gathered come from all of the table."""
    if case.name != "gather_f16":
        return {}
    return {"rows": numpy.random.default_rng(0).integers(0, 4 * ROWS, ROWS)}


def path(case, folder):
    """The case's model; it may be absent if it is one that has to be exported."""
    if case.model:
        return pathlib.Path(os.environ.get("AICC_MODELS_DIR", BUILD / "models")) / case.model / "model.onnx"
    file = pathlib.Path(folder) / f"{case.name}.onnx"
    if not file.exists():
        _write(case.name, file)
    return file
