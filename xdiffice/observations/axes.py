"""Where the values of one variable lie: its projected x and y, in metres.

Resolved for each variable by itself, since one Dataset may hold several grids; it hands on `Axes`
(nothing loaded) and, once the values are there, `Grid`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
import xarray as xr

from xdiffice.errors import CoordinateError, DataValuesError, UnitsError
from xdiffice.observations.projection import is_metric, mapping_of
from xdiffice.observations.units import factor, units_of
from xdiffice.observations.values import check_magnitude, count

Kind = Literal["raster", "points", "curvilinear"]

_NAMES = {
    "X": re.compile(r"x|x\d+|xc|xx|xd|easting|x_\w+|projection_x_coordinate", re.IGNORECASE),
    "Y": re.compile(r"y|y\d+|yc|yy|yd|northing|y_\w+|projection_y_coordinate", re.IGNORECASE),
}
MERGED = 0.2
"""From so many empty lines on, an axis with uneven steps is that of two grids."""

_GEOGRAPHIC = re.compile(r"(lat|lon)(itude|gitude)?\d*", re.IGNORECASE)


@dataclass(frozen=True)
class Axes:
    """The horizontal coordinates of one variable, before anything is loaded.

    Parameters
    ----------
    kind : str
        ``"raster"`` (1-D x and y on two dims), ``"points"`` (1-D on one dim), ``"curvilinear"``
        (2-D x and y).
    x_name, y_name : str
        Names of the coordinates.
    x, y : Variable
        The coordinates as they are in the Dataset.
    dims : tuple of str
        Horizontal dims in the order (y, x), or the shared dims.
    factor : float
        Metres per unit of x and y.
    units : str
        Those units.
    """

    kind: Kind
    x_name: str
    y_name: str
    x: xr.Variable
    y: xr.Variable
    dims: tuple[str, ...]
    factor: float
    units: str


@dataclass(frozen=True)
class Grid:
    """Loaded positions in m; x and y as `Axes` has them (1-D, or of the shape of the dims)."""

    kind: Kind
    x: np.ndarray
    y: np.ndarray

    def points(self) -> tuple[np.ndarray, np.ndarray]:
        """Return x and y of every value, in the shape of the values."""
        if self.kind == "raster":
            y, x = np.meshgrid(self.y, self.x, indexing="ij")
            return x, y
        return self.x, self.y

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of values on this grid."""
        return (self.y.size, self.x.size) if self.kind == "raster" else self.x.shape

    @cached_property
    def spacing(self) -> float:
        """Distance of neighbouring values, m (of a raster the larger of the two)."""
        if self.kind == "raster":
            steps = [np.abs(np.diff(axis)) for axis in (self.x, self.y) if axis.size > 1]
            return float(max((np.median(step) for step in steps), default=np.nan))
        return point_spacing(self.x, self.y)

    @property
    def extent(self) -> tuple[float, float, float, float]:
        """Smallest and largest x, smallest and largest y, m."""
        return (
            float(np.nanmin(self.x)),
            float(np.nanmax(self.x)),
            float(np.nanmin(self.y)),
            float(np.nanmax(self.y)),
        )


def point_spacing(x: np.ndarray, y: np.ndarray) -> float:
    """Return the median distance (m) of scattered points to their nearest other position."""
    from scipy.spatial import cKDTree

    positions = np.column_stack([np.ravel(x), np.ravel(y)])
    positions = np.unique(positions[np.isfinite(positions).all(axis=1)], axis=0)
    if len(positions) < 2:
        return float("nan")
    distance, _ = cKDTree(positions).query(positions, k=2)
    return float(np.median(distance[:, 1]))


def find_axes(
    array: xr.DataArray,
    dataset: xr.Dataset,
    units: Mapping[str, str] | None,
    notes: list[str],
    origin: str = "",
) -> Axes:
    """Find the projected coordinates of one variable.

    By CF attributes (``axis``, ``standard_name``) of the variable's own coordinates, then by name;
    variables of the Dataset on the same dims may serve where they are not marked as coordinates.

    Parameters
    ----------
    array : DataArray
        The variable.
    dataset : Dataset
        The Dataset it comes from.
    units : mapping or None
        Units given by the caller, by name.
    notes : list of str
        Receives what was assumed.
    origin : str, optional
        As which argument the Dataset came, where there are several.

    Raises
    ------
    CoordinateError
        If there are none, several, only geographic ones, or they do not fit each other.
    UnitsError
        If they have no units of length.
    """
    x_name = _axis_name(array, dataset, "X")
    y_name = _axis_name(array, dataset, "Y")
    x, y = _lookup(array, dataset, x_name), _lookup(array, dataset, y_name)
    kind: Kind
    if x.ndim == y.ndim == 1:
        kind = "points" if x.dims == y.dims else "raster"
        dims = x.dims if kind == "points" else (*y.dims, *x.dims)
    elif x.ndim == 2 and set(x.dims) == set(y.dims):
        kind = "curvilinear"
        dims = x.dims  # not the variable's order, so that u and v agree
        y = y.transpose(*dims)
    else:
        raise CoordinateError(
            f"coordinates {x_name!r} on dims {x.dims} and {y_name!r} on dims {y.dims} of "
            f"{array.name!r} do not fit each other; both should be 1-D, or both 2-D on the same "
            "dims"
        )
    names = tuple(str(dim) for dim in dims)
    x_factor, x_units = _length_units(x, x_name, array, dataset, units, notes, origin)
    y_factor, _ = _length_units(y, y_name, array, dataset, units, notes, origin)
    if x_factor != y_factor:
        raise CoordinateError(
            f"coordinates {x_name!r} and {y_name!r} have different units; convert one of them"
        )
    return Axes(kind, x_name, y_name, x, y, names, x_factor, x_units)


def load_grid(axes: Axes, x_values: np.ndarray, y_values: np.ndarray) -> Grid:
    """Check the values of the coordinates and convert them to m, in float64.

    Raises
    ------
    CoordinateError
        If they are not numbers, not finite, or those of a raster do not rise or fall strictly.
    """
    converted = []
    for name, values in ((axes.x_name, x_values), (axes.y_name, y_values)):
        values = np.asarray(values)
        if values.dtype.kind not in "iuf":
            raise CoordinateError(
                f"coordinate {name!r} is not numeric: its dtype is {values.dtype}"
            )
        # int32 squares overflow and float32 resolves 0.25 m only: float64 before any arithmetic.
        values = values.astype(np.float64) * axes.factor
        try:
            check_magnitude(values, name)
        except DataValuesError as error:
            raise CoordinateError(f"coordinate {error}") from error
        if axes.kind == "raster":
            _check_raster_axis(name, values)
        converted.append(values)
    return Grid(axes.kind, converted[0], converted[1])


def check_one_grid(grid: Grid, values: np.ndarray) -> None:
    """Refuse a raster that is two of them, merged with an outer join.

    Parameters
    ----------
    grid : Grid
        A raster.
    values : ndarray, shape (n_y, n_x)
        NaN where missing.

    Raises
    ------
    CoordinateError
        If the steps of an axis differ and many lines between others have no value at all.
    """
    for axis, letter, other in ((grid.y, "y", 1), (grid.x, "x", 0)):
        steps = np.abs(np.diff(axis))
        if steps.size < 3 or steps.max() < 1.05 * steps.min():
            continue
        filled = np.flatnonzero(np.isfinite(values).any(axis=other))
        empty = 1 - filled.size / (filled[-1] - filled[0] + 1) if filled.size else 0.0
        if empty > MERGED:
            raise CoordinateError(  # not the variable: all of them share the problem
                f"the {letter} axis has steps between {steps.min():g} and {steps.max():g} m, and "
                "many of its lines have no values at all: two grids that were merged with an outer "
                "join? Keep them in two Datasets, and pass thickness= (and mask=) beside the "
                "velocity"
            )


def _check_raster_axis(name: str, values: np.ndarray) -> None:
    if np.isnan(values).any():
        missing = count(int(np.isnan(values).sum()), "missing value")
        raise CoordinateError(f"coordinate {name!r} has {missing}")
    step = np.diff(values)
    repeated = int((step == 0).sum())
    if repeated:
        raise CoordinateError(f"coordinate {name!r} repeats {count(repeated, 'value')}")
    if not ((step > 0).all() or (step < 0).all()):
        raise CoordinateError(
            f"coordinate {name!r} neither rises nor falls throughout; "
            f"sort it with ds.sortby({name!r})"
        )


def _lookup(array: xr.DataArray, dataset: xr.Dataset, name: str) -> xr.Variable:
    """Return the coordinate as a plain Variable (an index would be a special one)."""
    source = array.coords if name in array.coords else dataset
    return source[name].variable.to_base_variable()


def _axis_name(array: xr.DataArray, dataset: xr.Dataset, axis: Literal["X", "Y"]) -> str:
    """Return the name of the x or y coordinate of one variable."""
    import cf_xarray  # noqa: F401  registers .cf

    own = [name for name, coord in array.coords.items() if coord.ndim and isinstance(name, str)]
    beside = [
        name
        for name, variable in dataset.variables.items()
        if isinstance(name, str)
        and name not in array.coords
        and variable.ndim
        and set(variable.dims) <= set(array.dims)
    ]
    long = "projection_x_coordinate" if axis == "X" else "projection_y_coordinate"
    standard = [n for n in own if array[n].attrs.get("standard_name") == long]
    try:
        marked = [n for n in array.cf.axes.get(axis, ()) if n in own]
    except (AttributeError, TypeError):  # cf-xarray trusts attributes to be text; names may tell
        marked = []
    named = [n for n in own if _NAMES[axis].fullmatch(n)]
    standard_beside = [n for n in beside if dataset[n].attrs.get("standard_name") == long]
    named_beside = [n for n in beside if _NAMES[axis].fullmatch(n) and _is_plain(n, axis)]
    for stage in (standard, marked, named, standard_beside, named_beside):
        usable = [n for n in stage if not _is_geographic(n, array, dataset)]
        if len(usable) > 1:  # an axis of the grid before an auxiliary coordinate
            usable = [n for n in usable if n in array.dims] or usable
        if len(usable) > 1:
            raise CoordinateError(
                f"dims {tuple(array.dims)} have several {axis} coordinates: "
                f"{', '.join(map(repr, usable))}; "
                "drop all but one with ds.drop_vars"
            )
        if usable:
            return usable[0]
    raise _no_axis(array, dataset, axis, own)


def _is_plain(name: str, axis: str) -> bool:
    """Tell whether a data variable is named as a coordinate and as nothing else (x_velocity)."""
    return bool(re.fullmatch(rf"{axis}|{axis}\d|{axis}{axis}|{axis}[cd]|{axis}_h", name, re.I))


def _is_geographic(name: str, array: xr.DataArray, dataset: xr.Dataset) -> bool:
    attrs = (array.coords[name] if name in array.coords else dataset[name]).attrs
    return (
        str(attrs.get("standard_name")) in {"latitude", "longitude"}
        or str(attrs.get("units", "")).lower().startswith("degree")
        or bool(_GEOGRAPHIC.fullmatch(name))
    )


def _no_axis(
    array: xr.DataArray, dataset: xr.Dataset, axis: str, names: list[str]
) -> CoordinateError:
    geographic = [name for name in names if _is_geographic(name, array, dataset)]
    if geographic:
        return CoordinateError(
            f"dims {tuple(array.dims)} have geographic coordinates "
            f"({', '.join(map(repr, geographic))}) only; "
            "projected coordinates in metres are needed, e.g. polar stereographic x and y "
            "(EPSG:3031): reproject the Dataset, for example with rioxarray's ds.rio.reproject"
        )
    return CoordinateError(
        # the dims and not the variable: all variables of one grid share the problem
        f"dims {tuple(array.dims)} have no {axis} coordinate: looked for "
        f"axis '{axis}', standard_name 'projection_{axis.lower()}_coordinate', and the name "
        f"{axis.lower()!r}; found: {', '.join(map(repr, names)) or 'no coordinates'}. "
        "Add one with ds.assign_coords"
    )


def _length_units(
    coordinate: xr.Variable,
    name: str,
    array: xr.DataArray,
    dataset: xr.Dataset,
    units: Mapping[str, str] | None,
    notes: list[str],
    origin: str,
) -> tuple[float, str]:
    """Return metres per unit of a coordinate, and that unit."""
    written = units_of(coordinate, name, name, units, notes)
    if written is not None and written.strip():
        return factor(written, "m", name), written
    reason = None
    if str(coordinate.attrs.get("standard_name", "")).startswith("projection_"):
        reason = f"its standard_name is {coordinate.attrs['standard_name']!r}"
    else:
        mapping = mapping_of(array, dataset)
        if mapping is not None and is_metric(dataset[mapping].attrs):
            reason = f"grid mapping {mapping!r} is a projection in metres"
    if reason is None:
        raise UnitsError(
            f"coordinate {name!r}{f' of the {origin}' if origin else ''} has no units; set "
            f"{origin or 'ds'}[{name!r}].attrs['units'] = 'm' (or what they are), or pass "
            f"units={{{name!r}: '...'}}"
        )
    notes.append(f"coordinate {name!r} has no units and is taken as metres, since {reason}")
    return 1.0, "m"
