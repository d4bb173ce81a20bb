"""Triangle meshes of a shelf: of a rectangle, of what a function says, of a raster mask.

A curved rim is fitted, not approximated by steps: nodes close to it are moved on to it and the
triangles that it still cuts are cut (the two-dimensional case of isosurface stuffing, Labelle &
Shewchuk 2007, doi 10.1145/1276377.1276448), so that boundary edges have usable normals.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import numpy as np
import xarray as xr
from scipy.interpolate import RegularGridInterpolator
from scipy.ndimage import gaussian_filter
from skfem import MeshTri

from xdiffice.errors import ParameterError
from xdiffice.forward.fields import FieldFunction, sorted_raster

SNAP = 0.25
"""Nodes whose edge is cut closer to them than this share of its length are moved to the cut."""

BISECTIONS = 40
USUAL_TRIANGLES = 20_000  # of the mesh of a raster, at most

Level: TypeAlias = Callable[[np.ndarray], np.ndarray]
"""Values at points of shape (2, ...), positive inside."""


def box_mesh(x_limits: tuple[float, float], y_limits: tuple[float, float], size: float) -> MeshTri:
    """Mesh a rectangle with right triangles.

    Parameters
    ----------
    x_limits, y_limits : tuple of float
        Least and greatest coordinate, m.
    size : float
        Greatest length of the legs of a triangle, m.

    Returns
    -------
    skfem.MeshTri
        Triangles; nodes in m.

    Raises
    ------
    ParameterError
        Limits that do not rise, or a size that is not positive.
    """
    axes = []
    for low, high in (x_limits, y_limits):
        if not (high > low and size > 0):
            raise ParameterError(
                f"a mesh needs limits that grow and a positive size; got {low:g} to {high:g} m "
                f"and {size:g} m."
            )
        axes.append(np.linspace(low, high, 1 + max(2, int(np.ceil((high - low) / size - 1e-9)))))
    return MeshTri.init_tensor(*axes)


def level_set_mesh(
    inside: FieldFunction,
    x_limits: tuple[float, float],
    y_limits: tuple[float, float],
    size: float,
) -> MeshTri:
    """Mesh the part of a rectangle where a function is positive, with its rim fitted.

    The nodes of the rim lie on the zero line of `inside` to rounding (but for a node where that
    line comes within ``size / 4`` of the rectangle's rim); between them the rim is straight, so
    that the domain differs from the true one by O(size²). Details narrower than `size` may be
    missed.

    Parameters
    ----------
    inside : callable
        ``inside(x, y)``, positive (or True) on the shelf. It need not be a distance, nor
        continuous.
    x_limits, y_limits : tuple of float
        The rectangle, m. Its sides are sides of the shelf where `inside` is positive there.
    size : float
        Greatest length of the legs of a triangle, m.

    Returns
    -------
    skfem.MeshTri
        Triangles; nodes in m.

    Raises
    ------
    ParameterError
        If nothing is inside.
    """

    def level(points: np.ndarray) -> np.ndarray:
        values = np.asarray(inside(points[0], points[1]))
        if values.dtype == bool:
            return np.where(values, 1.0, -1.0)
        return values.astype(float)

    box = box_mesh(x_limits, y_limits, size)
    points, values, cuts = _snapped(box, level)
    triangles = _cut_triangles(box, points, values, level)
    if triangles.shape[1] == 0:
        raise ParameterError(
            f"the mask contains nothing of x {x_limits[0]:g} to {x_limits[1]:g} m, "
            f"y {y_limits[0]:g} to {y_limits[1]:g} m at a mesh size of {size:g} m."
        )
    used, renumbered = np.unique(triangles, return_inverse=True)
    return MeshTri(
        np.ascontiguousarray(np.hstack([points, cuts])[:, used]),
        renumbered.reshape(triangles.shape),
    )


def mask_mesh(
    mask: xr.DataArray, size: float | None = None, most_triangles: int = USUAL_TRIANGLES
) -> MeshTri:
    """Mesh the pixels of a raster mask, with the pixels' steps smoothed away.

    The rim is the half-way line of the mask after smoothing over one pixel; where the mask
    reaches the edge of its grid, the rim is the outer edge of the outermost pixels.

    Parameters
    ----------
    mask : xarray.DataArray
        True (or non-zero) on the shelf; two dims with coordinates x and y in m, of equal spacing.
    size : float, optional
        Greatest length of the legs of a triangle, m. Default: two pixels, or more where that
        would give too many triangles.
    most_triangles : int
        About how many are too many: rows and columns are rounded up.

    Returns
    -------
    skfem.MeshTri
        Triangles; nodes in m.

    Raises
    ------
    ParameterError
        The mask is no raster, or False everywhere.
    """
    x, y, values = sorted_raster(mask, "mask")
    on_shelf = np.nan_to_num(values.astype(float)) != 0
    if not on_shelf.any():
        raise ParameterError("the mask is False everywhere.")
    d_x, d_y = np.diff(x).mean(), np.diff(y).mean()
    if size is None:
        size = max(2 * max(d_x, d_y), np.sqrt(2 * on_shelf.sum() * d_x * d_y / most_triangles))
    smooth = gaussian_filter(on_shelf.astype(float), 1.0, mode="nearest")
    interpolate = RegularGridInterpolator((y, x), smooth - 0.5)

    def inside(x_at: np.ndarray, y_at: np.ndarray) -> np.ndarray:
        clipped = np.clip(y_at, y[0], y[-1]), np.clip(x_at, x[0], x[-1])
        values_at: np.ndarray = interpolate(np.stack(clipped, axis=-1))
        return values_at

    return level_set_mesh(
        inside,
        (x[0] - d_x / 2, x[-1] + d_x / 2),
        (y[0] - d_y / 2, y[-1] + d_y / 2),
        size,
    )


def _snapped(box: MeshTri, level: Level) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Move nodes on to the zero line; return nodes, their values, and cuts of all edges."""
    points, edges = box.p.copy(), box.facets
    values = level(points)
    is_cut = values[edges[0]] * values[edges[1]] < 0
    share = np.where(is_cut, _crossings(points, values, edges, level), 0.5)
    cuts = points[:, edges[0]] + share * (points[:, edges[1]] - points[:, edges[0]])

    # Every end of a cut edge that lies close to the cut; of several, the closest one counts. A
    # node on the rectangle's rim may only move along the rim, so edges of the rim come first.
    node, distance = edges.ravel(), np.concatenate([share, 1 - share])
    edge = np.tile(np.arange(edges.shape[1]), 2)
    close = np.flatnonzero(is_cut[edge] & (distance < SNAP))
    along_rim = np.isin(edge, box.boundary_facets())
    order = close[np.lexsort((distance[close], ~along_rim[close], node[close]))]
    moved, first = np.unique(node[order], return_index=True)
    order = order[first]
    # What may not move (a corner of the shelf, a node of the rim whose cut lies inside) becomes
    # part of the zero line where it is.
    corner = np.bincount(edges[:, box.boundary_facets()].ravel(), minlength=values.size) == 2
    corner &= np.bincount(box.t.ravel(), minlength=values.size) <= 2
    may_move = np.where(
        np.isin(moved, box.boundary_nodes()),
        along_rim[order] & ~(corner[moved] & (values[moved] > 0)),
        True,
    )
    points[:, moved[may_move]] = cuts[:, edge[order[may_move]]]
    values[moved] = 0.0
    return points, values, cuts


def _crossings(
    points: np.ndarray, values: np.ndarray, edges: np.ndarray, level: Level
) -> np.ndarray:
    """Where along each edge, from 0 to 1, the level changes sign, by bisection."""
    start, end = points[:, edges[0]], points[:, edges[1]]
    sign = np.sign(values[edges[0]])
    low, high = np.zeros(edges.shape[1]), np.ones(edges.shape[1])
    for _ in range(BISECTIONS):
        middle = (low + high) / 2
        same = np.sign(level(start + middle * (end - start))) == sign
        low, high = np.where(same, middle, low), np.where(same, high, middle)
    return (low + high) / 2


def _cut_triangles(
    box: MeshTri, points: np.ndarray, values: np.ndarray, level: Level
) -> np.ndarray:
    """Triangles of the positive side; the cut of edge e is node number (nodes of the box) + e."""
    nodes, n_nodes = box.t, points.shape[1]
    signs = np.sign(values[nodes])
    positive, negative = (signs > 0).sum(0), (signs < 0).sum(0)
    whole = (negative == 0) & (positive > 0)
    on_line = np.flatnonzero((negative == 0) & (positive == 0))
    whole[on_line] = level(points[:, nodes[:, on_line]].mean(axis=1)) > 0
    pieces = [nodes[:, whole]]

    # Local edges run between local nodes (0, 1), (1, 2), (0, 2): row i of `across` is the edge
    # from local node i to the next one. Each rotation brings the patterns into one position.
    across = box.t2f
    for turn in range(3):
        a, b, c = np.roll(nodes, -turn, axis=0)
        s_a, s_b, s_c = np.roll(signs, -turn, axis=0)
        ab, _, ca = n_nodes + np.roll(across, -turn, axis=0)
        tip = (s_a > 0) & (s_b < 0) & (s_c < 0)
        pieces.append(np.stack([a, ab, ca])[:, tip])
        # One node lies on the line: the triangle is halved through it.
        for left, pattern in ((True, (s_a > 0) & (s_b < 0)), (False, (s_a < 0) & (s_b > 0))):
            half = pattern & (s_c == 0)
            pieces.append(np.stack([a if left else b, ab, c])[:, half])
        base = (s_a < 0) & (s_b > 0) & (s_c > 0)
        pieces += [np.stack([ab, b, c])[:, base], np.stack([ab, c, ca])[:, base]]
    return np.hstack(pieces)
