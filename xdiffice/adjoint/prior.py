"""What is likely of fields before a velocity was seen: smooth hardness, thickness near the known.

Quadratic forms over the coefficients of splines: those of every field of the rheology, then those
of the logarithm of thickness.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property

import numpy as np
from scipy.sparse import block_diag, bmat, csr_matrix, diags, eye

from xdiffice.forward.equations import symmetric_solver
from xdiffice.model.splines import SplineLattice
from xdiffice.physics.jets import Jet
from xdiffice.physics.rheology import Rheology
from xdiffice.physics.ssa import effective_strain_rate_squared

SPREAD = 0.1  # of the logarithm of a field over a distance and e times as far
EXPONENT = 3.0  # of Glen's law, by which a viscosity is expected to follow the strain rate
SLOWEST = 1e-3  # strain rate at which it no longer does, in the shelf's unit
RIDGE = 1e-4  # of the mean diagonal: splines at the rim that hardly any point sees
LEVEL = 0.1  # of the mean diagonal: as free as a constant is for the solver
SMOOTHED = 1e-4  # weight of slopes per cell, where a field is made a spline


class Prior:
    """Precision of the coefficients, and where they are drawn to.

    ½ ∫ |∇ log B|² / (2 π s²) for every field: differences by a factor 1 ± s are likely between
    places e times as far from each other, on all scales. B is the field itself or, where that is a
    viscosity, the hardness of Glen's law that goes with it: μ ~ B ε_e^(1/n - 1). Stiff ice that is
    slow, and soft ice in shear margins, are no surprise then.

    Parameters
    ----------
    lattice : SplineLattice
        Of the corrections.
    used : ndarray of int, shape (n,)
        Splines that the shelf has.
    points : tuple of ndarray, shapes (n_points,)
        x, y and weights of the quadrature points.
    rheology : Rheology
        What fields there are.
    logs : sequence of Jet
        Their logarithms before corrections, with first derivatives.
    thickness_error, reach : float
        What the thickness is wrong by, over its mean, and over what distance.

    Attributes
    ----------
    value : csr_matrix, shape (n_points, n)
        From coefficients to the quadrature points.
    precision : csc_matrix, shape ((n_fields + 1) n, (n_fields + 1) n)
        Of all coefficients.
    """

    def __init__(
        self,
        lattice: SplineLattice,
        used: np.ndarray,
        points: tuple[np.ndarray, np.ndarray, np.ndarray],
        rheology: Rheology,
        logs: Sequence[Jet],
        thickness_error: float,
        reach: float,
    ):
        x, y, self._weight = points
        n, n_fields = used.size, len(logs)
        self.value, d_x, d_y = (
            lattice.matrix(x, y, order)[:, used] for order in ((0, 0), (1, 0), (0, 1))
        )
        self._share = 1 / (2 * np.pi * SPREAD**2)
        root = diags(np.sqrt(self._share * self._weight))
        self._roots = [root @ d_x, root @ d_y]
        rough = sum(part.T @ part for part in self._roots)
        mass = self.value.T @ (diags(self._weight) @ self.value)
        self._own = rough + RIDGE * rough.diagonal().mean() * eye(n)
        # The flow may say nothing about departures of several fields from each other.
        apart = np.eye(n_fields) - 1 / n_fields
        between = self._share / reach**2 * mass
        self._apart_root = diags(np.sqrt(self._share / reach**2 * self._weight)) @ self.value
        fields = bmat(
            [
                [self._own * (i == j) + apart[i, j] * between for j in range(n_fields)]
                for i in range(n_fields)
            ]
        )
        self._thick = (mass / reach**2 + self._own / self._share) / (4 * np.pi)
        self._thick_parts = self.value / reach, d_x, d_y
        thick = self._thick / thickness_error**2
        self.precision = block_diag([fields, thick]).tocsc()
        self._pull = [
            self._share * (d_x.T @ (self._weight * log.x) + d_y.T @ (self._weight * log.y))
            for log in logs
        ]
        level = LEVEL * rough.diagonal().mean() / mass.diagonal().mean() * mass
        levels = block_diag([*[level] * n_fields, csr_matrix((n, n))])
        self.conditioned = symmetric_solver(csr_matrix(self.precision + levels), refined=False)
        smooth = mass + SMOOTHED * lattice.spacing**2 / self._share * rough
        self._fit = symmetric_solver(csr_matrix(smooth + RIDGE * mass.diagonal().mean() * eye(n)))
        self._softens = np.array(
            [
                name in rheology.viscosity_names and not rheology.needs_strain_rate
                for name in rheology.fields
            ]
        )

    def slope(self, u: Jet, v: Jet) -> np.ndarray:
        """Gradient at no corrections, where ice moves with a velocity."""
        pull = np.stack([*self._pull, np.zeros(self.value.shape[1])])
        if self._softens.any():
            square = effective_strain_rate_squared(u.x, u.y, v.x, v.y) + SLOWEST**2
            softer = 0.5 * (1 / EXPONENT - 1) * np.log(square)
            expected = self._own @ self.spline(softer - softer.mean())
            pull[:-1] -= np.outer(self._softens, expected)
        return pull.ravel()

    def spline(self, field: np.ndarray) -> np.ndarray:
        """Coefficients of the spline that is closest to a field at the quadrature points."""
        return self._fit(self.value.T @ (self._weight * field))

    def draw(self, rng: np.random.Generator) -> np.ndarray:
        """Draw a right side of which the precision's solution is likely; thickness is not drawn."""
        rows = np.zeros((len(self._pull) + 1, self.value.shape[1]))
        apart = np.zeros((len(self._pull), self.value.shape[1]))
        for row, own in zip(rows[:-1], apart, strict=True):
            for root in self._roots:
                row += root.T @ rng.standard_normal(root.shape[0])
            own += self._apart_root.T @ rng.standard_normal(self._weight.size)
        rows[:-1] += apart - apart.mean(axis=0)
        return rows.ravel()

    def thickness(self, error: float, rng: np.random.Generator) -> np.ndarray:
        """Draw what a thickness may be wrong by, as coefficients; of all, others are zero."""
        rows = np.zeros((len(self._pull) + 1, self.value.shape[1]))
        root = np.sqrt(self._weight / (4 * np.pi))
        for part in self._thick_parts:
            rows[-1] += part.T @ (root * rng.standard_normal(root.size))
        rows[-1] = error * self._solve_thick(rows[-1])
        return rows.ravel()

    @cached_property
    def _solve_thick(self) -> Callable[[np.ndarray], np.ndarray]:
        return symmetric_solver(csr_matrix(self._thick), refined=False)
