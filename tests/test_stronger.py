"""The paper's section 4, sentence by sentence: every place it names is there."""
from pathlib import Path

import pytest

from minidarknet.lessons.stronger import TABLE, find, rows

SENTENCES = [pair for part in TABLE.values() for pair in part]


def test_every_place_exists():
    for sentence, place in SENTENCES:
        thing = find(place)
        assert (thing is None) == (place == ""), sentence
        assert not isinstance(thing, Path) or thing.is_file()


@pytest.mark.parametrize("place", ["cfg/nothing.cfg", "wordtree.WordTree.fly", "nowhere", "kernels.region.nothing"])
def test_a_place_that_is_not_there_is_told(place):
    with pytest.raises(LookupError, match=place.split("/")[-1].split(".")[-1]):
        find(place)


def test_the_section_is_whole():
    """71 sentences in four parts; no more than those that report or give a reason have no place in the code."""
    assert [len(part) for part in TABLE.values()] == [16, 29, 4, 22]
    assert len({sentence for sentence, _ in SENTENCES}) == len(SENTENCES) and all(s.endswith(".") for s, _ in SENTENCES)
    assert sum(place == "" for _, place in SENTENCES) <= 8
    lines = rows()
    assert len(lines) == len(SENTENCES) + 4 and max(map(len, lines)) < 140
