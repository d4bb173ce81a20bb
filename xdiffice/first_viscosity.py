"""The viscosity that training starts from: in equilibrium with a motion that fits the data.

Takes the motion that the networks of all regions have, and hands on a field for the whole shelf:
what no region knows from its own data, such as a calving front far away, comes from there.
"""

from __future__ import annotations

import math

import numpy as np
from scipy.interpolate import RegularGridInterpolator

from xdiffice.forward.lattice_elements import Elements
from xdiffice.observations.points import FrontPoints
from xdiffice.observations.regions import Partition
from xdiffice.results.evaluate import FittedModel, Orders
from xdiffice.training.equilibrium import Motion, equilibrium
from xdiffice.training.shelf import LogarithmAt

NODES_OF_A_REGION = 2500
"""About as many, and three times as many as a network for the viscosity has parameters."""
MOST_NODES = 50_000


def first_viscosity(fitted: FittedModel, front: FrontPoints, velocity_error: float) -> LogarithmAt:
    """Return the viscosity that holds the motion of a model in equilibrium.

    Parameters
    ----------
    fitted : FittedModel
        Whose motion has been trained; blended by the windows, as predictions are.
    front : FrontPoints
        Calving front.
    velocity_error : float
        What this motion is wrong by, m s-1.

    Returns
    -------
    callable
        From a region and positions in its units to logarithms of the fields in its units.
    """
    scales, rheology = fitted.scales, fitted.model.rheology
    x, y, cells = coarsened(fitted.partition)
    elements = Elements(
        scales.x.to_unit(x),
        scales.y.to_unit(y),
        cells,
        (scales.x.to_unit(front.x), scales.y.to_unit(front.y)),
    )
    at_x, at_y = elements.points
    at = scales.x.to_si(at_x.ravel()), scales.y.to_si(at_y.ravel())
    u, v, h = (
        jet.mapped(lambda a: np.asarray(a).reshape(at_x.shape))
        for jet in fitted.jets(*at, Orders(1, 0))[:3]
    )
    motion = Motion(u, v, h.value, velocity_error / scales.speed)
    nodal = elements.filled(equilibrium(elements, motion, rheology))
    interpolate = RegularGridInterpolator((y, x), nodal)

    def logarithms(region: int, x_unit: np.ndarray, y_unit: np.ndarray) -> tuple[np.ndarray, ...]:
        own = fitted.region_scales[region]
        place = (
            np.clip(own.y.to_si(y_unit), y[0], y[-1]),
            np.clip(own.x.to_si(x_unit), x[0], x[-1]),
        )
        values = interpolate(place)
        units = (
            rheology.unit_of(field, scales) / rheology.unit_of(field, own)
            for field in rheology.fields
        )
        return tuple(values + np.log(unit) for unit in units)

    return logarithms


def coarsened(partition: Partition) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return corners and cells of finite elements: the partition's own, several taken together.

    Returns
    -------
    x, y : ndarray, shapes (n_x,) and (n_y,)
        Corners, ascending, m.
    cells : ndarray of bool, shape (n_y - 1, n_x - 1)
        Those at least half of which belong to the shelf; all that it touches, if it is too narrow.
    """
    inside = partition.inside
    wanted = min(MOST_NODES, NODES_OF_A_REGION * partition.n)
    every = max(1, math.ceil(math.sqrt(inside.sum() / wanted)))
    n_y, n_x = (-(-n // every) for n in inside.shape)
    padded = np.zeros((n_y * every, n_x * every), bool)
    padded[: inside.shape[0], : inside.shape[1]] = inside
    share = padded.reshape(n_y, every, n_x, every).mean(axis=(1, 3))
    cells = share >= 0.5 if share.max() >= 0.5 else share > 0
    x, y = (
        axis[0] + partition.side * (every * np.arange(n + 1) - 0.5)
        for axis, n in ((partition.x, n_x), (partition.y, n_y))
    )
    return x, y, cells
