#!/usr/bin/env python3
# corpus.py - the conformance cases' models as a corpus for the importer's fuzzer.
#
# Licensed under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""corpus.py FOLDER: writes every model of the suite (and of the older operator
versions, if AICC_TEST_DATA is there) of at most 64 KiB, for libFuzzer."""

import hashlib
import importlib.util
import pathlib
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent / "ops"), str(HERE.parent / "harness")]
from aicc_testing import conformance_data, python_package, skip  # noqa: E402

LARGEST = 64 << 10


def main():
    folder = pathlib.Path(sys.argv[1])
    if importlib.util.find_spec("onnx") is None:
        skip("no Python module onnx (scripts/install.sh test)")
    python_package()
    from cases import Cases

    cases = Cases("cpu", history=bool(conformance_data()))
    folder.mkdir(parents=True, exist_ok=True)
    for path in cases.paths:
        data = cases.model(path).SerializeToString()
        if len(data) <= LARGEST:
            (folder / hashlib.sha1(data).hexdigest()).write_bytes(data)
    print(f"{folder}: {sum(1 for _ in folder.iterdir())} files")
    return 0


if __name__ == "__main__":
    sys.exit(main())
