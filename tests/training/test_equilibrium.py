"""The first viscosity is that of shelves whose viscosity has a formula."""

from __future__ import annotations

import numpy as np
import pytest

from xdiffice.forward.lattice_elements import Elements
from xdiffice.model.precision import double_precision
from xdiffice.physics.jets import Jet
from xdiffice.physics.rheology import Anisotropic, Glen, Isotropic
from xdiffice.training import equilibrium as module
from xdiffice.training.equilibrium import CONVERGED, Motion, equilibrium

RATE = 0.8


def square(n: int, front=None, cells=None) -> Elements:
    """Return n x n cells of [-1, 1]², all around which there is sea unless told otherwise."""
    side = np.linspace(-1, 1, n + 1)
    cells = np.ones((n, n), bool) if cells is None else cells
    if front is None:
        along = np.linspace(-1, 1, 8 * n)
        ends = np.ones_like(along)
        front = (
            np.concatenate([along, along, ends, -ends]),
            np.concatenate([ends, -ends, along, along]),
        )
    return Elements(side, side, cells, front)


def sea_to_the_right(n: int):
    y = np.linspace(-1, 1, 8 * n)
    return np.ones_like(y), y


def spreading(x, y, error: float = 0.0) -> tuple[Motion, np.ndarray]:
    """u = a x, v = a y: T = ½ h I and μ = h / (12 a), whatever the thickness."""
    h = 1 + 0.2 * np.sin(2 * x + 0.7 * y)
    zero, rate = np.zeros_like(x), np.full_like(x, RATE)
    motion = Motion(Jet(RATE * x, rate, zero), Jet(RATE * y, zero, rate), h, error)
    return motion, np.log(h / (12 * RATE))


def stretching(x, y) -> tuple[Motion, np.ndarray]:
    """u = u(x), v = b y, h = h(x): μ = h / (4 (2 u_x + b)), T_xx = ½ h."""
    u_x, b, h = 1 + 0.5 * np.cos(2 * x), 0.3, 1.2 - 0.4 * np.sin(x)
    zero = np.zeros_like(x)
    motion = Motion(Jet(zero, u_x, zero), Jet(b * y, zero, zero + b), h, 0.0)
    return motion, np.log(h / (4 * (2 * u_x + b)))


def found_and_true(elements: Elements, shelf, rheology=None) -> tuple[np.ndarray, np.ndarray]:
    motion, _ = shelf(*elements.points)
    found = equilibrium(elements, motion, rheology or Isotropic())
    return found, shelf(*elements.nodes)[1]


def test_an_even_slab_has_its_viscosity_at_once():
    elements = square(6)
    x, _ = elements.points
    motion, _ = spreading(*elements.points)
    motion = Motion(motion.u, motion.v, np.ones_like(x), 0.0)
    found = equilibrium(elements, motion, Isotropic())
    # Newton's method has stopped when a step was smaller than `CONVERGED`.
    np.testing.assert_allclose(found, -np.log(12 * RATE), atol=CONVERGED**2)


@pytest.mark.parametrize(
    ("shelf", "sea"), [(spreading, None), (stretching, sea_to_the_right)], ids=["even", "uniaxial"]
)
def test_the_error_falls_with_the_size_of_the_elements(shelf, sea):
    errors = []
    for n in (8, 16, 32):
        found, true = found_and_true(square(n, sea and sea(n)), shelf)
        errors.append(np.sqrt(np.mean((found - true) ** 2)))
    assert errors[0] > 2.5 * errors[1] > 2.5**2 * errors[2]
    assert errors[2] < 0.004


def test_walls_tell_nothing_that_the_ice_does_not_know():
    """A wall's force is unknown: with that of the sea the viscosity is not that of the ice."""
    found, true = found_and_true(square(24, sea_to_the_right(24)), stretching)
    wrong, _ = found_and_true(square(24), stretching)
    assert np.abs(found - true).max() < 0.06
    assert np.sqrt(np.mean((wrong - true) ** 2)) > 10 * np.sqrt(np.mean((found - true) ** 2))


def test_two_viscosities_are_given_one_value():
    one, _ = found_and_true(square(10), spreading)
    two, _ = found_and_true(square(10), spreading, Anisotropic())
    np.testing.assert_array_equal(one, two)


def test_hardness_of_an_even_flow_goes_with_its_viscosity(monkeypatch):
    monkeypatch.setattr(module, "CONVERGED", 1e-9)
    monkeypatch.setattr(module, "MOST_STEPS", 60)
    glen = Glen(floor=1e-9)
    viscosity, _ = found_and_true(square(10), spreading)
    hardness, _ = found_and_true(square(10), spreading, glen)
    one = np.ones(1)
    with double_precision():
        motion, _ = spreading(one, one)
        mu, _ = glen.viscosities((Jet(one),), motion.u, motion.v)
    np.testing.assert_allclose(hardness + np.log(float(mu.value[0])), viscosity, atol=1e-7)


@pytest.mark.parametrize("axis", ["x", "y", "turned"])
def test_it_does_not_depend_on_the_directions_of_the_axes(axis):
    n = 10
    elements = square(n)

    def mapped(x, y):
        return {"x": (-x, y), "y": (x, -y), "turned": (y, -x)}[axis]

    def turned(x, y):
        motion, true = spreading(*mapped(x, y))
        # The flow u = a x is the same in all of them.
        straight, _ = spreading(x, y)
        return Motion(straight.u, straight.v, motion.h, 0.0), true

    plain = elements.filled(found_and_true(elements, spreading)[0])
    other = elements.filled(found_and_true(elements, turned)[0])
    expected = {"x": plain[:, ::-1], "y": plain[::-1], "turned": plain[::-1].T}[axis]
    np.testing.assert_allclose(other, expected, atol=1e-8)


def test_faster_ice_is_softer_and_nothing_else():
    elements = square(10)
    motion, _ = spreading(*elements.points, error=0.01)
    fast = Motion(motion.u.scaled(3.0), motion.v.scaled(3.0), motion.h, 0.03)
    slow, fast = (equilibrium(elements, one, Isotropic()) for one in (motion, fast))
    np.testing.assert_allclose(fast, slow - np.log(3), atol=1e-9)


def test_noise_is_smoothed_where_it_is_known():
    elements = square(24)
    motion, _ = spreading(*elements.points)
    _, true = spreading(*elements.nodes)
    rng = np.random.default_rng(0)

    def noisy(jet):
        return Jet(jet.value, *(part + 0.3 * rng.normal(size=part.shape) for part in jet[1:3]))

    u, v, errors = noisy(motion.u), noisy(motion.v), []
    for error in (0.0, 0.1):
        found = equilibrium(elements, Motion(u, v, motion.h, error), Isotropic())
        errors.append(np.sqrt(np.mean((found - true) ** 2)))
    assert errors[1] < 0.06
    assert errors[1] < 0.7 * errors[0]


def test_ice_that_is_said_to_move_against_the_sea_is_not_taken_for_water():
    """No viscosity explains a front that closes up: what lies around it goes on."""
    elements = square(24, sea_to_the_right(24))
    x, y = elements.points
    motion, _ = spreading(x, y)
    patch = np.hypot(x - 1, y) < 0.2
    u, v = (
        Jet(jet.value, *(np.where(patch, -part, part) for part in jet[1:3]))
        for jet in (motion.u, motion.v)
    )
    found = equilibrium(elements, Motion(u, v, motion.h, 0.02), Isotropic())
    away = found - spreading(*elements.nodes)[1]
    assert np.abs(away).max() < np.log(30)
    far = np.hypot(elements.nodes[0] - 1, elements.nodes[1]) > 0.5
    assert np.sqrt(np.mean(away[far] ** 2)) < 0.1


def test_less_ice_than_none_is_thin_ice():
    elements = square(8)
    motion, _ = spreading(*elements.points)
    hole = np.hypot(*elements.points) < 0.4

    def found(h):
        return equilibrium(elements, Motion(motion.u, motion.v, h, 0.0), Isotropic())

    nowhere = found(np.where(hole, -0.005, motion.h))
    thin = found(np.where(hole, 0.001, motion.h))
    assert 0 < np.abs(nowhere - thin).max() < 1e-3  # thickness counts by what it is elsewhere
    assert np.isfinite(found(-motion.h)).all()


def test_a_shelf_that_is_held_everywhere_has_one_viscosity():
    elements = square(1, (np.zeros(0), np.zeros(0)))
    motion, _ = spreading(*elements.points)
    found = equilibrium(elements, motion, Isotropic())
    assert np.ptp(found) == 0
    assert np.abs(found + np.log(12 * RATE)).max() < 0.7  # twice or half of what would balance
