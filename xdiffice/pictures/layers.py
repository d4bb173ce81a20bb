"""What there is to draw: the fields of a result, and of what was observed, as layers of a map.

A `Layer` holds loaded values in the units that a reader expects, where they lie, and the scale of
colours that suits them. No matplotlib here.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
import xarray as xr

from xdiffice.errors import VariableNotFoundError
from xdiffice.observations.axes import Grid, find_axes, load_grid
from xdiffice.observations.units import factor
from xdiffice.physics.constants import SECONDS_PER_YEAR
from xdiffice.results.comparison import aligned, relative_error
from xdiffice.results.names import (
    OUTPUT_VARIABLES,
    QUALITY,
    QUANTILE,
    RESIDUALS,
    SPREAD,
    STRAIN_RATE,
    SUBDOMAIN,
    VISCOSITIES,
    Quality,
)

MAX_PIXELS = 1200  # per side; more than a printed panel can show
MAX_POINTS = 200_000

# What `velocity` can show: units in SI, times per displayed unit, displayed unit, colours.
_SHOWN = {
    "speed": ("m s-1", SECONDS_PER_YEAR, "m yr⁻¹", "viridis"),
    "x_velocity": ("m s-1", SECONDS_PER_YEAR, "m yr⁻¹", "viridis"),
    "y_velocity": ("m s-1", SECONDS_PER_YEAR, "m yr⁻¹", "viridis"),
    "thickness": ("m", 1.0, "m", "cividis"),
}
OBSERVED = tuple(_SHOWN)
"""What is both observed and fitted."""


@dataclass(frozen=True)
class Layer:
    """Values to draw on a map.

    Parameters
    ----------
    title : str
        What they are.
    values : ndarray, of the shape of the grid
        In `unit`; NaN where there are none.
    grid : Grid
        Where they are, m.
    unit : str
        For the colour bar.
    colours : str
        Name of a colour map of matplotlib.
    scale : {"linear", "log", "centred", "categories"}
        How values turn into colours: ``centred`` has zero in the middle.
    limits : tuple of float, optional
        Values of the first and the last colour; by the values if not given.
    categories : mapping of int to str
        Names of successive values; others are not drawn.
    """

    title: str
    values: np.ndarray
    grid: Grid
    unit: str
    colours: str = "viridis"
    scale: Literal["linear", "log", "centred", "categories"] = "linear"
    limits: tuple[float, float] | None = None
    categories: Mapping[int, str] = field(default_factory=dict)


def thinned(dataset: xr.Dataset) -> xr.Dataset:
    """Leave out what no panel can show, before anything is loaded."""
    longest: dict[Hashable, int] = {}
    for variable in dataset.data_vars.values():
        limit = MAX_PIXELS if variable.ndim > 1 else MAX_POINTS
        longest |= {dim: min(limit, longest.get(dim, limit)) for dim in variable.dims}
    steps = {dim: -(-dataset.sizes[dim] // most) for dim, most in longest.items()}
    return dataset.isel({dim: slice(None, None, step) for dim, step in steps.items() if step > 1})


def layers(result: xr.Dataset, truth: xr.Dataset | xr.DataArray | None = None) -> list[Layer]:
    """Return everything that a result has, in the order of a page.

    Raises
    ------
    VariableNotFoundError
        It has nothing.
    CoordinateError
        Fields have no usable coordinates, or the truth has others.
    """
    found = [fitted(result, name) for name in ("speed", "thickness") if _has(result, name)]
    found += [*_viscosities(result, truth), *_own_fields(result)]
    if STRAIN_RATE in result:
        found.append(_strain_rate(result))
    if {*RESIDUALS} <= set(result.data_vars):
        found.append(residual(result))
    found += [*_spreads(result), *_categories(result)]
    if not found:
        raise VariableNotFoundError(
            "nothing to draw: looked for x_velocity and y_velocity, thickness, viscosity, "
            f"effective_strain_rate; found {', '.join(map(str, result.data_vars)) or 'nothing'}. "
            "Pass what predict() returned"
        )
    return found


def fitted(result: xr.Dataset, name: str) -> Layer:
    """Return ``speed``, a component of velocity or ``thickness`` of a result.

    Raises
    ------
    VariableNotFoundError
        The result does not have it.
    """
    unit, times, shown, colours = _SHOWN[name]
    if name == "speed":
        (u, grid), (v, _) = (_read(result, one, unit) for one in ("x_velocity", "y_velocity"))
        values = np.hypot(u, v)
    else:
        values, grid = _read(result, name, unit)
    return Layer(name.replace("_", " "), times * values, grid, shown, colours)


def viscosity(result: xr.Dataset, name: str | None = None) -> Layer:
    """Return a viscosity: the one that the result has, or the horizontal one of two.

    Raises
    ------
    VariableNotFoundError
        The result does not have it.
    """
    if name is None:
        name = next((one for one in VISCOSITIES if one in result), VISCOSITIES[0])
    values, grid = _read(result, name)
    title = name.replace("_", ", ")
    return Layer(title, values, grid, "Pa s", "magma", "log", log_limits(values))


def residual(result: xr.Dataset) -> Layer:
    """Return what the momentum balance leaves over, both components together.

    Raises
    ------
    VariableNotFoundError
        The result does not have it.
    """
    (x, grid), (y, _) = (_read(result, name) for name in RESIDUALS)
    values = np.hypot(x, y)
    return Layer("momentum residual", values, grid, "Pa", "inferno", limits=_upper(values))


def log_limits(*fields: np.ndarray) -> tuple[float, float] | None:
    """Colour limits that a few extreme pixels do not decide."""
    values = np.concatenate([field[field > 0] for field in fields])
    if not values.size:
        return None
    low, high = np.quantile(values, [0.005, 0.995])
    # Rounding of a constant field would fill the panel with noise.
    return (float(low), float(high)) if high > low * (1 + 1e-6) else (0.9 * low, 1.1 * high)


def extent(grid: Grid) -> tuple[float, float]:
    """Width and height of a map, km; 1 where it has none."""
    x_low, x_high, y_low, y_high = (value / 1e3 for value in grid.extent)
    flat = not (x_high > x_low and y_high > y_low)
    return (1.0, 1.0) if flat else (x_high - x_low, y_high - y_low)


def _has(result: xr.Dataset, name: str) -> bool:
    needed = {"x_velocity", "y_velocity"} if name == "speed" else {name}
    return needed <= set(result.data_vars)


def _read(result: xr.Dataset, name: str, si: str | None = None) -> tuple[np.ndarray, Grid]:
    """Load one field, in the units that are asked for, and where it is."""
    if name not in result:
        raise VariableNotFoundError(
            f"no variable {name!r}; found {', '.join(map(str, result.data_vars)) or 'none'}. "
            "Pass what predict() returned"
        )
    array = result[name]
    axes = find_axes(array, result, None, [])
    grid = load_grid(axes, axes.x.values, axes.y.values)
    values = array.transpose(*axes.dims).values.astype(float)
    if si is not None:
        values = values * factor(array.attrs.get("units"), si, name)
    return values, grid


def _viscosities(result: xr.Dataset, truth: xr.Dataset | xr.DataArray | None) -> Iterator[Layer]:
    """Each viscosity; where the truth is known that too, in the same colours, and the error."""
    truths = _truths(truth)
    for name in VISCOSITIES:
        if name not in result:
            continue
        layer = viscosity(result, name)
        if name not in truths:
            yield layer
            continue
        estimate, true = aligned(result[name], truths[name])
        total = 100 * relative_error(estimate, true)
        axes = find_axes(estimate, result, None, [])
        expected = true.transpose(*axes.dims).values
        limits = log_limits(layer.values, expected)
        yield replace(layer, limits=limits)
        yield replace(layer, title=f"true {layer.title}", values=expected, limits=limits)
        error = 100 * (layer.values / expected - 1)
        title = f"error of {layer.title} (L2: {total:.2g} %)"
        yield Layer(title, error, layer.grid, "%", "PuOr", "centred")


def _truths(truth: xr.Dataset | xr.DataArray | None) -> dict[str, xr.DataArray]:
    if truth is None:
        return {}
    if isinstance(truth, xr.DataArray):
        return {str(truth.name) if truth.name in VISCOSITIES else "viscosity": truth}
    return {name: truth[name] for name in VISCOSITIES if name in truth}


def _own_fields(result: xr.Dataset) -> Iterator[Layer]:
    """Fields that a rheology has besides viscosities, such as hardness: positive."""
    viscous = next((result[name].dims for name in VISCOSITIES if name in result), None)
    for name, array in result.data_vars.items():
        own = str(name) not in OUTPUT_VARIABLES and not str(name).endswith((SPREAD, QUANTILE))
        if own and array.dims == viscous and array.attrs.get("units"):
            values, grid = _read(result, str(name))
            unit, title = str(array.attrs["units"]), str(name).replace("_", " ")
            yield Layer(title, values, grid, unit, "magma", "log", log_limits(values))


def _strain_rate(result: xr.Dataset) -> Layer:
    rate, grid = _read(result, STRAIN_RATE)
    rate = SECONDS_PER_YEAR * rate
    limits = log_limits(rate)
    return Layer("effective strain rate", rate, grid, "yr⁻¹", "inferno", "log", limits)


def _spreads(result: xr.Dataset) -> Iterator[Layer]:
    """By how many percent members of an ensemble differ."""
    for name in result.data_vars:
        if str(name).endswith(SPREAD):
            values, grid = _read(result, str(name))
            percent = 100 * (values - 1)
            title = f"spread of {str(name).removesuffix(SPREAD).replace('_', ' ')}"
            yield Layer(title, percent, grid, "%", "cividis", limits=_upper(percent))


def _categories(result: xr.Dataset) -> Iterator[Layer]:
    if QUALITY in result:
        values, grid = _read(result, QUALITY)
        flags = {flag.value: flag.name.lower().replace("_", " ") for flag in Quality if flag}
        title = QUALITY.replace("_", " ")
        yield Layer(title, values, grid, "", scale="categories", categories=flags)
    if SUBDOMAIN in result:
        values, grid = _read(result, SUBDOMAIN)
        labels = {label: str(label) for label in range(int(values.max()) + 1)}
        yield Layer("subdomain", values, grid, "", scale="categories", categories=labels)


def _upper(values: np.ndarray) -> tuple[float, float] | None:
    """From zero to what few pixels exceed."""
    finite = values[np.isfinite(values)]
    high = float(np.quantile(finite, 0.99)) if finite.size else 0.0
    return (0.0, high) if high > 0 else None
