"""Square bilinear elements that cover the cells of a lattice, and the integrals that balances need.

Hands on vectors and sparse matrices over the nodes: those corners of cells that the shelf has.
"""

from __future__ import annotations

from functools import cached_property

import numpy as np
from scipy.ndimage import distance_transform_edt
from scipy.sparse import csr_matrix
from scipy.spatial import cKDTree
from skfem import Basis, BilinearForm, ElementQuad1, LinearForm, MeshQuad
from skfem.helpers import dot, grad

NEAR_FRONT = 1.5  # cells, from a node to the front that it stands for
CORNERS = 2  # nodes next to where walls begin, that are held as well: the stress is singular there


class Elements:
    """Square bilinear elements that cover a shelf.

    Parameters
    ----------
    x, y : ndarray, shapes (n_x,) and (n_y,)
        Corners of the cells, ascending.
    cells : ndarray of bool, shape (n_y - 1, n_x - 1)
        Cells that belong to the shelf.
    front : tuple of ndarray, shapes (m,)
        x and y of points of the calving front. Nodes at the rim which are next to one of them are
        free: there the sea pushes. All others at the rim are held by what lies behind.
    """

    def __init__(
        self, x: np.ndarray, y: np.ndarray, cells: np.ndarray, front: tuple[np.ndarray, np.ndarray]
    ):
        row, column = np.nonzero(cells)
        corner = row * x.size + column
        corners = np.stack([corner, corner + 1, corner + x.size + 1, corner + x.size])
        used, numbered = np.unique(corners, return_inverse=True)
        self.shape, self.side = (y.size, x.size), float(x[1] - x[0])
        self.used = used
        places = np.stack([x[used % x.size], y[used // x.size]])
        mesh = MeshQuad(places, numbered.reshape(corners.shape))
        self._basis = Basis(mesh, ElementQuad1(), intorder=2)
        held = np.zeros(used.size, bool)
        held[mesh.boundary_nodes()] = True
        if front[0].size:
            distance, _ = cKDTree(np.column_stack(front)).query(places.T)
            held &= distance > NEAR_FRONT * self.side
            edges = mesh.facets[:, mesh.boundary_facets()]
            for _ in range(CORNERS):
                held[edges[:, held[edges].any(axis=0)]] = True
        self._held = np.flatnonzero(held)

    @property
    def n_nodes(self) -> int:
        """Number of nodes."""
        return int(self._basis.N)

    @cached_property
    def nodes(self) -> tuple[np.ndarray, np.ndarray]:
        """X and y of the nodes, shapes (n_nodes,)."""
        x, y = self._basis.mesh.p
        return x, y

    @cached_property
    def points(self) -> tuple[np.ndarray, np.ndarray]:
        """X and y of the quadrature points, shapes (n_elements, n_points)."""
        x, y = np.asarray(self._basis.global_coordinates())
        return x, y

    @property
    def area(self) -> np.ndarray:
        """What each quadrature point stands for, shape (n_elements, n_points)."""
        return np.asarray(self._basis.dx)

    @cached_property
    def free(self) -> np.ndarray:
        """Nodes at which forces are to be in balance."""
        return np.setdiff1d(np.arange(self.n_nodes), self._held)

    def at_points(self, nodal: np.ndarray) -> np.ndarray:
        """Values at the quadrature points of a field that is given at the nodes."""
        # Basis.interpolate makes values and derivatives together, and takes five times as long.
        local = nodal[self._basis.element_dofs][..., None]
        values: np.ndarray = sum(
            v * np.asarray(phi) for v, (phi,) in zip(local, self._basis.basis, strict=True)
        )
        return values

    def gradient(self, nodal: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return ∂x and ∂y, at the quadrature points, of a field that is given at the nodes."""
        local = nodal[self._basis.element_dofs][..., None]
        slopes = [np.asarray(phi.grad) for (phi,) in self._basis.basis]
        return (
            sum(v * slope[0] for v, slope in zip(local, slopes, strict=True)),
            sum(v * slope[1] for v, slope in zip(local, slopes, strict=True)),
        )

    def filled(self, nodal: np.ndarray) -> np.ndarray:
        """Return a field on all corners of the lattice; off the shelf, that of the nearest node."""
        known = np.zeros(self.shape, bool)
        known.ravel()[self.used] = True
        values = np.zeros(self.shape)
        values.ravel()[self.used] = nodal
        nearest = distance_transform_edt(~known, return_distances=False, return_indices=True)
        filled: np.ndarray = values[tuple(nearest)]
        return filled

    def vector(self, f_x: np.ndarray, f_y: np.ndarray) -> np.ndarray:
        """∫ f · ∇φ for the shape function φ of every node."""
        return np.asarray(_work.assemble(self._basis, f=np.stack([f_x, f_y])))

    def stiffness(self, weight: np.ndarray) -> csr_matrix:
        """∫ w ∇φ · ∇ψ for all pairs of nodes."""
        return _stiffness.assemble(self._basis, weight=weight)

    def divergence(self, f_x: np.ndarray, f_y: np.ndarray) -> csr_matrix:
        """∫ ψ f · ∇φ for all pairs of nodes, φ by rows and ψ by columns."""
        return _divergence.assemble(self._basis, f=np.stack([f_x, f_y]))


# The first function of a form has the columns of its matrix, the second the rows.


@LinearForm
def _work(phi, w):  # type: ignore[no-untyped-def]
    return dot(w["f"], grad(phi))


@BilinearForm
def _stiffness(psi, phi, w):  # type: ignore[no-untyped-def]
    return w["weight"] * dot(grad(psi), grad(phi))


@BilinearForm
def _divergence(psi, phi, w):  # type: ignore[no-untyped-def]
    return psi * dot(w["f"], grad(phi))
