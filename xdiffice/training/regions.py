"""How many regions are trained: first a guess for the whole shelf, then all regions side by side.

Parallel Schwarz: in a round every region takes as many steps as one sample lasts, against its
neighbours as they were when the round began. Rounds do not depend on the order in which, or the
device on which, regions are worked on.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from xdiffice.model.fields import Model
from xdiffice.model.precision import Precision, full_precision
from xdiffice.physics.scales import Scales
from xdiffice.training.budget import Budget
from xdiffice.training.coupling import Seams
from xdiffice.training.loop import Descent, minimise
from xdiffice.training.objectives import FitAll, FitGuess, FitMotion, Guess
from xdiffice.training.problem import Problem
from xdiffice.training.recipe import begin, early_plan, last_plan
from xdiffice.training.sampling import draw


@dataclass(frozen=True)
class Region:
    """One region, or a whole shelf: what is asked, and in which units."""

    problem: Problem
    scales: Scales


def train_regions(
    shelf: Region, regions: Sequence[Region], seams: Seams, budget: Budget
) -> tuple[np.ndarray, str]:
    """Train a shelf in regions.

    Parameters
    ----------
    shelf : Region
        The whole, for a first guess of the viscosity everywhere: what a region cannot know from
        its own data, such as a calving front far away, comes from there.
    regions : sequence of Region
        Their problems have samples of the same sizes.
    seams : Seams
        Where they meet.
    budget : Budget
        Limits; iterations are those of every region.

    Returns
    -------
    theta : ndarray, shape (n_regions, model.n_parameters)
        Parameters; of shape (1, ...), those of the whole shelf, if regions were not begun.
    stop_reason : str
        That of the region which stopped last; ``interrupted`` if one was.
    """
    recipe = shelf.problem.recipe
    theta, reason = begin(shelf.problem, budget)
    team = _Team(recipe.dtype)
    try:
        if reason == "interrupted":
            return theta[None], reason
        starts = team.map(lambda region: _start(region, shelf, theta, budget), regions)
        if any(reason == "interrupted" for _, reason in starts):
            return theta[None], "interrupted"
        return _rounds([start for start, _ in starts], regions, seams, budget, team)
    except KeyboardInterrupt:
        budget.interrupted.set()
        return theta[None], "interrupted"
    finally:
        team.close()


def _start(
    region: Region, shelf: Region, theta: np.ndarray, budget: Budget
) -> tuple[np.ndarray, str]:
    """Motion from the region's own data, viscosity from the whole shelf's."""
    problem = region.problem
    model, recipe, recorder = problem.model, problem.recipe, problem.recorder
    own = budget.part(1.0)
    early = early_plan(recipe, own)
    theta_motion, theta_viscosity = model.split(model.init(problem.rng).astype(recipe.dtype))
    motion = minimise(FitMotion(model), theta_motion, problem.sample, early, own, recorder)

    def guess(_: np.ndarray) -> Guess:
        interior = draw(problem.points, recipe.sizes, problem.rng).interior
        return _guess(shelf, theta, region, np.asarray(interior.x), np.asarray(interior.y))

    viscosity = minimise(FitGuess(model), theta_viscosity, guess, early, own, recorder)
    reasons = {motion.stop_reason, viscosity.stop_reason}
    reason = "interrupted" if "interrupted" in reasons else viscosity.stop_reason
    return np.concatenate([motion.theta, viscosity.theta]), reason


def _rounds(
    starts: list[np.ndarray],
    regions: Sequence[Region],
    seams: Seams,
    budget: Budget,
    team: _Team,
) -> tuple[np.ndarray, str]:
    """Make rounds of all regions, until every one has stopped."""
    problems = [region.problem for region in regions]
    model, recipe = problems[0].model, problems[0].recipe
    parts = [budget.part(1.0) for _ in regions]
    descents = [
        Descent(FitAll(model), start, last_plan(recipe, part), part, problem.recorder)
        for start, part, problem in zip(starts, parts, problems, strict=True)
    ]
    pairs = list(zip(descents, problems, strict=True))

    def meet() -> None:
        """Show every region what its neighbours have at their interfaces."""
        targets = seams.targets(model, [descent.theta for descent in descents], recipe.dtype)
        for problem, target in zip(problems, targets, strict=True):
            problem.interface = target

    def step(pair: tuple[Descent, Problem]) -> None:
        descent, problem = pair
        descent.use(problem.balanced_sample(descent.theta))

    def conclude(pair: tuple[Descent, Problem]) -> None:
        descent, problem = pair
        if descent.stop_reason != "not_finite":
            descent.conclude(problem.balanced_sample(descent.theta))

    last = "interrupted"
    try:
        while going := [pair for pair in pairs if pair[0].stop_reason is None]:
            meet()
            team.map(step, going)
            last = next((d.stop_reason for d, _ in going if d.stop_reason), last)
        meet()
        team.map(conclude, pairs)
    except KeyboardInterrupt:
        budget.interrupted.set()
        last = "interrupted"
        for descent in descents:
            descent.interrupt()
    budget.spent(*parts)
    return np.stack([descent.best_theta for descent in descents]), last


def _guess(shelf: Region, theta: np.ndarray, region: Region, x: np.ndarray, y: np.ndarray) -> Guess:
    """Logarithms of the shelf's fields in the units of a region, at its nondimensional points."""
    model, recipe = shelf.problem.model, shelf.problem.recipe
    to, of = region.scales, shelf.scales
    at = (
        own.to_unit(other.to_si(axis)).astype(recipe.dtype)
        for own, other, axis in ((of.x, to.x, x), (of.y, to.y, y))
    )
    logs = _logarithms(model, jnp.asarray(theta), *at)
    shifts = (
        np.log(model.rheology.unit_of(field, of) / model.rheology.unit_of(field, to))
        for field in model.rheology.fields
    )
    logs = tuple(
        np.asarray(log + shift, recipe.dtype) for log, shift in zip(logs, shifts, strict=True)
    )
    return jax.device_put(Guess(x.astype(recipe.dtype), y.astype(recipe.dtype), logs))


def cores() -> int:
    """Return the number of processor cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


class _Team:
    """Threads that work on regions side by side, one for every device, or core of a processor.

    Parameters
    ----------
    dtype : {"float64", "float32"}
        Of the arithmetic: JAX keeps its settings thread by thread.
    """

    def __init__(self, dtype: Precision):
        self._dtype = dtype
        devices = jax.local_devices()
        self._devices = devices
        if devices[0].platform == "cpu":  # small networks leave most of a processor idle
            self._devices = devices * max(1, cores() // len(devices))
        self._pool = ThreadPoolExecutor(len(self._devices), "xdiffice")

    def map(self, function: Callable[[Any], Any], items: Sequence[Any]) -> list[Any]:
        """Apply a function to all items; the k-th runs on device k, modulo their number."""
        n = len(self._devices)

        def work(first: int) -> list[Any]:
            with full_precision(self._dtype), jax.default_device(self._devices[first]):
                return [function(item) for item in items[first::n]]

        if n == 1:
            return work(0)
        done = list(self._pool.map(work, range(n)))
        return [done[k % n][k // n] for k in range(len(items))]

    def close(self) -> None:
        """Let the threads go."""
        self._pool.shutdown()


@functools.partial(jax.jit, static_argnames="model")
def _logarithms(model: Model, theta: jax.Array, x: jax.Array, y: jax.Array) -> list[jax.Array]:
    _, theta_viscosity = model.split(theta)
    return [log.value for log in model.logarithms(theta_viscosity, x, y, order=0)]
