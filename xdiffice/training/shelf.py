"""One set of networks for a whole shelf: the problems of its regions, and how these see each other.

Members of an ensemble are such sets, which know nothing of one another.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from xdiffice.training.balance import Extent, shares_of_shelf
from xdiffice.training.coupling import Seams
from xdiffice.training.neighbours import Neighbours
from xdiffice.training.problem import Problem

LogarithmAt = Callable[[int, np.ndarray, np.ndarray], tuple[np.ndarray, ...]]
"""From a region and nondimensional positions in it to the logarithms of the rheology's fields."""


@dataclass(frozen=True)
class Meeting:
    """Where regions meet and how they overlap.

    Parameters
    ----------
    seams : Seams
        Both sides of all interfaces.
    neighbours : Neighbours
        What they have where they overlap; it remembers parameters, so every set has its own.
    extents : sequence of mapping of str to Extent
        Where every region has residuals, see `shares_of_shelf`.
    """

    seams: Seams
    neighbours: Neighbours
    extents: Sequence[Mapping[str, Extent]]


@dataclass(frozen=True)
class Shelf:
    """The problems of all regions.

    Parameters
    ----------
    problems : sequence of Problem
        What is asked of each region; their samples have the same sizes.
    first_viscosity : callable
        Makes a viscosity for the whole shelf, given the parameters of all regions, shape
        (n_regions, model.n_parameters), of which the motion is trained.
    meeting : Meeting, optional
        Where there is more than one region.
    """

    problems: Sequence[Problem]
    first_viscosity: Callable[[np.ndarray], LogarithmAt]
    meeting: Meeting | None = None

    def init(self) -> np.ndarray:
        """Draw initial parameters, shape (n_regions, model.n_parameters)."""
        return np.stack([problem.model.init(problem.rng) for problem in self.problems])

    def know(self, thetas: np.ndarray) -> None:
        """Let all regions know the first viscosity that follows from these parameters."""
        logarithms = self.first_viscosity(thetas)
        for k, problem in enumerate(self.problems):
            problem.know(functools.partial(logarithms, k))

    def meet(self, thetas: Sequence[np.ndarray]) -> None:
        """Show every region what its neighbours have at their interfaces and where they overlap."""
        if self.meeting is None:
            return
        seams, neighbours, problems = self.meeting.seams, self.meeting.neighbours, self.problems
        targets = seams.targets(problems[0].model, thetas, problems[0].recipe.dtype)
        for problem, target in zip(problems, targets, strict=True):
            problem.interface = target
        neighbours.stand_still(thetas)
        measured = [problem.measured for problem in problems if problem.measured]
        known = len(measured) == len(problems)
        shares = (
            shares_of_shelf(measured, self.meeting.extents) if known else [None] * len(problems)
        )
        for k, problem in enumerate(problems):
            problem.blended = functools.partial(neighbours.blended, k)
            problem.of_shelf = shares[k]
