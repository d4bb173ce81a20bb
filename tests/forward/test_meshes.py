from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from xdiffice.errors import ParameterError
from xdiffice.forward.fronts import facing_ocean, front_points
from xdiffice.forward.location import PointLocator
from xdiffice.forward.meshes import box_mesh, level_set_mesh, mask_mesh


def areas(mesh) -> np.ndarray:
    a, b, c = (mesh.p[:, node] for node in mesh.t)
    return 0.5 * np.abs((b - a)[0] * (c - a)[1] - (b - a)[1] * (c - a)[0])


def enclosed_area(mesh) -> float:
    """Area by Green's theorem from the boundary's edges and their outward normals alone."""
    edges = mesh.boundary_facets()
    front = front_points(mesh, edges, np.inf)
    start, end = mesh.p[:, mesh.facets[:, edges]].swapaxes(0, 1)
    length = np.hypot(*(end - start)).sum()
    # Points are edge middles: lengths are found again by matching them to edges.
    middle = (start + end) / 2
    points = zip(front.x, front.y, strict=True)
    match = [np.hypot(middle[0] - x, middle[1] - y).argmin() for x, y in points]
    assert len(set(match)) == edges.size
    lengths = np.hypot(*(end - start))[match]
    assert lengths.sum() == pytest.approx(length)
    return 0.5 * ((front.x * front.n_x + front.y * front.n_y) * lengths).sum()


def ring(x, y):
    return np.minimum(30 - np.hypot(x - 1, y + 2), np.hypot(x + 8, y - 5) - 9)


def test_box():
    mesh = box_mesh((-3.0, 5.0), (10.0, 13.0), 1.0)
    assert mesh.t.shape == (3, 2 * 8 * 3)
    assert areas(mesh).sum() == pytest.approx(24.0)
    np.testing.assert_allclose(areas(mesh), 0.5)


def test_rim_lies_on_the_zero_line():
    mesh = level_set_mesh(ring, (-40.0, 40.0), (-40.0, 40.0), 2.0)
    x, y = mesh.p[:, mesh.boundary_nodes()]
    np.testing.assert_allclose(ring(x, y), 0.0, atol=1e-9)
    assert enclosed_area(mesh) == pytest.approx(areas(mesh).sum())


def test_area_converges_with_order_two():
    exact = np.pi * (30**2 - 9**2)
    errors = [
        abs(areas(level_set_mesh(ring, (-40.0, 40.0), (-40.0, 40.0), size)).sum() - exact)
        for size in (4.0, 2.0, 1.0)
    ]
    assert errors[-1] < 1e-3 * exact
    assert np.log2(errors[0] / errors[-1]) / 2 > 1.7


@settings(max_examples=40, deadline=None)
@given(
    x=st.floats(-8, 8),
    y=st.floats(-8, 8),
    radius=st.floats(3, 14),
    stretch=st.floats(0.7, 1.4),
    inverted=st.booleans(),
)
def test_any_ellipse_is_tiled_without_overlap_or_slivers(x, y, radius, stretch, inverted):
    def inside(x_at, y_at):
        level = radius - np.hypot((x_at - x) * stretch, y_at - y)
        return -level if inverted else level

    size = 1.0
    fine = np.linspace(-10, 10, 801)[:-1] + 0.0125
    share = (inside(*np.meshgrid(fine, fine)) > 0).mean()
    # An ellipse that covers the square leaves nothing, or corners narrower than the mesh.
    assume(400 * share > 20 * size**2)
    mesh = level_set_mesh(inside, (-10.0, 10.0), (-10.0, 10.0), size)
    # Equal to the area within the boundary: no overlap, no gap, all normals outward.
    assert enclosed_area(mesh) == pytest.approx(areas(mesh).sum(), rel=1e-9)
    assert areas(mesh).min() > 0.01 * size**2 / 2
    np.testing.assert_array_equal(np.sort(np.unique(mesh.t)), np.arange(mesh.p.shape[1]))
    assert areas(mesh).sum() == pytest.approx(400 * share, abs=0.25 * np.sqrt(400 * share) + 0.5)


def test_conditions_may_be_true_or_false():
    by_value = level_set_mesh(ring, (-40.0, 40.0), (-40.0, 40.0), 3.0)
    by_truth = level_set_mesh(lambda x, y: ring(x, y) > 0, (-40.0, 40.0), (-40.0, 40.0), 3.0)
    np.testing.assert_allclose(by_truth.p, by_value.p, atol=1e-9)
    np.testing.assert_array_equal(by_truth.t, by_value.t)


@pytest.mark.parametrize("y_order", [1, -1])
def test_raster_mask_is_followed_within_its_pixels(y_order):
    axis = np.arange(-40.0, 40.0, 0.5)
    raster = xr.DataArray(ring(*np.meshgrid(axis, axis)) > 0, {"y": axis, "x": axis}, ("y", "x"))
    mesh = mask_mesh(raster.isel(y=slice(None, None, y_order)))
    x, y = mesh.p[:, mesh.boundary_nodes()]
    assert np.abs(ring(x, y)).max() < 0.5
    assert areas(mesh).sum() == pytest.approx(np.pi * (30**2 - 9**2), rel=0.01)


def test_raster_mask_that_is_full_ends_at_the_pixels_edges():
    raster = xr.DataArray(
        np.ones((4, 6)), {"y": np.arange(4.0), "x": 2 * np.arange(6.0)}, ("y", "x")
    )
    mesh = mask_mesh(raster, 1.0)
    np.testing.assert_allclose(mesh.p.min(axis=1), [-1.0, -0.5])
    np.testing.assert_allclose(mesh.p.max(axis=1), [11.0, 3.5])


def test_default_size_bounds_the_number_of_triangles():
    axis = np.arange(600.0)
    raster = xr.DataArray(np.ones((600, 600), bool), {"y": axis, "x": axis}, ("y", "x"))
    assert 10_000 < mask_mesh(raster).t.shape[1] <= 20_500
    assert 58_000 < mask_mesh(raster, most_triangles=60_000).t.shape[1] <= 61_500
    assert mask_mesh(raster, most_triangles=10**6).t.shape[1] == 2 * 300**2  # of two pixels


def test_nothing_inside():
    raster = xr.DataArray(np.zeros((4, 6), bool), {"y": range(4), "x": range(6)}, ("y", "x"))
    with pytest.raises(ParameterError, match="False everywhere"):
        mask_mesh(raster)
    with pytest.raises(ParameterError, match="contains nothing"):
        level_set_mesh(lambda x, y: -1 - 0 * x, (0.0, 1.0), (0.0, 1.0), 0.1)
    with pytest.raises(ParameterError, match="limits that grow"):
        box_mesh((1.0, 0.0), (0.0, 1.0), 0.1)
    with pytest.raises(ParameterError, match="positive size"):
        box_mesh((0.0, 1.0), (0.0, 1.0), 0.0)


def test_points_are_located():
    mesh = level_set_mesh(ring, (-40.0, 40.0), (-40.0, 40.0), 4.0)
    rng = np.random.default_rng(0)
    points = rng.uniform(-35, 35, (2, 2000))
    cells, local = PointLocator(mesh).locate(points)
    found = cells >= 0
    corner = mesh.p[:, mesh.t[:, cells[found]]]
    origin, edges = corner[:, 0], corner[:, 1:] - corner[:, :1]
    back = origin + (edges * local[:, found]).sum(axis=1)
    np.testing.assert_allclose(back, points[:, found], atol=1e-12)
    assert (local[:, found] > -1e-8).all()
    assert (local[:, found].sum(axis=0) < 1 + 1e-8).all()
    level = ring(*points)
    assert found[level > 0.3].all()  # the chords' sag is at most 4²/(8·9)
    assert not found[level < -0.3].any()
    cells, local = PointLocator(mesh).locate(np.array([[np.nan, 0.0], [0.0, np.inf]]))
    np.testing.assert_array_equal(cells, -1)
    assert np.isnan(local).all()


def test_holes_and_sides_are_no_front():
    x, y = np.arange(20.0), np.arange(10.0)
    on_shelf = np.ones((10, 20), bool)
    on_shelf[3:6, 5:8] = False  # ice rise
    on_shelf[:, 17:] = False  # ocean
    on_shelf[8:, :3] = False  # land in a corner
    is_front = facing_ocean(x, y, on_shelf)
    probes = {
        (16.5, 4.0): True,
        (5.0, 2.5): False,
        (2.5, 9.0): False,
        (-0.5, 4.0): False,
        (16.0, -0.5): False,
        (16.4, 9.4): True,
    }
    found = is_front(*np.array(list(probes)).T)
    assert dict(zip(probes, found.tolist(), strict=True)) == probes


def test_front_points_follow_the_front():
    mesh = level_set_mesh(ring, (-40.0, 40.0), (-40.0, 40.0), 2.0)
    front = front_points(mesh, mesh.boundary_facets(), 0.7)
    np.testing.assert_allclose(np.hypot(front.n_x, front.n_y), 1.0)
    steps = np.hypot(np.diff(front.x), np.diff(front.y))
    # Neighbours are neighbours, but for the one jump from one ring to the other.
    assert (steps > 0.75).sum() == 1
    outer = np.hypot(front.x - 1, front.y + 2) > 25
    away = (front.x - 1) * front.n_x + (front.y + 2) * front.n_y
    assert (away[outer] > 29).all()
    towards = (front.x + 8) * front.n_x + (front.y - 5) * front.n_y
    assert (towards[~outer] < -8.5).all()
