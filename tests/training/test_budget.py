"""Parts of a budget share its clock, and are counted when they are done."""

from __future__ import annotations

import time

import pytest

from xdiffice.training.budget import Budget


def test_a_part_has_its_share_of_what_is_left():
    whole = Budget(100.0, 1000)
    whole.iterations = 200
    part = whole.part(0.25)
    assert part.iterations == 200
    assert part.iterations_left == 200
    assert part.seconds == pytest.approx(whole.seconds, abs=0.01)
    # The closing seconds are left out of the whole, and again of the part.
    assert part.seconds_left == pytest.approx(0.25 * 97 - 3 * 0.25 * 97 / 60, abs=2.0)
    assert whole.part(1.0).seconds_left == pytest.approx(whole.seconds_left, abs=0.01)
    assert Budget(None, 10).part(0.5).seconds_left == float("inf")


def test_parts_done_side_by_side_count_once():
    whole = Budget(None, 1000)
    one, other = whole.part(1.0), whole.part(1.0)
    one.iterations, one.evaluations = 300, 330
    other.iterations, other.evaluations = 280, 290
    whole.spent(one, other)
    assert whole.iterations == 300
    assert whole.evaluations == 620
    later = whole.part(1.0)
    later.iterations, later.evaluations = later.iterations + 50, later.evaluations + 60
    whole.spent(later, whole.part(1.0))
    assert (whole.iterations, whole.evaluations) == (350, 680)


def test_an_interruption_ends_all_parts():
    whole = Budget(None, 1000)
    part = whole.part(0.5)
    whole.interrupted.set()
    assert part.seconds_left == whole.seconds_left == 0.0


def test_the_clock_of_a_part_is_that_of_the_whole():
    whole = Budget(1.0, 10)
    time.sleep(0.05)
    assert whole.part(1.0).seconds > 0.04


def test_a_part_keeps_the_reserved_seconds_and_has_them_back():
    whole = Budget(100.0, 1000, reserved=20.0)
    assert whole.seconds_left == pytest.approx(100 - 3 - 20, abs=0.1)
    part = whole.part(1.0)
    assert part.reserved == 20.0
    assert part.seconds_left == pytest.approx(whole.seconds_left, abs=0.01)
    part.reserved = 0.0
    assert part.seconds_left == pytest.approx(97, abs=0.1)
    assert Budget(None, 10, reserved=20.0).seconds_left == float("inf")
