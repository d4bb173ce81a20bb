"""The last stage: a viscosity that moves the ice as it was seen to move.

What networks leave of the equations at points says little about the velocity that their viscosity
causes. Here that velocity is solved for, by finite elements, and the fields are corrected until it
is the observed one: the classical control method (MacAyeal 1993, doi 10.3189/S0022143000017744)
around the fields of the networks, by Gauss-Newton steps. Takes a `FittedModel` and observations,
hands on the model with its `Correction`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from scipy.sparse import block_diag, bmat, csr_matrix, diags, eye, hstack

from xdiffice.forward.equations import symmetric_solver
from xdiffice.forward.observed import ObservedShelf
from xdiffice.forward.response import Ice, Response, ShelfResponse
from xdiffice.model.correction import Correction
from xdiffice.model.precision import double_precision
from xdiffice.model.splines import SplineLattice
from xdiffice.observations.points import Observations, VelocityPoints
from xdiffice.physics.jets import Jet
from xdiffice.physics.rheology import Rheology
from xdiffice.physics.scales import Scales
from xdiffice.results.diagnostics import shortest_wavelength
from xdiffice.results.evaluate import FittedModel, Orders

SPREAD_OF_FIELDS = 0.1  # of a logarithm, by which it differs where distances are e times as long
MODEL_ERROR = 0.01  # of the rms speed: what thickness, rim and the equations themselves leave
EXPLAINED = 0.005  # of the rms speed, beyond the noise: no more is asked of a viscosity
OUTLIER = 3.0  # root mean squares: a velocity that is farther off counts less
CELL = 1.5  # legs of a triangle
COARSE = 2.0  # legs of the first mesh, in those of the second
LARGEST_CHANGE = 1.5  # of a logarithm, in one step
CONVERGED = 0.003  # share of the objective that a step must lower it by
USED = 1e-3  # splines, the sum of which over the quadrature points is more
RIDGE = 1e-4  # of what a diagonal has on the average
LEVEL = 0.1
SHORTEST = 1e-3  # share of a step
THINNEST = 0.01  # ice, of the mean
LEAST_THICKNESS_ERROR = 0.002
SMOOTHED = 1e-4
MOST_PRODUCTS, FORCING = 150, 0.05  # of conjugate gradients: products, and what they leave


class Noise(NamedTuple):
    """Standard errors of every observed u and v, m s-1."""

    u: np.ndarray
    v: np.ndarray


class Adjoint:
    """The last stage of one shelf.

    Parameters
    ----------
    observations : Observations
        The shelf.
    scales : Scales
        Its units.
    noise : Noise
        Of the velocity.

    Raises
    ------
    ParameterError
        Nothing holds the shelf, or it is made of points.
    """

    def __init__(self, observations: Observations, scales: Scales, noise: Noise):
        self._observations, self._scales = observations, scales
        velocity = observations.velocity
        square = float(np.mean(velocity.u**2 + velocity.v**2)) or 1.0
        self._floor = MODEL_ERROR * np.sqrt(square / 2)
        self._noise = noise
        self.noise = float(np.sqrt(np.mean(noise.u**2 + noise.v**2) / square))
        self._shelf = ObservedShelf.of(observations)
        corners = self._shelf.mesh.p[:, self._shelf.mesh.t]
        (a_x, a_y), (b_x, b_y) = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
        self._leg = float(np.sqrt(np.mean(np.abs(a_x * b_y - a_y * b_x))))

    @property
    def n_triangles(self) -> int:
        """Triangles of the finer mesh."""
        return int(self._shelf.mesh.nelements)

    @cached_property
    def fine(self) -> Mesh:
        """Mesh of the result."""
        return self._mesh(self._shelf)

    @cached_property
    def coarse(self) -> Mesh:
        """Mesh of the first steps."""
        return self._mesh(ObservedShelf.of(self._observations, COARSE * self._leg))

    def _mesh(self, shelf: ObservedShelf) -> Mesh:
        errors = [np.sqrt(one**2 + self._floor**2) for one in self._noise]
        return Mesh(shelf, self._scales, self._observations.velocity, np.stack(errors))

    def explained(self, fitted: FittedModel) -> bool:
        """Tell whether a viscosity moves the ice as observed, within the noise.

        On the coarse mesh: it costs a factorisation.
        """
        return self.coarse.modelled(fitted) ** 2 <= self.noise**2 + EXPLAINED**2

    def modelled(self, fitted: FittedModel) -> float:
        """Return by how much the velocity that a viscosity causes misses the observed one."""
        return self.fine.modelled(fitted)

    def corrected(
        self,
        fitted: FittedModel,
        steps: int,
        seconds_left: Callable[[], float],
        rng: np.random.Generator,
        report: Callable[[int, float, float], None],
    ) -> tuple[FittedModel, float]:
        """Correct the fields of a model until they move the ice as observed.

        Parameters
        ----------
        fitted : FittedModel
            Networks.
        steps : int
            Gauss-Newton steps on each of two meshes, at most.
        seconds_left : callable
            Wall time that is left.
        rng : numpy.random.Generator
            Decides about what members differ in.
        report : callable
            ``report(step, objective, misfit)`` after every step.
        """
        unit = fitted.scales.length
        points = self.fine.response
        lattice = SplineLattice.covering(points.x, points.y, CELL * self._leg / unit)
        used = np.flatnonzero(lattice.matrix(points.x, points.y).sum(axis=0).A1 > USED)
        reach = shortest_wavelength(fitted) / (2 * np.pi * unit)
        thickness_error = self._thickness_error(fitted)
        controls: np.ndarray | None = None
        for mesh in (self.coarse, self.fine):
            control = Control(mesh, fitted, lattice, used, thickness_error, reach)
            state = control.minimised(controls, steps, seconds_left, report)
            controls = state.controls
            if seconds_left() <= 0:
                break  # the coarser mesh has a result, which may be all there is time for
        correction = control.correction(state, rng)
        return replace(fitted, correction=correction), mesh.relative_misfit(state.response.velocity)

    def _thickness_error(self, fitted: FittedModel) -> float:
        """Return what the networks' thickness is wrong by, over its mean.

        A fit of p parameters to n values follows (p / n)^½ of their scatter.
        """
        ice = self._observations.thickness
        found = fitted.evaluate(ice.x, ice.y, ("thickness",))["thickness"]
        scatter = float(np.sqrt(np.mean((found - ice.h) ** 2))) / fitted.scales.thickness
        n_parameters = len(fitted.region_scales) * fitted.model.motion.n_parameters
        return max(scatter * np.sqrt(min(1.0, n_parameters / ice.x.size)), LEAST_THICKNESS_ERROR)


class Mesh:
    """The equations on one mesh, and the velocity that was observed there.

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
    """

    def __init__(
        self, shelf: ObservedShelf, scales: Scales, velocity: VelocityPoints, errors: np.ndarray
    ):
        self.response = ShelfResponse(shelf, scales)
        x, y = scales.x.to_unit(velocity.x), scales.y.to_unit(velocity.y)
        inside, self.at_data = self.response.observing(x, y)
        self.observed = np.stack([velocity.u, velocity.v])[:, inside] / scales.speed
        self.errors = errors[:, inside] / scales.speed

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
        """Modelled minus observed u and v, shape (2, n)."""
        return (self.at_data @ velocity.reshape(2, -1).T).T - self.observed

    def relative_misfit(self, velocity: np.ndarray) -> float:
        """L2 norm of these over that of what was observed."""
        whole = float(np.linalg.norm(self.observed)) or 1.0
        return float(np.linalg.norm(self.misfits(velocity))) / whole


class State(NamedTuple):
    """Coefficients, and what follows from them."""

    controls: np.ndarray  # of the logarithms of every field, then of the thickness
    ice: Ice
    slopes: list[tuple[np.ndarray, np.ndarray]]  # of μ_h and μ_v by the logarithm of every field
    response: Response
    misfits: np.ndarray


class Control:
    """Misfit and roughness as functions of the coefficients of splines.

    ½ Σ (u - u_obs)² / σ² + ½ ∫ |∇ log field|² / (2 π s²) for every field of the rheology, which
    holds differences by a factor 1 ± s for likely where distances are e times as long; and
    departures of the thickness within its errors.

    Parameters
    ----------
    mesh : Mesh
        Equations and data.
    fitted : FittedModel
        Networks, whose fields are corrected.
    lattice : SplineLattice
        Of the corrections.
    used : ndarray of int
        Splines that the shelf has.
    thickness_error, reach : float
        What the thickness is wrong by, over its mean, and over what distance.
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
        n_fields = len(self._rheology.fields)
        response = mesh.response
        u, v, h, *self._logs = mesh.jets(fitted, Orders(1, 1))
        self._motion, self._log_h = (u, v), np.log(np.maximum(h.value, THINNEST))
        self.value, d_x, d_y = (
            lattice.matrix(response.x, response.y, order)[:, used]
            for order in ((0, 0), (1, 0), (0, 1))
        )
        weight = diags(response.weight)
        self._rough_root = [diags(np.sqrt(response.weight)) @ part for part in (d_x, d_y)]
        self.rough = sum(part.T @ part for part in self._rough_root)
        self.mass = self.value.T @ weight @ self.value
        n = used.size
        self._share = 1 / (2 * np.pi * SPREAD_OF_FIELDS**2)
        # What the data do not see, splines at the rim, is not to be undetermined.
        ridge = RIDGE * self.rough.diagonal().mean() * eye(n)
        own = self._share * (self.rough + ridge)
        # Departures of several fields from each other, of which the flow may say nothing.
        apart = np.eye(n_fields) - 1 / n_fields
        between = self._share * self.mass / reach**2
        fields = bmat(
            [
                [own * (i == j) + apart[i, j] * between for j in range(n_fields)]
                for i in range(n_fields)
            ]
        )
        thick = (self.mass + reach**2 * (self.rough + ridge)) / (
            4 * np.pi * (thickness_error * reach) ** 2
        )
        self._prior = block_diag([fields, thick]).tocsc()
        slopes = [
            self._share * (d_x.T @ (response.weight * log.x) + d_y.T @ (response.weight * log.y))
            for log in self._logs
        ]
        self._prior_slope = np.concatenate([*slopes, np.zeros(n)])
        # A constant has no roughness; the solver is to take it for as free as anything else.
        level = LEVEL * self.rough.diagonal().mean() / self.mass.diagonal().mean() * self._share
        levels = block_diag([*[level * self.mass] * n_fields, csr_matrix((n, n))])
        self._condition = symmetric_solver(csr_matrix(self._prior + levels), refined=False)

    def minimised(
        self,
        controls: np.ndarray | None,
        steps: int,
        seconds_left: Callable[[], float],
        report: Callable[[int, float, float], None],
    ) -> State:
        """Take Gauss-Newton steps until they hardly lower the sum, or time is up."""
        if controls is None:
            controls = np.zeros(self._prior.shape[0])
        motion = self._motion
        state = self._state(controls, motion)
        for step in range(steps):
            weights = self._weights(state)
            value = self._objective(state, weights)
            report(step, value, self._mesh.relative_misfit(state.response.velocity))
            tangent = Tangent(self, state, weights)
            change = self._solved(tangent, -self._gradient(tangent, state, weights), seconds_left)
            found = self._along(state, change, weights, value, motion)
            if found is None:
                break
            lowered = value - self._objective(found, weights)
            state = found
            if self._rheology.needs_strain_rate:
                motion = self._mesh.response.at_points(state.response.velocity)
                state = self._state(state.controls, motion)
            if lowered < CONVERGED * abs(value) or seconds_left() <= 0:
                break
        report(steps, value, self._mesh.relative_misfit(state.response.velocity))
        return state

    def _state(self, controls: np.ndarray, motion: tuple[Jet, Jet]) -> State:
        *changes, thicker = controls.reshape(-1, self._used.size)
        logs = [log.value + self.value @ c for log, c in zip(self._logs, changes, strict=True)]
        (mu_h, mu_v), slopes = viscosities(self._rheology, logs, motion)
        ice = Ice(mu_h, mu_v, np.exp(self._log_h + self.value @ thicker))
        response = self._mesh.response.solved(ice)
        return State(controls, ice, slopes, response, self._mesh.misfits(response.velocity))

    def _weights(self, state: State) -> np.ndarray:
        """1/σ² of every u and v; outliers count less (pseudo-Huber, reweighted)."""
        scaled = np.hypot(*(state.misfits / self._mesh.errors))
        bound = OUTLIER * max(1.0, float(np.sqrt(np.mean(scaled**2))))
        return 1 / (self._mesh.errors**2 * np.sqrt(1 + (scaled / bound) ** 2))

    def _objective(self, state: State, weights: np.ndarray) -> float:
        c = state.controls
        data = np.sum(weights * state.misfits**2)
        return float(0.5 * data + 0.5 * c @ (self._prior @ c) + self._prior_slope @ c)

    def _gradient(self, tangent: Tangent, state: State, weights: np.ndarray) -> np.ndarray:
        by_velocity = (self._mesh.at_data.T @ (weights * state.misfits).T).T.ravel()
        return tangent.adjoint(by_velocity) + self._prior @ state.controls + self._prior_slope

    def _along(
        self,
        state: State,
        change: np.ndarray,
        weights: np.ndarray,
        value: float,
        motion: tuple[Jet, Jet],
    ) -> State | None:
        """Go along a change as far as it lowers the sum; None where it does not."""
        largest = max(np.abs(self.value @ c).max() for c in change.reshape(-1, self._used.size))
        share = min(1.0, LARGEST_CHANGE / max(largest, np.finfo(float).tiny))
        while share > SHORTEST:
            found = self._state(state.controls + share * change, motion)
            if self._objective(found, weights) < value:
                return found
            share /= 2
        return None

    def _solved(
        self, tangent: Tangent, right: np.ndarray, seconds_left: Callable[[], float]
    ) -> np.ndarray:
        """Solve with the Gauss-Newton matrix, by preconditioned conjugate gradients."""
        found = np.zeros_like(right)
        rest, conditioned = right, self._condition(right)
        direction, norm = conditioned, float(right @ conditioned)
        enough = FORCING**2 * norm
        for _ in range(MOST_PRODUCTS):
            if not norm > enough or seconds_left() <= 0:
                break
            product = tangent.product(direction) + self._prior @ direction
            share = norm / float(direction @ product)
            found = found + share * direction
            rest = rest - share * product
            conditioned = self._condition(rest)
            before, norm = norm, float(rest @ conditioned)
            direction = conditioned + norm / before * direction
        return found

    def correction(self, state: State, rng: np.random.Generator) -> Correction:
        """Make splines of a state, and of what members may differ by in an ensemble."""
        fitted, n = self._fitted, self._used.size
        n_members = fitted.n_members
        velocity = state.response.velocity.reshape(2, -1)
        targets = [self._total(state.controls, velocity)]
        if n_members > 1:
            weights = self._weights(state)
            tangent = Tangent(self, state, weights)
            targets = []
            for _ in range(n_members):
                right = self._chance(tangent, weights, rng)
                change = self._solved(tangent, right, lambda: np.inf)
                moved = velocity + tangent.velocity(change).reshape(2, -1)
                targets.append(self._total(state.controls + change, moved))
        smooth = csr_matrix(self.mass + SMOOTHED * self._lattice.spacing**2 * self.rough
                            + RIDGE * self.mass.diagonal().mean() * eye(n))
        fit, weight = symmetric_solver(smooth), self._mesh.response.weight
        coefficients = np.zeros((n_members, len(targets[0]), self._lattice.n))
        for k, total in enumerate(targets):
            own = self._mesh.jets(fitted.member(k), Orders(int(self._rheology.needs_strain_rate), 0))
            start = [own[0].value, own[1].value, np.log(np.maximum(own[2].value, THINNEST))]
            start += [log.value for log in own[3:]]
            for row, (one, other) in enumerate(zip(total, start, strict=True)):
                spline = fit(self.value.T @ (weight * (one - other)))
                coefficients[k, row, self._used] = spline
        correction = Correction(self._lattice, coefficients)
        return self._agreeing(correction, state) if self._rheology.needs_strain_rate else correction

    def _total(self, controls: np.ndarray, velocity: np.ndarray) -> list[np.ndarray]:
        """u, v, log h and logarithms at the quadrature points."""
        *changes, thicker = controls.reshape(-1, self._used.size)
        u, v = self._mesh.response.at_points(velocity.ravel())
        logs = [log.value + self.value @ c for log, c in zip(self._logs, changes, strict=True)]
        return [u.value, v.value, self._log_h + self.value @ thicker, *logs]

    def _chance(
        self, tangent: Tangent, weights: np.ndarray, rng: np.random.Generator
    ) -> np.ndarray:
        """Draw a right side of which the solution is a sample of what data and prior leave."""
        n, n_fields = self._used.size, len(self._logs)
        by_data = (
            self._mesh.at_data.T @ (np.sqrt(weights) * rng.standard_normal(weights.shape)).T
        ).T.ravel()
        drawn = np.zeros((n_fields + 1, n))
        for row in range(n_fields):
            for root in self._rough_root:
                drawn[row] += np.sqrt(self._share) * (root.T @ rng.standard_normal(root.shape[0]))
        return tangent.adjoint(by_data) + drawn.ravel()


class Tangent:
    """How the velocity changes with the coefficients, around one state; and the adjoint of it."""

    def __init__(self, control: Control, state: State, weights: np.ndarray):
        response, value = control._mesh.response, control.value
        velocity, ice = state.response.velocity, state.ice
        blocks = []
        for d_mu_h, d_mu_v in state.slopes:
            stress = response.stresses(velocity, d_mu_h, d_mu_v)
            blocks.append(response.forces(tuple(ice.h * part for part in stress), value))
        xx, xy, yy = response.stresses(velocity, ice.mu_h, ice.mu_v)
        thicker = (ice.h * xx - ice.h**2, ice.h * xy, ice.h * yy - ice.h**2)
        blocks.append(response.forces(thicker, value))
        self._forces = hstack(blocks).tocsr()
        self._forces_back = self._forces.T.tocsr()
        self._response, self._solve = response, state.response.solve
        at_data = control._mesh.at_data
        self._count = [at_data.T @ diags(one) @ at_data for one in weights]

    def velocity(self, change: np.ndarray) -> np.ndarray:
        """Change of the velocity at all nodes that a change of the coefficients causes."""
        moved = np.zeros(2 * self._response.n_nodes)
        moved[self._response.free] = -self._solve(self._forces @ change)
        return moved

    def adjoint(self, by_velocity: np.ndarray) -> np.ndarray:
        """Gradient by the coefficients, of one by the velocity at all nodes."""
        return self._forces_back @ -self._solve(by_velocity[self._response.free])

    def product(self, change: np.ndarray) -> np.ndarray:
        """Curvature of the misfit along a change."""
        u, v = self.velocity(change).reshape(2, -1)
        return self.adjoint(np.concatenate([self._count[0] @ u, self._count[1] @ v]))


def viscosities(
    rheology: Rheology, logs: list[np.ndarray], motion: tuple[Jet, Jet]
) -> tuple[tuple[np.ndarray, np.ndarray], list[tuple[np.ndarray, np.ndarray]]]:
    """Viscosities of the logarithms of a rheology's fields, and their slopes by each of them."""

    def made(*logs):
        fields = tuple(Jet(jnp.exp(log)) for log in logs)
        return tuple(mu.value for mu in rheology.viscosities(fields, *motion))

    slopes = []
    with double_precision():
        for k in range(len(logs)):
            along = [np.ones_like(log) if i == k else np.zeros_like(log) for i, log in enumerate(logs)]
            values, slope = jax.jvp(made, tuple(logs), tuple(along))
            slopes.append(tuple(np.asarray(one) for one in slope))
        return tuple(np.asarray(one) for one in values), slopes
