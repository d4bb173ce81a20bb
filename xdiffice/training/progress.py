"""How far a training is and how good its fields are, on a terminal, in a notebook or in a log.

Takes mean squares as the loss has them, and shows shares of what they are measured by, in percent:
estimates, on the current sample, of the misfits and residuals that a fitted estimator has.
"""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from tqdm.auto import tqdm

from xdiffice.physics.scales import EquationUnits
from xdiffice.training.budget import Budget
from xdiffice.training.loss import Batch

LINE_SECONDS = 10.0  # between two lines of a log
MISFITS = ("velocity", "thickness", "first viscosity", "modelled velocity", "noise of the data")
RESIDUALS = ("momentum", "front")


class Ratio(NamedTuple):
    """A mean square, and that of what it is a share of."""

    part: float
    whole: float


Ratios = dict[str, Ratio]
"""By name, of `MISFITS` and `RESIDUALS`."""


class Yardstick(NamedTuple):
    """What makes a term of the misfit an unweighted square, and the mean square of the data."""

    factor: float
    whole: float


def yardsticks(data: Batch, units: EquationUnits) -> dict[str, Yardstick]:
    """Return what terms of the misfit are measured by, in the units of the equations.

    Parameters
    ----------
    data : Batch
        All points, normalised; weights are undone by their mean.
    units : EquationUnits
        From normalised values to the units of the equations.

    Returns
    -------
    dict of str to Yardstick
        For the terms ``x_velocity``, ``y_velocity`` and ``thickness``.
    """
    velocity, thickness = data.velocity, data.thickness
    return {
        name: Yardstick(
            unit.scale**2 / (float(np.mean(weight)) or 1.0), float(np.mean(unit.to_si(values) ** 2))
        )
        for name, unit, values, weight in (
            ("x_velocity", units.u, velocity.u, velocity.u_weight),
            ("y_velocity", units.v, velocity.v, velocity.v_weight),
            ("thickness", units.h, thickness.h, thickness.weight),
        )
    }


def ratios_of(
    terms: Mapping[str, float],
    known: Mapping[str, Yardstick],
    measured: Mapping[str, Ratio],
    counts: Mapping[str, float],
) -> Ratios:
    """Return ratios of what can be told from the terms of a loss.

    Parameters
    ----------
    terms : mapping of str to float
        Mean squares, by name.
    known : mapping of str to Yardstick
        From `yardsticks`.
    measured : mapping of str to Ratio
        Residuals on the sample, where the terms have them.
    counts : mapping of str to float
        What mean squares count beside those of other regions, 1 if not given.

    Returns
    -------
    dict of str to Ratio
    """
    sums = {}
    for name, members in {
        "velocity": ("x_velocity", "y_velocity"),
        "thickness": ("thickness",),
    }.items():
        if all(member in terms and member in known for member in members):
            sums[name] = Ratio(
                sum(terms[member] * known[member].factor for member in members),
                sum(known[member].whole for member in members),
            )
    if "first_viscosity" in terms:  # a difference of logarithms: a share already
        sums["first viscosity"] = Ratio(terms["first_viscosity"], 1.0)
    if "modelled_velocity" in terms:
        sums["modelled velocity"] = Ratio(terms["modelled_velocity"], 1.0)
    if "velocity_noise" in terms:
        sums["noise of the data"] = Ratio(terms["velocity_noise"], 1.0)
    sums |= {name: ratio for name, ratio in measured.items() if f"x_{name}" in terms}
    return {
        name: Ratio(*(counts.get(name, 1.0) * square for square in ratio))
        for name, ratio in sums.items()
    }


class Progress:
    """What is known of the parts of a training; shows nothing itself.

    Parameters
    ----------
    total : int or None
        Iterations at the end; None where only time ends the training.
    """

    def __init__(self, total: int | None):
        self.total = None if total is None or total >= sys.maxsize else total
        self.iteration, self.stage = 0, "xdiffice"
        self._budget: Budget | None = None
        self._parts: dict[Any, tuple[str, Ratios]] = {}

    def take(self, part: Any, stage: str, budget: Budget, ratios: Ratios) -> None:
        """Learn how a member or a region fares on its latest sample."""
        self.stage, self._budget = stage, budget
        self._parts[part] = stage, ratios

    def advance(self, iterations: int) -> None:
        """Count iterations."""
        self.iteration += iterations

    def close(self) -> None:
        """Show how it ended."""

    @property
    def share(self) -> float:
        """Share of the budget that is spent, of seconds or of iterations, whichever ends first."""
        budget, shares = self._budget, [0.0]
        if self.total:
            shares.append(self.iteration / self.total)
        if budget is not None and budget.max_seconds:
            shares.append(budget.seconds / budget.max_seconds)
        return min(1.0, max(shares))

    def spent(self) -> str:
        """Write iterations and seconds, each with its limit if it has one."""
        of_total = f" of {self.total}" if self.total else ""
        text = f"iteration {self.iteration}{of_total}"
        if self._budget is None:
            return text
        limit = self._budget.max_seconds
        of_limit = f" of {limit:g}" if limit is not None else ""
        return f"{text}, {self._budget.seconds:.0f}{of_limit} s"

    def percents(self) -> dict[str, str]:
        """Write shares, all parts that are in the present stage together."""
        found = [ratios for stage, ratios in [*self._parts.values()] if stage == self.stage]
        result = {}
        for name in (*MISFITS, *RESIDUALS):
            of_parts = [ratios[name] for ratios in found if name in ratios]
            whole = math.fsum(ratio.whole for ratio in of_parts)
            if whole > 0:
                part = math.fsum(ratio.part for ratio in of_parts)
                result[name] = _percent(math.sqrt(max(part, 0.0) / whole))
        return result


class Lines(Progress):
    """A line every now and then, for a log."""

    def __init__(self, total: int | None):
        super().__init__(total)
        self._last = time.monotonic()

    def take(self, part: Any, stage: str, budget: Budget, ratios: Ratios) -> None:
        """Learn how a part fares; steps against a forward model are no iterations."""
        super().take(part, stage, budget, ratios)
        if "modelled velocity" in ratios:
            self.advance(0)

    def advance(self, iterations: int) -> None:
        """Count iterations, and print where it is time."""
        super().advance(iterations)
        if time.monotonic() >= self._last + LINE_SECONDS:
            self._print()

    def close(self) -> None:
        """Print where it ended."""
        if self.iteration:
            self._print()

    def _print(self) -> None:
        self._last = time.monotonic()
        percents, said = self.percents(), []
        for what, names in (("misfit", MISFITS), ("residual", RESIDUALS)):
            shown = [f"{name} about {percents[name]}" for name in names if name in percents]
            if shown:
                said.append(f"{what} of {', '.join(shown)}")
        # One "about" is enough for all.
        first, about, others = "; ".join(said).partition(" about")
        quality = f": {first}{about}{others.replace(' about', '')}" if said else ""
        print(f"xdiffice: {self.stage}, {self.spent()}{quality}", file=sys.stderr, flush=True)


class Bar(Progress):
    """A bar for a terminal or a notebook: the share of the budget that is spent."""

    def __init__(self, total: int | None):
        super().__init__(total)
        # Whatever tqdm would count is in the text: seconds may be the limit, or iterations.
        self._bar = tqdm(total=1.0, miniters=0, bar_format=self._format("preparing"))

    def take(self, part: Any, stage: str, budget: Budget, ratios: Ratios) -> None:
        """Learn how a part fares, and show it."""
        super().take(part, stage, budget, ratios)
        self._move()

    def advance(self, iterations: int) -> None:
        """Count iterations, and show them."""
        super().advance(iterations)
        self._move()

    def close(self) -> None:
        """Leave the bar as it is."""
        self._move()
        self._bar.refresh()
        self._bar.close()

    def _move(self) -> None:
        percents = self.percents()
        shown = ", ".join(f"{name} {percents[name]}" for name in percents)
        self._bar.bar_format = self._format(f"{self.spent()}{': ' if shown else ''}{shown}")
        self._bar.update(max(0.0, self.share - self._bar.n))

    def _format(self, text: str) -> str:
        return f"{self.stage}: {{percentage:3.0f}}%|{{bar}}| {text}"


def progress_of(total: int | None, shown: bool) -> Progress:
    """Return a bar for a terminal or a notebook, and lines where the output goes into a file."""
    if not shown:
        return Progress(total)
    return Bar(total) if shows_bars() else Lines(total)


def shows_bars() -> bool:
    """Tell whether there is somebody who looks on: a terminal, or a notebook."""
    terminal = sys.stderr is not None and sys.stderr.isatty()
    return terminal or "ipykernel" in sys.modules


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %" if share >= 0.1 else f"{100 * share:.2g} %"
