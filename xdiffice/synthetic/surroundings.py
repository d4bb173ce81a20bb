"""Fields of a shelf a little beyond it, and without the noise of data.

Pixels at a rim lie half outside of the mesh; data have gaps, and lines with nothing between them.
"""

from __future__ import annotations

import numpy as np
import xarray as xr
from scipy.interpolate import LinearNDInterpolator, NearestNDInterpolator
from scipy.ndimage import binary_dilation, gaussian_filter
from scipy.spatial import cKDTree

from xdiffice.forward.flow import ShelfFlow

CANDIDATES = 8  # edges whose middles are nearest: one of them is the nearest edge
INWARD = 0.05  # of the distance to the rim: where a position counts as inside


class Extended:
    """A flow, continued linearly to positions a little outside of its mesh.

    Parameters
    ----------
    flow : ShelfFlow
        The flow.
    x, y : ndarray, shape (n,)
        Positions, m.
    reach : float
        Farther outside than this nothing is known, m.
    """

    def __init__(self, flow: ShelfFlow, x: np.ndarray, y: np.ndarray, reach: float):
        self.flow, self.x, self.y = flow, x, y
        self.known = flow.contains(x, y)
        self._outside = np.flatnonzero(~self.known)
        at = np.stack([x[self._outside], y[self._outside]])
        rim, distance = nearest_on_rim(flow, at)
        near = distance <= reach
        self._outside, at, rim = self._outside[near], at[:, near], rim[:, near]
        self._first = rim + INWARD * (rim - at)
        self._second = rim + (rim - at)
        inside = flow.contains(*self._first)
        self._outside = self._outside[inside]
        self._first, self._second = self._first[:, inside], self._second[:, inside]
        self.known[self._outside] = True

    def velocity(self) -> np.ndarray:
        """U and v, m s-1, NaN where nothing is known."""
        values = np.stack(self.flow.velocity(self.x, self.y))
        first, second = (np.stack(self.flow.velocity(*at)) for at in (self._first, self._second))
        slope = np.where(np.isfinite(second), second - first, 0.0) / (1 - INWARD)
        values[:, self._outside] = first - (1 + INWARD) * slope
        return values

    def viscosity(self) -> np.ndarray:
        """μ_h and μ_v, Pa s, that of the rim outside of it, NaN where nothing is known."""
        values = np.stack(self.flow.viscosity(self.x, self.y))
        values[:, self._outside] = np.stack(self.flow.viscosity(*self._first))
        return values


def nearest_on_rim(flow: ShelfFlow, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the nearest points of a mesh's rim, shape (2, n), and their distances, m."""
    mesh = flow.mesh
    ends = mesh.p[:, mesh.facets[:, mesh.boundary_facets()]]
    start, along = ends[:, 0], ends[:, 1] - ends[:, 0]
    tree = cKDTree((start + along / 2).T)
    n = min(CANDIDATES, start.shape[1])
    _, edge = tree.query(points.T, k=range(1, n + 1))
    offset = points[:, :, None] - start[:, edge]
    share = np.clip((offset * along[:, edge]).sum(0) / (along[:, edge] ** 2).sum(0), 0, 1)
    foot = start[:, edge] + share * along[:, edge]
    distance = np.hypot(*(points[:, :, None] - foot))
    best = distance.argmin(axis=1)[:, None]
    nearest: np.ndarray = np.take_along_axis(foot, best[None], axis=2)[:, :, 0]
    return nearest, np.take_along_axis(distance, best, axis=1)[:, 0]


def smoothed(
    x: np.ndarray, y: np.ndarray, values: np.ndarray, spacing: float, pixels: float
) -> xr.DataArray:
    """Make a smooth raster of data at pixels or points.

    Parameters
    ----------
    x, y, values : ndarray, shape (n,)
        Positions (m) and data. Gaps between them are bridged linearly.
    spacing : float
        Of the raster, m.
    pixels : float
        Standard deviation of the Gaussian that smooths it.

    Returns
    -------
    DataArray
        On ``(y, x)``, without missing values.
    """
    lines, numbers = [], []
    for axis in (y, x):
        number = np.round((axis - axis.min()) / spacing).astype(int)
        lines.append(axis.min() + spacing * np.arange(max(2, number.max() + 1)))
        numbers.append(number)
    shape = (lines[0].size, lines[1].size)
    place = np.ravel_multi_index(tuple(numbers), shape)
    total = np.bincount(place, minlength=shape[0] * shape[1]).reshape(shape)
    known = total > 0
    mean = np.bincount(place, values, known.size).reshape(shape) / np.maximum(total, 1)
    if not known.all():
        row, column = np.nonzero(known & binary_dilation(~known, np.ones((3, 3))))
        around = np.column_stack([lines[1][column], lines[0][row]])
        found = mean[row, column]
        row, column = np.nonzero(~known)
        gaps = np.column_stack([lines[1][column], lines[0][row]])
        bridged = np.full(len(gaps), np.nan)
        if np.linalg.matrix_rank(around - around.mean(axis=0), tol=spacing) == 2:
            bridged = LinearNDInterpolator(around, found)(gaps)
        nearest = NearestNDInterpolator(around, found)(gaps)
        mean[row, column] = np.where(np.isfinite(bridged), bridged, nearest)
    smooth = gaussian_filter(mean, pixels, mode="nearest")
    return xr.DataArray(smooth, {"y": lines[0], "x": lines[1]}, ("y", "x"))
