# bad_models.py - damaged, hostile and merely wrong ONNX models, and what must be said of them.
#
# Licensed under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""`models(folder)` writes the models and yields Case objects for bad_input.py."""

import pathlib
from dataclasses import dataclass

import numpy
import onnx
from onnx import TensorProto, helper


@dataclass
class Case:
    name: str
    path: pathlib.Path
    # What the message must contain, each of them (lower case is compared).
    says: tuple
    # More than one line is right where several things are named.
    lines: int = 1


def value(name, shape, kind=TensorProto.FLOAT):
    return helper.make_tensor_value_info(name, kind, shape)


def make(nodes, inputs=None, outputs=None, initializers=(), opset=20, domains=()):
    graph = helper.make_graph(nodes, "g", [value("x", [2, 3])] if inputs is None else inputs,
                              [value("y", None)] if outputs is None else outputs, list(initializers))
    imports = [helper.make_opsetid("", opset)] + [helper.make_opsetid(d, 1) for d in domains]
    return helper.make_model(graph, opset_imports=imports, ir_version=10)


def external(name, location, dims=(2, 3), offset=None, length=None):
    tensor = TensorProto(name=name, data_type=TensorProto.FLOAT, dims=dims, data_location=TensorProto.EXTERNAL)
    for key, content in (("location", location), ("offset", offset), ("length", length)):
        if content is not None:
            tensor.external_data.add(key=key, value=str(content))
    return tensor


def raw(name, dims, kind=TensorProto.FLOAT, data=b"", **fields):
    return TensorProto(name=name, data_type=kind, dims=dims, raw_data=data, **fields)


def add(other="w", node="add_node"):
    return helper.make_node("Add", ["x", other], ["y"], name=node)


def ints(name, values):
    return onnx.numpy_helper.from_array(numpy.array(values, numpy.int64), name)


def damaged(folder, good):
    data = good.read_bytes()
    flipped = bytearray(data)
    for position in range(0, 64):
        flipped[position] ^= 0xFF
    for name, content in (
        ("empty", b""),
        ("truncated_half", data[: len(data) // 2]),
        ("truncated_one", data[:-1]),
        ("truncated_start", data[:7]),
        ("flipped_start", bytes(flipped)),
        ("text", b"this is no model\n" * 100),
        ("zeros", bytes(4096)),
    ):
        path = folder / f"{name}.onnx"
        path.write_bytes(content)
        yield Case(name, path, (path.name,))
    yield Case("no_file", folder / "absent.onnx", ("absent.onnx",))
    (folder / "folder.onnx").mkdir()
    yield Case("a_folder", folder / "folder.onnx", ("folder.onnx",))


def graphs(folder):
    huge = 1 << 40
    yield "unknown_operator", make([helper.make_node("Frobnicate", ["x"], ["y"], name="node_7")]), ("frobnicate", "node_7")
    yield "unknown_domain", make([helper.make_node("Relu", ["x"], ["y"], name="node_7", domain="com.example")],
                                 domains=["com.example"]), ("relu", "com.example", "node_7")
    yield "undeclared_domain", make([helper.make_node("Relu", ["x"], ["y"], name="node_7", domain="com.example")]), (
        "com.example",)
    yield "cycle", make([helper.make_node("Add", ["x", "b"], ["a"], name="first"),
                         helper.make_node("Relu", ["a"], ["b"], name="second"),
                         helper.make_node("Relu", ["b"], ["y"], name="third")]), ("cycle", "second")
    yield "own_output", make([helper.make_node("Add", ["x", "y"], ["y"], name="ouroboros")]), ("y",)
    yield "padding_of_no_number", make(
        [helper.make_node("CenterCropPad", ["x", "shape"], ["y"], name="center")],
        [value("x", [2, 3], TensorProto.COMPLEX64)],
        initializers=[ints("shape", [4, 4])]), ("center", "complex")
    yield "size_of_no_number", make(
        [helper.make_node("ConvTranspose", ["x", "w"], ["y"], name="wide", output_shape=[-(2**63)])],
        [value("x", [1, 1, 4]), value("w", [1, 1, 3])]), ("wide", "output_shape")
    yield "undefined_value", make([add("nowhere")]), ("nowhere",)
    yield "undefined_output", make([helper.make_node("Relu", ["x"], ["z"])]), ('"y"',)
    yield "defined_twice", make([helper.make_node("Relu", ["x"], ["y"], name="a"),
                                 helper.make_node("Abs", ["x"], ["y"], name="b")]), ("y",)
    yield "future_opset", make([helper.make_node("Relu", ["x"], ["y"])], opset=999), ("opset", "999")
    yield "bad_attribute", make([helper.make_node("Softmax", ["x"], ["y"], name="soft", axis="one")]), ("soft", "axis")
    # Where the values of a shape are followed.
    yield "bad_axis_of_gather", make([helper.make_node("Shape", ["x"], ["s"]), helper.make_node(
        "Gather", ["s", "i"], ["y"], name="pick", axis="one")], initializers=[ints("i", [0])]), ("pick", "axis")
    yield "bad_axis_of_concat", make([helper.make_node("Shape", ["x"], ["s"]), helper.make_node(
        "Concat", ["s", "s"], ["y"], name="join", axis="one")]), ("join", "axis")
    yield "axis_out_of_range", make([helper.make_node("Softmax", ["x"], ["y"], name="soft", axis=7)]), ("soft", "axis", "7")
    yield "too_few_inputs", make([helper.make_node("Add", ["x"], ["y"], name="lonely")]), ("lonely",)
    yield "shapes_differ", make([helper.make_node("MatMul", ["x", "x"], ["y"], name="product")]), ("product",)
    yield "types_differ", make([add("w")], inputs=[value("x", [2, 3]), value("w", [2, 3], TensorProto.INT64)]), ("add_node",)
    yield "bad_reshape", make([helper.make_node("Reshape", ["x", "s"], ["y"], name="fold")],
                              initializers=[ints("s", [4, 5])]), ("fold",)
    yield "kernel_too_large", make([helper.make_node("Conv", ["x", "w"], ["y"], name="conv")],
                                   inputs=[value("x", [1, 1, 3, 3]), value("w", [1, 1, 9, 9])]), ("conv",)
    yield "zero_stride", make([helper.make_node("Conv", ["x", "w"], ["y"], name="conv", strides=[0, 0])],
                              inputs=[value("x", [1, 1, 9, 9]), value("w", [1, 1, 3, 3])]), ("conv", "stride")
    yield "zero_group", make([helper.make_node("Conv", ["x", "w"], ["y"], name="conv", group=0)],
                             inputs=[value("x", [1, 1, 9, 9]), value("w", [1, 1, 3, 3])]), ("conv", "group")
    yield "absurd_input", make([helper.make_node("Relu", ["x"], ["y"], name="relu")], inputs=[value("x", [huge, huge])]), ("x",)
    yield "negative_input", make([helper.make_node("Relu", ["x"], ["y"])], inputs=[value("x", [2, -3])]), ("x", "-3")
    yield "absurd_weight", make([add()], initializers=[raw("w", [huge, huge])]), ("w",)
    yield "weight_without_data", make([add()], initializers=[raw("w", [1 << 20, 1 << 10])]), ("w",)
    yield "short_weight", make([add()], initializers=[raw("w", [2, 3], data=bytes(20))]), ("w", "24", "20")
    yield "long_weight", make([add()], initializers=[raw("w", [2, 3], data=bytes(28))]), ("w", "24", "28")
    yield "negative_weight", make([add()], initializers=[raw("w", [-2, -3], data=bytes(24))]), ("w", "-2")
    yield "weight_of_no_type", make([add()], initializers=[raw("w", [2, 3], 99, bytes(24))]), ("w", "99")
    yield "absurd_constant", make([helper.make_node("ConstantOfShape", ["s"], ["w"], name="fill"), add()],
                                  initializers=[ints("s", [huge, huge])]), ("fill",)
    yield "absurd_expand", make([helper.make_node("Expand", ["x", "s"], ["y"], name="grow")],
                                initializers=[ints("s", [huge, huge, 2, 3])]), ("grow",)
    yield "absurd_pad", make([helper.make_node("Pad", ["x", "s"], ["y"], name="frame")],
                             initializers=[ints("s", [huge, huge, huge, huge])]), ("frame",)
    yield "negative_pad", make([helper.make_node("Pad", ["x", "s"], ["y"], name="frame")],
                               initializers=[ints("s", [-huge, 0, 0, 0])]), ("frame",)
    yield "no_location", make([add()], initializers=[external("w", None)]), ("w", "location")
    yield "absent_data", make([add()], initializers=[external("w", "absent.bin")]), ("w", "absent.bin")
    yield "escaping_data", make([add()], initializers=[external("w", "../outside.bin")]), ("w", "../outside.bin")
    yield "absolute_data", make([add()], initializers=[external("w", "/etc/passwd")]), ("w", "/etc/passwd")
    (folder / "link.bin").symlink_to("/etc/passwd")
    yield "linked_data", make([add()], initializers=[external("w", "link.bin")]), ("w", "link.bin")
    (folder / "weights.bin").write_bytes(bytes(64))
    yield "offset_past_end", make([add()], initializers=[external("w", "weights.bin", offset=60)]), ("w", "weights.bin")
    yield "negative_offset", make([add()], initializers=[external("w", "weights.bin", offset=-8)]), ("w", "offset")
    yield "wrong_length", make([add()], initializers=[external("w", "weights.bin", length=12)]), ("w", "12")
    yield "data_in_folder", make([add()], initializers=[external("w", ".")]), ("w",)


def models(folder, good):
    yield from damaged(folder, good)
    for name, model, says in graphs(folder):
        path = folder / f"{name}.onnx"
        path.write_bytes(model.SerializeToString())
        yield Case(name, path, tuple(s.lower() for s in says))
    two = make([helper.make_node("Frobnicate", ["x"], ["a"], name="node_1"),
                helper.make_node("Relu", ["a"], ["b"], name="node_2"),
                helper.make_node("Quux", ["b"], ["y"], name="node_3")])
    path = folder / "two_unknown.onnx"
    path.write_bytes(two.SerializeToString())
    yield Case("two_unknown_operators", path, ("frobnicate", "node_1", "quux", "node_3", "20"), lines=4)
