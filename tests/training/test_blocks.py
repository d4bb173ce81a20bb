"""A sum over blocks is the sum over all points, in value, terms and gradient."""

from __future__ import annotations

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from test_loss import MODEL, WEIGHTS, random_sample

from xdiffice.model.precision import double_precision
from xdiffice.training import objectives
from xdiffice.training.blocks import in_blocks, suitable_number
from xdiffice.training.loss import Batch, InteriorBatch
from xdiffice.training.objectives import FitAll


@functools.partial(jax.jit, static_argnums=2)
def value_terms_gradient(theta, sample, n_blocks):
    del n_blocks  # part of the key only
    return jax.value_and_grad(FitAll(MODEL), has_aux=True)(theta, sample)


@pytest.mark.parametrize("n_blocks", [2, 7, 30, 41])
def test_blocks_change_nothing(monkeypatch, n_blocks):
    theta = MODEL.init(np.random.default_rng(1))
    found = []
    for n in (1, n_blocks):
        monkeypatch.setattr(objectives, "suitable_number", lambda batch, devices, n=n: n)
        with double_precision():
            sample = random_sample(3)._replace(weights=WEIGHTS)
            found.append(value_terms_gradient(jnp.asarray(theta), sample, n))
    ((value, terms), gradient), ((others, other_terms), other_gradient) = found
    assert float(value) == pytest.approx(float(others), rel=1e-13)
    assert {k: float(v) for k, v in other_terms.items()} == pytest.approx(
        {k: float(v) for k, v in terms.items()}, rel=1e-12
    )
    np.testing.assert_allclose(other_gradient, gradient, atol=1e-12 * np.abs(gradient).max())


def test_shares_are_those_of_a_mean_and_what_fills_up_has_none():
    with double_precision():
        batch, shares = in_blocks(random_sample(n=30).batch, 7)
    for points, share in zip(batch[:4], shares[:4], strict=True):
        assert share.shape == points.x.shape == (7, 5)
        np.testing.assert_allclose(share.ravel()[:30], 1 / 30)
        assert not share.ravel()[30:].any()
        np.testing.assert_array_equal(points.x.ravel()[30:], points.x[0, 0])


@pytest.mark.parametrize(("n", "blocks"), [(2, 1), (500, 1), (1700, 3), (6000, 12)])
def test_blocks_have_about_500_interior_points(n, blocks):
    batch = Batch(None, None, InteriorBatch(np.zeros(n), np.zeros(n)), None)
    cpu = jax.default_backend() == "cpu"
    assert suitable_number(batch) == (blocks if cpu else 1)
    assert suitable_number(batch, 8) == (8 * -(-blocks // 8) if cpu else 8)
