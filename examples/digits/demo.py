#!/usr/bin/env python3
# demo.py - runs digits.aicc on a device, shows digits and answers, checks the accuracy.
#
# Licensed under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""demo.py PACKAGE --aicc-run=PROGRAM --device=cpu,intel [--show=8]

Runs the package on every named device through aicc-run, on all held-out images
at once. Prints some of the digits with the answers, and fails unless every
device recognises as many as accuracy.json says and all agree on the values.
"""

import argparse
import json
import pathlib
import subprocess
import sys
import tempfile

import numpy

HERE = pathlib.Path(__file__).resolve().parent
SHADES = " .:-=+*#%@"


def run(program, package, device, folder):
    command = [program, str(package), f"--device={device}", "--input", f"image={HERE / 'images.npy'}",
               f"--save-outputs={folder}", "--json"]
    print("  $", " ".join(command))
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"error: aicc-run ended with {done.returncode}: {done.stderr.strip()}")
    return numpy.load(pathlib.Path(folder) / "logits.npy")


def draw(images, answers, labels):
    rows = [[] for _ in range(8)]
    for image in images:
        shades = numpy.clip((image[0] * (len(SHADES) - 1)).round().astype(int), 0, len(SHADES) - 1)
        for row, line in zip(rows, shades):
            row.append("".join(SHADES[s] * 2 for s in line))
    for row in rows:
        print("  " + "  ".join(row))
    marks = [f"answer {a}" + ("" if a == e else f" (is {e})") for a, e in zip(answers, labels)]
    print("  " + "  ".join(f"{mark:^16s}" for mark in marks) + "\n")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("package", type=pathlib.Path)
    parser.add_argument("--aicc-run", required=True)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--show", type=int, default=8)
    arguments = parser.parse_args()

    images, labels = numpy.load(HERE / "images.npy"), numpy.load(HERE / "labels.npy")
    expected = json.loads((HERE / "accuracy.json").read_text())
    results, failed = {}, False
    for device in arguments.device.split(","):
        with tempfile.TemporaryDirectory() as folder:
            logits = run(arguments.aicc_run, arguments.package, device, folder)
        answers = logits.argmax(1)
        if not results:
            print()
            shown = numpy.linspace(1, len(images) - 1, arguments.show).astype(int)
            for some in (shown[k : k + 4] for k in range(0, len(shown), 4)):
                draw(images[some], answers[some], labels[some])
        correct = int((answers == labels).sum())
        verdict = "as trained" if correct == expected["correct"] else f"but {expected['correct']} were expected"
        failed |= correct != expected["correct"]
        print(f"  {device}: {correct} of {len(labels)} held-out images recognised, {verdict}")
        results[device] = logits
    first, *others = results
    for device in others:
        difference = float(numpy.abs(results[first] - results[device]).max() / numpy.abs(results[first]).max())
        verdict = "agree" if difference <= 1e-5 else "differ"
        failed |= difference > 1e-5
        print(f"  {first} and {device} {verdict}: largest difference {difference:.1e} of the largest value")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
