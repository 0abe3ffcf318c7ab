# execute.py - runs the sample kernels on an OpenCL runtime
#
# Licensed under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""execute.py COMPILE-KERNELS [NAME...]: compiles the kernels for `intel` and
compares what they compute with NumPy. Exit 77 = skipped, with the reason."""
import json
import os
import subprocess
import sys
import tempfile


def skip(reason):
    print("SKIP:", reason)
    sys.exit(77)


try:
    import numpy as np
except ImportError:
    skip("NumPy is not installed")
import kernels
import opencl
from compare import compare


def main():
    compiler, only = sys.argv[1], sys.argv[2:]
    library = opencl.find_library()
    if not library:
        skip("no OpenCL runtime (AICC_OPENCL_LIBRARY or PyPI intel-opencl-rt)")
    try:
        runtime = opencl.Runtime(library)
    except (OSError, RuntimeError) as error:
        skip(f"{library}: {error}")
    failures = 0
    with tempfile.TemporaryDirectory() as directory:
        source = os.path.join(directory, "kernels.mlir")
        chosen = {n: k for n, k in kernels.kernels().items()
                  if not only or n in only}
        with open(source, "w") as file:
            file.write("\n".join(k.text for k in chosen.values()))
        subprocess.run([compiler, source, "intel:generic", directory],
                       check=True)
        for name, kernel in chosen.items():
            with open(os.path.join(directory, name + ".json")) as file:
                launch = json.load(file)
            with open(os.path.join(directory, launch["file"]), "rb") as file:
                loaded = runtime.load(file.read(), launch["entry"])
            for symbols in kernel.symbols:
                rng = np.random.default_rng(1)
                inputs, expected = kernel.make(rng, symbols)
                names = {f"s{n}": v for n, v in symbols.items()}
                grid = [eval(g, {}, names) for g in launch["grid"]]
                results = runtime.run(
                    loaded, grid, launch["workgroup"], inputs,
                    [(np.shape(e), np.asarray(e).dtype) for e in expected],
                    [symbols[n] for n in launch["scalars"]])
                for got, want in zip(results, expected):
                    problem = compare(got, want, kernel.tolerance)
                    print(f"{'FAIL' if problem else 'ok  '} {name} {names} "
                          f"{problem or ''}")
                    failures += problem is not None
    sys.exit(failures > 0)


main()
