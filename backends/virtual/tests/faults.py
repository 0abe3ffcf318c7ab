# faults.py - kernels with a mistake on the virtual devices
#
# Licensed under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""faults.py COMPILE-KERNELS LAUNCHER [TARGET...]: puts the mistakes that people make
in GPU code into some of the sample kernels, one at a time, and runs each. A
mistake is noticed if the device reports it or if numbers come out wrong; at
least 95% must be. What isn't noticed is listed."""
import collections
import json
import multiprocessing
import os
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

NAMES = ["matmul_edges", "matmul_f16", "product_f16", "product_f16_across", "dynamic_product",
         "product_i8", "product_i8_blocks", "convolution_grouped", "softmax", "layernorm", "transpose", "sum_inner", "max_pool"]
TARGETS = ["cuda:virtual", "cuda:virtual:sm_90a", "rocm:virtual", "rocm:virtual:gfx950",
           "rocm:virtual:gfx1100", "intel:virtual:pvc", "intel:virtual:dg2"]
PER_KIND = 1
LEAST = 60
NOTICED = 0.95
SECONDS = 30
# What the device must say of them.
REPORTS = {"wrong-pitch": "loads a block of a matrix whose pitch is", "wrong-begin": "loads a block of a matrix whose address is",
           "wrong-width": "expected at least its width of"}


def outcome(library, folder, launch, file, kernel, example, kind):
    """How a kernel with a mistake shows: "reported", "wrong numbers" or "" if it doesn't."""
    symbols = kernel.symbols[0]
    inputs, expected = example
    names = {f"s{n}": v for n, v in symbols.items()}
    try:
        results = Launcher(library).run((folder / file).read_bytes(), launch["entry"],
                                        [eval(g, {}, names) for g in launch["grid"]], launch["workgroup"], inputs,
                                        [(np.shape(e), np.asarray(e).dtype) for e in expected],
                                        [symbols[n] for n in launch["scalars"]])
    except Mistake as mistake:
        return "reported" if REPORTS.get(kind, "") in str(mistake) else ""
    wrong = any(compare(got, want, kernel.tolerance) for got, want in zip(results, expected))
    return "wrong numbers" if wrong else ""


def worker(pipe, *arguments):
    pipe.send(outcome(*arguments))


def guarded(*arguments):
    """In a process of its own: a kernel with a mistake may never end."""
    mine, theirs = multiprocessing.Pipe(False)
    process = multiprocessing.Process(target=worker, args=(theirs, *arguments))
    process.start()
    theirs.close()
    try:
        answer = mine.recv() if mine.poll(SECONDS) else "no end"
    except EOFError:
        answer = "died"
    process.kill()
    process.join()
    return answer


def main():
    compiler, library, *targets = sys.argv[1:]
    multiprocessing.set_start_method("fork")
    every = kernels.kernels()
    examples = {name: every[name].make(np.random.default_rng(1), every[name].symbols[0]) for name in NAMES}
    counts, missed, total = collections.Counter(), [], 0
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        (folder / "kernels.mlir").write_text("\n".join(every[name].text for name in NAMES))
        for target in targets or TARGETS:
            place = folder / target.replace(":", "-")
            subprocess.run([compiler, folder / "kernels.mlir", target, place, str(PER_KIND)], check=True)
            for name in NAMES:
                launch = json.loads((place / f"{name}.json").read_text())
                for fault in launch["faults"]:
                    how = guarded(library, place, launch, fault["file"], every[name], examples[name],
                                  fault["kind"])
                    counts[fault["kind"], how or "NOT NOTICED"] += 1
                    total += 1
                    if not how:
                        missed.append(f"{target} {name}: {fault['kind']} at {fault['where']}")
                    if os.environ.get("AICC_VERBOSE"):
                        print(f"{target} {name} {fault['kind']}: {how or 'NOT NOTICED'}", flush=True)
    for (kind, how), count in sorted(counts.items()):
        print(f"{kind:16s} {how:14s} {count:4d}")
    noticed = total - len(missed)
    print(f"{noticed} of {total} faults noticed")
    print("\n".join(missed))
    return 0 if total >= LEAST and noticed >= NOTICED * total else 1


sys.exit(main())
