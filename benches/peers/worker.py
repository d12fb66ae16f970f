"""Runs one peer in a separate process: `worker.py PEER`.

Prints the tasks that it supports (a line of JSON), then responds to each line `TASK COUNT` with the wall times of COUNT
runs of the task in milliseconds. Everything runs on two threads, in f32. PEERS_DIR is the folder with model and photos.
"""

import concurrent.futures
import json
import os
import sys
import time

import numpy as np

HERE = os.environ["PEERS_DIR"]
THREADS = 2


# The models, and the sides of their inputs.
MODELS = {"infer": ("model.onnx", 256), "lite0": ("lite0.onnx", 224)}


def photos(side=256):
    raw = np.fromfile(os.path.join(HERE, "photos.u8"), "u1").reshape(32, 256, 256, 3)[:, :side, :side]
    return np.ascontiguousarray(raw.transpose(0, 3, 1, 2)).astype("f4") / np.float32(255)


def pytorch(kind):
    import torch
    import torch.nn.functional as F
    from network import Network

    torch.set_num_threads(THREADS)
    torch.manual_seed(0)
    layout = torch.channels_last if kind == "channels-last" else torch.contiguous_format
    batch = torch.from_numpy(photos()).to(memory_format=layout)
    labels, boxes = torch.arange(32) % 2, torch.linspace(0, 1, 128).reshape(32, 4)
    net = Network().to(memory_format=layout)
    call = torch.compile(net) if kind == "compile" else net
    optimizer = torch.optim.SGD(net.parameters(), lr=0.01)

    def step(images=batch, classes=labels, targets=boxes):
        c, b = call(images)
        loss = F.cross_entropy(c, classes) + F.mse_loss(b, targets)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss.item()

    def infer(n):
        images = batch[:n].contiguous(memory_format=layout)

        def run():
            with torch.inference_mode():
                return call(images)

        return run

    def epoch():
        """Trains on 960 photos and validates on 240, all in memory: PyTorch without data loading."""
        for _ in range(30):
            order = torch.randperm(32)
            step(batch[order].contiguous(memory_format=layout), labels[order], boxes[order])
        for n in [32] * 7 + [16]:
            infer(n)()

    return {"train_step_32": step, "infer_1": infer(1), "infer_32": infer(32), "epoch": epoch}


def onnx_session(model="model.onnx"):
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = THREADS
    return onnxruntime.InferenceSession(os.path.join(HERE, model), options, ["CPUExecutionProvider"])


def onnx():
    tasks = {}
    for name, (model, side) in MODELS.items():
        session, batch = onnx_session(model), photos(side)
        for n in (1, 32):
            tasks[f"{name}_{n}"] = lambda session=session, x=batch[:n]: session.run(None, {"input": x})
    return tasks


def openvino():
    import openvino

    core, tasks = openvino.Core(), {}
    # f32 as for the other peers: on some processors the default is bfloat16.
    hints = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": THREADS, "PERFORMANCE_HINT": "LATENCY"}
    for name, (file, side) in MODELS.items():
        batch = photos(side)
        for n in (1, 32):
            model = core.read_model(os.path.join(HERE, file))
            model.reshape({"input": [n, 3, side, side]})
            request = core.compile_model(model, "CPU", hints).create_infer_request()
            tasks[f"{name}_{n}"] = lambda request=request, x=batch[:n]: request.infer({0: x})
    return tasks


def opencv():
    import cv2

    cv2.setNumThreads(THREADS)
    session = onnx_session()

    def jpeg_to_box(name):
        with open(os.path.join(HERE, name), "rb") as file:
            jpeg = np.frombuffer(file.read(), "u1")
        height, width = cv2.imdecode(jpeg, cv2.IMREAD_COLOR).shape[:2]
        # The smallest of the decoder's sizes that is not below that of the input.
        reduced = {2: cv2.IMREAD_REDUCED_COLOR_2, 4: cv2.IMREAD_REDUCED_COLOR_4, 8: cv2.IMREAD_REDUCED_COLOR_8}
        flags = [cv2.IMREAD_COLOR] + [flag for f, flag in reduced.items() if min(height, width) >= 256 * f]

        def run():
            image = cv2.cvtColor(cv2.imdecode(jpeg, flags[-1]), cv2.COLOR_BGR2RGB)
            image = cv2.resize(image, (256, 256)).astype("f4") / np.float32(255)
            cls, loc = session.run(None, {"input": image.transpose(2, 0, 1)[None]})
            return int(cls.argmax()), loc[0] * 256

        return run

    with open(os.path.join(HERE, "images.txt")) as file:
        files = file.read().splitlines()

    def load(path):
        image = cv2.cvtColor(cv2.imread(path), cv2.COLOR_BGR2RGB)
        return cv2.resize(image, (256, 256))

    pool = concurrent.futures.ThreadPoolExecutor(2)

    def prepare():
        # Two photos at a time, each on one thread: faster here than one photo on two.
        cv2.setNumThreads(1)
        images = list(pool.map(load, files))
        cv2.setNumThreads(THREADS)
        assert len(images) == len(files)

    return {
        "jpeg_to_box": jpeg_to_box("photo.jpg"),
        "jpeg_12mp_to_box": jpeg_to_box("photo-12mp.jpg"),
        "prepare_1200": prepare,
    }


def main(peer):
    kind, _, name = peer.partition("-")
    if kind == "pytorch":
        tasks = pytorch(name)
    else:
        tasks = {"onnxruntime": onnx, "openvino": openvino, "opencv": opencv}[peer]()
    print(json.dumps({"ready": list(tasks)}), flush=True)
    warm = set()
    for line in sys.stdin:
        task, count = line.split()
        run = tasks.get(task)
        if run is None:
            print(json.dumps({"error": f"no task {task}"}), flush=True)
            continue
        if task not in warm:
            run()
            warm.add(task)
        times = []
        for _ in range(int(count)):
            start = time.perf_counter()
            run()
            times.append((time.perf_counter() - start) * 1e3)
        print(json.dumps({"ms": times}), flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
