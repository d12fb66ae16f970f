"""EfficientNet-Lite0 in PyTorch, f64, on photos made from hashes: the reference of `pretrained.rs`.

    python -m venv venv && venv/bin/pip install torch==2.15.0 numpy==2.4.6 safetensors==0.8.0
    venv/bin/python lite0.py                                # writes lite0.safetensors, with weights made from hashes, too
    venv/bin/python lite0.py --search 300                   # finds the photos with the largest margins (PHOTOS below)
    venv/bin/python lite0.py efficientnet-lite0.safetensors # prints statistics of the features with the published weights

The hashed weights are not stored: both languages compute them, with equal bits (`state_dict` here, `hashed` in Rust).
Stored are the features and the outputs of the tutorial's heads on two small photos, and the gradient of a sum over the
outputs with respect to each convolution with its batch normalisation folded: the norm and a sum with hashes. If rounding
moves a value over a kink of relu6, gradients change by 1e-3, which is no error. So of many photos, those are used whose
values are farthest from the kinks.
"""

import sys

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.numpy import save_file
from safetensors.torch import load_file

SIDE, CLASSES, EPSILON, LIMIT = 65, 2, 1e-3, 6.0
PUBLISHED, PHOTOS = [7], [115, 68]  # streams of the hashes; the latter of 300 searched
STAGES = [(1, 3, 1, 1, 16), (2, 3, 2, 6, 24), (2, 5, 2, 6, 40), (3, 3, 2, 6, 80), (3, 5, 1, 6, 112), (4, 5, 2, 6, 192), (1, 3, 1, 6, 320)]
NORM = ("weight", "bias", "running_mean", "running_var")
HEADS = [(f"{head}_{name}", i, o) for head, last in (("class", CLASSES), ("box", 4)) for name, i, o in (("fc1", 1280, 240), ("fc2", 240, 120), ("out", 120, last))]


def hash32(i, stream):
    x = (i * 0x9E3779B1 + stream * 0x85EBCA77) & 0xFFFFFFFF
    x ^= x >> 16
    x = x * 0x85EBCA6B & 0xFFFFFFFF
    x ^= x >> 13
    x = x * 0xC2B2AE35 & 0xFFFFFFFF
    return x ^ (x >> 16)


def random(shape, stream, middle=0.0, half=1.0):
    """Uniform in middle ± half, rounded to f32."""
    h = hash32(np.arange(np.prod(shape), dtype=np.uint64), stream).astype(np.float64) / 2147483648.0 - 1.0
    return torch.from_numpy((middle + half * h).astype(np.float32).reshape(shape)).double()


def convolutions():
    """Each convolution: its name in loc, its names in the state dict, channels, inputs of a cell, kernel, and whether relu6 follows."""
    yield "stem", "_conv_stem", "_bn0", 32, 3, 3, True
    block, channels = 0, 32
    for count, kernel, _, factor, out in STAGES:
        for _ in range(count):
            ours, b, wide = f"block{block}", f"_blocks.{block}", factor * channels
            if factor > 1:
                yield f"{ours}.expand", f"{b}._expand_conv", f"{b}._bn0", wide, channels, 1, True
            yield f"{ours}.depthwise", f"{b}._depthwise_conv", f"{b}._bn1", wide, 1, kernel, True
            yield f"{ours}.project", f"{b}._project_conv", f"{b}._bn2", out, wide, 1, False
            block, channels = block + 1, out
    yield "top", "_conv_head", "_bn1", 1280, 320, 1, True


def state_dict():
    """Weights made from hashes; the signal keeps about the same size from layer to layer."""
    state = {}
    for k, (_, conv, norm, out, inputs, kernel, relu) in enumerate(convolutions()):
        half = np.sqrt(np.float64(6.0 if relu else 2.0) / (inputs * kernel * kernel))
        state[f"{conv}.weight"] = random((out, inputs, kernel, kernel), 1000 + 10 * k, half=half)
        for j, (name, middle, half) in enumerate(zip(NORM, (1.0, 0.2, 0.0, 1.0), (0.25, 0.2, 0.1, 0.5))):
            state[f"{norm}.{name}"] = random((out,), 1001 + 10 * k + j, middle, half)
    return state


def standards():
    """Scale and shift of the heads' inputs, which loc has after the backbone."""
    return {name: (random((n,), 100 + 2 * i, 0.8, 0.2), random((n,), 101 + 2 * i, 0.0, 0.1)) for i, (name, n) in enumerate([("fine", 112), ("coarse", 320), ("whole", 1280)])}


def heads():
    return {name: (random((o, i), 200 + 2 * k, half=np.sqrt(np.float64(6.0) / i)), random((o,), 201 + 2 * k, half=0.1)) for k, (name, i, o) in enumerate(HEADS)}


def photos(streams):
    one = [hash32(np.arange(3 * SIDE * SIDE, dtype=np.uint64), stream) % 256 for stream in streams]
    return torch.from_numpy(np.stack(one).astype(np.float64)).reshape(-1, 3, SIDE, SIDE)


def features(conv, photos):
    """The three inputs of the heads, before standardisation."""
    x = conv((photos - 127) / 128, "stem", 2)
    block, channels = 0, 32
    for count, _, stride, factor, out in STAGES:
        for i in range(count):
            b, s, before = f"block{block}", stride if i == 0 else 1, x
            if factor > 1:
                x = conv(x, f"{b}.expand")
            x = conv(x, f"{b}.depthwise", s, depthwise=True)
            x = conv(x, f"{b}.project", relu=False)
            if s == 1 and out == channels:
                x = x + before
            channels = out
            if block == 10:
                fine = x
            block += 1
    return fine, x, conv(x, "top").mean((2, 3))


def padded(x, w, stride):
    size, k = x.shape[-1], w.shape[-1]
    pad = max((-(-size // stride) - 1) * stride + k - size, 0)
    return F.pad(x, (pad // 2, pad - pad // 2) * 2)


def normalised(state):
    """The convolutions as in training: each followed by its batch normalisation."""
    names = {ours: (conv, norm) for ours, conv, norm, *_ in convolutions()}

    def conv(x, name, stride=1, relu=True, depthwise=False):
        conv, norm = names[name]
        w = state[f"{conv}.weight"]
        x = F.conv2d(padded(x, w, stride), w, stride=stride, groups=w.shape[0] if depthwise else 1)
        weight, bias, mean, var = (state[f"{norm}.{n}"] for n in NORM)
        x = F.batch_norm(x, mean, var, weight, bias, eps=EPSILON)
        return F.relu6(x) if relu else x

    return conv


def folded(state):
    """The convolutions with their batch normalisation folded, and their leaf tensors."""
    leaves = {}
    for ours, conv, norm, *_ in convolutions():
        weight, bias, mean, var = (state[f"{norm}.{n}"] for n in NORM)
        scale = weight / (var + EPSILON).sqrt()
        leaves[f"{ours}.weight"] = (state[f"{conv}.weight"] * scale.reshape(-1, 1, 1, 1)).requires_grad_()
        leaves[f"{ours}.bias"] = (bias - mean * scale).requires_grad_()

    def conv(x, name, stride=1, relu=True, depthwise=False):
        w, b = leaves[f"{name}.weight"], leaves[f"{name}.bias"]
        x = F.conv2d(padded(x, w, stride), w, b, stride=stride, groups=w.shape[0] if depthwise else 1)
        return F.relu6(x) if relu else x

    return conv, leaves


def search(tries):
    """For each stream, the smallest distance of a relu6's input to 0 or 6."""
    conv, _ = folded(state_dict())
    nearest = []

    def with_margins(x, name, stride=1, relu=True, depthwise=False):
        x = conv(x, name, stride, False, depthwise)
        if relu:
            nearest.append(torch.minimum(x.abs(), (x - 6).abs()).flatten(1).min(1).values)
        return F.relu6(x) if relu else x

    margins = []
    with torch.no_grad():
        for stream in range(tries):
            nearest.clear()
            features(with_margins, photos([stream]))
            margins.append((torch.stack(nearest).min().item(), stream))
    print(sorted(margins)[-4:])


def outputs(whole):
    w, b = standards()["whole"]
    x, layers, out = (whole * w + b).clamp(-LIMIT, LIMIT), heads(), []
    for head in ("class", "box"):
        h = x
        for name in ("fc1", "fc2"):
            h = F.relu(F.linear(h, *layers[f"{head}_{name}"]))
        out.append(F.linear(h, *layers[f"{head}_out"]))
    return out[0], out[1].sigmoid()


def write(path):
    state, x = state_dict(), photos(PHOTOS)
    conv, leaves = folded(state)
    trained, ours = features(normalised(state), x), features(conv, x)
    for a, b in zip(trained, ours):
        assert (a - b).abs().max() <= 1e-12 * a.abs().max()
    logits, boxes = outputs(ours[2])
    ((logits * random(logits.shape, 300)).sum() + (boxes * random(boxes.shape, 301)).sum()).backward()
    stored = {"logits": logits, "boxes": boxes} | {f"features.{n}": t for n, t in zip(("fine", "coarse", "whole"), trained)}
    for k, (name, leaf) in enumerate(leaves.items()):
        sums = [leaf.grad.norm(), (leaf.grad * random(leaf.shape, 400 + k)).sum()]
        stored[f"gradient.{name}"] = torch.stack(sums)
    save_file({n: t.detach().numpy().astype(np.float32) for n, t in stored.items()}, path)
    for n, t in zip(("fine", "coarse", "whole"), trained):
        print(n, tuple(t.shape), f"deviation {t.std().item():.3g}, largest {t.abs().max().item():.3g}")
    print("logits", logits.tolist(), "boxes", boxes.tolist())


def statistics(path):
    state = {k: v.double() for k, v in load_file(path).items()}
    for name, t in zip(("fine", "coarse", "whole"), features(normalised(state), photos(PUBLISHED))):
        t = t.flatten()
        print(name, len(t), [round(v, 6) for v in (t.mean().item(), t.abs().max().item(), *t[:4].tolist())])


if __name__ == "__main__":
    match sys.argv[1:]:
        case []:
            write("lite0.safetensors")
        case ["--search", tries]:
            search(int(tries))
        case [path]:
            statistics(path)
