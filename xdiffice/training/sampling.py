"""Which points the loss sees: random subsets of data, shelf and front.

Points live on the host; only a sample travels to the device, so memory there does not grow with
the raster.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, TypeVar

import numpy as np

from xdiffice.training.loss import Batch

CANDIDATES = 4  # for each point that is drawn by its residual

Points = TypeVar("Points", bound=tuple)


class SampleSizes(NamedTuple):
    """How many points of each kind are drawn; all of them where there are fewer."""

    velocity: int
    thickness: int
    interior: int
    front: int


def draw(points: Batch, sizes: SampleSizes, rng: np.random.Generator) -> Batch:
    """Draw points of every kind, uniformly and without repetition."""
    return Batch(
        velocity=_draw(points.velocity, sizes.velocity, rng),
        thickness=_draw(points.thickness, sizes.thickness, rng),
        interior=_draw(points.interior, sizes.interior, rng),
        front=_draw(points.front, sizes.front, rng),
    )


def draw_by_residual(
    points: Batch,
    sizes: SampleSizes,
    rng: np.random.Generator,
    residuals: Callable[[Batch], tuple[np.ndarray, np.ndarray]],
) -> Batch:
    """Draw data uniformly, interior and front points with more weight where residuals are large.

    Residual-based adaptive distribution (RAD: Wu et al. 2023, doi 10.1016/j.cma.2022.115671): the
    probability of a point is proportional to its residual plus the mean of all residuals.

    Parameters
    ----------
    points : Batch
        All points of a shelf, on the host.
    sizes : SampleSizes
        How many are drawn; interior and front points from four times as many candidates.
    rng : numpy.random.Generator
        Decides.
    residuals : callable
        Magnitudes of the residuals at interior and front points of a batch.

    Returns
    -------
    Batch
        No point twice.
    """
    more = sizes._replace(interior=CANDIDATES * sizes.interior, front=CANDIDATES * sizes.front)
    candidates = draw(points, more, rng)
    interior, front = residuals(candidates)
    return candidates._replace(
        interior=_draw(candidates.interior, sizes.interior, rng, np.asarray(interior)),
        front=_draw(candidates.front, sizes.front, rng, np.asarray(front)),
    )


def _draw(
    points: Points, size: int, rng: np.random.Generator, residual: np.ndarray | None = None
) -> Points:
    n = points[0].shape[0]
    if n <= size:
        return points
    likely = None
    if residual is not None and np.isfinite(residual).all() and residual.any():
        likely = residual + residual.mean()
        likely = likely / likely.sum()
    chosen = rng.choice(n, size, replace=False, p=likely, shuffle=False)
    return type(points)(*(array[chosen] for array in points))
