#!/usr/bin/env python3
# run.py - the ONNX conformance cases on one device.
#
# Licensed under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""run.py [--device=cpu] [--target=CHIP] [--filter=WORD] [--all] [--part] [--update] [--jobs=N]

Runs the cases of the package onnx in ONNX's own backend test runner over
aicc.onnx_backend (cases.py), at the suite's own tolerances. expected/DEVICE.tsv
lists the cases that don't pass, with why; a case that fails and isn't listed is
an error, and so is one that passes and is listed. --update rewrites the list.

--all adds the cases of older operator versions (AICC_TEST_DATA), whose paths
begin with history/; --part takes every tenth case and one of every operator.

Cases are compiled and run in forked processes; one that dies or hangs fails its
case and is replaced.
"""

import argparse
import collections
import importlib.util
import json
import os
import pathlib
import re
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "harness"))
from aicc_testing import BUILD, conformance_data, environment, has_device, program, python_package, skip  # noqa: E402
from aicc_workers import run_all  # noqa: E402

CASE_SECONDS = 30
DEVICES = ("cpu", "intel", "cuda:virtual", "rocm:virtual", "intel:virtual")


def a_part(cases, paths):
    """Every tenth case, and the first of each operator."""
    seen, part = set(), []
    for k, path in enumerate(paths):
        operators = {(node.domain, node.op_type) for node in cases.model(path).graph.node}
        if k % 10 == 0 or operators - seen:
            part.append(path)
            seen |= operators
    return part


def expectations(device):
    path = HERE / "expected" / f"{device.replace(':', '.')}.tsv"
    if not path.exists():
        return {}
    rows = (line.rstrip("\n").split("\t", 1) for line in path.read_text().splitlines() if line and line[0] != "#")
    return dict(rows)


def reason_of(message):
    """A message without what differs from case to case, so that the list stays readable."""
    message = message.splitlines()[0] if message else "no message"
    message = re.sub(r"^'[^']*\.aicc': ", "", message)
    message = re.sub(r"^model: ", "", message)
    message = re.sub(r' at "[^;]*', '', message)
    message = re.sub(r"/proc/self/fd/\d+: ", "", message)
    message = re.sub(r"wrong values: .*", "wrong values", message)
    return message[:140].strip()


def update(device, results, expected):
    """Rewrites the list; a reason that somebody found out ("known: ...") stays."""
    merged = {path: reason for path, reason in expected.items() if path not in results}
    for path, answer in results.items():
        if answer["state"] == "PASS":
            continue
        if expected.get(path, "").startswith("known: "):
            merged[path] = expected[path]
        else:
            merged[path] = reason_of(answer["message"]) if answer["state"] == "FAIL" else \
                f"{answer['state'].lower()}: {answer['message']}"
    path = HERE / "expected" / f"{device.replace(':', '.')}.tsv"
    path.parent.mkdir(exist_ok=True)
    with open(path, "w") as out:
        out.write(f"# Cases that don't pass on {device}, and why. Written by tests/ops/run.py --update.\n")
        for case in sorted(merged):
            out.write(f"{case}\t{merged[case]}\n")
    print(f"{path}: {len(merged)} cases")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cpu", choices=DEVICES)
    parser.add_argument("--target", help="another chip than the device's usual one, cuda:virtual:sm_90a")
    parser.add_argument("--filter", default="")
    parser.add_argument("--all", action="store_true")
    parser.add_argument("--part", action="store_true")
    parser.add_argument("--update", action="store_true")
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("-v", "--verbose", action="store_true")
    arguments = parser.parse_args()

    program("aicc"), program("aicc-run")
    for module in ("numpy", "onnx", "ml_dtypes"):
        if importlib.util.find_spec(module) is None:
            skip(f"no Python module {module} (scripts/install.sh test)")
    python_package()
    if arguments.all and not conformance_data():
        skip("the data of older operator versions is absent (AICC_TEST_DATA)")
    if not has_device(arguments.device):
        skip(f"aicc-run lists no {arguments.device} device")
    os.environ.update(environment())

    begin = time.time()
    from cases import Cases

    import aicc._compiler  # noqa: F401  Loaded once, for all workers.

    cases = Cases(arguments.device, arguments.all, arguments.target)
    todo = [path for path in cases.paths if arguments.filter in path]
    if arguments.part:
        todo = a_part(cases, todo)
    results = {path: {"state": state, "message": message}
               for path, (state, message) in run_all(cases.run, todo, arguments.jobs, CASE_SECONDS).items()}
    expected = expectations(arguments.device)
    states = collections.Counter(answer["state"] for answer in results.values())
    errors = []
    for path, answer in sorted(results.items()):
        passed = answer["state"] == "PASS"
        if arguments.verbose and not passed:
            print(f"{answer['state']:6s}{path}: {answer['message']}")
        if passed and path in expected:
            errors.append(f"{path}: passes, but is listed as: {expected[path]}")
        elif not passed and path not in expected:
            errors.append(f"{path}: {answer['state'].lower()}: {answer['message']}")
    report = BUILD / "reports" / "ops" / f"{arguments.device.replace(':', '.')}.json"
    report.parent.mkdir(parents=True, exist_ok=True)
    report.write_text(json.dumps(dict(sorted(results.items())), indent=1))
    print(f"{arguments.device}: {states['PASS']} of {len(todo)} cases pass in {time.time() - begin:.0f} s "
          f"({', '.join(f'{count} {state}' for state, count in sorted(states.items()))})")
    if arguments.update:
        update(arguments.device, results, expected)
        return 0
    print("\n".join(errors[:200]))
    if errors:
        print(f"{len(errors)} cases are not as expected/{arguments.device}.tsv says")
    return 1 if errors else 0


if __name__ == "__main__":
    sys.exit(main())
