"""Thickness along flight lines only: what the physics completes, and what interpolation does.

    python flight_lines.py --seconds 120
    python flight_lines.py data_pinns_LarsenC.mat --apart 20 --seconds 600 --picture larsen.png

Without a file the shelf is `xdiffice.synthetic.confined_shelf`, whose thickness and viscosity are
known. Lines run along y; errors of thickness are those off the lines. "Interpolated" means linear
interpolation of the same points to all pixels before the inversion (scipy's `griddata`; nearest
point outside of their hull).
"""

from __future__ import annotations

import argparse
import os
import platform

import numpy as np
import xarray as xr
from scipy.interpolate import griddata
from shelves import shelf_from

import xdiffice
from xdiffice.observations.survey import load, search_shelf


def flown(
    shelf: xr.Dataset, apart: float, noise: float, step: float, seed: int
) -> tuple[xr.Dataset, xr.DataArray]:
    """Return points on lines, and the thickness that they were taken from.

    Parameters
    ----------
    shelf : xarray.Dataset
        With a raster of thickness; pixels nearest to the lines are taken.
    apart, step : float
        Distance of lines, and of points along them, m.
    noise : float
        Standard deviation, m.
    seed : int
        Decides the noise.
    """
    found = search_shelf(shelf)
    load(found)
    field = found.fields["thickness"]
    grid, h = field.grid, field.si
    x = np.arange(grid.x.min() + apart / 2, grid.x.max(), apart)
    y = np.arange(grid.y.min(), grid.y.max(), step)
    row = np.abs(grid.y[:, None] - y).argmin(axis=0)
    column = np.abs(grid.x[:, None] - x).argmin(axis=0)
    row, column = (index.ravel() for index in np.meshgrid(np.unique(row), np.unique(column)))
    known = np.isfinite(h[row, column]) & (h[row, column] > 0)
    row, column = row[known], column[known]
    noisy = h[row, column] + noise * np.random.default_rng(seed).standard_normal(row.size)
    points = xr.Dataset(
        {"thickness": ("point", noisy, {"units": "m", "standard_name": "land_ice_thickness"})},
        coords={
            "x": ("point", grid.x[column], {"units": "m", "axis": "X"}),
            "y": ("point", grid.y[row], {"units": "m", "axis": "Y"}),
        },
    )
    truth = xr.DataArray(
        h, coords={"y": grid.y, "x": grid.x}, dims=("y", "x"), attrs={"units": "m"}
    )
    for name in "xy":
        truth[name].attrs = {"units": "m", "axis": name.upper()}
    return points, truth.where(truth > 0)


def interpolated(points: xr.Dataset, truth: xr.DataArray) -> xr.DataArray:
    """Interpolate the points to all pixels that have a true thickness."""
    at = np.column_stack([points["x"], points["y"]])
    x, y = np.meshgrid(truth["x"], truth["y"])
    linear = griddata(at, points["thickness"].values, (x, y), "linear")
    nearest = griddata(at, points["thickness"].values, (x, y), "nearest")
    return truth.copy(data=np.where(np.isfinite(linear), linear, nearest)).where(truth.notnull())


def relative(found: xr.DataArray, truth: xr.DataArray) -> float:
    both = found.notnull() & truth.notnull()
    difference = (found - truth).where(both)
    return float(np.sqrt((difference**2).sum() / (truth.where(both) ** 2).sum()))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("file", nargs="?")
    parser.add_argument("--apart", type=float, default=10.0, help="km between lines")
    parser.add_argument("--noise", type=float, default=30.0, help="m; of a synthetic shelf only")
    parser.add_argument("--seconds", type=float, default=120.0)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--picture")
    arguments = parser.parse_args()
    print(f"{platform.machine()}, {os.cpu_count()} cores, xdiffice {xdiffice.__version__}")
    name, shelf = shelf_from(arguments.file)
    noise = 0.0 if arguments.file else arguments.noise
    print("| shelf | km apart | seed | thickness | points | error of h | error of viscosity |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for seed in arguments.seeds:
        points, truth = flown(shelf, 1e3 * arguments.apart, noise, 200.0, seed)
        plain = shelf.drop_vars("thickness")
        off_lines = truth.where(~truth["x"].isin(points["x"]))
        filled = interpolated(points, truth).rename("thickness")
        known = {"lines": points, "interpolated": filled, "all pixels": truth.rename("thickness")}
        results = {}
        for how, thickness in known.items():
            fitted = xdiffice.SSAViscosityInverter(
                max_seconds=arguments.seconds, random_state=seed, progress=False
            ).fit(plain, thickness)
            h = fitted.predict(truth, variables=["thickness"], extrapolate=True)["thickness"]
            results[how] = fitted.predict(), h
            mu = "-"
            if "viscosity" in shelf:
                mu = f"{100 * relative(results[how][0]['viscosity'], shelf['viscosity']):.2f} %"
            cells = [name, f"{arguments.apart:g}", str(seed), how, str(thickness["x"].size)]
            if how != "lines":
                cells[-1] = ""
            print(
                f"| {' | '.join(cells)} | {100 * relative(h, off_lines):.2f} % | {mu} |", flush=True
            )
        alone = 100 * relative(filled, off_lines)
        print(f"| {name} | | {seed} | interpolation | | {alone:.2f} % | |", flush=True)
    if arguments.picture:
        draw(arguments.picture, points, truth, filled, {k: h for k, (_, h) in results.items()})


def draw(path: str, points, truth, filled, found) -> None:
    """Draw the thickness off the lines, and how far it is from that of the product."""
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, 3, figsize=(13, 5), layout="constrained")
    truth.plot.imshow(ax=axes[0], cmap="viridis", cbar_kwargs={"label": "m"})
    axes[0].plot(points["x"], points["y"], "k.", ms=0.5)
    axes[0].set_title("thickness, and the lines that are used")
    limit = float(abs(filled - truth).quantile(0.98))
    for ax, (title, one) in zip(
        axes[1:], {"physics": found["lines"], "interpolation": filled}.items(), strict=True
    ):
        (one.where(truth.notnull()) - truth).plot.imshow(
            ax=ax, cmap="RdBu", vmin=-limit, vmax=limit, cbar_kwargs={"label": "m"}
        )
        ax.set_title(f"{title} minus that: {100 * relative(one, truth):.1f} %")
    for ax in axes:
        ax.set(xlabel="", ylabel="", aspect="equal")
    figure.savefig(path, dpi=90)


if __name__ == "__main__":
    main()
