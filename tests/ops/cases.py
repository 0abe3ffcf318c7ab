# cases.py - the conformance cases, in ONNX's own runner over aicc.onnx_backend.
#
# Licensed under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""A case's path is its kind and name: "node/test_abs", "simple/...",
"pytorch-converted/...", "pytorch-operator/..." as the package onnx has them, and
"history/RELEASE/node/..." for older operator versions, of the data folder.

Nothing here touches a device before a case runs, so that processes can be
forked after the cases have been collected.
"""

import importlib.metadata
import os
import pickle
import unittest
import warnings

import numpy
import onnx
import onnx.backend.test.runner as runner
from onnx.backend.test.case.test_case import TestCase
from onnx.backend.test.loader import load_model_tests

from aicc import onnx_backend
from aicc_testing import BUILD, conformance_data

KINDS = {"Node": "node", "Simple": "simple", "PyTorchConverted": "pytorch-converted",
         "PyTorchOperator": "pytorch-operator"}


class Mismatch(AssertionError):
    """Outputs that aren't the expected ones, in one line."""


def backend_of(device, target=None):
    """The backend as the runner wants it: what it calls CPU is `device`, compiled for `target`. One thread, and no cache
    of kernels: a case that a cached kernel answers would test nothing."""

    class Backend(onnx_backend.Backend):
        @classmethod
        def device_name(cls, name):
            return device

        @classmethod
        def supports_device(cls, name):
            return name == "CPU"

        @classmethod
        def prepare(cls, model, name="CPU", **kwargs):
            return super().prepare(model, name, targets=target, threads=1, jobs=1, cache=False, **kwargs)

    return Backend


class Runner(runner.Runner):
    """ONNX's runner; beyond it, sequences must have the expected length, and a wrong output is named."""

    @classmethod
    def assert_similar_outputs(cls, ref_outputs, outputs, rtol, atol, model_dir=None):
        if len(outputs) != len(ref_outputs):
            raise Mismatch(f"{len(outputs)} outputs, expected {len(ref_outputs)}")
        for k, (expected, found) in enumerate(zip(ref_outputs, outputs)):
            cls._compare(f"output {k}", expected, found, rtol, atol)

    @classmethod
    def _compare(cls, name, expected, found, rtol, atol):
        if isinstance(expected, (list, tuple)) or isinstance(found, (list, tuple)):
            if type(found) not in (list, tuple) or type(expected) not in (list, tuple):
                raise Mismatch(f"{name} is {type(found).__name__}, expected {type(expected).__name__}")
            if len(found) != len(expected):
                raise Mismatch(f"{name} has {len(found)} elements, expected {len(expected)}")
            for k, (one, other) in enumerate(zip(expected, found)):
                cls._compare(f"{name}[{k}]", one, other, rtol, atol)
            return
        if expected is None or found is None:
            if expected is not found:
                raise Mismatch(f"{name} is {type(found).__name__}, expected {type(expected).__name__}")
            return
        if isinstance(expected, dict) or isinstance(found, dict):
            if expected != found:
                raise Mismatch(f"{name}: wrong values")
            return
        expected, found = numpy.asarray(expected), numpy.asarray(found)
        if found.dtype != expected.dtype:
            raise Mismatch(f"{name} is {found.dtype}, expected {expected.dtype}")
        if found.shape != expected.shape:
            raise Mismatch(f"{name} has shape {found.shape}, expected {expected.shape}")
        try:
            super().assert_similar_outputs([expected], [found], rtol, atol)
        except AssertionError as error:
            line = next((line for line in str(error).splitlines() if line.startswith("Mismatched elements")), "")
            raise Mismatch(f"{name}: wrong values: {line}") from None


def _node_cases():
    """Generating them takes many seconds, so they are kept in the build tree."""
    versions = "-".join(importlib.metadata.version(name) for name in ("onnx", "numpy", "ml_dtypes"))
    path = BUILD / "data" / f"node-cases-{versions}.pickle"
    if path.exists():
        return pickle.loads(path.read_bytes())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        cases = load_model_tests(kind="node")
    path.parent.mkdir(parents=True, exist_ok=True)
    scratch = path.with_suffix(f".{os.getpid()}")
    scratch.write_bytes(pickle.dumps(cases))
    scratch.rename(path)
    return cases


def _history_cases():
    """{path: case} of the data folder's older operator versions, without those that it says to be random."""
    data = conformance_data()
    found = {}
    if not data:
        return found
    with open(data / "MANIFEST.tsv") as manifest:
        columns = manifest.readline().rstrip("\n").split("\t")
        for line in manifest:
            row = dict(zip(columns, line.rstrip("\n").split("\t")))
            path = row["path"]
            if path.startswith("history/") and "nondeterministic" not in row.get("flags", ""):
                name = path.rsplit("/", 1)[1]
                found[path] = TestCase(name=name, model_name=name, url=None, model_dir=str(data / path), model=None,
                                       data_sets=None, kind="node", rtol=float(row["rtol"]), atol=float(row["atol"]))
    return found


class Cases:
    """All cases for one device."""

    def __init__(self, device, history=False, target=None):
        self.cases = {}
        # The runner's constructor collects by kind; node cases come from the build tree.
        original = runner.load_model_tests

        def load(kind):
            cases = [] if kind == "real" else _node_cases() if kind == "node" else original(kind=kind)
            self.cases |= {f"{kind}/{case.name}": case for case in cases}
            return cases

        runner.load_model_tests = load
        try:
            self.runner = Runner(backend_of(device, target))
        finally:
            runner.load_model_tests = original
        self._functions = {}
        for kind, folder in KINDS.items():
            self._add(kind, folder)
        for path, case in (_history_cases() if history else {}).items():
            folder = path.rsplit("/", 1)[0]
            self.runner._add_model_test(case, folder)
            self.cases[path] = case
            self._functions[path] = self.runner._test_items[folder + "Model"][case.name + "_cpu"].func

    def _add(self, kind, folder):
        for name, item in self.runner._test_items[kind + "Model"].items():
            if name.endswith("_cpu"):
                self._functions[f"{folder}/{name[:-4]}"] = item.func

    @property
    def paths(self):
        return sorted(self._functions)

    def model(self, path):
        case = self.cases[path]
        return case.model or onnx.load(os.path.join(case.model_dir, "model.onnx"), load_external_data=False)

    def run(self, path):
        """(state, message)."""
        try:
            with warnings.catch_warnings(), numpy.errstate(all="ignore"):
                warnings.simplefilter("ignore")
                self._functions[path](unittest.TestCase())
            return "PASS", ""
        except unittest.SkipTest as reason:
            return "SKIP", str(reason)
        except (onnx_backend.aicc.Error, Mismatch) as problem:
            return "FAIL", str(problem)
        except Exception as problem:  # A case that can't be read fails, it doesn't end the run.
            return "FAIL", f"{type(problem).__name__}: {problem}"
