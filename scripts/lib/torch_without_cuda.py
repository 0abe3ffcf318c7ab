#!/usr/bin/env python3
# torch_without_cuda.py - lets PyTorch's wheel be imported without CUDA's libraries.
#
# Licensed under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""PyTorch's wheel is linked to some 3 GB of CUDA libraries, which come as
packages of their own. The tests only export models and never touch a GPU, so
those packages are not installed: this script writes, beside PyTorch's own
libraries, one small library for each that is missing, in which every function
that PyTorch asks for fails. Run by the Python that PyTorch is installed in.
"""

import collections
import importlib.util
import pathlib
import re
import subprocess
import sys

COMPILER = ("clang-22", "cc")
VENDOR_LIBRARY = re.compile(r"lib(cu|nv|nccl)")
VENDOR_SYMBOL = re.compile(r"(cu|nv|nccl|__cuda)")
NO_DEVICE = 100  # cudaErrorNoDevice


def output_of(*command):
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def works():
    return subprocess.run([sys.executable, "-c", "import torch"], capture_output=True).returncode == 0


def missing_symbols(folder):
    """{library: {version: names}} of what PyTorch's libraries lack."""
    needed, file_of, wanted, defined = set(), {}, {}, set()
    for library in sorted(p for p in folder.glob("*.so*") if not p.is_symlink()):
        names = re.findall(r"NEEDED.*\[([^\]]*)\]", output_of("readelf", "-dW", str(library)))
        needed |= {name for name in names if VENDOR_LIBRARY.match(name)}
        file = None
        for line in output_of("readelf", "-VW", str(library)).splitlines():
            if match := re.search(r"File: (\S+)", line):
                file = match[1]
            elif match := re.search(r"Name: (\S+) +Flags", line):
                file_of[match[1]] = file
        for line in output_of("readelf", "--dyn-syms", "-W", str(library)).splitlines():
            fields = line.split()
            if len(fields) < 8 or not fields[0][:-1].isdigit():
                continue
            name, _, version = fields[7].partition("@")
            if fields[6] == "UND":
                wanted[name] = version.lstrip("@")
            else:
                defined.add(name)
    result = {library: collections.defaultdict(list) for library in sorted(needed)}
    for name, version in sorted(wanted.items()):
        if name in defined:
            continue
        if version and file_of.get(version) in needed:
            result[file_of[version]][version].append(name)
        elif VENDOR_SYMBOL.match(name):
            result[min(needed)][""].append(name)
    return result


def write_library(path, versions):
    source, script = "", ""
    for version, names in versions.items():
        for name in names:
            value = NO_DEVICE if name.startswith("cuda") else 0
            source += f"long {name}(void) {{ return {value}; }}\n"
        if version:
            script += f"{version} {{ global: {' '.join(name + ';' for name in names)} }};\n"
    options = [f"-Wl,-soname,{path.name}"]
    if script:
        map_file = path.with_suffix(".map")
        map_file.write_text(script)
        options.append(f"-Wl,--version-script,{map_file}")
    for compiler in COMPILER:
        command = [compiler, "-shared", "-fPIC", "-O1", "-w", "-xc", "-", "-o", str(path), *options]
        try:
            subprocess.run(command, input=source, text=True, check=True)
            return
        except FileNotFoundError:
            continue
    sys.exit("error: no C compiler found")


def main():
    if works():
        return 0
    folder = pathlib.Path(importlib.util.find_spec("torch").origin).parent / "lib"
    for name, versions in missing_symbols(folder).items():
        write_library(folder / name, versions)
    return 0 if works() else 1


if __name__ == "__main__":
    sys.exit(main())
