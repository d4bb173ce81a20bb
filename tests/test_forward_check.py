"""The forward check: the right viscosity moves the ice as it was seen to move, others do not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import xarray as xr

import xdiffice
from xdiffice import CoordinateError, ParameterError, VariableNotFoundError
from xdiffice.synthetic import confined_shelf, spreading_shelf

DATA = Path(__file__).resolve().parents[1] / "../shared/data"


@pytest.fixture(scope="module")
def shelf() -> xr.Dataset:
    return confined_shelf((60, 90))


def share(check: xr.Dataset) -> float:
    return check.attrs["relative_difference"]


def test_the_true_viscosity_gives_the_true_velocity_the_finer_the_grid_the_closer(shelf):
    coarse, fine = confined_shelf((20, 30)), shelf
    errors = [share(one.diffice.forward_check(one)) for one in (coarse, fine)]
    assert errors[1] < 0.005
    assert errors[1] < 0.5 * errors[0]  # three times finer; corners and walls are of first order
    finer = fine.diffice.forward_check(fine, mesh_size=600.0)
    assert share(finer) < errors[1]


def test_what_is_returned_is_labelled_and_adds_up(shelf):
    before = shelf.copy(deep=True)
    check = shelf.diffice.forward_check(shelf)
    xr.testing.assert_identical(shelf, before)
    names = ["x_velocity", "y_velocity"]
    assert set(check) == {*names, *(f"{name}_difference" for name in names), "rms_difference"}
    assert list(check.sizes) == [*shelf["x_velocity"].dims]
    squares = [0.0, 0.0]
    for name in names:
        assert check[name].attrs["units"] == shelf[name].attrs["units"]
        assert check[name].dims == shelf[name].dims
        difference = check[name] - shelf[name]
        xr.testing.assert_allclose(check[f"{name}_difference"], difference)
        part = float((difference**2).sum())
        whole = float((shelf[name].where(difference.notnull()) ** 2).sum())
        assert check.attrs[f"{name}_relative_difference"] == pytest.approx((part / whole) ** 0.5)
        squares[0] += part
        squares[1] += whole
    assert share(check) == pytest.approx((squares[0] / squares[1]) ** 0.5)
    n = check.attrs["n_compared"]
    assert n == int(check["x_velocity_difference"].notnull().sum()) > 0.95 * shelf["x"].size * 60
    assert float(check["rms_difference"]) == pytest.approx((squares[0] / n) ** 0.5)
    assert check["rms_difference"].attrs["units"] == shelf["x_velocity"].attrs["units"]


@pytest.mark.parametrize(("factor", "least"), [(1.1, 0.05), (2.0, 0.3)])
def test_a_wrong_viscosity_is_found_out(shelf, factor, least):
    wrong = shelf.assign(viscosity=(factor * shelf["viscosity"]).assign_attrs(units="Pa s"))
    check = shelf.diffice.forward_check(wrong)
    assert share(check) > least
    # Stiffer ice spreads less: the modelled velocity lags at the front.
    assert float(check["x_velocity_difference"].isel(x=-2).mean()) < 0


def test_anisotropic_ice_needs_both_viscosities():
    truth = confined_shelf(
        (60, 90),
        viscosity=lambda x, y: 4e13 + 0 * x,
        vertical_viscosity=lambda x, y: 4e13 * (0.4 + 1.2 * x / 80e3),
        rheology="anisotropic",
    )
    both = truth[["viscosity_horizontal", "viscosity_vertical", "thickness"]]
    assert share(truth.diffice.forward_check(both)) < 0.006
    tied = both.assign(viscosity_vertical=both["viscosity_horizontal"])
    assert share(truth.diffice.forward_check(tied)) > 0.02
    with pytest.raises(VariableNotFoundError, match="'viscosity_horizontal' and 'viscosity_vert"):
        truth.diffice.forward_check(both.drop_vars("viscosity_vertical"))


def test_units_and_the_order_of_dims_do_not_matter(shelf):
    expected = shelf.diffice.forward_check(shelf)
    year = 365.25 * 86400
    other = shelf.transpose("x", "y", ...).isel(y=slice(None, None, -1))
    for name in ("x_velocity", "y_velocity"):
        other[name] = (other[name] * year).assign_attrs(units="m yr-1")
    result = shelf[["viscosity", "thickness"]].transpose("x", "y")
    result["viscosity"] = (result["viscosity"] / 1e12).assign_attrs(units="TPa s")
    result = result.assign_coords(
        {axis: (axis, result[axis].values / 1e3, {"units": "km"}) for axis in "xy"}
    )
    check = other.diffice.forward_check(result)
    assert share(check) == pytest.approx(share(expected), rel=1e-6)
    assert check["x_velocity"].dims == other["x_velocity"].dims
    found = check["x_velocity_difference"].sortby("y").transpose("y", "x") / year
    np.testing.assert_allclose(
        found, expected["x_velocity_difference"].transpose("y", "x"), atol=1e-12
    )


def test_a_piece_that_nothing_holds_is_left_out(shelf):
    free = spreading_shelf((20, 20))
    with pytest.raises(ParameterError, match="front all around: nothing holds it"):
        free.diffice.forward_check(free)
    # A tongue in front of the shelf, with front all around, beyond a strip of open sea.
    d_x, d_y = (float(shelf[axis].diff(axis)[0]) for axis in "xy")
    wide = shelf.pad(x=(0, 20), constant_values=np.nan)
    x = shelf["x"].values[0] + d_x * np.arange(wide.sizes["x"])
    wide = wide.assign_coords(x=("x", x, shelf["x"].attrs))
    tongue = (wide["x"] > x[-14]) & (wide["x"] < x[-4]) & (abs(wide["y"]) < 8 * d_y)
    for name in ("x_velocity", "y_velocity", "thickness", "viscosity"):
        filled = wide[name].where(~tongue, float(shelf[name].mean()))
        wide[name] = filled.assign_attrs(shelf[name].attrs)
    left, right, half = x[-13] - d_x / 2, x[-5] + d_x / 2, 7.5 * d_y
    along, across = np.linspace(left, right, 40), np.linspace(-half, half, 40)
    rim = [
        (left + 0 * across, across, -1, 0),
        (right + 0 * across, across, 1, 0),
        (along, half + 0 * along, 0, 1),
        (along, -half + 0 * along, 0, -1),
    ]
    more = [np.concatenate([np.broadcast_to(side[k], 40) for side in rim]) for k in range(4)]
    names = ("x_front", "y_front", "x_normal", "y_normal")
    front = xr.Dataset(
        {
            name: ("front", np.concatenate([shelf[name].values, add]), shelf[name].attrs)
            for name, add in zip(names, more, strict=True)
        }
    )
    check = wide.drop_vars(names).diffice.forward_check(
        wide.drop_vars(names), front=front, mask=wide["thickness"].notnull()
    )
    assert bool(check["x_velocity"].where(tongue, drop=True).isnull().all())
    assert share(check) < 0.01


def test_a_result_that_cannot_be_checked_is_refused(shelf):
    for result, error, message in (
        (shelf.drop_vars("viscosity"), VariableNotFoundError, "needs 'viscosity', or"),
        (shelf[["viscosity"]], VariableNotFoundError, "no variable 'thickness'; predict it"),
        (
            shelf[["viscosity", "thickness"]].stack(point=("y", "x")).reset_index("point"),
            CoordinateError,
            "on a raster of x and y: predict on a grid",
        ),
    ):
        with pytest.raises(error, match=message):
            shelf.diffice.forward_check(result)


@pytest.mark.slow
def test_the_viscosity_of_the_reference_shelf_reproduces_its_velocity():
    path = DATA / "SynData_exp1.mat"
    if not path.exists():
        pytest.skip(f"{path.name} of DIFFICE_jax is not in ../shared/data")
    data = xdiffice.open_diffice_mat(path, velocity_units="m s-1")
    result = data.diffice.invert(max_seconds=90, progress=False)
    assert share(data.diffice.forward_check(result)) < 0.005
