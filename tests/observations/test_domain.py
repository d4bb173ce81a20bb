"""Where a shelf is: the same answer from its raster as from the distances to its pixels."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xdiffice.observations.points import Domain

PIXELS = np.column_stack([axis.ravel() for axis in np.mgrid[0:12, 0:9]]).astype(float)


def brute(domain: Domain, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    distance = np.hypot(domain.x[:, None] - x, domain.y[:, None] - y).min(axis=0)
    return distance <= domain.spacing * np.sqrt(0.5) * (1 + 1e-6)


@settings(deadline=None)
@given(
    seed=st.integers(0, 1000),
    share=st.floats(0.05, 1.0),
    spacing=st.floats(1.0, 1e4),
    origin=st.floats(-3e6, 3e6),
)
def test_a_raster_answers_as_its_pixels_do(seed, share, spacing, origin):
    rng = np.random.default_rng(seed)
    chosen = PIXELS[rng.permutation(len(PIXELS))[: max(3, int(share * len(PIXELS)))]]
    domain = Domain(origin + spacing * chosen[:, 0], spacing * chosen[:, 1] - origin, spacing)
    x = origin + spacing * rng.uniform(-3, 15, 400)
    y = spacing * rng.uniform(-3, 12, 400) - origin
    np.testing.assert_array_equal(domain.contains(x, y), brute(domain, x, y))


def test_points_that_are_no_raster_are_looked_up_one_by_one():
    x, y = np.random.default_rng(0).uniform(0, 10, (2, 300))
    domain = Domain(x, y, 0.4)
    at = np.random.default_rng(1).uniform(-1, 11, (2, 500))
    assert domain._raster is None
    np.testing.assert_array_equal(domain.contains(*at), brute(domain, *at))


def test_corners_of_pixels_belong_to_them_and_nan_to_nothing():
    domain = Domain(np.array([0.0, 2.0]), np.array([0.0, 0.0]), 2.0)
    x, y = (
        np.array([-1.0, 1.0, 3.0, 3.1, np.nan, 0.0]),
        np.array([1.0, -1.0, 1.0, 1.0, 0.0, np.nan]),
    )
    expected = [True, True, True, False, False, False]
    np.testing.assert_array_equal(domain.contains(x, y), expected)
    assert domain.contains(x.reshape(2, 3), y.reshape(2, 3)).shape == (2, 3)


@pytest.mark.parametrize("n", [1, 2])
def test_a_pixel_or_two(n):
    domain = Domain(np.arange(n) * 500.0, np.zeros(n), 500.0)
    assert domain.contains(np.zeros(1), np.zeros(1)).all()


@pytest.mark.parametrize("on_raster", [True, False])
def test_values_of_pixels_hold_as_far_as_these_do(on_raster):
    rng = np.random.default_rng(0)
    chosen = PIXELS[rng.permutation(len(PIXELS))[:60]] * 500.0
    if not on_raster:
        chosen = chosen + rng.uniform(-50, 50, chosen.shape)
    domain = Domain(chosen[:, 0], chosen[:, 1], 500.0)
    assert (domain._raster is not None) == on_raster
    values = rng.integers(1, 7, 60).astype(np.int8)
    x, y = rng.uniform(-300, 5500, (2, 3000))
    inside = domain.contains(x, y)
    x, y = x[inside], y[inside]
    found = domain.spread(values)(x, y)
    distance = np.hypot(domain.x[:, None] - x, domain.y[:, None] - y)
    near = np.maximum(np.abs(domain.x[:, None] - x), np.abs(domain.y[:, None] - y)) < 249
    within = near.any(axis=0)
    assert within.sum() > 500
    np.testing.assert_array_equal(found[within], values[distance.argmin(axis=0)][within])
    # Half a pixel off the shelf it is that of some pixel around.
    for k in np.flatnonzero(~within):
        assert found[k] in values[distance[:, k] < 1.5 * 500 * np.sqrt(2)]
