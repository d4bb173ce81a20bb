"""How accurate an inversion is after a given time, as a table.

Without arguments the package's own synthetic shelf is inverted. Arguments are `.mat` files of
DIFFICE_jax; a viscosity in them is taken as the truth.

    python tests/benchmarks/accuracy.py
    python tests/benchmarks/accuracy.py SynData_exp1.mat --seconds 180 --seeds 0 1 2
    python tests/benchmarks/accuracy.py data_pinns_LarsenC.mat --seconds 600
"""

from __future__ import annotations

import argparse
import os
import platform
import time

import xarray as xr

import xdiffice
from xdiffice.results.comparison import relative_error

COLUMNS = "shelf seed seconds iterations viscosity x_velocity y_velocity thickness momentum front"


def shelf_from(source: str | None) -> tuple[str, xr.Dataset]:
    if source is None:
        return "confined_shelf()", xdiffice.synthetic.confined_shelf()
    name = os.path.splitext(os.path.basename(source))[0]
    return name, xdiffice.open_diffice_mat(source, velocity_units="m s-1")


def row(name: str, shelf: xr.Dataset, seed: int, seconds: float) -> list[str]:
    start = time.perf_counter()
    inverter = xdiffice.SSAViscosityInverter(
        max_seconds=seconds, random_state=seed, progress=False
    ).fit(shelf)
    elapsed = time.perf_counter() - start
    error = "-"
    if "viscosity" in shelf:
        result = inverter.predict(shelf["viscosity"], variables=["viscosity"])
        error = f"{100 * relative_error(result['viscosity'], shelf['viscosity']):.2f} %"
    shares = [*inverter.misfit_.values(), *inverter.residual_.values()]
    percent = [f"{100 * share:.2f} %" for share in shares]
    return [name, str(seed), f"{elapsed:.0f}", str(inverter.n_iter_), error, *percent]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("files", nargs="*", metavar="FILE.mat")
    parser.add_argument("--seconds", type=float, default=120.0, help="of each fit")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    arguments = parser.parse_args()
    print(f"{platform.machine()}, {os.cpu_count()} cores, xdiffice {xdiffice.__version__}")
    print("| " + " | ".join(COLUMNS.split()) + " |")
    print("|" + " --- |" * len(COLUMNS.split()))
    for source in arguments.files or [None]:
        name, shelf = shelf_from(source)
        for seed in arguments.seeds:
            print("| " + " | ".join(row(name, shelf, seed, arguments.seconds)) + " |", flush=True)


if __name__ == "__main__":
    main()
