"""How far each optimiser comes in the same time, as a table.

All start from the same motion and viscosity, those of the first two stages; then each has the joint
loss to itself until the time is up, compilation included. Samples, weights and curbs are chosen in
the same way for all.

    python tests/benchmarks/optimizers.py
    python tests/benchmarks/optimizers.py SynData_exp1.mat --seconds 60 --seeds 0 1 2
"""

from __future__ import annotations

import argparse
import dataclasses
import functools
import os
import platform
import statistics
from unittest import mock

from accuracy import percent
from rivals import LBFGS, Adam, LevenbergMarquardt
from shelves import shelf_from

import xdiffice
from xdiffice.results.comparison import relative_error
from xdiffice.training import recipe as recipe_module
from xdiffice.training.loop import minimise
from xdiffice.training.objectives import FitAll

COLUMNS = (
    "optimizer", "seed", "seconds", "iterations", "viscosity", "x_velocity", "y_velocity",
    "thickness", "momentum", "front",
)  # fmt: skip


def own(family: str):
    """Return the library's own loop, with one family of updates."""

    def run(objective, theta, draw, plan, budget, recorder):
        plan = dataclasses.replace(plan, family=family, tolerance=0.0)
        return minimise(objective, theta, draw, plan, budget, recorder)

    return run


def rival(kind, **settings):
    """Return another optimiser in place of the library's loop."""

    def run(objective, theta, draw, plan, budget, recorder):
        return kind(objective, **settings).minimise(theta, draw, budget, recorder)

    return run


OPTIMIZERS = {
    "self-scaled Broyden": own("broyden"),
    "self-scaled BFGS": own("bfgs"),
    "optax.lbfgs, 10 pairs": rival(LBFGS, memory_size=10),
    "optax.lbfgs, 100 pairs": rival(LBFGS, memory_size=100),
    "Adam, 0.002": rival(Adam, learning_rate=0.002),
    "Adam, 0.01": rival(Adam, learning_rate=0.01),
    "Levenberg-Marquardt, dense": rival(LevenbergMarquardt, dense=True),
    "Levenberg-Marquardt, matrix-free": rival(LevenbergMarquardt, dense=False),
}


def joint_stage(run, starts, members, budget, *_):
    """Stand in for the last stage of one region, by the optimiser that is compared."""
    (start,), (problem,) = starts, members[0].problems
    objective, plan = FitAll(problem.model), recipe_module.last_plan(problem.recipe, budget)
    outcome = run(objective, start, problem.balanced_sample, plan, budget, problem.recorder)
    return outcome.theta[None], outcome.stop_reason


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("file", nargs="?", help="with a viscosity that is taken as the truth")
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--only", nargs="+", default=[""], help="names that begin like this")
    arguments = parser.parse_args()
    name, shelf = shelf_from(arguments.file)
    print(f"{platform.machine()}, {os.cpu_count()} cores, xdiffice {xdiffice.__version__}, {name}")
    print("| " + " | ".join(COLUMNS) + " |")
    print("|" + " --- |" * len(COLUMNS))
    for optimizer, run in OPTIMIZERS.items():
        if not optimizer.startswith(tuple(arguments.only)):
            continue
        errors = []
        for seed in arguments.seeds:
            inverter = xdiffice.SSAViscosityInverter(
                adjoint_steps=0, max_seconds=arguments.seconds, random_state=seed, progress=False
            )
            patched = functools.partial(joint_stage, run)
            with mock.patch.object(recipe_module, "_rounds", patched):
                inverter.fit(shelf)
            found = inverter.predict(shelf["viscosity"], variables=["viscosity"])["viscosity"]
            errors.append(relative_error(found, shelf["viscosity"]))
            seconds = float(inverter.history_.seconds[-1])
            shares = [
                errors[-1],
                *inverter.misfit_.values(),
                inverter.residual_["momentum"],
                inverter.residual_["front"],
            ]
            cells = [optimizer, seed, f"{seconds:.0f}", inverter.n_iter_, *map(percent, shares)]
            print("| " + " | ".join(map(str, cells)) + " |", flush=True)
        if len(errors) > 1:
            cells = [optimizer, "median", "", "", percent(statistics.median(errors)), *[""] * 5]
            print("| " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main()
