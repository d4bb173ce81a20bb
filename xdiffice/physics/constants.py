"""Physical constants: the one place where their numbers stand.

Observations and results read them from here without loading JAX.
"""

from __future__ import annotations

from dataclasses import dataclass

SECONDS_PER_YEAR = 365.25 * 86400.0
"""Julian year, as in pint; UDUNITS' tropical year is 2.1e-5 shorter."""


@dataclass(frozen=True)
class PhysicalConstants:
    """Densities and gravity that turn thickness into a driving stress.

    The defaults are those of DIFFICE (Wang & Lai 2025, doi 10.21105/joss.07254).

    Parameters
    ----------
    ice_density : float
        Density of ice, kg m-3.
    sea_water_density : float
        Density of sea water, kg m-3.
    gravity : float
        Acceleration of gravity, m s-2.
    """

    ice_density: float = 917.0
    sea_water_density: float = 1030.0
    gravity: float = 9.8

    @property
    def reduced_gravity(self) -> float:
        """G' = g (1 - ρ/ρ_w), m s-2: floating ice is driven by its freeboard only."""
        return self.gravity * (1.0 - self.ice_density / self.sea_water_density)

    @property
    def driving_weight(self) -> float:
        """ρ g', Pa m-1: times h ∇h it is the driving stress of a shelf."""
        return self.ice_density * self.reduced_gravity
