"""What was done: a Zarr store with a group for every run, and its fitted networks beside it.

A group is renamed into its place when it is complete, so what can be read is complete. Its
attributes say how the run went; of all groups together they make the table of a campaign.
"""

from __future__ import annotations

import datetime as dt
import json
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from shutil import rmtree
from typing import TYPE_CHECKING, Any

import xarray as xr

from xdiffice import __version__
from xdiffice.errors import FileFormatError, MissingDependencyError
from xdiffice.results.writing import write_whole

if TYPE_CHECKING:
    import pandas as pd

COMPLETE, FAILED, MISSING = "complete", "failed", "missing"
STALE = 24 * 3600.0
"""Seconds after which what somebody left half written is swept away."""
FIRST_COLUMNS = ("status", "stop_reason", "n_iter", "seconds", "error")


@dataclass(frozen=True)
class Archive:
    """The store of a campaign.

    Parameters
    ----------
    path : Path
        Directory of the Zarr store.
    """

    path: Path

    @property
    def models(self) -> Path:
        """Directory of the fitted inverters, netCDF files for `xdiffice.load`."""
        return self.path.with_suffix(".models")

    @property
    def scratch(self) -> Path:
        """Directory of what is not complete yet, on the same file system."""
        return self.path.with_suffix(".partial")

    def model_of(self, name: str) -> Path:
        """File of the fitted inverter of a run."""
        return self.models / f"{name}.nc"

    def prepare(self, names: list[str]) -> None:
        """Make the groups that hold runs, and sweep away what was left half written.

        Raises
        ------
        FileFormatError
            If there is something else at the path.
        """
        if self.path.exists() and not (self.path / "zarr.json").exists():
            raise FileFormatError(
                f"{self.path} exists and is no Zarr store of format 3; choose another name"
            )
        self.scratch.mkdir(parents=True, exist_ok=True)
        for left in self.scratch.iterdir():
            if time.time() - left.stat().st_mtime > STALE:
                rmtree(left, ignore_errors=True)
        self._make_group(self.path, {"source": f"xdiffice {__version__}"})
        for name in names:
            parts = name.split("/")[:-1]
            for depth in range(1, len(parts) + 1):
                self._make_group(self.path.joinpath(*parts[:depth]), {})
            self.model_of(name).parent.mkdir(parents=True, exist_ok=True)

    def record(self, name: str) -> dict[str, Any]:
        """Return what is known of a run: its attributes; only a status if nothing is."""
        try:
            attrs = json.loads((self.path / name / "zarr.json").read_text())["attributes"]
        except (OSError, ValueError, KeyError):
            return {"status": MISSING}
        return attrs if "status" in attrs else {"status": MISSING}

    def names(self) -> Iterator[str]:
        """Names of all runs in the store, in order."""
        for file in sorted(self.path.glob("**/zarr.json")):
            name = str(file.parent.relative_to(self.path))
            if self.record(name)["status"] != MISSING:
                yield name

    def complete(
        self, name: str, result: xr.Dataset, save: Callable[[Path], Any], attrs: Mapping[str, Any]
    ) -> None:
        """Keep the result of a run, and its fitted inverter, which `save` writes."""
        write_whole(self.model_of(name), save)
        result = result.assign_attrs(_attrs(COMPLETE, attrs))
        self._write(name, lambda path: result.to_zarr(path, mode="w", consolidated=False))

    def fail(self, name: str, attrs: Mapping[str, Any]) -> None:
        """Keep why a run failed, unless there is a result that is complete."""
        if self.record(name)["status"] != COMPLETE:
            self._write(name, lambda path: _group(path, _attrs(FAILED, attrs)))

    def table(self, names: list[str] | None = None) -> pd.DataFrame:
        """Return a row for every run: how it ended, its misfits and residuals."""
        import pandas as pd

        names = [*self.names()] if names is None else names
        rows = [self.record(name) for name in names]
        kept = [
            {
                key: value
                for key, value in row.items()
                if key in FIRST_COLUMNS
                or key.startswith(("misfit_", "noise_", "residual_", "jump_"))
                or key in ("finished", "started_from")
            }
            for row in rows
        ]
        table = pd.DataFrame(kept, index=pd.Index(names, name="run"))
        first = [name for name in FIRST_COLUMNS if name in table]
        return table[[*first, *(name for name in table if name not in first)]]

    def _make_group(self, path: Path, attrs: Mapping[str, Any]) -> None:
        if not (path / "zarr.json").exists():
            write_whole(path, lambda beside: _group(beside, attrs), self.scratch)

    def _write(self, name: str, write: Callable[[Path], Any]) -> None:
        write_whole(self.path / name, write, self.scratch)


def _attrs(status: str, attrs: Mapping[str, Any]) -> dict[str, Any]:
    finished = dt.datetime.now(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return {"status": status, **attrs, "finished": finished}


def _group(path: Path, attrs: Mapping[str, Any]) -> None:
    """Write a group without arrays."""
    zarr = require_zarr()
    zarr.open_group(path, mode="w", zarr_format=3, attributes=dict(attrs))


def require_zarr() -> Any:
    """Import zarr.

    Raises
    ------
    MissingDependencyError
        It is not installed.
    """
    try:
        import zarr
    except ImportError as error:
        raise MissingDependencyError(
            "a campaign writes Zarr, which is not installed: pip install 'xdiffice[zarr]'"
        ) from error
    return zarr
