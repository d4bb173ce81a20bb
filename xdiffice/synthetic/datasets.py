"""What a survey of a shelf of which everything is known would see.

Hands on a CF Dataset that holds the observations and the truth.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr

from xdiffice.errors import ParameterError
from xdiffice.forward.fields import FieldFunction
from xdiffice.observations.conventions import conforming
from xdiffice.observations.points import FrontPoints
from xdiffice.physics.constants import PhysicalConstants
from xdiffice.synthetic.survey import Grid, Survey, blobs

NOT_SHELF, FLOATING_ICE = 0, 3
"""Flags of the mask, as BedMachine has them."""

THICKNESS_SPACING = 1.3
"""Spacing of the thickness' own grid, in pixels of velocity."""


@dataclass(frozen=True)
class Truth:
    """A shelf of which everything is known, in SI units.

    Parameters
    ----------
    velocity : callable
        ``velocity(x, y)``: u and v, m s-1.
    thickness : callable
        ``thickness(x, y)``, m.
    viscosity : callable
        ``viscosity(x, y)``: μ_h and μ_v, Pa s.
    contains : callable
        ``contains(x, y)``: whether a position is on the shelf.
    front : FrontPoints
        The calving front.
    anisotropic : bool
        Whether μ_h and μ_v differ.
    """

    velocity: Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]
    thickness: FieldFunction
    viscosity: Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]
    contains: Callable[[np.ndarray, np.ndarray], np.ndarray]
    front: FrontPoints
    anisotropic: bool


def observe(
    truth: Truth, grid: Grid, survey: Survey, title: str, constants: PhysicalConstants
) -> xr.Dataset:
    """Observe a shelf.

    Returns
    -------
    xarray.Dataset
        ``x_velocity``, ``y_velocity``, the truth (``viscosity``, or ``viscosity_horizontal`` and
        ``viscosity_vertical``, free of noise and gaps) and ``mask`` on (y, x); ``thickness`` on
        (y, x) or (y_h, x_h); ``x_front, y_front, x_normal, y_normal`` on front.
    """
    x, y = np.meshgrid(grid.x, grid.y)
    on_shelf = truth.contains(x, y)
    if not on_shelf.any():
        raise ParameterError("no pixel centre lies on the shelf; use more pixels.")
    variables = _velocity(truth, x, y, on_shelf, survey)
    variables |= _true_viscosity(truth, x, y, on_shelf)
    if not on_shelf.all():
        flags = np.where(on_shelf, FLOATING_ICE, NOT_SHELF).astype("int8")
        attrs = {
            "long_name": "surface type",
            "flag_values": np.array([NOT_SHELF, FLOATING_ICE], dtype="int8"),
            "flag_meanings": "not_shelf floating_ice",
        }
        variables["mask"] = (("y", "x"), flags, attrs)
    variables |= _thickness(truth, grid, survey)
    variables |= _front(truth.front, survey)
    ds = xr.Dataset(variables, _coordinates(grid, survey))
    if survey.y_order == "descending":
        ds = ds.isel({dim: slice(None, None, -1) for dim in ("y", "y_h") if dim in ds.dims})
    return conforming(ds, _attrs(title, constants, survey))


def _where(
    on_shelf: np.ndarray, values: np.ndarray | tuple[np.ndarray, ...]
) -> tuple[np.ndarray, ...]:
    """Put values of the shelf's pixels on the grid, NaN elsewhere."""
    components = np.atleast_2d(np.asarray(values))
    grids = np.full((len(components), *on_shelf.shape), np.nan)
    grids[:, on_shelf] = components
    return tuple(grids)


def _true_viscosity(
    truth: Truth, x: np.ndarray, y: np.ndarray, on_shelf: np.ndarray
) -> dict[str, Any]:
    """One variable, or two where ice is anisotropic; free of noise and gaps."""
    horizontal, vertical = _where(on_shelf, truth.viscosity(x[on_shelf], y[on_shelf]))
    values = {"viscosity": (horizontal, "true effective viscosity")}
    if truth.anisotropic:
        values = {
            "viscosity_horizontal": (horizontal, "true horizontal effective viscosity"),
            "viscosity_vertical": (vertical, "true vertical effective viscosity"),
        }
    return {
        name: (("y", "x"), array, {"units": "Pa s", "long_name": long_name})
        for name, (array, long_name) in values.items()
    }


def _velocity(
    truth: Truth, x: np.ndarray, y: np.ndarray, on_shelf: np.ndarray, survey: Survey
) -> dict[str, Any]:
    """Both components, with noise, gaps and units, and their errors where wanted."""
    u, v = _where(on_shelf, truth.velocity(x[on_shelf], y[on_shelf]))
    deviation = survey.noise * float(np.sqrt(np.nanmean(u**2 + v**2)))
    valid = on_shelf & ~blobs(on_shelf, survey.gaps, survey.random("gaps"))
    variables = {}
    for axis, component in (("x", u), ("y", v)):
        name = f"{axis}_velocity"
        noise = deviation * survey.random(name).standard_normal(x.shape)
        attrs = {
            "standard_name": f"land_ice_vertical_mean_{axis}_velocity",
            "long_name": f"depth-averaged ice velocity along {axis}",
            "units": survey.velocity_units,
        }
        values = np.where(valid, component + noise, np.nan) * survey.velocity_factor
        variables[name] = (("y", "x"), values, attrs)
        if survey.error_variables and deviation > 0:
            error = deviation * survey.velocity_factor
            variables |= _error(name, values, error, attrs, ("y", "x"))
    return variables


def _thickness(truth: Truth, grid: Grid, survey: Survey) -> dict[str, Any]:
    """Thickness on the velocity's grid or its own, with noise and gaps."""
    own = grid.coarser(THICKNESS_SPACING) if survey.separate_grids else grid
    dims = ("y_h", "x_h") if survey.separate_grids else ("y", "x")
    x, y = np.meshgrid(own.x, own.y)
    on_shelf = truth.contains(x, y)
    (h,) = _where(on_shelf, truth.thickness(x[on_shelf], y[on_shelf]))
    deviation = survey.thickness_noise * float(np.nanmean(h))
    valid = on_shelf & ~blobs(on_shelf, survey.thickness_gaps, survey.random("thickness_gaps"))
    noise = deviation * survey.random("thickness").standard_normal(h.shape)
    attrs = {"standard_name": "land_ice_thickness", "long_name": "ice thickness", "units": "m"}
    values = np.where(valid, h + noise, np.nan)
    variables = {"thickness": (dims, values, attrs)}
    if survey.error_variables and deviation > 0:
        variables |= _error("thickness", values, deviation, attrs, dims)
    return variables


def _error(
    name: str, values: np.ndarray, deviation: float, attrs: dict[str, str], dims: tuple[str, str]
) -> dict[str, Any]:
    """Make the error variable of a variable, and tell the variable of it."""
    error_attrs = {
        "standard_name": f"{attrs['standard_name']} standard_error",
        "long_name": f"standard error of {attrs['long_name']}",
        "units": attrs["units"],
    }
    attrs["ancillary_variables"] = f"{name}_error"
    errors = np.where(np.isfinite(values), deviation, np.nan)
    return {f"{name}_error": (dims, errors, error_attrs)}


def _front(front: FrontPoints, survey: Survey) -> dict[str, Any]:
    units, factor = survey.coordinate_units, survey.coordinate_factor
    values = {
        "x_front": (front.x * factor, units, "x of the calving front"),
        "y_front": (front.y * factor, units, "y of the calving front"),
        "x_normal": (front.n_x, "1", "x component of the front's outward unit normal"),
        "y_normal": (front.n_y, "1", "y component of the front's outward unit normal"),
    }
    return {
        name: ("front", array, {"units": units, "long_name": long_name})
        for name, (array, units, long_name) in values.items()
    }


def _coordinates(grid: Grid, survey: Survey) -> dict[str, Any]:
    """Pixel centres of the velocity, and of the thickness where it has its own grid."""
    grids = {"x": grid.x, "y": grid.y}
    if survey.separate_grids:
        own = grid.coarser(THICKNESS_SPACING)
        grids |= {"x_h": own.x, "y_h": own.y}
    coordinates = {}
    for name, values in grids.items():
        axis = name[0]
        attrs = {
            "standard_name": f"projection_{axis}_coordinate",
            "long_name": f"{axis} of the pixel centres",
            "units": survey.coordinate_units,
            "axis": axis.upper(),
        }
        coordinates[name] = (name, values * survey.coordinate_factor, attrs)
    return coordinates


def _attrs(title: str, constants: PhysicalConstants, survey: Survey) -> dict[str, Any]:
    return {
        "title": title,
        "source": "synthetic",
        "history": "made by xdiffice.synthetic",
        "ice_density": constants.ice_density,
        "sea_water_density": constants.sea_water_density,
        "gravity": constants.gravity,
        "noise": float(survey.noise),
        "thickness_noise": float(survey.thickness_noise),
        "seed": int(survey.seed),
    }
