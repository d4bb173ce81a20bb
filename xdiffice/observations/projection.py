"""What a Dataset says about its map projection.

It finds a variable's grid mapping, tells whether its unit is the metre, and whether two of them
can be the same projection; nothing is ever reprojected.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr

from xdiffice.errors import CoordinateError

_MAPPING_ATTRS = ("grid_mapping_name", "crs_wkt", "spatial_ref")

# What decides where a point lies on the map, to within the tens of metres of a datum.
_PARAMETERS = (
    "standard_parallel",
    "straight_vertical_longitude_from_pole",
    "longitude_of_central_meridian",
    "longitude_of_projection_origin",
    "latitude_of_projection_origin",
    "false_easting",
    "false_northing",
)
_ELLIPSOID = ("semi_major_axis", "inverse_flattening")


def mapping_of(array: xr.DataArray, dataset: xr.Dataset) -> str | None:
    """Return the name of the variable's grid mapping, if the Dataset holds it.

    It may stand in the attributes or, after ``decode_coords="all"``, in the encoding; the long
    form ``"crs: x y"`` is understood. Without either, the only grid mapping there is.
    """
    for source in (array.attrs, array.encoding):
        written = source.get("grid_mapping")
        if isinstance(written, str) and written.strip():
            name = written.split()[0].rstrip(":")
            return name if name in dataset.variables else None
    names = [
        str(name)
        for name, variable in dataset.variables.items()
        if any(key in variable.attrs for key in _MAPPING_ATTRS)
    ]
    return names[0] if len(names) == 1 else None


def is_metric(attrs: Mapping[str, Any]) -> bool:
    """Tell whether a grid mapping is a projection whose unit is, as usual, the metre."""
    if attrs.get("grid_mapping_name") == "latitude_longitude":
        return False
    text = " ".join(str(value) for value in attrs.values())
    if re.search(r"kilomet|units=km|foot|feet", text, re.IGNORECASE):
        return False
    wkt = str(attrs.get("crs_wkt", attrs.get("spatial_ref", "")))
    return "grid_mapping_name" in attrs or wkt.lstrip().startswith(("PROJ", "COMPD", "BOUND"))


def compare(one: Mapping[str, Any], two: Mapping[str, Any], names: tuple[str, str]) -> str | None:
    """Compare the grid mappings of two variables by what they state.

    Equality of coordinate reference systems would ask too much: velocity and thickness products of
    Antarctica share a projection and differ in the ellipsoid they write down.

    Parameters
    ----------
    one, two : mapping
        Attributes of the grid mapping variables.
    names : tuple of str
        Names of the two variables, for messages.

    Returns
    -------
    str or None
        A note where the ellipsoids differ.

    Raises
    ------
    CoordinateError
        If the projections differ.
    """
    different = [
        f"{key} {one[key]!r} and {two[key]!r}"
        for key in ("grid_mapping_name", *_PARAMETERS)
        if key in one and key in two and not _same(one[key], two[key])
    ]
    if different:
        raise CoordinateError(
            f"{names[0]!r} and {names[1]!r} are in different projections: "
            f"{', '.join(different)}; reproject one of them"
        )
    if any(key in one and key in two and not _same(one[key], two[key]) for key in _ELLIPSOID):
        return (
            f"{names[0]!r} and {names[1]!r} state different ellipsoids; their coordinates are "
            "used as they are"
        )
    return None


def _same(one: object, two: object) -> bool:
    """Compare attributes that are names, numbers, or several numbers."""
    if isinstance(one, str) or isinstance(two, str):
        return str(one).strip().lower() == str(two).strip().lower()
    a, b = np.atleast_1d(np.asarray(one)), np.atleast_1d(np.asarray(two))
    return a.shape == b.shape and bool(np.allclose(a, b, rtol=1e-9))
