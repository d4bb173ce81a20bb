"""Shelves in regions: any cut, any labels, one path for one region and for many."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from small_fits import disc, inverter, relative_error

import xdiffice
from xdiffice.observations.gather import gather
from xdiffice.observations.regions import cut, one_region
from xdiffice.results.evaluate import Orders
from xdiffice.synthetic import confined_shelf


@pytest.fixture(scope="module")
def shelf() -> xr.Dataset:
    return disc(coordinate_units="km", velocity_units="m yr-1", y_order="descending")


@pytest.fixture(scope="module")
def halves(shelf):
    return inverter(subdomains=2, frequency=2.0, max_iterations=800, resample_every=40).fit(shelf)


def labels_of(shelf: xr.Dataset, label) -> xr.DataArray:
    """Labels on the shelf's grid, by a function of its coordinates in km."""
    x, y = np.meshgrid(shelf["x"], shelf["y"])
    coords = {name: shelf[name] for name in ("y", "x")}
    return xr.DataArray(label(x, y), coords, ("y", "x"))


def test_two_regions_find_the_viscosity_of_a_spreading_disc(halves, shelf):
    result = halves.predict()
    assert relative_error(result["viscosity"], shelf["viscosity"]) < 0.02
    assert relative_error(result["thickness"], shelf["thickness"]) < 0.01
    assert halves.residual_["momentum"] < 0.05
    assert halves.n_iter_ == 800
    shares = np.bincount(result["subdomain"].values[result["viscosity"].notnull().values])
    assert shares.size == 2
    np.testing.assert_allclose(shares / shares.sum(), 0.5, atol=0.05)
    assert (result["subdomain"].values[result["viscosity"].isnull().values] == -1).all()


def test_the_history_tells_of_every_region(halves):
    history = halves.history_
    assert history.region.notnull().all()
    for region in (0, 1):
        own = history.where(history.region == region, drop=True)
        assert list(dict.fromkeys(own.stage.values)) == ["motion", "viscosity", "all"]
        assert np.isfinite(own.interface_viscosity.values[-1])
        assert own.momentum_weight.values[-1] > 0
    # Both are as far at the end.
    last = [history.iteration.where(history.region == k).max().item() for k in (0, 1)]
    assert last == [800, 800]


def test_jumps_are_differences_over_ranges(halves, shelf):
    met, model = halves.model_.partition.interfaces(), halves.model_
    sides = [model.of_region(k, met.x, met.y, Orders(0, 0)) for k in (0, 1)]
    result = halves.predict()
    ranges = [
        np.ptp(result[name].values[result[name].notnull().values])
        for name in ("x_velocity", "y_velocity", "thickness")
    ]
    ranges.append(np.ptp(np.log(result["viscosity"].values[result["viscosity"].notnull().values])))
    units = (model.scales.speed, model.scales.speed, model.scales.thickness, 1.0)
    factors = (*[_si(shelf, name) for name in ("x_velocity", "y_velocity", "thickness")], 1.0)
    names = ("x_velocity", "y_velocity", "thickness", "log_viscosity")
    for name, one, other, width, unit, factor in zip(
        names, *sides, ranges, units, factors, strict=True
    ):
        jump = np.sqrt(np.mean((one.value - other.value) ** 2)) * unit / (width * factor)
        assert halves.jump_[name] == pytest.approx(jump, rel=1e-6)
        assert 0 < halves.jump_[name] < 0.02
    assert list(halves.jump_) == list(names)
    assert inverter(max_iterations=10).fit(shelf).jump_ == {}


def _si(shelf, name: str) -> float:
    """SI value of the unit of a variable."""
    return {"m s-1": 1.0, "m": 1.0, "m yr-1": 1 / 31557600}[shelf[name].attrs["units"]]


def test_neighbours_agree_where_they_meet(halves):
    met = halves.model_.partition.interfaces()
    model = halves.model_
    sides = [model.of_region(k, met.x, met.y, Orders(0, 0)) for k in (0, 1)]
    for one, other in zip(*sides, strict=True):
        assert np.abs(one.value - other.value).max() < 0.02


def test_predictions_are_the_same_on_any_template_and_have_no_step(halves, shelf):
    grid = halves.predict()
    met = halves.model_.partition.interfaces()
    x, y = met.x / 1e3, met.y / 1e3
    step = 1e-6  # km
    sides = [halves.predict({"x": ("p", x + d), "y": ("p", y)}) for d in (-step, step)]
    for name in ("viscosity", "x_velocity", "thickness", "x_momentum_residual"):
        one, other = (side[name].values for side in sides)
        scale = float(np.nanmax(np.abs(grid[name])))
        assert np.nanmax(np.abs(one - other)) < 1e-5 * scale
    pixel = {name: ("p", grid[name].values[[10, 12]]) for name in ("x", "y")}
    points = halves.predict(pixel)
    for name in grid:
        expected = grid[name].values[[10, 12], [10, 12]]
        np.testing.assert_allclose(points[name], expected, rtol=1e-12)
    everywhere = halves.predict(extrapolate=True)
    assert np.isfinite(everywhere["viscosity"]).all()
    assert set(np.unique(everywhere["subdomain"])) == {0, 1}


def test_residuals_are_those_of_the_blended_fields(halves):
    """div(h T) by finite differences of what `predict` returns, across the interface."""
    met = halves.model_.partition.interfaces()
    model, step = halves.model_, 20.0
    middle = len(met.x) // 2
    x, y = met.x[middle : middle + 1] + 0.3 * step, met.y[middle : middle + 1]

    def force(x, y):
        """Components of h T, by central differences of the velocity."""
        d = 5.0
        names = ("x_velocity", "y_velocity", "thickness", "viscosity")
        u_x, v_x = slopes(x, y, d, 0)
        u_y, v_y = slopes(x, y, 0, d)
        here = model.evaluate(x, y, names)
        m = here["thickness"] * here["viscosity"]
        return 2 * m * (2 * u_x + v_y), m * (u_y + v_x), 2 * m * (2 * v_y + u_x)

    def slopes(x, y, dx, dy):
        names = ("x_velocity", "y_velocity")
        ahead, behind = model.evaluate(x + dx, y + dy, names), model.evaluate(x - dx, y - dy, names)
        return [(ahead[name] - behind[name]) / (2 * (dx + dy)) for name in names]

    along_x = [force(x + s, y) for s in (step, -step)]
    along_y = [force(x, y + s) for s in (step, -step)]
    found_x = (along_x[0][0] - along_x[1][0] + along_y[0][1] - along_y[1][1]) / (2 * step)
    wanted = ("x_momentum_residual", "x_driving_stress")
    expected = model.evaluate(x, y, wanted)
    total = expected["x_momentum_residual"] + expected["x_driving_stress"]
    np.testing.assert_allclose(found_x, total, rtol=1e-3)


def test_one_region_is_the_plain_inversion_bit_for_bit(shelf):
    plain = inverter(max_iterations=60).fit(shelf)
    domain = gather(shelf).domain
    same_label = labels_of(shelf, lambda x, y: np.full(x.shape, 7))
    for one in (1, same_label, one_region(domain)):
        other = inverter(max_iterations=60, subdomains=one).fit(shelf)
        np.testing.assert_array_equal(other.model_.theta, plain.model_.theta)
        xr.testing.assert_equal(other.predict(), plain.predict())


def test_labels_of_the_user_come_back(shelf):
    given = labels_of(shelf, lambda x, y: np.where(x < x.mean(), 40, 3))
    result = inverter(max_iterations=40, subdomains=given).fit(shelf).predict()
    inside = result["viscosity"].notnull()
    xr.testing.assert_equal(
        result["subdomain"].where(inside).drop_attrs(), given.where(inside).drop_attrs()
    )
    # The same labels on a grid of their own, and a cut that was made before.
    finer = given.interp(x=np.linspace(*given.x.values[[0, -1]], 77), method="nearest")
    partition = inverter(max_iterations=40, subdomains=finer).fit(shelf).model_.partition
    assert partition.names == (3, 40)
    domain = gather(shelf).domain
    assert (
        inverter(max_iterations=40, subdomains=cut(domain, 3))
        .fit(shelf)
        .predict()["subdomain"]
        .max()
        == 2
    )


@pytest.mark.parametrize("name", ["ring", "two parts"])
def test_odd_regions(shelf, name):
    x, y = (shelf[axis].values / np.abs(shelf[axis].values).max() for axis in "xy")
    x, y = np.meshgrid(x, y)
    label = {"ring": np.hypot(x, y) < 0.4, "two parts": np.abs(x) > 0.3}[name]
    given = labels_of(shelf, lambda *_: label.astype(int))
    fitted = inverter(frequency=2.0, max_iterations=400, resample_every=40, subdomains=given).fit(
        shelf
    )
    result = fitted.predict()
    assert relative_error(result["viscosity"], shelf["viscosity"]) < 0.05
    inside = result["viscosity"].notnull()
    np.testing.assert_array_equal(result["subdomain"].values[inside], label[inside])


def test_a_region_of_three_pixels_lives_on_what_it_shares_with_its_neighbour(shelf):
    def label(x, y):
        found = np.zeros(x.shape)
        found[15, 14:17] = 5
        return found

    given = labels_of(shelf, label)
    result = (
        inverter(frequency=2.0, max_iterations=400, resample_every=40, subdomains=given)
        .fit(shelf)
        .predict()
    )
    assert (result["subdomain"] == 5).sum() == 3
    assert relative_error(result["viscosity"], shelf["viscosity"]) < 0.05


def test_a_region_without_thickness_is_refused_by_name(shelf):
    # Thickness only west of the origin: what the windows reach is too little.
    given = labels_of(shelf, lambda x, y: np.where(x > 12, 1, 2))
    without = shelf.assign(thickness=shelf["thickness"].where(shelf["x"] < 0))
    with pytest.raises(
        xdiffice.DataValuesError, match=r"subdomain 1 has \d+ velocity and \d+ thickness"
    ):
        inverter(subdomains=given).fit(without)


def test_labels_elsewhere_are_refused(shelf):
    given = labels_of(shelf, lambda x, y: np.full(x.shape, np.nan))
    with pytest.raises(xdiffice.ParameterError, match="label"):
        inverter(subdomains=given).fit(shelf)
    halves = labels_of(shelf, lambda x, y: np.full(x.shape, 0.5))
    with pytest.raises(xdiffice.ParameterError, match="whole"):
        inverter(subdomains=halves).fit(shelf)


def test_more_regions_than_there_is_room_for(shelf):
    with pytest.raises(xdiffice.ParameterError, match="10000 regions"):
        inverter(subdomains=10_000).fit(shelf)


def test_the_number_is_chosen_by_the_detail():
    smooth = confined_shelf((30, 48))
    assert inverter(max_iterations=3, subdomains="auto").fit(smooth).model_.partition.n == 1
