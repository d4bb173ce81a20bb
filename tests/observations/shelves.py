"""Small hand-made shelves with u = a x, v = a y: the user's Datasets that the tests start from."""

from __future__ import annotations

import numpy as np
import xarray as xr

RATE = 1e-9  # s-1; 50 km from the divide: 1578 m/yr


def shelf(n_x: int = 24, n_y: int = 18, spacing: float = 2000.0) -> xr.Dataset:
    """Return a rectangular shelf on one grid, in SI, with its front at the largest x."""
    x = 10e3 + spacing * np.arange(n_x)
    y = -20e3 + spacing * np.arange(n_y)
    X, Y = np.meshgrid(x, y)
    y_front = np.linspace(y[0], y[-1], 40)
    return xr.Dataset(
        {
            "x_velocity": (("y", "x"), RATE * X, velocity_attrs("x")),
            "y_velocity": (("y", "x"), RATE * Y, velocity_attrs("y")),
            "thickness": (
                ("y", "x"),
                400.0 - 1e-3 * X + 5e-4 * Y,
                {"units": "m", "standard_name": "land_ice_thickness", "long_name": "thickness"},
            ),
            "x_front": ("front", np.full(40, x[-1]), {"units": "m"}),
            "y_front": ("front", y_front, {"units": "m"}),
            "x_normal": ("front", np.ones(40), {"units": "1"}),
            "y_normal": ("front", np.zeros(40), {"units": "1"}),
        },
        coords={
            "x": ("x", x, coordinate_attrs("x")),
            "y": ("y", y, coordinate_attrs("y")),
        },
        attrs={"Conventions": "CF-1.11", "history": "made by hand"},
    )


def velocity_attrs(axis: str) -> dict[str, str]:
    return {"units": "m s-1", "standard_name": f"land_ice_vertical_mean_{axis}_velocity"}


def coordinate_attrs(axis: str) -> dict[str, str]:
    return {
        "units": "m",
        "standard_name": f"projection_{axis}_coordinate",
        "axis": axis.upper(),
    }
