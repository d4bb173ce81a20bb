from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import xarray as xr
from exact_flows import WEIGHT, Exact, L, no_front, spreading, spreading_under_shear, stretching
from hypothesis import given, settings
from hypothesis import strategies as st
from skfem import MeshTri

from xdiffice.errors import ConvergenceError, ParameterError
from xdiffice.forward import equations
from xdiffice.forward.fronts import near_points
from xdiffice.forward.meshes import box_mesh, level_set_mesh, mask_mesh
from xdiffice.forward.solve import solve_shelf
from xdiffice.physics.constants import PhysicalConstants


def solve(exact: Exact, mesh, **changes):
    arguments = {
        "thickness": exact.thickness,
        "velocity": (exact.u, exact.v),
        "front": exact.front,
        "viscosity": exact.viscosity,
        "vertical_viscosity": exact.vertical_viscosity,
    }
    return solve_shelf(mesh, **(arguments | changes))


def box(cells: int) -> MeshTri:
    return box_mesh((0.0, L), (-L / 2, L / 2), L / cells)


def inner_points(n: int = 37) -> tuple[np.ndarray, np.ndarray]:
    return np.meshgrid(np.linspace(0, L, n), np.linspace(-L / 2, L / 2, n))


def relative_error(flow, exact: Exact, x: np.ndarray, y: np.ndarray) -> float:
    """L2 norm of the velocity's error at points in the mesh, relative to the velocity's."""
    u, v = flow.velocity(x, y)
    inside = np.isfinite(u)
    assert inside.any()
    x, y, u, v = x[inside], y[inside], u[inside], v[inside]
    square = (u - exact.u(x, y)) ** 2 + (v - exact.v(x, y)) ** 2
    return np.sqrt(square.sum() / (exact.u(x, y) ** 2 + exact.v(x, y) ** 2).sum())


def glen_hardness(exact: Exact, n: float, effective_squared: Callable, floor: float) -> Callable:
    """B for which Glen's law gives the viscosity of the exact flow."""

    def hardness(x, y):
        square = effective_squared(x, y) + floor**2
        return 2 * exact.viscosity(x, y) * square ** ((1 - 1 / n) / 2)

    return hardness


@pytest.mark.parametrize("exact", [stretching(), stretching(0.4), spreading_under_shear()])
def test_velocity_converges_with_order_three(exact):
    errors = [
        relative_error(solve(exact, box(cells)), exact, *inner_points()) for cells in (6, 12, 24)
    ]
    orders = np.log2(np.array(errors[:-1]) / errors[1:])
    assert errors[-1] < 1e-5
    assert orders.min() > 2.8
    assert orders.max() < 3.8


def test_anisotropy_matters_in_the_shear_flow():
    # Otherwise the test above would not tell whether μ_h and μ_v are in their places.
    exact = spreading_under_shear()
    swapped = solve(
        exact,
        box(12),
        viscosity=exact.vertical_viscosity,
        vertical_viscosity=exact.viscosity,
    )
    assert relative_error(swapped, exact, *inner_points()) > 1e-2


@pytest.mark.parametrize("make", ["box", "ring", "raster"])
def test_linear_flow_is_reproduced_to_rounding(make):
    exact = spreading()
    if make == "box":
        mesh, front = box(7), exact.front
    else:

        def ring(x, y):
            return np.minimum(L - np.hypot(x, y), np.hypot(x - 5e3, y) - 9e3)

        if make == "ring":
            mesh = level_set_mesh(ring, (-1.1 * L, 1.1 * L), (-1.1 * L, 1.1 * L), 3e3)
        else:
            axis = np.arange(-45e3, 45e3, 1.5e3)
            raster = xr.DataArray(
                ring(*np.meshgrid(axis, axis)) > 0, {"y": axis, "x": axis}, ("y", "x")
            )
            mesh = mask_mesh(raster)

        def front(x, y):
            return np.hypot(x, y) > 0.8 * L

    flow = solve(exact, mesh, front=front)
    axis = np.linspace(-L, L, 61)
    assert relative_error(flow, exact, *np.meshgrid(axis, axis)) < 1e-12
    strain = flow.strain_rate(*np.meshgrid(axis, axis))
    np.testing.assert_allclose(strain.xx[np.isfinite(strain.xx)], 3e-10, rtol=1e-10)
    np.testing.assert_allclose(strain.yy[np.isfinite(strain.yy)], 3e-10, rtol=1e-10)
    assert np.nanmax(np.abs(strain.xy)) < 1e-19


def test_any_anisotropic_pair_of_the_right_sum_spreads_evenly():
    # The identity μ_h + 2 μ_v = ρ g' h / (4 a), for a ratio that varies in both directions.
    exact = spreading(3e-10)

    def ratio(x, y):
        return 0.8 + 0.5 * np.sin(3 * x / L) * np.cos(4 * y / L)

    def horizontal(x, y):
        return WEIGHT * exact.thickness(x, y) / (4 * 3e-10 * (1 + 2 * ratio(x, y)))

    flow = solve(
        exact,
        box(6),
        viscosity=horizontal,
        vertical_viscosity=lambda x, y: ratio(x, y) * horizontal(x, y),
    )
    assert relative_error(flow, exact, *inner_points()) < 1e-12


def test_equal_viscosities_are_isotropic():
    exact = stretching()
    one = solve(exact, box(8))
    two = solve(exact, box(8), vertical_viscosity=lambda x, y: exact.viscosity(x, y))
    scale = np.abs(one.solution).max()
    np.testing.assert_allclose(two.solution, one.solution, atol=1e-12 * scale, rtol=0)


@pytest.mark.parametrize("constants", [PhysicalConstants(), PhysicalConstants(900.0, 1028.0, 9.81)])
def test_constants(constants):
    # With other densities the same flow needs another viscosity.
    exact = spreading()
    factor = constants.driving_weight / WEIGHT
    flow = solve(
        exact,
        box(5),
        viscosity=lambda x, y: factor * exact.viscosity(x, y),
        constants=constants,
    )
    assert relative_error(flow, exact, *inner_points()) < 1e-12


@pytest.mark.parametrize("n", [1.0, 3.0, 4.0])
def test_glen_spreading_has_its_exact_flow(n):
    exact, floor = spreading(), 1e-13
    hardness = glen_hardness(exact, n, lambda x, y: 3 * 3e-10**2, floor)
    flow = solve(exact, box(6), viscosity=None, glen=(hardness, n), strain_rate_floor=floor)
    assert relative_error(flow, exact, *inner_points()) < 1e-11
    assert (flow.n_steps == 1) == (n == 1)
    x, y = inner_points()
    horizontal, vertical = flow.viscosity(x, y)
    np.testing.assert_allclose(horizontal, exact.viscosity(x, y), rtol=1e-10)
    np.testing.assert_array_equal(horizontal, vertical)


def test_glen_stretching_converges():
    exact, floor, b = stretching(), 1e-14, 2e-10

    def square(x, y):
        u_x = 5e-10 + 3e-10 * np.cos(5 * x / L)
        return u_x**2 + b**2 + u_x * b

    hardness = glen_hardness(exact, 3.0, square, floor)
    x, y = inner_points()
    velocity_errors, viscosity_errors = [], []
    for cells in (6, 12, 24):
        flow = solve(
            exact, box(cells), viscosity=None, glen=(hardness, 3.0), strain_rate_floor=floor
        )
        velocity_errors.append(relative_error(flow, exact, x, y))
        given = exact.viscosity(x, y)
        viscosity_errors.append(np.sqrt(np.mean((flow.viscosity(x, y)[0] / given - 1) ** 2)))
    assert np.log2(np.array(velocity_errors[:-1]) / velocity_errors[1:]).min() > 2.7
    assert np.log2(viscosity_errors[-2] / viscosity_errors[-1]) > 1.8
    assert viscosity_errors[-1] < 1e-3


def test_glen_that_does_not_converge_says_so(monkeypatch):
    monkeypatch.setattr(equations, "MAX_STEPS", 4)
    with pytest.raises(ConvergenceError, match="did not converge in 4 steps"):
        solve(stretching(), box(4), viscosity=None, glen=(1e8, 3.0))


@settings(max_examples=8, deadline=None)
@given(
    angle=st.floats(-np.pi, np.pi),
    mirrored=st.booleans(),
    shift=st.tuples(st.floats(-3e6, 3e6), st.floats(-3e6, 3e6)),
)
def test_solution_turns_and_moves_with_the_shelf(angle, mirrored, shift):
    exact = spreading_under_shear()
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    turn = turn @ np.diag([1.0, -1.0 if mirrored else 1.0])
    moved = np.array(shift)

    def there(x, y):
        return np.tensordot(turn, np.stack([x, y]), 1) + moved.reshape(2, *[1] * np.ndim(x))

    def here(x, y):
        points = np.stack([x, y]) - moved.reshape(2, *[1] * np.ndim(x))
        return np.tensordot(turn.T, points, 1)

    def turned(function):
        return lambda x, y: function(*here(x, y))

    def velocity(x, y):
        return np.tensordot(turn, np.stack([exact.u(*here(x, y)), exact.v(*here(x, y))]), 1)

    def front(x, y):
        return x > L * (1 - 1e-6)

    mesh = box(5)
    arguments = {"thickness": spreading().thickness, "front": front}
    still = solve(exact, mesh, **arguments)
    flow = solve_shelf(
        MeshTri(there(*mesh.p), mesh.t),
        thickness=turned(arguments["thickness"]),
        velocity=(lambda x, y: velocity(x, y)[0], lambda x, y: velocity(x, y)[1]),
        front=turned(front),
        viscosity=turned(exact.viscosity),
        vertical_viscosity=turned(exact.vertical_viscosity),
    )
    x, y = np.meshgrid(np.linspace(1e3, L - 1e3, 9), np.linspace(-0.49 * L, 0.49 * L, 9))
    expected = np.tensordot(turn, np.stack(still.velocity(x, y)), 1)
    found = np.stack(flow.velocity(*there(x, y)))
    np.testing.assert_allclose(found, expected, atol=1e-10 * np.abs(expected).max(), rtol=0)


@pytest.mark.parametrize("layout", ["plain", "descending", "transposed", "other names"])
def test_rasters_are_read_by_their_coordinates(layout):
    # Bilinear interpolation is exact for fields that are linear in x and y.
    def thickness(x, y):
        return 300 + 2e-3 * x - 1e-3 * y

    mesh = box(6)
    x, y = np.linspace(-1e3, L + 1e3, 31), np.linspace(-L / 2 - 1e3, L / 2 + 1e3, 17)
    raster = xr.DataArray(thickness(x, y[:, None]), {"y": y, "x": x}, ("y", "x"))
    raster = {
        "plain": raster,
        "descending": raster.isel(y=slice(None, None, -1)),
        "transposed": raster.T,
        "other names": raster.rename(x="east", y="north").assign_coords(
            east=("east", x, {"axis": "X"}), north=("north", y, {"axis": "Y"})
        ),
    }[layout]
    before = raster.copy(deep=True)
    given = solve(spreading(), mesh, thickness=raster)
    expected = solve(spreading(), mesh, thickness=thickness)
    np.testing.assert_allclose(given.solution, expected.solution, rtol=1e-9, atol=1e-18)
    xr.testing.assert_identical(raster, before)


def test_missing_raster_values_are_filled_with_the_nearest():
    x = np.linspace(0, L, 41)
    y = np.linspace(-L / 2, L / 2, 41)
    values = np.full((41, 41), 300.0)
    values[10:20, 5:9] = np.nan
    values[:, -1] = np.nan
    raster = xr.DataArray(values, {"y": y, "x": x}, ("y", "x"))
    given = solve(spreading(), box(6), thickness=raster)
    expected = solve(spreading(), box(6), thickness=300.0)
    np.testing.assert_allclose(given.solution, expected.solution, rtol=1e-9, atol=1e-18)


def test_front_of_observed_points():
    exact = spreading()
    y = np.linspace(-L / 2, L / 2, 11)
    observed = near_points(np.full(11, L + 500.0), y, reach=4e3)
    mesh = box(8)
    given = solve(exact, mesh, front=observed)
    expected = solve(exact, mesh)
    # The middle of the side edge next to the corner is L/16 = 2.5 km from the last point.
    assert set(expected.front_edges) <= set(given.front_edges)
    assert given.front_edges.size == expected.front_edges.size + 2
    front = expected.front(spacing=2e3)
    np.testing.assert_allclose(front.x, L)
    assert (np.diff(front.y) > 0).all()
    np.testing.assert_allclose(np.diff(front.y), L / 24)
    np.testing.assert_array_equal(front.n_x, 1.0)
    np.testing.assert_array_equal(front.n_y, 0.0)


def test_outside_of_the_mesh_there_is_nothing():
    flow = solve(spreading(), box(4))
    x, y = np.array([-1.0, L + 1.0, L / 2]), np.array([0.0, 0.0, L])
    for values in (*flow.velocity(x, y), *flow.strain_rate(x, y), *flow.viscosity(x, y)):
        assert np.isnan(values).all()
    assert flow.contains(np.array([0.0, L, L / 3]), np.array([-L / 2, L / 2, 0.1])).all()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"viscosity": None}, "either viscosity or glen"),
        ({"glen": (1e8, 3)}, "either viscosity or glen"),
        ({"viscosity": -1e13}, "viscosity must be positive"),
        ({"viscosity": lambda x, y: np.where(x > L / 2, np.nan, 1e13)}, "viscosity is not finite"),
        ({"vertical_viscosity": [1e13]}, "vertical_viscosity is a list"),
        ({"viscosity": None, "glen": (1e8, 0.5)}, "at least 1"),
        ({"viscosity": None, "glen": 1e8}, "pair \\(B, n\\)"),
        ({"viscosity": None, "glen": (1e8, 3), "vertical_viscosity": 1e13}, "isotropic"),
        ({"viscosity": None, "glen": (1e8, 3), "strain_rate_floor": 0}, "strain_rate_floor"),
        ({"thickness": lambda x, y: 0 * x}, "thickness must be positive"),
        ({"thickness": True}, "thickness is a bool"),
        ({"velocity": (0.0, 0.0, 0.0)}, "pair \\(u, v\\)"),
        ({"front": lambda x, y: np.ones(np.shape(x), bool)}, "nothing holds"),
        ({"front": lambda x, y: True}, "front\\(x, y\\) returned shape"),
        ({"thickness": xr.DataArray(np.ones(3), dims="x")}, "two dims with coordinates"),
        (
            {
                "thickness": xr.DataArray(
                    np.ones((2, 2)), {"y": [0, 1], "x": [0, np.nan]}, ("y", "x")
                )
            },
            "coordinates of thickness must be",
        ),
        (
            {
                "thickness": xr.DataArray(
                    np.full((2, 2), np.nan), {"y": [0, 1], "x": [0, 1]}, ("y", "x")
                )
            },
            "no finite value",
        ),
    ],
)
def test_wrong_parameters(changes, message):
    with pytest.raises(ParameterError, match=message):
        solve(spreading(), box(3), **changes)


def test_loose_piece_is_named():
    mesh = level_set_mesh(lambda x, y: np.abs(x) - 5e3, (-L, L), (0, L), 2.5e3)
    with pytest.raises(ParameterError, match=r"1 of 2 pieces .*nothing holds"):
        solve(spreading(), mesh, front=lambda x, y: x > 0)
    with pytest.raises(ParameterError, match="domain is a str"):
        solve(spreading(), "mesh")


@pytest.mark.parametrize("glen", [False, True])
def test_drag_slows_a_slab_between_moving_walls(glen):
    """μ h u'' = β u has the solution cosh(y / l), l² = μ h / β; no thickness drives it."""
    h, mu, length = 300.0, 4e13, 12e3
    beta = mu * h / length**2

    def u(x, y):
        return 1e-5 * np.cosh(y / length)

    ice = {"glen": (2 * mu, 1.0)} if glen else {"viscosity": mu}
    errors = []
    for size in (4e3, 2e3):
        mesh = box_mesh((0.0, 40e3), (-20e3, 20e3), size)
        flow = solve_shelf(mesh, h, (u, 0.0), no_front, drag=beta, **ice)
        x, y = np.random.default_rng(0).uniform(-18e3, 18e3, (2, 400))
        found = np.stack(flow.velocity(x + 20e3, y))
        errors.append(np.abs(found - [u(x, y), 0 * x]).max() / 1e-5)
    assert errors[1] < 1e-3
    assert errors[0] / errors[1] > 6  # third order
    free = solve_shelf(mesh, h, (u, 0.0), no_front, **ice)
    assert free.velocity(np.array([20e3]), np.zeros(1))[0] > 1.3 * u(0.0, 0.0)
