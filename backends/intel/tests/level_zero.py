#!/usr/bin/env python3
# level_zero.py - which of Intel's two drivers serves a GPU, and a model on it
#
# Licensed under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#
# level_zero.py AICC_RUN PACKAGE; in the capture mode of Intel's driver
# (CMakeLists.txt), so that there is a GPU. Kernels are compiled, not executed.

import json
import os
import subprocess
import sys
import tempfile
import unittest

aicc_run, package = sys.argv[1:3]


class Drivers(unittest.TestCase):
    def run_tool(self, *args, driver=None, **environment):
        env = dict(os.environ, AICC_DRIVERS="intel", AICC_OPENCL_LIBRARY="", **environment)
        env.pop("AICC_INTEL_DRIVER", None)
        if driver is not None:
            env["AICC_INTEL_DRIVER"] = driver
        with tempfile.TemporaryDirectory() as folder:  # the capture is written there
            result = subprocess.run([aicc_run, *args], capture_output=True, text=True, timeout=200, env=env, cwd=folder)
        return result

    def devices(self, driver=None, **environment):
        result = self.run_tool("--list-devices", "--json", driver=driver, **environment)
        self.assertEqual(result.returncode, 0, result.stderr)
        report = json.loads(result.stdout)
        return [(d["name"], d["version"]) for d in report["devices"] if "gpu" in d["features"]], report["notes"]

    def test_choice(self):
        by_default, _ = self.devices()
        level_zero, _ = self.devices("level-zero")
        opencl, _ = self.devices("opencl")
        self.assertEqual(len(level_zero), 1)
        self.assertEqual(by_default, level_zero)
        self.assertNotEqual(opencl, level_zero)
        # Without Level Zero the GPU is OpenCL's.
        without, _ = self.devices(AICC_LEVEL_ZERO_LIBRARY="/nonexistent.so")
        self.assertEqual(without, opencl)
        for name, _ in by_default + opencl:
            self.assertEqual(name, "intel:0")
        none, notes = self.devices("vulkan")
        self.assertEqual(none, [])
        self.assertIn("AICC_INTEL_DRIVER is 'vulkan', expected 'level-zero' or 'opencl'", notes)

    def test_model(self):
        for driver in ("level-zero", "opencl"):
            with self.subTest(driver):
                result = self.run_tool(package, "--device=intel", "--random", "--dim=batch=2", "--benchmark=0.01", driver=driver,
                                       ZE_ENABLE_VALIDATION_LAYER="1", ZE_ENABLE_PARAMETER_VALIDATION="1")
                self.assertEqual(result.returncode, 0, result.stderr)
                self.assertIn("f32, 2 x 10", result.stdout)

    def test_matrix_instructions(self):
        # Arc's belong to subgroups of 8, code for others is not for it.
        result = self.run_tool("--list-devices", "--json", driver="opencl")
        features = [d["features"] for d in json.loads(result.stdout)["devices"] if "gpu" in d["features"]][0]
        self.assertIn("subgroup16", features)
        self.assertIn("xmx8", features)
        self.assertNotIn("xmx16", features)


probe = subprocess.run([aicc_run, "--list-devices"], capture_output=True, text=True,
                       env=dict(os.environ, AICC_DRIVERS="intel", AICC_INTEL_DRIVER="level-zero"))
if "intel:0" not in probe.stdout:
    print("SKIP: " + probe.stdout.strip())
    sys.exit(0)
unittest.main(argv=sys.argv[:1])
