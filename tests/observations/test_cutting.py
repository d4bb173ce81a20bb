"""Automatic regions are connected, compact, of equal area, and the same for the same shelf."""

import numpy as np
import pytest
from domains import domain_of, rectangle
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from scipy.ndimage import gaussian_filter, label

from xdiffice.errors import ParameterError
from xdiffice.observations.points import Domain
from xdiffice.observations.regions import Partition, cut


def areas(partition: Partition) -> np.ndarray:
    """Return the cells of each region over their mean."""
    counts = np.bincount(partition.labels[partition.inside], minlength=partition.n)
    return counts / counts.mean()


def pieces(partition: Partition) -> list[int]:
    """Return in how many pieces each region is."""
    inside = np.where(partition.inside, partition.labels, -1)
    return [label(inside == k)[1] for k in range(partition.n)]


def compactness(partition: Partition) -> np.ndarray:
    """Return perimeter along cells squared over area: 16 of a square, 20.4 of a disk."""
    inside = np.where(partition.inside, partition.labels, -1)
    result = []
    for k in range(partition.n):
        one = (inside == k).astype(int)
        perimeter = np.abs(np.diff(one, axis=0)).sum() + np.abs(np.diff(one, axis=1)).sum()
        result.append(perimeter**2 / one.sum())
    return np.array(result)


def blob(seed: int, n: int = 50) -> np.ndarray:
    """Return a mask of rugged outline, mostly with holes, bays and islands."""
    noise = gaussian_filter(np.random.default_rng(seed).normal(size=(n, n)), n / 12)
    y, x = np.mgrid[:n, :n] / n - 0.5
    return np.hypot(x, y) < 0.38 + 0.1 * noise / noise.std()


Y, X = np.mgrid[:60, :90]
SHAPES = {
    "rectangle": np.ones((40, 60), dtype=bool),
    "disk": np.hypot(X - 30, Y - 30) < 28,
    "annulus": np.abs(np.hypot(X - 30, Y - 30) - 21) < 8,
    "ice rise": np.hypot(X - 40, Y - 25) > 10,
    "bay": ~((np.abs(Y - 30) < 4) & (X > 20)),
    "peninsula": ~((Y == 30) & (X > 20)),
}


def test_a_strip_of_four_squares_is_cut_into_them():
    partition = cut(rectangle(20, 80), 4)
    assert partition.names == (0, 1, 2, 3)
    assert_allclose(areas(partition), 1, atol=0.02)
    assert partition.neighbours() == ((0, 1), (1, 2), (2, 3))
    from_borders = np.subtract.outer(partition.interfaces().x, [19.5e3, 39.5e3, 59.5e3])
    assert np.abs(from_borders).min(axis=1).max() <= 1e3


def test_regions_are_counted_from_small_to_large_x():
    partition = cut(domain_of(SHAPES["rectangle"]), 7)
    middles = [
        partition.x[np.nonzero(partition.inside & (partition.labels == k))[1]].mean()
        for k in range(7)
    ]
    assert_array_equal(middles, np.sort(middles))


@pytest.mark.parametrize("n", [2, 3, 5, 8, 16])
@pytest.mark.parametrize("shape", SHAPES)
def test_regions_are_equal_connected_and_compact(shape, n):
    partition = cut(domain_of(SHAPES[shape]), n)
    assert partition.n == n
    assert_allclose(areas(partition), 1, atol=0.05)
    assert pieces(partition) == [1] * n
    # A bay leaves two regions no choice but to be long.
    assert compactness(partition).max() < (60 if n > 2 else 120)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10_000), n=st.integers(2, 12))
def test_shelves_of_any_shape_are_cut(seed, n):
    mask = blob(seed)
    partition = cut(domain_of(mask), n)
    area = areas(partition)
    assert area.size == n
    assert area.min() > 0.35
    assert area.max() < 1.75
    components, number = label(mask)
    sizes = np.bincount(components.ravel())[1:]
    if number == 1:
        assert_allclose(area, 1, atol=0.25)
        assert pieces(partition) == [1] * n
    # Within a component of the shelf a region is in one piece.
    row, column = np.nonzero(mask)
    at = partition.region_at(1e3 * column, 1e3 * row)
    for component in range(1, number + 1):
        here = components[row, column] == component
        labels = np.full(mask.shape, -1)
        labels[row[here], column[here]] = at[here]
        found = np.unique(at[here])
        assert [label(labels == k)[1] for k in found] == [1] * found.size
        if sizes[component - 1] < 0.2 * mask.sum() / n:
            assert found.size <= 2


@settings(max_examples=8, deadline=None)
@given(
    seed=st.integers(0, 1000),
    n=st.integers(2, 9),
    shift=st.tuples(st.floats(-3e6, 3e6), st.floats(-3e6, 3e6)),
)
def test_order_and_origin_of_the_points_do_not_matter(seed, n, shift):
    domain = domain_of(blob(seed, 35), spacing=450.0)
    order = np.random.default_rng(seed).permutation(domain.x.size)
    x, y = domain.x[order], domain.y[order]
    partition = cut(domain, n)
    assert_array_equal(cut(domain, n).labels, partition.labels)
    assert_array_equal(cut(Domain(x, y, 450.0), n).labels, partition.labels)
    moved = cut(Domain(x + shift[0], y + shift[1], 450.0), n)
    assert_array_equal(moved.labels, partition.labels)
    assert_allclose(moved.x, partition.x + shift[0], atol=1e-3)


def test_raster_coordinates_that_fall_are_the_same_shelf():
    mask = blob(3)
    row, column = np.nonzero(mask[::-1])
    falling = Domain(1e3 * column, 1e3 * (len(mask) - 1 - row), 1e3)
    assert_array_equal(cut(falling, 5).labels, cut(domain_of(mask), 5).labels)


def test_large_rasters_are_cut_the_same_wherever_they_lie():
    mask = np.zeros((90, 850), dtype=bool)
    mask[10:80, 15:840] = True  # three pixels along a cell
    domain = domain_of(mask, 330.0)
    partition = cut(domain, 3)
    assert partition.side == 990.0
    moved = cut(Domain(domain.x + 1234567.1, domain.y - 7654321.3, 330.0), 3)
    assert_array_equal(moved.labels, partition.labels)


def test_islands_share_the_regions_by_area():
    mask = np.zeros((30, 60), dtype=bool)
    mask[:, :36] = mask[:, 48:] = True  # 3 to 1
    partition = cut(domain_of(mask), 4)
    at = partition.region_at(1e3 * np.nonzero(mask)[1], 1e3 * np.nonzero(mask)[0])
    assert set(at[np.nonzero(mask)[1] < 40]) == {0, 1, 2}
    assert set(at[np.nonzero(mask)[1] > 40]) == {3}
    assert_allclose(areas(partition), 1, atol=0.05)
    assert all(3 not in pair for pair in partition.neighbours())


def test_an_island_too_small_for_a_region_joins_the_nearest():
    mask = np.zeros((30, 80), dtype=bool)
    mask[:, :60] = True
    mask[2:8, 65:70] = True
    partition = cut(domain_of(mask), 4)
    assert partition.region_at(np.array([67e3]), np.array([5e3])) == partition.region_at(
        np.array([59e3]), np.array([5e3])
    )
    assert sorted(pieces(partition)) == [1, 1, 1, 2]
    assert_allclose(areas(partition), 1, atol=0.05)


def test_more_islands_than_regions_are_put_together():
    mask = np.zeros((30, 150), dtype=bool)
    for start in (0, 15, 100, 115):
        mask[10:20, start : start + 10] = True
    partition = cut(domain_of(mask), 2)
    x = 1e3 * np.array([5, 20, 105, 120])
    assert_array_equal(partition.region_at(x, np.full(4, 15e3)), [0, 0, 1, 1])


def test_scattered_points_are_cut_by_area_not_by_number():
    generator = np.random.default_rng(1)
    x, y = generator.uniform(0, 100e3, (2, 4000))
    dense = (x < 50e3) | (generator.uniform(size=4000) < 0.5)
    x, y = x[dense], y[dense]
    partition = cut(Domain(x, y, 700.0), 4)
    assert_allclose(areas(partition), 1, atol=0.05)
    assert len(partition.neighbours()) in (4, 5)  # two of the quarters may meet at a corner
    order = generator.permutation(x.size)
    assert_array_equal(cut(Domain(x[order], y[order], 700.0), 4).labels, partition.labels)


def test_a_rotated_raster_has_no_holes():
    row, column = np.nonzero(SHAPES["bay"])
    angle = np.deg2rad(33)
    x = 1e3 * (column * np.cos(angle) - row * np.sin(angle))
    y = 1e3 * (column * np.sin(angle) + row * np.cos(angle))
    partition = cut(Domain(x, y, 1e3), 6)
    assert label(partition.inside)[1] == 1
    assert label(~partition.inside)[1] == 1
    assert_allclose(areas(partition), 1, atol=0.05)


def test_points_in_one_place_are_one_region():
    partition = cut(Domain(np.zeros(3), np.zeros(3), np.nan), 1)
    assert partition.n == 1
    with pytest.raises(ParameterError, match="ask for at most 1"):
        cut(Domain(np.zeros(3), np.zeros(3), np.nan), 2)


def test_the_seed_is_what_chance_there_is():
    domain = domain_of(SHAPES["disk"])
    assert_array_equal(cut(domain, 7, seed=4).labels, cut(domain, 7, seed=4).labels)
    assert (cut(domain, 7, seed=4).labels != cut(domain, 7, seed=5).labels).any()


def test_as_many_regions_as_there_is_room_for():
    partition = cut(rectangle(10, 16), 10)
    assert areas(partition).min() > 0.5
    with pytest.raises(ParameterError, match=r"11 regions .* 160 cells of 1 km .* at most 10"):
        cut(rectangle(10, 16), 11)


@pytest.mark.parametrize("n", [0, -2, 2.0, "3", True, None])
def test_numbers_of_regions_that_make_no_sense_are_refused(n):
    with pytest.raises(ParameterError, match="whole number of at least 1"):
        cut(rectangle(10, 16), n)


def test_numpy_numbers_will_do():
    assert cut(rectangle(20, 20), np.int32(2)).names == (0, 1)
