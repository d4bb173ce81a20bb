"""How regions agree where they meet: the same values, slopes and forces on both sides.

XPINN (Jagtap & Karniadakis 2020, doi 10.4208/cicp.OA-2020-0164) in the form of Schwarz: while the
networks of a region are trained, those of its neighbours stand still. Both sides of an interface
are drawn to what is midway between them. If each were drawn to where the other was, they would
change places from round to round, and the jump between them would remain.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from xdiffice.model.fields import Model, exponential
from xdiffice.physics.rheology import Rheology
from xdiffice.physics.scales import EquationUnits, Scales
from xdiffice.physics.ssa import momentum_residual
from xdiffice.training.loss import Array, Conditions, InterfaceBatch

POINTS = 60  # of its interfaces that a region sees at most; what lacks weighs nothing
PULL = 2.0  # each side goes half of the way, and is drawn by the whole jump


@functools.partial(jax.jit, static_argnames="model")
def conditions(model: Model, theta: jax.Array, units: EquationUnits, x: Array, y: Array):
    """Evaluate what has to be the same on both sides, at positions x and y of one region.

    Returns
    -------
    Conditions
        In the region's units.
    """
    theta_motion, theta_viscosity = model.split(theta)
    u, v, h = model.motion_at(theta_motion, units, x, y, order=2)
    logs = model.logarithms(theta_viscosity, x, y, order=1)
    mu_h, mu_v = model.rheology.viscosities(tuple(exponential(log) for log in logs), u, v)
    force_x, force_y = momentum_residual(u, v, h, mu_h, mu_v, weight=0.0)
    return Conditions(
        values=(u.value, v.value, h.value),
        slopes=(u.x, u.y, v.x, v.y, h.x, h.y),
        viscosity=tuple(log.value for log in logs),
        forces=(force_x, force_y),
    )


class Seams:
    """Both sides of all interfaces of a shelf.

    Parameters
    ----------
    position : tuple of ndarray, shape (n,)
        x and y of points on interfaces, m.
    sides : tuple of ndarray of int, shape (n,)
        The two regions that meet at each of them.
    scales : sequence of Scales
        Of all regions.
    rheology : Rheology
        What fields there are.
    """

    def __init__(
        self,
        position: tuple[np.ndarray, np.ndarray],
        sides: tuple[np.ndarray, np.ndarray],
        scales: Sequence[Scales],
        rheology: Rheology,
    ):
        self.scales = scales
        # Every point has two ends, one in each region; an end and the other end of its point.
        region = np.concatenate(sides)
        point = np.tile(np.arange(position[0].size), 2)
        self._ends = [_thinned(np.flatnonzero(region == k)) for k in range(len(scales))]
        seen = np.unique(np.concatenate([point[ends] for ends in self._ends])).astype(int)
        self._x, self._y = (axis[seen] for axis in position)
        slot = np.full(position[0].size, -1)
        slot[seen] = np.arange(seen.size)
        other = np.roll(region, position[0].size)
        self._points = [slot[point[ends]] for ends in self._ends]
        self._others = [other[ends] for ends in self._ends]
        self._units = [_units(one, rheology) for one in scales]

    def targets(
        self, model: Model, thetas: Sequence[np.ndarray], dtype: str
    ) -> list[InterfaceBatch]:
        """Return what every region should meet at its interfaces, as its neighbours are now."""
        common = [self._at_all_points(model, theta, k) for k, theta in enumerate(thetas)]
        return [self._batch(k, common, dtype) for k in range(len(self.scales))]

    def _at_all_points(self, model: Model, theta: np.ndarray, k: int) -> Conditions:
        """Conditions of region k at all points of all interfaces, in units of all."""
        scales = self.scales[k]
        x, y = scales.x.to_unit(self._x), scales.y.to_unit(self._y)
        found = conditions(model, jnp.asarray(theta), scales.equation_units, x, y)
        return _converted(found, self._units[k], +1)

    def _batch(self, k: int, common: list[Conditions], dtype: str) -> InterfaceBatch:
        scales, points, others = self.scales[k], self._points[k], self._others[k]
        n = points.size
        pad = (0, POINTS - n)

        def midway(*arrays):
            if not n:
                return np.zeros(0)
            both = np.stack(arrays)
            return 0.5 * (both[k, points] + both[others, points])

        target = jax.tree.map(midway, *common)
        target = _converted(target, self._units[k], -1)
        weight = np.pad(np.full(n, PULL * POINTS / max(n, 1)), pad)
        x, y = scales.x.to_unit(self._x[points]), scales.y.to_unit(self._y[points])
        batch = InterfaceBatch(x, y, target, weight)
        padded = jax.tree.map(lambda a: np.pad(a, (0, POINTS - a.size)), batch)
        return jax.tree.map(lambda a: a.astype(dtype), padded)


class _Units(NamedTuple):
    """SI values of a region's units."""

    values: tuple[float, ...]
    slopes: tuple[float, ...]
    viscosity: tuple[float, ...]
    forces: tuple[float, ...]


def _units(scales: Scales, rheology: Rheology) -> _Units:
    slope = scales.thickness / scales.length
    return _Units(
        values=(scales.speed, scales.speed, scales.thickness),
        slopes=(*[scales.strain_rate] * 4, slope, slope),
        viscosity=tuple(rheology.unit_of(field, scales) for field in rheology.fields),
        forces=(scales.momentum,) * 2,
    )


def _converted(conditions: Conditions, units: _Units, direction: int) -> Conditions:
    """To SI (+1) or from SI (-1)."""

    def scaled(arrays, factors):
        return tuple(np.asarray(a) * f**direction for a, f in zip(arrays, factors, strict=True))

    logs = zip(conditions.viscosity, units.viscosity, strict=True)
    return Conditions(
        values=scaled(conditions.values, units.values),
        slopes=scaled(conditions.slopes, units.slopes),
        viscosity=tuple(np.asarray(log) + direction * np.log(unit) for log, unit in logs),
        forces=scaled(conditions.forces, units.forces),
    )


def _thinned(ends: np.ndarray) -> np.ndarray:
    """Evenly chosen, where there are too many."""
    if ends.size <= POINTS:
        return ends
    return ends[np.linspace(0, ends.size - 1, POINTS).round().astype(int)]
