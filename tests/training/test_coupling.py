"""Regions in different units see one and the same field at their interfaces."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from two_regions import ONE, OTHER, SmoothModel, theta_of

from xdiffice.model.fields import Model
from xdiffice.model.network import Network
from xdiffice.model.precision import double_precision
from xdiffice.physics.rheology import Anisotropic, Isotropic
from xdiffice.training.coupling import POINTS, PULL, Seams, conditions
from xdiffice.training.loss import (
    Batch,
    Shares,
    interface_terms,
)


def seams(n: int = 30, rheology=SmoothModel.rheology) -> Seams:
    x, y = np.random.default_rng(0).uniform(-1e4, 3e4, (2, n))
    return Seams((x, y), (np.zeros(n, int), np.ones(n, int)), (ONE, OTHER), rheology)


@pytest.mark.parametrize("region", [0, 1])
def test_jumps_of_one_smooth_field_vanish_in_any_units(region):
    scales = (ONE, OTHER)
    with double_precision():
        targets = seams().targets(SmoothModel(), [theta_of(s) for s in scales], "float64")
        own, target = scales[region], targets[region]
        found = conditions(SmoothModel(), theta_of(own), own.equation_units, target.x, target.y)
        batch = Batch(None, None, None, None, interface=target)
        shares = Shares(0, 0, 0, 0, interface=1 / target.x.size)
        terms = interface_terms(found, batch, shares, own.equation_units)
    assert set(terms) == {f"interface_{n}" for n in ("values", "slopes", "viscosity", "forces")}
    assert max(map(float, terms.values())) < 1e-24
    # They are there at all: another field is noticed by every term.
    with double_precision():
        changed = jax.tree.map(lambda a: a + 0.1, found)
        terms = interface_terms(changed, batch, shares, own.equation_units)
    assert min(map(float, terms.values())) > 1e-3
    expected = PULL * 0.01 * sum(1 / unit.scale**2 for unit in own.equation_units)
    assert float(terms["interface_values"]) == pytest.approx(expected)
    assert float(terms["interface_viscosity"]) == pytest.approx(PULL * 0.01)


def test_every_region_sees_its_own_interfaces_and_no_more_than_it_needs():
    n = 3 * POINTS
    sides = np.zeros(n, int), np.where(np.arange(n) < 10, 1, 2)
    x = np.linspace(0.0, 2e4, n)
    met = Seams((x, 0 * x), sides, (ONE, OTHER, ONE, OTHER), Isotropic())
    with double_precision():
        thetas = [theta_of(s) for s in (ONE, OTHER, ONE, OTHER)]
        batches = met.targets(SmoothModel(), thetas, "float64")
    used = [int((batch.weight > 0).sum()) for batch in batches]
    assert used == [POINTS, 10, POINTS, 0]  # the last region meets nobody
    for batch, count in zip(batches, used, strict=True):
        assert batch.x.shape == (POINTS,)
        assert batch.weight.mean() == pytest.approx(PULL if count else 0.0)
    own = OTHER.x.to_si(batches[1].x[:10])
    np.testing.assert_allclose(own, x[:10], rtol=1e-12)


def test_both_sides_are_drawn_to_what_is_midway():
    model = Model(Network(3, 6, 2), Network(2, 5, 2), Anisotropic())
    thetas = [model.init(np.random.default_rng(seed)) for seed in (0, 1)]
    with double_precision():
        batches = seams(POINTS, Anisotropic()).targets(model, thetas, "float64")
        own, neighbour = (
            conditions(
                model, jnp.asarray(theta), scales.equation_units,
                scales.x.to_unit(ONE.x.to_si(batches[0].x)),
                scales.y.to_unit(ONE.y.to_si(batches[0].y)),
            )
            for theta, scales in zip(thetas, (ONE, OTHER), strict=True)
        )  # fmt: skip
    one, other = (batch.target for batch in batches)
    assert len(one.viscosity) == 2
    # The same in SI for both, whoever it is; so a jump is gone when each has gone half of the way.
    shift = np.log(OTHER.viscosity / ONE.viscosity)
    for met, same, mine, theirs in zip(
        one.viscosity, other.viscosity, own.viscosity, neighbour.viscosity, strict=True
    ):
        expected = 0.5 * (np.asarray(mine) + np.asarray(theirs) + shift)
        np.testing.assert_allclose(met, expected, rtol=1e-12)
        np.testing.assert_allclose(same + shift, met, rtol=1e-12)
    for name, units in {
        "values": [(scale.speed, scale.thickness) for scale in (ONE, OTHER)],
        "forces": [(scale.momentum, scale.momentum) for scale in (ONE, OTHER)],
    }.items():
        for k in (0, -1):  # u and h, both forces
            met, same, mine, theirs = (
                getattr(found, name)[k] for found in (one, other, own, neighbour)
            )
            here, there = units[0][k], units[1][k]
            expected = 0.5 * (np.asarray(mine) * here + np.asarray(theirs) * there)
            np.testing.assert_allclose(met * here, expected, rtol=1e-12)
            np.testing.assert_allclose(same * there, expected, rtol=1e-12)
            assert np.abs(expected / here - np.asarray(mine)).max() > 1e-3
