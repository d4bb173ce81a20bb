"""Parameters that the estimator cannot have are refused before anything is computed."""

from __future__ import annotations

import re

import numpy as np
import pytest
import xarray as xr
from small_fits import inverter

import xdiffice
from xdiffice import SSAViscosityInverter
from xdiffice.errors import ParameterError
from xdiffice.parameters import _RULES, check_parameters

BAD = [
    ("rheology", "plastic", "this version has 'isotropic', 'anisotropic', 'glen', or a Rheology"),
    ("rheology", None, "this version has 'isotropic', 'anisotropic', 'glen', or a Rheology"),
    ("rheology", xdiffice.Glen, "or a Rheology"),
    ("subdomains", 0, "a whole number of at least 1, 'auto', a DataArray of labels or a Partition"),
    ("subdomains", 2.0, "a whole number of at least 1"),
    ("subdomains", "automatic", "'auto'"),
    ("subdomains", True, "a whole number of at least 1"),
    ("subdomains", np.array([1, 2]), "a DataArray of labels"),
    ("checkpoint", 3, "must be the path of a file, or None"),
    ("checkpoint_seconds", -1.0, "must be a number of at least 0"),
    ("max_seconds", 0, "positive number, or None"),
    ("max_seconds", np.nan, "positive number, or None"),
    ("max_seconds", "60", "positive number, or None"),
    ("max_iterations", 2, "whole number of at least 3"),
    ("max_iterations", 100.0, "whole number of at least 3"),
    ("max_iterations", True, "whole number of at least 3"),
    ("tolerance", -0.1, "number of at least 0"),
    ("tolerance", np.inf, "number of at least 0"),
    ("random_state", "zero", "a whole number from 0 to 2**32 - 1"),
    ("random_state", -1, "a whole number from 0 to 2**32 - 1"),
    ("random_state", 2**32, "a whole number from 0 to 2**32 - 1"),
    ("random_state", 1.5, "numpy.random.RandomState"),
    ("random_state", np.random.default_rng(0), "numpy.random.RandomState"),
    ("progress", "yes", "True or False"),
    ("progress", 1, "True or False"),
    ("width", 1, "whole number of at least 2"),
    ("depth", 1, "whole number of at least 2"),
    ("first_layer", "relu", "this version has 'sine', 'tanh'"),
    ("frequency", 0.0, "positive number"),
    ("n_velocity", 9, "whole number of at least 10"),
    ("n_thickness", 9, "whole number of at least 10"),
    ("n_interior", 0, "whole number of at least 10"),
    ("n_front", 1, "whole number of at least 2"),
    ("resample_every", 0, "whole number of at least 1"),
    ("roughness_weight", -1e-6, "number of at least 0"),
    ("dtype", "float16", "'float64', 'float32'"),
    ("velocity_weight", 0, "positive number"),
    ("thickness_weight", -1, "positive number"),
    ("momentum_weight", "0.05", "positive number"),
    ("front_weight", np.array([0.1, 0.2]), "positive number"),
    ("ice_density", -917, "positive number"),
    ("sea_water_density", None, "positive number"),
    ("gravity", 9.8j, "positive number"),
    ("variables", "thickness", "mapping of names, or None"),
    ("units", ["m"], "mapping of names, or None"),
]


@pytest.mark.parametrize(("name", "value", "must"), BAD)
def test_a_bad_value(name, value, must):
    # The data are never looked at: None is no Dataset.
    with pytest.raises(ParameterError, match=f"^{name}=.*{re.escape(must)}"):
        inverter(**{name: value}).fit(None)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("max_seconds", 1),
        ("max_seconds", np.float32(2.5)),
        ("max_iterations", np.int64(3)),
        ("max_iterations", None),
        ("tolerance", 0),
        ("random_state", None),
        ("random_state", 2**32 - 1),
        ("random_state", np.int64(5)),
        ("random_state", np.random.RandomState(3)),
        ("progress", np.True_),
        ("front_weight", np.float32(0.1)),
        ("gravity", 10),
        ("variables", {}),
        ("units", {"x": "m"}),
        ("subdomains", 1),
        ("subdomains", np.int64(6)),
        ("subdomains", "auto"),
        ("subdomains", xr.DataArray([1, 2])),
    ],
)
def test_a_good_value(name, value):
    check_parameters(inverter(**{name: value}))


def test_all_that_is_wrong_comes_in_one_message():
    wrong = inverter(width=0, gravity=-1, first_layer="relu", max_iterations=1.5)
    with pytest.raises(ParameterError) as caught:
        wrong.fit(None)
    message = str(caught.value)
    for name in ("width=0", "gravity=-1", "first_layer='relu'", "max_iterations=1.5"):
        assert name in message
    assert message.count("; ") == 3


def test_ice_must_float():
    with pytest.raises(ParameterError, match=r"ice_density=1030\.0.*does not float"):
        inverter(ice_density=1030.0).fit(None)


def test_every_parameter_has_a_rule():
    assert {*_RULES} == {*SSAViscosityInverter().get_params()}
    check_parameters(SSAViscosityInverter())


def test_every_parameter_is_explained():
    documentation = SSAViscosityInverter.__doc__
    for name in SSAViscosityInverter().get_params():
        assert re.search(rf"^    (\w+, )*{name}(, \w+)* : ", documentation, re.MULTILINE), name


def test_an_unknown_parameter():
    with pytest.raises(TypeError, match="widht"):
        SSAViscosityInverter(widht=24)
