# execute.py - runs the GPU sample kernels on a virtual device
#
# Licensed under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""execute.py COMPILE-KERNELS LAUNCHER TARGET [NAME...]: no mistake may be
reported, and what is computed must be what NumPy computes."""
import json
import pathlib
import subprocess
import sys
import tempfile

import numpy as np

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[2] / "compiler" / "gpu" / "tests"))
import kernels  # noqa: E402
from compare import compare  # noqa: E402
from launcher import Launcher, Mistake  # noqa: E402


def main():
    compiler, library, target, *only = sys.argv[1:]
    launcher = Launcher(library)
    failures = 0
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        chosen = {n: k for n, k in kernels.kernels().items() if not only or n in only}
        (folder / "kernels.mlir").write_text("\n".join(k.text for k in chosen.values()))
        subprocess.run([compiler, folder / "kernels.mlir", target, folder], check=True)
        for name, kernel in chosen.items():
            launch = json.loads((folder / f"{name}.json").read_text())
            code = (folder / launch["file"]).read_bytes()
            for symbols in kernel.symbols:
                inputs, expected = kernel.make(np.random.default_rng(1), symbols)
                names = {f"s{n}": v for n, v in symbols.items()}
                grid = [eval(g, {}, names) for g in launch["grid"]]
                try:
                    results = launcher.run(code, launch["entry"], grid, launch["workgroup"], inputs,
                                           [(np.shape(e), np.asarray(e).dtype) for e in expected],
                                           [symbols[n] for n in launch["scalars"]])
                    problems = [compare(got, want, kernel.tolerance) for got, want in zip(results, expected)]
                except Mistake as mistake:
                    problems = [str(mistake)]
                for problem in problems:
                    print(f"{'FAIL' if problem else 'ok  '} {name} {names} {problem or ''}")
                    failures += problem is not None
    sys.exit(failures > 0)


main()
