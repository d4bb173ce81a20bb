"""The response of a shelf is that of the forward solver and of exact flows; forces are linear."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from exact_flows import Exact, L, spreading, spreading_under_shear, stretching
from scipy.sparse import csr_matrix
from skfem import Basis, ElementTriP2, ElementVector

from xdiffice.forward.equations import stiffness_form
from xdiffice.forward.meshes import box_mesh
from xdiffice.forward.observed import ObservedShelf
from xdiffice.forward.response import QUADRATURE_ORDER, Ice, Response, ShelfResponse
from xdiffice.forward.solve import solve_shelf
from xdiffice.physics.constants import PhysicalConstants
from xdiffice.physics.scales import Affine, Scales

SCALES = Scales(
    x=Affine(0.4 * L, 0.7 * L),
    y=Affine(-0.1 * L, 0.7 * L),
    u=Affine(1e-5, 2e-5),
    v=Affine(0.0, 5e-6),
    h=Affine(350.0, 60.0),
    constants=PhysicalConstants(),
)
FLOWS = {
    "stretching": stretching(),
    "stretching, anisotropic": stretching(0.4),
    "spreading": spreading(),
    "spreading under shear, anisotropic": spreading_under_shear(),
}


def response_of(exact: Exact, cells: int) -> ShelfResponse:
    mesh = box_mesh((0.0, L), (-L / 2, L / 2), L / cells)
    return ShelfResponse(ObservedShelf(mesh, exact.front, (exact.u, exact.v)), SCALES)


def ice_of(exact: Exact, response: ShelfResponse) -> Ice:
    at = SCALES.x.to_si(response.x), SCALES.y.to_si(response.y)
    mu_h = exact.viscosity(*at) / SCALES.viscosity
    vertical = exact.vertical_viscosity
    mu_v = mu_h if vertical is None else vertical(*at) / SCALES.viscosity
    return Ice(mu_h, mu_v, exact.thickness(*at) / SCALES.thickness)


def at_places(response: ShelfResponse, found: Response, x, y) -> np.ndarray:
    """Velocity at positions in the mesh, m s-1."""
    inside, matrix = response.observing(SCALES.x.to_unit(x), SCALES.y.to_unit(y))
    assert inside.all()
    u, v = np.split(found.velocity, 2)
    return SCALES.speed * np.stack([matrix @ u, matrix @ v])


def places(n: int = 300) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    return rng.uniform(0, L, n), rng.uniform(-L / 2, L / 2, n)


def relative_error(found: np.ndarray, expected: np.ndarray) -> float:
    return float(np.linalg.norm(found - expected) / np.linalg.norm(expected))


def solver(exact: Exact, cells: int, x, y) -> np.ndarray:
    """Velocity of the forward solver on the same mesh, m s-1."""
    flow = solve_shelf(
        box_mesh((0.0, L), (-L / 2, L / 2), L / cells),
        exact.thickness,
        (exact.u, exact.v),
        exact.front,
        viscosity=exact.viscosity,
        vertical_viscosity=exact.vertical_viscosity,
    )
    return np.stack(flow.velocity(x, y))


@pytest.mark.parametrize("name", FLOWS)
def test_the_error_falls_with_the_third_power_of_the_mesh_size(name):
    exact, (x, y) = FLOWS[name], places()
    errors = []
    for cells in (6, 12, 24):
        response = response_of(exact, cells)
        found = at_places(response, response.solved(ice_of(exact, response)), x, y)
        errors.append(relative_error(found, np.stack([exact.u(x, y), exact.v(x, y)])))
    if name == "spreading":  # linear, and its stress is the pressure at every point: no error
        assert max(errors) < 1e-13
        return
    assert errors[1] < errors[0] / 6
    assert errors[2] < errors[1] / 6
    assert errors[2] < 1e-4


@pytest.mark.parametrize("name", FLOWS)
def test_it_is_the_forward_solver_but_for_quadrature(name):
    exact, (x, y) = FLOWS[name], places()
    response = response_of(exact, 12)
    found = at_places(response, response.solved(ice_of(exact, response)), x, y)
    expected = solver(exact, 12, x, y)
    # Of order 4 instead of 6: less than what a twelfth of the shelf is wrong by itself.
    assert relative_error(found, expected) < 1e-4


def test_without_quadrature_error_it_is_the_forward_solver_to_rounding():
    exact = dataclasses.replace(
        stretching(0.4),
        thickness=lambda x, y: np.full(np.shape(x), 310.0),
        viscosity=lambda x, y: np.full(np.shape(x), 4e13),
        vertical_viscosity=lambda x, y: np.full(np.shape(x), 1.5e13),
    )
    x, y = places()
    response = response_of(exact, 8)
    found = at_places(response, response.solved(ice_of(exact, response)), x, y)
    assert relative_error(found, solver(exact, 8, x, y)) < 1e-11


def smooth_ice(response: ShelfResponse) -> Ice:
    x, y = response.x, response.y
    return Ice(0.1 + 0.05 * np.sin(3 * x), 0.08 + 0.03 * np.cos(2 * y), 1 + 0.2 * np.sin(x + y))


def test_the_matrix_is_that_of_the_form():
    response = response_of(spreading(), 5)
    ice, basis = smooth_ice(response), response._basis
    vector = Basis(basis.mesh, ElementVector(ElementTriP2()), intorder=QUADRATURE_ORDER)
    shape = basis.dx.shape
    fields = {name: part.reshape(shape) for name, part in zip(Ice._fields, ice, strict=True)}
    interleaved = stiffness_form.assemble(vector, **fields).toarray()
    # Vector elements number u and v of a node next to each other; here all u come first.
    order = np.zeros(2 * basis.N, int)
    for k in range(2):
        order[k * basis.N + basis.element_dofs] = vector.element_dofs[k::2]
    expected = interleaved[np.ix_(order, order)]
    found = response._stiffness(ice).toarray()
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-13 * abs(expected).max())
    np.testing.assert_allclose(found, found.T, rtol=0, atol=1e-14 * abs(expected).max())


def test_the_velocity_is_in_balance_and_held_at_the_rim():
    exact = stretching()
    response = response_of(exact, 8)
    ice = smooth_ice(response)
    velocity = response.solved(ice).velocity
    held = np.setdiff1d(np.arange(2 * response.n_nodes), response.free)
    at = [
        axis.to_si(c) for axis, c in zip((SCALES.x, SCALES.y), response._basis.doflocs, strict=True)
    ]
    rim = np.concatenate([exact.u(*at), exact.v(*at)])[held] / SCALES.speed
    np.testing.assert_allclose(velocity[held], rim, rtol=1e-12, atol=1e-14)
    xx, xy, yy = response.stresses(velocity, ice.mu_h, ice.mu_v)
    one = csr_matrix(np.ones((response.x.size, 1)))
    push = 0.5 * ice.h**2
    inner = response.forces((ice.h * xx, ice.h * xy, ice.h * yy), one).toarray()
    outer = response.forces((push, np.zeros_like(push), push), one).toarray()
    np.testing.assert_allclose(inner, outer, rtol=0, atol=1e-12 * abs(outer).max())


def test_forces_are_linear_in_stresses_and_fields():
    response = response_of(spreading(), 4)
    rng = np.random.default_rng(1)
    one, other = rng.normal(size=(2, 3, response.x.size))
    fields = csr_matrix(rng.normal(size=(response.x.size, 3)))
    together = response.forces(tuple(2 * one - 3 * other), fields)
    apart = 2 * response.forces(tuple(one), fields) - 3 * response.forces(tuple(other), fields)
    np.testing.assert_allclose(together.toarray(), apart.toarray(), rtol=0, atol=1e-12)
    # A field takes the place of a factor of the stresses.
    column = fields[:, [1]].toarray().ravel()
    whole = csr_matrix(np.ones((response.x.size, 1)))
    np.testing.assert_allclose(
        response.forces(tuple(one * column), whole).toarray().ravel(),
        response.forces(tuple(one), fields).toarray()[:, 1],
        rtol=0,
        atol=1e-13,
    )


def test_stresses_are_those_of_the_strain_rate():
    """u = x + 2 y, v = 3 y - x, which elements have exactly: tr = 4, ε_xy = ½."""
    response = response_of(spreading(), 3)
    x, y = response._basis.doflocs
    velocity = np.concatenate([x + 2 * y, 3 * y - x])
    mu_h, mu_v = np.full((2, response.x.size), [[0.3], [0.2]])
    xx, xy, yy = response.stresses(velocity, mu_h, mu_v)
    np.testing.assert_allclose(xx, 2 * 0.3 * 1 + 2 * 0.2 * 4)
    np.testing.assert_allclose(xy, 2 * 0.3 * 0.5)
    np.testing.assert_allclose(yy, 2 * 0.3 * 3 + 2 * 0.2 * 4)
    u, v = response.at_points(velocity)
    np.testing.assert_allclose(u.value, response.x + 2 * response.y, atol=1e-13)
    np.testing.assert_allclose(v.y, 3, atol=1e-11)


def test_lengths_and_places():
    response = response_of(spreading(), 5)
    area = (L / SCALES.length) ** 2
    assert response.weight.sum() == pytest.approx(area, rel=1e-12)
    assert response.leg == pytest.approx(np.sqrt(2 * area / response._basis.mesh.nelements))
    x = SCALES.x.to_unit(np.array([0.5 * L, 1.5 * L, 0.1 * L]))
    y = SCALES.y.to_unit(np.array([0.0, 0.0, 0.45 * L]))
    inside, matrix = response.observing(x, y)
    np.testing.assert_array_equal(inside, [True, False, True])
    nodes_x, nodes_y = response._basis.doflocs
    np.testing.assert_allclose(matrix @ (nodes_x * nodes_y), (x * y)[inside], rtol=1e-12)
