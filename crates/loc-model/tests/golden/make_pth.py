"""PyTorch files of every kind, as `torch.save` writes them: the folder `pth` beside this script.

    python -m venv venv && venv/bin/pip install torch==2.15.0 numpy==2.4.6
    venv/bin/python make_pth.py             # writes pth/*.pth

A file `ok-*` holds the weights of one small network. `tests/import.rs` computes the same values:
value i of the tensor t (both from 0, in row-major order) is ((31 t + 7 i) mod 64 − 32) / 64, which every float type
represents exactly. Each file `bad-*` is invalid in another way: it is not a state dict of float tensors.
"""

import collections
import os
import pathlib
import pickle
import zipfile

import torch

OUT = pathlib.Path(__file__).parent / "pth"
SHAPES = {
    "conv1.weight": (2, 3, 3, 3),
    "conv1.bias": (2,),
    "class_out.weight": (2, 4),
    "class_out.bias": (2,),
    "box_out.weight": (4, 4),
    "box_out.bias": (4,),
}


def values(t, shape, dtype=torch.float32):
    count = torch.Size(shape).numel()
    i = torch.arange(count, dtype=torch.int64)
    return (((31 * t + 7 * i) % 64 - 32).to(torch.float64) / 64).to(dtype).reshape(shape)


def state(dtype=torch.float32):
    return collections.OrderedDict((n, values(t, s, dtype)) for t, (n, s) in enumerate(SHAPES.items()))


class Small(torch.nn.Module):
    """Its state dict has the names and shapes above."""

    def __init__(self):
        super().__init__()
        self.conv1 = torch.nn.Conv2d(3, 2, 3)
        self.class_out = torch.nn.Linear(4, 2)
        self.box_out = torch.nn.Linear(4, 4)

    def forward(self, x):
        x = torch.nn.functional.avg_pool2d(torch.relu(self.conv1(x)), 3, 3).mean(2).flatten(1)
        return self.class_out(x), torch.sigmoid(self.box_out(x))


class Attack:
    """Unpickling it would run a command."""

    def __reduce__(self):
        return os.system, ("touch /tmp/loc-was-here",)


def save(name, content, **options):
    torch.save(content, OUT / f"{name}.pth", **options)


def rewrite(source, target, change):
    """A copy of a zip archive; `change(name, bytes)` returns the new bytes, or None to leave the entry out."""
    with zipfile.ZipFile(OUT / f"{source}.pth") as old, zipfile.ZipFile(OUT / f"{target}.pth", "w") as new:
        for entry in old.infolist():
            content = change(entry.filename, old.read(entry))
            if content is not None:
                new.writestr(zipfile.ZipInfo(entry.filename), content)


def good(model):
    save("ok-state-dict", model.state_dict())  # with the attribute `_metadata`, which is not an item
    save("ok-plain-dict", dict(state()))
    save("ok-protocol-4", model.state_dict(), pickle_protocol=4)
    save("ok-parameters", {n: torch.nn.Parameter(v) for n, v in state().items()})
    save("ok-data-parallel", torch.nn.DataParallel(model).state_dict())
    save("ok-compiled", {f"_orig_mod.module.{n}": v for n, v in state().items()})
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    save(
        "ok-checkpoint",
        {
            "epoch": 30,
            "state_dict": model.state_dict(),
            "optimizer": optimizer.state_dict(),
            "best": torch.tensor(0.5),
            "history": [0.25, 0.5],
            "classes": ["cat", "dog"],
        },
    )
    save("ok-checkpoint-model", {"model": model.state_dict(), "epoch": 2**40})
    save("ok-checkpoint-model-state-dict", {"model_state_dict": model.state_dict(), "loss": None})
    for name, dtype in {"f64": torch.float64, "f16": torch.float16, "bf16": torch.bfloat16}.items():
        save(f"ok-{name}", state(dtype))

    # A transposed matrix, a channels-last kernel, a slice of a larger tensor. SHAPES has no tensor that could be broadcast.
    strided = state()
    strided["class_out.weight"] = strided["class_out.weight"].t().contiguous().t()
    strided["conv1.weight"] = strided["conv1.weight"].contiguous(memory_format=torch.channels_last)
    padded = torch.full((6, 8), 9.0)
    padded[1:5, 2:6] = strided["box_out.weight"]
    strided["box_out.weight"] = padded[1:5, 2:6]
    assert not any(strided[n].is_contiguous() for n in ("class_out.weight", "conv1.weight", "box_out.weight"))
    save("ok-strided", strided)

    # All tensors in one storage, one after the other.
    flat = torch.cat([v.flatten() for v in state().values()])
    shared, at = {}, 0
    for n, v in state().items():
        shared[n] = flat[at : at + v.numel()].reshape(v.shape)
        at += v.numel()
    save("ok-one-storage", shared)


def bad(model):
    save("bad-legacy", model.state_dict(), _use_new_zipfile_serialization=False)
    save("bad-module", model)
    save("bad-module-in-checkpoint", {"epoch": 3, "model": model})
    torch.jit.save(torch.jit.script(model), str(OUT / "bad-torchscript.pth"))
    save("bad-tensor", values(0, (3,)))
    save("bad-list", list(state().values()))
    save("bad-empty", {})
    save("bad-no-tensors", {"epoch": 3, "lr": 0.1})
    save("bad-two-state-dicts", {"model": state(), "state_dict": state()})
    save("bad-attack", Attack())
    save("bad-attack-inside", {**state(), "extra": Attack()})
    save("bad-number-inside", {**state(), "num_updates": 7})
    save("bad-integers", {**state(), "conv1.num_batches_tracked": torch.tensor(7)})
    save("bad-complex", {**state(), "spectrum": torch.zeros(2, dtype=torch.complex64)})
    save("bad-sparse", {**state(), "mask": torch.eye(3).to_sparse()})
    save("bad-quantized", {**state(), "q": torch.quantize_per_tensor(torch.ones(3), 0.1, 0, torch.qint8)})
    save("bad-negated", {**state(), "neg": torch._neg_view(torch.ones(3))})
    save("bad-f64-range", {**state(), "huge": torch.tensor([1e300], dtype=torch.float64)})
    save("bad-key", {**state(), 7: torch.ones(1)})
    (OUT / "bad-plain-pickle.pth").write_bytes(pickle.dumps({"a": 1}, protocol=4))
    (OUT / "bad-html.pth").write_bytes(b"<!DOCTYPE html><html><body>404</body></html>\n")
    rewrite("ok-plain-dict", "bad-no-pickle", lambda n, b: None if n.endswith("data.pkl") else b)
    rewrite("ok-plain-dict", "bad-no-storage", lambda n, b: None if n.endswith("data/0") else b)
    rewrite("ok-plain-dict", "bad-short-storage", lambda n, b: b[:8] if n.endswith("data/0") else b)
    rewrite("ok-plain-dict", "bad-big-endian", lambda n, b: b"big" if n.endswith("byteorder") else b)


def main():
    OUT.mkdir(exist_ok=True)
    model = Small()
    model.load_state_dict(state())
    good(model)
    bad(model)
    sizes = {path.name: path.stat().st_size for path in OUT.iterdir()}
    assert max(sizes.values()) < 20_000, sizes
    print(len(sizes), "files,", sum(sizes.values()), "bytes, the largest", max(sizes, key=sizes.get))


if __name__ == "__main__":
    main()
