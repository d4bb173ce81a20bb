"""Smooth fields on a lattice: bicubic splines, with their derivatives at any position.

What finite elements find out about a field is kept as such a spline beside the networks. Hands on
sparse matrices from coefficients to values, and jets of whole fields.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy.interpolate import BSpline
from scipy.sparse import csr_matrix

from xdiffice.physics.jets import Jet

_ORDERS = ((0, 0), (1, 0), (0, 1), (2, 0), (1, 1), (0, 2))  # of a jet, by x and y
_SHAPE = BSpline.basis_element(np.arange(5.0))  # the cubic B-spline on four cells


@dataclass(frozen=True)
class SplineLattice:
    """Bicubic splines on square cells.

    Parameters
    ----------
    x, y : float
        Least coordinates.
    spacing : float
        Side of a cell.
    n_x, n_y : int
        Splines along each axis: three more than cells.
    """

    x: float
    y: float
    spacing: float
    n_x: int
    n_y: int

    @classmethod
    def covering(cls, x: np.ndarray, y: np.ndarray, spacing: float) -> SplineLattice:
        """Lay a lattice over positions."""
        counts = (3 + max(1, math.ceil(np.ptp(axis) / spacing)) for axis in (x, y))
        return cls(float(x.min()), float(y.min()), spacing, *counts)

    @property
    def n(self) -> int:
        """How many splines there are."""
        return self.n_x * self.n_y

    def matrix(self, x: np.ndarray, y: np.ndarray, order: tuple[int, int] = (0, 0)) -> csr_matrix:
        """Make the matrix from coefficients, row by row, to a derivative at positions.

        Beyond its rim a spline goes on as it is at the nearest position of the lattice.
        """
        column, along_x = self._weights(x - self.x, self.n_x, order[0])
        row, along_y = self._weights(y - self.y, self.n_y, order[1])
        four = np.arange(4)
        numbers = (row + four[:, None])[:, None] * self.n_x + (column + four[:, None])[None]
        values = along_y[:, None] * along_x[None]
        starts = 16 * np.arange(x.size + 1)
        flat = (part.reshape(16, -1).T.ravel() for part in (values, numbers))
        return csr_matrix((*flat, starts), shape=(x.size, self.n))

    def jets(self, coefficients: np.ndarray, x: np.ndarray, y: np.ndarray, order: int) -> list[Jet]:
        """Evaluate fields with their derivatives.

        Parameters
        ----------
        coefficients : ndarray, shape (n_fields, n)
            Of every field.
        x, y : ndarray, shape (m,)
            Positions.
        order : {0, 1, 2}
            Highest derivative.

        Returns
        -------
        list of Jet
            One for each field.
        """
        wanted = _ORDERS[: (1, 3, 6)[order]]
        parts = [self.matrix(x, y, nu) @ coefficients.T for nu in wanted]
        return [Jet(*(part[:, k] for part in parts)) for k in range(len(coefficients))]

    def _weights(self, distance: np.ndarray, n: int, order: int) -> tuple[np.ndarray, np.ndarray]:
        """Return the first of four splines along one axis, and what each counts, shape (4, m)."""
        place = distance / self.spacing
        cell = np.clip(np.floor(place).astype(int), 0, n - 4)
        within = np.clip(place - cell, 0.0, 1.0)
        shape = _SHAPE.derivative(order) if order else _SHAPE
        # The last of the four has its first cell here. At the end of a cell they are continuous.
        values = np.stack([shape(np.minimum(within + 3 - k, 4.0)) for k in range(4)])
        outside = (place < 0) | (place > n - 3)
        return cell, np.where(outside & (order > 0), 0.0, values) / self.spacing**order
