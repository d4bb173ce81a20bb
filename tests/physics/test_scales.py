"""From SI to numbers of order one and back."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xdiffice.physics.constants import PhysicalConstants
from xdiffice.physics.scales import Affine, Scales, scales_of

CONSTANTS = PhysicalConstants()


def shelf(n: int = 200, **changes) -> Scales:
    rng = np.random.default_rng(0)
    data = {
        "position": (rng.uniform(1e6, 1.1e6, n), rng.uniform(-5e5, -4.6e5, n)),
        "velocity": (rng.normal(1e-5, 4e-6, n), rng.normal(-2e-6, 1e-6, n)),
        "thickness": rng.normal(400, 50, n),
    }
    return scales_of(**(data | changes), constants=CONSTANTS)


def test_positions_are_centred_and_share_one_length():
    x, y = np.array([2e6, 2.08e6, 2.01e6]), np.array([-1e5, -0.5e5, -0.7e5])
    scales = shelf(position=(x, y))
    assert scales.length == scales.x.scale == scales.y.scale == 4e4
    np.testing.assert_allclose(scales.x.to_unit(x), [-1, 1, -0.75], atol=1e-14)
    np.testing.assert_allclose(scales.y.to_unit(y), [-0.625, 0.625, 0.125], atol=1e-14)


def test_data_have_mean_zero_and_half_a_unit_of_standard_deviation():
    rng = np.random.default_rng(1)
    u, v, h = rng.normal(1e-5, 4e-6, 500), rng.normal(-2e-6, 1e-6, 500), rng.normal(400, 50, 500)
    scales = shelf(velocity=(u, v), thickness=h)
    for affine, values in ((scales.u, u), (scales.v, v), (scales.h, h)):
        unit = affine.to_unit(values)
        assert abs(unit.mean()) < 1e-12
        assert unit.std() == pytest.approx(0.5, rel=1e-12)
    assert scales.speed == 2 * u.std()
    assert scales.thickness == h.mean()


def test_units_of_the_equations():
    affine = Affine(0.0, 5e4)
    constants = PhysicalConstants(ice_density=900.0, sea_water_density=1000.0, gravity=10.0)
    u, v, h = Affine(1e-5, 2e-5), Affine(0.0, 1e-5), Affine(400.0, 100.0)
    scales = Scales(affine, affine, u, v, h, constants)
    assert constants.driving_weight == pytest.approx(900.0)  # 900 x 10 x (1 - 0.9)
    assert scales.strain_rate == pytest.approx(4e-10)  # 2e-5 / 5e4
    assert scales.stress == pytest.approx(360e3)
    assert scales.viscosity == pytest.approx(9e14)
    assert scales.momentum == pytest.approx(2880.0)  # 360e3 x 400 / 5e4
    units = scales.equation_units
    np.testing.assert_allclose(units.u, (0.5, 1.0))
    np.testing.assert_allclose(units.v, (0.0, 0.5))
    np.testing.assert_allclose(units.h, (1.0, 0.25))


@settings(max_examples=50, deadline=None)
@given(
    mean=st.floats(-1e7, 1e7),
    scale=st.floats(1e-9, 1e6),
    values=st.lists(st.floats(-100, 100), min_size=1, max_size=5),
)
def test_there_and_back(mean, scale, values):
    affine, values = Affine(mean, scale), np.array(values)
    rounding = 4e-16 * (abs(mean) / scale + 100)
    np.testing.assert_allclose(affine.to_unit(affine.to_si(values)), values, atol=rounding)


ZERO, ONES = np.zeros(50), np.ones(50)
VARIED = np.linspace(1e-5, 3e-5, 50)


@pytest.mark.parametrize(
    ("velocity", "speed"),
    [
        ((VARIED, ZERO), 2 * VARIED.std()),  # flow along an axis
        ((ZERO, VARIED), 2 * VARIED.std()),
        ((VARIED, 2e-5 * ONES), 2 * VARIED.std()),
        ((ZERO, ZERO), 1.0),
        ((3e-5 * ONES, 4e-5 * ONES), 1e-6 * 5e-5),  # a block that moves as a whole
    ],
)
def test_a_component_that_does_not_vary_has_a_scale(velocity, speed):
    scales = shelf(50, velocity=velocity)
    assert scales.speed == pytest.approx(speed)
    for affine, values in zip((scales.u, scales.v), velocity, strict=True):
        assert affine.scale >= 0.999e-3 * speed
        assert np.isfinite(affine.to_unit(values)).all()
    assert np.isfinite(np.array(scales.equation_units)).all()


def test_a_slab_of_constant_thickness_has_a_scale():
    scales = shelf(50, thickness=300 * ONES)
    assert scales.h == Affine(300.0, 0.3)
    np.testing.assert_array_equal(scales.h.to_unit(300 * ONES), 0.0)


def test_constants_enter_the_viscosity_and_nothing_else():
    rng = np.random.default_rng(0)
    x, y, u, v = rng.normal(size=(4, 50))
    h = rng.uniform(300, 500, 50)
    other = PhysicalConstants(gravity=2 * CONSTANTS.gravity)
    one, two = (scales_of((x, y), (u, v), h, c) for c in (CONSTANTS, other))
    assert two.viscosity == pytest.approx(2 * one.viscosity, rel=1e-15)
    assert two.equation_units == one.equation_units
    assert (two.x, two.y, two.u, two.v, two.h) == (one.x, one.y, one.u, one.v, one.h)


def test_reduced_gravity():
    # g (1 - 917 / 1030): 1.075 m s-2.
    assert CONSTANTS.reduced_gravity == pytest.approx(9.8 * 113 / 1030, rel=1e-15)
    assert CONSTANTS.driving_weight == pytest.approx(917 * 9.8 * 113 / 1030, rel=1e-15)
