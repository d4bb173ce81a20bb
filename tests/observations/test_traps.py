"""What real products get wrong, and what their users do to them, one by one."""

from __future__ import annotations

import numpy as np
import pytest
import real_products as products
import xarray as xr
from real_products import CENTRE, Raster

import xdiffice
from xdiffice.errors import CoordinateError, DataValuesError, UnitsError
from xdiffice.observations.gather import gather
from xdiffice.physics.constants import SECONDS_PER_YEAR

SEED = CENTRE


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("traps")
    return {
        "velocity": str(products.measures(folder / "velocity.nc")),
        "bed": str(products.bedmachine(folder / "bed.nc")),
        "mosaic": str(products.its_live(folder / "mosaic.nc")),
        "zeros": str(products.multi_year(folder / "zeros.nc")),
    }


def both(files) -> tuple[xr.Dataset, xr.Dataset]:
    return xr.open_dataset(files["velocity"]).load(), xr.open_dataset(files["bed"]).load()


def speeds(shelf: xr.Dataset) -> np.ndarray:
    found = gather(shelf)
    return np.hypot(found.velocity.u, found.velocity.v)


def test_flags_that_are_a_string_of_bytes(files):
    """NSIDC-0754 has flag_values = "0b 1b 2b 3b" in SOURCE, which is no mask of ice either."""
    velocity, bed = both(files)
    assert isinstance(velocity["SOURCE"].attrs["flag_values"], str)
    shelf = xdiffice.assemble(velocity, bed, seed_point=SEED)
    assert shelf["floating_ice"].sum() > 5000
    bed["mask"].attrs["flag_values"] = "0b 1b 2b 3b 4b"
    again = xdiffice.assemble(velocity, bed, seed_point=SEED)
    xr.testing.assert_equal(again["floating_ice"], shelf["floating_ice"])


def test_masks_whose_zero_is_missing(files):
    """ITS_LIVE's masks are 1 and NaN once decoded: NaN is true as a boolean."""
    with xr.open_dataset(files["mosaic"]) as ds:
        assert set(np.unique(ds["floatingice"].values[np.isfinite(ds["floatingice"])])) == {1}
        assert ds["floatingice"].isnull().any()
        shelf = xdiffice.assemble(ds, xr.open_dataset(files["bed"])["thickness"], seed_point=SEED)
    assert shelf["floating_ice"].sum() == Raster.of(480.0).floating.sum()


def test_integer_coordinates_do_not_overflow(files):
    _, bed = both(files)
    assert bed["x"].dtype == np.int32
    x = bed["x"].values
    assert (x * x != x.astype(np.int64) ** 2).all()  # what they do when left alone
    velocity, _ = both(files)
    shelf = xdiffice.assemble(velocity, bed, seed_point=SEED)
    assert shelf["x_h"].dtype == np.float64
    np.testing.assert_allclose(np.hypot(shelf["x_front"], shelf["y_front"]), 2.46e6, rtol=0.02)


def test_zero_velocity_is_missing_but_one_zero_component_is_not(files):
    with xr.open_dataset(files["zeros"]) as ds:
        velocity = ds.load()
    velocity["VX"][100, 100] = 0.0  # on the shelf, moving north
    _, bed = both(files)
    shelf = xdiffice.assemble(
        velocity, bed["thickness"], bbox=(*np.subtract(CENTRE, 4e4), *np.add(CENTRE, 4e4)),
        floating_values=2, ocean_values=0,
    )  # fmt: skip
    found = gather(shelf)
    assert found.velocity.u.size == Raster.of(450.0).floating.sum()
    assert (found.velocity.u == 0).sum() == 1
    assert any("exactly zero" in note for note in found.notes)


def test_fill_values_that_were_not_decoded(files):
    velocity, bed = both(files)
    for name in ("VX", "VY"):
        velocity[name] = velocity[name].fillna(-32767).assign_attrs(_FillValue=np.float32(-32767))
    assert speeds(xdiffice.assemble(velocity, bed, seed_point=SEED)).max() < 1e-5


def test_two_grids_merged(files):
    velocity, bed = both(files)
    merged = xr.merge(
        [velocity[["VX", "VY", "coord_system"]].drop_vars(["lat", "lon"], errors="ignore"),
         bed[["thickness", "mask"]].assign_coords(x=bed.x * 1.0, y=bed.y * 1.0)],
        join="outer", compat="override",
    )  # fmt: skip
    merged.x.attrs, merged.y.attrs = (dict(bed[name].attrs) for name in "xy")
    merged["mask"].attrs = bed["mask"].attrs
    with pytest.raises(CoordinateError, match="merged with an outer join"):
        xdiffice.assemble(merged, seed_point=SEED)


def test_a_gap_is_no_second_grid(files):
    velocity, bed = both(files)
    uneven = velocity.isel(x=np.r_[0:90, 95:200], y=np.r_[0:120, 130:200])
    uneven["VX"][60:75] = np.nan
    assert xdiffice.assemble(uneven, bed, seed_point=SEED)["x_velocity"].notnull().any()


def test_without_a_projection_it_works_as_far_as_it_can(files):
    velocity, bed = both(files)
    velocity = velocity.drop_vars("coord_system")
    for name in ("VX", "VY"):
        velocity[name].attrs.pop("grid_mapping", None)
        velocity[name].encoding.pop("grid_mapping", None)
    shelf = xdiffice.assemble(velocity, bed, seed_point=SEED)
    assert "grid_mapping" not in shelf["x_velocity"].attrs
    with pytest.raises(CoordinateError, match="nothing that says so"):
        xdiffice.assemble(velocity, bed, name="Larsen C")


def test_another_ellipsoid_is_noted_and_another_projection_refused(files):
    velocity, bed = both(files)
    shelf = xdiffice.assemble(velocity, bed, seed_point=SEED)
    assert "different ellipsoids" in shelf.attrs["comment"]
    bed["mapping"].attrs["standard_parallel"] = -70.0
    with pytest.raises(CoordinateError, match="different projections: standard_parallel"):
        xdiffice.assemble(velocity, bed, seed_point=SEED)


def test_units_are_never_guessed(files):
    velocity, bed = both(files)
    for name in ("VX", "VY"):
        del velocity[name].attrs["units"]
    variables = {"x_velocity_error": None, "y_velocity_error": None}
    with pytest.raises(xdiffice.XdifficeError, match="'VX' has no units"):
        xdiffice.assemble(velocity, bed, seed_point=SEED, variables=variables)
    with pytest.raises(UnitsError):
        xdiffice.assemble(
            velocity, bed, seed_point=SEED, variables=variables, units={"VX": "m yr-1", "VY": "M"}
        )


@pytest.mark.parametrize("written", ["m a-1", "m/a", "m yr-1", "meter/year", "m y-1", "m year-1"])
def test_a_year_is_one_and_the_same(files, written):
    """UDUNITS would read "m a-1" as per are, 0.01 m-1. A year has 365.25 days."""
    velocity, bed = both(files)
    for name in ("VX", "VY"):
        velocity[name].attrs["units"] = written
    shelf = xdiffice.assemble(velocity, bed, seed_point=SEED)
    stored = np.hypot(*(shelf[f"{axis}_velocity"].values for axis in "xy"))
    found = speeds(shelf)
    assert found.max() == pytest.approx(
        np.nanmax(np.where(stored > 0, stored, np.nan)) / SECONDS_PER_YEAR, rel=0.3
    )
    one = Raster.of(450.0)
    true = np.hypot(one.u, one.v)[one.floating]
    assert found.max() == pytest.approx(true.max(), rel=1e-2)
    assert SECONDS_PER_YEAR == 365.25 * 86400


def test_integers_that_mean_something_else_in_every_product(files):
    """2 floats in NSIDC-0761, 3 in BedMachine: without meanings nobody may know."""
    velocity, bed = both(files)
    bed["mask"].attrs = {}
    with pytest.raises(DataValuesError, match="does not say which of its values"):
        xdiffice.assemble(velocity, bed, seed_point=SEED)
