"""Weights grow while the equations do not hold, and fall back where they do."""

from __future__ import annotations

import numpy as np
import pytest

from xdiffice.training.balance import STRONGEST, TOLERANCE, Balance
from xdiffice.training.loss import Weights

WEIGHTS = Weights(1.0, 0.6, 0.002, 0.003)


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
    balance = Balance(3.0, 5.0)
    for momentum, front in shares:
        balance.learn(terms(momentum, front))
    return balance.applied(WEIGHTS)


def test_what_holds_keeps_the_weights_that_were_given():
    assert learned() == WEIGHTS
    assert learned((0.0, 0.5 * TOLERANCE), (TOLERANCE, 0.1 * TOLERANCE)) == pytest.approx(WEIGHTS)


def test_a_weight_follows_the_residual_in_proportion():
    found = learned((1.5 * TOLERANCE, TOLERANCE))
    assert found == pytest.approx(WEIGHTS._replace(momentum=1.5 * 0.002))
    found = learned((TOLERANCE, 1.5 * TOLERANCE), (TOLERANCE, TOLERANCE / 1.2))
    assert found == pytest.approx(WEIGHTS._replace(front=1.25 * 0.003))


def test_steps_and_factors_are_bounded():
    assert learned((100.0, 1e9)) == pytest.approx(WEIGHTS._replace(momentum=0.004, front=0.006))
    grown = learned(*[(100.0, 100.0)] * 20)
    assert grown.momentum == pytest.approx(STRONGEST * 0.002)
    assert grown.front == pytest.approx(STRONGEST * 0.003)
    back = learned(*[(100.0, 100.0)] * 20, *[(0.0, 0.0)] * 20)
    assert back == pytest.approx(WEIGHTS)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_what_is_not_finite_teaches_nothing(value):
    assert learned((value, 1.5 * TOLERANCE)) == pytest.approx(WEIGHTS._replace(front=1.5 * 0.003))


def test_a_shelf_without_stresses_keeps_its_weights():
    balance = Balance(0.0, 0.0)
    balance.learn(terms(1.0, 1.0))
    assert balance.applied(WEIGHTS) == WEIGHTS
