"""What a result looks like: one panel per field, on kilometre axes, for colour-blind eyes, too.

matplotlib is optional; figures are made without pyplot, so that no backend is chosen for the user.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from ..errors import MissingDependencyError, VariableNotFoundError, XdifficeError
from ..observations.axes import Grid, find_axes, load_grid
from ..observations.units import factor
from ..observations.variables import find
from ..physics.constants import SECONDS_PER_YEAR
from .comparison import aligned, relative_error

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.cm import ScalarMappable
    from matplotlib.figure import Figure

_VISCOSITIES = ("viscosity", "viscosity_horizontal", "viscosity_vertical")
_MAX_PIXELS = 1200  # per side; more than a printed panel can show


@dataclass(frozen=True)
class _Panel:
    """One picture: values to draw, how to name and how to colour them."""

    title: str
    values: xr.DataArray
    unit: str
    colours: str
    log: bool = False
    centred: bool = False
    limits: tuple[float, float] | None = None


def require_matplotlib() -> None:
    """Raise MissingDependencyError, with the command that helps, if matplotlib is not there."""
    try:
        import matplotlib.figure  # noqa: F401
    except ImportError as error:
        raise MissingDependencyError(
            'pictures need matplotlib: pip install "xdiffice[plot]"'
        ) from error


def plot_result(
    dataset: xr.Dataset,
    truth: xr.Dataset | xr.DataArray | None = None,
    path: str | os.PathLike | None = None,
    *,
    front: xr.Dataset | None = None,
) -> Figure:
    """Draw speed, thickness, viscosity and effective strain rate of a prediction.

    Parameters
    ----------
    dataset : xarray.Dataset
        What `SSAViscosityInverter.predict` returns, on a grid or on points; panels whose variables
        are not in it are left out.
    truth : xarray.Dataset or xarray.DataArray, optional
        True viscosity on the same positions; it is drawn with the relative error.
    path : path-like, optional
        Where to save the figure; its suffix names the format.
    front : xarray.Dataset, optional
        A Dataset with the positions of a calving front (``x_front``, ``y_front``, or a name that
        an inversion would find), to be drawn as dots.

    Returns
    -------
    matplotlib.figure.Figure
        Free of pyplot: it needs no closing.

    Raises
    ------
    MissingDependencyError
        matplotlib is not installed.
    VariableNotFoundError
        Nothing to draw.
    CoordinateError
        The Dataset or the truth has no usable coordinates.
    """
    require_matplotlib()
    from matplotlib.figure import Figure

    panels = _panels(dataset, truth)
    columns = min(len(panels), 3 if len(panels) > 4 else 2)
    rows = -(-len(panels) // columns)
    height = 3.6 * min(max(_aspect(dataset, panels[0]), 0.3), 1.6) + 0.8
    figure = Figure(figsize=(4.8 * columns, height * rows), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False).ravel()
    line = _front_km(front) if front is not None else None
    for ax, panel in zip(axes, panels, strict=False):
        _draw(ax, panel, dataset)
        if line is not None:
            ax.plot(*line, ".", color="black", markersize=1.5)
        ax.set_title(panel.title, fontsize=10)
        ax.set_aspect("equal")
        ax.set_xlabel("x (km)")
        ax.set_ylabel("y (km)")
    for ax in axes[len(panels) :]:
        ax.set_visible(False)
    if path is not None:
        figure.savefig(path, dpi=150)
    return figure


def _panels(dataset: xr.Dataset, truth: xr.Dataset | xr.DataArray | None) -> list[_Panel]:
    """Decide what there is to draw."""
    panels = []
    if {"x_velocity", "y_velocity"} <= set(dataset.data_vars):
        per_year = SECONDS_PER_YEAR * _si(dataset, "m s-1", "x_velocity", "y_velocity")
        speed = per_year["x_velocity"] ** 2 + per_year["y_velocity"] ** 2
        panels.append(_Panel("speed", speed**0.5, "m yr⁻¹", "viridis"))
    if "thickness" in dataset:
        metres = _si(dataset, "m", "thickness")["thickness"]
        panels.append(_Panel("thickness", metres, "m", "cividis"))
    if "effective_strain_rate" in dataset:
        rate = SECONDS_PER_YEAR * dataset["effective_strain_rate"]
        panels.append(_Panel("effective strain rate", rate, "yr⁻¹", "inferno", log=True))
    truths = _truths(truth)
    for name in _VISCOSITIES:
        if name not in dataset:
            continue
        title, true = name.replace("_", ", "), truths.get(name)
        # Estimate and truth share their colours, so that they can be compared.
        limits = _log_limits(dataset[name], true)
        panels.append(_Panel(title, dataset[name], "Pa s", "magma", log=True, limits=limits))
        if true is not None:
            estimate, true = aligned(dataset[name], true)
            panels.append(_Panel(f"true {title}", true, "Pa s", "magma", log=True, limits=limits))
            error = 100 * (estimate / true - 1)
            total = 100 * relative_error(estimate, true)
            panels.append(
                _Panel(f"error of {title} (L2: {total:.2g} %)", error, "%", "PuOr", centred=True)
            )
    if not panels:
        raise VariableNotFoundError(
            "nothing to draw: looked for x_velocity and y_velocity, thickness, viscosity, "
            f"effective_strain_rate; found {', '.join(map(str, dataset.data_vars)) or 'nothing'}. "
            "Pass what predict() returned"
        )
    return panels


def _truths(truth: xr.Dataset | xr.DataArray | None) -> dict[str, xr.DataArray]:
    if truth is None:
        return {}
    if isinstance(truth, xr.DataArray):
        return {str(truth.name) if truth.name in _VISCOSITIES else "viscosity": truth}
    return {name: truth[name] for name in _VISCOSITIES if name in truth}


def _si(dataset: xr.Dataset, si: str, *names: str) -> xr.Dataset:
    """Convert variables by their units attribute."""
    return xr.Dataset(
        {name: dataset[name] * factor(dataset[name].attrs.get("units"), si, name) for name in names}
    )


def _log_limits(*fields: xr.DataArray | None) -> tuple[float, float] | None:
    """Colour limits that a few extreme pixels do not decide."""
    values = [field.values[field.values > 0] for field in fields if field is not None]
    if not any(part.size for part in values):
        return None
    low, high = np.quantile(np.concatenate(values), [0.005, 0.995])
    # Rounding of a constant field would fill the panel with noise.
    return (float(low), float(high)) if high > low * (1 + 1e-6) else (0.9 * low, 1.1 * high)


def _norm(panel: _Panel, values: np.ndarray) -> Any:
    from matplotlib.colors import LogNorm, Normalize

    finite = values[np.isfinite(values)]
    if panel.log:
        limits = panel.limits or _log_limits(panel.values)
        return LogNorm(*limits) if limits else None
    if panel.centred:
        bound = max(float(np.quantile(abs(finite), 0.99)) if finite.size else 0.0, 1e-12)
        return Normalize(-bound, bound)
    return None


def _grid(dataset: xr.Dataset, panel: _Panel) -> tuple[Grid, tuple[str, ...]]:
    """Positions of a panel's values, and the order of dims that goes with them."""
    found = find_axes(panel.values.rename(panel.title), dataset, None, [])
    return load_grid(found, found.x.values, found.y.values), found.dims


def _aspect(dataset: xr.Dataset, panel: _Panel) -> float:
    """Height over width of the map."""
    grid, _ = _grid(dataset, panel)
    x_low, x_high, y_low, y_high = grid.extent
    return (y_high - y_low) / (x_high - x_low) if x_high > x_low and y_high > y_low else 1.0


def _draw(ax: Axes, panel: _Panel, dataset: xr.Dataset) -> None:
    """Draw one field as a raster or as dots, with its colour bar."""
    grid, dims = _grid(dataset, panel)
    array = panel.values.transpose(*dims).values.astype(float)
    norm = _norm(panel, array)
    style = {"cmap": panel.colours, "norm": norm, "rasterized": True}
    if grid.kind == "raster" and min(grid.shape) > 1:
        step = tuple(slice(None, None, -(-size // _MAX_PIXELS)) for size in grid.shape)
        masked = np.ma.masked_invalid(array[step])
        x, y = grid.x[step[1]] / 1e3, grid.y[step[0]] / 1e3
        drawn: ScalarMappable = ax.pcolormesh(x, y, masked, shading="nearest", **style)
    else:
        x, y = (coordinate.ravel() / 1e3 for coordinate in grid.points())
        drawn = ax.scatter(x, y, c=array.ravel(), s=4, **style)
    extend = "both" if panel.log or panel.centred else "neither"
    beside = ax.inset_axes((1.03, 0.0, 0.045, 1.0))  # as high as the map, whatever its shape
    ax.figure.colorbar(drawn, cax=beside, label=panel.unit, extend=extend)


def _front_km(front: xr.Dataset) -> tuple[np.ndarray, np.ndarray] | None:
    """Find a front's positions; a front that cannot be read is left out, as it only decorates."""
    try:
        found = [find([front], role) for role in ("x_front", "y_front")]
        x, y = (
            front[name].values * factor(front[name].attrs.get("units"), "m", name) / 1e3
            for _, name in filter(None, found)
        )
    except (XdifficeError, ValueError):  # ValueError: only one of the two is there
        return None
    return x, y
