"""Trees as people write them, and as they are drawn for people."""
import pytest

from minidarknet.errors import DataError
from minidarknet.wordtree_text import draw, figures, read_any

DRAWN = """animal
|-- cat
|   `-- tom
`-- dog
person"""


@pytest.mark.parametrize("name, text", [
    ("x.txt", "animal\n  cat\n    tom\n  dog\nperson\n"),
    ("x.txt", "# animals first\nanimal\n\tcat\n\t\ttom\n\n\tdog\nperson"),
    ("x.txt", "animal\r\n        cat\r\n            tom\r\n        dog\r\nperson\r\n"),
    ("x.yaml", "animal:\n  - cat:\n      - tom\n  - dog\nperson:\n"),
    ("x.json", '{"animal": {"cat": ["tom"], "dog": {}}, "person": null}'),
    ("x.json", '[{"animal": [{"cat": "tom"}, "dog"]}, "person"]'),
    ("x.tree", "animal -1\nperson -1\ncat 0\ndog 0\ntom 2\n"),
])
def test_the_same_tree_in_many_hands(tmp_path, name, text):
    (tmp_path / name).write_bytes(text.encode())
    tree = read_any(tmp_path / name)
    assert tree.names == ("animal", "person", "cat", "dog", "tom")
    assert "\n".join(draw(tree)) == DRAWN
    assert figures(tree) == {"nodes": 5, "groups": 3, "roots": 2, "leaves": 3, "depth": 3, "largest_group": 2}


@pytest.mark.parametrize("name, text, words", [
    ("x.txt", "animal\n    cat\n  dog\n", "x.txt:3 'dog' is indented by 2, its siblings by 4"),
    ("x.txt", "animal\n  - \n", "x.txt:2 has no name"), ("x.txt", "", "no nodes"),
    ("x.txt", "a\n  b\nc\n  b\n", "'b'.*twice"),
    ("x.json", '{"a": [}', "x.json:1 is no JSON"), ("x.json", '{"a": 5}', "found 5"), ("x.json", "[" * 100000, "deeply"),
    ("x.json", '{"a": ["b"], "a": ["c"]}', "'a' is used twice"), ("x.txt", "a\0", "not text"),
])
def test_what_is_no_tree(tmp_path, name, text, words):
    (tmp_path / name).write_text(text)
    with pytest.raises(DataError, match=words):
        read_any(tmp_path / name)


def test_drawn_with_probabilities_and_limits(tmp_path):
    (tmp_path / "x.txt").write_text("animal\n  cat\n    tom\n  dog\n  eel\n  fox\nperson")
    tree = read_any(tmp_path / "x.txt")
    lines = draw(tree, [.25, .75, .05, .15, .04, .01, .05], width=2, depth=2, marked=[1])
    assert lines == ["person  0.750  <--", "animal  0.250", "|-- dog  0.150", "|-- cat  0.050  (+ 1 below)",
                     "`-- (+ 2 more)"]
    assert draw(tree, names=[name.upper() for name in tree.names], depth=1) == ["ANIMAL  (+ 5 below)", "PERSON"]
