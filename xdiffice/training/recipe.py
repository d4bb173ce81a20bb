"""How an inversion is trained: motion first, then viscosity, then both, all regions side by side.

Motion is fitted to data, viscosity to what holds this motion in equilibrium (`equilibrium`). The
third stage starts with a fresh curvature: with that of the first two its steps are too long, and
every iteration costs a second evaluation for the same progress. It is a parallel Schwarz method: in
a round every region takes as many steps as one sample lasts, against its neighbours as they were
when the round began. Rounds do not depend on the order in which, or the device on which, regions
are worked on.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence

import jax
import numpy as np

from xdiffice.training.balance import Extent, shares_of_shelf
from xdiffice.training.budget import Budget
from xdiffice.training.coupling import Seams
from xdiffice.training.loop import Descent, Plan, minimise
from xdiffice.training.neighbours import Neighbours
from xdiffice.training.objectives import FitAll, FitMotion, FitViscosity
from xdiffice.training.problem import Problem, Recipe
from xdiffice.training.snapshot import Keeper, Snapshots
from xdiffice.training.team import Team

LogarithmAt = Callable[[int, np.ndarray, np.ndarray], tuple[np.ndarray, ...]]
"""From a region and nondimensional positions in it to the logarithms of the rheology's fields."""


def train(
    problems: Sequence[Problem],
    seams: Seams,
    neighbours: Neighbours,
    extents: Sequence[Mapping[str, Extent]],
    first_viscosity: Callable[[np.ndarray], LogarithmAt],
    budget: Budget,
    start: np.ndarray | None = None,
    keeper: Keeper | None = None,
) -> tuple[np.ndarray, str]:
    """Train the networks of all regions, from scratch or from earlier parameters.

    Parameters
    ----------
    problems : sequence of Problem
        What is asked of each region; their samples have the same sizes.
    seams : Seams
        Where regions meet.
    neighbours : Neighbours
        What they have where they overlap.
    extents : sequence of mapping of str to Extent
        Where every region has residuals, see `shares_of_shelf`.
    first_viscosity : callable
        Makes a viscosity for the whole shelf, given all parameters, of which the motion is trained.
    budget : Budget
        Limits; iterations are those of every region.
    start : ndarray, shape (n_regions, model.n_parameters), optional
        Parameters of an earlier training, with the same scales: the last stage is all there is.
    keeper : Keeper, optional
        Keeps snapshots of the last stage, and may have one to begin with.

    Returns
    -------
    theta : ndarray, shape (n_regions, model.n_parameters)
        Parameters.
    stop_reason : str
        ``max_seconds``, ``max_iterations``, ``tolerance``, ``line_search``, ``not_finite`` or
        ``interrupted``: that of the region which stopped last, or ``interrupted`` if one was.
    """
    model, recipe = problems[0].model, problems[0].recipe
    team = Team(len(problems), recipe.dtype, budget)
    thetas = np.stack([model.init(problem.rng) for problem in problems]) if start is None else start
    thetas = thetas.astype(recipe.dtype)
    n_motion = model.split(thetas[0])[0].size
    stages = ((FitMotion(model), slice(0, n_motion)), (FitViscosity(model), slice(n_motion, None)))
    snapshots = Snapshots(keeper, problems)

    def know() -> None:
        """Let all regions know a first viscosity."""
        if snapshots.known is not None:
            logarithms = first_viscosity(snapshots.known)
            for k, problem in enumerate(problems):
                problem.know(functools.partial(logarithms, k))

    try:
        if snapshots.earlier:
            know()
        for objective, part in stages if start is None and not snapshots.earlier else ():
            if isinstance(objective, FitViscosity):
                snapshots.known = thetas.copy()
                know()
            for k, theta in enumerate(_early(objective, thetas[:, part], problems, budget, team)):
                thetas[k, part] = theta
            if budget.interrupted.is_set():
                return thetas, "interrupted"
        return _rounds(thetas, problems, seams, neighbours, extents, budget, team, snapshots)
    except KeyboardInterrupt:
        budget.interrupted.set()
        return thetas, "interrupted"
    finally:
        team.close()


def _early(objective, starts, problems: Sequence[Problem], budget: Budget, team: Team) -> list:
    """Make one of the first two stages of all regions."""
    parts = [budget.part(1.0) for _ in problems]
    turns = team.turns(len(problems))

    def minimised(k: int) -> np.ndarray:
        problem, own = problems[k], parts[k]
        plan = early_plan(problem.recipe, own, turns)
        outcome = minimise(objective, starts[k], problem.sample, plan, own, problem.recorder)
        if outcome.stop_reason == "interrupted":
            budget.interrupted.set()
        return outcome.theta

    thetas = team.map(minimised, range(len(problems)))
    budget.spent(*parts)
    return thetas


def _rounds(
    starts: np.ndarray,
    problems: Sequence[Problem],
    seams: Seams,
    neighbours: Neighbours,
    extents: Sequence[Mapping[str, Extent]],
    budget: Budget,
    team: Team,
    snapshots: Snapshots,
) -> tuple[np.ndarray, str]:
    """Make rounds of all regions, until every one has stopped."""
    model, recipe = problems[0].model, problems[0].recipe
    snapshots.rewind(budget)
    parts = [budget.part(1.0) for _ in problems]
    # Regions have a device each; one region has all of them.
    objective = FitAll(model, len(jax.local_devices()) if len(problems) == 1 else 1)
    descents = [
        Descent(objective, start, last_plan(recipe, part), part, problem.recorder)
        for start, part, problem in zip(starts, parts, problems, strict=True)
    ]
    pairs = list(zip(descents, problems, strict=True))

    def meet() -> None:
        """Show every region what its neighbours have at their interfaces and where they overlap."""
        if len(problems) == 1:
            return
        targets = seams.targets(model, [descent.theta for descent in descents], recipe.dtype)
        for problem, target in zip(problems, targets, strict=True):
            problem.interface = target
        neighbours.stand_still([descent.theta for descent in descents])
        measured = [problem.measured for problem in problems if problem.measured]
        known = len(measured) == len(problems)
        shares = shares_of_shelf(measured, extents) if known else [None] * len(problems)
        for k, problem in enumerate(problems):
            problem.blended = functools.partial(neighbours.blended, k)
            problem.of_shelf = shares[k]

    def step(pair: tuple[Descent, Problem]) -> None:
        descent, problem = pair
        descent.use(problem.balanced_sample(descent.theta))

    def conclude(pair: tuple[Descent, Problem]) -> None:
        descent, problem = pair
        if descent.stop_reason != "not_finite":
            descent.conclude(problem.balanced_sample(descent.theta))

    last = snapshots.put_back(descents, parts) or "interrupted"
    try:
        while going := [pair for pair in pairs if pair[0].stop_reason is None]:
            meet()
            team.map(step, going)
            if budget.interrupted.is_set():
                raise KeyboardInterrupt
            last = next((d.stop_reason for d, _ in going if d.stop_reason), last)
            ended = all(descent.stop_reason for descent in descents)
            snapshots.offer(descents, parts, budget, last, ended=ended)
        meet()
        team.map(conclude, pairs)
        if budget.interrupted.is_set():
            raise KeyboardInterrupt
    except KeyboardInterrupt:
        budget.interrupted.set()
        last = "interrupted"
        for descent in descents:
            descent.interrupt()
    budget.spent(*parts)
    return np.stack([descent.best_theta for descent in descents]), last


def early_plan(recipe: Recipe, budget: Budget, turns: int = 1) -> Plan:
    """Limits of each of the first two stages, where a thread works on so many regions in turn."""
    iterations = min(recipe.stage_iterations, max(1, budget.max_iterations // 5))
    return Plan(
        iterations,
        recipe.stage_share * budget.seconds_left / turns,
        min(recipe.resample_every, max(1, iterations // 3)),
    )


def last_plan(recipe: Recipe, budget: Budget) -> Plan:
    """Limits of the last stage: all that is left."""
    return Plan(
        budget.iterations_left,
        budget.seconds_left,
        recipe.resample_every,
        recipe.tolerance,
        recipe.patience,
    )
