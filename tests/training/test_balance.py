"""Weights grow while the equations do not hold, and fall back where they do."""

from __future__ import annotations

import numpy as np
import pytest

from xdiffice.training.balance import (
    CURBED_AFTER,
    DATA_OUTLIER,
    EQUATION_OUTLIER,
    FRONT_AT_FIRST,
    LEEWAY,
    MOMENTUM_AT_FIRST,
    MOMENTUM_GROWS,
    ROUGHNESS_AT_FIRST,
    SHARE_IN_REGIONS,
    STRONGEST,
    TOLERANCE,
    Balance,
    Extent,
    curbs,
    shares_of_shelf,
)
from xdiffice.training.loss import Curbs, Weights, curbed

WEIGHTS = Weights(1.0, 0.6, 0.002, 0.003, roughness=1e-4)
MOMENTUM, FRONT = TOLERANCE["momentum"], TOLERANCE["front"]
STRESSES = {"momentum": 3.0, "front": 5.0}
SETTLED = 16  # samples until all weights are those that were given


def terms(momentum: float, front: float) -> dict[str, float]:
    """Terms whose residuals are these shares of the stresses 3 and 5."""
    return {
        "x_momentum": 0.25 * 3 * momentum**2,
        "y_momentum": 0.75 * 3 * momentum**2,
        "x_front": 0.5 * 5 * front**2,
        "y_front": 0.5 * 5 * front**2,
        "x_velocity": 7.0,
        "y_velocity": 0.0,
        "thickness": np.nan,
    }


def learned(*shares: tuple[float, float]) -> Weights:
    """Weights after samples, the first of which let all weights become those that were given."""
    balance = Balance()
    first = [(100.0, 0.0)] * MOMENTUM_GROWS + [(0.0, 0.0)] * (SETTLED - MOMENTUM_GROWS)
    for momentum, front in [*first, *shares]:
        balance.learn(terms(momentum, front), STRESSES)
    return balance.applied(WEIGHTS)


def test_the_front_weighs_more_at_first():
    balance = Balance()
    assert balance.applied(WEIGHTS).front == pytest.approx(FRONT_AT_FIRST * 0.003)
    for sample in range(1, 12):
        balance.learn(terms(100.0, 0.1 * FRONT * 10**-sample), STRESSES)
        expected = max(1.0, FRONT_AT_FIRST / 2**sample)
        assert balance.applied(WEIGHTS).front == pytest.approx(expected * 0.003)


def test_the_front_falls_back_no_further_than_its_residual_allows():
    balance = Balance()
    for _ in range(20):
        balance.learn(terms(0.0, FRONT), STRESSES)
    assert balance.applied(WEIGHTS).front == pytest.approx(FRONT_AT_FIRST * 0.003)


def test_momentum_grows_to_its_weight_whatever_its_residuals():
    balance = Balance()
    for sample in range(MOMENTUM_GROWS + 1):
        share = MOMENTUM_AT_FIRST ** max(0.0, 1 - sample / MOMENTUM_GROWS)
        assert balance.applied(WEIGHTS).momentum == pytest.approx(share * 0.002)
        balance.learn(terms(100.0, 0.0), STRESSES)
    assert balance.applied(WEIGHTS).momentum == pytest.approx(2 * 0.002)


def test_the_first_residuals_of_momentum_say_nothing():
    assert learned() == pytest.approx(WEIGHTS)


def test_outliers_are_curbed_when_the_fields_have_found_their_places():
    balance = Balance()
    for sample in range(1, SETTLED):
        given = terms(0.1 * sample, 0.2)
        balance.learn(given, STRESSES)
        assert balance.curbs == (curbs(given) if sample > CURBED_AFTER else Curbs())


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
    balance = Balance()
    for _ in range(SETTLED):
        balance.learn(terms(1.0, 1.0), {"momentum": 0.0, "front": 0.0})
    assert balance.applied(WEIGHTS) == WEIGHTS


def test_a_rough_viscosity_costs_less_with_every_sample():
    smooth, balance = WEIGHTS._replace(roughness=1e-7), Balance()
    for sample in range(MOMENTUM_GROWS):
        found = balance.applied(smooth)
        share = found.momentum / WEIGHTS.momentum
        expected = max(1e-7, share * ROUGHNESS_AT_FIRST / 2**sample)
        assert found.roughness == pytest.approx(expected)
        balance.learn(terms(np.nan, np.nan), STRESSES)


def test_a_training_of_many_samples_has_the_weights_that_were_given():
    assert learned(*[(0.0, 0.0)] * 2000) == WEIGHTS


def test_residuals_are_measured_by_the_stresses_of_their_sample():
    balance = Balance()
    balance.learn(terms(0.0, FRONT), {"momentum": 3.0, "front": 4 * 5.0})
    expected = FRONT_AT_FIRST * 0.003 / np.sqrt(2)  # a quarter of the square that is allowed
    assert balance.applied(WEIGHTS).front == pytest.approx(expected)


def test_curbs_are_set_at_so_many_root_mean_squares():
    found = curbs(terms(0.1, 0.2))
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


def test_the_leeway_grows_with_the_weight_of_momentum():
    balance, found = Balance(), []
    for _ in range(MOMENTUM_GROWS + 3):
        found.append(balance.leeway)
        balance.learn(terms(np.nan, np.nan), STRESSES)
    expected = np.minimum(np.arange(MOMENTUM_GROWS + 3) / MOMENTUM_GROWS, 1)
    np.testing.assert_allclose(found, LEEWAY[0] + (LEEWAY[1] - LEEWAY[0]) * expected)


def squares(momentum: float, front: float) -> dict[str, float]:
    """Squares of residuals that are these shares of the stresses 3 and 5."""
    return {"momentum": 3 * momentum**2, "front": 5 * front**2}


def test_regions_are_measured_by_what_drives_the_whole_shelf():
    """Two regions, of which one has three times the points, in units of a half."""
    measured = [(squares(0.1, 0.2), STRESSES), (squares(0.3, 0.0), STRESSES)]
    extents = [
        {"momentum": Extent(30, 0.5), "front": Extent(8, 2.0)},
        {"momentum": Extent(10, 1.0), "front": Extent(0, 1.0)},
    ]
    one, other = shares_of_shelf(measured, extents)
    mean = (30 * 0.25 + 10) / 40  # of the stress, in units of 3
    assert one["momentum"] == pytest.approx(0.25 * 0.1**2 / mean)
    assert other["momentum"] == pytest.approx(0.3**2 / mean)
    assert one["front"] == pytest.approx(0.2**2)
    assert other["front"] == 0.0  # it has none
    (alone,) = shares_of_shelf(measured[:1], extents[:1])
    assert alone == pytest.approx({"momentum": 0.1**2, "front": 0.2**2})
    nowhere = {"momentum": Extent(5, 1.0), "front": Extent(0, 1.0)}
    unknown = {"momentum": 1.0, "front": np.nan}
    (alone,) = shares_of_shelf([(unknown, unknown)], [nowhere])
    assert alone == {"momentum": 1.0, "front": 0.0}


def test_a_region_that_is_all_of_the_shelf_does_what_one_network_does_with_more_left_over():
    own, of_shelf = Balance(), Balance()
    extent = {"momentum": Extent(7, 3.0), "front": Extent(2, 5.0)}
    for sample in range(MOMENTUM_GROWS + 5):
        own.learn(terms(0.01 * sample, 0.3), STRESSES)
        found = squares(SHARE_IN_REGIONS * 0.01 * sample, SHARE_IN_REGIONS * 0.3)
        (shares,) = shares_of_shelf([(found, STRESSES)], [extent])
        of_shelf.learn(terms(50.0, 50.0), STRESSES, shares)
        one, other = own.applied(WEIGHTS), of_shelf.applied(WEIGHTS)
        assert one.momentum == pytest.approx(other.momentum)
        assert one.front == pytest.approx(other.front)
