"""Prediction of large rasters to Zarr: points a second and memory, beside one plain evaluation.

    python lazy.py FOLDER --sides 1000 5000 20000

Viscosity, velocity and thickness of `xdiffice.synthetic.confined_shelf` on square rasters that the
shelf fills, stored as float32. "Plain" is the same networks, compiled, on one block of a million
points in memory. Each raster has a process of its own, whose peak memory is taken above that of
the imports.
"""

from __future__ import annotations

import argparse
import os
import pickle
import platform
import shutil
import subprocess
import sys
import time
from pathlib import Path

import jax
import numpy as np
import xarray as xr

import xdiffice
from xdiffice.model.precision import double_precision

VARIABLES = ["viscosity", "x_velocity", "y_velocity", "thickness"]


def peak_mb() -> float:
    """Peak of this process; that of `getrusage` begins with what the parent had."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    (line,) = [line for line in status.splitlines() if line.startswith("VmHWM")]
    return int(line.split()[1]) / 1024


def plain(model, n: int = 1_000_000) -> float:
    """Million points a second of the networks alone, median of five."""
    fitted = model.model_
    scales, networks = fitted.region_scales[0], fitted.model
    x, y = np.random.default_rng(0).uniform(-1, 1, (2, n))

    @jax.jit
    def evaluate(theta, x, y):
        motion, viscosity = networks.split(theta)
        u, v, h = networks.motion_at(motion, scales.equation_units, x, y, 0)
        (log,) = networks.logarithms(viscosity, x, y, 0)
        return u.value, v.value, h.value, jax.numpy.exp(log.value)

    with double_precision():
        arguments = [jax.numpy.asarray(a) for a in (fitted.theta[0, 0], x, y)]
        jax.block_until_ready(evaluate(*arguments))
        seconds = []
        for _ in range(5):
            start = time.perf_counter()
            jax.block_until_ready(evaluate(*arguments))
            seconds.append(time.perf_counter() - start)
    return n / np.median(seconds) / 1e6


def predict(pickled: Path, store: Path, side: int, chunk: int) -> None:
    """Predict one raster, in this process; print seconds and MB above the imports."""
    model = pickle.loads(pickled.read_bytes())  # our own file of a moment ago
    before = peak_mb()

    def to_store(side: int, path: Path) -> float:
        template = {
            "x": ("x", np.linspace(0, 80e3, side), {"units": "m"}),
            "y": ("y", np.linspace(-25e3, 25e3, side), {"units": "m"}),
        }
        blocks = min(chunk, side // 2)  # one for each core at least
        start = time.perf_counter()
        lazy = model.predict(xr.Dataset(coords=template), variables=VARIABLES, chunks=blocks)
        lazy.to_zarr(path, mode="w", encoding={name: {"dtype": "float32"} for name in VARIABLES})
        return time.perf_counter() - start

    to_store(20, store.with_name("small.zarr"))  # compiled, and all that is imported late
    print(to_store(side, store), peak_mb() - before)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--sides", type=int, nargs="+", default=[1000, 2000, 5000, 10000, 20000])
    parser.add_argument("--chunk", type=int, default=2000)
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--one", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    pickled, store = arguments.folder / "model.pickle", arguments.folder / "out.zarr"
    if arguments.one:
        predict(pickled, store, arguments.one, arguments.chunk)
        return
    shelf = xdiffice.synthetic.confined_shelf()
    model = xdiffice.SSAViscosityInverter(max_seconds=arguments.seconds, progress=False).fit(shelf)
    arguments.folder.mkdir(parents=True, exist_ok=True)
    pickled.write_bytes(pickle.dumps(model))
    print(f"{platform.machine()}, {os.cpu_count()} cores, xdiffice {xdiffice.__version__}")
    print(f"plain: {plain(model):.2f} million points a second")
    print("| raster | seconds | million points a second | MB above imports |")
    print("| --- | --- | --- | --- |")
    for side in arguments.sides:
        shutil.rmtree(store, ignore_errors=True)
        command = [sys.executable, __file__, str(arguments.folder), "--one", str(side)]
        command += ["--chunk", str(arguments.chunk)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        seconds, memory = map(float, done.stdout.split())
        rate = side**2 / seconds / 1e6
        print(f"| {side} x {side} | {seconds:.1f} | {rate:.2f} | {memory:.0f} |", flush=True)
    print(f"plain: {plain(model):.2f} million points a second")


if __name__ == "__main__":
    main()
