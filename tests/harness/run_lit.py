#!/usr/bin/env python3
# run_lit.py - runs the lit tests below a folder of the repository, for ctest.
#
# Licensed under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

import importlib.util
import pathlib
import sys

from aicc_testing import BUILD, ROOT, skip

if importlib.util.find_spec("lit") is None:
    skip("no Python module lit (scripts/install.sh test)")
if not (BUILD / "bin" / "aicc-opt").exists():
    skip(f"aicc-opt is not built in {BUILD}")
if not pathlib.Path("/usr/lib/llvm-22/bin/FileCheck").exists():
    skip("no FileCheck (Debian package llvm-22-tools)")
from lit.main import main  # noqa: E402

folder = ROOT / sys.argv[1]
tests = [path for path in folder.rglob("*") if path.suffix in (".mlir", ".test") and "tests" in path.parts]
if not tests:
    skip(f"no lit tests below {sys.argv[1]}")
sys.argv = ["lit", "-sv", str(folder)]
main()
