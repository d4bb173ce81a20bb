"""A solved shelf: what its velocity, strain rate and viscosity are at any point.

Hands on arrays in SI units, NaN outside of the shelf, and the calving front's points.
"""

from __future__ import annotations

from functools import cached_property

import numpy as np
from scipy.sparse import coo_matrix, csr_matrix
from scipy.sparse.linalg import splu
from skfem import Basis, BilinearForm, Element, ElementTriP2, LinearForm, MeshTri
from skfem.helpers import sym_grad

from xdiffice.forward.fronts import front_points
from xdiffice.forward.laws import Law, StrainRate
from xdiffice.forward.location import PointLocator
from xdiffice.observations.points import FrontPoints


class ShelfFlow:
    """The flow of a shelf, made by `solve_shelf`.

    Parameters
    ----------
    basis : skfem.Basis
        Quadratic vector elements on the scaled mesh.
    solution : ndarray
        Velocity at the basis' degrees of freedom, m s-1.
    mesh : skfem.MeshTri
        The mesh, m.
    center, length : ndarray and float
        Position (m) of the scaled mesh's origin, and its unit of length (m).
    front_edges : ndarray of int
        Edges of the mesh that are calving front.
    law : GivenViscosity or GlenLaw
        The ice's stiffness.
    n_steps : int
        Linear systems that were solved.
    """

    def __init__(
        self,
        basis: Basis,
        solution: np.ndarray,
        mesh: MeshTri,
        center: np.ndarray,
        length: float,
        front_edges: np.ndarray,
        law: Law,
        n_steps: int,
    ):
        self.basis = basis
        self.solution = solution
        self.mesh = mesh
        self.center = center
        self.length = length
        self.front_edges = front_edges
        self.law = law
        self.n_steps = n_steps

    def contains(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Tell for each position whether it lies in the mesh.

        Parameters
        ----------
        x, y : ndarray
            Positions, m, of equal shapes.

        Returns
        -------
        ndarray of bool
            Of the same shape.
        """
        cells, _ = self._locate(x, y)
        return (cells >= 0).reshape(np.shape(x))

    def velocity(self, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Velocity at positions, NaN outside of the mesh.

        The finite-element solution itself, evaluated with its quadratic basis.

        Parameters
        ----------
        x, y : ndarray
            Positions, m, of equal shapes.

        Returns
        -------
        tuple of ndarray
            u and v, m s-1, of the same shape.
        """
        cells, local = self._locate(x, y)
        components = (self.basis.element_dofs[i::2] for i in range(2))
        u, v = (_evaluate(self.solution, dofs, cells, local) for dofs in components)
        return u.reshape(np.shape(x)), v.reshape(np.shape(x))

    def strain_rate(self, x: np.ndarray, y: np.ndarray) -> StrainRate:
        """Strain rate at positions, NaN outside of the mesh.

        The derivative of quadratic elements jumps from one to the next; this is its L2 projection
        on continuous quadratic elements.

        Parameters
        ----------
        x, y : ndarray
            Positions, m, of equal shapes.

        Returns
        -------
        StrainRate
            Components, s-1, of the same shape.
        """
        cells, local = self._locate(x, y)
        basis, components = self._continuous_strain_rate
        values = (_evaluate(values, basis.element_dofs, cells, local) for values in components)
        return StrainRate(*(value.reshape(np.shape(x)) for value in values))

    def viscosity(self, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Viscosity at positions, NaN outside of the mesh.

        Exactly the fields that were given; under Glen's law, the viscosity at `strain_rate`.

        Parameters
        ----------
        x, y : ndarray
            Positions, m, of equal shapes.

        Returns
        -------
        tuple of ndarray
            μ_h and μ_v, Pa s, of the same shape.
        """
        inside = self.contains(x, y)
        points = np.asarray(x)[inside], np.asarray(y)[inside]
        if self.law.linear:
            strain = StrainRate(*(np.zeros_like(points[0]) for _ in range(3)))
        else:
            strain = self.strain_rate(*points)
        given = self.law.viscosities(*points, strain)
        horizontal, vertical = np.full((2, *np.shape(x)), np.nan)
        horizontal[inside], vertical[inside] = given.horizontal, given.vertical
        return horizontal, vertical

    def front(self, spacing: float = np.inf) -> FrontPoints:
        """Make points of the calving front, with outward normals.

        Parameters
        ----------
        spacing : float
            How far apart they are at most, m.

        Returns
        -------
        FrontPoints
            Positions, m, and unit normals.
        """
        return front_points(self.mesh, self.front_edges, spacing)

    @cached_property
    def _locator(self) -> PointLocator:
        return PointLocator(self.basis.mesh)

    def _locate(self, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        points = np.stack([np.ravel(x), np.ravel(y)]).astype(float)
        return self._locator.locate((points - self.center[:, None]) / self.length)

    @cached_property
    def _continuous_strain_rate(self) -> tuple[Basis, list[np.ndarray]]:
        basis = self.basis.with_element(ElementTriP2())
        strain = sym_grad(self.basis.interpolate(self.solution)) / self.length
        factors = splu(_mass.assemble(basis).tocsc(), permc_spec="MMD_AT_PLUS_A")
        rows_columns = ((0, 0), (1, 1), (0, 1))
        loads = (_moment.assemble(basis, value=strain[index]) for index in rows_columns)
        return basis, [factors.solve(load) for load in loads]


@BilinearForm
def _mass(u, v, w):  # type: ignore[no-untyped-def]
    return u * v


@LinearForm
def _moment(v, w):  # type: ignore[no-untyped-def]
    return w["value"] * v


def _evaluate(
    coefficients: np.ndarray, element_dofs: np.ndarray, cells: np.ndarray, local: np.ndarray
) -> np.ndarray:
    """Evaluate a scalar field of quadratic triangles at located points, NaN where there is none."""
    matrix = interpolation(ElementTriP2(), element_dofs, coefficients.size, cells, local)
    return np.where(cells >= 0, matrix @ coefficients, np.nan)


def interpolation(
    element: Element, element_dofs: np.ndarray, n_dofs: int, cells: np.ndarray, local: np.ndarray
) -> csr_matrix:
    """Make the matrix from the degrees of freedom of a scalar field to its values at points.

    Parameters
    ----------
    element : skfem.Element
        Scalar element.
    element_dofs : ndarray of int
        Numbers of its degrees of freedom, a column for each triangle.
    n_dofs : int
        Columns of the matrix.
    cells, local : ndarray
        Points as `PointLocator.locate` finds them; outside of the mesh the row is empty.
    """
    inside = np.flatnonzero(cells >= 0)
    position, dofs = local[:, inside], element_dofs[:, cells[inside]]
    values = np.stack([element.lbasis(position, i)[0] for i in range(len(dofs))])
    rows = np.broadcast_to(inside, dofs.shape)
    shape = (cells.size, n_dofs)
    return coo_matrix((values.ravel(), (rows.ravel(), dofs.ravel())), shape=shape).tocsr()
