"""What the network carries forward is what differentiation gives; its values are a perceptron's."""

from __future__ import annotations

from itertools import pairwise

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xdiffice.model.network import Network
from xdiffice.model.precision import double_precision, full_precision

networks = st.builds(
    Network,
    n_outputs=st.integers(1, 3),
    width=st.integers(2, 16),
    depth=st.integers(2, 4),
    first_layer=st.sampled_from(["sine", "tanh"]),
    frequency=st.floats(0.1, 10.0),
    features=st.none() | st.integers(2, 20),
)
seeds = st.integers(0, 10_000)
DERIVATIVES = ("x", "y", "xx", "xy", "yy")


def perceptron(network: Network, theta, x, y, library=np):
    """Evaluate the network as one would write it down, shape (n, n_outputs)."""
    values, start = library.stack([x, y], axis=1), 0
    features = network.features or network.width
    sizes = [2, features, *[network.width] * (network.depth - 1), network.n_outputs]
    for number, (n_in, n_out) in enumerate(pairwise(sizes)):
        weight = theta[start : start + n_in * n_out].reshape(n_in, n_out)
        start += n_in * n_out
        values = values @ weight + theta[start : start + n_out]
        start += n_out
        if number == 0 and network.first_layer == "sine":
            values = library.sin(values)
        elif number < network.depth:
            values = library.tanh(values)
    assert start == theta.size == network.n_parameters
    return values


def parameters(network: Network, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    # Biases are zero at first; here they are not, so that a forgotten one shows.
    return network.init(rng) + 0.3 * rng.normal(size=network.n_parameters)


def points(seed: int, n: int) -> tuple[np.ndarray, np.ndarray]:
    x, y = np.random.default_rng(seed + 1).uniform(-1.2, 1.2, (2, n))
    return x, y


@settings(max_examples=12, deadline=None)
@given(network=networks, seed=seeds)
def test_values_are_those_of_a_perceptron(network, seed):
    theta, (x, y) = parameters(network, seed), points(seed, 7)
    with double_precision():
        jets = jax.jit(lambda x, y: network.jets(theta, x, y, order=0))(x, y)
        found = np.stack([jet.value for jet in jets], axis=1)
    expected = perceptron(network, theta, x, y)
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-13 * np.abs(theta).sum())
    assert all(jet[1:] == (None,) * 5 for jet in jets)


def automatic(network: Network, theta, x, y) -> list:
    """Derivatives of the perceptron by automatic differentiation, each of shape (n, n_outputs)."""

    def values(x, y):
        return perceptron(network, theta, x[None], y[None], jnp)[0]

    @jax.vmap
    def all_derivatives(x, y):
        gradient = jax.jacfwd(values, (0, 1))(x, y)
        (xx, xy), (_, yy) = jax.jacfwd(jax.jacfwd(values, (0, 1)), (0, 1))(x, y)
        return [*gradient, xx, xy, yy]

    return all_derivatives(x, y)


@settings(max_examples=10, deadline=None)
@given(network=networks, seed=seeds)
def test_derivatives_are_those_of_automatic_differentiation(network, seed):
    theta, (x, y) = parameters(network, seed), points(seed, 4)
    with double_precision():
        expected = jax.jit(lambda x, y: automatic(network, theta, x, y))(x, y)
        jets = jax.jit(lambda x, y: network.jets(theta, x, y, 2))(x, y)
    for name, truth in zip(DERIVATIVES, expected, strict=True):
        found = np.stack([getattr(jet, name) for jet in jets], axis=1)
        assert found.dtype == np.float64
        np.testing.assert_allclose(found, truth, atol=1e-10 * np.abs(truth).max(), err_msg=name)


@settings(max_examples=6, deadline=None)
@given(network=networks, seed=seeds, order=st.integers(0, 2))
def test_the_gradient_of_the_parameters_is_that_of_automatic_differentiation(network, seed, order):
    # A sum of all streams with random factors: what the reverse pass has to carry back.
    theta, (x, y) = parameters(network, seed), points(seed, 4)
    n_streams = (1, 3, 6)[order]
    factors = np.random.default_rng(seed).normal(size=(n_streams, 4, network.n_outputs))

    def ours(theta):
        jets = network.jets(theta, x, y, order)
        streams = [jnp.stack([jet[k] for jet in jets], axis=1) for k in range(n_streams)]
        return sum(jnp.sum(f * jnp.sin(s)) for f, s in zip(factors, streams, strict=True))

    def plain(theta):
        streams = [perceptron(network, theta, x, y, jnp), *automatic(network, theta, x, y)]
        return sum(jnp.sum(f * jnp.sin(s)) for f, s in zip(factors, streams, strict=False))

    with double_precision():
        theta = jnp.asarray(theta)
        found, expected = jax.jit(jax.grad(ours))(theta), jax.jit(jax.grad(plain))(theta)
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-10 * np.abs(expected).max())


@settings(max_examples=6, deadline=None)
@given(network=networks, seed=seeds)
def test_orders_agree_in_what_they_share(network, seed):
    theta, (x, y) = parameters(network, seed), points(seed, 5)
    with double_precision():
        by_order = [network.jets(jnp.asarray(theta), x, y, order) for order in range(3)]
    for order, n_shared in ((0, 1), (1, 3)):
        for low, high in zip(by_order[order], by_order[2], strict=True):
            np.testing.assert_array_equal(np.stack(low[:n_shared]), np.stack(high[:n_shared]))
            assert low[n_shared:] == (None,) * (6 - n_shared)


@pytest.mark.parametrize("first_layer", ["sine", "tanh"])
def test_layers_are_the_vector_of_parameters_in_order(first_layer):
    network = Network(3, 5, 2, first_layer)
    assert network.sizes == [2, 5, 5, 3]
    assert network.n_parameters == 2 * 5 + 5 + 5 * 5 + 5 + 5 * 3 + 3
    theta = np.arange(float(network.n_parameters))
    layers = network.layers(theta)
    assert [(w.shape, b.shape) for w, b in layers] == [
        ((2, 5), (5,)),
        ((5, 5), (5,)),
        ((5, 3), (3,)),
    ]
    flat = np.concatenate([part.ravel() for layer in layers for part in layer])
    np.testing.assert_array_equal(flat, theta)


def test_initial_parameters_have_the_spread_that_is_said():
    network = Network(1, 800, 2, "sine", frequency=6.0)
    (first, phase), (hidden, bias), (last, last_bias) = network.layers(
        network.init(np.random.default_rng(0))
    )
    # From a quarter of the frequency to the whole, equally many units in each octave.
    for units, octave in (
        (first[:, :100], -1.875),
        (first[:, 350:450], -1),
        (first[:, 700:], -0.125),
    ):
        assert units.std() == pytest.approx(6.0 * 2**octave, rel=0.15)
    assert hidden.std() == pytest.approx(np.sqrt(2 / 1600), rel=0.02)
    assert last.std() == pytest.approx(np.sqrt(2 / 801), rel=0.1)
    assert np.abs(phase).max() < np.pi < 1.1 * np.abs(phase).max()
    assert phase.std() == pytest.approx(np.pi / np.sqrt(3), rel=0.1)
    assert not bias.any()
    assert not last_bias.any()

    (first, bias), *_ = Network(1, 400, 2, "tanh").layers(
        Network(1, 400, 2, "tanh").init(np.random.default_rng(0))
    )
    assert first.std() == pytest.approx(np.sqrt(2 / 402), rel=0.1)
    assert not bias.any()


def test_networks_are_drawn_one_after_the_other():
    network, rng = Network(1, 4, 2), np.random.default_rng(0)
    assert not np.array_equal(network.init(rng), network.init(rng))
    first = network.init(np.random.default_rng(0))
    np.testing.assert_array_equal(first, network.init(np.random.default_rng(0)))


def test_double_precision_lasts_for_a_block():
    assert jnp.asarray(np.ones(2)).dtype == np.float32
    with double_precision():
        assert jnp.asarray(np.ones(2)).dtype == np.float64
        assert jax.config.jax_default_matmul_precision == "highest"
    assert jnp.asarray(np.ones(2)).dtype == np.float32
    assert jax.config.jax_default_matmul_precision != "highest"


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_matrix_products_have_the_full_precision_of_their_type(dtype):
    # TF32, the default for float32 on recent GPUs, is what "highest" rules out.
    with full_precision(dtype):
        text = str(jax.make_jaxpr(jnp.dot)(np.ones((3, 3)), np.ones((3, 3))))
    assert f"preferred_element_type={dtype}" in text
    assert "Precision.HIGHEST" in text
