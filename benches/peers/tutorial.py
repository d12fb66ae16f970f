"""The unchanged tutorial, with all steps of its notebook in one process: `tutorial.py CSV SPLIT EPOCHS`.

It reads photos with cv2 into lists of float64 arrays, splits them, converts them to tensors, and trains with a
DataLoader of batches of 32, softmax before cross-entropy, SGD, and validation and a checkpoint after each epoch. Split
and table are arguments, so that all sides train on the same photos. Prints the seconds of each epoch.
"""

import csv
import os
import sys
import tempfile
import time

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from network import Network
from torch.utils.data import DataLoader, Dataset

TABLE, SPLIT, EPOCHS = sys.argv[1:4]
torch.set_num_threads(2)

with open(TABLE) as file:
    rows = list(csv.DictReader(file))
with open(SPLIT) as file:
    part = {row["filename"]: row["split"] for row in csv.DictReader(file)}

img_list, labels, boxes, names = [], [], [], []
for row in rows:
    image = cv2.imread(row["path"])
    image = cv2.cvtColor(cv2.resize(image, (256, 256)), cv2.COLOR_BGR2RGB)
    img_list.append(image.astype(float) / 255.0)
    labels.append(int(row["class_num"]))
    edges = [float(row[key]) for key in ("xmin", "ymin", "xmax", "ymax")]
    boxes.append([edge / 256 for edge in edges])
    names.append(row["filename"])

train = [i for i, name in enumerate(names) if part[name] == "train"]
val = [i for i, name in enumerate(names) if part[name] == "val"]


class Photos(Dataset):
    def __init__(self, images, labels, boxes):
        self.images = torch.permute(torch.from_numpy(np.array(images)), (0, 3, 1, 2)).float()
        self.labels = torch.from_numpy(np.array(labels)).type(torch.LongTensor)
        self.boxes = torch.from_numpy(np.array(boxes)).float()

    def __len__(self):
        return len(self.labels)

    def __getitem__(self, index):
        return self.images[index], self.labels[index], self.boxes[index]


def pick(values, indices):
    return np.array([values[i] for i in indices])


train_set = Photos(pick(img_list, train), pick(labels, train), pick(boxes, train))
val_set = Photos(pick(img_list, val), pick(labels, val), pick(boxes, val))
train_loader = DataLoader(train_set, batch_size=32, shuffle=True)
val_loader = DataLoader(val_set, batch_size=32, shuffle=True)

model = Network()
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
with tempfile.TemporaryDirectory() as folder:
    for epoch in range(int(EPOCHS)):
        start = time.perf_counter()
        model.train()
        for x, y, z in train_loader:
            optimizer.zero_grad()
            y_pred, z_pred = model(x)
            loss = F.cross_entropy(y_pred, y) + F.mse_loss(z_pred, z)
            loss.backward()
            optimizer.step()
        model.eval()
        with torch.no_grad():
            for x, y, z in val_loader:
                y_pred, z_pred = model(x)
                loss = F.cross_entropy(y_pred, y) + F.mse_loss(z_pred, z)
        torch.save(model.state_dict(), os.path.join(folder, f"model_ep{epoch + 1}.pth"))
        print(f"{time.perf_counter() - start:.3f}", flush=True)
