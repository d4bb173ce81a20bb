"""The control method around the fields of a model: misfit and prior, minimised by Gauss-Newton.

Takes a mesh and a model, hands on the state that explains the velocity and is likely, and
`Correction` of the model that make it so.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from xdiffice.adjoint.mesh import Mesh, viscosities
from xdiffice.adjoint.prior import Prior
from xdiffice.adjoint.tangent import Tangent
from xdiffice.forward.response import Ice, Response
from xdiffice.model.correction import Correction
from xdiffice.model.splines import SplineLattice
from xdiffice.physics.jets import Jet
from xdiffice.results.evaluate import FittedModel, Orders

OUTLIER = 3.0  # root mean squares: a velocity that is farther off counts less
LARGEST_CHANGE = 1.5  # of a logarithm, in one step
SHORTEST = 1e-3  # share of a step
CONVERGED = 0.003  # share of the sum that a step must lower it by
MOST_PRODUCTS = 150  # of the Gauss-Newton matrix, in one step
FORCING = 0.05  # of the gradient, that the solution of a step leaves
SAMPLED = 0.002  # the same, of a sample: noise is most of its gradient, but not of what it changes
THINNEST = 0.01  # ice, of the mean

Report = Callable[[float, float], None]
"""Takes the sum, and the relative misfit of the modelled velocity."""


class State(NamedTuple):
    """Coefficients, and what follows from them."""

    controls: np.ndarray  # of the logarithms of every field, then of the thickness
    ice: Ice
    slopes: list[tuple[np.ndarray, np.ndarray]]  # of μ_h and μ_v, by the logarithm of every field
    response: Response
    misfits: np.ndarray


class Control:
    """Misfit and prior of corrections of a model's fields.

    Parameters
    ----------
    mesh : Mesh
        Equations and data.
    fitted : FittedModel
        Whose fields are corrected.
    lattice : SplineLattice
        Of the corrections.
    used : ndarray of int
        Splines that the shelf has.
    thickness_error, reach : float
        See `Prior`.
    """

    def __init__(
        self,
        mesh: Mesh,
        fitted: FittedModel,
        lattice: SplineLattice,
        used: np.ndarray,
        thickness_error: float,
        reach: float,
    ):
        self._mesh, self._fitted, self._lattice, self._used = mesh, fitted, lattice, used
        self._rheology = fitted.model.rheology
        equations = mesh.response
        u, v, h, *logs = mesh.jets(fitted, Orders(1, 1))
        self._motion, self._log_h = (u, v), _log_thickness(h)
        self._logs = [log.value for log in logs]
        points = equations.x, equations.y, equations.weight
        self._prior = Prior(lattice, used, points, self._rheology, logs, thickness_error, reach)

    def minimised(
        self,
        controls: np.ndarray | None,
        steps: int,
        seconds_left: Callable[[], float],
        report: Report,
    ) -> State:
        """Take steps until they hardly lower the sum, or time is up."""
        start = np.zeros(self._prior.precision.shape[0]) if controls is None else controls
        motion = self._motion
        state = self._state(start, motion)
        for _ in range(steps):
            moving = self._mesh.response.at_points(state.response.velocity)
            weights, pull = self._weights(state), self._prior.slope(*moving)
            before = total = self._value(state, weights, pull)
            report(before, self._mesh.relative_misfit(state.response.velocity))
            tangent = self._tangent(state, weights)
            gradient = tangent.adjoint(self._mesh.by_velocity(weights * state.misfits))
            gradient += self._prior.precision @ state.controls + pull
            change = self._solved(tangent, -gradient, seconds_left)
            share = self._longest(change)
            found = self._state(state.controls + share * change, motion)
            while not self._value(found, weights, pull) < before and share > SHORTEST:
                share /= 2
                found = self._state(state.controls + share * change, motion)
            lowered = before - self._value(found, weights, pull)
            if not lowered > 0:
                break
            state, total = found, before - lowered
            if self._rheology.needs_strain_rate:
                motion = self._mesh.response.at_points(state.response.velocity)
                state = self._state(state.controls, motion)
            if lowered < CONVERGED * abs(before) or seconds_left() <= 0:
                break
        report(total, self._mesh.relative_misfit(state.response.velocity))
        return state

    def correction(
        self,
        state: State,
        thickness_error: float,
        rng: np.random.Generator,
        *,
        moved: bool = True,
    ) -> Correction:
        """Make splines of a state; ``moved`` says whether to correct the velocity as well.

        Members of an ensemble get `samples` around it.
        """
        n_members, velocity = self._fitted.n_members, state.response.velocity
        wanted = [self._fields(state.controls, velocity)]
        if n_members > 1:
            tangent, changes = self.samples(state, n_members, thickness_error, rng)
            # Their mean is to be the most likely state, and their spread that of samples.
            changes = (changes - changes.mean(axis=0)) * np.sqrt(n_members / (n_members - 1))
            wanted = [
                self._fields(state.controls + change, velocity + tangent.velocity(change))
                for change in changes
            ]
        coefficients = np.zeros((n_members, len(wanted[0]), self._lattice.n))
        for k, fields in enumerate(wanted):
            u, v, h, *logs = self._mesh.jets(self._fitted.member(k), Orders(0, 0))
            own = [u.value, v.value, _log_thickness(h), *(log.value for log in logs)]
            for row, (field, known) in enumerate(zip(fields, own, strict=True)):
                if row < 2 and not moved:
                    continue
                coefficients[k, row, self._used] = self._prior.spline(field - known)
        return Correction(self._lattice, coefficients)

    def samples(
        self, state: State, n: int, thickness_error: float, rng: np.random.Generator
    ) -> tuple[Tangent, np.ndarray]:
        """Draw changes of a state's coefficients that data and prior leave possible.

        With the curvature of the state (randomised maximum a posteriori: Bardsley et al. 2014,
        doi 10.1137/140964023). The thickness of each is another one of those that it may have, and
        the other fields make up for what it does to the velocity.

        Returns
        -------
        Tangent of the state, and changes of shape (n, n_coefficients)
        """
        weights = self._weights(state)
        tangent = self._tangent(state, weights)
        changes = np.zeros((n, state.controls.size))
        for change in changes:
            thicker = self._prior.thickness(thickness_error, rng)
            noise = np.sqrt(weights) * rng.standard_normal(weights.shape)
            noise -= weights * self._mesh.at_data_of(tangent.velocity(thicker))
            right = tangent.adjoint(self._mesh.by_velocity(noise)) + self._prior.draw(rng)
            change[:] = thicker + self._solved(tangent, right, lambda: np.inf, SAMPLED)
        return tangent, changes

    def _fields(self, controls: np.ndarray, velocity: np.ndarray) -> list[np.ndarray]:
        """u, v and logarithms at the quadrature points."""
        *changes, thicker = controls.reshape(-1, self._used.size)
        u, v = self._mesh.response.at_points(velocity)
        pairs = zip(self._logs, changes, strict=True)
        logs = [log + self._prior.value @ change for log, change in pairs]
        return [u.value, v.value, self._log_h + self._prior.value @ thicker, *logs]

    def _state(self, controls: np.ndarray, motion: tuple[Jet, Jet]) -> State:
        *changes, thicker = controls.reshape(-1, self._used.size)
        pairs = zip(self._logs, changes, strict=True)
        logs = [log + self._prior.value @ change for log, change in pairs]
        (mu_h, mu_v), slopes = viscosities(self._rheology, logs, motion)
        ice = Ice(mu_h, mu_v, np.exp(self._log_h + self._prior.value @ thicker))
        response = self._mesh.response.solved(ice)
        return State(controls, ice, slopes, response, self._mesh.misfits(response.velocity))

    def _value(self, state: State, weights: np.ndarray, pull: np.ndarray) -> float:
        """Sum of misfit and prior."""
        likely = 0.5 * (self._prior.precision @ state.controls) + pull
        return float(0.5 * np.sum(weights * state.misfits**2) + likely @ state.controls)

    def _tangent(self, state: State, weights: np.ndarray) -> Tangent:
        return Tangent(
            self._mesh, self._prior.value, state.ice, state.slopes, state.response, weights
        )

    def _weights(self, state: State) -> np.ndarray:
        """1/σ² of every u and v; outliers count less (pseudo-Huber, reweighted)."""
        scaled = np.hypot(*(state.misfits / self._mesh.errors))
        bound = OUTLIER * max(1.0, float(np.sqrt(np.mean(scaled**2))))
        weights: np.ndarray = self._mesh.errors**-2.0 / np.sqrt(1 + (scaled / bound) ** 2)
        return weights

    def _longest(self, change: np.ndarray) -> float:
        """Share of a change that changes no logarithm by more than is allowed."""
        rows = change.reshape(-1, self._used.size)
        largest = max(float(np.abs(self._prior.value @ row).max()) for row in rows)
        return min(1.0, LARGEST_CHANGE / largest) if largest > 0 else 1.0

    def _solved(
        self,
        tangent: Tangent,
        right: np.ndarray,
        seconds_left: Callable[[], float],
        forcing: float = FORCING,
    ) -> np.ndarray:
        """Solve with the Gauss-Newton matrix, by preconditioned conjugate gradients."""
        found, rest = np.zeros_like(right), right
        conditioned = self._prior.conditioned(rest)
        direction, norm = conditioned, float(rest @ conditioned)
        enough = forcing**2 * norm
        for _ in range(MOST_PRODUCTS):
            if not norm > enough or seconds_left() <= 0:
                break
            product = tangent.curvature(direction) + self._prior.precision @ direction
            share = norm / float(direction @ product)
            found, rest = found + share * direction, rest - share * product
            conditioned = self._prior.conditioned(rest)
            before, norm = norm, float(rest @ conditioned)
            direction = conditioned + norm / before * direction
        return found


def _log_thickness(h: Jet) -> np.ndarray:
    log: np.ndarray = np.log(np.maximum(h.value, THINNEST))
    return log
