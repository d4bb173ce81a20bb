"""How a layer is drawn: a map on axes in kilometres, with a colour bar and a scale bar.

matplotlib is optional and imported where it is needed. A figure is asked of pyplot only where
nobody said where to draw, as xarray does, so that notebooks show it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from xdiffice.errors import MissingDependencyError, ParameterError
from xdiffice.pictures.layers import Layer, extent

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.collections import PathCollection, QuadMesh
    from matplotlib.figure import Figure

# Eight colours that colour-blind eyes tell apart (Okabe & Ito 2008), grey in the place of black.
DISTINCT = (
    "#999999",
    "#0072B2",
    "#E69F00",
    "#D55E00",
    "#F0E442",
    "#56B4E9",
    "#CC79A7",
    "#009E73",
)


def require_matplotlib() -> None:
    """Raise MissingDependencyError, with the command that helps, if matplotlib is not there."""
    try:
        import matplotlib.figure  # noqa: F401
    except ImportError as error:
        raise MissingDependencyError(
            'pictures need matplotlib: pip install "xdiffice[plot]"'
        ) from error


def axes_or_new(ax: Axes | None, figsize: tuple[float, float]) -> Axes:
    """Return the axes that were given, or those of a new figure."""
    return new_figure(figsize).subplots() if ax is None else ax


def new_figure(figsize: tuple[float, float]) -> Figure:
    """Return a figure that notebooks show."""
    require_matplotlib()
    from matplotlib import pyplot as plt

    return plt.figure(figsize=figsize, layout="constrained")


def map_size(layer: Layer, width: float = 5.1) -> tuple[float, float]:
    """Width and height (inches) of a map with its colour bar."""
    across, up = extent(layer.grid)
    return width, (width - 2.0) * min(max(up / across, 0.3), 1.6) + 0.8


def draw_map(ax: Axes | None, layer: Layer, **style: Any) -> QuadMesh | PathCollection:
    """Draw one layer as a raster or as dots.

    Parameters
    ----------
    ax : matplotlib.axes.Axes or None
        Where; a new figure of pyplot if None.
    layer : Layer
        What.
    **style
        ``cmap``, ``vmin``, ``vmax`` or ``norm`` instead of the layer's own, and whatever else
        `matplotlib.axes.Axes.pcolormesh`, or `scatter` for points, takes.

    Returns
    -------
    matplotlib.collections.QuadMesh or matplotlib.collections.PathCollection
        What was drawn; its ``colorbar`` is beside the map.

    Raises
    ------
    MissingDependencyError
        matplotlib is not installed.
    """
    ax = axes_or_new(ax, map_size(layer))
    style = {"rasterized": True, **_colours(layer, style)}
    values, grid = _masked(layer), layer.grid
    if grid.kind == "raster" and min(grid.shape) > 1:
        drawn: QuadMesh | PathCollection = ax.pcolormesh(
            grid.x / 1e3, grid.y / 1e3, values, shading="nearest", **style
        )
    else:
        known = ~np.ma.getmaskarray(values)
        x, y = (coordinate[known] / 1e3 for coordinate in grid.points())
        shown = values.compressed()
        if layer.scale == "categories":  # the rarest last, so that no neighbour covers it
            _, which, counts = np.unique(shown, return_inverse=True, return_counts=True)
            order = np.argsort(-counts[which], kind="stable")
            x, y, shown = x[order], y[order], shown[order]
        drawn = ax.scatter(x, y, c=shown, **({"s": 4} | style))
    _add_colour_bar(ax, drawn, layer)
    ax.set_title(layer.title, fontsize=10)
    ax.set_aspect("equal")
    ax.set_xlabel("x (km)")
    ax.set_ylabel("y (km)")
    return drawn


def draw_scale_bar(ax: Axes, layer: Layer) -> None:
    """Draw a bar that tells how long some kilometres are, in the corner that is emptiest."""
    from matplotlib.font_manager import FontProperties
    from mpl_toolkits.axes_grid1.anchored_artists import AnchoredSizeBar

    kilometres = scale_length(layer)
    bar = AnchoredSizeBar(
        ax.transData,
        kilometres,
        f"{kilometres:g} km",
        emptiest_corner(ax, layer, kilometres),
        pad=0.3,
        sep=3,
        frameon=True,
        fontproperties=FontProperties(size=7),
    )
    bar.patch.set(alpha=0.8, edgecolor="none")
    ax.add_artist(bar)


def scale_length(layer: Layer) -> float:
    """Return the round length (km) that suits the scale bar of a map."""
    return round_length(0.3 * extent(layer.grid)[0])


# Around the bar and its label: what a font of 7 points and its padding take, inches.
_LABEL_HEIGHT, _LABEL_WIDTH, _PADDING = 0.3, 0.45, 0.2


def emptiest_corner(ax: Axes, layer: Layer, kilometres: float) -> str:
    """Return the corner of a map where a scale bar covers fewest values; the lower right of equals.

    Axes get their place when the figure is drawn, so the size of the box is an estimate.
    """
    (left, right), (bottom, top) = sorted(ax.get_xlim()), sorted(ax.get_ylim())
    assert ax.figure is not None
    place = ax.get_window_extent()
    per_inch = ax.figure.dpi * max((right - left) / place.width, (top - bottom) / place.height)
    width = max(kilometres, _LABEL_WIDTH * per_inch) + _PADDING * per_inch
    height = _LABEL_HEIGHT * per_inch
    x, y = _where_known(layer)
    beside = {"right": x > right - width, "left": x < left + width}
    level = {"lower": y < bottom + height, "upper": y > top - height}
    covered = {
        f"{vertical} {horizontal}": np.count_nonzero(beside[horizontal] & level[vertical])
        for vertical in level
        for horizontal in beside
    }
    return min(covered, key=lambda corner: covered[corner])


def _where_known(layer: Layer) -> tuple[np.ndarray, np.ndarray]:
    """Positions (km) of what a map shows."""
    known = ~np.ma.getmaskarray(_masked(layer))
    x, y = (coordinate[known] / 1e3 for coordinate in layer.grid.points())
    return x, y


def round_length(kilometres: float) -> float:
    """Return the largest of 1, 2, 5, 10, ... that is not longer.

    Examples
    --------
    >>> round_length(47.0), round_length(0.3)
    (20.0, 0.2)
    """
    power = 10.0 ** np.floor(np.log10(kilometres))
    return float(power * max(step for step in (1, 2, 5) if step * power <= kilometres))


def _masked(layer: Layer) -> np.ma.MaskedArray:
    values = np.ma.masked_invalid(layer.values)
    if layer.scale != "categories":
        return values
    return np.ma.masked_where(~np.isin(layer.values, [*layer.categories]), values)


def _colours(layer: Layer, style: dict[str, Any]) -> dict[str, Any]:
    """Colour map and norm of a layer, but for what the style says."""
    from matplotlib.colors import BoundaryNorm, ListedColormap, LogNorm, Normalize

    if layer.scale == "categories":
        known = [*layer.categories] or [0]
        colours = [DISTINCT[k % len(DISTINCT)] for k in known]
        norm = BoundaryNorm(_edges(known), len(known))
        return {"cmap": ListedColormap(colours), "norm": norm} | style
    if "norm" in style:
        return {"cmap": layer.colours} | style
    style = {"cmap": layer.colours} | style
    given = style.pop("vmin", None), style.pop("vmax", None)
    low, high = (
        limit if own is None else own
        for own, limit in zip(given, _limits(layer) or (None, None), strict=True)
    )
    if low is not None and high is not None and not low < high:
        raise ParameterError(f"vmin={low:g} must be less than vmax={high:g}")
    log = layer.scale == "log" and low is not None  # without: nothing is positive
    return style | {"norm": (LogNorm if log else Normalize)(low, high)}


def _edges(known: Sequence[int]) -> np.ndarray:
    """Bounds of values that rise, also where some are left out."""
    return np.array([known[0] - 0.5, *(np.add(known[:-1], known[1:]) / 2), known[-1] + 0.5])


def _limits(layer: Layer) -> tuple[float, float] | None:
    """Values of the first and the last colour."""
    if layer.limits is not None or layer.scale != "centred":
        return layer.limits
    finite = layer.values[np.isfinite(layer.values)]
    bound = max(float(np.quantile(abs(finite), 0.99)) if finite.size else 0.0, 1e-12)
    return -bound, bound


def _add_colour_bar(ax: Axes, drawn: Any, layer: Layer) -> None:
    # as high as the map, whatever its shape
    beside = ax.inset_axes((1.03, 0.0, 0.045, 1.0))
    if layer.scale != "categories":
        ax.figure.colorbar(drawn, cax=beside, label=layer.unit, extend=_extend(layer, drawn))
        return
    bar = ax.figure.colorbar(drawn, cax=beside)
    edges = _edges([*layer.categories] or [0])
    names = [*layer.categories.values()] or ["none"]
    bar.set_ticks((edges[:-1] + edges[1:]) / 2, labels=names, fontsize=7)
    bar.ax.tick_params(length=0)


def _extend(layer: Layer, drawn: Any) -> str:
    """On which sides there are values beyond the colours."""
    values = layer.values[np.isfinite(layer.values)]
    low, high = drawn.norm.vmin, drawn.norm.vmax
    below = bool(low is not None and (values < low).any())
    above = bool(high is not None and (values > high).any())
    return {(True, True): "both", (True, False): "min", (False, True): "max"}.get(
        (below, above), "neither"
    )
