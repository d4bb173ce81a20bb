"""The regular grid behind 2-D matrices of positions that have holes.

`rebuild` hands on a `Lattice`, whose axes are complete and which puts values at their pixels.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from xdiffice.errors import FileFormatError

ROUNDING = 1e-3
"""How far a coordinate may be from its place on a regular axis, in pixels."""


@dataclass(frozen=True)
class Lattice:
    """A regular grid: its two axes, as in the file (rising or falling)."""

    x: np.ndarray
    y: np.ndarray

    def place(self, x: np.ndarray, y: np.ndarray, values: np.ndarray) -> np.ndarray:
        """Put values, of which some have no position, at their pixels; NaN elsewhere."""
        result = np.full((self.y.size, self.x.size), np.nan)
        known = np.isfinite(x) & np.isfinite(y)
        row, column = _index(self.y, y[known]), _index(self.x, x[known])
        result[row, column] = values[known]
        return result


def rebuild(
    regions: Sequence[Mapping[str, np.ndarray]], x_key: str, y_key: str, file: str
) -> Lattice:
    """Rebuild the axes of the one regular grid that all regions are parts of.

    Positions are missing off the shelf, so that rows and columns may have none; the grid of one
    region keeps the file's number and order of rows, that of several is what they cover.

    Parameters
    ----------
    regions : sequence of mapping
        2-D matrices of positions by name, for each region.
    x_key, y_key : str
        Names of the matrices.
    file : str
        Name of the file, for messages.

    Raises
    ------
    FileFormatError
        If the positions are not those of a grid with rows along x and y.
    """
    if len(regions) == 1:
        X = np.asarray(regions[0][x_key], dtype=np.float64)
        Y = np.asarray(regions[0][y_key], dtype=np.float64)
        if _varies_along(X, 0) > _varies_along(X, 1):  # stored as (x, y)
            X, Y = X.T, Y.T
        return Lattice(_axis(X, 0, x_key, file), _axis(Y, 1, y_key, file))
    axes = []
    for key in (x_key, y_key):
        values = np.concatenate([np.ravel(region[key]) for region in regions]).astype(np.float64)
        axes.append(_axis(_distinct(values)[np.newaxis], 0, key, file))
    return Lattice(axes[0], axes[1])


def _varies_along(X: np.ndarray, dim: int) -> float:
    """Return the largest step of neighbouring values along a dim, 0 where there is none."""
    step = np.abs(np.diff(X, axis=dim))
    return float(np.max(step, where=np.isfinite(step), initial=0.0))


def _distinct(values: np.ndarray) -> np.ndarray:
    """Return the sorted distinct finite values, with gaps of the regular axis filled by NaN."""
    values = np.unique(values[np.isfinite(values)])
    if values.size < 2:
        return values
    step = np.diff(values)
    spacing = float(np.median(step[step > ROUNDING * step.max()]))
    values = values[np.concatenate([[True], step > ROUNDING * spacing])]
    places = np.rint((values - values[0]) / spacing).astype(int)
    if np.unique(places).size < places.size:
        return values  # irregular: _axis says so, or takes it as it is where nothing is missing
    result = np.full(places[-1] + 1, np.nan)
    result[places] = values
    return result


def _axis(X: np.ndarray, across: int, key: str, file: str) -> np.ndarray:
    """Return the 1-D axis of a 2-D coordinate, regular where rows or columns have no position."""
    known = np.isfinite(X)
    if not known.any():
        raise FileFormatError(f"{key} in {file} has no values")
    low = np.min(X, axis=across, where=known, initial=np.inf)
    high = np.max(X, axis=across, where=known, initial=-np.inf)
    there = np.flatnonzero(np.isfinite(low))
    axis = np.where(np.isfinite(low), low, np.nan)
    values = axis[there]
    if there.size < 2:
        raise FileFormatError(f"{key} in {file} has one row or column of positions only")
    spacing = float(np.median(np.diff(values) / np.diff(there)))
    tolerance = ROUNDING * abs(spacing)
    if (high[there] - values).max() > tolerance or spacing == 0:
        raise FileFormatError(
            f"{key} and its counterpart in {file} are no grid with rows along x and y"
        )
    if there.size == axis.size:
        return axis
    # least squares would smear rounding; the first value and the mean spacing are exact
    spacing = (values[-1] - values[0]) / (there[-1] - there[0])
    regular = values[0] + spacing * (np.arange(axis.size) - there[0])
    if np.abs(regular[there] - values).max() > tolerance:
        raise FileFormatError(
            f"{key} in {file} has rows or columns without positions, which cannot be filled "
            "as the others are not evenly spaced"
        )
    axis[~np.isfinite(low)] = regular[~np.isfinite(low)]
    return axis


def _index(axis: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Return the index of the nearest value of a monotonic axis."""
    order = np.argsort(axis)
    rising = axis[order]
    return order[np.searchsorted(0.5 * (rising[1:] + rising[:-1]), values)]
