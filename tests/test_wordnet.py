"""Building a tree from WordNet: from a small WordNet of our own, in its file format, and from the real one where it is."""
from pathlib import Path

import pytest

from minidarknet.errors import DataError
from minidarknet.wordnet import FOLDER, WordNet, build, find_labels
from minidarknet.wordtree import WordTree, read_tree
from minidarknet.wordtree_text import figures

# number: words and what is above. Dogs are domestic animals, and mammals by a longer way; pets hang under two roots.
NOUNS = {1: ("entity", []), 2: ("physical_entity", [1]), 3: ("abstraction", [1]), 4: ("animal", [2]),
         5: ("mammal", [4]), 6: ("carnivore", [5]), 7: ("dog hound", [9, 6]), 8: ("cat", [6]), 9: ("domestic_animal", [4]),
         10: ("bear", [6]), 11: ("cow", [9]), 12: ("vehicle", [2]), 13: ("car motorcar", [12]), 14: ("idea", [3]),
         15: ("mascot", [14, 7]), 16: ("bank", [14]), 17: ("bank", [12])}


def data_noun(nouns=NOUNS, licence="  1 A licence, as WordNet's files begin.  \n"):
    lines = []
    for number, (words, above) in nouns.items():
        words = words.split()
        below = [n for n, (_, ups) in nouns.items() if number in ups]
        pointers = [*(f"@ {up:08d} n 0000" for up in above), *(f"~ {down:08d} n 0000" for down in below),
                    "! 00000001 a 0101"]
        lines.append(f"{number:08d} 03 n {len(words):02x} {' '.join(f'{word} 0' for word in words)} {len(pointers):03d} "
                     f"{' '.join(pointers)} | what it is; \"an @ example\"  ")
    return licence + "\n".join(lines) + "\n"


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "data.noun").write_text(data_noun())
    (tmp_path / "index.noun").write_text("  1 A licence.\nbank n 2 1 @ 2 0 00000017 00000016  \n"
                                         + "".join(f"{word.lower()} n 1 1 @ 1 0 {number:08d}  \n"
                                                   for number, (words, _) in NOUNS.items() for word in words.split()
                                                   if word != "bank"))
    return tmp_path


def numbers(*labels):
    return [f"n{label:08d}" for label in labels]


def tree_of(folder, *labels, **kwargs):
    """name -> parent's name of the tree for these numbers, in words."""
    nouns = WordNet(folder)
    tree = build(nouns, numbers(*labels), **kwargs)
    word = [nouns.words[name][0] for name in tree.names]
    return {word[i]: word[above] if above >= 0 else None for i, above in enumerate(tree.parent)}


def test_reading(folder):
    nouns = WordNet(folder)
    assert len(nouns.words) == len(NOUNS) and nouns.words["n00000013"] == ("car", "motorcar")
    assert nouns.above["n00000007"] == ("n00000009", "n00000006")
    for label, number in (("dog", 7), ("Hound", 7), ("domestic animal", 9), ("n00000008 whatever", 8), ("bank", 17),
                          ("bank#2", 16)):
        assert nouns.find(label) == numbers(number)[0]
    assert {nouns.find(label) for label in ("bank#3", "unicorn", "n00000099", "bank#0", "")} == {None}
    (folder / "index.noun").unlink()
    assert WordNet(folder).find("bank") == "n00000016"  # the first in the file


def test_single_paths_come_first_and_decide(folder):
    """Dog comes first in the list, but waits for cat and bear, whose way over carnivore then costs it nothing."""
    assert tree_of(folder, 7, 8, 10, chains=True) == {
        "animal": None, "mammal": "animal", "carnivore": "mammal", "dog": "carnivore", "cat": "carnivore",
        "bear": "carnivore"}
    assert tree_of(folder, 7, 11, chains=True)["dog"] == "domestic animal"


def test_alone_it_takes_the_short_way(folder):
    assert tree_of(folder, 7, chains=True) == {"animal": None, "domestic animal": "animal", "dog": "domestic animal"}


def test_a_way_into_the_tree_is_shorter_than_one_that_ends_beside_it(folder):
    """A hybrid is a gadget, which is new and stands under the root, and a pet, which the tree has: one node less."""
    (folder / "index.noun").unlink()
    (folder / "data.noun").write_text(data_noun({**NOUNS, 18: ("gadget", [2]), 19: ("hybrid", [18, 9])}))
    assert tree_of(folder, 11, 19, chains=True) == {"animal": None, "domestic animal": "animal", "cow": "domestic animal",
                                                    "hybrid": "domestic animal"}
    assert tree_of(folder, 19, chains=True) == {"gadget": None, "hybrid": "gadget"}
    assert tree_of(folder, 19, 18, 9, chains=True)["hybrid"] in ("gadget", "domestic animal")


@pytest.mark.parametrize("text, root, words", [
    ("dog\nanimal\n", "animal", "labels.txt:2 'animal' is the root itself: the tree is what is below 'animal'; expected"),
    ("physical entity\ndog\n", "physical entity", "labels.txt:1 'physical entity' is the root itself"),
    ("dog\ncat\nentity\n", "animal", "labels.txt:3 'entity' is above the root: the tree is what is below 'animal'"),
    ("dog\n", "dog", "labels.txt:1 'dog' is the root itself.* leave this one out, or take a higher --root")])
def test_the_root_is_no_label(folder, text, root, words):
    (folder / "labels.txt").write_text(text)
    with pytest.raises(DataError, match=words):
        find_labels(WordNet(folder), folder / "labels.txt", root)


def test_chains_are_left_out_but_labels_stay(folder):
    assert tree_of(folder, 7, 8, 10, 13) == {"carnivore": None, "car": None, "dog": "carnivore", "cat": "carnivore",
                                              "bear": "carnivore"}
    assert tree_of(folder, 5, 8, 13) == {"mammal": None, "car": None, "cat": "mammal"}
    assert tree_of(folder, 4) == {"animal": None}


def test_only_paths_to_the_root_count(folder):
    """A mascot is an idea by the shorter way, but the tree is one of physical entities; an idea itself is none."""
    assert tree_of(folder, 15, chains=True) == {"animal": None, "domestic animal": "animal", "dog": "domestic animal",
                                                "mascot": "dog"}
    assert tree_of(folder, 14, 13) == {"idea": None, "car": None}
    assert tree_of(folder, 15, 13, root="entity") == {"mascot": None, "car": None}


def test_the_tree_is_one_darknet_reads(folder, tmp_path):
    tree = build(WordNet(folder), numbers(7, 8, 10, 11, 13, 15))
    tree.write(tmp_path / "x.tree")
    assert read_tree(tmp_path / "x.tree").parent.tolist() == tree.parent.tolist()
    assert isinstance(tree, WordTree) and set(numbers(7, 8, 10, 11, 13, 15)) <= set(tree.names)


def test_labels_in_a_file(folder, tmp_path):
    file = tmp_path / "labels.txt"
    file.write_text("dog\r\n\r\nn00000008 cat, true cat\r\nbank#2\r\n")
    assert find_labels(WordNet(folder), file) == (numbers(7, 8, 16), ["dog", "n00000008 cat, true cat", "bank#2"])
    for text, words in (("dog\nunicorn\n", "labels.txt:2 'unicorn': WordNet has no such noun"), ("", "no labels"),
                        ("dog\nhound\n", ":2 'hound' means n00000007 .*line 1 does")):
        file.write_text(text)
        with pytest.raises(DataError, match=words):
            find_labels(WordNet(folder), file)


@pytest.mark.parametrize("spoil, words", [
    (lambda text: text.replace(" 03 n 01 cat", " 03 n zz cat"), r"data.noun:9 is no line"),
    (lambda text: text.replace("@ 00000006 n 0000 ", "@ 00000006 ", 1), r"data.noun:8 is no line"),
    (lambda text: text[:200], "data.noun:"),
])
def test_damaged_files_are_named(folder, spoil, words):
    text = (folder / "data.noun").read_text()
    assert spoil(text) != text
    (folder / "data.noun").write_text(spoil(text))
    with pytest.raises(DataError, match=words):
        WordNet(folder)


def test_other_damages(folder, tmp_path):
    with pytest.raises(DataError, match="holds no data.noun.*wordnet-base"):
        WordNet(tmp_path / "nowhere")
    (folder / "index.noun").write_text("dog n 1 1 @ 1 0 00000099\n")
    with pytest.raises(DataError, match="index.noun:1 names a concept that data.noun does not have"):
        WordNet(folder)


def test_circles_end(tmp_path):
    (tmp_path / "data.noun").write_text(data_noun({2: ("physical_entity", []), 3: ("hen", [4]), 4: ("egg", [3, 5]),
                                                   5: ("thing", [2])}))
    nouns = WordNet(tmp_path)
    assert set(build(nouns, numbers(3, 4), chains=True).names) == set(numbers(3, 4, 5))
    (tmp_path / "data.noun").write_text(data_noun({2: ("physical_entity", []), 3: ("hen", [4]), 4: ("egg", [3])}))
    assert set(build(WordNet(tmp_path), numbers(3, 4)).names) == set(numbers(3, 4))


LABELS = Path(__file__).parents[2] / "shared/data/yolo9000/data_imagenet.labels.list"


@pytest.mark.skipif(not (LABELS.exists() and Path(FOLDER, "data.noun").exists()), reason="needs WordNet and label lists")
def test_the_papers_tree_of_imagenet():
    """The paper: 1000 classes make 1369 nodes. With chains left out, we get 1371, above "object" 1370."""
    nouns = WordNet(FOLDER)
    labels = LABELS.read_text().split()[:1000]
    tree = build(nouns, labels)
    assert figures(tree) == {"nodes": 1371, "groups": 372, "roots": 3, "leaves": 1000, "depth": 15, "largest_group": 26}
    assert len(build(nouns, labels, "object")) == 1370 and len(build(nouns, labels, chains=True)) == 1785
