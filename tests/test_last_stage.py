"""Fits whose last stage corrects what the networks found, from the doorways to the files."""

from __future__ import annotations

import warnings
from dataclasses import replace

import numpy as np
import pytest
import xarray as xr
from sklearn.exceptions import ConvergenceWarning
from small_fits import disc, inverter

import xdiffice
from xdiffice.adjoint import control, stage
from xdiffice.inversion import Inversion
from xdiffice.observations.gather import gather
from xdiffice.results.outcome import doubt, outcome_rows
from xdiffice.synthetic import confined_shelf


class Doubled(xdiffice.Isotropic):
    """A rheology of a user: the field is half the viscosity."""

    fields = ("half_viscosity",)
    viscosity_names = ("viscosity",)

    @property
    def quantities(self):
        return {"half_viscosity": xdiffice.Quantity("Pa s", "half of the viscosity")}

    def viscosities(self, fields, u, v):
        (half,) = fields
        return half.scaled(2.0), half.scaled(2.0)


FEW = {"max_iterations": 12, "adjoint_steps": 4}
KINDS = {
    "isotropic": {},
    "anisotropic": {"rheology": "anisotropic"},
    "glen": {"rheology": "glen"},
    "of a user": {"rheology": Doubled()},
    "single precision": {"dtype": "float32"},
    "regions": {"subdomains": 2, "frequency": 2.0},
    "members": {"n_members": 2},
}


@pytest.fixture(scope="module")
def shelf() -> xr.Dataset:
    return confined_shelf((24, 36), noise=0.02)


@pytest.fixture(scope="module")
def networks(shelf) -> xdiffice.SSAViscosityInverter:
    return inverter(**FEW | {"adjoint_steps": 0}).fit(shelf)


@pytest.fixture(scope="module")
def corrected(shelf) -> xdiffice.SSAViscosityInverter:
    return inverter(**FEW).fit(shelf)


def error(result: xr.Dataset, shelf: xr.Dataset) -> float:
    """Median of the absolute logarithm of a viscosity over the true one."""
    return float(abs(np.log(result["viscosity"] / shelf["viscosity"])).median())


def same_prediction(one: xr.Dataset, other: xr.Dataset) -> None:
    """Hold all but the minute of making against each other."""
    xr.testing.assert_identical(one.drop_attrs(deep=False), other.drop_attrs(deep=False))
    assert {k: v for k, v in one.attrs.items() if k != "history"} == {
        k: v for k, v in other.attrs.items() if k != "history"
    }


@pytest.mark.parametrize(
    "kind",
    [
        pytest.param(
            kind, marks=() if kind in ("isotropic", "glen", "members") else pytest.mark.slow
        )
        for kind in KINDS
    ],
)
def test_the_viscosity_moves_the_ice_as_observed_and_is_kept_in_files(kind, shelf, tmp_path):
    fitted = inverter(**FEW | KINDS[kind]).fit(shelf)
    assert fitted.model_.correction is not None
    assert fitted.notes_ == ()
    assert fitted.noise_["velocity"] == pytest.approx(0.02 * np.sqrt(2), rel=0.2)
    # A dozen iterations are nothing; four steps explain all that is not noise, but for corners.
    assert fitted.residual_["velocity"] < np.hypot(fitted.noise_["velocity"], 0.03)
    history = fitted.history_
    last = history.isel(sample=history.stage == "adjoint")
    assert (history.stage.values[-last.sizes["sample"] :] == "adjoint").all()  # none before others
    assert float(last.modelled_velocity[-1]) ** 0.5 == pytest.approx(fitted.residual_["velocity"])
    result = fitted.predict()
    assert np.isfinite(result["x_velocity"].values).all()
    if "viscosity" in result:
        assert error(result, shelf) < 0.25
    if kind == "members":
        assert 1.001 < float(result["viscosity_std"].median()) < 1.5
    for name in ("model.nc", "model.zarr"):
        fitted.save(tmp_path / name)
        loaded = xdiffice.load(tmp_path / name, rheology=KINDS[kind].get("rheology"))
        same_prediction(loaded.predict(), result)
        assert (loaded.residual_, loaded.noise_) == (fitted.residual_, fitted.noise_)


def test_the_networks_are_those_without_it(networks, corrected, shelf):
    np.testing.assert_array_equal(corrected.model_.theta, networks.model_.theta)
    for name in ("momentum", "front"):
        assert corrected.residual_[name] == networks.residual_[name]
    assert set(networks.residual_) == {"momentum", "front"}
    assert networks.model_.correction is None
    assert networks.noise_ == {}
    assert "adjoint" not in networks.history_.stage
    before, after = networks.predict(), corrected.predict()
    assert error(after, shelf) < error(before, shelf) / 3


def test_what_the_correction_adds_is_what_is_predicted(corrected):
    """On any template, in blocks, and with derivatives: u_x by differences of the prediction."""
    whole = corrected.predict()
    part = corrected.predict({"x": whole.x[3:9], "y": whole.y[5:8]})
    np.testing.assert_allclose(
        part["viscosity"], whole["viscosity"].isel(x=slice(3, 9), y=slice(5, 8)), rtol=1e-12
    )
    lazy = corrected.predict(chunks={"y": 7}).compute()
    np.testing.assert_allclose(lazy["viscosity"], whole["viscosity"], rtol=1e-12)
    x = float(whole.x[10]) + np.array([-50.0, 0.0, 50.0])
    y = float(whole.y[11]) + np.array([-50.0, 0.0, 50.0])
    near = corrected.predict({"x": x, "y": y})
    u, v = (
        near["x_velocity"].transpose("y", "x").values,
        near["y_velocity"].transpose("y", "x").values,
    )
    u_x, v_y = (u[1, 2] - u[1, 0]) / 100, (v[2, 1] - v[0, 1]) / 100
    shear = ((u[2, 1] - u[0, 1]) + (v[1, 2] - v[1, 0])) / 200
    rate = np.sqrt(u_x**2 + v_y**2 + u_x * v_y + shear**2)
    found = near["effective_strain_rate"].transpose("y", "x").values[1, 1]
    assert found == pytest.approx(rate, rel=1e-3)


def test_the_accessor_goes_the_same_way(corrected, shelf):
    settings = {k: v for k, v in corrected.get_params().items() if k in SETTINGS}
    result = shelf.diffice.invert(**settings)
    np.testing.assert_array_equal(result["viscosity"], corrected.predict()["viscosity"])
    assert result.attrs["residual_velocity"] == corrected.residual_["velocity"]
    assert result.attrs["noise_velocity"] == corrected.noise_["velocity"]
    assert "a forward model with this viscosity misses it by" in repr(result.diffice)


SETTINGS = {
    *FEW, "progress", "tolerance", "width", "depth", "features", "resample_every",
    "n_velocity", "n_thickness", "n_interior", "n_front",
}  # fmt: skip


def test_from_a_checkpoint_it_ends_with_the_same_bits(corrected, shelf, tmp_path, monkeypatch):
    path = tmp_path / "run.nc"
    options = FEW | {"checkpoint": path, "checkpoint_seconds": 0.0, "resample_every": 50}

    def interrupted(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(control.Control, "minimised", interrupted)
        stopped = inverter(**options).fit(shelf)
    assert stopped.stop_reason_ == "interrupted"
    for _ in range(2):  # what is complete is taken up as well
        again = inverter(**options).fit(shelf)
        assert again.stop_reason_ == corrected.stop_reason_ == "max_iterations"
        np.testing.assert_array_equal(again.model_.theta, corrected.model_.theta)
        np.testing.assert_array_equal(
            again.model_.correction.coefficients, corrected.model_.correction.coefficients
        )
        xr.testing.assert_identical(
            again.history_.drop_vars("seconds"), corrected.history_.drop_vars("seconds")
        )


@pytest.mark.parametrize("where", ["explained", "modelled", "corrected"])
def test_an_interruption_leaves_what_the_networks_found(where, networks, shelf, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(stage.Adjoint, where, interrupted)
    if where == "modelled":
        monkeypatch.setattr(stage.Adjoint, "explained", lambda *_: True)
    with pytest.warns(ConvergenceWarning, match="the training was interrupted"):
        stopped = inverter(**FEW).fit(shelf)
    assert stopped.stop_reason_ == "interrupted"
    assert stopped.model_.correction is None
    assert "velocity" not in stopped.residual_
    np.testing.assert_array_equal(stopped.predict()["viscosity"], networks.predict()["viscosity"])


def test_a_later_fit_starts_from_the_networks(corrected, shelf):
    later = inverter(**FEW, warm_start=True).fit(shelf)
    theta = later.model_.theta
    later.fit(shelf)
    assert (later.model_.theta != theta).any()
    assert later.residual_["velocity"] < 1.2 * corrected.residual_["velocity"]


@pytest.mark.parametrize(
    ("max_seconds", "n_members", "expected"),
    [
        (None, 1, 60_000),
        (np.inf, 1, 60_000),
        (600.0, 1, 600 * 0.3 / (0.004 * 1.05)),
        (600.0, 8, 600 * 0.3 / (0.004 * 1.4)),
    ],
)
def test_meshes_are_as_fine_as_there_is_time_for(max_seconds, n_members, expected, shelf):
    """30 % of the time, 4 ms for a triangle and 0.2 ms more for every member."""
    estimator = inverter(max_seconds=max_seconds, n_members=n_members)
    inversion = Inversion(estimator, gather(shelf))
    assert inversion._most_triangles() == int(expected)


@pytest.mark.slow
def test_seconds_are_kept_for_it(shelf, monkeypatch):
    # In this time a fast machine finds networks that need no correction.
    monkeypatch.setattr(stage.Adjoint, "explained", lambda *_: False)
    inverter(max_iterations=3, adjoint_steps=1).fit(shelf)  # compiled
    quick = inverter(max_seconds=20.0, max_iterations=None).fit(shelf)
    assert quick.stop_reason_ == "max_seconds"
    assert quick.model_.correction is not None
    history = quick.history_
    end = float(history.seconds[history.stage == "all"].max())
    # 4 ms are kept for each of 540 triangles: 2.2 s.
    assert end < 20.0 - 2.0


def test_where_the_networks_explain_the_flow_training_goes_on(shelf, monkeypatch):
    """Nothing is to be corrected: the seconds that were kept are used for training."""
    asked = []

    def explained(self, fitted):
        asked.append(fitted.theta.copy())
        return True

    monkeypatch.setattr(stage.Adjoint, "explained", explained)
    inverter(max_iterations=3).fit(shelf)  # compiled
    asked.clear()
    fitted = inverter(max_seconds=8.0, max_iterations=None).fit(shelf)
    assert len(asked) == 2  # when the kept seconds begin, and at the end
    assert (asked[0] != asked[1]).any()
    np.testing.assert_array_equal(asked[1], fitted.model_.theta)
    assert fitted.model_.correction is None
    assert fitted.stop_reason_ == "max_seconds"
    end = float(fitted.history_.seconds[fitted.history_.stage == "all"].max())
    assert end > 8.0 - 2.0
    assert fitted.residual_["velocity"] > 0


def test_a_shelf_that_nothing_holds_is_left_to_the_networks():
    ds = disc()
    fitted = inverter(**FEW).fit(ds)
    (note,) = (one for one in fitted.notes_ if "networks alone" in one)
    assert "calving front all around" in note
    plain = inverter(**FEW | {"adjoint_steps": 0}).fit(ds)
    np.testing.assert_array_equal(fitted.predict()["viscosity"], plain.predict()["viscosity"])
    assert (fitted.residual_, fitted.noise_) == (plain.residual_, {})
    assert not any("networks alone" in one for one in plain.notes_)


def test_a_shelf_of_points_is_left_to_the_networks(shelf):
    rng = np.random.default_rng(0)
    at = rng.permutation(24 * 36)[:600]
    points = shelf.stack(point=("y", "x")).isel(point=at).reset_index("point")
    x, y = points["x"] + rng.uniform(-500, 500, 600), points["y"] + rng.uniform(-500, 500, 600)
    points = points.assign_coords(
        x=("point", x.values, shelf.x.attrs), y=("point", y.values, shelf.y.attrs)
    )
    fitted = inverter(**FEW).fit(points)
    (note,) = (one for one in fitted.notes_ if "networks alone" in one)
    assert "made of points" in note
    assert fitted.model_.correction is None


# What is said of it


def attrs(**changes):
    return {"stop_reason": "max_seconds", "n_iter": 40} | changes


def test_doubt_is_about_the_velocity_where_that_is_known():
    assert doubt(attrs(residual_velocity=0.02, residual_momentum=3.0)) is None
    assert doubt(attrs(residual_velocity=0.08, noise_velocity=0.05)) is None  # 8.5 % are allowed
    found = doubt(attrs(residual_velocity=0.09, noise_velocity=0.05))
    assert found.startswith(
        "a forward model with this viscosity misses the observed velocity by 9 %, where the noise "
        "of the data is 5 %: train longer (stopped by max_seconds after 40 iterations)"
    )
    assert "misses the observed velocity by 4 %" in doubt(attrs(residual_velocity=0.04))
    assert "momentum balance" in doubt(attrs(residual_momentum=3.0))


def test_the_table_says_what_was_modelled_and_what_is_noise():
    rows = dict(outcome_rows({"residual_velocity": 0.0234, "noise_velocity": 0.02}))
    assert rows == {
        "velocity: a forward model with this viscosity misses it by": "2.3 %; the noise of the "
        "data is 2 %",
    }


def test_a_fit_whose_velocity_is_missed_warns(shelf, monkeypatch):
    monkeypatch.setattr(
        stage.Adjoint, "corrected", lambda self, fitted, *_: (replace(fitted), 0.31)
    )
    with pytest.warns(ConvergenceWarning, match="misses the observed velocity by 31 %"):
        inverter(**FEW).fit(shelf)


def test_a_fit_that_explains_the_velocity_does_not_warn(shelf):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fitted = inverter(**FEW).fit(shelf)
    assert fitted.residual_["momentum"] > 0.1  # of which networks alone would be doubted
