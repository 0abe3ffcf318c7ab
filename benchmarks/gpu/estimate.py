#!/usr/bin/env python3
# estimate.py - what the benchmark list would take on a GPU, where there is none.
#
# Licensed under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""estimate.py [CASE…] [--targets=cuda:sm_90,…] [--output=FILE.md] [--json=FILE]

Compiles the cases of cases.py, asks the vendors' compilers what each kernel takes
(registers, spills, shared memory), and computes two times from the numbers in
chips.json:

  roofline   the larger of bytes at peak bandwidth and multiply-adds at the peak rate
             of their type: what the best kernel could reach
  estimate   for chips whose machine code is read (sass.py): the largest of the
             roofline by bytes, what one multiprocessor's units need for all
             instructions of the workgroups that it gets, L2's bandwidth, and the
             time that loads take which wait for each other

Bytes are those of the launch's buffers (of a gathered table what is taken from it),
multiply-adds those of the products in the kernel's IR; of causal attention those of
scores that are seen, in the roofline and in what a kernel reaches of it. What a kernel
computes beyond that, tiles on the diagonal, is in the estimate. Nothing is measured: the
estimate knows nothing of bank conflicts, caches (each load of a kernel is taken to
come from L2, the first ones from memory) and launches.
"""

import argparse
import collections
import heapq
import json
import math
import pathlib
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[1] / "tests" / "harness"))
from aicc_testing import call, last_line, program, skip, vendor_tool  # noqa: E402
import cases  # noqa: E402
import gpu_resources  # noqa: E402
import kernel_ir  # noqa: E402
import sass  # noqa: E402

NUMBERS = json.loads((HERE / "chips.json").read_text())
TARGETS = [name for name in NUMBERS if ":" in name]
CHIPS = {name: NUMBERS[NUMBERS[name].get("like", name)] for name in TARGETS}


def occupancy(chip, row):
    """(workgroups at once on a processor, share of its waves)."""
    waves = max(1, -(-row["threads"] // chip["lanes"]))
    limit = chip["waves"]
    if row["registers"]:
        limit = min(limit, chip["registers"] // (row["registers"] * chip["lanes"]))
    groups = limit // waves
    if row["shared"]:
        groups = min(groups, chip["shared"] // row["shared"])
    return max(1, groups), min(1.0, groups * waves / chip["waves"])


def launches(variant):
    """{kernel: [(bytes of its buffers, inputs first; number of outputs; workgroups)]} of one inference."""
    found = collections.defaultdict(list)

    def walk(instructions):
        for instruction in instructions:
            if instruction["op"] == "launch":
                kernel = variant["kernels"][instruction["kernel"]]
                sizes = [variant["buffers"][b].get("bytes") for b in instruction["buffers"]]
                numbers = sizes + instruction["grid"]
                if not all(isinstance(n, int) for n in numbers):
                    raise RuntimeError(f"kernel {kernel['entry']} has sizes that are only known at run time: {numbers}")
                found[kernel["entry"]].append((sizes, kernel["outputs"], math.prod(instruction["grid"])))
            for key in ("body", "otherwise"):
                walk(instruction.get(key) or [])

    walk(variant["program"])
    return found


def machine_code(folder, target, work):
    """{kernel: regions} of what ptxas makes of the PTX."""
    ptxas, nvdisasm = vendor_tool("ptxas"), vendor_tool("nvdisasm")
    if not ptxas or not nvdisasm:
        return None
    found = {}
    for path in sorted(folder.glob("linked*.ptx")):
        binary = work / f"{path.stem}.cubin"
        subprocess.run([ptxas, f"-arch={target.split(':')[1]}", path, "-o", binary], check=True, timeout=600)
        done = subprocess.run([nvdisasm, "-c", binary], check=True, capture_output=True, text=True, timeout=600)
        found.update(sass.kernels(done.stdout))
    return found


# -- The model of a multiprocessor ----------------------------------------------


class AttentionTiles:
    """Tiles of keys that the workgroups of a launch go through. Rows of a tile of queries see all keys, or (causal)
    those up to their own; the kernel goes through tiles that are seen as a whole in one loop, through others in the
    next one, and begins with the last queries (compiler/gpu/AttentionMask.h)."""

    def __init__(self, scores, causal, rows, keys):
        self.whole, self.all = [], []
        for first in reversed(range(0, scores.rows, rows)):
            last = min(first + rows, scores.rows) - 1
            self.all.append(math.ceil((last + 1 if causal else scores.columns) / keys))
            self.whole.append((first + 1 if causal else scores.columns) // keys)
        self.batch = scores.batch

    def trips(self, loops):
        """How often the loops over keys run, on average."""
        whole, every = sum(self.whole) / len(self.whole), sum(self.all) / len(self.all)
        return [every] if loops == 1 else [whole, every - whole]

    def rounds(self, processors):
        """Workgroups of average length that a processor computes one after the other."""
        ends = [0] * processors
        for _ in range(self.batch):
            for tiles in self.all:
                heapq.heappush(ends, heapq.heappop(ends) + tiles)
        return max(ends) / (sum(self.all) / len(self.all))


def attention(products, causal, groups, regions, warps):
    """AttentionTiles of a kernel of two products, the second of which reduces what the first one gives, or None."""
    loops = [sum(region.matrix.values()) * warps for region in regions if region.loop and region.matrix]
    if len(products) != 2 or products[1].reduced != products[0].columns or not 1 <= len(set(loops)) == len(loops[:1]):
        return None
    scores, results = products
    rows = math.ceil(scores.rows * scores.batch / groups)
    keys, rest = divmod(loops[0], rows * (scores.reduced + results.columns))
    return AttentionTiles(scores, causal, rows, keys) if keys and not rest else None


def trips(regions, multiply_adds, depth, read, written, groups, warps, tiles=None):
    """How often each region runs, per warp."""
    result = []
    loops = tiles.trips(sum(1 for r in regions if r.loop and r.matrix)) if tiles else []
    for region in regions:
        amount = sum(region.matrix.values())
        if region.loop is None:
            result.append(1)
        elif amount and loops:
            result.append(loops.pop(0))
        elif amount:
            per_trip = amount * warps
            result.append(max(1, math.ceil(multiply_adds / (per_trip * groups))))
            # Tiles at the edges are computed whole: from a workgroup's part of the result (powers of two) follows
            # the depth of a slice.
            if depth:
                for log in range(10, 18):
                    slice_depth, rest = divmod(per_trip, 1 << log)
                    if not rest and slice_depth in (16, 32, 64, 128) and (1 << log) * groups * depth >= multiply_adds:
                        result[-1] = math.ceil(depth / slice_depth)
                        break
        elif region.stored:
            result.append(max(1, math.ceil(written / (region.stored * warps * groups))))
        elif region.loaded:
            result.append(max(1, math.ceil(read / (region.loaded * warps * groups))))
        else:
            result.append(1)
    return result


def processor_clocks(issue, regions, runs, warps):
    """Clocks that each unit of a multiprocessor is busy with one workgroup."""
    clocks = collections.Counter()
    for region, count in zip(regions, runs):
        times = count * warps
        clocks["issue"] += times * region.count["issued"] / issue["schedulers"]
        for unit in ("integer", "multiply", "convert", "special", "float", "double"):
            rate = issue["integer"] if unit == "multiply" else issue[unit]
            clocks[unit] += times * 32 * region.count[unit] / rate
        clocks["shared memory and L1"] += times * (region.shared_bytes / issue["shared_bytes"] +
                                                   (region.loaded + region.stored) / issue["l1_bytes"])
        for (kind, element), amount in region.matrix.items():
            share = issue["warp_share"] if kind == "warp" else 1
            clocks["matrix instructions"] += times * amount / (issue["matrix"][element] * share)
    return clocks


def estimate(chip, row, launch, regions, multiply_adds, depth, least, strided, products=(), causal=False):
    """(seconds, what limits it) of one launch; least: seconds by bytes at peak bandwidth."""
    issue = chip["issue"]
    sizes, outputs, groups = launch
    warps = row["threads"] // chip["lanes"]
    read, written = max(sizes[:len(sizes) - outputs] or [0]), sum(sizes[len(sizes) - outputs:])
    tiles = attention(products, causal, groups, regions, warps)
    runs = trips(regions, multiply_adds, depth, read, written, groups, warps, tiles)
    rounds = tiles.rounds(chip["processors"]) if tiles else math.ceil(groups / chip["processors"])
    limits = {unit: rounds * clocks / issue["clock"]
              for unit, clocks in processor_clocks(issue, regions, runs, warps).items()}
    moved = sum(count * (region.loaded + region.copied) for region, count in zip(regions, runs)) * warps * groups
    if any(region.shared_bytes for region in regions):
        strided = 0  # tiles are transposed in shared memory
    limits["L2"] = max(moved, strided) / issue["l2_bytes"] / issue["clock"]
    # Loads that wait for each other: the first loop that loads waits for memory, others for L2.
    waits, seen = 0, False
    for region, count in zip(regions, runs):
        if region.matrix:  # loaded one slice ahead, or two by copies beside the threads
            waits += count * issue["latency"] / (1 if region.rounds else 2)
            continue
        if region.rounds and (region.loop or count * region.loaded >= read / groups / warps / 2):
            waits += count * region.rounds * issue["latency"] / (3 if seen else 1)
            seen = True
    together = max(1, min(occupancy(chip, row)[0], rounds))
    limits["latency"] = (rounds / together if tiles else math.ceil(rounds / together)) * waits / issue["clock"]
    limits["memory"] = least
    unit = max(limits, key=limits.get)
    return limits[unit], unit


# -- One case ------------------------------------------------------------------


def examine(case, path, target, work):
    """Rows of the case's kernels, or (None, reason)."""
    found, variant = gpu_resources.inspect(path, target, case.flags, work)
    if found is None:
        return None, variant
    status, ir, err = call(program("aicc"), path, f"--target={target}", *case.flags, "--emit=kernels", timeout=1800)
    if status:
        raise RuntimeError(f"aicc --emit=kernels exits with {status}: {last_line(err)}")
    chip = CHIPS[target]
    code = machine_code(work / "objects" / target.replace(":", "-"), target, work) if "issue" in chip else None
    products = collections.defaultdict(list)
    for product in kernel_ir.products(ir):
        products[product.kernel].append(product)
    accesses = kernel_ir.accesses(ir)
    rows = []
    for kernel, all_launches in launches(variant).items():
        row = dict(found[kernel], case=case.name, target=target, kernel=kernel, launches=len(all_launches))
        mine = products[kernel]
        amounts = [p.rows * p.columns * p.reduced * p.batch for p in mine]
        causal = cases.is_causal(case)
        if causal:  # the second product reduces what the first one gives
            rows_seen = (mine[0].rows + 1) / 2
            amounts = [int(p.rows * rows_seen * other * p.batch) for p, other in
                       zip(mine, (mine[0].reduced, mine[1].columns))]
        kind = mine[0].types[0] if mine else "f32"
        rate = chip["rates"].get(kind, chip["rates"]["f32"])
        row.update(multiply_adds=sum(amounts), occupancy=occupancy(chip, row)[1], bytes=0, roofline=0.0, estimate=0.0)
        for sizes, outputs, groups in all_launches:
            used = list(sizes)
            strided = 0
            for argument, (gathered, across) in accesses.get(kernel, {}).items():
                if argument < len(used) - outputs:
                    used[argument] = min(used[argument], gathered) if gathered else used[argument]
                    strided += across
            least = sum(used) / chip["bandwidth"]
            roofline = max(least, row["multiply_adds"] / rate)
            row["bytes"] += sum(used)
            row["roofline"] += roofline
            limit = "memory" if least >= roofline else "arithmetic"
            if code is not None:
                seconds, limit = estimate(chip, row, (used, outputs, groups), code[kernel], row["multiply_adds"],
                                          mine[0].reduced if len(mine) == 1 else 0, least, strided, mine, causal)
                row["estimate"] += max(seconds, roofline)
            row["limit"] = limit
        rows.append(row)
    return rows, ""


# -- The table -----------------------------------------------------------------


def microseconds(seconds):
    return f"{seconds * 1e6:.3g}" if seconds < 1e-3 else f"{seconds * 1e6:.0f}"


def markdown(rows, reasons):
    lines = []
    for target in dict.fromkeys(row["target"] for row in rows):
        chip = CHIPS[target]
        counted = any(row["estimate"] for row in rows if row["target"] == target)
        lines += [f"### {chip['name']} (`{target}`)", "", "Estimated, not measured." if counted else
                  "Roofline only: no machine code of this chip is counted.", ""]
        if counted:
            lines += ["| case | kernels | GB | T multiply-adds | roofline, us | estimate, us | roofline / estimate | "
                      "most of it limited by |", "|---|---|---|---|---|---|---|---|"]
        else:
            lines += ["| case | kernels | GB | T multiply-adds | roofline, us |", "|---|---|---|---|---|"]
        for case in dict.fromkeys(row["case"] for row in rows if row["target"] == target):
            mine = [row for row in rows if row["target"] == target and row["case"] == case]
            roofline, total = sum(r["roofline"] for r in mine), sum(r["estimate"] for r in mine)
            line = (f"| {case} | {len(mine)} | {sum(r['bytes'] for r in mine) / 1e9:.3g} | "
                    f"{sum(r['multiply_adds'] * r['launches'] for r in mine) / 1e12:.3g} | {microseconds(roofline)} |")
            if counted:
                limits = collections.Counter()
                for r in mine:
                    limits[r["limit"]] += r["estimate"]
                line += f" {microseconds(total)} | {roofline / total:.2f} | {limits.most_common(1)[0][0]} |"
            lines.append(line)
        lines += ["", "Kernels that take the most, up to two of a case:", "",
                  "| case | kernel | registers | spilled | shared | threads | occupancy | launches | " +
                  ("estimate, us | limited by |" if counted else "roofline, us |"),
                  "|---|---|---|---|---|---|---|---|---|" + ("---|" if counted else "")]
        for case in dict.fromkeys(row["case"] for row in rows if row["target"] == target):
            mine = [row for row in rows if row["target"] == target and row["case"] == case]
            key = "estimate" if counted else "roofline"
            for r in sorted(mine, key=lambda r: -r[key])[:2]:
                lines.append(f"| {case} | {r['kernel']} | {r['registers']} | {r['spilled']} | {r['shared']} | "
                             f"{r['threads']} | {r['occupancy']:.0%} | {r['launches']} | {microseconds(r[key])} |" +
                             (f" {r['limit']} |" if counted else ""))
        lines.append("")
    lines += [f"Left out: {reason}." for reason in reasons]
    return "\n".join(lines).rstrip() + "\n"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("cases", nargs="*", help="all of them by default")
    parser.add_argument("--targets", default=",".join(TARGETS))
    parser.add_argument("--output", type=pathlib.Path, help="file for the tables, besides the output")
    parser.add_argument("--json", type=pathlib.Path, help="file for all rows")
    arguments = parser.parse_args()
    for name in arguments.cases:
        if name not in cases.BY_NAME:
            raise SystemExit(f"error: no case named '{name}'; there are {', '.join(cases.BY_NAME)}")
    for target in arguments.targets.split(","):
        if target not in TARGETS:
            raise SystemExit(f"error: chips.json has no numbers of '{target}'; it has {', '.join(TARGETS)}")
    rows, reasons = [], []
    with tempfile.TemporaryDirectory(prefix="aicc-estimate-") as work:
        work = pathlib.Path(work)
        for target in arguments.targets.split(","):
            for case in cases.CASES:
                if arguments.cases and case.name not in arguments.cases:
                    continue
                path = cases.path(case, work)
                if not path.exists():
                    reasons.append(f"{case.name}: {case.model} was not exported to {path.parent.parent.name}")
                    continue
                found, reason = examine(case, path, target, work)
                if found is None:
                    reasons.append(f"{case.name} for {target}: {reason}")
                    continue
                rows += found
                print(f"{case.name} for {target}: {len(found)} kernels", file=sys.stderr, flush=True)
    reasons = list(dict.fromkeys(reasons))
    if not rows:
        skip("; ".join(reasons))
    text = markdown(rows, reasons)
    print(text)
    if arguments.output:
        arguments.output.write_text(text)
    if arguments.json:
        arguments.json.write_text(json.dumps(rows, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
