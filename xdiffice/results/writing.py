"""Files that are whole or not there: refused before the work, replaced only after it.

`check_outputs` says early what could not be written late; `write_whole` writes.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from ..errors import OutputExistsError, ParameterError


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
        if path.is_dir():
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


def write_whole(path: Path, write: Callable[[Path], Any]) -> None:
    """Write all of a file or nothing.

    Parameters
    ----------
    path : Path
        Where the file shall be; what is there is replaced in one step, at the end.
    write : callable
        Writes a file to the path that it is given: beside `path`, with the same suffix.
    """
    beside = _beside(path)
    try:
        write(beside)
        os.replace(beside, path)
    finally:
        beside.unlink(missing_ok=True)


def _beside(path: Path) -> Path:
    """Name a hidden file in the same directory, hence on the same file system."""
    return path.with_name(f".{path.stem}.{os.getpid()}{path.suffix}")
