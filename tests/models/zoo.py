# zoo.py - the models of the test suite and of the benchmarks, as PyTorch modules.
#
# Licensed under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The models that aicc must run, with random weights.

Every entry of MODELS says how to build a module and its example inputs.
Importing this module does not import torch, so that the list of models can be
read where PyTorch is not installed.
"""

from dataclasses import dataclass, field
from typing import Callable


@dataclass
class Model:
    name: str
    build: Callable  # () -> torch.nn.Module in eval mode
    inputs: Callable  # (sizes: dict) -> list of (name, tensor)
    outputs: list
    # Symbolic dimensions: {input: {axis: symbol}}; empty for a static model.
    dynamic: dict = field(default_factory=dict)
    # The sizes to run: one dict a run, from symbol to size.
    sizes: list = field(default_factory=lambda: [{}])
    # "dynamo", or "trace" where the dynamo exporter can't.
    exporter: str = "dynamo"
    external: bool = False  # weights in a file beside the model
    # Devices it is not run on by the test suite, with the reason.
    skip: dict = field(default_factory=dict)
    # The model that a dynamic one is a variant of.
    variant_of: str = ""


def _calibrate(net, shape):
    """Gives batch norms the statistics of random data.

    With the default ones (mean 0, variance 1) a deep net with random weights
    dies out or overflows, and folding batch norms would be no test.
    """
    import torch

    for module in net.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.momentum = None
            torch.nn.init.uniform_(module.weight, 0.5, 1.5)
            torch.nn.init.uniform_(module.bias, -0.2, 0.2)
        if isinstance(module, torch.nn.Dropout) or "StochasticDepth" in type(module).__name__:
            module.eval()
    net.train()
    with torch.no_grad():
        net(torch.randn(shape))
    return net.eval()


def _torchvision(name, **options):
    def build():
        import torchvision

        return _calibrate(getattr(torchvision.models, name)(weights=None, **options), (4, 3, 224, 224))

    return build


def _vit():
    import torch
    import torchvision

    net = torchvision.models.vit_b_16(weights=None)
    # The head is created as zeros.
    torch.nn.init.normal_(net.heads[0].weight, std=0.02)
    return net.eval()


def _image(side=224):
    def make(sizes):
        import torch

        return [("image", torch.randn(sizes.get("batch", 1), 3, side, side))]

    return make


def _unet():
    import torch
    from torch import nn

    class Block(nn.Module):
        def __init__(self, inside, outside):
            super().__init__()
            self.norm1 = nn.GroupNorm(8, inside)
            self.conv1 = nn.Conv2d(inside, outside, 3, padding=1)
            self.norm2 = nn.GroupNorm(8, outside)
            self.conv2 = nn.Conv2d(outside, outside, 3, padding=1)
            self.skip = nn.Identity() if inside == outside else nn.Conv2d(inside, outside, 1)
            for norm in (self.norm1, self.norm2):
                nn.init.uniform_(norm.weight, 0.5, 1.5)
                nn.init.uniform_(norm.bias, -0.2, 0.2)

        def forward(self, x):
            y = self.conv1(nn.functional.silu(self.norm1(x)))
            y = self.conv2(nn.functional.silu(self.norm2(y)))
            return self.skip(x) + y

    class UNet(nn.Module):
        """Three resolutions, as in the denoisers of diffusion models."""

        def __init__(self, widths=(32, 64, 128)):
            super().__init__()
            self.first = nn.Conv2d(3, widths[0], 3, padding=1)
            self.down, self.shrink = nn.ModuleList(), nn.ModuleList()
            self.up, self.grow = nn.ModuleList(), nn.ModuleList()
            for a, b in zip(widths, widths[1:]):
                self.down.append(Block(a, a))
                self.shrink.append(nn.Conv2d(a, b, 3, stride=2, padding=1))
            self.middle = Block(widths[-1], widths[-1])
            for a, b in zip(widths[-2::-1], widths[:0:-1]):
                self.grow.append(nn.Conv2d(b, a, 3, padding=1))
                self.up.append(Block(2 * a, a))
            self.last = nn.Conv2d(widths[0], 3, 3, padding=1)

        def forward(self, x):
            x = self.first(x)
            kept = []
            for block, shrink in zip(self.down, self.shrink):
                x = block(x)
                kept.append(x)
                x = shrink(x)
            x = self.middle(x)
            for block, grow in zip(self.up, self.grow):
                x = grow(nn.functional.interpolate(x, scale_factor=2.0, mode="nearest"))
                x = block(torch.cat([x, kept.pop()], 1))
            return self.last(nn.functional.silu(x))

    return UNet().eval()


def _mlp():
    from torch import nn

    return nn.Sequential(nn.Linear(128, 128), nn.ReLU(), nn.Linear(128, 128), nn.ReLU(), nn.Linear(128, 128)).eval()


def _mlp_inputs(sizes):
    import torch

    return [("x", torch.randn(sizes.get("batch", 1), 128))]


def _lstm():
    from torch import nn

    class Lstm(nn.Module):
        def __init__(self):
            super().__init__()
            self.lstm = nn.LSTM(64, 128, num_layers=2, batch_first=False)
            self.head = nn.Linear(128, 10)

        def forward(self, x):
            y, (h, c) = self.lstm(x)
            return self.head(y), h, c

    return Lstm().eval()


def _lstm_inputs(sizes):
    import torch

    return [("x", torch.randn(32, 1, 64))]


BERT_VOCABULARY = 30522


def _bert():
    import torch
    from transformers import BertConfig, BertModel

    class Bert(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.bert = BertModel(BertConfig(attn_implementation="sdpa"))

        def forward(self, input_ids, attention_mask, token_type_ids):
            out = self.bert(input_ids=input_ids, attention_mask=attention_mask, token_type_ids=token_type_ids)
            return out.last_hidden_state, out.pooler_output

    return Bert().eval()


def _bert_inputs(sizes):
    import torch

    batch, length = sizes.get("batch", 1), sizes.get("sequence", 128)
    mask = torch.ones(batch, length, dtype=torch.int64)
    mask[:, length - length // 8 :] = 0
    return [
        ("input_ids", torch.randint(0, BERT_VOCABULARY, (batch, length))),
        ("attention_mask", mask),
        ("token_type_ids", (torch.arange(length) >= length // 2).long().expand(batch, length).contiguous()),
    ]


GPT2_LAYERS, GPT2_HEADS, GPT2_WIDTH, GPT2_VOCABULARY = 12, 12, 64, 50257


def _gpt2(step):
    def build():
        import torch
        from transformers import DynamicCache, GPT2Config, GPT2LMHeadModel

        class Gpt2(torch.nn.Module):
            def __init__(self):
                super().__init__()
                self.gpt2 = GPT2LMHeadModel(GPT2Config(attn_implementation="sdpa"))

            def forward(self, input_ids, past=()):
                cache = DynamicCache(config=self.gpt2.config)
                for layer, (key, value) in enumerate(zip(past[0::2], past[1::2])):
                    cache.update(key, value, layer)
                out = self.gpt2(input_ids=input_ids, **{CACHE: cache}, use_cache=True)
                present = [t for layer in cache.layers for t in (layer.keys, layer.values)]
                return (out.logits, *present)

            if step:
                positional = forward

                def forward(self, input_ids, *past):
                    return self.positional(input_ids, past)

        import inspect

        CACHE = "cache" if "cache" in inspect.signature(GPT2LMHeadModel.forward).parameters else "past_key_values"
        return Gpt2().eval()

    return build


def _gpt2_names(prefix):
    return [f"{prefix}_{kind}_{layer}" for layer in range(GPT2_LAYERS) for kind in ("key", "value")]


def _gpt2_prefill_inputs(sizes):
    import torch

    return [("input_ids", torch.randint(0, GPT2_VOCABULARY, (1, sizes.get("sequence", 128))))]


def _gpt2_step_inputs(sizes):
    import torch

    past = sizes.get("past", 127)
    return [("input_ids", torch.randint(0, GPT2_VOCABULARY, (1, 1)))] + [
        (name, torch.randn(1, GPT2_HEADS, past, GPT2_WIDTH)) for name in _gpt2_names("past")
    ]


_BATCH = {"image": {0: "batch"}}
_BATCH_SIZES = [{"batch": 1}, {"batch": 2}, {"batch": 3}]

MODELS = [
    Model("mlp", _mlp, _mlp_inputs, ["y"]),
    Model("lstm", _lstm, _lstm_inputs, ["y", "hidden", "cell"]),
    Model("unet", _unet, _image(64), ["y"]),
    Model("mobilenet_v3", _torchvision("mobilenet_v3_large"), _image(), ["logits"]),
    Model("efficientnet_b0", _torchvision("efficientnet_b0"), _image(), ["logits"]),
    Model("resnet50", _torchvision("resnet50"), _image(), ["logits"]),
    Model("vit_b_16", _vit, _image(), ["logits"], external=True),
    Model("bert_base", _bert, _bert_inputs, ["hidden", "pooled"]),
    Model("gpt2_prefill", _gpt2(False), _gpt2_prefill_inputs, ["logits"] + _gpt2_names("present")),
    Model("gpt2_step", _gpt2(True), _gpt2_step_inputs, ["logits"] + _gpt2_names("present")),
    Model("unet_dynamic", _unet, _image(64), ["y"], _BATCH, _BATCH_SIZES, variant_of="unet"),
    Model("mobilenet_v3_dynamic", _torchvision("mobilenet_v3_large"), _image(), ["logits"], _BATCH, _BATCH_SIZES,
          variant_of="mobilenet_v3"),
    Model("efficientnet_b0_dynamic", _torchvision("efficientnet_b0"), _image(), ["logits"], _BATCH, _BATCH_SIZES,
          variant_of="efficientnet_b0"),
    Model("resnet50_dynamic", _torchvision("resnet50"), _image(), ["logits"], _BATCH, _BATCH_SIZES,
          variant_of="resnet50"),
    Model("bert_base_dynamic", _bert, _bert_inputs, ["hidden", "pooled"],
          {name: {0: "batch", 1: "sequence"} for name in ("input_ids", "attention_mask", "token_type_ids")},
          [{"batch": 1, "sequence": 32}, {"batch": 2, "sequence": 77}, {"batch": 3, "sequence": 128}],
          variant_of="bert_base"),
]

BY_NAME = {model.name: model for model in MODELS}
