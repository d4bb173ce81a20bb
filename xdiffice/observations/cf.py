"""What was read of one shelf becomes a CF Dataset with the names that the package uses.

It takes loaded fields of a `Survey` and hands on a Dataset that any xarray user can save, plot and
fit.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from xdiffice.observations.axes import Grid
from xdiffice.observations.conventions import conforming, history_line
from xdiffice.observations.points import FrontPoints
from xdiffice.observations.projection import mapping_of
from xdiffice.observations.survey import Field, Survey
from xdiffice.observations.variables import ROLES

_STANDARD_NAMES = {
    # At which depth, a file without standard names does not say.
    "x_velocity": "land_ice_x_velocity",
    "y_velocity": "land_ice_y_velocity",
    "thickness": "land_ice_thickness",
}
_KEPT = ("standard_name", "long_name", "comment", "references")
_FRONT = {
    "x_front": ("x", "m", "x of the calving front"),
    "y_front": ("y", "m", "y of the calving front"),
    "x_normal": ("n_x", "1", "x component of the front's outward unit normal"),
    "y_normal": ("n_y", "1", "y component of the front's outward unit normal"),
}


def shelf_dataset(
    found: Survey, grid: Grid, floating: np.ndarray, front: FrontPoints
) -> xr.Dataset:
    """Make the Dataset of one shelf.

    Parameters
    ----------
    found : Survey
        Loaded.
    grid : Grid
        Where `floating` is.
    floating : ndarray of bool
        The shelf.
    front : FrontPoints
        Its calving front.

    Returns
    -------
    Dataset
        See `xdiffice.assemble`.
    """
    grids = _Grids()
    result = xr.Dataset()
    mapping = _mapping_variable(found.fields["x_velocity"])
    for role in ("x_velocity", "y_velocity", "thickness"):
        one = found.fields[role]
        assert one.grid is not None
        dims = grids.dims(one.grid, "h")
        result[role] = (dims, one.values, _attrs(one))
        error = found.fields.get(f"{role}_error")
        if error is not None and error.values is not None:
            named = {"standard_name": f"{result[role].attrs['standard_name']} standard_error"}
            result[f"{role}_error"] = (dims, error.values, _attrs(error) | named)
            result[role].attrs["ancillary_variables"] = f"{role}_error"
    result["floating_ice"] = (
        grids.dims(grid, "m"),
        floating.astype(np.int8),
        {
            "standard_name": "floating_ice_shelf_area_fraction",
            "long_name": "the shelf: 1 on its floating ice, 0 elsewhere",
            "units": "1",
        },
    )
    result = result.assign_coords(grids.coordinates)
    result = result.assign(front_variables(front))
    if mapping is not None:
        name, variable = mapping
        result = result.assign_coords({name: variable})
        for role in ("x_velocity", "y_velocity", "thickness", "floating_ice"):
            result[role].attrs["grid_mapping"] = name
    return conforming(result, _global_attrs(found))


def front_variables(front: FrontPoints) -> dict[str, xr.Variable]:
    """Return positions and normals of a calving front as variables on one dim."""
    return {
        role: xr.Variable("front", getattr(front, part), {"units": units, "long_name": long_name})
        for role, (part, units, long_name) in _FRONT.items()
    }


class _Grids:
    """Names dims: ``(y, x)`` for the first grid, with a suffix for each that differs."""

    def __init__(self) -> None:
        self._known: list[tuple[Grid, tuple[str, ...]]] = []
        self.coordinates: dict[str, Any] = {}

    def dims(self, grid: Grid, suffix: str) -> tuple[str, ...]:
        for known, dims in self._known:
            if (
                known.kind == grid.kind
                and np.array_equal(known.x, grid.x, equal_nan=True)
                and np.array_equal(known.y, grid.y, equal_nan=True)
            ):
                return dims
        end = f"_{suffix}" if self._known else ""
        names = f"y{end}", f"x{end}"
        dims = {
            "raster": names,
            "points": (f"point{end}",),
            "curvilinear": (f"row{end}", f"column{end}"),
        }[grid.kind]
        for name, axis, values in zip(names, "yx", (grid.y, grid.x), strict=True):
            attrs = {
                "units": "m",
                "standard_name": f"projection_{axis}_coordinate",
                "long_name": f"{axis} coordinate of projection",
                "axis": axis.upper(),
            }
            self.coordinates[name] = ((name,) if grid.kind == "raster" else dims, values, attrs)
        self._known.append((grid, dims))
        return dims


def _attrs(one: Field) -> dict[str, Any]:
    """Return attributes that hold for the values: those of storage are gone."""
    attrs = {key: one.array.attrs[key] for key in _KEPT if key in one.array.attrs}
    if one.role in _STANDARD_NAMES:
        attrs.setdefault("standard_name", _STANDARD_NAMES[one.role])
    attrs.setdefault("long_name", ROLES[one.role].meaning)
    return {**attrs, "units": one.units}


def _mapping_variable(one: Field) -> tuple[str, xr.Variable] | None:
    name = mapping_of(one.array, one.dataset)
    if name is None:
        return None
    attrs = one.dataset[name].attrs
    return name, xr.Variable((), np.int32(0), attrs)


def _global_attrs(found: Survey) -> dict[str, str]:
    attrs = {
        "title": "Ice shelf velocity, thickness and calving front",
        "history": history_line(
            "cut out by xdiffice.assemble", [one.dataset for one in found.fields.values()]
        ),
    }
    titles = [found.fields[role].dataset.attrs.get("title") for role in ("x_velocity", "thickness")]
    source = "; ".join(dict.fromkeys(str(title) for title in titles if title))
    if source:
        attrs["source"] = source
    if found.notes:
        attrs["comment"] = ". ".join(dict.fromkeys(found.notes))
    return attrs
