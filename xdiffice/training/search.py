"""What runs on the device: self-scaled quasi-Newton steps with a strong-Wolfe line search."""

from __future__ import annotations

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from xdiffice.training.line_search import Bracket, judged, opened
from xdiffice.training.quasi_newton import (
    Family,
    block_sizes,
    forget_previous_step,
    in_blocks,
    scale_by_self_scaled,
    where_needed,
)

# Self-scaled updates enlarge the inverse Hessian: a step of one is too long on every second line,
# this one on one of twenty, and lines descend as far.
FIRST_TRIAL = 0.6


class Point(NamedTuple):
    """A vector of parameters with the loss and its gradient there."""

    theta: jax.Array
    value: jax.Array
    gradient: jax.Array


class Search(NamedTuple):
    """What the compiled loop carries from one evaluation to the next."""

    point: Point  # where the line starts
    direction: jax.Array
    slope: jax.Array
    bracket: Bracket
    curvature: Any  # state of the quasi-Newton transformation
    fresh: jax.Array  # the sample is new: the point itself must be evaluated first
    stalled: jax.Array  # no lower point along the line
    steps: jax.Array
    evaluations: jax.Array


@functools.partial(jax.jit, static_argnames=("objective", "family"), donate_argnames="search")
def advance(objective, family: Family, search: Search, sample, n):
    """Take up to n steps; ends earlier where the line search finds no lower point.

    Every pass of the loop evaluates the loss once: at the start of a fresh sample, or at a trial
    of the line search. Also returns the terms of the loss at the last point that was accepted.
    """
    quasi_newton = transformation(family, search.direction.size)
    evaluate = jax.value_and_grad(lambda theta: objective(theta, sample), has_aux=True)

    def unfinished(carry):
        search, _ = carry
        return (search.fresh | (search.steps < n)) & ~search.stalled

    def turned(search, point):
        """Choose the direction of the next line."""
        curvature = forget_previous_step(search.curvature, where=search.fresh)
        product, curvature = quasi_newton.update(point.gradient, curvature, point.theta)
        slope = -(product @ point.gradient)
        return search._replace(
            point=point,
            direction=-product,
            slope=slope,
            bracket=opened(point.value, slope, FIRST_TRIAL),
            curvature=curvature,
            fresh=jnp.asarray(False),
            stalled=~(slope < 0),  # also where it is not a number
            steps=search.steps + jnp.where(search.fresh, 0, 1),
        )

    def evaluated(carry):
        search, terms = carry
        step = jnp.where(search.fresh, 0.0, search.bracket.trial)
        # No 0 · ∞: at a fresh sample the direction is an old one.
        theta = search.point.theta + jnp.where(search.fresh, 0.0, step * search.direction)
        (value, new_terms), gradient = evaluate(theta)
        finite = jnp.isfinite(value) & jnp.isfinite(gradient).all()
        verdict = judged(
            search.bracket, search.point.value, search.slope, value,
            gradient @ search.direction, finite,
        )  # fmt: skip
        accepted = search.fresh | verdict.accepted
        failed = ~accepted & verdict.failed
        search = search._replace(
            bracket=verdict.bracket,
            stalled=failed,
            steps=search.steps + failed,
            evaluations=search.evaluations + 1,
        )
        point = Point(theta, value, gradient)
        search = where_needed(accepted, lambda search: turned(search, point), search)
        terms = jax.tree.map(lambda new, old: jnp.where(accepted, new, old), new_terms, terms)
        return search, terms

    _, shapes = jax.eval_shape(objective, search.point.theta, sample)
    terms = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), shapes)
    return jax.lax.while_loop(unfinished, evaluated, (search, terms))


def transformation(family: Family, n: int) -> optax.GradientTransformationExtraArgs:
    """Return the quasi-Newton transformation for n parameters, in blocks where they are many."""
    return in_blocks(scale_by_self_scaled(family), block_sizes(n))


@functools.partial(jax.jit, static_argnames="family")
def begin(family: Family, theta: np.ndarray) -> Search:
    """State before the first evaluation; every array has a buffer of its own, to be donated.

    Parameters
    ----------
    family : {"bfgs", "broyden"}
        Quasi-Newton update.
    theta : ndarray, shape (n,)
        Where to start; an array of the host, for one of the device would be handed through.
    """

    def zero(dtype=theta.dtype):
        return jnp.zeros((), dtype)

    point = Point(jnp.asarray(theta), zero(), jnp.zeros_like(theta))
    bracket = Bracket(zero(), zero(jnp.int32), *(zero() for _ in Bracket._fields[2:]))
    return Search(
        point,
        jnp.zeros_like(theta),
        zero(),
        bracket,
        transformation(family, theta.size).init(theta),
        jnp.asarray(True),
        jnp.asarray(False),
        zero(jnp.int32),
        zero(jnp.int32),
    )
