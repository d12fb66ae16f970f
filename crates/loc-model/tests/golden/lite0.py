"""EfficientNet-Lite0 in PyTorch, f64, on a photo of hashes: prints what `pretrained.rs` compares with.

    python -m venv venv && venv/bin/pip install torch==2.15.0 numpy==2.4.6 safetensors==0.8.0
    venv/bin/python lite0.py efficientnet-lite0.safetensors
"""

import sys

import torch
import torch.nn.functional as F
from safetensors.torch import load_file

SIDE = 65
STAGES = [(1, 3, 1, 1, 16), (2, 3, 2, 6, 24), (2, 5, 2, 6, 40), (3, 3, 2, 6, 80), (3, 5, 1, 6, 112), (4, 5, 2, 6, 192), (1, 3, 1, 6, 320)]


def hash32(i, stream):
    x = (i * 0x9E3779B1 + stream * 0x85EBCA77) & 0xFFFFFFFF
    x ^= x >> 16
    x = x * 0x85EBCA6B & 0xFFFFFFFF
    x ^= x >> 13
    x = x * 0xC2B2AE35 & 0xFFFFFFFF
    return x ^ (x >> 16)


def main(path):
    state = {k: v.double() for k, v in load_file(path).items()}

    def conv(x, name, norm, stride=1, relu=True, depthwise=False):
        w = state[f"{name}.weight"]
        size, k = x.shape[-1], w.shape[-1]
        pad = max((-(-size // stride) - 1) * stride + k - size, 0)
        x = F.pad(x, (pad // 2, pad - pad // 2) * 2)
        x = F.conv2d(x, w, stride=stride, groups=w.shape[0] if depthwise else 1)
        mean, var, weight, bias = (state[f"{norm}.{n}"] for n in ("running_mean", "running_var", "weight", "bias"))
        x = F.batch_norm(x, mean, var, weight, bias, eps=1e-3)
        return F.relu6(x) if relu else x

    photo = torch.tensor([hash32(i, 7) % 256 for i in range(3 * SIDE * SIDE)]).double().reshape(1, 3, SIDE, SIDE)
    x = conv((photo - 127) / 128, "_conv_stem", "_bn0", 2)
    block, channels = 0, 32
    for count, _, stride, factor, out in STAGES:
        for i in range(count):
            b, s, before = f"_blocks.{block}", stride if i == 0 else 1, x
            if factor > 1:
                x = conv(x, f"{b}._expand_conv", f"{b}._bn0")
            x = conv(x, f"{b}._depthwise_conv", f"{b}._bn1", s, depthwise=True)
            x = conv(x, f"{b}._project_conv", f"{b}._bn2", relu=False)
            if s == 1 and out == channels:
                x = x + before
            channels = out
            if block == 10:
                fine = x
            block += 1
    whole = conv(x, "_conv_head", "_bn1").mean((2, 3))
    for name, t in [("fine", fine), ("coarse", x), ("whole", whole)]:
        t = t.flatten()
        print(name, len(t), [round(v, 6) for v in (t.mean().item(), t.abs().max().item(), *t[:4].tolist())])


if __name__ == "__main__":
    main(sys.argv[1])
