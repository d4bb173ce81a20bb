"""Stands in for the networks: formulas whose residuals are known."""

from __future__ import annotations

from dataclasses import dataclass

import jax.numpy as jnp
import numpy as np

from xdiffice.model.fields import Motion
from xdiffice.model.precision import double_precision
from xdiffice.physics.jets import Jet
from xdiffice.physics.rheology import Isotropic
from xdiffice.physics.scales import Affine, EquationUnits
from xdiffice.training.loss import (
    Batch,
    FrontBatch,
    InteriorBatch,
    ThicknessBatch,
    VelocityBatch,
)

UNITS = EquationUnits(Affine(0.3, 1.0), Affine(-0.1, 0.5), Affine(1.0, 0.2))
RATE = 0.8


def thickness(x, y, order: int = 0) -> Jet:
    """h / h0 of the spreading shelf."""
    phase = 2 * x + 0.7 * y
    value, slope = 1 + 0.2 * jnp.sin(phase), 0.2 * jnp.cos(phase)
    return Jet(value) if order == 0 else Jet(value, 2 * slope, 0.7 * slope)


@dataclass(frozen=True)
class SpreadingModel:
    """u = a x, v = a y, μ = h / (12 a): exact, but for what its four parameters add.

    Three are added to the normalised u, v and h, the fourth to log μ.
    """

    n_parameters = 4
    rheology = Isotropic()

    def init(self, rng):
        return rng.normal(size=4)

    def split(self, theta):
        return theta[:3], theta[3:]

    def data_values(self, theta_motion, x, y):
        u, v, h = self.motion_at(theta_motion, UNITS, x, y, 0)
        return tuple(
            unit.to_unit(field.value) for unit, field in zip(UNITS, (u, v, h), strict=True)
        )

    def motion_at(self, theta_motion, units, x, y, order):
        one, zero = RATE * jnp.ones_like(x), jnp.zeros_like(x)
        u = Jet(RATE * x, one, zero, zero, zero, zero)
        v = Jet(RATE * y, zero, one, zero, zero, zero)
        fields = (u, v, thickness(x, y, order))
        return Motion(
            *(
                field.scaled(1.0, unit.scale * shift)
                for field, unit, shift in zip(fields, units, theta_motion, strict=True)
            )
        )

    def logarithms(self, theta_viscosity, x, y, order):
        h = thickness(x, y, order)
        log = jnp.log(h.value / (12 * RATE)) + theta_viscosity[0]
        return (Jet(log) if order == 0 else Jet(log, h.x / h.value, h.y / h.value),)


def exact_batch(seed: int = 0, n: int = 40) -> Batch:
    """Data and points of the spreading shelf, with a front of any direction."""
    rng = np.random.default_rng(seed)
    x, y = rng.uniform(-1, 1, (2, n))
    with double_precision():
        u, v, h = (np.asarray(one) for one in SpreadingModel().data_values(np.zeros(3), x, y))
    angle = rng.uniform(-np.pi, np.pi, n)
    ones = np.ones(n)
    return Batch(
        VelocityBatch(x, y, u, v, ones, ones),
        ThicknessBatch(x, y, h, ones),
        InteriorBatch(x, y),
        FrontBatch(x, y, np.cos(angle), np.sin(angle)),
    )
