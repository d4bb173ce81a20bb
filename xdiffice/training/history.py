"""What happened during a training: one row for every fresh sample, and how it is shown."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr

from xdiffice.training.budget import Budget
from xdiffice.training.progress import Ratio, Yardstick, progress_of, ratios_of

COLUMNS = ("stage", "iteration", "evaluations", "seconds", "loss")  # before the terms
WHOLE = (-1, -1)  # member and region of a row that is of no part


class Recorder:
    """Keeps the history and shows the progress.

    Parameters
    ----------
    progress : bool
        Whether to show on standard error how far it is.
    total : int or None
        Iterations at the end; None where only time ends the training.
    """

    def __init__(self, *, progress: bool, total: int | None):
        self.rows: list[dict[str, Any]] = []
        self.notes: list[str] = []
        self._weights: dict[str, float] = {}
        self._yardsticks: Mapping[str, Yardstick] = {}
        self._measured: dict[str, Ratio] = {}
        self._counts: Mapping[str, float] = {}
        self._path: tuple[tuple[str, int], ...] = ()
        self._progress = progress_of(total, progress)

    def of_member(self, member: int) -> Recorder:
        """Return a recorder for one member, whose rows go into the whole history as well."""
        return _Part(self, "member", member)

    def of_region(self, region: int, counts: Mapping[str, float] | None = None) -> Recorder:
        """Return a recorder for one region, whose rows go into the whole history as well.

        ``counts`` tells what mean squares count beside those of other regions when progress is
        shown: squares of units times numbers of points, by `Ratios`' names.
        """
        return _Part(self, "region", region, counts)

    def compare(self, yardsticks: Mapping[str, Yardstick]) -> None:
        """Say what the misfits are shares of when progress is shown."""
        self._yardsticks = yardsticks

    def measure(self, squares: Mapping[str, Any], stresses: Mapping[str, Any]) -> None:
        """Say what is left of the equations on the sample of the next row, and of what."""
        self._measured = {
            name: Ratio(float(square), float(stresses[name])) for name, square in squares.items()
        }

    def weigh(self, weights: Any) -> None:
        """Say by what weights the terms of the rows that follow are summed (a named tuple)."""
        self._weights = {f"{name}_weight": float(w) for name, w in weights._asdict().items()}

    def record(self, stage: str, budget: Budget, loss: float, terms: Mapping[str, Any]) -> None:
        """Keep the loss and its terms on a fresh sample."""
        start = (stage, budget.iterations, budget.evaluations, budget.seconds, loss)
        row: dict[str, Any] = dict(zip(COLUMNS, start, strict=True))
        values = {name: float(value) for name, value in terms.items()}
        self.rows.append(row | values | self._weights)
        ratios = ratios_of(values, self._yardsticks, self._measured, self._counts)
        self._progress.take(self._path, stage, budget, ratios)

    def advance(self, iterations: int) -> None:
        """Count iterations for the progress that is shown."""
        self._progress.advance(iterations)

    def note(self, text: str) -> None:
        """Keep a sentence about something unusual."""
        self.notes.append(f"iteration {self.rows[-1]['iteration'] if self.rows else 0}: {text}")

    def state(self) -> dict[str, Any]:
        """Return rows and notes, as `restore` takes them."""
        return {"rows": [*self.rows], "notes": [*self.notes]}

    def restore(self, state: dict[str, Any]) -> None:
        """Go on with the rows and notes of an earlier training, and its iterations."""
        self.rows, self.notes = list(state["rows"]), list(state["notes"])
        if self.rows:
            self.advance(self.rows[-1]["iteration"])

    def _take_row(self, row: dict[str, Any]) -> None:
        """Take a row of a part."""
        self.rows.append(row)

    def _take_note(self, text: str) -> None:
        """Take a note of a part."""
        self.notes.append(text)

    def close(self) -> None:
        """Show how it ended."""
        self._progress.close()

    def to_dataset(self) -> xr.Dataset:
        """Return the history on the dimension ``sample``.

        Terms are mean squares in nondimensional units (`xdiffice.training.loss`); those that a
        stage does not have are NaN. ``momentum_weight`` and the like are the weights by which they
        were summed.
        """
        rows = self._in_order()
        names = dict.fromkeys((*COLUMNS, *(name for row in rows for name in row)))
        columns = {
            name: ("sample", np.array([row.get(name, np.nan) for row in rows])) for name in names
        }
        return xr.Dataset(columns, attrs={"notes": "; ".join(self.notes)})

    def _in_order(self) -> list[dict[str, Any]]:
        """Return rows sample by sample and part by part: threads write them as they come.

        Those of the whole shelf are of what comes before all parts, or after: so they stay.
        """
        seen: Counter[tuple[float, float]] = Counter()
        keys = []
        for row in self.rows:
            part = (row.get("member", -1), row.get("region", -1))
            after = len(self.rows) if part == WHOLE and seen.keys() - {WHOLE} else 0
            keys.append((after + seen[part], *part))
            seen[part] += 1
        return [
            row for _, row in sorted(zip(keys, self.rows, strict=True), key=lambda pair: pair[0])
        ]


class _Part(Recorder):
    """Rows of one member or region; iterations that are shown are those of the first part."""

    def __init__(
        self, whole: Recorder, kind: str, number: int, counts: Mapping[str, float] | None = None
    ):
        self.rows, self.notes, self._weights = [], [], {}
        self._yardsticks, self._measured, self._counts = {}, {}, counts or {}
        self._path, self._progress = (*whole._path, (kind, number)), whole._progress
        self._whole, self._kind, self._number = whole, kind, number

    def record(self, stage: str, budget: Budget, loss: float, terms: Mapping[str, Any]) -> None:
        super().record(stage, budget, loss, terms)
        self._pass_on(self.rows[-1])

    def restore(self, state: dict[str, Any]) -> None:
        super().restore(state)
        for row in self.rows:
            self._pass_on(row)
        for note in self.notes:
            self._whole._take_note(f"{self._kind} {self._number}: {note}")

    def advance(self, iterations: int) -> None:
        if self._number == 0:
            self._whole.advance(iterations)

    def note(self, text: str) -> None:
        super().note(text)
        self._whole._take_note(f"{self._kind} {self._number}: {self.notes[-1]}")

    def _take_row(self, row: dict[str, Any]) -> None:
        super()._take_row(row)
        self._pass_on(row)

    def _take_note(self, text: str) -> None:
        super()._take_note(text)
        self._whole._take_note(f"{self._kind} {self._number}: {text}")

    def _pass_on(self, row: dict[str, Any]) -> None:
        self._whole._take_row(row | {self._kind: self._number})
