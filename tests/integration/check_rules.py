#!/usr/bin/env python3
# check_rules.py - checks the rules of the source tree: who may use whom, headers, names.
#
# Licensed under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Reads every source file of the repository and reports what breaks a rule.

The rules are those of docs/design/overview.md. Each report is one line: the
file, the line, what was found and what is allowed. `--self-test` checks that
each rule finds a planted mistake.
"""

import pathlib
import re
import sys
import tempfile

SOURCE = {".cpp", ".h", ".c", ".td", ".fbs", ".cmake", ".py", ".sh", ".proto"}
CODE = {".cpp", ".h", ".c", ".td"}
TOP = ["dialects", "compiler", "runtime", "backends", "frontends", "tests", "benchmarks", "examples", "python", "scripts",
       "cmake"]
LINES = 800

MLIR = ("llvm/", "mlir/", "clang/", "lld/")
VENDOR_HEADERS = re.compile(r"^(cuda|cudnn|cublas|nvrtc|nccl|hip/|hip_|rocblas|hsa/|level_zero/|ze_api|sycl/|CL/)")
VENDOR_WORDS = re.compile(r"\b(cuda|nvidia|nvvm|ptx|rocm|rocdl|amdgpu|amd|hip|hsaco|intel|xevm)\b", re.IGNORECASE)
VENDOR_MACROS = re.compile(r"^\s*#\s*(if|ifdef|ifndef|elif)\b.*(CUDA|ROCM|HIP|NVIDIA)")
UNFINISHED = re.compile(r"\b(TODO|FIXME|XXX|HACK)\b|\bfor now\b")


def allowed(path, include):
    """None if the file may include that, else what it may."""
    part = path.parts
    repository = include.split("/")[0] in ("dialects", "compiler", "runtime", "backends", "frontends", "tests")
    mlir = include.startswith(MLIR)
    if VENDOR_HEADERS.match(include):
        return "its own declarations and dlopen, no vendor's header"
    if part[0] == "runtime":
        if mlir:
            return "C++, the OS and small libraries, never LLVM"
        if repository and not include.startswith("runtime/"):
            return "runtime/ only"
    elif part[0] == "dialects":
        if repository and not include.startswith("dialects/"):
            return "dialects/ and MLIR"
    elif part[0] == "frontends":
        if repository and not include.startswith(("dialects/", "frontends/")):
            return "dialects/ and frontends/"
    elif part[0] == "compiler":
        if include.startswith("backends/"):
            return "no backend: the registry is generated"
        if include.startswith("frontends/") and part[1] not in ("driver", "tools"):
            return "no frontend outside compiler/driver"
        if include.startswith("runtime/") and not include.startswith(("runtime/package/", "runtime/include/", "runtime/core/Status.h")):
            return "runtime/package and runtime/include only"
    elif part[0] == "python":
        if mlir or repository:
            return "the public C interfaces, <aicc/...>"
    elif part[0] == "backends" and len(part) > 3:
        own = f"backends/{part[1]}/"
        # Not a backend: two vendors' APIs are one, and what drives it must not be written twice.
        shared = "backends/common/driver/"
        if include.startswith("backends/") and not include.startswith(own):
            if part[2] != "driver" or not include.startswith(shared):
                return f"{own} only, no other backend; drivers also {shared}"
        if part[2] == "codegen":
            if include.startswith("compiler/") and include.split("/")[1] not in ("target", "gpu", "npu", "lowering"):
                return "compiler/{target,gpu,npu,lowering}"
            if include.startswith(("frontends/", "runtime/")):
                return "compiler/{target,gpu,npu,lowering} and dialects/"
        if part[2] in ("driver", "vendor"):
            if mlir:
                return "runtime/include only, never LLVM"
            if repository and not include.startswith((own, shared, "runtime/include/")):
                return "runtime/include and its own files"
    return None


def check_file(root, path):
    """Yields (line, what is wrong)."""
    relative = path.relative_to(root)
    text = path.read_text(errors="replace")
    lines = text.splitlines()
    if len(lines) > LINES and path.suffix in CODE | {".py", ".sh"}:
        yield len(lines), f"has {len(lines)} lines; at most {LINES}"
    if path.suffix in CODE | {".py", ".sh", ".fbs"} and "SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception" not in text[:800]:
        yield 1, "has no licence line in its first lines"
    own_rules = relative.name == "check_rules.py"
    for number, line in enumerate(lines, 1):
        if UNFINISHED.search(line) and not own_rules:
            yield number, f"'{UNFINISHED.search(line)[0]}': finish it or open an issue"
        if path.suffix not in CODE:
            continue
        if match := re.match(r'\s*#\s*include\s*[<"]([^>"]+)[>"]', line):
            if rule := allowed(relative, match[1]):
                yield number, f"includes {match[1]}; allowed: {rule}"
        if VENDOR_MACROS.match(line) and relative.parts[0] != "backends":
            yield number, "asks for a vendor in the preprocessor; only a backend's folder may"
        if relative.parts[:2] in (("compiler", "gpu"), ("compiler", "lowering")):
            code = re.sub(r"//.*", "", line)
            if match := VENDOR_WORDS.search(code):
                yield number, f"names the vendor '{match[0]}'; what differs between vendors belongs to their backends"


def files(root):
    for top in TOP:
        for path in sorted((root / top).rglob("*")):
            if path.is_file() and path.suffix in SOURCE and "__pycache__" not in path.parts:
                yield path
    for name in ("CMakeLists.txt",):
        if (root / name).exists():
            yield root / name


def check(root):
    problems = []
    for path in files(root):
        problems += [f"{path.relative_to(root)}:{line}: {what}" for line, what in check_file(root, path)]
    for folder in sorted((root / "backends").glob("*")):
        if folder.is_dir() and not (folder / "README.md").exists() and any(folder.rglob("*.cpp")):
            problems.append(f"{folder.relative_to(root)}: has no README.md, so CMake doesn't see it")
    return problems


HEADER = "// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception\n"
PLANTED = {
    "runtime/core/A.cpp": (HEADER + '#include "llvm/ADT/SmallVector.h"\n', "never LLVM"),
    "runtime/core/B.cpp": (HEADER + '#include "compiler/target/CodeGenerator.h"\n', "runtime/ only"),
    "dialects/graph/A.cpp": (HEADER + '#include "compiler/lowering/Lowering.h"\n', "dialects/ and MLIR"),
    "compiler/driver/A.cpp": (HEADER + '#include "backends/cpu/codegen/Cpu.h"\n', "no backend"),
    "compiler/package/A.cpp": (HEADER + '#include "runtime/executor/Executor.h"\n', "runtime/package and runtime/include only"),
    "compiler/gpu/A.cpp": (HEADER + 'auto name = "nvvm";\n', "names the vendor"),
    "compiler/driver/B.cpp": (HEADER + "#ifdef AICC_CUDA\n", "preprocessor"),
    "backends/cuda/codegen/A.cpp": (HEADER + '#include "backends/rocm/codegen/B.h"\n', "no other backend"),
    "backends/cuda/codegen/B.cpp": (HEADER + '#include "compiler/driver/Pipeline.h"\n', "compiler/{target"),
    "backends/cuda/driver/A.cpp": (HEADER + '#include "runtime/core/Status.h"\n', "runtime/include and"),
    "backends/cuda/driver/C.cpp": (HEADER + '#include "backends/rocm/driver/B.h"\n', "no other backend"),
    "backends/cuda/codegen/C.cpp": (HEADER + '#include "backends/common/driver/Vendor.h"\n', "no other backend"),
    "backends/common/driver/A.cpp": (HEADER + '#include "backends/cuda/driver/B.h"\n', "no other backend"),
    "backends/common/driver/B.cpp": (HEADER + '#include "runtime/core/Status.h"\n', "runtime/include and"),
    "backends/virtual/vendor/A.cpp": (HEADER + '#include "runtime/device/Device.h"\n', "runtime/include and"),
    "backends/cuda/driver/B.cpp": (HEADER + "#include <cuda.h>\n", "no vendor's header"),
    "frontends/onnx/A.cpp": (HEADER + '#include "compiler/driver/Pipeline.h"\n', "dialects/ and frontends/"),
    "python/src/A.cpp": (HEADER + '#include "compiler/driver/Compiler.h"\n', "public C interfaces"),
    "runtime/core/C.cpp": ("int x;\n", "licence"),
    "runtime/core/D.cpp": (HEADER + "// TO" + "DO: later\n", "finish it"),
    "runtime/core/E.cpp": (HEADER + "\n" * LINES, "at most"),
}


def self_test():
    missed = []
    with tempfile.TemporaryDirectory() as folder:
        for name, (text, expected) in PLANTED.items():
            root = pathlib.Path(folder) / name.replace("/", "_")
            path = root / name
            path.parent.mkdir(parents=True)
            path.write_text(text)
            found = check(root)
            if not any(expected in problem for problem in found):
                missed.append(f"{name}: expected '{expected}', found {found}")
    return missed


def main():
    if "--self-test" in sys.argv:
        problems = self_test()
    else:
        problems = check(pathlib.Path(__file__).resolve().parents[2])
    print("\n".join(problems) or "no rule is broken")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
