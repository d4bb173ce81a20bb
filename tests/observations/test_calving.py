"""The calving front of shelves whose outline has a formula."""

from __future__ import annotations

import numpy as np
import pytest

from xdiffice.errors import DataValuesError
from xdiffice.observations.calving import calving_front, open_ocean

RADIUS, PIXEL = 50e3, 500.0
DEGREES = 180 / np.pi


def axes(half: float = 80e3, shift=(0.0, 0.0)) -> tuple[np.ndarray, np.ndarray]:
    """Return x rising and y falling, as products have them."""
    along = np.arange(-half, half, PIXEL)
    return along + shift[0], along[::-1] + shift[1]


def disc(x, y, centre=(0.0, 0.0), radius=RADIUS) -> np.ndarray:
    return np.hypot(x - centre[0], y[:, None] - centre[1]) < radius


def round_shelf(x, y) -> tuple[np.ndarray, np.ndarray]:
    """A shelf around an ice rise, with a polynya in it, in the open sea."""
    ice = disc(x, y)
    rise, polynya = disc(x, y, (1e4, 0.0), 6e3), disc(x, y, (-25e3, 1e4), 4e3)
    return ice & ~rise & ~polynya, ~ice | polynya


def errors(front) -> tuple[float, float]:
    """Root mean square of the position, m, and mean of the direction, degrees."""
    radius = np.hypot(front.x, front.y)
    cosine = (front.x * front.n_x + front.y * front.n_y) / radius
    turned = np.arccos(np.clip(cosine, -1, 1)) * DEGREES
    return float(np.sqrt(np.mean((radius - RADIUS) ** 2))), float(turned.mean())


@pytest.mark.parametrize("shift", [(0.0, 0.0), (130.0, -90.0), (-210.0, 240.0)])
@pytest.mark.parametrize("turned", ["as it is", "y rises", "x falls"])
def test_a_circle_is_met_wherever_the_pixels_are(shift, turned):
    x, y = axes(shift=shift)
    if turned == "y rises":
        y = y[::-1]
    if turned == "x falls":
        x = x[::-1]
    front = calving_front(x, y, *round_shelf(x, y))
    position, direction = errors(front)
    assert position < 75
    assert direction < 1.5
    np.testing.assert_allclose(np.hypot(front.n_x, front.n_y), 1, rtol=1e-12)
    assert front.x.size == pytest.approx(2 * np.pi * RADIUS / PIXEL, rel=0.01)
    angles = np.sort(np.arctan2(front.y, front.x))
    assert np.diff(angles).max() * RADIUS < 1.1 * PIXEL


def test_the_front_turns_with_the_shelf():
    x, y = axes(shift=(130.0, -90.0))
    shelf, ocean = round_shelf(x, y)
    plain = calving_front(x, y, shelf, ocean)
    turned = calving_front(-y, x, shelf.T, ocean.T)
    key, other = (
        np.lexsort(np.round((a, b), 3)) for a, b in ((plain.x, plain.y), (turned.y, -turned.x))
    )
    # Lines begin elsewhere, so that points lie elsewhere on the same line.
    assert abs(key.size - other.size) <= 1
    for one in (plain, turned):
        assert errors(one)[0] < 65
    assert errors(turned)[0] == pytest.approx(errors(plain)[0], rel=0.05)
    assert errors(turned)[1] == pytest.approx(errors(plain)[1], rel=0.05)


def test_points_are_as_far_apart_as_is_asked_for():
    x, y = axes()
    front = calving_front(x, y, *round_shelf(x, y), spacing=2e3)
    angles = np.sort(np.arctan2(front.y, front.x))
    np.testing.assert_allclose(np.diff(angles) * RADIUS, 2e3, rtol=0.05)


def strait(x, y):
    """Grounded ice north and south, a shelf between, the sea in the west and in the east."""
    shelf = np.broadcast_to((np.abs(x) < 40e3) & (np.abs(y[:, None]) < 30e3), (y.size, x.size))
    land = np.broadcast_to(np.abs(y[:, None]) >= 30e3, shelf.shape)
    return shelf, ~shelf & ~land


def test_two_fronts_are_kept_and_the_grounding_line_is_none():
    x, y = axes()
    front = calving_front(x, y, *strait(x, y))
    for side in (-1, 1):
        own = front.x * side > 0
        ahead = own & (np.abs(front.y) < 25e3)
        assert ahead.sum() == pytest.approx(50e3 / PIXEL, rel=0.03)
        np.testing.assert_allclose(front.x[ahead], side * 40e3, atol=PIXEL / 2 + 1)
        np.testing.assert_allclose(front.n_x[ahead], side, atol=1e-3)
    assert (np.abs(front.y) < 30e3 + PIXEL).all()
    inner = np.abs(front.x) < 40e3 - 3 * PIXEL
    assert not inner.any()


def test_the_coast_of_grounded_ice_beside_a_shelf_is_no_front():
    x, y = axes()
    shelf = np.broadcast_to((x < 0) & (np.abs(y[:, None]) < 20e3), (y.size, x.size))
    land = np.broadcast_to((x < 0) & (np.abs(y[:, None]) >= 20e3), shelf.shape)
    front = calving_front(x, y, shelf, ~shelf & ~land)
    assert np.abs(front.y).max() < 20e3 + PIXEL
    assert front.x.size == pytest.approx(40e3 / PIXEL, abs=3)


def test_only_the_front_of_this_shelf_counts():
    x, y = axes()
    here, there = disc(x, y, (-40e3, 0.0), 20e3), disc(x, y, (40e3, 0.0), 20e3)
    front = calving_front(x, y, here, ~(here | there))
    assert front.x.max() < 0
    assert front.x.size == pytest.approx(2 * np.pi * 20e3 / PIXEL, rel=0.02)


def test_water_that_the_ice_surrounds_is_no_ocean():
    x, y = axes()
    _, ocean = round_shelf(x, y)
    np.testing.assert_array_equal(open_ocean(ocean), ~disc(x, y))
    assert not open_ocean(ocean & disc(x, y)).any()


@pytest.mark.parametrize("kind", ["held", "nothing floats", "all ocean"])
def test_a_shelf_without_a_front_is_told(kind):
    x, y = axes()
    shelf, nothing = disc(x, y), np.zeros((y.size, x.size), bool)
    given = {
        "held": (shelf, nothing),
        "nothing floats": (nothing, ~shelf),
        "all ocean": (nothing, ~nothing),
    }[kind]
    with pytest.raises(DataValuesError, match="does not meet the open ocean"):
        calving_front(x, y, *given)
