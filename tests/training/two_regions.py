"""One smooth shelf in SI, seen in the units of two regions that differ in all of them."""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np

from xdiffice.model.fields import Motion
from xdiffice.physics.constants import PhysicalConstants
from xdiffice.physics.jets import Jet
from xdiffice.physics.rheology import Isotropic
from xdiffice.physics.scales import Affine, Scales

CONSTANTS = PhysicalConstants()
ONE = Scales(
    Affine(0, 4e4), Affine(0, 4e4), Affine(2e-5, 1e-5), Affine(0, 6e-6), Affine(400, 80), CONSTANTS
)
OTHER = Scales(
    Affine(3e4, 1e4),
    Affine(-5e3, 1e4),
    Affine(1e-5, 3e-6),
    Affine(1e-6, 9e-6),
    Affine(250, 50),
    CONSTANTS,
)


@dataclasses.dataclass(frozen=True)
class SmoothModel:
    """One smooth shelf in SI, seen in the units of a region; ``theta`` is its scales."""

    rheology = Isotropic()

    def split(self, theta):
        return theta, theta

    def _position(self, theta, x, y):
        return theta[0] + theta[2] * x, theta[1] + theta[2] * y

    def motion_at(self, theta, units, x, y, order):
        speed, thickness = theta[3], theta[4]

        def jet(field, unit):
            return _jet(lambda x, y: field(*self._position(theta, x, y)) / unit, x, y, order)

        return Motion(
            jet(lambda x, y: 2e-5 + 1e-10 * x + 4e-6 * jnp.sin(y / 2e4), speed),
            jet(lambda x, y: 3e-6 * jnp.cos(x / 3e4 + y / 2e4), speed),
            jet(lambda x, y: 400 - 2e-3 * x + 20 * jnp.sin(y / 1e4), thickness),
        )

    def logarithms(self, theta, x, y, order):
        def log(x, y):
            x, y = self._position(theta, x, y)
            return jnp.log(5e13 * (1 + 0.3 * jnp.sin(x / 2e4 + y / 1e4)) / theta[5])

        return (_jet(log, x, y, order),)


def _jet(field, x, y, order: int) -> Jet:
    f_x, f_y = (jax.vmap(jax.grad(field, axis)) for axis in (0, 1))
    second = (jax.vmap(jax.grad(jax.grad(field, a), b)) for a, b in ((0, 0), (0, 1), (1, 1)))
    found = [jax.vmap(field)(x, y), f_x(x, y), f_y(x, y), *(f(x, y) for f in second)]
    return Jet(*found[: (1, 3, 6)[order]])


def theta_of(scales: Scales) -> np.ndarray:
    units = (scales.length, scales.speed, scales.thickness, scales.viscosity)
    return np.array([scales.x.mean, scales.y.mean, *units])
