"""accuracy.py: top-1 and top-k by hand."""
import json
import math

import numpy as np
import pytest

from minidarknet.accuracy import Accuracy, top_k


def test_top_k_takes_the_first_of_equals_as_darknet_does():
    """The spec's golden row, from Darknet's own top_k."""
    assert top_k(np.array([[.1, .5, .5, .3, .9, .9]]), 4).tolist() == [[4, 5, 1, 2]]


def test_shares_and_mistakes():
    best = np.array([[0, 1], [1, 0], [2, 1], [2, 1]])
    found = Accuracy(("a", "b", "c", "d"), best, np.array([0, 0, 1, 0]))
    assert (found.top1, found.topk, found.k) == (.25, .75, 2)
    assert found.per_class() == [("a", 3, pytest.approx(1 / 3), pytest.approx(2 / 3), "b (1)"), ("b", 1, 0, 1, "c (1)")]
    written = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert written["per_class"]["a"]["images"] == 3 and "d" not in written["per_class"]


def test_nothing():
    found = Accuracy(("a",), np.zeros((0, 1), int), np.zeros(0, int))
    assert math.isnan(found.top1) and found.to_dict()["top1"] is None and found.per_class() == []


def test_classes_of_one_name():
    """ImageNet has two cranes: a bird and a machine."""
    found = Accuracy(("crane", "dog", "crane"), np.array([[0], [0], [1]]), np.array([0, 2, 2]))
    assert [row[0] for row in found.per_class()] == ["crane_0", "crane_2"]
    assert {name: row["top1"] for name, row in found.to_dict()["per_class"].items()} == {"crane_0": 1, "crane_2": 0}
