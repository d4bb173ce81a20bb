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
    """Flags of ``viscosity_quality``: whether the flow determines the viscosity of a pixel.

    Numbers are those of ``flag_values`` in the attributes, names those of ``flag_meanings``. Of
    several reasons for doubt a pixel has the first of extrapolated, no strain, weakly determined,
    not separated, near a pinning point, near a gap.

    Examples
    --------
    >>> import xdiffice
    >>> xdiffice.Quality(1).name
    'DETERMINED'
    """

    OUTSIDE = 0
    """No shelf, and no value."""
    DETERMINED = 1
    """None of the doubts below."""
    NOT_SEPARATED = 2
    """Two viscosities, of which the flow sees one combination."""
    NO_STRAIN = 3
    """The strain rate is within its error: a larger viscosity explains the data as well."""
    WEAKLY_DETERMINED = 4
    """The strain rate is within four errors."""
    NEAR_GAP = 5
    """Neither velocity within two pixels, nor thickness as near as the networks bridge."""
    NEAR_PINNING_POINT = 6
    """The momentum balance leaves over more than half of the rms driving stress."""
    EXTRAPOLATED = 7
    """No shelf, but a value was asked for."""
