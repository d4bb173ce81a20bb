"""Threads that work side by side: what they return, and that none waits while there is work."""

from __future__ import annotations

import threading

import pytest

from xdiffice.training.budget import Budget
from xdiffice.training.team import Team


@pytest.fixture
def team(monkeypatch):
    monkeypatch.setenv("PJRT_NPROC", "2")
    team = Team(6, "float64", Budget(None, 1))
    yield team
    team.close()


@pytest.mark.parametrize("n_items", [0, 1, 2, 5, 6])
def test_results_are_in_the_order_of_the_items(team, n_items):
    items = [*range(10, 10 + n_items)]
    assert team.map(lambda item: 2 * item, items) == [2 * item for item in items]


def test_a_long_item_holds_up_no_other(team):
    others = threading.Semaphore(0)

    def work(item):
        if item:
            others.release()
            return True
        return all(others.acquire(timeout=10) for _ in range(5))

    assert team.map(work, range(6)) == [True] * 6


def test_an_error_of_an_item_is_raised(team):
    with pytest.raises(ZeroDivisionError):
        team.map(lambda item: 1 / item, [1, 2, 0, 4])
