"""TOML files in which a user says something: read, and held against what can be said."""

from __future__ import annotations

import inspect
import tomllib
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from xdiffice.errors import FileFormatError, ParameterError


def read_toml(path: Path) -> dict[str, Any]:
    """Read a file.

    Raises
    ------
    FileFormatError
        No such file, or no TOML, with the line that is none.
    """
    try:
        with open(path, "rb") as file:
            return tomllib.load(file)
    except FileNotFoundError as error:
        raise FileFormatError(f"no such file: {path}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise FileFormatError(f"{path} is no TOML: {error}") from error


def unknown_keys(content: Mapping[str, Any], known: Iterable[str], where: str = "") -> list[str]:
    """Say for every key that is not known what it may have been meant to be."""
    known = [*known]
    problems = []
    for key in content:
        if key not in known:
            close = get_close_matches(key, known, n=3)
            hint = (
                f"did you mean {' or '.join(close)}?" if close else f"known are {', '.join(known)}"
            )
            problems.append(f"{key!r} is unknown{where}; {hint}")
    return problems


def parameters_of(estimator: type) -> tuple[str, ...]:
    """Names of what an estimator is constructed with."""
    return tuple(inspect.signature(estimator).parameters)


def read_parameters(path: Path, estimator: type) -> dict[str, Any]:
    """Read parameters of an estimator: the keys are their names, paths are relative to the file.

    Raises
    ------
    FileFormatError
        No such file, or no TOML.
    ParameterError
        Unknown keys, all in one message.
    """
    content = read_toml(path)
    problems = unknown_keys(content, parameters_of(estimator))
    if problems:
        raise ParameterError(f"{path}: " + "; ".join(problems))
    if isinstance(content.get("checkpoint"), str):
        content["checkpoint"] = path.parent / content["checkpoint"]
    return content
