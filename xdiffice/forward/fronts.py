"""Which edges of a mesh are calving front, and where each of them looks.

Hands on conditions that pick front edges by position, and `FrontPoints`: positions and normals.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import numpy as np
from scipy.ndimage import label
from scipy.spatial import cKDTree
from skfem import MeshTri

from xdiffice.observations.points import FrontPoints

FrontCondition: TypeAlias = Callable[[np.ndarray, np.ndarray], np.ndarray]
"""Whether the boundary at positions x, y (m) is calving front."""


def near_points(x_front: np.ndarray, y_front: np.ndarray, reach: float) -> FrontCondition:
    """Make the condition that a position lies within `reach` of an observed front's points.

    Parameters
    ----------
    x_front, y_front : array_like, shape (n,)
        Points of the front, m.
    reach : float
        Greatest distance, m; a little more than the points' spacing or the mesh size.

    Returns
    -------
    callable
        ``condition(x, y)``: whether positions, m, are calving front.
    """
    tree = cKDTree(np.column_stack([np.ravel(x_front), np.ravel(y_front)]))

    def is_front(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        distance, _ = tree.query(np.column_stack([np.ravel(x), np.ravel(y)]))
        near: np.ndarray = (distance <= reach).reshape(np.shape(x))
        return near

    return is_front


def facing_ocean(x: np.ndarray, y: np.ndarray, on_shelf: np.ndarray) -> FrontCondition:
    """Make the condition that a boundary of a shelf faces the open ocean.

    Ocean is whatever is connected, around the shelf, with the right (greatest x) side of a grid.
    The grid's three other sides are land, and other holes in the shelf are ice rises.

    Parameters
    ----------
    x, y : ndarray, shape (n_x,) and (n_y,)
        Centres of the grid's pixels, ascending and equally spaced, m.
    on_shelf : ndarray of bool, shape (n_y, n_x)
        Whether a pixel is shelf.
    """
    d_x, d_y = x[1] - x[0], y[1] - y[0]
    outside = np.pad(~on_shelf, ((0, 0), (0, 1)), constant_values=True)
    labels, _ = label(outside)
    is_ocean = (labels == labels[0, -1])[outside]
    x_all, y_all = np.meshgrid(np.append(x, x[-1] + d_x), y)
    tree = cKDTree(np.column_stack([x_all[outside], y_all[outside]]))
    left, bottom, top = x[0] - d_x / 2, y[0] - d_y / 2, y[-1] + d_y / 2

    def is_front(x_at: np.ndarray, y_at: np.ndarray) -> np.ndarray:
        _, nearest = tree.query(np.column_stack([np.ravel(x_at), np.ravel(y_at)]))
        from_land = np.minimum((x_at - left) / d_x, np.minimum(y_at - bottom, top - y_at) / d_y)
        is_nearest = is_ocean[nearest].reshape(np.shape(x_at))
        at_sea: np.ndarray = is_nearest & (from_land > 1e-6)
        return at_sea

    return is_front


def edge_midpoints(mesh: MeshTri, edges: np.ndarray) -> np.ndarray:
    """Middles of a mesh's edges, shape (2, number of edges)."""
    middles: np.ndarray = mesh.p[:, mesh.facets[:, edges]].mean(axis=1)
    return middles


def edge_normals(mesh: MeshTri, edges: np.ndarray) -> np.ndarray:
    """Outward unit normals of boundary edges, shape (2, number of edges)."""
    start, end = mesh.p[:, mesh.facets[0, edges]], mesh.p[:, mesh.facets[1, edges]]
    return _outward(mesh, edges, start, end)


def front_points(mesh: MeshTri, edges: np.ndarray, spacing: float) -> FrontPoints:
    """Place points on boundary edges, evenly and at most `spacing` apart, with outward normals.

    Parameters
    ----------
    mesh : skfem.MeshTri
        Lengths in m.
    edges : ndarray of int
        Boundary edges that are calving front.
    spacing : float
        Greatest distance of neighbouring points on an edge, m.

    Returns
    -------
    FrontPoints
        Sorted along the front, one piece after the other.
    """
    order, nodes = _chained(mesh.facets[:, edges], mesh.p)
    start, end = mesh.p[:, nodes[0]], mesh.p[:, nodes[1]]
    along = end - start
    length = np.hypot(*along)
    normal = _outward(mesh, edges[order], start, end)

    counts = np.maximum(np.ceil(length / spacing - 1e-9).astype(int), 1)
    edge = np.repeat(np.arange(counts.size), counts)
    rank = np.arange(edge.size) - np.repeat(np.cumsum(counts) - counts, counts)
    x, y = start[:, edge] + (rank + 0.5) / counts[edge] * along[:, edge]
    n_x, n_y = normal[:, edge] + 0.0  # without negative zeros
    return FrontPoints(x, y, n_x, n_y)


def _outward(mesh: MeshTri, edges: np.ndarray, start: np.ndarray, end: np.ndarray) -> np.ndarray:
    """Return outward unit normals of boundary edges between two ends each."""
    along = end - start
    normal = np.stack([along[1], -along[0]]) / np.hypot(*along)
    inward = mesh.p[:, mesh.t[:, mesh.f2t[0, edges]]].mean(axis=1) - start
    outward: np.ndarray = normal * np.where((normal * inward).sum(axis=0) > 0, -1.0, 1.0)
    return outward


def _chained(edges: np.ndarray, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Sort edges (2, n) into chains: their order, and their nodes turned to follow the chain."""
    at_node: dict[int, list[int]] = {}
    for number, pair in enumerate(edges.T.tolist()):
        for node in pair:
            at_node.setdefault(node, []).append(number)
    # Chains start at loose ends, from the least y, then x; what remains are closed rings.
    starts = sorted(at_node, key=lambda node: (len(at_node[node]) != 1, *points[::-1, node]))
    unused = set(range(edges.shape[1]))
    order, nodes = [], []
    for here in starts:
        while following := [number for number in at_node[here] if number in unused]:
            first, second = edges[:, following[0]].tolist()
            there = second if first == here else first
            order.append(following[0])
            nodes.append((here, there))
            unused.remove(following[0])
            here = there
    return np.array(order, dtype=int), np.array(nodes, dtype=int).reshape(-1, 2).T
