"""Two networks become velocity, thickness and viscosity in the units of the equations."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from xdiffice.model.fields import Model, exponential
from xdiffice.model.network import Network
from xdiffice.model.precision import double_precision
from xdiffice.physics.rheology import Isotropic
from xdiffice.physics.scales import Affine, EquationUnits

MODEL = Model(Network(3, 6, 2), Network(1, 5, 3, "tanh"), Isotropic())
UNITS = EquationUnits(Affine(0.4, 1.0), Affine(-0.2, 0.3), Affine(1.0, 0.25))
X, Y = np.random.default_rng(1).uniform(-1, 1, (2, 9))


@pytest.fixture(scope="module")
def theta() -> np.ndarray:
    return MODEL.init(np.random.default_rng(0))


def test_the_vector_of_parameters_is_split_between_the_networks(theta):
    n_motion = 2 * 6 + 6 + 6 * 6 + 6 + 6 * 3 + 3
    n_viscosity = 2 * 5 + 5 + 2 * (5 * 5 + 5) + 5 + 1
    assert MODEL.n_parameters == theta.size == n_motion + n_viscosity
    motion, viscosity = MODEL.split(theta)
    np.testing.assert_array_equal(motion, theta[:n_motion])
    np.testing.assert_array_equal(viscosity, theta[n_motion:])
    rng = np.random.default_rng(0)
    np.testing.assert_array_equal(motion, MODEL.motion.init(rng))
    np.testing.assert_array_equal(viscosity, MODEL.viscosity.init(rng))


def test_a_field_is_the_exponential_of_its_network(theta):
    _, theta_viscosity = MODEL.split(theta)
    with double_precision():
        (log,) = MODEL.viscosity.jets(theta_viscosity, X, Y, order=0)
        log = np.asarray(log.value)
        field = exponential(*MODEL.logarithms(theta_viscosity, X, Y, order=1))

        def value(x, y):
            return exponential(*MODEL.logarithms(theta_viscosity, x[None], y[None], 0)).value[0]

        slopes = jax.vmap(jax.grad(value, (0, 1)))(jnp.asarray(X), jnp.asarray(Y))
    np.testing.assert_allclose(field.value, np.exp(log), rtol=1e-14)
    np.testing.assert_allclose((field.x, field.y), slopes, rtol=1e-11, atol=1e-13)
    assert (field.xx, field.xy, field.yy) == (None, None, None)


def test_viscosity_without_derivatives(theta):
    _, theta_viscosity = MODEL.split(theta)
    with double_precision():
        mu = exponential(*MODEL.logarithms(theta_viscosity, X, Y, order=0))
    assert mu[1:] == (None,) * 5


@pytest.mark.parametrize("order", [0, 1, 2])
def test_motion_is_in_the_units_of_the_equations(theta, order):
    motion, _ = MODEL.split(theta)
    with double_precision():
        normalised = MODEL.motion.jets(motion, X, Y, order=order)
        data = MODEL.data_values(motion, X, Y)
        fields = MODEL.motion_at(motion, UNITS, X, Y, order=order)
    normalised, data, fields = jax.tree.map(np.asarray, (normalised, data, fields))
    for field, jet, unit, value in zip(fields, normalised, UNITS, data, strict=True):
        np.testing.assert_array_equal(value, jet.value)
        np.testing.assert_allclose(field.value, unit.mean + unit.scale * jet.value, rtol=1e-15)
        for scaled, plain in zip(field[1:], jet[1:], strict=True):
            if plain is None:
                assert scaled is None
            else:
                np.testing.assert_allclose(scaled, unit.scale * plain, rtol=1e-15)
    given = {0: 1, 1: 3, 2: 6}[order]
    assert [d is not None for d in fields.u] == [True] * given + [False] * (6 - given)


def test_a_model_is_the_key_of_a_compilation():
    same = Model(Network(3, 6, 2), Network(1, 5, 3, "tanh"), Isotropic())
    assert same == MODEL
    assert hash(same) == hash(MODEL)
    assert Model(Network(3, 6, 2), Network(1, 5, 3, "sine"), Isotropic()) != MODEL
