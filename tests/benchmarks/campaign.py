"""Wall time of a campaign with one worker and with two, and whether they find the same.

    python tests/benchmarks/campaign.py [--shelves 12] [--iterations 1500]

Synthetic shelves at two times each, all of one size, with noise; every worker has one thread.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from pathlib import Path

import numpy as np
import xarray as xr

import xdiffice
from xdiffice.synthetic import spreading_shelf

YEARS = np.array(["2015-07-01", "2016-07-01"], "datetime64[ns]")


def shelf_in_time(number: int) -> xr.Dataset:
    """Return a disc of ice whose drift changes from one year to the next."""
    epochs = [
        spreading_shelf((60, 60), drift=(1e-6 * (number + 3 * k), -2e-6), noise=0.02, seed=k)
        for k in range(2)
    ]
    velocity = [epoch[["x_velocity", "y_velocity"]] for epoch in epochs]
    moving = xr.concat(velocity, dim=xr.DataArray(YEARS, dims="time", name="time"))
    return epochs[0].drop_vars(["x_velocity", "y_velocity"]).merge(moving)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--shelves", type=int, default=12)
    parser.add_argument("--iterations", type=int, default=1500)
    arguments = parser.parse_args()
    shelves = {f"shelf_{k}": shelf_in_time(k) for k in range(arguments.shelves)}
    inverter = xdiffice.SSAViscosityInverter(max_iterations=arguments.iterations, tolerance=0.0)
    print(f"{2 * len(shelves)} runs of {arguments.iterations} iterations, {os.cpu_count()} cores")
    print(f"{'workers':>8} {'wall s':>8} {'in runs s':>10} {'ratio':>6}")
    walls, found = [], []
    with tempfile.TemporaryDirectory() as folder:
        for n in (1, 2):
            start = time.perf_counter()
            done = xdiffice.campaign(
                shelves, inverter, Path(folder) / f"{n}.zarr", n_workers=n, progress=False
            )
            walls.append(time.perf_counter() - start)
            assert (done.table["status"] == "complete").all(), done.table
            tree = done.open()
            found.append(np.stack([tree[name]["viscosity"].values for name in done.table.index]))
            spent = done.table["seconds"].sum()
            print(f"{n:8d} {walls[-1]:8.1f} {spent:10.1f} {walls[-1] / walls[0]:6.2f}", flush=True)
    same = np.array_equal(*found, equal_nan=True)
    print(f"results are {'identical' if same else 'NOT identical'}")


if __name__ == "__main__":
    main()
