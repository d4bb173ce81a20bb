"""What regions are told before the training: how much their thickness weighs beside velocity."""

from __future__ import annotations

import numpy as np
import pytest

import xdiffice
from xdiffice.inversion import Inversion
from xdiffice.observations.gather import gather
from xdiffice.physics.constants import PhysicalConstants
from xdiffice.preparation import Part, make_regions, thickness_gain
from xdiffice.super_observations import NOISE_FLOOR

SHELF = {"u": 1.0, "v": 0.25, "h": 0.01}


def gathered(shelf):
    return gather(shelf, None, mask=None, front=None, variables=None, units=None)


@pytest.mark.parametrize(
    ("region", "gain"),
    [
        (SHELF, 1.0),
        # half of the range of all fields: everything counts four times
        ({"u": 4.0, "v": 1.0, "h": 0.04}, 1.0),
        # half of the range of the velocity, thickness known by its noise
        ({"u": 4.0, "v": 1.0, "h": 0.01}, 2.0),
        ({"u": 4.0, "v": 0.25, "h": 0.01}, 2.5**0.5),
        # a plain: thickness hardly varies, and every metre counts there
        ({"u": 1.0, "v": 0.25, "h": 1.0}, 1.0),
    ],
)
def test_thickness_keeps_its_weight_beside_velocity(region, gain):
    assert thickness_gain(region, SHELF) == pytest.approx(gain)


def test_precision_is_that_of_noise_where_there_is_noise():
    shelf = xdiffice.synthetic.confined_shelf(shape=(60, 90))
    clean = Part(gathered(shelf), PhysicalConstants())
    noise = 30 * np.random.default_rng(0).standard_normal(shelf["thickness"].shape)
    thickness = shelf["thickness"]
    with_noise = shelf.assign(thickness=thickness.copy(data=thickness.values + noise))
    noisy = Part(gathered(with_noise), PhysicalConstants())
    for name in "uvh":
        # without noise, squares over squared units, but for what bends between neighbours
        assert clean.precision[name] == pytest.approx(
            getattr(clean.scales, name).scale ** -2, rel=0.2
        )
    of_noise = noisy.scales.h.scale**2 + (30 / NOISE_FLOOR) ** 2
    assert noisy.precision["h"] * of_noise == pytest.approx(1, rel=0.1)
    assert noisy.precision["u"] == clean.precision["u"]


def test_only_regions_weigh_thickness_differently():
    shelf = xdiffice.synthetic.confined_shelf(shape=(40, 60))
    observations = gathered(shelf)
    one = xdiffice.SSAViscosityInverter()
    whole = Part(observations, PhysicalConstants())
    choices = Inversion(one, observations).choices
    (alone,) = make_regions(one, choices, [whole], whole)
    assert alone.recipe.weights.thickness == one.thickness_weight
    inversion = Inversion(one.set_params(subdomains=3), observations)
    regions = make_regions(one, choices, inversion._parts, whole)
    expected = [
        one.thickness_weight * thickness_gain(part.precision, whole.precision)
        for part in inversion._parts
    ]
    assert [region.recipe.weights.thickness for region in regions] == pytest.approx(expected)
    assert max(expected) > one.thickness_weight
