"""The intervals of ensembles hold the truth as often as they say, and the flag means something."""

from __future__ import annotations

import importlib
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from xdiffice import SSAViscosityInverter
from xdiffice.results.names import Quality


@pytest.fixture(scope="module")
def intervals():
    """Import the benchmark as Python does when it is run: with its folder on the path."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(Path(__file__).parent / "benchmarks")
        yield importlib.import_module("intervals")


def test_what_the_benchmark_counts(intervals):
    truth = xr.DataArray([1.0, 1.0, 1.0, 1.0, 1.0, np.nan, np.nan], dims="p")
    flags = [1, 1, 1, Quality.NO_STRAIN, Quality.WEAKLY_DETERMINED, 0, Quality.DETERMINED]
    low = [0.9, 0.7, 1.1, 0.5, 0.5, np.nan, 0.5]
    high = [1.2, 0.9, 1.2, 2.0, 2.0, np.nan, 2.0]
    result = xr.Dataset(
        {
            "viscosity": ("p", np.exp([0.1, -0.2, 0.0, 1.0, 2.0, np.nan, 0.0])),
            "viscosity_quantile": (("quantile", "p"), [low, high]),
            "viscosity_quality": ("p", flags),
        }
    )
    counts = intervals.counted(result, truth)
    assert counts == pytest.approx((3, 1, 0.05, 2, 5.0))
    assert intervals.summary(counts) == ["33.3 %", "12.9 %", "40.0 %", "158 %"]


@pytest.mark.slow  # half an hour on two cores
def test_the_truth_is_where_it_is_said_to_be(intervals):
    everything = []
    for number in range(intervals.N_SHELVES):
        shelf = intervals.shelf(number)
        fitted = SSAViscosityInverter(n_members=8, random_state=number, progress=False).fit(shelf)
        result = fitted.predict(quantiles=intervals.INTERVAL)
        everything.append(intervals.counted(result, shelf["viscosity"]))
    total = intervals.Counts(*map(sum, zip(*everything, strict=True)))
    assert 0.80 < total.covered / total.determined < 0.97
    assert total.weak > 300
    assert total.weak_error / total.weak > 9 * total.error / total.determined
