"""Inversions for other fields than a viscosity: Glen's hardness, and a law of the user's own."""

from __future__ import annotations

import importlib.util
import pickle
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
import xarray as xr
from sklearn.base import clone
from small_fits import disc, inverter, relative_error

import xdiffice

N_ITERATIONS = 500


@pytest.fixture(scope="module")
def shelf() -> xr.Dataset:
    return disc(coordinate_units="km", velocity_units="m yr-1", y_order="descending")


@pytest.fixture(scope="module")
def fitted(shelf):
    return inverter(rheology="glen", max_iterations=N_ITERATIONS).fit(shelf)


def test_glens_law_finds_the_viscosity_of_a_spreading_disc(fitted, shelf):
    result = fitted.predict()
    assert relative_error(result["viscosity"], shelf["viscosity"]) < 0.02
    assert fitted.residual_["momentum"] < 0.05


def test_hardness_viscosity_and_strain_rate_fit_together(fitted):
    result = fitted.predict()
    assert list(result)[:2] == ["viscosity", "hardness"]
    floor = fitted.model_.model.rheology.floor * fitted.scales_.strain_rate
    rate = np.sqrt(result["effective_strain_rate"] ** 2 + floor**2)
    expected = 0.5 * result["hardness"] * rate ** (1 / 3 - 1)
    xr.testing.assert_allclose(result["viscosity"].drop_attrs(), expected.drop_attrs(), rtol=1e-12)
    assert result["hardness"].attrs["units"] == "Pa"
    assert "hardness" in result["hardness"].attrs["long_name"]
    assert "Glen" in result.attrs["estimator"] or "glen" in result.attrs["estimator"]


def test_each_is_predicted_by_itself(fitted):
    together = fitted.predict()
    for name in ("viscosity", "hardness"):
        alone = fitted.predict(variables=[name])
        assert list(alone) == [name]
        np.testing.assert_array_equal(alone[name], together[name])


def test_a_result_of_glens_law_can_be_written(fitted, tmp_path):
    result = fitted.predict()
    result.to_netcdf(tmp_path / "out.nc")
    with xr.open_dataset(tmp_path / "out.nc") as again:
        xr.testing.assert_identical(again.load(), result)


def test_a_fitted_inverter_with_a_rheology_is_cloned_and_pickled(fitted, shelf):
    estimator = inverter(rheology=xdiffice.Glen(n=4.0))
    assert clone(estimator).rheology == xdiffice.Glen(n=4.0)
    assert "Glen(n=4.0" in repr(estimator)
    again = pickle.loads(pickle.dumps(fitted))
    xr.testing.assert_equal(again.predict(), fitted.predict())


@pytest.fixture(scope="module")
def example():
    """Return the module of the example; it is no package."""
    path = Path(__file__).resolve().parents[1] / "examples" / "enhancement.py"
    spec = importlib.util.spec_from_file_location("enhancement", path)
    module = importlib.util.module_from_spec(spec)
    sys.modules["enhancement"] = module
    spec.loader.exec_module(module)
    return module


def test_a_law_of_ones_own_plugs_in_with_one_class(shelf, example):
    law = example.Enhanced(n=3.0, hardness=2e8)
    fitted = inverter(rheology=law, max_iterations=N_ITERATIONS).fit(shelf)
    result = fitted.predict()
    assert relative_error(result["viscosity"], shelf["viscosity"]) < 0.02
    floor = law.floor * fitted.scales_.strain_rate
    rate = np.sqrt(result["effective_strain_rate"] ** 2 + floor**2)
    expected = (2 * result["viscosity"] / (law.hardness * rate ** (1 / 3 - 1))) ** -3
    np.testing.assert_allclose(result["enhancement"], expected, rtol=1e-9)
    assert result["enhancement"].attrs["units"] == "1"


def test_the_slope_of_the_examples_viscosity_is_that_of_its_values(example):
    law, x, step = example.Enhanced(n=3.0, hardness=0.8), np.linspace(-1, 1, 5), 1e-6

    def motion(x):
        one, zero = np.ones_like(x), np.zeros_like(x)
        return (
            xdiffice.Jet(x**2, 2 * x + 3, zero, 2 * one, zero, zero),
            xdiffice.Jet(zero, zero, one, zero, zero, zero),
        )

    def field(x):
        return xdiffice.Jet(2 + np.sin(x), np.cos(x), np.zeros_like(x))

    mu, _ = law.viscosities((field(x),), *motion(x))
    (after, _), (before, _) = (
        law.viscosities((field(x + s),), *motion(x + s)) for s in (step, -step)
    )
    np.testing.assert_allclose(mu.x, (after.value - before.value) / (2 * step), rtol=1e-7)
    np.testing.assert_array_equal(mu.y, 0.0)


def test_a_name_that_is_no_rheology_is_refused_before_anything_is_read():
    with pytest.raises(
        xdiffice.ParameterError, match="'isotropic', 'anisotropic', 'glen', or a Rheology"
    ):
        inverter(rheology="plastic").fit(xr.Dataset())


@dataclass(frozen=True)
class Tied(xdiffice.Anisotropic):
    """Anisotropic ice whose two viscosities are one and the same field."""

    fields: ClassVar = ("viscosity",)

    def penalty(self, fields):
        return super().penalty((*fields, *fields))

    def viscosities(self, fields, u, v):
        return super().viscosities((*fields, *fields), u, v)


def test_anisotropic_ice_with_tied_viscosities_is_isotropic(shelf):
    tied = inverter(rheology=Tied(), max_iterations=60).fit(shelf).predict()
    plain = inverter(max_iterations=60).fit(shelf).predict()
    for name in ("viscosity_horizontal", "viscosity_vertical"):
        np.testing.assert_allclose(tied[name], plain["viscosity"], rtol=1e-10)


def test_the_weight_of_the_penalty_falls_to_what_was_given(shelf):
    fitted = inverter(
        rheology="anisotropic", penalty_weight=3e-7, max_iterations=60, resample_every=1
    ).fit(shelf)
    last = fitted.history_.where(fitted.history_.stage == "all", drop=True)
    weight = last.penalty_weight.values
    factor = last.momentum_weight.values[-1] / fitted.momentum_weight  # noise and balance
    assert weight[0] / weight[-1] == pytest.approx(1000.0)
    assert (np.diff(weight) <= 0).all()
    assert weight[-1] / 3e-7 == pytest.approx(factor, rel=0.2) or weight[-1] >= 3e-7
    assert np.isfinite(last.penalty).all()


def test_ice_that_spreads_evenly_is_flagged_as_not_separated(shelf):
    """There, 2 μ_h + 4 μ_v is all that the flow tells: the isotropic pair is returned."""
    fitted = inverter(rheology="anisotropic", max_iterations=N_ITERATIONS).fit(shelf)
    result = fitted.predict()
    for name in ("viscosity_horizontal", "viscosity_vertical"):
        assert relative_error(result[name], shelf["viscosity"]) < 0.02
    inside = result["viscosity_horizontal"].notnull()
    flags = result["viscosity_quality"].where(inside)
    attrs = result["viscosity_quality"].attrs
    meaning = dict(zip(attrs["flag_meanings"].split(), attrs["flag_values"], strict=True))
    assert float((flags == meaning["not_separated"]).sum() / inside.sum()) > 0.9
    # The isotropic viscosity of the same shelf is determined.
    plain = inverter(max_iterations=N_ITERATIONS).fit(shelf).predict()
    flags = plain["viscosity_quality"].where(plain["viscosity"].notnull())
    assert float((flags == meaning["determined"]).sum() / inside.sum()) > 0.9
