"""Integrals over elements are those that can be done by hand."""

from __future__ import annotations

import numpy as np
import pytest

from xdiffice.forward.lattice_elements import CORNERS, Elements

NOWHERE = (np.zeros(0), np.zeros(0))


def square(n: int, front=NOWHERE, cells=None) -> Elements:
    """Return n x n cells of [-1, 1]², with walls all around unless told otherwise."""
    side = np.linspace(-1, 1, n + 1)
    return Elements(side, side, np.ones((n, n), bool) if cells is None else cells, front)


def lattice(n_x: int, n_y: int, side: float) -> Elements:
    """Return a full lattice, whose corner is not at the origin."""
    x, y = -0.3 + side * np.arange(n_x + 1), 0.8 + side * np.arange(n_y + 1)
    return Elements(x, y, np.ones((n_y, n_x), bool), NOWHERE)


def along_a_line(n: int, side: float) -> dict[str, np.ndarray]:
    """Return ∫ φ ψ, ∫ φ' ψ' and ∫ φ' ψ of hat functions on n intervals, φ by rows."""
    matrices = {name: np.zeros((n + 1, n + 1)) for name in ("mass", "stiffness", "slope")}
    for i in range(n):
        here = np.ix_([i, i + 1], [i, i + 1])
        matrices["mass"][here] += side / 6 * np.array([[2, 1], [1, 2]])
        matrices["stiffness"][here] += 1 / side * np.array([[1, -1], [-1, 1]])
        matrices["slope"][here] += 0.5 * np.array([[-1, -1], [1, 1]])
    return matrices


@pytest.mark.parametrize(("n_x", "n_y", "side"), [(1, 1, 1.0), (1, 1, 0.2), (4, 3, 0.7)])
def test_matrices_are_products_of_those_along_x_and_y(n_x, n_y, side):
    elements = lattice(n_x, n_y, side)
    x, y = along_a_line(n_x, side), along_a_line(n_y, side)
    one, zero = np.ones_like(elements.area), np.zeros_like(elements.area)
    for found, expected in (
        (
            elements.stiffness(3 * one),
            3 * (np.kron(y["mass"], x["stiffness"]) + np.kron(y["stiffness"], x["mass"])),
        ),
        (elements.divergence(2 * one, zero), 2 * np.kron(y["mass"], x["slope"])),
        (elements.divergence(zero, -one), -np.kron(y["slope"], x["mass"])),
    ):
        np.testing.assert_allclose(found.toarray(), expected, rtol=0, atol=1e-14)


def test_one_cell_of_a_sheet():
    # ∫ |∇φ|² of a bilinear shape function is 2/3 whatever the size, with the next corner -1/6.
    corner = lattice(1, 1, 0.4).stiffness(np.ones((1, 4))).toarray()[0]
    np.testing.assert_allclose(corner, [2 / 3, -1 / 6, -1 / 6, -1 / 3])


def test_weights_belong_to_their_points():
    elements = lattice(4, 3, 0.7)
    rng = np.random.default_rng(1)
    w, f_x, f_y = rng.normal(size=(3, *elements.area.shape))
    one, other = rng.normal(size=(2, elements.n_nodes))
    (a_x, a_y), (b_x, b_y) = elements.gradient(one), elements.gradient(other)
    works = (f_x * a_x + f_y * a_y) * elements.area
    assert one @ elements.stiffness(w) @ other == pytest.approx(
        np.sum(w * (a_x * b_x + a_y * b_y) * elements.area)
    )
    assert one @ elements.vector(f_x, f_y) == pytest.approx(np.sum(works))
    assert one @ elements.divergence(f_x, f_y) @ other == pytest.approx(
        np.sum(works * elements.at_points(other))
    )


def test_a_bilinear_field_is_known_everywhere():
    elements = lattice(4, 3, 0.7)
    x, y = elements.nodes
    at_x, at_y = elements.points
    nodal = 2 + 3 * x - y + 0.5 * x * y
    np.testing.assert_allclose(
        elements.at_points(nodal), 2 + 3 * at_x - at_y + 0.5 * at_x * at_y, rtol=1e-13
    )
    along_x, along_y = elements.gradient(nodal)
    np.testing.assert_allclose(along_x, 3 + 0.5 * at_y, rtol=1e-13)
    np.testing.assert_allclose(along_y, -1 + 0.5 * at_x, rtol=1e-13)
    assert elements.area.sum() == pytest.approx(4 * 3 * 0.7**2)


def test_the_sea_pushes_at_the_front_only_and_not_in_its_corners():
    n = 12
    elements = square(n, front=(np.ones(8 * n), np.linspace(-1, 1, 8 * n)))
    x, y = elements.nodes
    rim = np.maximum(np.abs(x), np.abs(y)) > 1 - 1e-9
    freed = np.zeros(x.size, bool)
    freed[elements.free] = True
    assert freed[~rim].all()
    assert (x[freed & rim] == 1).all()
    # From each end: the node of the wall next to the front, then that in the corner.
    assert (CORNERS, (freed & rim).sum()) == (2, n + 1 - 2)


def test_a_field_goes_on_beyond_the_shelf():
    cells = np.ones((6, 6), bool)
    cells[2:4, 2:4] = False  # an ice rise: its four sides are walls, one node lies within
    cells[:, 5] = False
    elements = square(6, cells=cells)
    assert elements.n_nodes == 7 * 6 - 1
    values = elements.filled(np.arange(elements.n_nodes, dtype=float))
    assert values.shape == (7, 7)
    np.testing.assert_array_equal(values[:, 6], values[:, 5])
    assert values[3, 3] in values[[2, 3, 3, 4], [3, 2, 4, 3]]
    assert (elements.free.size) == (5 * 4 - 9)  # inside, without the rise and its walls
