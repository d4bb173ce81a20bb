"""What neighbours have at the points of a region, where equations hold for what is predicted.

Predictions blend the regions by windows that add up to one. Where two overlap, fields that both
satisfy the equations need not do so when they are blended: the slopes of the windows multiply what
the fields differ by. So a region sees the equations of the blend, its neighbours as they were when
the round began. If every one removed all of a residual, together they would remove it twice, and
more; each removes its share, by its window, and leaves the others theirs.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
import numpy as np

from xdiffice.model.fields import Model
from xdiffice.physics.jets import Jet
from xdiffice.physics.rheology import in_units_of
from xdiffice.physics.scales import EquationUnits, Scales
from xdiffice.training.loss import Array, Batch, Blend, FrontBatch, InteriorBatch

AT_ONCE = 256  # points at which a neighbour is evaluated
Window = Callable[[int, np.ndarray, np.ndarray, int], Sequence[np.ndarray | None]]
"""From a region, positions in m and an order to the region's window and its derivatives."""


class Neighbours:
    """All regions, as they see each other.

    Parameters
    ----------
    window : callable
        Weight of a region at positions, m, and its derivatives.
    scales : sequence of Scales
        Of all regions.
    model : Model
        Networks and rheology of each.
    """

    def __init__(self, window: Window, scales: Sequence[Scales], model: Model):
        self._window, self._scales, self._model = window, scales, model
        self._thetas: list[np.ndarray] = []

    def stand_still(self, thetas: Sequence[np.ndarray]) -> None:
        """Take over the parameters that all regions have now."""
        self._thetas = [np.array(theta) for theta in thetas]

    def blended(self, region: int, batch: Batch) -> Batch:
        """Return a batch of a region's points at which it knows what the others have."""
        return batch._replace(
            interior=batch.interior._replace(blend=self._blend(region, batch.interior)),
            front=batch.front._replace(blend=self._blend(region, batch.front)),
        )

    def _blend(self, region: int, points: InteriorBatch | FrontBatch) -> Blend:
        own, n = self._scales[region], points.x.shape[0]
        x, y = (
            axis.to_si(np.asarray(values, np.float64))
            for axis, values in ((own.x, points.x), (own.y, points.y))
        )
        window = Jet(*self._window(region, x, y, 2)).per(own.length)
        rest = [Jet(*np.zeros((6, n))) for _ in range(3)]
        rest += [Jet(*np.zeros((3, n))) for _ in self._model.rheology.fields]
        (shared,) = np.nonzero(window.value < 1)
        for other in range(len(self._thetas)):
            if other == region or not shared.size:
                continue
            (seen,) = np.nonzero(np.asarray(self._window(other, x[shared], y[shared], 0)[0]))
            if not seen.size:
                continue
            at = shared[seen]
            share = Jet(*self._window(other, x[at], y[at], 2)).per(own.length)
            for total, jet in zip(rest, self._of(other, own, x[at], y[at]), strict=True):
                for array, more in zip(total, jet.times(share), strict=True):
                    if array is not None:
                        array[at] += more
        blend = Blend(window, tuple(rest), (np.zeros(n), np.zeros(n)))
        return jax.tree.map(lambda array: array.astype(points.x.dtype), blend)

    def _of(self, region: int, wanted: Scales, x: np.ndarray, y: np.ndarray) -> list[Jet]:
        """Return u, v, h and logarithms of a region at positions (m) in units of another one."""
        scales, theta = self._scales[region], jnp.asarray(self._thetas[region])
        dtype, parts = self._thetas[region].dtype, []
        for start in range(0, x.size, AT_ONCE):  # one size, one compilation
            some = slice(start, start + AT_ONCE)
            filled = max(0, start + AT_ONCE - x.size)
            at = (
                np.pad(unit.to_unit(si[some]), (0, filled)).astype(dtype)
                for unit, si in ((scales.x, x), (scales.y, y))
            )
            parts.append(_jets(self._model, theta, scales.equation_units, *at))
        found = jax.tree.map(
            lambda *arrays: np.concatenate(arrays).astype(np.float64)[: x.size], *parts
        )
        return in_units_of(wanted, found, scales, self._model.rheology)


@functools.partial(jax.jit, static_argnames="model")
def _jets(model: Model, theta: jax.Array, units: EquationUnits, x: Array, y: Array) -> list[Jet]:
    theta_motion, theta_viscosity = model.split(theta)
    motion = model.motion_at(theta_motion, units, x, y, order=2)
    return [*motion, *model.logarithms(theta_viscosity, x, y, order=1)]


def shared_out(batch: Batch, residuals: Sequence[tuple[Array, Array]]) -> Batch:
    """Leave to the others what their windows add up to of the residuals that there are.

    Parameters
    ----------
    batch : Batch
        From `Neighbours.blended`.
    residuals : sequence of two tuples of Array
        x and y components: of momentum, of the front.
    """

    def left(points, residual: tuple[Array, Array]):
        share = 1 - points.blend.window.value
        others = tuple(share * component for component in residual)
        return points._replace(blend=points.blend._replace(others=others))

    momentum, front = residuals
    return batch._replace(interior=left(batch.interior, momentum), front=left(batch.front, front))
