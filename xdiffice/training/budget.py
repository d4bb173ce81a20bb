"""How much may be spent: seconds and iterations, whichever ends first."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

CLOSING_SECONDS = 3.0  # what comes after the training: misfits and residuals over all data


@dataclass
class Budget:
    """Seconds and iterations of one fit.

    Parameters
    ----------
    max_seconds : float or None
        Wall time from the making of this object; None: no limit.
    max_iterations : int
        Quasi-Newton iterations, all stages together.
    """

    max_seconds: float | None
    max_iterations: int
    started: float = field(default_factory=time.monotonic)
    iterations: int = 0
    evaluations: int = 0

    @property
    def seconds(self) -> float:
        """Wall time spent so far."""
        return time.monotonic() - self.started

    @property
    def seconds_left(self) -> float:
        """Wall time that is left for training; infinite without a limit."""
        if self.max_seconds is None:
            return float("inf")
        closing = min(CLOSING_SECONDS, 0.05 * self.max_seconds)
        return self.max_seconds - closing - self.seconds

    @property
    def iterations_left(self) -> int:
        """Iterations that are left."""
        return self.max_iterations - self.iterations
