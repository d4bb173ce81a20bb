"""What there is to draw: the fields of a result, and of what was observed, as layers of a map.

A `Layer` holds loaded values in the units that a reader expects, where they lie, and the scale of
colours that suits them. No matplotlib here.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
import xarray as xr

from xdiffice.errors import CoordinateError, VariableNotFoundError
from xdiffice.observations.axes import Axes, Grid, find_axes, load_grid
from xdiffice.observations.units import factor
from xdiffice.physics.constants import SECONDS_PER_YEAR
from xdiffice.pictures import flags
from xdiffice.results.comparison import aligned, relative_error
from xdiffice.results.flags import whole_numbers
from xdiffice.results.names import (
    MOTION,
    OUTPUT_VARIABLES,
    QUALITY,
    QUANTILE,
    RESIDUALS,
    SPREAD,
    STRAIN_RATE,
    SUBDOMAIN,
    VISCOSITIES,
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
RESIDUAL = "momentum_residual"
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
    steps = _steps(dataset)
    return dataset.isel({dim: slice(None, None, step) for dim, step in steps.items() if step > 1})


def _steps(dataset: xr.Dataset) -> dict[Hashable, int]:
    """Of how many pixels along each dimension one is drawn."""
    longest: dict[Hashable, int] = {}
    for variable in dataset.data_vars.values():
        limit = MAX_PIXELS if variable.ndim > 1 else MAX_POINTS
        longest |= {dim: min(limit, longest.get(dim, limit)) for dim in variable.dims}
    return {dim: -(-dataset.sizes[dim] // most) for dim, most in longest.items()}


def layers(result: xr.Dataset, truth: xr.Dataset | xr.DataArray | None = None) -> list[list[Layer]]:
    """Return everything that a result has, in the order of a page; what belongs together in groups.

    Where the truth is known it follows the viscosity, in the same colours, and then the error.

    Raises
    ------
    VariableNotFoundError
        It has nothing.
    CoordinateError
        Fields have no usable coordinates, or the truth has others.
    """
    truths = _truths(truth)
    found: list[list[Layer]] = []
    for name in names(result):
        known = truths.get(name)
        group = [layer(result, name)] if known is None else _beside_truth(result, name, known)
        found.append(group)
    if not found:
        raise VariableNotFoundError(
            "nothing to draw: looked for x_velocity and y_velocity, thickness, viscosity, "
            f"effective_strain_rate; found {', '.join(map(str, result.data_vars)) or 'nothing'}. "
            "Pass what predict() returned"
        )
    return found


def names(result: xr.Dataset) -> list[str]:
    """Names of what a result has to be drawn, in the order of a page."""
    there = {str(name) for name in result.data_vars}
    viscous = [name for name in VISCOSITIES if name in there]
    own = [str(name) for name in result.data_vars if _is_own(result, str(name), viscous)]
    residual = [RESIDUAL] if {*RESIDUALS} <= there else []
    motion = ["speed"] if {*MOTION[:2]} <= there else []
    spreads = [str(name) for name in result.data_vars if str(name).endswith(SPREAD)]
    rest = [name for name in (MOTION[2], *viscous, *own, STRAIN_RATE) if name in there]
    flags = [name for name in (QUALITY, SUBDOMAIN) if name in there]
    return [*motion, *rest, *residual, *spreads, *flags]


def layer(result: xr.Dataset, name: str) -> Layer:
    """Return one field of a result as it is drawn, without what no panel can show.

    Parameters
    ----------
    result : xarray.Dataset
        A prediction, or any Dataset on projected coordinates.
    name : str
        A variable, or ``"speed"``, or ``"momentum_residual"`` for the length of its vector.

    Raises
    ------
    VariableNotFoundError
        The result does not have it.
    CoordinateError
        It has no usable coordinates, or other dimensions than those of a map.
    """
    title = name.replace("_", " ")
    if name == QUALITY:
        return _quality(result, title)
    result = thinned(result)
    if name in _SHOWN:
        return _motion(result, name)
    if name == RESIDUAL:
        (x, grid), (y, _) = (_read(result, one) for one in RESIDUALS)
        values = np.hypot(x, y)
        title += _of_driving_stress(result)
        return Layer(title, values, grid, "Pa", "inferno", limits=_upper(values))
    values, grid = _read(result, name)
    unit = str(result[name].attrs.get("units", ""))
    if name in VISCOSITIES:
        title = name.replace("_", ", ")
        return Layer(title, values, grid, "Pa s", "magma", "log", log_limits(values))
    if name == STRAIN_RATE:
        rate = SECONDS_PER_YEAR * values
        return Layer(title, rate, grid, "yr⁻¹", "inferno", "log", log_limits(rate))
    if name.endswith(SPREAD):
        title = f"{name.removesuffix(SPREAD).replace('_', ' ')}: factor by which members differ"
        return Layer(title, values, grid, "factor", "cividis", limits=_upper(values, 1.0))
    if name.endswith(QUANTILE):
        title = _quantile_title(result[name], name)
    if name == SUBDOMAIN:
        labels = {label: str(label) for label in range(int(values.max()) + 1)}
        return Layer(title, values, grid, "", scale="categories", categories=labels)
    if (values[np.isfinite(values)] > 0).all():
        return Layer(title, values, grid, unit, "magma", "log", log_limits(values))
    return Layer(title, values, grid, unit, "PuOr", "centred")


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


def _read(result: xr.Dataset, name: str, si: str | None = None) -> tuple[np.ndarray, Grid]:
    """Load one field, in the units that are asked for, and where it is."""
    if name not in result:
        raise VariableNotFoundError(
            f"no variable {name!r}; found {', '.join(map(str, result.data_vars)) or 'none'}. "
            "Pass what predict() returned"
        )
    array = result[name]
    axes = _map_axes(array, result)
    grid = load_grid(axes, axes.x.values, axes.y.values)
    values = array.transpose(*axes.dims).values.astype(float)
    if si is not None:
        values = values * factor(array.attrs.get("units"), si, name)
    return values, grid


def _map_axes(array: xr.DataArray, result: xr.Dataset) -> Axes:
    """Where a field lies, if it is one that a map can show."""
    chosen = [str(name) for name, value in array.coords.items() if _is_scalar_axis(name, value)]
    if chosen and array.ndim < 2:
        where = " and ".join(f"{name} = {array[name].item():.10g}" for name in chosen)
        remedy = f"plot it with result[{array.name!r}].plot()" if array.ndim else "print it"
        kind = "a profile" if array.ndim else "one value"
        raise CoordinateError(f"{array.name!r} at {where} is {kind} and no map; {remedy}")
    axes = find_axes(array, result, None, [])
    others = [str(dim) for dim in array.dims if dim not in axes.dims]
    if others:
        first = f"{others[0]}={array[others[0]].values[-1]}" if others[0] in array.coords else ""
        choice = f".sel({first})" if first else f".isel({others[0]}=0)"
        raise CoordinateError(
            f"{array.name!r} has the dimensions {', '.join(map(str, array.dims))}, and a map only "
            f"{' and '.join(axes.dims)}: choose one of {', '.join(others)}, as with result{choice}"
        )
    return axes


def _is_scalar_axis(name: Hashable, coordinate: xr.DataArray) -> bool:
    """Tell whether this is x or y of a single row or column."""
    marks = [str(coordinate.attrs.get(key)) for key in ("axis", "standard_name")] + [str(name)]
    known = {"X", "Y", "projection_x_coordinate", "projection_y_coordinate", "x", "y"}
    return coordinate.ndim == 0 and not known.isdisjoint(marks)


def _quality(result: xr.Dataset, title: str) -> Layer:
    """Return flags, each with its share of the shelf, and none of them too small to be seen."""
    _, grid = _read(thinned(result), QUALITY)
    dims = _map_axes(result[QUALITY], result).dims
    found = whole_numbers(result[QUALITY].transpose(*dims).values)
    step = [_steps(result).get(dim, 1) for dim in dims]
    return Layer(
        title,
        flags.visible(found, step).astype(float),
        grid,
        "",
        scale="categories",
        categories=flags.labels(found),
    )


def _of_driving_stress(result: xr.Dataset) -> str:
    """Say what residuals in Pa amount to, where the result tells.

    The share is that of the networks: fields that a forward model has corrected balance forces
    over triangles, and the map shows what that leaves at points.
    """
    share = result.attrs.get("residual_momentum")
    if share is None:
        return ""
    percent = 100 * float(share)
    number = f"{percent:.2g}" if percent < 10 else f"{percent:.0f}"
    by = "networks alone: " if "residual_velocity" in result.attrs else ""
    return f"\n({by}{number} % of the driving stress, rms)"


def _quantile_title(array: xr.DataArray, name: str) -> str:
    """Say which quantile this is, once one has been chosen."""
    of = name.removesuffix(QUANTILE).replace("_", " ")
    level = array.coords.get("quantile")
    if level is None or level.ndim:
        return f"quantile of {of}"
    return f"{100 * float(level):g} % quantile of {of}"


def _motion(result: xr.Dataset, name: str) -> Layer:
    """Speed, a component of velocity, or thickness."""
    unit, times, shown, colours = _SHOWN[name]
    if name == "speed":
        (u, grid), (v, _) = (_read(result, one, unit) for one in MOTION[:2])
        values = np.hypot(u, v)
    else:
        values, grid = _read(result, name, unit)
    return Layer(name.replace("_", " "), times * values, grid, shown, colours)


def _is_own(result: xr.Dataset, name: str, viscous: list[str]) -> bool:
    """Tell whether a rheology has this field besides viscosities, such as hardness."""
    known = name in OUTPUT_VARIABLES or name.endswith((SPREAD, QUANTILE))
    placed = bool(viscous) and result[name].dims == result[viscous[0]].dims
    return not known and placed and bool(result[name].attrs.get("units"))


def _beside_truth(result: xr.Dataset, name: str, truth: xr.DataArray) -> list[Layer]:
    """Return a viscosity, the true one in the same colours, and the error."""
    own = layer(result, name)
    result = thinned(result)
    estimate, true = aligned(result[name], truth)
    total = 100 * relative_error(estimate, true)
    expected = true.transpose(*find_axes(estimate, result, None, []).dims).values
    limits = log_limits(own.values, expected)
    error = 100 * (own.values / expected - 1)
    title = f"error of {own.title} (L2: {total:.2g} %)"
    return [
        replace(own, limits=limits),
        replace(own, title=f"true {own.title}", values=expected, limits=limits),
        Layer(title, error, own.grid, "%", "PuOr", "centred"),
    ]


def _truths(truth: xr.Dataset | xr.DataArray | None) -> dict[str, xr.DataArray]:
    if truth is None:
        return {}
    if isinstance(truth, xr.DataArray):
        return {str(truth.name) if truth.name in VISCOSITIES else "viscosity": truth}
    return {name: truth[name] for name in VISCOSITIES if name in truth}


def _upper(values: np.ndarray, low: float = 0.0) -> tuple[float, float] | None:
    """From the least that there can be to what few pixels exceed."""
    finite = values[np.isfinite(values)]
    high = float(np.quantile(finite, 0.99)) if finite.size else low
    return (low, high) if high > low else None
