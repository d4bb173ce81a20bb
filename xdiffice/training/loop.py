"""How one objective is minimised: compiled chunks, new samples between them, a reason to stop.

Self-scaled BFGS with a strong-Wolfe line search runs on the device; between chunks the host
draws a sample, writes the history, looks at the clock and keeps the best parameters.
"""

from __future__ import annotations

import functools
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from xdiffice.training.budget import Budget
from xdiffice.training.history import Recorder
from xdiffice.training.optimizers import (
    SelfScaledBFGSState,
    forget_previous_step,
    scale_by_self_scaled_bfgs,
)

SECONDS_PER_CALL = 1.0  # between two looks at the clock: Ctrl-C and the budget act this soon
MAX_RESTARTS = 3  # without progress in between

_bfgs = scale_by_self_scaled_bfgs()
_line_search = optax.scale_by_zoom_linesearch(
    max_linesearch_steps=20, slope_rtol=1e-4, curv_rtol=0.9, initial_guess_strategy="one"
)


class Point(NamedTuple):
    """A vector of parameters with the loss and its gradient there."""

    theta: jax.Array
    value: jax.Array
    gradient: jax.Array


@dataclass(frozen=True)
class Plan:
    """When to stop and how to go on, for one objective.

    Parameters
    ----------
    iterations : int
        At most so many.
    seconds : float
        At most so long.
    resample_every : int
        Iterations between two samples.
    tolerance : float
        Stop when the loss on fresh samples has not fallen by this share in ``patience`` samples.
    patience : int
        Samples without progress that are endured.
    """

    iterations: int
    seconds: float
    resample_every: int
    tolerance: float = 0.0
    patience: int = 10


@dataclass(frozen=True)
class Outcome:
    """What `minimise` reached."""

    theta: np.ndarray
    stop_reason: str


@functools.partial(jax.jit, static_argnames="objective")
def _evaluate(objective, theta, sample):
    (value, terms), gradient = jax.value_and_grad(objective, has_aux=True)(theta, sample)
    return Point(theta, value, gradient), terms


@functools.partial(jax.jit, static_argnames="objective", donate_argnames="hessian")
def _advance(objective, point: Point, hessian: SelfScaledBFGSState, sample, n):
    """Take up to n steps; ends earlier where the line search finds no lower point."""

    def loss(theta):
        return objective(theta, sample)[0]

    def unfinished(carry):
        k, _, _, _, stalled = carry
        return (k < n) & ~stalled

    def step(carry):
        k, evaluations, point, hessian, _ = carry
        product, hessian = _bfgs.update(point.gradient, hessian, point.theta)
        update, search = _line_search.update(
            -product,
            _line_search.init(point.theta),
            point.theta,
            value=point.value,
            grad=point.gradient,
            value_fn=loss,
        )
        stalled = ~(search.value < point.value)
        new = Point(point.theta + update, search.value, search.grad)
        new = jax.tree.map(lambda a, b: jnp.where(stalled, a, b), point, new)
        evaluations += search.info.num_linesearch_steps
        return k + 1, evaluations, new, hessian, stalled

    return jax.lax.while_loop(unfinished, step, (0, 0, point, hessian, jnp.asarray(False)))


def minimise(
    objective: Any,
    theta: np.ndarray,
    draw: Callable[[], Any],
    plan: Plan,
    budget: Budget,
    recorder: Recorder,
) -> Outcome:
    """Minimise one objective over fresh samples.

    Parameters
    ----------
    objective : callable
        ``objective(theta, sample) -> (loss, terms)``; hashable, the key of the compilation.
    theta : ndarray, shape (n,)
        Where to start.
    draw : callable
        Makes a sample; its arrays keep their shapes from call to call.
    plan : Plan
        Limits of this objective.
    budget : Budget
        Limits of the whole fit; its iterations are counted here.
    recorder : Recorder
        Receives the terms of the loss on every fresh sample.

    Returns
    -------
    Outcome
        The parameters with the lowest loss on a fresh sample, which they had not been fitted to.
    """
    search = _Search(objective, jnp.asarray(theta), plan, budget, recorder)
    try:
        while search.stop_reason is None:
            search.use(draw())
        reason = search.stop_reason
        if reason != "not_finite":
            search.judge(draw())
    except KeyboardInterrupt:
        reason = "interrupted"
        search.keep_last()
    return Outcome(np.asarray(search.best_theta), reason)


class _Search:
    """The host's side of `minimise`: what is known between two chunks."""

    def __init__(self, objective, theta, plan, budget, recorder):
        self.objective, self.plan, self.budget, self.recorder = objective, plan, budget, recorder
        self.theta = self.best_theta = theta
        self.hessian = _bfgs.init(theta)
        self.best_value = math.inf
        self.milestone, self.samples_since = math.inf, 0
        self.restarts = self.done = 0
        self.seconds_per_step = math.nan
        self.started = time.monotonic()
        self.stop_reason: str | None = None

    def judge(self, sample):
        """Evaluate the loss on a fresh sample, record it, keep the parameters if they are best."""
        point, terms = _evaluate(self.objective, self.theta, sample)
        value = float(point.value)
        self.recorder.record(self.objective.name, self.budget, value, terms)
        if value < self.best_value:
            self.best_value, self.best_theta = value, self.theta
        return point

    def use(self, sample) -> None:
        """Judge a fresh sample, then minimise on it until the next one is due."""
        point = self.judge(sample)
        if not math.isfinite(point.value):
            self._restart("not_finite")
            return
        if self._hopeless(float(point.value)):
            self.stop_reason = "tolerance"
            return
        self.hessian = forget_previous_step(self.hessian)
        begun, stalled = self.done, False
        end = min(begun + self.plan.resample_every, self.plan.iterations)
        while self.done < end and not stalled:
            n = min(end - self.done, self._affordable())
            if n < 1:
                self.stop_reason = "max_seconds"
                return
            point, stalled = self._advance(point, sample, n)
        # Counted on the sample, not in a chunk: the clock must not decide about a restart.
        if stalled and self.done - begun <= 1:
            self._restart("line_search")
        else:
            self.restarts = 0
        if self.done >= self.plan.iterations:
            self.stop_reason = "max_iterations"

    def keep_last(self) -> None:
        """After an interruption the last parameters count, for they had no fresh sample yet."""
        if self.done and bool(jnp.isfinite(self.theta).all()):
            self.best_theta = self.theta

    def _advance(self, point, sample, n):
        started = time.monotonic()
        k, evaluations, point, self.hessian, stalled = _advance(
            self.objective, point, self.hessian, sample, n
        )
        taken = int(k)
        self.budget.evaluations += int(evaluations)
        self.theta = point.theta
        self.done += taken
        self.budget.iterations += taken
        if math.isnan(self.seconds_per_step):
            # The first call was mostly compilation, which is not the stage's share to pay.
            self.seconds_per_step, self.started = 0.0, time.monotonic()
        else:
            self.seconds_per_step = (time.monotonic() - started) / max(taken, 1)
        self.recorder.advance(taken)
        return point, bool(stalled)

    def _affordable(self) -> int:
        """Return the number of steps until the next look at the clock."""
        if not self.seconds_per_step > 0:
            return 1 if math.isnan(self.seconds_per_step) else 5
        spent = time.monotonic() - self.started
        left = min(self.plan.seconds - spent, self.budget.seconds_left)
        steps = min(SECONDS_PER_CALL, left) / self.seconds_per_step
        return int(steps) if left < SECONDS_PER_CALL else max(1, int(steps))

    def _hopeless(self, value: float) -> bool:
        if value < self.milestone * (1 - self.plan.tolerance):
            self.milestone, self.samples_since = value, 0
            return False
        self.samples_since += 1
        return self.plan.tolerance > 0 and self.samples_since > self.plan.patience

    def _restart(self, trouble: str) -> None:
        """Go back to the best parameters and forget the curvature."""
        self.restarts += 1
        if self.restarts > MAX_RESTARTS:
            self.stop_reason = trouble
            return
        self.theta = self.best_theta
        self.hessian = _bfgs.init(self.theta)
        self.recorder.note(f"{trouble}: restarted from the best parameters")
