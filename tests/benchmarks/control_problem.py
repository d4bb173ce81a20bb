"""What the control method minimises on any shelf: misfit, penalty and their gradient.

The shallow-shelf equations on the mesh, the front and the boundary velocity of
`ds.diffice.forward_check`, linear in the viscosity at the vertices of the mesh. Hands on the
`ControlProblem` that `control_shelf.py` minimises.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import xarray as xr
from scipy.interpolate import LinearNDInterpolator, NearestNDInterpolator
from scipy.sparse import coo_matrix, csr_matrix, diags, vstack
from scipy.sparse.linalg import splu
from skfem import Basis, ElementTriP1, ElementTriP2
from skfem.models.poisson import laplace, mass

from xdiffice.forward.equations import (
    ForwardProblem,
    driving_form,
    stiffness_form,
    symmetric_solver,
)
from xdiffice.forward.fields import FieldFunction, as_function
from xdiffice.forward.flow import interpolation
from xdiffice.forward.location import PointLocator
from xdiffice.forward.observed import ObservedShelf
from xdiffice.forward.solve import make_law, posed
from xdiffice.observations.gather import gather
from xdiffice.observations.points import VelocityPoints
from xdiffice.results.comparison import relative_error
from xdiffice.results.template import resolve_template

UNIT = 1e14
"""Unit of viscosity, Pa s."""


class ControlProblem:
    """How well a viscosity explains the observed velocity, and in which direction to change it.

    Everything inside is nondimensional. μ is linear between the vertices of the mesh; log μ there,
    in units of `UNIT`, is what is sought. The thickness is that of the data, linearly interpolated
    to every quadrature point; the equations average it over elements.

    Parameters
    ----------
    shelf : xarray.Dataset
        With velocity, thickness and calving front, as for `SSAViscosityInverter.fit`.
    mesh_size : float, optional
        As in `ds.diffice.forward_check`.
    """

    def __init__(self, shelf: xr.Dataset, mesh_size: float | None = None):
        observations = gather(shelf)
        ice = observations.thickness
        observed = ObservedShelf.of(observations, mesh_size)
        self.mesh = observed.mesh
        self._thickness = interpolated(ice.x, ice.y, ice.h)
        law = make_law(UNIT, None, None, 1e-14)
        problem, _, self._held, fixed = posed(
            self.mesh, self._thickness, observed.velocity, observed.front, law, None
        )
        self._problem, basis = problem, problem.basis
        self._free = np.setdiff1d(np.arange(basis.N), fixed)
        self._load = driving_form.assemble(basis, h=problem.thickness)
        self._nodal = basis.with_element(ElementTriP1())
        self._stiffness = Stiffness(problem, self._nodal)

        self._grid = resolve_template(None, observations.labels)
        self._see(observations.velocity)

        # The unit of length is half of the longest side.
        area = float(self._nodal.dx.sum())
        self._rough = 4 / area * laplace.assemble(self._nodal)
        # A constant has no penalty; in the preconditioner it is as free as a change over the shelf.
        level = mass.assemble(self._nodal) / area
        self.preconditioner = SquareRoot(self._rough + level)

    def _see(self, seen: VelocityPoints) -> None:
        """Keep the observed velocity in the mesh, and the matrix that gives the modelled one."""
        cells, local = self._located(seen.x, seen.y)
        inside = cells >= 0
        basis = self._problem.basis
        rows = [
            interpolation(
                ElementTriP2(), basis.element_dofs[i::2], basis.N, cells[inside], local[:, inside]
            )
            for i in range(2)
        ]
        self._at_pixels = vstack(rows).tocsr()
        self.n_compared = int(inside.sum())
        observed = np.concatenate([seen.u[inside], seen.v[inside]])
        self.observed = observed / self._problem.speed
        self._speed_squared = float(np.sum(self.observed**2)) / self.n_compared

    def velocity(self, log_viscosity: np.ndarray) -> np.ndarray:
        """Velocity at the observed pixels in units of `observed`, all u before all v."""
        flow, _ = self._solve(np.exp(log_viscosity))
        return self._at_pixels @ flow

    def relative_difference(self, log_viscosity: np.ndarray) -> float:
        """What the forward check calls by this name: u and v together, at the same pixels."""
        modelled, observed = (
            xr.DataArray(values, dims="value")
            for values in (self.velocity(log_viscosity), self.observed)
        )
        return relative_error(modelled, observed)

    def roughness(self, log_viscosity: np.ndarray) -> float:
        """Root mean square of L |∇ log μ|, L the shelf's longest side."""
        return float(np.sqrt(log_viscosity @ (self._rough @ log_viscosity)))

    def first_guess(self) -> np.ndarray:
        """log μ of the constant viscosity that explains the velocity best."""
        one = np.ones(self._nodal.N)
        _, solve = self._solve(one)
        pushed = np.zeros_like(self._load)
        pushed[self._free] = solve(self._load[self._free])
        # The velocity is that of the rim alone, and in inverse proportion to μ what gravity adds.
        added = self._at_pixels @ pushed
        missing = self.observed - (self.velocity(0 * one) - added)
        fluidity = max(float(added @ missing) / float(added @ added), 1e-3)
        return -np.log(fluidity) * one

    def objective(self, log_viscosity: np.ndarray, weight: float) -> tuple[float, np.ndarray]:
        """Misfit plus penalty, ½ mean|u - u_obs|² / (U² weight) + ½ mean|L ∇ log μ|².

        Parameters
        ----------
        log_viscosity : ndarray
            At the vertices.
        weight : float
            Of the penalty. It divides the misfit, as in `control.py`.

        Returns
        -------
        tuple of (float, ndarray)
            The sum, and its exact gradient by log μ.
        """
        viscosity = np.exp(log_viscosity)
        flow, solve = self._solve(viscosity)
        residual = self._at_pixels @ flow - self.observed
        share = 1 / (weight * self.n_compared * self._speed_squared)
        slope = self._rough @ log_viscosity
        value = 0.5 * share * np.sum(residual**2) + 0.5 * log_viscosity @ slope
        # The matrix is symmetric: the adjoint equation has the factors of the state equation.
        adjoint = np.zeros_like(flow)
        adjoint[self._free] = solve(share * (self._at_pixels.T @ residual)[self._free])
        return float(value), slope - viscosity * self._stiffness.power(adjoint, flow)

    def result(self, log_viscosity: np.ndarray) -> xr.Dataset:
        """Viscosity (Pa s) and thickness (m) on the grid of the velocity, for a forward check."""
        x, y = self._grid.x, self._grid.y
        cells, local = self._located(x, y)
        inside = cells >= 0
        matrix = interpolation(
            ElementTriP1(), self._nodal.element_dofs, self._nodal.N, cells, local
        )
        viscosity, thickness = np.full((2, x.size), np.nan)
        viscosity[inside] = UNIT * (matrix @ np.exp(log_viscosity))[inside]
        thickness[inside] = self._thickness(x[inside], y[inside])
        shape, dims = self._grid.shape, self._grid.dims
        return self._grid.coords.assign(
            viscosity=(dims, viscosity.reshape(shape), {"units": "Pa s"}),
            thickness=(dims, thickness.reshape(shape), {"units": "m"}),
        )

    def at_vertices(self, viscosity: xr.DataArray) -> np.ndarray:
        """Take log μ at the vertices of a viscosity on a raster, Pa s."""
        return np.log(as_function(viscosity, "viscosity", positive=True)(*self.mesh.p) / UNIT)

    def _solve(
        self, viscosity: np.ndarray
    ) -> tuple[np.ndarray, Callable[[np.ndarray], np.ndarray]]:
        """Velocity at all degrees of freedom, and how to solve for others with the same matrix."""
        matrix = self._stiffness.matrix(viscosity)
        solve = symmetric_solver(matrix[self._free][:, self._free])
        flow = self._held.copy()
        flow[self._free] = solve((self._load - matrix @ self._held)[self._free])
        return flow, solve

    def _located(self, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        points = (np.stack([x, y]) - self._problem.center[:, None]) / self._problem.length
        return PointLocator(self._problem.basis.mesh).locate(points)


def interpolated(x: np.ndarray, y: np.ndarray, values: np.ndarray) -> FieldFunction:
    """Make a function of position: linear between points, and outside of their hull the nearest."""
    points = np.column_stack([x, y])
    linear, nearest = LinearNDInterpolator(points, values), NearestNDInterpolator(points, values)

    def at(x_at: np.ndarray, y_at: np.ndarray) -> np.ndarray:
        between = linear(x_at, y_at)
        return np.where(np.isfinite(between), between, nearest(x_at, y_at))

    return at


class Stiffness:
    """The matrix of the momentum balance as a linear function of μ at the vertices.

    Parameters
    ----------
    problem : ForwardProblem
        The equations.
    nodal : skfem.Basis
        Linear elements on its mesh, with its quadrature points.
    """

    def __init__(self, problem: ForwardProblem, nodal: Basis):
        entries, nodes = [], []
        for (shape,), node in zip(nodal.basis, nodal.element_dofs, strict=True):
            mu = np.broadcast_to(np.asarray(shape), problem.thickness.shape)
            local = stiffness_form.coo_data(problem.basis, h=problem.thickness, mu_h=mu, mu_v=mu)
            entries.append(local.data)
            nodes.append(np.tile(node, local.data.size // node.size))
        n = problem.basis.N
        place, number = np.unique(
            n * local.indices[0].astype(np.int64) + local.indices[1], return_inverse=True
        )
        self._row, self._column = place // n, place % n
        self._start = np.searchsorted(self._row, np.arange(n + 1))
        self._by_node = coo_matrix(
            (np.concatenate(entries), (np.tile(number, len(nodes)), np.concatenate(nodes))),
            shape=(place.size, nodal.N),
        ).tocsr()

    def matrix(self, viscosity: np.ndarray) -> csr_matrix:
        """Assemble the matrix of a viscosity."""
        n = self._start.size - 1
        return csr_matrix((self._by_node @ viscosity, self._column, self._start), shape=(n, n))

    def power(self, one: np.ndarray, other: np.ndarray) -> np.ndarray:
        """Derivative by μ at every vertex of the form that the matrix makes of two velocities."""
        return self._by_node.T @ (one[self._row] * other[self._column])


class SquareRoot:
    """Controls of which a quadratic form is the sum of squares: to L-BFGS a preconditioner.

    Smooth changes come first, and the number of iterations does not depend on the mesh.

    Parameters
    ----------
    matrix : sparse matrix
        Of the quadratic form, symmetric and positive definite.
    """

    def __init__(self, matrix: csr_matrix):
        symmetric = {"diag_pivot_thresh": 0.0, "options": {"SymmetricMode": True}}
        factors = splu(matrix.tocsc(), permc_spec="MMD_AT_PLUS_A", **symmetric)
        self._order = factors.perm_c
        self._root = (factors.L @ diags(np.sqrt(factors.U.diagonal()))).tocsc()
        self._solver = splu(self._root, permc_spec="NATURAL", **symmetric)

    def controls(self, field: np.ndarray) -> np.ndarray:
        """Controls of a field at the vertices."""
        sorted_field = np.empty_like(field)
        sorted_field[self._order] = field
        return self._root.T @ sorted_field

    def field(self, controls: np.ndarray) -> np.ndarray:
        """Field at the vertices."""
        return self._solver.solve(controls, trans="T")[self._order]

    def gradient(self, by_field: np.ndarray) -> np.ndarray:
        """Gradient by the controls, of one by the field."""
        sorted_field = np.empty_like(by_field)
        sorted_field[self._order] = by_field
        return self._solver.solve(sorted_field)
