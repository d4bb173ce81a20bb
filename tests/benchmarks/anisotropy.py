"""Ice with two viscosities, inverted as such and as isotropic: errors, and what residual is left.

    python anisotropy.py --seconds 180 --seeds 0 1 2

The shelf is the one "between walls" of `examples/anisotropic.py`. The velocity is singular in the
two corners where front and walls meet; discs of ``--corners`` (m) around them are left away (0
keeps them), so that the flow that is inverted is smooth. The walls have to stay: without places
where the ice does not spread, a constant share of the trivial solution is free (``--strip 6e3``
leaves away what is within 6 km of them).
"""

from __future__ import annotations

import argparse
import os
import platform
import sys
import time

import numpy as np
import xarray as xr

import xdiffice

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "..", "examples"))
from anisotropic import LENGTH, VISCOSITIES, WIDTH, relative_error, shelves


def shelf_without(radius: float, strip: float) -> xr.Dataset:
    """Solve the whole bay; return what is `radius` off its corners and `strip` off its walls, m."""
    whole = shelves()["between walls"]

    def kept(x: xr.DataArray, y: xr.DataArray) -> xr.DataArray:
        from_wall = 0.5 * WIDTH - abs(y)
        return (np.hypot(x - LENGTH, from_wall) >= radius) & (from_wall >= strip)

    cut = kept(whole["x"], whole["y"])
    fields = [name for name in whole if {"x", "y"} <= {*whole[name].dims}]
    front = kept(whole["x_front"], whole["y_front"])
    return whole.assign({name: whole[name].where(cut) for name in fields}).isel(
        {front.dims[0]: front.values}
    )


def residual_shares(model: xdiffice.SSAViscosityInverter) -> dict[str, float]:
    """Return the rms and the median of the momentum residual over the rms driving stress."""
    fitted = model.predict()
    found = np.hypot(fitted["x_momentum_residual"], fitted["y_momentum_residual"]).values
    fields = model.model_.evaluate(
        *(axis.ravel() for axis in np.meshgrid(fitted["x"], fitted["y"])),
        ("x_driving_stress", "y_driving_stress"),
    )
    driving = np.sqrt(np.mean(np.hypot(*fields.values()) ** 2))
    return {
        "rms": float(np.sqrt(np.nanmean(found**2)) / driving),
        "median": float(np.nanmedian(found) / driving),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=180.0)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--corners", type=float, default=5e3, help="m, around both")
    parser.add_argument("--strip", type=float, default=0.0, help="m, along both walls")
    parser.add_argument("--rheologies", nargs="+", default=["anisotropic", "isotropic"])
    arguments = parser.parse_args()
    shelf = shelf_without(arguments.corners, arguments.strip)
    print(f"{dict(shelf.sizes)}, {platform.machine()}, {os.cpu_count()} cores")
    print("| inverted as | seed | seconds | error of μ_h | error of μ_v | residual: rms | median |")
    print("| --- | --- | --- | --- | --- | --- | --- |", flush=True)
    for rheology in arguments.rheologies:
        for seed in arguments.seeds:
            start = time.perf_counter()
            model = xdiffice.SSAViscosityInverter(
                rheology, max_seconds=arguments.seconds, random_state=seed, progress=False
            ).fit(shelf)
            seconds = time.perf_counter() - start
            found = model.predict()
            names = [name for name in VISCOSITIES if name in found]
            errors = [f"{relative_error(found[name], shelf[name]):.2%}" for name in names]
            left = residual_shares(model)
            print(
                f"| {rheology} | {seed} | {seconds:.0f} | "
                + " | ".join((errors or ["", ""]) + [f"{one:.3%}" for one in left.values()])
                + " |",
                flush=True,
            )


if __name__ == "__main__":
    main()
