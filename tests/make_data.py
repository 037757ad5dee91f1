"""Small data sets on disk, for tests."""
import numpy as np
from PIL import Image

SIZE = (60, 40)


def picture(path, seed=0, size=SIZE):
    """Write a picture of coarse random patches, different for each seed -> path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    patches = np.random.default_rng(seed).integers(0, 256, (4, 6, 3), dtype=np.uint8)
    Image.fromarray(patches).resize(size, Image.Resampling.NEAREST).save(path)
    return path


def thing(name, *box, difficult=None, extra=""):
    """An <object> of a VOC file, on a line of its own."""
    sides = "".join(f"<{side}>{value}</{side}>" for side, value in zip(("xmin", "ymin", "xmax", "ymax"), box))
    flag = "" if difficult is None else f"<difficult>{difficult}</difficult>"
    return f"<object><name>{name}</name>{flag}{extra}<bndbox>{sides}</bndbox></object>"


def voc(folder, annotations, splits=None, size=SIZE, suffix="png"):
    """Write a VOC folder -> folder. annotations: id -> list of <object> texts; splits: name -> ids (default: train)."""
    (folder / "Annotations").mkdir(parents=True)
    (folder / "ImageSets/Main").mkdir(parents=True)
    for number, (id, things) in enumerate(annotations.items()):
        picture(folder / "JPEGImages" / f"{id}.{suffix}", number, size)
        head = f"<annotation>\n<size><width>{size[0]}</width><height>{size[1]}</height></size>\n"
        (folder / "Annotations" / f"{id}.xml").write_text(head + "\n".join(things) + "\n</annotation>")
    for split, ids in (splits or {"train": list(annotations)}).items():
        (folder / "ImageSets/Main" / f"{split}.txt").write_text("".join(f"{id}\n" for id in ids))
    return folder


def yolo(folder, labels, names=("cat", "dog"), split="train"):
    """Write a Darknet data set -> path of its .data file. labels: picture name -> text of its label file, or None."""
    for number, (name, text) in enumerate(labels.items()):
        picture(folder / "images" / f"{name}.png", number)
        if text is not None:
            (folder / "labels").mkdir(exist_ok=True)
            (folder / "labels" / f"{name}.txt").write_text(text)
    (folder / f"{split}.txt").write_text("".join(f"images/{name}.png\n" for name in labels))
    (folder / "my.names").write_text("".join(f"{name}\n" for name in names))
    file = folder / "my.data"
    file.write_text(f"classes={len(names)}\nnames=my.names\n{'valid' if split == 'val' else split}={split}.txt\n")
    return file


def class_folders(folder, counts):
    """Write FOLDER/train/CLASS/*.png -> folder. counts: class -> how many pictures."""
    for n, (name, count) in enumerate(counts.items()):
        for number in range(count):
            picture(folder / "train" / name / f"{name}{number}.png", 100 * n + number, (40, 60))
    return folder
