"""Flags of ``viscosity_quality``, counted. No JAX."""

from __future__ import annotations

import numpy as np

from xdiffice.results.names import Quality


def shares(flags: np.ndarray) -> dict[Quality, float]:
    """Return the share of every flag that is there, of the pixels that have a value.

    Examples
    --------
    >>> shares(np.array([0, 0, 1, 1, 1, 4]))[Quality.DETERMINED]
    0.75
    """
    counts = {flag: int(np.count_nonzero(flags == flag)) for flag in Quality if flag}
    shelf = max(sum(counts.values()), 1)
    return {flag: count / shelf for flag, count in counts.items() if count}


def words(flag: Quality) -> str:
    """Return the name of a flag as a reader takes it."""
    return flag.name.lower().replace("_", " ")


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


def whole_numbers(values: np.ndarray) -> np.ndarray:
    """Return flags as integers, where a mask or a file made floats of them."""
    numbers: np.ndarray = np.nan_to_num(values, nan=Quality.OUTSIDE)
    return numbers.astype(np.int8)
