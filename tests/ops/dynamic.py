#!/usr/bin/env python3
# dynamic.py - sizes, branches and loops that only the running model knows.
#
# Licensed under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""dynamic.py [--device=cpu] [--filter=WORD] [-v]

The conformance cases give an operator's sizes once. Here one package, compiled
without a value of any input, is run on several inputs one after another, and
each result is compared with ONNX Runtime's: integers and shapes exactly, floats
within 1e-5.
"""

import argparse
import pathlib
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "harness"))
from aicc_testing import python_package, skip  # noqa: E402

try:
    import numpy as np
    import onnxruntime
    from onnx import TensorProto, helper, numpy_helper
except ImportError as missing:
    skip(f"{missing.name} is not installed")

python_package()
import aicc  # noqa: E402

F, I, B = TensorProto.FLOAT, TensorProto.INT64, TensorProto.BOOL
DTYPES = {F: np.float32, I: np.int64, B: np.bool_}
node = helper.make_node


def tensor(name, kind, dims):
    return helper.make_tensor_value_info(name, kind, dims)


def ints(*values):
    return np.array(values, np.int64)


def reals(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def constant(name, array):
    return numpy_helper.from_array(np.asarray(array), name)


def subgraph(name, nodes, inputs, outputs, initializers=()):
    return helper.make_graph(nodes, name, inputs, [helper.make_empty_tensor_value_info(o) for o in outputs],
                             list(initializers))


CASES = []


def case(name, nodes, inputs, outputs, feeds, initializers=(), opset=21):
    CASES.append((name, nodes, inputs, outputs, feeds, list(initializers), opset))


def selections():
    def mask(n, seed, rate=0.3):
        return (np.random.default_rng(seed).random(n) < rate).astype(np.float32)
    case("nonzero", [node("NonZero", ["x"], ["y"])], [tensor("x", F, ["a", "b"])], ["y"],
         [[mask((4, 5), 1)], [mask((3, 2), 2, 0)], [mask((70, 90), 3)], [mask((1, 1), 4, 1)], [mask((0, 3), 5)]])
    case("nonzero_fixed", [node("NonZero", ["x"], ["y"])], [tensor("x", F, [6000])], ["y"],
         [[mask(6000, s, r)] for s, r in ((1, 0.5), (2, 0), (3, 1))])
    case("compress", [node("Compress", ["x", "c"], ["y"], axis=1)],
         [tensor("x", F, [3, 5]), tensor("c", B, [4])], ["y"],
         [[reals(3, 5), np.array(c)] for c in ([True, False, True, True], [False] * 4)])
    # A longer condition has nothing to add, and only a run knows which it is.
    case("compress_either", [node("Compress", ["x", "c"], ["y"], axis=0)],
         [tensor("x", F, ["n", 2]), tensor("c", B, ["m"])], ["y"],
         [[reals(n, 2), mask(m, n + m, 0.7) > 0] for n, m in ((3, 6), (5, 2), (4, 4), (1, 9))])
    # Of nothing nothing is squeezed.
    case("squeeze_selected", [node("Compress", ["x", "c"], ["s"], axis=1), node("Squeeze", ["s"], ["y"])],
         [tensor("x", F, [1, 3, 2]), tensor("c", B, [3])], ["y"],
         [[reals(1, 3, 2), np.array(c)] for c in ([False] * 3, [True, False, True])])
    # What was selected goes on: its size is a dimension like any other.
    case("masked_softmax", [node("NonZero", ["c"], ["p"]), node("Squeeze", ["p", "zero"], ["q"]),
                            node("Gather", ["x", "q"], ["s"]), node("Softmax", ["s"], ["t"]),
                            node("MatMul", ["t", "w"], ["y"])],
         [tensor("x", F, ["n", 8]), tensor("c", B, ["n"]), tensor("w", F, [8, 3])], ["y"],
         [[reals(n, 8), mask(n, n) > 0, reals(8, 3)] for n in (5, 33, 1)], [constant("zero", ints(0))])
    for form, axis in (("flat", {}), ("rows", {"axis": 0}), ("columns", {"axis": -1})):
        for order in (0, 1):
            def data(shape, seed):
                return np.random.default_rng(seed).integers(0, 3, shape).astype(np.float32)
            case(f"unique_{form}_{'sorted' if order else 'as_found'}",
                 [node("Unique", ["x"], ["y", "first", "inverse", "counts"], sorted=order, **axis)],
                 [tensor("x", F, ["a", "b"])], ["y", "first", "inverse", "counts"],
                 [[data((5, 2), 1)], [data((1, 1), 2)], [data((40, 3), 3)]])


def reductions():
    case("clip_by_defaults", [node("Clip", ["x"], ["y"])], [tensor("x", F, ["n"])], ["y"],
         [[np.float32([np.inf, -np.inf, 3, -2e38])]], opset=7)
    # Of no axes: neither 0 nor infinite on the way.
    case("log_sum_exp_of_none", [node("ReduceLogSumExp", ["x"], ["y"], noop_with_empty_axes=1)],
         [tensor("x", F, ["n"])], ["y"], [[np.float32([-134121, 200, np.inf, -np.inf, 0, -1.5][:n])] for n in (6, 2)],
         opset=18)


def shapes():
    x = tensor("x", F, [2, 3, 4])
    one = [reals(2, 3, 4)]
    case("reshape", [node("Reshape", ["x", "s"], ["y"])], [x, tensor("s", I, [3])], ["y"],
         [one + [ints(*s)] for s in ([4, 3, 2], [0, -1, 1], [-1, 2, 6], [1, 24, 1])])
    case("reshape_part", [node("Concat", ["n", "rest"], ["s"], axis=0), node("Reshape", ["x", "s"], ["y"])],
         [x, tensor("n", I, [1])], ["y"], [one + [ints(s)] for s in (1, 2, 3, 6)], [constant("rest", ints(2, -1))])
    case("expand", [node("Expand", ["x", "s"], ["y"])], [tensor("x", F, [3, 1]), tensor("s", I, [3])], ["y"],
         [[reals(3, 1), ints(*s)] for s in ([2, 3, 4], [1, 1, 1], [5, 1, 2])])
    case("expand_dynamic", [node("Expand", ["x", "s"], ["y"])], [tensor("x", F, ["n", 2]), tensor("s", I, [2])], ["y"],
         [[reals(n, 2), ints(*s)] for n, s in ((1, [4, 2]), (3, [1, 1]), (3, [3, 2]))])
    # A scale whose inverse is no integer of 64 bits.
    case("resize_away", [node("Resize", ["x", "", "scales"], ["y"], mode="nearest")], [tensor("x", F, [1, 1, "n", 2])], ["y"],
         [[reals(1, 1, n, 2)] for n in (3, 1)], [constant("scales", np.float32([1, 1, 2.0**-126, 1]))])
    case("tile", [node("Tile", ["x", "r"], ["y"])], [x, tensor("r", I, [3])], ["y"],
         [one + [ints(*r)] for r in ([1, 2, 3], [2, 1, 1], [1, 0, 1])])
    case("fill", [node("ConstantOfShape", ["s"], ["y"], value=helper.make_tensor("", I, [1], [7]))],
         [tensor("s", I, [2])], ["y"], [[ints(2, 3)], [ints(0, 4)], [ints(5, 1)]])
    case("range", [node("Range", ["a", "b", "d"], ["y"])], [tensor(k, I, []) for k in "abd"], ["y"],
         [[np.int64(v) for v in t] for t in ((0, 5, 1), (10, 2, -3), (3, 3, 1), (5, 0, 2), (-4, 7, 4))])
    case("range_float", [node("Range", ["a", "b", "d"], ["y"])], [tensor(k, F, []) for k in "abd"], ["y"],
         [[np.float32(v) for v in t] for t in ((0, 2, 0.5), (1, -1, -0.25), (0, 0, 1))])
    case("expand_found", [node("Unique", ["x"], ["u"]), node("Expand", ["u", "s"], ["y"])], [tensor("x", F, ["n"])], ["y"],
         [[np.float32([1, 1])], [np.float32([3, 1, 2, 4, 1])]], [constant("s", ints(2, 4))])
    # Keys of one batch are every query's. ONNX Runtime's kernels refuse that, but for this version it has the definition.
    case("attention_one_batch", [node("Attention", ["q", "k", "v"], ["y", "", "", "scores"], is_causal=1)],
         [tensor("q", F, ["n", 4, 3, 4]), tensor("k", F, [1, 2, 5, 4]), tensor("v", F, [1, 2, 5, 4])], ["y", "scores"],
         [[reals(n, 4, 3, 4), reals(1, 2, 5, 4, seed=1), reals(1, 2, 5, 4, seed=2)] for n in (6, 1)], opset=26)
    # Half of a size, rounded up, wherever a kernel computes it.
    half = [constant("first", ints(0)), constant("last", ints(2 ** 63 - 1)), constant("step", ints(2))]
    for op in ("NonZero", "Unique", "Softmax"):
        case(f"half_{op}", [node("Slice", ["x", "first", "last", "first", "step"], ["s"]), node(op, ["s"], ["y"])],
             [tensor("x", F, ["n"])], ["y"], [[np.abs(reals(n, seed=n)) + 1] for n in (7, 8, 9, 3, 1, 129)], half)
    for name, a, b, d in (("outside", 4, 9, 1), ("backwards", 4, -1, -1), ("from_the_end", -3, -1, 1), ("all", 0, 2 ** 62, 2)):
        case(f"slice_of_found_{name}", [node("NonZero", ["x"], ["p"]), node("Slice", ["p", "a", "b", "axes", "d"], ["y"])],
             [tensor("x", F, ["n"])], ["y"], [[(reals(n, seed=n) > 0).astype(np.float32)] for n in (3, 9, 20, 0)],
             [constant("a", ints(a)), constant("b", ints(b)), constant("d", ints(d)), constant("axes", ints(1))])
    case("slice", [node("Slice", ["x", "a", "b", "axes", "d"], ["y"])],
         [x] + [tensor(k, I, [2]) for k in "abd"], ["y"],
         [one + [ints(*a), ints(*b), ints(*d)] for a, b, d in
          (([0, 1], [2, 3], [1, 1]), ([-2, 0], [2**62, -1], [1, 2]), ([5, -1], [-9, -9], [-1, -2]), ([2, 1], [1, 1], [1, 1]))],
         [constant("axes", ints(1, -1))])
    for mode in ("constant", "edge", "reflect", "wrap"):
        case(f"pad_{mode}", [node("Pad", ["x", "p"], ["y"], mode=mode)], [x, tensor("p", I, [6])], ["y"],
             [one + [ints(*p)] for p in ([0, 1, 2, 1, 0, 1], [1, 0, 0, 0, 2, 3])])
    case("pad_crop", [node("Pad", ["x", "p"], ["y"])], [x, tensor("p", I, [6])], ["y"],
         [one + [ints(*p)] for p in ([0, -1, 2, 1, 0, -3], [0, -1, -1, 0, -2, 0])])
    case("split", [node("Split", ["x", "s"], ["u", "v"], axis=1)], [x, tensor("s", I, [2])], ["u", "v"],
         [one + [ints(*s)] for s in ([1, 2], [3, 0], [0, 3])])
    case("topk", [node("TopK", ["x", "k"], ["v", "i"])], [x, tensor("k", I, [1])], ["v", "i"],
         [one + [ints(k)] for k in (1, 3, 4, 0)])
    case("onehot", [node("OneHot", ["i", "d", "v"], ["y"])],
         [tensor("i", I, [3]), tensor("d", I, []), tensor("v", F, [2])], ["y"],
         [[ints(0, 2, 5), np.int64(d), np.float32([0, 1])] for d in (3, 6)])
    case("broadcast", [node("NonZero", ["c"], ["p"]), node("Squeeze", ["p", "zero"], ["q"]),
                       node("Cast", ["q"], ["f"], to=F), node("Add", ["f", "x"], ["y"])],
         [tensor("c", B, [4]), tensor("x", F, [3, 1])], ["y"],
         [[np.array(c), reals(3, 1)] for c in ([True, True, False, True], [False] * 4, [True] + [False] * 3)],
         [constant("zero", ints(0))])


def branches():
    x = tensor("x", F, ["n", 4])
    then = subgraph("then", [node("Exp", ["x"], ["t"])], [], ["t"])
    other = subgraph("other", [node("Neg", ["x"], ["e"])], [], ["e"])
    flags = (np.array(True), np.array(False))
    case("if", [node("If", ["c"], ["y"], then_branch=then, else_branch=other)], [tensor("c", B, []), x], ["y"],
         [[c, reals(n, 4)] for c in flags for n in (3, 1)])
    shorter = subgraph("other", [node("ReduceSum", ["x", "zero"], ["e"])], [], ["e"])
    case("if_sizes", [node("If", ["c"], ["r"], then_branch=then, else_branch=shorter), node("Relu", ["r"], ["y"])],
         [tensor("c", B, []), x], ["y"], [[c, reals(n, 4)] for c in flags for n in (3, 1)],
         [constant("zero", ints(0))])
    found = subgraph("other", [node("NonZero", ["x"], ["p"]), node("Cast", ["p"], ["e"], to=F)], [], ["e"])
    case("if_nonzero", [node("If", ["c"], ["y"], then_branch=then, else_branch=found)], [tensor("c", B, []), x], ["y"],
         [[c, np.float32([[1, 0, 2, 0], [0, 0, 3, 0]])] for c in flags])
    # Ranks that differ by ones in front, which broadcasting does not see.
    flat = subgraph("other", [node("ReduceMax", ["s"], ["e"], keepdims=0)], [], ["e"])
    whole = subgraph("then", [node("Exp", ["s"], ["t"])], [], ["t"])
    case("if_ranks", [node("If", ["c"], ["r"], then_branch=whole, else_branch=flat), node("Neg", ["r"], ["m"]),
                      node("Mul", ["x", "m"], ["y"])],
         [tensor("c", B, []), tensor("s", F, [1]), x], ["y"], [[c, reals(1), reals(3, 4)] for c in flags])
    captured = subgraph("then", [node("Identity", ["x"], ["k"])], [], ["k"])
    nested = subgraph("other", [node("If", ["d"], ["m"], then_branch=then, else_branch=other)], [], ["m"])
    case("if_nested", [node("If", ["c"], ["y"], then_branch=captured, else_branch=nested)],
         [tensor("c", B, []), tensor("d", B, []), x], ["y"],
         [[c, d, reals(2, 4)] for c in flags for d in flags])


def loops():
    header = [tensor("i", I, []), tensor("go", B, [])]
    state = [tensor("s", F, ["n"])]
    step = [node("Cast", ["i"], ["f"], to=F), node("Add", ["s", "f"], ["next"]), node("Mul", ["next", "two"], ["row"])]
    two = [constant("two", np.float32(2))]
    body = subgraph("body", step + [node("Identity", ["go"], ["more"])], header + state, ["more", "next", "row"])
    count = [np.int64(v) for v in (3, 0, 1, 300)]
    case("loop_count", [node("Loop", ["m", "", "x"], ["last", "rows"], body=body)],
         [tensor("m", I, []), tensor("x", F, ["n"])], ["last", "rows"], [[m, reals(2)] for m in count], two)
    case("loop_fixed", [node("Loop", ["m", "", "x"], ["last", "rows"], body=body)],
         [tensor("x", F, ["n"])], ["last", "rows"], [[reals(2)], [reals(5)]], two + [constant("m", np.int64(300))])
    until = subgraph("body", step + [node("ReduceSum", ["next"], ["total"], keepdims=0),
                                     node("Less", ["total", "limit"], ["more"])],
                     header + state, ["more", "next", "row"])
    most = constant("most", np.int64(2**62))
    case("loop_while", [node("Loop", ["most", "c", "x"], ["last", "rows"], body=until)],
         [tensor("x", F, ["n"]), tensor("limit", F, []), tensor("c", B, [])], ["last", "rows"],
         [[reals(n), np.float32(v), np.array(c)] for n, v, c in ((2, 10, True), (3, -50, True), (2, 10, False), (1, 90, True))],
         two + [most])
    plain = subgraph("body", until.node, header + state, ["more", "next"])
    case("loop_while_state", [node("Loop", ["", "c", "x"], ["last"], body=plain)],
         [tensor("x", F, ["n"]), tensor("limit", F, []), tensor("c", B, [])], ["last"],
         [[reals(2), np.float32(v), np.array(c)] for v, c in ((10, True), (10, False))], two)
    inner = subgraph("inner", [node("Add", ["t", "i"], ["u"]), node("Identity", ["g"], ["h"])],
                     [tensor("j", I, []), tensor("g", B, []), tensor("t", I, [])], ["h", "u"])
    outer = subgraph("body", [node("Loop", ["i", "", "s"], ["next"], body=inner), node("Identity", ["go"], ["more"])],
                     header + [tensor("s", I, [])], ["more", "next"])
    case("loop_nested", [node("Loop", ["m", "", "x"], ["y"], body=outer)], [tensor("m", I, []), tensor("x", I, [])],
         ["y"], [[m, np.int64(1)] for m in count[:3]])
    pick = subgraph("body", [node("Greater", ["i", "one"], ["late"]),
                             node("If", ["late"], ["next"],
                                  then_branch=subgraph("then", [node("Neg", ["s"], ["a"])], [], ["a"]),
                                  else_branch=subgraph("other", [node("Add", ["s", "s"], ["b"])], [], ["b"])),
                             node("Identity", ["go"], ["more"])], header + state, ["more", "next"])
    case("loop_if", [node("Loop", ["m", "", "x"], ["y"], body=pick)], [tensor("m", I, []), tensor("x", F, ["n"])], ["y"],
         [[m, reals(3)] for m in count[:3]], [constant("one", np.int64(1))])
    row = subgraph("body", [node("Add", ["s", "r"], ["next"]), node("Identity", ["next"], ["out"])],
                   [tensor("s", F, [4]), tensor("r", F, [4])], ["next", "out"])
    # Version 8 takes lengths; what is scanned backwards ends there, too.
    pair = subgraph("body", [node("Add", ["s", "r"], ["next"]), node("Sub", ["next", "q"], ["out"])],
                    [tensor("s", F, [4]), tensor("r", F, [4]), tensor("q", F, [4])], ["next", "out"])
    case("scan_lengths", [node("Scan", ["lengths", "s0", "x", "z"], ["last", "all"], body=pair, num_scan_inputs=2,
                               directions=[0, 1])],
         [tensor("lengths", I, [3]), tensor("s0", F, [3, 4]), tensor("x", F, [3, 5, 4]), tensor("z", F, [3, 5, 4])],
         ["last", "all"], [[ints(*lengths), reals(3, 4), reals(3, 5, 4, seed=1), reals(3, 5, 4, seed=2)]
                           for lengths in ([5, 2, 4], [1, 5, 3])], opset=8)
    case("scan", [node("Scan", ["s0", "x"], ["last", "all"], body=row, num_scan_inputs=1)],
         [tensor("s0", F, [4]), tensor("x", F, ["n", 4])], ["last", "all"], [[reals(4), reals(n, 4)] for n in (3, 1, 7)])


def agree(have, want):
    want = np.asarray(want)
    # Of what no trip of a loop stacked ONNX Runtime doesn't know the other sizes.
    if have.size == want.size == 0 and have.shape[:1] == want.shape[:1] == (0,) and have.dtype == want.dtype:
        return None
    if have.shape != want.shape or have.dtype != want.dtype:
        return f"{have.dtype}{list(have.shape)}, expected {want.dtype}{list(want.shape)}"
    if not np.allclose(have, want, rtol=1e-5, atol=1e-5, equal_nan=True):
        return f"{have.ravel()[:8]}, expected {want.ravel()[:8]}"
    return None


def run(device, name, nodes, inputs, outputs, feeds, initializers, opset):
    graph = helper.make_graph(nodes, name, inputs, [helper.make_empty_tensor_value_info(o) for o in outputs], initializers)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=10)
    reference = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    try:
        package = aicc.compile(model, targets="cpu:native" if device == "cpu" else device, jobs=1, cache=False)
        session = package.session(device, 1)
    except aicc.Error as problem:
        return str(problem)
    for k, values in enumerate(feeds):
        values = {i.name: np.asarray(v) for i, v in zip(inputs, values)}
        try:
            results = session.run(values)
        except aicc.Error as problem:
            return f"inputs {k}: {problem}"
        found = {port.name: aicc.to_numpy(result) for port, result in zip(package.outputs, results)}
        for output, want in zip(outputs, reference.run(None, values)):
            if wrong := agree(found[output], want):
                return f"inputs {k}: {output} is {wrong}"
    return None


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--filter", default="")
    parser.add_argument("-v", "--verbose", action="store_true")
    options = parser.parse_args()
    for family in (selections, reductions, shapes, branches, loops):
        family()
    failed = total = 0
    for name, *rest in CASES:
        if options.filter not in name:
            continue
        total += 1
        problem = run(options.device, name, *rest)
        if problem or options.verbose:
            print(f"{name}: {problem or 'passes'}", flush=True)
        failed += problem is not None
    print(f"{options.device}: {total - failed} of {total} cases pass")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
