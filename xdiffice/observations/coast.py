"""Where the shelf meets the ocean: its front, from what the masks say or from the user.

It stands between masks and `calving`: it decides what is water, and hands on `FrontPoints`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import xarray as xr

from xdiffice.errors import (
    CoordinateError,
    PlausibilityWarning,
    VariableNotFoundError,
    raise_problems,
    warn,
)
from xdiffice.observations.axes import Grid
from xdiffice.observations.calving import calving_front, normals_of_line, outline_length
from xdiffice.observations.cf import front_variables
from xdiffice.observations.conventions import conforming, history_line
from xdiffice.observations.crop import Box
from xdiffice.observations.front import front_missing, make_front
from xdiffice.observations.masks import (
    floating,
    look_up,
    nearest_value,
    no_floating_ice,
    tells_floating,
    tells_water,
    water,
    water_text,
    with_meanings,
)
from xdiffice.observations.points import FrontPoints
from xdiffice.observations.survey import Field, Survey, load, search
from xdiffice.observations.values import count, decode
from xdiffice.observations.variables import FRONT_ROLES, Explicit

NEARLY_ALL = 0.8
"""Share of a shelf's outline that is rarely calving front: ice tongues have more."""

MARGIN = 10
"""Pixels around a shelf that are read with it: the ocean in front of it tells where it ends."""

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
    give_meanings(found, floating_values, ocean_values)
    load(found)
    raise_problems(found.problems)
    one = found.fields["mask"]
    if one.grid is None or one.grid.kind != "raster" or one.values is None:
        raise CoordinateError(f"mask {one.name!r} must be a raster with 1-D x and y")
    ice = floating(one.values, one.array.attrs, one.name, one.units)
    shelf = Shelf(one.grid, ice)
    if not ice.any():
        raise no_floating_ice(one.values, one.array.attrs, one.name)
    front = calving_front(one.grid.x, one.grid.y, ice, _ocean(found, shelf), spacing)
    _note_share(found, shelf, front, spacing or shelf.grid.spacing)
    described = {
        "title": "Calving front of an ice shelf",
        "history": history_line(f"front found in {one.name!r}", [one.dataset]),
        "comment": ". ".join(found.notes),
    }
    return conforming(xr.Dataset(front_variables(front)), described)


def give_meanings(
    found: Survey,
    floating_values: Iterable[int] | int | None,
    ocean_values: Iterable[int] | int | None,
) -> None:
    """Give the mask that was found, if any, the meanings that the caller says its values have.

    Parameters
    ----------
    found : Survey
        Not loaded yet.
    floating_values, ocean_values : int or iterable of int, or None
        As in `with_meanings`.
    """
    one = found.fields.get("mask")
    if one is None:
        return
    one.array = with_meanings(one.array, floating_values, ocean_values)
    if one.squeezed is not None and one.squeezed.dtype != one.array.dtype:
        one.squeezed = one.squeezed.astype(one.array.dtype)


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
        _note_share(found, shelf, front, shelf.grid.spacing)
    else:
        x, y = (one.si for one in given)
        normals = found.loaded("x_normal", "y_normal")
        if normals is None:
            n_x, n_y = normals_of_line(x, y, shelf.contains, shelf.grid.spacing)
        else:
            n_x, n_y = (one.si for one in normals)
        front = make_front(x, y, n_x, n_y)
        found.note(f"the calving front was given, {count(front.x.size, 'point')}")
    _note_gaps(found, front)
    return front


def _ocean(found: Survey, shelf: Shelf) -> np.ndarray:
    """Tell where there is water, on the grid of the mask."""
    mask = found.fields["mask"]
    assert mask.values is not None
    by_flags = water(mask.values, mask.array.attrs, mask.name)
    if by_flags is not None:
        found.note(f"ocean is where {water_text(mask.array.attrs, mask.name)}")
        return by_flags
    ice = floating(mask.values, mask.array.attrs, mask.name, mask.units)
    x, y = (np.ravel(axis) for axis in shelf.grid.points())
    if (land := found.fields.get("land_ice")) is not None:
        assert land.values is not None
        assert land.grid is not None
        any_ice = _fraction(land) > 0.5
        on_mask = look_up(any_ice, land.grid, x, y)
        found.note(f"ocean is where {land.name!r} has no ice")
        return _up_to_the_ice(~(on_mask.reshape(ice.shape) | ice), ice)
    thickness = found.fields.get("thickness")
    at_zero = ""
    if thickness is not None and thickness.grid is not None and thickness.grid.kind == "raster":
        assert thickness.values is not None
        # Where it is missing may be grounded ice as well, as in a file that was cut to a shelf.
        none = nearest_value(
            thickness.values == 0, thickness.grid, x, y, reach=(MARGIN + 1) * shelf.grid.spacing
        )
        ocean = none.reshape(ice.shape) & ~ice
        if ocean.any():
            found.note(f"ocean is where {thickness.name!r} is zero")
            return _up_to_the_ice(ocean, ice)
        at_zero = f" ({thickness.name!r} is nowhere zero, and may be missing on grounded ice)"
    raise VariableNotFoundError(
        f"mask {mask.name!r} does not tell the ocean from grounded ice, and no other variable "
        f"does{at_zero}; pass {_other_masks(found)}ocean_values= (with floating_values=), a mask "
        "with flag_meanings, or front="
    )


def _up_to_the_ice(ocean: np.ndarray, ice: np.ndarray) -> np.ndarray:
    """Add the single pixels between ocean and floating ice that neither of two grids gives to it.

    Seen from the ocean they would be other ice, and hide the shelf behind them.
    """
    from scipy.ndimage import binary_dilation, binary_opening

    rest = ~(ocean | ice)
    single = rest & ~binary_opening(np.pad(rest, 1, mode="edge"), np.ones((3, 3)))[1:-1, 1:-1]
    added: np.ndarray = ocean | (single & binary_dilation(ocean) & binary_dilation(ice))
    return added


def _other_masks(found: Survey) -> str:
    """Name masks at hand that tell floating ice and ocean, for a message."""
    datasets = {id(one.dataset): one.dataset for one in found.fields.values()}.values()
    names = dict.fromkeys(
        str(name)
        for dataset in datasets
        for name, variable in dataset.data_vars.items()
        if tells_floating(variable) and tells_water(variable)
    )
    mask = found.fields["mask"]
    if tells_floating(mask.dataset[mask.name]):  # which floating_values replaced
        names.pop(mask.name, None)
    return "".join(f"mask={name!r}, " for name in names)


def _fraction(land: Field) -> np.ndarray:
    """Return the share of ice of a mask that may be of any kind."""
    assert land.values is not None
    numbers = decode(land.values, land.array.attrs, land.name, boolean=True)
    return np.where(np.isfinite(numbers), numbers, 0.0)


def _note_share(found: Survey, shelf: Shelf, front: FrontPoints, spacing: float) -> None:
    """Note how long the front is, and warn where next to nothing of the outline is none."""
    length = front.x.size * spacing
    outline = outline_length(shelf.grid.x, shelf.grid.y, shelf.floating)
    share = min(1.0, length / max(outline, length))
    found.note(
        f"the calving front has {count(front.x.size, 'point')}, {length / 1e3:.4g} km, {share:.0%} "
        "of the shelf's outline"
    )
    if share > NEARLY_ALL:
        sentence = (
            f"{share:.0%} of the shelf's outline is calving front: right for an ice tongue or an "
            "island of floating ice, else grounded ice is taken for ocean; pass a mask that tells "
            "them apart, ocean_values= (with floating_values=), or front="
        )
        found.note(sentence)
        warn(sentence, PlausibilityWarning)


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
