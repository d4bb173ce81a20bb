"""Which pixels are floating ice.

It reads masks by the meaning of their flags, never by integers that a product happens to use, and
hands on booleans on the mask's grid or at any points.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import xarray as xr

from xdiffice.errors import DataValuesError, ParameterError, UnitsError
from xdiffice.observations.axes import Grid
from xdiffice.observations.units import factor
from xdiffice.observations.values import count, decode

FLAGS = "flag_meanings"

_FLOATING = re.compile(r"float|shelf", re.IGNORECASE)
_WATER = re.compile(r"ocean|(^|_)(sea|open_water|water)$", re.IGNORECASE)
_NOT_FLOATING = re.compile(r"ground|(^|_)(non?|not|un)[_-]?(float|shelf|ice)", re.IGNORECASE)


def floating(
    values: np.ndarray, attrs: Mapping[str, Any], name: str, units: str | None
) -> np.ndarray:
    """Tell for each value of a mask whether it is floating ice.

    Understood are booleans, flags with ``flag_meanings`` (with ``flag_values`` or
    ``flag_masks``), and fractions (more than a half is ice). Missing values are not ice. Flags of
    booleans count for nothing: comparisons keep the attributes of what is compared.

    Parameters
    ----------
    values : ndarray
        The mask, of any shape.
    attrs : mapping
        Its attributes.
    name : str
        Its name.
    units : str or None
        Its units: a fraction may be in percent.

    Returns
    -------
    ndarray of bool

    Raises
    ------
    DataValuesError
        If it is numbers without meanings, or no meaning is that of floating ice.
    """
    values = np.asarray(values)
    if values.dtype.kind == "b":
        return values
    if FLAGS in attrs:
        return _by_flags(values, attrs, name)
    numbers = decode(values, attrs, name, boolean=True)
    valid = np.isfinite(numbers)
    called_floating = _FLOATING.search(
        " ".join(str(text) for text in (name, attrs.get("standard_name"), attrs.get("long_name")))
    )
    binary = bool(np.isin(numbers[valid], (0.0, 1.0)).all())
    if (values.dtype.kind in "iu" and not (binary and called_floating)) or not valid.any():
        raise _unclear(name, numbers[valid])
    scale = 1.0
    if units is not None and units.strip():
        try:
            scale = factor(units, "1", name)
        except UnitsError:  # masks carry units such as "None"; fractions are checked below
            scale = 1.0
    fraction = numbers * scale
    # a fraction may be off by interpolation or rounding
    if (fraction[valid] < -0.01).any() or (fraction[valid] > 1.01).any():
        raise _unclear(name, numbers[valid])
    return np.where(valid, fraction, 0.0) > 0.5


def with_meanings(
    mask: xr.DataArray,
    floating_values: Iterable[int] | int | None,
    ocean_values: Iterable[int] | int | None,
) -> xr.DataArray:
    """Give the values of a mask the meanings that the caller says they have.

    Parameters
    ----------
    mask : DataArray
        It is not changed.
    floating_values, ocean_values : int or iterable of int, or None
        What floats, and what is water. Without the first the mask keeps its own meanings. Of
        booleans the values are 0 and 1.

    Raises
    ------
    ParameterError
        If only water is given.
    """
    if floating_values is None:
        if ocean_values is not None:
            raise ParameterError("ocean_values says what is water; give floating_values as well")
        return mask
    pairs = [
        (int(value), meaning)
        for meaning, values in (("floating_ice", floating_values), ("ocean", ocean_values))
        if values is not None
        for value in np.atleast_1d(np.asarray(values))
    ]
    numbers = mask.astype(np.int8) if mask.dtype.kind == "b" else mask
    result = numbers.assign_attrs(
        flag_values=[value for value, _ in pairs],
        flag_meanings=" ".join(meaning for _, meaning in pairs),
    )
    result.attrs.pop("flag_masks", None)
    return result


def water(values: np.ndarray, attrs: Mapping[str, Any], name: str) -> np.ndarray | None:
    """Tell for each value of a mask whether it is water; None where its flags do not say.

    Parameters are those of `floating`.
    """
    values = np.asarray(values)
    if values.dtype.kind == "b":
        return None
    chosen = _water_flags(attrs)
    return _flagged(values, attrs, name, chosen) if chosen else None


def tells_floating(variable: xr.Variable | xr.DataArray) -> bool:
    """Tell whether a variable has flags of which one means floating ice."""
    has_flags = FLAGS in variable.attrs and variable.dtype.kind in "iuf"
    return has_flags and any(map(_means_floating, _meanings(variable.attrs)))


def tells_water(variable: xr.Variable | xr.DataArray) -> bool:
    """Tell whether a variable has flags of which one means water."""
    return variable.dtype.kind in "iuf" and bool(_water_flags(variable.attrs))


def no_floating_ice(
    values: np.ndarray, attrs: Mapping[str, Any], name: str, where: str = ""
) -> DataValuesError:
    """Make the error for a mask of which nothing floats: with the values that it has there."""
    wanted = ""
    if FLAGS in attrs and np.asarray(values).dtype.kind != "b" and "flag_values" in attrs:
        pairs = zip(_numbers(attrs["flag_values"]), _meanings(attrs), strict=False)
        floats = [f"{value:g}" for value, meaning in pairs if _means_floating(meaning)]
        wanted = f": no pixel has the value {' or '.join(floats)}" if floats else ""
    return DataValuesError(
        f"mask {name!r} has no floating ice{where}{wanted}; its values are {values_text(values)}"
    )


def floating_text(values: np.ndarray, attrs: Mapping[str, Any], name: str) -> str:
    """Say what of a mask counts as floating ice."""
    if np.asarray(values).dtype.kind == "b":
        return f"mask {name!r} is true"
    if FLAGS not in attrs:
        return f"mask {name!r} is above one half"
    chosen = [meaning for meaning in _meanings(attrs) if _means_floating(meaning)]
    return f"mask {name!r} is {' or '.join(dict.fromkeys(chosen)) or 'ice'}"


def water_text(attrs: Mapping[str, Any], name: str) -> str:
    """Say which flags of a mask count as water."""
    meanings = _meanings(attrs)
    return (
        f"mask {name!r} is {' or '.join(dict.fromkeys(meanings[i] for i in _water_flags(attrs)))}"
    )


def values_text(values: np.ndarray) -> str:
    """Return the values of a mask with how many pixels have each, not too many of them."""
    known = np.ravel(values)
    missing = 0
    if known.dtype.kind == "f":
        missing = int(np.isnan(known).sum())
        known = known[np.isfinite(known)]
    found, numbers = np.unique(known, return_counts=True)
    shown = [
        f"{value if isinstance(value, bool) else format(value, 'g')} "
        f"({count(int(number), 'pixel')})"
        for value, number in zip(found[:8].tolist(), numbers[:8], strict=True)
    ]
    shown += ["..."] if found.size > 8 else []
    shown += [f"missing ({count(missing, 'pixel')})"] if missing else []
    return ", ".join(shown) or "none"


def _water_flags(attrs: Mapping[str, Any]) -> list[int]:
    if FLAGS not in attrs:
        return []
    return [i for i, meaning in enumerate(_meanings(attrs)) if _WATER.search(meaning)]


def _by_flags(values: np.ndarray, attrs: Mapping[str, Any], name: str) -> np.ndarray:
    meanings = _meanings(attrs)
    chosen = [i for i, meaning in enumerate(meanings) if _means_floating(meaning)]
    if not chosen and _FLOATING.search(name):  # flags of a mask that is itself of floating ice
        chosen = [i for i, meaning in enumerate(meanings) if meaning.lower() in {"ice", "yes"}]
    if not chosen:
        raise DataValuesError(
            f"no flag of mask {name!r} means floating ice; its flag_meanings are "
            f"{', '.join(meanings)}. Pass a boolean mask, for example "
            f"mask=ds[{name!r}] == 3, or variables={{'mask': None}} to use none"
        )
    return _flagged(values, attrs, name, chosen)


def _meanings(attrs: Mapping[str, Any]) -> list[str]:
    return str(attrs[FLAGS]).replace(",", " ").split()


def _flagged(
    values: np.ndarray, attrs: Mapping[str, Any], name: str, chosen: list[int]
) -> np.ndarray:
    """Tell which values have one of the flags with these numbers."""
    meanings = _meanings(attrs)
    flags = {key: _numbers(attrs[key]) for key in ("flag_values", "flag_masks") if key in attrs}
    if not flags or any(len(numbers) != len(meanings) for numbers in flags.values()):
        raise DataValuesError(
            f"mask {name!r} has {len(meanings)} flag_meanings but flag_values "
            f"{attrs.get('flag_values')!r} and flag_masks {attrs.get('flag_masks')!r}; "
            "correct its attributes, or pass a boolean mask"
        )
    decoded = decode(values, attrs, name)
    whole = np.where(np.isfinite(decoded), decoded, 0.0)
    result = np.zeros(decoded.shape, dtype=bool)
    for i in chosen:
        if "flag_masks" in flags:
            bits = int(flags["flag_masks"][i])
            wanted = int(flags["flag_values"][i]) if "flag_values" in flags else bits
            result |= (whole.astype(np.int64) & bits) == wanted
        else:
            result |= whole == flags["flag_values"][i]
    return result & np.isfinite(decoded)


def _means_floating(meaning: str) -> bool:
    return bool(_FLOATING.search(meaning)) and not _NOT_FLOATING.search(meaning)


def _numbers(flags: object) -> list[float]:
    """Read flag numbers; some products write them as text: "0b 1b 2b 3b", "0, 1, 2"."""
    if isinstance(flags, str):
        return [float(text) for text in re.findall(r"-?\d+", flags)]
    return [float(flag) for flag in np.atleast_1d(np.asarray(flags))]


def _unclear(name: str, numbers: np.ndarray) -> DataValuesError:
    found = np.unique(numbers)
    shown = ", ".join(f"{number:g}" for number in found[:8]) + (", ..." if found.size > 8 else "")
    return DataValuesError(
        f"mask {name!r} does not say which of its values mean floating ice "
        f"(found: {shown or 'none'}); give it flag_values and flag_meanings, or pass a boolean "
        f"mask, for example mask=ds[{name!r}] == 3, or variables={{'mask': None}} to use none"
    )


def look_up(mask: np.ndarray, grid: Grid, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return the mask at points: the value of the nearest pixel, False outside of the mask.

    Parameters
    ----------
    mask : ndarray of bool
        On `grid`.
    grid : Grid
        Where it is.
    x, y : ndarray
        Positions, m.
    """
    if grid.kind == "raster":
        row, column, inside = pixel_of(grid, x, y)
        found: np.ndarray = mask[row, column] & inside
        return found
    from scipy.spatial import cKDTree

    grid_x, grid_y = (np.ravel(values) for values in grid.points())
    known = np.isfinite(grid_x) & np.isfinite(grid_y)
    tree = cKDTree(np.column_stack([grid_x[known], grid_y[known]]))
    distance, index = tree.query(np.column_stack([x, y]), distance_upper_bound=grid.spacing)
    close = np.isfinite(distance)
    result = np.zeros(len(x), dtype=bool)
    result[close] = np.ravel(mask)[known][index[close]]
    return result


def pixel_of(grid: Grid, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return row and column of the nearest pixel of a raster, and whether positions lie on it.

    Parameters
    ----------
    grid : Grid
        A raster.
    x, y : ndarray
        Positions, m.
    """
    row, in_y = _nearest(grid.y, y)
    column, in_x = _nearest(grid.x, x)
    return row, column, in_y & in_x


def nearest_value(
    values: np.ndarray, grid: Grid, x: np.ndarray, y: np.ndarray, reach: float
) -> np.ndarray:
    """Return the value of the nearest pixel of a raster, False farther than `reach` from it.

    Parameters
    ----------
    values : ndarray of bool
        On `grid`.
    grid : Grid
        A raster.
    x, y : ndarray
        Positions, m.
    reach : float
        How far around the raster its rim is taken, m.
    """
    row, column, _ = pixel_of(grid, x, y)
    near = (np.abs(grid.y[row] - y) <= reach) & (np.abs(grid.x[column] - x) <= reach)
    found: np.ndarray = values[row, column] & near
    return found


def _nearest(axis: np.ndarray, positions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return index of the nearest value of a monotonic axis, and whether it is within a pixel."""
    if axis.size == 1:
        return np.zeros(positions.shape, dtype=int), np.ones(positions.shape, dtype=bool)
    order = np.argsort(axis)
    rising = axis[order]
    edges = 0.5 * (rising[1:] + rising[:-1])
    first, last = rising[1] - rising[0], rising[-1] - rising[-2]
    tolerance = 1e-6
    inside = (positions >= rising[0] - (0.5 + tolerance) * first) & (
        positions <= rising[-1] + (0.5 + tolerance) * last
    )
    return order[np.searchsorted(edges, positions)], inside
