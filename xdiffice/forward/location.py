"""In which triangle of a mesh a point lies, and where in it.

Hands on the number of the triangle and the local coordinates that its shape functions take.
"""

from __future__ import annotations

import numpy as np
from scipy.spatial import cKDTree
from skfem import MeshTri

TOLERANCE = 1e-9
"""Points this much outside of a triangle, in local coordinates, still belong to it."""


class PointLocator:
    """Finds the triangle around each of many points; outside of the mesh there is none.

    Parameters
    ----------
    mesh : skfem.MeshTri
        Any triangulation with straight edges.
    """

    def __init__(self, mesh: MeshTri):
        corner = mesh.p[:, mesh.t]
        self._origin = corner[:, 0]
        edges = corner[:, 1:] - corner[:, :1]  # component, edge, triangle
        self._inverse = np.linalg.inv(np.moveaxis(edges, -1, 0))
        centroid = corner.mean(axis=1)
        self._reach = float(np.sqrt(((corner - centroid[:, None]) ** 2).sum(axis=0)).max())
        self._tree = cKDTree(centroid.T)

    def locate(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Find the triangles of points.

        Parameters
        ----------
        points : ndarray, shape (2, n)
            Positions in the mesh's unit.

        Returns
        -------
        cells : ndarray of int, shape (n,)
            Number of the triangle, -1 outside of the mesh.
        local : ndarray, shape (2, n)
            Local coordinates in it, NaN outside of the mesh.
        """
        cells = np.full(points.shape[1], -1)
        local = np.full(points.shape, np.nan)
        pending = np.flatnonzero(np.isfinite(points).all(axis=0))
        n_candidates = 4
        while pending.size:
            n_candidates = min(n_candidates, self._tree.n)
            # The triangle around a point has its centroid within reach; where the last candidate
            # is farther away, all triangles that could hold the point have been tried.
            distance, candidates = self._tree.query(points[:, pending].T, k=n_candidates)
            distance = distance.reshape(pending.size, n_candidates)
            candidates = candidates.reshape(pending.size, n_candidates)
            offset = points[:, pending, None] - self._origin[:, candidates]
            position = np.einsum("pkij,jpk->ipk", self._inverse[candidates], offset)
            inside = (position >= -TOLERANCE).all(axis=0) & (position.sum(axis=0) <= 1 + TOLERANCE)
            first, found = inside.argmax(axis=1), inside.any(axis=1)
            row = np.flatnonzero(found)
            cells[pending[row]] = candidates[row, first[row]]
            local[:, pending[row]] = position[:, row, first[row]]
            exhausted = (distance[:, -1] > self._reach) | (n_candidates == self._tree.n)
            pending = pending[~found & ~exhausted]
            n_candidates *= 4
        return cells, local
