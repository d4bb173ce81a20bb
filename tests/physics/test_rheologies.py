"""Rheologies make viscosities with the right derivatives, in the right units."""

from __future__ import annotations

import jax
import numpy as np
import pytest
from analytic_fields import jet, jets, random_flow, wave_numbers, waves
from hypothesis import given, settings
from hypothesis import strategies as st

from xdiffice.errors import ParameterError
from xdiffice.model.precision import double_precision
from xdiffice.physics.constants import PhysicalConstants
from xdiffice.physics.jets import Jet
from xdiffice.physics.rheology import RHEOLOGIES, Anisotropic, Glen, Isotropic, Rheology
from xdiffice.physics.scales import scales_of
from xdiffice.physics.ssa import effective_strain_rate_squared

X, Y = np.random.default_rng(0).uniform(-1, 1, (2, 30))
few = settings(max_examples=20, deadline=None)
exponents = st.floats(1.0, 6.0)


def flow(seed: int):
    """u, v and a positive field, everywhere, with all derivatives up to second."""
    numbers = np.stack([wave_numbers(seed + k) for k in range(5)])
    u, v, _, field, _ = jets(random_flow, X, Y, numbers=numbers)
    return u, v, field._replace(value=field.value + 1.0)


@pytest.mark.parametrize(("seed", "n", "floor"), [(0, 3.0, 1e-3), (10, 1.5, 0.3), (20, 5.0, 0.1)])
def test_derivatives_of_glens_viscosity_are_those_of_the_formula(seed, n, floor):
    numbers = [wave_numbers(seed + k) for k in range(3)]
    law = Glen(n, floor)

    def fields(x, y):
        with_means = zip(numbers, (0.0, 0.0, 2.0), strict=True)
        return tuple(jet(waves(k, mean), x, y, 2) for k, mean in with_means)

    def viscosity(x, y):
        u, v, hardness = fields(x[None], y[None])
        square = effective_strain_rate_squared(u.x, u.y, v.x, v.y) + floor**2
        return (0.5 * hardness.value * square ** (0.5 * (1 / n - 1)))[0]

    with double_precision():
        u, v, hardness = jax.jit(fields)(X, Y)
        mu, other = law.viscosities((hardness,), u, v)
        value, slopes = jax.jit(jax.vmap(jax.value_and_grad(viscosity, (0, 1))))(X, Y)
        found = np.stack([mu.value, mu.x, mu.y])
    assert other is mu
    expected = np.stack([value, *slopes])
    np.testing.assert_allclose(found, expected, atol=1e-10 * np.abs(expected).max())


def test_with_an_exponent_of_one_the_viscosity_is_half_the_hardness():
    u, v, hardness = flow(0)
    mu, _ = Glen(1.0).viscosities((hardness,), u, v)
    for found, of_hardness in zip(mu[:3], hardness[:3], strict=True):
        np.testing.assert_allclose(found, 0.5 * of_hardness, rtol=1e-14)


def test_where_no_slope_of_the_hardness_is_given_there_is_none_of_the_viscosity():
    u, v, hardness = flow(1)
    mu, _ = Glen().viscosities((Jet(hardness.value),), u, v)
    assert mu[1:] == (None,) * 5
    full, _ = Glen().viscosities((hardness,), u, v)
    np.testing.assert_array_equal(mu.value, full.value)


def test_ice_at_rest_has_a_finite_viscosity():
    zero = np.zeros(1)
    rest = Jet(*(zero,) * 6)
    mu, _ = Glen(3.0, 0.01).viscosities((Jet(np.ones(1), zero, zero),), rest, rest)
    assert mu.value == pytest.approx(0.5 * 0.01 ** (-2 / 3))
    assert (mu.x, mu.y) == (0.0, 0.0)


@few
@given(
    n=exponents,
    length=st.floats(1e4, 1e6),
    speed=st.floats(1e-7, 1e-4),
    thickness=st.floats(50.0, 2000.0),
)
def test_hardness_in_si_gives_the_viscosity_in_si(n, length, speed, thickness):
    x, y, side = np.array([-length, length]), np.zeros(2), np.array([-speed, speed])
    scales = scales_of((x, y), (side, side), np.full(2, thickness), PhysicalConstants())
    hardness, rate = 0.7, 0.4  # nondimensional
    u, zero = Jet(rate * X, rate, 0.0, 0.0, 0.0, 0.0), Jet(*(0.0,) * 6)
    law = Glen(n, 1e-9)
    mu, _ = law.viscosities((Jet(hardness),), u, zero)
    in_si = hardness * law.unit_of("hardness", scales)
    expected = 0.5 * in_si * (rate * scales.strain_rate) ** (1 / n - 1)
    assert mu.value * scales.viscosity == pytest.approx(expected, rel=1e-12)


def test_isotropic_ice_has_its_field_twice():
    u, v, field = flow(2)
    assert Isotropic().viscosities((field,), u, v) == (field, field)


@pytest.mark.parametrize("parameters", [{"n": 0.9}, {"n": np.nan}, {"floor": 0.0}])
def test_parameters_that_no_ice_has_are_refused(parameters):
    with pytest.raises(ParameterError, match="n must be at least 1, and floor positive"):
        Glen(**parameters)


@pytest.mark.parametrize("rheology", RHEOLOGIES.values(), ids=list(RHEOLOGIES))
def test_a_rheology_is_a_key_and_describes_what_is_no_viscosity(rheology):
    assert isinstance(rheology, Rheology)
    assert hash(rheology) == hash(type(rheology)())
    assert set(rheology.quantities) == set(rheology.fields) - set(rheology.viscosity_names)


def test_the_penalty_of_anisotropic_ice():
    horizontal, vertical = Jet(np.array([1.0, 4.0, 1e-12])), Jet(np.array([1.0, 1.0, 1.0]))
    logs = Anisotropic().penalty((horizontal, vertical))
    np.testing.assert_allclose(logs, np.log([1.0, 4.0, 1e-12]) ** 2, rtol=1e-5)
    roots = Anisotropic("square_root").penalty((horizontal, vertical))
    # Finite without horizontal viscosity: why it is not the default.
    np.testing.assert_allclose(roots, [0.0, 0.25, 0.25], rtol=1e-5)
    assert Isotropic().penalty((horizontal,)) is None
    with pytest.raises(ParameterError, match="log_ratio"):
        Anisotropic("ratio")
