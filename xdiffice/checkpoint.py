"""The file from which an interrupted `fit` goes on: netCDF, arrays and text, never code.

Written beside and renamed, with a checksum at its end: whenever a process is killed, the file is
whole, and either the last or the one before.
"""

from __future__ import annotations

import json
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from xdiffice import __version__
from xdiffice.errors import (
    CheckpointWarning,
    FileFormatError,
    ParameterError,
    XdifficeError,
    warn,
)
from xdiffice.results.writing import check_seal, seal, write_whole
from xdiffice.training.snapshot import Snapshot

FORMAT = "xdiffice checkpoint"
FORMAT_VERSION = 1
MOST_TIME = 0.05  # of the training that is spent on writing


class Checkpoint:
    """A `xdiffice.training.snapshot.Keeper` that keeps snapshots in a file.

    Parameters
    ----------
    path : path-like
        The file.
    seconds : float
        Between two snapshots; more where writing one takes more than a twentieth of it.
    """

    def __init__(self, path: Any, seconds: float):
        self.path, self._seconds = Path(path), float(seconds)
        self._last, self._took = time.monotonic(), 0.0

    def found(self, identity: str) -> Snapshot | None:
        """Read what an earlier training left.

        Raises
        ------
        FileFormatError
            The file is damaged, or something else, or of a later version.
        ParameterError
            It is of other data or parameters, or where no file can be.
        """
        if self.path.is_dir() or not self.path.parent.is_dir():
            raise ParameterError(
                f"checkpoint={str(self.path)!r}: there is no directory {self.path.parent}, or the "
                "path is itself a directory; give a file in a directory that exists"
            )
        if not self.path.exists():
            return None
        advice = "remove it, or choose another name for the checkpoint"
        check_seal(self.path)
        try:
            with xr.open_dataset(self.path, engine="netcdf4") as stored:
                stored.load()
            attrs = stored.attrs
            if attrs.get("format") != FORMAT:
                raise FileFormatError(f"{self.path} is no checkpoint of xdiffice; {advice}")
            if not 1 <= int(attrs["format_version"]) <= FORMAT_VERSION:
                raise FileFormatError(
                    f"{self.path} is of format version {attrs['format_version']}, written by "
                    f"{attrs.get('source')!r}; this version reads up to {FORMAT_VERSION}: {advice}"
                )
            if attrs["identity"] != identity:
                raise ParameterError(
                    f"checkpoint={str(self.path)!r} is of other data or parameters than this fit; "
                    f"{advice}"
                )
            names = json.loads(attrs["names"])
            arrays = {name: stored[f"array_{k}"].values for k, name in enumerate(names)}
            return Snapshot(json.loads(attrs["numbers"]), arrays)
        except XdifficeError:
            raise
        except (OSError, KeyError, ValueError, TypeError) as error:
            raise FileFormatError(f"{self.path} cannot be read: {error!r}; {advice}") from error

    def due(self) -> bool:
        """Tell whether enough time has passed."""
        wait = max(self._seconds, self._took / MOST_TIME)
        return time.monotonic() - self._last >= wait

    def keep(self, identity: str, snapshot: Snapshot) -> str | None:
        """Write a snapshot over the one before; a full disk is no reason to stop training."""
        started = time.monotonic()
        dataset = xr.Dataset(
            {
                f"array_{k}": ([f"dim_{k}_{axis}" for axis in range(array.ndim)], array)
                for k, array in enumerate(snapshot.arrays.values())
            },
            attrs={
                "format": FORMAT,
                "format_version": FORMAT_VERSION,
                "source": f"xdiffice {__version__}",
                "identity": identity,
                "names": json.dumps([*snapshot.arrays]),
                "numbers": json.dumps(snapshot.numbers, default=_plain),
            },
        )

        def write(path: Path) -> None:
            dataset.to_netcdf(path, engine="netcdf4")
            seal(path)

        try:
            write_whole(self.path, write)
        except (OSError, RuntimeError) as error:
            trouble = f"no checkpoint was written to {self.path}: {error}; training goes on"
            warn(trouble, CheckpointWarning)
            return trouble
        finally:
            self._last = time.monotonic()
            self._took = self._last - started
        return None


@contextmanager
def termination_as_interruption() -> Iterator[None]:
    """Let SIGTERM end a training as Ctrl-C does, where nobody else listens to it."""
    listens = (
        threading.current_thread() is threading.main_thread()
        and signal.getsignal(signal.SIGTERM) == signal.SIG_DFL
    )
    if not listens:
        yield
        return
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _plain(value: Any) -> Any:
    if isinstance(value, np.generic | np.ndarray):
        return value.tolist()
    raise TypeError(f"{value!r} of type {type(value).__name__}")
