"""The last stage: a viscosity that moves the ice as it was seen to move.

What networks leave of the equations at points says little about the velocity that their viscosity
causes. Here that velocity is solved for, by finite elements, and the fields are corrected until it
is the observed one: the control method (MacAyeal 1993, doi 10.3189/S0022143000017744) around the
fields of the networks. Takes a `FittedModel` and observations, hands on the model with its
`Correction`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cached_property
from typing import NamedTuple

import numpy as np
from scipy.spatial import cKDTree

from xdiffice.adjoint.control import Control, Report
from xdiffice.adjoint.mesh import Mesh
from xdiffice.forward.meshes import USUAL_TRIANGLES
from xdiffice.forward.observed import ObservedShelf
from xdiffice.model.splines import SplineLattice
from xdiffice.observations.points import Observations
from xdiffice.physics.scales import Scales
from xdiffice.results.diagnostics import shortest_wavelength
from xdiffice.results.evaluate import FittedModel

# What a forward model is wrong by, over the rms speed: a share of what the thickness is uncertain
# by, over its mean, for driving stresses are; and what meshes and rims leave.
MODEL_ERROR, LEAST_MODEL_ERROR = 0.35, 0.002
UNSURE = 1.05  # times the noise: what is known of it
EXPLAINED = 0.005  # of the rms speed, beyond the noise: no more is asked of a viscosity
CELL = 1.0  # of the lattice, in legs of a triangle
COARSE = 2.0  # legs of the first mesh, in those of the second
USED = 1e-3  # sum over the quadrature points of a spline that the shelf has
THICKNESS_FREEDOM = 0.2  # of its error: what the velocity says about thickness it says unsurely
LEAST_THICKNESS_ERROR = 0.002  # of the mean


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
    most_triangles : int
        Of a mesh; at least as many as one has usually.

    Attributes
    ----------
    noise : float
        Of the velocity, over the rms speed.
    n_triangles : int
        Of the finer mesh.

    Raises
    ------
    ParameterError
        Nothing holds the shelf, or it is made of points.
    """

    def __init__(
        self, observations: Observations, scales: Scales, noise: Noise, most_triangles: int
    ):
        self._observations, self._scales = observations, scales
        velocity = observations.velocity
        square = float(np.mean(velocity.u**2 + velocity.v**2)) or 1.0
        self.noise = float(np.sqrt(np.mean(noise.u**2 + noise.v**2) / square))
        self._noise, self._speed = np.stack(noise), float(np.sqrt(square))
        self._shelf = ObservedShelf.of(
            observations, most_triangles=max(USUAL_TRIANGLES, most_triangles)
        )
        self.n_triangles = int(self._shelf.mesh.nelements)

    @cached_property
    def fine(self) -> Mesh:
        """Mesh of the result."""
        return Mesh(self._shelf, self._scales, self._observations.velocity, self._noise)

    @cached_property
    def coarse(self) -> Mesh:
        """Mesh of the first steps."""
        size = COARSE * self._scales.length * self.fine.response.leg
        shelf = ObservedShelf.of(self._observations, size)
        return Mesh(shelf, self._scales, self._observations.velocity, self._noise)

    def explained(self, fitted: FittedModel) -> bool:
        """Tell, on the coarse mesh, whether a viscosity moves the ice as observed."""
        return self.coarse.modelled(fitted) ** 2 <= (UNSURE * self.noise) ** 2 + EXPLAINED**2

    def modelled(self, fitted: FittedModel) -> float:
        """Return by how much the velocity that a viscosity causes misses the observed one."""
        return self.fine.modelled(fitted)

    def corrected(
        self,
        fitted: FittedModel,
        steps: int,
        seconds_left: Callable[[], float],
        rng: np.random.Generator,
        report: Report,
    ) -> tuple[FittedModel, float]:
        """Correct the fields of a model until they move the ice as observed.

        Parameters
        ----------
        fitted : FittedModel
            Networks.
        steps : int
            Gauss-Newton steps on each mesh, at most.
        seconds_left : callable
            Wall time that is left.
        rng : numpy.random.Generator
            Decides about what members of an ensemble differ in.
        report : callable
            Hears of every step.

        Returns
        -------
        FittedModel, and by how much the modelled velocity misses the observed one
        """
        points, unit = self.fine.response, fitted.scales.length
        lattice = SplineLattice.covering(points.x, points.y, CELL * points.leg)
        sums = np.asarray(lattice.matrix(points.x, points.y).sum(axis=0)).ravel()
        used = np.flatnonzero(sums > USED)
        reach = shortest_wavelength(fitted) / (2 * np.pi * unit)
        thickness_error = self._thickness_error(fitted)
        model_error = max(MODEL_ERROR * thickness_error, LEAST_MODEL_ERROR) * self._speed
        freedom = THICKNESS_FREEDOM * max(
            thickness_error * self._share_of_parameters(fitted), LEAST_THICKNESS_ERROR
        )
        controls: np.ndarray | None = None
        for mesh in (self.coarse, self.fine):
            uncertain = mesh.with_model_error(model_error / fitted.scales.speed)
            control = Control(uncertain, fitted, lattice, used, freedom, reach)
            state = control.minimised(controls, steps, seconds_left, report)
            controls = state.controls
            if seconds_left() <= 0:
                break  # what the coarse mesh says may be all there is time for
        misfit = mesh.relative_misfit(state.response.velocity)
        if not state.controls.any():  # there was no time for a step
            return fitted, misfit
        # Where time was up too soon the networks' own velocity may be the better one.
        correction = control.correction(
            state, self._with_given(thickness_error), rng, moved=misfit < self._misfit_of(fitted)
        )
        return replace(fitted, correction=correction), misfit

    def _misfit_of(self, fitted: FittedModel) -> float:
        """Relative misfit of the velocity of the networks."""
        seen = self._observations.velocity
        found = fitted.evaluate(seen.x, seen.y, ("x_velocity", "y_velocity"))
        misfits = np.stack([found["x_velocity"] - seen.u, found["y_velocity"] - seen.v])
        return float(np.sqrt(np.mean(np.sum(misfits**2, axis=0)))) / self._speed

    def _thickness_error(self, fitted: FittedModel) -> float:
        """Return the standard error of the thickness of the networks, over the mean.

        Of what data scatter about them, that is the part which neighbours have in common: noise
        that does not depend on place averages out.
        """
        ice = self._observations.thickness
        places = np.column_stack([ice.x, ice.y])
        if len(places) < 2:
            return 0.0
        wrong = fitted.evaluate(ice.x, ice.y, ("thickness",))["thickness"] - ice.h
        _, nearest = cKDTree(places).query(places, k=[2])
        common = max(0.0, float(np.mean(wrong * wrong[nearest[:, 0]])))
        return float(np.sqrt(common)) / fitted.scales.thickness

    def _with_given(self, thickness_error: float) -> float:
        """Return an error of the thickness, to which that of the data is added if it is known."""
        given = self._observations.thickness.h_error
        if given is None:
            return thickness_error
        return float(np.hypot(thickness_error, np.sqrt(np.mean(given**2)) / self._scales.thickness))

    def _share_of_parameters(self, fitted: FittedModel) -> float:
        """Share of a scatter that a fit follows: (p / n)^½ with p parameters and n values."""
        n_parameters = len(fitted.region_scales) * fitted.model.motion.n_parameters
        return float(np.sqrt(min(1.0, n_parameters / self._observations.thickness.x.size)))
