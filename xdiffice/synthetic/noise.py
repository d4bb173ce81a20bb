"""How wrong observations are: noise as satellites and radars have it, of known standard deviation.

White noise of every pixel; errors correlated over several pixels, as of smoothing and of the
atmosphere; stripes, as mosaics of images have them: an offset for each swath, with straight edges.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from numbers import Real
from typing import Any, Literal, TypeAlias

import numpy as np
from scipy.ndimage import gaussian_filter, map_coordinates
from scipy.spatial import cKDTree

from xdiffice.errors import ParameterError

AS_DATA = "as data"
Noise: TypeAlias = Literal["as data"] | bool | Mapping[str, Any]

VELOCITY = {"velocity": 0.6, "velocity_correlated": 0.2, "velocity_stripes": 0.2}
THICKNESS = {"thickness": 0.3, "thickness_correlated": 0.7}
"""Parts of the noise, and their shares of the variance that errors of the data state."""

EXTENTS = {"correlation": 8.0, "stripe_width": None}
"""Pixels, and m: by default a fifth of the side of a square as large as the shelf."""

PLACES, NEIGHBOURS, SMALLEST = 2000, 24, 1e-3
"""Where the scatter is looked at, among how many data, and what still counts of their places."""

PURPOSES = ("x_velocity", "y_velocity", "thickness", "swaths", "hardness", "damage")


def random_numbers(seed: int, purpose: str) -> np.random.Generator:
    """Random numbers of one purpose, the same whatever else is asked for."""
    return np.random.default_rng([seed, PURPOSES.index(purpose)])


@dataclass(frozen=True)
class Recipe:
    """Noise as it was asked for: checked, every part a number in units of the data or "as data".

    Parameters
    ----------
    parts : mapping of str to (float or "as data")
        Standard deviations by the keys of `VELOCITY` and `THICKNESS`.
    correlation : float
        Pixels: standard deviation of the Gaussian that smooths the correlated part.
    stripe_width : float or None
        Width of a swath, m.
    """

    parts: Mapping[str, float | str]
    correlation: float
    stripe_width: float | None

    @classmethod
    def of(cls, noise: Noise) -> Recipe:
        """Read the parameter ``noise`` of `twin`."""
        names = (*VELOCITY, *THICKNESS)
        if isinstance(noise, str) and noise == AS_DATA:
            noise = {}
        elif noise is False:
            noise = dict.fromkeys(names, 0.0)
        if not isinstance(noise, Mapping):
            raise ParameterError(
                f"noise must be 'as data', False, or a dict of {', '.join(names)}; got {noise!r}"
            )
        unknown = [key for key in noise if key not in (*names, *EXTENTS)]
        if unknown:
            raise ParameterError(
                f"noise has unknown keys {', '.join(map(repr, unknown))}; it may have "
                f"{', '.join((*names, *EXTENTS))}"
            )
        parts = {name: _deviation(noise.get(name, AS_DATA), name) for name in names}
        extents = {name: noise.get(name, default) for name, default in EXTENTS.items()}
        for name, value in extents.items():
            if value is not None and not (_is_number(value) and value > 0):
                raise ParameterError(f"{name!r} of noise must be a positive number; got {value!r}")
        return cls(parts, float(extents["correlation"] or 0), extents["stripe_width"])

    def deviations(
        self,
        shares: Mapping[str, float],
        unit: float,
        error: np.ndarray | None,
        scatter: float,
    ) -> dict[str, np.ndarray | float]:
        """Return the standard deviations, SI, of the parts of one field.

        Parameters
        ----------
        shares : mapping
            `VELOCITY` or `THICKNESS`.
        unit : float
            SI value of the data's unit.
        error : ndarray or None
            What the data state, SI: that of all parts together.
        scatter : float
            Where they state none: of the white part, SI.
        """
        white = next(iter(shares.values()))
        found: dict[str, np.ndarray | float] = {}
        for name, share in shares.items():
            asked = self.parts[name]
            if isinstance(asked, str):
                known = scatter * np.sqrt(share / white) if error is None else error * share**0.5
                found[name] = known
            else:
                found[name] = asked * unit
        return found


def _is_number(value: object) -> bool:
    return (
        isinstance(value, Real) and not isinstance(value, bool) and bool(np.isfinite(float(value)))
    )


def _deviation(value: Any, name: str) -> float | str:
    if isinstance(value, str) and value == AS_DATA:
        return AS_DATA
    if value is False or value is None:
        return 0.0
    if not (_is_number(value) and value >= 0):
        raise ParameterError(
            f"{name!r} of noise must be a standard deviation in units of the data, 0 or more, or "
            f"'as data'; got {value!r}"
        )
    return float(value)


def correlated(
    x: np.ndarray, y: np.ndarray, length: float, random: np.random.Generator
) -> np.ndarray:
    """White noise smoothed by a Gaussian of standard deviation `length` (m); its rms is one."""
    step = length / 4
    margin = 16  # four standard deviations: no side knows of another
    number = [int(np.ptp(axis) / step) + 2 * margin for axis in (y, x)]
    field = gaussian_filter(random.standard_normal(number), 4.0, mode="wrap")
    place = [(axis - axis.min()) / step + margin for axis in (y, x)]
    return _normalised(map_coordinates(field, place, order=3, mode="nearest"))


@dataclass(frozen=True)
class Swaths:
    """Parallel strips of a map, as the images of a mosaic.

    Parameters
    ----------
    angle : float
        Of the direction across them.
    width, start : float
        Of each, and where one begins, m.
    """

    angle: float
    width: float
    start: float

    @classmethod
    def drawn(cls, width: float, random: np.random.Generator) -> Swaths:
        """Draw direction and beginning."""
        return cls(random.uniform(0, np.pi), width, random.uniform(0, width))

    def number(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Return the number of the swath that each position lies in, from 0."""
        across = x * np.cos(self.angle) + y * np.sin(self.angle)
        swath: np.ndarray = np.floor((across - across.min() + self.start) / self.width).astype(int)
        swath -= swath.min()
        return swath

    def stripes(self, x: np.ndarray, y: np.ndarray, random: np.random.Generator) -> np.ndarray:
        """Draw an offset for each swath; their rms over the positions is one."""
        swath = self.number(x, y)
        return _normalised(random.standard_normal(swath.max() + 1)[swath])


def _normalised(values: np.ndarray) -> np.ndarray:
    rms = float(np.sqrt(np.mean(values**2)))
    normalised: np.ndarray = values / rms if rms > 0 else values
    return normalised


def scatter_of(x: np.ndarray, y: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Estimate the standard deviation of what no quadratic surface explains in two dozen data.

    A plane would take the bends of coarse grids for noise. Noise of a longer range is not seen.

    Parameters
    ----------
    x, y : ndarray, shape (n,)
        Positions, m.
    values : ndarray, shape (k, n)
        Of k fields there.

    Returns
    -------
    ndarray, shape (k,)
        The median over many places; 0 where there are too few data to tell.
    """
    places = np.column_stack([x, y])
    n = min(NEIGHBOURS, len(places))
    if n < 12:
        return np.zeros(len(values))
    some = places[np.linspace(0, len(places) - 1, min(PLACES, len(places))).astype(int)]
    distance, near = cKDTree(places).query(some, k=n)
    d_x, d_y = (
        (axis[near] - axis_at[:, None]) / np.maximum(distance[:, -1:], np.finfo(float).tiny)
        for axis, axis_at in ((x, some[:, 0]), (y, some[:, 1]))
    )
    design = np.stack([np.ones_like(d_x), d_x, d_y, d_x**2, d_x * d_y, d_y**2], axis=-1)
    left, singular, _ = np.linalg.svd(design, full_matrices=False)
    counts = singular > SMALLEST * singular[:, :1]  # points in a line tell nothing across it
    seen = values[:, near]
    explained = np.einsum("pij,kpi->kpj", left * counts[:, None, :], seen)
    freedom = n - counts.sum(axis=1)
    square = np.sum(seen**2, axis=-1) - np.sum(explained**2, axis=-1)
    # The median of chi squared is below its mean.
    typical = np.median(np.maximum(square, 0) / freedom, axis=-1)
    deviation: np.ndarray = np.sqrt(typical / (1 - 2 / (9 * np.median(freedom))) ** 3)
    return deviation
