"""What a shelf looks like after its Dataset was read: named SI arrays of points.

`gather` makes these, `physics.scales` makes them nondimensional; every array is float64, finite,
one-dimensional, in SI units.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import xarray as xr
from scipy.spatial import cKDTree

from xdiffice.observations.lookup import Lookup


@dataclass(frozen=True)
class VelocityPoints:
    """Horizontal velocity where it was observed; x, y in m, u, v and their errors in m s-1."""

    x: np.ndarray
    y: np.ndarray
    u: np.ndarray
    v: np.ndarray
    u_error: np.ndarray | None = None
    v_error: np.ndarray | None = None


@dataclass(frozen=True)
class ThicknessPoints:
    """Ice thickness where it was observed; all in m."""

    x: np.ndarray
    y: np.ndarray
    h: np.ndarray
    h_error: np.ndarray | None = None


@dataclass(frozen=True)
class FrontPoints:
    """Calving front: positions in m and unit normals that point out of the ice."""

    x: np.ndarray
    y: np.ndarray
    n_x: np.ndarray
    n_y: np.ndarray


@dataclass(frozen=True)
class Domain:
    """Where the shelf is: the pixels in which its equations hold.

    Parameters
    ----------
    x, y : ndarray, shape (n,)
        Centres of the shelf's pixels (or its points, where there is no raster), m.
    spacing : float
        Distance of neighbouring pixels, m.
    """

    x: np.ndarray
    y: np.ndarray
    spacing: float

    def contains(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Tell for each position (m) whether it lies in, or within half a pixel of, the shelf."""
        inside = np.isfinite(x) & np.isfinite(y)
        near = inside & self._may_contain(x, y)
        inside = np.zeros(inside.shape, bool)
        at = np.column_stack([np.asarray(x)[near], np.asarray(y)[near]])
        if self._raster is None:
            inside[near] = np.isfinite(self._tree.query(at, distance_upper_bound=self._reach)[0])
        else:
            inside[near] = self._raster.within(at, self._reach)
        return inside

    def spread(self, values: np.ndarray) -> Callable[[np.ndarray, np.ndarray], np.ndarray]:
        """Return a function of positions in the shelf, m: the value of the pixel that each is in.

        Half a pixel off the shelf it is that of the nearest, or the largest of the pixels around.
        """
        raster = self._raster
        if raster is None:
            return lambda x, y: values[self._tree.query(np.column_stack([x, y]))[1]]
        painted = raster.painted(np.column_stack([self.x, self.y]), values)
        return lambda x, y: raster.picked(painted, np.column_stack([x, y]))

    def _may_contain(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Tell whether positions are in the rectangle around the shelf."""
        inside = np.ones(np.shape(x), bool)
        for position, own in ((x, self.x), (y, self.y)):
            with np.errstate(invalid="ignore"):
                inside &= position >= own.min() - self._reach
                inside &= position <= own.max() + self._reach
        return inside

    @property
    def _reach(self) -> float:
        return self.spacing * math.sqrt(0.5) * (1 + 1e-6)  # half the diagonal of a pixel

    @cached_property
    def _tree(self) -> cKDTree:
        return cKDTree(np.column_stack([self.x, self.y]))

    @cached_property
    def _raster(self) -> Lookup | None:
        return Lookup.of(self.x, self.y, self.spacing)


@dataclass(frozen=True)
class Labels:
    """What the output takes over from the input: its grid, its names' attributes, its CRS.

    Parameters
    ----------
    template : xarray.Dataset
        Coordinates (and grid mapping) of the velocity, no data variables; dims in the user's
        order. Its one shape is that of ``predict()`` without a template.
    dims : tuple of str
        The velocity's dims, in the user's order, without dims of size 1 that are not horizontal.
    x_name, y_name : str
        Names of the horizontal coordinates in `template`.
    coordinate_factor : float
        Metres per unit of `x_name` and `y_name`.
    attrs : dict
        For ``x_velocity``, ``y_velocity`` and ``thickness``: attributes of the user's variable
        (``units`` always present, as the user wrote it; ``standard_name``, ``long_name`` if any).
    factors : dict
        For the same three names: SI value of one of those units.
    grid_mapping : str or None
        Name of the grid mapping variable in `template`.
    history : str
        The input's ``history`` attribute, or an empty string.
    """

    template: xr.Dataset
    dims: tuple[str, ...]
    x_name: str
    y_name: str
    coordinate_factor: float
    attrs: dict[str, dict[str, Any]]
    factors: dict[str, float]
    grid_mapping: str | None = None
    history: str = ""


@dataclass(frozen=True)
class Observations:
    """One shelf, ready for the inversion."""

    velocity: VelocityPoints
    thickness: ThicknessPoints
    front: FrontPoints
    domain: Domain
    labels: Labels
    notes: tuple[str, ...] = field(default=())
    """Plausibility warnings and choices made while reading, one sentence each."""
