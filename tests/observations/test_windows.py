"""Windows add up to one, end where they should, and their derivatives are true."""

import numpy as np
import pytest
from domains import domain_of, rectangle
from numpy.testing import assert_allclose, assert_array_equal

from xdiffice.errors import ParameterError
from xdiffice.observations.regions import Partition, cut, from_labels, one_region
from xdiffice.observations.windows import half_width_of, reach_of

FIELDS = ("value", "x", "y", "xx", "xy", "yy")


@pytest.fixture(scope="module")
def patches() -> Partition:
    """Return four regions: a ring, what is inside, one of three pixels, and the rest."""
    y, x = np.mgrid[:40, :60]
    radius = np.hypot(x - 25, y - 20)
    labels = np.select([radius < 8, radius < 14], [7, 2], 11)
    labels[3, 50:53] = 5
    domain = rectangle(40, 60)
    return from_labels(domain, 1000.0 * x, 1000.0 * y, labels)


def anywhere(partition: Partition, number: int = 4000) -> tuple[np.ndarray, np.ndarray]:
    """Return positions of which a quarter or so are beyond the raster."""
    generator = np.random.default_rng(0)
    x, y = (
        generator.uniform(c[0] - 0.2 * np.ptp(c), c[-1] + 0.2 * np.ptp(c), number)
        for c in (partition.x, partition.y)
    )
    return x, y


def test_windows_add_up_to_one_and_their_derivatives_to_zero_anywhere(patches):
    x, y = anywhere(patches)
    x = np.append(x, [1e9, -1e9, 0.0])
    y = np.append(y, [0.0, 1e9, -1e9])
    jets = [patches.window(k, x, y, order=2) for k in range(patches.n)]
    assert_allclose(sum(jet.value for jet in jets), 1, atol=1e-12, rtol=0)
    for name, scale in zip(FIELDS[1:], (1, 1, 2, 2, 2), strict=True):
        total = sum(getattr(jet, name) for jet in jets)
        assert_allclose(total * patches.side**scale, 0, atol=1e-12)
    for jet in jets:
        assert jet.value.min() >= 0
        assert jet.value.max() <= 1 + 1e-12


def test_derivatives_are_those_of_the_values(patches):
    x, y = anywhere(patches)
    step = 1e-3 * patches.side
    for k in range(patches.n):
        jet = patches.window(k, x, y, order=2)
        east, west = (patches.window(k, x + d, y, order=1) for d in (step, -step))
        north, south = (patches.window(k, x, y + d, order=1) for d in (step, -step))
        assert max(np.abs(jet.x).max(), np.abs(jet.y).max()) > 0.01 / patches.overlap
        # The third derivative jumps at the centres of cells: an error of one step, not of two.
        first = {"atol": 1e-6 / patches.side, "rtol": 0}
        second = {"atol": 1e-3 / patches.side**2, "rtol": 0}
        assert_allclose(jet.x, (east.value - west.value) / (2 * step), **first)
        assert_allclose(jet.y, (north.value - south.value) / (2 * step), **first)
        assert_allclose(jet.xx, (east.x - west.x) / (2 * step), **second)
        assert_allclose(jet.xy, (east.y - west.y) / (2 * step), **second)
        assert_allclose(jet.yy, (north.y - south.y) / (2 * step), **second)


def test_second_derivatives_are_continuous_even_where_positions_are_clipped(patches):
    x = np.linspace(patches.x[0] - 30e3, patches.x[-1] + 30e3, 40_001)
    y = np.full_like(x, 20e3)
    for k in range(patches.n):
        xx = patches.window(k, x, y, order=2).xx * patches.side**2
        assert np.abs(np.diff(xx)).max() <= 1.0 * np.diff(x)[0] / patches.side


def test_a_window_ends_at_the_overlap():
    labels = np.array([[0, 1]])
    partition = from_labels(
        rectangle(40, 80), np.array([19.5e3, 59.5e3]), np.array([20e3, 20e3]), labels
    )
    border, reach = 39.5e3, partition.overlap
    x = border + reach * np.array([-1.001, -0.8, 0.0, 0.8, 1.001])
    left = partition.window(0, x, np.full(5, 20e3)).value
    assert left[0] == 1.0
    assert_allclose(left[2], 0.5, atol=1e-12)
    assert_allclose(left[1] + left[3], 1, atol=1e-12)
    assert 0 < left[3] < 0.01
    assert left[4] == 0.0
    assert_array_equal(partition.members(0, x, np.full(5, 20e3)), [True] * 4 + [False])
    assert_array_equal(partition.members(1, x, np.full(5, 20e3)), [False] + [True] * 4)


def test_windows_deep_in_a_region_are_exactly_one_and_flat(patches):
    jet = patches.window(patches.names.index(11), np.array([5e3]), np.array([35e3]), order=2)
    assert_array_equal(jet, np.array([[1.0], [0], [0], [0], [0], [0]]))


def test_members_are_the_positions_with_weight(patches):
    x, y = anywhere(patches)
    for k in range(patches.n):
        weight = patches.window(k, x, y).value
        assert_array_equal(patches.members(k, x, y), weight > 0)
        assert_array_equal(weight[patches.region_at(x, y) == k] > 0, True)


def test_the_overlap_grows_with_the_regions_and_never_is_unresolved():
    large, small = cut(rectangle(100, 100), 4), cut(rectangle(30, 30), 9)
    assert_allclose(large.overlap, 0.25 * 50e3, atol=1.5e3)
    assert small.overlap == 4.5 * small.side


def test_one_region_weighs_exactly_one():
    partition = one_region(rectangle(5, 8))
    x, y = anywhere(partition, 50)
    jet = partition.window(0, x.reshape(5, 10), y.reshape(5, 10), order=2)
    assert partition.overlap == 0
    assert_array_equal(jet.value, np.ones((5, 10)))
    assert_array_equal(jet[1:], np.zeros((5, 5, 10)))


@pytest.mark.parametrize("order", [0, 1, 2])
def test_only_the_orders_asked_for_are_there_in_the_shape_of_the_positions(patches, order):
    for partition in (patches, one_region(rectangle(5, 8))):
        jet = partition.window(0, np.zeros((2, 1)), np.arange(3.0), order)
        there = (1, 3, 6)[order]
        assert [values is None for values in jet] == [False] * there + [True] * (6 - there)
        assert {values.shape for values in jet[:there]} == {(2, 3)}


def test_windows_do_not_depend_on_the_number_of_positions(patches):
    x, y = (np.tile(c, 50) for c in anywhere(patches))  # more than are evaluated at a time
    many = patches.window(1, x, y, order=2)
    few = patches.window(1, x[:4000], y[:4000], order=2)
    for one, other in zip(many, few, strict=True):
        assert_array_equal(one, np.tile(other, 50))


def test_fields_are_those_of_the_jets_of_the_physics(patches):
    from xdiffice.physics.jets import Jet

    jet = patches.window(0, np.zeros(1), np.zeros(1), 2)
    assert jet._fields == Jet._fields == FIELDS


def test_a_region_without_neighbours_keeps_its_window_on_its_island():
    mask = np.zeros((20, 70), dtype=bool)
    mask[:, :20] = mask[:, 50:] = True
    partition = cut(domain_of(mask), 2)
    assert_array_equal(partition.window(0, np.arange(0, 20e3, 1e3), np.full(20, 10e3)).value, 1)
    assert_array_equal(partition.window(1, np.arange(0, 20e3, 1e3), np.full(20, 10e3)).value, 0)


def test_what_is_not_there_is_refused(patches):
    with pytest.raises(ParameterError, match="no region 4: there are 4"):
        patches.window(4, np.zeros(1), np.zeros(1))
    with pytest.raises(ParameterError, match="order is 0, 1 or 2, not 3"):
        patches.window(0, np.zeros(1), np.zeros(1), 3)


def test_half_widths_come_close_to_the_reach_asked_for():
    assert [reach_of(half_width_of(reach)) for reach in (0.0, 4.0, 6.2, 30.0)] == [
        4.5,
        4.5,
        7.5,
        31.5,
    ]
