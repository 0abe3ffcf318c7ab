#!/usr/bin/env python3
# mathematics.py - accuracy of the elementary functions, and that all devices agree to the bit.
#
# Licensed under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""mathematics.py [FUNCTION...] [--devices=cpu,intel] [--step=1021]

Evaluates each function on every step-th of the 2^32 values of f32 and on
special values, through a compiled model, and compares with a reference in
higher precision: at most 2 units in the last place, special values as IEEE says
(denormals included). Devices must give the same bits.
"""

import argparse
import importlib.util
import pathlib
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "harness"))
from aicc_testing import call, has_device, last_line, program, skip  # noqa: E402

ULPS = 2.0


def references():
    """{name: (ONNX operator, inputs, function in f64 or better)}."""
    import numpy as np
    from scipy import special

    def wide(function):
        return lambda x: function(x.astype(np.longdouble))

    return {
        "exp": ("Exp", 1, wide(np.exp)),
        "log": ("Log", 1, wide(np.log)),
        "sqrt": ("Sqrt", 1, wide(np.sqrt)),
        "reciprocal": ("Reciprocal", 1, wide(lambda x: 1 / x)),
        "sin": ("Sin", 1, wide(np.sin)),
        "cos": ("Cos", 1, wide(np.cos)),
        "tan": ("Tan", 1, wide(np.tan)),
        "asin": ("Asin", 1, wide(np.arcsin)),
        "acos": ("Acos", 1, wide(np.arccos)),
        "atan": ("Atan", 1, wide(np.arctan)),
        "sinh": ("Sinh", 1, wide(np.sinh)),
        "cosh": ("Cosh", 1, wide(np.cosh)),
        "tanh": ("Tanh", 1, wide(np.tanh)),
        "asinh": ("Asinh", 1, wide(np.arcsinh)),
        "acosh": ("Acosh", 1, wide(np.arccosh)),
        "atanh": ("Atanh", 1, wide(np.arctanh)),
        "erf": ("Erf", 1, lambda x: special.erf(x.astype(np.float64))),
        "sigmoid": ("Sigmoid", 1, lambda x: special.expit(x.astype(np.longdouble))),
        "pow": ("Pow", 2, lambda x, y: np.power(x.astype(np.longdouble), y.astype(np.longdouble))),
    }


def values(step):
    import numpy as np

    bits = np.arange(0, 1 << 32, step, dtype=np.uint64).astype(np.uint32)
    special = np.array([0.0, -0.0, 1.0, -1.0, 0.5, -0.5, 2.0, np.inf, -np.inf, np.nan, 1e-45, -1e-45, 1.17549435e-38,
                        3.4028235e38, -3.4028235e38, 88.72283, 88.72284, -87.33655, -103.97, np.pi, np.pi / 2], np.float32)
    return np.concatenate([special, bits.view(np.float32)])


def inputs_of(count, step):
    import numpy as np

    x = values(step)
    if count == 1:
        return [x]
    # Pairs where the result neither overflows nor vanishes nearly always, and pairs of special values.
    generator = np.random.default_rng(5)
    special = x[:21]
    base, exponent = np.meshgrid(special, special)
    some = np.abs(generator.choice(x[np.isfinite(x)], 1 << 20)) + np.float32(1e-38)
    bound = 87 / np.maximum(np.abs(np.log(some)), 1e-3)
    power = (generator.uniform(-1, 1, some.size) * np.minimum(bound, 1e4)).astype(np.float32)
    return [np.concatenate([base.ravel(), some]), np.concatenate([exponent.ravel(), power])]


def ulps(found, exact):
    """Error of each finite result in units of the last place of the exact one."""
    import numpy as np

    with np.errstate(over="ignore"):
        rounded = exact.astype(np.float32)
    spacing = np.spacing(np.abs(np.where(np.isfinite(rounded), rounded, np.float32(1)))).astype(np.longdouble)
    with np.errstate(all="ignore"):
        error = np.abs(found.astype(np.longdouble) - exact) / spacing
    same = (found == rounded) | (np.isnan(found) & np.isnan(rounded))
    error = np.where(same, np.minimum(np.nan_to_num(error, nan=0, posinf=0), 1), error)
    # One past the largest number rounds to infinity: either is within a unit.
    largest = np.finfo(np.float32).max
    edge = np.isinf(rounded) & (np.abs(found) == largest) & (np.abs(exact) < largest * (1 + np.longdouble(2) ** -22))
    error = np.where(edge, 1, error)
    return np.where(np.isnan(error), np.inf, error)


def check(name, entry, devices, step, folder):
    import numpy as np
    import onnx
    from onnx import TensorProto, helper

    operator, count, reference = entry
    ports = [f"x{k}" for k in range(count)]
    graph = helper.make_graph([helper.make_node(operator, ports, ["y"], name=name)], name,
                              [helper.make_tensor_value_info(p, TensorProto.FLOAT, ["count"]) for p in ports],
                              [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["count"])])
    model = folder / f"{name}.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10), model)
    package = folder / f"{name}.aicc"
    status, _, err = call(program("aicc"), model, f"--target={','.join(devices)}", "-o", package)
    if status:
        print(f"{name:12s} FAILED  aicc: {last_line(err)}")
        return False
    arguments = inputs_of(count, step)
    given = []
    for port, array in zip(ports, arguments):
        np.save(folder / f"{port}.npy", array)
        given += ["--input", f"{port}={folder / (port + '.npy')}"]
    with np.errstate(all="ignore"):
        exact = reference(*arguments)
    results, good = {}, True
    for device in devices:
        out = folder / f"{name}-{device}"
        status, _, err = call(program("aicc-run"), package, f"--device={device}", f"--save-outputs={out}", *given)
        if status:
            print(f"{name:12s} FAILED  aicc-run on {device}: {last_line(err)}")
            return False
        found = results[device] = np.load(out / "y.npy")
        error = ulps(found, exact)
        worst = int(error.argmax())
        at = ", ".join(f"{a[worst]!r}" for a in arguments)
        state = "ok" if error[worst] <= ULPS else "FAILED"
        good &= state == "ok"
        print(f"{name:12s} {state:7s} {device}: {float(error[worst]):.3g} ulp at {at}: {found[worst]!r}, "
              f"exact {float(exact[worst]):.9g}")
    first = results[devices[0]]
    for device in devices[1:]:
        equal = (first.view(np.uint32) == results[device].view(np.uint32)) | (np.isnan(first) & np.isnan(results[device]))
        if not equal.all():
            where = int((~equal).argmax())
            good = False
            print(f"{name:12s} FAILED  {device} differs from {devices[0]} in {(~equal).sum()} of {equal.size} values, first at "
                  f"{', '.join(repr(a[where]) for a in arguments)}")
    return good


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("functions", nargs="*")
    parser.add_argument("--devices", default="cpu,intel")
    parser.add_argument("--step", type=int, default=1021)
    arguments = parser.parse_args()
    program("aicc"), program("aicc-run")
    for module in ("numpy", "onnx", "scipy"):
        if importlib.util.find_spec(module) is None:
            skip(f"no Python module {module} (scripts/install.sh test)")
    devices = [device for device in arguments.devices.split(",") if has_device(device)]
    if not devices:
        skip(f"aicc-run lists none of the devices {arguments.devices}")
    table = references()
    good = True
    with tempfile.TemporaryDirectory() as folder:
        for name in arguments.functions or table:
            good &= check(name, table[name], devices, arguments.step, pathlib.Path(folder))
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
