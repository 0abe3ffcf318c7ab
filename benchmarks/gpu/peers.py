#!/usr/bin/env python3
# peers.py - what PyTorch needs for the benchmark list, on the GPU at hand.
#
# Licensed under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""peers.py CASES.tsv OUTPUT.tsv

OUTPUT has a line for each case of CASES.tsv (packages.py) that PyTorch can do: name,
ms, by what. Products are cuBLASLt's, attention the fastest of PyTorch's own, cuDNN
and flash attention; a kernel that moves memory is compared with a copy of as many
bytes. Models are torchvision's and transformers' in f16, replayed as a CUDA graph,
their inputs already on the GPU.

Times are by events, the median of single calls with a pause and a copy between them,
because aicc's are: a GPU that computes all the time has lower clocks.
"""

import statistics
import sys
import time

import torch


def measure(call, reps=25):
    scratch = torch.empty(16 << 20, device="cuda")
    for _ in range(3):
        call()
    times = []
    for _ in range(reps):
        scratch.zero_()
        torch.cuda.synchronize()
        time.sleep(0.002)
        begin, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        begin.record()
        call()
        end.record()
        torch.cuda.synchronize()
        times.append(begin.elapsed_time(end))
    return statistics.median(times)


def product(name):
    size, kind = int(name.split("_")[1]), {"f16": torch.float16, "bf16": torch.bfloat16}[name.split("_")[2]]
    a, b = (torch.randn(size, size, device="cuda", dtype=kind) for _ in range(2))
    out = torch.empty(size, size, device="cuda", dtype=kind)
    return measure(lambda: torch.matmul(a, b, out=out)), "cuBLASLt"


def attention(name):
    from torch.nn.attention import SDPBackend, sdpa_kernel
    from torch.nn.functional import scaled_dot_product_attention

    q, k, v = (torch.randn(4, 32, 4096, 128, device="cuda", dtype=torch.float16) for _ in range(3))
    found = []
    for backend, who in ((SDPBackend.CUDNN_ATTENTION, "cuDNN"), (SDPBackend.FLASH_ATTENTION, "flash attention")):
        try:
            with sdpa_kernel(backend):
                found.append((measure(lambda: scaled_dot_product_attention(q, k, v, is_causal=True)), who))
        except RuntimeError as error:
            print(f"{who}: {str(error).splitlines()[0]}")
    print(found)
    return min(found)


def copy(size):
    """Of `size` bytes in all, read and written."""
    source = torch.empty(size // 2, device="cuda", dtype=torch.uint8)
    target = torch.empty_like(source)
    return measure(lambda: target.copy_(source)), "copy"


def graph(model, inputs):
    """The model's call, recorded."""
    stream = torch.cuda.Stream()
    with torch.no_grad(), torch.cuda.stream(stream):
        for _ in range(3):
            model(*inputs)
    torch.cuda.synchronize()
    recorded = torch.cuda.CUDAGraph()
    with torch.no_grad(), torch.cuda.graph(recorded):
        model(*inputs)
    return recorded.replay


def network(name):
    batch = int(name.rsplit("batch", 1)[1])
    if name.startswith("resnet50"):
        import torchvision

        net = torchvision.models.resnet50().eval().half().cuda().to(memory_format=torch.channels_last)
        inputs = [torch.randn(batch, 3, 224, 224, device="cuda", dtype=torch.float16).to(
            memory_format=torch.channels_last)]
    else:
        import transformers

        net = transformers.BertModel(transformers.BertConfig(), add_pooling_layer=False).eval().half().cuda()
        inputs = [torch.zeros(batch, 128, device="cuda", dtype=torch.int64)]
    torch.backends.cudnn.benchmark = True
    return measure(graph(net, inputs)), "PyTorch, CUDA graph"


def main():
    torch.manual_seed(0)
    lines = []
    print(torch.__version__, torch.cuda.get_device_name())
    with open(sys.argv[1]) as cases:
        rows = [line.rstrip("\n").split("\t") for line in cases]
    for name, group, _, size in rows:
        try:
            ms, who = {"product": product, "attention": attention, "model": network}[group](name) \
                if group != "memory" else copy(int(size))
            lines.append(f"{name}\t{ms:.4f}\t{who}\n")
            print(lines[-1], end="", flush=True)
        except Exception as error:  # A peer that is not there is no failure.
            print(f"{name}: {type(error).__name__}: {error}")
        torch.cuda.empty_cache()
        with open(sys.argv[2], "w") as out:
            out.writelines(lines)
    print(f"{len(lines)} of {len(rows)} cases, {torch.cuda.get_device_name()}, PyTorch {torch.__version__}")


if __name__ == "__main__":
    main()
