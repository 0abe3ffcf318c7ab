# aicc_testing.py - what the Python tests share: folders, tools, data, comparing.
#
# Licensed under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Helpers of the tests and benchmarks that drive `aicc` and `aicc-run`."""

import fcntl
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tarfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("AICC_BINARY_DIR", ROOT / "build"))
SKIP = 77  # ctest's SKIP_RETURN_CODE

TYPES_WITHOUT_NUMPY = {"bf16", "f8e4m3fn", "f8e5m2"}


def skip(reason):
    """Ends the test as skipped."""
    print(f"SKIP: {reason}", flush=True)
    sys.exit(SKIP)


def program(name):
    """The path of one of our programs, or SKIP."""
    path = BUILD / "bin" / name
    if not path.exists():
        skip(f"{name} is not built in {BUILD}")
    return str(path)


def python_package():
    """Makes `import aicc` find the package in the build tree, or SKIP."""
    folder = BUILD / "python"
    if not any((folder / "aicc").glob("_runtime.*")):
        skip(f"the Python package is not built in {BUILD} (nanobind was absent)")
    sys.path.insert(0, str(folder))
    # For processes that are started from here.
    os.environ["PYTHONPATH"] = os.pathsep.join([str(folder), *filter(None, [os.environ.get("PYTHONPATH")])])


def vendor_tool(name):
    """A vendor's or distribution's tool, or None."""
    inside = BUILD / "venv"
    for pattern in (f"lib/python*/site-packages/nvidia/*/bin/{name}", f"bin/{name}"):
        for path in sorted(inside.glob(pattern)):
            if os.access(path, os.X_OK) or _make_executable(path):
                return str(path)
    return shutil.which(name) or shutil.which(name, path="/usr/local/cuda/bin:/opt/rocm/bin:/opt/rocm/llvm/bin")


def _make_executable(path):
    try:
        path.chmod(0o755)
        return True
    except OSError:
        return False


def conformance_data():
    """The unpacked ONNX conformance cases, or None."""
    for candidate in (os.environ.get("AICC_TEST_DATA"), ROOT.parent / "shared" / "data"):
        if not candidate:
            continue
        folder = pathlib.Path(candidate)
        for unpacked in (folder, folder / "onnx-backend-tests"):
            if (unpacked / "MANIFEST.tsv").exists():
                return unpacked
        archive = folder / "onnx-backend-tests.tar.xz"
        if archive.exists():
            return _unpack(archive)
    return None


def _unpack(archive):
    target = BUILD / "data"
    target.mkdir(parents=True, exist_ok=True)
    done = target / ".onnx-backend-tests"
    stamp = f"{archive.stat().st_size}"
    # Several tests may come here at once.
    with open(target / ".lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (done.exists() and done.read_text() == stamp):
            with tarfile.open(archive) as tar:
                # Debian 12's Python 3.11.2 has no filters.
                tar.extractall(target, **({"filter": "data"} if hasattr(tarfile, "data_filter") else {}))
            done.write_text(stamp)
    return target / "onnx-backend-tests"


def environment():
    """The environment for our programs: Intel's runtime where it is installed."""
    result = dict(os.environ)
    intel = BUILD / "venv" / "lib" / "libintelocl.so"
    if intel.exists():
        result.setdefault("AICC_OPENCL_LIBRARY", str(intel))
        result.setdefault("CL_CONFIG_CPU_TARGET_ARCH", "core-avx2")
    return result


def call(*command, timeout=600, cwd=None):
    """Runs a program; returns (status, stdout, stderr). 124 is a timeout; a
    signal is its negative number, as in subprocess."""
    try:
        done = subprocess.run([str(part) for part in command], capture_output=True, text=True, errors="replace",
                              timeout=timeout, cwd=cwd, env=environment(), stdin=subprocess.DEVNULL)
        return done.returncode, done.stdout, done.stderr
    except subprocess.TimeoutExpired as late:
        def text(stream):
            return (stream or b"").decode(errors="replace") if isinstance(stream, bytes) else (stream or "")

        return 124, text(late.stdout), text(late.stderr) + f"\nno end within {timeout} s"


def last_line(text):
    lines = [line for line in text.strip().splitlines() if line.strip()]
    return lines[-1] if lines else "(no output)"


def devices():
    """The names of the devices that aicc-run lists."""
    status, out, err = call(program("aicc-run"), "--list-devices", "--json")
    if status:
        raise RuntimeError(f"aicc-run --list-devices ended with {status}: {last_line(err)}")
    return [device["name"] for device in json.loads(out)["devices"]]


def has_device(family):
    """Whether there is one, by family ("intel", "cuda:virtual") or name."""
    return any(family in (name, name.rsplit(":", 1)[0]) for name in devices())


def relative_error(found, expected):
    """The largest difference, relative to the expected output's largest value;
    infinity where NaNs or infinities stand in different places."""
    import numpy

    if found.shape != expected.shape or found.dtype != expected.dtype:
        return float("inf")
    if found.dtype.kind not in "fc":
        return 0.0 if numpy.array_equal(found, expected) else float("inf")
    if found.size == 0:
        return 0.0
    found, expected = found.astype(numpy.float64), expected.astype(numpy.float64)
    finite = numpy.isfinite(expected)
    if not numpy.array_equal(found[~finite], expected[~finite], equal_nan=True) or not numpy.isfinite(found[finite]).all():
        return float("inf")
    if not finite.any():
        return 0.0
    largest = numpy.abs(expected[finite]).max()
    difference = numpy.abs(found[finite] - expected[finite]).max()
    return float(difference / largest) if largest else float(difference)
