"""The line search on lines whose shape is known: what it accepts, what it refuses, how fast."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import jax
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from xdiffice.model.precision import double_precision
from xdiffice.training.line_search import MAX_TRIALS, Bracket, judged, opened

start_search, judge = jax.jit(opened), jax.jit(judged)
Line = Callable[[float], tuple[float, float]]  # step -> value, slope


class Trial(NamedTuple):
    """One pass: what was tried, what it gave, and the bracket after it."""

    step: float
    value: float
    slope: float
    after: Bracket


class Search:
    """All trials along one line, and how they ended."""

    def __init__(self, line: Line, dtype=np.float64, finite=None):
        self.trials: list[Trial] = []
        self.accepted = self.failed = False
        with double_precision(), np.errstate(all="ignore"):
            start = self.start_value, self.start_slope = self._at(line, 0.0, dtype)
            bracket = start_search(*start)
            while not (self.accepted or self.failed):
                step = float(bracket.trial)
                value, slope = self._at(line, step, dtype)
                allowed = np.isfinite(value) & np.isfinite(slope)
                if finite is not None:
                    allowed &= finite(step)
                verdict = judge(bracket, *start, value, slope, np.bool_(allowed))
                bracket = verdict.bracket
                self.trials.append(Trial(step, value, slope, jax.device_get(bracket)))
                self.accepted, self.failed = bool(verdict.accepted), bool(verdict.failed)
                assert len(self.trials) <= MAX_TRIALS

    @staticmethod
    def _at(line, step, dtype):
        value, slope = line(step)
        return dtype(value), dtype(slope)

    @property
    def steps(self) -> list[float]:
        return [trial.step for trial in self.trials]

    @property
    def last(self) -> Trial:
        return self.trials[-1]

    def is_wolfe(self, trial: Trial) -> bool:
        """Strong Wolfe conditions with c₁ = 1e-4, c₂ = 0.9."""
        fallen = trial.value <= self.start_value + 1e-4 * trial.step * self.start_slope
        return bool(fallen and abs(trial.slope) <= 0.9 * abs(self.start_slope))


def parabola(minimum: float, slope: float = -1.0, start: float = 0.0) -> Line:
    """Slope at zero, and where the minimum is."""
    return lambda t: (start + slope * t * (1 - t / (2 * minimum)), slope * (1 - t / minimum))


slopes = st.floats(-1e6, -1e-6)


# The unit step fulfils the conditions if the minimum lies between 1 / 1.9 and 1 / 0.1.
@settings(max_examples=50, deadline=None)
@given(minimum=st.floats(0.527, 9.99), slope=slopes, share=st.floats(-10, 10))
def test_a_good_first_step_is_taken(minimum, slope, share):
    search = Search(parabola(minimum, slope, share * slope))
    assert search.accepted
    assert search.steps == [1.0]


@settings(max_examples=50, deadline=None)
@given(minimum=st.floats(0.101, 0.526), slope=slopes, share=st.floats(-10, 10))
def test_the_minimum_of_a_parabola_is_met_by_the_second_step(minimum, slope, share):
    search = Search(parabola(minimum, slope, share * slope))
    assert search.accepted
    assert search.steps == [1.0, pytest.approx(minimum, rel=1e-9)]


@settings(max_examples=50, deadline=None)
@given(exponent=st.floats(-10, -1.01), slope=slopes)
def test_a_step_far_too_long_shrinks_by_a_tenth_at_most(exponent, slope):
    minimum = 10.0**exponent
    search = Search(parabola(minimum, slope))
    assert search.accepted
    assert search.is_wolfe(search.last)
    # A tenth of the last one, until the minimum is within reach.
    n = math.ceil(-exponent)
    assert len(search.steps) <= n + 1
    expected = 10.0 ** -np.arange(len(search.steps) - 1)
    np.testing.assert_allclose(search.steps[:-1], expected, rtol=1e-12)
    assert search.last.value == pytest.approx(slope * minimum / 2, rel=0.99)


@settings(max_examples=50, deadline=None)
@given(minimum=st.floats(10.01, 1e8), slope=slopes)
def test_a_step_far_too_short_is_taken_four_times_as_long(minimum, slope):
    search = Search(parabola(minimum, slope))
    assert search.accepted
    assert search.is_wolfe(search.last)
    n = math.ceil(math.log(minimum / 10, 4) - 1e-12)
    assert search.steps == [4.0**k for k in range(n + 1)]


@settings(max_examples=100, deadline=None)
@given(
    value=st.floats(-3, 3),
    slope=st.floats(-3, 3),
    start_slope=st.floats(-2, -0.01),
    fine=st.booleans(),
)
def test_the_first_verdict_is_that_of_the_strong_wolfe_conditions(value, slope, start_slope, fine):
    assume(abs(value - 1e-4 * start_slope) > 1e-12)
    assume(abs(abs(slope) + 0.9 * start_slope) > 1e-12)
    with double_precision():
        start = np.float64(0), np.float64(start_slope)
        verdict = judge(
            start_search(*start), *start, np.float64(value), np.float64(slope), np.bool_(fine)
        )
    expected = fine and value < 1e-4 * start_slope and abs(slope) < 0.9 * abs(start_slope)
    assert bool(verdict.accepted) == expected
    assert not bool(verdict.failed)
    assert int(verdict.bracket.trials) == 1


def barrier(a: float) -> Line:
    """Return -log(1 - t) - a t: infinite at one, not a number beyond, lowest at 1 - 1/a."""
    return lambda t: (-np.log(1 - np.float64(t)) - a * t, 1 / (1 - np.float64(t)) - a)


def exponential(k: float) -> Line:
    """Return exp(k t) - 1 - 2 k t, lowest at log(2) / k; overflows for large k."""
    return lambda t: (
        np.expm1(np.float64(k * t)) - 2 * k * t,
        k * np.exp(np.float64(k * t)) - 2 * k,
    )


def quartic(minimum: float) -> Line:
    return lambda t: ((t / minimum - 1) ** 4, 4 / minimum * (t / minimum - 1) ** 3)


def bent(minimum: float, width: float) -> Line:
    """Two straight lines with a rounded corner between them."""

    def line(t):
        root = math.hypot(t - minimum, width)
        return root, (t - minimum) / root

    return line


def wavy(t):
    return math.cos(9 * t) + (t - 1.5) ** 2, -9 * math.sin(9 * t) + 2 * (t - 1.5)


# The line, and how many trials are enough.
HARD = {
    "barrier at the unit step": (barrier(2.0), 2),
    "barrier, minimum close to it": (barrier(1000.0), 9),
    "barrier, minimum far from it": (barrier(1.01), 5),
    "exponential": (exponential(3.0), 4),
    "steep exponential": (exponential(100.0), 11),
    "exponential that overflows": (exponential(1e4), 18),
    "quartic, first step too long": (quartic(1e-3), 8),
    "quartic, first step too short": (quartic(1e3), 6),
    "corner before the unit step": (bent(0.3, 1e-3), 8),
    "corner behind the unit step": (bent(37.0, 1e-3), 14),
    "many minima": (wavy, 6),
}


@pytest.mark.parametrize("name", HARD)
def test_a_point_with_the_strong_wolfe_conditions_is_found(name):
    line, enough = HARD[name]
    search = Search(line)
    assert search.accepted
    assert not search.failed
    assert search.is_wolfe(search.last)
    assert search.last.value < search.start_value
    assert len(search.trials) <= enough


smooth_lines = st.tuples(
    st.lists(
        st.tuples(st.floats(-1, 1), st.floats(0.1, 40), st.floats(0, 6.3)), min_size=1, max_size=4
    ),
    st.floats(0.0, 5.0),
    st.floats(-1.0, 20.0),
)


@settings(max_examples=50, deadline=None)
@given(shape=smooth_lines, edge=st.floats(0.01, 100))
def test_whatever_the_line_the_search_keeps_its_word(shape, edge):
    waves, curvature, minimum = shape

    def line(t):
        value = curvature / 2 * (t - minimum) ** 2
        slope = curvature * (t - minimum)
        for size, frequency, phase in waves:
            value += size * math.sin(frequency * t + phase)
            slope += size * frequency * math.cos(frequency * t + phase)
        return (value, slope) if t < edge else (math.nan, math.nan)

    assume(line(0.0)[1] < -1e-3)
    search = Search(line)
    for trial in search.trials[:-1]:
        low, high = float(trial.after.low), float(trial.after.high)
        assert 0 <= low < high
        # At low it has fallen enough and still falls; there is something good ahead.
        low_value, low_slope = line(low)
        assert float(trial.after.low_value) == low_value
        assert float(trial.after.low_slope) == low_slope < 0
        assert low_value <= search.start_value + 1e-4 * low * search.start_slope
        if int(trial.after.trials) < MAX_TRIALS - 1:
            following = float(trial.after.trial)
            if math.isinf(high):
                assert following == 4 * trial.step
            else:
                width = high - low
                slack = 1e-9 * width
                assert low + 0.1 * width - slack <= following <= high - 0.1 * width + slack
    assert search.accepted != search.failed
    if search.accepted:
        assert search.last.value < search.start_value
        assert len(search.trials) == MAX_TRIALS or search.is_wolfe(search.last)
    else:
        assert len(search.trials) == MAX_TRIALS
        assert search.last.after.low == 0


def test_where_nothing_is_finite_the_step_is_halved():
    search = Search(parabola(1.0), finite=lambda step: step < 0.3)
    assert search.accepted
    assert search.steps[:3] == [1.0, 0.5, 0.25]
    for trial in search.trials[:2]:
        # The value there is fine; still nothing is learned from it but a bound.
        assert float(trial.after.high) == trial.step
        assert math.isinf(trial.after.high_value)
        assert float(trial.after.low) == 0.0


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_a_slope_that_is_not_finite_counts_as_much_as_a_value(bad):
    whole = parabola(1.0)

    def line(t):
        value, slope = whole(t)
        return value, bad if t > 0.9 else slope

    search = Search(line)
    assert search.accepted
    assert search.steps == [1.0, 0.5]
    np.testing.assert_array_equal(search.last.after.high_value, np.inf)


NO_DESCENT = {
    "constant": lambda t: (4.0, -1.0 if t == 0 else 0.0),
    "constant, slope of a descent": lambda t: (4.0, -1.0),
    "rising": lambda t: (4.0 + t, -1.0 if t == 0 else 1.0),
    "rising, slope of a descent": lambda t: (4.0 + t, -1.0),
    "not a number": lambda t: (4.0, -1.0) if t == 0 else (math.nan, math.nan),
    "minus infinity": lambda t: (4.0, -1.0) if t == 0 else (-math.inf, -1.0),
    "no finite slope": lambda t: (4.0 - t, -1.0 if t == 0 else math.inf),
}


@pytest.mark.parametrize("name", NO_DESCENT)
def test_without_descent_it_fails_after_so_many_trials(name):
    search = Search(NO_DESCENT[name])
    assert search.failed
    assert not search.accepted
    assert len(search.trials) == MAX_TRIALS == 20
    assert search.steps == sorted(search.steps, reverse=True)


def test_a_descent_without_end_is_used_in_the_end():
    search = Search(lambda t: (-t, -1.0))
    assert search.accepted
    assert search.steps == [*(4.0**k for k in range(19)), 4.0**18]  # the last repeats the lowest


@pytest.mark.parametrize("left", [1.0, 50.0])
@pytest.mark.parametrize("ratio", [0.91, 1.0, 50.0])
def test_at_a_kink_a_lower_point_is_enough(left, ratio):
    # The slope jumps from -left to ratio · left: it is nowhere as small as it should be.
    def line(t):
        if t < 1 / 3:
            return -left * t, -left
        return left * (ratio * (t - 1 / 3) - 1 / 3), ratio * left

    search = Search(line)
    assert search.accepted
    assert len(search.trials) == MAX_TRIALS
    assert not search.is_wolfe(search.last)
    assert search.last.step == pytest.approx(1 / 3, rel=0.01)
    assert search.last.value == pytest.approx(-left / 3, rel=0.01)


def test_float32_stays_float32():
    search = Search(parabola(0.3), np.float32)
    assert search.accepted
    assert search.steps == [1.0, pytest.approx(0.3, rel=1e-5)]
    floats = [leaf for name, leaf in search.last.after._asdict().items() if name != "trials"]
    assert {leaf.dtype for leaf in floats} == {np.dtype(np.float32)}
    assert search.last.after.trials.dtype == np.int32
