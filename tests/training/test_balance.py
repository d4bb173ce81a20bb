"""Weights grow while the equations do not hold, and fall back where they do."""

from __future__ import annotations

import numpy as np
import pytest

from xdiffice.training.balance import (
    DATA_OUTLIER,
    EQUATION_OUTLIER,
    FRONT_AT_FIRST,
    PATIENCE,
    ROUGHNESS_AT_FIRST,
    STRONGEST,
    TOLERANCE,
    Balance,
    at_first,
    curbs,
)
from xdiffice.training.loss import Curbs, Weights, curbed

WEIGHTS = Weights(1.0, 0.6, 0.002, 0.003, roughness=1e-4)
MOMENTUM, FRONT = TOLERANCE["momentum"], TOLERANCE["front"]
SETTLED = 10  # samples until the front has fallen back to its own weight


def terms(momentum: float, front: float) -> dict[str, float]:
    """Terms whose residuals are these shares of the stresses 3 and 5."""
    return {
        "x_momentum": 0.25 * 3 * momentum**2,
        "y_momentum": 0.75 * 3 * momentum**2,
        "x_front": 0.5 * 5 * front**2,
        "y_front": 0.5 * 5 * front**2,
        "x_velocity": 7.0,
    }


def learned(*shares: tuple[float, float]) -> Weights:
    """Weights after samples, the first of which let the front fall back to its own weight."""
    balance = Balance(3.0, 5.0)
    first = [(100.0, 0.0)] * PATIENCE + [(0.0, 0.0)] * (SETTLED - PATIENCE)
    for momentum, front in [*first, *shares]:
        balance.learn(terms(momentum, front))
    return balance.applied(WEIGHTS)


def test_the_front_weighs_more_at_first():
    balance = Balance(3.0, 5.0)
    found = balance.applied(WEIGHTS)
    assert found == pytest.approx(WEIGHTS._replace(front=FRONT_AT_FIRST * 0.003))
    for sample in range(1, PATIENCE):
        balance.learn(terms(100.0, 0.1 * FRONT * 10**-sample))
        expected = max(1.0, FRONT_AT_FIRST / 2**sample)
        assert balance.applied(WEIGHTS).front == pytest.approx(expected * 0.003)


def test_the_front_falls_back_no_further_than_its_residual_allows():
    balance = Balance(3.0, 5.0)
    for _ in range(20):
        balance.learn(terms(0.0, FRONT))
    assert balance.applied(WEIGHTS).front == pytest.approx(FRONT_AT_FIRST * 0.003)


def test_the_first_residuals_of_momentum_say_nothing():
    assert learned() == pytest.approx(WEIGHTS)


def test_what_holds_keeps_the_weights_that_were_given():
    assert learned((0.0, 0.5 * FRONT), (MOMENTUM, 0.1 * FRONT)) == pytest.approx(WEIGHTS)


def test_a_weight_follows_the_root_of_the_residual():
    found = learned((1.44 * MOMENTUM, FRONT))
    assert found == pytest.approx(WEIGHTS._replace(momentum=1.2 * 0.002))
    found = learned((MOMENTUM, 2.25 * FRONT), (MOMENTUM, FRONT / 1.44))
    assert found == pytest.approx(WEIGHTS._replace(front=1.25 * 0.003))


def test_steps_and_factors_are_bounded():
    assert learned((100.0, 1e9)) == pytest.approx(WEIGHTS._replace(momentum=0.004, front=0.006))
    grown = learned(*[(100.0, 100.0)] * 20)
    assert grown.momentum == pytest.approx(STRONGEST["momentum"] * 0.002)
    assert grown.front == pytest.approx(STRONGEST["front"] * 0.003)
    back = learned(*[(100.0, 100.0)] * 20, *[(0.0, 0.0)] * 20)
    assert back == pytest.approx(WEIGHTS)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_what_is_not_finite_teaches_nothing(value):
    found = learned((value, 1.44 * FRONT))
    assert found == pytest.approx(WEIGHTS._replace(front=1.2 * 0.003))


def test_a_shelf_without_stresses_falls_back_to_its_weights():
    balance = Balance(0.0, 0.0)
    for _ in range(SETTLED):
        balance.learn(terms(1.0, 1.0))
    assert balance.applied(WEIGHTS) == WEIGHTS


def test_a_rough_viscosity_costs_less_with_every_sample():
    smooth, balance = WEIGHTS._replace(roughness=1e-7), Balance(3.0, 5.0)
    assert at_first(smooth).roughness == ROUGHNESS_AT_FIRST
    for sample in range(SETTLED):
        expected = max(1e-7, ROUGHNESS_AT_FIRST / 2**sample)
        assert balance.applied(smooth).roughness == pytest.approx(expected)
        balance.learn(terms(np.nan, np.nan))


def test_the_first_stages_have_the_weights_with_which_the_last_begins():
    assert at_first(WEIGHTS) == Balance(3.0, 5.0).applied(WEIGHTS)


def test_curbs_are_set_at_so_many_root_mean_squares():
    found = curbs(terms(0.1, 0.2) | {"x_velocity": 7.0, "y_velocity": 0.0, "thickness": np.nan})
    squares = np.array([7.0, 3 * 0.1**2, 5 * 0.2**2])
    outliers = np.array([DATA_OUTLIER, EQUATION_OUTLIER, EQUATION_OUTLIER])
    deltas = 1 / (outliers**2 * squares)
    assert found == pytest.approx(Curbs(deltas[0], 0.0, 0.0, *deltas[1:]))


def test_repeated_curbs_settle_on_the_scale_of_what_is_no_outlier():
    residual = np.random.default_rng(0).normal(size=20_000)

    def settled(residual):
        scale = np.mean(residual**2)
        for _ in range(60):
            scale = float(np.mean(curbed(residual**2, 1 / (EQUATION_OUTLIER**2 * scale))))
        return scale

    clean = settled(residual)
    assert 0.8 < clean < 1.0
    residual[:20] *= 100  # a thousandth of them: the mean of squares grows tenfold
    assert np.mean(residual**2) > 8
    assert settled(residual) < 2 * clean
