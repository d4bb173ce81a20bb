"""The equations of a shelf on one mesh, and the velocity that was observed there.

Takes a fitted model, hands on the velocity that its viscosity causes and by how much that misses
the observed one.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np

from xdiffice.forward.observed import ObservedShelf
from xdiffice.forward.response import Ice, ShelfResponse
from xdiffice.model.precision import double_precision
from xdiffice.observations.points import VelocityPoints
from xdiffice.physics.jets import Jet
from xdiffice.physics.rheology import Rheology
from xdiffice.physics.scales import Scales
from xdiffice.results.evaluate import FittedModel, Orders


class Mesh:
    """Equations and data on one mesh, in the units of the shelf.

    Parameters
    ----------
    shelf : ObservedShelf
        Mesh and rim.
    scales : Scales
        Units.
    velocity : VelocityPoints
        What was observed.
    errors : ndarray, shape (2, n)
        Of u and v, m s-1.

    Attributes
    ----------
    response : ShelfResponse
        The equations.
    at_data : csr_matrix
        From a component of velocity at the nodes to where it was observed.
    observed, errors : ndarray, shape (2, n_inside)
        u and v, and their errors.
    """

    def __init__(
        self, shelf: ObservedShelf, scales: Scales, velocity: VelocityPoints, errors: np.ndarray
    ):
        self.response = ShelfResponse(shelf, scales)
        x, y = scales.x.to_unit(velocity.x), scales.y.to_unit(velocity.y)
        inside, self.at_data = self.response.observing(x, y)
        self.observed = np.stack([velocity.u, velocity.v])[:, inside] / scales.speed
        self.errors = errors[:, inside] / scales.speed

    def with_model_error(self, error: float) -> Mesh:
        """Return the same mesh with errors of u and v that are larger by those of a model."""
        mesh = copy.copy(self)
        mesh.errors = np.sqrt(self.errors**2 + 0.5 * error**2)
        return mesh

    def jets(self, fitted: FittedModel, orders: Orders) -> list[Jet]:
        """u, v, h and the logarithms of a model at the quadrature points."""
        scales, points = fitted.scales, self.response
        return fitted.jets(scales.x.to_si(points.x), scales.y.to_si(points.y), orders)

    def modelled(self, fitted: FittedModel) -> float:
        """Relative misfit of the velocity that the viscosity of a model causes."""
        rheology = fitted.model.rheology
        u, v, h, *logs = self.jets(fitted, Orders(int(rheology.needs_strain_rate), 0))
        (mu_h, mu_v), _ = viscosities(rheology, [log.value for log in logs], (u, v))
        return self.relative_misfit(self.response.solved(Ice(mu_h, mu_v, h.value)).velocity)

    def misfits(self, velocity: np.ndarray) -> np.ndarray:
        """Modelled minus observed u and v, shape (2, n_inside)."""
        return self.at_data_of(velocity) - self.observed

    def at_data_of(self, velocity: np.ndarray) -> np.ndarray:
        """Velocity where it was observed: u and v, shape (2, n_inside)."""
        found: np.ndarray = (self.at_data @ velocity.reshape(2, -1).T).T
        return found

    def by_velocity(self, by_misfits: np.ndarray) -> np.ndarray:
        """Gradient by the velocity at the nodes, of one by u and v where they were observed."""
        gradient: np.ndarray = (self.at_data.T @ by_misfits.T).T
        return gradient.ravel()

    def relative_misfit(self, velocity: np.ndarray) -> float:
        """L2 norm of the misfits over that of what was observed."""
        whole = float(np.linalg.norm(self.observed)) or 1.0
        return float(np.linalg.norm(self.misfits(velocity))) / whole


def viscosities(
    rheology: Rheology, logs: Sequence[np.ndarray], motion: Sequence[Jet]
) -> tuple[tuple[np.ndarray, np.ndarray], list[tuple[np.ndarray, np.ndarray]]]:
    """μ_h and μ_v of logarithms of a rheology's fields, and their slopes by each logarithm."""
    u, v = motion

    def made(*logs: jax.Array) -> tuple[jax.Array, jax.Array]:
        mu_h, mu_v = rheology.viscosities(tuple(Jet(jnp.exp(log)) for log in logs), u, v)
        return mu_h.value, mu_v.value

    slopes = []
    with double_precision():
        for k in range(len(logs)):
            along = tuple(np.full_like(log, i == k) for i, log in enumerate(logs))
            values, (d_mu_h, d_mu_v) = jax.jvp(made, tuple(logs), along)
            slopes.append((np.asarray(d_mu_h), np.asarray(d_mu_v)))
        mu_h, mu_v = (np.asarray(mu) for mu in values)
    return (mu_h, mu_v), slopes
