#!/usr/bin/env python3
# support.py - writes the support tables.
#
# Licensed under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""support.py [--readme]

Writes docs/generated/onnx.md from the conformance cases and the lists of those
that don't pass (tests/ops/expected, which the tests keep true), and
docs/generated/models.md from the reports of the last test run (build/reports).
--readme puts the short table between the markers in README.md, where models
without a report keep their lines.
"""

import argparse
import collections
import json
import os
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests" / "harness"))
from aicc_testing import BUILD, conformance_data, python_package  # noqa: E402

sys.path[:0] = [str(ROOT / "tests" / "models"), str(ROOT / "tests" / "ops")]
import zoo as model_list  # noqa: E402

DEVICES = ("cpu", "intel", "cuda:virtual", "rocm:virtual", "intel:virtual")


def runs(device, path):
    """Whether the tests give a device this case: older operator versions are not for virtual ones."""
    return not (device.endswith(":virtual") and path.startswith("history/"))


ORDER = {model.name: k for k, model in enumerate(model_list.MODELS)}
BEGIN, END = "<!-- support:begin (written by docs/support.py) -->", "<!-- support:end -->"
GENERATED = ROOT / "docs" / "generated"
# What only a CPU can do; a case with one of these counts for no other device.
HOST_OPERATORS = re.compile("String|Sequence|Optional|Tokenizer|RegexFullMatch|TfIdf|ImageDecoder|Map|Vectorizer|LabelEncoder")


def domain_of(node):
    return "" if node.domain == "ai.onnx" else node.domain


def type_of(graph, node):
    """The element type that a node works on: of its first input, else its first result."""
    import onnx

    def name(number):
        return onnx.TensorProto.DataType.Name(number).lower()

    types = {}
    for port in [*graph.output, *graph.value_info, *graph.input]:
        kind = port.type.WhichOneof("value")
        inner = port.type
        prefix = ""
        while kind in ("sequence_type", "optional_type"):
            prefix += {"sequence_type": "seq ", "optional_type": "optional "}[kind]
            inner = getattr(inner, kind).elem_type
            kind = inner.WhichOneof("value")
        if kind == "tensor_type":
            types[port.name] = prefix + name(inner.tensor_type.elem_type)
        elif kind:
            types[port.name] = prefix + kind.replace("_type", "")
    types |= {tensor.name: name(tensor.data_type) for tensor in graph.initializer}
    return next((types[value] for value in [*node.input, *node.output] if value in types), "-")


def touches_host(graph):
    """Whether a graph has strings, sequences, maps or decoders."""
    ports = [*graph.input, *graph.output]
    if any(port.type.WhichOneof("value") not in ("tensor_type", None) or port.type.tensor_type.elem_type == 8
           for port in ports):
        return True
    return any(HOST_OPERATORS.search(node.op_type) or any(attribute.type in (3, 8) and attribute.name.endswith("strings")
                                                          for attribute in node.attribute) for node in graph.node)


class Table:
    """What passes: by operator, version and type, and in all."""

    def __init__(self):
        import onnx
        from cases import Cases
        from run import expectations

        self.listed = {device: expectations(device) for device in DEVICES}
        # {(domain, operator, version): {type: {device: [reason or None of each case]}}}
        self.operators = collections.defaultdict(lambda: collections.defaultdict(lambda: collections.defaultdict(list)))
        self.totals = collections.defaultdict(lambda: [0, 0])
        cases = Cases("cpu", history=bool(conformance_data()))
        for path in cases.paths:
            model = cases.model(path)
            older = path.startswith("history/")
            host = touches_host(model.graph)
            for device in (d for d in DEVICES if runs(d, path)):
                passed = path not in self.listed[device]
                for key in ("older" if older else "all", *(["device"] if not older and not host and path.startswith("node/")
                                                           else [])):
                    self.totals[device, key][0] += passed
                    self.totals[device, key][1] += 1
            nodes = [node for node in model.graph.node if node.op_type != "Constant"] or model.graph.node
            if len(nodes) != 1 or path.endswith("_expanded"):
                continue
            opsets = {domain_of(entry): entry.version for entry in model.opset_import}
            domain = domain_of(nodes[0])
            version = opsets.get(domain, 1)
            if onnx.defs.has(nodes[0].op_type, domain):
                try:
                    version = onnx.defs.get_schema(nodes[0].op_type, version, domain).since_version
                except onnx.defs.SchemaError:
                    pass
            types = self.operators[domain, nodes[0].op_type, version][type_of(model.graph, nodes[0])]
            for device in (d for d in DEVICES if runs(d, path)):
                types[device].append(self.listed[device].get(path))

    def percentage(self, device, key):
        passed, count = self.totals[device, key]
        return f"{passed} of {count} ({100 * passed / count:.1f}%)" if count else "-"

    def rows(self):
        """(operator, version, types, cell of each device); types that fare alike share a row."""
        def cell(reasons):
            if not reasons:
                return "not run"
            failed = [reason for reason in reasons if reason]
            if not failed:
                return f"passes {len(reasons)}"
            passed = len(reasons) - len(failed)
            most = collections.Counter(failed).most_common(1)[0][0].replace("|", "\\|")
            return (f"passes {passed} of {len(reasons)}; " if passed else "") + most

        for domain, name, version in sorted(self.operators, key=lambda key: (key[0], key[1].lower(), key[2])):
            alike = collections.defaultdict(lambda: ([], collections.defaultdict(list)))
            for kind, reasons in sorted(self.operators[domain, name, version].items()):
                state = tuple(tuple(sorted({bool(r) for r in reasons[d]})) for d in DEVICES) + tuple(
                    tuple(sorted({r for r in reasons[d] if r})) for d in DEVICES)
                kinds, merged = alike[state]
                kinds.append(kind)
                for device in DEVICES:
                    merged[device] += reasons[device]
            for kinds, merged in alike.values():
                yield f"{domain}.{name}" if domain else name, version, ", ".join(kinds), [cell(merged[d]) for d in DEVICES]

    def counts(self, device):
        """(operators' versions of which every case passes, some, none)."""
        every = some = none = 0
        for types in self.operators.values():
            reasons = [reason for by_device in types.values() for reason in by_device[device]]
            if not reasons:
                continue
            passed = sum(reason is None for reason in reasons)
            every += passed == len(reasons)
            none += passed == 0
            some += 0 < passed < len(reasons)
        return every, some, none

    def page(self):
        lines = ["# ONNX operators", "", "Written by `docs/support.py` from the conformance cases and `tests/ops/expected`: "
                 "how many cases of one operator pass, by version and by the type of its first input, or why they don't.", "",
                 "| | " + " | ".join(DEVICES) + " |", "|---|" + "---|" * len(DEVICES)]
        for title, key in (("cases of the package onnx", "all"), ("node cases without strings, sequences, maps, decoders",
                                                                   "device"), ("cases of older versions", "older")):
            lines.append(f"| {title} | " + " | ".join(self.percentage(device, key) for device in DEVICES) + " |")
        lines += ["", "| operator | version | types | " + " | ".join(DEVICES) + " |", "|---|---|---|" + "---|" * len(DEVICES)]
        lines += [f"| {name} | {version} | {types} | {' | '.join(cells)} |" for name, version, types, cells in self.rows()]
        return "\n".join(lines) + "\n"


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


def model_page(zoo):
    lines = ["# Models", "", "Written by `docs/support.py` from the reports of the last test run: the largest difference "
             "from ONNX Runtime, relative to the output's largest value.", "",
             "| model | " + " | ".join(DEVICES) + " |", "|---|" + "---|" * len(DEVICES)]
    lines += [f"| {name} | " + " | ".join(word(states[d]) for d in DEVICES) + " |" for name, states in zoo.items()]
    return "\n".join(lines) + "\n"


def short_table(table, zoo, old):
    """The table of the README; `old` is what stands there."""
    kept = dict(re.findall(r"^\| (\S.*?) \| (.*) \|$", old, re.MULTILINE))
    rows = {}
    rows["cases of the package onnx"] = [table.percentage(device, "all") for device in DEVICES]
    rows["node cases without strings, sequences, maps"] = [table.percentage(device, "device") for device in DEVICES]
    if table.totals["cpu", "older"][1]:
        rows["cases of older operator versions"] = [table.percentage(device, "older") for device in DEVICES]
    counts = [table.counts(device) for device in DEVICES]
    for k, title in enumerate(("operators' versions with every case", "with some", "with none")):
        rows[title] = [str(count[k]) for count in counts]
    light = {name: states for name, states in zoo.items() if name.startswith("light/")}
    for model in model_list.MODELS:
        if not model.name.startswith("light/"):
            rows[model.name] = [verdict(zoo[model.name][d]) for d in DEVICES] if model.name in zoo else None
    rows["light CNNs of ONNX"] = ["-" if all(s[d] == "-" for s in light.values()) else
                                  f"{sum(verdict(s[d]) == 'yes' for s in light.values())} of 9" for d in DEVICES] if light else None
    lines = ["", "| | " + " | ".join(DEVICES) + " |", "|---|" + "---|" * len(DEVICES)]
    for title, cells in rows.items():
        if cells or title in kept:
            lines.append(f"| {title} | {' | '.join(cells) if cells else kept[title]} |")
    return "\n".join([*lines, "", ""])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--readme", action="store_true")
    arguments = parser.parse_args()
    python_package()
    table, zoo = Table(), models()
    GENERATED.mkdir(exist_ok=True)
    (GENERATED / "onnx.md").write_text(table.page())
    (GENERATED / "models.md").write_text(model_page(zoo))
    for device in DEVICES:
        print(f"{device}: {table.percentage(device, 'all')} of the package's cases")
    print(f"{os.path.relpath(GENERATED)}: onnx.md, models.md ({len(zoo)} reports of models)")
    if arguments.readme:
        readme = ROOT / "README.md"
        head, rest = readme.read_text().split(BEGIN, 1)
        old, rest = rest.split(END, 1)
        readme.write_text(head + BEGIN + "\n" + short_table(table, zoo, old) + END + rest)
    return 0


if __name__ == "__main__":
    sys.exit(main())
