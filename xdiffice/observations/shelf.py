"""One shelf out of files of a continent: window, floating ice, calving front.

It reads no more than the blocks that the shelf touches, and hands on a CF Dataset that `fit` takes
as it is.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from os import PathLike
from typing import Any

import numpy as np
import xarray as xr

from xdiffice.errors import (
    CoordinateError,
    DataValuesError,
    ParameterError,
    PlausibilityWarning,
    VariableNotFoundError,
    raise_problems,
    warn,
)
from xdiffice.observations.cf import shelf_dataset
from xdiffice.observations.coast import MARGIN, Shelf, front_of, give_meanings
from xdiffice.observations.coverage import check_coverage
from xdiffice.observations.crop import EVERYWHERE, Box, box_of_shelf, connected_with, crop
from xdiffice.observations.domain import compare_projections
from xdiffice.observations.gazetteer import WITHOUT_NAME, place_of
from xdiffice.observations.masks import floating, floating_text, no_floating_ice
from xdiffice.observations.opening import opened
from xdiffice.observations.outline import Outline
from xdiffice.observations.projection import mapping_of
from xdiffice.observations.survey import Field, Survey, load, search
from xdiffice.observations.values import count
from xdiffice.observations.variables import FRONT_ROLES, ROLES, Explicit


def assemble(
    velocity: xr.Dataset | str | PathLike[str] | Sequence[str | PathLike[str]],
    thickness: Any = None,
    mask: Any = None,
    *,
    bbox: Sequence[float] | None = None,
    geometry: Any = None,
    seed_point: tuple[float, float] | None = None,
    name: str | None = None,
    front: Any = None,
    floating_values: Iterable[int] | int | None = None,
    ocean_values: Iterable[int] | int | None = None,
    connected: bool = True,
    variables: Explicit | None = None,
    units: Mapping[str, str] | None = None,
) -> xr.Dataset:
    """Cut one ice shelf out of files of a continent, or of one shelf, and find its calving front.

    Neither `name` nor `seed_point`, `bbox` or `geometry` is needed: without them the largest
    connected part of the floating ice in the files is the shelf.

    Nothing is reprojected or interpolated: every variable stays on its own grid. Of dask-backed
    Datasets only the blocks that the shelf touches are read.

    Parameters
    ----------
    velocity : Dataset, path or sequence of paths
        Both components of the velocity. Paths are opened with ``chunks={}``: netCDF, Zarr, or
        GeoTIFF (with rioxarray), one variable in each, named by the end of the file's name.
    thickness : Dataset, DataArray, DataFrame, path or sequence of paths, optional
        Ice thickness on any grid, or at points (flight lines); by default in `velocity`.
    mask : Dataset, DataArray, str or path, optional
        Which ice floats: flags with ``flag_meanings``, fractions, or booleans; or the name of a
        variable. By default it is looked for in `velocity` and `thickness`.
    bbox : sequence of four float, optional
        ``(x_min, y_min, x_max, y_max)``, m in the projection of the data.
    geometry : object with ``__geo_interface__``, or array of shape (n, 2), optional
        Outline of the shelf, in the same coordinates; needs shapely.
    seed_point : (x, y), optional
        A point on the shelf, or within 50 km of it, m. The shelf is all floating ice that is
        connected with it.
    name : str, optional
        Name of an Antarctic ice shelf; a seed point that is known. The data must be in Antarctic
        polar stereographic coordinates (EPSG:3031).
    front : Dataset or DataFrame, optional
        Calving front, instead of the one found: ``x_front``, ``y_front``, and ``x_normal``,
        ``y_normal``, which are computed where they are not given.
    floating_values, ocean_values : int or iterable of int, optional
        What floats and what is water in a mask without ``flag_meanings``. Where a mask does not
        tell the ocean, it is where a mask of all ice has none, or where the thickness is zero;
        missing thickness tells nothing.
    connected : bool, default True
        Keep the largest connected part of the floating ice in `bbox` or `geometry` only.
    variables, units : mapping, optional
        As in `fit`.

    Returns
    -------
    Dataset
        In memory. ``x_velocity``, ``y_velocity`` on ``(y, x)``; ``thickness`` on the same, on
        ``(y_h, x_h)``, or on ``point``; errors where there are any; ``floating_ice`` (0 or 1);
        ``x_front``, ``y_front``, ``x_normal``, ``y_normal`` on ``front``. Coordinates in m,
        values and units as in the files. Attribute ``comment`` tells what was decided: what floats,
        what is ocean, how many pixels the shelf has and how long its front is.

    Raises
    ------
    XdifficeError
        Whatever keeps it from being done, all problems together.

    Warns
    -----
    PlausibilityWarning
        If `bbox` cuts the shelf, more than a quarter of the shelf has no data, or more than four
        fifths of its outline are calving front.
    """
    places = {"bbox": bbox, "geometry": geometry, "seed_point": seed_point, "name": name}
    given = [key for key, value in places.items() if value is not None]
    if len(given) > 1:
        raise ParameterError(
            f"one of bbox, geometry, seed_point and name chooses the shelf; got {', '.join(given)}"
        )
    box, seed, outline = EVERYWHERE, None, None
    if bbox is not None:
        box = _checked(Box(*_numbers(bbox, "bbox", 4)))
    if geometry is not None:
        outline = Outline(geometry)
        box = outline.box
    if seed_point is not None:
        seed = _numbers(seed_point, "seed_point", 2)
    notes: list[str] = []
    data, thick = (opened(source, notes) for source in (velocity, thickness))
    ice = opened(mask, notes, may_be_name=True)
    found = search(data, thick, ice, front, variables, units, roles=tuple(ROLES))
    found.notes[:0] = notes
    give_meanings(found, floating_values, ocean_values)
    with found.collect():
        compare_projections(found)
    if "mask" in found.absent and (seed or name or len(_front_given(found)) < 2):
        found.problem(_no_mask())
    raise_problems(found.problems)
    if name is not None:
        seed = place_of(name, _mapping(found.fields["x_velocity"]))
    margin = 0.0
    if "mask" in found.fields:
        margin = MARGIN * _spacing(found.fields["mask"])
    if seed is not None:
        box = _around(found.fields["mask"], seed, name).wider(margin)
        margin = 0.0
    crop(found, box, margin)
    load(found)
    raise_problems(found.problems)
    shelf = _shelf(found, box, outline, seed, connected)
    if "mask" in found.fields:
        check_coverage(found, shelf)
    points = front_of(found, shelf)
    shelf = shelf.within(box)
    return shelf_dataset(found, shelf.grid, shelf.floating, points)


def _around(mask: Field, seed: tuple[float, float], name: str | None) -> Box:
    """Return the rectangle around the shelf at a point, which may be that of a name."""
    try:
        return box_of_shelf(mask, seed)
    except (CoordinateError, DataValuesError) as error:
        if name is None:
            raise
        raise type(error)(f"{error} (that is where {name!r} is; {WITHOUT_NAME})") from error


def _numbers(values: Any, name: str, number: int) -> Any:
    try:
        result = tuple(float(value) for value in values)
    except (TypeError, ValueError):
        result = ()
    if len(result) != number or not np.isfinite(result).all():
        raise ParameterError(f"{name} must be {number} finite numbers, m; got {values!r}")
    return result


def _checked(box: Box) -> Box:
    if box.x_min >= box.x_max or box.y_min >= box.y_max:
        raise ParameterError(
            f"bbox is (x_min, y_min, x_max, y_max), m, with x_min < x_max and y_min < y_max; got "
            f"{tuple(box)}"
        )
    return box


def _front_given(found: Survey) -> list[Field]:
    return [found.fields[role] for role in FRONT_ROLES if role in found.fields]


def _no_mask() -> VariableNotFoundError:
    return VariableNotFoundError(
        f"no mask of floating ice: looked for {ROLES['mask'].hint}. Pass mask=, as a variable with "
        "flag_meanings, with floating_values=, or as booleans; without one the shelf is where the "
        "velocity is, and front= must be given and neither seed_point nor name"
    )


def _spacing(one: Field) -> float:
    """Distance of a raster's pixels, m, before they are loaded."""
    assert one.axes is not None
    if one.axes.kind != "raster":
        raise CoordinateError(f"mask {one.name!r} must be a raster with 1-D x and y")
    axes = [np.asarray(axis[:2], dtype=np.float64) for axis in (one.axes.x, one.axes.y)]
    return max((float(abs(a[1] - a[0])) for a in axes if a.size > 1), default=0) * one.axes.factor


def _mapping(one: Field) -> Mapping[str, Any] | None:
    name = mapping_of(one.array, one.dataset)
    return None if name is None else one.dataset[name].attrs


def _shelf(
    found: Survey,
    box: Box,
    outline: Outline | None,
    seed: tuple[float, float] | None,
    connected: bool,
) -> Shelf:
    """Choose the floating ice that is the shelf."""
    from scipy.ndimage import binary_dilation, label

    mask = found.fields.get("mask")
    if mask is None:
        return _where_velocity_is(found, box, outline)
    assert mask.grid is not None
    assert mask.values is not None
    ice = floating(mask.values, mask.array.attrs, mask.name, mask.units)
    x, y = mask.grid.points()
    wanted = ice & box.contains(x, y)
    if outline is not None:
        wanted &= outline.contains(x, y)
    here = "" if box == EVERYWHERE else f" in {box}"
    if not ice.any():
        raise no_floating_ice(mask.values, mask.array.attrs, mask.name, here)
    if not wanted.any():
        raise DataValuesError(f"mask {mask.name!r} has no floating ice{here}")
    if seed is not None:
        shelf = connected_with(wanted, mask.grid.x, mask.grid.y, seed, mask.name)
    elif connected:
        parts, number = label(wanted)
        sizes = np.bincount(parts.ravel())[1:]
        shelf = parts == 1 + int(sizes.argmax())
        if number > 1:
            others = int(sizes.sum() - sizes.max())
            found.note(
                f"{count(number - 1, 'smaller part')} of the floating ice, "
                f"{count(others, 'pixel')} of {sizes.sum()}, left out; connected=False keeps them"
            )
    else:
        shelf = wanted
    area = shelf.sum() * abs(np.diff(mask.grid.x[:2]).sum() * np.diff(mask.grid.y[:2]).sum()) / 1e6
    found.note(
        f"floating ice is where {floating_text(mask.values, mask.array.attrs, mask.name)}; the "
        f"shelf has {count(int(shelf.sum()), 'pixel')}, {area:.4g} km2"
    )
    beyond = int((binary_dilation(shelf) & ice & ~wanted).sum())
    if beyond and seed is None and outline is None:
        sentence = (
            f"the bbox cuts the shelf: floating ice goes on beyond it at {count(beyond, 'pixel')}. "
            "The cut counts as a wall; seed_point= would take all of the shelf"
        )
        found.note(sentence)
        warn(sentence, PlausibilityWarning)
    return Shelf(mask.grid, shelf)


def _where_velocity_is(found: Survey, box: Box, outline: Outline | None) -> Shelf:
    """Without a mask the shelf is where the velocity is."""
    u, v = (found.fields[role] for role in ("x_velocity", "y_velocity"))
    assert u.grid is not None
    assert u.values is not None
    assert v.values is not None
    valid = np.isfinite(u.values) & np.isfinite(v.values) & ~((u.values == 0) & (v.values == 0))
    x, y = u.grid.points()
    valid &= box.contains(x, y)
    if outline is not None:
        valid &= outline.contains(x, y)
    if not valid.any():
        raise DataValuesError(
            f"{u.name!r} has no values" + ("" if box == EVERYWHERE else f" in {box}")
        )
    found.note(f"the shelf is where {u.name!r} is, {count(int(valid.sum()), 'pixel')}")
    return Shelf(u.grid, valid)
