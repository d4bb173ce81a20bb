"""Thickness of several sources at once: a grid, and flight lines beside it."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from shelves import shelf

import xdiffice
from xdiffice.errors import DataValuesError, UnitsError, VariableNotFoundError
from xdiffice.observations.gather import gather


def lines(n: int = 40) -> xr.Dataset:
    """Points on a line through the middle of the shelf."""
    ds = shelf()
    x = np.linspace(float(ds.x.min()), float(ds.x.max()), n)
    along = {"x": x, "y": np.full(n, float(ds.y.mean()))}
    return xr.Dataset(
        {"thickness": ("point", np.full(n, 333.0), {"units": "m"})},
        coords={axis: ("point", values, dict(ds[axis].attrs)) for axis, values in along.items()},
    )


def test_a_grid_and_lines_are_all_points():
    ds = shelf()
    alone, on_lines = gather(ds), gather(ds, lines())
    both = gather(ds, [ds[["thickness"]], lines()])
    for name in ("x", "y", "h"):
        expected = [getattr(one.thickness, name) for one in (alone, on_lines)]
        np.testing.assert_allclose(getattr(both.thickness, name), np.concatenate(expected))
    np.testing.assert_array_equal(both.velocity.u, alone.velocity.u)
    assert both.thickness.h_error is None


def test_units_may_differ_from_source_to_source():
    ds = shelf()
    kilometres = ds["thickness"].rename("ice") / 1000
    kilometres.attrs = {"units": "km"}
    twice = gather(ds, (ds["thickness"], kilometres))
    n = gather(ds).thickness.h.size
    np.testing.assert_allclose(twice.thickness.h[:n], twice.thickness.h[n:], rtol=1e-12)


def test_units_that_are_given_hold_for_all_sources_and_the_velocity():
    ds, line = (  # in km, but they do not say so
        one.assign_coords({axis: one[axis].drop_attrs() / 1000 for axis in "xy"})
        for one in (shelf(), lines())
    )
    line = line.rename(thickness="ELEVATION")
    line["ELEVATION"].attrs.clear()
    units = {"x": "km", "y": "km", "ELEVATION": "km"}
    both = gather(ds, [ds["thickness"], line], variables={"thickness": "ELEVATION"}, units=units)
    plain = gather(shelf(), [shelf()["thickness"], lines()])
    np.testing.assert_allclose(both.velocity.x, plain.velocity.x)
    np.testing.assert_allclose(both.thickness.x, plain.thickness.x)
    np.testing.assert_allclose(both.thickness.h[-1], 333e3)


def test_errors_of_all_or_of_none():
    ds = shelf()
    known = ds[["thickness"]].assign(thickness_error=ds["thickness"] * 0 + 20.0)
    known["thickness_error"].attrs["units"] = "m"
    coarse = known.isel(x=slice(None, None, 3)).assign(
        thickness_error=known["thickness_error"].isel(x=slice(None, None, 3)) / 4
    )
    coarse["thickness_error"].attrs["units"] = "m"
    both = gather(ds, [known, coarse])
    assert set(np.unique(both.thickness.h_error)) == {20.0, 5.0}
    with pytest.raises(DataValuesError, match="give errors of all, or of none"):
        gather(ds, [known, ds["thickness"]])


def test_what_is_wrong_with_one_is_said():
    ds = shelf()
    bare = ds["thickness"].copy()
    bare.attrs = {}
    with pytest.raises(UnitsError, match="thickness"):
        gather(ds, [ds["thickness"], bare])
    with pytest.raises(VariableNotFoundError, match="thickness"):
        gather(ds, [ds["thickness"], ds[["x_velocity"]]])


def test_a_report_knows_them_as_well():
    ds = shelf()
    report = xdiffice.report(ds, [ds["thickness"], ds["thickness"]])
    assert report.ok
