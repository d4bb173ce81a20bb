"""Fits that take a second: all of one size, so that the training is compiled once for all tests."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from xdiffice import SSAViscosityInverter
from xdiffice.synthetic import spreading_shelf

SMALL: dict[str, Any] = {
    "max_iterations": 30,
    "tolerance": 0.0,
    "progress": False,
    "width": 12,
    "depth": 2,
    "features": 12,
    "n_velocity": 400,
    "n_thickness": 300,
    "n_interior": 200,
    "n_front": 40,
    "resample_every": 50,
}


def inverter(**changes: Any) -> SSAViscosityInverter:
    return SSAViscosityInverter(**(SMALL | changes))


def disc(**survey: Any) -> xr.Dataset:
    """Return a disc of ice that drifts and spreads: 600 of 900 pixels, with front all around."""
    options = {"drift": (8e-6, -4e-6), "shape": (30, 30)} | survey
    return spreading_shelf(options.pop("shape"), **options)


def relative_error(result: xr.DataArray, truth: xr.DataArray) -> float:
    """L2 norm of the difference where the result is, over that of the truth."""
    truth = truth.where(result.notnull())
    assert bool(result.notnull().any())
    return float(np.sqrt(((result - truth) ** 2).sum() / (truth**2).sum()))
