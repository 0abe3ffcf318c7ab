# gpu_resources.py - what the vendors' compilers say that a kernel takes of a GPU.
#
# Licensed under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Readers of registers, spills, private and shared memory of compiled kernels.

    cuda   ptxas -v
    rocm   the metadata in the assembly that aicc writes (no tool needed)
    intel  ocloc's warnings, and the .ze_info section of what it makes for the chip

`READERS[family](folder, chip)` reads what `aicc --save-objects` wrote for one
target: ({kernel: {registers, spilled, private, shared}}, "") or (None, reason).
"""

import concurrent.futures
import json
import os
import pathlib
import re
import shutil
import subprocess
import tempfile

from aicc_testing import call, last_line, program, vendor_tool

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


def lane_moves(assembly):
    """How many moves between scalar registers and lanes of a vector register, which is where AMD's scalar registers
    are spilled to, are in a kernel's loops. Outside of them two instructions each are nothing."""
    lines = assembly.splitlines()
    labels = {line.split(":")[0]: i for i, line in enumerate(lines) if re.match(r"\.L\w+:", line)}
    moves = set()
    for end, line in enumerate(lines):
        branch = re.match(r"\s+s_c?branch\w*\s+(\.L\w+)", line)
        if branch and labels.get(branch.group(1), end) < end:
            moves |= {i for i in range(labels[branch.group(1)], end) if re.search(r"\bv_(write|read)lane_b32", lines[i])}
    return len(moves)


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
            scalars = number("sgpr_spill_count")
            code = re.search(rf"^{re.escape(name.group(1))}:.*?^\.Lfunc_end", text, re.DOTALL | re.MULTILINE)
            inside = lane_moves(code.group()) if scalars and code else scalars
            rows[name.group(1)] = {
                "registers": number("vgpr_count") + (number("gpr_count") if part.startswith("gpr") else 0),
                "spilled": 4 * (number("vgpr_spill_count") + inside), "scalars": scalars,
                "private": number("private_segment_fixed_size"), "shared": number("group_segment_fixed_size")}
    return rows, ""


BLOCK_FUNCTIONS = re.compile(rb"_Z\d+intel_sub_group_2d_block_(?:read|prefetch)_\w*?PU3AS1viiiDv2_i(?:P[tj])?(?=\0)")
BLOCK_SHAPE = re.compile(r"(?P<kind>prefetch|read_transform|read_transpose|read)_(?P<bits>\d+)b_(?P<rows>\d+)r\d+x(?P<blocks>\d)c")


def block_function(name):
    """LLVM IR of a function of cl_intel_subgroup_2d_block_io, by the built-ins that Intel's compiler had for it before
    the extension: Debian's compiles a call of a function that it doesn't know without a word."""
    shape = BLOCK_SHAPE.search(name)
    kind, bits, rows, blocks = shape["kind"], int(shape["bits"]), int(shape["rows"]), int(shape["blocks"])
    arguments = "ptr addrspace(1) %p, i32 %w, i32 %h, i32 %s, <2 x i32> %at"
    if kind == "prefetch":
        return f"define spir_func void @{name}({arguments}) {{\n  ret void\n}}\n"
    # (built-in, its result, [(steps in x and y, first words of its parts)])
    if kind == "read":
        callee, result = f"u{bits}_m8k{256 // bits}v2", "<16 x i16>"
        calls = [((0, row), (row, rows + row)) for row in range(0, rows, 8)]
    elif kind == "read_transpose":
        callee, result, calls = "transpose_u32_k8", "<8 x i32>", [((0, 0), (0,))]
    else:
        step = 256 // bits
        callee, result = f"transform_u{bits}_k{step}", "<8 x i32>"
        calls = [((16 * block, row), (8 * (rows // step * block + row // step),))
                 for block in range(blocks) for row in range(0, rows, step)]
    part = "<8 x i16>" if kind == "read" else "<8 x i32>"
    size = 2 if kind == "read" else 4
    lines = [f"declare spir_func {result} @__builtin_IB_subgroup_block_read_flat_{callee}(i64, i32, i32, i32, <2 x i32>) #0",
             f"define spir_func void @{name}({arguments}, ptr %to) {{",
             "  %b = ptrtoint ptr addrspace(1) %p to i64",
             "  %first = load i8, ptr %to"]  # so that it points to bytes, as it does where it is called
    lines += [f"  %{v}1 = sub i32 %{v}, 1" for v in "whs"]
    for n, ((x, y), words) in enumerate(calls):
        lines += [f"  %at{n} = add <2 x i32> %at, <i32 {x}, i32 {y}>",
                  f"  %v{n} = call spir_func {result} @__builtin_IB_subgroup_block_read_flat_{callee}(i64 %b, i32 %w1, "
                  f"i32 %h1, i32 %s1, <2 x i32> %at{n})"]
        for half, word in enumerate(words):
            value = f"%v{n}"
            if len(words) > 1:
                mask = ", ".join(f"i32 {8 * half + i}" for i in range(8))
                lines.append(f"  %h{n}_{half} = shufflevector {result} %v{n}, {result} poison, <8 x i32> <{mask}>")
                value = f"%h{n}_{half}"
            lines += [f"  %t{n}_{half} = getelementptr i8, ptr %to, i32 {word * size}",
                      f"  store {part} {value}, ptr %t{n}_{half}, align {size}"]
    return "\n".join(lines + ["  ret void", "}", ""])


def with_block_functions(path, folder):
    """The module with definitions of what it calls of cl_intel_subgroup_2d_block_io."""
    spirv = pathlib.Path(path).read_bytes()
    names = sorted({name.decode() for name in BLOCK_FUNCTIONS.findall(spirv)})
    llc, link = vendor_tool("llc-22"), vendor_tool("spirv-link")
    if not names or not llc or not link:
        return path
    version = int.from_bytes(spirv[4:8], "little") >> 8
    text = "\n".join(map(block_function, names)) + "attributes #0 = { convergent nounwind }\n"
    lines = text.splitlines()  # a built-in is declared once
    text = "\n".join(line for n, line in enumerate(lines) if not line.startswith("declare") or line not in lines[:n])
    source, functions, linked = (pathlib.Path(folder) / name for name in ("blocks.ll", "blocks.spv", "with-blocks.spv"))
    source.write_text(text + "\n")
    subprocess.run([llc, "-O2", f"-mtriple=spirv64v{version >> 8}.{version & 255}-unknown-unknown", "-filetype=obj",
                    source, "-o", functions], check=True, timeout=60)
    subprocess.run([link, "--allow-partial-linkage", str(path), str(functions), "-o", str(linked)], check=True, timeout=60)
    return linked


def call_ocloc(tool, path, chip, folder, **environment):
    """(status, output) of compiling a module as the drivers of backends/intel do: what spills is compiled again with
    twice the registers for a chip whose compiler doesn't decide by itself."""
    options = ["-cl-intel-enable-auto-large-GRF-mode"]
    path = with_block_functions(path, folder)
    while True:
        done = subprocess.run([tool, "compile", "-file", str(path), "-spirv_input", "-device", chip, "--format", "zebin",
                               "-out_dir", folder, "-options", " ".join(options)], stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, errors="replace", timeout=600,
                              env={**os.environ, **environment})
        if chip != "dg2" or len(options) > 1 or "spilled around" not in done.stdout:
            return done.returncode, done.stdout
        options.append("-cl-intel-256-GRF-per-thread")


def assembly_of(tool, path, chip):
    """(status, output, {kernel: what Intel's compiler makes of it}) of compiling a module."""
    with tempfile.TemporaryDirectory() as dump:
        status, text = call_ocloc(tool, path, chip, dump, IGC_ShaderDumpEnable="1", IGC_DumpToCustomDir=dump)
        kernels = {}
        for file in sorted(pathlib.Path(dump).glob("*entry*.asm")):
            assembly = file.read_text(errors="replace")
            if name := re.match(r"//\.kernel (\S+)", assembly):
                kernels[name.group(1)] = assembly
    return status, text, kernels


def of_ocloc(folder, chip):
    tool, objcopy = vendor_tool("ocloc"), vendor_tool("llvm-objcopy-22")
    if not tool or not objcopy:
        return None, f"{'llvm-objcopy-22' if tool else 'ocloc'} is not installed"

    def one(path):
        with tempfile.TemporaryDirectory() as out:
            status, text = call_ocloc(tool, path, chip, out)
            made = sorted(pathlib.Path(out).glob("*.bin"))
            if status or not made:
                return path, last_line(text)
            info = pathlib.Path(out) / "info"
            subprocess.run([objcopy, f"--dump-section=.ze_info={info}", str(made[0]), os.devnull], check=True,
                           capture_output=True, timeout=60)
            described = info.read_bytes().rstrip(b"\0").decode(errors="replace")
        # What is spilled shares its memory with private variables, so that only the warning says how much it is.
        warned = dict(re.findall(r"kernel (\S+) +compiled SIMD\d+ allocated \d+ regs and spilled around (\d+)", text))
        rows = {}
        for part in re.split(r"\n  - name: +", described.split("kernels_misc_info")[0])[1:]:
            private = 0
            for buffer in re.split(r"\n      - type:", part)[1:]:
                size = re.search(r"size: +(\d+)", buffer)
                private += int(size.group(1)) if size and "scratch" in buffer[:12] else 0
            number = {key: int((re.search(rf"{key}: +(\d+)", part) or [0, 0])[1])
                      for key in ("grf_count", "slm_size", "simd_size")}
            # A register of the file holds 32 bits of 8 or 16 lanes.
            wide = 16 if chip == "pvc" else 8
            name = part.split("\n")[0].strip()
            rows[name] = {
                "registers": number["grf_count"] * wide // max(1, number["simd_size"]),
                "spilled": int(warned.get(name, 0)) * 4 * wide, "private": private, "shared": number["slm_size"]}
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


def inspect(path, target, flags, work):
    """Compiles a model: (rows of kernels as the readers give them, with `threads`; the package's only variant), or
    (None, reason)."""
    family, chip = target.split(":")
    objects, package = pathlib.Path(work) / "objects", pathlib.Path(work) / "model.aicc"
    shutil.rmtree(objects, ignore_errors=True)
    status, _, err = call(program("aicc"), path, f"--target={target}", *flags, "-o", package,
                          f"--save-objects={objects}", timeout=1800)
    if status:
        raise RuntimeError(f"aicc exits with {status}: {last_line(err)}")
    rows, reason = READERS[family](objects / f"{family}-{chip}", chip)
    if rows is None:
        return None, reason
    status, text, err = call(program("aicc-run"), package, "--describe", "--json")
    if status:
        raise RuntimeError(f"aicc-run --describe exits with {status}: {last_line(err)}")
    variant = json.loads(text)["variants"][0]
    for kernel in variant["kernels"]:
        row = rows.get(kernel["entry"])
        if row is None:
            raise RuntimeError(f"nothing is said of kernel {kernel['entry']}")
        x, y, z = kernel["workgroup"]
        row["threads"] = x * y * z
        row["shared"] = max(row["shared"], kernel["shared_bytes"])
    return rows, variant
