"""``ds.diffice.plot``: pictures of a result, by name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import xarray as xr

from xdiffice.errors import ParameterError
from xdiffice.pictures.layers import OBSERVED, RESIDUAL, Layer, layer
from xdiffice.pictures.observed import Observed
from xdiffice.results.names import VISCOSITIES

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.collections import PathCollection, QuadMesh
    from matplotlib.figure import Figure, SubFigure
    from matplotlib.lines import Line2D


class Plots:
    """Pictures of a Dataset that `SSAViscosityInverter.predict` returned.

    Maps are on axes in kilometres, with colours that colour-blind eyes can read. Each method draws
    into `ax`, or into a new figure of pyplot, and returns what it drew; further keywords go to
    `matplotlib.axes.Axes.pcolormesh`, or to `scatter` for points. A map in a figure of its own also
    has a scale bar and, where the data are at hand, the calving front; into `ax` goes the map
    alone. Calling it draws the `summary`.

    Parameters
    ----------
    dataset : xarray.Dataset
        A prediction, or for `history` the ``history_`` of a fitted estimator. Not changed.

    Examples
    --------
    >>> import xdiffice
    >>> shelf = xdiffice.synthetic.confined_shelf()
    >>> result = shelf.diffice.invert(max_seconds=60)  # doctest: +SKIP
    >>> result.diffice.plot.viscosity()  # doctest: +SKIP
    >>> result.diffice.plot.misfit(shelf, "speed")  # doctest: +SKIP
    """

    def __init__(self, dataset: xr.Dataset):
        self._dataset = dataset

    def __call__(self, *args: Any, **kwargs: Any) -> list[Axes]:
        """Draw the `summary`."""
        return self.summary(*args, **kwargs)

    def map(
        self, variable: str, *, ax: Axes | None = None, **style: Any
    ) -> QuadMesh | PathCollection:
        """Draw any field, in the colours and units that it has on the `summary`.

        Flags of ``viscosity_quality`` come with their shares of the shelf, and the rarer ones are
        drawn larger than they are where single pixels could not be seen: where several flags share
        a spot of a hundredth of the map, the rarest is shown. The other fields are thinned to
        what a panel can show.

        Parameters
        ----------
        variable : str
            A variable such as ``"effective_strain_rate"``, ``"viscosity_quality"`` or
            ``"subdomain"``; or ``"speed"``.
        ax : matplotlib.axes.Axes, optional
            Where to draw.
        **style
            For `matplotlib.axes.Axes.pcolormesh`; ``vmin``, ``vmax``, ``cmap``, ``norm``.

        Returns
        -------
        matplotlib.collections.QuadMesh or matplotlib.collections.PathCollection
            A raster, or dots for points.

        Raises
        ------
        VariableNotFoundError
            There is no such variable.
        CoordinateError
            It has no usable coordinates, or is no map: one of several quantiles is chosen with
            ``result.sel(quantile=0.95)``, a profile is plotted by xarray.
        MissingDependencyError
            matplotlib is not installed.
        """
        return _draw(ax, layer(self._dataset, variable), None, **style)

    def viscosity(
        self, variable: str | None = None, *, ax: Axes | None = None, **style: Any
    ) -> QuadMesh | PathCollection:
        """Draw a viscosity on a logarithmic scale, Pa s.

        Parameters
        ----------
        variable : str, optional
            Which one, such as ``"viscosity_vertical"``; ``viscosity`` if not given, or the
            horizontal one where there are two.
        ax : matplotlib.axes.Axes, optional
            Where to draw.
        **style
            For `matplotlib.axes.Axes.pcolormesh`; ``vmin``, ``vmax``, ``cmap``, ``norm``.

        Returns
        -------
        matplotlib.collections.QuadMesh or matplotlib.collections.PathCollection
            A raster, or dots for points.

        Raises
        ------
        VariableNotFoundError
            There is no such viscosity.
        MissingDependencyError
            matplotlib is not installed.
        """
        if variable is None:
            variable = next((one for one in VISCOSITIES if one in self._dataset), VISCOSITIES[0])
        return self.map(variable, ax=ax, **style)

    def misfit(
        self,
        observed: xr.Dataset,
        variable: Literal["speed", "x_velocity", "y_velocity", "thickness"] = "speed",
        *,
        ax: Axes | None = None,
        thickness: Any = None,
        **style: Any,
    ) -> QuadMesh | PathCollection:
        """Draw fitted minus observed, where it was observed: on its own grid, or on flight lines.

        Parameters
        ----------
        observed : xarray.Dataset
            What the result was inferred from.
        variable : {"speed", "x_velocity", "y_velocity", "thickness"}
            What to compare; m yr-1, or m.
        ax : matplotlib.axes.Axes, optional
            Where to draw.
        thickness : optional
            As in `SSAViscosityInverter.fit`, where it is not in `observed`.
        **style
            For `matplotlib.axes.Axes.pcolormesh`.

        Returns
        -------
        matplotlib.collections.QuadMesh or matplotlib.collections.PathCollection
            A raster, or dots for points.

        Raises
        ------
        ParameterError
            An unknown variable.
        VariableNotFoundError
            The result, or the data, do not have it.
        CoordinateError
            The result is not on a grid, and not where the data are.
        MissingDependencyError
            matplotlib is not installed.
        """
        if variable not in OBSERVED:
            raise ParameterError(f"variable={variable!r}: must be one of {', '.join(OBSERVED)}")
        data = Observed(observed, thickness)
        return _draw(ax, data.misfit(self._dataset, variable), data, **style)

    def residuals(self, *, ax: Axes | None = None, **style: Any) -> QuadMesh | PathCollection:
        """Draw what the momentum balance leaves over, Pa: the length of the residual's vector.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, optional
            Where to draw.
        **style
            For `matplotlib.axes.Axes.pcolormesh`.

        Returns
        -------
        matplotlib.collections.QuadMesh or matplotlib.collections.PathCollection
            A raster, or dots for points.

        Raises
        ------
        VariableNotFoundError
            The result has no residuals.
        MissingDependencyError
            matplotlib is not installed.
        """
        return self.map(RESIDUAL, ax=ax, **style)

    def history(self, *, ax: Axes | None = None) -> list[Line2D]:
        """Draw how misfits and residuals fell, of ``inverter.history_``.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, optional
            Where to draw.

        Returns
        -------
        list of matplotlib.lines.Line2D
            One for each term and each member or region.

        Raises
        ------
        VariableNotFoundError
            This Dataset is no history of a training.
        MissingDependencyError
            matplotlib is not installed.
        """
        from .curves import draw_history

        return draw_history(self._dataset, ax)

    def summary(
        self,
        observed: xr.Dataset | None = None,
        *,
        thickness: Any = None,
        front: Any = None,
        truth: xr.Dataset | xr.DataArray | None = None,
        figure: Figure | SubFigure | None = None,
    ) -> list[Axes]:
        """Draw all that the result has on one page: data, fits, viscosity, doubts, sub-regions.

        Parameters
        ----------
        observed : xarray.Dataset, optional
            What the result was inferred from: drawn beside the fit, with misfits and the front.
        thickness, front : optional
            As in `SSAViscosityInverter.fit`, where they are not in `observed`.
        truth : xarray.Dataset or xarray.DataArray, optional
            True viscosity on the same positions, to be drawn with the relative error.
        figure : matplotlib.figure.Figure or SubFigure, optional
            Where to draw.

        Returns
        -------
        list of matplotlib.axes.Axes
            One for each map.

        Raises
        ------
        VariableNotFoundError
            Nothing to draw.
        CoordinateError
            The Dataset or the truth has no usable coordinates, or others than the result.
        MissingDependencyError
            matplotlib is not installed.
        """
        from .maps import new_figure
        from .summary import draw_page, figure_size, headline, page

        data = None if observed is None else Observed(observed, thickness, front=front)
        shown = page(self._dataset, data, truth)
        own = figure or new_figure(figure_size(shown))
        return draw_page(own, shown, data, headline(self._dataset))


def _draw(
    ax: Axes | None, layer: Layer, observed: Observed | None, **style: Any
) -> QuadMesh | PathCollection:
    """Draw a map as told, or as on the summary where nobody said where to."""
    from .maps import axes_or_new, draw_map, map_size
    from .summary import draw_layer

    if ax is not None:
        return draw_map(ax, layer, **style)
    return draw_layer(axes_or_new(None, map_size(layer)), layer, observed, **style)
