"""Thickness along flight lines: text tables of radar surveys become CF Datasets of points.

What columns are called, and their units, is a table; positions in longitude and latitude are
projected by pyproj.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from xdiffice.errors import FileFormatError, MissingDependencyError
from xdiffice.observations.conventions import conforming
from xdiffice.observations.units import factor

MISSING = -9999.0
"""What radar tables write where there is no value."""


@dataclass(frozen=True)
class Column:
    """How to recognise a column.

    Parameters
    ----------
    name : str
        Regular expression for its whole name, without units in brackets; case does not matter.
    units : str or None
        Units where the header has none and the format's documentation tells them.
    si : str or None
        SI units; None for degrees.
    """

    name: str
    units: str | None
    si: str | None = "m"


COLUMNS: dict[str, Column] = {
    "x": Column(r"x|easting|projection_x_coordinate", None),
    "y": Column(r"y|northing|projection_y_coordinate", None),
    "longitude": Column(r"lon(gitude)?", "degree", None),
    "latitude": Column(r"lat(itude)?", "degree", None),
    # OPR (CReSIS) level 2: LAT, LON, UTCTIMESOD, THICK, ELEVATION, FRAME, SURFACE, BOTTOM, QUALITY
    "thickness": Column(r"thick|(land_)?(ice_)?thickness", None),
    "thickness_error": Column(r"(land_)?(ice_)?thickness_(error|uncertainty|std)", None),
}
OPR = {"LAT", "LON", "THICK", "FRAME", "QUALITY"}
"""Columns of OPR level 2 tables, whose documentation gives metres."""


def open_flight_lines(
    path: str | PathLike[str],
    *,
    crs: Any = "EPSG:3031",
    units: Mapping[str, str] | None = None,
) -> xr.Dataset:
    """Open a text table of ice thickness along flight lines.

    Understood are the CSV files of Bedmap1 to 3, OPR (CReSIS) level 2, and any table with columns
    for thickness and position: ``x`` and ``y``, or longitude and latitude.

    Parameters
    ----------
    path : path
        Comma-separated, with one line of names; lines that begin with ``#`` are skipped.
    crs : any that pyproj understands, default "EPSG:3031"
        Projection of the shelf's other data, into which longitudes and latitudes are brought.
    units : mapping, optional
        Units by column or role (``thickness``, ``x``, ...), where the header has none.

    Returns
    -------
    Dataset
        ``thickness`` (and ``thickness_error``) on ``point`` with coordinates ``x`` and ``y``, m.
        Rows without a thickness (missing, or -9999) are left out.

    Raises
    ------
    FileFormatError
        If the file cannot be read, or has no thickness or no positions.
    UnitsError
        If units are missing or wrong.
    MissingDependencyError
        If positions must be projected, and pyproj is not there.
    """
    path = Path(path)
    names, table = _read(path)
    found = {role: _column(role, names) for role in COLUMNS}
    if found["thickness"] is None:
        raise FileFormatError(f"{path.name} has no column of thickness; it has {', '.join(names)}")
    values = {
        role: _si(role, column, names, table, units)
        for role, column in found.items()
        if column is not None
    }
    if {"x", "y"} <= set(values):
        x, y = values["x"], values["y"]
    elif {"longitude", "latitude"} <= set(values):
        x, y = _projected(values["longitude"], values["latitude"], crs)
    else:
        raise FileFormatError(
            f"{path.name} has no positions: looked for x and y, or longitude and latitude; it has "
            f"{', '.join(names)}"
        )
    kept = np.isfinite(values["thickness"]) & np.isfinite(x) & np.isfinite(y)
    if not kept.any():
        raise FileFormatError(f"{path.name} has no row with a thickness and a position")
    result = xr.Dataset(
        coords={
            name: (
                "point",
                position[kept],
                {
                    "units": "m",
                    "standard_name": f"projection_{name}_coordinate",
                    "axis": name.upper(),
                },
            )
            for name, position in (("x", x), ("y", y))
        },
    )
    attrs = {"units": "m", "standard_name": "land_ice_thickness", "long_name": "ice thickness"}
    result["thickness"] = ("point", values["thickness"][kept], attrs)
    if "thickness_error" in values:
        result["thickness"].attrs["ancillary_variables"] = "thickness_error"
        result["thickness_error"] = ("point", values["thickness_error"][kept], {"units": "m"})
    described = {
        "title": "Ice thickness along flight lines",
        "history": f"read from {path.name} by xdiffice.open_flight_lines",
    }
    return conforming(result, described)


def _read(path: Path) -> tuple[list[str], np.ndarray]:
    """Return the names of the columns, and numbers, NaN where there are none."""
    import pandas as pd

    if not path.is_file():
        raise FileFormatError(f"there is no file {str(path)!r}")
    try:
        table = pd.read_csv(path, comment="#", skipinitialspace=True)
    except Exception as error:  # pandas leaks ParserError, EmptyDataError, UnicodeDecodeError, ...
        raise FileFormatError(f"{path.name} cannot be read as a table: {error}") from error
    numbers = table.apply(pd.to_numeric, errors="coerce").to_numpy(np.float64)
    return [str(name).strip() for name in table.columns], np.where(
        numbers == MISSING, np.nan, numbers
    )


def _column(role: str, names: list[str]) -> int | None:
    """Return the number of the column for a role, None where there is none."""
    matching = [
        i
        for i, name in enumerate(names)
        if re.fullmatch(COLUMNS[role].name, _bare(name)[0], re.IGNORECASE)
    ]
    return matching[0] if matching else None


def _bare(name: str) -> tuple[str, str | None]:
    """Split ``thickness (m)`` into name and units."""
    found = re.fullmatch(r"(.*?)\s*[\[(]([^\])]*)[\])]", name)
    return (found[1], found[2]) if found else (name, None)


def _si(
    role: str,
    column: int,
    names: list[str],
    table: np.ndarray,
    units: Mapping[str, str] | None,
) -> np.ndarray:
    row, (bare, written) = COLUMNS[role], _bare(names[column])
    if row.si is None:
        return table[:, column]
    known = written or row.units or ("m" if set(names) >= OPR else None)
    for key in (role, bare, names[column]):
        known = (units or {}).get(key, known)
    return table[:, column] * factor(known, row.si, names[column])


def _projected(
    longitude: np.ndarray, latitude: np.ndarray, crs: Any
) -> tuple[np.ndarray, np.ndarray]:
    """Return x and y, m; NaN where a position is missing."""
    try:
        from pyproj import Transformer
    except ImportError as error:
        raise MissingDependencyError(
            "longitudes and latitudes are projected by pyproj: pip install 'xdiffice[geo]'"
        ) from error
    known = np.isfinite(longitude) & np.isfinite(latitude)
    x, y = np.full((2, longitude.size), np.nan)
    transformer = Transformer.from_crs("EPSG:4326", crs, always_xy=True)
    x[known], y[known] = transformer.transform(longitude[known], latitude[known])
    return x, y
