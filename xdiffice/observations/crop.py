"""Which part of a raster is read: rectangles of the map, and windows that grow around a shelf.

It narrows the fields of a `Survey` down before anything of them is loaded.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, NamedTuple

import dask
import numpy as np

from xdiffice.errors import CoordinateError, DataValuesError, XdifficeError
from xdiffice.observations.masks import floating
from xdiffice.observations.survey import Field, Survey
from xdiffice.observations.units import magnitude
from xdiffice.observations.values import decode
from xdiffice.observations.variables import ROLES

FIRST_WINDOW = 100e3
"""Half the side of the window around a seed point, m, before it grows."""

LARGE = 4_000_000
"""Pixels of a raster that is looked through before it is loaded; smaller ones are read once."""

FAR = 50e3
"""How far a seed point may lie from the shelf, m: positions of names are known to tens of km."""


class Box(NamedTuple):
    """A rectangle of the map, m."""

    x_min: float
    y_min: float
    x_max: float
    y_max: float

    def __str__(self) -> str:
        x_min, y_min, x_max, y_max = (value / 1e3 for value in self)
        return f"x {x_min:.6g} to {x_max:.6g} km, y {y_min:.6g} to {y_max:.6g} km"

    def wider(self, margin: float) -> Box:
        """Return it with a margin, m, on all sides."""
        return Box(
            self.x_min - margin, self.y_min - margin, self.x_max + margin, self.y_max + margin
        )

    def contains(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Tell for each position (m) whether it lies in the rectangle or on its rim."""
        in_x = (x >= self.x_min) & (x <= self.x_max)
        return in_x & (y >= self.y_min) & (y <= self.y_max)


EVERYWHERE = Box(-np.inf, -np.inf, np.inf, np.inf)


def crop(found: Survey, box: Box, margin: float = 0.0, *, skip: bool = False) -> None:
    """Narrow all rasters of a survey down to a rectangle; nothing is loaded but their axes.

    Parameters
    ----------
    found : Survey
        Its fields change, what they refer to does not.
    box : Box
        What is wanted.
    margin : float
        How much more of the mask is kept on all sides, m.
    skip : bool
        Leave rasters as they are that have no pixel there, or are in memory.

    Raises
    ------
    CoordinateError
        If a raster has no pixel in the rectangle.
    """
    windows: dict[str, dict[str, slice]] = {}
    for role, one in found.fields.items():
        if one.axes is None or one.axes.kind != "raster" or one.squeezed is None:
            continue
        around = box.wider(margin) if role in {"mask", "land_ice"} else box
        try:
            window = _window(one, around)
        except CoordinateError:
            if skip:
                continue
            raise
        if skip and not one.squeezed.chunks:
            continue
        windows[role] = window
        axes = one.axes
        one.squeezed = one.squeezed.isel(window)
        one.axes = replace(axes, x=axes.x.isel(window, missing_dims="ignore"),
                           y=axes.y.isel(window, missing_dims="ignore"))  # fmt: skip
    for role, one in found.fields.items():
        parent = ROLES[role].parent
        if parent in windows and one.squeezed is not None:
            one.squeezed = one.squeezed.isel(windows[parent])


def narrow(found: Survey) -> None:
    """Narrow large dask-backed rasters down to the rectangle around all velocities that are known.

    Velocities are looked through block by block and not kept. What is wrong with values is left to
    the loading, which tells; so is a raster elsewhere.

    Parameters
    ----------
    found : Survey
        Its fields change, what they refer to does not; the output keeps the whole grid.
    """
    pair = [found.fields.get(role) for role in ("x_velocity", "y_velocity")]
    rasters = [one for one in pair if one is not None and _is_raster(one)]
    arrays = [one.squeezed for one in rasters if one.squeezed is not None and one.squeezed.chunks]
    if len(arrays) < 2 or len({array.shape for array in arrays}) > 1 or arrays[0].size < LARGE:
        return
    blocks = [magnitude(array) for array in arrays]
    known = [
        data.map_blocks(_known, one.array.attrs, one.name, dtype=bool)
        for one, data in zip(rasters, blocks, strict=True)
    ]
    seen = known[0] & known[1] & ((blocks[0] != 0) | (blocks[1] != 0))
    try:
        rows, columns = dask.compute(seen.any(1), seen.any(0))
    except (XdifficeError, TypeError, ValueError):
        return
    if not rows.any():
        return
    x, y = _positions(rasters[0])
    pixel = max(float(np.abs(np.diff(axis)).max()) for axis in (x, y) if axis.size > 1)
    x, y = x[columns], y[rows]
    box = Box(x.min(), y.min(), x.max(), y.max()).wider(pixel)
    for one in rasters:
        one.whole_axes = one.axes
    crop(found, box, skip=True)


def _is_raster(one: Field) -> bool:
    return one.axes is not None and one.axes.kind == "raster" and one.squeezed is not None


def _known(values: np.ndarray, attrs: Mapping[str, Any], name: str) -> np.ndarray:
    return np.isfinite(decode(values, attrs, name))


def box_of_shelf(mask: Field, seed: tuple[float, float]) -> Box:
    """Return the rectangle around the floating ice that is connected with a point.

    A window around the point grows, on the sides at which the ice goes on, until all of it is in.

    Parameters
    ----------
    mask : Field
        A raster; only what the windows cover is read.
    seed : tuple of float
        x and y, m.

    Raises
    ------
    CoordinateError
        If the point lies off the raster.
    DataValuesError
        If there is no floating ice within 50 km of it.
    """
    assert mask.axes is not None
    assert mask.squeezed is not None
    x, y = _positions(mask)
    at_x, at_y = seed
    box = Box(at_x - FIRST_WINDOW, at_y - FIRST_WINDOW, at_x + FIRST_WINDOW, at_y + FIRST_WINDOW)
    while True:
        window = _window(mask, box)
        rows, columns = (window[str(dim)] for dim in mask.axes.dims)
        part = mask.squeezed.isel(window)
        values = np.asarray(magnitude(part).compute() if part.chunks else magnitude(part))
        ice = floating(values, mask.array.attrs, mask.name, mask.units)
        shelf = connected_with(ice, x[columns], y[rows], seed, mask.name)
        inside = Box(
            x[columns][shelf.any(axis=0)].min(), y[rows][shelf.any(axis=1)].min(),
            x[columns][shelf.any(axis=0)].max(), y[rows][shelf.any(axis=1)].max(),
        )  # fmt: skip
        width, height = np.ptp(x[columns]), np.ptp(y[rows])
        wanted = Box(
            box.x_min - width if inside.x_min == x[columns].min() > x.min() else box.x_min,
            box.y_min - height if inside.y_min == y[rows].min() > y.min() else box.y_min,
            box.x_max + width if inside.x_max == x[columns].max() < x.max() else box.x_max,
            box.y_max + height if inside.y_max == y[rows].max() < y.max() else box.y_max,
        )
        if wanted == box:
            return inside
        box = wanted


def connected_with(
    ice: np.ndarray, x: np.ndarray, y: np.ndarray, seed: tuple[float, float], name: str
) -> np.ndarray:
    """Return the part of the ice that a point lies on, or that is nearest to it.

    Parameters
    ----------
    ice : ndarray of bool, shape (n_y, n_x)
        Floating ice.
    x, y : ndarray, shapes (n_x,) and (n_y,)
        Centres of its pixels, m.
    seed : tuple of float
        The point, m.
    name : str
        Of the mask, for messages.

    Raises
    ------
    DataValuesError
        If there is none within 50 km.
    """
    from scipy.ndimage import label

    row, column = np.nonzero(ice)
    distance = np.hypot(x[column] - seed[0], y[row] - seed[1])
    if not distance.size or distance.min() > FAR:
        nearest = f"the nearest is {distance.min() / 1e3:.0f} km away" if distance.size else "none"
        raise DataValuesError(
            f"mask {name!r} has no floating ice within {FAR / 1e3:.0f} km of x {seed[0] / 1e3:.6g} "
            f"km, y {seed[1] / 1e3:.6g} km ({nearest} in the window around it); give another "
            "seed_point, or a bbox"
        )
    parts, _ = label(ice)
    here = int(distance.argmin())
    return parts == parts[row[here], column[here]]


def _positions(one: Field) -> tuple[np.ndarray, np.ndarray]:
    """Return x and y of a raster's pixels, m."""
    axes = one.axes
    assert axes is not None
    x, y = (
        np.asarray(magnitude(axis), dtype=np.float64) * axes.factor for axis in (axes.x, axes.y)
    )
    return x, y


def _window(one: Field, box: Box) -> dict[str, slice]:
    """Return the part of each dim that lies in a rectangle, whatever the direction of its axis."""
    assert one.axes is not None
    x, y = _positions(one)
    result = {}
    limits = ((y, box.y_min, box.y_max), (x, box.x_min, box.x_max))
    for dim, (axis, low, high) in zip(one.axes.dims, limits, strict=True):
        inside = np.flatnonzero((axis >= low) & (axis <= high))
        if not inside.size:
            covered = Box(x.min(), y.min(), x.max(), y.max())
            raise CoordinateError(
                f"{one.name!r} has no pixel in {box}: it covers {covered}; are they in the same "
                "projection and units?"
            )
        result[str(dim)] = slice(int(inside[0]), int(inside[-1]) + 1)
    return result
