#!/usr/bin/env python3
# resources.py - no GPU kernel of the benchmark list spills registers.
#
# Licensed under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""resources.py [--models=mlp,…] [--cases=gemm_4096_f16,…] [--targets=cuda:sm_90,…] [--precision=f32,f16]

Compiles models, and cases of benchmarks/gpu/cases.py, and asks the vendors'
compilers what each kernel takes (tests/harness/gpu_resources.py says how). Fails,
naming model, target and kernel, where a kernel spills registers and spills.tsv
beside this file doesn't list it with the reason, and where one that is listed no
longer does. A tool that is not there skips its targets, with the reason.

A model is a name of tests/models (exported to $AICC_MODELS_DIR) or a path; a case
that names a group (product, attention, memory, model) stands for all of it. Without
arguments all of both lists are compiled for all targets.
"""

import argparse
import os
import pathlib
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "harness"))
sys.path.insert(0, str(HERE.parents[1] / "benchmarks" / "gpu"))
from aicc_testing import BUILD, ROOT, program  # noqa: E402
import cases  # noqa: E402
import gpu_resources  # noqa: E402

MODELS = ("mlp", "lstm", "unet", "mobilenet_v3", "efficientnet_b0", "resnet50", "vit_b_16", "bert_base",
          "gpt2_prefill", "gpt2_step")
TARGETS = ("cuda:sm_80", "cuda:sm_90", "cuda:sm_90a", "rocm:gfx942", "rocm:gfx1100", "rocm:gfx1201", "intel:pvc",
           "intel:dg2")


def known_spills():
    """{(model, target, precision, kernel): reason} of spills.tsv."""
    known = {}
    for line in (HERE / "spills.tsv").read_text().splitlines():
        if line and not line.startswith("#"):
            *key, reason = line.split("\t")
            known[tuple(key)] = reason
    return known


def wanted(arguments, folder):
    """Yields (name, path, precision as spills.tsv names it, flags)."""
    for model in filter(None, arguments.models.split(",")):
        path = pathlib.Path(model)
        if not path.suffix:
            path = pathlib.Path(os.environ.get("AICC_MODELS_DIR", BUILD / "models")) / model / "model.onnx"
        elif not path.exists():
            path = ROOT / path
        for precision in arguments.precision.split(","):
            yield path.stem if path.stem != "model" else model, path, precision, (f"--precision={precision}",)
    for name in filter(None, arguments.cases.split(",")):
        found = [case for case in cases.CASES if name in (case.name, case.group)]
        if not found:
            raise SystemExit(f"error: no case or group named '{name}'; there are {', '.join(cases.BY_NAME)}")
        for case in found:
            yield case.name, cases.path(case, folder), "f16", case.flags


def check(name, path, precision, flags, target, known, failures):
    """Prints a line; returns why it was skipped, or nothing."""
    label = f"{name} for {target}, {precision}"
    if not path.exists():
        return f"{name} is not at {path}"
    with tempfile.TemporaryDirectory(prefix="aicc-resources-") as work:
        try:
            rows, reason = gpu_resources.inspect(path, target, flags, work)
        except RuntimeError as error:
            failures.append(f"{label}: {error}")
            return None
    if rows is None:
        return f"{label}: {reason}"
    for kernel, row in rows.items():
        reason = known.get((name, target, precision, kernel))
        if row["spilled"] and not reason:
            failures.append(f"{label}: kernel {kernel} spills {row['spilled']} bytes with {row['registers']} registers")
        elif reason and not row["spilled"]:
            failures.append(f"{label}: kernel {kernel} spills no more, but is listed")
        elif reason:
            print(f"{label}: known: kernel {kernel} spills {row['spilled']} bytes: {reason}")
    print(f"{label}: {len(rows)} kernels, at most {max((r['registers'] for r in rows.values()), default=0)} registers, "
          f"{sum(r['spilled'] > 0 for r in rows.values())} with spills"
          + "".join(f"; {kernel} keeps {row['scalars']} scalar registers in lanes of a vector register, outside of loops"
                    for kernel, row in rows.items() if row.get("scalars") and not row["spilled"]), flush=True)
    return None


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--models")
    parser.add_argument("--cases")
    parser.add_argument("--targets", default=",".join(TARGETS))
    parser.add_argument("--precision", default="f32", help="of the models; cases say theirs")
    arguments = parser.parse_args()
    if arguments.models is None and arguments.cases is None:
        arguments.models, arguments.cases = ",".join(MODELS), ",".join(cases.BY_NAME)
    arguments.models, arguments.cases = arguments.models or "", arguments.cases or ""
    program("aicc"), program("aicc-run")
    failures, skipped, checked, known = [], [], 0, known_spills()
    with tempfile.TemporaryDirectory(prefix="aicc-cases-") as folder:
        for name, path, precision, flags in wanted(arguments, folder):
            for target in arguments.targets.split(","):
                reason = check(name, path, precision, flags, target, known, failures)
                checked += reason is None
                if reason and reason not in skipped:
                    skipped.append(reason)
    for line in skipped:
        print(f"SKIP: {line}")
    for line in failures:
        print(f"FAILED: {line}")
    return 1 if failures else 77 if not checked else 0


if __name__ == "__main__":
    sys.exit(main())
