#!/usr/bin/env python3
# run.py - random graphs on aicc, beside ONNX Runtime and onnx's reference.
#
# Licensed under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""run.py [--count=200] [--seed=1] [--device=cpu] [--only=K] [--jobs=N]

Graph K of a seed is always the same. A result is right if it is that of ONNX
Runtime or of onnx.reference, within what rounding can do to it: an element's
tolerance is the suite's own plus a multiple of how far the reference's result
moves when the inputs are changed by a rounding, and of how far the two
references are apart. Elements that such a change turns into something else (an
index, a comparison of neighbours) are not compared; nor are graphs wrong whose
nodes are all right by a reference that is given our operands of the node.

A graph that aicc refuses is counted; refusals in other words than "unsupported
operator" are errors, as are crashes, but for a node that says that its operands
don't fit where ONNX Runtime refuses the graph, too. Failing cases are left in
build/fuzz/SEED-K with inputs and expected outputs; the first node whose value is
wrong is named. UNSURE is what differs at a node that no reference can run alone;
it fails as well.

With --device=cpu+intel every node is on one of the two, by chance.
"""

import argparse
import collections
import functools
import importlib.util
import os
import pathlib
import re
import shutil
import sys
import time
import warnings
import zlib

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "harness")]
from aicc_testing import BUILD, environment, has_device, python_package, skip  # noqa: E402
from aicc_workers import run_all  # noqa: E402

CASE_SECONDS = 120
# Of each type: relative, and relative to the largest value of the array.
TOLERANCES = {"float64": (1e-3, 1e-7), "float32": (1e-3, 1e-5), "float16": (2e-2, 4e-3)}
ROUNDING = {"float64": 1e-6, "float32": 1e-6, "float16": 1e-3}
# What a node says of operands that are none of its definition. Only importers name
# node and operator so: a verifier that objects to what they made is an error.
MISFIT = re.compile(r'node "[^"]*" \(\w+\): .*(cannot broadcast|does not fit|expected equal sizes|'
                    r"is larger than the padded operand|is not a multiple of)")
WHOLE = "WRONG", "only in the whole graph"


class Wrong(Exception):
    pass


def rounded(array, rng):
    """An array after some roundings."""
    import numpy

    if not isinstance(array, (numpy.ndarray, numpy.generic)) or array.dtype.name not in ROUNDING:
        return array
    return numpy.asarray(array * (1 + ROUNDING[array.dtype.name] * rng.choice([-1, 1], array.shape))).astype(array.dtype)


def perturbed(arrays, seed):
    """The arrays after some roundings."""
    import numpy

    rng = numpy.random.default_rng(seed)
    return {name: rounded(array, rng) for name, array in arrays.items()}


class Oracle:
    """What the references say of a model on inputs."""

    def __init__(self, model, inputs):
        import graphs
        import numpy
        from onnx import numpy_helper

        self.model, self.inputs = model, inputs
        self.reference = self._try(lambda: graphs.evaluate(model, inputs))
        self.runtime = self._try(lambda: self._run_onnxruntime(model, inputs))
        # The reference has the newest meaning only of what changed in version 13.
        # Its indices of maxima are not those of the operand, and of as many channels
        # as there are batches LRN sums the neighbours, of no others.
        amiss = any(node.op_type == "LRN" or node.op_type == "MaxPool" and len(node.output) > 1
                    for node in model.graph.node)
        if self.runtime is None and (model.opset_import[0].version < 13 or amiss):
            self.reference = None
        # The model and its inputs after roundings, and what the reference (None where it can't) and we make of them.
        self.changed, self.own, self.alone, self.noisy = [], None, {}, []
        for seed in range(3):
            changed = type(model)()
            changed.CopyFrom(model)
            constants = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
            del changed.graph.initializer[:]
            changed.graph.initializer.extend(numpy_helper.from_array(numpy.asarray(array), name)
                                             for name, array in perturbed(constants, seed).items())
            self.changed.append((changed, perturbed(inputs, seed)))
        self.moved = [self._try(lambda case=case: graphs.evaluate(*case)) for case in self.changed]

    @staticmethod
    def _try(function):
        try:
            return function()
        except Exception:  # Whatever a reference can't do.
            return None

    @staticmethod
    def _run_onnxruntime(model, inputs):
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.log_severity_level = 4
        options.intra_op_num_threads = 1
        # As the model says: its own fusions round otherwise.
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
        session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
        return session.run(None, inputs)

    def round_nodes(self):
        """From now on the nodes' results are rounded, too, and not the inputs alone: a maximum among values that are
        equal but for the order of a sum before them (Hardmax, ArgMax) stays where it is however the inputs move."""
        import graphs
        import numpy

        for seed in range(128):
            change = functools.partial(rounded, rng=numpy.random.default_rng(seed))
            answer = self._try(lambda change=change: graphs.evaluate(self.model, self.inputs, change))
            if answer is not None:
                self.noisy.append(answer)

    def check(self, found, run=None):
        """Raises Wrong unless `found` is right."""
        for k, problem in self.problems(found, run).items():
            raise Wrong(f"output {k}: {problem}")

    def problems(self, found, run=None):
        """What is wrong with outputs, by each of the references. `run(model, inputs)` computes them after roundings."""
        result = {}
        for k, array in enumerate(found):
            answers = [answer for answer in (self.reference, self.runtime) if answer is not None]
            problems = [self._difference(k, array, answer[k], run) for answer in answers]
            if all(problems) and self.runtime is None:
                problems += self._differences_alone(k, array, run)
            if all(problems):
                result[k] = problems[0] if problems else "no reference can run it"
        return result

    def _own(self, k, run):
        """Our outputs k after the same roundings as the reference's."""
        import numpy

        if run is None:
            return []
        if self.own is None:
            self.own = [run(*case) for case in self.changed]
        return [numpy.asarray(results[k]) for results in self.own]

    def _moves_shape(self, k, found, run):
        """Whether a rounding changes the shape of our output and of the reference's."""
        return self.reference is not None and any(
            theirs is not None and theirs[k].shape != self.reference[k].shape and ours.shape != found.shape
            for ours, theirs in zip(self._own(k, run), self.moved))

    def _differences_alone(self, k, found, run):
        """Of an output and what ONNX Runtime says of it alone: the other nodes are what it can't run."""
        import graphs

        def alone():
            part = graphs.cut(self.model, [self.model.graph.output[k].name])
            return self._run_onnxruntime(part, {port.name: self.inputs[port.name] for port in part.graph.input})[0]

        answer = self._try(alone)
        if answer is None:
            return []
        self.alone[k] = answer
        return [self._difference(k, found, answer, run)]

    def _difference(self, k, found, expected, run):
        import numpy

        found, expected = numpy.asarray(found), numpy.asarray(expected)
        others = [numpy.asarray(answer[k]) for answer in [*self.moved, self.reference, self.runtime] if answer is not None]
        others += [numpy.asarray(self.alone[k])] if k in self.alone else []
        if found.dtype != expected.dtype or found.shape != expected.shape:
            # How many elements there are may be a matter of rounding; then there are as many as in another run.
            alike = [other for other in others if other.dtype == found.dtype and other.shape == found.shape]
            if alike:
                expected = alike[0]
            elif found.dtype == expected.dtype and self._moves_shape(k, found, run):
                return None
            else:
                return f"{found.dtype}{list(found.shape)}, expected {expected.dtype}{list(expected.shape)}"
        others = [other for other in others if other.shape == found.shape]
        noisy = [array for array in (numpy.asarray(answer[k]) for answer in self.noisy) if array.shape == found.shape]
        if not found.size:
            return None
        if expected.dtype.name not in TOLERANCES:
            firm = numpy.ones(expected.shape, bool)
            for other in [*others, *noisy]:
                firm &= other == expected
            bad = firm & (found != expected)
            # An index or comparison that roundings move here, but not in the reference (which rounds otherwise before
            # it), may differ only if one of them moves it to the reference's value: that both change isn't enough.
            for other in self._own(k, run) if bad.any() else []:
                if other.shape == found.shape:
                    bad &= other != expected
            return f"{numpy.count_nonzero(bad)} of {bad.size} elements differ" if bad.any() else None
        wide = expected.astype(numpy.float64)
        relative, absolute = TOLERANCES[expected.dtype.name]
        finite = numpy.abs(wide[numpy.isfinite(wide)])
        allowed = absolute * (finite.max() if finite.size else 0) + relative * numpy.abs(wide) + 1e-7
        for other in others:
            allowed = allowed + 8 * numpy.abs(other.astype(numpy.float64) - wide)
        if noisy:  # The largest of so many, not their sum.
            allowed = allowed + 8 * numpy.max([numpy.abs(other.astype(numpy.float64) - wide) for other in noisy], axis=0)
        error = numpy.abs(found.astype(numpy.float64) - wide)
        same = (found == expected) | (numpy.isnan(found) & numpy.isnan(expected))
        bad = ~same & ~(error <= allowed) & ~numpy.isnan(allowed)
        if not bad.any():
            return None
        at = tuple(int(i) for i in numpy.argwhere(bad)[0])
        return f"{numpy.count_nonzero(bad)} of {bad.size} elements, {found[at]!r} at {list(at)}, expected {expected[at]!r}"


def prepare(model, device):
    from aicc import onnx_backend

    families = device.split("+")
    if len(families) > 1:
        cut = type(model)()
        cut.CopyFrom(model)
        for node in cut.graph.node:
            entry = node.metadata_props.add()
            entry.key, entry.value = "aicc.device", families[zlib.crc32(node.name.encode()) % len(families)]
        targets = "+".join("cpu:native" if family == "cpu" else family for family in families)
        return onnx_backend.BackendRep(cut, families, targets, threads=1, jobs=1, cache=False)
    return onnx_backend.prepare(model, device, threads=1, jobs=1, cache=False)


def run(model, inputs, device):
    return prepare(model, device).run(inputs)


def first_wrong_node(model, inputs, device, wrong):
    """(state, where) of a model's `wrong` values, by name: the first node whose value is wrong where the graph ends with
    it. None if such values, and the whole graph's, are right by a reference that is given our operands of the node: then
    references differ, from each other or by roundings, about a node before."""
    import aicc
    import graphs

    explained, unsure = set(), None
    for node in model.graph.node:
        try:
            part = graphs.cut(model, node.output)
            given = {port.name: inputs[port.name] for port in part.graph.input}
            found = run(part, given, device)
            Oracle(part, given).check(found, functools.partial(run, device=device))
        except aicc.Error as problem:
            return "WRONG", f"first at {node.name}: {problem}"
        except Wrong as problem:
            try:
                operands = graphs.cut(model, graphs.computed(model, node))
                values = dict(inputs)
                values.update(zip([port.name for port in operands.graph.output],
                                  run(operands, {port.name: inputs[port.name] for port in operands.graph.input}, device)))
                alone = graphs.single(model, node, values)
                oracle = Oracle(alone, {port.name: values[port.name] for port in alone.graph.input})
                if oracle.reference is None and oracle.runtime is None:
                    unsure = unsure or f"first at {node.name}, which no reference can run alone: {problem}"
                    continue
                oracle.check(found)
                oracle.check([wrong.get(port.name, value) for port, value in zip(part.graph.output, found)])
                explained |= set(node.output)
            except (Wrong, aicc.Error):
                return "WRONG", f"first at {node.name}: {problem}"
    if unsure:
        return "UNSURE", unsure
    return None if set(wrong) <= explained else WHOLE


def save(folder, model, inputs, oracle):
    import onnx
    from onnx import numpy_helper

    data = folder / "test_data_set_0"
    shutil.rmtree(folder, ignore_errors=True)
    data.mkdir(parents=True)
    onnx.save(model, folder / "model.onnx")
    for kind, arrays in (("input", inputs.values()), ("output", oracle.reference or oracle.runtime or [])):
        for k, array in enumerate(arrays):
            (data / f"{kind}_{k}.pb").write_bytes(numpy_helper.from_array(array).SerializeToString())


def run_case(k, seed, device):
    """(state, message) of graph k of a seed."""
    warnings.simplefilter("ignore")
    import aicc
    import graphs
    import numpy

    numpy.seterr(all="ignore")
    case = graphs.generate([seed, k])
    operators = " ".join(node.op_type for node in case.model.graph.node)
    if not operators:
        return "EMPTY", ""
    folder = BUILD / "fuzz" / f"{seed}-{k}"
    prepared = None
    for number, inputs in enumerate(case.inputs):
        oracle = Oracle(case.model, inputs)
        if oracle.reference is None and oracle.runtime is None:
            return "EMPTY", f"no reference can run it: {operators}"
        # The reference may overlook that other sizes are none of the model's.
        if number and oracle.runtime is None:
            break
        save(folder, case.model, inputs, oracle)
        try:
            prepared = prepared or prepare(case.model, device)
            found = prepared.run(inputs)
            problems = oracle.problems(found, functools.partial(run, device=device))
            names = [port.name for port in case.model.graph.output]
            where = first_wrong_node(case.model, inputs, device, {names[k]: found[k] for k in problems}) if problems else None
            if where == WHOLE:
                oracle.round_nodes()
                problems = oracle.problems(found, functools.partial(run, device=device))
                where = WHOLE if problems else None
        except aicc.Error as problem:
            text = str(problem).splitlines()[0]
            # Ranks are known when a model is compiled: a size that Squeeze is not told
            # to take and that a run finds to be 1 ends the run.
            rank = "_Squeeze: " in text and "has -1 at position 0, expected at least 0" in text
            refused = "unsupported operator" in text or rank
            # The reference may make something of operands that don't fit. A node says so, and ONNX Runtime refuses it, too.
            refused = refused or oracle.runtime is None and MISFIT.search(text)
            return "REFUSED" if refused else "ERROR", text if refused else f"{text} ({operators})"
        if where:
            k, problem = next(iter(problems.items()))
            return where[0], f"output {k}: {problem}; {where[1]}{' for other sizes' if number else ''} ({operators})"
    shutil.rmtree(folder, ignore_errors=True)
    return "PASS", ""


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--only", type=int)
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    arguments = parser.parse_args()
    for module in ("numpy", "onnx", "onnxruntime"):
        if importlib.util.find_spec(module) is None:
            skip(f"no Python module {module} (scripts/install.sh test)")
    python_package()
    for device in arguments.device.split("+"):
        if not has_device(device):
            skip(f"aicc-run lists no {device} device")
    os.environ.update(environment())
    import onnx.reference  # noqa: F401  Loaded once, for all workers.

    import aicc._compiler  # noqa: F401

    begin = time.time()
    todo = range(arguments.count) if arguments.only is None else [arguments.only]
    function = functools.partial(run_case, seed=arguments.seed, device=arguments.device)
    results = run_all(function, todo, min(arguments.jobs, len(todo)), CASE_SECONDS)
    states = collections.Counter(state for state, _ in results.values())
    failed = 0
    for k, (state, message) in sorted(results.items()):
        if state not in ("PASS", "EMPTY"):
            print(f"{state:8s}{arguments.seed}-{k}: {message}")
            failed += state != "REFUSED"
    print(f"{arguments.device}: {states['PASS']} of {len(todo)} graphs right in {time.time() - begin:.0f} s "
          f"({', '.join(f'{count} {state}' for state, count in sorted(states.items()))})")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
