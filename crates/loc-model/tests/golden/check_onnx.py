"""Checks an exported file with other tools: onnx.checker, shape inference, ONNX Runtime.

    python -m venv venv && venv/bin/pip install onnx==1.23.2 onnxruntime==1.32.0 numpy==2.4.6
    venv/bin/python check_onnx.py model.onnx                   # is it valid, and what are its outputs
    venv/bin/python check_onnx.py model.onnx --photo a.npy     # the outputs for photos [N, 3, H, W], RGB in 0..1
    venv/bin/python check_onnx.py model.onnx --photo a.npy --expect b.npz   # and the differences of `cls` and `loc`

Prints one JSON object; exits 1 if the file is not valid or an output differs by more than 1e-5 from the expected one.
"""

import argparse
import json
import sys

import numpy as np
import onnx
import onnxruntime

TOLERANCE = 1e-5


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("model")
    parser.add_argument("--photo")
    parser.add_argument("--expect")
    args = parser.parse_args()

    model = onnx.load(args.model)
    onnx.checker.check_model(model, full_check=True)
    session = onnxruntime.InferenceSession(args.model, providers=["CPUExecutionProvider"])
    (inputs,) = session.get_inputs()
    assert inputs.name == "input", inputs.name
    assert [o.name for o in session.get_outputs()] == ["cls", "loc"]

    if args.photo:
        photos = np.load(args.photo).astype(np.float32)
    else:
        photos = np.random.default_rng(0).random((3, *inputs.shape[1:]), dtype=np.float32)
    cls, loc = session.run(["cls", "loc"], {"input": photos})
    one = [session.run(["cls", "loc"], {"input": photos[i : i + 1]}) for i in range(len(photos))]
    difference = {
        "batch_cls": float(max(np.abs(cls[i] - o[0][0]).max() for i, o in enumerate(one))),
        "batch_loc": float(max(np.abs(loc[i] - o[1][0]).max() for i, o in enumerate(one))),
        "sum_of_cls": float(np.abs(cls.sum(axis=1) - 1).max()),
    }
    if args.expect:
        expected = np.load(args.expect)
        difference["cls"] = float(np.abs(cls - expected["cls"]).max())
        difference["loc"] = float(np.abs(loc - expected["loc"]).max())
    json.dump(
        {
            "ir_version": model.ir_version,
            "opset": [o.version for o in model.opset_import],
            "producer": f"{model.producer_name} {model.producer_version}",
            "properties": {p.key: p.value for p in model.metadata_props},
            "input": inputs.shape,
            "nodes": len(model.graph.node),
            "cls": cls.tolist(),
            "loc": loc.tolist(),
            "difference": difference,
        },
        sys.stdout,
        indent=1,
    )
    print()
    # Written so that a difference that is not a number fails.
    return 0 if all(d <= TOLERANCE for d in difference.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
