#!/usr/bin/env python3
# support.py - writes the support tables from the reports of the last test run.
#
# Licensed under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""support.py [--readme]

Reads build/reports (written by tests/ops and tests/models) and writes
docs/generated/support.md: every ONNX operator with how many of its conformance
cases pass on each device, and every model. --readme puts the short table
between the markers in README.md.
"""

import argparse
import collections
import json
import pathlib
import sys

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests" / "harness"))
from aicc_testing import BUILD, conformance_data  # noqa: E402

sys.path.insert(0, str(ROOT / "tests" / "models"))
import zoo as model_list  # noqa: E402

DEVICES = ("cpu", "intel")
ORDER = {model.name: k for k, model in enumerate(model_list.MODELS)}
BEGIN, END = "<!-- support:begin (written by docs/support.py) -->", "<!-- support:end -->"


def operators():
    """{operator: {device: [passed, all]}} over the cases of one operator's newest versions."""
    data = conformance_data()
    if not data:
        sys.exit("error: the conformance data is absent (AICC_TEST_DATA)")
    reports = {}
    for device in DEVICES:
        path = BUILD / "reports" / "ops" / f"{device}.json"
        reports[device] = json.loads(path.read_text()) if path.exists() else {}
    table = collections.defaultdict(lambda: {device: [0, 0] for device in DEVICES})
    with open(data / "MANIFEST.tsv") as manifest:
        columns = manifest.readline().rstrip("\n").split("\t")
        for line in manifest:
            row = dict(zip(columns, line.rstrip("\n").split("\t")))
            # A case is one operator's if it has one node.
            if row["kind"] != "node" or row["path"].startswith("history/") or row["top_nodes"] != "1":
                continue
            if row["expanded"] == "1":
                continue
            # Operators of the node's subgraphs are listed too: the case is named after the node's own.
            names = [name.rsplit("-", 1)[0] for name in row["ops_with_effective_since_version"].split(",")]
            case = row["path"].replace("_", "").lower()
            operator = max(names, key=lambda name: len(name) if name.split("::")[-1].lower() in case else 0)
            for device in DEVICES:
                if row["path"] in reports[device]:
                    count = table[operator][device]
                    count[1] += 1
                    count[0] += reports[device][row["path"]]["state"] == "PASS"
    return table, reports


def models():
    """{model: {device: state}} of the model tests."""
    table = {}
    for path in sorted((BUILD / "reports" / "models").glob("*.json")):
        states = {device: "-" for device in DEVICES}
        for row in json.loads(path.read_text()):
            for device in DEVICES:
                if f" on {device}" not in row["what"]:
                    continue
                if row["state"] == "FAILED" or states[device] == "fails":
                    states[device] = "fails"
                elif row["state"] == "SKIP":
                    states[device] = "not run" if states[device] == "-" else states[device]
                else:
                    error = max(row.get("error", 0), states[device] if isinstance(states[device], float) else 0)
                    states[device] = error
        table[json.loads(path.read_text())[0]["model"]] = states
    return table


def verdict(state):
    return "yes" if isinstance(state, float) else state


def word(state):
    return f"{state:.0e}" if isinstance(state, float) else state


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--readme", action="store_true")
    arguments = parser.parse_args()
    table, reports = operators()
    zoo = models()
    lines = ["# What works", "", "Written by `docs/support.py` from the reports of the last test run.", "",
             "## Models", "", "Largest difference from ONNX Runtime, relative to the output's largest value.", "",
             "| model | " + " | ".join(DEVICES) + " |", "|---|" + "---|" * len(DEVICES)]
    lines += [f"| {name} | " + " | ".join(word(states[d]) for d in DEVICES) + " |" for name, states in zoo.items()]
    lines += ["", "## ONNX operators", "", "Conformance cases that pass, of those there are.", "",
              "| operator | " + " | ".join(DEVICES) + " |", "|---|" + "---|" * len(DEVICES)]
    for operator in sorted(table, key=str.lower):
        cells = [f"{table[operator][d][0]} of {table[operator][d][1]}" if table[operator][d][1] else "-" for d in DEVICES]
        lines.append(f"| {operator} | " + " | ".join(cells) + " |")
    page = ROOT / "docs" / "generated" / "support.md"
    page.parent.mkdir(exist_ok=True)
    page.write_text("\n".join(lines) + "\n")
    print(f"{page.relative_to(ROOT)}: {len(table)} operators, {len(zoo)} models")

    if arguments.readme:
        short = [BEGIN, "", "| | " + " | ".join(DEVICES) + " |", "|---|" + "---|" * len(DEVICES)]
        passed = {d: sum(a["state"] == "PASS" for a in reports[d].values()) for d in DEVICES}
        short.append("| ONNX conformance cases | " + " | ".join(
            f"{passed[d]} of {len(reports[d])}" if reports[d] else "-" for d in DEVICES) + " |")
        for name, count in (("operators with every case", lambda p, n: p == n), ("operators with some", lambda p, n: 0 < p < n)):
            short.append(f"| {name} | " + " | ".join(str(sum(1 for t in table.values() if t[d][1] and count(*t[d])))
                                                     for d in DEVICES) + " |")
        light = {name: states for name, states in zoo.items() if name.startswith("light/")}
        rest = sorted((name for name in zoo if name not in light), key=ORDER.get)
        short += [f"| {name} | " + " | ".join(verdict(zoo[name][d]) for d in DEVICES) + " |" for name in rest]
        short.append("| light CNNs of ONNX | " + " | ".join(
            f"{sum(verdict(s[d]) == 'yes' for s in light.values())} of 9" for d in DEVICES) + " |")
        short += ["", END]
        readme = ROOT / "README.md"
        text = readme.read_text()
        head, rest = text.split(BEGIN, 1)
        readme.write_text(head + "\n".join(short) + rest.split(END, 1)[1])
    return 0


if __name__ == "__main__":
    sys.exit(main())
