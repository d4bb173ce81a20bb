"""How a known shelf would be observed: on which grids, how noisy, with what gaps, in what units.

Hands on a CF Dataset that holds the observations and the truth.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from numbers import Integral, Real

import numpy as np
import xarray as xr
from scipy.ndimage import gaussian_filter

from xdiffice.errors import ParameterError
from xdiffice.physics.constants import SECONDS_PER_YEAR, PhysicalConstants
from xdiffice.synthetic.fields import FieldFunction
from xdiffice.synthetic.fronts import Front

VELOCITY_UNITS = {"m s-1": 1.0, "m yr-1": SECONDS_PER_YEAR, "m d-1": 86400.0}
"""How many of a unit are one m s-1."""

THICKNESS_SPACING = 1.3
"""Spacing of the thickness' own grid, in pixels of velocity."""


@dataclass(frozen=True)
class Grid:
    """Pixels of a rectangle: limits in m, and number of pixels along y and x."""

    x_limits: tuple[float, float]
    y_limits: tuple[float, float]
    shape: tuple[int, int]

    def __post_init__(self) -> None:
        valid = isinstance(self.shape, tuple | list) and len(self.shape) == 2
        if not (valid and all(isinstance(n, Integral) and n >= 2 for n in self.shape)):
            raise ParameterError(
                f"shape must be two integers (n_y, n_x), at least 2 each; got {self.shape!r}."
            )

    @property
    def spacing(self) -> tuple[float, float]:
        """Size of a pixel along y and x, m."""
        n_y, n_x = self.shape
        return (
            (self.y_limits[1] - self.y_limits[0]) / n_y,
            (self.x_limits[1] - self.x_limits[0]) / n_x,
        )

    @property
    def x(self) -> np.ndarray:
        """Pixel centres, ascending, m."""
        return self.x_limits[0] + (np.arange(self.shape[1]) + 0.5) * self.spacing[1]

    @property
    def y(self) -> np.ndarray:
        """Pixel centres, ascending, m."""
        return self.y_limits[0] + (np.arange(self.shape[0]) + 0.5) * self.spacing[0]

    def coarser(self, factor: float) -> Grid:
        """Make a grid of the same rectangle with pixels about `factor` times as large."""
        n_y, n_x = (max(2, round(n / factor)) for n in self.shape)
        return Grid(self.x_limits, self.y_limits, (n_y, n_x))


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
    front : Front
        The calving front.
    anisotropic : bool
        Whether μ_h and μ_v differ.
    """

    velocity: Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]
    thickness: FieldFunction
    viscosity: Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]
    contains: Callable[[np.ndarray, np.ndarray], np.ndarray]
    front: Front
    anisotropic: bool


@dataclass(frozen=True)
class Survey:
    """How a shelf is observed; see `confined_shelf` for what the fields mean."""

    noise: float = 0.0
    thickness_noise: float = 0.0
    gaps: float = 0.0
    thickness_gaps: float = 0.0
    separate_grids: bool = False
    velocity_units: str = "m s-1"
    y_order: str = "ascending"
    error_variables: bool = False
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("noise", "thickness_noise", "gaps", "thickness_gaps"):
            value = getattr(self, name)
            share = isinstance(value, Real) and 0 <= float(value) < np.inf
            if not share or ("gaps" in name and value >= 1):
                allowed = "a share from 0 to below 1" if "gaps" in name else "a share, 0 or more"
                raise ParameterError(f"{name} must be {allowed}; got {value!r}.")
        if self.velocity_units not in VELOCITY_UNITS:
            known = ", ".join(map(repr, VELOCITY_UNITS))
            raise ParameterError(
                f"velocity_units must be one of {known}; got {self.velocity_units!r}."
            )
        if self.y_order not in ("ascending", "descending"):
            raise ParameterError(
                f"y_order must be 'ascending' or 'descending'; got {self.y_order!r}."
            )
        if not isinstance(self.seed, Integral) or self.seed < 0:
            raise ParameterError(f"seed must be an integer, 0 or more; got {self.seed!r}.")

    def random(self, purpose: str) -> np.random.Generator:
        """Random numbers of one purpose, the same whatever else is asked for."""
        purposes = ("x_velocity", "y_velocity", "thickness", "gaps", "thickness_gaps")
        return np.random.default_rng([int(self.seed), purposes.index(purpose)])


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
    viscosities = truth.viscosity(x, y)
    for name, values, what in zip(
        ("viscosity_horizontal", "viscosity_vertical") if truth.anisotropic else ("viscosity",),
        viscosities,
        ("horizontal effective viscosity", "vertical effective viscosity"),
        strict=False,
    ):
        long_name = f"true {what}" if truth.anisotropic else "true effective viscosity"
        attrs = {"units": "Pa s", "long_name": long_name}
        variables[name] = (("y", "x"), np.where(on_shelf, values, np.nan), attrs)
    if not on_shelf.all():
        variables["mask"] = (("y", "x"), np.where(on_shelf, 3, 0).astype("int8"), _MASK_ATTRS)
    variables |= _thickness(truth, grid, survey)
    variables |= _front(truth.front)

    coordinates = {"x": ("x", grid.x, _axis("X")), "y": ("y", grid.y, _axis("Y"))}
    if survey.separate_grids:
        own = grid.coarser(THICKNESS_SPACING)
        coordinates |= {"x_h": ("x_h", own.x, _axis("X")), "y_h": ("y_h", own.y, _axis("Y"))}
    ds = xr.Dataset(variables, coordinates, _global_attrs(title, constants, survey))
    if survey.y_order == "descending":
        ds = ds.isel({dim: slice(None, None, -1) for dim in ("y", "y_h") if dim in ds.dims})
    return ds


_MASK_ATTRS = {
    "long_name": "surface type",
    "flag_values": np.array([0, 3], dtype="int8"),
    "flag_meanings": "not_shelf floating_ice",
}


def _velocity(
    truth: Truth, x: np.ndarray, y: np.ndarray, on_shelf: np.ndarray, survey: Survey
) -> dict:
    """Both components, with noise, gaps and units, and their errors where wanted."""
    u, v = (np.where(on_shelf, component, np.nan) for component in truth.velocity(x, y))
    deviation = survey.noise * float(np.sqrt(np.nanmean(u**2 + v**2)))
    valid = on_shelf & ~blobs(on_shelf, survey.gaps, survey.random("gaps"))
    factor = VELOCITY_UNITS[survey.velocity_units]
    variables = {}
    for axis, component in (("x", u), ("y", v)):
        name = f"{axis}_velocity"
        noise = deviation * survey.random(name).standard_normal(x.shape)
        attrs = {
            "standard_name": f"land_ice_vertical_mean_{axis}_velocity",
            "long_name": f"depth-averaged ice velocity along {axis}",
            "units": survey.velocity_units,
        }
        values = np.where(valid, component + noise, np.nan) * factor
        variables[name] = (("y", "x"), values, attrs)
        if survey.error_variables:
            variables |= _error(name, values, deviation * factor, attrs, ("y", "x"))
    return variables


def _thickness(truth: Truth, grid: Grid, survey: Survey) -> dict:
    """Thickness on the velocity's grid or its own, with noise and gaps."""
    own = grid.coarser(THICKNESS_SPACING) if survey.separate_grids else grid
    dims = ("y_h", "x_h") if survey.separate_grids else ("y", "x")
    x, y = np.meshgrid(own.x, own.y)
    on_shelf = truth.contains(x, y)
    h = np.full(x.shape, np.nan)
    h[on_shelf] = truth.thickness(x[on_shelf], y[on_shelf])
    deviation = survey.thickness_noise * float(np.nanmean(h))
    valid = on_shelf & ~blobs(on_shelf, survey.thickness_gaps, survey.random("thickness_gaps"))
    noise = deviation * survey.random("thickness").standard_normal(h.shape)
    attrs = {"standard_name": "land_ice_thickness", "long_name": "ice thickness", "units": "m"}
    values = np.where(valid, h + noise, np.nan)
    variables = {"thickness": (dims, values, attrs)}
    if survey.error_variables:
        variables |= _error("thickness", values, deviation, attrs, dims)
    return variables


def _error(
    name: str, values: np.ndarray, deviation: float, attrs: dict, dims: tuple[str, str]
) -> dict:
    """Make the error variable of a variable, and tell the variable of it."""
    error_attrs = {
        "standard_name": f"{attrs['standard_name']} standard_error",
        "long_name": f"standard error of {attrs['long_name']}",
        "units": attrs["units"],
    }
    attrs["ancillary_variables"] = f"{name}_error"
    errors = np.where(np.isfinite(values), deviation, np.nan)
    return {f"{name}_error": (dims, errors, error_attrs)}


def blobs(where: np.ndarray, share: float, random: np.random.Generator) -> np.ndarray:
    """Pick blob-shaped areas, about a twelfth of the grid wide, that cover a share of `where`.

    Parameters
    ----------
    where : ndarray of bool, shape (n_y, n_x)
        Pixels to choose from.
    share : float
        Share of them to pick; met to one pixel.
    random : numpy.random.Generator
        Decides where.

    Returns
    -------
    ndarray of bool, shape (n_y, n_x)
    """
    field = gaussian_filter(random.standard_normal(where.shape), max(where.shape) / 40)
    candidates = np.flatnonzero(where)
    order = candidates[np.argsort(-field.ravel()[candidates], kind="stable")]
    picked = np.zeros(where.size, dtype=bool)
    picked[order[: round(share * candidates.size)]] = True
    return picked.reshape(where.shape)


def _front(front: Front) -> dict:
    values = {
        "x_front": (front.x, "m", "x of the calving front"),
        "y_front": (front.y, "m", "y of the calving front"),
        "x_normal": (front.n_x, "1", "x component of the front's outward unit normal"),
        "y_normal": (front.n_y, "1", "y component of the front's outward unit normal"),
    }
    return {
        name: ("front", array, {"units": units, "long_name": long_name})
        for name, (array, units, long_name) in values.items()
    }


def _axis(axis: str) -> dict:
    name = axis.lower()
    return {
        "standard_name": f"projection_{name}_coordinate",
        "long_name": f"{name} of the pixel centres",
        "units": "m",
        "axis": axis,
    }


def _global_attrs(title: str, constants: PhysicalConstants, survey: Survey) -> dict:
    return {
        "Conventions": "CF-1.11",
        "title": title,
        "source": "synthetic",
        "ice_density": constants.ice_density,
        "sea_water_density": constants.sea_water_density,
        "gravity": constants.gravity,
        "noise": float(survey.noise),
        "thickness_noise": float(survey.thickness_noise),
        "seed": int(survey.seed),
    }
