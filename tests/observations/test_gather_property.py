"""However a shelf is written down, the same set of points is gathered."""

import numpy as np
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from shelves import shelf

from xdiffice.observations.gather import gather
from xdiffice.observations.points import Observations
from xdiffice.physics.constants import SECONDS_PER_YEAR

NAMES = {"x_velocity": "VX", "y_velocity": "vy", "thickness": "lithk"}


def gapped() -> xr.Dataset:
    """Return the shelf with gaps, zeros, errors and a mask."""
    ds = shelf()
    ds.x_velocity.values[2:4, 3:6] = np.nan
    ds.y_velocity.values[3:5, 5:8] = np.nan
    ds.thickness.values[7, 2:9] = np.nan
    for name in ("x_velocity", "y_velocity"):
        ds[name].values[10, 4:6] = 0.0
        error = 1e-7 * (1 + ds.x / 1e4) + 0 * ds.y
        ds[f"{name}_error"] = error.transpose("y", "x").assign_attrs(units="m s-1")
    flags = xr.where((ds.x > 20e3) | (ds.y > 0), np.int8(3), np.int8(2)).transpose("y", "x")
    attrs = {"flag_values": [2, 3], "flag_meanings": "grounded_ice floating_ice"}
    ds["mask"] = (("y", "x"), flags.values, attrs)
    return ds


def convert(ds: xr.Dataset, names: list[str], number: float, units: str) -> xr.Dataset:
    for name in names:
        ds[name] = ds[name].copy(data=ds[name].data * number)
        ds[name].attrs["units"] = units
    return ds


@st.composite
def rewritten(draw: st.DrawFn) -> xr.Dataset:
    """Write the same shelf down in another way."""
    ds = gapped()
    if draw(st.booleans()):
        names = ["x_velocity", "y_velocity", "x_velocity_error", "y_velocity_error"]
        units = draw(st.sampled_from(["m yr-1", "m a-1", "meter/year", "m/y"]))
        ds = convert(ds, names, SECONDS_PER_YEAR, units)
    if draw(st.booleans()):
        ds = convert(ds, ["thickness"], 1e-3, "km")
    coordinates = draw(st.sampled_from(["m", "int32", "km"]))
    if coordinates != "m":
        number, dtype = {"int32": (1, "i4"), "km": (1e-3, "f8")}[coordinates]
        units = "m" if coordinates == "int32" else "km"
        for name in ("x", "y"):
            attrs = {**ds[name].attrs, "units": units}
            ds = ds.assign_coords({name: (name, (ds[name].values * number).astype(dtype), attrs)})
        if coordinates == "km":
            ds = convert(ds, ["x_front", "y_front"], 1e-3, "km")
    for dim in ("x", "y"):
        if draw(st.booleans()):
            ds = ds.isel({dim: slice(None, None, -1)})
    if draw(st.booleans()):
        ds["thickness"] = ds["thickness"].transpose("x", "y")
        ds["y_velocity"] = ds["y_velocity"].transpose("x", "y")
        ds["x_velocity_error"] = ds["x_velocity_error"].transpose("x", "y")
    if draw(st.booleans()):
        ds["x_velocity"] = ds["x_velocity"].expand_dims(time=[0])
        ds["thickness"] = ds["thickness"].expand_dims("band", axis=2)
    if draw(st.booleans()):  # by names, else by standard names
        for name in NAMES:
            ds[name].attrs.pop("standard_name")
        ds = ds.rename(NAMES)
    elif draw(st.booleans()):
        ds = ds.rename({name: f"a_{i}" for i, name in enumerate(NAMES)})
    if draw(st.booleans()):
        ds = ds.rename(x="easting", y="northing")
    if draw(st.booleans()):  # thickness on dims of its own
        (h,) = (n for n in ds.data_vars if n in ("thickness", "lithk", "a_2"))
        axes = {name: f"{name}_h" for name in ds[h].dims if name != "band"}
        ds = ds.drop_vars(h).assign({h: ds[h].rename(axes)})
    if draw(st.booleans()):
        ds = ds.chunk(dict.fromkeys(ds.dims, 7))
    return ds


def table(*columns: np.ndarray) -> np.ndarray:
    """Return the rows sorted by position, which is rounded to mm."""
    rows = np.column_stack(columns)
    return rows[np.lexsort(np.round(rows[:, :2], 3).T)]


def assert_same_points(one: Observations, two: Observations) -> None:
    for name in ("velocity", "thickness", "front"):
        a, b = (
            table(*(values for values in vars(getattr(o, name)).values() if values is not None))
            for o in (one, two)
        )
        assert_allclose(a, b, rtol=1e-12, err_msg=name)
    domains = [table(o.domain.x, o.domain.y) for o in (one, two)]
    assert_allclose(*domains, rtol=1e-12, atol=1e-9)
    assert_allclose(one.domain.spacing, two.domain.spacing, rtol=1e-12)


@settings(max_examples=40, deadline=None)
@given(ds=rewritten())
def test_same_points_however_written(ds):
    assert_same_points(gather(ds), gather(gapped()))


def test_the_points_are_those_of_the_shelf():
    """The reference of the property test, counted by hand."""
    ds = gapped()
    o = gather(ds)
    floating = ((ds.x > 20e3) | (ds.y > 0)).transpose("y", "x").values
    assert o.domain.x.size == floating.sum() < 432
    gaps = np.zeros((18, 24), bool)
    gaps[2:4, 3:6] = gaps[3:5, 5:8] = gaps[10, 4:6] = True
    assert o.velocity.x.size == (floating & ~gaps).sum()
    assert o.thickness.x.size == floating.sum() - 3
