#!/usr/bin/env python3
# bad_input.py - what the programs say of bad input, and that they survive it.
#
# Licensed under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""bad_input.py aicc|aicc-run|usage

Every case is one call of a program: it must end by itself with status 1 (2 for
wrong usage) within 60 seconds, use at most 4 GiB more than its input's size,
and print one line that names the thing.
"""

import importlib.util
import os
import pathlib
import subprocess
import sys
import tempfile
import threading

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "harness"))
from aicc_testing import ROOT, environment, program, skip  # noqa: E402

SECONDS = 60
MEMORY = 4 << 30
DIGITS = ROOT / "examples" / "digits" / "digits.onnx"
IMAGES = ROOT / "examples" / "digits" / "images.npy"


def run(command):
    """(status, stderr lines, peak bytes); status "hang" after SECONDS."""
    with tempfile.TemporaryFile() as err:
        child = subprocess.Popen([str(part) for part in command], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                 stderr=err, env=environment())
        late = []
        timer = threading.Timer(SECONDS, lambda: (late.append(1), child.kill()))
        timer.start()
        _, wait_status, usage = os.wait4(child.pid, 0)
        timer.cancel()
        child.returncode = 0
        status = "hang" if late else os.waitstatus_to_exitcode(wait_status)
        err.seek(0)
        lines = [line for line in err.read().decode(errors="replace").splitlines() if line.strip()]
        return status, lines, usage.ru_maxrss * 1024


class Report:
    def __init__(self):
        self.failed = 0
        self.count = 0

    def check(self, name, command, status, says=(), lines=1):
        found, text, memory = run(command)
        size = sum(pathlib.Path(str(p)).stat().st_size for p in command[1:] if os.path.isfile(str(p)))
        wrong = []
        if found != status:
            wrong.append(f"ended with {found}, expected {status}")
        if status == 1 and not 1 <= len(text) <= lines:
            wrong.append(f"{len(text)} lines, expected {'one' if lines == 1 else f'at most {lines}'}")
        whole = "\n".join(text).lower()
        wrong += [f"doesn't say '{word}'" for word in says if word.lower() not in whole]
        if memory > size + MEMORY:
            wrong.append(f"took {memory >> 20} MiB")
        self.count += 1
        self.failed += bool(wrong)
        print(f"{'FAILED' if wrong else 'ok':7s}{name:28s} {'; '.join(wrong)}")
        shown = text[:4] if wrong else text[:1]
        print("".join(f"       | {line[:220]}\n" for line in shown), end="", flush=True)

    def end(self):
        print(f"{self.count} cases, {self.failed} failed")
        return 1 if self.failed else 0


def bad_models(folder, report):
    import bad_models as models

    for case in models.models(folder, DIGITS):
        report.check(case.name, [program("aicc"), case.path, "--target=cpu", "-o", folder / "out.aicc"], 1, case.says,
                     case.lines)
        if (folder / "out.aicc").exists():
            print(f"       | {case.name} left a package")
            report.failed += 1
            (folder / "out.aicc").unlink()
    report.check("output_folder_absent", [program("aicc"), DIGITS, "--target=cpu", "-o", folder / "no" / "x.aicc"], 1,
                 (str(folder / "no"),))


def bad_packages(folder, report):
    import numpy

    good = folder / "digits.aicc"
    done = subprocess.run([program("aicc"), str(DIGITS), "--target=cpu", "-o", str(good)], capture_output=True, text=True)
    if done.returncode:
        print(f"FAILED: digits.onnx can't be compiled: {done.stderr.strip()}")
        report.failed += 1
        return
    data = good.read_bytes()

    def package(name, content, says=None):
        path = folder / f"{name}.aicc"
        path.write_bytes(content)
        report.check(name, [program("aicc-run"), path, "--device=cpu", "--input", f"image={IMAGES}"], 1,
                     says or (path.name,))

    package("empty", b"")
    package("no_package", DIGITS.read_bytes())
    for part in (1, 8, 63, 64, 100, 4095, 4096, len(data) // 2, len(data) - 1):
        package(f"truncated_at_{part}", data[:part])
    # The preamble, and the header that it points to; between the sections is padding.
    header = int.from_bytes(data[16:24], "little")
    for position in (0, 4, 8, 16, 24, 32, 40, *(header + k for k in (0, 4, 8, 30, 100, 500, 2000))):
        flipped = bytearray(data)
        flipped[position] ^= 0x5A
        package(f"flipped_at_{position}", bytes(flipped))
    # Code of the first variant, then weights: what this device uses.
    for k in range(1, 7):
        position = len(data) * k // 8 // 4096 * 4096
        package(f"zeroed_at_{position}", data[:position] + bytes(4096) + data[position + 4096 :], ("damaged",))
    report.check("no_file", [program("aicc-run"), folder / "absent.aicc", "--device=cpu"], 1, ("absent.aicc",))

    def inputs(name, says, *options, status=1):
        report.check(name, [program("aicc-run"), good, *options], status, says)

    def array(name, content):
        path = folder / f"{name}.npy"
        numpy.save(path, content)
        return f"image={path}"

    image = numpy.zeros((2, 1, 8, 8), numpy.float32)
    inputs("wrong_name", ("picture", "image"), "--input", f"picture={IMAGES}")
    inputs("wrong_type", ("image", "f64", "f32"), "--input", array("f64", image.astype(numpy.float64)))
    inputs("wrong_rank", ("image",), "--input", array("rank", image[0]))
    inputs("wrong_size", ("image", "7"), "--input", array("size", image[:, :, :7]))
    inputs("given_twice", ("image",), "--input", f"image={IMAGES}", "--input", f"image={IMAGES}", status=2)
    inputs("no_input", ("image",))
    inputs("no_input_file", ("absent.npy",), "--input", "image=absent.npy")
    (folder / "short.npy").write_bytes(IMAGES.read_bytes()[:500])
    inputs("short_input_file", ("short.npy",), "--input", f"image={folder / 'short.npy'}")
    (folder / "broken.npy").write_bytes(b"\x93NUMPY\x01\x00\x10\x00garbage")
    inputs("broken_input_file", ("broken.npy",), "--input", f"image={folder / 'broken.npy'}")
    (folder / "absurd.npy").write_bytes(
        b"\x93NUMPY\x01\x00\x76\x00" +
        b"{'descr': '<f4', 'fortran_order': False, 'shape': (1099511627776, 1, 8, 8), }".ljust(117) + b"\n")
    inputs("absurd_input_file", ("absurd.npy",), "--input", f"image={folder / 'absurd.npy'}")
    inputs("unknown_symbol", ("depth", "batch"), "--input", "image=random", "--dim", "depth=4")
    inputs("symbol_contradicts", ("batch",), "--input", f"image={IMAGES}", "--dim", "batch=4")
    inputs("absurd_symbol", ("absurd",), "--input", "image=random", "--dim", f"batch={1 << 60}")
    inputs("negative_symbol", ("batch",), "--input", "image=random", "--dim", "batch=-4", status=2)
    inputs("unknown_device", ("toaster",), "--device=toaster", "--input", f"image={IMAGES}")
    inputs("no_such_device", ("cpu:77",), "--device=cpu:77", "--input", f"image={IMAGES}")
    inputs("expectation_unknown", ("nothing",), "--input", f"image={IMAGES}", "--expect", f"nothing={IMAGES}")


def bad_usage(folder, report):
    aicc, aicc_run = program("aicc"), program("aicc-run")
    package = folder / "digits.aicc"
    subprocess.run([aicc, str(DIGITS), "--target=cpu:native", "-o", str(package)], check=True)
    for name, command, says in (
        ("aicc_nothing", [aicc], ()),
        ("aicc_unknown_option", [aicc, DIGITS, "--frobnicate"], ("frobnicate",)),
        ("aicc_unknown_target", [aicc, DIGITS, "--target=toaster", "-o", folder / "x"], ("toaster",)),
        ("aicc_unknown_chip", [aicc, DIGITS, "--target=cpu:z80", "-o", folder / "x"], ("z80",)),
        ("aicc_no_target", [aicc, DIGITS, "--target=cpu,,intel", "-o", folder / "x"], ("cpu,,intel",)),
        ("aicc_unknown_precision", [aicc, DIGITS, "--precision=f8", "-o", folder / "x"], ("f8", "f16 or bf16")),
        ("aicc_unknown_stage", [aicc, DIGITS, "--emit=soup"], ("soup",)),
        ("aicc_two_models", [aicc, DIGITS, DIGITS, "-o", folder / "x"], ()),
        ("run_nothing", [aicc_run], ()),
        ("run_unknown_option", [aicc_run, package, "--frobnicate"], ("frobnicate",)),
        ("run_input_without_name", [aicc_run, package, "--input", "image.npy"], ("image.npy",)),
        ("run_bad_threads", [aicc_run, package, "--threads=many"], ("many",)),
        ("run_bad_dim", [aicc_run, package, "--dim", "batch"], ("batch",)),
        ("run_bad_benchmark", [aicc_run, package, "--benchmark=soon"], ("soon",)),
    ):
        report.check(name, command, 2, says)


def main():
    kinds = {"aicc": bad_models, "aicc-run": bad_packages, "usage": bad_usage}
    if len(sys.argv) != 2 or sys.argv[1] not in kinds:
        print(__doc__)
        return 2
    program("aicc"), program("aicc-run")
    for module in ("numpy", "onnx"):
        if importlib.util.find_spec(module) is None:
            skip(f"no Python module {module} (scripts/install.sh test)")
    sys.path.insert(0, str(HERE))
    report = Report()
    with tempfile.TemporaryDirectory() as folder:
        inner = pathlib.Path(folder) / "inner"
        inner.mkdir()
        (pathlib.Path(folder) / "outside.bin").write_bytes(bytes(24))
        kinds[sys.argv[1]](inner, report)
    return report.end()


if __name__ == "__main__":
    sys.exit(main())
