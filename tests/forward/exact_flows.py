"""Flows that solve the equations of a shelf by a formula, with a front and without."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from xdiffice.physics.constants import PhysicalConstants

WEIGHT = PhysicalConstants().driving_weight
L = 40e3


@dataclass(frozen=True)
class Exact:
    """A flow that solves the equations, and where it has a front."""

    u: Callable
    v: Callable
    thickness: Callable
    viscosity: Callable
    vertical_viscosity: Callable | None
    front: Callable


def no_front(x, y):
    return np.zeros(np.shape(x), dtype=bool)


def stretching(ratio: float = 1.0) -> Exact:
    """Case 1: u(x) that no polynomial of degree two equals."""
    b = 2e-10

    def u_x(x):
        return 5e-10 + 3e-10 * np.cos(5 * x / L)

    def thickness(x, y):
        return 400 - 150 * np.sin(x / L) ** 2

    def mu_h(x, y):
        return WEIGHT * thickness(x, y) / (4 * (u_x(x) + ratio * (u_x(x) + b)))

    return Exact(
        lambda x, y: 5e-10 * x + 3e-10 * L / 5 * np.sin(5 * x / L),
        lambda x, y: b * y,
        thickness,
        mu_h,
        None if ratio == 1 else lambda x, y: ratio * mu_h(x, y),
        lambda x, y: x > L * (1 - 1e-9),
    )


def spreading_under_shear() -> Exact:
    """u = a x + s(y), v = a y, h(y): μ_h + 2 μ_v = ρ g' h / 4a, and h μ_h s' is the same for all y.

    Unlike in cases 1 and 2, the flow depends on μ_h and μ_v separately. Held all around.
    """
    a, shear = 4e-10, 3e-10

    def thickness(x, y):
        return 300 + 80 * y / L

    def mu_h(x, y):  # h μ_h s' = const for s' = shear / (1 + ...), so that s has a formula
        return 3e13 * (1 + 2 * (y / L) ** 2) * 300 / thickness(x, y)

    def mu_v(x, y):
        return (WEIGHT * thickness(x, y) / (4 * a) - mu_h(x, y)) / 2

    return Exact(
        lambda x, y: a * x + shear * L / np.sqrt(2) * np.arctan(np.sqrt(2) * y / L),
        lambda x, y: a * y,
        thickness,
        mu_h,
        mu_v,
        no_front,
    )


def spreading(rate: float = 3e-10) -> Exact:
    """Case 2, with any thickness."""

    def thickness(x, y):
        return 300 + 80 * np.sin(2 * x / L + 1) * np.cos(3 * y / L)

    return Exact(
        lambda x, y: rate * x,
        lambda x, y: rate * y,
        thickness,
        lambda x, y: WEIGHT * thickness(x, y) / (12 * rate),
        None,
        lambda x, y: x > L * (1 - 1e-9),
    )
