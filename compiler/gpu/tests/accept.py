# accept.py - vendors' tools take the code of the sample kernels
#
# Licensed under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""accept.py COMPILE-KERNELS ptxas|readelf|spirv-val|ocloc [CHIP...]

Compiles the sample kernels for the chips (every one of a vendor's) and gives
each object to the tool. Exit 77 = skipped, with the reason."""
import glob
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile


def skip(reason):
    print("SKIP:", reason)
    sys.exit(77)


def find(*names):
    for name in names:
        path = shutil.which(name)
        if path:
            return path
    skip(f"no {names[0]}")


try:
    import numpy  # noqa: F401
except ImportError:
    skip("NumPy is not installed")
import kernels

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[3] / "tests" / "harness"))
import gpu_resources  # noqa: E402

# Kernels that spill scalar registers in a loop, with the reason.
KNOWN_LANE_MOVES = {
    ("gfx950", "attention_f16_columns"):
        "19 conditions of elements that lanes don't share, a pair of registers each, live through a tile of keys",
    ("gfx950", "attention_f16_widest"): "the same: the last keys of a tile and the mask",
    ("gfx90a", "attention_f16_window"): "the same, of the mask: two comparisons for each of 32 scores",
}

CHIPS = {
    "ptxas": ("cuda", ["sm_80", "sm_90", "sm_90a", "sm_100", "sm_120"]),
    "readelf": ("rocm", ["gfx90a", "gfx942", "gfx950", "gfx1100", "gfx1201",
                         "gfx9-4-generic", "gfx11-generic", "gfx12-generic"]),
    "spirv-val": ("intel", ["generic"]),
    "ocloc": ("intel", ["dg2", "pvc"]),
}


def call(*command):
    done = subprocess.run(command, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True)
    return done.returncode, done.stdout


def check_ptxas(tool, chip, path, entry):
    # A binary that knows the chip; spills would make a kernel slow.
    status, text = call(tool, f"-arch={chip}", "-v", path, "-o", path + ".bin")
    if status and "is not defined for option 'gpu-name'" in text:
        skip(f"this ptxas does not know {chip}")
    # Instructions beside the threads run one by one where it can't follow who touches their results.
    spills = [line for line in text.splitlines()
              if ("spill stores" in line and " 0 bytes spill stores" not in line) or "serializ" in line]
    return text if status else "\n".join(spills)


def check_readelf(tool, chip, path, entry):
    status, text = call(tool, "--file-header", "--dyn-syms", "--notes", path)
    for wanted in ("AMDGPU", chip, f"{entry}.kd", "AMDGPU Metadata"):
        if wanted not in text:
            return f"no '{wanted}' in {text}"
    spills = re.findall(r"\.vgpr_spill_count: +[1-9]\d*", text)
    if spills:
        return f"registers are spilled: {', '.join(spills)}"
    # Scalar ones go to lanes of a vector register.
    scalars = re.search(r"\.sgpr_spill_count: +([1-9]\d*)", text)
    if scalars:
        with open(os.path.splitext(path)[0] + ".s") as file:
            moves = gpu_resources.lane_moves(file.read())
        known = KNOWN_LANE_MOVES.get((chip, entry))
        if moves and not known:
            return f"{scalars[1]} scalar registers are spilled, with {moves} moves of lanes in loops"
        if known and not moves:
            return "no scalar register is spilled in a loop any more, but it is listed"
    return text if status else ""


def check_spirv_val(tool, chip, path, entry):
    with open(path, "rb") as file:
        version = int.from_bytes(file.read(8)[4:], "little") >> 8
    status, text = call(tool, "--target-env",
                        f"spv{version >> 8}.{version & 255}", path)
    return text if status else ""


# What a kernel that calls a built-in function must have in the assembly that Intel's compiler dumps.
INSTRUCTIONS = {b"_matrix_mad_k": r"\bdpas\.8x8", b"_2d_block_read_": r"\bload_block2d\.ugm"}

# Known. On dg2 a lane of 16 has 128 registers at most: tiles of 4 x 4 with padding, or rows of queries, in f32 take a few
# more, and so does attention by matrix instructions whose sizes aren't whole chunks. pvc's compiler takes no more
# than 128 for 10.
SPILLED = {"dg2": ("attention_causal", "attention_dynamic", "attention_f16_widest_edges", "attention_wide",
                   "attention_window", "convolution_groups", "convolution_large"),
           "pvc": ("attention_dynamic", "attention_window")}


def check_ocloc(tool, chip, path, entry):
    spirv = pathlib.Path(path).read_bytes()
    status, text, made = gpu_resources.assembly_of(tool, path, chip)
    assembly = "".join(made.values())
    if status:
        return text
    problems = [f"no {wanted} in the assembly" for name, wanted in INSTRUCTIONS.items()
                if name in spirv and not re.search(wanted, assembly)]
    # A function that the compiler doesn't know is called, and nobody says so.
    if re.search(r"\bcalla?\b", assembly):
        problems.append("a function is called that isn't there")
    spilled = re.search(r"spilled around \d+", text)
    known = entry in SPILLED.get(chip, ())
    if spilled and not known:
        problems.append(f"registers are spilled: {spilled.group()}")
    if known and not spilled:
        problems.append("no register is spilled any more: take it off the list")
    return "; ".join(problems)


def main():
    compiler, name, *only = sys.argv[1:]
    tool = {"ptxas": lambda: find("ptxas", "/usr/local/cuda/bin/ptxas"),
            "readelf": lambda: find("llvm-readelf-22", "llvm-readelf",
                                    "/usr/lib/llvm-22/bin/llvm-readelf"),
            "spirv-val": lambda: find("spirv-val"),
            "ocloc": lambda: find("ocloc")}[name]()
    check = {"ptxas": check_ptxas, "readelf": check_readelf,
             "spirv-val": check_spirv_val, "ocloc": check_ocloc}[name]
    family, chips = CHIPS[name]
    if unknown := set(only) - set(chips):
        sys.exit(f"no chip {', '.join(sorted(unknown))} for {name}, there is {', '.join(chips)}")
    failures = 0
    with tempfile.TemporaryDirectory() as directory:
        source = os.path.join(directory, "kernels.mlir")
        with open(source, "w") as file:
            file.write("\n".join(k.text for k in kernels.kernels().values()))
        for chip in only or chips:
            out = os.path.join(directory, chip)
            subprocess.run([compiler, source, f"{family}:{chip}", out],
                           check=True)
            count = 0
            for description in sorted(glob.glob(out + "/*.json")):
                with open(description) as file:
                    launch = json.load(file)
                if chip == "dg2" and "f64" in launch["entry"]:
                    continue  # has no 64-bit floats
                problem = check(tool, chip, os.path.join(out, launch["file"]),
                                launch["entry"])
                count += 1
                if problem:
                    failures += 1
                    print(f"FAIL {chip} {launch['entry']}\n{problem}")
            print(f"{chip}: {count} kernels given to {tool}")
    sys.exit(failures > 0)


main()
