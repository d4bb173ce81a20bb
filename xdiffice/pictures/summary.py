"""One page that shows a result: what was observed, how it was fitted, what was inferred."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from xdiffice.pictures.layers import Layer, layers
from xdiffice.pictures.maps import draw_map, draw_scale_bar, map_size, require_matplotlib
from xdiffice.pictures.observed import Observed
from xdiffice.results.outcome import MODELLED, modelled

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.collections import PathCollection, QuadMesh
    from matplotlib.figure import Figure, SubFigure

    Drawn = QuadMesh | PathCollection

MOST_COLUMNS = 5
PROPORTION = 1.5
"""Width to height of a page that screens and slides show whole."""
COMPARED = ("speed", "thickness")

Page = list[list[Layer]]
"""Maps in their order; those that are to be compared with each other in one group."""


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
    draw_page(figure, shown, observed, headline(result))
    return figure


def figure_size(shown: Page) -> tuple[float, float]:
    """Width and height (inches) of a page."""
    rows, columns = _arrangement(shown)
    width, height = map_size(shown[0][0])
    return width * columns, height * rows


def headline(result: xr.Dataset) -> str:
    """Say whether the viscosity moves the ice as observed, where the result tells."""
    told = modelled(result.attrs)
    return "" if told is None else f"{MODELLED} {told}".capitalize()


def draw_page(
    figure: Figure | SubFigure, shown: Page, observed: Observed | None, head: str = ""
) -> list[Axes]:
    """Draw layers into a figure, with the front of the data, and return their axes."""
    if head:
        figure.suptitle(head, fontsize="medium")
    rows, columns = _arrangement(shown)
    grid = figure.subplots(rows, columns, squeeze=False).ravel()
    placed = in_rows(shown, columns)
    for ax, layer in zip(grid, placed, strict=False):
        draw_layer(ax, layer, observed)
    for ax in grid[len(placed) :]:
        ax.set_visible(False)
    return list(grid[: len(placed)])


def draw_layer(ax: Axes, layer: Layer, observed: Observed | None, **style: Any) -> Drawn:
    """Draw a map, the front of the data and a scale bar."""
    drawn = draw_map(ax, layer, **style)
    front = None if observed is None else observed.front()
    if front is not None:
        x, y = front
        ax.plot(x / 1e3, y / 1e3, ".", color="black", markersize=1.5)
    draw_scale_bar(ax, layer)
    return drawn


def in_rows(shown: Page, columns: int) -> list[Layer]:
    """Return the maps row by row, so that what is compared stands in one row.

    A group begins a row as long as there are single maps to fill the row before it.
    """
    alone = [group[0] for group in shown if len(group) == 1]
    placed: list[Layer] = []
    for group in (group for group in shown if len(group) > 1):
        gap = -len(placed) % columns
        if len(group) > gap and len(alone) >= gap:
            placed += [alone.pop(0) for _ in range(gap)]
        placed += group
    return placed + alone


def _arrangement(shown: Page) -> tuple[int, int]:
    """Rows and columns that leave little empty and make no strip of the page."""
    number, widest = sum(map(len, shown)), max(map(len, shown))
    width, height = map_size(shown[0][0])

    def waste(columns: int) -> float:
        rows = -(-number // columns)
        proportion = width * columns / (height * rows)
        return 1 - number / (rows * columns) + 0.25 * abs(math.log(proportion / PROPORTION))

    columns = min(range(widest, max(MOST_COLUMNS, widest) + 1), key=waste)
    return -(-number // columns), columns


def page(
    result: xr.Dataset,
    observed: Observed | None = None,
    truth: xr.Dataset | xr.DataArray | None = None,
) -> Page:
    """Return the layers of a page: with data, what was fitted comes as observed, fitted, misfit."""
    shown: Page = []
    for group in layers(result, truth):
        title = group[0].title
        if observed is None or title not in COMPARED or not observed.has(title):
            shown.append(group)
            continue
        data, layer = observed.layer(title), group[0]
        limits = _common_limits(data.values, layer.values)
        beside = [_limited(data, limits), _limited(layer, limits, f"fitted {title}")]
        shown.append([*beside, observed.misfit(result, title)])
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
