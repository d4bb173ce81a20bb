"""All that a training would need to go on elsewhere: arrays, and numbers that JSON can hold.

Taken between two samples of the third stage. What follows from parameters, such as what neighbours
have, is not part of it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import jax
import numpy as np

from xdiffice.training.budget import Budget
from xdiffice.training.loop import Descent
from xdiffice.training.problem import Problem


@dataclass(frozen=True)
class Snapshot:
    """State of a training.

    Parameters
    ----------
    numbers : dict
        Numbers, text, lists and dicts of them.
    arrays : dict of str to ndarray
        By name; a slash ends the name of a region.
    """

    numbers: dict[str, Any]
    arrays: dict[str, np.ndarray]


class Keeper(Protocol):
    """Where snapshots go and come from."""

    def found(self, identity: str) -> Snapshot | None:
        """Return what an earlier training left, if it was of the same identity."""

    def due(self) -> bool:
        """Tell whether it is time for another snapshot."""

    def keep(self, identity: str, snapshot: Snapshot) -> str | None:
        """Keep one instead of those before; return what went wrong, if anything did."""


def identity(problems: Sequence[Problem]) -> str:
    """Return a checksum of all that decides how a training goes, but how long it may.

    Seeds are not part of it: what they led to is in the snapshot.
    """
    digest = hashlib.sha256()
    for problem in problems:
        digest.update(repr((problem.model, problem.recipe, problem.units)).encode())
        for leaf in jax.tree.leaves(problem.observed):
            array = np.ascontiguousarray(leaf)
            digest.update(repr((array.dtype.str, array.shape)).encode())
            digest.update(array.tobytes())
    return digest.hexdigest()


class Snapshots:
    """Snapshots of one training: what it begins with, and what it leaves.

    Parameters
    ----------
    keeper : Keeper or None
        Without one nothing is kept.
    problems : sequence of Problem
        Of all members and regions.

    Attributes
    ----------
    earlier : Snapshot or None
        Where to go on.
    known : ndarray, shape (n_members, n_regions, n_parameters), or None
        Parameters from which the first viscosity was made.
    """

    def __init__(self, keeper: Keeper | None, problems: Sequence[Problem]):
        self._keeper, self._problems = keeper, problems
        self._identity = identity(problems) if keeper else ""
        self._remembered: Snapshot | None = None
        self._copies: dict[str, np.ndarray] = {}
        self.earlier = keeper.found(self._identity) if keeper else None
        self.known = self.earlier.arrays.get("known") if self.earlier else None
        if self.known is not None and self.known.ndim == 2:
            self.known = self.known[None]  # written before there were members

    def rewind(self, budget: Budget) -> None:
        """Count what was spent before the third stage, and all seconds."""
        if self.earlier:
            budget.iterations = int(self.earlier.numbers["iterations"])
            budget.evaluations = int(self.earlier.numbers["evaluations"])
            budget.started -= float(self.earlier.numbers["seconds"])

    def put_back(self, descents: Sequence[Descent], parts: Sequence[Budget]) -> str | None:
        """Bring the regions where they were; return why the last of them stopped, if all have.

        Raises
        ------
        ValueError, KeyError, TypeError
            The snapshot is of something else.
        """
        if self.earlier is None:
            return None
        numbers, arrays = self.earlier.numbers, self.earlier.arrays
        for k, (descent, part, problem, region) in enumerate(
            zip(descents, parts, self._problems, numbers["regions"], strict=True)
        ):
            start = f"region_{k}/"
            own = {
                name.removeprefix(start): array
                for name, array in arrays.items()
                if name.startswith(start)
            }
            descent.restore(region["descent"], own)
            problem.restore(region["problem"])
            problem.recorder.restore(region["history"])
            part.iterations, part.evaluations = region["spent"]
        self.earlier = None  # hundreds of megabytes
        return numbers["last"]

    def offer(
        self,
        descents: Sequence[Descent],
        parts: Sequence[Budget],
        budget: Budget,
        last: str,
        *,
        ended: bool = False,
    ) -> None:
        """Keep a snapshot if it is time, or the training has ended; or else remember it."""
        if self._keeper is None:
            return
        snapshot = self._taken(descents, parts, budget, last)
        if ended or self._keeper.due():
            self._remembered = None
            self._keep(snapshot)
        else:  # the next sample is made in the same memory
            self._remembered = Snapshot(snapshot.numbers, self._copied(snapshot.arrays))

    def interrupted(self) -> None:
        """Keep what was remembered: from the last sample that is whole a training goes on."""
        if self._remembered is not None:
            self._keep(self._remembered)

    def _copied(self, arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Copy into what an earlier copy had: new memory would take several times as long."""
        for name, array in arrays.items():
            old = self._copies.get(name)
            if old is None or (old.shape, old.dtype) != (array.shape, array.dtype):
                self._copies[name] = np.array(array)
            else:
                np.copyto(old, array)
        return {name: self._copies[name] for name in arrays}

    def _keep(self, snapshot: Snapshot) -> None:
        assert self._keeper is not None
        if trouble := self._keeper.keep(self._identity, snapshot):
            self._problems[0].recorder.note(trouble)

    def _taken(
        self, descents: Sequence[Descent], parts: Sequence[Budget], budget: Budget, last: str
    ) -> Snapshot:
        numbers: dict[str, Any] = {
            "seconds": budget.seconds,
            "iterations": budget.iterations,
            "evaluations": budget.evaluations,
            "last": last,
            "regions": [],
        }
        arrays = {} if self.known is None else {"known": self.known}
        for k, (descent, part, problem) in enumerate(
            zip(descents, parts, self._problems, strict=True)
        ):
            counts, own = descent.state()
            numbers["regions"].append(
                {
                    "descent": counts,
                    "problem": problem.state(),
                    "history": problem.recorder.state(),
                    "spent": [part.iterations, part.evaluations],
                }
            )
            arrays |= {f"region_{k}/{name}": array for name, array in own.items()}
        return Snapshot(numbers, arrays)
