"""Whether a place is on a shelf, by a raster of its pixels: far faster than by their positions."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.ndimage import binary_dilation, maximum_filter

MOST_PIXELS_FOR_ONE = 100
"""Of a raster around the shelf, for each of its pixels."""
OFF_RASTER = 1e-3
"""Spacings; positions in single precision are off by half of that."""


@dataclass(frozen=True)
class Lookup:
    """The pixels of a shelf as a raster: much faster to look up than points.

    Parameters
    ----------
    known : ndarray of bool, shape (n_y + 2, n_x + 2)
        Pixels, with a rim of one.
    origin : tuple of float
        x and y of ``known[0, 0]``, m.
    spacing : float
        m.
    """

    known: np.ndarray
    origin: tuple[float, float]
    spacing: float

    @classmethod
    def of(cls, x: np.ndarray, y: np.ndarray, spacing: float) -> Lookup | None:
        """Return the raster of a shelf's pixels; None if they are on none, or far apart."""
        place, index = [], []
        for own in (x, y):
            steps = (own - own.min()) / spacing
            place.append(steps)
            index.append(np.rint(steps).astype(np.int64))
        off = max(float(np.abs(a - b).max()) for a, b in zip(place, index, strict=True))
        shape = index[1].max() + 3, index[0].max() + 3
        if off > OFF_RASTER or shape[0] * shape[1] > MOST_PIXELS_FOR_ONE * x.size:
            return None
        known = np.zeros(shape, bool)
        known[index[1] + 1, index[0] + 1] = True
        origin = x.min() - spacing, y.min() - spacing
        return cls(known, (float(origin[0]), float(origin[1])), spacing)

    @cached_property
    def _around(self) -> np.ndarray:
        """Pixels beside known ones."""
        around: np.ndarray = binary_dilation(self.known, np.ones((3, 3))) & ~self.known
        return around

    def painted(self, at: np.ndarray, values: np.ndarray) -> np.ndarray:
        """Put values of known pixels on the raster; beside these is the largest one around."""
        c, r, _, _ = self._places(at)
        raster = np.zeros(self.known.shape, values.dtype)
        raster[r, c] = values
        return np.where(self.known, raster, maximum_filter(raster, 3))

    def picked(self, raster: np.ndarray, at: np.ndarray) -> np.ndarray:
        """Return the values of such a raster at positions on the shelf."""
        c, r, _, _ = self._places(at)
        values: np.ndarray = raster[r, c]
        return values

    def _places(self, at: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Column and row of positions, as whole numbers on the raster and as they are."""
        column, row = ((at - self.origin) / self.spacing).T
        c, r = (
            np.clip(np.rint(place).astype(np.int64), 0, n - 1)
            for place, n in zip((column, row), self.known.shape[::-1], strict=True)
        )
        return c, r, column, row

    def within(self, at: np.ndarray, reach: float) -> np.ndarray:
        """Tell whether the centre of a pixel is within reach, m: half its diagonal at least."""
        c, r, column, row = self._places(at)
        inside: np.ndarray = self.known[r, c]
        (beside,) = np.nonzero(self._around[r, c])
        r, c, row, column = (values[beside] for values in (r, c, row, column))
        close = np.zeros(beside.size, bool)
        for down in (-1, 0, 1):
            for right in (-1, 0, 1):
                there = (r + down).clip(0, len(self.known) - 1), c + right
                there = there[0], there[1].clip(0, self.known.shape[1] - 1)
                distance = np.hypot(c + right - column, r + down - row) * self.spacing
                close |= self.known[there] & (distance <= reach)
        inside[beside] = close
        return inside
