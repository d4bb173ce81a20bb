"""The cluster that a campaign starts where none is given: workers on the cores of this machine."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from distributed import Client

TRIM, TRIM_OF_DASK = "MALLOC_TRIM_THRESHOLD_", 65536
FREED_AND_KEPT = {TRIM: 64 << 20, "MALLOC_MMAP_THRESHOLD_": 32 << 20}
"""What glibc would choose by itself. Dask has workers return memory from 64 KiB on to the system,
which then clears it again and again for the arrays of every step: a seventh of the training."""
OWN = "distributed.nanny.pre-spawn-environ"
PROGRAMS = "JAX_COMPILATION_CACHE_DIR"


@contextmanager
def local_client(
    n_workers: int | None, threads_per_worker: int, memory_limit: str | int | None
) -> Iterator[Client]:
    """Start workers that keep to their cores and share what they compile.

    Parameters
    ----------
    n_workers : int or None
        By default as many as the cores allow.
    threads_per_worker : int
        Threads, of JAX as well, which would take all cores.
    memory_limit : str, int or None
        As in `distributed.LocalCluster`.

    Yields
    ------
    distributed.Client
        Not the default client of the process.
    """
    import dask
    from distributed import Client, LocalCluster

    threads = int(threads_per_worker)
    with (
        tempfile.TemporaryDirectory(prefix="xdiffice-compiled-") as programs,
        _environment_left_as_it_was(),
        dask.config.set(_memory_that_is_kept()),
        LocalCluster(
            n_workers=n_workers or max(1, _cores() // threads),
            threads_per_worker=threads,
            memory_limit=memory_limit,
            env=_environment(threads, os.environ.get(PROGRAMS, programs)),
            dashboard_address="127.0.0.1:0",
        ) as cluster,
        Client(cluster, set_as_default=False) as client,
    ):
        yield client


def _environment(threads: int, programs: str) -> dict[str, str]:
    """Environment of a worker."""
    return {
        "NPROC": str(threads),
        "PJRT_NPROC": str(threads),
        PROGRAMS: programs,
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        # A sample of the stack every 10 ms, for a dashboard that shows one long task.
        "DASK_DISTRIBUTED__WORKER__PROFILE__ENABLED": "False",
    }


@contextmanager
def _environment_left_as_it_was() -> Iterator[None]:
    """Undo what dask does: it starts workers with variables that stay in this process for good.

    So they would stand above all settings of the next cluster.
    """
    import dask

    names = {*dask.config.get(OWN, {}), *FREED_AND_KEPT}
    before = {name: os.environ[name] for name in names if name in os.environ}
    if before.get(TRIM) == str(TRIM_OF_DASK):
        del os.environ[TRIM]
    try:
        yield
    finally:
        for name in names:
            os.environ.pop(name, None)
        os.environ.update(before)


def _memory_that_is_kept() -> dict[str, object]:
    """Return a setting of dask, empty where the user has chosen one."""
    import dask

    chosen = dask.config.get(OWN, {})
    if chosen.get(TRIM) != TRIM_OF_DASK:
        return {}
    return {OWN: chosen | FREED_AND_KEPT}


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
