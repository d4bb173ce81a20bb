"""What the flag says about data and forces, whatever the flow is."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from small_fits import inverter

from xdiffice.observations.gather import gather
from xdiffice.results.names import Quality
from xdiffice.results.quality import GAP, UNBALANCED, conditions
from xdiffice.synthetic import confined_shelf


def shelf(**options) -> xr.Dataset:
    return confined_shelf((30, 45), length=45e3, width=30e3, **options)


def flags(dataset: xr.Dataset, wavelength: float = 0.0, unbalanced=None, **given) -> xr.DataArray:
    """Conditions on the grid of the mask, all of which is shelf."""
    observations = gather(dataset, **given)
    if unbalanced is None:
        unbalanced = np.zeros(observations.domain.x.shape)
    found = conditions(observations, unbalanced, wavelength)
    grid = dataset["x_velocity"]
    domain = observations.domain
    at = xr.Dataset({"flag": ("p", found)}, {"x": ("p", domain.x), "y": ("p", domain.y)})
    return at.set_index(p=["y", "x"]).unstack("p")["flag"].reindex(x=grid.x, y=grid.y)


def floating(dataset: xr.Dataset) -> xr.DataArray:
    return xr.ones_like(dataset["x_velocity"]).rename("mask").assign_attrs(units="1")


def square(dataset: xr.Dataset, half: float) -> tuple[xr.DataArray, xr.DataArray]:
    """Where a square in the middle is, and how far its rim is away along the axes."""
    away = np.maximum(np.abs(dataset.x - 22.5e3), np.abs(dataset.y))
    return away < half, half - away


@pytest.mark.parametrize("gap", ["x_velocity", "thickness"])
def test_pixels_far_from_data_are_in_a_gap(gap):
    dataset = shelf()
    inside, depth = square(dataset, 6e3)
    names = ["x_velocity", "y_velocity"] if gap == "x_velocity" else [gap]
    holed = dataset.assign({name: dataset[name].where(~inside) for name in names})
    found = flags(holed.assign(mask=floating(dataset)))
    expected = (depth > GAP * 1e3).transpose(*found.dims)
    assert expected.any()
    corner = (depth > 0).transpose(*found.dims) & ~expected
    np.testing.assert_array_equal(found == Quality.NEAR_GAP, expected | (found.where(corner) == 5))
    assert (found.where(~inside, 1) == Quality.DETERMINED).all()


def test_networks_bridge_a_gap_in_thickness_but_not_in_velocity():
    dataset = shelf()
    inside, _ = square(dataset, 6e3)
    for names, expected in ((["thickness"], False), (["x_velocity", "y_velocity"], True)):
        holed = dataset.assign({name: dataset[name].where(~inside) for name in names})
        found = flags(holed.assign(mask=floating(dataset)), wavelength=40e3)
        assert bool((found == Quality.NEAR_GAP).any()) == expected


def test_without_a_mask_a_gap_is_no_shelf():
    dataset = shelf()
    inside, _ = square(dataset, 6e3)
    names = ("x_velocity", "y_velocity", "thickness")
    found = flags(dataset.assign({name: dataset[name].where(~inside) for name in names}))
    assert not (found == Quality.NEAR_GAP).any()


def test_forces_that_nothing_balances_are_of_a_pinning_point():
    observations = gather(shelf())
    unbalanced = np.linspace(0, 1, observations.domain.x.size)
    found = conditions(observations, unbalanced, 0.0)
    np.testing.assert_array_equal(found == Quality.NEAR_PINNING_POINT, unbalanced > UNBALANCED)


def test_a_pinning_point_is_found_where_it_is():
    def drag(x, y):
        return 6e9 * np.exp(-((x - 25e3) ** 2 + (y - 3e3) ** 2) / 2.5e3**2)

    free, pinned = shelf(), shelf(drag=drag)
    slower = float(np.abs(free["x_velocity"] - pinned["x_velocity"]).max())
    assert slower > 0.1 * float(free["x_velocity"].max())
    fitted = inverter(max_iterations=400, width=16, n_interior=900, n_velocity=1300)
    found = fitted.fit(pinned).predict()["viscosity_quality"]
    near = np.hypot(pinned.x - 25e3, pinned.y - 3e3).transpose(*found.dims)
    flagged = (found == Quality.NEAR_PINNING_POINT).values
    assert flagged[near.values < 2e3].mean() > 0.5
    assert np.median(near.values[flagged]) < 10e3
    without = fitted.fit(free).predict()["viscosity_quality"]
    assert float((without == Quality.NEAR_PINNING_POINT).mean()) < 0.02


def test_off_the_shelf_a_value_is_extrapolated():
    fitted = inverter(max_iterations=6).fit(shelf())
    at = {"x": ("p", [-5e3, 20e3, 60e3]), "y": ("p", [0.0, 1e3, 0.0])}
    found = fitted.predict(at, extrapolate=True)["viscosity_quality"].values
    assert found[0] == found[2] == Quality.EXTRAPOLATED != found[1]
    np.testing.assert_array_equal(fitted.predict(at)["viscosity_quality"].values[[0, 2]], 0)
