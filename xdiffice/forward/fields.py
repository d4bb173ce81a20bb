"""What a caller may give as a field: a number, a function of x and y, or a DataArray.

All three become one function of positions in metres, so that the solver asks no further.
"""

from __future__ import annotations

from collections.abc import Callable
from numbers import Real
from typing import TypeAlias

import numpy as np
import xarray as xr
from scipy.interpolate import RegularGridInterpolator
from scipy.ndimage import distance_transform_edt

from xdiffice.errors import ParameterError

FieldFunction: TypeAlias = Callable[[np.ndarray, np.ndarray], np.ndarray]
"""Values at positions x, y (m, equal shapes), in SI units, of the same shape."""

Field: TypeAlias = float | FieldFunction | xr.DataArray
"""A number, a function of (x, y), or a DataArray on a grid with coordinates x and y in m."""


def as_function(field: Field, name: str, *, positive: bool = False) -> FieldFunction:
    """Make one function of (x, y) out of a number, a function or a DataArray.

    A DataArray is interpolated bilinearly; its missing values are first filled with the nearest
    valid one and positions outside its grid get the value at its edge, because the rim of a
    domain always lies a little beyond the outermost pixel centres.

    Parameters
    ----------
    field : float, callable or xarray.DataArray
        SI units. A DataArray has two dims with coordinates, called ``x`` and ``y`` or marked by
        an attribute ``axis``.
    name : str
        What the field is called in error messages.
    positive : bool
        Refuse values that are not above zero.

    Raises
    ------
    ParameterError
        If the field is of another kind, or, when it is evaluated, if values are not finite, of
        the wrong shape, or not positive where they must be.
    """
    if isinstance(field, xr.DataArray):
        function = _interpolator(field, name)
    elif isinstance(field, Real) and not isinstance(field, bool):
        number = float(field)

        def function(x: np.ndarray, y: np.ndarray) -> np.ndarray:
            return np.full(np.shape(x), number)
    elif callable(field):
        function = field
    else:
        raise ParameterError(
            f"{name} is a {type(field).__name__}; give a number, a function of (x, y) in m, or a "
            "DataArray with coordinates x and y."
        )

    def checked(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        values = np.asarray(function(x, y), dtype=float)
        if values.ndim == 0:
            values = np.full(np.shape(x), float(values))
        if values.shape != np.shape(x):
            raise ParameterError(
                f"{name}(x, y) returned shape {values.shape} for positions of shape {np.shape(x)}."
            )
        if not np.isfinite(values).all():
            raise ParameterError(f"{name} is not finite everywhere on the shelf.")
        if positive and values.size and values.min() <= 0:
            raise ParameterError(
                f"{name} must be positive on the whole shelf; its least value is {values.min():g}."
            )
        return values

    return checked


def check_positive(**values: float | None) -> None:
    """Refuse numbers that are not positive and finite; None stands for a default."""
    for name, value in values.items():
        valid = isinstance(value, Real) and not isinstance(value, bool)
        if value is not None and not (valid and 0 < float(value) < np.inf):
            raise ParameterError(f"{name} must be a positive number; got {value!r}.")


def check_pair(pair: object, name: str, parts: str) -> None:
    """Refuse what is not a tuple or list of two."""
    if not (isinstance(pair, tuple | list) and len(pair) == 2):
        raise ParameterError(f"{name} must be a pair {parts}; got {pair!r}.")


def axis_names(field: xr.DataArray, name: str) -> tuple[str, str]:
    """Names of the x and y dims of a raster, by attribute ``axis`` or by being called x and y."""
    found = {}
    for dim in map(str, field.dims):
        axis = field[dim].attrs.get("axis", dim[:1]) if dim in field.coords else ""
        found[str(axis).upper()] = dim
    if field.ndim != 2 or set(found) != {"X", "Y"}:
        raise ParameterError(
            f"{name} has dims {tuple(map(str, field.dims))}; it needs two dims with coordinates, "
            "called x and y or marked by an attribute axis='X' and axis='Y'."
        )
    return found["X"], found["Y"]


def sorted_raster(field: xr.DataArray, name: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Coordinates x and y, ascending, and the values of a raster on (y, x)."""
    x_name, y_name = axis_names(field, name)
    field = field.transpose(y_name, x_name).sortby([y_name, x_name])
    x, y = (np.asarray(field[dim].values, dtype=float) for dim in (x_name, y_name))
    for coordinate in (x, y):
        # Written so that a NaN fails, too.
        if coordinate.size < 2 or not (np.diff(coordinate) > 0).all():
            raise ParameterError(
                f"the coordinates of {name} must be at least two numbers, all different."
            )
    return x, y, field.values


def _interpolator(field: xr.DataArray, name: str) -> FieldFunction:
    """Bilinear interpolation that knows no holes and no outside."""
    x, y, values = sorted_raster(field, name)
    values = values.astype(float)
    missing = ~np.isfinite(values)
    if missing.all():
        raise ParameterError(f"{name} has no finite value.")
    if missing.any():
        spacing = (np.diff(y).mean(), np.diff(x).mean())
        nearest = distance_transform_edt(
            missing, sampling=spacing, return_distances=False, return_indices=True
        )
        values = values[tuple(nearest)]
    interpolate = RegularGridInterpolator((y, x), values)

    def function(x_at: np.ndarray, y_at: np.ndarray) -> np.ndarray:
        clipped = np.clip(y_at, y[0], y[-1]), np.clip(x_at, x[0], x[-1])
        values_at: np.ndarray = interpolate(np.stack(clipped, axis=-1))
        return values_at

    return function
