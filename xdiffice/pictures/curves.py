"""How a training went: the terms of its loss against its iterations."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from xdiffice.errors import VariableNotFoundError
from xdiffice.pictures.maps import axes_or_new

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.lines import Line2D

NEEDED = {"stage", "iteration", "loss"}
PARTS = ("member", "region")
FORWARD = "modelled_velocity"
# Root mean squares of these are in units that can be compared: of logarithms, of what is about 1.
# Colours of Okabe & Ito (2008) that contrast with white by 3 to 1 or more.
CURVES = {
    "velocity": ("velocity", "#0072B2"),
    "thickness": ("thickness", "#CC79A7"),
    "momentum": ("momentum", "#D55E00"),
    "front": ("front", "#009E73"),
    "first_viscosity": ("viscosity, to its first guess", "#666666"),
    FORWARD: ("velocity, by a forward model", "#111111"),
}
APART = 0.02  # of all iterations: steps of the last stage, which are no iterations


def draw_history(history: xr.Dataset, ax: Axes | None = None) -> list[Line2D]:
    """Draw the root mean squares of misfits and residuals on every fresh sample.

    Parameters
    ----------
    history : xarray.Dataset
        ``history_`` of a fitted `SSAViscosityInverter`.
    ax : matplotlib.axes.Axes, optional
        Where; a new figure of pyplot if not given.

    Returns
    -------
    list of matplotlib.lines.Line2D
        One for each term and each member or region of the training.

    Raises
    ------
    VariableNotFoundError
        This is no history.
    MissingDependencyError
        matplotlib is not installed.
    """
    if not set(history.data_vars) >= NEEDED:
        raise VariableNotFoundError(
            f"no history of a training: looked for {', '.join(sorted(NEEDED))}; found "
            f"{', '.join(map(str, history.data_vars)) or 'nothing'}. Pass history_ of a fitted "
            "SSAViscosityInverter"
        )
    ax = axes_or_new(ax, (6.4, 4.0))
    lines: list[Line2D] = []
    iterations = _places(history)
    for name, (term, colour) in CURVES.items():
        squares = _squares(history, name)
        if not np.isfinite(squares).any():
            continue  # no term of this training
        label: str | None = term
        for rows in _parts(history):
            x, y = iterations[rows], np.sqrt(squares[rows])
            marker = "." if name == FORWARD else None
            lines += ax.plot(x, y, color=colour, linewidth=1, marker=marker, label=label)
            label = None  # one entry of the legend for all parts
    _mark_stages(ax, history)
    ax.set_yscale("log")
    ax.set_xlabel("iteration")
    ax.set_ylabel("root mean square, nondimensional")
    ax.legend(fontsize=8)
    return lines


def _squares(history: xr.Dataset, name: str) -> np.ndarray:
    """Mean squares of a term, or the sum of those of its components."""
    names = [one for one in (name, f"x_{name}", f"y_{name}") if one in history]
    nothing = np.full(history.sizes["sample"], np.nan)
    return np.sum([history[one].values for one in names], axis=0) if names else nothing


def _places(history: xr.Dataset) -> np.ndarray:
    """Return iterations, and beyond the last one steps against a forward model side by side."""
    places: np.ndarray = history["iteration"].values.astype(float)
    steps = np.flatnonzero(np.isfinite(_squares(history, FORWARD)))
    places[steps] += APART * max(1.0, places.max()) * np.arange(steps.size)
    return places


def _parts(history: xr.Dataset) -> list[np.ndarray]:
    """Rows of each member and region."""
    keys = [history[name].values for name in PARTS if name in history]
    if not keys:
        return [np.arange(history.sizes["sample"])]
    together = np.nan_to_num(np.stack(keys), nan=-1.0)
    _, part = np.unique(together, axis=1, return_inverse=True)
    return [np.flatnonzero(part == k) for k in range(part.max() + 1)]


def _mark_stages(ax: Axes, history: xr.Dataset) -> None:
    """Draw a line where a stage begins, with its name."""
    stages, iterations = history["stage"].values, history["iteration"].values
    for name in dict.fromkeys(stages):
        start = iterations[stages == name].min()
        ax.axvline(start, color="0.7", linewidth=0.8, zorder=0)
        ax.annotate(
            str(name),
            (start, 1.0),
            xycoords=("data", "axes fraction"),
            xytext=(3, -3),
            textcoords="offset points",
            rotation=90,
            va="top",
            fontsize=7,
            color="0.4",
        )
