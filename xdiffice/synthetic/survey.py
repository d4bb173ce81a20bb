"""How a synthetic shelf is surveyed: its pixels, the noise and gaps, the units and the row order.

Hands on a `Grid`, and a `Survey` whose random numbers depend on nothing but the seed.
"""

from __future__ import annotations

from dataclasses import dataclass
from numbers import Integral, Real
from typing import TypedDict

import numpy as np
from scipy.ndimage import gaussian_filter

from xdiffice.errors import ParameterError, UnitsError
from xdiffice.observations.units import factor


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
class Survey:
    """How a shelf is observed; see `confined_shelf` for what the fields mean."""

    noise: float = 0.0
    thickness_noise: float = 0.0
    gaps: float = 0.0
    thickness_gaps: float = 0.0
    separate_grids: bool = False
    velocity_units: str = "m s-1"
    coordinate_units: str = "m"
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
        for name, si in (("velocity_units", "m s-1"), ("coordinate_units", "m")):
            if (units := getattr(self, name)) != si:
                try:
                    factor(units, si, name)
                except UnitsError as error:
                    raise ParameterError(str(error)) from error
        if self.error_variables and self.noise == 0 and self.thickness_noise == 0:
            raise ParameterError("error_variables needs noise or thickness_noise above zero.")
        if self.y_order not in ("ascending", "descending"):
            raise ParameterError(
                f"y_order must be 'ascending' or 'descending'; got {self.y_order!r}."
            )
        if not isinstance(self.seed, Integral) or self.seed < 0:
            raise ParameterError(f"seed must be an integer, 0 or more; got {self.seed!r}.")

    @property
    def velocity_factor(self) -> float:
        """How many of the velocity's units are 1 m s-1."""
        return _per_si(self.velocity_units, "m s-1")

    @property
    def coordinate_factor(self) -> float:
        """How many of the coordinates' units are 1 m."""
        return _per_si(self.coordinate_units, "m")

    def random(self, purpose: str) -> np.random.Generator:
        """Random numbers of one purpose, the same whatever else is asked for."""
        purposes = ("x_velocity", "y_velocity", "thickness", "gaps", "thickness_gaps")
        return np.random.default_rng([int(self.seed), purposes.index(purpose)])


def _per_si(units: str, si: str) -> float:
    # Without conversion there is no need to load the units' library.
    return 1.0 if units == si else 1.0 / factor(units, si, "units")


class SurveyOptions(TypedDict, total=False):
    """The fields of `Survey`, as keywords."""

    noise: float
    thickness_noise: float
    gaps: float
    thickness_gaps: float
    separate_grids: bool
    velocity_units: str
    coordinate_units: str
    y_order: str
    error_variables: bool
    seed: int


def blobs(where: np.ndarray, share: float, random: np.random.Generator) -> np.ndarray:
    """Pick blob-shaped areas, a twentieth of the grid wide or wider, that cover a share of `where`.

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
    field = gaussian_filter(random.standard_normal(where.shape), max(1.5, max(where.shape) / 40))
    candidates = np.flatnonzero(where)
    order = candidates[np.argsort(-field.ravel()[candidates], kind="stable")]
    picked = np.zeros(where.size, dtype=bool)
    picked[order[: round(share * candidates.size)]] = True
    return picked.reshape(where.shape)
