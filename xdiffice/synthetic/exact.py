"""Shelves for which the viscosity has a formula: stretching along x, and spreading evenly.

Hands on CF Datasets with the observations, the calving front and the exact viscosity.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Unpack

import numpy as np
import xarray as xr

from xdiffice.errors import ParameterError
from xdiffice.forward.fields import (
    Field,
    FieldFunction,
    as_function,
    check_pair,
    check_positive,
)
from xdiffice.forward.fronts import front_points
from xdiffice.forward.meshes import level_set_mesh
from xdiffice.observations.points import FrontPoints
from xdiffice.physics.constants import PhysicalConstants
from xdiffice.synthetic.datasets import Truth, observe
from xdiffice.synthetic.survey import Grid, Survey, SurveyOptions

Profile = Callable[[np.ndarray], np.ndarray]
"""A function of x (m) alone, in SI units."""

MARGIN = 1.05
"""Half the side of the grid around a spreading shelf, in radii."""


def uniaxial_shelf(
    shape: tuple[int, int] = (100, 160),
    *,
    length: float = 80e3,
    width: float = 50e3,
    velocity: Profile | None = None,
    velocity_gradient: Profile | None = None,
    lateral_rate: float = 3e-10,
    thickness: float | Profile | None = None,
    rheology: str = "isotropic",
    vertical_ratio: float = 0.5,
    constants: PhysicalConstants | None = None,
    **survey: Unpack[SurveyOptions],
) -> xr.Dataset:
    r"""Make a shelf that stretches along x: u = u(x), v = b y, h = h(x), front at x = `length`.

    Its along-flow stress is :math:`\tfrac12\rho g' h` everywhere, so that

    .. math:: \mu = \frac{\rho g' h}{4\,(2 u_x + b)}

    solves the momentum equations and the front condition exactly, for any u and h (as the
    spreading shelf of Weertman 1957, doi 10.3189/S0022143000024710, with unequal rates). For
    anisotropic ice :math:`\mu_h = \rho g' h / (4 (u_x + r (u_x + b)))`, :math:`\mu_v = r\mu_h`.

    Parameters
    ----------
    shape : tuple of int
        Number of pixels along y and x.
    length, width : float
        Size of the shelf, m: x from 0 to `length`, y from -`width`/2 to `width`/2.
    velocity, velocity_gradient : callable, optional
        u(x) in m s-1 and its derivative in s-1, for x in m; both or none.
    lateral_rate : float
        b, s-1.
    thickness : float or callable, optional
        h, or h(x), m.
    rheology : {"isotropic", "anisotropic"}
        Whether the Dataset has one viscosity or two. Only one combination of the two matters to
        this flow.
    vertical_ratio : float
        r = μ_v / μ_h of anisotropic ice.
    constants : PhysicalConstants, optional
        Densities and gravity.
    **survey
        ``noise``, ``thickness_noise``, ``gaps``, ``thickness_gaps``, ``separate_grids``,
        ``velocity_units``, ``coordinate_units``, ``y_order``, ``error_variables``, ``seed``: as in
        `confined_shelf`.

    Returns
    -------
    xarray.Dataset
        As from `confined_shelf`.

    Raises
    ------
    ParameterError
        If a parameter has a value that it cannot have, or the viscosity would not be positive.
    """
    check_positive(length=length, width=width)
    how, ratio = Survey(**survey), _ratio(rheology, vertical_ratio)
    constants = constants or PhysicalConstants()
    if (velocity is None) != (velocity_gradient is None):
        raise ParameterError("give both velocity and velocity_gradient, or none of them.")
    u = _along(velocity or (lambda x: 1e-5 + 6e-10 * x + 4e-6 * np.sin(4 * x / length)), "velocity")
    u_x = _along(
        velocity_gradient or (lambda x: 6e-10 + 1.6e-5 / length * np.cos(4 * x / length)),
        "velocity_gradient",
    )
    h = _along(thickness or (lambda x: 480.0 - 280.0 * np.sin(1.4 * x / length)), "thickness", True)
    b = float(lateral_rate)

    def viscosity(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        rate = u_x(x, y) + ratio * (u_x(x, y) + b)
        if rate.min() <= 0:
            raise ParameterError(
                "the viscosity is positive only where the shelf stretches: 2 u_x + b > 0 "
                f"(anisotropic: u_x + r (u_x + b) > 0); the least value is {rate.min():g} s-1."
            )
        horizontal = constants.driving_weight * h(x, y) / (4 * rate)
        return horizontal, ratio * horizontal

    grid = Grid((0.0, float(length)), (-width / 2, width / 2), shape)
    along_front = np.ones_like(grid.y)
    truth = Truth(
        velocity=lambda x, y: (u(x, y), b * y),
        thickness=h,
        viscosity=viscosity,
        contains=lambda x, y: np.ones(np.shape(x), dtype=bool),
        front=FrontPoints(length * along_front, grid.y, along_front, 0.0 * along_front),
        anisotropic=rheology == "anisotropic",
    )
    title = f"Synthetic ice shelf that stretches along x, {rheology}"
    return observe(truth, grid, how, title, constants)


def spreading_shelf(
    shape: tuple[int, int] = (120, 120),
    *,
    radius: float = 50e3,
    rate: float = 5e-10,
    drift: tuple[float, float] = (0.0, 0.0),
    thickness: Field | None = None,
    mask: FieldFunction | None = None,
    rheology: str = "isotropic",
    vertical_ratio: float = 0.5,
    constants: PhysicalConstants | None = None,
    **survey: Unpack[SurveyOptions],
) -> xr.Dataset:
    r"""Make a shelf that spreads evenly: u = a x, v = a y, any h(x, y), a front of any shape.

    Its stress is the pressure :math:`\tfrac12\rho g' h` in all directions, so that

    .. math:: \mu = \frac{\rho g' h}{12 a}

    solves the momentum equations, and the front condition on any front, exactly. For anisotropic
    ice :math:`\mu_h + 2\mu_v = \rho g' h / (4 a)`.

    Parameters
    ----------
    shape : tuple of int
        Number of pixels along y and x of a square around the origin, 2.1 radii wide.
    radius : float
        Radius of the shelf, m.
    rate : float
        a, s-1.
    drift : pair of float
        Velocity of the shelf's centre, m s-1.
    thickness : float, callable or xarray.DataArray, optional
        h(x, y), m, for x and y in m.
    mask : callable, optional
        ``mask(x, y)``, positive or True on the shelf: a part of the square, of any shape, with
        front all around, instead of the disc. Its front has points and normals of straight edges.
    rheology : {"isotropic", "anisotropic"}
        Whether the Dataset has one viscosity or two. Only μ_h + 2 μ_v matters to this flow.
    vertical_ratio : float
        r = μ_v / μ_h of anisotropic ice.
    constants : PhysicalConstants, optional
        Densities and gravity.
    **survey
        ``noise``, ``thickness_noise``, ``gaps``, ``thickness_gaps``, ``separate_grids``,
        ``velocity_units``, ``coordinate_units``, ``y_order``, ``error_variables``, ``seed``: as in
        `confined_shelf`.

    Returns
    -------
    xarray.Dataset
        As from `confined_shelf`.

    Raises
    ------
    ParameterError
        If a parameter has a value that it cannot have.
    """
    check_positive(radius=radius, rate=rate)
    check_pair(drift, "drift", "(u, v)")
    how, ratio = Survey(**survey), _ratio(rheology, vertical_ratio)
    constants = constants or PhysicalConstants()
    if thickness is None:

        def thickness(x: np.ndarray, y: np.ndarray) -> np.ndarray:
            bumps = 0.15 * np.sin(3 * x / radius + 0.5) * np.cos(2 * y / radius)
            values: np.ndarray = 420.0 * (1 + bumps - 0.4 * (x**2 + y**2) / radius**2)
            return values

    h = as_function(thickness, "thickness", positive=True)

    def viscosity(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        horizontal = constants.driving_weight * h(x, y) / (4 * rate * (1 + 2 * ratio))
        return horizontal, ratio * horizontal

    limits = (-MARGIN * radius, MARGIN * radius)
    grid = Grid(limits, limits, shape)
    truth = Truth(
        velocity=lambda x, y: (drift[0] + rate * x, drift[1] + rate * y),
        thickness=h,
        viscosity=viscosity,
        contains=_inside(mask) if mask else (lambda x, y: np.hypot(x, y) < radius),
        front=_rim(mask, grid) if mask else _circle(radius, min(grid.spacing)),
        anisotropic=rheology == "anisotropic",
    )
    return observe(
        truth, grid, how, f"Synthetic ice shelf that spreads evenly, {rheology}", constants
    )


def _ratio(rheology: str, vertical_ratio: float) -> float:
    """μ_v / μ_h: one for isotropic ice."""
    if rheology not in ("isotropic", "anisotropic"):
        raise ParameterError(f"rheology must be 'isotropic' or 'anisotropic'; got {rheology!r}.")
    check_positive(vertical_ratio=vertical_ratio)
    return 1.0 if rheology == "isotropic" else float(vertical_ratio)


def _along(profile: float | Profile, name: str, positive: bool = False) -> FieldFunction:
    """Make a checked function of (x, y) of one of x."""
    field = (lambda x, y: profile(x)) if callable(profile) else profile
    return as_function(field, name, positive=positive)


def _inside(mask: FieldFunction) -> FieldFunction:
    def contains(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        values = np.asarray(mask(x, y))
        inside: np.ndarray = values if values.dtype == bool else values > 0
        return inside

    return contains


def _circle(radius: float, spacing: float) -> FrontPoints:
    n = int(np.ceil(2 * np.pi * radius / spacing))
    angle = 2 * np.pi * np.arange(n) / n
    n_x, n_y = np.cos(angle), np.sin(angle)
    return FrontPoints(radius * n_x, radius * n_y, n_x, n_y)


def _rim(mask: FieldFunction, grid: Grid) -> FrontPoints:
    spacing = min(grid.spacing)
    mesh = level_set_mesh(mask, grid.x_limits, grid.y_limits, spacing)
    return front_points(mesh, mesh.boundary_facets(), spacing)
