"""Every rheology on every partition: misfits, residuals, and jumps where regions meet.

    python regions.py data_pinns_LarsenC.mat --seconds 600 --rheology isotropic anisotropic
    python regions.py --seconds 600 --tolerance 0 --picture sutures.png
    python regions.py --scaling

Without a file the shelf is 800 km long, with sutures and shear margins of 5 km. Jumps are root
mean squares of the differences between the networks of two regions where these meet, as shares of
the range of the field over the shelf; what is predicted blends both and has none. ``--picture``
draws the viscosity and the regions of the last fit. ``--scaling`` tells seconds of compilation and
milliseconds of an iteration.
"""

from __future__ import annotations

import argparse
import os
import platform
import resource
import time

import numpy as np
import xarray as xr
from shelves import residual_shares, shelf_from, sutured_shelf

import xdiffice

COLUMNS = (
    "shelf", "rheology", "subdomains", "seconds", "iterations", "error of viscosity", "u", "v", "h",
    "momentum", "front", "modelled",
    *(f"jump of {name}" for name in ("u", "v", "h", "log viscosity")),
)  # fmt: skip
SMALL = {
    "width": 16,
    "features": 16,
    "frequency": 4.0,
    "n_velocity": 1500,
    "n_thickness": 1000,
    "n_interior": 800,
    "n_front": 100,
}


def percent(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.2f}"


def error_of(result: xr.Dataset, shelf: xr.Dataset) -> float | None:
    """Relative L2 error of the (horizontal) viscosity, where the truth is known."""
    for name in ("viscosity", "viscosity_horizontal"):
        for true in ("viscosity", "viscosity_horizontal"):
            if name in result and true in shelf:
                found = result[name] - shelf[true]
                return float(np.sqrt((found**2).sum() / (shelf[true] ** 2).sum()))
    return None


def row(
    name: str,
    shelf: xr.Dataset,
    rheology: str,
    subdomains,
    seconds: float,
    seed: int,
    tolerance: float,
    picture: str | None = None,
):
    start = time.perf_counter()
    inverter = xdiffice.SSAViscosityInverter(
        rheology,
        subdomains,
        max_seconds=seconds,
        tolerance=tolerance,
        random_state=seed,
        progress=False,
    ).fit(shelf)
    elapsed = time.perf_counter() - start
    shares = [*inverter.misfit_.values(), *residual_shares(inverter)]
    result = inverter.predict()
    error = error_of(result, shelf)
    if picture:
        draw(picture, shelf, result)
    n = inverter.model_.partition.n
    how = f"{subdomains}: {n}" if subdomains == "auto" else str(n)
    cells = [name, rheology, how, f"{elapsed:.0f}", str(inverter.n_iter_)]
    jumps = list(inverter.jump_.values())[:4] or [None] * 4
    return [*cells, *map(percent, [error, *shares, *jumps])]


def draw(path: str, shelf: xr.Dataset, result: xr.Dataset) -> None:
    """Draw the viscosity, true where that is known, and the labels of the regions."""
    import matplotlib.pyplot as plt

    fields = {
        **({"true": shelf["viscosity"]} if "viscosity" in shelf else {}),
        "inferred": result["viscosity"],
        "regions": result["subdomain"],
    }
    figure, axes = plt.subplots(len(fields), 1, figsize=(11, 3 * len(fields)), layout="constrained")
    for ax, (title, field) in zip(axes, fields.items(), strict=True):
        field = field.assign_coords(x=field["x"] / 1e3, y=field["y"] / 1e3)
        if title == "regions":
            field.plot.imshow(ax=ax, cmap="tab20", add_colorbar=False)
        else:
            limits = np.log10(result["viscosity"]).quantile([0.005, 0.995]).values
            label = {"label": "log10 of μ in Pa s"}
            np.log10(field).plot.imshow(
                ax=ax, vmin=limits[0], vmax=limits[1], cmap="viridis", cbar_kwargs=label
            )
        ax.set(title=title, xlabel="km", ylabel="km", aspect="equal")
    figure.savefig(path, dpi=80)


def scaling(shelf: xr.Dataset, counts: list[int]) -> None:
    """Print what compilation and iterations cost for several numbers of regions."""
    print("| regions | seconds to compile | ms per iteration of all | ms per region | peak MB |")
    print("| --- | --- | --- | --- | --- |")
    for n in counts:
        compiled = _compile_seconds(shelf, n)
        fitted = xdiffice.SSAViscosityInverter(
            subdomains=n, max_iterations=600, progress=False, tolerance=0.0, **SMALL
        ).fit(shelf)
        history = fitted.history_.where(fitted.history_.stage == "all", drop=True)
        # The first sample is compiled; all regions are recorded at the same iterations.
        begun = history.seconds.groupby(history.iteration).min()
        step = begun[-1] - begun[1]
        each = 1e3 * float(step / (begun.iteration[-1] - begun.iteration[1]))
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(f"| {n} | {compiled:.1f} | {each:.1f} | {each / n:.1f} | {peak:.0f} |", flush=True)


def _compile_seconds(shelf: xr.Dataset, n: int) -> float:
    """Seconds that JAX spends in compilers during a short fit in a fresh process."""
    import jax

    jax.clear_caches()
    spent = []

    def listen(event: str, seconds: float, **_) -> None:
        if event == "/jax/core/compile/backend_compile_duration":
            spent.append(seconds)

    jax.monitoring.register_event_duration_secs_listener(listen)
    xdiffice.SSAViscosityInverter(subdomains=n, max_iterations=10, progress=False, **SMALL).fit(
        shelf
    )
    jax.monitoring.clear_event_listeners()
    return sum(spent)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("file", nargs="?")
    parser.add_argument("--seconds", type=float, default=600.0)
    parser.add_argument("--rheology", nargs="+", default=["isotropic"])
    parser.add_argument("--subdomains", nargs="+", default=["1", "auto"])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--tolerance", type=float, default=0.02, help="0 takes all of the time")
    parser.add_argument("--picture", metavar="PNG")
    parser.add_argument("--scaling", action="store_true")
    arguments = parser.parse_args()
    print(f"{platform.machine()}, {os.cpu_count()} cores, xdiffice {xdiffice.__version__}")
    name, shelf = shelf_from(arguments.file) if arguments.file else ("sutured", sutured_shelf())
    if arguments.scaling:
        scaling(shelf, [1, 4, 16])
        return
    print("| " + " | ".join(COLUMNS) + " |")
    print("|" + " --- |" * len(COLUMNS))
    for rheology in arguments.rheology:
        for subdomains in arguments.subdomains:
            chosen = subdomains if subdomains == "auto" else int(subdomains)
            for seed in arguments.seeds:
                picture = arguments.picture if chosen != 1 else None
                limits = arguments.seconds, seed, arguments.tolerance
                cells = row(name, shelf, rheology, chosen, *limits, picture)
                print("| " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main()
