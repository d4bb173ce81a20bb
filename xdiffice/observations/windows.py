"""How regions of a raster blend: for each a smooth weight that ends a little beyond it.

The weights add up to one everywhere; `make_windows` hands them on as `Window`, in units of cells.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy.ndimage import find_objects

BOXES = 3
"""How many box filters smooth a region's outline: their kernel is a bell, not a plateau."""

SPLINE_REACH = 1.5
"""How far the spline alone carries a cell's coefficient beyond the cell's edge, in cells."""

CHUNK = 1 << 16
"""Positions that are evaluated at a time, so that memory does not grow with their number."""


class WindowJet(NamedTuple):
    """A window and its derivatives; ``None`` where an order was not asked for.

    The fields are those of `xdiffice.physics.jets.Jet`, in the same order.
    """

    value: np.ndarray
    x: np.ndarray | None = None
    y: np.ndarray | None = None
    xx: np.ndarray | None = None
    xy: np.ndarray | None = None
    yy: np.ndarray | None = None


def reach_of(half_width: int) -> float:
    """Return how far windows reach beyond their regions, in cells along the axes.

    Parameters
    ----------
    half_width : int
        Cells to each side of the middle of a box filter.
    """
    return BOXES * half_width + SPLINE_REACH


def half_width_of(reach: float) -> int:
    """Return the half width, at least 1, for which `reach_of` comes closest to `reach` (cells)."""
    return max(1, round((reach - SPLINE_REACH) / BOXES))


@dataclass(frozen=True, eq=False)
class Window:
    """Weight of one region: a cubic B-spline whose coefficients are the smoothed region.

    The smoothed region is not interpolated but taken as coefficients. An interpolating spline
    would ring beyond any bound; this one stays in [0, 1], ends exactly, and as B-splines sum to
    one, the windows do wherever their coefficients do.

    Parameters
    ----------
    coefficients : ndarray, shape (n_rows + 6, n_columns + 6)
        Those that are not zero and a rim of three zeros.
    state : ndarray of int8, shape (n_rows + 3, n_columns + 3)
        For each square between four coefficients: 0 and 1 where that is all there is, else -1.
    row, column : int
        Place of ``state[0, 0]`` in the whole raster.
    """

    coefficients: np.ndarray
    state: np.ndarray
    row: int
    column: int

    def at(self, column: np.ndarray, row: np.ndarray, order: int) -> WindowJet:
        """Evaluate at positions in cells (whole numbers are centres), derivatives per cell.

        Parameters
        ----------
        column, row : ndarray, shape (n,)
            Positions within the raster.
        order : int
            Highest derivative: 0, 1 or 2.
        """
        result = np.zeros(((1, 3, 6)[order], column.size))
        for start in range(0, column.size, CHUNK):
            part = slice(start, start + CHUNK)
            self._fill(result[:, part], column[part], row[part], order)
        return WindowJet(*result)

    def _fill(self, result: np.ndarray, column: np.ndarray, row: np.ndarray, order: int) -> None:
        i = np.floor(row).astype(np.intp) - self.row
        j = np.floor(column).astype(np.intp) - self.column
        rows, columns = self.state.shape
        near = np.flatnonzero((i >= 0) & (i < rows) & (j >= 0) & (j < columns))
        state = self.state[i[near], j[near]]
        result[0, near[state == 1]] = 1.0
        mixed = near[state == -1]
        i, j = i[mixed], j[mixed]
        column, row = column[mixed], row[mixed]
        across = _splines(column - np.floor(column), order)
        along = _splines(row - np.floor(row), order)
        width = self.coefficients.shape[1]
        flat = self.coefficients.ravel()
        first = i * width + j
        # By rows first: one sum over 4 x 4 coefficients serves all derivatives along a row.
        sums = np.zeros((order + 1, 4, mixed.size))
        for r in range(4):
            for c in range(4):
                coefficient = flat[first + (r * width + c)]
                for k in range(order + 1):
                    sums[k, r] += across[k][c] * coefficient
        derivatives = ((0, 0), (1, 0), (0, 1), (2, 0), (1, 1), (0, 2))[: len(result)]
        for values, (k, m) in zip(result, derivatives, strict=True):
            values[mixed] = sum(along[m][r] * sums[k, r] for r in range(4))


def _splines(t: np.ndarray, order: int) -> list[list[np.ndarray]]:
    """Return the four cubic B-splines over a square at t in [0, 1), and their derivatives."""
    s = 1.0 - t
    t2, s2 = t * t, s * s
    result = [
        [
            s2 * s / 6,
            (3 * t2 * t - 6 * t2 + 4) / 6,
            (3 * s2 * s - 6 * s2 + 4) / 6,
            t2 * t / 6,
        ],
        [-s2 / 2, (3 * t2 - 4 * t) / 2, (4 * s - 3 * s2) / 2, t2 / 2],
        [s, 3 * t - 2, 3 * s - 2, t],
    ]
    return result[: order + 1]


def rim(half_width: int) -> int:
    """Return by how many cells the raster of the windows is wider than the labels, on each side.

    Labels go on beyond the raster as they are at its edge. From this rim on nothing changes
    outwards, so that a position farther out can be moved to it without a kink.
    """
    return BOXES * half_width + 3


def make_windows(labels: np.ndarray, n: int, half_width: int) -> tuple[Window, ...]:
    """Make the windows of all regions.

    Parameters
    ----------
    labels : ndarray of int, shape (n_y, n_x)
        Region of each cell, 0 to n - 1.
    n : int
        Number of regions.
    half_width : int
        Cells to each side of the middle of a box filter.

    Returns
    -------
    tuple of Window
        On a raster that is wider than `labels` by `rim` cells on each side.
    """
    smoothing = 2 * BOXES * half_width  # cells that the filters use up
    wide = np.pad(labels, rim(half_width) + smoothing // 2, mode="edge")
    boxes = find_objects(wide + 1, max_label=n)
    return tuple(_window(wide, k, box, half_width, smoothing) for k, box in enumerate(boxes))


def _window(
    wide: np.ndarray, region: int, box: tuple[slice, slice], half_width: int, smoothing: int
) -> Window:
    first = [max(side.start - smoothing, 0) for side in box]
    crop = tuple(
        slice(start, side.stop + smoothing) for start, side in zip(first, box, strict=True)
    )
    # Whole numbers throughout: running sums of fractions would leave crumbs where nothing is.
    counts = (wide[crop] == region).astype(np.int64)
    for _ in range(BOXES):
        counts = _box_sum(counts, 2 * half_width + 1)
    counts = np.pad(counts, 3)
    whole = (2 * half_width + 1) ** (2 * BOXES)
    sums = _box_sum(counts, 4)
    state = np.select([sums == 0, sums == 16 * whole], [0, 1], -1).astype(np.int8)
    return Window(counts / whole, state, first[0] - 2, first[1] - 2)


def _box_sum(values: np.ndarray, width: int) -> np.ndarray:
    """Sum over all squares of `width` cells that lie wholly within `values`."""
    total = np.pad(values.cumsum(0).cumsum(1), ((1, 0), (1, 0)))
    rows = total[width:] - total[:-width]
    sums: np.ndarray = rows[:, width:] - rows[:, :-width]
    return sums
