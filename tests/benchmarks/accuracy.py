"""How accurate an inversion is after a given time, as a table.

Without files the package's own synthetic shelf is inverted. Files are netCDF, or `.mat` files of
DIFFICE_jax; a viscosity in them is taken as the truth.

    python tests/benchmarks/accuracy.py
    python tests/benchmarks/accuracy.py SynData_exp1.mat --seconds 45 180 --seeds 0 1 2 3 4
    python tests/benchmarks/accuracy.py SynData_exp1.mat --noise 0.01 0.05 0.1 --control
    python tests/benchmarks/accuracy.py LarsenC.nc --seconds 600 --held-out 5 --seeds 0 1 2

Parameters of the estimator are compared by naming them, one set of them for each row:

    python tests/benchmarks/accuracy.py --seeds 0 1 2 --set sampling=uniform --set sampling=residual
    python tests/benchmarks/accuracy.py --set width=16,features=32 --set width=24,features=64
"""

from __future__ import annotations

import argparse
import ast
import os
import platform
import statistics
import time

import numpy as np
import xarray as xr
from control import best_control
from shelves import hold_out, residual_shares, shelf_from, with_noise

import xdiffice
from xdiffice.results.comparison import relative_error

COLUMNS = (
    "shelf", "parameters", "noise", "seed", "seconds", "iterations", "viscosity",
    "x_velocity", "y_velocity", "thickness", "momentum", "front", "modelled", "stopped by",
)  # fmt: skip


def percent(share: float) -> str:
    return f"{100 * share:.2f} %"


def parameters(text: str) -> dict:
    """Read ``name=value,name=value``; what is no Python literal is a string."""
    found = {}
    for pair in filter(None, text.split(",")):
        name, value = pair.split("=")
        try:
            found[name] = ast.literal_eval(value)
        except ValueError:
            found[name] = value
    return found


def misfits(inverter, held_out: dict[str, xr.DataArray]) -> list[float]:
    """Relative L2 misfit of values that the fit has not seen."""
    shares = []
    for role, truth in held_out.items():
        fitted = inverter.predict(truth, variables=[role], extrapolate=True)[role]
        known = np.isfinite(truth.values)
        difference = fitted.transpose(*truth.dims).values[known] - truth.values[known]
        shares.append(float(np.linalg.norm(difference) / np.linalg.norm(truth.values[known])))
    return shares


def inverted(shelf: xr.Dataset, truth, seed: int, arguments, seconds: float, chosen: str):
    """Invert a shelf; return the cells of its row after the seed, error of viscosity, shares."""
    remaining, held_out, mask = shelf, None, None
    if arguments.held_out:
        remaining, held_out, mask = hold_out(shelf, 1000 * arguments.held_out, seed=seed)
    start = time.perf_counter()
    inverter = xdiffice.SSAViscosityInverter(
        max_seconds=seconds, random_state=seed, progress=False, **parameters(chosen)
    ).fit(remaining, mask=mask)
    elapsed = time.perf_counter() - start
    error = None
    if truth is not None:
        result = inverter.predict(truth, variables=["viscosity"])
        error = relative_error(result["viscosity"], truth)
    data = misfits(inverter, held_out) if held_out else [*inverter.misfit_.values()]
    shares = [*data, *residual_shares(inverter)]
    shown = ["-" if error is None else percent(error), *map(percent, shares)]
    cells = [f"{elapsed:.0f}", str(inverter.n_iter_), *shown, inverter.stop_reason_]
    return cells, error, shares


def rows(shelf_name: str, shelf: xr.Dataset, noise: float, seconds: float, arguments, chosen: str):
    """Rows of one shelf with one level of noise: every seed, their medians, the control method."""
    truth = shelf.get("viscosity")
    name = [shelf_name, chosen or "defaults"]
    errors, controls, shares = [], [], []
    for seed in arguments.seeds:
        noisy = with_noise(shelf, noise, seed) if noise else shelf
        start = [*name, percent(noise), str(seed)]
        cells, error, found = inverted(noisy, truth, seed, arguments, seconds, chosen)
        yield [*start, *cells]
        errors.append(error)
        shares.append(found)
        if arguments.control:
            error, weight, elapsed = best_control(noisy, truth)
            controls.append(error)
            how = [f"control, weight {weight:g}"]
            yield [*start, f"{elapsed:.0f}", "-", percent(error), *["-"] * 6, *how]
    for kind, found in (("ours", errors), ("control", controls)):
        if len(found) > 1 and None not in found:
            worst, median = percent(max(found)), percent(statistics.median(found))
            summary = f"{kind}: median {median}, worst {worst}"
            yield [*name, percent(noise), "all", "-", "-", summary, *["-"] * 7]
    if len(shares) > 1:
        medians = [percent(statistics.median(column)) for column in zip(*shares, strict=True)]
        yield [*name, percent(noise), "median", "-", "-", "-", *medians, "-"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("files", nargs="*", metavar="FILE")
    parser.add_argument("--seconds", type=float, nargs="+", default=[120.0], help="of each fit")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--noise", type=float, nargs="+", default=[0.0], help="share of rms speed")
    parser.add_argument("--control", action="store_true", help="also by a finite-element adjoint")
    parser.add_argument(
        "--held-out", type=float, metavar="KM", help="misfits in blocks left out, by seed"
    )
    parser.add_argument("--set", action="append", metavar="NAME=VALUE,...", help="of the estimator")
    arguments = parser.parse_args()
    print(f"{platform.machine()}, {os.cpu_count()} cores, xdiffice {xdiffice.__version__}")
    print("| " + " | ".join(COLUMNS) + " |")
    print("|" + " --- |" * len(COLUMNS))
    for source in arguments.files or [None]:
        name, shelf = shelf_from(source)
        for seconds in arguments.seconds:
            for noise in arguments.noise:
                for chosen in arguments.set or [""]:
                    for row in rows(name, shelf, noise, seconds, arguments, chosen):
                        print("| " + " | ".join(row) + " |", flush=True)


if __name__ == "__main__":
    main()
