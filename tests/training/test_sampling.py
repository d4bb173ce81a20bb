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
from xdiffice.training.sampling import SampleSizes, draw


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
    # The same numbers of velocity and interior points would tie data to residuals.
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
