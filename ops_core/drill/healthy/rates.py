"""How often a check cried wolf, and how often it may yet: a rate with its upper confidence bound. Pure."""

from __future__ import annotations

import math

CONFIDENCE = 0.95
HALVINGS = 60


def at_most(false: int, looks: int, confidence: float = CONFIDENCE) -> float:
    """The highest rate that is still believable: the exact upper bound of Clopper and Pearson, one-sided.

    None of thirty is at most 9.5 %: about three divided by the number of looks, where nothing was found. Nothing that
    was never looked at is at most 100 %.

    Args:
        false: looks that raised something.
        looks: all of them; at least `false`.
        confidence: how sure it has to be.
    """
    if false >= looks:
        return 1.0
    low, high = false / looks, 1.0
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        if _up_to(false, looks, middle) > 1 - confidence:
            low = middle
        else:
            high = middle
    return high


def _up_to(most: int, looks: int, rate: float) -> float:
    """How likely at most `most` of `looks` are false where each is with this rate, between 0 and 1 exclusively."""

    def likely(number: int) -> float:
        ways = math.lgamma(looks + 1) - math.lgamma(number + 1) - math.lgamma(looks - number + 1)
        return math.exp(ways + number * math.log(rate) + (looks - number) * math.log1p(-rate))

    return math.fsum(likely(number) for number in range(most + 1)) if 0 < rate < 1 else float(rate <= 0)
