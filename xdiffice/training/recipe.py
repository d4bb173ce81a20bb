"""How an inversion is trained: motion first, then viscosity, then both, all networks side by side.

Motion is fitted to data, viscosity to what holds this motion in equilibrium (`equilibrium`). The
third stage starts with a fresh curvature: with that of the first two its steps are too long, and
every iteration costs a second evaluation for the same progress. It is a parallel Schwarz method: in
a round every region takes as many steps as one sample lasts, against its neighbours as they were
when the round began. Rounds do not depend on the order in which, or the device on which, regions
are worked on. Members of an ensemble go through the same rounds and see nothing of each other.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np

from xdiffice.training.budget import Budget
from xdiffice.training.loop import Descent, Plan, minimise
from xdiffice.training.objectives import FitAll, FitMotion, FitViscosity
from xdiffice.training.problem import Problem, Recipe
from xdiffice.training.shelf import Shelf
from xdiffice.training.snapshot import Keeper, Snapshots
from xdiffice.training.team import Team

STILL_RESERVED = 0.04  # of the reserved seconds, where nothing has to come after the training


def train(
    members: Sequence[Shelf],
    budget: Budget,
    start: np.ndarray | None = None,
    keeper: Keeper | None = None,
    enough: Callable[[np.ndarray], bool] | None = None,
) -> tuple[np.ndarray, str]:
    """Train the networks of all members and regions, from scratch or from earlier parameters.

    Parameters
    ----------
    members : sequence of Shelf
        Sets of networks, with the same numbers of regions and sizes of samples.
    budget : Budget
        Limits; iterations are those of every region.
    start : ndarray, shape (n_members, n_regions, model.n_parameters), optional
        Parameters of an earlier training, with the same scales: the third stage is all there is.
    keeper : Keeper, optional
        Keeps snapshots of the third stage, and may have one to begin with.
    enough : callable, optional
        ``enough(theta)``: whether nothing has to come after the training. Asked when only the
        seconds are left that the budget has reserved; they are then used for training, too.

    Returns
    -------
    theta : ndarray, shape (n_members, n_regions, model.n_parameters)
        Parameters.
    stop_reason : str
        ``max_seconds``, ``max_iterations``, ``tolerance``, ``line_search``, ``not_finite`` or
        ``interrupted``: that of the region which stopped last, or ``interrupted`` if one was.
    """
    problems = [problem for member in members for problem in member.problems]
    model, recipe = problems[0].model, problems[0].recipe
    team = Team(len(problems), recipe.dtype, budget)
    thetas = np.stack([member.init() for member in members]) if start is None else start
    thetas = thetas.astype(recipe.dtype)
    rows = thetas.reshape(-1, thetas.shape[-1])  # the same numbers, problem by problem
    n_motion = model.split(rows[0])[0].size
    stages = ((FitMotion(model), slice(0, n_motion)), (FitViscosity(model), slice(n_motion, None)))
    snapshots = Snapshots(keeper, problems)

    def know() -> None:
        """Let all regions know a first viscosity."""
        if snapshots.known is not None:
            pairs = [*zip(members, snapshots.known, strict=True)]
            team.map(lambda pair: pair[0].know(pair[1]), pairs)
            if budget.interrupted.is_set():
                raise KeyboardInterrupt

    try:
        if snapshots.earlier:
            know()
        for objective, part in stages if start is None and not snapshots.earlier else ():
            if isinstance(objective, FitViscosity):
                snapshots.known = thetas.copy()
                know()
            found = _early(objective, rows[:, part], problems, budget, team)
            for row, theta in zip(rows, found, strict=False):  # some are missing where interrupted
                row[part] = theta
            if budget.interrupted.is_set():
                return thetas, "interrupted"

        asked = enough is None or not budget.reserved

        def released(best: np.ndarray) -> bool:
            nonlocal asked
            if asked:
                return False
            asked = True
            assert enough is not None
            return enough(best.reshape(thetas.shape))

        best, reason = _rounds(rows, members, budget, team, snapshots, released)
        return best.reshape(thetas.shape), reason
    except KeyboardInterrupt:
        budget.interrupted.set()
        return thetas, "interrupted"
    finally:
        team.close()


def _early(objective, starts, problems: Sequence[Problem], budget: Budget, team: Team) -> list[Any]:
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
    members: Sequence[Shelf],
    budget: Budget,
    team: Team,
    snapshots: Snapshots,
    released: Callable[[np.ndarray], bool],
) -> tuple[np.ndarray, str]:
    """Make rounds of all regions, until every one has stopped."""
    problems = [problem for member in members for problem in member.problems]
    model, recipe = problems[0].model, problems[0].recipe
    snapshots.rewind(budget)
    parts = [budget.part(1.0) for _ in problems]
    # Problems have a device each; a single one has all of them.
    objective = FitAll(model, len(jax.local_devices()) if len(problems) == 1 else 1)
    descents = [
        Descent(objective, start, last_plan(recipe, part), part, problem.recorder)
        for start, part, problem in zip(starts, parts, problems, strict=True)
    ]
    pairs = list(zip(descents, problems, strict=True))
    remaining = iter(descents)
    own = [[*itertools.islice(remaining, len(member.problems))] for member in members]

    def meet() -> None:
        """Let the regions of every member see each other."""
        thetas = [[descent.theta for descent in regions] for regions in own]
        team.map(lambda pair: pair[0].meet(pair[1]), [*zip(members, thetas, strict=True)])
        if budget.interrupted.is_set():
            raise KeyboardInterrupt

    def step(turn: tuple[Descent, Problem, bool]) -> None:
        descent, problem, may_settle = turn
        descent.use(problem.balanced_sample(descent.theta), may_settle)

    def conclude(pair: tuple[Descent, Problem]) -> None:
        descent, problem = pair
        if descent.stop_reason != "not_finite":
            descent.conclude(problem.balanced_sample(descent.theta))

    last = snapshots.put_back(descents, parts) or "interrupted"
    try:
        snapshots.offer(descents, parts, budget, last)
        while True:
            going = [pair for pair in pairs if pair[0].stop_reason is None]
            if not going and last == "max_seconds" and released(_best(descents)):
                for one in (budget, *parts):
                    one.reserved *= STILL_RESERVED
                for descent in descents:
                    if descent.stop_reason == "max_seconds":
                        descent.stop_reason = None
                continue
            if not going:
                break
            meet()
            # A region that stands still has progress again when its neighbours have moved.
            settled = {id(one): _others_settled(one, regions) for regions in own for one in regions}
            team.map(step, [(*pair, settled[id(pair[0])]) for pair in going])
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
        snapshots.interrupted()
        for descent in descents:
            descent.interrupt()
    budget.spent(*parts)
    return _best(descents), last


def _best(descents: Sequence[Descent]) -> np.ndarray:
    return np.stack([descent.best_theta for descent in descents])


def _others_settled(descent: Descent, regions: Sequence[Descent]) -> bool:
    """Whether all other regions of a shelf have no more progress."""
    others = (one for one in regions if one is not descent)
    return all(one.settled or one.stop_reason for one in others)


def early_plan(recipe: Recipe, budget: Budget, turns: int = 1) -> Plan:
    """Limits of each of the first two stages, where a thread works on so many regions in turn."""
    iterations = min(recipe.stage_iterations, max(1, budget.max_iterations // 5))
    return Plan(
        iterations,
        recipe.stage_share * budget.seconds_left / turns,
        min(recipe.resample_every, max(1, iterations // 3)),
    )


def last_plan(recipe: Recipe, budget: Budget) -> Plan:
    """Limits of the third stage: all that is left."""
    return Plan(
        budget.iterations_left,
        math.inf,  # the budget's own, which may grow
        recipe.resample_every,
        recipe.tolerance,
        recipe.patience,
    )
