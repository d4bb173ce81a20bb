"""Equations at the points of a region hold for the blend of all regions, each doing its share."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from two_regions import ONE, OTHER, SmoothModel, theta_of

from xdiffice.model.fields import Model, exponential
from xdiffice.model.network import Network
from xdiffice.model.precision import double_precision
from xdiffice.physics.jets import Jet
from xdiffice.physics.rheology import Anisotropic
from xdiffice.physics.ssa import momentum_residual
from xdiffice.training.loss import (
    Batch,
    FrontBatch,
    InteriorBatch,
    blended_residuals,
    logarithms_at_residual_points,
    motion_at_residual_points,
    residuals,
)
from xdiffice.training.neighbours import Neighbours, shared_out

SCALES = (ONE, OTHER)
N = 40


def share(x, y):
    """Window of the first region, m; it is one on the left and zero on the right."""
    return 0.5 - 0.5 * jnp.tanh((x - 1e4 + 0.3 * y) / 5e3)


def window(region: int, x, y, order: int):
    with double_precision():
        f_x, f_y = (jax.vmap(jax.grad(share, axis)) for axis in (0, 1))
        second = (jax.vmap(jax.grad(jax.grad(share, a), b)) for a, b in ((0, 0), (0, 1), (1, 1)))
        first = [share(x, y), f_x(x, y), f_y(x, y), *(f(x, y) for f in second)]
        found = [np.asarray(array) for array in first]
    if region == 1:
        found = [1 - found[0], *(-array for array in found[1:])]
    return found[: (1, 3, 6)[order]]


def batch_of(region: int) -> Batch:
    """Points all over both regions, in units of one."""
    rng = np.random.default_rng(3)
    x, y = rng.uniform(-1e4, 3e4, N), rng.uniform(-1e4, 1e4, N)
    at = SCALES[region].x.to_unit(x), SCALES[region].y.to_unit(y)
    angle = rng.uniform(-np.pi, np.pi, N)
    return Batch(None, None, InteriorBatch(*at), FrontBatch(*at, np.cos(angle), np.sin(angle)))


def blended(model, thetas, region: int) -> Batch:
    neighbours = Neighbours(window, SCALES, model)
    neighbours.stand_still(thetas)
    return neighbours.blended(region, batch_of(region))


def equations(model, theta, batch: Batch, region: int):
    """Residuals of momentum and front, of the blend where there is one."""
    motion, viscosity = model.split(jnp.asarray(theta))
    motions = motion_at_residual_points(model, motion, batch, SCALES[region].equation_units)
    logarithms = logarithms_at_residual_points(model, viscosity, batch)
    which = residuals if batch.interior.blend is None else blended_residuals
    return which(model, motions, logarithms, batch)


@pytest.mark.parametrize("region", [0, 1])
def test_where_all_have_the_same_fields_the_blend_is_these(region):
    model, thetas = SmoothModel(), [theta_of(one) for one in SCALES]
    with double_precision():
        alone = equations(model, thetas[region], batch_of(region), region)
        together = equations(model, thetas[region], blended(model, thetas, region), region)
    for one, other in zip(jax.tree.leaves(alone), jax.tree.leaves(together), strict=True):
        np.testing.assert_allclose(other, one, rtol=1e-9, atol=1e-9 * np.abs(one).max())


def networks() -> tuple[Model, list[np.ndarray]]:
    model = Model(Network(3, 6, 2), Network(2, 5, 2), Anisotropic())
    return model, [model.init(np.random.default_rng(seed)) for seed in (0, 1)]


def test_equations_are_those_of_the_blend_of_different_fields():
    """Every derivative by differentiation of the blend itself, in the units of the first region."""
    model, thetas = networks()
    point = batch_of(0).interior

    def field(k, x, y):
        """u, v, h (k below 3), log μ_h, log μ_v of the blend at one point."""
        si = ONE.x.to_si(x), ONE.y.to_si(y)
        total = 0.0
        for scales, theta, w in zip(SCALES, thetas, (share(*si), 1 - share(*si)), strict=True):
            at = scales.x.to_unit(si[0])[None], scales.y.to_unit(si[1])[None]
            motion, viscosity = model.split(jnp.asarray(theta))
            if k < 3:
                unit = (scales.speed, scales.speed, scales.thickness)[k]
                value = unit * model.motion_at(motion, scales.equation_units, *at, 0)[k].value[0]
                value /= (ONE.speed, ONE.speed, ONE.thickness)[k]
            else:
                value = model.logarithms(viscosity, *at, 0)[k - 3].value[0]
                value += jnp.log(scales.viscosity / ONE.viscosity)
            total += w * value
        return total

    def jet(k):
        def f(x, y):
            return field(k, x, y)

        first = [jax.grad(f, axis) for axis in (0, 1)]
        second = [jax.grad(jax.grad(f, a), b) for a, b in ((0, 0), (0, 1), (1, 1))]
        return Jet(*(jax.vmap(g)(point.x, point.y) for g in (f, *first, *second)))

    with double_precision():
        batch = blended(model, thetas, 0)
        found, _ = equations(model, thetas[0], batch, 0)
        u, v, h, *logs = (jet(k) for k in range(5))
        logs = [Jet(*log[:3]) for log in logs]
        expected = momentum_residual(u, v, h, *map(exponential, logs))
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-8, atol=1e-10)


def test_shares_of_all_regions_add_up_to_the_residual():
    model, thetas = networks()
    removed = []
    with double_precision():
        for region in (0, 1):
            batch = blended(model, thetas, region)
            found = equations(model, thetas[region], batch, region)
            left = shared_out(batch, found)
            factor = (SCALES[region].momentum, SCALES[region].stress)
            for part, residual, unit in zip(
                (left.interior, left.front), found, factor, strict=True
            ):
                removed += [
                    unit * np.asarray(r - o)
                    for r, o in zip(residual, part.blend.others, strict=True)
                ]
            total = [
                unit * np.asarray(r) for rs, unit in zip(found, factor, strict=True) for r in rs
            ]
    for first, second, whole in zip(removed[:4], removed[4:], total, strict=True):
        np.testing.assert_allclose(first + second, whole, rtol=1e-7, atol=1e-9 * abs(whole).max())


def test_a_region_without_neighbours_at_its_points_is_alone():
    model, thetas = networks()

    def everywhere(region, x, y, order):
        ones, none = np.ones(x.shape), np.zeros(x.shape)
        return [ones if region == 0 else none, *[none] * 5][: (1, 3, 6)[order]]

    neighbours = Neighbours(everywhere, SCALES, model)
    neighbours.stand_still(thetas)
    with double_precision():
        alone = equations(model, thetas[0], batch_of(0), 0)
        blend = equations(model, thetas[0], neighbours.blended(0, batch_of(0)), 0)
    for one, other in zip(jax.tree.leaves(alone), jax.tree.leaves(blend), strict=True):
        np.testing.assert_array_equal(one, other)
