"""Samples are random subsets, evenly spread: no point twice, all as likely, columns together."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from xdiffice.training.loss import (
    Batch,
    FrontBatch,
    InteriorBatch,
    ThicknessBatch,
    VelocityBatch,
)
from xdiffice.training.sampling import (
    CANDIDATES,
    Magnitudes,
    SampleSizes,
    along_curve,
    candidates,
    draw,
    draw_by_residual,
)


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
    for points, part, size in zip(POINTS[:4], sample[:4], SIZES, strict=True):
        assert type(part) is type(points)
        assert len(np.unique(part[0])) == part[0].size == size
        assert np.isin(part[0], points[0]).all()


def test_the_columns_of_a_point_stay_together():
    for part in draw(POINTS, SIZES, np.random.default_rng(0))[:4]:
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
    for one, two, three in zip(first[:4], second[:4], again[:4], strict=True):
        np.testing.assert_array_equal(one[0], three[0])
        assert not np.array_equal(np.sort(one[0]), np.sort(two[0]))


def test_kinds_are_drawn_independently():
    same = Batch(*(numbered(type(part), 300) for part in POINTS[:4]))
    sample = draw(same, SampleSizes(30, 30, 30, 30), np.random.default_rng(0))
    assert len({tuple(np.sort(part[0])) for part in sample[:4]}) == 4


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


def grid_of(n: int) -> InteriorBatch:
    """Points of a square grid, row by row."""
    return InteriorBatch(*(axis.ravel() for axis in np.meshgrid(*[np.arange(n, dtype=float)] * 2)))


def batch_of(interior: InteriorBatch) -> Batch:
    return POINTS._replace(interior=interior)


@pytest.mark.parametrize("n", [2, 4, 32])
def test_the_curve_goes_from_neighbour_to_neighbour(n):
    interior = along_curve(batch_of(grid_of(n))).interior
    np.testing.assert_array_equal(np.abs(np.diff(interior.x)) + np.abs(np.diff(interior.y)), 1)
    assert len(set(zip(interior.x, interior.y, strict=True))) == n * n
    # As Hilbert's: it ends in the lower corners, and each quarter is done before the next.
    assert (interior.y[[0, -1]] == 0).all()
    quarters = 2 * (interior.x >= n / 2) + (interior.y >= n / 2)
    np.testing.assert_array_equal(quarters, np.repeat([0, 1, 3, 2], n * n // 4))


def test_the_curve_visits_every_point_once_with_all_its_columns():
    rng = np.random.default_rng(4)
    shuffled = Batch(*(type(p)(*np.array(p)[:, rng.permutation(p[0].size)]) for p in POINTS[:4]))
    for ordered, points in zip(along_curve(shuffled)[:4], POINTS[:4], strict=True):
        assert type(ordered) is type(points)
        order = np.argsort(ordered[0])
        for one, other in zip(ordered, points, strict=True):
            np.testing.assert_array_equal(one[order], other)


@given(st.floats(-1e6, 1e6), st.floats(1e-3, 1e3), st.integers(2, 40))
def test_the_order_does_not_depend_on_origin_and_unit(origin, unit, n):
    interior = grid_of(n)
    moved = InteriorBatch(origin + unit * interior.x, unit * interior.y - origin)
    ordered, moved = (along_curve(batch_of(points)).interior for points in (interior, moved))
    np.testing.assert_allclose((moved.x - origin) / unit, ordered.x, rtol=0, atol=1e-5)
    np.testing.assert_allclose((moved.y + origin) / unit, ordered.y, rtol=0, atol=1e-5)


@pytest.mark.parametrize("interior", [InteriorBatch(*np.empty((2, 0))), grid_of(1)])
def test_none_and_one_point_have_an_order(interior):
    for one, other in zip(along_curve(batch_of(interior)).interior, interior, strict=True):
        np.testing.assert_array_equal(one, other)


def test_samples_are_evenly_spread():
    # Means over 400 points of one from each of 400 cells of 5 x 5 pixels: what varies between
    # samples is the deviation within a cell, some 5 / 100 of that over the whole grid.
    points, sizes = along_curve(batch_of(grid_of(100))), SIZES._replace(interior=400)
    rng = np.random.default_rng(5)
    means = [draw(points, sizes, rng).interior.x.mean() for _ in range(200)]
    by_chance = np.std(points.interior.x) / np.sqrt(400)
    assert np.mean(means) == pytest.approx(49.5, abs=0.1)
    assert np.std(means) < 0.1 * by_chance


def by_residual(residual, rng, sizes=SIZES):
    """Draw with residuals that are functions of the points' numbers."""
    drawn = candidates(POINTS, sizes, rng)
    magnitudes = Magnitudes(*(residual(np.floor(part[0])) for part in drawn[:4]))
    return draw_by_residual(drawn, sizes, rng, magnitudes)


@pytest.mark.parametrize("kind", SampleSizes._fields)
def test_points_with_large_residuals_come_more_often(kind):
    # Residuals of 3 and 0, half of the points each: likely as 3 + 1.5 to 1.5, three to one.
    rng, sizes = np.random.default_rng(0), SampleSizes(2, 2, 2, 2)
    half = getattr(POINTS, kind)[0].size / 2
    numbers = np.concatenate([
        getattr(by_residual(lambda x: 3.0 * (x < half), rng, sizes), kind)[0] for _ in range(2000)
    ])  # fmt: skip
    # Two of eight candidates without repetition: a little less than three quarters.
    assert np.mean(numbers < half) == pytest.approx(0.735, abs=0.025)


def test_by_residual_no_point_comes_twice_and_columns_stay_together():
    sample = by_residual(lambda x: x + 1.0, np.random.default_rng(0))
    for part, size in zip(sample[:4], SIZES, strict=True):
        assert len(np.unique(part[0])) == size
        for k, column in enumerate(part):
            np.testing.assert_allclose(column, part[0] + k / 10)


@pytest.mark.parametrize("value", [0.0, np.nan, np.inf])
def test_residuals_that_tell_nothing_leave_all_points_as_likely(value):
    sample = by_residual(lambda x: np.full(x.shape, value), np.random.default_rng(0))
    assert [part[0].size for part in sample[:4]] == [*SIZES]


def test_candidates_are_four_for_each_point():
    drawn = candidates(POINTS, SIZES, np.random.default_rng(0))
    expected = [CANDIDATES * size for size in SIZES[:3]]
    assert [part[0].size for part in drawn[:4]] == [*expected, 50]  # all, where there are fewer
