"""What a Dataset needs in order to be called CF: attributes, and axes without gaps.

Whoever makes one hands it on through `conforming`, so that what ``to_netcdf`` writes conforms.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import xarray as xr

CONVENTIONS = "CF-1.11"


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
