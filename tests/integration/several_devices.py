#!/usr/bin/env python3
# several_devices.py - a model cut between devices gives the same numbers.
#
# Licensed under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""several_devices.py [--models=NAME,...] [--seeds=N] [--devices=FAMILY+FAMILY,...]

Each model is compiled for a set of targets with its nodes placed by chance, in
runs of neighbours and one by one, and for the CPU alone. aicc-run compares every
tensor that exists on both sides, by the bounds of same_numbers.py. Models are
the digits of examples/, some made here (branches, loops, sizes that a run finds
out, strings, a weight and an input that all devices need), and with their names
given, those of tests/models/small.py. Libraries that stand in for the vendors'
give two devices of one driver, which copy to each other. Then what is wrong with
a placement is told in one line.
"""

import argparse
import importlib.util
import json
import os
import pathlib
import random
import re
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent / "harness"), str(HERE.parent / "models")]
from aicc_testing import BUILD, ROOT, call, has_device, last_line, program, skip  # noqa: E402

for module in ("numpy", "onnx"):
    if importlib.util.find_spec(module) is None:
        skip(f"no Python module {module}")

import numpy  # noqa: E402
import onnx  # noqa: E402
from onnx import TensorProto, helper, numpy_helper  # noqa: E402

DIGITS = ROOT / "examples" / "digits" / "digits.onnx"
SETS = ["cpu+intel", "cpu+cuda:virtual", "intel+cpu", "cpu+intel+rocm:virtual"]
# One chip of each, so that a package has one variant for a set.
CHIPS = {"cpu": "cpu:x86-64-v3", "intel": "intel", "cuda:virtual": "cuda:virtual:sm_80",
         "rocm:virtual": "rocm:virtual:gfx1100"}
SECONDS = 300


def node(kind, inputs, outputs, **attributes):
    outputs = outputs.split()
    return helper.make_node(kind, inputs.split(), outputs, name="n_" + outputs[0], **attributes)


def constant(name, value):
    return numpy_helper.from_array(numpy.asarray(value), name)


def weights(name, *shape):
    return constant(name, numpy.random.default_rng(len(name)).standard_normal(shape).astype(numpy.float32) / 4)


def model(nodes, inputs, outputs, given=(), types={}):
    def ports(shapes):
        return [helper.make_tensor_value_info(name, types.get(name, TensorProto.FLOAT), shape)
                for name, shape in shapes.items()]

    graph = helper.make_graph(nodes, "cut", ports(inputs), ports(outputs), list(given))
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)


def shared():
    """An input, a weight and a value that every device may need; an output that is another's operand."""
    nodes = [node("MatMul", "x w", "a"), node("Relu", "a", "b"), node("MatMul", "b w", "c"), node("Add", "c x", "d"),
             node("MatMul", "d w", "e"), node("Reshape", "e flat", "f"), node("Tanh", "f", "g"),
             node("Reshape", "g square", "h"), node("Mul", "h b", "i"), node("Sub", "i d", "y")]
    return model(nodes, {"x": ["n", 16]}, {"y": ["n", 16], "d": ["n", 16]},
                 [weights("w", 16, 16), constant("flat", numpy.array([-1], numpy.int64)),
                  constant("square", numpy.array([-1, 16], numpy.int64))])


def branches():
    """A condition that a device computes, and both ways in several nodes."""
    def way(name, kind):
        inner = [node("MatMul", "b w", name + "1"), node(kind, name + "1", name + "2"),
                 node("Add", f"{name}2 x", name + "3")]
        result = helper.make_tensor_value_info(name + "3", TensorProto.FLOAT, [4, 16])
        return helper.make_graph(inner, name, [], [result])

    nodes = [node("MatMul", "x w", "a"), node("Sigmoid", "a", "b"), node("ReduceSum", "x", "sum", keepdims=0),
             node("Greater", "sum zero", "positive"),
             node("If", "positive", "c", then_branch=way("t", "Relu"), else_branch=way("o", "Neg")),
             node("MatMul", "c w", "y")]
    return model(nodes, {"x": [4, 16]}, {"y": [4, 16]}, [weights("w", 16, 16), constant("zero", numpy.float32(0))])


def loops():
    """Values carried through a loop, and a result of each iteration."""
    value = helper.make_tensor_value_info
    inner = helper.make_graph(
        [node("MatMul", "state w", "p"), node("Tanh", "p", "q"), node("Add", "q x", "next"),
         node("ReduceMax", "next", "most", keepdims=0), node("Identity", "going", "goes_on")],
        "body", [value("i", TensorProto.INT64, []), value("going", TensorProto.BOOL, []),
                 value("state", TensorProto.FLOAT, [4, 16])],
        [value("goes_on", TensorProto.BOOL, []), value("next", TensorProto.FLOAT, [4, 16]),
         value("most", TensorProto.FLOAT, [])])
    nodes = [node("Neg", "x", "start"), helper.make_node("Loop", ["count", "true", "start"], ["last", "largest"],
                                                         name="n_loop", body=inner),
             node("MatMul", "last w", "y")]
    return model(nodes, {"x": [4, 16]}, {"y": [4, 16], "largest": [5]},
                 [weights("w", 16, 16), constant("count", numpy.int64(5)), constant("true", numpy.array(True))])


def found_out():
    """The number of positive elements is known only when the model runs."""
    nodes = [node("Mul", "x x", "squares"), node("Sub", "squares x", "shifted"), node("NonZero", "kept", "places"),
             node("Greater", "shifted half", "kept"), node("Transpose", "places", "rows", perm=[1, 0]),
             node("GatherND", "shifted rows", "some"), node("Exp", "some", "grown"), node("Add", "grown some", "y")]
    nodes[2], nodes[3] = nodes[3], nodes[2]
    return model(nodes, {"x": ["n", 8]}, {"y": ["k"]}, [constant("half", numpy.float32(0.5))])


def strings():
    """A function of the host, whose operand another device may have computed."""
    nodes = [node("MatMul", "x w", "a"), node("Round", "a", "b"), node("Cast", "b", "text", to=TensorProto.STRING),
             node("Cast", "text", "back", to=TensorProto.FLOAT), node("MatMul", "back w", "y")]
    return model(nodes, {"x": [3, 16]}, {"y": [3, 16]}, [weights("w", 16, 16)])


MADE = {"shared": shared, "branches": branches, "loops": loops, "found_out": found_out, "strings": strings}
# Their nodes that only a CPU can do.
HOST = {"strings": ["n_text", "n_back"]}
INPUTS = {"digits": ["--random", "--dim=batch=3"], "shared": ["--random", "--dim=n=5"],
          "found_out": ["--random", "--dim=n=7"]}


def names(graph):
    for each in graph.node:
        yield each.name
        for attribute in each.attribute:
            if attribute.HasField("g"):
                yield from names(attribute.g)


def placement(nodes, families, chance):
    """Options that put every node somewhere: runs of neighbours, or each by itself."""
    places, at = {}, 0
    longest = chance.choice([1, 4, max(1, len(nodes) // 3)])
    while at < len(nodes):
        family = chance.choice(families)
        for _ in range(chance.randint(1, longest)):
            if at < len(nodes):
                places.setdefault(family, []).append(nodes[at])
                at += 1
    return ["--place=^(" + "|".join(map(re.escape, of)) + f")$={family}" for family, of in places.items()]


class Table:
    failed = 0

    def row(self, what, state, detail):
        self.failed += state == "FAILED"
        print(f"{what:44s} {state:7s} {detail}", flush=True)


def compare(table, what, path, families, devices, options, inputs, folder):
    package = folder / "cut.aicc"
    targets = "+".join(CHIPS[family] for family in families)
    status, _, err = call(program("aicc"), path, f"--target={targets},{CHIPS['cpu']}", *options, "-o", package,
                          timeout=SECONDS)
    if status:
        return table.row(what, "FAILED", f"aicc: exit {status}: {last_line(err)}")
    status, out, err = call(program("aicc-run"), package, f"--compare-devices=cpu,{'+'.join(devices)}", "--json",
                            *inputs, timeout=SECONDS)
    try:
        values = json.loads(out)["values"]
    except json.JSONDecodeError:
        return table.row(what, "FAILED", f"aicc-run: exit {status}: {last_line(err)}")
    wrong = [value for value in values if not value["equal"]]
    if status or wrong or not any(value["output"] for value in values):
        reason = f"'{wrong[0]['tensor']}' differs: {wrong[0]['reason']}" if wrong else last_line(err)
        return table.row(what, "FAILED", f"{len(wrong)} of {len(values)} tensors: {reason}; {' '.join(options)}")
    worst = max((value["difference"] for value in values if value["difference"] is not None), default=0.0)
    table.row(what, "ok", f"{worst:.1e} apart at most in {len(values)} tensors")


def peers(table, folder):
    """Two devices of one driver, with and without a third; places are numbers."""
    path = folder / "shared.onnx"
    onnx.save(shared(), path)
    for library, variable, family in (("cuda", "AICC_CUDA_LIBRARY", "cuda:virtual"),
                                      ("hip", "AICC_HIP_LIBRARY", "rocm:virtual")):
        stand_in = BUILD / "lib" / f"libaicc_virtual_{library}.so"
        if not stand_in.exists():
            table.row(f"two of {family}", "SKIP", f"no {stand_in.name}")
            continue
        os.environ.update({variable: str(stand_in), "AICC_VIRTUAL_DEVICES": "2"})
        two = [f"{family}:0", f"{family}:1"]
        for families, devices in (([family] * 2, two), (["cpu", family, family], ["cpu", *two])):
            for name, file in (("shared", path), ("digits", DIGITS)):
                nodes = list(names(onnx.load(file).graph))
                options = placement(nodes, [str(i) for i in range(len(families))], random.Random(library + name))
                compare(table, f"{name} on {'+'.join(devices)}", file, families, devices, options, INPUTS[name], folder)
        del os.environ[variable], os.environ["AICC_VIRTUAL_DEVICES"]


def wrong_placements(table, folder):
    path = folder / "shared.onnx"
    onnx.save(shared(), path)

    def says(what, status, words, *options):
        found, _, err = call(program("aicc"), path, *options, "-o", folder / "no.aicc", timeout=SECONDS)
        lines = [line for line in err.splitlines() if line.strip()]
        good = found == status and len(lines) == 1 and all(word in lines[0] for word in words)
        table.row(what, "ok" if good else "FAILED", f"{found}: {' / '.join(lines)}")

    says("a pattern without a node", 1, ["nothing_like_it", "matches none", "10 nodes"], "--target=cpu+intel",
         "--place=nothing_like_it=intel")
    says("a family that isn't in the set", 2, ["rocm", "cpu, intel"], "--target=cpu+intel", "--place=n_a=rocm")
    says("no regular expression", 2, ["n_(", "regular expression"], "--target=cpu+intel", "--place=n_(=intel")
    says("no family", 2, ["REGEX=FAMILY"], "--target=cpu+intel", "--place=n_a")
    says("no set", 2, ["needs a set"], "--target=cpu", "--place=n_a=cpu")
    says("an unknown member", 2, ["nonsense"], "--target=cpu+nonsense")
    says("an empty member", 2, ["empty name"], "--target=cpu+")
    says("too many combinations", 2, ["combinations of chips"], "--target=" + "+".join(["cpu"] * 30))
    says("two of a family", 2, ["several", "number"], "--target=cpu:x86-64-v3+cpu:x86-64-v3", "--place=n_a=cpu")
    annotated = shared()
    entry = annotated.graph.node[3].metadata_props.add()
    entry.key, entry.value = "aicc.device", "rocm"
    onnx.save(annotated, path)
    says("an attribute that isn't in the set", 1, ["n_d", "aicc.device", "rocm", "cpu, intel"], "--target=cpu+intel")
    onnx.save(strings(), path)
    says("strings elsewhere than on the host", 1, ["n_text", "intel"], "--target=cpu+intel", "--place=n_text=intel")


def by_attribute(table, folder):
    """A node's metadata says where it is, a pattern overrules it, and one device takes all."""
    proto = shared()
    for each in proto.graph.node[2:5]:
        entry = each.metadata_props.add()
        entry.key, entry.value = "aicc.device", "intel"
    path, package = folder / "annotated.onnx", folder / "annotated.aicc"
    onnx.save(proto, path)
    chip = CHIPS["cpu"]
    for options, expected in (([f"--target={chip}+intel"], 3), ([f"--target={chip}+intel", "--place=n_c=cpu"], 2),
                              ([f"--target={chip}"], None)):
        status, _, err = call(program("aicc"), path, *options, "-v", "-o", package, timeout=SECONDS)
        if status:
            table.row("by attribute", "FAILED", last_line(err))
            continue
        place, placed = None, {}
        for line in err.splitlines():
            if re.match(r"\S+: \d+ kernels", line):
                place = line.split(":")[0]
            for name in re.findall(r" (n_\w+)", line):
                placed.setdefault(name, place)
        found = [name for name, where in placed.items() if where == "intel"]
        wanted = [] if expected is None else ["n_c", "n_d", "n_e"][3 - expected:]
        table.row("by attribute", "ok" if found == wanted else "FAILED", f"{' '.join(options)}: {found} on intel")
    # What is inside of a node is where that is, unless it says another.
    proto = loops()
    inside = next(each for each in proto.graph.node if each.name == "n_loop")
    for each, value in ((inside, "intel"), (inside.attribute[0].g.node[1], "cpu")):
        entry = each.metadata_props.add()
        entry.key, entry.value = "aicc.device", value
    onnx.save(proto, path)
    _, out, err = call(program("aicc"), path, "--emit=import", "-o", "-", timeout=SECONDS)
    found = dict(re.findall(r'(\w+) = "(\w+)"', (re.findall(r"graph.devices = {(.*?)}", out) or [""])[0]))
    wanted = {"n_loop": "intel", "n_p": "intel", "n_q": "cpu", "n_next": "intel", "n_most": "intel",
              "n_goes_on": "intel"}
    table.row("by attribute, inside", "ok" if found == wanted else "FAILED", f"{found} {last_line(err)}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", default="digits," + ",".join(MADE))
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--devices", default=",".join(SETS))
    arguments = parser.parse_args()
    program("aicc"), program("aicc-run")
    table = Table()
    sets = []
    for each in arguments.devices.split(","):
        missing = [family for family in each.split("+") if not has_device(family)]
        if missing:
            table.row(each, "SKIP", f"aicc-run lists no {missing[0]} device")
        else:
            sets.append(each.split("+"))
    with tempfile.TemporaryDirectory() as temporary:
        folder = pathlib.Path(temporary)
        for name in arguments.models.split(","):
            inputs = INPUTS.get(name, ["--random"])
            if name == "digits":
                path = DIGITS
            elif name in MADE:
                path = folder / f"{name}.onnx"
                onnx.save(MADE[name](), path)
            else:
                from same_numbers import exported

                where, record = exported(name)
                path = where / "model.onnx"
                inputs = [option for port in record["inputs"]
                          for option in ("--input", f"{port['name']}={where / 'run_0' / (port['name'] + '.npy')}")]
            nodes = [each for each in names(onnx.load(path, load_external_data=False).graph) if each]
            for families in sets:
                for seed in range(arguments.seeds):
                    options = placement(nodes, families, random.Random(f"{name} {families} {seed}"))
                    if name in HOST:
                        options.append("--place=^(" + "|".join(HOST[name]) + ")$=cpu")
                    compare(table, f"{name} on {'+'.join(families)}, {seed}", path, families, families, options,
                            inputs, folder)
        peers(table, folder)
        wrong_placements(table, folder)
        if has_device("intel"):
            by_attribute(table, folder)
    return 1 if table.failed else 0


if __name__ == "__main__":
    sys.exit(main())
