"""The error against a truth: known numbers, any order of the grid, no silent interpolation."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from xdiffice.errors import CoordinateError, DataValuesError
from xdiffice.results.comparison import relative_error


@pytest.fixture
def truth():
    values = np.arange(1.0, 13.0).reshape(3, 4)
    return xr.DataArray(values, dims=("y", "x"), coords={"y": [3, 2, 1], "x": [0, 1, 2, 3]})


def test_known_error(truth):
    assert relative_error(1.02 * truth, truth) == pytest.approx(0.02, rel=1e-12)
    assert relative_error(truth, truth) == 0.0


def test_only_pixels_that_have_both_count(truth):
    estimate = truth.copy()
    estimate[0, 0], estimate[1, 1] = np.nan, 7.0
    known = truth.copy()
    known[2, 3] = np.nan
    expected = 1.0 / np.sqrt(np.sum(np.arange(2.0, 12.0) ** 2))
    assert relative_error(estimate, known) == pytest.approx(expected, rel=1e-12)


def test_order_of_dims_and_axes_does_not_matter(truth):
    assert relative_error(truth.sortby("y").transpose("x", "y"), truth) == 0.0


@pytest.mark.parametrize(
    "other",
    [
        lambda t: t.assign_coords(x=t["x"] + 0.5),
        lambda t: t.isel(x=slice(2)),
        lambda t: t.rename(x="x_h"),
        lambda t: t.isel(x=slice(2)).drop_vars("x"),
    ],
)
def test_another_grid_is_refused(truth, other):
    with pytest.raises(CoordinateError, match="predict on the truth's grid"):
        relative_error(truth, other(truth))


def test_nothing_to_compare_is_refused(truth):
    with pytest.raises(DataValuesError, match="no pixel"):
        relative_error(truth * np.nan, truth)
