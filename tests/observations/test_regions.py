"""Labels of a user become regions and interfaces; what cannot be used is explained."""

import pickle

import numpy as np
import pytest
from domains import domain_of, rectangle
from numpy.testing import assert_allclose, assert_array_equal

from xdiffice.errors import ParameterError
from xdiffice.observations.points import Domain
from xdiffice.observations.regions import Partition, from_labels, one_region


def raster(n_y: int, n_x: int, spacing: float = 1000.0) -> tuple[np.ndarray, np.ndarray]:
    y, x = np.mgrid[:n_y, :n_x] * spacing
    return x, y


def halves(domain: Domain) -> Partition:
    """Label 3 up to x = 11 km, 17 from 12 km."""
    x, y = raster(10, 30)
    return from_labels(domain, x, y, np.where(x <= 11e3, 3, 17))


def test_labels_on_the_pixels_are_taken_over():
    x, y = raster(10, 30)
    labels = np.select([x < 8e3, y < 5e3], [40.0, 3.0], 17.0)
    partition = from_labels(rectangle(10, 30), x, y, labels)
    assert partition.names == (3, 17, 40)
    assert partition.n == 3
    assert_array_equal(np.array(partition.names)[partition.region_at(x, y)], labels)


def test_two_labels_meet_on_the_line_between_them():
    edges = halves(rectangle(10, 30)).interfaces()
    assert_allclose(edges.x, 11.5e3, rtol=1e-12)
    assert_allclose(np.sort(edges.y), 1e3 * np.arange(10), atol=1e-6)
    assert_array_equal(edges.first, 0)
    assert_array_equal(edges.second, 1)


def test_neighbours_are_the_regions_that_meet():
    x, y = raster(20, 40)
    strips = from_labels(rectangle(20, 40), x, y, x // 10e3)
    assert strips.neighbours() == ((0, 1), (1, 2), (2, 3))
    ring = from_labels(rectangle(20, 40), x, y, np.hypot(x - 20e3, y - 10e3) // 4e3 % 2)
    assert ring.n == 2
    assert ring.neighbours() == ((0, 1),)


def test_regions_on_either_side_of_land_do_not_meet():
    mask = np.ones((20, 30), dtype=bool)
    mask[:15, 14] = False  # a peninsula one pixel wide
    x, y = raster(20, 30)
    edges = from_labels(domain_of(mask), x, y, np.where(x < 14e3, 0, 1)).interfaces()
    assert_array_equal(np.unique(edges.y), 1e3 * np.arange(15, 20))
    mask[:, 14] = False
    apart = from_labels(domain_of(mask), x, y, np.where(x < 14e3, 0, 1))
    assert apart.neighbours() == ()
    assert apart.interfaces().x.shape == (0,)


def test_one_region_is_everywhere_and_has_no_interface():
    partition = one_region(rectangle(10, 30))
    assert partition.names == (0,)
    assert partition.neighbours() == ()
    assert_array_equal(partition.region_at(np.array([-1e9, 5e3]), np.array([0.0, 1e9])), 0)


def test_places_beyond_the_raster_belong_to_the_nearest_region():
    partition = halves(rectangle(10, 30))
    x = np.array([[-1e8, 2e3], [25e3, 1e8]])
    assert_array_equal(partition.region_at(x, np.full((2, 2), -1e8)), [[0, 0], [1, 1]])


def test_the_raster_has_a_margin_with_room_for_the_windows():
    partition = halves(rectangle(10, 30))
    for axis, end in ((partition.x, 29e3), (partition.y, 9e3)):
        assert axis[0] <= -2 * partition.overlap
        assert axis[-1] >= end + 2 * partition.overlap
        assert_allclose(np.diff(axis), partition.side)
    assert partition.labels.shape == partition.inside.shape
    assert partition.inside.sum() == 300


@pytest.mark.parametrize("nothing", [np.nan, -1.0, -9999.0])
def test_pixels_without_a_label_have_that_of_the_nearest(nothing):
    x, y = raster(10, 30)
    labels = np.select([x <= 8e3, x >= 15e3], [3.0, 17.0], nothing)
    partition = from_labels(rectangle(10, 30), x, y, labels)
    assert partition.names == (3, 17)
    assert_allclose(partition.interfaces().x, 11.5e3, atol=501)


def test_labels_beyond_the_shelf_are_left_out():
    x, y = raster(10, 60)
    labels = np.select([x < 10e3, x < 20e3, x < 30e3], [3.0, 17.0, np.nan], 40.0)
    partition = from_labels(rectangle(10, 30), x, y, labels)
    assert partition.names == (3, 17)
    assert_array_equal(partition.region_at(np.array([21e3, 29e3]), np.zeros(2)), 1)


@pytest.mark.parametrize("spacing", [200.0, 400.0, 1700.0, 4000.0])
def test_labels_on_another_grid_are_looked_up(spacing):
    x, y = raster(int(12e3 / spacing), int(36e3 / spacing), spacing)
    partition = from_labels(rectangle(10, 30), x, y, np.where(x < 12e3, 8, 4))
    assert partition.names == (4, 8)
    last = x[x < 12e3].max()
    assert_allclose(partition.interfaces().x, last + 0.5 * spacing, atol=501)


def test_the_order_of_pixels_and_labels_does_not_matter():
    x, y = raster(10, 30)
    labels = np.where(np.hypot(x - 12e3, y) < 7e3, 1, 2)
    domain = rectangle(10, 30)
    flipped = Domain(domain.x[::-1], domain.y[::-1], domain.spacing)
    partition = from_labels(domain, x, y, labels)
    other = from_labels(flipped, x[::-1].T, y[::-1].T, labels[::-1].T)
    assert_array_equal(partition.labels, other.labels)
    assert_array_equal(partition.x, other.x)
    assert_array_equal(partition.y, other.y)


def test_a_region_may_have_parts_and_be_as_small_as_three_pixels():
    x, y = raster(30, 30)
    labels = np.where((x < 5e3) | (x > 25e3), 1, 2)
    labels[15, 14:17] = 3
    partition = from_labels(rectangle(30, 30), x, y, labels)
    assert partition.names == (1, 2, 3)
    counts = np.bincount(partition.labels[partition.inside])
    assert_array_equal(counts, [300 - 30, 600 + 30 - 3, 3])


def test_cells_are_coarser_than_the_pixels_of_a_large_raster_unless_a_region_would_vanish():
    x, y = raster(20, 1700)
    labels = np.where(x < 800e3, 0, 1)
    domain = rectangle(20, 1700)
    coarse = from_labels(domain, x, y, labels)
    assert coarse.side == 5000.0
    assert_array_equal(coarse.region_at(x, y), labels)
    labels[4, 600] = 2
    fine = from_labels(domain, x, y, labels)
    assert fine.n == 3
    assert fine.region_at(np.array([600e3]), np.array([4e3])) == 2


def test_a_region_too_small_for_any_raster_is_named():
    pixels = rectangle(12, 12)
    x = np.append(pixels.x, [500.0, 510.0, 505.0])
    y = np.append(pixels.y, [500.0, 500.0, 505.0])
    domain = Domain(x, y, 1000.0)
    labels = np.zeros(x.size)
    labels[-1] = 6
    with pytest.raises(ParameterError, match=r"1 region smaller than a cell .*: 6; join"):
        from_labels(domain, domain.x, domain.y, labels)


def test_scattered_points_and_labels_are_looked_up():
    generator = np.random.default_rng(0)
    x, y = generator.uniform(0, 60e3, (2, 3000))
    label_x, label_y = generator.uniform(0, 60e3, (2, 500))
    partition = from_labels(Domain(x, y, 500.0), label_x, label_y, np.where(label_x < 20e3, 5, 6))
    assert partition.names == (5, 6)
    assert partition.inside.mean() > 0.2
    assert np.mean(partition.region_at(x, y) == (x >= 20e3)) > 0.96
    assert partition.neighbours() == ((0, 1),)


def test_one_label_is_one_region():
    partition = from_labels(rectangle(5, 5), np.array([2e3]), np.array([2e3]), np.array([9]))
    assert partition.names == (9,)
    assert partition.overlap == 0


def test_labels_elsewhere_are_refused_with_both_extents():
    x, y = raster(10, 30)
    with pytest.raises(ParameterError, match=r"x 0 to 29 km.* 300 labels given, at x 100 to 129"):
        from_labels(rectangle(10, 30), x + 100e3, y, np.ones(x.shape))
    with pytest.raises(ParameterError, match=r"no label on the shelf.* 0 labels given; are"):
        from_labels(rectangle(10, 30), x, y, np.full(x.shape, np.nan))


@pytest.mark.parametrize("value", [1.5, np.inf])
def test_labels_that_are_no_whole_numbers_are_refused(value):
    x, y = raster(10, 30)
    labels = np.ones(x.shape)
    labels[3, 4] = value
    with pytest.raises(ParameterError, match=f"whole numbers.*found {value}"):
        from_labels(rectangle(10, 30), x, y, labels)


def test_labels_that_do_not_fit_their_positions_are_refused():
    x, y = raster(10, 30)
    with pytest.raises(ParameterError, match="x has 300, y 300, labels 30"):
        from_labels(rectangle(10, 30), x, y, np.ones(30))
    with pytest.raises(ParameterError, match="dtype <U1"):
        from_labels(rectangle(10, 30), x, y, np.full(x.shape, "a"))


def test_a_partition_can_be_pickled():
    partition = halves(rectangle(10, 30))
    x, y = np.array([11e3, 13e3]), np.array([5e3, 5e3])
    before = partition.window(0, x, y).value
    again = pickle.loads(pickle.dumps(partition))
    assert_array_equal(again.window(0, x, y).value, before)
