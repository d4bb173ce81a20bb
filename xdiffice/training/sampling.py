"""Which points the loss sees: random subsets of all data, drawn by name.

Points live on the host; only a sample travels to the device, so memory there does not grow with
the raster.
"""

from __future__ import annotations

from typing import NamedTuple, TypeVar

import numpy as np

from xdiffice.training.loss import Batch

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


def _draw(points: Points, size: int, rng: np.random.Generator) -> Points:
    n = points[0].shape[0]
    if n <= size:
        return points
    chosen = rng.choice(n, size, replace=False, shuffle=False)
    return type(points)(*(array[chosen] for array in points))
