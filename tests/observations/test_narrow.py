"""A shelf on a large raster in blocks is read like the shelf alone, and no more of it is loaded."""

from __future__ import annotations

import dask.array as da
import numpy as np
import pytest
import xarray as xr
from shelves import shelf
from test_gather_property import assert_same_points

from xdiffice.errors import CoordinateError, DataValuesError
from xdiffice.observations import crop
from xdiffice.observations import gather as gather_module
from xdiffice.observations.gather import gather

N_Y, N_X = 300, 400


def on_a_continent(ds: xr.Dataset, row: int = 120, column: int = 250, fill=np.nan) -> xr.Dataset:
    """Place a shelf on a raster that is much larger."""
    wide = ds.copy()
    for dim, first, n in (("y", row, N_Y), ("x", column, N_X)):
        own = ds[dim].values
        axis = own[0] + (own[1] - own[0]) * (np.arange(n) - first)
        wide = wide.reindex({dim: axis}, method="nearest", tolerance=1.0, fill_value=fill)
        wide[dim].attrs = ds[dim].attrs
    return wide


@pytest.fixture(autouse=True)
def large(monkeypatch):
    monkeypatch.setattr(crop, "LARGE", N_X * N_Y)


@pytest.fixture
def loaded(monkeypatch) -> dict[str, tuple[int, ...]]:
    """Shapes of what was loaded, by role."""
    shapes = {}
    load = gather_module.load

    def noted(found):
        load(found)
        shapes.update(
            {role: one.values.shape for role, one in found.fields.items() if one.values is not None}
        )

    monkeypatch.setattr(gather_module, "load", noted)
    return shapes


@pytest.mark.parametrize("fill", [np.nan, 0.0])
def test_only_the_rectangle_around_the_shelf_is_loaded(loaded, fill):
    ds = shelf()
    wide = on_a_continent(ds, fill=fill)
    found = gather(wide.chunk({"y": 64, "x": 70}))
    assert_same_points(found, gather(wide))
    assert_same_points(found, gather(ds))
    loaded.clear()
    gather(wide.chunk({"y": 64, "x": 70}))
    n_y, n_x = ds.sizes["y"], ds.sizes["x"]
    for role in ("x_velocity", "y_velocity", "thickness"):
        assert loaded[role][0] <= n_y + 2
        assert loaded[role][1] <= n_x + 2
    template = found.labels.template
    assert (template.sizes["y"], template.sizes["x"]) == (N_Y, N_X)
    xr.testing.assert_identical(template, gather(wide).labels.template)


def test_a_thickness_elsewhere_or_in_memory_is_told_of_as_ever(loaded):
    wide = on_a_continent(shelf())
    velocity, thickness = wide.drop_vars("thickness"), wide[["thickness"]]
    lazy = velocity.chunk({"y": 64})
    assert_same_points(gather(lazy, thickness), gather(wide))
    assert loaded["thickness"] == (N_Y, N_X)
    x = thickness["x"]
    away = thickness.assign_coords(x=x.copy(data=x.values + 1e8)).chunk({"y": 64})
    with pytest.raises(CoordinateError, match="do not overlap"):
        gather(lazy, away)


def test_velocities_that_cannot_be_used_are_told_of_as_ever():
    wide = on_a_continent(shelf())
    empty = wide.assign(x_velocity=wide["x_velocity"].where(False)).chunk({"y": 64})
    with pytest.raises(DataValuesError, match="all values of 'x_velocity' are missing"):
        gather(empty)
    infinite = wide["x_velocity"].where(wide["x_velocity"].isnull(), np.inf)
    with pytest.raises(DataValuesError, match="infinite"):
        gather(wide.assign(x_velocity=infinite).chunk({"y": 64}))
    text = da.full((N_Y, N_X), "fast", chunks=100)
    with pytest.raises(DataValuesError, match="not numeric"):
        gather(wide.chunk().assign(x_velocity=wide["x_velocity"].copy(data=text)))
