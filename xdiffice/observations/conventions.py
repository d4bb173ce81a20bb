"""What a Dataset needs in order to be called CF: attributes, and axes without gaps.

Whoever makes one hands it on through `conforming`, so that what ``to_netcdf`` writes conforms.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping
from pathlib import PurePath
from typing import Any

import xarray as xr

from xdiffice import __version__

CONVENTIONS = "CF-1.11"


def history_line(what: str, sources: Iterable[xr.Dataset] = ()) -> str:
    """Return a line of history: when, by which version, what, and out of which files.

    Parameters
    ----------
    what : str
        Such as "cut out by xdiffice.assemble".
    sources : iterable of Dataset
        What it was made of; those that were not opened from a file have no name.
    """
    now = dt.datetime.now(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    paths = (_path_of(one) for one in sources)
    names = dict.fromkeys(PurePath(path).name for path in paths if path)
    return f"{now} xdiffice {__version__}: {what}" + (f" of {', '.join(names)}" if names else "")


def _path_of(dataset: xr.Dataset) -> str:
    """Return the file that a Dataset was opened from, if only a variable tells."""
    encodings = [dataset.encoding, *(one.encoding for one in dataset.variables.values())]
    return next((str(each["source"]) for each in encodings if each.get("source")), "")


def conforming(dataset: xr.Dataset, attrs: Mapping[str, Any]) -> xr.Dataset:
    """Return a Dataset that says which conventions it follows.

    Parameters
    ----------
    dataset : Dataset
        Its variables have units and names already.
    attrs : mapping
        Attributes of the whole: CF wants ``title`` and ``history``.

    Returns
    -------
    Dataset
        With those attributes and ``Conventions``. Coordinates of dims are written without
        ``_FillValue``: CF forbids missing values there, and xarray gives one to all floats.
    """
    result = dataset.copy()
    result.attrs = {"Conventions": CONVENTIONS, **attrs}
    for used in {variable.attrs.get("grid_mapping") for variable in result.variables.values()}:
        if used in result.variables:
            mapping = result[used]
            result[used].attrs = {"long_name": "map projection", **mapping.attrs}
    for dim in result.indexes:
        coordinate = result[dim]
        if coordinate.dtype.kind == "f":
            coordinate.encoding["_FillValue"] = None
    return result
