"""What was observed beside what was fitted: the data as layers of a map, and what they differ by.

Data are found as an inversion finds them, and are where they are: on a grid of their own, or along
flight lines. Fitted fields are smooth, so those are what is interpolated.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import PurePath
from typing import Any

import numpy as np
import xarray as xr

from xdiffice.errors import CoordinateError, InvalidDatasetError, VariableNotFoundError
from xdiffice.observations.axes import Grid
from xdiffice.observations.survey import Survey, load, search_shelf
from xdiffice.physics.constants import SECONDS_PER_YEAR
from xdiffice.pictures.layers import Layer, layer, thinned

_LABELLED = (xr.Dataset, xr.DataArray)


class Observed:
    """The data of one shelf, to be drawn.

    Parameters
    ----------
    dataset : xarray.Dataset
        What the result was inferred from: velocity, and what `fit` was given with it.
    thickness, front : optional
        As in `SSAViscosityInverter.fit`, where they are not in the Dataset.
    variables, units : mapping, optional
        As in `SSAViscosityInverter`.

    Attributes
    ----------
    files : list of str
        Names of the files that xarray read them from.

    Raises
    ------
    InvalidDatasetError
        There is neither velocity nor thickness, with all that is wrong.
    """

    def __init__(
        self,
        dataset: xr.Dataset,
        thickness: Any = None,
        *,
        front: Any = None,
        variables: Mapping[str, str | None] | None = None,
        units: Mapping[str, str] | None = None,
    ):
        self._found: Survey = search_shelf(
            thinned(dataset), thickness, None, front, variables, units
        )
        load(self._found)
        given = [one for one in (dataset, thickness, front) if isinstance(one, _LABELLED)]
        names = [PurePath(str(one.encoding.get("source") or "")).name for one in given]
        self.files = list(dict.fromkeys(name for name in names if name))
        if not self.has("speed") and not self.has("thickness"):
            raise InvalidDatasetError(self._found.problems)

    def has(self, name: str) -> bool:
        """Tell whether ``speed``, a component of velocity or ``thickness`` was observed."""
        return self._found.loaded(*_roles(name)) is not None

    def layer(self, name: str) -> Layer:
        """Return ``speed``, a component of velocity or ``thickness`` as observed."""
        fields = self._found.loaded(*_roles(name))
        if fields is None:
            raise VariableNotFoundError(
                f"the data have no {name.replace('_', ' ')} to compare with"
            )
        grid = fields[0].grid
        assert grid is not None
        values = [one.si for one in fields]
        if name == "thickness":
            ice = np.where(values[0] > 0, values[0], np.nan)  # products have 0 where there is none
            return Layer("observed thickness", ice, grid, "m", "cividis")
        nothing = np.logical_and.reduce([value == 0 for value in values]) & (len(values) > 1)
        speed = np.where(nothing, np.nan, np.hypot(*values) if len(values) > 1 else values[0])
        title = f"observed {name.replace('_', ' ')}"
        return Layer(title, SECONDS_PER_YEAR * speed, grid, "m yr⁻¹", "viridis")

    def misfit(self, result: xr.Dataset, name: str) -> Layer:
        """Return fitted minus observed, where it was observed.

        Raises
        ------
        VariableNotFoundError
            The result, or the data, do not have it.
        CoordinateError
            The result is not on a grid, and not where the data are.
        """
        data, model = self.layer(name), layer(result, name)
        difference = _at(model, data.grid) - data.values
        title = f"misfit of {model.title}: fitted − observed"
        return replace(data, title=title, values=difference, colours="PuOr", scale="centred")

    def front(self) -> tuple[np.ndarray, np.ndarray] | None:
        """Return x and y of the calving front, m; a front that cannot be read only decorates."""
        found = self._found.loaded("x_front", "y_front")
        return None if found is None else (np.ravel(found[0].si), np.ravel(found[1].si))


def _roles(name: str) -> tuple[str, ...]:
    return ("x_velocity", "y_velocity") if name == "speed" else (name,)


def _at(layer: Layer, grid: Grid) -> np.ndarray:
    """Values of a layer at the positions of another grid."""
    from scipy.interpolate import RegularGridInterpolator

    own = layer.grid
    same = np.array_equal(own.x, grid.x) and np.array_equal(own.y, grid.y)
    if same and own.kind == grid.kind:
        return layer.values
    if own.kind != "raster" or min(own.shape) < 2:
        raise CoordinateError(
            "the result has points that are not those of the data; predict on a grid to compare"
        )
    interpolator = RegularGridInterpolator((own.y, own.x), layer.values, bounds_error=False)
    x, y = grid.points()
    return interpolator((y, x))
