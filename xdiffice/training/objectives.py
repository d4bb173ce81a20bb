"""The problems that are solved one after the other: motion, viscosity, both.

Each is a loss of one vector of parameters; together they keep the inversion from the trap of
starting all at once, where a random velocity is best explained by ice without viscosity.
"""

from __future__ import annotations

from dataclasses import dataclass

import jax
import jax.numpy as jnp

from xdiffice.model.fields import Model
from xdiffice.training.blocks import in_blocks, suitable_number, summed
from xdiffice.training.coupling import conditions
from xdiffice.training.loss import (
    Sample,
    Terms,
    even_shares,
    interface_terms,
    misfit_terms,
    motion_at_residual_points,
    residual_terms,
    total,
)


@dataclass(frozen=True)
class FitMotion:
    """Velocity and thickness to their data, without equations: no derivatives, cheap."""

    model: Model
    name = "motion"

    def __call__(self, theta_motion: jax.Array, sample: Sample) -> tuple[jax.Array, Terms]:
        """Loss and its terms."""
        batch, shares = sample.batch, even_shares(sample.batch)
        terms = misfit_terms(self.model, theta_motion, batch, shares, sample.curbs)
        return total(terms, sample.weights), terms


@dataclass(frozen=True)
class FitViscosity:
    """Viscosity to what is known of it beforehand; no derivatives, cheap."""

    model: Model
    name = "viscosity"

    def __call__(self, theta_viscosity: jax.Array, sample: Sample) -> tuple[jax.Array, Terms]:
        """Loss and its terms."""
        interior = sample.batch.interior
        found = self.model.logarithms(theta_viscosity, interior.x, interior.y, order=0)
        pairs = zip(found, interior.first, strict=True)
        squares = [jnp.mean((log.value - first) ** 2) for log, first in pairs]
        misfit = jnp.sum(jnp.stack(squares))
        return misfit, {"first_viscosity": misfit}


@dataclass(frozen=True)
class FitAll:
    """Velocity, thickness and viscosity to data and equations: the loss of the inversion.

    Parameters
    ----------
    model : Model
        Networks and rheology.
    devices : int
        How many devices the points are shared out over.
    """

    model: Model
    devices: int = 1
    name = "all"

    def __call__(self, theta: jax.Array, sample: Sample) -> tuple[jax.Array, Terms]:
        """Loss and its terms."""
        blocks = in_blocks(sample.batch, suitable_number(sample.batch, self.devices))
        shared = (sample.units, sample.weights, sample.curbs, sample.leeway)
        return summed(self._share, self.devices, theta, shared, blocks)

    def _share(self, theta, shared, block):
        """Share of a block of points in the loss and its terms."""
        (units, weights, curbs, leeway), (batch, shares) = shared, block
        motion, viscosity = self.model.split(theta)
        motions = motion_at_residual_points(self.model, motion, batch, units)
        terms = misfit_terms(self.model, motion, batch, shares, curbs)
        terms |= residual_terms(self.model, viscosity, motions, batch, shares, curbs, leeway)
        if batch.interface is not None:
            found = conditions(self.model, theta, units, batch.interface.x, batch.interface.y)
            terms |= interface_terms(found, batch, shares, units)
        return total(terms, weights), terms
