"""Formats of pictures, asked for before the work that is to be drawn."""

from __future__ import annotations

from pathlib import Path

from xdiffice.errors import ParameterError
from xdiffice.pictures import maps


def check_format(path: Path) -> None:
    """Refuse a name in whose format matplotlib cannot draw.

    Raises
    ------
    ParameterError
        Its ending is none that matplotlib knows.
    MissingDependencyError
        matplotlib is not installed.
    """
    maps.require_matplotlib()
    from matplotlib.backend_bases import FigureCanvasBase

    formats = FigureCanvasBase.get_supported_filetypes()
    if path.suffix.removeprefix(".").lower() not in formats:
        ending = f"{path.suffix!r} is no format of pictures" if path.suffix else "no format is said"
        raise ParameterError(f"{path}: {ending}; known are {', '.join(formats)}")
