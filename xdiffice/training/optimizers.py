"""Gradient transformations that optax does not have.

Self-scaled BFGS: quasi-Newton with a dense inverse Hessian, for networks of a few thousand
parameters, to be chained with `optax.scale_by_zoom_linesearch`.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax


class SelfScaledBFGSState(NamedTuple):
    """State of `scale_by_self_scaled_bfgs`.

    Memory is that of ``inverse_hessian``: 8 N² bytes for N parameters in float64.
    """

    inverse_hessian: jax.Array
    params: jax.Array
    gradient: jax.Array
    product: jax.Array  # inverse Hessian times gradient, the step with its sign changed
    has_previous: jax.Array


def scale_by_self_scaled_bfgs(
    curvature_tolerance: float = 1e-12,
) -> optax.GradientTransformationExtraArgs:
    """Multiply the gradient by a self-scaled BFGS estimate of the inverse Hessian.

    Before each update the inverse Hessian H = B⁻¹ is divided by τ = min(1, yᵀs / sᵀB s)
    (Al-Baali 1998, doi 10.1023/A:1018315205474; for such networks Urbán, Stefanou & Pons 2025,
    doi 10.1016/j.jcp.2024.113656). One product of H with a vector and one rank-two correction per
    step: three passes over N² numbers.

    Parameters
    ----------
    curvature_tolerance : float
        A pair (s, y) is used only if yᵀs exceeds this share of ‖s‖ ‖y‖.

    Returns
    -------
    optax.GradientTransformationExtraArgs
        For parameters that are one vector. ``update`` needs ``params``.
    """

    def init(params: jax.Array) -> SelfScaledBFGSState:
        # Three arrays, not one thrice: a caller may donate the state, and each buffer only once.
        params, gradient, product = (jnp.zeros_like(params) for _ in range(3))
        identity = jnp.eye(params.size, dtype=params.dtype)
        return SelfScaledBFGSState(identity, params, gradient, product, jnp.asarray(False))

    def update(gradient, state, params=None, **extra_args):
        del extra_args
        if params is None:
            raise ValueError("scale_by_self_scaled_bfgs needs the parameters: update(..., params)")
        s, y = params - state.params, gradient - state.gradient
        product = state.inverse_hessian @ gradient
        h_y = product - state.product
        s_y, y_h_y = s @ y, y @ h_y
        # s = -α H g of the last step, hence sᵀB s = -α sᵀg without a product with B.
        step = -(s @ state.product) / (state.product @ state.product)
        s_b_s = -step * (s @ state.gradient)
        usable = state.has_previous & (s_b_s > 0)
        usable &= s_y > curvature_tolerance * jnp.linalg.norm(s) * jnp.linalg.norm(y)

        def corrected():
            inverse_tau = 1 / jnp.minimum(1.0, s_y / s_b_s)
            # H⁺ = H/τ + a sᵀ + s aᵀ: one pass that reads and writes H.
            a = 0.5 * (inverse_tau * y_h_y / s_y + 1) * s / s_y - inverse_tau * h_y / s_y
            hessian = inverse_tau * state.inverse_hessian
            hessian += a[:, None] * s[None, :] + s[:, None] * a[None, :]
            return hessian, inverse_tau * product + a * (s @ gradient) + s * (a @ gradient)

        hessian, product = jax.lax.cond(usable, corrected, lambda: (state.inverse_hessian, product))
        new = SelfScaledBFGSState(hessian, params, gradient, product, jnp.asarray(True))
        return product, new

    return optax.GradientTransformationExtraArgs(init, update)


def forget_previous_step(state: SelfScaledBFGSState) -> SelfScaledBFGSState:
    """Keep the inverse Hessian but not the last gradient: for a loss with a new sample."""
    return state._replace(has_previous=jnp.asarray(False))
