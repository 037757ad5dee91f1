"""The page with a slider: its labels are those of WordTree.predict at every threshold, in Python and in its own script."""
import json
import re
import shutil
import subprocess

import numpy as np
import pytest

from minidarknet.viz_wordtree_html import SCRIPT, framed, shown_part, stops, wordtree_html
from minidarknet.wordtree import WordTree, grow

TREE = grow({"animal": {"dog": ["husky", "terrier"], "cat": None}, "vehicle": ["car", "bus"]})
THRESHOLDS = np.linspace(0, 1, 201)


def conditional(tree, seed):
    """P(node | parent) of a picture that nobody has seen: (n,)."""
    rng = np.random.default_rng(seed)
    return np.concatenate([rng.dirichlet(np.full(n, .5)) for n in np.diff(tree.borders)])


def large(seed=0, count=400):
    """A tree of `count` nodes at random."""
    rng = np.random.default_rng(seed)
    parent = np.sort(np.concatenate([np.full(5, -1), (rng.random(count - 5) * np.arange(5, count) * .4).astype(int)]))
    return WordTree(map(str, range(count)), parent)


def cases():
    """(tree, absolute) of small and large trees, with ties and certain and impossible nodes among them."""
    trees = [TREE, large(), WordTree.flat(4)]
    found = [(tree, tree.absolute(conditional(tree, seed))) for tree in trees for seed in range(20)]
    even = np.concatenate([np.full(n, 1 / n) for n in np.diff(TREE.borders)])
    sure = np.concatenate([np.eye(1, n)[0] for n in np.diff(TREE.borders)])
    return [*found, (TREE, TREE.absolute(even)), (TREE, TREE.absolute(sure)),
            (TREE, TREE.absolute(conditional(TREE, 3).astype(np.float32)))]


def looked_up(way, threshold):
    """What the page's script does, in Python."""
    at = 0
    while at + 1 < len(way) and threshold < way[at]["below"]:
        at += 1
    return way[at]["node"]


@pytest.mark.parametrize("double_count", [False, True])
def test_the_label_is_that_of_the_walk_at_every_threshold(double_count):
    for tree, absolute in cases():
        way = stops(tree, absolute, double_count=double_count)
        exactly = [one["below"] for one in way] + absolute.astype(float).tolist()
        for threshold in (*THRESHOLDS, *exactly):
            assert looked_up(way, threshold) == tree.predict(absolute.astype(np.float64), threshold, double_count)


def test_the_page_of_darknets_walk_says_what_it_compares():
    absolute = TREE.absolute(np.array([.9, .1, .8, .2, .5, .5, .95, .05]))
    page = wordtree_html(TREE, absolute, double_count=True)
    way = json.loads(re.search(r"const stops = (.*), has = (.*);", page)[1])
    assert way == stops(TREE, absolute, double_count=True) and way != stops(TREE, absolute)
    np.testing.assert_allclose([one["value"] for one in way], [.9, .9 * .72, .9 * .72 * .684])
    assert 'has = ", all on the way multiplied, has ";' in page and 'has = " has ";' in wordtree_html(TREE, absolute)


def test_the_script_looks_up_the_same(tmp_path):
    """The page's own script, run where there is a JavaScript engine; its text is checked everywhere."""
    assert "while (at + 1 < stops.length && threshold < stops[at].below) at += 1;" in SCRIPT
    node = shutil.which("node")
    if node is None:
        return
    asked = [(stops(tree, absolute), [*THRESHOLDS, *absolute.astype(float)]) for tree, absolute in cases()]
    (tmp_path / "asked.json").write_text(json.dumps(asked))
    (tmp_path / "run.js").write_text(SCRIPT + """
const asked = JSON.parse(require("fs").readFileSync(process.argv[2]));
console.log(JSON.stringify(asked.map(([way, ts]) => ts.map(t => way[labelAt(way, t)].node))));""")
    done = subprocess.run([node, tmp_path / "run.js", tmp_path / "asked.json"], capture_output=True, text=True, check=True)
    for (tree, absolute), (_, thresholds), found in zip(cases(), asked, json.loads(done.stdout), strict=True):
        assert found == [tree.predict(absolute.astype(np.float64), t) for t in thresholds]


def test_the_page_holds_everything_and_nothing_from_elsewhere(tmp_path):
    absolute = TREE.absolute(conditional(TREE, 1))
    names = ["animal", "vehicle", "<dog>", "cat", "car", "bus", "husky & co", "</script>"]
    picture = np.zeros((300, 20, 3), np.uint8)
    page = wordtree_html(TREE, absolute, tmp_path / "new" / "page.html", names, picture)
    assert (tmp_path / "new" / "page.html").read_text(encoding="utf-8") == page
    assert page.count("<script>") == page.count("</script>") == 1 and "src=\"data:image/png;base64," in page
    assert not re.search(r"https?:|@import|url\(", page)
    assert json.loads(re.search(r"const stops = (.*), has = (.*);", page)[1]) == stops(TREE, absolute, names)
    assert page.count("<text ") == len(TREE) and page.count("<path ") == len(TREE) - 2
    assert "&lt;dog&gt; " in page and "<dog>" not in page and "husky &amp; co" in page
    for one in stops(TREE, absolute, names)[:-1]:
        assert f"{one['below']:.3f} to" in page
    frame = framed(page)
    assert frame.count("<") == 4 and '"' not in frame.split('srcdoc="')[1].split('" width')[0]


@pytest.mark.parametrize("seed", range(5))
def test_of_a_large_tree_the_way_down_and_its_likeliest_siblings(seed):
    tree = large(seed)
    absolute = tree.absolute(conditional(tree, seed))
    keep = shown_part(tree, absolute, 3)
    way = tree.path_to_root(int(tree.predict(absolute, 0)))
    assert set(way) <= set(keep.tolist()) and len(keep) <= 3 * (len(way) + 1)
    page = wordtree_html(tree, absolute)
    assert page.count("data-step") - SCRIPT.count("data-step") == len(way)
    assert page.count("<text ") == len(shown_part(tree, absolute))
