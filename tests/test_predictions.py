"""What `predict` says at a position does not depend on how it is asked; its fields fit together."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from small_fits import disc, inverter

from xdiffice import SSAViscosityInverter
from xdiffice.errors import CoordinateError, ParameterError, PlausibilityWarning
from xdiffice.physics.constants import SECONDS_PER_YEAR, PhysicalConstants
from xdiffice.results import evaluate

VARIABLES = (
    "viscosity",
    "x_velocity",
    "y_velocity",
    "thickness",
    "effective_strain_rate",
    "x_momentum_residual",
    "y_momentum_residual",
)


@pytest.fixture(scope="module")
def shelf() -> xr.Dataset:
    """Return a shelf as a product would have it: km, m/yr, y downwards."""
    return disc(coordinate_units="km", velocity_units="m yr-1", y_order="descending")


@pytest.fixture(scope="module")
def fitted(shelf) -> SSAViscosityInverter:
    return inverter(max_iterations=300).fit(shelf)


@pytest.fixture(scope="module")
def everywhere(fitted) -> xr.Dataset:
    return fitted.predict(extrapolate=True)


def assert_same(found: xr.Dataset, expected: xr.Dataset) -> None:
    """Compare values at equal positions, to rounding of the largest."""
    for name in VARIABLES:
        scale = float(np.abs(expected[name]).max())
        np.testing.assert_allclose(
            found[name].transpose(*expected[name].dims), expected[name], atol=1e-12 * scale
        )


def test_the_default_is_the_velocitys_own_grid(fitted, shelf):
    result = fitted.predict()
    assert tuple(result.data_vars) == (*VARIABLES, "viscosity_quality")
    outside = shelf.x_velocity.isnull().values
    np.testing.assert_array_equal(result.viscosity_quality.values == 0, outside)
    for name in VARIABLES:
        assert result[name].dims == ("y", "x")
        np.testing.assert_array_equal(result[name].notnull(), shelf.x_velocity.notnull())
    assert result.y[0] > result.y[-1]
    xr.testing.assert_identical(result.x.drop_attrs(), shelf.x.drop_attrs())
    assert result.viscosity.attrs["units"] == "Pa s"


def test_outside_the_shelf_only_if_wanted(fitted, everywhere, shelf):
    outside = shelf.x_velocity.isnull()
    assert outside.any()
    assert np.isfinite(everywhere.viscosity.where(outside, drop=True)).any()
    for name in VARIABLES:
        assert np.isfinite(everywhere[name]).all()
    xr.testing.assert_identical(
        fitted.predict().viscosity.drop_attrs(),
        everywhere.viscosity.where(~outside.drop_attrs()).drop_attrs(),
    )


@pytest.mark.parametrize(
    "template",
    [
        lambda ds: ds,
        lambda ds: ds.x_velocity,
        lambda ds: ds.isel(y=slice(None, None, -1)),
        lambda ds: ds.isel(x=slice(None, None, -1)),
        lambda ds: ds.x_velocity.transpose("x", "y"),
        lambda ds: {"x": ds.x.values, "y": ds.y.values},  # in the units of the fitted coordinates
        lambda ds: (
            ds.assign_coords(
                x=("x", ds.x.values * 1e3, ds.x.attrs | {"units": "m"}),
                y=("y", ds.y.values * 1e3, ds.y.attrs | {"units": "m"}),
            ).x_velocity
        ),
        lambda ds: ds.chunk({"x": 7}),
    ],
    ids=["dataset", "array", "y upwards", "x downwards", "transposed", "dict", "metres", "lazy"],
)
def test_other_ways_to_ask_for_the_same_grid(fitted, everywhere, shelf, template):
    asked = template(shelf)
    result = fitted.predict(asked, extrapolate=True)
    if isinstance(asked, xr.DataArray):
        assert result.viscosity.dims == asked.dims
    if not isinstance(asked, dict):
        np.testing.assert_array_equal(result.x, asked.x)
        np.testing.assert_array_equal(result.y, asked.y)
        if asked.x.attrs["units"] == "m":
            result = result.assign_coords(x=shelf.x, y=shelf.y)
    assert_same(result.sel(x=everywhere.x, y=everywhere.y), everywhere)


def test_a_finer_grid(fitted, shelf):
    fine = {
        "x": np.linspace(float(shelf.x[0]), float(shelf.x[-1]), 2 * shelf.sizes["x"] - 1),
        "y": np.linspace(float(shelf.y[0]), float(shelf.y[-1]), 2 * shelf.sizes["y"] - 1),
    }
    result = fitted.predict(fine)
    assert result.viscosity.shape == (59, 59)
    coarse = result.isel(x=slice(None, None, 2), y=slice(None, None, 2))
    assert_same(coarse, fitted.predict())


def test_points(fitted, everywhere):
    rng = np.random.default_rng(0)
    row, column = rng.integers(0, 30, (2, 50))
    at = {"y": xr.DataArray(row, dims="station"), "x": xr.DataArray(column, dims="station")}
    expected = everywhere.isel(at)
    points = xr.Dataset(coords={name: ("station", expected[name].values) for name in "xy"})
    points = points.assign_coords(station=np.arange(50))
    result = fitted.predict(points, extrapolate=True)
    assert result.viscosity.dims == ("station",)
    assert_same(result, expected)


def test_positions_that_are_missing(fitted):
    points = xr.Dataset(coords={"x": ("i", [0.0, np.nan, 5.0]), "y": ("i", [0.0, 0.0, np.nan])})
    for extrapolate in (False, True):
        result = fitted.predict(points, extrapolate=extrapolate)
        for name in VARIABLES:
            np.testing.assert_array_equal(np.isfinite(result[name]), [True, False, False])


def test_a_place_far_from_the_shelf(fitted):
    with pytest.warns(PlausibilityWarning, match="none of the positions is on the shelf"):
        assert fitted.predict({"x": [900.0, 901.0], "y": [900.0]}).viscosity.isnull().all()
    with pytest.raises(CoordinateError, match="template has no y coordinate"):
        fitted.predict({"x": [0.0]})


@pytest.mark.parametrize("chunks", [None, 5])
def test_metres_without_units_that_are_taken_as_km_are_noticed(fitted, chunks):
    axis = np.arange(2000.0, 40_000.0, 5000.0)
    taken = (
        r"on the shelf \(x -47\.25 to 47\.25 km, y -47\.25 to 47\.25 km\): they are x 2000 to "
        r"37000 km, y 2000 to 37000 km; 'x' and 'y' without units taken as km, as those of"
    )
    with pytest.warns(PlausibilityWarning, match=taken) as caught:
        fitted.predict({"x": axis, "y": axis}, chunks=chunks)
    assert [warning.filename for warning in caught] == [__file__]
    said = {name: xr.DataArray(axis, dims=name, attrs={"units": "m"}) for name in "xy"}
    inside = fitted.predict(said, chunks=chunks)  # without a warning
    assert float(inside.viscosity.notnull().mean()) > 0.5
    wrong = {"x": xr.DataArray(axis, dims="x", attrs={"units": "km"}), "y": axis}
    with pytest.warns(PlausibilityWarning, match="37000 km; 'y' without units"):
        fitted.predict(wrong, chunks=chunks)
    fitted.predict({"x": axis, "y": axis}, extrapolate=True, chunks=chunks)  # it was meant


def test_a_prediction_larger_than_a_block(fitted, everywhere, monkeypatch):
    monkeypatch.setattr(evaluate, "BLOCK", 256)  # 900 positions: three blocks and a part of one
    assert_same(fitted.predict(extrapolate=True), everywhere)


@pytest.mark.parametrize(
    "names",
    [
        "viscosity",
        ["viscosity"],
        ["thickness", "x_velocity"],
        ("effective_strain_rate",),
        ["y_momentum_residual", "viscosity"],
        ["x_momentum_residual", "x_momentum_residual"],
    ],
)
def test_a_part_is_the_same_as_in_the_whole(fitted, everywhere, names):
    part = fitted.predict(variables=names, extrapolate=True)
    wanted = {names} if isinstance(names, str) else {*names}
    assert {*part.data_vars} == wanted
    for name in wanted:
        scale = float(np.abs(everywhere[name]).max())
        np.testing.assert_allclose(part[name], everywhere[name], atol=1e-12 * scale)
        attrs = everywhere[name].attrs.copy()
        attrs.pop("ancillary_variables", None)  # which nobody asked for
        assert part[name].attrs == attrs


@pytest.mark.parametrize("names", [["viscosity", "hardness"], "hardness", []])
def test_unknown_variables(fitted, names):
    with pytest.raises(ParameterError, match="choose from viscosity, x_velocity, y_velocity"):
        fitted.predict(variables=names)


# The fields fit together


COEFFICIENTS = np.array([1 / 280, -4 / 105, 1 / 5, -4 / 5, 0, 4 / 5, -1 / 5, 4 / 105, -1 / 280])


def derivative(values: np.ndarray, spacing: float, axis: int) -> np.ndarray:
    """Central difference of order eight; four rows at either end are lost."""
    windows = np.lib.stride_tricks.sliding_window_view(values, 9, axis)
    return windows @ COEFFICIENTS / spacing


@pytest.fixture(scope="module")
def fine(fitted) -> tuple[xr.Dataset, float]:
    """Return predictions on a fine grid in the middle of the shelf, and its spacing in m."""
    axis = np.linspace(-6, 6, 41)
    return fitted.predict({"x": axis, "y": axis}), 300.0


def velocity(result: xr.Dataset) -> tuple[np.ndarray, np.ndarray]:
    return tuple(result[name].values / SECONDS_PER_YEAR for name in ("x_velocity", "y_velocity"))


def gradients(fields, spacing):
    """x and y derivatives of each field, on the same points."""
    for field in fields:
        yield derivative(field, spacing, 1)[4:-4]
        yield derivative(field, spacing, 0)[:, 4:-4]


def test_effective_strain_rate_is_that_of_the_predicted_velocity(fine):
    result, spacing = fine
    u_x, u_y, v_x, v_y = gradients(velocity(result), spacing)
    expected = np.sqrt(u_x**2 + v_y**2 + u_x * v_y + (u_y + v_x) ** 2 / 4)
    found = result.effective_strain_rate.values[4:-4, 4:-4]
    np.testing.assert_allclose(found, expected, rtol=1e-7)


def test_residuals_are_those_of_the_predicted_fields(fine):
    # div(h T) − ρ g' h ∇h in Pa, from nothing but what is predicted.
    result, spacing = fine
    u_x, u_y, v_x, v_y = gradients(velocity(result), spacing)
    inner = slice(4, -4)
    h_all, mu_all = result.thickness.values, result.viscosity.values
    h, mu = h_all[inner, inner], mu_all[inner, inner]
    trace = u_x + v_y
    t_xx, t_yy, t_xy = 2 * mu * (u_x + trace), 2 * mu * (v_y + trace), mu * (u_y + v_x)
    h_x, h_y = (g[inner, inner] for g in gradients([h_all], spacing))
    xx_x, _, xy_x, xy_y, _, yy_y = gradients([h * t_xx, h * t_xy, h * t_yy], spacing)
    weight, h = PhysicalConstants().driving_weight, h[inner, inner]
    size = weight * np.abs(h * np.hypot(h_x, h_y)).max()
    for name, expected in (
        ("x_momentum_residual", xx_x + xy_y - weight * h * h_x),
        ("y_momentum_residual", xy_x + yy_y - weight * h * h_y),
    ):
        found = result[name].values[8:-8, 8:-8]
        assert np.abs(found).max() > 1e-3 * size  # something is left of a short fit
        np.testing.assert_allclose(found, expected, atol=1e-6 * size)
        assert result[name].attrs["units"] == "Pa"


def test_netcdf_there_and_back(fitted, tmp_path):
    result = fitted.predict()
    result.to_netcdf(tmp_path / "viscosity.nc")
    with xr.open_dataset(tmp_path / "viscosity.nc", decode_coords="all") as back:
        xr.testing.assert_identical(back.load(), result)


@pytest.mark.parametrize("engine", ["netcdf4", "h5netcdf", "scipy"])
@pytest.mark.parametrize("at", ["grid", "point", "blocks"])
def test_every_writer_takes_it_and_netcdf4_compresses_it(fitted, engine, at, tmp_path):
    pytest.importorskip("h5netcdf" if engine == "h5netcdf" else "scipy")
    template = {"x": 1.0, "y": 2.0} if at == "point" else None
    result = fitted.predict(template, chunks=12 if at == "blocks" else None)
    result.to_netcdf(tmp_path / "viscosity.nc", engine=engine)
    with xr.open_dataset(tmp_path / "viscosity.nc", engine=engine) as back:
        xr.testing.assert_identical(back.load(), result.compute())
        packed = {bool(back[name].encoding.get("zlib")) for name in result.data_vars}
        assert packed == {at != "point" and engine != "scipy"}
        assert [*back.sizes] == [*result.sizes] == ([] if at == "point" else ["y", "x"])
        back.to_netcdf(tmp_path / "again.nc")


@pytest.mark.parametrize("zarr_format", [2, 3])
def test_zarr_there_and_back(fitted, zarr_format, tmp_path):
    pytest.importorskip("zarr")
    result = fitted.predict()
    result.to_zarr(tmp_path / "viscosity.zarr", zarr_format=zarr_format, consolidated=False)
    with xr.open_zarr(tmp_path / "viscosity.zarr", consolidated=False) as back:
        xr.testing.assert_identical(back.load(), result)


def test_the_output_says_how_it_was_made(fitted):
    attrs = fitted.predict(variables="viscosity").attrs
    assert attrs["estimator"] == repr(fitted)
    assert "max_iterations=300" in attrs["estimator"]
    assert (attrs["ice_density"], attrs["sea_water_density"], attrs["gravity"]) == (917, 1030, 9.8)
