"""Means over blocks: exact for planes, of second order for the rest, about as many as asked for."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xdiffice.super_observations import (
    NOISE_FLOOR,
    SPARE,
    block_means,
    detail,
    gaps,
    noise,
    noisiness,
    scatter_of_data,
    super_observations,
    with_noise,
)
from xdiffice.training.loss import Batch, FrontBatch, InteriorBatch, ThicknessBatch, VelocityBatch

seeds = st.integers(0, 10_000)
kinds = pytest.mark.parametrize("kind", [VelocityBatch, ThicknessBatch])


def batch(kind, x, y, seed: int = 0, value=None):
    """Data with a weight of its own for every value; noise unless values are given."""
    rng = np.random.default_rng(seed)

    def weight():
        drawn = rng.lognormal(0, 0.7, x.size)
        return drawn / drawn.mean()

    n = 2 if kind is VelocityBatch else 1
    values = rng.normal(size=(n, x.size)) if value is None else [value(x, y)] * n
    return kind(x, y, *values, *(weight() for _ in range(n)))


def values_of(data) -> tuple[np.ndarray, ...]:
    return (data.u, data.v) if isinstance(data, VelocityBatch) else (data.h,)


def weights_of(data) -> tuple[np.ndarray, ...]:
    return (data.u_weight, data.v_weight) if isinstance(data, VelocityBatch) else (data.weight,)


def scattered(seed: int, size: int = 3000, width: float = 2.0, height: float = 1.3):
    rng = np.random.default_rng(seed)
    return rng.uniform(0, width, size), rng.uniform(0, height, size)


def grid(columns: int, rows: int):
    x, y = np.meshgrid(np.arange(columns, dtype=float), np.arange(rows, dtype=float))
    return x.ravel(), y.ravel()


def clusters(seed: int, side: int = 7, size: int = 2000):
    """Points in tight groups around the whole numbers, and the number of the group of each."""
    rng = np.random.default_rng(seed)
    group = np.concatenate([np.arange(side * side), rng.integers(side * side, size=size)])
    jitter = rng.uniform(-0.01, 0.01, (2, group.size))
    return group % side + jitter[0], group // side + jitter[1], group


@kinds
@settings(max_examples=20, deadline=None)
@given(seed=seeds, n=st.integers(5, 1000), slopes=st.tuples(*[st.floats(-10, 10)] * 3))
def test_planes_are_kept_whatever_the_weights(kind, seed, n, slopes):
    a, b, c = slopes

    def plane(x, y):
        return a + b * x + c * y

    means = block_means(batch(kind, *scattered(seed), seed, plane), n)
    assert means.x.size < 3000
    for values in values_of(means):
        np.testing.assert_allclose(values, plane(means.x, means.y), rtol=0, atol=1e-12)


@kinds
def test_means_are_those_of_plain_loops(kind):
    x, y, group = clusters(0)
    data = batch(kind, x, y)
    means = block_means(data, 49)
    assert means.x.size == 49
    # Weights of the two components differ; their common position has the weight of both.
    weight = sum(weights_of(data))
    expected = []
    for number in range(49):
        members = [i for i in range(x.size) if group[i] == number]
        whole = sum(weight[i] for i in members)
        columns = (x, y, *values_of(data))
        row = [sum(weight[i] * column[i] for i in members) / whole for column in columns]
        expected.append(row + [sum(w[i] for i in members) for w in weights_of(data)])
    expected = np.array(expected)
    n_weights = len(weights_of(data))
    expected[:, -n_weights:] /= expected[:, -n_weights:].mean(axis=0)
    order = np.argsort(np.round(means.x) + 7 * np.round(means.y))
    np.testing.assert_allclose(np.array(means).T[order], expected, rtol=1e-10, atol=1e-12)


@kinds
@settings(max_examples=20, deadline=None)
@given(seed=seeds, n=st.integers(2, 2000))
def test_weight_and_weighted_mean_of_all_are_kept(kind, seed, n):
    data = batch(kind, *scattered(seed), seed)
    means = block_means(data, n)
    for weight in weights_of(means):
        assert weight.mean() == pytest.approx(1.0, rel=1e-12)
        assert (weight > 0).all()
    if kind is ThicknessBatch:  # one weight for all: nothing is lost in the sum
        for before, after in ((data.x, means.x), (data.y, means.y), (data.h, means.h)):
            mean = np.average(before, weights=data.weight)
            assert np.average(after, weights=means.weight) == pytest.approx(mean, abs=1e-12)


@kinds
@pytest.mark.parametrize("n", [3000, 3001, 10**9])
def test_few_data_are_returned_as_they_are(kind, n):
    data = batch(kind, *scattered(0))
    assert block_means(data, n) is data
    assert block_means(data, 2999) is not data


def shelf(x, y, u, v, h) -> Batch:
    """All points of a shelf, every weight one."""
    ones = np.ones_like(x)
    velocity, thickness = VelocityBatch(x, y, u, v, ones, ones), ThicknessBatch(x, y, h, ones)
    return Batch(velocity, thickness, InteriorBatch(x, y), FrontBatch(x, y, x, y))


def averaged(points: Batch, n_velocity: int, n_thickness: int, errors: dict) -> Batch:
    return with_errors(points, n_velocity, n_thickness, errors).points


def with_errors(points: Batch, n_velocity: int, n_thickness: int, errors: dict):
    return super_observations(points, n_velocity, n_thickness, scatter_of_data(points), errors)


def detail_of(points: Batch) -> float:
    return detail(points, scatter_of_data(points))


def test_velocity_and_thickness_alone_become_means():
    x, y = scattered(0)
    velocity, thickness = batch(VelocityBatch, x, y), batch(ThicknessBatch, x, y, seed=1)
    points = Batch(velocity, thickness, InteriorBatch(x, y), FrontBatch(x, y, x, y))
    before = [np.copy(column) for part in points[:4] for column in part]
    means = averaged(points, 500, 2000, {})
    assert means.interior is points.interior
    assert means.front is points.front
    for part, whole, n in ((means.velocity, velocity, 500), (means.thickness, thickness, 2000)):
        expected = block_means(whole, round(SPARE * n))
        assert 0.9 * n < expected.x.size < 1.2 * n
        for found, column in zip(part, expected, strict=True):
            # Weights: but for one factor, which is that of `test_the_trust_in_means`.
            ratio = found / column
            np.testing.assert_allclose(ratio, ratio[0], rtol=1e-12)
        for found, column in zip(part[:3], expected[:3], strict=True):  # x, y, first value
            np.testing.assert_array_equal(found, column)
    for column, old in zip((column for part in points[:4] for column in part), before, strict=True):
        np.testing.assert_array_equal(column, old)


def test_data_without_noise_are_not_averaged():
    x, y = scattered(0)
    plane = 1e-3 * np.random.default_rng(0).normal(size=x.size) + x
    points = shelf(x, y, plane, plane, plane)
    found = averaged(points, 100, 100, {})
    for part, whole in zip(found[:2], points[:2], strict=True):
        for column, old in zip(part[:3], whole[:3], strict=True):
            np.testing.assert_array_equal(column, old)


def test_exact_data_are_trusted_fully():
    x, y = scattered(0, 20_000)
    means = averaged(shelf(x, y, x, -y, x + y), 2000, 1000, {})
    for weight in (*weights_of(means.velocity), *weights_of(means.thickness)):
        assert weight.mean() == pytest.approx(1.0, rel=1e-6)


def test_the_trust_in_means_falls_with_their_errors():
    # On planes the errors that are told count, less by the root of the number in a mean.
    x, y = scattered(0, 20_000)
    errors = {"u": NOISE_FLOOR, "h": 5 * NOISE_FLOOR}
    means = averaged(shelf(x, y, x, -y, x + y), 2000, 10**6, errors)
    share = means.velocity.x.size / 20_000
    assert means.velocity.u_weight.mean() == pytest.approx(1 / (1 + share), rel=1e-6)
    assert means.velocity.v_weight.mean() == pytest.approx(1.0, rel=1e-6)
    assert means.thickness.weight.mean() == pytest.approx(1 / 26, rel=1e-6)  # no means: too few


@pytest.mark.parametrize("told", [0.0, 0.04, 0.5])
def test_the_trust_in_means_falls_with_their_scatter(told):
    # What is found counts as well as what is told, whichever is more.
    x, y = scattered(0, 50_000)
    u = x + 0.1 * np.random.default_rng(0).normal(size=50_000)
    means = averaged(shelf(x, y, u, -y, x), 5000, 5000, {"u": told}).velocity
    variance = max(0.1, told) ** 2 * means.x.size / 50_000
    expected = 1 / (1 + variance / NOISE_FLOOR**2)
    assert means.u_weight.mean() == pytest.approx(expected, rel=0.2)
    assert means.v_weight.mean() == pytest.approx(1.0, rel=1e-6)


def test_planes_and_white_noise_have_no_detail():
    x, y = scattered(0, 50_000)
    rough = [0.3 * np.random.default_rng(k).normal(size=x.size) for k in range(3)]
    assert detail_of(shelf(x, y, x + 2 * y, 1 - x, y)) < 1e-6
    assert detail_of(shelf(x, y, *rough)) == 0.0


def test_detail_is_what_no_plane_explains():
    # A parabola c x² in a square of side a: its variance about the best plane is (c a²)² / 180.
    x, y = grid(300, 300)
    a = 300 * np.sqrt(12 / 5000)
    curved = 1e-3 * x**2
    found = detail_of(shelf(x, y, curved, curved, -curved))
    assert found == pytest.approx(1e-3 * a**2 / np.sqrt(180), rel=0.25)
    # One of three: the mean is one of squares. Noise that averages out hides little.
    alone = detail_of(shelf(x, y, curved, x, y))
    assert alone == pytest.approx(found / np.sqrt(3), rel=1e-6)
    white = 0.05 * np.random.default_rng(0).normal(size=x.size)
    assert detail_of(shelf(x, y, curved + white, x, y)) == pytest.approx(alone, rel=0.1)


def test_detail_is_the_same_for_fewer_data():
    # Neighbourhoods are larger then; what is found in them is scaled back, for a parabola by side².
    found = []
    for side in (100, 300):
        x, y = (coordinate / side for coordinate in grid(side, side))
        found.append(detail_of(shelf(x, y, x**2, y**2, x * y)))
    assert found[0] == pytest.approx(found[1], rel=0.2)


def number_of_means(x, y, n) -> int:
    return block_means(batch(ThicknessBatch, x, y), n).x.size


@settings(max_examples=40, deadline=None)
@given(
    n=st.integers(1000, 5000),
    data_per_mean=st.floats(1.5, 30),
    aspect=st.floats(1, 10),
    L=st.booleans(),
)
def test_as_many_means_as_asked_for_on_a_grid(n, data_per_mean, aspect, L):
    columns = int(np.sqrt(n * data_per_mean * aspect))
    rows = int(n * data_per_mean / columns) + 1
    if L:
        x, y = grid(2 * columns, 2 * rows)
        inside = (x < 0.13 * 2 * columns) | (y < 0.13 * 2 * rows)
        x, y = x[inside], y[inside]
    else:
        x, y = grid(columns, rows)
    assert 0.75 * n < number_of_means(x, y, n) < 1.3 * n


@settings(max_examples=30, deadline=None)
@given(
    seed=seeds, n=st.integers(300, 5000), data_per_mean=st.floats(1.05, 20), aspect=st.floats(1, 15)
)
def test_as_many_means_as_asked_for_where_data_are_scattered(seed, n, data_per_mean, aspect):
    x, y = scattered(seed, int(n * data_per_mean), aspect, 1.0)
    assert 0.7 * n < number_of_means(x, y, n) < 1.3 * n


@settings(max_examples=30, deadline=None)
@given(n=st.integers(50, 20_000), data_per_mean=st.floats(1.05, 10), angle=st.floats(0, np.pi))
def test_on_a_flight_line_half_as_many_at_least(n, data_per_mean, angle):
    along = np.linspace(0, 1, int(n * data_per_mean) + 1)
    count = number_of_means(along * np.cos(angle), along * np.sin(angle), n)
    assert 0.5 * n <= count <= 1.1 * n


@pytest.mark.parametrize("axis", ["x", "y"])
def test_a_row_along_an_axis_is_cut_into_equal_pieces(axis):
    along, across = np.linspace(3.0, 7.0, 10_001), np.full(10_001, -2.0)
    x, y = (along, across) if axis == "x" else (across, along)
    means = block_means(batch(ThicknessBatch, x, y)._replace(weight=np.ones(10_001)), 100)
    found, constant = (means.x, means.y) if axis == "x" else (means.y, means.x)
    assert 99 <= found.size <= 101
    np.testing.assert_allclose(constant, -2.0, rtol=1e-14)
    np.testing.assert_allclose(np.diff(found)[:98], 0.04, rtol=0.02)


def test_a_point_measured_many_times_becomes_one():
    rng = np.random.default_rng(0)
    h, weight = rng.normal(size=500), rng.uniform(0.5, 1.5, 500)
    data = ThicknessBatch(np.full(500, 0.3), np.full(500, -0.7), h, weight)
    means = block_means(data, 100)
    expected = [0.3, -0.7, weight @ h / weight.sum(), 1.0]
    np.testing.assert_allclose(np.array(means).ravel(), expected, rtol=1e-12)


def test_a_few_spots_measured_many_times_become_so_many():
    # Blocks become smaller and smaller, in vain; a table of all of them would not fit anywhere.
    rng = np.random.default_rng(0)
    spots = np.array([[0.0, 0.0], [1.0, 0.7], [0.2, 0.9]])
    which = rng.integers(3, size=50_000)
    x, y = spots[which].T
    data = batch(ThicknessBatch, x, y)
    means = block_means(data, 20_000)
    order = np.argsort(means.y)
    np.testing.assert_allclose(np.array(means[:2]).T[order], spots[[0, 1, 2]], atol=1e-12)
    expected = [np.average(data.h[which == k], weights=data.weight[which == k]) for k in range(3)]
    np.testing.assert_allclose(means.h[order], expected, rtol=1e-9)


@kinds
@settings(max_examples=30, deadline=None)
@given(
    seed=seeds,
    n=st.integers(2, 2000),
    scale=st.floats(1e-3, 1e6),
    shift=st.tuples(st.floats(-100, 100), st.floats(-100, 100)),
)
def test_origin_and_unit_of_the_positions_do_not_matter(kind, seed, n, scale, shift):
    data = batch(kind, *scattered(seed), seed)
    moved = data._replace(x=scale * (data.x + shift[0]), y=scale * (data.y + shift[1]))
    means, found = block_means(data, n), block_means(moved, n)
    assert found.x.size == means.x.size
    back = found._replace(x=found.x / scale - shift[0], y=found.y / scale - shift[1])
    np.testing.assert_allclose(np.array(back), np.array(means), rtol=0, atol=1e-9)


@kinds
@settings(max_examples=20, deadline=None)
@given(seed=seeds, n=st.integers(2, 2000))
def test_x_and_y_may_be_exchanged(kind, seed, n):
    data = batch(kind, *scattered(seed), seed)
    means = block_means(data, n)
    found = block_means(data._replace(x=data.y, y=data.x), n)
    found = found._replace(x=found.y, y=found.x)

    def ordered(part):
        return np.array(part)[:, np.argsort(part.x)]

    np.testing.assert_allclose(ordered(found), ordered(means), rtol=0, atol=1e-12)


@kinds
def test_the_order_of_the_data_does_not_matter(kind):
    data = batch(kind, *scattered(0))
    order = np.random.default_rng(0).permutation(data.x.size)
    shuffled = kind(*(column[order] for column in data))
    means, found = block_means(data, 300), block_means(shuffled, 300)
    np.testing.assert_allclose(np.array(found), np.array(means), rtol=0, atol=1e-12)


def test_means_differ_from_the_function_by_the_square_of_the_side():
    # On a fine grid: side² / 24 times the Laplacian.
    def wave(x, y):
        return np.sin(0.02 * x) * np.cos(0.03 * y)

    x, y = grid(480, 480)
    ones = np.ones_like(x)
    data = VelocityBatch(x, y, wave(x, y), -2 * wave(x, y), ones, ones)
    errors, sides = [], []
    for n in (20**2, 40**2, 80**2):
        means = block_means(data, n)
        sides.append(480 / np.sqrt(means.x.size))
        error = means.u - wave(means.x, means.y)
        errors.append(np.sqrt(np.average(error**2, weights=means.u_weight)))
        np.testing.assert_allclose(means.v, -2 * means.u, rtol=0, atol=1e-13)
    laplacian = (0.02**2 + 0.03**2) * np.sqrt(np.mean(wave(x, y) ** 2))
    np.testing.assert_allclose(errors, np.array(sides) ** 2 / 24 * laplacian, rtol=0.1)
    orders = np.diff(np.log(errors)) / np.diff(np.log(sides))
    np.testing.assert_allclose(orders, 2.0, atol=0.1)


def tilted(x, y, sigma: float, seed: int):
    return 300 + 20 * x - 50 * y + sigma * np.random.default_rng(seed).normal(size=x.size)


@settings(max_examples=20, deadline=None)
@given(seed=seeds, sigma=st.floats(1e-3, 1e3), regular=st.booleans())
def test_white_noise_on_a_plane_is_recovered(seed, sigma, regular):
    x, y = grid(100, 100) if regular else scattered(seed, 10_000)
    assert noise(x, y, tilted(x, y, sigma, seed)) == pytest.approx(sigma, rel=0.1)


@settings(max_examples=20, deadline=None)
@given(seed=seeds, part=st.floats(0.02, 0.1))
def test_a_tenth_of_bad_blocks_does_not_count(seed, part):
    x, y = scattered(seed, 10_000, 1.0, 1.0)
    bad = (x < np.sqrt(part)) & (y < np.sqrt(part))
    values = tilted(x, y, 0.1, seed)
    values[bad] += 100 * np.random.default_rng(seed + 1).normal(size=bad.sum())
    assert noise(x, y, values) == pytest.approx(0.1, rel=0.1)


@settings(max_examples=20, deadline=None)
@given(seed=seeds, factor=st.floats(-10, 10), scale=st.floats(1e-3, 1e6))
def test_noise_has_the_unit_of_the_values_and_of_nothing_else(seed, factor, scale):
    x, y = scattered(seed, 1000)
    values = tilted(x, y, 3.0, seed)
    expected = abs(factor) * noise(x, y, values)
    found = noise(scale * (x - 7), scale * (y + 3), factor * values + 5 * x - y)
    assert found == pytest.approx(expected, rel=1e-9, abs=1e-5)


@settings(max_examples=20, deadline=None)
@given(seed=seeds, size=st.integers(6, 2000))
def test_planes_have_no_noise(seed, size):
    x, y = scattered(seed, size)
    # The difference of two equal squares: half of the digits are lost.
    assert noise(x, y, tilted(x, y, 0.0, 0)) < 1e-5


@pytest.mark.parametrize("size", range(6))
def test_fewer_than_six_points_tell_nothing(size):
    x, y = scattered(0, size)
    assert noise(x, y, tilted(x, y, 1.0, 0)) == 0.0


def test_six_points_tell_something():
    found = [noise(*scattered(k, 6), np.random.default_rng(k).normal(size=6)) for k in range(200)]
    # One block: the usual estimate with three degrees of freedom.
    assert np.mean(np.square(found)) == pytest.approx(1.0, rel=0.3)


@pytest.mark.parametrize("direction", [(1.0, 0.0), (0.0, 1.0), (0.6, 0.8)])
@pytest.mark.parametrize("lines", [1, 7])
def test_flight_lines_tell_their_noise(direction, lines):
    """A slope across a line could be anything; that along it is known."""
    along, across = np.meshgrid(np.linspace(0, 1, 1000), 0.1 * np.arange(lines))
    x, y = (
        (direction[0] * along - direction[1] * across).ravel(),
        (direction[1] * along + direction[0] * across).ravel(),
    )
    assert noise(x, y, tilted(x, y, 5.0, 0)) == pytest.approx(5.0, rel=0.1)
    assert noise(x, y, tilted(x, y, 0.0, 0)) < 1e-4


def test_one_place_tells_nothing():
    x = np.zeros(1000)
    assert noise(x, x, np.random.default_rng(0).normal(size=1000)) == 0.0


def test_several_fields_have_the_noise_that_each_has_alone():
    x, y = scattered(0)
    fields = np.stack([tilted(x, y, sigma, seed) for seed, sigma in enumerate((0.1, 3.0, 0.0))])
    alone = [noise(x, y, field) for field in fields]
    np.testing.assert_array_equal(noise(x, y, fields), alone)


def test_one_component_that_is_lost_in_noise_is_all_noise():
    x, y = scattered(0)
    noise_of_v = np.random.default_rng(1).normal(size=x.size)
    clean = averaged(shelf(x, y, x, y, x), 300, 300, {})
    assert noisiness(clean) == pytest.approx(0.0, abs=1e-6)
    noisy = averaged(shelf(x, y, x, noise_of_v, x), 300, 300, {})
    assert noisiness(noisy) == 1.0


@given(st.floats(0.0, 10.0), st.booleans())
def test_noisiness_is_the_square_of_the_scatter(scatter, of_v):
    x, y = scattered(0)
    points = shelf(x, y, x, y, x)
    trust = np.full(x.size, 1 / (1 + (scatter / NOISE_FLOOR) ** 2))
    name = "v_weight" if of_v else "u_weight"
    points = points._replace(velocity=points.velocity._replace(**{name: trust}))
    assert noisiness(points) == pytest.approx(min(1.0, (scatter / 0.04) ** 2), abs=1e-9)


def with_thickness_at(x, y) -> Batch:
    """A square shelf of side 1, and where its thickness is known."""
    inside = (axis.ravel() for axis in np.meshgrid(*[np.linspace(0, 1, 500)] * 2))
    ones = np.ones(np.size(x))
    thickness = ThicknessBatch(np.asarray(x), np.asarray(y), ones, ones)
    nothing = VelocityBatch(*np.zeros((6, 1)))
    return Batch(nothing, thickness, InteriorBatch(*inside), FrontBatch(*np.zeros((4, 0))))


@pytest.mark.parametrize("apart", [0.1, 0.2, 0.5])
def test_between_lines_nothing_is_known(apart):
    x, y = np.meshgrid(np.arange(apart / 2, 1, apart), np.linspace(0, 1, 300))
    far = 2 * np.sqrt(np.log(2) / np.pi / 2000)  # twice the median to a neighbour, of 2000 points
    expected = (1 - 2 * far / apart - 0.1) / 0.9
    assert gaps(with_thickness_at(x.ravel(), y.ravel())) == pytest.approx(expected, abs=0.04)


@pytest.mark.parametrize("side", [0.002, 0.025])
def test_a_grid_has_no_gaps_even_if_some_of_it_is_missing(side):
    x, y = (axis.ravel() for axis in np.meshgrid(*[np.arange(0, 1 + side, side)] * 2))
    hole = np.hypot(x - 0.5, y - 0.5) < 0.15
    assert gaps(with_thickness_at(x, y)) == 0.0
    assert gaps(with_thickness_at(x[~hole], y[~hole])) == 0.0


def test_one_point_leaves_all_of_the_shelf_a_gap():
    assert gaps(with_thickness_at([0.5], [0.5])) > 0.99
    assert gaps(with_thickness_at([], [])) == 0.0  # somebody else complains


def test_noise_is_added_as_it_is_there():
    x, y = np.random.default_rng(0).uniform(-1, 1, (2, 40_000))
    rng = np.random.default_rng(1)
    u, v = 0.2 * x + 0.1 * rng.standard_normal(x.size), 0.1 * y
    points = shelf(x, y, u, v, 0.5 * x)
    some = np.where(x > 0, 4.0, 1.0)
    points = points._replace(velocity=points.velocity._replace(u_weight=some / some.mean()))
    data = with_errors(points, 50_000, 50_000, {"h": 0.02})
    assert data.errors["v"] == 0.0  # scatters less than any network could tell from a slope
    assert data.errors["u"] == pytest.approx(0.1, rel=0.05)
    assert data.errors["h"] == 0.02
    noisy = with_noise(data, np.random.default_rng(2))
    np.testing.assert_array_equal(noisy.velocity.v, v)
    added = noisy.velocity.u - u
    # The less a value weighs the larger is its error.
    expected = data.errors["u"] * np.sqrt(2.5 / some)
    assert np.std(added / expected) == pytest.approx(1.0, abs=0.02)
    assert np.std(noisy.thickness.h - 0.5 * x) == pytest.approx(0.02, rel=0.02)
    assert noisy.interior is data.points.interior


def test_means_have_the_error_of_means():
    x, y = np.random.default_rng(0).uniform(-1, 1, (2, 40_000))
    u, v = 0.2 * np.random.default_rng(1).standard_normal((2, x.size))
    data = with_errors(shelf(x, y, u, v, 0.5 * x), 1000, 50_000, {})
    n = x.size / data.points.velocity.x.size
    assert n > 30
    assert data.errors["u"] == pytest.approx(0.2 / np.sqrt(n), rel=0.2)
