#!/usr/bin/env python3
# learning.py - operators of ai.onnx.ml beside ONNX Runtime, random ones and transforms.
#
# Licensed under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""learning.py [--device=cpu] [--filter=WORD] [-v]

The conformance cases hold few operators of ai.onnx.ml and none of the random
ones, so each case here is a model of one node, run by aicc and by ONNX Runtime
on the same inputs; random numbers are compared by their moments with what they
must be, transforms of sizes that the cases don't have and determinants with NumPy.
"""

import argparse
import pathlib
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
sys.path.insert(0, str(HERE.parent / "harness"))
from aicc_testing import python_package, skip  # noqa: E402

try:
    import numpy
    import onnxruntime
    from onnx import TensorProto, helper
except ImportError as missing:
    skip(f"{missing.name} is not installed")

python_package()
import aicc  # noqa: E402

RNG = numpy.random.default_rng(11)


def f32(*shape):
    return RNG.standard_normal(shape).astype(numpy.float32)


def model(op, inputs, outputs, domain, version, **attributes):
    names = [f"in{i}" for i in range(len(inputs))]
    node = helper.make_node(op, names, outputs, domain=domain, name="node", **attributes)
    graph = helper.make_graph(
        [node], "graph",
        [helper.make_tensor_value_info(n, helper.np_dtype_to_tensor_dtype(a.dtype), [f"N{i}", *a.shape[1:]])
         for i, (n, a) in enumerate(zip(names, inputs))],
        [helper.make_empty_tensor_value_info(o) for o in outputs])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21), helper.make_opsetid(domain, version)]
                             if domain else [helper.make_opsetid("", 21)], ir_version=10)


def ours(proto, inputs, device):
    package = aicc.compile(proto, targets="cpu:native" if device == "cpu" else device, jobs=1, cache=False)
    results = package.session(device, 1).run({f"in{i}": a for i, a in enumerate(inputs)})
    return [aicc.to_numpy(tensor).copy() for tensor in results]


def theirs(proto, inputs):
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(proto.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return session.run(None, {f"in{i}": a for i, a in enumerate(inputs)})


def forest(trees, depth, features, votes, kind, modes=("BRANCH_LEQ",), negative=True, outputs=1, missing=False):
    """Attributes of random complete trees."""
    kw = {k: [] for k in ("nodes_treeids", "nodes_nodeids", "nodes_featureids", "nodes_modes", "nodes_values",
                          "nodes_truenodeids", "nodes_falsenodeids", f"{kind}_treeids", f"{kind}_nodeids",
                          f"{kind}_ids", f"{kind}_weights")}
    if missing:
        kw["nodes_missing_value_tracks_true"] = []
    inner = 2 ** depth - 1
    for tree in range(trees):
        for node in range(2 * inner + 1):
            leaf = node >= inner
            kw["nodes_treeids"].append(tree)
            kw["nodes_nodeids"].append(node)
            kw["nodes_featureids"].append(0 if leaf else int(RNG.integers(features)))
            kw["nodes_modes"].append("LEAF" if leaf else str(RNG.choice(modes)))
            kw["nodes_values"].append(0.0 if leaf else float(numpy.round(RNG.standard_normal(), 1)))
            kw["nodes_truenodeids"].append(0 if leaf else 2 * node + 1)
            kw["nodes_falsenodeids"].append(0 if leaf else 2 * node + 2)
            if missing:
                kw["nodes_missing_value_tracks_true"].append(int(RNG.integers(2)))
            if leaf:
                for target in votes:
                    weight = RNG.standard_normal() if negative else RNG.random() / trees
                    kw[f"{kind}_treeids"].append(tree)
                    kw[f"{kind}_nodeids"].append(node)
                    kw[f"{kind}_ids"].append(target)
                    kw[f"{kind}_weights"].append(float(weight))
    return kw


ALL_MODES = ("BRANCH_LEQ", "BRANCH_LT", "BRANCH_GTE", "BRANCH_GT", "BRANCH_EQ", "BRANCH_NEQ")


def cases():
    """(name, op, inputs, outputs, version, attributes) in ai.onnx.ml."""
    x = f32(17, 5)
    hard = numpy.round(f32(40, 5), 1)
    hard[::3, 1] = numpy.nan
    for how in ("SUM", "AVERAGE", "MIN", "MAX"):
        yield how, "TreeEnsembleRegressor", [x], 1, 3, dict(
            forest(4, 3, 5, [0, 1, 2], "target"), n_targets=3, aggregate_function=how, base_values=[0.5, 1.0, -1.0])
    yield "modes", "TreeEnsembleRegressor", [hard], 1, 3, dict(
        forest(6, 4, 5, [0], "target", ALL_MODES, missing=True), n_targets=1)
    yield "deep", "TreeEnsembleRegressor", [x], 1, 3, dict(forest(3, 9, 5, [0], "target"), n_targets=1)
    yield "double", "TreeEnsembleRegressor", [x.astype(numpy.float64)], 1, 3, dict(
        forest(3, 3, 5, [0], "target"), n_targets=1)
    transforms = ("NONE", "SOFTMAX", "LOGISTIC", "SOFTMAX_ZERO")
    for post in transforms:
        yield f"three {post}", "TreeEnsembleClassifier", [x], 2, 3, dict(
            forest(4, 3, 5, [0, 1, 2], "class"), classlabels_int64s=[7, 3, 9], post_transform=post)
        for negative in (False, True):
            yield f"one vote {post} {negative}", "TreeEnsembleClassifier", [x], 2, 3, dict(
                forest(4, 3, 5, [0], "class", negative=negative), classlabels_int64s=[7, 3], post_transform=post)
            yield f"second {post} {negative}", "TreeEnsembleClassifier", [x], 2, 3, dict(
                forest(4, 3, 5, [1], "class", negative=negative), classlabels_int64s=[7, 3], post_transform=post)
    yield "base", "TreeEnsembleClassifier", [x], 2, 3, dict(
        forest(4, 3, 5, [0, 1, 2], "class"), classlabels_int64s=[7, 3, 9], base_values=[0.1, 0.2, 0.3])
    for post in (*transforms, "PROBIT"):
        scale = 0.02 if post == "PROBIT" else 1.0
        yield post, "LinearRegressor", [x], 1, 1, dict(
            coefficients=(numpy.abs(f32(15)) * scale).tolist(), intercepts=[0.5, 0.4, 0.6], targets=3,
            post_transform=post)
    for post in transforms:
        yield f"three {post}", "LinearClassifier", [x], 2, 1, dict(
            coefficients=f32(15).tolist(), intercepts=f32(3).tolist(), classlabels_ints=[4, 1, 3], post_transform=post)
        yield f"two {post}", "LinearClassifier", [x], 2, 1, dict(
            coefficients=f32(10).tolist(), intercepts=f32(2).tolist(), classlabels_ints=[4, 1], post_transform=post)
        yield f"one {post}", "LinearClassifier", [x], 2, 1, dict(
            coefficients=f32(5).tolist(), intercepts=f32(1).tolist(), classlabels_ints=[4, 1], post_transform=post)
    yield "integers", "LinearClassifier", [RNG.integers(-3, 4, (6, 5))], 2, 1, dict(
        coefficients=f32(15).tolist(), intercepts=f32(3).tolist(), classlabels_ints=[4, 1, 3])
    for kind in ("LINEAR", "POLY", "RBF", "SIGMOID"):
        yield kind, "SVMRegressor", [x], 1, 1, dict(
            kernel_type=kind, kernel_params=[0.2, 0.3, 3.0], coefficients=f32(4).tolist(), n_supports=4,
            support_vectors=f32(20).tolist(), rho=[0.3])
        for classes in (2, 4):
            count = 3 * classes
            pairs = classes * (classes - 1) // 2
            kw = dict(kernel_type=kind, kernel_params=[0.2, 0.3, 2.0], coefficients=f32(count * (classes - 1)).tolist(),
                      vectors_per_class=[3] * classes, support_vectors=f32(count * 5).tolist(), rho=f32(pairs).tolist(),
                      classlabels_ints=list(range(5, 5 + classes)))
            yield f"{kind} {classes}", "SVMClassifier", [x], 2, 1, kw
            yield f"{kind} {classes} probabilities", "SVMClassifier", [x], 2, 1, dict(
                kw, prob_a=(-numpy.abs(f32(pairs))).tolist(), prob_b=f32(pairs).tolist())
    yield "one class", "SVMRegressor", [x], 1, 1, dict(
        kernel_type="RBF", kernel_params=[0.2, 0.0, 0.0], coefficients=f32(4).tolist(), n_supports=4,
        support_vectors=f32(20).tolist(), rho=[0.1], one_class=1)
    yield "linear", "SVMRegressor", [x], 1, 1, dict(
        coefficients=f32(5).tolist(), rho=[0.3], kernel_params=[0.0, 0.0, 0.0])
    yield "linear", "SVMClassifier", [x], 2, 1, dict(
        coefficients=f32(15).tolist(), rho=[0.3], classlabels_ints=[1, 2, 3], kernel_params=[0.0, 0.0, 0.0])
    yield "features", "Scaler", [x], 1, 1, dict(offset=f32(5).tolist(), scale=f32(5).tolist())
    yield "one", "Scaler", [x.astype(numpy.float64)], 1, 1, dict(offset=[0.5], scale=[2.0])
    yield "integers", "Scaler", [RNG.integers(0, 9, (4, 5))], 1, 1, dict(offset=[0.5], scale=[2.0])
    for norm in ("MAX", "L1", "L2"):
        rows = numpy.abs(x) if norm == "MAX" else x
        yield norm, "Normalizer", [rows], 1, 1, dict(norm=norm)
    yield "float", "Binarizer", [x], 1, 1, dict(threshold=0.2)
    yield "nan", "Imputer", [hard], 1, 1, dict(
        imputed_value_floats=[1.0, 2.0, 3.0, 4.0, 5.0], replaced_value_float=float("nan"))
    yield "integer", "Imputer", [RNG.integers(0, 3, (6, 4))], 1, 1, dict(
        imputed_value_int64s=[9], replaced_value_int64=1)
    yield "float", "Imputer", [numpy.round(x)], 1, 1, dict(imputed_value_floats=[9.0], replaced_value_float=1.0)
    yield "matrix", "ArrayFeatureExtractor", [x, numpy.array([3, 0, 3])], 1, 1, {}
    yield "floats", "FeatureVectorizer", [x, f32(17, 3)], 1, 1, dict(inputdimensions=[5, 3])
    yield "integers", "OneHotEncoder", [RNG.integers(0, 5, (7, 2))], 1, 1, dict(cats_int64s=[3, 1, 0, 7])
    words = numpy.array([["red", "blue"], ["", "gr\u00fcn"], ["blue", "violet"]], object)
    yield "strings", "OneHotEncoder", [words], 1, 1, dict(cats_strings=["gr\u00fcn", "red", "blue"])
    for post in ("NONE", "LOGISTIC"):
        three = dict(forest(4, 3, 5, [0, 1, 2], "class"), classlabels_strings=["a", "", "\u00df"], post_transform=post)
        yield f"strings three {post}", "TreeEnsembleClassifier", [x], 2, 3, three
        for vote in (0, 1):
            yield f"strings vote {vote} {post}", "TreeEnsembleClassifier", [x], 2, 3, dict(
                forest(4, 3, 5, [vote], "class"), classlabels_strings=["no", "yes"], post_transform=post)
        for scores, labels in ((3, ["x", "y", "z"]), (2, ["x", "y"]), (1, ["x", "y"])):
            yield f"strings {scores} {post}", "LinearClassifier", [x], 2, 1, dict(
                coefficients=f32(5 * scores).tolist(), intercepts=f32(scores).tolist(), classlabels_strings=labels,
                post_transform=post)
    for classes in (2, 4):
        yield f"strings {classes}", "SVMClassifier", [x], 2, 1, dict(
            kernel_type="RBF", kernel_params=[0.2, 0.3, 2.0], coefficients=f32(3 * classes * (classes - 1)).tolist(),
            vectors_per_class=[3] * classes, support_vectors=f32(15 * classes).tolist(),
            rho=f32(classes * (classes - 1) // 2).tolist(), classlabels_strings=[f"class {i}" for i in range(classes)])
    yield "vector", "OneHotEncoder", [RNG.integers(0, 5, (7,))], 1, 1, dict(cats_int64s=[3, 1, 0, 7])


def compare(name, found, expected):
    if found.dtype != expected.dtype:
        return f"{name} is {found.dtype}, expected {expected.dtype}"
    if found.shape != expected.shape:
        return f"{name} has shape {found.shape}, expected {expected.shape}"
    if found.dtype.kind != "f":
        wrong = numpy.count_nonzero(found != expected)
        return f"{name}: {wrong} of {found.size} elements differ" if wrong else None
    if numpy.allclose(found, expected, rtol=1e-3, atol=1e-5, equal_nan=True):
        return None
    with numpy.errstate(all="ignore"):
        return f"{name}: largest difference {numpy.nanmax(numpy.abs(found - expected)):.3g}"


def check(case, device):
    name, op, inputs, outputs, version, attributes = case
    proto = model(op, inputs, [f"out{i}" for i in range(outputs)], "ai.onnx.ml", version, **attributes)
    try:
        expected = theirs(proto, inputs)
    except Exception as problem:
        return f"ONNX Runtime: {problem}"
    try:
        found = ours(proto, inputs, device)
    except aicc.Error as problem:
        return str(problem)
    for i, (have, want) in enumerate(zip(found, expected)):
        wrong = compare(f"out{i}", have, want)
        if wrong:
            return wrong
    return None


def moments(op, device, inputs, expected, deviation, least, most, **attributes):
    """What is wrong with the distribution of a random operator's result, or None."""
    proto = model(op, inputs, ["out"], "", 21, **attributes)
    try:
        values = ours(proto, inputs, device)[0].astype(numpy.float64)
        again = ours(proto, inputs, device)[0].astype(numpy.float64)
    except aicc.Error as problem:
        return str(problem)
    if not numpy.array_equal(values, again):
        return "two packages of one model differ"
    if values.min() < least or values.max() > most:
        return f"values from {values.min()} to {values.max()}, expected {least} to {most}"
    # Five standard errors.
    allowed = 5 * deviation / values.size ** 0.5
    if abs(values.mean() - expected) > allowed:
        return f"mean {values.mean()}, expected {expected}"
    if abs(values.std() - deviation) > 5 * allowed:
        return f"deviation {values.std()}, expected {deviation}"
    flat = values.ravel() - values.mean()
    related = abs((flat[1:] * flat[:-1]).mean())
    if related > 5 * deviation ** 2 / values.size ** 0.5:
        return f"neighbours are related by {related}"
    return None


def random_cases(device):
    like = numpy.zeros((100, 300), numpy.float32)
    infinity = float("inf")
    uniform = (5 - 2) / 12 ** 0.5
    for kind, name in ((TensorProto.FLOAT, "f32"), (TensorProto.DOUBLE, "f64")):
        yield f"RandomUniform {name}", moments("RandomUniform", device, [], 3.5, uniform, 2, 5, low=2.0, high=5.0,
                                               shape=[100, 300], dtype=kind)
        yield f"RandomNormal {name}", moments("RandomNormal", device, [], 1, 2, -infinity, infinity, mean=1.0,
                                              scale=2.0, shape=[100, 300], dtype=kind, seed=3.0)
    yield "RandomUniformLike", moments("RandomUniformLike", device, [like], 3.5, uniform, 2, 5, low=2.0, high=5.0)
    yield "RandomNormalLike", moments("RandomNormalLike", device, [like], 0, 1, -infinity, infinity)
    yield "Bernoulli", moments("Bernoulli", device, [like + numpy.float32(0.3)], 0.3, 0.21 ** 0.5, 0, 1)
    chances = numpy.log(numpy.tile(numpy.array([[0.2, 0.5, 0.3]], numpy.float32), (50, 1)))
    yield "Multinomial", moments("Multinomial", device, [chances], 1.1, 0.49 ** 0.5, 0, 2, sample_size=400)


def seeded_cases(device):
    """A seeded operator draws the numbers of onnx's reference implementation."""
    from onnx.reference import ReferenceEvaluator

    def wrong(op, inputs, symbols=None, outputs=("out",), **attributes):
        proto = model(op, inputs, list(outputs), "", 21, **attributes)
        for i, x in enumerate(inputs):
            names = symbols if symbols and i == 0 else {}
            proto.graph.input[i].CopyFrom(helper.make_tensor_value_info(
                f"in{i}", helper.np_dtype_to_tensor_dtype(x.dtype), [names.get(d, size) for d, size in enumerate(x.shape)]))
        expected = ReferenceEvaluator(proto).run(None, {f"in{i}": x for i, x in enumerate(inputs)})
        try:
            found = ours(proto, inputs, device)
        except aicc.Error as problem:
            return str(problem)
        for have, want in zip(found, expected):
            if have.dtype != want.dtype or have.shape != want.shape:
                return f"{have.dtype}{have.shape}, expected {want.dtype}{want.shape}"
            # Logarithms may differ in the last place.
            exact = want.dtype.kind == "b" or "Normal" not in op and not attributes.get("high")
            same = numpy.array_equal(have, want) if exact else numpy.allclose(have, want, rtol=2e-3 if want.dtype.itemsize < 4 else 1e-6, atol=1e-6)
            if not same:
                return f"{numpy.count_nonzero(have != want)} of {want.size} numbers differ"
        return None

    types = {"f16": TensorProto.FLOAT16, "f32": TensorProto.FLOAT, "f64": TensorProto.DOUBLE}
    for kind, dtype in types.items():
        for shape in ([0, 3], [1], [312], [7, 1001]):
            title = f"{kind} {shape}"
            yield f"RandomUniform {title}", wrong("RandomUniform", [], shape=shape, dtype=dtype, seed=17.0)
            yield f"RandomNormal {title}", wrong("RandomNormal", [], shape=shape, dtype=dtype, seed=17.0, mean=1.0, scale=2.0)
    yield "RandomUniform scaled", wrong("RandomUniform", [], shape=[50], seed=4294967040.0, low=-1.5, high=2.5)
    like = f32(3, 400)
    for op in ("RandomUniformLike", "RandomNormalLike"):
        yield f"{op} of any size", wrong(op, [like], symbols={0: "n", 1: "m"}, seed=2.0)
    chances = numpy.concatenate([numpy.linspace(0, 1, 500), numpy.zeros(7), numpy.linspace(1, 0, 500)])
    for kind in (numpy.float16, numpy.float32, numpy.float64):
        yield f"Bernoulli {kind.__name__}", wrong("Bernoulli", [chances.astype(kind)], seed=5.0)
    yield "Bernoulli of any size", wrong("Bernoulli", [chances.astype(numpy.float32)], symbols={0: "n"}, seed=6.9)
    for ratio in (0.1, 0.5, 0.75):
        yield f"Dropout {ratio}", wrong("Dropout", [like, numpy.float32(ratio), numpy.bool_(True)], outputs=("y", "mask"), seed=11)


def transform_cases(device):
    def wrong(op, x, expected, **attributes):
        try:
            found = ours(model(op, [x], ["out"], "", 21, **attributes), [x], device)[0]
        except aicc.Error as problem:
            return str(problem)
        if found.shape != expected.shape:
            return f"shape {found.shape}, expected {expected.shape}"
        # Transforms of float32 are computed in double precision.
        close = numpy.allclose(found, expected, rtol=1e-5, atol=1e-5 * numpy.abs(expected).max())
        return None if close else f"largest difference {numpy.abs(found - expected).max():.3g}"

    def parts(values):
        return numpy.stack([values.real, values.imag], -1)

    for size in (1, 2, 97, 128, 400, 1000, 1009, 4096):
        x = f32(2, size, 1)
        signal = x[..., 0].astype(numpy.float64)
        yield f"DFT of {size}", wrong("DFT", x, parts(numpy.fft.fft(signal)))
        yield f"DFT of {size}, onesided", wrong("DFT", x, parts(numpy.fft.rfft(signal)), onesided=1)
        both = f32(2, size, 2)
        signal = both[..., 0].astype(numpy.float64) + 1j * both[..., 1]
        yield f"inverse DFT of {size}", wrong("DFT", both, parts(numpy.fft.ifft(signal)), inverse=1)
        half = f32(2, size // 2 + 1, 2)
        signal = half[..., 0].astype(numpy.float64) + 1j * half[..., 1]
        if size % 2 == 0:
            yield f"real inverse DFT of {size}", wrong("DFT", half, numpy.fft.irfft(signal)[..., None], inverse=1,
                                                       onesided=1)
    for size in (6, 30):
        x = f32(size, 2)
        signal = x[..., 0].astype(numpy.float64) + 1j * x[..., 1]
        yield f"DFT of a dynamic size, {size}", wrong("DFT", x, parts(numpy.fft.fft(signal)))
    for size in (1, 2, 5, 12):
        x = f32(4, size, size)
        yield f"Det of {size}", wrong("Det", x, numpy.linalg.det(x.astype(numpy.float64)).astype(numpy.float32))
    singular = numpy.ones((2, 3, 3), numpy.float32)
    yield "Det of a singular matrix", wrong("Det", singular, numpy.zeros(2, numpy.float32))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--filter", default="")
    parser.add_argument("-v", "--verbose", action="store_true")
    options = parser.parse_args()
    total = failed = 0

    def report(title, wrong):
        nonlocal total, failed
        total += 1
        failed += wrong is not None
        if wrong or options.verbose:
            print(f"{'FAIL' if wrong else 'PASS'} {title}" + (f": {wrong}" if wrong else ""), flush=True)

    word = options.filter.lower()
    for case in cases():
        title = f"{case[1]} {case[0]}"
        if word in title.lower():
            report(title, check(case, options.device))
    if word in "transforms":
        for title, wrong in transform_cases(options.device):
            report(title, wrong)
    if word in "random":
        for title, wrong in (*random_cases(options.device), *seeded_cases(options.device)):
            report(title, wrong)
    print(f"{total - failed} of {total} agree on {options.device}")
    return 1 if failed or not total else 0


if __name__ == "__main__":
    sys.exit(main())
