"""Files that are written conform to CF, says its public checker, and other programs read them."""

from __future__ import annotations

import shutil
import subprocess

import numpy as np
import pytest
import xarray as xr
from conformance import complaints
from small_fits import disc, inverter

import xdiffice
from xdiffice.campaigns.archive import Archive

EPSG = 3031


@pytest.fixture(scope="module")
def shelf() -> xr.Dataset:
    """A disc of ice on the map of Antarctica, rows downwards as in most products."""
    pyproj = pytest.importorskip("pyproj")
    # CF asks for the pole, which pyproj leaves out.
    attrs = pyproj.CRS.from_epsg(EPSG).to_cf() | {
        "latitude_of_projection_origin": -90.0,
        "long_name": "map projection",
    }
    mapping = xr.Variable((), np.int32(0), attrs)
    ds = disc(noise=0.03, error_variables=True, y_order="descending").assign_coords(crs=mapping)
    for name in ("x_velocity", "y_velocity", "thickness"):
        ds[name].attrs["grid_mapping"] = "crs"
    return ds


@pytest.fixture(scope="module")
def fitted(shelf):
    return inverter().fit(shelf)


@pytest.fixture(scope="module")
def results(shelf, fitted) -> dict[str, xr.Dataset]:
    """Every kind of output, by name."""
    many = {"n_members": 2, "subdomains": 2, "max_iterations": 12}
    ensembles = {
        rheology: inverter(rheology=rheology, **many).fit(shelf).predict(quantiles=(0.05, 0.95))
        for rheology in ("anisotropic", "glen")
    }
    points = {name: ("point", values) for name, values in (("x", [0.0, 2e3]), ("y", [1e3, 1e3]))}
    return ensembles | {
        "raster": fitted.predict(),
        "points": fitted.predict(points),
        "one position": fitted.predict({"x": 0.0, "y": 1e3}),
        "blocks": fitted.predict(chunks=10, variables=["viscosity"]),
    }


def test_the_checker_complains(tmp_path):
    """It would say so: units that are none, and a gap in an axis."""
    wrong = xr.Dataset(
        {"v": ("x", [1.0, 2.0], {"units": "Pa s^(1/3)", "long_name": "hardness"})},
        {"x": ("x", [0.0, 1.0], {"units": "m", "long_name": "x"})},
        {"Conventions": "CF-1.11", "title": "wrong", "history": "made by hand"},
    )
    said = complaints(wrong, tmp_path)
    assert any("_FillValue" in one for one in said)
    assert any("Pa s^(1/3)" in one for one in said)
    assert len(said) == 2


def test_every_output_conforms(results, tmp_path):
    assert {name: complaints(ds, tmp_path) for name, ds in results.items()} == {
        name: [] for name in results
    }
    assert {"viscosity_horizontal_quantile", "subdomain"} <= {*results["anisotropic"]}
    assert {"hardness", "hardness_quantile", "viscosity_std"} <= {*results["glen"]}


def test_a_group_of_a_campaign_conforms(fitted, tmp_path):
    archive = Archive(tmp_path / "shelves.zarr")
    archive.prepare(["shelf"])
    archive.complete("shelf", fitted.predict(), fitted.save, {"seconds": 1.0, "notes": ""})
    with xr.open_datatree(archive.path, engine="zarr", consolidated=False) as tree:
        group = tree["shelf"].to_dataset()
        # What a Zarr store does not keep, and whoever makes a netCDF file of it has to say again:
        # that coordinates have no fill value, and of what type an attribute is.
        for name in ("x", "y"):
            group[name].encoding["_FillValue"] = None
        flags = group["viscosity_quality"]
        flags.attrs["flag_values"] = np.asarray(flags.attrs["flag_values"], flags.dtype)
        assert complaints(group, tmp_path) == []


def test_a_forward_check_conforms(shelf, tmp_path):
    bay = xdiffice.synthetic.confined_shelf((12, 18), noise=0.01, error_variables=True)
    check = bay.diffice.forward_check(bay, mesh_size=8e3)
    assert "forward_check" in check.attrs["history"]
    for ds in (bay, check):
        assert complaints(ds, tmp_path) == []


def test_datasets_of_readers_conform(products, shelf, tmp_path):
    here = {name: tmp_path / f"{name}.nc" for name in ("bedmachine", "issm")}
    paths = {name: getattr(products, name)(path) for name, path in here.items()}
    with xr.open_dataset(paths["bedmachine"]) as bed:
        front = bed.diffice.calving_front()
    read = {
        "calving_front": front,
        "open_diffice_mat": xdiffice.open_diffice_mat(
            products.mat(tmp_path / "shelf.mat"), velocity_units="m s-1"
        ),
        "open_issm": xdiffice.open_issm(paths["issm"], spacing=2e3),
        "open_flight_lines": xdiffice.open_flight_lines(
            products.bedmap_points(tmp_path / "lines.csv")
        ),
        "spreading_shelf": shelf,
    }
    said = {name: complaints(ds, tmp_path) for name, ds in read.items()}
    assert said == {name: [] for name in read}


def test_an_assembled_shelf_conforms(products, tmp_path):
    shelf = xdiffice.assemble(
        products.measures(tmp_path / "velocity.nc"),
        products.bedmachine(tmp_path / "bed.nc"),
        seed_point=products.CENTRE,
    )
    # Velocity and thickness are on two grids of one projection, which CF allows (section 5.6): a
    # grid mapping belongs to variables. The checker counts the coordinates of the whole file.
    two_grids = "grid mapping polar_stereographic requires exactly one variable with standard_name"
    assert sorted(complaints(shelf, tmp_path)) == [
        f"{two_grids} projection_{axis}_coordinate to be defined" for axis in "xy"
    ]
    of_velocity = shelf.drop_dims(["y_h", "x_h"])
    assert "x_velocity_error" in of_velocity
    assert complaints(of_velocity, tmp_path) == []


def test_xarray_opens_what_was_written(results, tmp_path):
    result = results["raster"]
    result.to_netcdf(tmp_path / "result.nc")
    with xr.open_dataset(tmp_path / "result.nc") as plain:
        xr.testing.assert_identical(plain.load(), result)
    with xr.open_dataset(tmp_path / "result.nc", decode_coords="all") as decoded:
        assert decoded["crs"].attrs["grid_mapping_name"] == "polar_stereographic"
        assert "crs" in decoded.coords
        assert decoded["viscosity"].encoding["grid_mapping"] == "crs"
        np.testing.assert_array_equal(decoded["viscosity"], result["viscosity"])


@pytest.mark.skipif(shutil.which("ncdump") is None, reason="no ncdump (Debian: netcdf-bin)")
def test_ncdump_shows_what_was_written(results, tmp_path):
    results["raster"].to_netcdf(tmp_path / "result.nc")
    command = ["ncdump", "-h", str(tmp_path / "result.nc")]
    header = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    assert 'viscosity:units = "Pa s" ;' in header
    assert 'viscosity:grid_mapping = "crs" ;' in header
    assert ':Conventions = "CF-1.11" ;' in header
    assert "crs:semi_major_axis = 6378137. ;" in header


def test_a_geotiff_lies_where_the_shelf_lies(results, tmp_path):
    """For QGIS: rows from the north, the corner of the first pixel, and EPSG:3031."""
    rioxarray = pytest.importorskip("rioxarray")
    viscosity = results["raster"]["viscosity"]
    viscosity.rio.to_raster(tmp_path / "viscosity.tif")
    with rioxarray.open_rasterio(tmp_path / "viscosity.tif") as tiff:
        assert tiff.rio.crs.to_epsg() == EPSG
        x, y = viscosity["x"].values, viscosity["y"].values
        spacing = x[1] - x[0]
        corner = x[0] - spacing / 2, y[0] + spacing / 2
        np.testing.assert_allclose(
            tiff.rio.transform()[:6], [spacing, 0, corner[0], 0, -spacing, corner[1]], rtol=1e-9
        )
        np.testing.assert_array_equal(tiff.squeeze(), viscosity)
        assert np.isnan(tiff.rio.nodata)


def test_a_twin_conforms(shelf, tmp_path):
    data = xdiffice.synthetic.confined_shelf(
        (20, 30),
        mask=lambda x, y: np.hypot(x - 4e4, y) - 6e3,
        noise=0.01,
        thickness_noise=0.01,
        error_variables=True,
        y_order="descending",
    ).assign_coords(crs=shelf["crs"].variable)
    for name in ("x_velocity", "y_velocity", "thickness"):
        data[name].attrs["grid_mapping"] = "crs"
    assert complaints(data.diffice.twin(hardness=1.5e8), tmp_path) == []
