"""Members of an ensemble are samples of what data and equations allow; their mean is shown."""

from __future__ import annotations

import shutil
from dataclasses import replace

import numpy as np
import pytest
import xarray as xr
from scipy import stats
from small_fits import disc, inverter

from xdiffice import ParameterError
from xdiffice.observations.gather import gather
from xdiffice.uncertainty import quantiles as quantiles_module

N = 3


@pytest.fixture(scope="module")
def shelf() -> xr.Dataset:
    return disc(noise=0.03, coordinate_units="km", velocity_units="m yr-1", y_order="descending")


@pytest.fixture(scope="module")
def fitted(shelf):
    return inverter(n_members=N).fit(shelf)


def member(fitted, k: int):
    """Return the k-th member as if it were alone."""
    alone = inverter().set_params(**fitted.get_params())
    vars(alone).update(vars(fitted))
    alone.model_ = replace(fitted.model_, theta=fitted.model_.theta[k : k + 1])
    return alone


def test_the_mean_is_that_of_the_logarithms_and_its_factor_their_deviation(fitted):
    result = fitted.predict()
    alone = [member(fitted, k).predict() for k in range(N)]
    logarithms = np.log(np.stack([one["viscosity"] for one in alone]))
    assert np.nanmin(np.ptp(logarithms, axis=0)) > 0
    np.testing.assert_allclose(np.log(result["viscosity"]), logarithms.mean(axis=0), atol=1e-12)
    deviation = logarithms.std(axis=0, ddof=1)
    np.testing.assert_allclose(np.log(result["viscosity_std"]), deviation, rtol=1e-9)
    for name in ("x_velocity", "y_velocity", "thickness"):
        mean = np.mean([one[name] for one in alone], axis=0)
        np.testing.assert_allclose(result[name], mean, rtol=1e-12)
    attrs = result["viscosity_std"].attrs
    assert attrs["units"] == "1"
    assert "geometric standard deviation" in attrs["comment"]
    ancillary = result["viscosity"].attrs["ancillary_variables"]
    assert ancillary == "viscosity_std viscosity_quality"


def test_residuals_are_those_of_the_mean_fields(fitted):
    """The balance is not linear: the mean of the members' residuals is something else."""
    names = ["x_momentum_residual", "y_momentum_residual"]
    result = fitted.predict(variables=names)
    alone = [member(fitted, k).predict(variables=names) for k in range(N)]
    for name in names:
        mean = np.mean([one[name] for one in alone], axis=0)
        assert np.nanmax(np.abs(result[name] - mean)) > 1e-6 * np.nanmax(np.abs(mean))


def test_one_member_has_no_spread_and_the_same_seed_the_same_bits(shelf, fitted):
    assert "viscosity_std" not in inverter().fit(shelf).predict()
    again = inverter(n_members=N).fit(shelf)
    np.testing.assert_array_equal(again.model_.theta, fitted.model_.theta)
    other = inverter(n_members=N, random_state=1).fit(shelf)
    assert not np.isin(other.model_.theta, fitted.model_.theta).any()


def test_the_history_tells_members_apart(fitted):
    history = fitted.history_
    assert set(history["member"].values) == {0.0, 1.0, 2.0}
    rows = [history.where(history["member"] == k, drop=True) for k in range(N)]
    assert len({one.sizes["sample"] for one in rows}) == 1
    assert all(one["iteration"].values[-1] == fitted.n_iter_ for one in rows)


@pytest.mark.parametrize("rheology", ["anisotropic", "glen"])
def test_every_positive_field_has_its_spread(rheology, shelf):
    ensemble = inverter(n_members=2, rheology=rheology, subdomains=2, max_iterations=12).fit(shelf)
    assert ensemble.model_.theta.shape[:2] == (2, 2)
    result = ensemble.predict()
    names = {
        "anisotropic": ["viscosity_horizontal", "viscosity_vertical"],
        "glen": ["viscosity", "hardness"],
    }[rheology]
    for name in names:
        alone = [member(ensemble, k).predict(variables=[name])[name] for k in range(2)]
        expected = np.abs(np.log(alone[0] / alone[1])) / np.sqrt(2)
        np.testing.assert_allclose(np.log(result[f"{name}_std"]), expected, rtol=1e-6, atol=1e-12)
    history = ensemble.history_
    pairs = set(zip(history["member"].values, history["region"].values, strict=True))
    assert pairs == {(0.0, 0.0), (0.0, 1.0), (1.0, 0.0), (1.0, 1.0)}


def test_quantiles_are_those_of_one_more_sample(fitted):
    result = fitted.predict(quantiles=(0.05, 0.5, 0.95))
    found = result["viscosity_quantile"]
    assert found.dims == ("quantile", "y", "x")
    np.testing.assert_array_equal(found["quantile"], [0.05, 0.5, 0.95])
    assert found.attrs["units"] == "Pa s"
    np.testing.assert_allclose(found.sel(quantile=0.5), result["viscosity"])
    # A prediction interval: Student's t with two degrees of freedom.
    wide = stats.t(N - 1).ppf(0.95) * np.log(result["viscosity_std"]) * np.sqrt(1 + 1 / N)
    np.testing.assert_allclose(np.log(found.sel(quantile=0.95) / result["viscosity"]), wide)
    np.testing.assert_allclose(np.log(found.sel(quantile=0.05) / result["viscosity"]), -wide)
    only = fitted.predict(variables=["viscosity"], quantiles=[0.9], chunks=10)
    assert list(only.data_vars) == ["viscosity", "viscosity_std", "viscosity_quantile"]
    assert only.chunks
    expected = fitted.predict(quantiles=[0.9])["viscosity_quantile"]
    np.testing.assert_array_equal(only["viscosity_quantile"], expected)


def test_intervals_hold_as_much_as_they_promise():
    """Members and truth from one distribution, 20 000 times."""
    rng = np.random.default_rng(0)
    logarithms, truth = rng.normal(3, 0.2, (8, 20_000)), np.exp(rng.normal(3, 0.2, 20_000))
    mean = xr.DataArray(np.exp(logarithms.mean(axis=0)), dims="p", attrs={"long_name": "μ"})
    factor = xr.DataArray(np.exp(logarithms.std(axis=0, ddof=1)), dims="p")
    low, high = quantiles_module.quantile(mean, factor, np.array([0.05, 0.95]), 8).values
    share = np.mean((low < truth) & (truth < high))
    assert share == pytest.approx(0.9, abs=0.007)  # three standard errors


@pytest.mark.parametrize("wrong", [[0.0], [1.0], [], [[0.5]], [np.nan]])
def test_quantiles_are_between_zero_and_one(fitted, wrong):
    with pytest.raises(ParameterError, match="between 0 and 1"):
        fitted.predict(quantiles=wrong)


def test_quantiles_need_an_ensemble(shelf):
    with pytest.raises(ParameterError, match="n_members"):
        inverter().fit(shelf).predict(quantiles=[0.5])


def test_another_number_of_members_does_not_start_warm(shelf):
    ensemble = inverter(n_members=2, max_iterations=6).fit(shelf)
    again = ensemble.set_params(warm_start=True).fit(shelf)
    assert again.model_.theta.shape[0] == 2
    with pytest.raises(ParameterError, match="2 members, not 3"):
        ensemble.set_params(n_members=3).fit(shelf)


def test_the_strain_rates_error_is_what_members_differ_by(fitted):
    domain = gather(disc(noise=0.03)).domain
    at = {"x": ("p", domain.x / 1e3), "y": ("p", domain.y / 1e3)}
    name = "effective_strain_rate"
    alone = [member(fitted, k).predict(at, variables=[name])[name].values for k in range(N)]
    assert np.isfinite(alone).all()
    expected = np.sqrt(np.mean(np.var(alone, axis=0, ddof=1)))
    assert fitted.model_.strain_rate_error == pytest.approx(expected, rel=1e-9)


def test_it_goes_on_from_a_checkpoint_with_the_noise_that_it_had(shelf, tmp_path):
    """Also where the seed is not known any more."""
    options = {"n_members": 2, "subdomains": 2, "checkpoint_seconds": 0.0, "resample_every": 10}
    first, second = tmp_path / "first.nc", tmp_path / "second.nc"
    inverter(**options | {"max_iterations": 20}, checkpoint=first).fit(shelf)
    shutil.copy(first, second)
    expected = inverter(**options, checkpoint=first).fit(shelf)
    found = inverter(**options, checkpoint=second, random_state=5).fit(shelf)
    assert found.n_iter_ == 30
    np.testing.assert_array_equal(found.model_.theta, expected.model_.theta)
