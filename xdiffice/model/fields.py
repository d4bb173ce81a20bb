"""Velocity, thickness and viscosity with their derivatives at any point.

Two networks: one for u, v and h, one for the logarithm of each viscosity. What leaves here is in
the units of the equations (L, U, h0, μ0 of `Scales`), or in those of the data for the misfit.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, TypeVar

import jax
import jax.numpy as jnp
import numpy as np

from xdiffice.model.network import Network
from xdiffice.physics.jets import Jet
from xdiffice.physics.rheology import Rheology
from xdiffice.physics.scales import EquationUnits

Vector = TypeVar("Vector", jax.Array, np.ndarray)


class Motion(NamedTuple):
    """Velocity and thickness in the units of the equations."""

    u: Jet
    v: Jet
    h: Jet


@dataclass(frozen=True)
class Model:
    """What is learned, apart from the numbers themselves: hashable, the key of a compilation.

    All parameters are one vector, that of the motion network first.

    Parameters
    ----------
    motion, viscosity : Network
        Networks of (u, v, h) and of the logarithms of the rheology's fields.
    rheology : Rheology
        What viscosities there are.
    """

    motion: Network
    viscosity: Network
    rheology: Rheology

    @property
    def n_parameters(self) -> int:
        """Length of the vector of all parameters."""
        return self.motion.n_parameters + self.viscosity.n_parameters

    def init(self, rng: np.random.Generator) -> np.ndarray:
        """Draw initial parameters, shape (n_parameters,)."""
        return np.concatenate([self.motion.init(rng), self.viscosity.init(rng)])

    def split(self, theta: Vector) -> tuple[Vector, Vector]:
        """Vectors of the motion and of the viscosity network."""
        return theta[: self.motion.n_parameters], theta[self.motion.n_parameters :]

    def data_values(self, theta_motion, x, y) -> tuple[jax.Array, jax.Array, jax.Array]:
        """u, v and h at nondimensional positions, each normalised like its data."""
        u, v, h = self.motion.jets(theta_motion, x, y, order=0)
        return u.value, v.value, h.value

    def motion_at(self, theta_motion, units: EquationUnits, x, y, order: int) -> Motion:
        """u, v and h in the units of the equations, with derivatives up to ``order``."""
        jets = self.motion.jets(theta_motion, x, y, order=order)
        return Motion(
            *(j.scaled(unit.scale, unit.mean) for j, unit in zip(jets, units, strict=True))
        )

    def logarithms(self, theta_viscosity, x, y, order: int) -> tuple[Jet, ...]:
        """Logarithms of the rheology's own positive fields, with derivatives up to ``order``."""
        return tuple(self.viscosity.jets(theta_viscosity, x, y, order=order))


def exponential(log: Jet) -> Jet:
    """Jet of the exponential of a field, up to first derivatives."""
    value = jnp.exp(log.value)
    if log.x is None:
        return Jet(value)
    return Jet(value, value * log.x, value * log.y)
