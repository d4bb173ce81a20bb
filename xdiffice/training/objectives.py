"""The three problems that are solved one after the other: motion, viscosity, both.

Each is a loss of one vector of parameters; together they keep the inversion from the trap of
starting all at once, where a random velocity is best explained by ice without viscosity.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import jax

from xdiffice.model.fields import Model, Motion
from xdiffice.training.loss import (
    Sample,
    Terms,
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
        terms = misfit_terms(self.model, theta_motion, sample.batch)
        return total(terms, sample.weights), terms


class FrozenMotionSample(NamedTuple):
    """A sample with the motion at its residual points, computed once."""

    sample: Sample
    motions: tuple[Motion, Motion]


@dataclass(frozen=True)
class FitViscosity:
    """Viscosity to the equations, with velocity and thickness held: linear in μ."""

    model: Model
    name = "viscosity"

    def __call__(
        self, theta_viscosity: jax.Array, frozen: FrozenMotionSample
    ) -> tuple[jax.Array, Terms]:
        """Loss and its terms."""
        sample = frozen.sample
        terms = residual_terms(self.model, theta_viscosity, frozen.motions, sample.batch)
        return total(terms, sample.weights), terms


@dataclass(frozen=True)
class FitAll:
    """Velocity, thickness and viscosity to data and equations: the loss of the inversion."""

    model: Model
    name = "all"

    def __call__(self, theta: jax.Array, sample: Sample) -> tuple[jax.Array, Terms]:
        """Loss and its terms."""
        motion, viscosity = self.model.split(theta)
        motions = motion_at_residual_points(self.model, motion, sample.batch, sample.units)
        terms = misfit_terms(self.model, motion, sample.batch)
        terms |= residual_terms(self.model, viscosity, motions, sample.batch)
        return total(terms, sample.weights), terms
