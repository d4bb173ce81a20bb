"""How many SI units one unit of a user's variable is.

The only place where units are read; it hands on plain float factors, and never guesses one.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from xdiffice.errors import UnitsError

if TYPE_CHECKING:
    import pint
    import xarray as xr

# An exponent that is written without an operator, as UDUNITS has it: "m yr-1", "s2", but neither
# the exponent of a number ("1e-3") nor the digits of one.
_BARE_EXPONENT = re.compile(r"(?<=[A-Za-z])(?<![0-9.][eE])(?=[+-]?[0-9])")


@lru_cache(maxsize=1)
def _registry() -> pint.UnitRegistry[float]:
    """Return a registry of our own: the application's registry belongs to the user."""
    import pint  # costs 0.2 s, which `import xdiffice` should not

    registry: pint.UnitRegistry[float] = pint.UnitRegistry(
        preprocessors=[
            lambda text: _BARE_EXPONENT.sub("**", text),
            lambda text: text.replace("%", "percent"),
        ]
    )
    # "a" and "yr" are known to pint. UDUNITS reads "a" as are (100 m2), which nobody in
    # glaciology means. All years are Julian years, 365.25 days.
    registry.define("@alias year = y = annum = Year = Years")
    registry.define("@alias meter = Meter = Meters = METER = METERS = Metre = Metres")
    registry.define("@alias kilometer = Kilometer = Kilometers = KM")
    return registry


@lru_cache(maxsize=256)
def _factor(units: str, si: str) -> float | str:
    """Return the factor, or what is wrong with the units (errors must not be cached)."""
    registry = _registry()
    try:
        # an expression, not a unit: UDUNITS allows "100 m"
        quantity = 1.0 * registry.parse_expression(units) * registry.dimensionless
    except Exception:  # pint leaks TypeError, ValueError, AssertionError, tokenizer errors, ...
        return f"cannot be understood; write for example '{si}'"
    if not quantity.is_compatible_with(si):
        return f"have dimension {quantity.dimensionality}, but those of {si!r} are needed"
    try:
        result = float(quantity.to(si).magnitude)
    except Exception:  # logarithmic units
        return f"cannot be converted to {si!r} by a factor"
    return result if math.isfinite(result) and result > 0 else "are not a positive factor"


def factor(units: str | None, si: str, name: str) -> float:
    """Return the SI value of one unit.

    Parameters
    ----------
    units : str or None
        Units as the user wrote them: ``"m a-1"``, ``"meter/year"``, ``"m yr⁻¹"``, ``"km"``, ... A
        year has 365.25 days; ``a`` is a year.
    si : str
        SI units to convert to, e.g. ``"m s-1"``.
    name : str
        Name of the variable, for the error message.

    Returns
    -------
    float
        SI value of one such unit.

    Raises
    ------
    UnitsError
        If there are no units, they are unknown, or they have another dimension than `si`.

    Examples
    --------
    >>> factor("km", "m", "x")
    1000.0
    """
    if units is None or not str(units).strip():
        raise UnitsError(
            f"{name!r} has no units; set ds[{name!r}].attrs['units'] = '{si}' (or what they are), "
            f"or pass units={{{name!r}: '...'}}"
        )
    result = _factor(str(units).strip(), si)
    if isinstance(result, str):
        raise UnitsError(f"units {units!r} of {name!r} {result}")
    return result


def written_units(array: xr.DataArray | xr.Variable) -> str | None:
    """Return the units that an array carries: those of a pint Quantity, or its attribute."""
    quantity = getattr(_duck_array(array), "units", None)
    if quantity is not None:
        return str(quantity)
    units = array.attrs.get("units")
    return None if units is None else str(units)


def magnitude(array: xr.DataArray | xr.Variable) -> Any:
    """Return the bare array, NumPy or dask, of an array that may be a pint Quantity."""
    data = array.data
    return data.magnitude if hasattr(data, "magnitude") and hasattr(data, "units") else data


def _duck_array(array: xr.DataArray | xr.Variable) -> Any:
    """Return the array inside without reading it from a file."""
    variable = getattr(array, "variable", array)
    return getattr(variable, "_data", None)


def units_of(
    array: xr.DataArray | xr.Variable,
    name: str,
    role: str,
    units: Mapping[str, str] | None,
    notes: list[str],
) -> str | None:
    """Return the units of a variable: an explicit argument first, then what it carries.

    Parameters
    ----------
    array : DataArray or Variable
        The variable.
    name, role : str
        Its name and its role; either may be a key of `units`.
    units : mapping or None
        Units that the caller gives, by variable name or by role.
    notes : list of str
        Receives a sentence where the argument contradicts the attribute.
    """
    written = written_units(array)
    given = None
    if units is not None:
        given = units.get(name, units.get(role))
    if given is None:
        return written
    if written is not None and written.strip() and written.strip() != str(given).strip():
        notes.append(
            f"units of {name!r} taken as {given!r}, as the argument units says; "
            f"its attribute says {written!r}"
        )
    return str(given)
