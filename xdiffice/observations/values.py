"""What the numbers of one variable are: decoded, checked, in SI.

It turns a variable with any storage (packed, filled, quantified, with extra dims) into plain
float64 arrays in which NaN is the only sign for missing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr

from xdiffice.errors import DataValuesError

LARGEST = 1e18
"""Fill values that no attribute tells are beyond it: 1e20, 9.97e36, the least 64-bit integer."""


def squeeze(array: xr.DataArray, dims: Sequence[str]) -> xr.DataArray:
    """Drop dims of size 1 that are not horizontal, and transpose the others to `dims`.

    Raises
    ------
    DataValuesError
        If another dim is longer, saying how to select from it.
    """
    extra = [dim for dim in array.dims if dim not in dims]
    long = [dim for dim in extra if array.sizes[dim] != 1]
    if long:
        shown = ", ".join(f"{dim!r} (size {array.sizes[dim]})" for dim in long)
        choice = ", ".join(f"{dim}=0" for dim in long)
        raise DataValuesError(
            f"{array.name!r} has more than its horizontal dims {tuple(dims)}: {shown}; "
            f"select one first, for example ds.isel({choice}) or ds.mean({str(long[0])!r})"
        )
    return array.isel(dict.fromkeys(extra, 0)).transpose(*dims)


def decode(
    values: np.ndarray, attrs: Mapping[str, Any], name: str, *, boolean: bool = False
) -> np.ndarray:
    """Return float64 values with NaN where they are missing.

    Fill values and scale factors that still stand in the attributes belong to a file that was
    opened without decoding, and are applied.

    Parameters
    ----------
    values : ndarray
        Any numeric dtype.
    attrs : mapping
        Attributes of the variable.
    name : str
        Its name, for messages.
    boolean : bool, default False
        Whether booleans are allowed.

    Raises
    ------
    DataValuesError
        If the values are not real numbers, infinite, or beyond `LARGEST`.
    """
    values = np.asarray(values)
    if values.dtype.kind not in ("biuf" if boolean else "iuf"):
        raise DataValuesError(
            f"{name!r} is not numeric: its dtype is {values.dtype}; convert it with ds.astype"
        )
    result = values.astype(np.float64)
    for key in ("_FillValue", "missing_value"):
        for fill in np.atleast_1d(attrs.get(key, [])):
            result[_equals(values, np.asarray(fill))] = np.nan
    try:
        scale, offset = float(attrs.get("scale_factor", 1.0)), float(attrs.get("add_offset", 0.0))
    except (TypeError, ValueError) as error:
        raise DataValuesError(
            f"scale_factor or add_offset of {name!r} is no number: {error}"
        ) from error
    with np.errstate(over="ignore", invalid="ignore"):
        result = result * scale + offset
    check_magnitude(result, name)
    return result


def check_magnitude(values: np.ndarray, name: str) -> None:
    """Refuse numbers that no position, length or speed has in any unit.

    Raises
    ------
    DataValuesError
        Infinite values, or some beyond `LARGEST`.
    """
    infinite = int(np.isinf(values).sum())
    if infinite:
        raise DataValuesError(
            f"{name!r} has {count(infinite, 'infinite value')}; "
            "replace them by NaN where they mean missing"
        )
    beyond = np.abs(values) > LARGEST
    if beyond.any():
        raise DataValuesError(
            f"{name!r} has {count(int(beyond.sum()), 'value')} beyond {LARGEST:g}, such as "
            f"{values[beyond].flat[0]:g}: where this means missing, replace it by NaN or set the "
            "attribute _FillValue"
        )


def _equals(values: np.ndarray, fill: np.ndarray) -> np.ndarray:
    """Compare with a fill value in the stored precision: 3.4028235e38 is no float64."""
    if fill.dtype.kind not in "iuf":
        return np.zeros(values.shape, dtype=bool)
    equal: np.ndarray
    if values.dtype.kind == "f":
        with np.errstate(over="ignore"):
            equal = values == fill.astype(values.dtype)
    else:  # not cast, as -9999 would become 241 in uint8
        equal = values == float(fill)
    return equal


def clean_error(error: np.ndarray, name: str, notes: list[str]) -> np.ndarray | None:
    """Give points whose error is missing or not positive the median error of the others.

    Returns None, with a note, where no error is usable.
    """
    usable = np.isfinite(error) & (error > 0)
    bad = int((~usable).sum())
    if bad == error.size:
        notes.append(f"errors {name!r} are not used: none of them is positive")
        return None
    if bad:
        notes.append(
            f"{bad} of {error.size} errors in {name!r} are missing or not positive; "
            "those points got the median of the others"
        )
    return np.where(usable, error, np.median(error[usable]))


def count(number: int, noun: str) -> str:
    """Return a number with its noun, in the plural where it should be."""
    return f"{number} {noun}{'' if number == 1 else 's'}"
