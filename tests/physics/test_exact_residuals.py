"""Flows that solve the shallow-shelf equations by formula leave no residual, in any units."""

from __future__ import annotations

import dataclasses

import jax.numpy as jnp
import numpy as np
import pytest
from analytic_fields import (
    Flow,
    derivative,
    jets,
    random_flow,
    sheared,
    spreading,
    stretching,
    wave_numbers,
    waves,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from xdiffice.physics.constants import PhysicalConstants
from xdiffice.physics.ssa import front_residual, momentum_residual

few = settings(max_examples=30, deadline=None)
ratios = st.floats(0.0, 5.0)
seeds = st.integers(0, 10_000)
constants = st.builds(
    PhysicalConstants,
    ice_density=st.floats(800.0, 920.0),
    sea_water_density=st.floats(1000.0, 1035.0),
    gravity=st.floats(9.7, 9.9),
)
UNITY = {"weight": 1.0, "length": 1.0, "rate": 1.0, "h0": 1.0}
ANY_ANGLE = np.linspace(-np.pi, np.pi, 40)


@st.composite
def sizes(draw: st.DrawFn) -> dict[str, float]:
    """Draw ρ g', L, a strain rate and h0, in SI or nondimensional."""
    if draw(st.booleans()):
        return UNITY | {"rate": draw(st.floats(0.1, 3.0))}
    return {
        "weight": draw(constants).driving_weight,
        "length": draw(st.floats(1e4, 5e5)),
        "rate": draw(st.floats(1e-11, 1e-8)),
        "h0": draw(st.floats(100.0, 2000.0)),
    }


def points(length: float) -> tuple[np.ndarray, np.ndarray]:
    x, y = np.random.default_rng(0).uniform(-length, length, (2, 40))
    return x, y


def residuals(make, size: dict, angle: np.ndarray = ANY_ANGLE, **parameters) -> tuple:
    """Largest residuals of momentum in ρ g' h0² / L and of the front, at any angle, in ρ g' h0."""
    weight, length, h0 = size["weight"], size["length"], size["h0"]
    u, v, h, mu_h, mu_v = jets(make, *points(length), **parameters)
    momentum = momentum_residual(u, v, h, mu_h, mu_v, weight=weight)
    normal = (np.cos(angle), np.sin(angle))
    front = front_residual(u, v, h.value, mu_h.value, mu_v.value, normal, weight=weight)
    return (
        np.abs(momentum).max() * length / (weight * h0**2),
        np.abs(front).max() / (weight * h0),
    )


@few
@given(size=sizes(), lateral=st.floats(-0.4, 2.0), ratio=ratios)
def test_a_shelf_that_stretches_along_x(size, lateral, ratio):
    momentum, front = residuals(
        stretching, size, 0 * ANY_ANGLE, **size, lateral=lateral, ratio=ratio
    )
    assert momentum < 1e-10
    assert front < 1e-10


@few
@given(size=sizes(), ratio=ratios, seed=seeds)
def test_a_shelf_that_spreads_evenly_with_fronts_of_any_direction(size, ratio, seed):
    momentum, front = residuals(spreading, size, **size, ratio=ratio, numbers=wave_numbers(seed))
    assert momentum < 1e-10
    assert front < 1e-10


@few
@given(size=sizes(), shear=st.floats(-2.0, 2.0))
def test_a_sheared_shelf_in_which_both_viscosities_matter(size, shear):
    momentum, _ = residuals(sheared, size, **size, shear=shear * size["rate"])
    assert momentum < 1e-10


def no_horizontal_viscosity(numbers, weight) -> Flow:
    """μ_h = 0, μ_v = ρ g' h / (4 tr ε), for any flow that stretches."""
    v, h, ripples = waves(numbers[0]), waves(numbers[1], 1.0, 0.5), waves(numbers[2])

    def u(x, y):
        return 8 * x + ripples(x, y)

    def mu_v(x, y):
        return weight * h(x, y) / (4 * (derivative(u, "x")(x, y) + derivative(v, "y")(x, y)))

    return Flow(u, v, h, lambda x, y: 0 * x, mu_v)


@few
@given(seed=seeds, weight=st.floats(0.5, 2000.0))
def test_ice_without_horizontal_viscosity_solves_every_flow(seed, weight):
    # Why the anisotropic problem alone has no unique solution.
    numbers = np.stack([wave_numbers(seed + k) for k in range(3)])
    numbers[:, :2] = numbers[:, :2].clip(-2, 2)  # |v_y| and |ripples_x| stay below 2: tr ε > 0
    size = UNITY | {"weight": weight}
    momentum, front = residuals(no_horizontal_viscosity, size, numbers=numbers, weight=weight)
    assert momentum < 1e-10
    assert front < 1e-10


EXACT = {
    stretching: UNITY | {"lateral": 0.5, "ratio": 1.0},
    spreading: UNITY | {"ratio": 1.0, "numbers": wave_numbers(0)},
    sheared: UNITY | {"shear": 1.0},
}


@pytest.mark.parametrize("changed", ["u", "v", "h", "mu_h", "mu_v"])
@pytest.mark.parametrize("make", EXACT)
def test_a_wrong_field_is_noticed(make, changed):
    # Otherwise the bounds above would mean nothing.
    def wrong(**parameters) -> Flow:
        flow = make(**parameters)
        true = getattr(flow, changed)
        ripple = {changed: lambda x, y: true(x, y) * (1 + 1e-6 * jnp.sin(2 * x + y))}
        return dataclasses.replace(flow, **ripple)

    momentum, _ = residuals(wrong, UNITY, **EXACT[make])
    assert momentum > 1e-8


def test_mu_h_and_mu_v_are_not_exchangeable():
    def swapped(**parameters) -> Flow:
        flow = sheared(**parameters)
        return dataclasses.replace(flow, mu_h=flow.mu_v, mu_v=flow.mu_h)

    assert residuals(swapped, UNITY, **EXACT[sheared])[0] > 1e-2


def stress(flow: Flow):
    """T_xx, T_yy, T_xy as functions: T = 2 μ_h ε + 2 μ_v tr(ε) I."""
    u_x, u_y = (derivative(flow.u, axis) for axis in "xy")
    v_x, v_y = (derivative(flow.v, axis) for axis in "xy")

    def pressure(x, y):
        return 2 * flow.mu_v(x, y) * (u_x(x, y) + v_y(x, y))

    return (
        lambda x, y: 2 * flow.mu_h(x, y) * u_x(x, y) + pressure(x, y),
        lambda x, y: 2 * flow.mu_h(x, y) * v_y(x, y) + pressure(x, y),
        lambda x, y: flow.mu_h(x, y) * (u_y(x, y) + v_x(x, y)),
    )


def balance(numbers, weight) -> Flow:
    """Put what is asked for into a Flow: u, v are the momentum residuals, the rest is T."""
    flow = random_flow(numbers)
    t_xx, t_yy, t_xy = stress(flow)

    def residual(along_x, along_y, axis):
        in_x = derivative(lambda x, y: flow.h(x, y) * along_x(x, y), "x")
        in_y = derivative(lambda x, y: flow.h(x, y) * along_y(x, y), "y")
        slope = derivative(flow.h, axis)
        return lambda x, y: in_x(x, y) + in_y(x, y) - weight * flow.h(x, y) * slope(x, y)

    return Flow(residual(t_xx, t_xy, "x"), residual(t_xy, t_yy, "y"), t_xx, t_yy, t_xy)


@few
@given(seed=seeds)
def test_the_residuals_are_the_divergence_of_the_stress_as_it_is_written(seed):
    # Differentiated as a whole instead of term by term.
    x, y = points(1.0)
    numbers = np.stack([wave_numbers(seed + k) for k in range(5)])
    u, v, h, mu_h, mu_v = jets(random_flow, x, y, numbers=numbers)
    expected = [one.value for one in jets(balance, x, y, 0, numbers=numbers, weight=1.7)]
    found = momentum_residual(u, v, h, mu_h, mu_v, weight=1.7)
    scale = np.abs(expected[:2]).max()
    np.testing.assert_allclose(found, expected[:2], rtol=1e-12, atol=1e-12 * scale)

    n_x, n_y = np.cos(ANY_ANGLE), np.sin(ANY_ANGLE)
    t_xx, t_yy, t_xy = expected[2:]
    half = 0.5 * 1.7 * h.value
    traction = t_xx * n_x + t_xy * n_y - half * n_x, t_xy * n_x + t_yy * n_y - half * n_y
    found = front_residual(u, v, h.value, mu_h.value, mu_v.value, (n_x, n_y), weight=1.7)
    np.testing.assert_allclose(found, traction, rtol=1e-12, atol=1e-12 * np.abs(traction).max())


def textbook(numbers) -> Flow:
    """∂_x [2 μ h (2 u_x + v_y)] + ∂_y [μ h (u_y + v_x)] − h h_x, as u (MacAyeal 1989)."""
    flow = random_flow(numbers)
    u_x, u_y = (derivative(flow.u, axis) for axis in "xy")
    v_x, v_y = (derivative(flow.v, axis) for axis in "xy")

    def depth(x, y):
        return flow.mu_h(x, y) * flow.h(x, y)

    along = derivative(lambda x, y: 2 * depth(x, y) * (2 * u_x(x, y) + v_y(x, y)), "x")
    across = derivative(lambda x, y: depth(x, y) * (u_y(x, y) + v_x(x, y)), "y")
    driving = derivative(lambda x, y: flow.h(x, y) ** 2 / 2, "x")
    return dataclasses.replace(flow, u=lambda x, y: along(x, y) + across(x, y) - driving(x, y))


def test_isotropic_ice_is_the_textbook_equation():
    numbers = np.stack([wave_numbers(k) for k in range(5)])
    u, v, h, mu, _ = jets(random_flow, *points(1.0), numbers=numbers)
    expected = jets(textbook, *points(1.0), 0, numbers=numbers)[0].value
    residual, _ = momentum_residual(u, v, h, mu, mu)
    np.testing.assert_allclose(residual, expected, rtol=1e-12, atol=1e-12)
