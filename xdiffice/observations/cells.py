"""What a shelf looks like on square cells, whose number does not grow with that of its pixels.

`Pixels` says how far apart the shelf's pixels or points are, `make_cells` hands on `Cells`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from scipy.spatial import cKDTree

from xdiffice.observations.points import Domain

CELLS_ALONG = 400
"""Cells at most along the longer side of a shelf, where no region needs more."""


class Pixels(NamedTuple):
    """A shelf's pixels or points, and how far apart they are.

    Parameters
    ----------
    x, y : ndarray, shape (n,)
        Positions, m.
    pitch : float
        Side of the squares with which they cover the shelf, m.
    are_raster : bool
        Whether they lie on a square raster along x and y.
    """

    x: np.ndarray
    y: np.ndarray
    pitch: float
    are_raster: bool

    @classmethod
    def of(cls, domain: Domain) -> Pixels:
        """Look at the pixels of a domain."""
        return cls(domain.x, domain.y, *pitch_of(domain.x, domain.y, domain.spacing))

    @property
    def per_cell(self) -> int:
        """Number of pixels along a cell, so that `CELLS_ALONG` cells span the shelf."""
        longer = max(np.ptp(self.x), np.ptp(self.y))
        return max(1, int(np.ceil(longer / (CELLS_ALONG * self.pitch) - 1e-6)))


class Cells(NamedTuple):
    """A shelf on square cells, which end where it does.

    Parameters
    ----------
    x, y : float
        Centre of the cell with the smallest x and y, m.
    side : float
        Side of a cell, m.
    inside : ndarray of bool, shape (n_y, n_x)
        Cells that hold a part of the shelf.
    area : ndarray, shape (n_y, n_x)
        Area of the shelf in each cell, in any unit.
    """

    x: float
    y: float
    side: float
    inside: np.ndarray
    area: np.ndarray

    def place(self, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return row and column of positions (m) on the shelf."""
        return _index(y - self.y, self.side), _index(x - self.x, self.side)


def _index(offset: np.ndarray, side: float) -> np.ndarray:
    return np.floor(offset / side + 0.5).astype(np.intp)


def pitch_of(x: np.ndarray, y: np.ndarray, spacing: float = np.nan) -> tuple[float, bool]:
    """Return the distance (m) at which points cover what they stand for, and if they are a raster.

    The nearest neighbour of a scattered point tells little of the gaps between points; the eighth
    does, and in a raster that one is only a diagonal away.

    Parameters
    ----------
    x, y : ndarray, shape (n,)
        Positions, m.
    spacing : float
        Distance of neighbours, m, where it is known.
    """
    points = np.column_stack([x, y])
    few = points
    if len(points) > 50_000:  # the same ones in whatever order they come
        order = np.lexsort([y, x])
        few = points[order[:: len(points) // 25_000]]
    nearest, eighth = cKDTree(points).query(few, k=[min(2, len(points)), min(9, len(points))])[0].T
    if not spacing > 0:
        apart = nearest[nearest > 0]
        if not apart.size:
            return 1.0, True  # all in one place: any size will do
        spacing = float(np.median(apart))
    if np.quantile(eighth, 0.25) > 1.5 * spacing:
        return float(np.median(eighth)), False
    steps = np.column_stack([x - x.min(), y - y.min()]) / spacing
    return float(spacing), bool((np.abs(steps - np.rint(steps)) < 0.05).all())


def make_cells(pixels: Pixels, side: float | None = None) -> Cells:
    """Put a shelf on square cells of a given side (m), or of that for `CELLS_ALONG`.

    Parameters
    ----------
    pixels : Pixels
        The shelf.
    side : float, optional
        Side of a cell, m.
    """
    x, y, pitch = pixels.x, pixels.y, pixels.pitch
    if side is None:
        side = pitch * pixels.per_cell
    # Edges of cells are edges of pixels, so that rounding cannot move a pixel to the next cell.
    to_centre = 0.5 * (side - pitch)
    cells = Cells(
        float(x.min()) + to_centre, float(y.min()) + to_centre, side, np.zeros(0), np.zeros(0)
    )
    row, column = cells.place(x, y)
    shape = (int(row.max()) + 1, int(column.max()) + 1)
    area = np.bincount(row * shape[1] + column, minlength=shape[0] * shape[1]).reshape(shape)
    inside = area > 0
    if not pixels.are_raster or side < pitch:
        # Points that are no raster along the axes leave some of the cells between them empty.
        rows, columns = np.nonzero(~inside)
        centres = np.column_stack([cells.x + side * columns, cells.y + side * rows])
        reach = pitch * np.sqrt(0.5) * (1 + 1e-6)
        distance, _ = cKDTree(np.column_stack([x, y])).query(centres, distance_upper_bound=reach)
        inside[rows, columns] = np.isfinite(distance)
        area = inside.astype(np.int64)
    return cells._replace(inside=inside, area=area)


def sides(pixels: Pixels) -> Iterator[float]:
    """Yield sides of cells (m), finer and finer, from that for `CELLS_ALONG`."""
    number = pixels.per_cell
    yield pixels.pitch * number
    while number > 1:
        number = (number + 1) // 2
        yield pixels.pitch * number
    for parts in (3, 9, 27):  # odd, so that the middle of a pixel is not on an edge
        yield pixels.pitch / parts
