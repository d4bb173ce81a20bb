"""What gather makes of good Datasets: the numbers, the grid that the output gets, and no traces."""

import copy
import dataclasses

import dask.array
import numpy as np
import pandas as pd
import pint
import pytest
import xarray as xr
from numpy.testing import assert_allclose, assert_array_equal
from shelves import RATE, coordinate_attrs, shelf

from xdiffice.errors import DataValuesError
from xdiffice.observations.axes import Axes, load_grid
from xdiffice.observations.gather import gather
from xdiffice.observations.points import Domain
from xdiffice.observations.values import decode
from xdiffice.physics.constants import SECONDS_PER_YEAR


def test_values_sit_at_their_positions():
    o = gather(shelf())
    assert o.velocity.x.size == o.thickness.x.size == o.domain.x.size == 24 * 18
    assert_allclose(o.velocity.u, RATE * o.velocity.x, rtol=1e-15)
    assert_allclose(o.velocity.v, RATE * o.velocity.y, rtol=1e-15)
    h = 400.0 - 1e-3 * o.thickness.x + 5e-4 * o.thickness.y
    assert_allclose(o.thickness.h, h, rtol=1e-15)
    assert o.domain.spacing == 2000.0
    assert o.notes == ()
    for points in (o.velocity, o.thickness, o.front, o.domain):
        for value in vars(points).values():
            if isinstance(value, np.ndarray):
                assert value.dtype == np.float64
                assert value.ndim == 1
                assert np.isfinite(value).all()


def test_missing_values():
    ds = shelf()
    u, v, h = (ds[n].values for n in ("x_velocity", "y_velocity", "thickness"))
    u[0, 0] = v[0, 1] = np.nan  # one component is not enough
    u[1, :3] = v[1, :3] = 0.0  # both zero: missing
    u[2, 4] = 0.0  # one zero: a velocity like others
    h[3, :5] = 0.0
    h[3, 5] = -1.0
    h[4, 0] = np.nan
    o = gather(ds)
    assert o.velocity.x.size == 24 * 18 - 2 - 3
    assert ((o.velocity.u == 0) & (o.velocity.v == RATE * ds.y.values[2])).sum() == 1
    assert not ((o.velocity.u == 0) & (o.velocity.v == 0)).any()
    assert o.thickness.h.size == 24 * 18 - 7
    assert o.domain.x.size == o.velocity.x.size
    notes = " ".join(o.notes)
    assert "3 velocity pixels with both components exactly zero" in notes
    assert "2 velocity pixels with only one component" in notes
    assert "6 thickness values not above zero" in notes


def test_undecoded_fill_values_and_packing():
    ds = shelf()
    h = np.round(ds.thickness.values / 0.5).astype(np.int16)
    h[2, 3] = -32767
    ds["thickness"] = (
        ("y", "x"),
        h,
        {**ds.thickness.attrs, "_FillValue": np.int16(-32767), "scale_factor": 0.5},
    )
    fill = np.float32(3.4028235e38)
    u = ds.x_velocity.values.astype(np.float32)
    u[5, 6:8] = fill
    ds["x_velocity"] = (("y", "x"), u, {**ds.x_velocity.attrs, "missing_value": float(fill)})
    o = gather(ds)
    assert o.thickness.h.size == 431
    assert o.velocity.u.size == 430
    expected = 400.0 - 1e-3 * o.thickness.x + 5e-4 * o.thickness.y
    assert_allclose(o.thickness.h, expected, atol=0.25)
    assert_array_equal(o.thickness.h % 0.5, 0.0)


@pytest.mark.parametrize(
    ("values", "fill", "missing"),
    [
        (np.array([241, 1], "u1"), -9999, [False, False]),
        (np.array([241, 1], "u1"), np.nan, [False, False]),
        (np.array([255, 1], "u1"), np.uint8(255), [True, False]),
        (np.array([-9999, 1], "i2"), -9999.0, [True, False]),
        (np.array([0.1, 1], "f4"), 0.1, [True, False]),
        (np.array([np.inf, 1], "f8"), np.inf, [True, False]),
        (np.array([1e20, 2, 3]), [1e20, 2.0], [True, True, False]),
        (np.array([1.0, 2.0]), "none", [False, False]),
        (np.array([np.nan, 2.0], "f4"), 1e300, [True, False]),
    ],
)
def test_fill_values(values, fill, missing):
    decoded = decode(values, {"_FillValue": fill}, "h")
    assert_array_equal(np.isnan(decoded), missing)
    assert_array_equal(decoded[~np.array(missing)], values[~np.array(missing)].astype(float))


def test_scale_factor_that_is_no_number():
    with pytest.raises(DataValuesError, match="scale_factor or add_offset of 'h'"):
        decode(np.ones(2), {"scale_factor": "two"}, "h")


def test_units_by_argument():
    plain, ds = gather(shelf()), shelf()
    for name in ("x_velocity", "y_velocity"):
        ds[name] = ds[name].copy(data=ds[name].data * SECONDS_PER_YEAR)
        del ds[name].attrs["units"]
    ds = ds.rename(x_velocity="vx")
    ds = ds.assign_coords(x=ds.x.values / 1e3, y=ds.y.values / 1e3)
    units = {"vx": "m a-1", "y_velocity": "m yr-1", "x": "km", "y": "km"}
    o = gather(ds, units=units)
    assert_allclose(o.velocity.u, plain.velocity.u, rtol=1e-14)
    assert_allclose(o.velocity.v, plain.velocity.v, rtol=1e-14)
    assert_allclose(o.velocity.x, plain.velocity.x, rtol=1e-14)
    assert o.labels.attrs["x_velocity"]["units"] == "m a-1"
    assert o.labels.factors["x_velocity"] == pytest.approx(1 / SECONDS_PER_YEAR, rel=1e-14)
    assert o.labels.coordinate_factor == 1000.0
    assert o.labels.template["x"].attrs["units"] == "km"
    assert_array_equal(o.labels.template["x"], ds.x)


def test_units_by_argument_win_with_a_note():
    ds = shelf()
    ds["thickness"] = ds.thickness.copy(data=ds.thickness.data / 1e3)
    o = gather(ds, units={"thickness": "km"})
    assert_allclose(np.median(o.thickness.h), np.median(gather(shelf()).thickness.h), rtol=1e-14)
    assert any("units of 'thickness' taken as 'km'" in note for note in o.notes)


@pytest.mark.parametrize("how", ["standard_name", "attrs", "encoding", "wkt", "only mapping"])
def test_coordinates_without_units_in_a_projection(how):
    ds = shelf()
    standard = {"standard_name": "projection_x_coordinate"} if how == "standard_name" else {}
    y_standard = {"standard_name": "projection_y_coordinate"} if how == "standard_name" else {}
    ds = ds.assign_coords(x=("x", ds.x.values, standard), y=("y", ds.y.values, y_standard))
    if how != "standard_name":
        attrs = {"grid_mapping_name": "polar_stereographic"}
        if how == "wkt":
            attrs = {"crs_wkt": 'PROJCS["WGS 84 / Antarctic Polar Stereographic"]'}
        ds["crs"] = ((), 0, attrs)
        if how != "only mapping":
            ds["other_crs"] = ((), 0, {"grid_mapping_name": "latitude_longitude"})
    if how in ("attrs", "encoding", "wkt"):
        for name in ("x_velocity", "y_velocity", "thickness"):
            target = ds[name].encoding if how == "encoding" else ds[name].attrs
            target["grid_mapping"] = "crs: x y" if how == "wkt" else "crs"
    o = gather(ds)
    assert_allclose(o.velocity.x, gather(shelf()).velocity.x, rtol=1e-15)
    assert sum("coordinate 'x' has no units and is taken as metres" in n for n in o.notes) == 1
    if how != "standard_name":
        assert o.labels.grid_mapping == "crs"
        assert o.labels.template["crs"].attrs == attrs


def test_float32_coordinates_are_converted_in_float64():
    x = np.float32(2800.0) + np.arange(5, dtype=np.float32) * np.float32(0.45)
    variable = xr.Variable("x", x)
    axes = Axes("raster", "x", "y", variable, variable, ("y", "x"), 1000.0, "km")
    grid = load_grid(axes, x, x)
    assert_array_equal(grid.x, x.astype(np.float64) * 1000.0)
    assert not np.array_equal(grid.x, x * np.float32(1000.0))


def test_domain_reaches_half_a_pixel():
    domain = Domain(np.array([0.0, 10.0]), np.array([0.0, 0.0]), 10.0)
    x = np.array([[5.0, -4.9, 4.9, 10.0], [18.0, 0.0, np.nan, 30.0]])
    y = np.array([[0.0, -4.9, 4.9, 7.0], [0.0, 8.0, 0.0, 0.0]])
    inside = domain.contains(x, y)
    assert_array_equal(inside, [[True] * 4, [False] * 4])


def test_quantified_arrays():
    registry = pint.UnitRegistry()
    ds = shelf()
    for name, units in (("x_velocity", "m/year"), ("y_velocity", "m/s"), ("thickness", "km")):
        number = {"m/year": SECONDS_PER_YEAR, "m/s": 1.0, "km": 1e-3}[units]
        ds[name] = (("y", "x"), registry.Quantity(ds[name].values * number, units))
    o, plain = gather(ds), gather(shelf())
    assert_allclose(o.velocity.u, plain.velocity.u, rtol=1e-14)
    assert_allclose(o.velocity.v, plain.velocity.v, rtol=1e-14)
    assert_allclose(o.thickness.h, plain.thickness.h, rtol=1e-14)


def test_lazy_arrays_are_computed_once_together():
    calls = []

    def counted(block):
        calls.append(block.size)
        return block

    ds = shelf().chunk({"y": 18, "x": 24})
    lazy = [name for name in ds.data_vars if ds[name].chunks]
    for name in lazy:
        data = dask.array.map_blocks(
            counted, ds[name].data, dtype=float, meta=np.empty((0,) * ds[name].ndim)
        )
        ds[name] = (ds[name].dims, data, ds[name].attrs)
    with_schedule = []

    def schedule(graph, keys, **kwargs):
        with_schedule.append(keys)
        return dask.get(graph, keys, **kwargs)

    with dask.config.set(scheduler=schedule):
        o = gather(ds)
    assert len(with_schedule) == 1
    assert len(calls) == len(lazy) == 7
    assert_array_equal(o.velocity.u, gather(shelf()).velocity.u)
    assert all(ds[name].chunks for name in lazy)


def test_two_dimensional_geographic_coordinates_are_never_computed():
    def refuse(block):
        raise AssertionError("lat was computed")

    lat = dask.array.map_blocks(
        refuse, dask.array.zeros((18, 24)), dtype=float, meta=np.empty((0, 0))
    )
    ds = shelf().assign_coords(lat=(("y", "x"), lat, {"standard_name": "latitude"}))
    o = gather(ds)
    assert "lat" not in o.labels.template.variables
    assert o.velocity.x.size == 432


def test_template_keeps_the_users_grid():
    ds = shelf().transpose("x", "y", "front").isel(y=slice(None, None, -1))
    ds = ds.assign_coords(time=np.datetime64("2016-01-01", "ns"))
    ds["polar"] = ((), 0, {"grid_mapping_name": "polar_stereographic"})
    ds.x_velocity.attrs |= {"grid_mapping": "polar", "long_name": "speed in x"}
    ds["x_velocity"] = ds.x_velocity.expand_dims(band=1)
    labels = gather(ds).labels
    assert labels.dims == ("x", "y")
    assert (labels.x_name, labels.y_name) == ("x", "y")
    assert set(labels.template.variables) == {"x", "y", "time", "polar"}
    assert not labels.template.data_vars
    assert_array_equal(labels.template.y, ds.y)
    assert labels.template.y.attrs == ds.y.attrs
    assert labels.grid_mapping == "polar"
    assert labels.attrs["x_velocity"] == {
        "standard_name": "land_ice_vertical_mean_x_velocity",
        "long_name": "speed in x",
        "units": "m s-1",
    }
    assert labels.history == "made by hand"


def points_of(ds, names):
    """Stack a gridded shelf to scattered points that share one dim."""
    stacked = ds[names].stack(p=("y", "x")).reset_index("p")
    return stacked.isel(p=np.random.default_rng(0).permutation(stacked.sizes["p"]))


def test_scattered_velocity_and_flight_lines():
    ds = shelf()
    velocity = points_of(ds, ["x_velocity", "y_velocity"])
    lines = points_of(ds, ["thickness"]).rename(p="q").isel(q=slice(0, 100))
    o = gather(velocity, lines, front=ds[["x_front", "y_front", "x_normal", "y_normal"]])
    assert o.velocity.x.size == 432
    assert o.thickness.x.size == 100
    assert o.domain.spacing == pytest.approx(2000.0)
    assert_allclose(o.velocity.u, RATE * o.velocity.x, rtol=1e-15)
    assert_allclose(o.thickness.h, 400.0 - 1e-3 * o.thickness.x + 5e-4 * o.thickness.y, rtol=1e-15)
    assert o.labels.dims == ("p",)
    assert_array_equal(o.labels.template.x, velocity.x)


def test_table_of_thickness():
    stacked = points_of(shelf(), ["thickness"])
    table = pd.DataFrame({n: stacked[n].values for n in ("x", "y", "thickness")})
    o = gather(shelf(), table, units={"x": "m", "y": "m", "thickness": "m"})
    assert_allclose(o.thickness.h, 400.0 - 1e-3 * o.thickness.x + 5e-4 * o.thickness.y, rtol=1e-15)
    assert o.thickness.x.size == 432


def test_curvilinear_grid_with_positions_missing_off_the_shelf():
    ds = shelf()
    X, Y = np.meshgrid(ds.x.values, ds.y.values)
    off = (Y > 10e3) & (X > 40e3)
    ds = ds.drop_vars(["x", "y"]).rename_dims(x="b", y="a")
    ds = ds.assign_coords(
        x=(("a", "b"), np.where(off, np.nan, X), {"units": "m"}),
        y=(("b", "a"), np.where(off, np.nan, Y).T, {"units": "m"}),
    )
    ds["y_velocity"] = ds.y_velocity.transpose("b", "a")
    o = gather(ds)
    assert o.velocity.x.size == (~off).sum()
    assert_allclose(o.velocity.u, RATE * o.velocity.x, rtol=1e-15)
    assert_allclose(o.velocity.v, RATE * o.velocity.y, rtol=1e-15)
    assert o.labels.dims == ("a", "b")


def test_errors():
    ds = shelf()
    error = np.full((18, 24), 5.0)
    error[0, :4] = np.nan, 0.0, -1.0, 7.0
    attrs = {"units": "m yr-1"}
    ds["x_velocity_error"] = (("x", "y"), error.T, attrs)
    ds["y_velocity_error"] = ((), 3.0, attrs)
    ds["thickness_error"] = (("y", "x"), error, {"units": "m"})
    ds.thickness.values[0, 3] = np.nan
    o = gather(ds)
    u_error = o.velocity.u_error * SECONDS_PER_YEAR
    assert_allclose(np.sort(u_error), [5.0] * 431 + [7.0], rtol=1e-12)
    (seven,) = np.flatnonzero(u_error > 6)
    assert (o.velocity.x[seven], o.velocity.y[seven]) == (ds.x[3], ds.y[0])
    assert_allclose(o.velocity.v_error * SECONDS_PER_YEAR, 3.0, rtol=1e-12)
    assert_array_equal(o.thickness.h_error, np.full(431, 5.0))
    assert any("3 of 432 errors in 'x_velocity_error'" in note for note in o.notes)


def test_error_of_one_component_only():
    ds = shelf()
    ds["x_velocity_error"] = ((), 3.0, {"units": "m yr-1"})
    o = gather(ds)
    assert o.velocity.u_error is None
    assert any("'x_velocity_error' are not used" in note for note in o.notes)


def test_normals_become_exact():
    ds = shelf()
    ds["x_normal"] = ds.x_normal * 1.004
    o = gather(ds)
    assert_array_equal(o.front.n_x, 1.0)
    assert_array_equal(o.front.n_y, 0.0)


def test_normals_of_unsigned_integers():
    ds = shelf()
    ds["x_normal"], ds["y_normal"] = ds.x_normal.astype("u1"), ds.y_normal.astype("u1")
    ds["x_front"] = ds.x_front.astype("i4")
    o = gather(ds)
    assert_array_equal(o.front.n_x, 1.0)
    assert_array_equal(o.front.x, 56e3)


def test_projections_that_differ_in_the_ellipsoid_only():
    attrs = {"grid_mapping_name": "polar_stereographic", "standard_parallel": -71.0}
    ds = shelf()
    ds["wgs"] = ((), 0, {**attrs, "semi_major_axis": 6378137.0})
    ds["hughes"] = ((), 0, {**attrs, "semi_major_axis": 6378273.0})
    ds.x_velocity.attrs["grid_mapping"] = "wgs"
    ds.thickness.attrs["grid_mapping"] = "hughes"
    assert any("different ellipsoids" in note for note in gather(ds).notes)


def test_netcdf_round_trip(tmp_path):
    ds = shelf()
    ds["polar"] = ((), 0, {"grid_mapping_name": "polar_stereographic"})
    for name in ("x_velocity", "y_velocity", "thickness"):
        ds[name].attrs["grid_mapping"] = "polar"
        ds[name].values[3, 4:9] = np.nan
    ds["mask"] = (
        ("y", "x"),
        np.where(ds.x < 50e3, np.int8(3), np.int8(0)) + 0 * ds.y.values.astype("i1")[:, None],
        {"flag_values": np.array([0, 3], "i1"), "flag_meanings": "ocean floating_ice"},
    )
    path = tmp_path / "shelf.nc"
    ds.to_netcdf(path)
    expected = gather(ds)
    for decode_coords in (True, "all"):
        with xr.open_dataset(path, decode_coords=decode_coords) as read:
            assert_same(gather(read), expected)
    with xr.open_dataset(path, mask_and_scale=False) as read:
        assert_same(gather(read), expected)


def assert_same(one, two):
    for name in ("velocity", "thickness", "front", "domain"):
        for key in (field.name for field in dataclasses.fields(getattr(one, name))):
            values = (getattr(getattr(whole, name), key) for whole in (one, two))
            assert_array_equal(*values, err_msg=f"{name}.{key}")
    assert one.labels.attrs == two.labels.attrs
    assert one.labels.grid_mapping == two.labels.grid_mapping
    assert set(one.labels.template.variables) == set(two.labels.template.variables)


def test_users_dataset_is_not_changed():
    ds = shelf().chunk({"x": 7})
    ds["mask"] = ds.thickness > 350
    ds["x_velocity_error"] = ds["y_velocity_error"] = ((), 1.0, {"units": "m/yr"})
    ds.x_velocity.attrs["_FillValue"] = -1.0
    ds.thickness.encoding = {"grid_mapping": "crs", "dtype": "float32"}
    ds["crs"] = ((), 0, {"grid_mapping_name": "polar_stereographic"})
    before, meta = ds.copy(deep=True), described(ds)
    variables, units = {"thickness": "thickness"}, {"thickness": "m"}
    gather(ds, ds[["thickness"]], mask=ds["mask"], front=ds, variables=variables, units=units)
    xr.testing.assert_identical(ds, before)
    assert described(ds) == meta
    assert variables == {"thickness": "thickness"}
    assert units == {"thickness": "m"}


def described(ds):
    return copy.deepcopy(
        [
            (name, v.dims, v.attrs, v.encoding, v.chunks, str(v.dtype))
            for name, v in ds.variables.items()
        ]
        + [ds.attrs, ds.encoding]
    )


def test_mask_in_the_thickness_dataset_is_found():
    ds = shelf()
    bed = ds[["thickness"]].assign(mask=ds.thickness > 350)
    o = gather(ds.drop_vars("thickness"), bed)
    assert o.thickness.h.min() > 350
    assert o.domain.x.size == int((ds.thickness > 350).sum()) == o.velocity.x.size


def test_given_thickness_wins():
    ds = shelf()
    o = gather(ds, ds.thickness + 100.0, units={"thickness": "m"})
    assert_allclose(np.median(o.thickness.h), np.median(ds.thickness) + 100.0)


def test_thickness_on_two_more_grids():
    ds = shelf()
    for factor in (0.37, 2.5):
        x = np.arange(8e3, 58e3, 2000 * factor)
        y = np.arange(-22e3, 16e3, 2000 * factor)[::-1]
        h = 400.0 - 1e-3 * x[:, None] + 5e-4 * y
        grid = xr.Dataset(
            {"lithk": (("east", "north"), h, {"units": "m"})},
            coords={
                "east": ("east", x.astype("i4"), {**coordinate_attrs("x")}),
                "north": ("north", y.astype("i4"), {**coordinate_attrs("y")}),
            },
        )
        o = gather(ds.drop_vars("thickness"), grid)
        assert o.thickness.x.size == x.size * y.size
        expected = 400.0 - 1e-3 * o.thickness.x + 5e-4 * o.thickness.y
        assert_allclose(o.thickness.h, expected, rtol=1e-5)


def test_thickness_of_a_continent_is_cut_to_the_shelf():
    whole = gather(shelf())
    step, x0, y0 = 2000.0, whole.thickness.x.min(), whole.thickness.y.min()
    continent = xr.Dataset(
        coords={
            "x": ("x", x0 + step * np.arange(-60, 80), coordinate_attrs("x")),
            "y": ("y", y0 + step * np.arange(-50, 70), coordinate_attrs("y")),
        }
    )
    h = 400.0 - 1e-3 * continent["x"] + 5e-4 * continent["y"]
    found = gather(shelf().drop_vars("thickness"), h.rename("thickness").assign_attrs(units="m"))
    # One pixel more on each side: the shelf's outline lies between them.
    assert found.thickness.h.size == (24 + 2) * (18 + 2)
    assert found.thickness.x.min() == x0 - step
    assert found.thickness.y.max() == whole.thickness.y.max() + step
    assert_allclose(found.thickness.h, 400.0 - 1e-3 * found.thickness.x + 5e-4 * found.thickness.y)
    assert any("beyond the velocity: left out" in note for note in found.notes)
