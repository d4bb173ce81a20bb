"""How accurate are the viscosities of shelves as they are? Twins of Larsen C, whose truth is known.

Outline, front, boundary velocity and thickness of a real shelf, Glen's law with patches and bands
of damage, and noise: `xdiffice.synthetic.twin`. As a script a table, one row for each method and
twin, with the control method (`control_shelf.py`) in the same time beside it.

    python tests/benchmarks/twins.py data_pinns_LarsenC.mat --seconds 600 --save twins

Errors are of log μ over all pixels of the shelf (root mean square, median), and of μ (relative L2);
the forward check is of modelled against noisy velocity, and the noise alone is what no method
explains.
"""

from __future__ import annotations

import argparse
import os
import platform
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import xarray as xr
from control_problem import ControlProblem
from control_shelf import l_curve, print_row
from intervals import INTERVAL, counted, summary
from shelves import shelf_from

import xdiffice
from xdiffice.physics.constants import SECONDS_PER_YEAR
from xdiffice.results.comparison import relative_error

HARDNESS = 1.5e8
"""B of Glen's law with n = 3, Pa s^(1/3)."""

BANDS, BAND_WIDTH = 5, 9e3
"""Bands in which B is a quarter, and how wide they are, m."""

NOISE = {
    "velocity": 2.0 / SECONDS_PER_YEAR,
    "velocity_correlated": 0.0,
    "velocity_stripes": 0.0,
    "thickness": 4.0,
    "thickness_correlated": 6.0,
    "correlation": 8.0,
}
"""Standard deviations, m s-1 and m, and pixels."""

WEIGHTS = (1e-4, 1e-5, 1e-6, 1e-7, 1e-8, 1e-9)
"""Of the control method's penalty; each begins where the one before has ended."""

COLUMNS = ("twin", "method", "seconds", "log rms", "median", "L2", "forward check", "noise alone")

INTERVAL_COLUMNS = ("90 % interval covers", "log rms where determined", "weak", "log rms there")


def larsen_twin(shelf: xr.Dataset, seed: int) -> xr.Dataset:
    """Make a twin by the recipe above, with what else the shelf has.

    Parameters
    ----------
    shelf : xarray.Dataset
        In m s-1 and m.
    seed : int
        Decides patches, bands and noise.
    """
    made = xdiffice.synthetic.twin(
        shelf,
        hardness=HARDNESS,
        damage_bands=BANDS,
        damage_width=BAND_WIDTH,
        noise=NOISE,
        random_state=seed,
    )
    names = [name for name in ("x_grounding_line", "y_grounding_line") if name in shelf]
    return made.assign({name: shelf[name] for name in names})


def errors(found: xr.DataArray, twin: xr.Dataset) -> tuple[float, float, float]:
    """Root mean square and median of |log(μ / truth)|, and the relative L2 of μ."""
    truth = twin["viscosity"]
    wrong = np.abs(np.log(found / truth)).values
    wrong = wrong[np.isfinite(wrong)]
    return float(np.sqrt(np.mean(wrong**2))), float(np.median(wrong)), relative_error(found, truth)


def noise_alone(twin: xr.Dataset) -> float:
    """Relative L2 of noisy against true velocity."""
    pairs = [(twin[f"{axis}_velocity"], twin[f"{axis}_velocity_true"]) for axis in "xy"]
    wrong = sum(float(((noisy - true) ** 2).sum()) for noisy, true in pairs)
    return float(np.sqrt(wrong / sum(float((noisy**2).sum()) for noisy, _ in pairs)))


def by_control(twin: xr.Dataset, seconds: float) -> Iterator[tuple[str, float, xr.Dataset]]:
    """Yield what the control method has after each weight, until the time is over."""
    start = time.perf_counter()
    problem = ControlProblem(twin)
    for row in l_curve(problem, WEIGHTS, max_iterations=100):
        spent = time.perf_counter() - start
        yield f"control, weight {row.weight:g}", spent, problem.result(row.log_viscosity)
        if spent > seconds:
            return


def by_xdiffice(
    twin: xr.Dataset, seconds: float, n_members: int = 1
) -> tuple[str, float, xr.Dataset]:
    """Infer the viscosity with the package's defaults; of an ensemble with its interval."""
    start = time.perf_counter()
    fitted = xdiffice.SSAViscosityInverter(
        max_seconds=seconds, n_members=n_members, progress=False
    ).fit(twin)
    spent = time.perf_counter() - start
    result = fitted.predict(quantiles=INTERVAL if n_members > 1 else None)
    return f"xdiffice, {fitted.n_iter_} iterations", spent, result


def main() -> None:
    """Make twins and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("file", metavar="FILE", help="of the shelf: .mat of DIFFICE_jax, or netCDF")
    parser.add_argument("--velocity-units", default="m s-1", help="of a .mat file")
    parser.add_argument("--seeds", type=int, nargs="+", default=[2, 3, 4])
    parser.add_argument("--seconds", type=float, default=600.0, help="for each method")
    parser.add_argument("--members", type=int, default=1, help="of an ensemble, for its intervals")
    parser.add_argument("--save", type=Path, metavar="DIR", help="write the twins there")
    arguments = parser.parse_args()
    print(f"{platform.machine()}, {os.cpu_count()} cores, xdiffice {xdiffice.__version__}")
    name, shelf = shelf_from(arguments.file, arguments.velocity_units)
    shelf = shelf.load()
    print_row(*COLUMNS)
    print_row(*["---"] * len(COLUMNS))
    for seed in arguments.seeds:
        twin = larsen_twin(shelf, seed)
        if arguments.save:
            arguments.save.mkdir(parents=True, exist_ok=True)
            twin.to_netcdf(arguments.save / f"{name}_{seed}.nc")
        alone = f"{100 * noise_alone(twin):.2f} %"

        def describe(method: str, spent: float, result: xr.Dataset, seed: int = seed) -> None:
            shares = errors(result["viscosity"], twin)  # noqa: B023
            check = twin.diffice.forward_check(result)  # noqa: B023
            shares = (*shares, check.attrs["relative_difference"])
            told = [f"{100 * share:.1f} %" for share in shares[:3]] + [f"{100 * shares[3]:.2f} %"]
            print_row(seed, method, f"{spent:.0f}", *told, alone)  # noqa: B023

        if arguments.seconds <= 0:
            truth = twin[["viscosity"]].assign(thickness=twin["thickness_true"])
            describe("the truth itself", 0.0, truth)
            continue
        method, spent, result = by_xdiffice(twin, arguments.seconds, arguments.members)
        describe(method, spent, result)
        if arguments.members > 1:
            told = summary(counted(result, twin["viscosity"]))
            print("; ".join(map(": ".join, zip(INTERVAL_COLUMNS, told, strict=True))), flush=True)
        for row in by_control(twin, arguments.seconds):
            describe(*row)


if __name__ == "__main__":
    main()
