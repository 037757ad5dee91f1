"""Which picture stands at which place of a training: epoch after epoch, each in a new order."""
from minidarknet.data.draws import JOINT_ORDER, ORDER, stream

KEPT = 4  # permutations in memory; batches made at the same time touch two epochs of each pool at most


class Order:
    """The order of the pictures of some pools, which take turns in fixed shares; each pool has epochs of its own.

    pools: ((count, share), ...), one pool or two; the pictures of all pools are numbered through. Of every sum(shares)
    places one after the other, `share` belong to a pool, spread evenly. What stands at a place follows from
    (seed, place) alone.
    """

    def __init__(self, pools, seed):
        self.counts, self._shares = zip(*pools)
        self._seed, self._known = seed, {}
        slots = [((n + .5) / share, pool, n) for pool, (_, share) in enumerate(pools) for n in range(share)]
        self._slots = [(pool, n) for _, pool, n in sorted(slots)]

    def turn(self, place):
        """(pool, number): the `place`-th picture of the training is the `number`-th that its pool gives."""
        cycle, slot = divmod(place, len(self._slots))
        pool, n = self._slots[slot]
        return pool, cycle * self._shares[pool] + n

    def example(self, pool, number):
        """Which picture the `number`-th that a pool gives is (int)."""
        epoch, within = divmod(number, self.counts[pool])
        order = self._known.get((pool, epoch))
        if order is None:
            order = stream(self._seed, (ORDER, JOINT_ORDER)[pool], epoch).permutation(self.counts[pool])
            self._known = {**dict(list(self._known.items())[1 - KEPT:]), (pool, epoch): order}
        return self.first(pool) + int(order[within])

    def first(self, pool):
        """The number of a pool's first picture (int)."""
        return sum(self.counts[:pool])
