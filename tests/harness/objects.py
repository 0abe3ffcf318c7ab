# objects.py - asks the vendors' tools whether they accept the objects of a package.
#
# Licensed under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Checks the files that `aicc --save-objects` wrote.

An object that a tool has accepted before is not shown to it again: many models
share kernels, and ocloc takes seconds for one.
"""

import concurrent.futures
import hashlib
import os
import pathlib
import subprocess
import tempfile

from aicc_testing import BUILD, vendor_tool

PTXAS_CHIPS = ("sm_80", "sm_90", "sm_90a", "sm_100", "sm_120")
OCLOC_CHIPS = ("dg2", "pvc")
# ocloc needs seconds a kernel, so it is shown the largest few of a model.
OCLOC_KERNELS = 4


def _run(command):
    done = subprocess.run([str(c) for c in command], capture_output=True, text=True, errors="replace", timeout=300,
                          stdin=subprocess.DEVNULL)
    lines = [line for line in (done.stderr + done.stdout).splitlines() if line.strip()]
    return done.returncode == 0, lines[0] if lines else f"exit {done.returncode}"


def _ptxas(tool, chip, path):
    with tempfile.NamedTemporaryFile() as out:
        return _run([tool, f"-arch={chip}", path, "-o", out.name])


def _readelf(tool, path):
    good, line = _run([tool, "-h", "-S", "--notes", path])
    return good, line


def _lld(tool, path):
    # A code object is linked already; linking it again relocatably proves that it is well formed.
    with tempfile.NamedTemporaryFile() as out:
        return _run([tool, "-shared", "--just-symbols", path, "-o", out.name])


def _spirv_val(tool, path):
    for version in ("spv1.2", "spv1.3"):
        good, line = _run([tool, "--target-env", version, path])
        if good:
            return True, ""
    return good, line


def _ocloc(tool, chip, path):
    with tempfile.TemporaryDirectory() as folder:
        return _run([tool, "compile", "-q", "-file", path, "-spirv_input", "-device", chip, "-out_dir", folder])


def _runs_on(path, chip):
    """Whether a PTX file is for the chip: what names `sm_90a` is for that alone, others for all later ones too."""
    for line in path.read_text(errors="replace").splitlines():
        if line.startswith(".target"):
            named = line.split()[1].split(",")[0]
            return named == chip if named.endswith("a") else int(named[3:]) <= int(chip[3:].rstrip("a"))
    return True


def check(folder, targets):
    """Yields (tool, state, detail), one for each tool that has to do with one of the targets."""
    families = {target.split(":")[0] for target in targets.split(",")}
    folder = pathlib.Path(folder)
    files = {suffix: sorted(folder.rglob(f"*{suffix}")) for suffix in (".ptx", ".hsaco", ".spv")}
    jobs = []
    for chip in PTXAS_CHIPS if "cuda" in families else ():
        fitting = [p for p in files[".ptx"] if _runs_on(p, chip)]
        jobs.append((f"ptxas {chip}", "ptxas", lambda tool, path, chip=chip: _ptxas(tool, chip, path), fitting))
    if "rocm" in families:
        jobs.append(("llvm-readelf", "llvm-readelf-22", _readelf, files[".hsaco"]))
        jobs.append(("ld.lld", "ld.lld-22", _lld, files[".hsaco"]))
    if "intel" in families:
        jobs.append(("spirv-val", "spirv-val", _spirv_val, files[".spv"]))
    largest = sorted(files[".spv"], key=lambda p: -p.stat().st_size)[:OCLOC_KERNELS]
    for chip in OCLOC_CHIPS if "intel" in families else ():
        jobs.append((f"ocloc {chip}", "ocloc", lambda tool, path, chip=chip: _ocloc(tool, chip, path), largest))

    accepted = BUILD / "reports" / "accepted"
    accepted.mkdir(parents=True, exist_ok=True)
    for name, tool_name, run, paths in jobs:
        tool = vendor_tool(tool_name)
        if not tool:
            yield name, "SKIP", f"{tool_name} is not installed"
            continue
        if not paths:
            yield name, "FAILED", "the package has no object for it"
            continue

        def one(path):
            key = hashlib.sha256(f"{tool} {name} ".encode() + path.read_bytes()).hexdigest()
            if (accepted / key).exists():
                return path, True, ""
            good, line = run(tool, path)
            if good:
                (accepted / key).touch()
            return path, good, line

        with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
            results = list(pool.map(one, paths))
        refused = [(path, line) for path, good, line in results if not good]
        if refused:
            path, line = refused[0]
            yield name, "FAILED", f"{len(refused)} of {len(paths)} refused; {path.name}: {line}"
        else:
            yield name, "ok", f"{len(paths)} objects"
