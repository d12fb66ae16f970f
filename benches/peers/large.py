"""Makes a photo of 12 megapixels of a smaller one: `large.py PHOTO LARGE`. Noise gives it the detail, and so the size in
bytes, of a camera's."""

import sys

import cv2
import numpy as np

SIZE = (4000, 3000)
NOISE = 6

image = cv2.resize(cv2.imread(sys.argv[1]), SIZE, interpolation=cv2.INTER_CUBIC)
noise = np.random.default_rng(0).normal(0, NOISE, image.shape[:2]).astype("f4")
image = np.clip(image + noise[..., None], 0, 255).astype("u1")
assert cv2.imwrite(sys.argv[2], image, [cv2.IMWRITE_JPEG_QUALITY, 90])
