"""How an inversion is trained: motion first, then viscosity, then both together.

The third stage starts with a fresh curvature: with that of the first two its steps are too long,
and every iteration costs a second evaluation for the same progress.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from xdiffice.model.fields import Model
from xdiffice.model.precision import Precision
from xdiffice.physics.scales import EquationUnits
from xdiffice.training.balance import Balance, at_first
from xdiffice.training.budget import Budget
from xdiffice.training.history import Recorder
from xdiffice.training.loop import Plan, minimise
from xdiffice.training.loss import (
    Batch,
    Sample,
    Terms,
    Weights,
    even_shares,
    misfit_squares,
    misfit_terms,
    motion_at_residual_points,
    residual_terms,
    residuals,
)
from xdiffice.training.objectives import FitAll, FitMotion, FitViscosity, FrozenMotionSample
from xdiffice.training.sampling import (
    Magnitudes,
    SampleSizes,
    along_curve,
    candidates,
    draw,
    draw_by_residual,
)


@dataclass(frozen=True)
class Recipe:
    """What a user may choose about the training.

    Parameters
    ----------
    sizes : SampleSizes
        Points in one sample.
    weights : Weights
        Weights of the terms of the loss.
    resample_every : int
        Iterations between two samples.
    stage_share : float
        Share of the budget that each of the first two stages may take at most.
    stage_iterations : int
        Iterations that each of the first two stages may take at most.
    tolerance : float
        See `Plan`.
    sampling : {"uniform", "residual"}
        How points are drawn in the last stage: all as likely, or with more weight where residuals
        are large.
    dtype : {"float64", "float32"}
        Of parameters and samples; to be trained within `full_precision` of the same.
    """

    sizes: SampleSizes
    weights: Weights
    resample_every: int
    stage_share: float = 0.1
    stage_iterations: int = 300
    tolerance: float = 0.0
    sampling: Literal["uniform", "residual"] = "uniform"
    dtype: Precision = "float64"


def train(
    model: Model,
    units: EquationUnits,
    points: Batch,
    recipe: Recipe,
    budget: Budget,
    recorder: Recorder,
    rng: np.random.Generator,
) -> tuple[np.ndarray, str]:
    """Train a model to the points of a shelf.

    Parameters
    ----------
    model : Model
        Networks and rheology.
    units : EquationUnits
        From normalised data to the units of the equations.
    points : Batch
        All data, nondimensional, on the host.
    recipe, budget, recorder
        Choices, limits, and where the history goes.
    rng : numpy.random.Generator
        Initial parameters and samples.

    Returns
    -------
    theta : ndarray, shape (model.n_parameters,)
        Parameters.
    stop_reason : str
        ``max_seconds``, ``max_iterations``, ``tolerance``, ``line_search``, ``not_finite`` or
        ``interrupted``.
    """
    points = along_curve(points)

    def sample(_: np.ndarray | None = None) -> Sample:
        return jax.device_put(Sample(draw(points, recipe.sizes, rng), units, recipe.weights))

    theta_motion, theta_viscosity = model.split(model.init(rng).astype(recipe.dtype))
    early = _early_plan(recipe, budget)
    motion = minimise(FitMotion(model), theta_motion, sample, early, budget, recorder)
    if motion.stop_reason == "interrupted":
        return np.concatenate([motion.theta, theta_viscosity]), motion.stop_reason

    def frozen_sample(_: np.ndarray | None = None) -> FrozenMotionSample:
        drawn = sample()
        drawn = drawn._replace(weights=at_first(drawn.weights))
        return _freeze(model, jnp.asarray(motion.theta), drawn)

    try:
        frozen = frozen_sample()
        theta_viscosity = best_constant(model, theta_viscosity, frozen)
    except KeyboardInterrupt:
        return np.concatenate([motion.theta, theta_viscosity]), "interrupted"
    viscosity = minimise(
        FitViscosity(model), theta_viscosity, frozen_sample, early, budget, recorder
    )
    theta = np.concatenate([motion.theta, viscosity.theta])
    if viscosity.stop_reason == "interrupted":
        return theta, viscosity.stop_reason
    plan = Plan(
        budget.iterations_left, budget.seconds_left, recipe.resample_every, recipe.tolerance
    )
    balance = Balance()

    by_residual = recipe.sampling == "residual"

    def balanced_sample(theta: np.ndarray) -> Sample:
        batch = (candidates if by_residual else draw)(points, recipe.sizes, rng)
        drawn = jax.device_put(Sample(batch, units, recipe.weights, balance.curbs))
        found = _surveyed(model, jnp.asarray(theta), drawn)
        if recorder.rows[-1]["stage"] == FitAll.name:  # not before the first steps
            balance.learn(found.terms, found.stresses)
        if by_residual:
            batch = draw_by_residual(batch, recipe.sizes, rng, found.magnitudes)
            drawn = drawn._replace(batch=jax.device_put(batch))
        return drawn._replace(weights=balance.applied(drawn.weights), curbs=balance.curbs)

    outcome = minimise(FitAll(model), theta, balanced_sample, plan, budget, recorder)
    return outcome.theta, outcome.stop_reason


def best_constant(
    model: Model, theta_viscosity: np.ndarray, frozen: FrozenMotionSample
) -> np.ndarray:
    """Shift the logarithm of viscosity to where the equations are best fulfilled.

    The initial network varies by about one; nondimensional viscosities lie between 1e-3 and 1.
    """
    shifts = np.linspace(-8.0, 1.0, 37)
    n_fields = model.viscosity.n_outputs  # the output layer's biases are the last parameters

    def shifted(shift):
        return jnp.asarray(theta_viscosity).at[-n_fields:].add(shift)

    losses = _losses(FitViscosity(model), jnp.stack([shifted(s) for s in shifts]), frozen)
    return np.asarray(shifted(shifts[int(np.argmin(losses))]))


@functools.partial(jax.jit, static_argnames="objective")
def _losses(objective, thetas, frozen):
    return jax.lax.map(lambda theta: objective(theta, frozen)[0], thetas)


@functools.partial(jax.jit, static_argnames="model")
def _freeze(model, theta_motion, sample):
    motions = motion_at_residual_points(model, theta_motion, sample.batch, sample.units)
    return FrozenMotionSample(sample, motions)


class Survey(NamedTuple):
    """What parameters make of the points of a sample."""

    terms: Terms
    stresses: dict[str, jax.Array]
    magnitudes: Magnitudes


@functools.partial(jax.jit, static_argnames="model")
def _surveyed(model: Model, theta: jax.Array, sample: Sample) -> Survey:
    """Terms of the loss, the stresses that residuals are measured by, and every residual.

    Stresses are mean squares: the driving stress h ∇h, and h / 2 at the front.
    """
    batch, shares = sample.batch, even_shares(sample.batch)
    theta_motion, theta_viscosity = model.split(theta)
    motions = motion_at_residual_points(model, theta_motion, batch, sample.units)
    terms = misfit_terms(model, theta_motion, batch, shares, sample.curbs)
    terms |= residual_terms(model, theta_viscosity, motions, batch, shares, sample.curbs)
    inside, edge = motions
    driving = inside.h.value**2 * (inside.h.x**2 + inside.h.y**2)
    stresses = {"momentum": jnp.mean(driving), "front": jnp.mean((0.5 * edge.h.value) ** 2)}
    u, v, h = misfit_squares(model, theta_motion, batch)
    momentum, front = residuals(model, theta_viscosity, motions, batch)
    magnitudes = Magnitudes(jnp.sqrt(u + v), jnp.sqrt(h), jnp.hypot(*momentum), jnp.hypot(*front))
    return Survey(terms, stresses, magnitudes)


def _early_plan(recipe: Recipe, budget: Budget) -> Plan:
    """Limits of each of the first two stages."""
    iterations = min(recipe.stage_iterations, max(1, budget.max_iterations // 5))
    return Plan(
        iterations,
        recipe.stage_share * budget.seconds_left,
        min(recipe.resample_every, max(1, iterations // 3)),
    )
