#!/usr/bin/env python3
# train.py - trains the small network of the demonstration and writes digits.onnx.
#
# Licensed under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Trains a small convolutional network on scikit-learn's 8x8 digits.

Its results are checked in, so nobody has to run this:

    digits.onnx    the network: image (batch, 1, 8, 8) in 0..1 -> logits (batch, 10)
    images.npy     the images held out of the training
    labels.npy     what they show
    accuracy.json  how many of them the network recognises, by PyTorch
"""

import json
import pathlib
import sys

import numpy
import onnx
import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import nn

HERE = pathlib.Path(__file__).resolve().parent
HELD_OUT = 360


def network():
    def block(inside, outside):
        return [nn.Conv2d(inside, outside, 3, padding=1, bias=False), nn.BatchNorm2d(outside), nn.ReLU()]

    return nn.Sequential(
        *block(1, 16),
        *block(16, 32),
        nn.MaxPool2d(2),
        *block(32, 48),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(48, 64),
        nn.GELU(),
        nn.Linear(64, 10),
    )


def train(net, images, labels, epochs=60):
    optimizer = torch.optim.AdamW(net.parameters(), lr=3e-3, weight_decay=1e-2)
    steps = (len(images) + 63) // 64 * epochs
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 1e-2, total_steps=steps)
    net.train()
    for _ in range(epochs):
        for batch in torch.randperm(len(images)).split(64):
            # Shifts by up to a pixel: the data set is small.
            shift = tuple(int(s) for s in torch.randint(-1, 2, (2,)))
            loss = nn.functional.cross_entropy(net(images[batch].roll(shift, (2, 3))), labels[batch], label_smoothing=0.05)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
    return net.eval()


def strip(path):
    """Leaves out what the exporter notes about this machine's files."""
    model = onnx.load(path)
    for node in model.graph.node:
        del node.metadata_props[:]
    for value in [*model.graph.input, *model.graph.output, *model.graph.value_info, *model.graph.initializer]:
        del value.metadata_props[:]
    del model.graph.metadata_props[:], model.metadata_props[:]
    onnx.save(model, path)


def main():
    torch.manual_seed(7)
    torch.use_deterministic_algorithms(True)
    digits = load_digits()
    images = (digits.images[:, None] / 16).astype(numpy.float32)
    images, held_images, labels, held_labels = train_test_split(
        images, digits.target, test_size=HELD_OUT, random_state=7, stratify=digits.target)
    net = train(network(), torch.from_numpy(images), torch.from_numpy(labels))
    with torch.no_grad():
        answers = net(torch.from_numpy(held_images)).argmax(1).numpy()
    correct = int((answers == held_labels).sum())
    batch = torch.export.Dim("batch")
    torch.onnx.export(net, (torch.from_numpy(held_images[:2]),), str(HERE / "digits.onnx"), dynamo=True,
                      external_data=False, input_names=["image"], output_names=["logits"],
                      dynamic_shapes=({0: batch},), verbose=False)
    strip(HERE / "digits.onnx")
    numpy.save(HERE / "images.npy", held_images)
    numpy.save(HERE / "labels.npy", held_labels.astype(numpy.uint8))
    (HERE / "accuracy.json").write_text(json.dumps({"correct": correct, "images": HELD_OUT}) + "\n")
    print(f"{correct} of {HELD_OUT} images recognised")
    return 0


if __name__ == "__main__":
    sys.exit(main())
