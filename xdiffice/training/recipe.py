"""How an inversion is trained: motion first, then viscosity, then both together.

The third stage starts with a fresh curvature: with that of the first two its steps are too long,
and every iteration costs a second evaluation for the same progress.
"""

from __future__ import annotations

import functools

import jax
import jax.numpy as jnp
import numpy as np

from xdiffice.model.fields import Model
from xdiffice.training.budget import Budget
from xdiffice.training.loop import Plan, minimise
from xdiffice.training.objectives import FitAll, FitMotion, FitViscosity, FrozenMotionSample
from xdiffice.training.problem import Problem, Recipe


def train(problem: Problem, budget: Budget) -> tuple[np.ndarray, str]:
    """Train the networks of one region, or of a whole shelf, from scratch.

    Parameters
    ----------
    problem : Problem
        What is asked of them.
    budget : Budget
        Limits.

    Returns
    -------
    theta : ndarray, shape (model.n_parameters,)
        Parameters.
    stop_reason : str
        ``max_seconds``, ``max_iterations``, ``tolerance``, ``line_search``, ``not_finite`` or
        ``interrupted``.
    """
    theta, reason = begin(problem, budget)
    if reason == "interrupted":
        return theta, reason
    objective, plan = FitAll(problem.model), last_plan(problem.recipe, budget)
    outcome = minimise(objective, theta, problem.balanced_sample, plan, budget, problem.recorder)
    return outcome.theta, outcome.stop_reason


def begin(problem: Problem, budget: Budget) -> tuple[np.ndarray, str]:
    """Make the first two stages of `train`, which see less of the problem and cost little."""
    model, recipe, recorder = problem.model, problem.recipe, problem.recorder
    theta_motion, theta_viscosity = model.split(model.init(problem.rng).astype(recipe.dtype))
    early = early_plan(recipe, budget)
    motion = minimise(FitMotion(model), theta_motion, problem.sample, early, budget, recorder)
    if motion.stop_reason == "interrupted":
        return np.concatenate([motion.theta, theta_viscosity]), motion.stop_reason

    def frozen_sample(_: np.ndarray | None = None) -> FrozenMotionSample:
        return problem.frozen_sample(motion.theta)

    try:
        frozen = frozen_sample()
        theta_viscosity = best_constant(model, theta_viscosity, frozen)
    except KeyboardInterrupt:
        return np.concatenate([motion.theta, theta_viscosity]), "interrupted"
    viscosity = minimise(
        FitViscosity(model), theta_viscosity, frozen_sample, early, budget, recorder
    )
    return np.concatenate([motion.theta, viscosity.theta]), viscosity.stop_reason


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


def early_plan(recipe: Recipe, budget: Budget) -> Plan:
    """Limits of each of the first two stages."""
    iterations = min(recipe.stage_iterations, max(1, budget.max_iterations // 5))
    return Plan(
        iterations,
        recipe.stage_share * budget.seconds_left,
        min(recipe.resample_every, max(1, iterations // 3)),
    )


def last_plan(recipe: Recipe, budget: Budget) -> Plan:
    """Limits of the last stage: all that is left."""
    return Plan(
        budget.iterations_left, budget.seconds_left, recipe.resample_every, recipe.tolerance
    )
