"""data/order.py: the pools take turns, each has epochs of its own, and one alone is as ever."""
import numpy as np
import pytest

from minidarknet.data.draws import ORDER, stream
from minidarknet.data.order import Order


@pytest.mark.parametrize("shares", [(1, 1), (4, 1), (1, 4), (2, 3), (7, 5)])
def test_the_pools_take_turns_evenly_and_each_has_its_epochs(shares):
    order = Order(((11, shares[0]), (6, shares[1])), 3)
    pools = np.array([order.turn(place)[0] for place in range(40 * sum(shares))])
    for first in range(0, len(pools), sum(shares)):
        assert (pools[first:first + sum(shares)] == 1).sum() == shares[1]
    gaps = np.diff(np.flatnonzero(pools == np.argmin(shares)))
    assert gaps.max() - gaps.min() <= 1                      # spread evenly
    for pool, (first, count) in enumerate(((0, 11), (11, 6))):
        shown = [order.example(*order.turn(place)) for place in range(len(pools)) if pools[place] == pool]
        for epoch in range(len(shown) // count):
            assert sorted(shown[epoch * count:(epoch + 1) * count]) == list(range(first, first + count))


def test_one_pool_is_the_order_of_before():
    """Trainings without --joint see their pictures as they always did."""
    order = Order(((7, 1),), 5)
    assert [order.example(*order.turn(place)) for place in range(14)] == \
        [*stream(5, ORDER, 0).permutation(7), *stream(5, ORDER, 1).permutation(7)]
