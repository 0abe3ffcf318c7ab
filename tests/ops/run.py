#!/usr/bin/env python3
# run.py - the ONNX conformance cases on one device.
#
# Licensed under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""run.py [--device=cpu] [--filter=WORD] [--all] [--update] [--jobs=N]

Compiles and runs every case of the ONNX backend data (AICC_TEST_DATA), within
the tolerance that the data states for it. expected/DEVICE.tsv lists the cases
that don't pass, with why; a case that fails and isn't listed is an error, and
so is one that passes and is listed. --update rewrites the list.

Without --all, the cases of older operator versions are left out.

Cases are compiled and run in worker processes, in process through the C APIs
(a worker that dies or hangs fails its case and is replaced).
"""

import argparse
import collections
import importlib.util
import json
import os
import pathlib
import queue
import re
import select
import subprocess
import sys
import threading
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "harness"))
from aicc_testing import BUILD, conformance_data, environment, has_device, program, skip  # noqa: E402

CASE_SECONDS = 30
TARGETS = {"cpu": "cpu:native", "intel": "intel"}


def cases(data, everything, word):
    """[(path, rtol, atol)] in the manifest's order."""
    found = []
    with open(data / "MANIFEST.tsv") as manifest:
        columns = manifest.readline().rstrip("\n").split("\t")
        for line in manifest:
            row = dict(zip(columns, line.rstrip("\n").split("\t")))
            path = row["path"]
            if row["kind"] == "real" or (path.startswith("history/") and not everything):
                continue
            if word and word not in path:
                continue
            found.append((path, float(row["rtol"]), float(row["atol"]), row.get("flags", "")))
    return found


def expectations(device):
    path = HERE / "expected" / f"{device}.tsv"
    if not path.exists():
        return {}
    rows = (line.rstrip("\n").split("\t", 1) for line in path.read_text().splitlines() if line and line[0] != "#")
    return dict(rows)


def reason_of(message):
    """A message without what differs from case to case, so that the list stays readable."""
    message = message.splitlines()[0] if message else "no message"
    message = re.sub(r"^.*?model\.onnx: ", "", message)
    message = re.sub(r"^(error: )+", "", message)
    message = re.sub(r' at "[^;]*', '', message)
    message = re.sub(r"largest difference \S+.*", "wrong values", message)
    return message[:140].strip()


class Worker:
    def __init__(self, device):
        self.process = subprocess.Popen([sys.executable, str(HERE / "worker.py"), device, TARGETS[device]],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                                        env=environment())
        self.rest = b""

    def run(self, request):
        """The worker's answer; a dead or late worker is an answer too."""
        try:
            self.process.stdin.write((json.dumps(request) + "\n").encode())
            self.process.stdin.flush()
        except BrokenPipeError:
            return self.died()
        end = time.monotonic() + CASE_SECONDS
        while b"\n" not in self.rest:
            ready, _, _ = select.select([self.process.stdout], [], [], max(0, end - time.monotonic()))
            if not ready:
                self.process.kill()
                self.process.wait()
                return {"state": "HANG", "message": f"no end within {CASE_SECONDS} s"}
            piece = os.read(self.process.stdout.fileno(), 1 << 16)
            if not piece:
                return self.died()
            self.rest += piece
        line, self.rest = self.rest.split(b"\n", 1)
        return json.loads(line)

    def died(self):
        status = self.process.wait()
        return {"state": "CRASH", "message": f"the process ended with {status}"}

    def close(self):
        self.process.stdin.close()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()


def run_all(todo, data, device, jobs):
    work, results, lock = queue.SimpleQueue(), {}, threading.Lock()
    for case in todo:
        work.put(case)

    def loop():
        worker = None
        while True:
            try:
                path, rtol, atol, _ = work.get_nowait()
            except queue.Empty:
                break
            worker = worker or Worker(device)
            answer = worker.run({"folder": str(data / path), "rtol": rtol, "atol": atol})
            if answer["state"] in ("CRASH", "HANG"):
                worker = None
            with lock:
                results[path] = answer
                if len(results) % 200 == 0:
                    print(f"... {len(results)} of {len(todo)}", flush=True)
        if worker:
            worker.close()

    threads = [threading.Thread(target=loop) for _ in range(jobs)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


def update(device, results, expected):
    merged = {path: reason for path, reason in expected.items() if path not in results}
    for path, answer in results.items():
        if answer["state"] != "PASS":
            merged[path] = reason_of(answer["message"]) if answer["state"] == "FAIL" else \
                f"{answer['state'].lower()}: {answer['message']}"
    path = HERE / "expected" / f"{device}.tsv"
    path.parent.mkdir(exist_ok=True)
    with open(path, "w") as out:
        out.write(f"# Cases that don't pass on {device}, and why. Written by tests/ops/run.py --update.\n")
        for case in sorted(merged):
            out.write(f"{case}\t{merged[case]}\n")
    print(f"{path}: {len(merged)} cases")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cpu", choices=sorted(TARGETS))
    parser.add_argument("--filter", default="")
    parser.add_argument("--all", action="store_true")
    parser.add_argument("--update", action="store_true")
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("-v", "--verbose", action="store_true")
    arguments = parser.parse_args()

    program("aicc"), program("aicc-run")
    for module in ("numpy", "onnx", "ml_dtypes"):
        if importlib.util.find_spec(module) is None:
            skip(f"no Python module {module} (scripts/install.sh test)")
    data = conformance_data()
    if not data:
        skip("the conformance data is absent (AICC_TEST_DATA)")
    if not has_device(arguments.device):
        skip(f"aicc-run lists no {arguments.device} device")

    todo = cases(data, arguments.all, arguments.filter)
    # What the data itself says to be random has nothing to compare with.
    random = [case for case in todo if "nondeterministic" in case[3]]
    todo = [case for case in todo if "nondeterministic" not in case[3]]
    begin = time.time()
    results = run_all(todo, data, arguments.device, arguments.jobs)
    expected = expectations(arguments.device)
    states = collections.Counter(answer["state"] for answer in results.values())
    errors = []
    for path, answer in sorted(results.items()):
        passed = answer["state"] == "PASS"
        if arguments.verbose and not passed:
            print(f"{answer['state']:6s}{path}: {answer['message']}")
        if passed and path in expected:
            errors.append(f"{path}: passes, but is listed as: {expected[path]}")
        elif not passed and path not in expected:
            errors.append(f"{path}: {answer['state'].lower()}: {answer['message']}")
    report = BUILD / "reports" / "ops" / f"{arguments.device}.json"
    report.parent.mkdir(parents=True, exist_ok=True)
    report.write_text(json.dumps({path: answer for path, answer in sorted(results.items())}, indent=1))
    print(f"{arguments.device}: {states['PASS']} of {len(todo)} cases pass in {time.time() - begin:.0f} s "
          f"({dict(states)}; {len(random)} random ones left out)")
    if arguments.update:
        update(arguments.device, results, expected)
        return 0
    print("\n".join(errors[:200]))
    if errors:
        print(f"{len(errors)} cases are not as expected/{arguments.device}.tsv says")
    return 1 if errors else 0


if __name__ == "__main__":
    sys.exit(main())
