#!/usr/bin/env python3
# aicc-run-test.py - the tool as a user calls it.
#
# Licensed under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#
# aicc-run-test.py AICC_RUN MAKE_PACKAGE KERNELS; needs nothing but Python.

import json
import os
import struct
import subprocess
import sys
import tempfile
import unittest

aicc_run, make_package, kernels = sys.argv[1:4]


def npy(values, shape, descr="<f4", code="f", version=1):
    header = repr({"descr": descr, "fortran_order": False, "shape": tuple(shape)})
    header += " " * (63 - (10 + len(header)) % 64) + "\n"
    length = struct.pack("<H" if version == 1 else "<I", len(header))
    data = struct.pack(f"<{len(values)}{code}", *values)
    return b"\x93NUMPY" + bytes([version, 0]) + length + header.encode() + data


def parse_npy(contents):
    assert contents[:8] == b"\x93NUMPY\x01\x00"
    (length,) = struct.unpack("<H", contents[8:10])
    assert (10 + length) % 64 == 0
    header = eval(contents[10 : 10 + length])
    data = contents[10 + length :]
    return header["shape"], struct.unpack(f"<{len(data) // 4}f", data)


def varint(value):
    out = b""
    while value > 127:
        out += bytes([value & 127 | 128])
        value >>= 7
    return out + bytes([value])


def block(field, data):
    return varint(field << 3 | 2) + varint(len(data)) + data


def tensor_proto(values, dims, name="", raw=False):
    out = block(1, b"".join(map(varint, dims))) if raw else b"".join(b"\x08" + varint(d) for d in dims)
    out += b"\x10\x01" + block(8, name.encode())
    data = struct.pack(f"<{len(values)}f", *values)
    return out + block(9 if raw else 4, data)


def affine(values):
    return [v * 2 * (i % 8 + 1) + 10 * (i % 8) for i, v in enumerate(values)]


class AiccRun(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        cls.package = cls.path("model.aicc")
        subprocess.run([make_package, kernels, cls.package], check=True)

    @classmethod
    def tearDownClass(cls):
        cls.folder.cleanup()

    @classmethod
    def path(cls, name):
        return os.path.join(cls.folder.name, name)

    def write(self, name, contents):
        os.makedirs(os.path.dirname(self.path(name)), exist_ok=True)
        with open(self.path(name), "wb") as file:
            file.write(contents)
        return self.path(name)

    def run_tool(self, *args, code=0, package=True):
        command = [aicc_run] + ([self.package] if package else []) + list(args)
        result = subprocess.run(command, capture_output=True, text=True, timeout=60)
        self.assertEqual(result.returncode, code, result.stdout + result.stderr)
        return result

    def error(self, *args, code=1, package=True):
        result = self.run_tool(*args, code=code, package=package)
        if code == 1:
            self.assertEqual(result.stderr.count("\n"), 1, result.stderr)
        return result.stderr

    def test_inputs_and_outputs(self):
        values = [float(i) for i in range(16)]
        self.write("x.npy", npy(values, [2, 8]))
        self.write("x2.npy", npy(values, [2, 8], version=2))
        self.write("x.pb", tensor_proto(values, [2, 8]))
        self.write("raw.pb", tensor_proto(values, [2, 8], raw=True))
        self.write("x.bin", struct.pack("<16f", *values))
        self.write("y.npy", npy(affine(values), [2, 8]))
        for source in ["x.npy", "x2.npy", "x.pb", "raw.pb", "x.bin:f32:2x8"]:
            out = self.path("out-" + source.replace(":", "-"))
            self.run_tool("--input", "x=" + self.path(source), "--save-outputs=" + out,
                          "--expect", "y=" + self.path("y.npy"))
            for name in ["y.npy", "output_0.npy"]:
                with open(os.path.join(out, name), "rb") as file:
                    self.assertEqual(parse_npy(file.read()), ((2, 8), tuple(affine(values))))

    def test_sizes_of_the_run(self):
        package = self.path("compress.aicc")
        subprocess.run([make_package, kernels, package, "cpu", "compress"], check=True)
        self.write("some.npy", npy([1.0, -1.0, 5.0, -2.0, 3.0], [5]))
        self.write("positive.npy", npy([1.0, 5.0, 3.0], [3]))
        self.write("two.npy", npy([1.0, 5.0], [2]))
        out = self.path("out-sizes")
        given = "x=" + self.path("some.npy")
        self.run_tool(package, "--input", given, "--save-outputs=" + out, "--benchmark=0.01",
                      "--expect", "y=" + self.path("positive.npy"), package=False)
        with open(os.path.join(out, "y.npy"), "rb") as file:
            self.assertEqual(parse_npy(file.read()), ((3,), (1.0, 5.0, 3.0)))
        wrong = self.run_tool(package, "--input", given, "--expect", "y=" + self.path("two.npy"), code=1, package=False)
        self.assertIn("shape", wrong.stdout + wrong.stderr)
        self.assertIn("?0", self.run_tool(package, "--describe", package=False).stdout)

    def test_describe_every_operation(self):
        package = self.path("everything.aicc")
        subprocess.run([make_package, kernels, package, "cpu", "everything"], check=True)
        text = self.run_tool(package, "--describe", package=False).stdout
        for line in ["?0 = 'count'[0]: NonZero 'nz'", "fill_zero 'flag'", "if 'flag'", "?1 = 'pair'[0]: node", "else",
                     "loop ?2: ?1 times, while 'flag'; ?0 = how many there were", "swap 'pair' 'pair'",
                     "call function", "copy 'taken' 'y'", "copy 'taken' 'y' from cpu:first to cpu:second"]:
            self.assertIn(line + "\n", text)
        for line in ["  cpu:first: 2 kernels, ", "  cpu:second: 0 kernels, ", " workgroups on cpu:first: count\n"]:
            self.assertIn(line, text)

    def test_fortran_order(self):
        values = [float(i) for i in range(16)]
        columns = [values[r * 8 + c] for c in range(8) for r in range(2)]
        contents = npy(columns, [2, 8]).replace(b"'fortran_order': False", b"'fortran_order': True ")
        self.write("fortran.npy", contents)
        self.write("y.npy", npy(affine(values), [2, 8]))
        self.run_tool("--input", "x=" + self.path("fortran.npy"), "--expect", "y=" + self.path("y.npy"))

    def test_differences(self):
        values = [1.0] * 8
        wrong = affine(values)
        wrong[3] += 1
        x = self.write("dx.npy", npy(values, [1, 8]))
        y = self.write("dy.npy", npy(wrong, [1, 8]))
        result = self.run_tool("--input", "x=" + x, "--expect", "y=" + y, code=1)
        self.assertIn("1 of 8 elements differ, first [0, 3]: 38, expected 39", result.stdout)
        self.run_tool("--input", "x=" + x, "--expect", "y=" + y, "--rtol=0.1")
        self.run_tool("--input", "x=" + x, "--expect", "y=" + y, "--tolerance=0.1")
        result = self.run_tool("--input", "x=" + x, "--expect", "y=" + x, code=1)
        nan = self.write("nan-expected.npy", npy([float("nan")] + wrong[1:3] + affine(values)[3:], [1, 8]))
        result = self.run_tool("--input", "x=" + x, "--expect", "y=" + nan, code=1)
        self.assertIn("1 of 8 elements differ", result.stdout)
        self.assertIn("; 1 are not finite", result.stdout)
        flat = self.write("flat.npy", npy(wrong, [8]))
        result = self.run_tool("--input", "x=" + x, "--expect", "y=" + flat, code=1)
        self.assertIn("shape is 1x8, expected 8", result.stdout)

    def test_check(self):
        values = [0.5] * 8
        self.write("check/test_data_set_0/input_0.pb", tensor_proto(values, [1, 8], "x"))
        self.write("check/test_data_set_0/output_0.pb", tensor_proto(affine(values), [1, 8], "y"))
        result = self.run_tool("--check", self.path("check"))
        self.assertIn("ok   test_data_set_0 y", result.stdout)
        self.run_tool("--check", self.path("check/test_data_set_0"))
        self.write("check/test_data_set_1/input_0.pb", tensor_proto(values, [1, 8], "x"))
        self.assertIn("has no data for output 'y'", self.error("--check", self.path("check")))
        self.write("check/test_data_set_1/output_0.pb", tensor_proto(values, [1, 8], "y"))
        self.assertIn("FAIL", self.run_tool("--check", self.path("check"), code=1).stdout)

    def test_random(self):
        one = self.run_tool("--input=x=random:7", "--dim", "batch=3", "--json").stdout
        two = self.run_tool("--random=7", "--dim=batch=3", "--json").stdout
        other = self.run_tool("--random=8", "--dim=batch=3", "--json").stdout
        first = json.loads(one)["outputs"][0]
        self.assertEqual(first["dims"], [3, 8])
        self.assertEqual(first, json.loads(two)["outputs"][0])
        self.assertNotEqual(first, json.loads(other)["outputs"][0])
        self.assertIn("needs dimension 'batch'", self.error("--random"))

    def test_benchmark_and_profile(self):
        trace = self.path("trace.json")
        out = self.run_tool("--random", "--dim=batch=2", "--benchmark=0.05", "--profile=" + trace,
                            "--threads=2", "--json")
        report = json.loads(out.stdout)
        timing = report["benchmark"]
        self.assertLessEqual(timing["min_ms"], timing["median_ms"])
        self.assertLessEqual(timing["median_ms"], timing["p99_ms"])
        self.assertEqual(report["variant"], "cpu:test")
        with open(trace) as file:
            events = json.load(file)["traceEvents"]
        self.assertEqual([e["name"] for e in events if e["ph"] == "X"], ["mul", "add + node2"])
        self.assertEqual([e["args"]["name"] for e in events if e["ph"] == "M"], ["cpu:0"])
        text = self.run_tool("--random", "--dim=batch=2", "--benchmark=0.05").stdout
        self.assertIn("median", text)

    def test_describe_and_devices(self):
        text = self.run_tool("--describe").stdout
        for part in ["x: f32, batch x 8", "symbols: batch", "cpu:test: 3 kernels", "add + node2"]:
            self.assertIn(part, text)
        self.assertEqual(json.loads(self.run_tool("--describe", "--json").stdout)["symbols"], ["batch"])
        self.assertIn("cpu:0", self.run_tool("--list-devices", package=False).stdout)
        devices = json.loads(self.run_tool("--list-devices", "--json", package=False).stdout)
        self.assertEqual(devices["devices"][0]["name"], "cpu:0")

    def test_compare_devices(self):
        package = self.path("several.aicc")
        subprocess.run([make_package, kernels, package, "cpu", "several"], check=True)

        def compare(sides, *args, code=0):
            return self.run_tool(package, "--random", "--dim=batch=2", "--compare-devices=" + sides, *args,
                                 package=False, code=code).stdout

        text = compare("cpu,cpu:0")
        self.assertIn("2 values compared, 0 differ; 0 exist on the first only, 0 on the second only", text)
        self.assertIn("0 of 16  product (f32 2x8: mul)", text)
        self.assertIn("0 of 16  y (f32 2x8, output: add + node2)", text)
        self.assertIn("1 values compared, 0 differ; 1 exist on the first only", compare("cpu,cpu@cpu:fused"))
        self.assertIn("0 on the first only, 1 on the second only", compare("cpu@cpu:fused,cpu").replace("exist ", ""))
        text = compare("cpu,cpu@cpu:wrong", code=1)
        self.assertIn("2 values compared, 2 differ", text)
        self.assertRegex(text, r"first difference: product, computed by mul, instruction 0: \d+ of 16 elements differ")
        self.assertIn("FAIL", text)
        report = json.loads(compare("cpu,cpu@cpu:wrong", "--json", code=1))
        self.assertEqual([v["tensor"] for v in report["values"]], ["product", "y"])
        self.assertEqual(report["first_difference"], 0)
        self.assertEqual(report["b"]["variant"], "cpu:wrong")
        self.assertGreater(report["values"][0]["difference"], 1e-5)
        self.assertEqual(report["values"][0]["bound"], 1e-5)
        compare("cpu,cpu@cpu:wrong", "--bound=f32=100", "-v", "all")
        # Not a number is equal to itself only.
        x = self.write("nan.npy", npy([float("nan"), float("inf")] + [1.0] * 6, [1, 8]))
        self.run_tool(package, "--input=x=" + x, "--compare-devices=cpu,cpu@cpu:fused", package=False)
        self.assertIn("doesn't exist", self.error("--random", "--dim=batch=2", "--compare-devices=cpu,abacus"))
        self.assertIn("has no variant", self.error("--random", "--dim=batch=2", "--compare-devices=cpu,cpu@z80"))

    def test_wrong_data(self):
        x = self.write("good.npy", npy([1.0] * 8, [1, 8]))
        cases = [
            ([], "no data for input 'x'"),
            (["--input=z=" + x], "model has no input 'z'; it has 'x'"),
            (["--input=x=/nonexistent.npy"], "cannot read '/nonexistent.npy'"),
            (["--input=x=" + self.folder.name], "it is a directory"),
            (["--input=x=" + self.write("w.npy", npy([1.0] * 9, [1, 9]))], "dimension 1 is 9, expected 8"),
            (["--input=x=" + self.write("r.npy", npy([1.0] * 8, [8]))], "rank 1, expected rank 2"),
            (["--input=x=" + self.write("i.npy", npy([1] * 8, [1, 8], "<i4", "i"))], "type i32, expected f32"),
            (["--input=x=" + self.write("c.npy", npy([1.0] * 7, [1, 8]))], "data has 28 bytes, expected 32"),
            (["--input=x=" + self.write("h.npy", b"\x93NUMPY\x01\x00\xff\xff")], "file is cut off"),
            (["--input=x=" + self.write("h2.npy", b"\x93NUMPY\x01\x00\xff\xff{}     ")], "header is cut off"),
            (["--input=x=" + self.write("a.npy", npy([], [1 << 40, 1 << 40]))], "is absurd"),
            (["--input=x=" + self.write("p.pb", b"\xff" * 20)], "message has a number that is too long"),
            (["--input=x=" + self.write("q.pb", tensor_proto([1.0], [1, 8]))], "found 1 elements, expected 8"),
            (["--input=x=" + self.write("e.pb", b"\x08\x01\x10\x01" + block(13, block(1, b"location") +
              block(2, b"../secret")) + b"\x70\x01")], "external data '../secret' leaves the folder"),
            (["--input=x=" + self.write("x.txt", b"hello")], "is neither .npy nor .pb"),
            (["--input=x=" + x + ":f32:3x8"], "bytes, expected 96"),
            (["--input=x=" + x, "--dim=batch=4"], "dimension 0 is 1, but --dim batch=4"),
            (["--random", "--dim=rows=4"], "model has no dimension 'rows'; it has 'batch'"),
            (["--input=x=" + x, "--device=abacus"], "device 'abacus' doesn't exist"),
            (["--input=x=" + x, "--variant=cpu:z80"], "package has no variant 'cpu:z80'"),
            (["--input=x=" + x, "--expect=q=" + x], "model has no output 'q'"),
            (["--check=/nonexistent"], "'/nonexistent' is not a folder"),
            (["--input=x=" + x, "--save-outputs=/proc/none"], "cannot create '/proc/none'"),
        ]
        for args, message in cases:
            with self.subTest(args=args):
                self.assertIn(message, self.error(*args))
        damaged = self.write("damaged.aicc", b"AICCPKG\0" + b"\1" * 100)
        self.assertIn("package has format version", self.error(damaged, package=False))
        self.assertIn("cannot open package '/nonexistent.aicc'", self.error("/nonexistent.aicc", package=False))

    def test_wrong_usage(self):
        for args in [["--frobnicate"], ["--threads=many"], ["--input=x"], ["--dim=batch"], ["--dim=batch=-3"],
                     ["--input=x=a:f99:1x8"], ["--compare-devices=cpu"], ["--compare-devices=cpu,"], ["--compare-devices=cpu,cpu", "--device=cpu"],
                     ["--random", "--dim=batch=2", "--compare-devices=cpu,cpu", "--bound=f32"],
                     ["--random", "--dim=batch=2", "--compare-devices=cpu,cpu", "--bound=f32=-1"],
                     ["--random", "--dim=batch=2", "--compare-devices=cpu,cpu", "--bound=i32=1"],
                     ["--random", "--dim=batch=2", "--compare-devices=cpu,cpu", "--bound=f99=1"],
 ["--benchmark=soon"]]:
            with self.subTest(args=args):
                self.run_tool(*args, code=2)
        self.run_tool(package=False, code=2)
        self.run_tool("--help")


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
