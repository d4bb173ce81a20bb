"""Whether an inferred viscosity moves the ice as it was seen to move: the equations, solved anew.

Independent of the networks: finite elements on the shelf's own mask, held by the observed velocity
where it is not calving front. Takes a Dataset and a prediction, hands on modelled velocities.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr
from scipy.spatial import cKDTree

from xdiffice import __version__
from xdiffice.forward.observed import ObservedShelf
from xdiffice.forward.solve import solve_shelf
from xdiffice.observations.conventions import conforming
from xdiffice.observations.gather import gather
from xdiffice.observations.points import Observations
from xdiffice.observations.rasters import constants_of, raster_of, viscosities_of
from xdiffice.results.template import Target, resolve_template

MEANT = {"x_velocity": "x velocity of ice", "y_velocity": "y velocity of ice"}


def forward_check(
    dataset: xr.Dataset,
    result: xr.Dataset,
    *,
    thickness: Any = None,
    mask: Any = None,
    front: Any = None,
    variables: Mapping[str, str | None] | None = None,
    units: Mapping[str, str] | None = None,
    mesh_size: float | None = None,
) -> xr.Dataset:
    """Solve the shallow-shelf equations with an inferred viscosity, and compare velocities.

    The equations are linear, because the viscosity is given. Viscosity and thickness are those of
    the result; the velocity is imposed where the rim of the shelf is not calving front, as the
    quadratic surface that fits the 16 nearest observations best; at the front the sea pushes.
    Pieces of a shelf that nothing holds are left out.

    Parameters
    ----------
    dataset : xarray.Dataset
        What the viscosity was inferred from: velocity, and what `fit` was given with it.
    result : xarray.Dataset
        Prediction on a grid: ``viscosity``, or ``viscosity_horizontal`` and
        ``viscosity_vertical``, Pa s, and ``thickness``.
    thickness, mask, front : optional
        As in `SSAViscosityInverter.fit`, where they are not in `dataset`.
    variables, units : mapping, optional
        As in `SSAViscosityInverter`.
    mesh_size : float, optional
        Greatest length of the legs of a triangle, m; by default two pixels of the mask, more where
        that would give above 20 000 triangles. Elements are quadratic.

    Returns
    -------
    xarray.Dataset
        On the grid of the observed velocity, in its units: ``x_velocity``, ``y_velocity`` as
        modelled, ``x_velocity_difference``, ``y_velocity_difference``, modelled minus observed,
        NaN where either is missing, and the number ``rms_difference``, root mean square of the
        length of the difference. Attributes ``relative_difference``,
        ``x_velocity_relative_difference`` and ``y_velocity_relative_difference`` are L2 norms of
        the difference over those of what was observed.

    Raises
    ------
    VariableNotFoundError
        The result has no viscosity, or no thickness.
    CoordinateError
        It is not on a raster.
    ParameterError
        The shelf is no raster either, or calving front all around: nothing holds it.
    XdifficeError
        The Dataset cannot be used; see `SSAViscosityInverter.fit`.

    Examples
    --------
    >>> import xdiffice
    >>> shelf = xdiffice.synthetic.confined_shelf(shape=(20, 30))
    >>> check = shelf.diffice.forward_check(shelf)  # with the true viscosity
    >>> check.attrs["relative_difference"] < 0.01
    True
    """
    observations = gather(
        dataset, thickness, mask=mask, front=front, variables=variables, units=units
    )
    viscosities = list(viscosities_of(result).values())
    shelf = ObservedShelf.of(observations, mesh_size)
    flow = solve_shelf(
        shelf.mesh,
        raster_of(result, "thickness", "m"),
        shelf.velocity,
        shelf.front,
        viscosity=viscosities[0],
        vertical_viscosity=viscosities[1] if len(viscosities) == 2 else None,
        constants=constants_of(result),
    )
    target = resolve_template(None, observations.labels)
    inside = np.isfinite(target.x) & np.isfinite(target.y)
    modelled = np.full((2, target.size), np.nan)
    modelled[:, inside] = flow.velocity(target.x[inside], target.y[inside])
    return _labelled(modelled, target, observations, result)


def _labelled(
    modelled: np.ndarray, target: Target, observations: Observations, result: xr.Dataset
) -> xr.Dataset:
    """Name everything, and sum up the differences."""
    labels, velocity = observations.labels, observations.velocity
    known = np.isfinite(target.x) & np.isfinite(target.y)
    tree = cKDTree(np.column_stack([target.x[known], target.y[known]]))
    reach = 1e-3 * observations.domain.spacing
    distance, nearest = tree.query(
        np.column_stack([velocity.x, velocity.y]), distance_upper_bound=reach
    )
    found = np.isfinite(distance)
    place = np.flatnonzero(known)[nearest[found]]
    variables: dict[str, Any] = {}
    attrs: dict[str, Any] = {}
    squares = np.zeros(2)
    for name, ours, seen in zip(MEANT, modelled, (velocity.u, velocity.v), strict=True):
        scale = labels.factors[name]
        observed = np.full(target.size, np.nan)
        observed[place] = seen[found]
        difference = ours - observed
        both = np.isfinite(difference)
        own = np.array([np.sum(difference[both] ** 2), np.sum(observed[both] ** 2)])
        squares += own
        attrs[f"{name}_relative_difference"] = _root_of_ratio(*own)
        described = {"units": str(labels.attrs[name]["units"])}
        if target.grid_mapping is not None:
            described["grid_mapping"] = str(target.grid_mapping)
        for variable, values, long_name in (
            (name, ours, f"modelled {MEANT[name]}"),
            (f"{name}_difference", difference, f"modelled minus observed {MEANT[name]}"),
        ):
            shaped = (values / scale).reshape(target.shape)
            variables[variable] = (target.dims, shaped, described | {"long_name": long_name})
    n = int(np.isfinite(variables["x_velocity_difference"][1]).sum())
    variables["rms_difference"] = (
        (),
        float(np.sqrt(squares[0] / max(n, 1)) / labels.factors["x_velocity"]),
        {
            "units": str(labels.attrs["x_velocity"]["units"]),
            "long_name": "root mean square of modelled minus observed velocity of ice",
        },
    )
    attrs = {
        "title": "Velocity of an ice shelf with an inferred viscosity, by finite elements",
        "source": f"xdiffice {__version__}",
        "history": _history(result),
        "relative_difference": _root_of_ratio(*squares),
        **attrs,
        "n_compared": n,
    }
    if "estimator" in result.attrs:
        attrs["estimator"] = result.attrs["estimator"]
    return conforming(xr.Dataset(variables, target.coords.coords), attrs)


def _history(result: xr.Dataset) -> str:
    """Append a line to what was done before."""
    line = "velocity modelled by xdiffice.forward_check"
    return "\n".join([*str(result.attrs.get("history", "")).rstrip().splitlines(), line])


def _root_of_ratio(part: float, whole: float) -> float:
    return float(np.sqrt(part / whole)) if whole > 0 else float("nan")
