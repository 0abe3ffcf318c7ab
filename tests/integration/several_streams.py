#!/usr/bin/env python3
# several_streams.py - branches of a model on streams of their own, recorded and replayed.
#
# Licensed under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""several_streams.py

A model of four chains of small products, joined at the end, runs several times on
the libraries that stand in for CUDA and HIP, whose streams are threads and whose
replays are done in the latest order that a recording's edges allow. Every run
must give what the CPU gives, also after the input's size has changed. A profile
shows that kernels were on several streams.
"""

import importlib.util
import json
import os
import pathlib
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "harness"))
from aicc_testing import BUILD, call, last_line, program, skip  # noqa: E402

for module in ("numpy", "onnx"):
    if importlib.util.find_spec(module) is None:
        skip(f"no Python module {module}")

LIBRARIES = {"cuda:virtual": ("cuda", "AICC_CUDA_LIBRARY"), "rocm:virtual": ("hip", "AICC_HIP_LIBRARY")}
for library, variable in LIBRARIES.values():
    stand_in = BUILD / "lib" / f"libaicc_virtual_{library}.so"
    if not stand_in.exists():
        skip(f"no {stand_in.name}")
    os.environ[variable] = str(stand_in)

import numpy  # noqa: E402
from aicc_runtime import Session  # noqa: E402
from onnx import TensorProto, helper, numpy_helper, save  # noqa: E402

BRANCHES, DEPTH, SIZE = 4, 3, 256
ROWS = [8, 8, 8, 8, 5, 5, 5, 8, 8]


def model():
    rng = numpy.random.default_rng(3)
    nodes, weights = [], []
    for branch in range(BRANCHES):
        value = "x"
        for step in range(DEPTH):
            name = f"{branch}_{step}"
            weights.append(numpy_helper.from_array(
                (rng.standard_normal((SIZE, SIZE)) / 10).astype(numpy.float32), f"w{name}"))
            nodes += [helper.make_node("MatMul", [value, f"w{name}"], [f"m{name}"], name=f"m{name}"),
                      helper.make_node("Softmax", [f"m{name}"], [f"s{name}"], name=f"s{name}")]
            value = f"s{name}"
    nodes.append(helper.make_node("Concat", [f"s{branch}_{DEPTH - 1}" for branch in range(BRANCHES)], ["y"], axis=1,
                                  name="join"))
    graph = helper.make_graph(nodes, "branches",
                              [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["rows", SIZE])],
                              [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["rows", BRANCHES * SIZE])],
                              weights)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)


def runs(package, device, inputs):
    """What each run gives; a session binds anew where the size changes."""
    session, bound, results = Session(package, device), None, []
    for x in inputs:
        if bound is not x:
            session.bind({"x": x})
            bound = x
        else:
            session.run()
        results.append(session.results()["y"])
    return results


def streams_of(package, device, folder):
    profile = folder / "profile.json"
    status, _, err = call(program("aicc-run"), package, f"--device={device}", "--dim=rows=8", "--random",
                          f"--profile={profile}")
    if status:
        return f"aicc-run: {last_line(err)}"
    events = json.loads(profile.read_text())
    events = events["traceEvents"] if isinstance(events, dict) else events
    return len({event["tid"] for event in events if str(event.get("name", "")).startswith(("m", "s", "k_"))})


def main():
    failures = 0
    rng = numpy.random.default_rng(4)
    known = {rows: rng.standard_normal((rows, SIZE)).astype(numpy.float32) for rows in set(ROWS)}
    inputs = [known[rows] for rows in ROWS]
    with tempfile.TemporaryDirectory(prefix="aicc-streams-") as temporary:
        folder = pathlib.Path(temporary)
        path, package = folder / "branches.onnx", folder / "branches.aicc"
        save(model(), path)
        status, _, err = call(program("aicc"), path, "--target=cpu:x86-64-v3,cuda:virtual:sm_80,rocm:virtual:gfx942",
                              "-o", package)
        if status:
            print(f"aicc: {last_line(err)}")
            return 1
        expected = runs(package, "cpu", inputs)
        for device in LIBRARIES:
            for number, (found, wanted) in enumerate(zip(runs(package, device, inputs), expected)):
                error = float(abs(found - wanted).max() / abs(wanted).max())
                if not error <= 1e-5:
                    print(f"{device}: run {number} differs by {error:.1e} of the largest value")
                    failures += 1
            streams = streams_of(package, device, folder)
            if not isinstance(streams, int) or streams < 2:
                print(f"{device}: kernels on several streams expected, found {streams}")
                failures += 1
    print("every run agrees" if not failures else f"{failures} failures")
    return failures > 0


sys.exit(main())
