"""The optimisers that the library's own is compared with minimise the same loss, and rightly."""

from __future__ import annotations

import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from xdiffice.model.fields import Model
from xdiffice.model.network import Network
from xdiffice.model.precision import double_precision
from xdiffice.physics.rheology import Isotropic
from xdiffice.physics.scales import Affine, EquationUnits
from xdiffice.training.budget import Budget
from xdiffice.training.history import Recorder
from xdiffice.training.loss import (
    Batch,
    Curbs,
    FrontBatch,
    InteriorBatch,
    Sample,
    ThicknessBatch,
    VelocityBatch,
    Weights,
)
from xdiffice.training.objectives import FitAll

MODEL = Model(Network(3, 5, 2), Network(1, 4, 2), Isotropic())
UNITS = EquationUnits(Affine(0.3, 1.0), Affine(-0.1, 1.0), Affine(1.0, 0.2))
CURBS = Curbs(2.0, 0.5, 1.0, 3.0, 4.0)


@pytest.fixture
def rivals(monkeypatch):
    monkeypatch.syspath_prepend(Path(__file__).parent / "benchmarks")
    yield __import__("rivals")
    sys.modules.pop("rivals")


def sample(curbs: Curbs) -> Sample:
    rng = np.random.default_rng(0)
    angle = rng.uniform(-np.pi, np.pi, 7)
    batch = Batch(
        VelocityBatch(*rng.normal(size=(4, 19)), *rng.uniform(0.5, 2, (2, 19))),
        ThicknessBatch(*rng.normal(size=(3, 13)), rng.uniform(0.5, 2, 13)),
        InteriorBatch(*rng.normal(size=(2, 11)), first=(rng.normal(size=11),)),
        FrontBatch(*rng.normal(size=(2, 7)), np.cos(angle), np.sin(angle)),
    )
    weights = Weights(1.0, 0.6, 0.05, 0.1, departure=0.3)
    return Sample(batch, UNITS, weights, curbs, leeway=0.2)


@pytest.mark.slow
@pytest.mark.parametrize("curbs", [Curbs(), CURBS])
def test_normal_equations_have_the_gradient_of_the_loss(rivals, curbs):
    with double_precision():
        theta = jnp.asarray(MODEL.init(np.random.default_rng(1)))
        given = jax.device_put(sample(curbs))
        gradient = jax.grad(lambda t: FitAll(MODEL)(t, given)[0])(theta)
        matrix, vector = rivals.normal_equations(MODEL, theta, given)
        residual = rivals.weighted_residuals(MODEL, given, theta)
        jacobian = jax.jacrev(residual)(theta)
        np.testing.assert_allclose(2 * vector, gradient, rtol=1e-9, atol=1e-12)
        np.testing.assert_allclose(jacobian.T @ jacobian, matrix, rtol=1e-9, atol=1e-12)
        if curbs == Curbs():
            loss = FitAll(MODEL)(theta, given)[0]
            assert float(residual(theta) @ residual(theta)) == pytest.approx(float(loss), rel=1e-12)


@pytest.mark.slow
def test_a_step_without_matrix_is_that_with_a_matrix(rivals):
    with double_precision():
        theta = jnp.asarray(MODEL.init(np.random.default_rng(1)))
        given = jax.device_put(sample(CURBS))
        rival = rivals.LevenbergMarquardt(FitAll(MODEL), dense=False)
        matrix, vector = rivals.normal_equations(MODEL, theta, given)
        step, promised = rival.solved(theta, given, vector, 100.0)
        assert float(promised) == pytest.approx(-float(2 * vector @ step + step @ matrix @ step))
        scale = jnp.linalg.norm(matrix @ vector) / jnp.linalg.norm(vector)
        expected = jnp.linalg.solve(matrix + 0.1 * scale * jnp.eye(theta.size), -vector)
        np.testing.assert_allclose(step, expected, rtol=1e-3, atol=1e-4 * float(abs(step).max()))


@pytest.mark.parametrize(
    ("kind", "settings", "iterations"),
    [
        ("Adam", {"learning_rate": 0.01}, 500),
        ("LBFGS", {"memory_size": 10}, 50),
        ("LevenbergMarquardt", {"dense": True}, 15),
        pytest.param("LevenbergMarquardt", {"dense": False}, 15, marks=pytest.mark.slow),
    ],
)
def test_every_rival_descends(rivals, kind, settings, iterations):
    recorder = Recorder(progress=False, total=None)
    with double_precision():
        given = jax.device_put(sample(Curbs()))
        start = MODEL.init(np.random.default_rng(1))
        budget = Budget(None, iterations)
        rival = getattr(rivals, kind)(FitAll(MODEL), **settings)
        outcome = rival.minimise(start, lambda _: given, budget, recorder)
        losses = [float(FitAll(MODEL)(jnp.asarray(t), given)[0]) for t in (start, outcome.theta)]
    assert losses[1] < 0.3 * losses[0]
    assert losses[1] == pytest.approx(min(row["loss"] for row in recorder.rows), rel=1e-9)
    assert budget.iterations > 0
