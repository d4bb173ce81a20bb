"""Gradient transformations that optax does not have: self-scaled BFGS and Broyden.

Quasi-Newton with a dense inverse Hessian, for networks of a few thousand parameters; in diagonal
blocks for more.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import optax

PENDING = 16  # corrections that wait until the matrix is written again
SYMMETRIC_EVERY = 4  # times that it is written: the mean with its transpose costs as much again
MATRIX_BYTES = 1 << 30  # more than this, and the matrix is kept in diagonal blocks

Family = Literal["bfgs", "broyden"]


class SelfScaledState(NamedTuple):
    """State of `scale_by_self_scaled`: H = scale · matrix + Σ uᵢᵀ mᵢ uᵢ.

    Memory is that of ``matrix``: 8 N² bytes for N parameters in float64, and as much again for a
    moment whenever the corrections are written into it.
    """

    matrix: jax.Array  # (N, N)
    scale: jax.Array
    pairs: jax.Array  # (PENDING, 2, N): rows s and H y of corrections not yet in the matrix
    cores: jax.Array  # (PENDING, 2, 2): their symmetric coefficients
    n_pending: jax.Array
    n_written: jax.Array
    params: jax.Array
    gradient: jax.Array
    product: jax.Array  # inverse Hessian times gradient, the step with its sign changed
    has_previous: jax.Array


def scale_by_self_scaled(
    family: Family = "bfgs", curvature_tolerance: float = 1e-12
) -> optax.GradientTransformationExtraArgs:
    """Multiply the gradient by a self-scaled quasi-Newton estimate of the inverse Hessian.

    Before each update the inverse Hessian H = B⁻¹ is divided by τ. With ``"bfgs"`` τ is
    min(1, yᵀs / sᵀB s) (Al-Baali 1998, doi 10.1023/A:1018315205474); with ``"broyden"`` τ and the
    member φ of Broyden's family follow from sᵀB s / yᵀs and yᵀH y / yᵀs as in Urbán, Stefanou &
    Pons 2025 (doi 10.1016/j.jcp.2024.113656).

    The rank-two corrections of 16 steps are kept apart and written into the matrix by one matrix
    product: a step then reads N² numbers once, instead of three passes over them.

    Parameters
    ----------
    family : {"bfgs", "broyden"}
        Which update.
    curvature_tolerance : float
        A pair (s, y) is used only if yᵀs exceeds this share of ‖s‖ ‖y‖.

    Returns
    -------
    optax.GradientTransformationExtraArgs
        For parameters that are one vector. ``update`` needs ``params``.
    """

    def init(params: jax.Array) -> SelfScaledState:
        n, dtype = params.size, params.dtype
        # Arrays of their own: a caller may donate the state, and each buffer only once.
        at, gradient, product = (jnp.zeros_like(params) for _ in range(3))
        return SelfScaledState(
            jnp.eye(n, dtype=dtype),
            jnp.ones((), dtype),
            jnp.zeros((PENDING, 2, n), dtype),
            jnp.zeros((PENDING, 2, 2), dtype),
            jnp.zeros((), jnp.int32),
            jnp.zeros((), jnp.int32),
            at,
            gradient,
            product,
            jnp.asarray(False),
        )

    def update(gradient, state, params=None, **extra_args):
        del extra_args
        if params is None:
            raise ValueError("scale_by_self_scaled needs the parameters: update(..., params)")
        state = where_needed(state.n_pending == PENDING, _written, state)
        s, y = params - state.params, gradient - state.gradient
        product = _multiply(state, gradient)
        h_y = product - state.product
        s_y, y_h_y = s @ y, y @ h_y
        # s = -α H g of the last step, hence sᵀB s = -α sᵀg without a product with B.
        step = -(s @ state.product) / (state.product @ state.product)
        s_b_s = -step * (s @ state.gradient)
        usable = state.has_previous & (s_b_s > 0) & (y_h_y > 0)
        usable &= s_y > curvature_tolerance * jnp.linalg.norm(s) * jnp.linalg.norm(y)

        tau, core = _correction(family, s_y, s_b_s, y_h_y, params.size)
        # Nothing is added where the pair is of no use; selected, for zero times infinity is none.
        tau, core = jnp.where(usable, tau, 1.0), jnp.where(usable, core, 0.0)
        pair, k = jnp.where(usable, jnp.stack([s, h_y]), 0.0), state.n_pending
        new = state._replace(
            scale=state.scale / tau,
            cores=(state.cores / tau).at[k].set(core),
            pairs=state.pairs.at[k].set(pair),
            n_pending=k + usable,
        )
        product = product / tau + (core @ (pair @ gradient)) @ pair
        new = new._replace(
            params=params, gradient=gradient, product=product, has_previous=jnp.asarray(True)
        )
        return product, new

    return optax.GradientTransformationExtraArgs(init, update)


def where_needed(needed: jax.Array, change: Callable[[Any], Any], state: Any) -> Any:
    """Change a state if that is needed, in place.

    A loop of one pass or none: `jax.lax.cond` would copy the matrices of a state that it returns
    unchanged, and with them as many bytes as all else in a step together.

    Parameters
    ----------
    needed : Array of bool, shape ()
        Whether.
    change : callable
        ``change(state)`` returns arrays of the same shapes.
    state : pytree
        What may be changed.

    Returns
    -------
    pytree
    """
    return jax.lax.while_loop(
        lambda carry: carry[0],
        lambda carry: (jnp.zeros_like(carry[0]), change(carry[1])),
        (needed, state),
    )[1]


def _correction(family: Family, s_y, s_b_s, y_h_y, n: int) -> tuple[jax.Array, jax.Array]:
    """τ, and the coefficients of s and H y in what is added to H / τ."""
    b, h = s_b_s / s_y, y_h_y / s_y
    rho = jnp.minimum(1.0, 1 / b)
    phi = jnp.ones_like(rho)
    if family == "bfgs":
        tau = rho
    else:
        a = jnp.maximum(b * h - 1, 1e-15)  # Cauchy and Schwarz; zero only on one line
        # h (1 - c), c² = a / (1 + a), without the cancellation of 1 - c and of 1 + θ a.
        least = jnp.minimum(1.0, 1 / (b * (1 + jnp.sqrt(a / (1 + a)))))
        theta = jnp.clip((1 - b) / b, (least - 1) / a, 1 / least)
        sigma = jnp.maximum(1 + theta * a, least)
        root = sigma ** (-1 / max(n - 1, 1))
        tau = jnp.where(
            theta <= 0,
            jnp.minimum(rho * root, sigma),
            rho * jnp.minimum(root, 1 / jnp.where(theta > 0, theta, 1.0)),
        )
        phi = (1 - theta) / sigma
    # H⁺ = (H - h hᵀ / yᵀh + φ v vᵀ) / τ + s sᵀ / yᵀs, v = (yᵀh)^½ (s / yᵀs - h / yᵀh), h = H y
    s_s = (1 + phi * h / tau) / s_y
    s_h = -phi / (tau * s_y)
    h_h = (phi - 1) / (tau * y_h_y)
    return tau, jnp.array([[s_s, s_h], [s_h, h_h]])


def _multiply(state: SelfScaledState, vector: jax.Array) -> jax.Array:
    """Inverse Hessian times a vector."""
    inner = jnp.einsum("kij,kj->ki", state.cores, state.pairs @ vector)
    return state.scale * (state.matrix @ vector) + jnp.einsum("ki,kin->n", inner, state.pairs)


def _written(state: SelfScaledState) -> SelfScaledState:
    """Write the pending corrections into the matrix."""
    n = state.params.size
    weighted = jnp.einsum("kij,kjn->kin", state.cores, state.pairs).reshape(-1, n)
    matrix = state.scale * state.matrix + state.pairs.reshape(-1, n).T @ weighted
    count = state.n_written + 1
    # No correction ever reaches an antisymmetric part: from rounding errors it grows with every
    # division by τ, some 1e15 times in 400 steps, until H is no longer positive definite.
    matrix = where_needed(count % SYMMETRIC_EVERY == 0, lambda m: 0.5 * (m + m.T), matrix)
    return state._replace(
        matrix=matrix,
        scale=jnp.ones_like(state.scale),
        cores=jnp.zeros_like(state.cores),
        n_pending=jnp.zeros_like(state.n_pending),
        n_written=count,
    )


def inverse_hessian(state: SelfScaledState) -> jax.Array:
    """Return the estimate as one matrix, shape (n, n)."""
    matrix = _written(state).matrix
    return 0.5 * (matrix + matrix.T)


def in_blocks(
    transformation: optax.GradientTransformationExtraArgs, sizes: tuple[int, ...]
) -> optax.GradientTransformationExtraArgs:
    """Apply a transformation to consecutive parts of a vector, each with a state of its own.

    A quasi-Newton matrix in diagonal blocks: descent in every block is descent in all.

    Parameters
    ----------
    transformation : optax.GradientTransformationExtraArgs
        For one vector.
    sizes : tuple of int
        Lengths of the parts; their sum is that of the vector.

    Returns
    -------
    optax.GradientTransformationExtraArgs
        Its state is a tuple.
    """
    bounds = [sum(sizes[:k]) for k in range(len(sizes) + 1)]

    def parts(vector):
        return [vector[start:end] for start, end in pairwise(bounds)]

    def init(params):
        return tuple(transformation.init(part) for part in parts(params))

    def update(gradient, state, params=None, **extra_args):
        of_params = [None] * len(sizes) if params is None else parts(params)
        whole = zip(parts(gradient), state, of_params, strict=True)
        updated = [transformation.update(g, s, p, **extra_args) for g, s, p in whole]
        products, states = zip(*updated, strict=True)
        return jnp.concatenate(products), states

    return optax.GradientTransformationExtraArgs(init, update)


def block_sizes(n: int, itemsize: int = 8, limit: int = MATRIX_BYTES) -> tuple[int, ...]:
    """Return the fewest equal blocks whose matrices together stay below a limit of memory.

    Parameters
    ----------
    n : int
        Number of parameters.
    itemsize : int
        Bytes of a number.
    limit : int
        Bytes of all blocks together.

    Returns
    -------
    tuple of int
        ``(n,)`` up to 11 585 parameters in float64.
    """
    blocks = max(1, math.ceil(itemsize * n * n / limit))
    small, larger = divmod(n, blocks)
    return (small + 1,) * larger + (small,) * (blocks - larger)


def forget_previous_step(state, where: jax.Array | bool = True):
    """Keep the inverse Hessian but not the last gradient: for a loss with a new sample."""
    if isinstance(state, SelfScaledState):
        return state._replace(has_previous=state.has_previous & ~jnp.asarray(where))
    return tuple(forget_previous_step(part, where) for part in state)
