"""Paths of every kind, alone and together, and what is said where they cannot be opened."""

from __future__ import annotations

import sys

import dask.array
import numpy as np
import pytest
import real_products as products
import xarray as xr
from real_products import CENTRE, Raster

import xdiffice
from xdiffice.errors import (
    CoordinateError,
    FileFormatError,
    InvalidDatasetError,
    MissingDependencyError,
    ParameterError,
)
from xdiffice.observations.gather import gather
from xdiffice.observations.opening import opened

YEARLY = {"vx": "m yr-1", "vy": "m yr-1"}
BOX = (*np.subtract(CENTRE, 42e3), *np.add(CENTRE, 42e3))


def test_tiles_are_what_the_netcdf_file_is(tmp_path):
    bed = products.bedmachine(tmp_path / "bed.nc")
    shelves = [
        xdiffice.assemble(products.its_live_tiles(tmp_path), bed, bbox=BOX, units=YEARLY),
        xdiffice.assemble(
            xr.open_dataset(products.its_live(tmp_path / "v.nc"))[["vx", "vy", "mapping"]],
            bed,
            bbox=BOX,
        ),
    ]
    one, other = map(gather, shelves)
    for name in "xyuv":
        np.testing.assert_allclose(
            *(getattr(found.velocity, name) for found in (one, other)), rtol=1e-7
        )


def test_tiles_are_opened_lazily_and_decoded(tmp_path):
    found = opened([str(path) for path in products.its_live_tiles(tmp_path)], [])
    assert list(found.data_vars) == ["vx", "vy"]
    assert isinstance(found["vx"].data, dask.array.Array)
    sea = ~Raster.of(480.0).ice
    np.testing.assert_array_equal(np.isnan(found["vx"].values), sea)


def test_tiles_without_units_are_refused(tmp_path):
    bed = products.bedmachine(tmp_path / "bed.nc")
    with pytest.raises(InvalidDatasetError, match=r"vx.*units"):
        xdiffice.assemble(products.its_live_tiles(tmp_path), bed, bbox=BOX)


def test_files_of_one_raster_have_one_raster(tmp_path):
    paths = [products.bedmachine(tmp_path / "bed.nc"), products.measures(tmp_path / "v.nc")]
    with pytest.raises(CoordinateError, match=r"bed\.nc, v\.nc are not on one raster"):
        opened(paths, [])


def test_no_variable_twice(tmp_path):
    path = products.measures(tmp_path / "v.nc", source=False)
    with pytest.raises(ParameterError, match=r"VX.* in more than one of v\.nc, v\.nc"):
        opened([path, path], [])


@pytest.mark.parametrize("version", [1, 2, 3, 4])
def test_every_bedmachine_is_recognised(tmp_path, version):
    notes: list[str] = []
    opened(products.bedmachine(tmp_path / "bed.nc", version), notes)
    assert notes == ["recognised BedMachine Antarctica, thickness ice equivalent"]


def test_what_is_no_path_is_handed_on(tmp_path):
    table = xr.DataArray(np.zeros(3), dims="point")
    assert opened(table, []) is table
    assert opened(None, []) is None
    assert opened("mask", [], may_be_name=True) == "mask"


def test_what_cannot_be_opened_is_told(tmp_path):
    text = tmp_path / "notes.txt"
    text.write_text("no raster")
    for path, message in (
        (tmp_path / "gone.nc", "there is no file .*gone.nc"),
        (text, "notes.txt' cannot be opened by xarray"),
        (products.issm(tmp_path / "model.nc"), "ISSM models are opened by xdiffice.open_issm"),
        (products.mat(tmp_path / "s.mat"), r"open_diffice_mat\(path, velocity_units"),
    ):
        with pytest.raises(FileFormatError, match=message):
            opened(path, [])


def test_geotiff_needs_rioxarray(tmp_path, monkeypatch):
    tiles = products.its_live_tiles(tmp_path)
    monkeypatch.setitem(sys.modules, "rioxarray", None)
    with pytest.raises(
        MissingDependencyError, match=r"rioxarray opens: pip install 'xdiffice\[geo"
    ):
        opened(tiles[0], [])


def test_several_bands_are_no_field(tmp_path):
    import rioxarray  # noqa: F401

    one = Raster.of(2000.0)
    bands = xr.concat([one.empty()["x"] * one.empty()["y"]] * 2, "band").transpose("band", "y", "x")
    bands.rio.write_crs(3031).rio.to_raster(tmp_path / "two.tif")
    with pytest.raises(FileFormatError, match=r"two\.tif has several bands"):
        opened(tmp_path / "two.tif", [])
