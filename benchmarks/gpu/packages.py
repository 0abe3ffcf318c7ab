#!/usr/bin/env python3
# packages.py - the benchmark list compiled for a GPU, to be timed where there is one.
#
# Licensed under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""packages.py TARGET FOLDER [CASE…]

Writes FOLDER/CASE.aicc for each case of cases.py, and FOLDER/cases.tsv: name, group,
floating-point operations, bytes (0: not what limits it). FOLDER/CASE.INPUT.npy is an
input that must not be any. A model that was not exported is left out, and said so.
tests/devices/on_gpu.sh calls it.
"""

import pathlib
import subprocess
import sys

import numpy

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[1] / "tests" / "harness"))
from aicc_testing import program  # noqa: E402
import cases  # noqa: E402


def main():
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    target, folder, names = sys.argv[1], pathlib.Path(sys.argv[2]), sys.argv[3:]
    unknown = [name for name in names if name not in cases.BY_NAME]
    if unknown:
        sys.exit(f"error: no case named {', '.join(unknown)}; there are {', '.join(cases.BY_NAME)}")
    folder.mkdir(parents=True, exist_ok=True)
    lines = []
    for case in [cases.BY_NAME[name] for name in names] or cases.CASES:
        model = cases.path(case, folder)
        if not model.exists():
            print(f"left out {case.name}: {model} is absent")
            continue
        subprocess.run([program("aicc"), model, f"--target={target}", *case.flags, "-o", folder / f"{case.name}.aicc"],
                       check=True)
        if not case.model:
            model.unlink()
        for name, array in cases.inputs(case).items():
            numpy.save(folder / f"{case.name}.{name}.npy", array)
        lines.append("\t".join(map(str, (case.name, case.group, *cases.work(case)))))
    (folder / "cases.tsv").write_text("".join(line + "\n" for line in lines))


if __name__ == "__main__":
    main()
