"""A whole campaign: runs go to the workers of a cluster, as many at a time as there are workers."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import CancelledError
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import xarray as xr
from tqdm.auto import tqdm

from xdiffice.campaigns.archive import COMPLETE, FAILED, Archive, require_zarr
from xdiffice.campaigns.local import local_client
from xdiffice.campaigns.runs import runs_of
from xdiffice.campaigns.work import Job, do
from xdiffice.errors import CampaignInterruptedError, MissingDependencyError, OutputExistsError
from xdiffice.inverter import SSAViscosityInverter
from xdiffice.training.progress import shows_bars

if TYPE_CHECKING:
    import pandas as pd
    from distributed import Client

CONNECT_SECONDS = "30s"


@dataclass(frozen=True)
class Campaign:
    """What a campaign left behind.

    Parameters
    ----------
    store : Path
        The Zarr store.
    table : pandas.DataFrame
        A row for every run, by its group in the store: ``status`` (``complete`` or ``failed``),
        ``stop_reason``, ``n_iter``, ``seconds``, ``error``, misfits, noise, residuals and jumps as
        the estimator has them (shares, not per cent), and ``outcome``: what this call did, which is
        ``computed``, ``retried``, ``skipped`` or ``failed``.
    """

    store: Path
    table: pd.DataFrame

    def open(self) -> xr.DataTree:
        """Open all results, lazily: `xarray.open_datatree` of the store.

        Returns
        -------
        xarray.DataTree
            A group for each run, with what `SSAViscosityInverter.predict` returned.
        """
        return xr.open_datatree(self.store, engine="zarr", consolidated=False, chunks={})

    def model(self, run: str) -> SSAViscosityInverter:
        """Load the fitted inverter of a run, which predicts on any other grid.

        Parameters
        ----------
        run : str
            Its name in the table, such as ``"larsen_c/2015-07-01"``.

        Returns
        -------
        SSAViscosityInverter
            Fitted.

        Raises
        ------
        FileFormatError
            There is no such run, or it failed.
        """
        from xdiffice.storage import load

        return load(Archive(self.store).model_of(run))

    def __repr__(self) -> str:
        counts = self.table["outcome"].value_counts()
        done = ", ".join(f"{n} {outcome}" for outcome, n in counts.items())
        return f"<Campaign {str(self.store)!r}: {len(self.table)} runs, {done}>\n{self.table}"


def campaign(
    datasets: Mapping[str, Any],
    inverter: SSAViscosityInverter | Mapping[str, SSAViscosityInverter],
    store: str | os.PathLike[str],
    client: Client | str | None = None,
    *,
    template: Any = None,
    variables: Any = None,
    chunks: Any = None,
    overwrite: bool = False,
    max_running: int | None = None,
    n_workers: int | None = None,
    threads_per_worker: int = 1,
    memory_limit: str | int | None = "auto",
    progress: bool = True,
) -> Campaign:
    """Invert many shelves, at all their times, with one or several sets of parameters.

    Every run is written to its own group of a Zarr store as soon as it ends. Called again, it does
    what is missing and what failed, and skips what is complete; it may have been killed at any
    moment. A run that fails says why in the table and stops no other.

    Where the number of iterations ends the training (``max_iterations``, or ``tolerance``, not
    ``max_seconds``) results do not depend on the number of workers or on who finishes first.

    Parameters
    ----------
    datasets : mapping of str to Dataset, path, or mapping
        Shelves by name. A mapping has the arguments of `fit` (``velocity``, ``thickness``,
        ``mask``, ``front``: Datasets or paths), or of `assemble`, with which a worker cuts the
        shelf out of files of a continent. Where the velocity has a time dim there is one run for
        each time.
    inverter : SSAViscosityInverter, or mapping of str to SSAViscosityInverter
        Parameters, or sets of them by name; with a whole number as ``random_state``. With
        ``warm_start=True`` every time begins with what was found for the last earlier one.
    store : path
        Directory of the Zarr store, ``"shelves.zarr"``, where all workers can write. Fitted
        inverters are beside it, in ``shelves.models``.
    client : distributed.Client or str, optional
        A cluster, or the address of its scheduler; by default a LocalCluster for this call.
    template, variables, chunks : optional
        As in `SSAViscosityInverter.predict`, for what is stored.
    overwrite : bool
        Do everything again, also what is complete.
    max_running : int, optional
        Runs that are handed to the cluster at a time, one for each worker if not given. A cluster
        that grows with what waits for it needs a number.
    n_workers, threads_per_worker, memory_limit : optional
        Of the LocalCluster: by default one worker for each core, with one thread.
    progress : bool
        Whether to show a bar.

    Returns
    -------
    Campaign
        The table of all runs, and the store.

    Raises
    ------
    ParameterError
        Names or parameters that cannot be; nothing was begun.
    OutputExistsError
        Runs in the store were made with other parameters or of other data.
    CampaignInterruptedError
        The scheduler was lost.
    MissingDependencyError
        Without zarr or distributed.

    Examples
    --------
    >>> import xdiffice
    >>> inverter = xdiffice.SSAViscosityInverter(max_iterations=2000)
    >>> shelves = {"larsen_c": "larsen_c.nc", "ross": "ross.nc"}
    >>> result = xdiffice.campaign(shelves, inverter, "shelves.zarr")  # doctest: +SKIP
    >>> result.open()["larsen_c"]["viscosity"]  # doctest: +SKIP
    """
    require_zarr()
    archive = Archive(Path(store))
    runs = runs_of(datasets, inverter)
    known = {run.name: archive.record(run.name) for run in runs}
    others = [
        run.name
        for run in runs
        if known[run.name]["status"] == COMPLETE and known[run.name]["identity"] != run.identity
    ]
    if others and not overwrite:
        raise OutputExistsError(
            f"{len(others)} runs in {archive.path} are complete with other parameters or of other "
            f"data: {', '.join(others[:5])}; choose another store, or pass overwrite=True"
        )
    archive.prepare([run.name for run in runs])
    predict = {"template": template, "variables": variables, "chunks": chunks}
    jobs = [
        Job(run, archive, predict, overwrite)
        for run in runs
        if overwrite or known[run.name]["status"] != COMPLETE
    ]
    outcomes = dict.fromkeys(known, "skipped")
    if jobs:
        local = {
            "n_workers": n_workers,
            "threads_per_worker": threads_per_worker,
            "memory_limit": memory_limit,
        }
        with _client(client, local) as connected, _bar(len(runs), progress) as bar:
            bar.update(len(runs) - len(jobs))
            for job, status in _done(jobs, connected, max_running):
                name = job.run.name
                outcomes[name] = _outcome(job, status, known[name]["status"])
                failed = sum(outcome == "failed" for outcome in outcomes.values())
                bar.set_postfix(failed=failed, refresh=False)
                bar.update()
    table = archive.table([*known])
    table.insert(0, "outcome", [*outcomes.values()])
    return Campaign(archive.path, table)


def _done(
    jobs: list[Job], client: Client, max_running: int | None
) -> Iterator[tuple[Job, str | Exception]]:
    """Hand out jobs, and yield them as they end, with what `do` returned or what ended it."""
    from distributed import as_completed

    waiting, running, ended = list(jobs), dict[Any, Job](), set[str]()
    names = {job.run.name for job in jobs}

    def hand_out() -> None:
        slots = max_running or max(1, len(client.scheduler_info(n_workers=-1)["workers"]))
        for job in list(waiting):
            if len(running) >= slots:
                return
            if all(name in ended or name not in names for name in job.run.before):
                waiting.remove(job)
                future = client.submit(do, job, key=f"xdiffice-{job.run.name}", pure=False)
                running[future] = job
                completed.add(future)

    try:
        completed = as_completed(loop=client.loop)
        hand_out()
        while running:
            future = next(completed)
            job, status = running.pop(future), future.status
            if status not in ("finished", "error"):
                raise OSError(f"run {job.run.name} is {status}")
            yield job, future.result() if status == "finished" else future.exception()
            ended.add(job.run.name)
            hand_out()
    # What is raised depends on what the client was doing when its scheduler went.
    except (OSError, TimeoutError, CancelledError) as error:
        raise CampaignInterruptedError(
            f"the cluster was lost after {len(ended)} of {len(jobs)} runs, which stay in the store "
            f"({error}); call again to do the others"
        ) from error
    finally:
        with suppress(Exception):
            client.cancel([*running])


def _outcome(job: Job, status: str | Exception, before: str) -> str:
    """Return what became of a run; one that killed its workers over and over has failed."""
    if isinstance(status, CampaignInterruptedError):
        raise status
    if isinstance(status, Exception):
        error = f"{type(status).__name__}: {status}"
        job.archive.fail(job.run.name, {"identity": job.run.identity, "error": error})
        status = FAILED
    if status == FAILED:
        return "failed"
    return "retried" if before == FAILED else "computed"


@contextmanager
def _client(client: Client | str | None, local: Mapping[str, Any]) -> Iterator[Client]:
    """Connect to a cluster; start one where none is given."""
    import dask

    try:
        from distributed import Client
    except ImportError as error:
        raise MissingDependencyError(
            "a campaign runs on dask.distributed, which is not installed: "
            "pip install 'xdiffice[distributed]'"
        ) from error
    # Datasets in memory travel with their run, which dask warns of.
    with dask.config.set({"distributed.admin.large-graph-warning-threshold": "1TB"}):
        if isinstance(client, Client):
            yield client
        elif client is not None:
            with Client(client, timeout=CONNECT_SECONDS, set_as_default=False) as connected:
                yield connected
        else:
            with local_client(**local) as connected:
                yield connected


def _bar(n_runs: int, progress: bool) -> Any:
    """Return a bar for a terminal or a notebook, and lines where the output goes into a file."""
    if progress and not shows_bars():
        return _Lines(n_runs)
    return tqdm(total=n_runs, disable=not progress, unit="run", desc="campaign")


class _Lines:
    """A bar for a log: a line for every run that has ended."""

    def __init__(self, total: int):
        self._total, self._done, self._failed = total, 0, 0
        self._started = time.monotonic()

    def __enter__(self) -> _Lines:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def set_postfix(self, *, failed: int, refresh: bool) -> None:
        self._failed = failed

    def update(self, n: int = 1) -> None:
        self._done += n
        if n:
            failed = f", {self._failed} failed" if self._failed else ""
            seconds = time.monotonic() - self._started
            line = f"campaign: {self._done} of {self._total} runs{failed}, {seconds:.0f} s"
            print(line, file=sys.stderr, flush=True)
