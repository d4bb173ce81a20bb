"""Two files of one's own: velocity on a grid, thickness cut to the shelf and a mask on another.

Nothing in them is of a known product, and every mistake that is easily made is told.
"""

from __future__ import annotations

import re
import warnings

import numpy as np
import pytest
import xarray as xr
from real_products import COAST, RADIUS, Raster, two_files
from shelves import shelf

import xdiffice
from xdiffice.errors import (
    AmbiguousVariableError,
    CoordinateError,
    DataValuesError,
    InputTypeError,
    InvalidDatasetError,
    PlausibilityWarning,
    UnitsError,
    VariableNotFoundError,
)
from xdiffice.observations.calving import outline_length
from xdiffice.observations.gather import gather

FLAGS = {"flag_values": [0, 1, 2], "flag_meanings": "ocean grounded_ice floating_ice"}
FRONT = 2 * RADIUS * np.arccos(COAST / RADIUS)
OUTLINE = FRONT + 2 * np.sqrt(RADIUS**2 - COAST**2)
COARSE = Raster.of(500.0)


@pytest.fixture
def velocity() -> xr.Dataset:
    return two_files()[0]


@pytest.fixture
def bed() -> xr.Dataset:
    """Thickness is missing off the shelf: on grounded ice as well as on the ocean."""
    return two_files()[1]


def plain(mask: xr.DataArray) -> xr.DataArray:
    """A mask without attributes of its own, on the same coordinates."""
    return mask.drop_attrs(deep=False)


def length(front: xr.Dataset) -> float:
    return front.sizes["front"] * 500.0


def test_flags_alone_make_a_shelf(velocity, bed):
    """Without any place, by a variable that is not called a mask."""
    found = xdiffice.assemble(velocity, bed)
    assert found["floating_ice"].sum() == COARSE.floating.sum()
    assert length(found) == pytest.approx(FRONT, rel=0.05)
    n = found.sizes["front"]
    for part in (
        "floating ice is where mask 'surface_type' is floating_ice",
        f"the shelf has {COARSE.floating.sum()} pixels, {COARSE.floating.sum() * 0.25:.4g} km2",
        "ocean is where mask 'surface_type' is ocean",
        f"the calving front has {n} points, {0.5 * n:.4g} km, ",
    ):
        assert part in found.attrs["comment"]
    share = int(re.search(r"(\d+)% of the shelf's outline", found.attrs["comment"])[1]) / 100
    assert share == pytest.approx(FRONT / OUTLINE, abs=0.03)
    numbers = found.diffice.report().numbers
    assert numbers["front_share"] == pytest.approx(FRONT / OUTLINE, abs=0.05)
    assert f"{numbers['front_share']:.0%} of the shelf's outline" in str(found.diffice)


def test_an_outline_is_as_long_as_its_formula():
    x = np.arange(-80e3, 80e3, 500.0)
    distance = np.hypot(x, x[:, None])
    ring = (distance < 50e3) & (distance > 10e3)
    assert outline_length(x, x[::-1], ring) == pytest.approx(2 * np.pi * 50e3, rel=0.01)
    half = ring[:, :160]  # cut at the middle: the cut is outline
    assert outline_length(x[:160], x, half) == pytest.approx((np.pi + 2) * 50e3, rel=0.03)


@pytest.mark.parametrize(
    "options",
    [
        lambda bed: {"mask": plain(bed.surface_type == 2)},
        lambda bed: {"mask": plain(bed.thickness > 0)},
        lambda bed: {"mask": plain((bed.surface_type == 2).astype(float))},
        lambda bed: {"floating_values": 2},
    ],
)
def test_missing_thickness_is_no_ocean(velocity, bed, options):
    """It is missing on grounded ice as well, and the front would be all around the shelf."""
    with pytest.raises(VariableNotFoundError, match="does not tell the ocean") as caught:
        xdiffice.assemble(velocity, bed, **options(bed))
    assert "'thickness' is nowhere zero" in str(caught.value)
    assert "ocean_values=" in str(caught.value)
    assert ("pass mask='surface_type'" in str(caught.value)) is ("mask" in options(bed))
    front = bed.diffice.calving_front
    with pytest.raises(VariableNotFoundError, match="'thickness' is nowhere zero"):
        front(plain(bed.surface_type == 2))


def test_zero_thickness_is_ocean(velocity, bed):
    whole = xdiffice.assemble(velocity, bed)
    mask = plain(bed.surface_type == 2)
    bed["thickness"] = bed["thickness"].where(~(bed.surface_type == 0).values, 0.0)
    bed["thickness"].attrs["units"] = "m"
    found = xdiffice.assemble(velocity, bed, mask=mask)
    assert "ocean is where 'thickness' is zero" in found.attrs["comment"]
    for name in ("x_front", "y_front", "x_normal", "y_normal"):
        np.testing.assert_array_equal(found[name], whole[name])


def test_a_front_all_around_is_warned_of(velocity, bed):
    """Somebody may have filled what is missing with zeros, on grounded ice as well."""
    mask = plain(bed.surface_type == 2)
    bed["thickness"] = bed["thickness"].fillna(0.0).assign_attrs(units="m")
    with pytest.warns(PlausibilityWarning, match=r"\d+% of the shelf's outline is calving front"):
        found = xdiffice.assemble(velocity, bed, mask=mask)
    assert length(found) > 0.9 * OUTLINE
    assert "grounded ice is taken for ocean" in found.attrs["comment"]


def test_flags_of_a_boolean_count_for_nothing(velocity, bed):
    """Comparisons keep attributes since xarray 2025.11."""
    mask = (bed.surface_type == 2).assign_attrs(FLAGS)
    ocean = bed.assign(thickness=bed.thickness.where(~(bed.surface_type == 0).values, 0.0))
    ocean["thickness"].attrs["units"] = "m"
    for found in (
        xdiffice.assemble(velocity, ocean, mask=mask),
        xdiffice.assemble(velocity, ocean.assign(mask=mask)),
        xdiffice.assemble(velocity, bed, mask=mask, floating_values=1, front=bed_front(bed)),
    ):
        assert found["floating_ice"].sum() == COARSE.floating.sum()
        assert length(found) == pytest.approx(FRONT, rel=0.05)
    assert length(ocean.diffice.calving_front(mask)) == pytest.approx(FRONT, rel=0.05)
    told = velocity.diffice.report(ocean.assign(mask=mask), front=bed_front(bed))
    assert told.ok
    assert told.numbers["domain_points"] == COARSE.floating.sum()
    inside = gather(velocity, ocean, mask=mask, front=bed_front(bed))
    assert inside.domain.x.size == COARSE.floating.sum()


def bed_front(bed: xr.Dataset) -> xr.Dataset:
    return bed.diffice.calving_front("surface_type")


def test_a_mask_that_is_given_is_not_left_out(velocity, bed):
    for read in (gather, xdiffice.assemble):
        with pytest.raises(VariableNotFoundError, match=r"mask of floating ice.*found: thickness"):
            read(velocity, bed, mask=bed[["thickness"]], front=bed_front(bed))
    told = velocity.diffice.report(bed, mask=bed[["thickness"]], front=bed_front(bed))
    assert [problem for problem in told.problems if "mask of floating ice" in problem]
    told = velocity.diffice.report(bed, mask=bed, front=bed_front(bed))
    assert told.ok
    assert next(one.name for one in told.variables if one.role == "mask") == "surface_type"


def test_of_several_variables_with_flags_one_is_chosen(velocity, bed):
    two = bed.assign(earlier=bed.surface_type)
    with pytest.raises(AmbiguousVariableError, match="'surface_type', 'earlier'; choose one"):
        xdiffice.assemble(velocity, two)
    assert xdiffice.assemble(velocity, two.rename(earlier="mask"))["floating_ice"].any()
    none = xdiffice.assemble(
        velocity, bed, variables={"mask": None}, front=bed_front(bed)
    )  # it is not used
    assert "the shelf is where 'vx' is" in none.attrs["comment"]


def test_no_front_says_how_to_get_one(velocity, bed):
    with pytest.raises(
        VariableNotFoundError, match=r"xdiffice\.assemble\(velocity, thickness, mas"
    ):
        velocity.diffice.invert(bed)
    assert "ds.diffice.calving_front(mask)" in str(velocity.diffice.report(bed))


def test_places_that_the_files_do_not_have(velocity, bed):
    mapping = xr.Variable(
        (), 0, {"grid_mapping_name": "polar_stereographic", "standard_parallel": -71.0}
    )
    placed = velocity.assign_coords(crs=mapping)
    for name in ("vx", "vy"):
        placed[name].attrs["grid_mapping"] = "crs"
    for name, data in (("Ross", placed), ("Ross", velocity)):
        with pytest.raises(CoordinateError, match="without name= the largest floating part"):
            xdiffice.assemble(data, bed, name=name)


def test_swapped_files(velocity, bed):
    with pytest.raises(InputTypeError, match="were they swapped"):
        xdiffice.assemble(bed, velocity)
    assert "were they swapped" in str(bed.diffice.report(velocity))
    with pytest.raises(VariableNotFoundError, match="or thickness=<Dataset>"):
        xdiffice.assemble(velocity, bed[["surface_type"]])


def test_values_of_a_mask_that_are_not_there(velocity, bed):
    counts = ", ".join(
        f"{value} ({int((bed.surface_type == value).sum())} pixels)" for value in (0, 1, 2)
    )
    with pytest.raises(DataValuesError) as caught:
        xdiffice.assemble(velocity, bed, floating_values=3, ocean_values=0)
    assert str(caught.value) == (
        "mask 'surface_type' has no floating ice: no pixel has the value 3; "
        f"its values are {counts}"
    )


@pytest.mark.parametrize("value", [0, 1])
def test_a_shelf_without_data_is_not_the_one(velocity, bed, value):
    with pytest.raises(DataValuesError, match=r"has a velocity \('vx'\)") as caught:
        xdiffice.assemble(velocity, bed, floating_values=value)
    n = Raster.of(450.0).floating.sum()
    on_shelf = int(re.search(r"the mask is .*2 \((\d+) pixels\)", str(caught.value))[1])
    assert on_shelf == pytest.approx(n, rel=0.02)


def test_a_shelf_with_many_gaps_is_doubted(velocity, bed):
    share = 1 - COARSE.floating.sum() / (COARSE.ice.sum())
    with pytest.warns(PlausibilityWarning) as caught:
        xdiffice.assemble(velocity, bed, floating_values=[1, 2], ocean_values=0)
    said = [str(one.message) for one in caught]
    shares = [int(text.partition("%")[0]) / 100 for text in said]
    assert ["velocity" in said[0], "ice thickness" in said[1]] == [True, True]
    np.testing.assert_allclose(shares, share, atol=0.02)
    assert {one.filename for one in caught} == {__file__}


def test_units_are_missed_where_they_are(velocity, bed):
    for name in "xy":
        bed[name].attrs.clear()
    with pytest.raises(
        UnitsError, match=r"'x' of the thickness has no units; set thickness\['x'\]"
    ):
        xdiffice.assemble(velocity, bed)
    mask = bed[["surface_type"]]
    bed = bed.assign_coords({name: bed[name].assign_attrs(units="m") for name in "xy"})
    with pytest.raises(UnitsError, match="'x' of the mask has no units"):
        xdiffice.assemble(velocity, bed, mask=mask)


@pytest.mark.parametrize("mask", ["surfacetype", np.zeros((2, 2), bool)])
def test_one_mistake_is_one_problem(velocity, bed, mask):
    with pytest.raises((VariableNotFoundError, InputTypeError)) as caught:
        xdiffice.assemble(velocity, bed, mask=mask)
    assert not isinstance(caught.value, InvalidDatasetError)


def test_the_report_counts_gaps_on_the_ice(velocity, bed):
    bed["thickness"][90, 100] = np.nan  # on the shelf
    found = xdiffice.assemble(velocity, bed)
    told = found.diffice.report()
    by_role = {one.role: one for one in told.variables}
    assert by_role["thickness"].missing == 1 / COARSE.floating.sum()
    assert by_role["mask"].missing == 0
    text = str(told)
    assert "raster y_h 181 × x_h 181" in text
    assert "gaps are counted on the floating ice of mask 'floating_ice'" in text
    n_v, n_h, n = (told.numbers[f"{key}_points"] for key in ("velocity", "thickness", "domain"))
    assert n_h == COARSE.floating.sum() - 1
    assert (
        f"{n_v} velocities and {n_h} thicknesses can be used, each counted on its own grid, on a "
        f"shelf of {n} pixels of the mask"
    ) in text
    whole = velocity.diffice.report(bed, mask="surface_type")
    assert next(line for line in str(whole).splitlines() if "surface_type  " in line).endswith(
        "0 %"
    )
    assert "no units" not in str(whole)


def test_names_and_history_say_no_more_than_is_known(velocity, bed, tmp_path):
    velocity.to_netcdf(tmp_path / "speeds.nc")
    bed.to_netcdf(tmp_path / "bed_of_mine.nc")
    found = xdiffice.assemble(tmp_path / "speeds.nc", tmp_path / "bed_of_mine.nc")
    assert found["x_velocity"].attrs["standard_name"] == "land_ice_x_velocity"
    assert found["y_velocity"].attrs["standard_name"] == "land_ice_y_velocity"
    assert re.fullmatch(
        rf"\d{{4}}-\d\d-\d\dT\d\d:\d\d:\d\dZ xdiffice {re.escape(xdiffice.__version__)}: "
        r"cut out by xdiffice\.assemble of speeds\.nc, bed_of_mine\.nc",
        found.attrs["history"],
    )
    with xr.open_dataset(tmp_path / "bed_of_mine.nc") as opened:
        assert opened.diffice.calving_front().attrs["history"].endswith("of bed_of_mine.nc")


def test_warnings_point_to_the_line_of_the_user(monkeypatch):
    class ReadError(Exception):
        """The data were read, which is enough here."""

    def stop(*_):
        raise ReadError

    monkeypatch.setattr("xdiffice.inverter.Inversion", stop)
    ds = shelf()
    ds["x_velocity"].attrs["units"] = ds["y_velocity"].attrs["units"] = "km s-1"
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        gather(ds)
        with pytest.raises(ReadError):
            xdiffice.SSAViscosityInverter().fit(ds)
        with pytest.raises(ReadError):
            ds.diffice.invert()
    assert [one.filename for one in caught] == [__file__] * 3
    assert {one.category for one in caught} == {PlausibilityWarning}
