"""Where the flow determines a viscosity: what the flag variable of a result says.

Takes fields in the units of the equations, and gives a number for every position.
"""

from __future__ import annotations

from enum import IntEnum

import jax
import jax.numpy as jnp

from xdiffice.physics.jets import Array, Jet
from xdiffice.physics.ssa import effective_strain_rate_squared

BUTTRESSING = 0.1  # less, along one axis, and μ_h and μ_v cannot be told apart


class Quality(IntEnum):
    """Flags of ``viscosity_quality``."""

    OUTSIDE = 0
    DETERMINED = 1
    NOT_SEPARATED = 2
    NO_STRAIN = 3


def quality(
    u: Jet, v: Jet, h: Array, mu_h: Array, mu_v: Array, strain_rate_error: Array, separate: bool
) -> jax.Array:
    """Tell where the flow determines the viscosities.

    Where ice hardly deforms, stress says nothing about viscosity. Of two viscosities, a share s of
    the pair may be replaced by the same share of (0, ρ g' h / (4 tr ε)), which is a solution of its
    own. If s varies in space the momentum balance changes by (½ ρ g' h I - T) h ∇s: by nothing
    where the stress along one axis is the pressure ½ ρ g' h of an open sea, as in all ice that is
    not buttressed along it (buttressing number 1 - 2 n·T n / (ρ g' h): Gudmundsson 2013, doi
    10.5194/tc-7-647-2013).

    Parameters
    ----------
    u, v : Jet
        Velocity with first derivatives.
    h, mu_h, mu_v : Array
        Thickness and viscosities.
    strain_rate_error : float
        Strain rates below which none is known.
    separate : bool
        Whether there are two viscosities to be told apart.

    Returns
    -------
    Array of int
        `Quality`.
    """
    result = jnp.full(h.shape, Quality.DETERMINED)
    if separate:
        # Principal stresses relative to ½ ρ g' h.
        trace, shear = u.x + v.y, mu_h * (u.y + v.x)
        mean = mu_h * trace + 2 * mu_v * trace
        radius = jnp.hypot(mu_h * (u.x - v.y), shear)
        buttressing = [jnp.abs(1 - (mean + sign * radius) / (0.5 * h)) for sign in (1, -1)]
        open_sea = jnp.minimum(*buttressing) < BUTTRESSING
        result = jnp.where(open_sea, Quality.NOT_SEPARATED, result)
    rate = jnp.sqrt(effective_strain_rate_squared(u.x, u.y, v.x, v.y))
    return jnp.where(rate <= strain_rate_error, Quality.NO_STRAIN, result)
