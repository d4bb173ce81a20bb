"""One shelf, divided into regions and made nondimensional, and how its networks are trained.

Takes an estimator's parameters and observations, hands on a `FittedModel`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from xdiffice.adjoint.stage import Adjoint, Noise
from xdiffice.choices import Choices
from xdiffice.errors import ParameterError
from xdiffice.first_viscosity import first_viscosity
from xdiffice.model.precision import full_precision
from xdiffice.observations.points import Observations
from xdiffice.physics.constants import PhysicalConstants
from xdiffice.preparation import (
    Part,
    choose,
    make_model,
    make_problems,
    make_regions,
    make_seams,
    residual_extents,
    velocity_error,
)
from xdiffice.results.evaluate import FittedModel
from xdiffice.subdomains import partition_of, split
from xdiffice.training.budget import Budget
from xdiffice.training.history import Recorder
from xdiffice.training.neighbours import Neighbours
from xdiffice.training.problem import Problem
from xdiffice.training.recipe import train
from xdiffice.training.shelf import LogarithmAt, Meeting, Shelf
from xdiffice.training.snapshot import Keeper
from xdiffice.uncertainty.members import Chance

ADJOINT_SHARE = 0.3  # of the seconds of a fit that are kept for the last stage, at most
SECONDS_OF_A_TRIANGLE = 0.004  # of its mesh
MOST_TRIANGLES = 60_000  # of that; fewer where time is short
CLOSING_SHARE = 0.05  # of these, for what comes after its last step, for every member
SCATTER_TO_ERROR = 1.04  # a median of squares of blocks of a dozen data is below their mean


class Inversion:
    """What an estimator makes of one shelf before anything is trained.

    Parameters
    ----------
    estimator : SSAViscosityInverter
        Its parameters.
    observations : Observations
        The shelf.
    earlier : tuple of FittedModel and Choices, optional
        A fit of the same shelf at another time, from which this one starts: its regions, scales
        and sizes are kept.

    Attributes
    ----------
    choices : Choices
        Sizes of networks and samples.
    noise, misfit_of_modelled : float or None
        After the training: noise of the velocity, and what a forward model with the viscosity
        misses it by, as shares of the velocity; None where they are not known.
    notes : tuple of str
        What a user should know of the way.

    Raises
    ------
    ParameterError
        Networks or rheology are not those of the earlier fit.
    """

    def __init__(
        self,
        estimator: Any,
        observations: Observations,
        earlier: tuple[FittedModel, Choices] | None = None,
    ):
        constants = PhysicalConstants(
            float(estimator.ice_density),
            float(estimator.sea_water_density),
            float(estimator.gravity),
        )
        model, choices = earlier or (None, None)
        self._estimator, self._observations = estimator, observations
        self._shelf = shelf = Part(observations, constants, model.scales if model else None)
        self._partition = (
            model.partition if model else partition_of(estimator.subdomains, observations, shelf)
        )
        n = self._partition.n
        own_scales = model.region_scales if model else [None] * n
        self._parts = [
            Part(one, constants, scales)
            for one, scales in zip(split(observations, self._partition), own_scales, strict=True)
        ]
        self.choices = choose(estimator, shelf, n, choices)
        self._model = make_model(estimator, self.choices, shelf.scales)
        if model and self._model != model.model:
            raise ParameterError(
                "warm_start=True: networks or rheology are not those of the fit before; set them "
                "back, or set warm_start=False"
            )
        self._start = model.theta if model else None
        if model and model.n_members != int(estimator.n_members):
            raise ParameterError(
                f"warm_start=True: the fit before had {model.n_members} members, not "
                f"{estimator.n_members}; set n_members back, or set warm_start=False"
            )
        self._region_scales = tuple(part.scales for part in self._parts)
        self.notes: tuple[str, ...] = ()
        self.noise: float | None = None
        self.misfit_of_modelled: float | None = None

    def train(
        self,
        budget: Budget,
        recorder: Recorder,
        rng: np.random.Generator,
        keeper: Keeper | None = None,
    ) -> tuple[FittedModel, str]:
        """Train the networks of all regions.

        Parameters
        ----------
        budget : Budget
            Limits; what was spent is counted there.
        recorder : Recorder
            Receives the history.
        rng : numpy.random.Generator
            Decides about initial parameters and samples.
        keeper : Keeper, optional
            Keeps snapshots, and may have one to begin with.

        Returns
        -------
        FittedModel, and why the training ended
        """
        motion_error = velocity_error(self._shelf, self._model, self._partition.n)
        adjoint = self._adjoint(recorder)
        if adjoint is not None and budget.max_seconds is not None:
            budget.reserved = min(
                ADJOINT_SHARE * budget.max_seconds,
                self._seconds_of_a_triangle() * adjoint.n_triangles,
            )

        def first(thetas: np.ndarray) -> LogarithmAt:
            return first_viscosity(
                self._fitted(thetas[None]), self._observations.front, motion_error
            )

        with full_precision(self._estimator.dtype):
            thetas, stop_reason = train(
                [Shelf(own, first, self._meeting()) for own in self._problems(recorder, rng)],
                budget,
                self._start,
                keeper,
                None if adjoint is None else lambda found: adjoint.explained(self._fitted(found)),
            )
        fitted = self._fitted(thetas)
        budget.reserved = 0.0
        if adjoint is None or stop_reason == "interrupted":
            return fitted, stop_reason
        try:
            return self._last_stage(adjoint, fitted, budget, recorder, rng), stop_reason
        except KeyboardInterrupt:
            return fitted, "interrupted"

    def _last_stage(
        self,
        adjoint: Adjoint,
        fitted: FittedModel,
        budget: Budget,
        recorder: Recorder,
        rng: np.random.Generator,
    ) -> FittedModel:
        """Correct what networks found, unless it moves the ice as observed already."""
        self.noise = adjoint.noise
        if adjoint.explained(fitted):
            self.misfit_of_modelled = adjoint.modelled(fitted)
            return fitted

        def report(objective: float, misfit: float) -> None:
            squares = {"modelled_velocity": misfit**2, "velocity_noise": adjoint.noise**2}
            recorder.record("adjoint", budget, objective, squares)

        closing = (self._seconds_of_a_triangle() - SECONDS_OF_A_TRIANGLE) * adjoint.n_triangles
        closing = min(closing, 0.5 * max(0.0, budget.seconds_left))
        corrected, self.misfit_of_modelled = adjoint.corrected(
            fitted,
            int(self._estimator.adjoint_steps),
            lambda: budget.seconds_left - closing,
            rng,
            report,
        )
        return corrected

    def _adjoint(self, recorder: Recorder) -> Adjoint | None:
        """Make the last stage; None where there is none, or nothing holds the shelf."""
        if not int(self._estimator.adjoint_steps):
            return None
        velocity, shelf = self._observations.velocity, self._shelf
        errors = (
            np.full(
                velocity.x.size,
                SCATTER_TO_ERROR * shelf.scatter[name] * getattr(shelf.scales, name).scale,
            )
            if given is None
            else given
            for name, given in (("u", velocity.u_error), ("v", velocity.v_error))
        )
        try:
            return Adjoint(self._observations, shelf.scales, Noise(*errors), self._most_triangles())
        except ParameterError as error:
            self.notes = (f"the viscosity is that of the networks alone: {error}",)
            recorder.note(self.notes[0])
            return None

    def _most_triangles(self) -> int:
        """Return for how many the time of the last stage is enough."""
        seconds = self._estimator.max_seconds
        if seconds is None:
            return MOST_TRIANGLES
        return int(min(MOST_TRIANGLES, ADJOINT_SHARE * seconds / self._seconds_of_a_triangle()))

    def _seconds_of_a_triangle(self) -> float:
        """Return what its steps take, and what comes after them for every member."""
        closing = CLOSING_SHARE * int(self._estimator.n_members)
        return SECONDS_OF_A_TRIANGLE * (1 + closing)

    def _problems(self, recorder: Recorder, rng: np.random.Generator) -> list[list[Problem]]:
        """Make the problems of all regions, member by member."""
        estimator, choices = self._estimator, self.choices
        regions = make_regions(estimator, choices, self._parts, self._shelf)
        n_members = int(estimator.n_members)
        if n_members == 1:
            return [make_problems(estimator, choices, regions, recorder, rng)]
        chance = Chance(regions, len(self._model.rheology.fields))
        return [
            make_problems(
                estimator, choices, regions, recorder.of_member(k), own_rng, chance.points
            )
            for k, own_rng in enumerate(rng.spawn(n_members))
        ]

    def _meeting(self) -> Meeting | None:
        """Make what the regions of one member see of each other."""
        if self._partition.n == 1:
            return None
        return Meeting(
            make_seams(self._partition, self._parts, self._model.rheology),
            Neighbours(self._partition.window, self._region_scales, self._model),
            residual_extents(self._parts),
        )

    def _fitted(self, thetas: np.ndarray) -> FittedModel:
        return FittedModel(
            self._model,
            thetas.astype(np.float64),
            self._shelf.scales,
            self._region_scales,
            self._partition,
        )
