"""How stiff the ice of a shelf is: viscosity given as fields, or by Glen's law.

Both hand the solver the viscosities μ_h and μ_v at its points, and how μ changes with the strain
rate; stress is T = 2 μ_h ε + 2 μ_v tr(ε) I.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

import numpy as np

from xdiffice.forward.fields import FieldFunction


class StrainRate(NamedTuple):
    """Components of the horizontal strain rate, s-1."""

    xx: np.ndarray
    yy: np.ndarray
    xy: np.ndarray

    @property
    def effective_squared(self) -> np.ndarray:
        """ε_e² = u_x² + v_y² + u_x v_y + ¼ (u_y + v_x)², s-2."""
        squared: np.ndarray = self.xx**2 + self.yy**2 + self.xx * self.yy + self.xy**2
        return squared


class Viscosities(NamedTuple):
    """Viscosities in Pa s, and the derivative of μ by ε_e² in Pa s3 (0 where it is given)."""

    horizontal: np.ndarray
    vertical: np.ndarray
    slope: np.ndarray


@dataclass(frozen=True)
class GivenViscosity:
    """Viscosity that does not depend on the flow.

    Parameters
    ----------
    horizontal, vertical : callable
        μ_h(x, y) and μ_v(x, y), Pa s; one and the same function for isotropic ice.
    """

    horizontal: FieldFunction
    vertical: FieldFunction

    linear = True

    def viscosities(self, x: np.ndarray, y: np.ndarray, strain: StrainRate) -> Viscosities:
        """Viscosities at positions x, y (m); the strain rate does not matter."""
        del strain
        horizontal = self.horizontal(x, y)
        same = self.vertical is self.horizontal
        vertical = horizontal if same else self.vertical(x, y)
        return Viscosities(horizontal, vertical, np.zeros_like(horizontal))


@dataclass(frozen=True)
class GlenLaw:
    """Isotropic ice whose viscosity is μ = ½ B (ε_e² + ε_0²)^((1/n − 1)/2).

    Parameters
    ----------
    hardness : callable
        B(x, y), Pa s^(1/n).
    exponent : float
        n.
    floor : float
        ε_0, s-1: keeps the viscosity finite where the ice is at rest.
    """

    hardness: FieldFunction
    exponent: float
    floor: float

    @property
    def linear(self) -> bool:
        """Whether the viscosity is that of any flow."""
        return self.exponent == 1

    def viscosities(self, x: np.ndarray, y: np.ndarray, strain: StrainRate) -> Viscosities:
        """Viscosities of ice that deforms at the given rate at positions x, y (m)."""
        power = (1 / self.exponent - 1) / 2
        square = strain.effective_squared + self.floor**2
        viscosity = 0.5 * self.hardness(x, y) * square**power
        return Viscosities(viscosity, viscosity, power * viscosity / square)

    def dissipation(self, x: np.ndarray, y: np.ndarray, strain: StrainRate) -> np.ndarray:
        """W with dW/dε_e² = 2 μ, Pa s-1: what the flow minimises, less the driving stress' work."""
        n = self.exponent
        square = strain.effective_squared + self.floor**2
        return 2 * n / (n + 1) * self.hardness(x, y) * square ** ((1 / n + 1) / 2)

    def spreading_rate(self, x: np.ndarray, y: np.ndarray, stress: np.ndarray) -> np.ndarray:
        """Effective strain rate, s-1, of ice under a deviatoric stress (Pa): (τ/B)^n."""
        return (stress / self.hardness(x, y)) ** self.exponent


Law: TypeAlias = GivenViscosity | GlenLaw
