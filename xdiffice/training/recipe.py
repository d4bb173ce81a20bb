"""How an inversion is trained: motion first, then viscosity, then both together.

The third stage starts with a fresh curvature: with that of the first two its steps are too long,
and every iteration costs a second evaluation for the same progress.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Literal

import jax
import jax.numpy as jnp
import numpy as np

from xdiffice.model.fields import Model
from xdiffice.model.precision import Precision
from xdiffice.physics.scales import EquationUnits
from xdiffice.training.balance import Balance, at_first, curbs
from xdiffice.training.budget import Budget
from xdiffice.training.history import Recorder
from xdiffice.training.loop import Plan, minimise
from xdiffice.training.loss import (
    Batch,
    Sample,
    Weights,
    motion_at_residual_points,
    residuals,
)
from xdiffice.training.objectives import FitAll, FitMotion, FitViscosity, FrozenMotionSample
from xdiffice.training.sampling import SampleSizes, along_curve, draw, draw_by_residual


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
        How interior and front points are drawn in the last stage.
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

    def sample(theta: np.ndarray | None = None) -> Sample:
        if theta is None or recipe.sampling == "uniform":
            batch = draw(points, recipe.sizes, rng)
        else:
            magnitudes = functools.partial(_residuals, model, theta, units)
            batch = draw_by_residual(points, recipe.sizes, rng, magnitudes)
        return jax.device_put(Sample(batch, units, recipe.weights))

    theta_motion, theta_viscosity = model.split(model.init(rng).astype(recipe.dtype))
    early = _early_plan(recipe, budget)
    motion = minimise(FitMotion(model), theta_motion, lambda _: sample(), early, budget, recorder)
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

    def balanced_sample(theta: np.ndarray) -> Sample:
        drawn = sample(theta)
        last = recorder.rows[-1]
        if last["stage"] == FitAll.name:
            motion, _ = model.split(jnp.asarray(theta))
            balance.learn(last, reference_stresses(_freeze(model, motion, drawn)))
            if balance.settled:
                drawn = drawn._replace(curbs=curbs(last))
        return drawn._replace(weights=balance.applied(drawn.weights))

    outcome = minimise(FitAll(model), theta, balanced_sample, plan, budget, recorder)
    return outcome.theta, outcome.stop_reason


def reference_stresses(frozen: FrozenMotionSample) -> dict[str, float]:
    """Mean squares of the driving stress h ∇h and of the stress at the front, h / 2."""
    inside, edge = frozen.motions
    driving = inside.h.value**2 * (inside.h.x**2 + inside.h.y**2)
    front = jnp.mean((0.5 * edge.h.value) ** 2)
    return {"momentum": float(jnp.mean(driving)), "front": float(front)}


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


def _residuals(model, theta, units, batch: Batch):
    """Magnitudes of the residuals at the interior and front points of a batch."""
    return _residual_magnitudes(model, jnp.asarray(theta), units, jax.device_put(batch))


@functools.partial(jax.jit, static_argnames="model")
def _residual_magnitudes(model, theta, units, batch):
    motion, viscosity = model.split(theta)
    motions = motion_at_residual_points(model, motion, batch, units)
    return tuple(jnp.hypot(*r) for r in residuals(model, viscosity, motions, batch))


def _early_plan(recipe: Recipe, budget: Budget) -> Plan:
    """Limits of each of the first two stages."""
    iterations = min(recipe.stage_iterations, max(1, budget.max_iterations // 5))
    return Plan(
        iterations,
        recipe.stage_share * budget.seconds_left,
        min(recipe.resample_every, max(1, iterations // 3)),
    )
