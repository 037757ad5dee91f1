"""How good a classifier is: how often the right class is its first guess (top-1), or among its first k (top-k)."""
from dataclasses import dataclass

import numpy as np

from minidarknet.names import distinct


def top_k(probability, k):
    """The k most probable classes of every picture, best first; of equals the first one, as in Darknet.

    probability: (n, classes). k: int, at most classes. Returns (n, k) int64. Darknet: src/utils.c, top_k.
    """
    return np.argsort(-probability, axis=1, kind="stable")[:, :k]


@dataclass(frozen=True, eq=False)
class Accuracy:
    """The score of a classifier. names: the classes. best: (n, k) int64, its guesses, best first. truth: (n,) int64."""

    names: tuple
    best: np.ndarray
    truth: np.ndarray

    @property
    def k(self):
        """How many guesses top-k allows."""
        return self.best.shape[1]

    @property
    def top1(self):
        """Share of the pictures whose class is the first guess: float, NaN without pictures."""
        return self._share(1)

    @property
    def topk(self):
        """Share of the pictures whose class is among the k guesses: float, NaN without pictures."""
        return self._share(self.k)

    def _share(self, count, which=slice(None)):
        right = (self.best[which, :count] == self.truth[which, None]).any(axis=1)
        return float(right.mean()) if len(right) else float("nan")

    def per_class(self):
        """(name, pictures, top-1, top-k, what it is taken for most often or "") of every class that has pictures.

        Names as names.distinct gives them.
        """
        rows, names = [], distinct(self.names)
        for k in np.unique(self.truth).tolist():
            which = self.truth == k
            wrong = np.bincount(self.best[which, 0], minlength=len(self.names))
            wrong[k] = 0
            mistaken = f"{names[wrong.argmax()]} ({wrong.max()})" if wrong.any() else ""
            rows.append((names[k], int(which.sum()), self._share(1, which), self._share(self.k, which), mistaken))
        return rows

    def to_dict(self):
        """For JSON: top1, topk, k, images, per_class (name -> top1, topk, images); None for NaN."""
        def number(value):
            return None if np.isnan(value) else value

        return {"top1": number(self.top1), "topk": number(self.topk), "k": self.k, "images": len(self.truth),
                "per_class": {name: {"top1": top1, "topk": topk, "images": count}
                              for name, count, top1, topk, _ in self.per_class()}}
