"""One page that shows a result: what was observed, how it was fitted, what was inferred."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from xdiffice.pictures.layers import Layer, extent, layers, thinned
from xdiffice.pictures.maps import (
    draw_map,
    draw_scale_bar,
    map_size,
    require_matplotlib,
    round_length,
)
from xdiffice.pictures.observed import Observed

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure

COLUMNS = 3
COMPARED = ("speed", "thickness")


def summary_figure(
    result: xr.Dataset,
    observed: Observed | None = None,
    truth: xr.Dataset | xr.DataArray | None = None,
) -> Figure:
    """Draw all that a result has, free of pyplot: for files, needs no closing.

    Parameters
    ----------
    result : xarray.Dataset
        What `SSAViscosityInverter.predict` returns, on a grid or on points.
    observed : Observed, optional
        The data, to be drawn beside the fit, with the misfit; their calving front as dots.
    truth : xarray.Dataset or xarray.DataArray, optional
        True viscosity on the same positions; it is drawn with the relative error.

    Returns
    -------
    matplotlib.figure.Figure
        The page.

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

    shown = page(result, observed, truth)
    figure = Figure(figsize=figure_size(shown), layout="constrained")
    draw_page(figure, shown, observed)
    return figure


def figure_size(shown: Sequence[Layer]) -> tuple[float, float]:
    """Width and height (inches) of a page."""
    rows, columns = _arrangement(len(shown))
    width, height = map_size(shown[0])
    return width * columns, height * rows


def draw_page(
    figure: Figure | SubFigure, shown: Sequence[Layer], observed: Observed | None
) -> list[Axes]:
    """Draw layers into a figure, with the front of the data, and return their axes."""
    rows, columns = _arrangement(len(shown))
    grid = figure.subplots(rows, columns, squeeze=False).ravel()
    for ax, layer in zip(grid, shown, strict=False):
        draw_layer(ax, layer, observed)
    for ax in grid[len(shown) :]:
        ax.set_visible(False)
    return list(grid[: len(shown)])


def draw_layer(ax: Axes, layer: Layer, observed: Observed | None) -> None:
    """Draw a map, the front of the data and a scale bar."""
    draw_map(ax, layer)
    front = None if observed is None else observed.front()
    if front is not None:
        x, y = front
        ax.plot(x / 1e3, y / 1e3, ".", color="black", markersize=1.5)
    draw_scale_bar(ax, round_length(0.3 * extent(layer.grid)[0]))


def _arrangement(number: int) -> tuple[int, int]:
    """Rows and columns of so many maps."""
    columns = min(number, COLUMNS if number > 4 else 2)
    return -(-number // columns), columns


def page(
    result: xr.Dataset,
    observed: Observed | None = None,
    truth: xr.Dataset | xr.DataArray | None = None,
) -> list[Layer]:
    """Return the layers of a page: with data, what was fitted comes as observed, fitted, misfit."""
    result = thinned(result)
    shown = []
    for layer in layers(result, truth):
        if observed is None or layer.title not in COMPARED or not observed.has(layer.title):
            shown.append(layer)
            continue
        data = observed.layer(layer.title)
        limits = _common_limits(data.values, layer.values)
        shown += [_limited(data, limits), _limited(layer, limits, f"fitted {layer.title}")]
        shown.append(observed.misfit(result, layer.title))
    return shown


def _common_limits(*fields: np.ndarray) -> tuple[float, float] | None:
    """Colours that do for all of them."""
    values = np.concatenate([field[np.isfinite(field)] for field in fields])
    if not values.size or not values.min() < values.max():
        return None
    low, high = np.quantile(values, [0.002, 0.998])
    return float(low), float(high)


def _limited(layer: Layer, limits: tuple[float, float] | None, title: str | None = None) -> Layer:
    return replace(layer, limits=limits, title=title or layer.title)
