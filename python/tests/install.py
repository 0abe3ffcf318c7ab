#!/usr/bin/env python3
# install.py - `pip install .` from the source tree, and a model with what it installed.
#
# Licensed under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

import importlib.util
import os
import pathlib
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "..", "tests", "harness"))
from aicc_testing import ROOT, skip  # noqa: E402

CODE = """
import aicc, numpy, pathlib, sys
digits = pathlib.Path(sys.argv[1])
logits, = aicc.compile(digits / "digits.onnx").session()(numpy.load(digits / "images.npy"))
correct = (logits.argmax(1) == numpy.load(digits / "labels.npy")).mean()
assert correct > 0.9, correct
assert pathlib.Path(aicc.__file__).is_relative_to(sys.argv[2]), aicc.__file__
"""


def main():
    for module in ("pip", "nanobind", "scikit_build_core", "numpy"):
        if importlib.util.find_spec(module) is None:
            skip(f"no Python module {module} (scripts/install.sh test)")
    # The environment has what the build needs, so nothing is fetched.
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([sys.executable, "-m", "pip", "install", "--no-build-isolation", "--no-deps", "--no-index",
                        "--target", folder, *sys.argv[1:], str(ROOT)], check=True)
        environment = {**os.environ, "PYTHONPATH": folder}
        subprocess.run([sys.executable, "-c", CODE, str(ROOT / "examples" / "digits"), folder], check=True,
                       env=environment, cwd=pathlib.Path(folder).root)
    return 0


if __name__ == "__main__":
    sys.exit(main())
