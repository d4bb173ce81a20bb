"""Models on a triangular mesh: what is linear on triangles is so on the raster."""

from __future__ import annotations

import numpy as np
import pytest
import real_products as products
import xarray as xr
from real_products import CENTRE, RADIUS, RATE

import xdiffice
from xdiffice.errors import FileFormatError, ParameterError
from xdiffice.physics.constants import SECONDS_PER_YEAR

VERTICES = 61 * 61


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return products.issm(tmp_path_factory.mktemp("issm") / "model.nc")


def test_linear_fields_are_exact(model):
    """Velocity is linear in space, and metres per year count by the file's own year."""
    ds = xdiffice.open_issm(model)
    ice = ds["thickness"].notnull()
    u = RATE * (ds["x"] - CENTRE[0]) + 10 / SECONDS_PER_YEAR + 0 * ds["y"]
    v = RATE * (ds["y"] - CENTRE[1]) + 20 / SECONDS_PER_YEAR + 0 * ds["x"]
    for name, truth in (("x_velocity", u), ("y_velocity", v)):
        difference = (ds[name] - truth.transpose("y", "x")).where(ice)
        assert float(abs(difference).max()) < 1e-12 * float(abs(u).max())
    h = 400 - 2e-3 * (ds["x"] - CENTRE[0]) + 40 * np.sin((ds["y"] - CENTRE[1]) / 2e4)
    bend = 40 / 2e4**2  # the largest second derivative of the thickness
    assert float(abs(ds["thickness"] - h).max()) <= bend * 1500**2 / 8 * 1.2


def test_level_sets_are_masks(model):
    ds = xdiffice.open_issm(model, spacing=500.0)
    x, y = np.meshgrid(ds["x"] - CENTRE[0], ds["y"] - CENTRE[1])
    mask = ds["mask"].values
    radius, rise, polynya = np.hypot(x, y), np.hypot(x, y - 12e3), np.hypot(x - 8e3, y)
    inside = (radius < RADIUS - 750) & (x > products.COAST + 750)
    assert (mask[inside & (rise > 3.5e3) & (polynya > 4e3)] == 2).all()
    assert (mask[rise < 1.5e3] == 1).all()
    assert (mask[polynya < 2e3] == 0).all()
    assert (mask[(radius > RADIUS + 750) & (x > products.COAST + 750)] == 0).all()
    assert float(ds["x"].diff("x").max()) == pytest.approx(500.0)


def test_without_a_spacing_pixels_follow_the_mesh(model):
    spacing = float(xdiffice.open_issm(model)["x"].diff("x")[0])
    assert 700 < spacing < 900  # triangles of 1500 m


def test_the_velocity_may_be_another(tmp_path):
    year = np.full(VERTICES, 365.0 * 86400.0)
    more = {"inversion/vx_obs": year, "inversion/vy_obs": -year}
    ds = xdiffice.open_issm(products.issm(tmp_path / "m.nc", more), velocity="inversion")
    ice = ds["thickness"].notnull().values
    np.testing.assert_allclose(ds["x_velocity"].values[ice], 1.0)
    np.testing.assert_allclose(ds["y_velocity"].values[ice], -1.0)


def test_it_becomes_a_shelf(model):
    seed = (CENTRE[0] + 1e3, CENTRE[1] - 5e3)
    shelf = xdiffice.assemble(xdiffice.open_issm(model), seed_point=seed)
    radius = np.hypot(shelf["x_front"] - CENTRE[0], shelf["y_front"] - CENTRE[1])
    ahead = shelf["x_front"] - CENTRE[0] > products.COAST + 5e3
    np.testing.assert_allclose(radius[ahead], RADIUS, atol=750)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        (
            {"geometry/thickness": None},
            r"group 'geometry' of m\.nc lacks thickness; it has surface",
        ),
        ({"geometry/thickness": np.ones(3)}, f"has 3 values, the mesh {VERTICES} vertices"),
        ({"mesh/elements": np.ones((2, 6), "i8")}, r"shape \(2, 6\).*collapsed"),
        ({"mesh/elements": np.zeros((2, 3), "i8")}, "vertices that there are not"),
        ({"initialization/vx": None}, r"group 'initialization' of m\.nc lacks vx"),
        ({"constants/yts": None}, r"group 'constants' of m\.nc lacks yts"),
    ],
)
def test_what_is_no_model_is_told(tmp_path, changed, message):
    with pytest.raises(FileFormatError, match=message):
        xdiffice.open_issm(products.issm(tmp_path / "m.nc", changed))


def test_other_files_are_told(tmp_path):
    path = tmp_path / "plain.nc"
    xr.Dataset({"a": 1}).to_netcdf(path)
    with pytest.raises(FileFormatError, match=r"plain\.nc is no ISSM model"):
        xdiffice.open_issm(path)
    with pytest.raises(FileFormatError, match="there is no file"):
        xdiffice.open_issm(tmp_path / "gone.nc")


@pytest.mark.parametrize("spacing", [0.0, -1.0, np.nan, 1.0])
def test_a_spacing_is_positive_and_bearable(model, spacing):
    with pytest.raises(ParameterError, match="spacing"):
        xdiffice.open_issm(model, spacing=spacing)
