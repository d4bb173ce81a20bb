"""Where a shelf ends in the open ocean: its calving front, from a raster of ocean and shelf.

It hands on `FrontPoints`: positions, evenly spaced along the front, and outward unit normals.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from xdiffice.errors import DataValuesError
from xdiffice.observations.points import FrontPoints
from xdiffice.observations.values import count

SMOOTHING = 2.5
"""Standard deviation of the Gaussian that rounds the steps of pixels, in pixels. A front of radius
R moves inwards by its square over 2 R; directions of normals gain from it."""

REACH = 3.0
"""How far, in pixels, the smoothed front may be from the shelf that it belongs to."""

NEW_LINE = 10.0
"""From so many times the usual distance on, the next point of a line begins another one."""


def open_ocean(ocean: np.ndarray) -> np.ndarray:
    """Return the ocean without polynyas and rifts that the ice surrounds.

    Parameters
    ----------
    ocean : ndarray of bool, shape (n_y, n_x)
        Water. What reaches the edge of the raster is open ocean.

    Returns
    -------
    ndarray of bool, shape (n_y, n_x)
    """
    from scipy.ndimage import label

    parts, _ = label(ocean)
    rim = np.concatenate([parts[0], parts[-1], parts[:, 0], parts[:, -1]])
    return np.isin(parts, np.unique(rim[rim > 0]))


def calving_front(
    x: np.ndarray,
    y: np.ndarray,
    shelf: np.ndarray,
    ocean: np.ndarray,
    spacing: float | None = None,
) -> FrontPoints:
    """Find the calving front of a shelf.

    The line where the smoothed share of open ocean is one half, as far as the ice behind it is
    that of the shelf; normals are the direction in which the share rises.

    Parameters
    ----------
    x, y : ndarray, shapes (n_x,) and (n_y,)
        Centres of the pixels, m, rising or falling.
    shelf : ndarray of bool, shape (n_y, n_x)
        Floating ice of one shelf.
    ocean : ndarray of bool, shape (n_y, n_x)
        Water. What does not reach the edge of the raster (a polynya, a rift) is no ocean.
    spacing : float, optional
        Distance of points along the front, m. By default that of the pixels.

    Returns
    -------
    FrontPoints
        Line after line, where the front has several parts.

    Raises
    ------
    DataValuesError
        If the shelf does not meet the open ocean.
    """
    from contourpy import contour_generator
    from scipy.ndimage import distance_transform_edt, gaussian_filter, map_coordinates

    order_x, order_y = np.argsort(x), np.argsort(y)
    x, y = x[order_x], y[order_y]
    shelf, ocean = (mask[np.ix_(order_y, order_x)] for mask in (shelf, ocean))
    ocean = open_ocean(ocean)
    step_x, step_y = (float(np.median(np.diff(axis))) for axis in (x, y))
    share = gaussian_filter(ocean.astype(np.float64), SMOOTHING, mode="nearest")
    lines = contour_generator(x, y, share).lines(0.5)
    pieces = [_resampled(np.asarray(line), spacing or max(step_x, step_y)) for line in lines]
    if not pieces or not shelf.any():
        raise _no_front()
    at_x, at_y = np.concatenate(pieces).T
    place = np.stack(
        [np.interp(at, axis, np.arange(axis.size)) for at, axis in ((at_y, y), (at_x, x))]
    )
    row, column = distance_transform_edt(ocean, return_distances=False, return_indices=True)
    nearest = tuple(np.rint(place).astype(int))
    behind = shelf[row[nearest], column[nearest]]
    beyond = distance_transform_edt(~shelf)[nearest]
    slope_y, slope_x = (
        map_coordinates(slope, place, order=1, mode="nearest")
        for slope in np.gradient(share, step_y, step_x)
    )
    length = np.hypot(slope_x, slope_y)
    kept = behind & (beyond <= REACH) & (length > 0)
    if not kept.any():
        raise _no_front()
    n_x, n_y = slope_x[kept] / length[kept], slope_y[kept] / length[kept]
    return FrontPoints(at_x[kept], at_y[kept], n_x, n_y)


def outline_length(x: np.ndarray, y: np.ndarray, shelf: np.ndarray) -> float:
    """Return the length of the outline of a shelf, m, smoothed as its front; holes do not count.

    Parameters
    ----------
    x, y : ndarray, shapes (n_x,) and (n_y,)
        Centres of the pixels, m, rising or falling.
    shelf : ndarray of bool, shape (n_y, n_x)
        Floating ice. At the edge of the raster it is cut, which is outline.
    """
    from contourpy import contour_generator
    from scipy.ndimage import binary_fill_holes, gaussian_filter

    rim = round(4 * SMOOTHING)
    wide = np.pad(binary_fill_holes(shelf), rim).astype(np.float64)
    step_x, step_y = (float(np.abs(np.median(np.diff(axis)))) for axis in (x, y))
    lines = contour_generator(
        step_x * np.arange(wide.shape[1]),
        step_y * np.arange(wide.shape[0]),
        gaussian_filter(wide, SMOOTHING),
    ).lines(0.5)
    return float(sum(np.hypot(*np.diff(line, axis=0).T).sum() for line in map(np.asarray, lines)))


def normals_of_line(
    x: np.ndarray,
    y: np.ndarray,
    is_ice: Callable[[np.ndarray, np.ndarray], np.ndarray],
    pixel: float,
) -> tuple[np.ndarray, np.ndarray]:
    """Return unit normals of a front that is given as a line, pointing out of the ice.

    Parameters
    ----------
    x, y : ndarray, shape (n,)
        Points in their order along the front, m. Where two are more than ten times as far apart as
        most are, another line begins.
    is_ice : callable
        Tells for positions whether they are ice.
    pixel : float
        How fine that is known, m.

    Returns
    -------
    n_x, n_y : ndarray, shape (n,)

    Raises
    ------
    DataValuesError
        If there are fewer than three points, or a line has one point only.
    """
    if x.size < 3:
        raise DataValuesError(f"a front of {count(x.size, 'point')} has no direction; give normals")
    step = np.hypot(np.diff(x), np.diff(y))
    ends = np.flatnonzero(step > NEW_LINE * np.median(step)) + 1
    n_x, n_y = np.empty_like(x), np.empty_like(y)
    for part in np.split(np.arange(x.size), ends):
        if part.size < 2:
            raise DataValuesError(
                f"the front has a single point at x {x[part[0]]:.6g} m, y {y[part[0]]:.6g} m, far "
                "from all others: it has no direction; drop it, or give normals"
            )
        along_x, along_y = np.gradient(x[part]), np.gradient(y[part])
        length = np.hypot(along_x, along_y)
        out_x, out_y = -along_y / length, along_x / length
        inside = np.zeros(part.size)
        for away in (1.0, 2.0, 4.0):
            reach_x, reach_y = away * pixel * out_x, away * pixel * out_y
            inside += is_ice(x[part] + reach_x, y[part] + reach_y)
            inside -= is_ice(x[part] - reach_x, y[part] - reach_y)
        side = -1.0 if inside.sum() > 0 else 1.0
        n_x[part], n_y[part] = side * out_x, side * out_y
    return n_x, n_y


def _resampled(line: np.ndarray, spacing: float) -> np.ndarray:
    """Return points at even distances along a line, shape (n, 2)."""
    along = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(line, axis=0).T))])
    number = max(1, round(along[-1] / spacing))
    at = (np.arange(number) + 0.5) * (along[-1] / number)
    return np.column_stack([np.interp(at, along, part) for part in line.T])


def _no_front() -> DataValuesError:
    return DataValuesError(
        "no calving front: the shelf does not meet the open ocean anywhere on this raster. Give a "
        "larger bbox if the ocean was cut off, or positions and normals with front="
    )
