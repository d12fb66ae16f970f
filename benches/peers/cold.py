"""Process start to first prediction with Python, OpenCV and ONNX Runtime, without other imports."""

import os
import sys

import cv2
import numpy as np
import onnxruntime

options = onnxruntime.SessionOptions()
options.intra_op_num_threads = 2
session = onnxruntime.InferenceSession(sys.argv[1], options, ["CPUExecutionProvider"])
image = cv2.cvtColor(cv2.imread(sys.argv[2]), cv2.COLOR_BGR2RGB)
image = cv2.resize(image, (256, 256)).astype("f4") / np.float32(255)
cls, loc = session.run(None, {"input": image.transpose(2, 0, 1)[None]})
print(int(cls.argmax()), (loc[0] * 256).tolist())
# Exit without the cleanup of the interpreter.
sys.stdout.flush()
os._exit(0)
