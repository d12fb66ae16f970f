"""How many planted errors an audit finds, beside cleanlab's methods on the same predictions.

    python3 plant.py photos planted
    loc data audit planted --all --format json > audit.json
    python3 compare.py planted audit.json

Prints for classes and for boxes the fraction of planted errors among as many photos at the top of each ranking: recall and
precision at the planted count. cleanlab (pip install cleanlab) ranks classes by normalized margin and by self-confidence, and
boxes by the bad-location score of its object detection.
"""

import csv, json, sys
from pathlib import Path

import numpy as np
from cleanlab.object_detection.rank import compute_badloc_box_scores
from cleanlab.rank import get_label_quality_scores

planted, audit = Path(sys.argv[1]), json.load(open(sys.argv[2]))
photos = sorted(audit["photos"], key=lambda photo: photo["path"])
kinds = {Path(row["annotation"]).stem: row["kind"] for row in csv.DictReader(open(planted / "planted.csv"))}
kind = [kinds.get(Path(photo["path"]).stem) for photo in photos]
names = sorted(photos[0]["predicted"]["probs"], key=lambda name: name.encode())
probs = np.array([[photo["predicted"]["probs"][name] for name in names] for photo in photos])
labels = np.array([names.index(photo["given"]["name"]) for photo in photos])


def found(what, method, doubt):
    count = kind.count(what)
    if count:
        top = np.argsort(-np.asarray(doubt), kind="stable")[:count]
        share = sum(kind[i] == what for i in top) / count
        print(f"{what:<6} {method:<40} {share:.2f} of {count}")


own = 1 - probs[np.arange(len(labels)), labels]
found("class", "loc", own)
for method in ("self_confidence", "normalized_margin", "confidence_weighted_entropy"):
    if len(names) > 1:
        found("class", f"cleanlab {method}", -get_label_quality_scores(labels, probs, method=method))


def xyxy(box):
    return [box[edge] for edge in ("x1", "y1", "x2", "y2")]


given = [{"bboxes": np.array([xyxy(p["given"]["box"])]), "labels": np.array([l])} for p, l in zip(photos, labels)]
# cleanlab compares boxes of equal classes: the box is judged alone here, so all predictions have the given class.
predicted = []
for photo, label in zip(photos, labels):
    boxes = [np.zeros((0, 5)) for _ in names]
    boxes[label] = np.array([xyxy(photo["predicted"]["box"]) + [photo["predicted"]["confidence"]]])
    predicted.append(np.array(boxes, dtype=object))
scores = compute_badloc_box_scores(labels=given, predictions=predicted)
found("box", "loc", [photo["deviation"] or 1 - photo["iou"] for photo in photos])
found("box", "cleanlab bad location", [-score[0] for score in scores])
found("box", "IoU with the predicted box", [-photo["iou"] for photo in photos])
listed = [photo for photo in photos if photo["suspect"]]
for what in ("class", "box"):
    chosen = [photo for photo in listed if photo["reason"] == what]
    right = sum(kinds.get(Path(photo["path"]).stem) == what for photo in chosen)
    if kind.count(what):
        print(f"{what:<6} listed {len(chosen)}, {right} of {kind.count(what)} planted")
