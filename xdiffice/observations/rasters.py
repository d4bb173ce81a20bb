"""What a result says of the ice: its fields on rasters in SI units, and its constants.

Whoever solves the equations anew with an inferred viscosity reads it here.
"""

from __future__ import annotations

import numpy as np
import xarray as xr

from xdiffice.errors import CoordinateError, VariableNotFoundError
from xdiffice.observations.axes import find_axes, load_grid
from xdiffice.observations.units import factor, magnitude, units_of
from xdiffice.physics.constants import PhysicalConstants

ONE, TWO = ["viscosity"], ["viscosity_horizontal", "viscosity_vertical"]


def viscosities_of(result: xr.Dataset) -> dict[str, xr.DataArray]:
    """Read the viscosity of a result, or both of anisotropic ice, by name, in Pa s.

    Raises
    ------
    VariableNotFoundError
        It has neither one nor both.
    CoordinateError, UnitsError
        As `raster_of`.
    """
    names = [name for name in (*ONE, *TWO) if name in result]
    if names not in (ONE, TWO):
        raise VariableNotFoundError(
            "the result needs 'viscosity', or 'viscosity_horizontal' and 'viscosity_vertical'; it "
            f"has {', '.join(map(repr, result.data_vars)) or 'no variables'}"
        )
    return {name: raster_of(result, name, "Pa s") for name in names}


def constants_of(result: xr.Dataset) -> PhysicalConstants:
    """Take the constants with which a viscosity was inferred, where the result tells them."""
    known = ("ice_density", "sea_water_density", "gravity")
    given = {name: float(result.attrs[name]) for name in known if name in result.attrs}
    return PhysicalConstants(**given)


def raster_of(result: xr.Dataset, name: str, si: str) -> xr.DataArray:
    """Read one variable of a result.

    Parameters
    ----------
    result : Dataset
        A prediction, or another Dataset with fields on rasters.
    name : str
        Of the variable.
    si : str
        Units that it is wanted in.

    Returns
    -------
    DataArray
        In float64 on dims ``(y, x)``.

    Raises
    ------
    VariableNotFoundError, CoordinateError, UnitsError
        It is not there, not on a raster, or in units of something else.
    """
    if name not in result:
        raise VariableNotFoundError(f"the result has no variable {name!r}; predict it as well")
    array = result[name]
    axes = find_axes(array, result, None, notes=[])
    if axes.kind != "raster" or set(axes.dims) != set(array.dims):
        raise CoordinateError(
            f"{name!r} of the result is on {axes.kind} with dims {array.dims}; it is needed "
            "on a raster of x and y: predict on a grid"
        )
    load_grid(axes, axes.x.values, axes.y.values)
    scale = factor(units_of(array, name, name, None, []), si, name)
    array = array.transpose(*axes.dims)
    return xr.DataArray(
        scale * np.asarray(magnitude(array), np.float64),
        dims=("y", "x"),
        coords={
            "y": axes.factor * np.asarray(axes.y.values, np.float64),
            "x": axes.factor * np.asarray(axes.x.values, np.float64),
        },
    )
