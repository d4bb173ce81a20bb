"""What can go wrong with a user's input, as one small tree of exceptions.

Every class is also the built-in kind that a caller would expect, so that ``except ValueError``
keeps working. A message says what was looked for, what was found, and what to do.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Sequence


class XdifficeError(Exception):
    """Base of all errors that this package raises on purpose."""


class UnitsError(XdifficeError, ValueError):
    """Units are missing, unknown, or of the wrong dimension."""


class InputTypeError(XdifficeError, TypeError):
    """An argument is not the kind of object that is expected, e.g. not an xarray.Dataset."""


class VariableNotFoundError(XdifficeError, KeyError):
    """A variable that the inversion needs is not in the Dataset."""

    def __str__(self) -> str:
        # KeyError would show the repr of the message, with its quotes and escapes.
        return str(self.args[0]) if self.args else ""


class AmbiguousVariableError(XdifficeError, ValueError):
    """More than one variable could play the same role."""


class CoordinateError(XdifficeError, ValueError):
    """Horizontal coordinates are missing, not projected, or unusable."""


class DataValuesError(XdifficeError, ValueError):
    """The values themselves cannot be used: nothing valid, infinite, non-numeric, out of place."""


class ParameterError(XdifficeError, ValueError):
    """A parameter has a value that it cannot have."""


class FileFormatError(XdifficeError, ValueError):
    """A file is not what its reader expects."""


class OutputExistsError(XdifficeError, FileExistsError):
    """Writing would replace a file that is already there."""


class ConvergenceError(XdifficeError, RuntimeError):
    """An iteration did not reach its tolerance."""


class MissingDependencyError(XdifficeError, ImportError):
    """An optional package is needed and not installed."""


class CampaignInterruptedError(XdifficeError, RuntimeError):
    """A campaign ended before all runs were done; those that were complete stay."""


class PlausibilityWarning(UserWarning):
    """The input can be used, but a number in it looks wrong: often its units."""


def warn(message: str, category: type[Warning]) -> None:
    """Warn at the line of the user that called this package, however deep it was noticed.

    Parameters
    ----------
    message : str
        What is doubtful.
    category : type of Warning
        Its class.
    """
    # Python 3.12 has skip_file_prefixes for this.
    package, level = __name__.partition(".")[0], 2
    frame = sys._getframe(1)
    while frame.f_back is not None and (
        str(frame.f_globals.get("__name__")).partition(".")[0] == package
    ):
        frame, level = frame.f_back, level + 1
    warnings.warn(message, category, stacklevel=level)


class InvalidDatasetError(XdifficeError, ValueError):
    """Several problems of one Dataset, all of them in one message.

    Parameters
    ----------
    problems : sequence of XdifficeError
        The single problems, each with its own message.
    """

    def __init__(self, problems: Sequence[XdifficeError]):
        self.problems = tuple(problems)
        lines = [f"the Dataset has {len(self.problems)} problems:"]
        lines += [f"  {number}. {problem}" for number, problem in enumerate(self.problems, 1)]
        super().__init__("\n".join(lines))

    def __reduce__(self) -> tuple[type[InvalidDatasetError], tuple[object, ...]]:
        return type(self), (self.problems,)


def raise_problems(problems: Sequence[XdifficeError]) -> None:
    """Raise nothing, the one problem itself, or an `InvalidDatasetError` that lists them all.

    Parameters
    ----------
    problems : sequence of XdifficeError
        What was found.

    Raises
    ------
    XdifficeError
        If there is one.
    InvalidDatasetError
        If there are several.
    """
    if len(problems) == 1:
        raise problems[0]
    if problems:
        raise InvalidDatasetError(problems)


class CheckpointWarning(UserWarning):
    """A checkpoint could not be written; the one before is intact, and the training goes on."""
