"""How one objective is minimised: compiled chunks, new samples between them, a reason to stop.

Between chunks (`xdiffice.training.search`) the host draws a sample, writes the history, looks at
the clock and keeps the best parameters.
"""

from __future__ import annotations

import contextlib
import functools
import math
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from xdiffice.training.budget import Budget
from xdiffice.training.history import Recorder
from xdiffice.training.quasi_newton import Family
from xdiffice.training.search import advance, begin

SECONDS_PER_CALL = 1.0  # between two looks at the clock: Ctrl-C and the budget act this soon
MAX_RESTARTS = 3  # without progress in between
AVERAGED = 10  # samples, the parameters of which are averaged in the end
COUNTS = ("samples_since", "restarts", "done", "stop_reason")  # of the state of a `Descent`


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
        Stop when ``patience`` samples did not lower the loss by this share, both ends seen on the
        same fresh sample.
    patience : int
        Samples without progress that are endured.
    family : {"bfgs", "broyden"}
        Quasi-Newton update.
    """

    iterations: int
    seconds: float
    resample_every: int
    tolerance: float = 0.0
    patience: int = 10
    family: Family = "broyden"


@dataclass(frozen=True)
class Outcome:
    """What `minimise` reached."""

    theta: np.ndarray
    stop_reason: str


def minimise(
    objective: Any,
    theta: np.ndarray,
    draw: Callable[[np.ndarray], Any],
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
        Makes a sample, given the parameters; its arrays keep their shapes from call to call.
    plan : Plan
        Limits of this objective.
    budget : Budget
        Limits of the whole fit; its iterations are counted here.
    recorder : Recorder
        Receives the terms of the loss on every fresh sample.

    Returns
    -------
    Outcome
        The parameters with the lowest loss on a fresh sample, which they had not been fitted to,
        or the mean of those on the last ten samples if it is lower still: what one sample taught
        and no other confirms averages out (Polyak & Juditsky 1992, doi 10.1137/0330046).
    """
    descent = Descent(objective, theta, plan, budget, recorder)
    try:
        while descent.stop_reason is None:
            descent.use(draw(descent.theta))
        if descent.stop_reason != "not_finite":
            descent.conclude(draw(descent.theta))
    except KeyboardInterrupt:
        descent.interrupt()
    return Outcome(descent.best_theta, str(descent.stop_reason))


@functools.cache
def _compiling(device: Any) -> threading.Lock:
    """Lock of a device: threads that need the same program wait for the first to compile it."""
    del device
    return threading.Lock()


class Descent:
    """The host's side of `minimise`: what is known between two chunks.

    Attributes
    ----------
    theta, best_theta : ndarray, shape (n,)
        Where the search is, and the best parameters so far.
    stop_reason : str or None
        None as long as there is something to be done.
    """

    def __init__(self, objective, theta, plan, budget, recorder):
        self.objective, self.plan, self.budget, self.recorder = objective, plan, budget, recorder
        self.search = begin(plan.family, theta)
        self.theta = self.best_theta = np.array(theta)  # the search's own buffers are donated
        self.milestone_theta: np.ndarray | None = None
        self.samples_since = 0
        self.recent: deque[np.ndarray] = deque(maxlen=AVERAGED)
        self.restarts = self.done = 0
        self.seconds_per_step = math.nan
        self.started = time.monotonic()
        self.stop_reason: str | None = None

    def state(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """Return numbers and arrays from which `restore` goes on as if nothing had happened."""
        # Which of the parameters are the same ones matters: they are evaluated once.
        kept = {id(theta): theta for theta in self._thetas() if theta is not None}
        order = {key: k for k, key in enumerate(kept)}
        numbers: dict[str, Any] = {name: getattr(self, name) for name in COUNTS}
        numbers["thetas"] = [order.get(id(theta), -1) for theta in self._thetas()]
        leaves = jax.tree.leaves(self.search)
        arrays = {f"search_{k}": np.asarray(leaf) for k, leaf in enumerate(leaves)}
        return numbers, arrays | {"thetas": np.stack([*kept.values()])}

    def restore(self, numbers: dict[str, Any], arrays: dict[str, np.ndarray]) -> None:
        """Take over what `state` returned, be it of another process.

        Raises
        ------
        ValueError, KeyError, TypeError
            It is of something else.
        """
        leaves, structure = jax.tree.flatten(self.search)
        given = [arrays[f"search_{k}"] for k in range(len(leaves))]
        for own, other in zip(leaves, given, strict=True):
            if own.shape != other.shape or own.dtype != other.dtype:
                raise ValueError(f"{other.dtype} of {other.shape}, not {own.dtype} of {own.shape}")
        # The same array for the same number.
        rows = [np.array(row) for row in arrays["thetas"]]
        current, best, milestone, *recent = numbers["thetas"]
        self.theta, self.best_theta = rows[current], rows[best]
        self.milestone_theta = None if milestone < 0 else rows[milestone]
        self.recent = deque((rows[k] for k in recent), maxlen=AVERAGED)
        self.search = jax.tree.unflatten(structure, [jnp.array(leaf) for leaf in given])
        for name in COUNTS:
            setattr(self, name, numbers[name])
        if self.stop_reason == "max_seconds" or (
            self.stop_reason == "max_iterations" and self.done < self.plan.iterations
        ):
            self.stop_reason = None  # there is more to spend now

    def _thetas(self) -> list[np.ndarray | None]:
        return [self.theta, self.best_theta, self.milestone_theta, *self.recent]

    def judge(self, sample) -> bool:
        """Compare with earlier parameters on a fresh sample, record it, keep the best.

        Samples differ by more than the parameters do: what is compared must have seen the same.
        Returns whether the loss is finite.
        """
        current, rivals = self.theta, {}
        for theta in (self.best_theta, self.milestone_theta):
            if theta is not None and theta is not current and id(theta) not in rivals:
                rivals[id(theta)], _ = self._evaluated(theta, sample)
        value, terms = self._evaluated(current, sample)
        self.recent.append(current)
        self.recorder.record(self.objective.name, self.budget, value, terms)
        best = rivals.get(id(self.best_theta), math.inf)
        if value < best:
            best, self.best_theta = value, self.theta
        milestone = rivals.get(id(self.milestone_theta), math.inf)
        self.samples_since += 1
        if best < milestone * (1 - self.plan.tolerance):
            self.milestone_theta, self.samples_since = self.best_theta, 0
        return math.isfinite(value)

    def _consider_mean(self, sample) -> None:
        """Keep the mean of the last parameters if that is better than the best of them."""
        if len(self.recent) < AVERAGED:
            return
        mean = np.mean(self.recent, axis=0, dtype=np.float64).astype(self.theta.dtype)
        if self._evaluated(mean, sample)[0] < self._evaluated(self.best_theta, sample)[0]:
            self.best_theta = mean

    def _evaluated(self, theta, sample):
        """Return the loss and its terms on a sample; the next step starts from there."""
        point = self.search.point._replace(theta=jnp.array(theta))
        fresh, going = jnp.asarray(True), jnp.asarray(False)
        search = self.search._replace(point=point, fresh=fresh, stalled=going)
        terms = self._run(search, sample, 0)
        return float(self.search.point.value), terms

    @property
    def settled(self) -> bool:
        """Whether there was no progress for longer than is endured."""
        return self._unchanged or self.restarts > MAX_RESTARTS

    @property
    def _unchanged(self) -> bool:
        return self.plan.tolerance > 0 and self.samples_since > self.plan.patience

    def use(self, sample, may_settle: bool = True) -> None:
        """Judge a fresh sample, then minimise on it until the next one is due.

        ``may_settle`` says whether to stop where there is no more progress.
        """
        if not self.judge(sample):
            self._restart("not_finite")
            return
        if self._unchanged and may_settle:
            self.stop_reason = "tolerance"
            return
        begun = self.done
        end = min(begun + self.plan.resample_every, self.plan.iterations)
        while self.done < end and not self.search.stalled:
            n = min(end - self.done, self._affordable())
            if n < 1:
                self.stop_reason = "max_seconds"
                return
            self._run(self.search, sample, n)
        # Counted on the sample, not in a chunk: the clock must not decide about a restart.
        if self.search.stalled and self.done - begun <= 1:
            self._restart("line_search", may_settle)
        else:
            self.restarts = 0
        if self.done >= self.plan.iterations:
            self.stop_reason = "max_iterations"

    def conclude(self, sample) -> None:
        """Compare the last parameters, and their mean, with the best on one more sample."""
        self.judge(sample)
        self._consider_mean(sample)

    def interrupt(self) -> None:
        """Stop; the last parameters count, for they had no fresh sample yet."""
        self.stop_reason = "interrupted"
        if self.done and np.isfinite(self.theta).all():
            self.best_theta = self.theta

    def _run(self, search, sample, n):
        """Take up to n steps on the device; return the terms of the loss."""
        started = time.monotonic()
        search = search._replace(steps=np.int32(0), evaluations=np.int32(0))
        first = math.isnan(self.seconds_per_step)
        config: Any = jax.config  # its class does not declare the flags
        with _compiling(config.jax_default_device) if first else contextlib.nullcontext():
            self.search, terms = advance(self.objective, self.plan.family, search, sample, n)
        self.theta = np.array(self.search.point.theta)
        taken = int(self.search.steps)
        self.done += taken
        self.budget.iterations += taken
        self.budget.evaluations += int(self.search.evaluations)
        if first:
            # The first call was mostly compilation, which is not the stage's share to pay.
            self.seconds_per_step, self.started = 0.0, time.monotonic()
        elif taken:
            self.seconds_per_step = (time.monotonic() - started) / taken
        self.recorder.advance(taken)
        return terms

    def _affordable(self) -> int:
        """Return the number of steps until the next look at the clock."""
        if not self.seconds_per_step > 0:
            return 5  # not measured yet
        spent = time.monotonic() - self.started
        left = min(self.plan.seconds - spent, self.budget.seconds_left)
        steps = min(SECONDS_PER_CALL, left) / self.seconds_per_step
        return int(steps) if left < SECONDS_PER_CALL else max(1, int(steps))

    def _restart(self, trouble: str, may_stop: bool = True) -> None:
        """Go back to the best parameters and forget the curvature."""
        self.restarts += 1
        if self.restarts > MAX_RESTARTS and may_stop:
            self.stop_reason = trouble
            return
        self.search = begin(self.plan.family, self.best_theta)
        self.theta = self.best_theta
        self.recorder.note(f"{trouble}: restarted from the best parameters")
