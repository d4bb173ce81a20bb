"""How fast the ice deforms, straight from a velocity raster, without any inversion.

It hands on strain rates as labelled arrays on the velocity's own grid, lazily where that is lazy.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr

from ..errors import CoordinateError, XdifficeError, raise_problems
from ..observations.axes import Axes, find_axes, load_grid
from ..observations.projection import mapping_of
from ..observations.units import factor, magnitude, units_of
from ..observations.values import decode
from ..observations.variables import ROLES, check_roles, find, not_found

_FORMULAS = {
    "strain_rate_xx": ("strain rate in x", "u_x"),
    "strain_rate_yy": ("strain rate in y", "v_y"),
    "strain_rate_xy": ("shear strain rate", "(u_y + v_x) / 2"),
}


def strain_rate(
    dataset: xr.Dataset,
    variables: Mapping[str, str | None] | None = None,
    units: Mapping[str, str] | None = None,
) -> xr.Dataset:
    """Differentiate a velocity raster by centred differences.

    Second order in the pixel size, one-sided (and second order) at the raster's edges. A strain
    rate is missing where the velocity of the pixel or of a neighbour that it needs is missing: NaN,
    a fill value, or both components exactly zero.

    Parameters
    ----------
    dataset : xarray.Dataset
        Velocity on one-dimensional x and y that rise or fall; other dims, such as time, are kept.
        Nothing is loaded if it is made of dask arrays.
    variables : mapping, optional
        Names by role where they cannot be found, ``{"x_velocity": "vx"}``.
    units : mapping, optional
        Units by variable name where attributes lack them, ``{"vx": "m yr-1"}``.

    Returns
    -------
    xarray.Dataset
        ``strain_rate_xx`` = u_x, ``strain_rate_yy`` = v_y and ``strain_rate_xy`` = (u_y + v_x)/2,
        s-1, float64, on the velocity's dims.

    Raises
    ------
    VariableNotFoundError, AmbiguousVariableError, UnitsError, CoordinateError
        The velocity cannot be found or used; all problems together.

    Examples
    --------
    >>> import numpy as np, xarray as xr
    >>> axis = np.arange(4.0)
    >>> x, y = np.meshgrid(axis, axis)
    >>> ds = xr.Dataset(
    ...     {"vx": (("y", "x"), 10 + 3 * x), "vy": (("y", "x"), 5 + y)},
    ...     coords={"x": ("x", axis, {"units": "m"}), "y": ("y", axis, {"units": "m"})},
    ... )
    >>> rates = strain_rate(ds, units={"vx": "m s-1", "vy": "m s-1"})
    >>> float(rates["strain_rate_xx"][1, 1]), float(rates["strain_rate_yy"][1, 1])
    (3.0, 1.0)
    """
    u, v, axes = _velocity(dataset, variables, units)
    u_x, u_y = (_derivative(u, axes, axis) for axis in ("x", "y"))
    v_x, v_y = (_derivative(v, axes, axis) for axis in ("x", "y"))
    rates = {
        "strain_rate_xx": u_x,
        "strain_rate_yy": v_y,
        "strain_rate_xy": 0.5 * (u_y + v_x),
    }
    for name, rate in rates.items():
        long_name, formula = _FORMULAS[name]
        rate.attrs = {
            "units": "s-1",
            "long_name": long_name,
            "comment": f"{formula} of the velocity by centred differences",
            **{key: u.attrs[key] for key in ("grid_mapping",) if key in u.attrs},
        }
    return xr.Dataset(rates)


def effective_strain_rate(
    dataset: xr.Dataset,
    variables: Mapping[str, str | None] | None = None,
    units: Mapping[str, str] | None = None,
) -> xr.DataArray:
    """Effective strain rate of a velocity raster by centred differences.

    ε_e² = u_x² + v_y² + u_x v_y + ¼ (u_y + v_x)², the second invariant of the strain rate of
    incompressible ice in a shelf (MacAyeal 1989, doi 10.1029/JB094iB04p04071).

    Parameters and errors are those of `strain_rate`.

    Returns
    -------
    xarray.DataArray
        ``effective_strain_rate``, s-1, float64, on the velocity's dims.
    """
    rates = strain_rate(dataset, variables, units)
    xx, yy, xy = (rates[f"strain_rate_{component}"] for component in ("xx", "yy", "xy"))
    # As a sum of squares, so that rounding cannot make it negative.
    result = ((xx + 0.5 * yy) ** 2 + 0.75 * yy**2 + xy**2) ** 0.5
    result = result.rename("effective_strain_rate")
    result.attrs = {
        **xx.attrs,
        "long_name": "effective strain rate",
        "comment": "square root of u_x^2 + v_y^2 + u_x v_y + (u_y + v_x)^2 / 4 of the velocity by "
        "centred differences",
    }
    return result


def _velocity(
    dataset: xr.Dataset,
    variables: Mapping[str, str | None] | None,
    units: Mapping[str, str] | None,
) -> tuple[xr.DataArray, xr.DataArray, Axes]:
    """Find both components: m s-1 in float64, NaN where missing, bare but for coordinates."""
    check_roles(variables)
    components: list[xr.DataArray] = []
    problems: list[XdifficeError] = []
    for role in ("x_velocity", "y_velocity"):
        try:
            found = find([dataset], role, variables)
            if found is None:
                raise not_found([dataset], role)
            _, name = found
            components.append(_in_si(dataset[name], name, role, units))
        except XdifficeError as problem:
            problems.append(problem)
    raise_problems(problems)
    u, v = components
    axes = find_axes(u, dataset, units, notes=[])
    if axes.kind != "raster":
        raise CoordinateError(
            f"{u.name!r} lies on {axes.kind}, and strain rates are differences on a raster with "
            "one-dimensional x and y; fit the velocity and predict 'effective_strain_rate' instead"
        )
    if set(v.dims) != set(u.dims):
        raise CoordinateError(
            f"{u.name!r} has dims {u.dims} and {v.name!r} has dims {v.dims}; "
            "both components must be on the same grid"
        )
    grid = load_grid(axes, axes.x.values, axes.y.values)
    for dim, size in zip(axes.dims, grid.shape, strict=True):
        if size < 2:
            raise CoordinateError(f"dim {dim!r} has size {size}; a difference needs two pixels")
    missing = (u == 0) & (v == 0)  # the sign for "no data" of several products
    mapping = mapping_of(dataset[u.name], dataset)
    if mapping is not None:
        u.attrs["grid_mapping"] = mapping
    return u.where(~missing), v.where(~missing).transpose(*u.dims), axes


def _in_si(
    array: xr.DataArray, name: str, role: str, units: Mapping[str, str] | None
) -> xr.DataArray:
    """Decode and convert one component, in each block where it is made of blocks."""
    si = ROLES[role].si
    scale = factor(units_of(array, name, role, units, []), si, name)
    bare = array.copy(data=magnitude(array)).drop_attrs(deep=False)
    decoded: Any = xr.apply_ufunc(
        decode,
        bare,
        kwargs={"attrs": array.attrs, "name": name},
        dask="parallelized",
        output_dtypes=[np.float64],
    )
    converted: xr.DataArray = (decoded * scale).rename(name)
    return converted


def _derivative(field: xr.DataArray, axes: Axes, axis: str) -> xr.DataArray:
    """Differentiate along x or y, per metre; NaN where the pixel itself is missing, too."""
    coordinate = axes.x if axis == "x" else axes.y
    dim = str(coordinate.dims[0])
    size = field.sizes[dim]
    # int32 coordinates overflow and dask needs three pixels per chunk for a second-order edge.
    metres = xr.DataArray(coordinate.values.astype(np.float64) * axes.factor, dims=dim)
    if field.chunks is not None and min(field.chunksizes[dim]) < 3:
        field = field.chunk({dim: -1})
    slope = field.assign_coords({dim: metres}).differentiate(dim, edge_order=2 if size > 2 else 1)
    if dim in field.coords:
        slope = slope.assign_coords({dim: field.coords[dim]})
    else:
        slope = slope.drop_vars(dim)
    # A centred difference does not use the pixel in the middle.
    return slope.where(field.notnull())
