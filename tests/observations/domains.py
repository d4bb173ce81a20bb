"""Domains of any shape, made from masks of pixels."""

import numpy as np

from xdiffice.observations.points import Domain


def domain_of(mask: np.ndarray, spacing: float = 1000.0) -> Domain:
    """Return the pixels where the mask (rows of y, columns of x) is true."""
    row, column = np.nonzero(mask)
    return Domain(spacing * column, spacing * row, spacing)


def rectangle(n_y: int, n_x: int, spacing: float = 1000.0) -> Domain:
    return domain_of(np.ones((n_y, n_x), dtype=bool), spacing)
