"""The forward problem of a shelf that was observed: its mesh, its front, what holds it elsewhere.

Hands on what `solve_shelf` needs besides thickness and viscosity.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import xarray as xr
from scipy.spatial import cKDTree
from skfem import MeshTri

from xdiffice.errors import ParameterError
from xdiffice.forward.fields import FieldFunction
from xdiffice.forward.fronts import FrontCondition, edge_midpoints, edge_normals, near_points
from xdiffice.forward.meshes import USUAL_TRIANGLES, mask_mesh
from xdiffice.forward.solve import pieces
from xdiffice.observations.points import Domain, Observations, VelocityPoints

NEIGHBOURS = 16  # observed velocities by which a node of the rim is held
SMALLEST = 1e-3  # singular value of the places of neighbours that still counts
REACH = 1.5  # pixels, or distances between points of the front, from a rim that is front
FACING = 0.5  # cosine between a rim and the front that it is taken for
MARGIN = 3  # pixels of no shelf around the mask, over which its rim is smoothed


@dataclass(frozen=True)
class ObservedShelf:
    """Where an observed shelf is, and what happens at its rim.

    Parameters
    ----------
    mesh : skfem.MeshTri
        Its pixels, m, less the pieces that nothing holds.
    front : callable
        Whether the boundary at positions x, y (m) is calving front.
    velocity : pair of callable
        Velocity (u, v), m s-1, at positions x, y of the rest of the rim: the quadratic
        surface that fits the 16 nearest observations best.
    """

    mesh: MeshTri
    front: FrontCondition
    velocity: tuple[FieldFunction, FieldFunction]

    @classmethod
    def of(
        cls,
        observations: Observations,
        mesh_size: float | None = None,
        neighbours: int = NEIGHBOURS,
        most_triangles: int = USUAL_TRIANGLES,
    ) -> ObservedShelf:
        """Mesh the shelf's pixels, as `mask_mesh` does, and find out what holds them.

        Of noisy velocity a node of the rim takes more than 16 `neighbours`.
        """
        mesh, front = _held(
            mask_mesh(_mask(observations.domain), mesh_size, most_triangles), observations
        )
        return cls(mesh, front, _surfaces(observations.velocity, neighbours))


def _mask(domain: Domain) -> xr.DataArray:
    """Make a raster of the pixels of a shelf, with a margin of none."""
    (x, column), (y, row) = (_line(axis) for axis in (domain.x, domain.y))
    inside = np.zeros((y.size, x.size), bool)
    inside[row, column] = True
    return xr.DataArray(inside, dims=("y", "x"), coords={"y": y, "x": x})


def _line(positions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the coordinate of a raster along one axis, and the number of every position on it."""
    there = np.unique(positions)
    steps = np.diff(there)
    step = np.median(steps) if steps.size else 1.0
    number = np.round((positions - there[0]) / step).astype(int)
    if np.abs(there[0] + number * step - positions).max() > 0.1 * step:
        raise ParameterError(
            "the forward solver needs a shelf of pixels, and this one is made of points: give a "
            "mask on a raster"
        )
    line = there[0] + step * (np.arange(number.max() + 1 + 2 * MARGIN) - MARGIN)
    return line, number + MARGIN


def _held(mesh: MeshTri, observations: Observations) -> tuple[MeshTri, FrontCondition]:
    """Return those pieces of a mesh that something holds, and which of their rim is front.

    The rim is front where points of the front are near that look the same way: not where a wall
    begins beside them.
    """
    front = observations.front
    is_front = np.zeros(mesh.facets.shape[1], bool)
    edges = mesh.boundary_facets()
    if front.x.size:
        points = np.column_stack([front.x, front.y])
        tree = cKDTree(points)
        apart = np.median(tree.query(points, k=[2])[0]) if front.x.size > 1 else 0.0
        reach = REACH * max(observations.domain.spacing, apart, _longest(mesh))
        distance, nearest = tree.query(edge_midpoints(mesh, edges).T)
        n_x, n_y = edge_normals(mesh, edges)
        facing = n_x * front.n_x[nearest] + n_y * front.n_y[nearest]
        is_front[edges] = (distance <= reach) & (facing > FACING)
    piece = pieces(mesh)
    kept = np.unique(piece[mesh.f2t[0, edges[~is_front[edges]]]])
    if not kept.size:
        raise ParameterError(
            "the shelf is calving front all around: nothing holds it, and its velocity is not "
            "determined"
        )
    x, y = edge_midpoints(mesh, np.flatnonzero(is_front))
    restricted = mesh.restrict(np.flatnonzero(np.isin(piece, kept)))
    if not x.size:
        return restricted, lambda x, y: np.zeros(np.shape(x), bool)
    return restricted, near_points(x, y, 1e-6 * observations.domain.spacing)


def _longest(mesh: MeshTri) -> float:
    """Length of the longest edge of a rim."""
    start, end = mesh.p[:, mesh.facets[:, mesh.boundary_facets()]].transpose(1, 0, 2)
    return float(np.hypot(*(end - start)).max())


def _surfaces(velocity: VelocityPoints, neighbours: int) -> tuple[FieldFunction, FieldFunction]:
    """Functions of position: the quadratic surface that fits the nearest observations best.

    Noise averages, and on a raster it also holds half a pixel beyond the outermost pixels, where
    the rim is, and where the velocity bends next to a wall.
    """
    tree = cKDTree(np.column_stack([velocity.x, velocity.y]))
    n = min(neighbours, velocity.x.size)

    def surface(values: np.ndarray) -> FieldFunction:
        def at(x: np.ndarray, y: np.ndarray) -> np.ndarray:
            x_at, y_at = np.ravel(x)[:, None], np.ravel(y)[:, None]
            distance, near = tree.query(np.hstack([x_at, y_at]), k=range(1, n + 1))
            unit = np.maximum(distance[:, -1:], np.finfo(float).tiny)
            d_x, d_y = (velocity.x[near] - x_at) / unit, (velocity.y[near] - y_at) / unit
            one = np.ones_like(d_x)
            design = np.stack([one, d_x, d_y, d_x**2, d_x * d_y, d_y**2], axis=-1)
            # Points in a line tell nothing across it: the smallest coefficients are taken.
            solved = np.linalg.pinv(design, rcond=SMALLEST) @ values[near][..., None]
            at_middle: np.ndarray = solved[:, 0, 0].reshape(np.shape(x))
            return at_middle

        return at

    return surface(velocity.u), surface(velocity.v)
