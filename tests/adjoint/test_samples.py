"""Samples around a state have the covariance that data and prior leave."""

from __future__ import annotations

import numpy as np
import pytest
from known_shelf import box, lattice_of, model_of

from xdiffice.adjoint.control import Control

MESH = box()
ERROR, N = 0.02, 300


@pytest.fixture(scope="module")
def control() -> Control:
    lattice, used = lattice_of(MESH, spacing=1.0)
    return Control(MESH, model_of("isotropic"), lattice, used, thickness_error=0.01, reach=0.4)


@pytest.fixture(scope="module")
def state(control):
    return control.minimised(None, 3, lambda: np.inf, lambda *_: None)


def test_what_data_and_prior_leave(control, state):
    """Covariance H⁻¹ C H⁻¹ of samples whose thickness is known, with C that of the right sides."""
    tangent, changes = control.samples(state, N, 0.0, np.random.default_rng(0))
    n, prior = state.controls.size // 2, control._prior
    data = np.stack([tangent.curvature(one) for one in np.eye(2 * n)])
    drawn = np.zeros_like(data)  # neither thickness nor ridge are
    drawn[:n, :n] = sum((root.T @ root).toarray() for root in prior._roots)
    curvature = data + prior.precision.toarray()
    covariance = np.linalg.solve(curvature, np.linalg.solve(curvature, data + drawn).T)[:n, :n]
    value = prior.value.toarray()
    expected = np.sqrt(np.einsum("ki,ij,kj->k", value, covariance, value))
    found = (changes[:, :n] @ value.T).std(axis=0)
    # The standard error of a deviation of 300 samples is 4 %; the farthest of many is 4 times that.
    np.testing.assert_allclose(found, expected, rtol=4 / np.sqrt(2 * N))


def test_a_thickness_that_may_be_another(control, state):
    """Ice that may be thicker has viscosities that may be lower: their samples go together."""
    _, known = control.samples(state, 40, 0.0, np.random.default_rng(1))
    _, unsure = control.samples(state, 40, ERROR, np.random.default_rng(1))
    n = state.controls.size
    value = control._prior.value
    thickness = unsure[:, n // 2 :] @ value.T
    assert thickness.std() > ERROR  # on every scale
    added = (unsure - known)[:, : n // 2]
    assert (unsure[:, : n // 2] @ value.T).std() > (known[:, : n // 2] @ value.T).std()
    # The same noise and prior: what is added makes up for the thickness, and for nothing else.
    tangent, _ = control.samples(state, 1, 0.0, np.random.default_rng(1))
    thicker = np.concatenate([np.zeros_like(added), (unsure - known)[:, n // 2 :]], axis=1)
    both = unsure - known
    before = np.mean([np.sum(tangent.velocity(one) ** 2) for one in thicker])
    after = np.mean([np.sum(tangent.velocity(one) ** 2) for one in both])
    assert after < 0.5 * before
