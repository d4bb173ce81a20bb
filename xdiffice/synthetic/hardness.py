"""Hardness of ice as shelves may have it: patches, and bent bands of damage.

Hands on a function of position whose random numbers depend on nothing but the seed.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any

import numpy as np
import xarray as xr
from scipy.spatial import cKDTree

from xdiffice.errors import ParameterError, UnitsError
from xdiffice.forward.fields import Field, FieldFunction, as_function, check_positive
from xdiffice.observations.points import Domain
from xdiffice.observations.rasters import raster_of
from xdiffice.synthetic.noise import random_numbers

N_PATCHES = 12
PATCH_SIZES = (0.04, 0.125)  # standard deviation of a patch, over the longer side of the shelf
BAND_LENGTHS = (0.2, 0.45)  # over the longer side of the shelf
BEND = 1.2  # radians by which a band turns, at most
POINTS_OF_BAND = 400

VARIATION, DAMAGE_BANDS, DAMAGE_FACTOR, DAMAGE_WIDTH = 0.3, 5, 0.25, 0.04
"""Patches, bands, what is left of B in them, how wide over the side of a square as large."""


@dataclass(frozen=True)
class Disorder:
    """Patches of harder and softer ice, and bands of damage.

    Parameters
    ----------
    x, y, spread, height : ndarray, shape (n,)
        Middles of the patches (m), their standard deviations (m), and the change of log B.
    bands : ndarray, shape (m, 2)
        Points along all bands, m.
    width : float
        Of a band, m.
    factor : float
        By which B is lower in a band.
    """

    x: np.ndarray
    y: np.ndarray
    spread: np.ndarray
    height: np.ndarray
    bands: np.ndarray
    width: float
    factor: float

    def times(self, hardness: FieldFunction) -> FieldFunction:
        """Return the hardness with patches and damage."""
        tree = cKDTree(self.bands) if len(self.bands) else None
        # The solver asks for the same positions in each of its steps.
        last: list[np.ndarray] = []

        def at(x: np.ndarray, y: np.ndarray) -> np.ndarray:
            if last and last[0] is x and last[1] is y:
                return last[2]
            change = np.zeros(np.shape(x))
            for patch in zip(self.x, self.y, self.spread, self.height, strict=True):
                x_0, y_0, spread, height = patch
                change += height * np.exp(-((x - x_0) ** 2 + (y - y_0) ** 2) / (2 * spread**2))
            if tree is not None:
                # Nothing changes farther away, and a bound makes the search fast.
                distance, _ = tree.query(
                    np.stack([np.ravel(x), np.ravel(y)], axis=-1),
                    distance_upper_bound=2 * self.width,
                )
                across = 2 * np.minimum(distance, 2 * self.width) / self.width
                # By halves at the edges of a band, and flat inside.
                inside = np.exp(-np.log(2) * across.reshape(np.shape(x)) ** 6)
                change += np.log(self.factor) * inside
            hardened: np.ndarray = hardness(x, y) * np.exp(change)
            last[:] = x, y, hardened
            return hardened

        return at


def drawn(
    x: np.ndarray,
    y: np.ndarray,
    patches: np.random.Generator,
    damage: np.random.Generator,
    *,
    variation: float,
    n_bands: int,
    width: float,
    factor: float,
) -> Disorder:
    """Draw patches and bands with their middles on a shelf.

    Parameters
    ----------
    x, y : ndarray, shape (n,)
        Pixels of the shelf, m.
    patches, damage : numpy.random.Generator
        Decide of each.
    variation : float
        By which share a patch changes B; 0 for none.
    n_bands, width, factor
        Of the bands, see `Disorder`.
    """
    long = float(max(np.ptp(x), np.ptp(y)))
    n = N_PATCHES if variation > 0 else 0
    middle = patches.integers(x.size, size=n)
    spread = long * patches.uniform(*PATCH_SIZES, size=n)
    height = patches.choice([-1.0, 1.0], size=n) * np.log1p(variation)
    bands = [_band(x, y, long, damage) for _ in range(n_bands)]
    points = np.concatenate(bands) if bands else np.zeros((0, 2))
    return Disorder(x[middle], y[middle], spread, height, points, width, factor)


def _band(x: np.ndarray, y: np.ndarray, long: float, random: np.random.Generator) -> np.ndarray:
    """Points along an arc through a pixel of the shelf."""
    middle = random.integers(x.size)
    length = long * random.uniform(*BAND_LENGTHS)
    along = np.linspace(-0.5, 0.5, POINTS_OF_BAND)
    direction = random.uniform(0, 2 * np.pi) + random.uniform(-BEND, BEND) * along
    step = length / (POINTS_OF_BAND - 1)
    line: np.ndarray = step * np.cumsum(
        np.stack([np.cos(direction), np.sin(direction)], axis=-1), axis=0
    )
    line += np.array([x[middle], y[middle]]) - line[POINTS_OF_BAND // 2]
    return line


@dataclass(frozen=True)
class GlenTruth:
    """Glen's law as `twin` is asked for it, None where it has a default."""

    exponent: float
    variation: float | None
    bands: int | None
    width: float | None
    factor: float | None
    seed: int

    def check(self, hardness: Any, viscosity: Any) -> None:
        """Refuse both, neither, and what does not concern a viscosity."""
        if hardness is not None and viscosity is not None:
            raise ParameterError("give either viscosity or hardness: both would be the truth")
        if hardness is None and viscosity is None:
            raise ParameterError(
                "give a viscosity, such as the result of an inversion, or hardness=1.5e8 "
                "(Pa s^(1/3)) for Glen's law"
            )
        own = {
            "hardness_variation": self.variation,
            "damage_bands": self.bands,
            "damage_width": self.width,
            "damage_factor": self.factor,
        }
        if hardness is None:
            needless = [name for name, value in own.items() if value is not None]
            if needless:
                raise ParameterError(f"{', '.join(needless)} need hardness=, not a viscosity")
        if not (isinstance(self.exponent, Real) and 1 <= float(self.exponent) < np.inf):
            raise ParameterError(
                f"glen_exponent must be a number, at least 1; got {self.exponent!r}"
            )
        if self.variation != 0:
            check_positive(hardness_variation=self.variation)
        check_positive(damage_width=self.width, damage_factor=self.factor)
        whole = isinstance(self.bands, Integral) and not isinstance(self.bands, bool)
        if self.bands is not None and not (whole and self.bands >= 0):
            raise ParameterError(f"damage_bands must be an integer, 0 or more; got {self.bands!r}")

    def hardness(self, hardness: Field, domain: Domain) -> FieldFunction:
        """Return B with its patches and bands, Pa s^(1/n)."""
        field = hardness
        if isinstance(hardness, xr.DataArray):
            field = _hardness_raster(hardness, self.exponent)
        variation = self.variation
        if variation is None:
            variation = VARIATION if isinstance(hardness, Real) else 0.0
        disorder = drawn(
            domain.x,
            domain.y,
            random_numbers(self.seed, "hardness"),
            random_numbers(self.seed, "damage"),
            variation=variation,
            n_bands=DAMAGE_BANDS if self.bands is None else self.bands,
            width=self._width(domain),
            factor=self.factor or DAMAGE_FACTOR,
        )
        return disorder.times(as_function(field, "hardness", positive=True))

    def attrs(self, domain: Domain) -> dict[str, Any]:
        """Tell what was drawn."""
        return {
            "glen_exponent": float(self.exponent),
            "damage_bands": DAMAGE_BANDS if self.bands is None else int(self.bands),
            "damage_width": self._width(domain),
            "damage_factor": self.factor or DAMAGE_FACTOR,
        }

    def _width(self, domain: Domain) -> float:
        return float(self.width or DAMAGE_WIDTH * np.sqrt(area_of(domain)))


def _hardness_raster(hardness: xr.DataArray, exponent: float) -> xr.DataArray:
    """Read B on a raster; `ds.diffice.hardness` gives it in Pa, for want of a unit in CF."""
    units = str(hardness.attrs.get("units", "")).strip()
    powers = rf"(1/{exponent:g}|{1 / exponent:.2f}\d*)"
    if units != "Pa" and not re.fullmatch(rf"Pa[ *.]s\W*{powers}\)?", units):
        raise UnitsError(
            f"hardness has units {units or None!r}; give it in Pa s^(1/{exponent:g}), with the "
            "attribute units='Pa', as ds.diffice.hardness() does"
        )
    plain = hardness.assign_attrs(units="Pa").to_dataset(name="hardness")
    return raster_of(plain, "hardness", "Pa")


def area_of(domain: Domain) -> float:
    """Area of a shelf, m2."""
    return domain.x.size * domain.spacing**2
