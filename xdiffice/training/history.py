"""What happened during a training: one row for every fresh sample, and a progress bar."""

from __future__ import annotations

import math
import sys
import time
from collections import Counter
from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr
from tqdm.auto import tqdm

from xdiffice.training.budget import Budget

COLUMNS = ("stage", "iteration", "evaluations", "seconds", "loss")  # before the terms
LINE_SECONDS = 10.0  # between two lines of a log


class Recorder:
    """Keeps the history and draws the progress bar.

    Parameters
    ----------
    progress : bool
        Whether to draw a bar on standard error.
    total : int or None
        Iterations of a full bar; None where only time ends the training.
    """

    def __init__(self, *, progress: bool, total: int | None):
        self.rows: list[dict[str, Any]] = []
        self.notes: list[str] = []
        self._weights: dict[str, float] = {}
        self._bar = _progress(total, progress)

    def of_member(self, member: int) -> Recorder:
        """Return a recorder for one member, whose rows go into the whole history as well."""
        return _Part(self, "member", member)

    def of_region(self, region: int) -> Recorder:
        """Return a recorder for one region, whose rows go into the whole history as well."""
        return _Part(self, "region", region)

    def weigh(self, weights: Any) -> None:
        """Say by what weights the terms of the rows that follow are summed (a named tuple)."""
        self._weights = {f"{name}_weight": float(w) for name, w in weights._asdict().items()}

    def record(self, stage: str, budget: Budget, loss: float, terms: Mapping[str, Any]) -> None:
        """Keep the loss and its terms on a fresh sample."""
        start = (stage, budget.iterations, budget.evaluations, budget.seconds, loss)
        row: dict[str, Any] = dict(zip(COLUMNS, start, strict=True))
        values = {name: float(value) for name, value in terms.items()}
        self.rows.append(row | values | self._weights)
        shown = {name: f"{math.sqrt(max(float(v), 0.0)):.1e}" for name, v in terms.items()}
        self._bar.set_description(stage, refresh=False)
        self._bar.set_postfix(shown, refresh=False)

    def advance(self, iterations: int) -> None:
        """Move the bar."""
        self._bar.update(iterations)

    def note(self, text: str) -> None:
        """Keep a sentence about something unusual."""
        self.notes.append(f"iteration {self.rows[-1]['iteration'] if self.rows else 0}: {text}")

    def state(self) -> dict[str, Any]:
        """Return rows and notes, as `restore` takes them."""
        return {"rows": [*self.rows], "notes": [*self.notes]}

    def restore(self, state: dict[str, Any]) -> None:
        """Go on with the rows and notes of an earlier training, the bar with its iterations."""
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
        """End the bar."""
        self._bar.close()

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
        """Return rows sample by sample and part by part: threads write them as they come."""
        seen: Counter[tuple[float, float]] = Counter()
        keys = []
        for row in self.rows:
            part = (row.get("member", -1), row.get("region", -1))
            keys.append((seen[part], *part))
            seen[part] += 1
        return [
            row for _, row in sorted(zip(keys, self.rows, strict=True), key=lambda pair: pair[0])
        ]


def _progress(total: int | None, progress: bool) -> tqdm | _Lines:
    """Return a bar for a terminal or a notebook, and lines where the output goes into a file."""
    shown = sys.stderr is not None and sys.stderr.isatty()
    if progress and not shown and "ipykernel" not in sys.modules:
        return _Lines()
    return tqdm(total=total, disable=not progress, unit="it", desc="xdiffice")


class _Lines:
    """A bar for a log: every now and then a line."""

    def __init__(self) -> None:
        self._iteration, self._stage = 0, ""
        self._terms: dict[str, str] = {}
        self._start = self._last = time.monotonic()

    def update(self, n: int) -> None:
        """Count iterations."""
        self._iteration += n
        if time.monotonic() >= self._last + LINE_SECONDS:
            self._print()

    def set_description(self, stage: str, *, refresh: bool) -> None:
        """Take the name of the stage for the next line."""
        self._stage = stage

    def set_postfix(self, terms: dict[str, str], *, refresh: bool) -> None:
        """Take the terms for the next line."""
        self._terms = terms

    def close(self) -> None:
        """Print where it ended."""
        if self._iteration:
            self._print()

    def _print(self) -> None:
        self._last = time.monotonic()
        terms = "".join(f", {name} {value}" for name, value in self._terms.items())
        seconds = self._last - self._start
        line = f"xdiffice: {self._stage}, iteration {self._iteration}, {seconds:.0f} s{terms}"
        print(line, file=sys.stderr, flush=True)


class _Part(Recorder):
    """Rows of one member or region; the bar is that of the whole, and moves with the first part."""

    def __init__(self, whole: Recorder, kind: str, number: int):
        self.rows, self.notes, self._weights = [], [], {}
        self._whole, self._kind, self._number, self._bar = whole, kind, number, whole._bar

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
