"""Class names: text files with one name a line, usually beside the cfg or the weights."""
from pathlib import Path


def read_names(path):
    """The class names in the text file `path` -> tuple of str; empty lines at the end do not count."""
    lines = Path(path).read_text(encoding="utf-8", errors="replace").splitlines()
    while lines and not lines[-1].strip():
        lines.pop()
    return tuple(line.strip() for line in lines)


def names_beside(classes, *files):
    """The names that belong to `files` (paths or None): STEM.names, else the folder's only list of `classes` names.

    For RUN/weights/X.weights of a training: RUN/model.names.
    Returns a tuple of str, () where there is none or the choice is not clear.
    """
    for file in files:
        if file is None:
            continue
        beside = Path(file).parent
        for own in (Path(file).with_suffix(".names"), beside.parent / "model.names"):
            if own.is_file() and (own.parent == beside or beside.name == "weights"):
                return read_names(own)
        fitting = [names for path in sorted(Path(file).parent.glob("*.names"))
                   if len(names := read_names(path)) == classes]
        if len(fitting) == 1:
            return fitting[0]
    return ()


def names_of(tree):
    """The names of a WordTree's nodes: of the .names file beside its own, else those in it; () for None."""
    if tree is None:
        return ()
    beside = names_beside(len(tree), tree.path)
    return beside if len(beside) == len(tree) else tree.names
