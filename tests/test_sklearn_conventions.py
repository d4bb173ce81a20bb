"""The estimator behaves as everybody who knows scikit-learn expects."""

from __future__ import annotations

import copy
import inspect
import io
import pickle
import subprocess
import sys

import cloudpickle
import joblib
import numpy as np
import pytest
import xarray as xr
from sklearn.base import BaseEstimator, clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import ParameterGrid
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_is_fitted
from small_fits import SMALL, disc, inverter

from xdiffice import SSAViscosityInverter
from xdiffice.errors import XdifficeError


@pytest.fixture(scope="module")
def shelf() -> xr.Dataset:
    return disc()


@pytest.fixture(scope="module")
def fitted(shelf) -> SSAViscosityInverter:
    return inverter().fit(shelf)


def changed() -> dict:
    """Return a value other than the default for every parameter."""
    changes = {
        name: value * 2
        for name, value in SSAViscosityInverter().get_params().items()
        if isinstance(value, int | float) and not isinstance(value, bool)
    }
    return changes | {
        "rheology": "anisotropic",
        "max_seconds": 12.5,
        "max_iterations": 50,
        "random_state": 7,
        "progress": False,
        "warm_start": True,
        "checkpoint": "file",
        "first_layer": "tanh",
        "width": 12,
        "features": 20,
        "frequency": 3.0,
        "n_velocity": 100,
        "n_thickness": 90,
        "n_interior": 80,
        "n_front": 70,
        "sampling": "residual",
        "dtype": "float32",
        "variables": {"thickness": "h"},
        "units": {"h": "m"},
    }


# Parameters


def test_the_constructor_only_stores():
    changes = changed()
    assert {*changes} == {*inspect.signature(SSAViscosityInverter).parameters}
    estimator = SSAViscosityInverter(**changes)
    for name, value in changes.items():
        assert getattr(estimator, name) is value  # not even a copy, and nothing is checked
    assert vars(estimator) == changes


def test_parameters_there_and_back():
    changes = changed()
    estimator = SSAViscosityInverter()
    defaults = estimator.get_params()
    for name, value in changes.items():
        assert defaults[name] != value
    assert estimator.set_params(**changes) is estimator
    assert estimator.get_params() == changes
    assert SSAViscosityInverter(**changes).get_params() == changes
    assert estimator.set_params(**defaults).get_params() == SSAViscosityInverter().get_params()


def test_parameters_of_the_first_kind_may_be_given_by_position():
    estimator = SSAViscosityInverter("isotropic", 1)
    assert (estimator.rheology, estimator.subdomains) == ("isotropic", 1)
    with pytest.raises(TypeError, match="positional"):
        SSAViscosityInverter("isotropic", 1, 60.0)


def test_unknown_parameters_are_refused():
    with pytest.raises(ValueError, match="Invalid parameter 'widht'"):
        SSAViscosityInverter().set_params(widht=3)
    with pytest.raises(TypeError, match="widht"):
        SSAViscosityInverter(widht=3)


def test_a_clone_has_the_parameters_and_nothing_else(fitted):
    estimator = SSAViscosityInverter(**changed())
    assert clone(estimator).get_params() == changed()
    assert clone(estimator) is not estimator
    unfitted = clone(fitted)
    assert unfitted.get_params() == fitted.get_params()
    assert not [name for name in vars(unfitted) if name.endswith("_")]
    with pytest.raises(NotFittedError):
        unfitted.predict()


def test_the_representation_shows_what_was_chosen():
    assert repr(SSAViscosityInverter()) == "SSAViscosityInverter()"
    estimator = SSAViscosityInverter(max_seconds=60.0, width=32)
    assert repr(estimator) == "SSAViscosityInverter(max_seconds=60.0, width=32)"
    assert repr(eval(repr(estimator))) == repr(estimator)
    assert "SSAViscosityInverter" in estimator._repr_html_()


def test_it_is_an_estimator():
    assert isinstance(SSAViscosityInverter(), BaseEstimator)
    for method in ("fit", "predict", "score"):
        assert inspect.getdoc(getattr(SSAViscosityInverter, method))


# Fitting


def test_before_fit(shelf):
    estimator = inverter()
    with pytest.raises(NotFittedError, match="fit"):
        check_is_fitted(estimator)
    with pytest.raises(NotFittedError, match="SSAViscosityInverter instance is not fitted yet"):
        estimator.predict(shelf)
    with pytest.raises(NotFittedError, match="SSAViscosityInverter instance is not fitted yet"):
        estimator.score(shelf)


def test_fit_returns_itself_and_touches_no_parameter(shelf):
    changes = SMALL | {"variables": {"thickness": "thickness"}, "units": {}, "gravity": 9.81}
    estimator = SSAViscosityInverter(**changes)
    before = vars(estimator).copy()
    contents = copy.deepcopy(changes)
    assert estimator.fit(shelf) is estimator
    for name, value in before.items():
        assert getattr(estimator, name) is value
    assert {name: before[name] for name in changes} == contents
    check_is_fitted(estimator)
    # What is learned ends in an underscore; the rest is private.
    for name in vars(estimator).keys() - before.keys():
        assert name.endswith("_") or name.startswith("_")


def test_all_fitted_attributes_are_explained(fitted):
    documentation = SSAViscosityInverter.__doc__.split("Attributes\n")[1]
    for name in vars(fitted):
        if name.endswith("_"):
            assert f"\n    {name} : " in documentation


def test_the_seed_decides(shelf, fitted):
    again = inverter().fit(shelf)
    np.testing.assert_array_equal(again.model_.theta, fitted.model_.theta)
    xr.testing.assert_equal(again.predict(), fitted.predict())
    np.testing.assert_array_equal(again.history_.loss, fitted.history_.loss)
    other = inverter(random_state=1).fit(shelf)
    assert not np.allclose(other.model_.theta, fitted.model_.theta)


def test_seeds_of_all_kinds(shelf, fitted):
    def theta(seed):
        return inverter(random_state=seed).fit(shelf).model_.theta

    same = np.random.RandomState(0)
    np.testing.assert_array_equal(theta(same), fitted.model_.theta)
    assert not np.array_equal(theta(same), fitted.model_.theta)  # it has moved on
    np.testing.assert_array_equal(theta(np.int64(0)), fitted.model_.theta)
    assert not np.array_equal(theta(None), theta(None))


def test_a_second_fit_forgets_the_first(shelf):
    other = disc(rate=9e-10, velocity_units="m yr-1", shape=(36, 33))
    twice = inverter().fit(shelf).fit(other)
    once = inverter().fit(other)
    np.testing.assert_array_equal(twice.model_.theta, once.model_.theta)
    xr.testing.assert_equal(twice.predict(), once.predict())
    assert twice.scales_ == once.scales_
    assert twice.misfit_ == once.misfit_
    assert twice.n_iter_ == once.n_iter_ == 30
    assert twice.predict().x_velocity.attrs["units"] == "m yr-1"


def test_a_fit_that_fails_leaves_the_first_as_it_was(shelf):
    estimator = inverter().fit(shelf)
    before = estimator.predict()
    with pytest.raises(XdifficeError):
        estimator.fit(shelf.drop_vars("thickness"))
    xr.testing.assert_equal(estimator.predict(), before)


# Passing it around


@pytest.mark.parametrize("way", ["pickle", "cloudpickle", "joblib", "deepcopy"])
def test_a_fitted_estimator_can_be_passed_on(fitted, shelf, way):
    if way == "joblib":
        buffer = io.BytesIO()
        joblib.dump(fitted, buffer)
        copied = joblib.load(io.BytesIO(buffer.getvalue()))
    elif way == "deepcopy":
        copied = copy.deepcopy(fitted)
    else:
        module = {"pickle": pickle, "cloudpickle": cloudpickle}[way]
        copied = module.loads(module.dumps(fitted))
    assert copied.get_params() == fitted.get_params()
    assert repr(copied) == repr(fitted)
    for template in (None, {"x": [0.0, 1e4], "y": [5e3]}):
        xr.testing.assert_equal(copied.predict(template), fitted.predict(template))
    assert copied.score(shelf) == fitted.score(shelf)
    assert copied.misfit_ == fitted.misfit_
    xr.testing.assert_identical(copied.history_, fitted.history_)
    assert (copied.stop_reason_, copied.n_iter_) == (fitted.stop_reason_, fitted.n_iter_)


def test_a_pickle_predicts_the_same_in_another_process(fitted, tmp_path):
    path = tmp_path / "fitted.pkl"
    path.write_bytes(pickle.dumps(fitted))
    script = (
        "import pickle, sys\n"
        "fitted = pickle.load(open(sys.argv[1], 'rb'))\n"
        "print(fitted.predict(variables='viscosity').viscosity.values.tobytes().hex())"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(path)], capture_output=True, text=True, check=True
    )
    expected = fitted.predict(variables="viscosity").viscosity.values
    assert done.stdout.strip() == expected.tobytes().hex()


def test_it_works_in_a_pipeline(shelf, fitted):
    pipeline = Pipeline([("invert", inverter())])
    assert pipeline.fit(shelf) is pipeline
    xr.testing.assert_equal(pipeline.predict(shelf), fitted.predict(shelf))
    assert pipeline.score(shelf) == fitted.score(shelf)
    pipeline.set_params(invert__width=14)
    assert pipeline.get_params()["invert__width"] == pipeline["invert"].width == 14


def test_it_works_in_a_search_over_parameters(shelf):
    scores = {}
    for parameters in ParameterGrid({"thickness_weight": [0.6, 1.2], "max_iterations": [3, 60]}):
        estimator = clone(inverter()).set_params(**parameters).fit(shelf)
        assert estimator.n_iter_ == parameters["max_iterations"]
        scores[tuple(parameters.values())] = estimator.score(shelf)
    assert len({*scores.values()}) == 4
    assert max(scores, key=scores.get)[0] == 60  # the score tells the better fit
