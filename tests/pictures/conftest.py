"""A small result, and what it is from."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

YEAR = 365.25 * 86400.0


@pytest.fixture
def result():
    """A result on a 3 x 4 grid in m whose y descends; speed is 500 m/yr everywhere."""
    dims = ("y", "x")
    ones = np.ones((3, 4))
    viscosity = 1e14 * np.arange(1.0, 13.0).reshape(3, 4)
    viscosity[0, 0] = np.nan
    return xr.Dataset(
        {
            "viscosity": (dims, viscosity, {"units": "Pa s"}),
            "x_velocity": (dims, 300.0 / YEAR * ones, {"units": "m s-1"}),
            "y_velocity": (dims, 400.0 / YEAR * ones, {"units": "m s-1"}),
            "thickness": (dims, 0.3 * ones, {"units": "km"}),
            "effective_strain_rate": (dims, 1e-10 * ones, {"units": "s-1"}),
        },
        coords={
            "x": ("x", [0.0, 1000.0, 2000.0, 3000.0], {"units": "m"}),
            "y": ("y", [5000.0, 4000.0, 3000.0], {"units": "m"}),
        },
    )


@pytest.fixture
def observed(result):
    """What the result is from: speed 10 % greater, in m/yr; thickness on three points, in m."""
    velocity = result[["x_velocity", "y_velocity"]] * (1.1 * YEAR)
    for name in velocity:
        velocity[name].attrs["units"] = "m yr-1"
    points = {"x": ("p", [500.0, 1500.0, 2500.0]), "y": ("p", [4500.0, 4000.0, 3500.0])}
    flown = xr.DataArray([290.0, 300.0, 320.0], dims="p", coords=points, attrs={"units": "m"})
    for name in "xy":
        flown[name].attrs["units"] = "m"
    front = {name: ("front", [1.0, 2.0], {"units": "km"}) for name in ("x_front", "y_front")}
    normals = {name: ("front", [1.0, 1.0], {"units": "1"}) for name in ("x_normal", "y_normal")}
    return velocity.assign(front | normals), flown.rename("thickness")
