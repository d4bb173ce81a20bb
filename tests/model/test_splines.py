"""Splines reproduce what cubic splines must, with the derivatives of it."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.polynomial import polynomial

from xdiffice.model.correction import Correction
from xdiffice.model.splines import SplineLattice
from xdiffice.physics.jets import Jet

ORDERS = ((0, 0), (1, 0), (0, 1), (2, 0), (1, 1), (0, 2))
LATTICE = SplineLattice(-0.3, 0.2, 0.25, 9, 7)  # six by four cells


@pytest.fixture
def places() -> tuple[np.ndarray, np.ndarray]:
    """Return positions on the lattice: inside of cells, on their sides, and at its corners."""
    rng = np.random.default_rng(0)
    x, y = rng.uniform(-0.3, 1.2, 200), rng.uniform(0.2, 1.2, 200)
    x[:30] = -0.3 + 0.25 * rng.integers(0, 7, 30)
    y[20:50] = 0.2 + 0.25 * rng.integers(0, 5, 30)
    x[:4], y[:4] = (-0.3, 1.2, -0.3, 1.2), (0.2, 0.2, 1.2, 1.2)
    return x, y


def cubic(x, y, order=(0, 0)):
    """Return a polynomial of degree three in each of x and y, or a derivative of it."""
    table = np.array([[0.3, -1.0, 0.5, 0.8], [1.0, 0.7, -0.4, 0.3], [0.2, -0.6, 0.9, -0.5],
                      [-0.7, 0.4, 0.1, 0.6]])  # fmt: skip
    for axis, times in enumerate(order):
        table = polynomial.polyder(table, times, axis=axis) if times else table
    return polynomial.polyval2d(x, y, table)


def fitted(lattice: SplineLattice, function) -> np.ndarray:
    """Least squares at more positions than there are splines: four along each side of a cell."""
    x, y = (
        start + lattice.spacing * np.linspace(0, n - 3, 4 * (n - 3) + 1)
        for start, n in ((lattice.x, lattice.n_x), (lattice.y, lattice.n_y))
    )
    x, y = (axis.ravel() for axis in np.meshgrid(x, y))
    return np.linalg.lstsq(lattice.matrix(x, y).toarray(), function(x, y), rcond=None)[0]


def test_splines_are_parts_of_one(places):
    matrix = LATTICE.matrix(*places)
    assert matrix.shape == (200, 63)
    assert matrix.min() >= 0
    np.testing.assert_allclose(matrix.sum(axis=1), 1, rtol=1e-14)
    for order in ORDERS[1:]:
        np.testing.assert_allclose(LATTICE.matrix(*places, order).sum(axis=1), 0, atol=1e-12)


def test_a_cubic_polynomial_is_a_spline_with_all_its_derivatives(places):
    # Rounding of the fit, 1e-15, grows with 1 / spacing² in second derivatives.
    coefficients = fitted(LATTICE, cubic)
    for order in ORDERS:
        found = LATTICE.matrix(*places, order) @ coefficients
        np.testing.assert_allclose(found, cubic(*places, order), rtol=0, atol=1e-11)


def test_coefficients_are_row_by_row():
    """One coefficient makes a hump around its own place: two cells along each axis."""
    row, column = 2, 5
    one = np.zeros(LATTICE.n)
    one[row * LATTICE.n_x + column] = 1.0
    middle = (LATTICE.x + (column - 1) * 0.25, LATTICE.y + (row - 1) * 0.25)
    x, y = np.meshgrid(np.linspace(-0.3, 1.2, 61), np.linspace(0.2, 1.2, 41))
    values = LATTICE.matrix(x.ravel(), y.ravel()) @ one
    top = values.argmax()
    assert (x.ravel()[top], y.ravel()[top]) == pytest.approx(middle)
    assert values.max() == pytest.approx((2 / 3) ** 2)  # of the cubic B-spline, along each axis
    away = np.maximum(abs(x - middle[0]), abs(y - middle[1])).ravel()
    assert (values[away < 0.499] > 0).all()
    np.testing.assert_allclose(values[away > 0.5], 0, atol=1e-15)


def test_jets_are_what_the_matrices_say(places):
    coefficients = np.random.default_rng(1).normal(size=(2, LATTICE.n))
    for order, n in ((0, 1), (1, 3), (2, 6)):
        jets = LATTICE.jets(coefficients, *places, order)
        for row, jet in zip(coefficients, jets, strict=True):
            assert [part is None for part in jet] == [k >= n for k in range(6)]
            for nu, part in zip(ORDERS, jet[:n], strict=False):
                np.testing.assert_array_equal(part, LATTICE.matrix(*places, nu) @ row)


@pytest.mark.parametrize("step", [(1e-6, 0.0), (0.0, 1e-6)], ids=["x", "y"])
def test_derivatives_are_those_of_the_values(step):
    rng = np.random.default_rng(2)
    coefficients = rng.normal(size=(1, LATTICE.n))
    x, y = rng.uniform(-0.29, 1.19, 100), rng.uniform(0.21, 1.19, 100)

    def at(sign):
        return LATTICE.jets(coefficients, x + sign * step[0], y + sign * step[1], 1)[0]

    (jet,) = LATTICE.jets(coefficients, x, y, 2)
    after, before = at(1), at(-1)
    slopes = [(one - other) / 2e-6 for one, other in zip(after[:3], before[:3], strict=True)]
    expected = (jet.x, jet.xx, jet.xy) if step[0] else (jet.y, jet.xy, jet.yy)
    # Third derivatives jump by up to some 6 / spacing³ between cells: 1e-6 of it, and rounding.
    for slope, known in zip(slopes, expected, strict=True):
        np.testing.assert_allclose(slope, known, rtol=0, atol=1e-3)


def test_beyond_the_rim_it_goes_on_as_at_the_rim():
    coefficients = np.random.default_rng(3).normal(size=(1, LATTICE.n))
    along = np.linspace(0.25, 1.15, 7)
    for x, x_rim in ((-0.5, -0.3), (-0.3 - 1e-9, -0.3), (1.7, 1.2)):
        (outside,) = LATTICE.jets(coefficients, np.full(7, x), along, 2)
        (rim,) = LATTICE.jets(coefficients, np.full(7, x_rim), along, 2)
        np.testing.assert_allclose(outside.value, rim.value, rtol=0, atol=1e-13)
        np.testing.assert_allclose(outside.y, rim.y, rtol=0, atol=1e-12)
        for part in (outside.x, outside.xx, outside.xy):
            np.testing.assert_array_equal(part, 0.0)


def test_a_lattice_covers_its_positions():
    rng = np.random.default_rng(4)
    x, y = rng.uniform(-2, 3, 50), rng.uniform(10, 11, 50)
    lattice = SplineLattice.covering(x, y, 0.3)
    coefficients = fitted(lattice, lambda x, y: x + 2 * y)
    (found,) = lattice.jets(coefficients[None], x, y, 1)
    np.testing.assert_allclose(found.value, x + 2 * y, rtol=1e-12)
    np.testing.assert_allclose(found.x, 1.0, rtol=1e-9)  # no position is beyond the rim
    np.testing.assert_allclose(found.y, 2.0, rtol=1e-9)
    assert SplineLattice.covering(np.zeros(1), np.zeros(1), 1.0).n == 16


def field(k: int):
    """Return a smooth function of x and y; the third is a thickness."""
    return lambda x, y: 2 + np.sin(k + x) * np.cos(0.5 * k * y) + 0.1 * k * x * y


def jet_of(function, x, y, order: int) -> Jet:
    """Return a jet of a function by central differences, to some 1e-6."""
    step = 1e-4
    f = {(i, j): function(x + i * step, y + j * step) for i in (-1, 0, 1) for j in (-1, 0, 1)}
    parts = (
        f[0, 0],
        (f[1, 0] - f[-1, 0]) / (2 * step),
        (f[0, 1] - f[0, -1]) / (2 * step),
        (f[1, 0] - 2 * f[0, 0] + f[-1, 0]) / step**2,
        (f[1, 1] - f[1, -1] - f[-1, 1] + f[-1, -1]) / (4 * step**2),
        (f[0, 1] - 2 * f[0, 0] + f[0, -1]) / step**2,
    )
    return Jet(*parts[: (1, 3, 6)[order]])


@pytest.mark.parametrize("orders", [(0, 0), (1, 0), (1, 1), (2, 1), (2, 2)])
def test_corrected_jets_are_those_of_the_corrected_fields(orders):
    rng = np.random.default_rng(5)
    correction = Correction(LATTICE, rng.normal(scale=0.3, size=(1, 5, LATTICE.n)))
    # Away from the sides of cells: over them the differences see two cubics.
    x = -0.3 + 0.25 * (rng.integers(0, 6, 40) + rng.uniform(0.1, 0.9, 40))
    y = 0.2 + 0.25 * (rng.integers(0, 4, 40) + rng.uniform(0.1, 0.9, 40))
    given = [orders[0]] * 3 + [orders[1]] * 2
    jets = [jet_of(field(k), x, y, order) for k, order in enumerate(given)]

    def corrected(k):
        def value(x, y):
            spline = LATTICE.matrix(x, y) @ correction.coefficients[0, k]
            return field(k)(x, y) * np.exp(spline) if k == 2 else field(k)(x, y) + spline

        return value

    for k, found in enumerate(correction.applied(jets, x, y)):
        expected = jet_of(corrected(k), x, y, given[k])
        for part, known in zip(found, expected, strict=True):
            assert (part is None) == (known is None)
            if part is not None:
                # Differences of fourth derivatives, some 1e3, by step²; rounding over step².
                np.testing.assert_allclose(part, known, rtol=0, atol=1e-5)


def test_of_members_the_mean_is_added():
    rng = np.random.default_rng(6)
    coefficients = rng.normal(size=(3, 4, LATTICE.n))
    whole = Correction(LATTICE, coefficients)
    x, y = rng.uniform(0, 1, 20), rng.uniform(0.3, 1, 20)
    nothing = [Jet(np.zeros(20)), Jet(np.zeros(20)), Jet(np.ones(20)), Jet(np.zeros(20))]
    members = [whole.member(k).applied(nothing, x, y) for k in range(3)]
    for k, found in enumerate(whole.applied(nothing, x, y)):
        values = [np.log(one[k].value) if k == 2 else one[k].value for one in members]
        mean = np.exp(np.mean(values, axis=0)) if k == 2 else np.mean(values, axis=0)
        np.testing.assert_allclose(found.value, mean, rtol=0, atol=1e-13)
    np.testing.assert_array_equal(whole.member(1).coefficients, coefficients[1:2])
