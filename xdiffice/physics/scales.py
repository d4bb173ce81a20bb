"""Between SI and numbers of order one: the only place where either becomes the other.

Made once per region in float64 from `Observations`; the network, the equations and the loss see
nondimensional numbers only, and `results` asks here for the way back.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from xdiffice.physics.constants import PhysicalConstants

Array = Any  # NumPy outside compiled functions, JAX inside: the arithmetic is the same


class Affine(NamedTuple):
    """Value = mean + scale * nondimensional value."""

    mean: float
    scale: float

    def to_unit(self, value: Array) -> Array:
        """SI to nondimensional."""
        return (value - self.mean) / self.scale

    def to_si(self, value: Array) -> Array:
        """Nondimensional to SI."""
        return self.mean + self.scale * value


class EquationUnits(NamedTuple):
    """From u, v and h normalised like their data to the units U and h0 of the equations.

    A tuple of plain numbers, so that compiled code takes them as arguments and need not be
    compiled again for another shelf.
    """

    u: Affine
    v: Affine
    h: Affine


@dataclass(frozen=True)
class Scales:
    """The scales of one region.

    Positions are centred and divided by one length L, so that a nondimensional derivative means
    the same along every direction. u, v and h are each centred and divided by two standard
    deviations (what a network fits best), which the equations undo: they are written in L, one
    speed U and the mean thickness h0, in which

        viscosity    μ0 = ρ g' h0 L / U
        strain rate  U / L
        stress       ρ g' h0
        residual     ρ g' h0² / L

    Parameters
    ----------
    x, y : Affine
        Positions, m; both with the scale L, half of the longer side of the shelf.
    u, v : Affine
        Velocity components, m s-1.
    h : Affine
        Thickness, m.
    constants : PhysicalConstants
        Densities and gravity.
    """

    x: Affine
    y: Affine
    u: Affine
    v: Affine
    h: Affine
    constants: PhysicalConstants

    @property
    def length(self) -> float:
        """L, m."""
        return self.x.scale

    @property
    def speed(self) -> float:
        """U, m s-1."""
        return max(self.u.scale, self.v.scale)

    @property
    def thickness(self) -> float:
        """h0, m."""
        return self.h.mean

    @property
    def strain_rate(self) -> float:
        """U / L, s-1."""
        return self.speed / self.length

    @property
    def stress(self) -> float:
        """ρ g' h0, Pa."""
        return self.constants.driving_weight * self.thickness

    @property
    def viscosity(self) -> float:
        """μ0 = ρ g' h0 L / U, Pa s."""
        return self.stress / self.strain_rate

    @property
    def momentum(self) -> float:
        """ρ g' h0² / L, Pa: the unit of both momentum residuals."""
        return self.stress * self.thickness / self.length

    @property
    def equation_units(self) -> EquationUnits:
        """What turns normalised u, v and h into u / U, v / U and h / h0."""
        u, v = (Affine(s.mean / self.speed, s.scale / self.speed) for s in (self.u, self.v))
        return EquationUnits(u, v, Affine(1.0, self.h.scale / self.thickness))


def scales_of(
    position: tuple[np.ndarray, np.ndarray],
    velocity: tuple[np.ndarray, np.ndarray],
    thickness: np.ndarray,
    constants: PhysicalConstants,
) -> Scales:
    """Scales of a shelf from its SI data.

    Parameters
    ----------
    position : tuple of ndarray
        x and y of all data, m.
    velocity : tuple of ndarray
        u and v, m s-1, finite.
    thickness : ndarray
        h, m, finite and positive.
    constants : PhysicalConstants
        Densities and gravity.

    Returns
    -------
    Scales
    """
    low = [float(np.min(p)) for p in position]
    high = [float(np.max(p)) for p in position]
    length = max(b - a for a, b in zip(low, high, strict=True)) / 2
    centre = [(a + b) / 2 for a, b in zip(low, high, strict=True)]
    spread = [2 * float(np.std(v)) for v in velocity]
    # A component that does not vary (flow along an axis) has no scale of its own; where neither
    # does, their deviations are rounding.
    drift = float(np.hypot(*(np.mean(v) for v in velocity)))
    floor = max(1e-3 * max(spread), 1e-6 * drift) or 1.0
    u, v = (
        Affine(float(np.mean(values)), max(s, floor))
        for values, s in zip(velocity, spread, strict=True)
    )
    h0 = float(np.mean(thickness))
    return Scales(
        x=Affine(centre[0], length),
        y=Affine(centre[1], length),
        u=u,
        v=v,
        h=Affine(h0, max(2 * float(np.std(thickness)), 1e-3 * h0)),
        constants=constants,
    )
