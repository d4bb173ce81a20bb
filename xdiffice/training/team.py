"""Threads that work side by side, one for every device or core of a processor."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
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

        Threads of one device take the next of its items as soon as they are free. A single item is
        worked on in the calling thread. After an interruption what could not be computed is
        missing: the list may be empty.
        """
        waiting = self._waiting(items)

        def work(device: Any) -> dict[int, Any]:
            done = {}
            with full_precision(self._dtype), jax.default_device(device):
                # Iterators of ranges give every number to one thread only.
                for k in waiting[device]:
                    done[k] = function(items[k])
            return done

        if len(self._devices) == 1:
            try:
                return [*work(self._devices[0]).values()]
            except KeyboardInterrupt:
                self._budget.interrupted.set()
                return []
        futures = [self._pool.submit(work, device) for device in self._devices]
        try:
            parts = [future.result() for future in futures]
        except KeyboardInterrupt:
            self._budget.interrupted.set()
            parts = [future.result() for future in futures]
        done = {k: result for part in parts for k, result in part.items()}
        return [done[k] for k in range(len(items))]

    def _waiting(self, items: Sequence[Any]) -> dict[Any, Iterator[int]]:
        """Numbers of the items of every device."""
        devices = [*dict.fromkeys(self._devices)]
        starts = enumerate(devices)
        return {device: iter(range(k, len(items), len(devices))) for k, device in starts}

    def close(self) -> None:
        """Let the threads go."""
        self._pool.shutdown()
