"""Independent judges of annotation formats: what `loc data convert` writes, panlabel and globox read to the same boxes; and
what they write, loc reads to the same boxes. Usage: judge.py LOC FOLDER (a new folder)."""

import csv
import json
import shutil
import subprocess
import sys
from pathlib import Path

import globox

# Edges in pixels: formats with percents and centres round, none by more.
TOLERANCE = 1e-3
PANLABEL = Path(sys.executable).parent / "panlabel"
OURS = ["voc", "coco", "yolo", "csv", "createml"]


def call(*words):
    done = subprocess.run([str(word) for word in words], capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"{' '.join(map(str, words))}: exit {done.returncode}\n{done.stdout}{done.stderr}")
    return done


def described(photos):
    """Photos by their file names, each with its classes and boxes in a fixed order."""
    return {Path(name).name: sorted(objects) for name, objects in photos.items()}


def of_coco(path):
    data = json.loads(path.read_text())
    names = {c["id"]: c["name"] for c in data["categories"]}
    photos = {image["id"]: (image["file_name"], []) for image in data["images"]}
    for annotation in data["annotations"]:
        x, y, w, h = annotation["bbox"]
        photos[annotation["image_id"]][1].append((names[annotation["category_id"]], x, y, x + w, y + h))
    return described(dict(photos.values()))


def of_panlabel(path):
    data = json.loads(path.read_text())
    names = {c["id"]: c["name"] for c in data["categories"]}
    photos = {image["id"]: (image["file_name"], []) for image in data["images"]}
    for annotation in data["annotations"]:
        edges = [annotation["bbox"][edge] for edge in ("xmin", "ymin", "xmax", "ymax")]
        photos[annotation["image_id"]][1].append((names[annotation["category_id"]], *edges))
    return described(dict(photos.values()))


def of_globox(annotations):
    boxes = lambda a: [(b.label, b.xmin, b.ymin, b.xmax, b.ymax) for b in a.boxes]
    return described({a.image_id: boxes(a) for a in annotations})


def same(what, found, truth, empty_too=True):
    """Stops unless both are the same boxes."""
    if not empty_too:
        found = {name: objects for name, objects in found.items() if objects}
        truth = {name: objects for name, objects in truth.items() if objects}
    if found.keys() != truth.keys():
        sys.exit(f"{what}: other photos: {sorted(found.keys() ^ truth.keys())}")
    for name, objects in truth.items():
        labels = [[o[0] for o in side] for side in (found[name], objects)]
        apart = [abs(a - b) for x, y in zip(found[name], objects) for a, b in zip(x[1:], y[1:])]
        if labels[0] != labels[1] or max(apart, default=0) > TOLERANCE:
            sys.exit(f"{what}: {name}: {found[name]} where {objects} is true")
    print(f"{what}: the same boxes")


def make(loc, folder):
    """A set with several objects in a photo, none in another, and edges between pixels."""
    call(loc, "data", "sample", folder / "shapes", "--n", 12)
    call(loc, "data", "convert", folder / "shapes", "--to", "coco", "-o", folder / "truth")
    path = folder / "truth/annotations.json"
    data = json.loads(path.read_text())
    first = data["annotations"][0]
    more = [dict(first, id=100 + i, category_id=i % 3 + 1, bbox=[i / 3, i * 7.125, 20.25 + i, 9.1]) for i in range(4)]
    data["annotations"] = more + data["annotations"][:-1]
    path.write_text(json.dumps(data))
    return of_coco(path)


def judge_ours(loc, folder, truth):
    """What loc writes."""
    for to in OURS:
        call(loc, "data", "convert", folder / "truth", "--to", to, "-o", folder / to)
    tables = folder / "csv/annotations.csv"
    # keras-retinanet's table has the same columns without a header, and no size.
    plain = folder / "csv/plain.csv"
    with tables.open(newline="") as rows, plain.open("w", newline="") as out:
        columns = ["filename", "xmin", "ymin", "xmax", "ymax", "class"]
        csv.writer(out).writerows([row[column] for column in columns] for row in csv.DictReader(rows))
    for name, path, more in [
        ("voc", folder / "voc", []),
        ("coco", folder / "coco/annotations.json", []),
        ("yolo", folder / "yolo", ["--split", "train"]),
        ("retinanet", plain, []),
        ("create-ml", folder / "createml/annotations.json", []),
    ]:
        read = folder / f"panlabel-{name}.json"
        call(PANLABEL, "convert", "--from", name, "--to", "ir-json", "-i", path, "-o", read, "--allow-lossy", *more)
        same(f"panlabel reads {name}", of_panlabel(read), truth)
    names = [c["name"] for c in json.loads((folder / "truth/annotations.json").read_text())["categories"]]
    yolo = globox.AnnotationSet.from_yolo_v5(folder / "yolo/labels", image_folder=folder / "yolo/images")
    yolo.map_labels({str(i): name for i, name in enumerate(names)})
    same("globox reads yolo", of_globox(yolo), truth)
    same("globox reads coco", of_globox(globox.AnnotationSet.from_coco(folder / "coco/annotations.json")), truth)
    same("globox reads voc", of_globox(globox.AnnotationSet.from_pascal_voc(folder / "voc/Annotations")), truth)


def judge_theirs(loc, folder, truth):
    """What they write."""
    def check(what, data, photos, *flags, empty_too=True):
        shutil.copytree(folder / "shapes/images", photos, dirs_exist_ok=True)
        back = folder / f"back-{what.replace(' ', '-')}"
        call(loc, "data", "convert", data, "--to", "coco", "-o", back, *flags)
        same(f"loc reads {what}", of_coco(back / "annotations.json"), truth, empty_too)

    source = folder / "truth/annotations.json"
    columns = ["--columns", "filename,xmin,ymin,xmax,ymax,class"]
    # Rows of boxes only; and a task without annotations is one that nobody has worked on yet, not a photo of nothing.
    without_empty = ["vott-csv", "label-studio"]
    for name, file, flags in [
        ("coco", "x.json", []),
        ("voc", "x", []),
        ("yolo", "x", []),
        ("create-ml", "x.json", []),
        ("label-studio", "x.json", []),
        ("labelme", "x", []),
        ("vott-csv", "x.csv", []),
        ("vott-json", "x", []),
        ("retinanet", "x.csv", columns),
    ]:
        place = folder / f"by-panlabel-{name}"
        place.mkdir()
        words = ["convert", "--from", "coco", "--to", name, "-i", source, "-o", place / file, "--allow-lossy"]
        call(PANLABEL, *words)
        check(f"panlabel {name}", place, place / "images", *flags, empty_too=name not in without_empty)
    annotations = globox.AnnotationSet.from_coco(source)
    for name, save in [
        ("coco", lambda place: annotations.save_coco(place / "x.json", auto_ids=True)),
        ("voc", lambda place: annotations.save_pascal_voc(place / "annotations")),
        ("yolo", lambda place: annotations.save_yolo_v5(place / "labels", label_to_id=NUMBERS)),
        ("labelme", lambda place: annotations.save_labelme(place / "annotations")),
    ]:
        place = folder / f"by-globox-{name}"
        # Names of photos have a folder, which globox does not make.
        for annotation_folder in ("annotations", "labels"):
            (place / annotation_folder / "images").mkdir(parents=True)
        save(place)
        if name == "yolo":
            (place / "classes.txt").write_text("".join(f"{label}\n" for label in NUMBERS))
        check(f"globox {name}", place, place / "images")


NUMBERS = {"box": 0, "disc": 1, "star": 2}

if __name__ == "__main__":
    loc, folder = Path(sys.argv[1]).absolute(), Path(sys.argv[2]).absolute()
    folder.mkdir(parents=True)
    truth = make(loc, folder)
    judge_ours(loc, folder, truth)
    judge_theirs(loc, folder, truth)
