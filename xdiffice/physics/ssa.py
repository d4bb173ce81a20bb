"""The shallow-shelf equations of floating ice: what is left over where they do not hold.

Depth-integrated momentum balance (MacAyeal 1989, doi 10.1029/JB094iB04p04071) in the form of
Wang et al. 2025 (doi 10.1126/science.adp3300). The same lines hold in SI (``weight`` = ρ g') and
in the units of `Scales` (``weight`` = 1).
"""

from __future__ import annotations

from typing import Any

from xdiffice.physics.jets import Jet

Array = Any


def momentum_residual(
    u: Jet, v: Jet, h: Jet, mu_h: Jet, mu_v: Jet, weight: float = 1.0
) -> tuple[Array, Array]:
    """Residual of div(h T) = ρ g' h ∇h, with T = 2 μ_h ε + 2 μ_v tr(ε) I.

    Parameters
    ----------
    u, v : Jet
        Velocity with first and second derivatives.
    h, mu_h, mu_v : Jet
        Thickness and viscosities with first derivatives; for isotropic ice both are μ.
    weight : float
        ρ g' in SI, Pa m-1; 1 in nondimensional units.

    Returns
    -------
    tuple of Array
        The x and the y component, Pa in SI.
    """
    n_h, n_h_x, n_h_y = _product(h, mu_h)
    n_v, n_v_x, n_v_y = _product(h, mu_v)
    trace = u.x + v.y
    shear = u.y + v.x
    # ∂_x of the isotropic part and of the deviator are kept apart: only μ_h acts on shear.
    residual_x = (
        2 * (n_h_x * u.x + n_h * u.xx + n_v_x * trace + n_v * (u.xx + v.xy))
        + n_h_y * shear
        + n_h * (u.yy + v.xy)
        - weight * h.value * h.x
    )
    residual_y = (
        2 * (n_h_y * v.y + n_h * v.yy + n_v_y * trace + n_v * (u.xy + v.yy))
        + n_h_x * shear
        + n_h * (u.xy + v.xx)
        - weight * h.value * h.y
    )
    return residual_x, residual_y


def front_residual(
    u: Jet,
    v: Jet,
    h: Array,
    mu_h: Array,
    mu_v: Array,
    normal: tuple[Array, Array],
    weight: Array = 1.0,
) -> tuple[Array, Array]:
    """Residual of T n = ½ ρ g' h n at the calving front, n pointing out of the ice.

    Parameters
    ----------
    u, v : Jet
        Velocity with first derivatives.
    h, mu_h, mu_v : Array
        Thickness and viscosities.
    normal : tuple of Array
        Components of the outward unit normal.
    weight : float
        ρ g' in SI, Pa m-1; 1 in nondimensional units.

    Returns
    -------
    tuple of Array
        The x and the y component, Pa in SI.
    """
    n_x, n_y = normal
    pressure = 2 * mu_v * (u.x + v.y) - 0.5 * weight * h
    shear = mu_h * (u.y + v.x)
    return (
        (2 * mu_h * u.x + pressure) * n_x + shear * n_y,
        shear * n_x + (2 * mu_h * v.y + pressure) * n_y,
    )


def resistive_stress(u: Jet, v: Jet, mu_h: Array, mu_v: Array) -> tuple[Array, Array, Array]:
    """T_xx, T_xy, T_yy of T = 2 μ_h ε + 2 μ_v tr(ε) I."""
    isotropic = 2 * mu_v * (u.x + v.y)
    return 2 * mu_h * u.x + isotropic, mu_h * (u.y + v.x), 2 * mu_h * v.y + isotropic


def effective_strain_rate_squared(u_x: Array, u_y: Array, v_x: Array, v_y: Array) -> Array:
    """ε_e² = u_x² + v_y² + u_x v_y + ¼ (u_y + v_x)², the second invariant for incompressible ice.

    Squared, because the root has no derivative at rest.
    """
    return u_x**2 + v_y**2 + u_x * v_y + 0.25 * (u_y + v_x) ** 2


def _product(a: Jet, b: Jet) -> tuple[Array, Array, Array]:
    """Value and first derivatives of the product of two fields."""
    return a.value * b.value, a.x * b.value + a.value * b.x, a.y * b.value + a.value * b.y
