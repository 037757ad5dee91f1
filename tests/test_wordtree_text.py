"""Trees as people write them, and as they are drawn for people."""
import time

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
    ("x.yaml", "animal:\n- cat:\n  - tom\n- dog\nperson: null\n"),  # as PyYAML writes it
    ("x.yaml", "---\n- animal:\n  - cat:\n    - tom\n  - dog: {}\n  person: []\n"),
    ("x.yaml", "-   animal:\n    -   cat:\n        -   tom\n    - dog\n- person\n"),  # marks in one column are siblings
    ("x.yml", "animal:\n  cat:  # a pet\n    'tom': ~\n  \"d\\x6fg\":\nperson :\n"),
    ("x.txt", "- animal\n  - cat\n    - tom\n  - dog\n- person\n"),
    ("x.txt", "animal\n- cat  # a pet\n  - tom\n- 'dog'\nperson\n"),
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
    ("x.txt", "- cat\ndog\n", "x.txt:2 'dog' is indented by 0, its siblings by 0 and a -"),
    ("x.txt", "animal\n  - \n", "x.txt:2 has no name"), ("x.txt", "", "no nodes"),
    ("x.txt", "a\n  b\nc\n  b\n", "x.txt:4 'b' was defined at line 2 already"),
    ("x.txt", "hot dog\n\nhot_dog\n", "x.txt:3 'hot_dog' was defined at line 1 already as 'hot dog', which is the same"),
    ("x.json", '{"a": ["hot dog",\n"hot_dog"]}', "x.json:2 'hot_dog' was defined at line 1 already as 'hot dog'"),
    ("x.json", '{"a":\n["x"],\n"":["y"]}', "x.json:3 '' is no name"), ("x.json", '["\\ud800"]', "x.json:1 '.*' is no name"),
    ("x.json", "[]", "x.json: has no nodes; expected such as {"), ("x.txt", "# a\n", "nodes; expected a name on each line"),
    ("x.txt", "caf\xe9".encode("latin-1"), "x.txt:1 is not in UTF-8: it has the byte 0xe9"),
    ("x.json", b'["a",\n"b\xff"]', "x.json:2 is not in UTF-8"), ("x.txt", b"a\n\x02", "not text"),
    *(("x.yaml", f"a:\n{line}\n", "x.yaml:2 .*expected one name on a line") for line in
      ("  cat: [tom, kit]", "  cat: {tom: {}}", "  cat: tom", "  cat: &id001", "- *id001", "- ? long", "---", "  'cat",
       '  "c\\q"')),
    ("x.yaml", "a:\n- a long\n  name\n", "x.yaml:3 'name' has neither - before nor : behind it"),
    ("x.yaml", "a:\n- cat\n  - tom\n", "x.yaml:3 'tom' stands under 'cat'; expected cat: there"),
    ("x.yaml", "a: null\n- cat\n", "x.yaml:2 'cat' stands under 'a'; expected a: there"),
    ("x.json", '{"a": [}', "x.json:1 is no JSON"), ("x.json", '{"a": 5}', "found 5"), ("x.json", "[" * 100000, "deeply"),
    ("x.json", '{"a": ["b"], "a": ["c"]}', "x.json:1 'a' was defined at line 1 already"), ("x.txt", "a\0", "not text"),
])
def test_what_is_no_tree(tmp_path, name, text, words):
    (tmp_path / name).write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(DataError, match=words):
        read_any(tmp_path / name)


def test_drawn_with_probabilities_and_limits(tmp_path):
    (tmp_path / "x.txt").write_text("animal\n  cat\n    tom\n  dog\n  eel\n  fox\nperson")
    tree = read_any(tmp_path / "x.txt")
    lines = draw(tree, [.25, .75, .05, .15, .04, .01, .05], width=2, depth=2, marked=[1])
    assert lines == ["person  0.750  <--", "animal  0.250", "|-- dog  0.150", "|-- cat  0.050  (+ 1 below)",
                     "`-- (+ 2 more)"]
    assert draw(tree, names=[name.upper() for name in tree.names], depth=1) == ["ANIMAL  (+ 5 below)", "PERSON"]


def test_names_in_quotes_are_kept_as_they_are(tmp_path):
    (tmp_path / "x.txt").write_text("'crane [bird]'\n  \"it's # 1: \\\"a\\\"\"\n  'it''s'\nC#\ncat:tom\n")
    assert read_any(tmp_path / "x.txt").names == ("crane [bird]", "C#", "cat:tom", "it's # 1: \"a\"", "it's")


def test_long_lines_take_no_time(tmp_path):
    for line in ("a" + " " * 300000 + "[", "a:b" * 100000 + "[", "-" * 300000 + "]", '"' + "\\\\" * 100000):
        (tmp_path / "x.txt").write_text(line)
        started = time.perf_counter()
        with pytest.raises(DataError, match="x.txt:1 .*expected one name"):
            read_any(tmp_path / "x.txt")
        assert time.perf_counter() - started < 5
