# on_gpu_test.py - on_gpu.sh, here: a stand-in for the vendor's library is the GPU
#
# Licensed under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Prepares a folder for cuda:virtual with one model and runs it: right data, a
wrong expected output, a device that isn't there, and no time."""

import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

import numpy

from aicc_testing import BUILD, program, skip

SCRIPT = pathlib.Path(__file__).resolve().parent / "on_gpu.sh"
MODEL = "mlp"


def call(*command, **environment):
    done = subprocess.run(list(map(str, command)), env={**os.environ, **environment}, capture_output=True, text=True,
                          timeout=280)
    print(done.stdout, done.stderr, sep="", flush=True)
    return done.returncode, done.stdout + done.stderr


def run(folder, **environment):
    """The exit status, and each step's state and detail."""
    status, _ = call(folder / "on_gpu.sh", "run", **{"AICC_DEVICE": "cuda:virtual:0", **environment})
    report = json.loads((folder / "results" / "results.json").read_text())
    table = (folder / "results" / "results.md").read_text()
    assert ", through CUDA" in report["device"], report["device"]
    for step in report["steps"]:
        assert f"| {step['step']} | {step['state']} |" in table, (step, table)
    return status, {step["step"]: (step["state"], step["detail"]) for step in report["steps"]}


def main():
    for name in ("aicc", "aicc-run", "aicc-conformance"):
        program(name)
    models = pathlib.Path(os.environ.get("AICC_MODELS_DIR", BUILD / "models"))
    if not (models / MODEL / "model.json").exists():
        skip(f"{MODEL} was not exported to {models}")
    with tempfile.TemporaryDirectory() as place:
        folder = pathlib.Path(place) / "on gpu"
        status, _ = call(SCRIPT, "prepare", "--target=cuda:virtual", f"--models={MODEL}", "--cases=gemm_4096_f16",
                         "--suite=test_abs", folder)
        assert status == 0
        assert (folder / "cases" / "cases.tsv").read_text() == f"gemm_4096_f16\tproduct\t{2 * 4096**3}\t0\n"
        # Instead of 137 GFLOP: what takes the script a moment here.
        shutil.copy(folder / "packages" / f"{MODEL}.aicc", folder / "cases" / "gemm_4096_f16.aicc")

        status, steps = run(folder)
        assert status == 0, steps
        assert steps.pop("compute-sanitizer", ("SKIP",))[0] in ("SKIP", "ok")
        assert steps["ONNX's suite"] == ("ok", "1 of 1 runs right, 0 not as their list says, 0 others (suite.txt)"), steps
        assert steps["conformance"][0] == "ok" and "tests" in steps["conformance"][1], steps
        for step in (f"{MODEL}, run_0", f"{MODEL}, run_0, cpu", f"{MODEL}, timing"):
            assert steps[step][0] == "ok", steps
        assert re.fullmatch(r"kernels [0-9.]+ ms, [0-9.]+ TFLOP/s", steps["product gemm_4096_f16"][1]), steps
        assert " launches" in steps[f"{MODEL}, timing"][1], steps

        status, steps = run(folder, AICC_SECONDS="4")
        assert status == 0 and all(state == "SKIP" for state, _ in steps.values()), steps

        expected = next((folder / "data" / MODEL / "run_0" / "expect").glob("*.npy"))
        numpy.save(expected, numpy.load(expected) + 1)
        status, steps = run(folder)
        assert status == 1 and steps[f"{MODEL}, run_0"][0] == "FAILED", steps
        assert steps[f"{MODEL}, run_0, cpu"][0] == "ok", steps

        status, output = call(folder / "on_gpu.sh", "run", AICC_DEVICE="cuda:0")
        assert status == 77 and "there is no device cuda:0" in output

    status, output = call(SCRIPT, "prepare", "--nonsense")
    assert status == 2 and "unknown option '--nonsense'" in output
    return 0


sys.exit(main())
