"""How much may be spent: seconds and iterations, whichever ends first."""

from __future__ import annotations

import threading
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
    reserved : float
        Seconds at the end that are kept for what comes after the networks.
    """

    max_seconds: float | None
    max_iterations: int
    started: float = field(default_factory=time.monotonic)
    iterations: int = 0
    evaluations: int = 0
    interrupted: threading.Event = field(default_factory=threading.Event)
    reserved: float = 0.0

    @property
    def seconds(self) -> float:
        """Wall time spent so far."""
        return time.monotonic() - self.started

    @property
    def seconds_left(self) -> float:
        """Wall time that is left for training; infinite without a limit."""
        if self.interrupted.is_set():
            return 0.0
        if self.max_seconds is None:
            return float("inf")
        closing = min(CLOSING_SECONDS, 0.05 * self.max_seconds)
        return self.max_seconds - closing - self.reserved - self.seconds

    @property
    def iterations_left(self) -> int:
        """Iterations that are left."""
        return self.max_iterations - self.iterations

    def part(self, share: float) -> Budget:
        """Budget of a part of the work: the same clock, and a share of what is left."""
        seconds = self.max_seconds
        if seconds is not None and share < 1:
            seconds = self.seconds + share * max(self.seconds_left, 0.0)
        iterations = self.iterations + max(1, round(share * self.iterations_left))
        return Budget(
            seconds,
            iterations,
            self.started,
            self.iterations,
            self.evaluations,
            self.interrupted,
            self.reserved,
        )

    def spent(self, *parts: Budget) -> None:
        """Count parts of the work, done side by side: iterations are those of the longest."""
        self.iterations = max(part.iterations for part in parts)
        self.evaluations += sum(part.evaluations - self.evaluations for part in parts)
