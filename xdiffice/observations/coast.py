"""Where the shelf meets the ocean: its front, from what the masks say or from the user.

It stands between masks and `calving`: it decides what is water, and hands on `FrontPoints`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import xarray as xr

from xdiffice.errors import CoordinateError, VariableNotFoundError, raise_problems
from xdiffice.observations.axes import Grid
from xdiffice.observations.calving import calving_front, normals_of_line
from xdiffice.observations.cf import front_variables
from xdiffice.observations.conventions import conforming
from xdiffice.observations.crop import Box
from xdiffice.observations.front import front_missing, make_front
from xdiffice.observations.masks import floating, look_up, water, with_meanings
from xdiffice.observations.points import FrontPoints
from xdiffice.observations.survey import Field, Survey, load, search
from xdiffice.observations.values import count, decode
from xdiffice.observations.variables import FRONT_ROLES, Explicit

BEYOND = 2.0
"""From how many of its pixels on a point of the front lies beyond the velocity."""


@dataclass(frozen=True)
class Shelf:
    """Which pixels are the shelf: floating ice on the grid of the mask."""

    grid: Grid
    floating: np.ndarray

    def contains(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Tell for each position (m) whether its pixel belongs to the shelf."""
        return look_up(self.floating, self.grid, x, y)

    def within(self, box: Box) -> Shelf:
        """Return the same shelf without pixels outside of a rectangle."""
        if self.grid.kind != "raster":
            return self
        x, y = self.grid.x, self.grid.y
        columns, rows = (x >= box.x_min) & (x <= box.x_max), (y >= box.y_min) & (y <= box.y_max)
        return Shelf(Grid("raster", x[columns], y[rows]), self.floating[np.ix_(rows, columns)])


def front_dataset(
    dataset: xr.Dataset,
    mask: xr.DataArray | xr.Dataset | str | None = None,
    *,
    spacing: float | None = None,
    floating_values: Iterable[int] | int | None = None,
    ocean_values: Iterable[int] | int | None = None,
    variables: Explicit | None = None,
    units: Mapping[str, str] | None = None,
) -> xr.Dataset:
    """Find the calving front of all floating ice in a Dataset.

    Parameters
    ----------
    dataset : Dataset
        With a mask, or with what tells the ocean from grounded ice beside `mask`.
    mask : DataArray, Dataset or str, optional
        Floating ice, as in `assemble`.
    spacing : float, optional
        Distance of points along the front, m; by default that of the pixels.
    floating_values, ocean_values : int or iterable of int, optional
        What floats and what is water in a mask without ``flag_meanings``.
    variables, units : mapping, optional
        As in `fit`.

    Returns
    -------
    Dataset
        ``x_front``, ``y_front`` (m) and the outward unit normals ``x_normal``, ``y_normal`` on
        ``front``: what ``fit(front=...)`` takes.

    Raises
    ------
    XdifficeError
        If there is no mask, it does not tell what floats or what is ocean, or the ice does not
        meet the ocean.
    """
    roles = ("mask", "land_ice", "thickness")
    found = search(dataset, None, mask, None, variables, units, roles=roles, required=("mask",))
    if "mask" in found.fields:
        one = found.fields["mask"]
        one.array = with_meanings(one.array, floating_values, ocean_values)
    load(found)
    raise_problems(found.problems)
    one = found.fields["mask"]
    if one.grid is None or one.grid.kind != "raster" or one.values is None:
        raise CoordinateError(f"mask {one.name!r} must be a raster with 1-D x and y")
    ice = floating(one.values, one.array.attrs, one.name, one.units)
    shelf = Shelf(one.grid, ice)
    front = calving_front(one.grid.x, one.grid.y, ice, _ocean(found, shelf), spacing)
    described = {
        "title": "Calving front of an ice shelf",
        "history": f"found in {one.name!r} by xdiffice",
    }
    return conforming(xr.Dataset(front_variables(front)), described)


def front_of(found: Survey, shelf: Shelf) -> FrontPoints:
    """Return the calving front: the one that was given, or the one that the masks show.

    Parameters
    ----------
    found : Survey
        Loaded. A front without normals is taken as a line.
    shelf : Shelf
        The floating ice whose front it is.

    Raises
    ------
    VariableNotFoundError
        If nothing tells the ocean from grounded ice, or a front that was given is incomplete.
    DataValuesError
        If the shelf does not meet the ocean, or the front that was given cannot be used.
    """
    given = found.loaded("x_front", "y_front")
    if given is None:
        missing = [role for role in FRONT_ROLES if role not in found.fields]
        if len(missing) < len(FRONT_ROLES):
            raise front_missing(missing)
        assert shelf.grid.kind == "raster"
        front = calving_front(shelf.grid.x, shelf.grid.y, shelf.floating, _ocean(found, shelf))
    else:
        x, y = (one.si for one in given)
        normals = found.loaded("x_normal", "y_normal")
        if normals is None:
            n_x, n_y = normals_of_line(x, y, shelf.contains, shelf.grid.spacing)
        else:
            n_x, n_y = (one.si for one in normals)
        front = make_front(x, y, n_x, n_y)
    _note_gaps(found, front)
    return front


def _ocean(found: Survey, shelf: Shelf) -> np.ndarray:
    """Tell where there is water, on the grid of the mask."""
    mask = found.fields["mask"]
    assert mask.values is not None
    by_flags = water(mask.values, mask.array.attrs, mask.name)
    if by_flags is not None:
        return by_flags
    ice = floating(mask.values, mask.array.attrs, mask.name, mask.units)
    x, y = (np.ravel(axis) for axis in shelf.grid.points())
    if (land := found.fields.get("land_ice")) is not None:
        assert land.values is not None
        assert land.grid is not None
        any_ice = _fraction(land) > 0.5
        on_mask = look_up(any_ice, land.grid, x, y)
        found.note(f"ocean is where {land.name!r} has no ice")
        return ~(on_mask.reshape(ice.shape) | ice)
    thickness = found.fields.get("thickness")
    if thickness is not None and thickness.grid is not None and thickness.grid.kind == "raster":
        assert thickness.values is not None
        with np.errstate(invalid="ignore"):
            thick = look_up(thickness.values > 0, thickness.grid, x, y)
        found.note(f"ocean is where {thickness.name!r} is zero or missing")
        return ~(thick.reshape(ice.shape) | ice)
    raise VariableNotFoundError(
        f"mask {mask.name!r} does not tell the ocean from grounded ice, and no other variable "
        "does; pass ocean_values= (with floating_values=), a mask with flag_meanings, or front="
    )


def _fraction(land: Field) -> np.ndarray:
    """Return the share of ice of a mask that may be of any kind."""
    assert land.values is not None
    numbers = decode(land.values, land.array.attrs, land.name, boolean=True)
    return np.where(np.isfinite(numbers), numbers, 0.0)


def _note_gaps(found: Survey, front: FrontPoints) -> None:
    """Note how much of the front lies beyond the velocity."""
    from scipy.spatial import cKDTree

    u = found.fields["x_velocity"]
    assert u.grid is not None
    assert u.values is not None
    x, y = u.grid.points()
    valid = np.isfinite(u.values) & np.isfinite(x) & np.isfinite(y)
    if not valid.any():
        return
    distance, _ = cKDTree(np.column_stack([x[valid], y[valid]])).query(
        np.column_stack([front.x, front.y])
    )
    far = distance > BEYOND * u.grid.spacing
    if far.any():
        found.note(
            f"{far.sum()} of {count(front.x.size, 'front point')} lie beyond the velocity, up to "
            f"{distance.max() / 1e3:.3g} km; the networks continue it up to there"
        )
