"""Names in an output, for those who write it and those who read it. No JAX."""

from __future__ import annotations

from enum import IntEnum

VISCOSITIES = ("viscosity", "viscosity_horizontal", "viscosity_vertical")
MOTION = ("x_velocity", "y_velocity", "thickness")
RESIDUALS = ("x_momentum_residual", "y_momentum_residual")
STRAIN_RATE = "effective_strain_rate"
QUALITY, SUBDOMAIN = "viscosity_quality", "subdomain"
OUTPUT_VARIABLES = (*VISCOSITIES, *MOTION, STRAIN_RATE, *RESIDUALS, QUALITY, SUBDOMAIN)
"""Every variable that an output can have besides a rheology's own, in their order."""

SPREAD = "_std"  # ends the names of what says by which factor members of an ensemble differ
QUANTILE = "_quantile"  # ends the names of quantiles


class Quality(IntEnum):
    """Flags of ``viscosity_quality``."""

    OUTSIDE = 0
    DETERMINED = 1
    NOT_SEPARATED = 2
    NO_STRAIN = 3
    WEAKLY_DETERMINED = 4
    NEAR_GAP = 5
    NEAR_PINNING_POINT = 6
    EXTRAPOLATED = 7
