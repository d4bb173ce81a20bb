"""Physics knows no direction, no origin and no unit: what that means for the residuals."""

from __future__ import annotations

import numpy as np
from analytic_fields import Flow, jets, random_flow, wave_numbers
from hypothesis import given, settings
from hypothesis import strategies as st

from xdiffice.physics.constants import PhysicalConstants
from xdiffice.physics.jets import Jet
from xdiffice.physics.scales import scales_of
from xdiffice.physics.ssa import (
    effective_strain_rate_squared,
    front_residual,
    momentum_residual,
)

few = settings(max_examples=30, deadline=None)
seeds = st.integers(0, 10_000)
angles = st.floats(-np.pi, np.pi)
shifts = st.tuples(st.floats(-20, 20), st.floats(-20, 20))
factors = st.floats(1e-3, 1e3)


def orthogonal(angle: float, mirror: bool) -> np.ndarray:
    """Rotate by an angle, after a reflection at the x axis if wanted."""
    c, s = np.cos(angle), np.sin(angle)
    return np.array([[c, -s], [s, c]]) @ np.diag([1.0, -1.0 if mirror else 1.0])


def moved(numbers, Q, shift, length, time, mass) -> Flow:
    """Write a random flow in other coordinates, x' = length (Q x + shift), and other units."""
    flow = random_flow(numbers)

    def back(x, y):
        x, y = x / length - shift[0], y / length - shift[1]
        return Q[0, 0] * x + Q[1, 0] * y, Q[0, 1] * x + Q[1, 1] * y

    def scalar(field, factor):
        return lambda x, y: factor * field(*back(x, y))

    def component(row):
        def field(x, y):
            u, v = flow.u(*back(x, y)), flow.v(*back(x, y))
            return length / time * (Q[row, 0] * u + Q[row, 1] * v)

        return field

    return Flow(
        u=component(0),
        v=component(1),
        h=scalar(flow.h, length),
        mu_h=scalar(flow.mu_h, mass / (length * time)),
        mu_v=scalar(flow.mu_v, mass / (length * time)),
    )


def residuals(fields: tuple[Jet, ...], normal, weight: float) -> tuple[np.ndarray, np.ndarray]:
    u, v, h, mu_h, mu_v = fields
    momentum = momentum_residual(u, v, h, mu_h, mu_v, weight=weight)
    front = front_residual(u, v, h.value, mu_h.value, mu_v.value, normal, weight=weight)
    return np.stack(momentum), np.stack(front)


def unit_vectors(rng: np.random.Generator, n: int) -> np.ndarray:
    angle = rng.uniform(-np.pi, np.pi, n)
    return np.stack([np.cos(angle), np.sin(angle)])


@few
@given(
    seed=seeds,
    angle=angles,
    mirror=st.booleans(),
    shift=shifts,
    length=factors,
    time=factors,
    mass=factors,
)
def test_residuals_turn_with_the_shelf(seed, angle, mirror, shift, length, time, mass):
    numbers = np.stack([wave_numbers(seed + k) for k in range(5)])
    rng = np.random.default_rng(seed)
    here, normal = rng.uniform(-1, 1, (2, 30)), unit_vectors(rng, 30)
    Q = orthogonal(angle, mirror)
    shift = np.array(shift)
    there = length * (Q @ here + shift[:, None])

    before = residuals(jets(random_flow, *here, numbers=numbers), normal, 2.5)
    other = jets(
        moved, *there, numbers=numbers, Q=Q, shift=shift, length=length, time=time, mass=mass
    )
    after = residuals(other, Q @ normal, 2.5 * mass / (length * time) ** 2)
    pressure = mass / (length * time**2)  # both residuals are in Pa
    for old, new in zip(before, after, strict=True):
        # 1e-11, not 1e-15: the shifted positions themselves have only 14 digits left.
        np.testing.assert_allclose(new / pressure, Q @ old, atol=1e-11 * np.abs(old).max())


@few
@given(seed=seeds, angle=angles, mirror=st.booleans())
def test_effective_strain_rate_does_not_turn(seed, angle, mirror):
    gradient = np.random.default_rng(seed).normal(size=(2, 2))  # [[u_x, u_y], [v_x, v_y]]
    Q = orthogonal(angle, mirror)
    np.testing.assert_allclose(
        effective_strain_rate_squared(*(Q @ gradient @ Q.T).ravel()),
        effective_strain_rate_squared(*gradient.ravel()),
        rtol=1e-12,
    )


def test_effective_strain_rate_of_simple_flows():
    # Half the square norm of the strain rate in three dimensions, with ε_zz = -(u_x + v_y).
    assert effective_strain_rate_squared(0.0, 2 * 3.0, 0.0, 0.0) == 3.0**2  # ε_xy = 3
    assert effective_strain_rate_squared(2.0, 0.0, 0.0, 2.0) == (2**2 + 2**2 + 4**2) / 2
    assert effective_strain_rate_squared(2.0, 0.0, 0.0, -1.0) == (2**2 + 1**2 + 1**2) / 2
    assert effective_strain_rate_squared(0.0, 5.0, -5.0, 0.0) == 0.0  # a rotation


def in_si(numbers, origin, extent, means, amplitudes) -> Flow:
    """Random fields of the sizes of a shelf, far from the origin of its coordinates."""
    flow = random_flow(numbers)

    def sized(field, mean, amplitude):
        return lambda x, y: mean + amplitude * field((x - origin) / extent, (y + origin) / extent)

    fields = (flow.u, flow.v, flow.h, flow.mu_h, flow.mu_v)
    return Flow(*(sized(f, m, a) for f, m, a in zip(fields, means, amplitudes, strict=True)))


def normalised(positions, means, scales, si) -> Flow:
    """Return the same fields as the networks see them."""
    flow = in_si(**si)
    (x, y) = positions

    def unit(field, mean, scale):
        return lambda a, b: (field(x[0] + x[1] * a, y[0] + y[1] * b) - mean) / scale

    fields = (flow.u, flow.v, flow.h, flow.mu_h, flow.mu_v)
    return Flow(*(unit(f, m, s) for f, m, s in zip(fields, means, scales, strict=True)))


@few
@given(seed=seeds, extent=st.floats(1e4, 1e6), origin=st.floats(-4e6, 4e6))
def test_nondimensional_residuals_times_their_unit_are_those_in_si(seed, extent, origin):
    constants = PhysicalConstants()
    parameters = {
        "numbers": np.stack([wave_numbers(seed + k) for k in range(5)]),
        "origin": origin,
        "extent": extent,
        "means": np.array([1e-5, -2e-5, 300.0, 2e13, 3e13]),
        "amplitudes": np.array([3e-5, 1e-6, 150.0, 2e13, 4e13]),
    }
    rng = np.random.default_rng(seed)
    x, y = origin + rng.uniform(0, extent, 50), -origin + rng.uniform(0, 0.7 * extent, 50)
    normal = unit_vectors(rng, 50)
    fields = jets(in_si, x, y, **parameters)
    u, v, h = (one.value for one in fields[:3])
    momentum, front = residuals(fields, normal, constants.driving_weight)

    scales = scales_of((x, y), (u, v), h, constants)
    found = jets(
        normalised,
        scales.x.to_unit(x),
        scales.y.to_unit(y),
        positions=(tuple(scales.x), tuple(scales.y)),
        means=np.array([scales.u.mean, scales.v.mean, scales.h.mean, 0, 0]),
        scales=np.array(
            [scales.u.scale, scales.v.scale, scales.h.scale, scales.viscosity, scales.viscosity]
        ),
        si=parameters,
    )
    motion = [
        one.scaled(unit.scale, unit.mean)
        for one, unit in zip(found, scales.equation_units, strict=False)
    ]
    momentum_unit, front_unit = residuals((*motion, *found[3:]), normal, 1.0)
    # Of a position at 4000 km, 1e-9 m are rounding, and second derivatives see 1e-10 of it.
    for unit, unit_size, si in (
        (momentum_unit, scales.momentum, momentum),
        (front_unit, scales.stress, front),
    ):
        np.testing.assert_allclose(unit * unit_size, si, atol=1e-9 * np.abs(si).max())
