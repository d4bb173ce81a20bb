"""Slopes of a field that is as rough as a penalty on its slopes lets it be."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import map_coordinates

MODES = 32  # along an axis: half as many wavelengths on the longest side of a shelf
CELLS = 8 * MODES  # of the table along an axis
PERIODS = 2.0  # longest sides; the field repeats itself outside of the shelf only
MOST = 0.5  # standard deviation of a logarithm: viscosities of one shelf differ by that


class RandomSlopes:
    """Slopes of a Gaussian field ξ, of density exp(-stiffness ∫ |∇ξ|² dA).

    Parameters
    ----------
    lowest, highest : tuple of float
        Corners (x, y) of the rectangle that the field has to cover, m.
    stiffness : float
        Of the penalty; raised where the field would have a standard deviation above 0.5.
    rng : numpy.random.Generator
        Decides.
    """

    def __init__(
        self,
        lowest: tuple[float, float],
        highest: tuple[float, float],
        stiffness: float,
        rng: np.random.Generator,
    ):
        self._lowest = lowest
        self._cell = PERIODS * max(np.subtract(highest, lowest)) / CELLS
        whole = np.fft.fftfreq(CELLS, 1 / CELLS)
        n_x, n_y = np.meshgrid(whole, whole)
        square = n_x**2 + n_y**2
        used = (square > 0) & (square <= MODES**2)
        # A mode of amplitude a has ∫ |∇ξ|² dA = ½ (a k S)², with k S = 2π n and the period S.
        variance = np.where(used, 1 / np.where(used, square, 1.0), 0.0) / (4 * np.pi**2)
        total = variance.sum() / 2
        # An amplitude of n and one of -n add up to one mode.
        scale = np.sqrt(0.5 * variance / max(stiffness, total / MOST**2))
        amplitude = scale * (rng.standard_normal(n_x.shape) + 1j * rng.standard_normal(n_x.shape))
        per_length = 2j * np.pi / (CELLS * self._cell)
        self._tables = [
            CELLS**2 * np.fft.ifft2(per_length * n * amplitude).real for n in (n_x, n_y)
        ]

    def at(self, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return derivatives by x and by y, m-1, at positions in m."""
        places = [(y - self._lowest[1]) / self._cell, (x - self._lowest[0]) / self._cell]
        by_x, by_y = (
            map_coordinates(table, places, order=1, mode="grid-wrap") for table in self._tables
        )
        return by_x, by_y
