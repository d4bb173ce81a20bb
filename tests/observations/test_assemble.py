"""One shelf out of files with the headers of real products, and the traps in them."""

from __future__ import annotations

import dask
import numpy as np
import pytest
import real_products as products
import xarray as xr
from real_products import CENTRE, COAST, RADIUS, Raster, yearly
from scipy.ndimage import label

import xdiffice
from xdiffice.errors import (
    CoordinateError,
    DataValuesError,
    FileFormatError,
    InvalidDatasetError,
    ParameterError,
    PlausibilityWarning,
    UnitsError,
    VariableNotFoundError,
)
from xdiffice.observations.gather import gather

BOX = (CENTRE[0] - 42e3, CENTRE[1] - 42e3, CENTRE[0] + 42e3, CENTRE[1] + 42e3)
SEED = (CENTRE[0] + 1e3, CENTRE[1] - 5e3)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("products")
    made = {
        "measures": products.measures(folder / "antarctic_ice_vel_phase_map_v01.nc"),
        "bedmachine": products.bedmachine(folder / "BedMachineAntarctica_v01.nc"),
        "its_live": products.its_live(folder / "ITS_LIVE_velocity_120m_RGI19A_0000_v02.nc"),
        "bedmap3": products.bedmap3(folder / "bedmap3.nc"),
        "multi_year": products.multi_year(folder / "antarctica_ice_velocity_450m_v01.1.nc"),
        "ismip": products.ismip(folder / "lithk_AIS.nc"),
    }
    return {name: str(path) for name, path in made.items()}


def opened(path: str) -> xr.Dataset:
    return xr.open_dataset(path, chunks={})


def undated(ds: xr.Dataset) -> xr.Dataset:
    """Without the time at which it was made."""
    line = str(ds.attrs["history"])
    return ds.assign_attrs(history=line.partition(" ")[2])


def check(shelf: xr.Dataset, spacing: float) -> None:
    """Compare with the formulas that the files were written from."""
    found = gather(shelf)
    u = products.RATE * (found.velocity.x - CENTRE[0]) + 10 / products.SECONDS_PER_YEAR
    v = products.RATE * (found.velocity.y - CENTRE[1]) + 20 / products.SECONDS_PER_YEAR
    np.testing.assert_allclose(found.velocity.u, u, rtol=2e-7, atol=1e-13)
    np.testing.assert_allclose(found.velocity.v, v, rtol=2e-7, atol=1e-13)
    east, north = found.thickness.x - CENTRE[0], found.thickness.y - CENTRE[1]
    np.testing.assert_allclose(
        found.thickness.h, 400 - 2e-3 * east + 40 * np.sin(north / 2e4), rtol=2e-7
    )
    one = Raster.of(spacing)
    assert found.domain.x.size == one.floating.sum()
    radius = np.hypot(found.front.x - CENTRE[0], found.front.y - CENTRE[1])
    ahead = found.front.x - CENTRE[0] > COAST + 5 * spacing
    np.testing.assert_allclose(radius[ahead], RADIUS, atol=0.6 * spacing)
    cosine = (
        (found.front.x - CENTRE[0]) * found.front.n_x
        + (found.front.y - CENTRE[1]) * found.front.n_y
    ) / radius
    assert np.degrees(np.arccos(cosine[ahead].clip(-1, 1))).mean() < 2
    assert found.front.x.min() - CENTRE[0] > COAST - 2 * spacing  # no grounding line
    length = 2 * RADIUS * np.arccos(COAST / RADIUS)
    assert found.front.x.size * spacing == pytest.approx(length, rel=0.05)


def test_measures_with_bedmachine(files):
    shelf = xdiffice.assemble(files["measures"], files["bedmachine"], seed_point=SEED)
    check(shelf, 500.0)
    assert shelf["thickness"].dims == shelf["floating_ice"].dims == ("y_h", "x_h")
    assert shelf["x_velocity"].attrs["units"] == "meter/year"
    np.testing.assert_array_equal(
        np.unique(shelf["x_velocity_error"].dropna("y", how="all")), [3.0, np.nan]
    )
    assert shelf["thickness_error"].max() == 30
    assert shelf["y"].values[0] > shelf["y"].values[-1]  # as in the file
    assert "ellipsoid" in shelf.attrs["comment"]
    assert "NSIDC-0754" in shelf.attrs["comment"]
    assert shelf["x_velocity"].attrs["grid_mapping"] == "coord_system"
    assert shelf["coord_system"].attrs["standard_parallel"] == -71
    assert not any(name in shelf for name in ("lat", "lon", "SOURCE", "CNT"))


def test_its_live_with_bedmap3(files):
    shelf = xdiffice.assemble(
        files["its_live"], files["bedmap3"], opened(files["bedmap3"]), seed_point=SEED
    )
    check(shelf, 500.0)
    assert shelf["x_velocity_error"].max() == 5
    assert shelf["thickness_error"].max() == 25


def test_its_live_with_its_own_masks(files):
    shelf = xdiffice.assemble(
        files["its_live"], opened(files["bedmap3"])["ice_thickness"], bbox=BOX
    )
    check(shelf, 480.0)
    assert "'landice'" in shelf.attrs["comment"]


def test_a_mask_without_meanings_needs_them(files):
    velocity = opened(files["multi_year"])
    thickness = opened(files["bedmachine"])["thickness"]
    with pytest.raises(DataValuesError, match="does not say which of its values"):
        xdiffice.assemble(velocity, thickness, seed_point=SEED)
    shelf = xdiffice.assemble(velocity, thickness, bbox=BOX, floating_values=2, ocean_values=0)
    check(shelf, 450.0)
    # Without ocean_values the ocean is where the thickness is zero.
    again = xdiffice.assemble(velocity, thickness, bbox=BOX, floating_values=[2])
    assert "ocean is where 'thickness' is zero" in again.attrs["comment"]
    # Pixels of the two grids differ; none of these hides the shelf from the ocean.
    assert again.sizes["front"] == pytest.approx(shelf.sizes["front"], rel=0.02)
    with pytest.raises(ParameterError, match="give floating_values as well"):
        xdiffice.assemble(velocity, thickness, bbox=BOX, ocean_values=0)


def test_model_output(files):
    with xr.open_dataset(files["ismip"]) as ds:
        shelf = xdiffice.assemble(ds, seed_point=SEED)
    check(shelf, 1000.0)
    assert shelf["thickness"].dims == shelf["floating_ice"].dims == ("y", "x")
    assert shelf["y"].values[0] < shelf["y"].values[-1]


def test_conventions_do_not_matter(files, tmp_path):
    """MEaSUREs and BedMachine once more, rows upwards, km, m d-1, other names, one file."""
    plain = gather(xdiffice.assemble(files["measures"], files["bedmachine"], bbox=BOX))
    velocity, bed = opened(files["measures"]), opened(files["bedmachine"])
    other = xr.Dataset(
        {
            "u": velocity["VX"].drop_attrs().drop_vars(["lat", "lon"], errors="ignore") / 365.25,
            "v": velocity["VY"].drop_attrs().drop_vars(["lat", "lon"], errors="ignore") / 365.25,
        }
    ).isel(y=slice(None, None, -1))
    other = other.assign_coords(x=other.x / 1e3, y=other.y / 1e3)
    for name, units in (("u", "m d-1"), ("v", "m d-1"), ("x", "km"), ("y", "km")):
        other[name].attrs["units"] = units
    thick = bed["thickness"].rename(x="easting", y="northing").transpose("easting", "northing")
    ice = xr.where(bed["mask"] == 3, 7, xr.where(bed["mask"] == 0, 1, 0)).astype("i1")
    turned = ice.assign_coords(x=bed.x, y=bed.y).isel(x=slice(None, None, -1))
    for name in "xy":  # xarray before 2025.11 drops them in where
        turned[name].attrs = bed[name].attrs
    shelf = xdiffice.assemble(
        other, thick, turned, bbox=BOX, floating_values=7, ocean_values=1,
        variables={"x_velocity_error": None, "y_velocity_error": None},
    )  # fmt: skip
    again = gather(shelf)

    def ordered(points, *names):
        values = [getattr(points, name) for name in names]
        order = np.lexsort(np.round(values[:2], 3))
        return [value[order] for value in values]

    for part, names in (("velocity", "xyuv"), ("thickness", "xyh")):
        one, two = (ordered(getattr(each, part), *names) for each in (plain, again))
        for a, b in zip(one, two, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-13)
    one, two = (ordered(each.front, "x", "y", "n_x", "n_y") for each in (plain, again))
    assert abs(one[0].size - two[0].size) <= 1
    assert again.domain.x.size == plain.domain.x.size


def test_only_blocks_of_the_shelf_are_read(files):
    """And none of the 2-D latitudes that come with the velocity."""
    read = []

    def watched(name, array):
        def note(block):
            read.append(name)
            return block

        return array.copy(
            data=array.data.map_blocks(note, dtype=array.dtype, meta=np.empty((0, 0), array.dtype))
        )

    velocity = opened(files["measures"]).chunk(y=20, x=20)
    bed = opened(files["bedmachine"]).chunk(y=20, x=20)
    velocity = velocity.assign({n: watched(n, velocity[n]) for n in ("VX", "VY", "ERRX", "ERRY")})
    velocity = velocity.assign_coords({n: watched(n, velocity[n]) for n in ("lat", "lon")})
    bed = bed.assign(
        {n: watched(n, bed[n]) for n in ("thickness", "mask", "errbed", "surface", "bed")}
    )
    x_min, y_min = CENTRE[0] - 2e3, CENTRE[1] - 2e3
    with (
        pytest.warns(PlausibilityWarning, match="cuts the shelf"),
        dask.config.set(scheduler="synchronous"),
    ):
        xdiffice.assemble(velocity, bed, bbox=(x_min, y_min, x_min + 34e3, y_min + 34e3))
    for name in ("VX", "VY", "ERRX", "ERRY", "thickness", "errbed"):
        assert 0 < read.count(name) <= 25, name
    assert not {"lat", "lon", "surface", "bed"} & set(read)


def test_the_connected_part_is_the_shelf(files):
    bed = opened(files["bedmachine"]).load()
    far = (abs(bed.x - CENTRE[0] - 38e3) < 3e3) & (abs(bed.y - CENTRE[1]) < 3e3)
    bed["mask"] = bed["mask"].where(~far, 3).assign_attrs(bed["mask"].attrs)
    bed["thickness"] = bed["thickness"].where(~far, 200.0).assign_attrs(bed["thickness"].attrs)
    velocity = opened(files["measures"]).load()
    near = (abs(velocity.x - CENTRE[0] - 38e3) < 3e3) & (abs(velocity.y - CENTRE[1]) < 3e3)
    for name in ("VX", "VY"):
        velocity[name] = velocity[name].where(~near, 50.0).assign_attrs(velocity[name].attrs)
    one = xdiffice.assemble(velocity, bed, bbox=BOX)
    assert "1 smaller part of the floating ice" in one.attrs["comment"]
    assert label(one["floating_ice"])[1] == 1
    both = xdiffice.assemble(velocity, bed, bbox=BOX, connected=False)
    assert label(both["floating_ice"])[1] == 2
    with pytest.warns(PlausibilityWarning, match="100% of the shelf's outline is calving front"):
        other = xdiffice.assemble(velocity, bed, seed_point=(CENTRE[0] + 40e3, CENTRE[1]))
    assert other["floating_ice"].sum() < 0.1 * one["floating_ice"].sum()
    assert other["x_front"].min() > CENTRE[0] + 35e3


def test_ice_rises_are_holes_and_no_fronts(files):
    shelf = xdiffice.assemble(files["measures"], files["bedmachine"], seed_point=SEED)
    rise = (np.hypot(shelf.x_h - CENTRE[0], shelf.y_h - CENTRE[1] - 12e3)) < 2e3
    assert rise.sum() > 20
    assert (shelf["floating_ice"].where(rise) == 0).sum() == rise.sum()
    away = np.hypot(shelf.x_front - CENTRE[0], shelf.y_front - CENTRE[1] - 12e3)
    assert away.min() > 10e3
    polynya = np.hypot(shelf.x_front - CENTRE[0] - 8e3, shelf.y_front - CENTRE[1])
    assert polynya.min() > 10e3


def test_an_outline_cuts(files):
    import shapely

    corners = np.array([[-10e3, -10e3], [40e3, -10e3], [40e3, 10e3], [-10e3, 10e3]]) + CENTRE
    for geometry in (corners, shapely.Polygon(corners), shapely.Polygon(corners).__geo_interface__):
        shelf = xdiffice.assemble(files["measures"], files["bedmachine"], geometry=geometry)
        inside = shelf["floating_ice"].where(shelf["floating_ice"] == 1, drop=True)
        assert abs(inside.y_h - CENTRE[1]).max() <= 10e3
        assert inside.x_h.min() >= CENTRE[0] - 10e3
    with pytest.raises(xdiffice.InputTypeError, match="must be a polygon"):
        xdiffice.assemble(files["measures"], files["bedmachine"], geometry="larsen")


def test_a_name_is_a_place(files, monkeypatch):
    from xdiffice.observations import gazetteer

    monkeypatch.setitem(gazetteer.PLACES, "larsen z", SEED)
    by_name = xdiffice.assemble(files["measures"], files["bedmachine"], name="Larsen-Z Ice Shelf")
    by_seed = xdiffice.assemble(files["measures"], files["bedmachine"], seed_point=SEED)
    xr.testing.assert_identical(undated(by_name), undated(by_seed))
    with pytest.raises(ParameterError, match="no ice shelf 'Larsen Y' is known; known are larsen"):
        xdiffice.assemble(files["measures"], files["bedmachine"], name="Larsen Y")
    with pytest.raises(CoordinateError, match="polar stereographic"):
        xdiffice.assemble(files["ismip"], name="Larsen Z")


def test_the_front_of_a_mask_alone(files):
    whole = xdiffice.assemble(files["measures"], files["bedmachine"], seed_point=SEED)
    bed = opened(files["bedmachine"])
    front = bed.diffice.calving_front()
    for name, tolerance in (
        ("x_front", 50),
        ("y_front", 50),
        ("x_normal", 0.02),
        ("y_normal", 0.02),
    ):
        np.testing.assert_allclose(front[name], whole[name], atol=tolerance)  # another window
    mask = bed[["mask"]].drop_attrs(deep=False)
    mask["mask"] = mask["mask"].drop_attrs()
    again = mask.diffice.calving_front(
        floating_values=3, ocean_values=0, units={"x": "m", "y": "m"}
    )
    xr.testing.assert_identical(undated(again), undated(front))
    sparse = bed.diffice.calving_front(spacing=2e3)
    assert sparse.sizes["front"] == pytest.approx(front.sizes["front"] / 4, rel=0.02)
    with pytest.raises(VariableNotFoundError, match="does not tell the ocean"):
        mask.diffice.calving_front(floating_values=3, units={"x": "m", "y": "m"})
    with pytest.raises(VariableNotFoundError, match="mask of floating ice"):
        bed[["bed"]].diffice.calving_front()


def test_a_front_of_ones_own(files):
    angle = np.linspace(-2.1, 2.1, 400)
    line = xr.Dataset(
        {
            "x_front": ("p", CENTRE[0] + RADIUS * np.cos(angle), {"units": "m"}),
            "y_front": ("p", CENTRE[1] + RADIUS * np.sin(angle), {"units": "m"}),
        }
    )
    for one in (line, line.isel(p=slice(None, None, -1))):
        shelf = xdiffice.assemble(files["measures"], files["bedmachine"], bbox=BOX, front=one)
        np.testing.assert_array_equal(shelf["x_front"], one["x_front"])
        angles = np.arctan2(one["y_front"] - CENTRE[1], one["x_front"] - CENTRE[0])
        np.testing.assert_allclose(shelf["x_normal"], np.cos(angles), atol=0.01)
        np.testing.assert_allclose(shelf["y_normal"], np.sin(angles), atol=0.01)


def test_a_shelf_that_has_all_needs_no_mask():
    ds = xdiffice.synthetic.spreading_shelf((40, 50)).drop_vars("mask")
    shelf = xdiffice.assemble(ds)
    one, two = gather(ds), gather(shelf)
    for part in ("velocity", "thickness", "front"):
        for name in vars(getattr(one, part)):
            np.testing.assert_array_equal(
                getattr(getattr(one, part), name), getattr(getattr(two, part), name)
            )
    with pytest.raises(VariableNotFoundError, match="no mask of floating ice"):
        xdiffice.assemble(ds, seed_point=(0.0, 0.0))
    with pytest.raises(VariableNotFoundError, match="no mask of floating ice"):
        xdiffice.assemble(ds.drop_vars(["x_front", "y_front", "x_normal", "y_normal"]))


def test_flight_lines_as_thickness(files):
    along = np.arange(-25e3, 25e3, 200.0)
    table = xr.Dataset(
        {
            "land_ice_thickness": ("obs", 400 - 2e-3 * along, {"units": "m"}),
        },
        coords={
            "x": ("obs", along + CENTRE[0], {"units": "m", "axis": "X"}),
            "y": ("obs", np.full(along.size, CENTRE[1]), {"units": "m", "axis": "Y"}),
        },
    )
    shelf = xdiffice.assemble(
        files["measures"], table, opened(files["bedmachine"])["mask"], seed_point=SEED
    )
    assert shelf["thickness"].dims == ("point_h",)
    found = gather(shelf)
    np.testing.assert_allclose(found.thickness.h, 400 - 2e-3 * (found.thickness.x - CENTRE[0]))


@pytest.mark.parametrize(
    ("arguments", "error", "text"),
    [
        ({"bbox": BOX, "seed_point": SEED}, ParameterError, "got bbox, seed_point"),
        ({"bbox": (0, 0, 1)}, ParameterError, "bbox must be 4 finite numbers"),
        ({"bbox": (1, 0, 0, 1)}, ParameterError, "x_min < x_max"),
        ({"bbox": (0, 0, 1e3, 1e3)}, CoordinateError, "has no pixel in x 0 to 1 km"),
        ({"seed_point": (0, 0)}, CoordinateError, "has no pixel in"),
        ({"thickness": "no_such_file.nc"}, FileFormatError, "there is no file 'no_such_file.nc'"),
        ({"seed_point": "x"}, ParameterError, "seed_point must be 2 finite numbers"),
        (
            {"bbox": (CENTRE[0] - 44e3, CENTRE[1] - 44e3, CENTRE[0] - 40e3, CENTRE[1] - 40e3)},
            DataValuesError,
            "has no floating ice in",
        ),
        ({"bbox": BOX, "units": {"VX": "m3"}}, UnitsError, "dimension"),
        ({"bbox": BOX, "variables": {"mask": None}}, VariableNotFoundError, "no mask"),
    ],
)
def test_what_is_wrong_is_said(files, arguments, error, text):
    arguments = {"thickness": files["bedmachine"], **arguments}
    with pytest.raises(error, match=text):
        xdiffice.assemble(files["measures"], **arguments)


def test_all_problems_are_told_together(files):
    velocity = opened(files["measures"])
    del velocity["VX"].attrs["units"]
    bed = opened(files["bedmachine"]).drop_vars("thickness")
    with pytest.raises(InvalidDatasetError) as caught:
        xdiffice.assemble(velocity, bed, bbox=BOX)
    assert {type(one) for one in caught.value.problems} == {UnitsError, VariableNotFoundError}


def test_nothing_that_is_passed_in_changes(files):
    velocity, bed = opened(files["measures"]), opened(files["bedmachine"])
    before = velocity.copy(deep=True), bed.copy(deep=True)
    xdiffice.assemble(velocity, bed, bbox=BOX, floating_values=3, ocean_values=0)
    for one, two in zip(before, (velocity, bed), strict=True):
        xr.testing.assert_identical(one, two)
    assert velocity["VX"].chunks is not None


def test_speeds_are_those_of_the_file(files):
    shelf = xdiffice.assemble(files["measures"], files["bedmachine"], bbox=BOX)
    one = Raster.of(450.0)
    there = shelf["x_velocity"].reindex(x=one.x, y=one.y)
    known = np.isfinite(there.values)
    np.testing.assert_allclose(there.values[known], yearly(one.u)[known], rtol=1e-6)
