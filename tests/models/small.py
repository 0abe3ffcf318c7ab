# small.py - the models of zoo.py at reduced sizes.
#
# Licensed under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""What a virtual device can run in seconds: fewer layers, channels and pixels, but
every kind of kernel that the model in zoo.py has. Sizes are chosen so that products
go through tiles as the large ones do, with edges that don't fill them.

Importing this module does not import torch.
"""

import zoo
from zoo import Model


def _resnet():
    from torchvision.models.resnet import Bottleneck, ResNet

    # Each stage begins with the block that has a projection; the second has one without.
    return zoo._calibrate(ResNet(Bottleneck, [1, 2, 1, 1], num_classes=10, width_per_group=16), (4, 3, 64, 64))


def _mobilenet():
    from torchvision.models.mobilenetv3 import InvertedResidualConfig, MobileNetV3

    def block(inside, kernel, inner, outside, excite, activation, stride):
        return InvertedResidualConfig(inside, kernel, inner, outside, excite, activation, stride, 1, 1.0)

    blocks = [block(16, 3, 16, 16, False, "RE", 1), block(16, 3, 64, 24, False, "RE", 2),
              block(24, 5, 72, 40, True, "RE", 2), block(40, 3, 80, 40, False, "HS", 1),
              block(40, 5, 120, 48, True, "HS", 2)]
    return zoo._calibrate(MobileNetV3(blocks, last_channel=160, num_classes=10), (4, 3, 64, 64))


def _efficientnet():
    from torchvision.models.efficientnet import EfficientNet, MBConvConfig

    blocks = [MBConvConfig(1, 3, 1, 32, 16, 1, 1.0, 1.0), MBConvConfig(6, 3, 2, 16, 24, 2, 1.0, 1.0),
              MBConvConfig(6, 5, 2, 24, 40, 1, 1.0, 1.0)]
    return zoo._calibrate(EfficientNet(blocks, dropout=0.2, last_channel=160, num_classes=10), (4, 3, 64, 64))


def _vit():
    import torch
    from torchvision.models.vision_transformer import VisionTransformer

    net = VisionTransformer(image_size=32, patch_size=8, num_layers=2, num_heads=2, hidden_dim=64, mlp_dim=128,
                            num_classes=10)
    # The head is created as zeros.
    torch.nn.init.normal_(net.heads[0].weight, std=0.02)
    return net.eval()


VOCABULARY, LAYERS, HEADS, WIDTH = 211, 2, 2, 64


def _bert():
    import torch
    from transformers import BertConfig, BertModel

    class Bert(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.bert = BertModel(BertConfig(
                vocab_size=VOCABULARY, hidden_size=HEADS * WIDTH, num_hidden_layers=LAYERS, num_attention_heads=HEADS,
                intermediate_size=4 * HEADS * WIDTH, max_position_embeddings=64, attn_implementation="sdpa"))

        def forward(self, input_ids, attention_mask, token_type_ids):
            out = self.bert(input_ids=input_ids, attention_mask=attention_mask, token_type_ids=token_type_ids)
            return out.last_hidden_state, out.pooler_output

    return Bert().eval()


def _bert_inputs(sizes):
    import torch

    length = 24
    mask = torch.ones(1, length, dtype=torch.int64)
    mask[:, length - length // 8:] = 0
    return [("input_ids", torch.randint(0, VOCABULARY, (1, length))), ("attention_mask", mask),
            ("token_type_ids", (torch.arange(length) >= length // 2).long().expand(1, length).contiguous())]


def _gpt2():
    import torch
    from transformers import DynamicCache, GPT2Config, GPT2LMHeadModel

    class Gpt2(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.gpt2 = GPT2LMHeadModel(GPT2Config(
                vocab_size=VOCABULARY, n_positions=64, n_embd=HEADS * WIDTH, n_layer=LAYERS, n_head=HEADS,
                bos_token_id=0, eos_token_id=0, attn_implementation="sdpa"))

        def forward(self, input_ids, *past):
            cache = DynamicCache(config=self.gpt2.config)
            for layer, (key, value) in enumerate(zip(past[0::2], past[1::2])):
                cache.update(key, value, layer)
            out = self.gpt2(input_ids=input_ids, past_key_values=cache, use_cache=True)
            return (out.logits, *(t for layer in cache.layers for t in (layer.keys, layer.values)))

    return Gpt2().eval()


def _gpt2_names(prefix):
    return [f"{prefix}_{kind}_{layer}" for layer in range(LAYERS) for kind in ("key", "value")]


def _gpt2_prefill_inputs(sizes):
    import torch

    return [("input_ids", torch.randint(0, VOCABULARY, (1, 24)))]


def _gpt2_step_inputs(sizes):
    import torch

    return [("input_ids", torch.randint(0, VOCABULARY, (1, 1)))] + [
        (name, torch.randn(1, HEADS, 23, WIDTH)) for name in _gpt2_names("past")]


def _lstm_inputs(sizes):
    import torch

    return [("x", torch.randn(6, 1, 64))]


def _mlp_inputs(sizes):
    import torch

    return [("x", torch.randn(20, 128))]


MODELS = [
    Model("mlp", zoo._mlp, _mlp_inputs, ["y"]),
    Model("lstm", zoo._lstm, _lstm_inputs, ["y", "hidden", "cell"]),
    Model("unet", zoo._unet, zoo._image(16), ["y"]),
    Model("mobilenet_v3", _mobilenet, zoo._image(64), ["logits"]),
    Model("efficientnet_b0", _efficientnet, zoo._image(64), ["logits"]),
    Model("resnet50", _resnet, zoo._image(64), ["logits"]),
    Model("vit_b_16", _vit, zoo._image(32), ["logits"]),
    Model("bert_base", _bert, _bert_inputs, ["hidden", "pooled"]),
    Model("gpt2_prefill", _gpt2, _gpt2_prefill_inputs, ["logits"] + _gpt2_names("present")),
    Model("gpt2_step", _gpt2, _gpt2_step_inputs, ["logits"] + _gpt2_names("present")),
]

BY_NAME = {model.name: model for model in MODELS}
