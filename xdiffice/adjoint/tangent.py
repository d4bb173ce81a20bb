"""How the velocity changes with the coefficients of splines, around one state; and its adjoint."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.sparse import csr_matrix, diags, hstack

from xdiffice.adjoint.mesh import Mesh
from xdiffice.forward.response import Ice, Response


class Tangent:
    """The velocity as a linear function of changes of the coefficients.

    Parameters
    ----------
    mesh : Mesh
        Equations and data.
    value : csr_matrix
        From coefficients to the quadrature points.
    ice : Ice
        Viscosities and thickness.
    slopes : sequence of pairs of ndarray
        Of μ_h and μ_v by the logarithm of every field.
    response : Response
        The velocity that the ice has.
    weights : ndarray, shape (2, n_inside)
        What squares of misfits count.
    """

    def __init__(
        self,
        mesh: Mesh,
        value: csr_matrix,
        ice: Ice,
        slopes: Sequence[tuple[np.ndarray, np.ndarray]],
        response: Response,
        weights: np.ndarray,
    ):
        equations, velocity = mesh.response, response.velocity
        blocks = []
        for d_mu_h, d_mu_v in slopes:
            xx, xy, yy = equations.stresses(velocity, d_mu_h, d_mu_v)
            blocks.append(equations.forces((ice.h * xx, ice.h * xy, ice.h * yy), value))
        xx, xy, yy = equations.stresses(velocity, ice.mu_h, ice.mu_v)
        push = ice.h**2  # of ½ h², by log h
        thicker = (ice.h * xx - push, ice.h * xy, ice.h * yy - push)
        blocks.append(equations.forces(thicker, value))
        self._forces = hstack(blocks).tocsr()
        self._back = self._forces.T.tocsr()
        self._n_nodes, self._free, self._solve = equations.n_nodes, equations.free, response.solve
        self._counts = [mesh.at_data.T @ (diags(one) @ mesh.at_data) for one in weights]

    def velocity(self, change: np.ndarray) -> np.ndarray:
        """Change of the velocity at all nodes."""
        moved = np.zeros(2 * self._n_nodes)
        moved[self._free] = -self._solve(self._forces @ change)
        return moved

    def adjoint(self, by_velocity: np.ndarray) -> np.ndarray:
        """Gradient by the coefficients, of one by the velocity at all nodes."""
        gradient: np.ndarray = self._back @ -self._solve(by_velocity[self._free])
        return gradient

    def curvature(self, change: np.ndarray) -> np.ndarray:
        """Gauss-Newton matrix of the misfit times a change."""
        parts = self.velocity(change).reshape(2, -1)
        pairs = zip(self._counts, parts, strict=True)
        return self.adjoint(np.concatenate([count @ part for count, part in pairs]))
