#!/usr/bin/env python3
# bench.py - aicc beside ONNX Runtime and OpenVINO on the models of tests/models.
#
# Licensed under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""bench.py [MODEL...] [--threads=1] [--rounds=7] [--target=cpu] [--json=FILE]

All engines live in this one process, pinned to one core when one thread is
asked for, and take turns: every round measures each engine for a while. A round
gives a median per engine; the table shows the median over the rounds, and the
median over the rounds of (fastest peer's time / aicc's time): neighbours on a
shared machine disturb a whole round, so only ratios within one mean anything.
More than 1 says that aicc is faster.
"""

import argparse
import gc
import json
import os
import pathlib
import platform
import statistics
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "harness"))
sys.path.insert(0, str(ROOT / "benchmarks" / "peers"))
from aicc_testing import BUILD, call, last_line, program, relative_error  # noqa: E402
import peers  # noqa: E402

MODELS = ["mlp", "lstm", "unet", "mobilenet_v3", "efficientnet_b0", "resnet50", "vit_b_16", "bert_base", "gpt2_prefill",
          "gpt2_step"]
ROUND_SECONDS = 0.4
MINIMUM_RUNS = 2


def processor():
    for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.machine()


def compile_package(model, target, folder):
    package = BUILD / "bench" / f"{folder.name}.aicc"
    package.parent.mkdir(parents=True, exist_ok=True)
    begin = time.time()
    status, _, err = call(program("aicc"), model, f"--target={target}", "-o", package, timeout=600)
    if status:
        raise RuntimeError(f"aicc: exit {status}: {last_line(err)}")
    return package, time.time() - begin


def measure(engine, seconds):
    times = []
    end = time.perf_counter() + seconds
    while len(times) < MINIMUM_RUNS or time.perf_counter() < end:
        begin = time.perf_counter()
        engine.run()
        times.append(time.perf_counter() - begin)
    return statistics.median(times)


def bench(name, arguments):
    import numpy

    folder = pathlib.Path(os.environ.get("AICC_MODELS_DIR", BUILD / "models")) / name
    if not (folder / "model.json").exists():
        raise RuntimeError(f"not exported: tests/models/export.py {folder.parent} {name}")
    record = json.loads((folder / "model.json").read_text())
    run = folder / record["runs"][-1]["folder"]
    inputs = {port["name"]: numpy.load(run / f"{port['name']}.npy") for port in record["inputs"]}
    model = folder / "model.onnx"
    engines, row = {}, {"model": name}
    try:
        for kind in (peers.OnnxRuntime, peers.OpenVino):
            try:
                engines[kind.name] = kind(model, inputs, arguments.threads)
            except Exception as problem:  # A peer that can't run the model is left out.
                row[kind.name] = f"{type(problem).__name__}: {problem}"[:200]
        package, row["compile seconds"] = compile_package(model, arguments.target, folder)
        engines["aicc"] = peers.Aicc(package, inputs, arguments.threads)
        row["error"] = max(relative_error(value, numpy.load(run / "expect" / f"{key}.npy"))
                           for key, value in engines["aicc"].results().items())
        row["memory"] = engines["aicc"].session.memory()
        row["variant"] = engines["aicc"].session.variant
        for engine in engines.values():
            measure(engine, 0.1)
        rounds = []
        order = list(engines)
        for k in range(arguments.rounds):
            turn = order[k % len(order):] + order[: k % len(order)]
            rounds.append({key: measure(engines[key], ROUND_SECONDS) for key in turn})
        row["ms"] = {key: statistics.median(r[key] for r in rounds) * 1e3 for key in order}
        others = [key for key in order if key != "aicc"]
        row["ratio"] = {key: statistics.median(r[key] / r["aicc"] for r in rounds) for key in others}
        row["best"] = statistics.median(min(r[key] for key in others) / r["aicc"] for r in rounds)
    finally:
        for engine in engines.values():
            engine.close()
        engines.clear()
        gc.collect()
    package.unlink()
    return row


def show(rows):
    print(f"{'model':18s} {'aicc ms':>9s} {'ORT ms':>9s} {'OV ms':>9s} {'/ORT':>6s} {'/OV':>6s} {'/best':>6s} "
          f"{'error':>8s} {'compile':>8s} {'memory':>8s}")
    for row in rows:
        if "best" not in row:
            print(f"{row['model']:18s} {row['failed']}")
            continue
        ms, ratio = row["ms"], row["ratio"]

        def number(table, key, form):
            return format(table[key], form) if key in table else "-"

        print(f"{row['model']:18s} {ms['aicc']:9.3f} {number(ms, 'ONNX Runtime', '9.3f'):>9s} "
              f"{number(ms, 'OpenVINO', '9.3f'):>9s} {number(ratio, 'ONNX Runtime', '6.2f'):>6s} "
              f"{number(ratio, 'OpenVINO', '6.2f'):>6s} {row['best']:6.2f} {row['error']:8.1e} "
              f"{row['compile seconds']:6.1f} s {row['memory']['peak_bytes'] / 1e6:5.0f} MB")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="*")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--target", default="cpu")
    parser.add_argument("--json", type=pathlib.Path, default=BUILD / "reports" / "bench.json")
    arguments = parser.parse_args()
    where = f"core {peers.pin_to_one_core()}" if arguments.threads == 1 else "not pinned"
    print(f"{processor()}, {arguments.threads} thread(s), {where}, load {os.getloadavg()[0]:.1f}")
    rows = []
    for name in arguments.models or MODELS:
        if sys.stdout.isatty():
            print(f"... {name:30s}", end="\r", flush=True)
        try:
            rows.append(bench(name, arguments))
        except Exception as problem:  # One model's failure doesn't end the table.
            rows.append({"model": name, "failed": f"FAILED: {problem}"})
    show(rows)
    arguments.json.parent.mkdir(parents=True, exist_ok=True)
    arguments.json.write_text(json.dumps({"processor": processor(), "threads": arguments.threads, "rows": rows}, indent=1))
    return 1 if any("failed" in row for row in rows) else 0


if __name__ == "__main__":
    sys.exit(main())
