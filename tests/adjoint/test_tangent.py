"""The tangent is the derivative of solved velocities, and its adjoint is its transpose."""

from __future__ import annotations

import numpy as np
import pytest
from known_shelf import MODELS, box, lattice_of, model_of

from xdiffice.adjoint.mesh import viscosities
from xdiffice.adjoint.tangent import Tangent
from xdiffice.forward.response import Ice
from xdiffice.results.evaluate import Orders


class Around:
    """Velocity and tangent of a model, as functions of the coefficients of splines."""

    def __init__(self, name: str):
        self.mesh, self.fitted = box(), model_of(name)
        u, v, h, *logs = self.mesh.jets(self.fitted, Orders(1, 1))
        self.motion, self.log_h = (u, v), np.log(h.value)
        self.logs = [log.value for log in logs]
        points = self.mesh.response
        lattice, used = lattice_of(self.mesh)
        self.value = lattice.matrix(points.x, points.y)[:, used]
        self.n = (len(logs) + 1) * used.size
        rng = np.random.default_rng(1)
        self.weights = rng.uniform(0.5, 2.0, self.mesh.observed.shape)

    def ice(self, controls):
        *changes, thicker = controls.reshape(len(self.logs) + 1, -1)
        logs = [log + self.value @ one for log, one in zip(self.logs, changes, strict=True)]
        (mu_h, mu_v), slopes = viscosities(self.fitted.rheology, logs, self.motion)
        return Ice(mu_h, mu_v, np.exp(self.log_h + self.value @ thicker)), slopes

    def velocity(self, controls):
        return self.mesh.response.solved(self.ice(controls)[0]).velocity

    def tangent(self, controls) -> Tangent:
        ice, slopes = self.ice(controls)
        response = self.mesh.response.solved(ice)
        return Tangent(self.mesh, self.value, ice, slopes, response, self.weights)


@pytest.fixture(scope="module", params=MODELS)
def around(request) -> Around:
    return Around(request.param)


def test_the_tangent_is_the_slope_of_solved_velocities(around):
    rng = np.random.default_rng(2)
    at = 0.1 * rng.normal(size=around.n)
    tangent = around.tangent(at)
    rows = around.n // (len(around.logs) + 1)
    for first in range(0, around.n, rows):  # by every field, and by the thickness
        change = np.zeros(around.n)
        change[first : first + rows] = rng.normal(size=rows)
        step = 1e-4
        slope = (around.velocity(at + step * change) - around.velocity(at - step * change)) / (
            2 * step
        )
        found = tangent.velocity(change)
        assert np.linalg.norm(slope) > 1e-2  # it does change
        # step² of the third derivative, and rounding over the step.
        assert np.linalg.norm(found - slope) < 1e-6 * np.linalg.norm(slope)


def test_the_adjoint_is_the_transpose(around):
    rng = np.random.default_rng(3)
    tangent = around.tangent(np.zeros(around.n))
    for _ in range(3):
        change = rng.normal(size=around.n)
        by_velocity = rng.normal(size=2 * around.mesh.response.n_nodes)
        forth = float(tangent.velocity(change) @ by_velocity)
        back = float(change @ tangent.adjoint(by_velocity))
        assert back == pytest.approx(forth, rel=1e-11)


def test_the_gradient_is_that_of_the_misfit(around):
    rng = np.random.default_rng(4)
    mesh, at, change = around.mesh, 0.1 * rng.normal(size=around.n), rng.normal(size=around.n)

    def misfit(controls):
        return 0.5 * np.sum(around.weights * mesh.misfits(around.velocity(controls)) ** 2)

    misfits = mesh.misfits(around.velocity(at))
    gradient = around.tangent(at).adjoint(mesh.by_velocity(around.weights * misfits))
    step = 1e-4
    slope = (misfit(at + step * change) - misfit(at - step * change)) / (2 * step)
    assert gradient @ change == pytest.approx(slope, rel=1e-6)


def test_the_curvature_is_the_square_of_the_tangent(around):
    rng = np.random.default_rng(5)
    tangent, mesh = around.tangent(np.zeros(around.n)), around.mesh
    one, other = rng.normal(size=(2, around.n))

    def at_data(change):
        return mesh.misfits(tangent.velocity(change)) + mesh.observed

    product = np.sum(around.weights * at_data(one) * at_data(other))
    assert one @ tangent.curvature(other) == pytest.approx(product, rel=1e-10)
    assert other @ tangent.curvature(one) == pytest.approx(product, rel=1e-10)
    assert one @ tangent.curvature(one) > 0


def test_viscosities_and_their_slopes():
    mesh = box()
    for name, expected in (("isotropic", ((1, 1),)), ("anisotropic", ((1, 0), (0, 1)))):
        fitted = model_of(name)
        u, v, _, *logs = mesh.jets(fitted, Orders(1, 0))
        found, slopes = viscosities(fitted.rheology, [log.value for log in logs], (u, v))
        fields = [np.exp(log.value) for log in logs]
        np.testing.assert_allclose(found[0], fields[0], rtol=1e-14)
        np.testing.assert_allclose(found[1], fields[-1], rtol=1e-14)
        for slope, shares in zip(slopes, expected, strict=True):  # dμ / d log μ = μ
            for part, mu, share in zip(slope, found, shares, strict=True):
                np.testing.assert_allclose(part, share * mu, rtol=1e-14)
