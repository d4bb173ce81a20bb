"""The control method on any shelf: how closely can a viscosity make the ice move as it was seen to?

It is the classical inversion of the shallow-shelf equations (MacAyeal 1993,
doi 10.3189/S0022143000017744) on the mesh, the front and the boundary velocity of
`ds.diffice.forward_check`: quadratic triangles for the velocity, the gradient by the adjoint
equation, L-BFGS, and a penalty on the gradient of log μ. Where `control.py` is for rectangles, this
is for shelves as they are. It hands on a viscosity, and as a script a table, one row for each
weight of the penalty, in which the forward check of other results may stand.

    python tests/benchmarks/control_shelf.py data_pinns_LarsenC.mat --compare viscosity.nc

Weights are taken from the greatest to the smallest, and each starts where the one before has ended.
"""

from __future__ import annotations

import argparse
import os
import platform
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import xarray as xr
from control_problem import ControlProblem
from scipy.optimize import OptimizeResult, minimize
from shelves import shelf_from

import xdiffice
from xdiffice.results.comparison import relative_error

WEIGHTS = (1e-2, 1e-3, 1e-4, 1e-5, 1e-6, 1e-7, 1e-8)
"""Weights of the penalty, see `ControlProblem.objective`."""

PATIENCE, TOLERANCE = 10, 1e-3
"""An inversion ends when so many iterations have lowered the objective by less than this share."""

COLUMNS = ("viscosity by", "iterations", "seconds", "velocity", "roughness", "error of viscosity")


def control_inversion(
    problem: ControlProblem, weight: float, start: np.ndarray, max_iterations: int = 200
) -> tuple[np.ndarray, int]:
    """Infer log μ by the control method.

    Parameters
    ----------
    problem : ControlProblem
        The shelf.
    weight : float
        Of the penalty, see `ControlProblem.objective`. It grows with the noise.
    start : ndarray
        log μ at the vertices to begin with, such as `ControlProblem.first_guess`.
    max_iterations : int
        Of L-BFGS.

    Returns
    -------
    tuple of (ndarray, int)
        log μ at the vertices, and the iterations that it took.
    """
    roots = problem.preconditioner

    def objective(controls: np.ndarray) -> tuple[float, np.ndarray]:
        value, gradient = problem.objective(roots.field(controls), weight)
        return value, roots.gradient(gradient)

    values: list[float] = []

    def progress(intermediate_result: OptimizeResult) -> None:
        values.append(intermediate_result.fun)
        if len(values) > PATIENCE and values[-1 - PATIENCE] < (1 + TOLERANCE) * values[-1]:
            raise StopIteration

    found = minimize(
        objective,
        roots.controls(start),
        jac=True,
        method="L-BFGS-B",
        callback=progress,
        options={"maxiter": max_iterations, "maxcor": 50, "ftol": 0.0, "gtol": 0.0},
    )
    return roots.field(found.x), found.nit


@dataclass(frozen=True)
class Row:
    """One point of an L-curve: what a weight of the penalty gives, and costs."""

    weight: float
    iterations: int
    seconds: float
    relative_difference: float
    roughness: float
    log_viscosity: np.ndarray


def l_curve(
    problem: ControlProblem, weights: Sequence[float], max_iterations: int = 200
) -> Iterator[Row]:
    """Yield inversions from the greatest weight to the smallest, each begun with the one before."""
    log_viscosity = problem.first_guess()
    for weight in sorted(weights, reverse=True):
        start = time.perf_counter()
        log_viscosity, iterations = control_inversion(
            problem, weight, log_viscosity, max_iterations
        )
        seconds = time.perf_counter() - start
        difference = problem.relative_difference(log_viscosity)
        roughness = problem.roughness(log_viscosity)
        yield Row(weight, iterations, seconds, difference, roughness, log_viscosity)


def corner(misfits: Sequence[float], roughness: Sequence[float]) -> int:
    """Tell which point is the corner of an L-curve: where it bends most, both axes logarithmic.

    The criterion is that of Hansen & O'Leary (1993, doi 10.1137/0914086), with the curvature of the
    circle through a point and both of its neighbours.
    """
    points = np.log(np.column_stack([misfits, roughness]))
    before, after = points[1:-1] - points[:-2], points[2:] - points[1:-1]
    turn = after[:, 0] * before[:, 1] - after[:, 1] * before[:, 0]
    sides = [np.linalg.norm(side, axis=1) for side in (before, after, before + after)]
    # Towards smaller weights the misfit falls and roughness grows; the corner turns to the right.
    return 1 + int(np.argmax(2 * turn / np.prod(sides, axis=0)))


def print_row(*cells: object) -> None:
    """Print a row of a table."""
    print("| " + " | ".join(map(str, cells)) + " |", flush=True)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("file", nargs="?", metavar="FILE")
    parser.add_argument("--velocity-units", default="m s-1", help="of a .mat file")
    parser.add_argument("--weights", type=float, nargs="+", default=WEIGHTS)
    parser.add_argument("--iterations", type=int, default=200, help="for each weight, at most")
    parser.add_argument("--mesh-size", type=float, help="m; by default that of the forward check")
    parser.add_argument("--compare", nargs="+", default=[], metavar="RESULT", help="predictions")
    arguments = parser.parse_args()
    print(f"{platform.machine()}, {os.cpu_count()} cores, xdiffice {xdiffice.__version__}")
    name, shelf = shelf_from(arguments.file, arguments.velocity_units)
    start = time.perf_counter()
    problem = ControlProblem(shelf, arguments.mesh_size)
    guess = problem.first_guess()
    seconds = time.perf_counter() - start
    print(f"{name}: {problem.mesh.t.shape[1]} triangles, {problem.n_compared} pixels")
    print_row(*COLUMNS)
    print_row(*["---"] * len(COLUMNS))

    def error(viscosity: xr.DataArray) -> str:
        known = "viscosity" in shelf
        return f"{100 * relative_error(viscosity, shelf['viscosity']):.2f} %" if known else ""

    def describe(
        how: str, log_viscosity: np.ndarray, iterations: int | str, seconds: float
    ) -> None:
        difference = problem.relative_difference(log_viscosity)
        cells = [how, iterations, f"{seconds:.0f}", f"{100 * difference:.2f} %"]
        cells += [f"{problem.roughness(log_viscosity):.2f}"]
        print_row(*cells, error(problem.result(log_viscosity)["viscosity"]))

    describe("best constant", guess, "", seconds)
    rows = []
    for row in l_curve(problem, arguments.weights, arguments.iterations):
        describe(f"control, weight {row.weight:g}", row.log_viscosity, row.iterations, row.seconds)
        rows.append(row)
    for path in arguments.compare:
        with xr.open_dataset(path) as result:
            check = shelf.diffice.forward_check(result, mesh_size=arguments.mesh_size)
            difference = 100 * check.attrs["relative_difference"]
            cells = [os.path.basename(path), "", "", f"{difference:.2f} %", "", ""]
            if "viscosity" in result:
                own = result["viscosity"]
                cells[4:] = f"{problem.roughness(problem.at_vertices(own)):.2f}", error(own)
            print_row(*cells)
    if len(rows) > 2:
        at = corner([r.relative_difference for r in rows], [r.roughness for r in rows])
        print(f"corner of the L-curve: weight {rows[at].weight:g}")


if __name__ == "__main__":
    main()
