"""Samples are random subsets: no point twice, every point as likely, columns together."""

from __future__ import annotations

import numpy as np
import pytest

from xdiffice.training.loss import (
    Batch,
    FrontBatch,
    InteriorBatch,
    ThicknessBatch,
    VelocityBatch,
)
from xdiffice.training.sampling import CANDIDATES, SampleSizes, draw, draw_by_residual


def numbered(cls, n: int):
    """Make points of which every column tells the number: the k-th column is number + k / 10."""
    return cls(*(np.arange(n) + k / 10 for k in range(len(cls._fields))))


POINTS = Batch(
    numbered(VelocityBatch, 1000),
    numbered(ThicknessBatch, 400),
    numbered(InteriorBatch, 300),
    numbered(FrontBatch, 50),
)
SIZES = SampleSizes(velocity=100, thickness=40, interior=30, front=20)


def test_sizes_are_those_asked_for_and_no_point_comes_twice():
    sample = draw(POINTS, SIZES, np.random.default_rng(0))
    for points, part, size in zip(POINTS, sample, SIZES, strict=True):
        assert type(part) is type(points)
        assert len(np.unique(part[0])) == part[0].size == size
        assert np.isin(part[0], points[0]).all()


def test_the_columns_of_a_point_stay_together():
    for part in draw(POINTS, SIZES, np.random.default_rng(0)):
        for k, column in enumerate(part):
            np.testing.assert_allclose(column, part[0] + k / 10)


@pytest.mark.parametrize("size", [50, 51, 10_000])
def test_where_there_are_fewer_all_are_taken(size):
    sample = draw(POINTS, SIZES._replace(front=size), np.random.default_rng(0))
    for column, all_of_them in zip(sample.front, POINTS.front, strict=True):
        np.testing.assert_array_equal(column, all_of_them)


def test_the_generator_decides():
    rng = np.random.default_rng(3)
    first, second = draw(POINTS, SIZES, rng), draw(POINTS, SIZES, rng)
    again = draw(POINTS, SIZES, np.random.default_rng(3))
    for one, two, three in zip(first, second, again, strict=True):
        np.testing.assert_array_equal(one[0], three[0])
        assert not np.array_equal(np.sort(one[0]), np.sort(two[0]))


def test_kinds_are_drawn_independently():
    same = Batch(*(numbered(type(part), 300) for part in POINTS))
    sample = draw(same, SampleSizes(30, 30, 30, 30), np.random.default_rng(0))
    assert len({tuple(np.sort(part[0])) for part in sample}) == 4


def test_every_point_is_as_likely():
    rng, n, size, draws = np.random.default_rng(1), 50, 10, 2000
    counts = np.zeros(n)
    for _ in range(draws):
        chosen = draw(POINTS, SIZES._replace(front=size), rng).front.x.astype(int)
        counts[chosen] += 1
    share = size / n
    # Chi square with n - 1 degrees of freedom: 49 ± 10.
    chi_square = np.sum((counts - draws * share) ** 2) / (draws * share * (1 - share)) * (n - 1) / n
    assert 25 < chi_square < 80


def by_residual(residual, rng, sizes=SIZES):
    """Draw with residuals that are functions of the points' numbers."""
    return draw_by_residual(
        POINTS, sizes, rng, lambda batch: (residual(batch.interior.x), residual(batch.front.x))
    )


def test_points_with_large_residuals_come_more_often():
    # Residuals of 3 and 0, half of the points each: likely as 3 + 1.5 to 1.5, three to one.
    rng, sizes = np.random.default_rng(0), SampleSizes(10, 10, interior=2, front=50)
    numbers = np.concatenate([
        by_residual(lambda x: 3.0 * (x < 150), rng, sizes).interior.x for _ in range(2000)
    ])  # fmt: skip
    # Two of eight candidates without repetition: a little less than three quarters.
    assert np.mean(numbers < 150) == pytest.approx(0.735, abs=0.025)


def test_by_residual_no_point_comes_twice_and_columns_stay_together():
    sample = by_residual(lambda x: x + 1.0, np.random.default_rng(0))
    for part, size in zip(sample, SIZES, strict=True):
        assert len(np.unique(part[0])) == size
        for k, column in enumerate(part):
            np.testing.assert_allclose(column, part[0] + k / 10)


@pytest.mark.parametrize("value", [0.0, np.nan, np.inf])
def test_residuals_that_tell_nothing_leave_all_points_as_likely(value):
    sample = by_residual(lambda x: np.full(x.shape, value), np.random.default_rng(0))
    assert [part[0].size for part in sample] == [*SIZES]


def test_candidates_are_four_for_each_point():
    sizes = []

    def residual(x):
        sizes.append(x.size)
        return np.ones_like(x)

    by_residual(residual, np.random.default_rng(0))
    assert sizes == [CANDIDATES * 30, 50]  # all front points, where there are fewer
