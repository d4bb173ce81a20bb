"""One run, from its data to its group in the store: what a worker does."""

from __future__ import annotations

import json
import time
import traceback
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import dask

from xdiffice.campaigns.archive import COMPLETE, Archive
from xdiffice.campaigns.runs import Run
from xdiffice.errors import CampaignInterruptedError, XdifficeError
from xdiffice.inverter import SSAViscosityInverter
from xdiffice.storage import configuration, load, save


@dataclass(frozen=True)
class Job:
    """A run, where it goes, and what is kept of it.

    Parameters
    ----------
    run : Run
        What is done.
    archive : Archive
        Where it goes.
    predict : mapping of str to Any
        Arguments of `SSAViscosityInverter.predict`.
    overwrite : bool
        Whether it is done although it was.
    """

    run: Run
    archive: Archive
    predict: Mapping[str, Any]
    overwrite: bool = False


def do(job: Job) -> str:
    """Do one run and write what comes of it; nothing is raised but an interruption.

    Parameters
    ----------
    job : Job
        The run. If it was done meanwhile, by a worker that lost its scheduler, it is not repeated.

    Returns
    -------
    str
        ``complete`` or ``failed``.
    """
    run, archive = job.run, job.archive
    known = archive.record(run.name)
    if known["status"] == COMPLETE and known["identity"] == run.identity and not job.overwrite:
        return COMPLETE
    start = time.perf_counter()
    described: dict[str, Any] = {
        "identity": run.identity,
        "configuration": json.dumps(configuration(run.inverter)),
    }
    try:
        # A task of dask must not wait for other tasks: data are read in this thread.
        with dask.config.set(scheduler="synchronous"):
            inverter, before = _started(run, archive)
            inverter.fit(**run.source.data())
            if inverter.stop_reason_ == "interrupted":
                raise CampaignInterruptedError(f"{run.name} was interrupted")
            described |= _reported(inverter) | {"started_from": before}
            described["seconds"] = time.perf_counter() - start
            archive.complete(
                run.name,
                inverter.predict(**job.predict),
                lambda path: save(inverter, path),
                described,
            )
    except CampaignInterruptedError:
        raise
    except Exception as error:  # one shelf must not stop the others, whatever it is
        described |= {"error": f"{type(error).__name__}: {error}"}
        if not isinstance(error, XdifficeError):
            described["traceback"] = traceback.format_exc()
        archive.fail(run.name, described | {"seconds": time.perf_counter() - start})
        return "failed"
    return COMPLETE


def _started(run: Run, archive: Archive) -> tuple[SSAViscosityInverter, str]:
    """Return the inverter, and from which earlier run it starts."""
    for name in run.before:
        if archive.record(name)["status"] == COMPLETE:
            inverter = load(archive.model_of(name), rheology=_own_rheology(run.inverter))
            own = run.inverter.get_params(deep=False) | {"warm_start": True}
            return inverter.set_params(**own), name
    return run.inverter, ""


def _own_rheology(inverter: SSAViscosityInverter) -> Any:
    return None if isinstance(inverter.rheology, str) else inverter.rheology


def _reported(inverter: SSAViscosityInverter) -> dict[str, Any]:
    reported: dict[str, Any] = {
        "stop_reason": inverter.stop_reason_,
        "n_iter": int(inverter.n_iter_),
        "notes": "; ".join(inverter.notes_),
    }
    for kind in ("misfit", "noise", "residual", "jump"):
        for name, value in getattr(inverter, f"{kind}_", {}).items():
            reported[f"{kind}_{name}"] = float(value)
    return reported
