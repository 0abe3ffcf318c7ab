#!/usr/bin/env python3
# run.py - the tests of the Python package, as it lies in the build tree.
#
# Licensed under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""run.py [TEST...]: unittest's arguments."""

import gc
import importlib.util
import os
import subprocess
import sys
import tempfile
import threading
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "..", "tests", "harness"))
from aicc_testing import ROOT, python_package, skip  # noqa: E402

for module in ("numpy", "onnx", "ml_dtypes"):
    if importlib.util.find_spec(module) is None:
        skip(f"no Python module {module} (scripts/install.sh test)")
python_package()

import aicc  # noqa: E402
import ml_dtypes  # noqa: E402
import numpy  # noqa: E402
from onnx import TensorProto, helper  # noqa: E402

DIGITS = ROOT / "examples" / "digits"


def model(nodes, inputs, outputs, opset=21, initializers=()):
    """Inputs and outputs are (name, type, dims)."""
    def ports(entries):
        return [helper.make_tensor_value_info(*entry) for entry in entries]

    graph = helper.make_graph(nodes, "test", ports(inputs), ports(outputs), list(initializers))
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)])


def doubling(kind=TensorProto.FLOAT):
    """y = x + x for any vector."""
    return model([helper.make_node("Add", ["x", "x"], ["y"])], [("x", kind, ["n"])], [("y", kind, ["n"])])


class Compile(unittest.TestCase):
    def test_forms_of_a_model(self):
        x = numpy.arange(3, dtype=numpy.float32)
        proto = doubling()
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "model.onnx")
            with open(path, "wb") as out:
                out.write(proto.SerializeToString())
            for form in (proto, proto.SerializeToString(), path):
                y, = aicc.compile(form).session()(x)
                numpy.testing.assert_array_equal(y, x + x)

    def test_output(self):
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "model.aicc")
            package = aicc.compile(doubling(), targets=["cpu:native"], output=path)
            self.assertEqual(len(package.variants), 1)
            with open(path, "rb") as file:
                contents = file.read()
            for source in (aicc.load(path), aicc.Package(contents)):
                y, = source.session()(numpy.ones(2, numpy.float32))
                self.assertEqual(y.tolist(), [2, 2])

    def test_describe(self):
        package = aicc.compile(doubling())
        self.assertEqual(package.inputs, [aicc.Port("x", "f32", ("n",))])
        self.assertEqual(package.outputs, [aicc.Port("y", "f32", ("n",))])
        self.assertEqual(package.symbols, ["n"])
        self.assertIn("variants", package.describe())

    def test_dims(self):
        self.assertEqual(aicc.compile(doubling(), dims={"n": 4}).inputs[0].dims, (4,))

    def test_values(self):
        sums = model([helper.make_node("ReduceSum", ["x", "axes"], ["y"], keepdims=0)],
                     [("x", TensorProto.FLOAT, [2, 3]), ("axes", TensorProto.INT64, [1])],
                     [("y", TensorProto.FLOAT, None)])
        with self.assertRaises(aicc.CompileError) as caught:
            aicc.compile(sums)
        self.assertEqual(caught.exception.needed, ["axes"])
        x = numpy.arange(6, dtype=numpy.float32).reshape(2, 3)
        y, = aicc.compile(sums, values={"axes": numpy.array([-1])}).session()(x)
        numpy.testing.assert_array_equal(y, x.sum(-1))

    def test_sequences(self):
        values = {"s": [numpy.ones((2, 3), numpy.float32), numpy.zeros((1, 3), numpy.float32)], "o": None}
        tensor = helper.make_tensor_type_proto(TensorProto.FLOAT, ["n", 3])
        graph = helper.make_graph(
            [helper.make_node("ConcatFromSequence", ["s"], ["y"], axis=0),
             helper.make_node("Identity", ["s"], ["t"]), helper.make_node("Identity", ["o"], ["p"])],
            "test", [helper.make_value_info("s", helper.make_sequence_type_proto(tensor)),
                     helper.make_value_info("o", helper.make_optional_type_proto(tensor))],
            [helper.make_value_info(name, tensor) for name in ("y", "t", "p")])
        package = aicc.compile(helper.make_model(graph), sequences={"s": "2", "o": "none"})
        self.assertEqual([port.name for port in package.inputs], ["s[0]", "s[1]"])
        self.assertEqual([entry["kind"] for entry in package.signature["outputs"]], ["tensor", "sequence", "optional"])
        session = package.session(threads=1)
        for results in (session(**values), session(values["s"], None)):
            y, t, p = results
            numpy.testing.assert_array_equal(y, numpy.concatenate(values["s"]))
            for found, expected in zip(t, values["s"]):
                numpy.testing.assert_array_equal(found, expected)
            self.assertIsNone(p)
        for wrong, message in (({"s": values["s"][:1]}, "'s' has 1 elements, expected 2"), ({"o": y}, "expected none"),
                               ({"s": y[0, 0]}, "expected a list")):
            with self.assertRaisesRegex(aicc.Error, message):
                session(**{**values, **wrong})
        with self.assertRaisesRegex(aicc.Error, "'s' is missing"):
            session()

    def test_precision(self):
        generator = numpy.random.default_rng(0)
        w = generator.standard_normal((64, 32), numpy.float32)
        graph = helper.make_graph([helper.make_node("MatMul", ["x", "w"], ["y"])], "test",
                                  [helper.make_tensor_value_info("x", TensorProto.FLOAT, [4, 64])],
                                  [helper.make_tensor_value_info("y", TensorProto.FLOAT, [4, 32])],
                                  [helper.make_tensor("w", TensorProto.FLOAT, w.shape, w.tobytes(), raw=True)])
        x = generator.standard_normal((4, 64), numpy.float32)
        for precision, bound in (("f16", 5e-3), ("bf16", 4e-2)):
            y, = aicc.compile(helper.make_model(graph), precision=precision, allow_tf32=True).session()(x)
            self.assertEqual(y.dtype, numpy.float32)
            error = abs(y - x @ w).max() / abs(x @ w).max()
            self.assertLess(error, bound)
            self.assertGreater(error, 1e-6)
        with self.assertRaisesRegex(aicc.CompileError, "precision"):
            aicc.compile(helper.make_model(graph), precision="f8")

    def test_errors(self):
        with self.assertRaisesRegex(aicc.CompileError, "damaged"):
            aicc.compile(b"no model")
        with self.assertRaisesRegex(aicc.Error, "none.onnx"):
            aicc.compile("none.onnx")
        with self.assertRaisesRegex(aicc.CompileError, "target"):
            aicc.compile(doubling(), targets="abacus")
        with self.assertRaisesRegex(aicc.Error, "package"):
            aicc.Package(b"no package")


class Run(unittest.TestCase):
    def setUp(self):
        self.session = aicc.compile(doubling()).session(threads=1)

    def test_digits(self):
        session = aicc.compile(DIGITS / "digits.onnx", targets="cpu:native").session()
        logits, = session(image=numpy.load(DIGITS / "images.npy"))
        correct = (logits.argmax(1) == numpy.load(DIGITS / "labels.npy")).mean()
        self.assertGreater(correct, 0.9)

    def test_no_copies(self):
        x = numpy.arange(8, dtype=numpy.float32)
        self.assertEqual(aicc.as_tensor(x).address, x.ctypes.data)
        tensor, = self.session.run([x])
        y = aicc.to_numpy(tensor)
        self.assertEqual(y.ctypes.data, tensor.address)
        self.assertEqual(numpy.from_dlpack(tensor).ctypes.data, tensor.address)
        out = numpy.zeros(8, numpy.float32)
        self.session.run({"x": x}, outputs={"y": out})
        numpy.testing.assert_array_equal(out, x + x)

    def test_lifetimes(self):
        tensor, = self.session.run([numpy.full(1000, 3, numpy.float32)])
        arrays = [aicc.to_numpy(tensor), numpy.from_dlpack(tensor)]
        del tensor
        gc.collect()
        for array in arrays:
            self.assertTrue((array == 6).all())
        # The memory of what was given stays as long as the tensor does.
        tensor = aicc.as_tensor(numpy.full(1000, 3, numpy.float32))
        gc.collect()
        self.assertTrue((aicc.to_numpy(tensor) == 3).all())

    def test_layouts(self):
        x = numpy.arange(16, dtype=numpy.float32)
        for given in (x[::2], x[::-1], x.astype(">f4"), x[:0]):
            y, = self.session(given)
            numpy.testing.assert_array_equal(y, numpy.asarray(given, numpy.float32) * 2)
        readonly = x.copy()
        readonly.flags.writeable = False
        self.session(readonly)
        for out in (numpy.zeros(32, numpy.float32)[::2], readonly):
            with self.assertRaisesRegex(aicc.Error, "in place"):
                self.session.run([x], outputs={"y": out})

    def test_types(self):
        for kind, dtype in ((TensorProto.INT8, numpy.int8), (TensorProto.INT64, numpy.int64),
                            (TensorProto.FLOAT16, numpy.float16), (TensorProto.DOUBLE, numpy.float64)):
            x = numpy.arange(5).astype(dtype)
            y, = aicc.compile(doubling(kind)).session()(x)
            self.assertEqual(y.dtype, x.dtype)
            numpy.testing.assert_array_equal(y, x + x)

    def test_types_that_numpy_lacks(self):
        x = numpy.arange(5).astype(ml_dtypes.bfloat16)
        tensor = aicc.as_tensor(x)
        self.assertEqual((tensor.type, tensor.shape, tensor.nbytes), ("bf16", (5,), 10))
        self.assertEqual(aicc.to_numpy(tensor).dtype, x.dtype)
        numpy.testing.assert_array_equal(aicc.to_numpy(tensor), x)

    def test_scalars(self):
        scalar = model([helper.make_node("Not", ["x"], ["y"])], [("x", TensorProto.BOOL, [])],
                       [("y", TensorProto.BOOL, [])])
        y, = aicc.compile(scalar).session()(numpy.bool_(False))
        self.assertEqual(y.shape, ())
        self.assertTrue(y)

    def test_errors(self):
        x = numpy.ones(2, numpy.float32)
        for inputs, text in (([x, x], "2 inputs"), ({"z": x}, "no input 'z'"), ({}, "'x' is missing"),
                             ([x.astype(numpy.int32)], "i32"), ([x.reshape(1, 2)], "x"), ([numpy.array("a")], "input 'x' has type string, expected f32")):
            with self.assertRaisesRegex(aicc.Error, text):
                self.session.run(inputs)
        with self.assertRaisesRegex(aicc.Error, "no output 'z'"):
            self.session.run([x], outputs={"z": x})
        with self.assertRaisesRegex(aicc.Error, "by position and by name"):
            self.session(x, x=x)
        with self.assertRaisesRegex(aicc.Error, "abacus"):
            aicc.compile(doubling()).session("abacus")

    def test_several_devices(self):
        if not aicc.has_device("intel"):
            self.skipTest("no intel device")
        package = aicc.compile(DIGITS / "digits.onnx", targets="cpu+intel", places={"Conv": "intel", "Conv_58": "cpu"})
        self.assertIn("+intel:", package.variants[0])
        x = numpy.linspace(-1, 1, 2 * 64, dtype=numpy.float32).reshape(2, 1, 8, 8)
        expected, = aicc.compile(DIGITS / "digits.onnx").session()(x)
        for devices in (["cpu", "intel"], ["intel:0", "cpu:0"]):
            found, = package.session(devices)(x)
            numpy.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)
        with self.assertRaisesRegex(aicc.Error, "is for 2 devices"):
            package.session("cpu")
        with self.assertRaisesRegex(aicc.CompileError, "matches none"):
            aicc.compile(DIGITS / "digits.onnx", targets="cpu+intel", places={"nothing": "intel"})

    def test_threads(self):
        def run(k):
            for _ in range(50):
                y, = self.session(numpy.full(100 + k, k, numpy.float32))
                wrong.extend(y[y != 2 * k])

        wrong = []
        threads = [threading.Thread(target=run, args=(k,)) for k in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(wrong, [])

    def test_torch(self):
        if importlib.util.find_spec("torch") is None:
            self.skipTest("no Python module torch")
        # A process of its own: PyTorch brings its own thread pools.
        code = """
import aicc, torch, sys
session = aicc.compile(open(sys.argv[1], "rb").read()).session()
x = torch.arange(6, dtype=torch.float32)
assert aicc.as_tensor(x).address == x.data_ptr()
y, = session(x)
assert isinstance(y, torch.Tensor) and torch.equal(y, x + x)
y, = session(x=torch.ones(8, requires_grad=True)[::2])
assert torch.equal(y, torch.full((4,), 2.0))
out = torch.zeros(6)
session.run([x], outputs={"y": out})
assert torch.equal(out, x + x)
"""
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "model.onnx")
            with open(path, "wb") as out:
                out.write(doubling().SerializeToString())
            subprocess.run([sys.executable, "-c", code, path], check=True)

    def test_without_the_compiler(self):
        code = "import aicc, sys; aicc.devices(); sys.exit('aicc._compiler' in sys.modules)"
        subprocess.run([sys.executable, "-c", code], check=True)


class Backend(unittest.TestCase):
    """What ONNX's own runner over the backend (tests/ops) doesn't ask."""

    def setUp(self):
        from aicc import onnx_backend

        self.backend = onnx_backend

    def test_forms_of_inputs(self):
        x = numpy.arange(3, dtype=numpy.float32)
        prepared = self.backend.prepare(doubling(), "CPU", threads=1)
        for inputs in (x, [x], (x,), {"x": x}):
            result = prepared.run(inputs)
            self.assertEqual(result.y.tolist(), [0, 2, 4])
            self.assertIs(result["y"], result[0])
        with self.assertRaisesRegex(aicc.Error, "2 inputs"):
            prepared.run([x, x])

    def test_nodes(self):
        node = helper.make_node("ReduceSum", ["x", "axes"], ["y"], keepdims=0)
        x = numpy.arange(6, dtype=numpy.float32).reshape(2, 3)
        for axis in (0, 1):
            y, = self.backend.run_node(node, [x, numpy.array([axis])])
            numpy.testing.assert_array_equal(y, x.sum(axis))

    def test_constants_by_value(self):
        sums = model([helper.make_node("ReduceSum", ["x", "axes"], ["y"], keepdims=0)],
                     [("x", TensorProto.FLOAT, [2, 3]), ("axes", TensorProto.INT64, [1])],
                     [("y", TensorProto.FLOAT, None)])
        prepared = self.backend.prepare(sums)
        x = numpy.arange(6, dtype=numpy.float32).reshape(2, 3)
        for axis in (0, 1, 0):
            numpy.testing.assert_array_equal(prepared.run([x, numpy.array([axis])]).y, x.sum(axis))
        self.assertEqual(len(prepared._sessions), 2)

    def test_sequences(self):
        kind = helper.make_sequence_type_proto(helper.make_tensor_type_proto(TensorProto.FLOAT, None))
        node = helper.make_node("SequenceInsert", ["xs", "x"], ["ys"])
        graph = helper.make_graph([node], "test", [helper.make_value_info("xs", kind),
                                                   helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n"])],
                                  [helper.make_value_info("ys", kind)])
        prepared = self.backend.prepare(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)]))
        x = numpy.arange(3, dtype=numpy.float32)
        for xs in ([], [x[:2]], [x.reshape(1, 3), x]):
            ys = prepared.run([xs, x]).ys
            self.assertIsInstance(ys, list)
            self.assertEqual([y.tolist() for y in ys], [y.tolist() for y in [*xs, x]])

    def test_devices(self):
        self.assertTrue(self.backend.supports_device("CPU"))
        self.assertTrue(self.backend.supports_device("cpu:0"))
        self.assertFalse(self.backend.supports_device("abacus"))


if __name__ == "__main__":
    unittest.main()
