"""Copies a Pascal VOC data set and plants errors: wrong classes and shifted boxes.

    python3 plant.py SET OUT [--fraction 0.05] [--seed 0]

SET has XML files with one photo each, anywhere in it; photos are linked. OUT/planted.csv lists what was planted:
path,kind. A box is moved by a quarter of its width and of its height, in a direction in which it stays inside the photo
if there is one. Of several objects the largest is changed, which is the one that loc uses.
"""

import argparse, csv, os, random, xml.etree.ElementTree as ET
from pathlib import Path

args = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
args.add_argument("set", type=Path)
args.add_argument("out", type=Path)
args.add_argument("--fraction", type=float, default=0.05)
args.add_argument("--seed", type=int, default=0)
args = args.parse_args()

files = {path: ET.parse(path) for path in sorted(args.set.rglob("*.xml"))}
files = {path: tree for path, tree in files.items() if tree.findall("object")}


def edges(thing):
    box = thing.find("bndbox")
    return [float(box.find(edge).text) for edge in ("xmin", "ymin", "xmax", "ymax")]


def largest(tree):
    def area(thing):
        x1, y1, x2, y2 = edges(thing)
        return (x2 - x1) * (y2 - y1)

    return max(tree.findall("object"), key=area)


names = sorted({thing.find("name").text for tree in files.values() for thing in tree.findall("object")})
draw = random.Random(args.seed)
order = list(files)
draw.shuffle(order)
count = round(args.fraction * len(order))
swapped = order[:count] if len(names) > 1 else []
shifted = order[count : 2 * count]

for path in swapped:
    name = largest(files[path]).find("name")
    name.text = draw.choice([other for other in names if other != name.text])
for path in shifted:
    tree = files[path]
    thing = largest(tree)
    x1, y1, x2, y2 = edges(thing)
    size = tree.find("size")
    limits = [float(size.find(side).text) for side in ("width", "height")]

    def move(low, high, limit):
        step = (high - low) / 4
        free = [s for s in (-step, step) if low + s >= 0 and high + s <= limit]
        step = draw.choice(free or [-step, step])
        return max(low + step, 0), min(high + step, limit)

    (x1, x2), (y1, y2) = move(x1, x2, limits[0]), move(y1, y2, limits[1])
    box = thing.find("bndbox")
    for edge, value in zip(("xmin", "ymin", "xmax", "ymax"), (x1, y1, x2, y2)):
        box.find(edge).text = f"{value:.0f}"

for path in sorted(args.set.rglob("*")):
    target = args.out / path.relative_to(args.set)
    target.parent.mkdir(parents=True, exist_ok=True)
    if path in files:
        files[path].write(target)
    elif path.is_file() and path.suffix.lower() != ".csv":
        os.symlink(path.resolve(), target)
with open(args.out / "planted.csv", "w", newline="") as file:
    rows = csv.writer(file)
    rows.writerow(["annotation", "kind"])
    rows.writerows([(str(path.relative_to(args.set)), kind) for kind, all in (("class", swapped), ("box", shifted)) for path in all])
