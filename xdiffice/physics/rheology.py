"""What stress a strain rate causes: which viscosities a rheology has, and how they enter.

One stress law serves every rheology, T = 2 μ_h ε + 2 μ_v tr(ε) I (Wang et al. 2025, doi
10.1126/science.adp3300); a rheology says which fields are unknown and how they make μ_h and μ_v.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Protocol

from xdiffice.physics.jets import Jet


class Rheology(Protocol):
    """The unknown positive fields of a rheology, and the viscosities made of them."""

    name: ClassVar[str]
    fields: ClassVar[tuple[str, ...]]

    def viscosities(self, *fields: Jet) -> tuple[Jet, Jet]:
        """(μ_h, μ_v) with first derivatives, from the fields with theirs."""
        ...


@dataclass(frozen=True)
class Isotropic:
    """One viscosity in all directions: μ_h = μ_v = μ."""

    name: ClassVar[str] = "isotropic"
    fields: ClassVar[tuple[str, ...]] = ("viscosity",)

    def viscosities(self, *fields: Jet) -> tuple[Jet, Jet]:
        """μ twice."""
        (mu,) = fields
        return mu, mu
