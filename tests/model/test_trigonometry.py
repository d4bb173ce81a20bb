"""Sine and cosine against NumPy, their derivatives against one another."""

from __future__ import annotations

from contextlib import nullcontext

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from xdiffice.model.precision import double_precision
from xdiffice.model.trigonometry import sine_and_cosine

PERIODS = np.pi * np.arange(-318, 319)  # their floats: zeros of the sine, and extrema of the cosine
POINTS = np.concatenate([
    np.random.default_rng(0).uniform(-1000, 1000, 20_000),
    np.random.default_rng(1).uniform(-7, 7, 2_000),
    PERIODS,
    PERIODS + np.pi / 2,  # where one period ends and the next begins
    np.nextafter(PERIODS + np.pi / 2, np.inf),
    np.nextafter(PERIODS + np.pi / 2, -np.inf),
    [0.0, 5e-324, 1e-300, 1e-8, 1000.0, -1000.0],
])  # fmt: skip
# Each function with its derivative, in NumPy.
PAIRS = {"sine": (np.sin, np.cos), "cosine": (np.cos, lambda z: -np.sin(z))}
both = pytest.mark.parametrize("name", PAIRS)


def named(z):
    return dict(zip(PAIRS, sine_and_cosine(z), strict=True))


compute = jax.jit(named)


@both
def test_double_precision_up_to_a_thousand(name):
    z = POINTS[np.abs(POINTS) <= 1000]
    with double_precision():
        value = np.asarray(compute(z)[name])
    assert value.dtype == np.float64
    np.testing.assert_allclose(value, PAIRS[name][0](z), rtol=0, atol=1e-14)


@both
def test_single_precision(name):
    # NumPy's sine of the rounded argument: the rounding of the argument is no error of ours.
    z = POINTS[np.abs(POINTS) <= 1000].astype(np.float32)
    expected = PAIRS[name][0](z.astype(np.float64))
    for precision in (double_precision, nullcontext):  # wherever it is called
        with precision():
            value = np.asarray(compute(jnp.asarray(z))[name])
        assert value.dtype == np.float32
        np.testing.assert_allclose(value, expected, rtol=0, atol=1e-6)


def test_small_arguments_keep_their_digits():
    with double_precision():
        z = np.array([0.0, 1e-300, 1e-100, -1e-8, 1e-5])
        np.testing.assert_allclose(compute(z)["sine"], np.sin(z), rtol=1e-15)


def test_what_is_not_finite_stays_so():
    with double_precision():
        values = compute(np.array([np.nan, np.inf, -np.inf]))
    assert all(np.isnan(value).all() for value in values.values())


@pytest.mark.parametrize("shape", [(), (3,), (2, 3, 4), (0,)])
def test_shapes_are_kept(shape):
    assert all(value.shape == shape for value in compute(jnp.zeros(shape)).values())


@jax.jit
def derivatives(z):
    """First and second derivatives, as the training takes them: in reverse."""
    found = {}
    for name in PAIRS:

        def function(z, name=name):
            return named(z)[name]

        first = jax.grad(function)
        found[name] = {
            "first": jax.vmap(first)(z),
            "second": jax.vmap(jax.grad(first))(z),
            "of an array": jax.vjp(function, z)[1](jnp.full_like(z, -0.5))[0] / -0.5,
            "of a sum": jax.grad(lambda z: jnp.sum(function(z)))(z),
        }
    return found


@both
def test_derivatives(name):
    z = np.random.default_rng(2).uniform(-1000, 1000, 200)
    function, derivative = PAIRS[name]
    with double_precision():
        found = derivatives(z)[name]
    for way, value in found.items():
        expected = -function(z) if way == "second" else derivative(z)
        np.testing.assert_allclose(value, expected, rtol=0, atol=1e-14, err_msg=way)


def test_the_derivative_of_an_expression_of_both():
    # d/dz of s² c = 2 s c² - s³: both cotangents are there, and neither is one.
    z = np.random.default_rng(3).uniform(-1000, 1000, 200)

    @jax.jit
    @jax.grad
    def derivative(z):
        sine, cosine = sine_and_cosine(z)
        return jnp.sum(sine**2 * cosine)

    with double_precision():
        found = derivative(z)
    np.testing.assert_allclose(found, 2 * np.sin(z) * np.cos(z) ** 2 - np.sin(z) ** 3, atol=1e-14)


@both
def test_derivatives_keep_single_precision(name):
    z = jnp.asarray(np.random.default_rng(2).uniform(-30, 30, 200), jnp.float32)
    function, derivative = PAIRS[name]
    for way, value in derivatives(z)[name].items():
        assert value.dtype == jnp.float32, way
        exact = np.asarray(z, np.float64)
        expected = -function(exact) if way == "second" else derivative(exact)
        np.testing.assert_allclose(value, expected, rtol=0, atol=1e-6, err_msg=way)


@settings(max_examples=100, deadline=None)
@given(z=st.floats(-1000, 1000))
@example(z=np.pi / 2)
@example(z=-300.5 * np.pi)
def test_identities(z):
    with double_precision():
        values, mirrored, shifted = compute(z), compute(-z), compute(z + np.pi)
    s, c = float(values["sine"]), float(values["cosine"])
    assert abs(s * s + c * c - 1) < 1e-14
    assert float(mirrored["sine"]) == -s
    assert float(mirrored["cosine"]) == c
    # z + π is rounded to a multiple of 1e-13.
    assert abs(float(shifted["sine"]) + s) < 3e-13
    assert abs(float(shifted["cosine"]) + c) < 3e-13
