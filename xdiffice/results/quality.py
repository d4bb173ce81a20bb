"""Where the flow determines a viscosity: what the flag variable of a result says.

`quality` takes fields in the units of the equations, and gives a number for every position;
`conditions` knows the data, and gives one for every pixel of the shelf.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from scipy.spatial import cKDTree

from xdiffice.observations.points import Observations
from xdiffice.physics.jets import Array, Jet
from xdiffice.physics.ssa import effective_strain_rate_squared
from xdiffice.results.names import Quality

BUTTRESSING = 0.1  # less, along one axis, and μ_h and μ_v cannot be told apart
WEAK = 4.0  # errors: a strain rate that is no larger is known to a quarter at best
GAP = 2.0  # pixels, or distances between data, without data
WAVELENGTHS = 0.25  # of the networks' finest layer, without thickness
UNBALANCED = 0.5  # of the rms driving stress
SAMPLE = 2000  # data that are asked for the distance of the next


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
    result = jnp.where(rate <= WEAK * strain_rate_error, Quality.WEAKLY_DETERMINED, result)
    return jnp.where(rate <= strain_rate_error, Quality.NO_STRAIN, result)


def conditions(observations: Observations, unbalanced: np.ndarray, wavelength: float) -> np.ndarray:
    """Tell what the data say about the pixels of a shelf, whatever the flow.

    Parameters
    ----------
    observations : Observations
        The shelf.
    unbalanced : ndarray, shape (n,)
        At its pixels, what the momentum balance leaves over, over the rms driving stress. Nothing
        in the equations pushes where the ground does: the forces of a pinning point that a mask
        takes for floating are left over around it.
    wavelength : float
        The shortest one of the first layer of the networks, m: over a fraction of it they know
        how to bridge a gap between thicknesses.

    Returns
    -------
    ndarray of int8, shape (n,)
        `Quality`.
    """
    domain = observations.domain
    result = np.full(domain.x.shape, Quality.DETERMINED, np.int8)
    for points, bridged in (
        (observations.velocity, 0.0),
        (observations.thickness, WAVELENGTHS * wavelength),
    ):
        if points.x is domain.x:
            continue  # pixels without data are no part of the shelf
        data = cKDTree(np.column_stack([points.x, points.y]))
        some = data.data[:: max(1, points.x.size // SAMPLE)]
        apart = np.median(data.query(some, k=[min(2, points.x.size)])[0])
        reach = max(GAP * max(domain.spacing, apart), bridged)
        away, _ = data.query(np.column_stack([domain.x, domain.y]), distance_upper_bound=reach)
        result[~np.isfinite(away)] = Quality.NEAR_GAP
    result[unbalanced > UNBALANCED] = Quality.NEAR_PINNING_POINT
    return result
