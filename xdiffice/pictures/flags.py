"""Flags of ``viscosity_quality`` as a map shows them: each with its share, none too small to see.

Some hundred flagged pixels among many thousands are what a reader looks for, and the first to get
lost where a raster is thinned or drawn with fewer dots than it has pixels.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.ndimage import maximum_filter

from xdiffice.results.flags import percent, shares, words

WIDTH = 100
"""The longer side of a map, in units of the smallest spot that can be seen."""


def labels(flags: np.ndarray) -> dict[int, str]:
    """Return names of the flags that are there, with their shares of the shelf in percent."""
    return {flag.value: f"{words(flag)}\n{percent(share)}" for flag, share in shares(flags).items()}


def visible(flags: np.ndarray, steps: Sequence[int]) -> np.ndarray:
    """Thin flags so that the rarest of a neighbourhood is what remains of it.

    Of every block of `steps` pixels the flag that is rarest on the shelf is kept. On a raster it
    then spreads over neighbours of the shelf until its spot is a hundredth of the longer side,
    so that single pixels are drawn larger than they are; the outline of the shelf stays.

    Parameters
    ----------
    flags : ndarray of int
        Numbers of `Quality`.
    steps : sequence of int
        Pixels of a block along each dimension; 1 for all keeps every pixel.

    Returns
    -------
    ndarray of int
        As many along each dimension as a slice with these steps has.
    """
    common = sorted(shares(flags).items(), key=lambda item: -item[1])
    rank = np.zeros(256, np.uint8)  # 0 is outside, and what is no flag
    flag_of = np.zeros(len(common) + 1, np.int8)
    for place, (flag, _) in enumerate(common, start=1):
        rank[flag], flag_of[place] = place, flag
    ranks = rank[flags.astype(np.uint8)]
    for axis, step in enumerate(steps):
        ranks = np.maximum.reduceat(ranks, np.arange(0, ranks.shape[axis], step), axis)
    if ranks.ndim == 2:
        wide = -(-max(ranks.shape) // WIDTH)
        spread = maximum_filter(ranks, wide + 1 - wide % 2)  # odd: in the middle
        ranks = np.where(ranks > 0, spread, 0)
    return flag_of[ranks]
