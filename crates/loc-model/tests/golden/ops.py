"""Each operation in PyTorch, f64, forward and backward: the golden file `ops.safetensors` beside this script.

    python -m venv venv && venv/bin/pip install torch==2.15.0 numpy==2.4.6 safetensors==0.8.0
    venv/bin/python ops.py            # writes ops.safetensors

A case `OP/CASE` holds its inputs (x, w, b), the gradient of its output (gy), PyTorch's results (y, gx, gw, gb) and
`geometry`. For a convolution this is kernel, stride, padding (vertical, horizontal), groups and, if there is any, the extra
padding below and right; for a pool, kernel and stride. The inputs of pools are rounded to quarters, so that windows have many
ties; relu gets zeros.
"""

import torch
import torch.nn.functional as F
from safetensors.torch import save_file

SEED = 20
#        name              N  in  out  size      kernel  stride  padding groups
CONVS = [
    ("square_5x5",         2,  3,  4, (9, 11),  (5, 5), (1, 1), (0, 0), 1),
    ("stride_2",           2,  2,  3, (8, 9),   (3, 3), (2, 2), (0, 0), 1),
    ("stride_2_padding_1", 1,  2,  3, (8, 9),   (3, 3), (2, 2), (1, 1), 1),
    ("depthwise",          2,  4,  4, (7, 6),   (3, 3), (1, 1), (1, 1), 4),
    ("depthwise_times_2",  1,  3,  6, (8, 8),   (5, 5), (2, 2), (2, 2), 3),
    ("two_groups",         2,  4,  6, (6, 6),   (3, 3), (1, 1), (1, 1), 2),
    ("not_square",         2,  2,  3, (7, 9),   (2, 5), (1, 1), (0, 0), 1),
    ("all_different",      2,  2,  2, (10, 9),  (4, 3), (3, 2), (2, 1), 1),
    ("pointwise",          3,  5,  2, (4, 3),   (1, 1), (1, 1), (0, 0), 1),
    ("whole_map",          1,  1,  1, (4, 5),   (4, 5), (1, 1), (0, 0), 1),
    ("stride_beyond",      1,  1,  2, (11, 8),  (2, 2), (3, 3), (0, 0), 1),
]
#        name              N  C  size      kernel  stride
POOLS = [
    ("even",               2, 3, (6, 8),  (2, 2), (2, 2)),
    ("odd",                2, 2, (7, 9),  (2, 2), (2, 2)),
    ("one_channel",        1, 1, (5, 4),  (2, 2), (2, 2)),
    ("overlapping",        2, 3, (8, 8),  (4, 4), (2, 2)),
    ("overlapping_odd",    1, 2, (9, 7),  (3, 3), (2, 2)),
    ("gaps",               1, 2, (8, 11), (2, 2), (3, 3)),
    ("not_square",         2, 1, (6, 9),  (3, 2), (1, 4)),
    ("whole_map",          2, 2, (3, 4),  (3, 4), (1, 1)),
]
#        name         size     kernel  stride  pad left, right, above, below, as in TensorFlow's SAME
SAMES = [
    ("same_3_by_2",    (8, 8), (3, 3), (2, 2), (0, 1, 0, 1)),
    ("same_5_by_2",    (8, 9), (5, 5), (2, 2), (2, 2, 1, 2)),
]
#          name          N  in  out
LINEARS = [("wide", 3, 17, 5), ("one_sample", 1, 9, 4), ("one_output", 4, 6, 1), ("one_input", 2, 1, 3)]


def record(out, case, f, inputs, geometry):
    """Runs `f` on leaf tensors with the values of the inputs, and stores inputs, outputs and gradients."""
    leaves = {k: v.clone().requires_grad_() for k, v in inputs.items()}
    y = f(**leaves)
    gy = torch.randn_like(y)
    grads = torch.autograd.grad(y, list(leaves.values()), gy)
    out[f"{case}/geometry"] = torch.tensor(geometry, dtype=torch.int64)
    out.update({f"{case}/{k}": v.clone() for k, v in inputs.items()})
    out.update({f"{case}/g{k}": g.contiguous() for k, g in zip(leaves, grads)})
    out[f"{case}/y"], out[f"{case}/gy"] = y.detach().contiguous(), gy


def region(x, boxes, most):
    """Mean and, with `most`, maximum of a map inside boxes x1, y1, x2, y2 in 0..1, which get no gradient."""

    def covered(a, b, n):
        start = torch.arange(n)
        low, high = n * torch.minimum(a, b)[:, None], n * torch.maximum(a, b)[:, None]
        return (torch.minimum(high, start + 1) - torch.maximum(low, start)).clamp(min=0) + 1e-6

    fixed = boxes.detach()
    rows, columns = covered(fixed[:, 1], fixed[:, 3], x.shape[2]), covered(fixed[:, 0], fixed[:, 2], x.shape[3])
    cover = (rows[:, :, None] * columns[:, None, :])[:, None]
    means = (x * cover).sum((2, 3)) / cover.sum((2, 3))
    # The boxes take part with a factor of zero, so that they have a gradient.
    means = means + 0 * boxes.sum()
    return torch.cat([means, (x * cover).amax((2, 3))], 1) if most else means


def main(path):
    torch.manual_seed(SEED)
    torch.set_default_dtype(torch.float64)
    out = {}
    for name, n, c, o, size, kernel, stride, padding, groups in CONVS:
        inputs = {"x": torch.randn(n, c, *size), "w": torch.randn(o, c // groups, *kernel), "b": torch.randn(o)}
        conv = lambda x, w, b: F.conv2d(x, w, b, stride, padding, groups=groups)  # noqa: E731
        record(out, f"conv2d/{name}", conv, inputs, [*kernel, *stride, *padding, groups])
    for name, n, c, size, kernel, stride in POOLS:
        x = {"x": (torch.randn(n, c, *size) * 4).round() / 4}
        record(out, f"maxpool2d/{name}", lambda x: F.max_pool2d(x, kernel, stride), x, [*kernel, *stride])
        record(out, f"avgpool2d/{name}", lambda x: F.avg_pool2d(x, kernel, stride), x, [*kernel, *stride])
    for name, n, i, o in LINEARS:
        inputs = {"x": torch.randn(n, i), "w": torch.randn(o, i), "b": torch.randn(o)}
        record(out, f"linear/{name}", lambda x, w, b: F.linear(x, w, b), inputs, [i, o])
    zeros = (torch.randn(2, 3, 5, 5) * 2).round() / 2
    record(out, "relu/zeros", lambda x: F.relu(x), {"x": zeros}, [0])
    record(out, "sigmoid/wide", lambda x: torch.sigmoid(x), {"x": torch.linspace(-30, 30, 25)}, [0])
    record(out, "relu6/kinks", lambda x: F.relu6(x), {"x": (torch.randn(2, 3, 5, 5) * 4).round()}, [0])
    for name, size, kernel, stride, pad in SAMES:
        inputs = {"x": torch.randn(2, 4, *size), "w": torch.randn(4, 1, *kernel), "b": torch.randn(4)}
        same = lambda x, w, b: F.conv2d(F.pad(x, pad), w, b, stride, groups=4)  # noqa: E731
        record(out, f"conv2d/{name}", same, inputs, [*kernel, *stride, pad[2], pad[0], 4, pad[3] - pad[2], pad[1] - pad[0]])
    for name, shape in [("map", (2, 3, 4, 5)), ("vector", (3, 6))]:
        inputs = {"x": torch.randn(*shape), "w": torch.randn(shape[1]), "b": torch.randn(shape[1])}
        each = (1, shape[1]) + (1,) * (len(shape) - 2)
        affine = lambda x, w, b: (x * w.view(each) + b.view(each)).clamp(-1.5, 1.5)  # noqa: E731
        record(out, f"affine/{name}", affine, inputs, [0])
    for size, to in [((7, 7), (14, 14)), ((2, 3), (5, 3)), ((3, 4), (3, 9))]:
        up = lambda x: F.interpolate(x, to, mode="bilinear", align_corners=False)  # noqa: E731
        record(out, f"upsample/{size[0]}x{size[1]}", up, {"x": torch.randn(2, 3, *size)}, to)
    for axis, dim in [("rows", 3), ("columns", 2)]:
        profile = lambda x: torch.cat([x.mean(dim, keepdim=True), x.amax(dim, keepdim=True)], 1)  # noqa: E731
        record(out, f"profile/{axis}", profile, {"x": torch.randn(2, 3, 5, 4)}, [dim])
    places = torch.linspace(0, 1, 7)
    mean = lambda x: (x.view(3, 4, 7).softmax(2) * places).sum(2)  # noqa: E731
    record(out, "expectation/seven", mean, {"x": torch.randn(3, 28) * 3}, [7])
    record(out, "mean/three", lambda x: x.view(2, 3, 4).mean(1), {"x": torch.randn(2, 12)}, [3])
    boxes = torch.tensor([[0.1, 0.2, 0.73, 0.9], [0.5, 0.0, 0.2, 0.31], [0.3, 0.3, 0.3, 0.3], [-0.5, -1.0, 2.0, 2.0]])
    for name, most in [("mean", False), ("mean_max", True)]:
        inputs = {"x": torch.randn(4, 3, 5, 4), "boxes": boxes}
        record(out, f"region/{name}", lambda x, boxes: region(x, boxes, most), inputs, [int(most)])
    save_file(out, path)


if __name__ == "__main__":
    main(__file__.replace(".py", ".safetensors"))
