#!/usr/bin/env python3
# commands.py - the options of aicc and aicc-run, on examples/digits.
#
# Licensed under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Each function whose name begins with `test_` uses one option as a user would."""

import importlib.util
import json
import os
import pathlib
import shutil
import sys
import tempfile
import time
import traceback

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "harness"))
from aicc_testing import ROOT, call, has_device, program, skip  # noqa: E402

EXAMPLE = ROOT / "examples" / "digits"
DIGITS, IMAGES = EXAMPLE / "digits.onnx", EXAMPLE / "images.npy"
STAGES = {"import": "graph.", "simplify": "graph.", "kernels": "exec.kernel", "schedule": "exec.program",
          "code": "exec.kernel", "package": None}


class Context:
    def __init__(self, folder):
        self.folder = folder
        self.package = folder / "digits.aicc"

    def good(self, *command):
        status, out, err = call(*command)
        assert status == 0, f"{' '.join(str(c) for c in command)}: exit {status}: {err.strip()[-400:]}"
        return out, err

    def aicc(self, *options):
        return self.good(program("aicc"), DIGITS, *options)

    def run(self, *options):
        if not self.package.exists():
            self.aicc("--target=cpu", "-o", self.package)
        return self.good(program("aicc-run"), self.package, "--device=cpu", *options)


def test_emit(c):
    for stage, word in STAGES.items():
        if word is None:
            c.aicc("--target=cpu", f"--emit={stage}", "-o", c.folder / "emit.aicc")
            assert (c.folder / "emit.aicc").read_bytes()[:7] == b"AICCPKG", "--emit=package wrote no package"
        else:
            out, _ = c.aicc("--target=cpu", f"--emit={stage}")
            assert word in out, f"--emit={stage} printed nothing with '{word}'"


def test_print_after_each(c):
    out, err = c.aicc("--target=cpu", "--print-after-each", "-o", c.folder / "x.aicc")
    assert "graph." in out + err, "--print-after-each printed no operators"


def test_time(c):
    out, err = c.aicc("--target=cpu", "--time", "-o", c.folder / "x.aicc")
    for stage in ("import", "simplify", "kernels", "schedule", "code", "package"):
        assert stage in out + err, f"--time doesn't name the stage {stage}"


def test_verbose(c):
    out, err = c.aicc("--target=cpu", "-v", "-o", c.folder / "x.aicc")
    assert "node_Conv" in out + err, "-v doesn't say where the nodes went"


def test_precision(c):
    _, err = c.aicc("--target=cpu:native", "--precision=bf16", "-v", "-o", c.folder / "bf16.aicc")
    assert "precision bf16: " in err and "kept in f32" in err, "-v doesn't say what was converted"
    out, _ = c.good(program("aicc-run"), c.folder / "bf16.aicc", "--describe", "--json")
    described = json.loads(out)
    assert described["variants"][0]["options"] == ["precision=bf16"], "the package doesn't say its precision"
    assert all(port["type"] == "f32" for port in described["outputs"]), "--precision changed an output's type"


def test_resources(c):
    out, _ = c.aicc("--target=rocm:gfx942,cuda:sm_90", "--allow-tf32", "--resources", "-o", c.folder / "gpu.aicc")
    lines = [line for line in out.splitlines() if line.startswith("rocm:gfx942 k_")]
    assert lines and all(" vgprs," in line and " 0 spilled vgprs" in line for line in lines), out[:400]
    assert "cuda:sm_90: objects of this target don't say" in out, "--resources says nothing of cuda"
    out, _ = c.good(program("aicc-run"), c.folder / "gpu.aicc", "--describe", "--json")
    assert all(variant["options"] == ["allow-tf32"] for variant in json.loads(out)["variants"]), out[:400]


def test_quiet(c):
    out, err = c.aicc("--target=cpu", "-o", c.folder / "x.aicc")
    assert not err.strip(), f"something was printed without a terminal: {err.strip()[:200]}"


def test_save_objects(c):
    objects = c.folder / "objects"
    c.aicc("--target=cpu,cuda,rocm,intel", f"--save-objects={objects}", "-o", c.folder / "all.aicc")
    for suffix in (".s", ".ptx", ".hsaco", ".spv"):
        found = [path for path in objects.rglob(f"*{suffix}") if path.stat().st_size]
        assert found, f"--save-objects wrote no {suffix}"
    names = [path.name for path in objects.rglob("*.s")]
    assert any("Conv" in name for name in names), f"objects aren't named after the nodes: {names[:3]}"


def test_reproducible(c):
    files = []
    for k in range(2):
        os.environ["AICC_CACHE_DIR"] = str(c.folder / f"cache-{k}")
        try:
            files.append(c.folder / f"same-{k}.aicc")
            c.aicc("--target=cpu,cuda,rocm,intel", "-o", files[-1])
        finally:
            del os.environ["AICC_CACHE_DIR"]
    assert files[0].read_bytes() == files[1].read_bytes(), "two compilations gave different packages"


def test_cache(c):
    c.aicc("--target=cpu", "-o", c.folder / "x.aicc")
    begin = time.time()
    c.aicc("--target=cpu", "-o", c.folder / "x.aicc")
    assert time.time() - begin < 1, f"the second compilation took {time.time() - begin:.2f} s"


def test_cache_limit(c):
    folder = c.folder / "small-cache"
    os.environ |= {"AICC_CACHE_DIR": str(folder), "AICC_CACHE_POLICY": "prune_interval=0s:cache_size_bytes=200k"}
    try:
        c.aicc("--target=cpu", "-o", c.folder / "x.aicc")
        size = sum(path.stat().st_size for path in folder.iterdir())
        assert 0 < size <= 200 * 1024, f"a cache of 200 kB holds {size} bytes"
        os.environ["AICC_CACHE_POLICY"] = "size=20k"
        status, _, errors = call(program("aicc"), DIGITS, "--target=cpu", "-o", c.folder / "x.aicc")
        assert status == 1 and "AICC_CACHE_POLICY" in errors, f"exit {status}: {errors}"
    finally:
        del os.environ["AICC_CACHE_DIR"], os.environ["AICC_CACHE_POLICY"]


def test_describe(c):
    out, _ = c.run("--describe")
    for word in ("image", "logits", "batch", "x86-64-v3"):
        assert word in out, f"--describe doesn't name {word}"
    out, _ = c.run("--describe", "--json")
    json.loads(out)


def test_list_devices(c):
    out, _ = c.good(program("aicc-run"), "--list-devices")
    assert "cpu:0" in out, "no cpu:0"


def test_save_outputs(c):
    import numpy

    out = c.folder / "out"
    c.run("--input", f"image={IMAGES}", f"--save-outputs={out}")
    a, b = numpy.load(out / "logits.npy"), numpy.load(out / "output_0.npy")
    assert a.shape == (360, 10) and numpy.array_equal(a, b), "logits.npy and output_0.npy differ"
    labels = numpy.load(EXAMPLE / "labels.npy")
    correct = int((a.argmax(1) == labels).sum())
    expected = json.loads((EXAMPLE / "accuracy.json").read_text())["correct"]
    assert correct == expected, f"{correct} images recognised, expected {expected}"


def test_inputs(c):
    import numpy
    from onnx import numpy_helper

    images = numpy.load(IMAGES)[:3]
    numpy.save(c.folder / "three.npy", images)
    (c.folder / "three.pb").write_bytes(numpy_helper.from_array(images, "image").SerializeToString())
    (c.folder / "three.raw").write_bytes(images.tobytes())
    results = []
    for k, given in enumerate((f"image={c.folder / 'three.npy'}", f"image={c.folder / 'three.pb'}",
                               f"image={c.folder / 'three.raw'}:f32:3x1x8x8")):
        c.run("--input", given, f"--save-outputs={c.folder / f'in-{k}'}")
        results.append(numpy.load(c.folder / f"in-{k}" / "logits.npy"))
    assert all(numpy.array_equal(results[0], r) for r in results[1:]), "the same input in other forms gave other results"


def test_value(c):
    import numpy
    from onnx import TensorProto, helper, numpy_helper, save

    def port(name, kind, *shape):
        return helper.make_tensor_value_info(name, kind, shape)

    graph = helper.make_graph([helper.make_node("ReduceSum", ["x", "axes"], ["y"], keepdims=0)], "sums",
                              [port("x", TensorProto.FLOAT, 2, 3), port("axes", TensorProto.INT64, 1)],
                              [port("y", TensorProto.FLOAT, None)])
    save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)]), c.folder / "sums.onnx")
    status, _, err = call(program("aicc"), c.folder / "sums.onnx", "-o", c.folder / "sums.aicc")
    assert status == 1 and "--value axes=FILE" in err, f"axes without a value ended with {status}: {err}"
    x = numpy.arange(6, dtype=numpy.float32).reshape(2, 3)
    numpy.save(c.folder / "x.npy", x)
    for axis in (0, -1):
        numpy.save(c.folder / "axes.npy", numpy.array([axis]))
        (c.folder / "axes.pb").write_bytes(numpy_helper.from_array(numpy.array([axis])).SerializeToString())
        for suffix in ("npy", "pb"):
            c.good(program("aicc"), c.folder / "sums.onnx", "--value", f"axes={c.folder / 'axes'}.{suffix}", "-o",
                   c.folder / "sums.aicc")
            c.good(program("aicc-run"), c.folder / "sums.aicc", "--input", f"x={c.folder / 'x.npy'}",
                   f"--save-outputs={c.folder / 'sums'}")
            found = numpy.load(c.folder / "sums" / "y.npy")
            assert numpy.array_equal(found, x.sum(axis)), f"axis {axis} gives {found}"
    for value, text in (("axes", "is not NAME=FILE"), (f"axes={c.folder / 'none.npy'}", "can't read"),
                        (f"axis={c.folder / 'axes.npy'}", 'no input "axis"'), (f"axes={DIGITS}", "")):
        status, _, err = call(program("aicc"), c.folder / "sums.onnx", "--value", value, "-o", c.folder / "sums.aicc")
        assert status in (1, 2) and text in err, f"--value {value} ended with {status}: {err}"


def test_random_input(c):
    import numpy

    for k, seed in enumerate(("random:3", "random:3", "random:4")):
        c.run("--input", f"image={seed}", "--dim", "batch=5", f"--save-outputs={c.folder / f'random-{k}'}")
    a, b, d = (numpy.load(c.folder / f"random-{k}" / "logits.npy") for k in range(3))
    assert a.shape == (5, 10) and numpy.array_equal(a, b) and not numpy.array_equal(a, d)


def test_expect(c):
    import numpy

    c.run("--input", f"image={IMAGES}", f"--save-outputs={c.folder / 'e'}")
    c.run("--input", f"image={IMAGES}", "--expect", f"logits={c.folder / 'e' / 'logits.npy'}")
    numpy.save(c.folder / "wrong.npy", numpy.zeros((360, 10), numpy.float32))
    status, out, err = call(program("aicc-run"), c.package, "--input", f"image={IMAGES}", "--expect",
                            f"logits={c.folder / 'wrong.npy'}")
    assert status == 1 and "logits" in out + err, f"a difference ended with {status}: {out}{err}"


def test_check(c):
    import numpy
    from onnx import numpy_helper

    c.run("--input", f"image={IMAGES}", f"--save-outputs={c.folder / 'k'}")
    data = c.folder / "test_data_set_0"
    data.mkdir()
    for name, array in (("input_0", numpy.load(IMAGES)), ("output_0", numpy.load(c.folder / "k" / "logits.npy"))):
        (data / f"{name}.pb").write_bytes(numpy_helper.from_array(array).SerializeToString())
    c.run(f"--check={data}")


def test_every_size(c):
    import numpy

    images = numpy.load(IMAGES)
    c.run("--input", f"image={IMAGES}", f"--save-outputs={c.folder / 'whole'}")
    whole = numpy.load(c.folder / "whole" / "logits.npy")
    for count in (1, 2, 7, 16, 359):
        numpy.save(c.folder / "part.npy", images[:count])
        c.run("--input", f"image={c.folder / 'part.npy'}", f"--save-outputs={c.folder / 'part'}")
        part = numpy.load(c.folder / "part" / "logits.npy")
        assert numpy.abs(part - whole[:count]).max() < 1e-5 * numpy.abs(whole).max(), f"batch {count} gives other values"


def test_threads(c):
    import numpy

    for threads in (1, 2, 5):
        c.run("--input", f"image={IMAGES}", f"--threads={threads}", f"--save-outputs={c.folder / f't{threads}'}")
    results = [numpy.load(c.folder / f"t{t}" / "logits.npy") for t in (1, 2, 5)]
    assert all(numpy.array_equal(results[0], r) for r in results[1:]), "results depend on the number of threads"


def test_benchmark(c):
    out, err = c.run("--input", f"image={IMAGES}", "--benchmark=0.3")
    for word in ("min", "median", "p99", "first"):
        assert word in (out + err).lower(), f"--benchmark doesn't print {word}"
    out, _ = c.run("--input", f"image={IMAGES}", "--benchmark=0.3", "--json")
    json.loads(out)


def test_profile(c):
    trace = c.folder / "trace.json"
    c.run("--input", f"image={IMAGES}", f"--profile={trace}")
    events = json.loads(trace.read_text())
    events = events["traceEvents"] if isinstance(events, dict) else events
    assert any("Conv" in event.get("name", "") for event in events), "no event is named after a node"


def test_several_devices(c):
    import numpy

    if not has_device("intel"):
        return "no intel device"
    package = c.folder / "joint.aicc"
    c.aicc("--target=cpu,cuda,rocm,intel", "-o", package)
    results = []
    for device in ("cpu", "intel"):
        c.good(program("aicc-run"), package, f"--device={device}", "--input", f"image={IMAGES}",
               f"--save-outputs={c.folder / device}")
        results.append(numpy.load(c.folder / device / "logits.npy"))
    difference = numpy.abs(results[0] - results[1]).max() / numpy.abs(results[0]).max()
    assert difference <= 1e-5, f"cpu and intel are {difference:.1e} apart"


def main():
    program("aicc"), program("aicc-run")
    for module in ("numpy", "onnx"):
        if importlib.util.find_spec(module) is None:
            skip(f"no Python module {module} (scripts/install.sh test)")
    tests = {name[5:]: test for name, test in globals().items() if name.startswith("test_")}
    failed = 0
    for name in sys.argv[1:] or tests:
        folder = pathlib.Path(tempfile.mkdtemp())
        try:
            reason = tests[name](Context(folder))
            print(f"ok     {name}" if reason is None else f"SKIP   {name}: {reason}", flush=True)
        except AssertionError as problem:
            failed += 1
            print(f"FAILED {name}: {problem}", flush=True)
        except Exception:  # Whatever else goes wrong is this test's failure.
            failed += 1
            print(f"FAILED {name}: {traceback.format_exc(limit=-2)}", flush=True)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
    print(f"{len(sys.argv[1:] or tests)} tests, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
