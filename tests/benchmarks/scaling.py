"""What an iteration costs, and how much memory a fit takes, by pixels and by interior points.

    python tests/benchmarks/scaling.py
    python tests/benchmarks/scaling.py --pixels 1e4 1e5 1e6 1e7 --interior 2000 4000 8000 16000

Every fit is a process of its own, since memory that was once taken is not always given back.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import statistics
import subprocess
import sys

import numpy as np
import xarray as xr

import xdiffice

WIDTH_TO_HEIGHT = 1.6


def enlarged(shelf: xr.Dataset, pixels: int) -> xr.Dataset:
    """Interpolate the shelf to about so many pixels, which cover the same area."""
    height = round(np.sqrt(pixels / WIDTH_TO_HEIGHT))
    sizes = {"y": height, "x": round(pixels / height)}
    grid = {}
    for axis, size in sizes.items():
        old = np.sort(shelf[axis].values)
        half = 0.5 * (old[1] - old[0])
        edges = np.linspace(old[0] - half, old[-1] + half, size + 1)
        grid[axis] = 0.5 * (edges[1:] + edges[:-1])
    finer = shelf[["x_velocity", "y_velocity", "thickness"]].interp(
        grid, kwargs={"fill_value": "extrapolate"}
    )
    rest = shelf.drop_vars([*finer.data_vars, "viscosity"], errors="ignore").drop_dims(
        [dim for dim in ("y", "x") if dim in shelf.dims]
    )
    for name in finer.data_vars:
        finer[name].attrs = shelf[name].attrs
    for axis in grid:
        finer[axis].attrs = shelf[axis].attrs
    return rest.merge(finer).assign_attrs(shelf.attrs)


def measured(pixels: int, interior: int, iterations: int) -> dict[str, float]:
    """Milliseconds of an evaluation of the loss in the last stage, and peak memory."""
    shelf = enlarged(xdiffice.synthetic.confined_shelf(), pixels)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    inverter = xdiffice.SSAViscosityInverter(
        max_iterations=iterations, n_interior=interior, tolerance=0.0, progress=False
    ).fit(shelf)
    history = inverter.history_
    last = history.isel(sample=history.stage.values == "all")
    # The first sample of a stage is mostly compilation.
    steps = np.diff(last.seconds.values[1:]) / np.diff(last.evaluations.values[1:])
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {
        "pixels": shelf.sizes["x"] * shelf.sizes["y"],
        "interior": interior,
        "milliseconds": 1e3 * statistics.median(steps),
        "shelf": before / 1024,
        "peak": after / 1024,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pixels", type=float, nargs="+", default=[1e4, 1e5, 1e6, 1e7])
    parser.add_argument("--interior", type=int, nargs="+", default=[2000, 4000, 8000, 16000])
    parser.add_argument("--iterations", type=int, default=1300)
    parser.add_argument("--one", type=float, nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        pixels, interior = map(int, arguments.one)
        print(json.dumps(measured(pixels, interior, arguments.iterations)))
        return
    print(f"{platform.machine()}, {os.cpu_count()} cores, xdiffice {xdiffice.__version__}")
    print("| pixels | interior points | ms per evaluation | peak memory, MB | of it before `fit` |")
    print("| --- | --- | --- | --- | --- |")
    cases = [(pixels, arguments.interior[0]) for pixels in arguments.pixels]
    cases += [(arguments.pixels[0], interior) for interior in arguments.interior[1:]]
    for pixels, interior in cases:
        command = [sys.executable, __file__, "--one", str(pixels), str(interior)]
        command += ["--iterations", str(arguments.iterations)]
        run = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
        found = json.loads(run.stdout.splitlines()[-1])
        print(
            f"| {found['pixels']} | {interior} | {found['milliseconds']:.1f} "
            f"| {found['peak']:.0f} | {found['shelf']:.0f} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
