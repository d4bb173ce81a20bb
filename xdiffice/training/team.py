"""Threads that work side by side, one for every device or core of a processor."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import jax

from xdiffice.model.precision import Precision, full_precision
from xdiffice.training.budget import Budget


def cores() -> int:
    """Return the number of processor cores that this process may use, as JAX counts them."""
    allowed = os.environ.get("PJRT_NPROC", "")
    if allowed.isdigit() and int(allowed):
        return int(allowed)
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


class Team:
    """Threads for devices; small networks leave most of a processor idle, it counts by cores.

    Parameters
    ----------
    n_items : int
        No more threads than these.
    dtype : {"float64", "float32"}
        Of the arithmetic: JAX keeps its settings thread by thread.
    budget : Budget
        Learns of an interruption, by which all threads end soon.
    """

    def __init__(self, n_items: int, dtype: Precision, budget: Budget):
        self._dtype, self._budget = dtype, budget
        devices = jax.local_devices()
        if devices[0].platform == "cpu":
            devices = devices * max(1, cores() // len(devices))
        self._devices = devices[:n_items]
        self._pool = ThreadPoolExecutor(len(self._devices), "xdiffice")

    def turns(self, n_items: int) -> int:
        """How many of so many items a thread works on, one after the other."""
        return -(-n_items // len(self._devices))

    def map(self, function: Callable[[Any], Any], items: Sequence[Any]) -> list[Any]:
        """Apply a function to all items; the k-th runs on device k, modulo their number.

        A single item is worked on in the calling thread. After an interruption what could not be
        computed is missing: the list may be empty.
        """
        n = len(self._devices)

        def work(first: int) -> list[Any]:
            with full_precision(self._dtype), jax.default_device(self._devices[first]):
                return [function(item) for item in items[first::n]]

        if n == 1:
            try:
                return work(0)
            except KeyboardInterrupt:
                self._budget.interrupted.set()
                return []
        futures = [self._pool.submit(work, first) for first in range(n)]
        try:
            done = [future.result() for future in futures]
        except KeyboardInterrupt:
            self._budget.interrupted.set()
            done = [future.result() for future in futures]
        return [done[k % n][k // n] for k in range(len(items))]

    def close(self) -> None:
        """Let the threads go."""
        self._pool.shutdown()
