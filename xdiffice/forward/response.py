"""The velocity that viscosities and thickness cause, and how it changes with them.

The shallow-shelf equations on quadratic triangles, linear in the velocity because the viscosities
are given at the quadrature points. One factorisation serves velocity, tangent and adjoint.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from scipy.sparse import bmat, csr_matrix, diags, vstack
from skfem import Basis, ElementTriP2, MeshTri

from xdiffice.forward.equations import symmetric_solver
from xdiffice.forward.flow import interpolation
from xdiffice.forward.location import PointLocator
from xdiffice.forward.observed import ObservedShelf
from xdiffice.forward.solve import front_edges_of
from xdiffice.physics.jets import Jet
from xdiffice.physics.scales import Scales
from xdiffice.physics.ssa import resistive_stress

QUADRATURE_ORDER = 4  # slopes of quadratic elements squared, times fields as smooth as h μ squared


class Ice(NamedTuple):
    """Viscosities and thickness at the quadrature points, in the units of `Scales`."""

    mu_h: np.ndarray
    mu_v: np.ndarray
    h: np.ndarray


@dataclass(frozen=True)
class Response:
    """A velocity in balance, and the factors of the matrix that it was solved with.

    Parameters
    ----------
    velocity : ndarray, shape (2 n_nodes,)
        u at all nodes, then v.
    solve : callable
        From forces at the free nodes to the velocity that they cause there.
    """

    velocity: np.ndarray
    solve: Callable[[np.ndarray], np.ndarray]


class ShelfResponse:
    """How an observed shelf answers to its viscosities and its thickness.

    Everything is in the units of `Scales`.

    Parameters
    ----------
    shelf : ObservedShelf
        Mesh, calving front, and the velocity that holds the rest of the rim.
    scales : Scales
        Units.

    Attributes
    ----------
    x, y : ndarray, shape (n_points,)
        Quadrature points.
    weight : ndarray, shape (n_points,)
        What they count in an integral.
    n_nodes : int
        Nodes of quadratic triangles.
    """

    def __init__(self, shelf: ObservedShelf, scales: Scales):
        center = np.array([[scales.x.mean], [scales.y.mean]])
        mesh = MeshTri((shelf.mesh.p - center) / scales.length, shelf.mesh.t)
        self._basis = Basis(mesh, ElementTriP2(), intorder=QUADRATURE_ORDER)
        self.n_nodes = int(self._basis.N)
        self.x, self.y = (axis.ravel() for axis in np.asarray(self._basis.global_coordinates()))
        self.weight = self._basis.dx.ravel()
        self._held = np.zeros(2 * self.n_nodes)
        rim = np.setdiff1d(shelf.mesh.boundary_facets(), front_edges_of(shelf.mesh, shelf.front))
        nodes = self._basis.get_dofs(rim).all()
        at = center + scales.length * self._basis.doflocs[:, nodes]
        for start, component in zip((0, self.n_nodes), shelf.velocity, strict=True):
            self._held[start + nodes] = component(*at) / scales.speed
        self.free = np.setdiff1d(
            np.arange(2 * self.n_nodes), np.concatenate([nodes, self.n_nodes + nodes])
        )

    @property
    def leg(self) -> float:
        """Length of the legs of a triangle, on the average."""
        return float(np.sqrt(2 * self.weight.sum() / self._basis.mesh.nelements))

    @cached_property
    def _value(self) -> csr_matrix:
        """From a scalar field at the nodes to the quadrature points."""
        return self._operator(lambda phi: np.asarray(phi))

    @cached_property
    def _slopes(self) -> tuple[csr_matrix, csr_matrix]:
        """∂x and ∂y at the quadrature points of a scalar field at the nodes."""
        return tuple(self._operator(lambda phi, k=k: np.asarray(phi.grad)[k]) for k in (0, 1))

    def _operator(self, part: Callable[..., np.ndarray]) -> csr_matrix:
        shape = self._basis.dx.shape
        values = np.stack([np.broadcast_to(part(phi), shape) for (phi,) in self._basis.basis], -1)
        numbers = np.broadcast_to(self._basis.element_dofs.T[:, None], values.shape)
        starts = values.shape[-1] * np.arange(self.x.size + 1)
        return csr_matrix(
            (values.ravel(), numbers.ravel(), starts), shape=(self.x.size, self.n_nodes)
        )

    def at_points(self, velocity: np.ndarray) -> tuple[Jet, Jet]:
        """Return u and v with first derivatives at the quadrature points."""
        parts = velocity[: self.n_nodes], velocity[self.n_nodes :]
        d_x, d_y = self._slopes
        u, v = (Jet(self._value @ part, d_x @ part, d_y @ part) for part in parts)
        return u, v

    def observing(self, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, csr_matrix]:
        """Tell which positions lie in the mesh, and make the matrix to a scalar field there."""
        cells, local = PointLocator(self._basis.mesh).locate(np.stack([x, y]))
        inside = cells >= 0
        return inside, interpolation(
            ElementTriP2(),
            self._basis.element_dofs,
            self.n_nodes,
            cells[inside],
            local[:, inside],
        )

    def solved(self, ice: Ice) -> Response:
        """Solve the balance ∫ h T(u) : ∇φ = ∫ ½ h² div φ."""
        d_x, d_y = self._slopes
        matrix = self._stiffness(ice)
        push = self.weight * 0.5 * ice.h**2
        load = np.concatenate([d_x.T @ push, d_y.T @ push]) - matrix @ self._held
        solve = symmetric_solver(matrix[self.free][:, self.free], refined=False)
        velocity = self._held.copy()
        velocity[self.free] = solve(load[self.free])
        return Response(velocity, solve)

    def _stiffness(self, ice: Ice) -> csr_matrix:
        d_x, d_y = self._slopes
        strength = self.weight * ice.h

        def form(one: csr_matrix, share: np.ndarray, other: csr_matrix) -> csr_matrix:
            return one.T @ (diags(strength * share) @ other)

        along, across = 2 * (ice.mu_h + ice.mu_v), ice.mu_h
        mixed = form(d_x, 2 * ice.mu_v, d_y) + form(d_y, across, d_x)
        u_u = form(d_x, along, d_x) + form(d_y, across, d_y)
        v_v = form(d_y, along, d_y) + form(d_x, across, d_x)
        return bmat([[u_u, mixed], [mixed.T, v_v]]).tocsr()

    def forces(
        self, stresses: tuple[np.ndarray, np.ndarray, np.ndarray], fields: csr_matrix
    ) -> csr_matrix:
        """Make the forces at the free nodes, field by field.

        Parameters
        ----------
        stresses : tuple of ndarray, shapes (n_points,)
            h T_xx, h T_xy and h T_yy, that a unit of a field adds.
        fields : sparse matrix, shape (n_points, n)
            Fields.

        Returns
        -------
        csr_matrix, shape (n_free, n)
        """
        d_x, d_y = self._slopes
        xx, xy, yy = (diags(self.weight * part) @ fields for part in stresses)
        return vstack([d_x.T @ xx + d_y.T @ xy, d_x.T @ xy + d_y.T @ yy]).tocsr()[self.free]

    def stresses(
        self, velocity: np.ndarray, mu_h: np.ndarray, mu_v: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """T_xx, T_xy and T_yy of viscosities, or of changes of them."""
        return resistive_stress(*self.at_points(velocity), mu_h, mu_v)
