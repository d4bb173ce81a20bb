"""A strong-Wolfe line search as a state machine: every pass evaluates the loss exactly once.

One site of evaluation in the compiled program instead of three halves the time of compilation,
and a pass of the training loop is a pass here.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp

SUFFICIENT_DECREASE = 1e-4  # c₁ of Armijo
CURVATURE = 0.9  # c₂ of the strong Wolfe conditions
MAX_TRIALS = 20
_MARGIN = 0.1  # of the bracket, at both of its ends
_EXPANSION = 4.0  # of a bracket without an end


class Bracket(NamedTuple):
    """Where on the line a good step must lie, and the step that is tried next.

    ``low`` has fallen enough and still falls; ``high`` is too high or rises. Infinite ``high``:
    not met yet.
    """

    trial: jax.Array
    trials: jax.Array
    low: jax.Array
    low_value: jax.Array
    low_slope: jax.Array
    high: jax.Array
    high_value: jax.Array
    high_slope: jax.Array


class Verdict(NamedTuple):
    """What is known after a trial."""

    accepted: jax.Array
    failed: jax.Array
    bracket: Bracket


def opened(value: jax.Array, slope: jax.Array, first_trial: float = 1.0) -> Bracket:
    """Start a search along a direction from the loss and its derivative there."""
    zero, infinity = jnp.zeros_like(value), jnp.full_like(value, jnp.inf)
    trial, none = jnp.full_like(value, first_trial), jnp.zeros((), jnp.int32)
    return Bracket(trial, none, zero, value, slope, infinity, infinity, infinity)


def judged(
    bracket: Bracket, start_value: jax.Array, start_slope: jax.Array, value, slope, finite
) -> Verdict:
    """Judge the trial of a bracket and choose the next one.

    Parameters
    ----------
    bracket : Bracket
        The search so far.
    start_value, start_slope : Array, scalar
        Loss and directional derivative at a step of zero.
    value, slope, finite : Array, scalar
        The same at the trial, and whether all is finite there.

    Returns
    -------
    Verdict
        Accepted by the strong Wolfe conditions (Nocedal & Wright 2006, eq. 3.7), or, after 20
        trials, if it is lower than the start at least.
    """
    trial, trials = bracket.trial, bracket.trials + 1
    bound = start_value + SUFFICIENT_DECREASE * trial * start_slope
    too_high = ~finite | (value > bound) | (value >= bracket.low_value)
    flat = jnp.abs(slope) <= CURVATURE * jnp.abs(start_slope)
    exhausted = trials >= MAX_TRIALS
    # A lower point is taken in the end, even where the slope is not yet as it should be.
    accepted = finite & (value < start_value) & ((~too_high & flat) | exhausted)
    becomes_high = too_high | (slope >= 0)

    def chosen(high, low):
        return jnp.where(becomes_high, high, low)

    # A value that is not finite bounds the line, but says nothing about its shape.
    new = Bracket(
        trial,
        trials,
        chosen(bracket.low, trial),
        chosen(bracket.low_value, value),
        chosen(bracket.low_slope, slope),
        chosen(trial, bracket.high),
        chosen(jnp.where(finite, value, jnp.inf), bracket.high_value),
        chosen(jnp.where(finite, slope, jnp.inf), bracket.high_slope),
    )
    # The last trial repeats the lowest point met, if there was one.
    last = (trials == MAX_TRIALS - 1) & (new.low > 0)
    new = new._replace(trial=jnp.where(last, new.low, _next_trial(new)))
    return Verdict(accepted, ~accepted & exhausted, new)


def _next_trial(bracket: Bracket) -> jax.Array:
    """Minimum of the cubic through both ends, well inside of them; else their middle."""
    low, width = bracket.low, bracket.high - bracket.low
    secant = (bracket.high_value - bracket.low_value) / width
    d1 = bracket.low_slope + bracket.high_slope - 3 * secant
    square = d1 * d1 - bracket.low_slope * bracket.high_slope
    d2 = jnp.sqrt(jnp.maximum(square, 0.0))
    denominator = bracket.high_slope - bracket.low_slope + 2 * d2
    share = 1 - (bracket.high_slope + d2 - d1) / denominator
    usable = (square >= 0) & jnp.isfinite(share)
    share = jnp.clip(jnp.where(usable, share, 0.5), _MARGIN, 1 - _MARGIN)
    inside = low + share * width
    return jnp.where(jnp.isfinite(bracket.high), inside, _EXPANSION * bracket.trial)
