"""Smooth functions of x and y, their jets by automatic differentiation, and exact shelves."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np

from xdiffice.model.precision import double_precision
from xdiffice.physics.jets import Jet

Field = Callable[[jax.Array, jax.Array], jax.Array]
"""Works element by element, on arrays of any shape."""


def derivative(field: Field, axis: str) -> Field:
    """Forward-mode derivative along x or y."""

    def slope(x, y):
        one, zero = jnp.ones_like(x), jnp.zeros_like(x)
        return jax.jvp(field, (x, y), (one, zero) if axis == "x" else (zero, one))[1]

    return slope


def jet(field: Field, x: jax.Array, y: jax.Array, order: int) -> Jet:
    """Value and all derivatives up to an order, 0 or 2."""
    if order == 0:
        return Jet(field(x, y))
    f_x, f_y = derivative(field, "x"), derivative(field, "y")
    fields = (field, f_x, f_y, derivative(f_x, "x"), derivative(f_x, "y"), derivative(f_y, "y"))
    return Jet(*(f(x, y) for f in fields))


def wave_numbers(seed: int) -> np.ndarray:
    """Coefficients of `waves`, shape (4, 3)."""
    k_x, k_y, phase, share = np.random.default_rng(seed).normal(size=(4, 3))
    return np.stack([k_x, k_y, phase, np.abs(share) / np.abs(share).sum()])


def waves(numbers: jax.Array, mean: float = 0.0, amplitude: float = 1.0) -> Field:
    """Smooth field: `mean` plus or minus `amplitude` at most, wavelengths of a few units."""

    def field(x, y):
        k_x, k_y, phase, share = numbers
        return mean + amplitude * jnp.sin(x[..., None] * k_x + y[..., None] * k_y + phase) @ share

    return field


@dataclass(frozen=True)
class Flow:
    """A shelf in formulas, in any consistent units."""

    u: Field
    v: Field
    h: Field
    mu_h: Field
    mu_v: Field


@functools.partial(jax.jit, static_argnums=(0, 1))
def _jets(make, order, x, y, parameters):
    flow = make(**parameters)
    return tuple(jet(f, x, y, order) for f in (flow.u, flow.v, flow.h, flow.mu_h, flow.mu_v))


def jets(
    make: Callable[..., Flow], x: np.ndarray, y: np.ndarray, order: int = 2, **parameters
) -> tuple[Jet, ...]:
    """u, v, h, μ_h and μ_v of a flow with their derivatives, as NumPy arrays in float64.

    Compiled once for each kind of flow: its parameters are arguments.
    """
    with double_precision():
        return jax.tree.map(np.asarray, _jets(make, order, x, y, parameters))


def random_flow(numbers: jax.Array) -> Flow:
    """No solution of anything, from wave numbers of shape (5, 4, 3)."""
    return Flow(
        u=waves(numbers[0]),
        v=waves(numbers[1]),
        h=waves(numbers[2], 1.0, 0.5),
        mu_h=waves(numbers[3], 1.0, 0.7),
        mu_v=waves(numbers[4], 1.0, 0.7),
    )


def stretching(
    weight: float, length: float, rate: float, lateral: float, h0: float, ratio: float
) -> Flow:
    """u = u(x), v = b y, h = h(x): any front x = const; μ_v = `ratio` μ_h.

    `lateral` is b in units of `rate`, above -0.4: 2 u_x + b > 0.
    """
    b = lateral * rate

    def u_x(x, y):
        return rate * (1 + 0.4 * jnp.cos(3 * x / length))

    def u(x, y):
        return rate * (5 * length + x + 0.4 * length / 3 * jnp.sin(3 * x / length))

    def h(x, y):
        return h0 * (1 + 0.3 * jnp.sin(2 * x / length + 0.4))

    def mu_h(x, y):
        return weight * h(x, y) / (4 * (u_x(x, y) + ratio * (u_x(x, y) + b)))

    def mu_v(x, y):
        return ratio * mu_h(x, y)

    return Flow(u, lambda x, y: b * y, h, mu_h, mu_v)


def spreading(weight: float, length: float, rate: float, h0: float, ratio: float, numbers) -> Flow:
    """u = a x, v = a y, any h(x, y), fronts of any shape; μ_v = `ratio` μ_h."""
    bumps = waves(numbers, 1.0, 0.4)

    def h(x, y):
        return h0 * bumps(x / length, y / length)

    def mu_h(x, y):
        return weight * h(x, y) / (4 * rate * (1 + 2 * ratio))

    def mu_v(x, y):
        return ratio * mu_h(x, y)

    return Flow(lambda x, y: rate * x, lambda x, y: rate * y, h, mu_h, mu_v)


def sheared(weight: float, length: float, rate: float, shear: float, h0: float) -> Flow:
    """u = a x + s(y), v = a y, h(y): h μ_h s' is the same for all y, μ_h + 2 μ_v = ρ g' h / 4a.

    Here the pair matters: no other member of μ_h + 2 μ_v fulfils the balance. No front.
    """

    def h(x, y):
        return h0 * (1 + 0.25 * y / length)

    def u(x, y):  # s' = shear / (1 + 2 (y / L)²)
        root = jnp.sqrt(2.0)
        return rate * x + shear * length / root * jnp.arctan(root * y / length)

    def mu_h(x, y):
        size = weight * h0 / (12 * rate)
        return 0.5 * size * (1 + 2 * (y / length) ** 2) * h0 / h(x, y)

    def mu_v(x, y):
        return (weight * h(x, y) / (4 * rate) - mu_h(x, y)) / 2

    return Flow(u, lambda x, y: rate * y, h, mu_h, mu_v)
