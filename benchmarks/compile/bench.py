#!/usr/bin/env python3
# bench.py - how long aicc takes to compile the models of tests/models.
#
# Licensed under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""bench.py [MODEL...] [--target=cpu]: the first compile (no cache) and the second."""

import argparse
import os
import pathlib
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "harness"))
from aicc_testing import BUILD, call, last_line, program  # noqa: E402

MODELS = ["mlp", "lstm", "unet", "mobilenet_v3", "efficientnet_b0", "resnet50", "vit_b_16", "bert_base", "gpt2_prefill",
          "gpt2_step"]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("models", nargs="*")
    parser.add_argument("--target", default="cpu")
    arguments = parser.parse_args()
    models = pathlib.Path(os.environ.get("AICC_MODELS_DIR", BUILD / "models"))
    failed = 0
    print(f"{'model':18s} {'first':>8s} {'second':>8s} {'package':>10s}   for {arguments.target}, {os.cpu_count()} cores")
    for name in arguments.models or MODELS:
        with tempfile.TemporaryDirectory(dir=BUILD) as folder:
            os.environ["AICC_CACHE_DIR"] = f"{folder}/cache"
            package, seconds = pathlib.Path(folder) / "model.aicc", []
            for _ in range(2):
                begin = time.time()
                status, _, err = call(program("aicc"), models / name / "model.onnx", f"--target={arguments.target}", "-o",
                                      package, timeout=1800)
                seconds.append(time.time() - begin)
                if status:
                    break
            if status:
                failed += 1
                print(f"{name:18s} FAILED: exit {status}: {last_line(err)}")
            else:
                print(f"{name:18s} {seconds[0]:6.1f} s {seconds[1]:6.1f} s {package.stat().st_size / 1e6:7.1f} MB", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
