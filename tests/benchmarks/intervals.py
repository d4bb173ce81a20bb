"""How often the true viscosity lies within the intervals of an ensemble, and what the flag says.

Twelve synthetic shelves of different sizes, viscosities and thicknesses, with noise of 2 to 5 % on
the velocity; a third has an ice rise, a third a stiff core that hardly deforms, a quarter gaps, and
half come with their errors and noise of 1 % on the thickness.

    python tests/benchmarks/intervals.py
"""

from __future__ import annotations

import argparse
import os
import platform
import time
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import xarray as xr

import xdiffice
from xdiffice.results.names import Quality

N_SHELVES = 12
INTERVAL = (0.05, 0.95)
COLUMNS = ("shelf", "noise", "seconds", "covered", "error", "weak", "error where weak")


class Counts(NamedTuple):
    """Pixels of a shelf that are determined, those of them that are covered, and weak ones.

    ``error`` and ``weak_error`` are sums of squares of what log μ is wrong by.
    """

    determined: int
    covered: int
    error: float
    weak: int
    weak_error: float


def random_field(
    rng: np.random.Generator, length: float, width: float, amplitude: float
) -> Callable[[np.ndarray, np.ndarray], np.ndarray]:
    """Return a smooth function of position: waves of at most three halves along both sides."""
    orders = [(i, j) for i in range(4) for j in range(4) if 0 < i + j <= 3]
    sizes = [rng.normal() / (i + j) for i, j in orders]
    phases = rng.uniform(0, 2 * np.pi, len(orders))

    def field(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        waves = (
            size * np.cos(np.pi * (i * x / length + j * y / width) + phase)
            for (i, j), size, phase in zip(orders, sizes, phases, strict=True)
        )
        return amplitude * sum(waves)

    return field


def noise_of(number: int) -> float:
    """Noise of a shelf's velocity, as a share of the rms speed."""
    return 0.02 + 0.03 * number / (N_SHELVES - 1)


def shelf(number: int) -> xr.Dataset:
    """Make one of the shelves.

    Parameters
    ----------
    number : int
        0 to 11.

    Returns
    -------
    xarray.Dataset
        See `xdiffice.synthetic.confined_shelf`.
    """
    rng = np.random.default_rng(1000 + number)
    length, width = float(rng.uniform(60e3, 120e3)), float(rng.uniform(40e3, 80e3))
    viscosity = random_field(rng, length, width, 0.45)
    level = 10 ** rng.uniform(13.3, 14.0)
    thickness = random_field(rng, length, width, 0.05)
    stiff = STIFF if number % 3 == 2 else 0.0

    def core(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        square = ((x - 0.5 * length) ** 2 + y**2) / (0.25 * width) ** 2
        return stiff * np.exp(-square)

    def off_rise(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        return np.hypot(x - 0.45 * length, y - 0.1 * width) - 0.12 * width

    return xdiffice.synthetic.confined_shelf(
        (60, 90),
        length=length,
        width=width,
        viscosity=lambda x, y: level * np.exp(viscosity(x, y) + core(x, y)),
        thickness=lambda x, y: (450 - 220 * x / length) * np.exp(thickness(x, y)),
        mask=off_rise if number % 3 == 1 else None,
        side_speed=2.1e-5,
        noise=noise_of(number),
        thickness_noise=0.01 if number % 2 else 0.0,
        gaps=0.1 if number % 4 == 2 else 0.0,
        error_variables=bool(number % 2),
        velocity_units="m yr-1",
        seed=number,
    )


STIFF = 4.0
"""Logarithm of how much stiffer a core is than the ice around it."""


def counted(result: xr.Dataset, truth: xr.DataArray) -> Counts:
    """Compare a prediction with quantiles at the ends of `INTERVAL` with the true viscosity."""
    wrong = np.log(result["viscosity"] / truth).values
    low, high = result["viscosity_quantile"].transpose("quantile", *truth.dims).values
    inside = (low < truth.values) & (truth.values < high)
    flags = result["viscosity_quality"].transpose(*truth.dims).values
    known = np.isfinite(wrong)  # at the rim of an ice rise half a pixel has no true viscosity
    determined = known & (flags == Quality.DETERMINED)
    weak = known & ((flags == Quality.WEAKLY_DETERMINED) | (flags == Quality.NO_STRAIN))
    return Counts(
        int(determined.sum()),
        int((determined & inside).sum()),
        float(np.sum(wrong[determined] ** 2)),
        int(weak.sum()),
        float(np.sum(wrong[weak] ** 2)),
    )


def summary(counts: Counts) -> list[str]:
    """Return the last four cells of a row."""
    share = counts.weak / max(1, counts.weak + counts.determined)
    weak = np.sqrt(counts.weak_error / counts.weak) if counts.weak else np.nan
    return [
        f"{100 * counts.covered / counts.determined:.1f} %",
        f"{100 * np.sqrt(counts.error / counts.determined):.1f} %",
        f"{100 * share:.1f} %",
        f"{100 * weak:.0f} %",
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--members", type=int, default=8)
    parser.add_argument("--iterations", type=int, help="of every member; the estimator's default")
    parser.add_argument("--shelves", type=int, nargs="+", default=[*range(N_SHELVES)])
    arguments = parser.parse_args()
    print(f"{platform.machine()}, {os.cpu_count()} cores, xdiffice {xdiffice.__version__}")
    print("| " + " | ".join(COLUMNS) + " |")
    print("|" + " --- |" * len(COLUMNS))
    everything = []
    for number in arguments.shelves:
        one = shelf(number)
        start = time.perf_counter()
        inverter = xdiffice.SSAViscosityInverter(
            n_members=arguments.members,
            max_iterations=arguments.iterations,
            random_state=number,
            progress=False,
        ).fit(one)
        seconds = time.perf_counter() - start
        counts = counted(inverter.predict(quantiles=INTERVAL), one["viscosity"])
        everything.append(counts)
        row = [str(number), f"{100 * noise_of(number):.1f} %", f"{seconds:.0f}", *summary(counts)]
        print("| " + " | ".join(row) + " |", flush=True)
    total = Counts(*map(sum, zip(*everything, strict=True)))
    print("| " + " | ".join(["all", "", "", *summary(total)]) + " |")


if __name__ == "__main__":
    main()
