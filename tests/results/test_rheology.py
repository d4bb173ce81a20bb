"""Strain rates: known for linear and quadratic flows, whatever the grid and the units."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from xdiffice.errors import CoordinateError, InvalidDatasetError, VariableNotFoundError
from xdiffice.results.rheology import effective_strain_rate, strain_rate

YEAR = 365.25 * 86400.0
GRADIENT = {"u_x": 3e-10, "u_y": -1e-10, "v_x": 5e-10, "v_y": 2e-10}


def linear_flow(x, y, *, gradient=GRADIENT, speed=1e-5, units=("m s-1", 1.0), length=("m", 1.0)):
    """Velocity with a constant gradient on any x and y (m), in any units."""
    xx, yy = np.meshgrid(x, y)
    u = speed + gradient["u_x"] * xx + gradient["u_y"] * yy
    v = speed + gradient["v_x"] * xx + gradient["v_y"] * yy
    return xr.Dataset(
        {
            "vx": (("y", "x"), u / units[1], {"units": units[0]}),
            "vy": (("y", "x"), v / units[1], {"units": units[0]}),
        },
        coords={
            "x": ("x", np.asarray(x) / length[1], {"units": length[0], "axis": "X"}),
            "y": ("y", np.asarray(y) / length[1], {"units": length[0], "axis": "Y"}),
        },
    )


def assert_gradient(rates, gradient=GRADIENT, rtol=1e-9):
    expected = {
        "strain_rate_xx": gradient["u_x"],
        "strain_rate_yy": gradient["v_y"],
        "strain_rate_xy": 0.5 * (gradient["u_y"] + gradient["v_x"]),
    }
    assert set(rates.data_vars) == set(expected)
    for name, value in expected.items():
        np.testing.assert_allclose(rates[name], value, rtol=rtol, atol=1e-9 * 1e-10)


X = np.arange(-3000.0, 3001.0, 500.0)
Y = np.arange(4000.0, 999.0, -500.0)  # descending, as in NSIDC's products


class TestLinearFlow:
    def test_gradient_is_exact_where_y_descends(self):
        rates = strain_rate(linear_flow(X, Y))
        assert_gradient(rates)
        assert rates["strain_rate_xx"].dims == ("y", "x")
        np.testing.assert_array_equal(rates["y"], Y)

    def test_units_change_nothing(self):
        ds = linear_flow(X, Y, units=("meter/year", 1 / YEAR), length=("km", 1000.0))
        assert_gradient(strain_rate(ds))

    def test_units_may_be_given(self):
        ds = linear_flow(X, Y, units=("", 1 / YEAR))
        assert_gradient(strain_rate(ds, units={"vx": "m a-1", "vy": "m a-1"}))

    def test_variables_may_be_given(self):
        ds = linear_flow(X, Y).rename(vx="first", vy="second")
        with pytest.raises(InvalidDatasetError, match=r"x_velocity[\s\S]*y_velocity"):
            strain_rate(ds)
        names = {"x_velocity": "first", "y_velocity": "second"}
        assert_gradient(strain_rate(ds, variables=names))

    def test_int32_coordinates(self):
        ds = linear_flow(np.arange(0, 3_000_001, 500_000), Y)
        ds = ds.assign_coords(x=("x", ds["x"].values.astype(np.int32), ds["x"].attrs))
        assert_gradient(strain_rate(ds))

    def test_transposed_and_with_time(self):
        ds = linear_flow(X, Y).transpose("x", "y").expand_dims(time=[1, 2])
        ds["vy"] = ds["vy"].transpose("time", "y", "x")
        rates = strain_rate(ds)
        assert rates["strain_rate_yy"].dims == ("time", "x", "y")
        assert_gradient(rates)

    def test_axes_whose_names_are_not_their_dims(self):
        ds = linear_flow(X, Y)
        bare = ds.drop_vars(["x", "y"]).rename(x="col", y="row")
        bare = bare.assign_coords(x=("col", X, {"units": "m"}), y=("row", Y, {"units": "m"}))
        rates = strain_rate(bare)
        assert_gradient(rates)
        assert set(rates.coords) == {"x", "y"}

    def test_two_pixels_are_enough(self):
        assert_gradient(strain_rate(linear_flow([0.0, 10.0], [3.0, 1.0])), rtol=1e-6)

    @settings(max_examples=25, deadline=None)
    @given(
        steps=st.lists(st.floats(10.0, 1e4), min_size=2, max_size=6),
        down=st.booleans(),
        rates=st.tuples(*[st.floats(-1e-8, 1e-8)] * 4),
    )
    def test_any_axis_and_any_gradient(self, steps, down, rates):
        axis = np.cumsum([-20e3, *steps])
        gradient = dict(zip(GRADIENT, rates, strict=True))
        ds = linear_flow(axis, axis[::-1] if down else axis, gradient=gradient, speed=1e-3)
        result = strain_rate(ds)
        # rounding of a velocity of 1e-3 m/s over 10 m
        for name, value in (("strain_rate_xx", rates[0]), ("strain_rate_yy", rates[3])):
            np.testing.assert_allclose(result[name], value, atol=1e-16)
        shear = 0.5 * (rates[1] + rates[2])
        np.testing.assert_allclose(result["strain_rate_xy"], shear, atol=1e-16)


class TestMissing:
    def test_neighbours_of_a_gap_are_missing_and_others_are_not(self):
        ds = linear_flow(X, Y)
        for gap in ({"vx": np.nan, "vy": np.nan}, {"vx": 0.0, "vy": 0.0}):
            holed = ds.copy(deep=True)
            for name, value in gap.items():
                holed[name][3, 5] = value
            missing = np.zeros((Y.size, X.size), bool)
            missing[3, 4:7] = True
            rates = strain_rate(holed)
            np.testing.assert_array_equal(rates["strain_rate_xx"].isnull(), missing)
            missing[2:5, 5] = True
            np.testing.assert_array_equal(rates["strain_rate_xy"].isnull(), missing)

    def test_one_component_may_be_zero(self):
        ds = linear_flow(X, Y)
        ds["vx"] = xr.zeros_like(ds["vx"]).assign_attrs(units="m s-1")
        assert not strain_rate(ds).isnull().any().to_array().any()

    def test_undecoded_fill_value(self):
        ds = linear_flow(X, Y)
        ds["vx"][3, 5] = -9999.0
        ds["vx"].attrs["_FillValue"] = -9999.0
        rates = strain_rate(ds)
        assert int(rates["strain_rate_xx"].isnull().sum()) == 3
        assert float(abs(rates["strain_rate_xx"]).max()) < 1e-9

    def test_dataset_is_not_changed(self):
        ds = linear_flow(X, Y)
        before = ds.copy(deep=True)
        effective_strain_rate(ds)
        xr.testing.assert_identical(ds, before)


class TestConvergence:
    def test_second_order_edges_included(self):
        errors = []
        for n in (21, 41, 81):
            axis = np.linspace(0.0, 1e5, n)
            ds = linear_flow(axis, axis)
            xx, yy = np.meshgrid(axis / 1e5, axis / 1e5)
            ds["vx"] = ds["vx"].copy(data=1e-5 * (2 + np.sin(3 * xx) * np.cos(2 * yy)))
            exact = 3e-10 * np.cos(3 * xx) * np.cos(2 * yy)
            errors.append(float(abs(strain_rate(ds)["strain_rate_xx"] - exact).max()))
        orders = np.log2(np.array(errors[:-1]) / errors[1:])
        np.testing.assert_allclose(orders, 2.0, atol=0.1)


class TestEffective:
    def test_formula(self):
        result = effective_strain_rate(linear_flow(X, Y))
        u_x, u_y, v_x, v_y = GRADIENT.values()
        expected = np.sqrt(u_x**2 + v_y**2 + u_x * v_y + 0.25 * (u_y + v_x) ** 2)
        np.testing.assert_allclose(result, expected, rtol=1e-9)
        assert result.name == "effective_strain_rate"
        assert result.attrs["units"] == "s-1"

    def test_rotation_of_the_axes_changes_nothing(self):
        angle = 0.7
        turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        matrix = np.array([[GRADIENT["u_x"], GRADIENT["u_y"]], [GRADIENT["v_x"], GRADIENT["v_y"]]])
        turned = dict(zip(GRADIENT, (turn @ matrix @ turn.T).ravel(), strict=True))
        one, other = (
            effective_strain_rate(linear_flow(X, Y, gradient=g)) for g in (GRADIENT, turned)
        )
        np.testing.assert_allclose(one, other, rtol=1e-9)


class TestLazy:
    @pytest.mark.parametrize("chunks", [{"x": 4, "y": 3}, {"x": 6, "y": 6}, {"x": 1, "y": 1}])
    def test_dask_gives_the_same_and_stays_lazy(self, chunks):
        import dask

        ds = linear_flow(X, Y)
        ds["vx"] = ds["vx"].copy(data=ds["vx"].values ** 2 * 1e5)
        ds["vx"][1, 2] = np.nan
        with dask.config.set(scheduler=_no_compute):
            lazy = effective_strain_rate(ds.chunk(chunks))
        assert lazy.chunks is not None
        xr.testing.assert_allclose(lazy.compute(), effective_strain_rate(ds), rtol=1e-12)


def _no_compute(*_, **__):
    raise AssertionError("something was computed")


class TestLabelsAndErrors:
    def test_grid_mapping_and_coordinates_are_carried_over(self):
        ds = linear_flow(X, Y).assign_coords(crs=((), 0, {"grid_mapping_name": "x"}))
        ds["vx"].attrs["grid_mapping"] = ds["vy"].attrs["grid_mapping"] = "crs"
        rates = strain_rate(ds)
        for name in rates.data_vars:
            assert rates[name].attrs["grid_mapping"] == "crs"
            assert rates[name].attrs["units"] == "s-1"
            assert "standard_name" not in rates[name].attrs
        assert rates["x"].attrs == ds["x"].attrs
        assert "crs" in rates.coords

    def test_points_are_refused_with_a_way_out(self):
        points = xr.Dataset(
            {name: ("shot", [1.0, 2.0], {"units": "m s-1"}) for name in ("vx", "vy")},
            coords={name: ("shot", [0.0, 1.0], {"units": "m"}) for name in ("x", "y")},
        )
        with pytest.raises(CoordinateError, match=r"points.*effective_strain_rate"):
            strain_rate(points)

    def test_one_row_is_refused(self):
        with pytest.raises(CoordinateError, match="'y' has size 1"):
            strain_rate(linear_flow(X, [0.0]))

    def test_missing_component_is_named(self):
        with pytest.raises(VariableNotFoundError, match="velocity in y"):
            strain_rate(linear_flow(X, Y).drop_vars("vy"))
