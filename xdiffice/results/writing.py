"""Files that are whole or not there: refused before the work, replaced only after it.

`check_outputs` says early what could not be written late; `write_whole` writes. A file with a
`seal` shows that it has not changed since.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import shutil
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from ..errors import FileFormatError, OutputExistsError, ParameterError

SEAL = b"\nxdiffice sha256 %s\n"
SEAL_BYTES = len(SEAL % (64 * b"0"))


def check_outputs(
    outputs: Sequence[Path], *, overwrite: bool = False, inputs: Iterable[str | Path] = ()
) -> None:
    """Refuse before the work what could not, or should not, be written after it.

    Parameters
    ----------
    outputs : sequence of Path
        Files that will be written.
    overwrite : bool, default False
        Whether they may be there already.
    inputs : iterable of str or Path
        Files that are read, and hence are not written even with `overwrite`.

    Raises
    ------
    OutputExistsError
        An output exists.
    ParameterError
        An output is an input, a directory, named twice, or in a place that cannot be written.
    """
    read = {Path(file).resolve() for file in inputs}
    seen: set[Path] = set()
    for path in outputs:
        if path.resolve() in seen:
            raise ParameterError(f"two outputs have the same name: {path}")
        seen.add(path.resolve())
        if path.resolve() in read:
            raise ParameterError(f"{path} is an input; choose another name for the output")
        if path.is_dir() and path.suffix != ".zarr":
            raise ParameterError(f"cannot write {path}: it is a directory")
        if path.exists() and not overwrite:
            raise OutputExistsError(f"{path} exists; choose another name, or pass --overwrite")
        if not path.parent.is_dir():
            raise ParameterError(f"cannot write {path}: there is no directory {path.parent}")
        try:
            # Permissions alone do not tell: a file system may be read-only.
            beside = _beside(path)
            beside.touch()
            beside.unlink()
        except OSError as error:
            raise ParameterError(f"cannot write {path}: {error.strerror}") from error


def write_whole(path: Path, write: Callable[[Path], Any], scratch: Path | None = None) -> None:
    """Write all of a file, or of a directory such as a Zarr store, or nothing.

    Parameters
    ----------
    path : Path
        Where it shall be; what is there is replaced at the end. A file is replaced in one step; of
        a directory the old one is beside it, under a hidden name, for the moment between two.
    write : callable
        Writes to the path that it is given: beside `path`, with the same suffix.
    scratch : Path, optional
        Another directory for what is not whole yet, on the same file system.

    Raises
    ------
    OSError
        There is no such directory, or it cannot be written.
    """
    if not path.parent.is_dir():
        raise FileNotFoundError(f"cannot write {path}: there is no directory {path.parent}")
    aside = path if scratch is None else scratch / path.name
    beside = _beside(aside)
    try:
        write(beside)
        if not (beside.is_dir() and path.exists()):
            os.replace(beside, path)
            return
        old = _beside(aside.with_name(f"old.{aside.name}"))
        os.replace(path, old)
        os.replace(beside, path)
        shutil.rmtree(old, ignore_errors=True)
    finally:
        if beside.is_dir():
            shutil.rmtree(beside, ignore_errors=True)
        else:
            beside.unlink(missing_ok=True)


def seal(path: Path) -> None:
    """Add a checksum of a file to its end, where HDF5 does not look."""
    with open(path, "rb+") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        file.write(SEAL % digest.encode())


def check_seal(path: Path) -> None:
    """Hold a file against the checksum at its end.

    Raises
    ------
    FileFormatError
        If it has none, or another one.
    """
    with open(path, "rb") as file:
        size = file.seek(0, os.SEEK_END)
        digest = hashlib.sha256()
        left = max(0, size - SEAL_BYTES)
        file.seek(0)
        while left and (block := file.read(min(left, 2**20))):
            digest.update(block)
            left -= len(block)
        end = file.read()
    if not end.startswith(SEAL.partition(b"%")[0]):
        raise FileFormatError(
            f"{path} does not end in a checksum: it was truncated, or not saved by xdiffice as an "
            "inverter or a checkpoint; a prediction is opened with xarray.open_dataset"
        )
    if end != SEAL % digest.hexdigest().encode():
        raise FileFormatError(f"{path} is damaged: its checksum is not that of its contents")


def _beside(path: Path) -> Path:
    """Name a hidden file in the same directory, hence on the same file system."""
    return path.with_name(f".{path.stem}.{secrets.token_hex(4)}{path.suffix}")
