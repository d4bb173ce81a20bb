"""Hardness, fluidity, enhancement and exponent of ice whose flow law is known."""

from __future__ import annotations

import numpy as np
import pyproj
import pytest
import xarray as xr

import xdiffice
from xdiffice import (
    DataValuesError,
    ParameterError,
    PlausibilityWarning,
    UnitsError,
    VariableNotFoundError,
)
from xdiffice.results.flow_law import (
    enhancement,
    flow_exponent,
    fluidity,
    fluidity_of_temperature,
    hardness,
)

YEAR = 31557600.0
CRS = pyproj.CRS.from_epsg(3031)


def glen_ice(n: float = 3.0, noise: float = 0.0, seed: int = 0, shape=(60, 80)) -> xr.Dataset:
    """Ice of Glen's law with a hardness that varies by a factor 2.7, and its truth."""
    rng = np.random.default_rng(seed)
    y, x = (np.linspace(-1, 1, size) for size in shape)
    y, x = np.meshgrid(y, x, indexing="ij")
    b = 1.5e8 * np.exp(0.3 * x + 0.2 * y * x - 0.2 * y**2)
    rate = 1e-9 * np.exp(np.sin(3 * x) + np.cos(4 * y * x) + 0.7 * x)
    mu = 0.5 * b * rate ** (1 / n - 1)
    # Errors of an inversion: alike over four pixels, half a block.
    coarse = rng.standard_normal((shape[0] // 4, shape[1] // 4))
    mu = mu * np.exp(noise * np.kron(coarse, np.ones((4, 4))))
    coords = {"y": 1e3 * np.arange(shape[0])[::-1], "x": 1e3 * np.arange(shape[1])}
    return xr.Dataset(
        {
            "viscosity": (("y", "x"), mu, {"units": "Pa s", "grid_mapping": "crs"}),
            "effective_strain_rate": (("y", "x"), rate, {"units": "s-1"}),
            "truth": (("y", "x"), b),
        },
        coords,
    )


@pytest.mark.parametrize("n", [1.0, 3.0, 4.2])
def test_hardness_and_fluidity_are_those_of_the_law(n):
    ice = glen_ice(n)
    found = hardness(ice, n)
    np.testing.assert_allclose(found, ice["truth"], rtol=1e-12)
    assert found.attrs["units"] == "Pa"  # B (1 s-1)^(1/n)
    assert found.attrs["grid_mapping"] == "crs"
    np.testing.assert_allclose(fluidity(ice, n), ice["truth"] ** -n, rtol=1e-12)
    units = {1.0: "Pa-1 s-1", 3.0: "Pa-3 s-1", 4.2: "s-1"}
    assert fluidity(ice, n).attrs["units"] == units[n]
    xr.testing.assert_identical(found, ice.diffice.hardness(n))
    xr.testing.assert_identical(fluidity(ice, n), ice.diffice.fluidity(n))


def test_units_are_read_and_blocks_stay_blocks():
    ice = glen_ice()
    other = ice.assign(
        viscosity=(ice["viscosity"] / (1e6 * YEAR)).assign_attrs(units="MPa yr"),
        effective_strain_rate=(ice["effective_strain_rate"] * YEAR).assign_attrs(units="yr-1"),
    ).chunk({"x": 30})
    found = hardness(other)
    assert found.chunks is not None
    np.testing.assert_allclose(found, ice["truth"], rtol=1e-12)


# Cuffey & Paterson (2010), table 3.4.
TABLE = {0: 2.4e-24, -2: 1.7e-24, -5: 9.3e-25, -10: 3.5e-25, -15: 2.1e-25, -20: 1.2e-25,
         -25: 6.8e-26, -30: 3.7e-26, -40: 1.0e-26, -50: 2.6e-27}  # fmt: skip


@pytest.mark.parametrize("celsius", TABLE)
def test_fluidity_of_a_temperature_is_that_of_the_table(celsius):
    assert fluidity_of_temperature(273.15 + celsius) == pytest.approx(TABLE[celsius], rel=0.05)
    array = xr.DataArray([float(celsius)], dims="x", attrs={"units": "degC"})
    assert float(fluidity_of_temperature(array)[0]) == pytest.approx(TABLE[celsius], rel=0.05)


def test_enhancement():
    ice = glen_ice()
    stiff = fluidity_of_temperature(258.15) ** (-1 / 3)
    temperature = xr.full_like(ice["truth"], 258.15).assign_attrs(units="K")
    for given in (258.15, temperature):
        found = enhancement(ice, given)
        np.testing.assert_allclose(found, (stiff / ice["truth"]) ** 3, rtol=1e-10)
    xr.testing.assert_identical(found, ice.diffice.enhancement(temperature))


@pytest.mark.parametrize("n", [2.0, 3.0, 4.2])
def test_the_exponent_is_found_where_the_hardness_varies(n):
    ice = glen_ice(n)
    found = flow_exponent(ice)
    assert float(found["exponent"]) == pytest.approx(n, rel=1e-9)
    np.testing.assert_allclose(found["exponent_interval"], n, rtol=1e-6)
    assert found.attrs["n_pixels"] == 60 * 80
    # As one hardness for all it is another number.
    assert abs(float(flow_exponent(ice, degree=0)["exponent"]) - n) > 0.05
    xr.testing.assert_identical(found, ice.diffice.flow_exponent())


def test_the_interval_holds_the_truth_as_often_as_it_says():
    held, width = 0, []
    for seed in range(60):
        found = flow_exponent(glen_ice(noise=0.1, seed=seed), confidence=0.9, random_state=seed)
        low, high = found["exponent_interval"].values
        assert low < float(found["exponent"]) < high
        held += low < 3 < high
        width.append(high - low)
    assert 48 <= held <= 59  # of 60; 54 expected
    assert 0.02 < np.median(width) < 0.3


def test_a_region_of_its_own():
    ice = glen_ice()
    east = ice["x"] > 40e3
    softer = ice["viscosity"].where(east, 0.5 * 1e8 * ice["effective_strain_rate"] ** (1 / 5 - 1))
    ice = ice.assign(viscosity=softer.assign_attrs(units="Pa s"))
    assert float(flow_exponent(ice, east & (ice["y"] > -1))["exponent"]) == pytest.approx(3)
    assert float(flow_exponent(ice, ~east & (ice["y"] > -1))["exponent"]) == pytest.approx(5)


def ice_of_slope(slope: float, noise: float) -> xr.Dataset:
    """Ice with log stress = const. + slope log strain rate + errors: 1/n may be what no ice has."""
    ice = glen_ice(noise=noise)
    errors = ice["viscosity"] / glen_ice()["viscosity"]
    rate = ice["effective_strain_rate"]
    mu = 0.5 * 1.5e8 * rate ** (slope - 1) * errors
    return ice.assign(viscosity=mu.assign_attrs(units="Pa s"))


@pytest.mark.parametrize("slope", [0.005, -0.005])
def test_an_exponent_that_may_be_infinite_is_none_and_has_no_upper_end(slope):
    with pytest.warns(PlausibilityWarning, match=r"not determine the exponent.*1/n = .*where="):
        found = flow_exponent(ice_of_slope(slope, 0.1))
    low, high = found["inverse_exponent_interval"].values
    assert low < min(slope, 0)
    assert max(slope, 0) < high < 0.1
    assert low < float(found["inverse_exponent"]) < high
    assert np.isnan(found["exponent"])
    np.testing.assert_allclose(found["exponent_interval"], [1 / high, np.inf])


def test_ice_that_hardens_with_the_strain_rate_has_no_exponent():
    with pytest.warns(PlausibilityWarning, match=r"1/n = -0\.1, 90% interval -0\.1 to -0\.1"):
        found = flow_exponent(ice_of_slope(-0.1, 0.0))
    assert np.isnan(found["exponent"])
    assert np.isnan(found["exponent_interval"]).all()
    np.testing.assert_allclose(found["inverse_exponent_interval"], -0.1, rtol=1e-6)


def test_the_inverse_exponent_is_that_of_the_exponent():
    found = flow_exponent(glen_ice(noise=0.1))
    assert float(found["inverse_exponent"] * found["exponent"]) == pytest.approx(1)
    ends = found["exponent_interval"] * found["inverse_exponent_interval"][::-1].values
    np.testing.assert_allclose(ends, 1)


@pytest.mark.parametrize("decode_coords", [True, "all"])
def test_the_projection_goes_with_what_is_made_of_a_file(decode_coords, tmp_path):
    pytest.importorskip("rioxarray")
    crs = xr.DataArray(0, attrs=CRS.to_cf())
    ice = glen_ice().drop_vars("truth").assign_coords(crs=crs)
    for name in ("x_velocity", "y_velocity"):
        ice[name] = (ice["x"] * 1e-3 + ice["y"] * 1e-3).assign_attrs(
            units="m yr-1", standard_name=f"land_ice_{name}", grid_mapping="crs"
        )
    for axis in "xy":
        ice[axis].attrs = {"units": "m", "standard_name": f"projection_{axis}_coordinate"}
    ice.to_netcdf(tmp_path / "ice.nc")
    with xr.open_dataset(tmp_path / "ice.nc", decode_coords=decode_coords) as read:
        made = [
            read.diffice.hardness(),
            read.diffice.fluidity(),
            read.diffice.enhancement(260.0),
            read.diffice.strain_rate()["strain_rate_xy"],
            read.diffice.effective_strain_rate(),
        ]
        for array in made:
            assert array.rio.crs == CRS
            assert array.where(array > 0).rio.crs == CRS
        beside = read.assign({array.name: array for array in made})
        beside.to_netcdf(tmp_path / "more.nc")
    with xr.open_dataset(tmp_path / "more.nc", decode_coords="all") as read:
        assert read["hardness"].rio.crs == read["viscosity"].rio.crs == CRS


def test_what_cannot_be_is_said():
    ice = glen_ice()
    with pytest.raises(VariableNotFoundError, match=r"viscosity not found; .*anisotropic"):
        hardness(ice.drop_vars("viscosity"))
    with pytest.raises(UnitsError):
        hardness(ice.assign(viscosity=ice["viscosity"].drop_attrs()))
    with pytest.raises(ParameterError, match=r"n=0\.5"):
        fluidity(ice, 0.5)
    with pytest.raises(DataValuesError, match=r"between 150 and 273\.65 K; found -15 to -15 K"):
        enhancement(ice, -15.0)
    with pytest.raises(DataValuesError, match="are needed for a polynomial of degree 2"):
        flow_exponent(ice, ice["x"] < 0)
    even = ice.assign(effective_strain_rate=xr.full_like(ice["effective_strain_rate"], 1e-9))
    with pytest.raises(DataValuesError, match="does not vary"):
        flow_exponent(even)
    with pytest.raises(ParameterError, match=r"confidence=1\.5"):
        flow_exponent(ice, confidence=1.5)
    with pytest.raises(xdiffice.InputTypeError, match="where is a DataArray"):
        flow_exponent(ice, ice["x"].values > 0)


@pytest.mark.slow
def test_the_law_of_a_synthetic_glen_shelf_is_recovered_by_an_inversion():
    def varying(x, y):
        return 1.2e8 * np.exp(0.35 * x / 80e3 - 0.2 * (y / 25e3) ** 2)

    shelf = xdiffice.synthetic.confined_shelf((80, 128), glen=(varying, 3.0))
    inverter = xdiffice.SSAViscosityInverter(max_iterations=6000, tolerance=0.0, progress=False)
    result = inverter.fit(shelf).predict()
    x, y = np.meshgrid(shelf["x"], shelf["y"])
    truth = varying(x, y)
    difference = result.diffice.hardness() - truth
    assert float(np.sqrt((difference**2).mean() / (truth**2).mean())) <= 0.02
    found = result.diffice.flow_exponent()
    assert abs(float(found["exponent"]) - 3) <= 0.1
    low, high = found["exponent_interval"].values
    assert low < 3 < high
