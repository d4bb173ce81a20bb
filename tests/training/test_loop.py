"""The loop ends when it should, for the reason that it states, with the best parameters it met."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass

import jax.numpy as jnp
import numpy as np
import pytest

from xdiffice.model.precision import double_precision
from xdiffice.training import loop
from xdiffice.training.budget import Budget
from xdiffice.training.history import Recorder
from xdiffice.training.loop import MAX_RESTARTS, Plan, minimise
from xdiffice.training.search import advance, begin

STIFFNESS = np.array([1.0, 10.0, 100.0])
MINIMUM = np.array([1.0, -2.0, 0.5])
ORIGIN = np.zeros(3)


@dataclass(frozen=True)
class Bowl:
    """Convex, not quadratic; the sample is its lowest point."""

    name = "bowl"

    def __call__(self, theta, sample):
        square = jnp.sum(STIFFNESS * (theta - sample) ** 2)
        value = square + 0.1 * square**2
        return value, {"value": value, "square": square}


@dataclass(frozen=True)
class Scaled:
    """The bowl, times the last number of the sample."""

    name = "scaled"

    def __call__(self, theta, sample):
        value, terms = Bowl()(theta, sample[:3])
        return sample[3] * value, terms


@dataclass(frozen=True)
class WideBowl:
    """A paraboloid of any dimension; the sample is its lowest point."""

    name = "wide bowl"

    def __call__(self, theta, sample):
        value = jnp.sum((theta - sample) ** 2)
        return value, {"value": value}


@dataclass(frozen=True)
class NewBowl(Bowl):
    """Not compiled before: another program, for there is a cache."""

    def __call__(self, theta, sample):
        value, terms = super().__call__(theta, sample)
        return value + 0.001 * jnp.sum((theta - sample) ** 4), terms


@dataclass(frozen=True)
class Cliff:
    """The way down leads to a place where nothing is finite: beyond theta[0] = 1."""

    name = "cliff"

    def __call__(self, theta, sample):
        value = jnp.sum(STIFFNESS * (theta - sample) ** 2)
        value = jnp.where(theta[0] > 1, jnp.nan, value)
        return value, {"value": value}


@dataclass(frozen=True)
class Plain:
    """The same everywhere."""

    name = "plain"

    def __call__(self, theta, sample):
        value = 0.0 * jnp.sum(theta) + 4.0
        return value, {"value": value}


@dataclass(frozen=True)
class Kink:
    """Finite everywhere, but its gradient is not where theta[0] = 0: √ at zero."""

    name = "kink"

    def __call__(self, theta, sample):
        root = jnp.sqrt(jnp.maximum(theta[0], 0.0))
        value = root + jnp.sum((theta - sample) ** 2)
        return value, {"value": value, "root": root}


class Run:
    """One call of `minimise`, with all that it needs."""

    def __init__(self, objective, plan=None, draw=None, start=ORIGIN, max_iterations=10_000):
        self.budget = Budget(None, max_iterations)
        self.recorder = Recorder(progress=False, total=max_iterations)
        self.draws = 0

        def counted(theta):
            assert isinstance(theta, np.ndarray)
            self.draws += 1
            return jnp.asarray(MINIMUM) if draw is None else draw(self.draws)

        plan = plan or Plan(50, math.inf, 10)
        with double_precision():
            self.outcome = minimise(objective, start, counted, plan, self.budget, self.recorder)
        self.history = self.recorder.to_dataset()


@pytest.mark.parametrize("iterations", [1, 4, 10, 11, 37])
def test_iterations_are_exactly_those_allowed(iterations):
    def moving(k):
        return jnp.asarray(MINIMUM + 0.3 * np.sin(k + np.arange(3)))

    run = Run(Bowl(), Plan(iterations, math.inf, 4), moving)
    assert run.outcome.stop_reason == "max_iterations"
    assert run.budget.iterations == iterations
    assert run.budget.evaluations >= iterations
    assert run.history.sizes["sample"] == run.draws
    assert run.history.iteration[-1] == iterations


@pytest.mark.parametrize("iterations", range(1, 25))
def test_a_line_search_that_fails_at_the_last_iteration_ends_the_loop(iterations):
    # From some step on there is no lower point; whichever step is the last one allowed, it ends.
    def never_ends(k):
        assert k < 100
        return jnp.asarray(MINIMUM)

    run = Run(Bowl(), Plan(iterations, math.inf, 10), never_ends)
    assert run.outcome.stop_reason in ("max_iterations", "line_search")
    assert run.budget.iterations <= iterations


def test_the_minimum_is_found():
    run = Run(Bowl(), Plan(200, math.inf, 20))
    np.testing.assert_allclose(run.outcome.theta, MINIMUM, atol=1e-7)
    # At the minimum no line search finds a lower point, which is said.
    assert run.outcome.stop_reason == "line_search"
    assert run.history.attrs["notes"].count("line_search: restarted") == MAX_RESTARTS
    assert run.history.loss[0] == pytest.approx(STIFFNESS @ MINIMUM**2 * (1 + 6.6), rel=1e-9)
    assert run.history.square[-1] < 1e-12
    assert set(run.history.stage.values) == {"bowl"}


def test_the_matrix_is_not_copied_from_step_to_step():
    # A network's matrix has hundreds of megabytes: a copy costs as much as the loss.
    n = 307
    with double_precision():
        search, sample = begin("broyden", np.zeros(n)), jnp.ones(n)
        compiled = advance.lower(WideBowl(), "broyden", search, sample, 10).compile()
    of_matrix = [line for line in compiled.as_text().splitlines() if f"f64[{n},{n}]" in line]
    assert of_matrix
    assert not [line for line in of_matrix if " conditional(" in line]
    # What is left is the mean with the transpose, at every 64th step.
    assert len([line for line in of_matrix if " copy(" in line]) <= 2


def test_a_loss_that_does_not_depend_on_anything_ends_by_its_line_search():
    run = Run(Plain(), start=np.ones(3))
    assert run.outcome.stop_reason == "line_search"
    np.testing.assert_array_equal(run.outcome.theta, 1.0)
    assert run.budget.iterations == 0  # without a slope there is no line to search along


def test_a_loss_that_is_never_finite_leaves_the_start():
    start = np.array([2.0, 0.0, 0.0])
    run = Run(Cliff(), start=start)
    assert run.outcome.stop_reason == "not_finite"
    np.testing.assert_array_equal(run.outcome.theta, start)
    assert run.budget.iterations == 0
    assert run.history.attrs["notes"].count("not_finite") == MAX_RESTARTS


def test_the_edge_of_what_is_finite_is_not_crossed():
    run = Run(Cliff(), Plan(100, math.inf, 10), lambda k: jnp.array([3.0, -2.0, 0.5]))
    assert np.isfinite(run.outcome.theta).all()
    assert 0.9 < run.outcome.theta[0] <= 1.0
    assert np.isfinite(run.history.loss).all()
    assert run.outcome.stop_reason in ("line_search", "max_iterations")


def test_samples_that_become_bad_send_it_back_to_the_best():
    def spoilt(k):
        return jnp.asarray(MINIMUM if k <= 3 else MINIMUM * np.nan)

    run = Run(Bowl(), Plan(1000, math.inf, 2), spoilt)
    assert run.outcome.stop_reason == "not_finite"
    assert np.isfinite(run.outcome.theta).all()
    loss = run.history.loss
    assert np.isfinite(loss[:3]).all()
    assert np.isnan(loss[3:]).all()
    assert run.draws == 3 + MAX_RESTARTS + 1
    # The parameters judged by the third sample, the last that could judge.
    value = Bowl()(run.outcome.theta, MINIMUM)[0]
    assert float(value) == pytest.approx(float(loss[2]), rel=1e-5)


def test_one_bad_sample_is_survived():
    def hiccup(k):
        return jnp.asarray(MINIMUM * np.nan if k == 3 else MINIMUM)

    run = Run(Bowl(), Plan(100, math.inf, 5), hiccup)
    np.testing.assert_allclose(run.outcome.theta, MINIMUM, atol=1e-6)


def test_a_gradient_that_is_not_finite_spoils_nothing():
    run = Run(Kink(), Plan(60, math.inf, 5), lambda k: jnp.array([-1.0, 2.0, 3.0]), np.ones(3))
    assert np.isfinite(run.outcome.theta).all()
    assert np.isfinite(run.history.loss).all()
    assert run.history.loss[-1] < run.history.loss[0]


def test_what_a_bad_sample_taught_does_not_count():
    def changing(k):
        return jnp.asarray([MINIMUM, MINIMUM, -9 * MINIMUM, MINIMUM][k - 1])

    run = Run(Bowl(), Plan(24, math.inf, 8), changing)
    assert run.draws == 4
    assert run.history.loss[-1] > 1e4  # there the last sample had led it
    np.testing.assert_allclose(run.outcome.theta, MINIMUM, atol=0.05)


def test_parameters_are_compared_on_the_same_sample():
    # The second sample is a lucky one: on it every loss is low.
    scales = [1.0, 1e-9, 1.0, 1.0, 1.0]
    run = Run(Scaled(), Plan(8, math.inf, 2), lambda k: jnp.asarray([*MINIMUM, scales[k - 1]]))
    assert np.argmin(run.history.loss.values) == 1
    value = float(Bowl()(run.outcome.theta, MINIMUM)[0])
    assert value == pytest.approx(run.history.square[-1] * (1 + 0.1 * run.history.square[-1]))
    assert value < 0.1 * float(Bowl()(ORIGIN, MINIMUM)[0])


def test_what_only_single_samples_taught_averages_out():
    rng = np.random.default_rng(3)
    noise = rng.normal(size=(31, 3))
    run = Run(Bowl(), Plan(600, math.inf, 20), lambda k: jnp.asarray(MINIMUM + noise[k - 1]))
    # Twenty iterations find the minimum of a sample; the last ten of those are averaged.
    assert run.draws == 31
    np.testing.assert_allclose(run.outcome.theta, MINIMUM + noise[20:30].mean(axis=0), atol=0.02)


def test_tolerance_ends_what_does_not_improve():
    rng = np.random.default_rng(0)
    samples = [MINIMUM + 0.1 * rng.normal(size=3) for _ in range(200)]
    plan = Plan(10_000, math.inf, 3, tolerance=0.01, patience=5)
    run = Run(Bowl(), plan, lambda k: jnp.asarray(samples[k]))
    assert run.outcome.stop_reason == "tolerance"
    assert run.history.sizes["sample"] > 6
    np.testing.assert_allclose(run.outcome.theta, MINIMUM, atol=0.3)


def test_samples_of_different_levels_do_not_hide_that_it_improves():
    rng = np.random.default_rng(1)
    levels = 10 ** rng.uniform(-3, 3, 200)
    plan = Plan(10_000, math.inf, 1, tolerance=0.01, patience=3)
    run = Run(Scaled(), plan, lambda k: jnp.asarray([*MINIMUM, levels[k]]))
    np.testing.assert_allclose(run.outcome.theta, MINIMUM, atol=1e-3)


@pytest.mark.parametrize("at", [1, 2, 4])
def test_an_interruption_keeps_the_last_parameters(at):
    def interrupted(k):
        if k == at:
            raise KeyboardInterrupt
        return jnp.asarray(MINIMUM)

    run = Run(Bowl(), Plan(1000, math.inf, 3), interrupted)
    assert run.outcome.stop_reason == "interrupted"
    assert run.budget.iterations == 3 * (at - 1)
    uninterrupted = Run(Bowl(), Plan(3 * (at - 1), math.inf, 3)) if at > 1 else None
    expected = uninterrupted.outcome.theta if uninterrupted else ORIGIN
    np.testing.assert_array_equal(run.outcome.theta, expected)


@pytest.mark.parametrize("seconds_per_call", [1e-12, 1e-4, 1e9])
@pytest.mark.parametrize("iterations", [7, 60])
def test_looking_at_the_clock_more_often_changes_no_bit(monkeypatch, seconds_per_call, iterations):
    # 60 iterations go beyond the minimum, so that failing line searches are among them.
    def draw(k):
        return jnp.asarray(MINIMUM + 0.01 * k)

    expected = Run(Bowl(), Plan(iterations, math.inf, 20), draw)
    monkeypatch.setattr(loop, "SECONDS_PER_CALL", seconds_per_call)
    run = Run(Bowl(), Plan(iterations, math.inf, 20), draw)
    np.testing.assert_array_equal(run.outcome.theta, expected.outcome.theta)
    assert run.outcome.stop_reason == expected.outcome.stop_reason
    assert run.budget.iterations == expected.budget.iterations
    np.testing.assert_array_equal(run.history.loss, expected.history.loss)
    assert run.history.attrs == expected.history.attrs


def test_seconds_are_kept():
    rng = np.random.default_rng(0)

    def draw(k):
        return jnp.asarray(MINIMUM + rng.normal(size=3))

    Run(Bowl(), Plan(1, math.inf, 1))  # compiled
    started = time.monotonic()
    run = Run(Bowl(), Plan(10**9, 1.0, 20), draw, max_iterations=10**9)
    assert run.outcome.stop_reason == "max_seconds"
    assert 0.8 < time.monotonic() - started < 3.0


def test_compilation_is_not_paid_from_the_seconds_of_a_stage():
    started = time.monotonic()
    run = Run(NewBowl(), Plan(200, 0.2, 20), lambda k: jnp.asarray(MINIMUM + 0.3 * np.sin(k)))
    assert time.monotonic() - started > 0.3  # it was compiled
    assert run.budget.iterations > 50


@pytest.mark.parametrize(
    ("seconds", "spent", "left"),
    # Training ends a little early, for misfits and residuals are computed after it.
    [(None, 1e9, math.inf), (60.0, 10.0, 47.0), (600.0, 10.0, 587.0), (20.0, 25.0, -6.0)],
)
def test_what_a_budget_leaves(seconds, spent, left):
    budget = Budget(seconds, 10, time.monotonic() - spent, iterations=9)
    assert budget.iterations_left == 1
    assert budget.seconds == pytest.approx(spent, abs=0.5)
    assert budget.seconds_left == pytest.approx(left, abs=0.5)
