#!/usr/bin/env python3
# resources.py - registers, spills and shared memory of every GPU kernel.
#
# Licensed under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""resources.py [--models=mlp,…] [--targets=cuda:sm_90,…] [--precision=f32,f16] [--table=FOLDER]

Compiles models and asks the vendors' compilers what each kernel takes:

    cuda   ptxas -v
    rocm   the metadata in the assembly that aicc writes (no tool needed)
    intel  the .ze_info section of what ocloc makes for each chip of the target

Fails, naming model, target and kernel, where a kernel spills registers and
spills.tsv beside this file doesn't list it with the reason, and where one that is
listed no longer does. A tool that is not there skips its targets, with the reason.

--table writes resources.json and resources.md: per kernel registers, shared
memory, occupancy, and a roofline: the time that the kernel's bytes and
multiply-adds need at the chip's peak. That is an estimate from data sheets, not
a measurement.

A model is a name of tests/models (exported to $AICC_MODELS_DIR) or a path.
"""

import argparse
import collections
import concurrent.futures
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "harness"))
from aicc_testing import BUILD, ROOT, call, last_line, program, vendor_tool  # noqa: E402
import kernel_ir  # noqa: E402

# The project's benchmark list, and what it is compiled for.
MODELS = ("mlp", "lstm", "unet", "mobilenet_v3", "efficientnet_b0", "resnet50", "vit_b_16", "bert_base",
          "gpt2_prefill", "gpt2_step")
TARGETS = ("cuda:sm_80", "cuda:sm_90", "rocm:gfx942", "rocm:gfx1100", "rocm:gfx1201", "intel:pvc", "intel:dg2")

# Of one multiprocessor, compute unit or Xe core: registers of 32 bits a lane can
# have, those of the whole unit (in units of a wave's allocation), waves, shared
# memory. Of the chip: bytes and multiply-adds a second, f32 and with matrix
# instructions of f16, by the vendors' data sheets (A100 SXM, H100 SXM, MI300X,
# RX 7900 XTX, RX 9070 XT, Max 1550, A770).
Chip = collections.namedtuple("Chip", "lanes registers waves shared bandwidth f32 f16")
CHIPS = {
    "sm_80": Chip(32, 65536, 64, 164 << 10, 2.04e12, 9.7e12, 156e12),
    "sm_90": Chip(32, 65536, 64, 228 << 10, 3.35e12, 33e12, 495e12),
    "gfx942": Chip(64, 4 * 512 * 64, 32, 64 << 10, 5.3e12, 82e12, 653e12),
    "gfx1100": Chip(32, 4 * 1536 * 32, 64, 128 << 10, 0.96e12, 30e12, 61e12),
    "gfx1201": Chip(32, 4 * 1536 * 32, 64, 128 << 10, 0.64e12, 24e12, 97e12),
    "pvc": Chip(16, 8 * 8 * 128 * 16, 64, 128 << 10, 3.28e12, 26e12, 419e12),
    "dg2": Chip(16, 16 * 8 * 128 * 8, 128, 128 << 10, 0.56e12, 9.8e12, 79e12),
}


def occupancy(chip, row):
    """Waves at once, of those that a unit can hold: limited by registers and shared memory."""
    numbers = CHIPS[chip]
    waves = max(1, -(-row["threads"] // numbers.lanes))
    limit = numbers.waves
    if row["registers"]:
        limit = min(limit, numbers.registers // (row["registers"] * numbers.lanes))
    groups = limit // waves
    if row["shared"]:
        groups = min(groups, numbers.shared // row["shared"])
    return min(1.0, groups * waves / numbers.waves)


def known_spills():
    """{(model, target, precision, kernel): reason} of spills.tsv."""
    known = {}
    for line in (HERE / "spills.tsv").read_text().splitlines():
        if line and not line.startswith("#"):
            *key, reason = line.split("\t")
            known[tuple(key)] = reason
    return known


# -- What the vendors' compilers say ------------------------------------------


def of_ptxas(folder, chip):
    tool = vendor_tool("ptxas")
    if not tool:
        return None, "ptxas is not installed"

    def one(path):
        with tempfile.NamedTemporaryFile() as out:
            done = subprocess.run([tool, "-v", f"-arch={chip}", str(path), "-o", out.name], capture_output=True,
                                  text=True, errors="replace", timeout=600)
        text = done.stdout + done.stderr
        rows = {}
        if done.returncode:
            return path, last_line(text)
        for part in text.split("Compiling entry function")[1:]:
            name = re.search(r"'([^']+)'", part).group(1)
            number = {key: sum(int(n) for n in re.findall(pattern, part)) for key, pattern in (
                ("registers", r"Used (\d+) registers"), ("spilled", r"(\d+) bytes spill stores"),
                ("private", r"(\d+) bytes stack frame"), ("shared", r"(\d+) bytes smem"))}
            rows[name] = number
        return path, rows

    return _each(one, [p for p in folder.glob("*.ptx") if p.name.startswith("linked")])


def of_metadata(folder, chip):
    rows = {}
    for path in sorted(folder.glob("*.s")):
        text = path.read_text(errors="replace")
        for part in re.split(r"\n  - \.a", text.split("amdhsa.kernels:")[-1])[1:]:
            def number(key):
                found = re.search(rf"\.{key}: +(\d+)", part)
                return int(found.group(1)) if found else 0

            name = re.search(r"\.name: +(\S+)", part)
            if not name:
                continue
            rows[name.group(1)] = {
                "registers": number("vgpr_count") + (number("gpr_count") if part.startswith("gpr") else 0),
                "spilled": 4 * (number("vgpr_spill_count") + number("sgpr_spill_count")),
                "private": number("private_segment_fixed_size"), "shared": number("group_segment_fixed_size")}
    return rows, ""


def of_ocloc(folder, chip):
    tool, objcopy = vendor_tool("ocloc"), vendor_tool("llvm-objcopy-22")
    if not tool or not objcopy:
        return None, f"{'llvm-objcopy-22' if tool else 'ocloc'} is not installed"

    def one(path):
        with tempfile.TemporaryDirectory() as out:
            done = subprocess.run([tool, "compile", "-q", "-file", str(path), "-spirv_input", "-device", chip,
                                   "--format", "zebin", "-out_dir", out], capture_output=True, text=True,
                                  errors="replace", timeout=600)
            made = sorted(pathlib.Path(out).glob("*.bin"))
            if done.returncode or not made:
                return path, last_line(done.stderr + done.stdout)
            info = pathlib.Path(out) / "info"
            subprocess.run([objcopy, f"--dump-section=.ze_info={info}", str(made[0]), os.devnull], check=True,
                           capture_output=True, timeout=60)
            text = info.read_bytes().rstrip(b"\0").decode(errors="replace")
        rows = {}
        for part in re.split(r"\n  - name: +", text.split("kernels_misc_info")[0])[1:]:
            spilled = private = 0
            for buffer in re.split(r"\n      - type:", part)[1:]:
                size = re.search(r"size: +(\d+)", buffer)
                if size and "spill_fill_space" in buffer.split("size:")[0]:
                    spilled += int(size.group(1))
                elif size and ("private_space" in buffer.split("size:")[0] or " scratch" in buffer[:12]):
                    private += int(size.group(1))
            number = {key: int((re.search(rf"{key}: +(\d+)", part) or [0, 0])[1])
                      for key in ("grf_count", "slm_size", "simd_size")}
            # A register of the file holds 32 bits of 8 or 16 lanes.
            wide = 16 if chip == "pvc" else 8
            rows[part.split("\n")[0].strip()] = {
                "registers": number["grf_count"] * wide // max(1, number["simd_size"]), "spilled": spilled,
                "private": private, "shared": number["slm_size"]}
        return path, rows

    return _each(one, sorted(folder.glob("linked*.spv")))


def _each(one, paths):
    rows = {}
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        for path, found in pool.map(one, paths):
            if not isinstance(found, dict):
                raise RuntimeError(f"{path.name}: {found}")
            rows.update(found)
    return rows, ""


READERS = {"cuda": of_ptxas, "rocm": of_metadata, "intel": of_ocloc}


# -- What a kernel computes and moves -----------------------------------------


def multiply_adds(ir):
    """{kernel: multiply-adds} of its products; sizes that are only known at run time count as 0."""
    counts = collections.Counter()
    for product in kernel_ir.products(ir):
        counts[product.kernel] += product.rows * product.columns * product.reduced * product.batch
    return counts


def traffic(variant):
    """{kernel: (bytes of one launch, launches)}; sizes that are expressions count as 0."""
    moved = {}

    def walk(instructions):
        for instruction in instructions:
            if instruction["op"] == "launch":
                entry = variant["kernels"][instruction["kernel"]]["entry"]
                sizes = [variant["buffers"][b].get("bytes") for b in instruction["buffers"]]
                total = sum(size for size in sizes if isinstance(size, int))
                moved[entry] = (total, moved.get(entry, (0, 0))[1] + 1)
            for key in ("body", "otherwise"):
                walk(instruction.get(key) or [])

    walk(variant["program"])
    return moved


# -- One model for one target --------------------------------------------------


def inspect(model, path, target, precision, work, estimate):
    """Rows of one model's kernels, or (None, reason)."""
    family, chip = target.split(":")
    objects, package = work / "objects", work / "model.aicc"
    shutil.rmtree(objects, ignore_errors=True)
    status, _, err = call(program("aicc"), path, f"--target={target}", f"--precision={precision}", "-o", package,
                          f"--save-objects={objects}", timeout=1800)
    if status:
        raise RuntimeError(f"aicc exits with {status}: {last_line(err)}")
    rows, reason = READERS[family](objects / f"{family}-{chip}", chip)
    if rows is None:
        return None, reason
    _, text, _ = call(program("aicc-run"), package, "--describe", "--json")
    variant = json.loads(text)["variants"][0]
    for kernel in variant["kernels"]:
        row = rows.get(kernel["entry"])
        if row is None:
            raise RuntimeError(f"nothing is said of kernel {kernel['entry']}")
        threads = kernel["workgroup"]
        row.update(model=model, target=target, precision=precision, kernel=kernel["entry"],
                   threads=threads[0] * threads[1] * threads[2])
        row["shared"] = max(row["shared"], kernel["shared_bytes"])
        row["occupancy"] = round(occupancy(chip, row), 3)
    if estimate:
        _, ir, _ = call(program("aicc"), path, f"--target={target}", f"--precision={precision}", "--emit=kernels",
                        timeout=1800)
        work_of, moved = multiply_adds(ir), traffic(variant)
        peak = CHIPS[chip].f32 if precision == "f32" else CHIPS[chip].f16
        for row in rows.values():
            row["bytes"], row["launches"] = moved.get(row["kernel"], (0, 0))
            row["multiply_adds"] = work_of.get(row["kernel"], 0)
            by_memory, by_arithmetic = row["bytes"] / CHIPS[chip].bandwidth, row["multiply_adds"] / peak
            row["estimated_us"] = round(max(by_memory, by_arithmetic) * 1e6, 3)
            row["bound_by"] = "memory" if by_memory >= by_arithmetic else "arithmetic"
    return list(rows.values()), ""


def markdown(rows):
    lines = ["# Kernels' resources", "",
             "Registers, spills and shared memory are what the vendors' compilers report. **The times are estimates**: the",
             "larger of bytes at the chip's peak bandwidth and multiply-adds at its peak rate, by data sheet; nothing was",
             "measured.", ""]
    groups = collections.defaultdict(list)
    for row in rows:
        groups[row["model"], row["target"], row["precision"]].append(row)
    for (model, target, precision), kernels in groups.items():
        total = sum(k.get("estimated_us", 0) * max(1, k.get("launches", 1)) for k in kernels)
        lines += [f"## {model}, {target}, {precision}: {len(kernels)} kernels, estimate {total:.0f} us", "",
                  "| kernel | registers | spilled | private | shared | occupancy | launches | MB | M multiply-adds | us, estimate | bound by |",
                  "|---|---|---|---|---|---|---|---|---|---|---|"]
        for k in sorted(kernels, key=lambda k: -k.get("estimated_us", 0) * max(1, k.get("launches", 1))):
            lines.append(f"| {k['kernel']} | {k['registers']} | {k['spilled']} | {k['private']} | {k['shared']} | "
                         f"{k['occupancy']:.0%} | {k.get('launches', '')} | {k.get('bytes', 0) / 1e6:.3f} | "
                         f"{k.get('multiply_adds', 0) / 1e6:.2f} | {k.get('estimated_us', '')} | {k.get('bound_by', '')} |")
        lines.append("")
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--models", default=",".join(MODELS))
    parser.add_argument("--targets", default=",".join(TARGETS))
    parser.add_argument("--precision", default="f32")
    parser.add_argument("--table", type=pathlib.Path, help="folder for resources.json and resources.md")
    arguments = parser.parse_args()
    program("aicc"), program("aicc-run")
    rows, failures, skipped, checked = [], [], [], 0
    known = known_spills()
    for model in arguments.models.split(","):
        path = pathlib.Path(model)
        if not path.suffix:
            path = pathlib.Path(os.environ.get("AICC_MODELS_DIR", BUILD / "models")) / model / "model.onnx"
        elif not path.exists():
            path = ROOT / path
        if not path.exists():
            skipped.append(f"{model} is not at {path}")
            continue
        for target in arguments.targets.split(","):
            for precision in arguments.precision.split(","):
                label = f"{path.stem if path.suffix and '/' in model else model} for {target}, {precision}"
                with tempfile.TemporaryDirectory(prefix="aicc-resources-") as work:
                    try:
                        found, reason = inspect(model, path, target, precision, pathlib.Path(work),
                                                arguments.table is not None)
                    except RuntimeError as error:
                        failures.append(f"{label}: {error}")
                        continue
                if found is None:
                    skipped.append(f"{label}: {reason}")
                    continue
                checked += 1
                rows += found
                spills = [r for r in found if r["spilled"]]
                for r in found:
                    reason = known.get((path.stem if path.stem != "model" else model, target, precision, r["kernel"]))
                    if r["spilled"] and not reason:
                        failures.append(f"{label}: kernel {r['kernel']} spills {r['spilled']} bytes with "
                                        f"{r['registers']} registers")
                    elif reason and not r["spilled"]:
                        failures.append(f"{label}: kernel {r['kernel']} spills no more, but is listed")
                    elif reason:
                        print(f"{label}: known: kernel {r['kernel']} spills {r['spilled']} bytes: {reason}")
                print(f"{label}: {len(found)} kernels, at most {max((r['registers'] for r in found), default=0)} "
                      f"registers, {len(spills)} with spills", flush=True)
    if arguments.table:
        arguments.table.mkdir(parents=True, exist_ok=True)
        (arguments.table / "resources.json").write_text(json.dumps(rows, indent=1) + "\n")
        (arguments.table / "resources.md").write_text(markdown(rows))
    for line in skipped:
        print(f"SKIP: {line}")
    for line in failures:
        print(f"FAILED: {line}")
    return 1 if failures else 77 if not checked else 0


if __name__ == "__main__":
    sys.exit(main())
