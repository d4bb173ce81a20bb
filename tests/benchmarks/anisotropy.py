"""Ice with two viscosities, inverted as such and as isotropic: errors, and what residual is left.

    python anisotropy.py --seconds 180 --seeds 0 1 2
    python anisotropy.py --seconds 45 --corners 0 --seeds 0 1 2 --noise 0 0.01 0.05
    python anisotropy.py SynData_exp1.mat --seconds 150 --seeds 0 --rheologies anisotropic

Without a file the shelf is a bay, `shelves.anisotropic_bay`. Its velocity is singular in the two
corners where front and walls meet; discs of ``--corners`` (m) around them are left away (0 keeps
them), so that the flow that is inverted is smooth. The walls have to stay: without places where the
ice does not spread, a constant share of the trivial solution is free (``--strip 6e3`` leaves away
what is within 6 km of them). The ice of a file is isotropic if its truth is. Ratios are those of
μ_v and μ_h over all pixels; the trivial solution has none that is finite.
"""

from __future__ import annotations

import argparse
import os
import platform
import time

import numpy as np
import xarray as xr
from shelves import BAY, anisotropic_bay, shelf_from, with_noise

import xdiffice
from xdiffice.results.comparison import relative_error

VISCOSITIES = ("viscosity_horizontal", "viscosity_vertical")
COLUMNS = (
    "inverted as", "noise", "seed", "seconds", "error of μ_h", "error of μ_v", "μ_v / μ_h",
    "residual: rms", "median",
)  # fmt: skip


def shelf_without(radius: float, strip: float) -> xr.Dataset:
    """Solve the whole bay; return what is `radius` off its corners and `strip` off its walls, m."""
    whole = anisotropic_bay()
    length, width = BAY

    def kept(x: xr.DataArray, y: xr.DataArray) -> xr.DataArray:
        from_wall = 0.5 * width - abs(y)
        return (np.hypot(x - length, from_wall) >= radius) & (from_wall >= strip)

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


def row(shelf: xr.Dataset, rheology: str, noise: float, seed: int, seconds: float) -> list[str]:
    """Invert a shelf and compare with its truth, which may be isotropic."""
    start = time.perf_counter()
    model = xdiffice.SSAViscosityInverter(
        rheology, max_seconds=seconds, random_state=seed, progress=False
    ).fit(with_noise(shelf, noise, seed) if noise else shelf)
    elapsed = time.perf_counter() - start
    found = model.predict()
    errors, ratios = ["", ""], ""
    if all(name in found for name in VISCOSITIES):
        true = [shelf[name if name in shelf else "viscosity"] for name in VISCOSITIES]
        pairs = zip(VISCOSITIES, true, strict=True)
        errors = [f"{relative_error(found[name], one):.2%}" for name, one in pairs]
        ratio = found[VISCOSITIES[1]] / found[VISCOSITIES[0]]
        ratios = f"{float(ratio.min()):.2f} to {float(ratio.max()):.2f}"
    left = [f"{one:.3%}" for one in residual_shares(model).values()]
    return [rheology, f"{noise:.1%}", str(seed), f"{elapsed:.0f}", *errors, ratios, *left]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("file", nargs="?")
    parser.add_argument("--seconds", type=float, default=180.0)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument(
        "--noise",
        type=float,
        nargs="+",
        default=[0.0],
        help="share of rms speed: one, or one for each seed",
    )
    parser.add_argument("--corners", type=float, default=5e3, help="m, around both")
    parser.add_argument("--strip", type=float, default=0.0, help="m, along both walls")
    parser.add_argument("--rheologies", nargs="+", default=["anisotropic", "isotropic"])
    arguments = parser.parse_args()
    seeds, noises = arguments.seeds, arguments.noise
    if len(noises) == 1:
        noises = noises * len(seeds)
    if len(noises) != len(seeds):
        parser.error(f"{len(noises)} levels of noise for {len(seeds)} seeds")
    if arguments.file:
        _, shelf = shelf_from(arguments.file)
    else:
        shelf = shelf_without(arguments.corners, arguments.strip)
    print(f"{dict(shelf.sizes)}, {platform.machine()}, {os.cpu_count()} cores")
    print("| " + " | ".join(COLUMNS) + " |")
    print("|" + " --- |" * len(COLUMNS), flush=True)
    for rheology in arguments.rheologies:
        for seed, noise in zip(seeds, noises, strict=True):
            cells = row(shelf, rheology, noise, seed, arguments.seconds)
            print("| " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main()
