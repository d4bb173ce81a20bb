"""Flags of ``viscosity_quality`` as a map shows them: each with its share, none too small to see.

Some hundred flagged pixels among many thousands are what a reader looks for, and the first to get
lost where a raster is thinned or drawn with fewer dots than it has pixels.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import xarray as xr
from scipy.ndimage import maximum_filter

from xdiffice.results.names import QUALITY, Quality

WIDTH = 100
"""The longer side of a map, in units of the smallest spot that can be seen."""


def shares(result: xr.Dataset) -> dict[Quality, float]:
    """Share of every flag that is there, of the pixels that have a value."""
    return _shares(whole_numbers(result[QUALITY].values)) if QUALITY in result else {}


def labels(flags: np.ndarray) -> dict[int, str]:
    """Return names of the flags that are there, with their shares of the shelf in percent."""
    return {
        flag.value: f"{flag.name.lower().replace('_', ' ')}\n{percent(share)}"
        for flag, share in _shares(flags).items()
    }


def percent(share: float) -> str:
    """Write a share so that neither little nor almost everything is rounded away.

    Examples
    --------
    >>> percent(0.00066), percent(0.5), percent(0.99921)
    ('0.066 %', '50 %', '99.92 %')
    """
    if share >= 0.99:  # two digits would make it all
        return f"{100 * share:.2f} %" if share < 1 else "100 %"
    return f"{100 * share:.2g} %"


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
    common = sorted(_shares(flags).items(), key=lambda item: -item[1])
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


def whole_numbers(values: np.ndarray) -> np.ndarray:
    """Return flags as integers, where a mask or a file made floats of them."""
    numbers: np.ndarray = np.nan_to_num(values, nan=Quality.OUTSIDE)
    return numbers.astype(np.int8)


def _shares(flags: np.ndarray) -> dict[Quality, float]:
    counts = {flag: int(np.count_nonzero(flags == flag)) for flag in Quality if flag}
    shelf = max(sum(counts.values()), 1)
    return {flag: count / shelf for flag, count in counts.items() if count}
