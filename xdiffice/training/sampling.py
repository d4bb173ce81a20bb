"""Which points the loss sees: random subsets of data, shelf and front, evenly spread.

Points live on the host; only a sample travels to the device, so memory there does not grow with
the raster.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import numpy as np

from xdiffice.training.loss import (
    Array,
    Batch,
    Points,
)

CANDIDATES = 4  # for each point that is drawn by its residual
LEVELS = 10  # of the curve along which points are ordered: cells are much finer than samples
# Its cells along the longer side of a shelf: an irrational number, so that no pixel of a grid lies
# on the edge of a cell, where rounding would choose the side.
CELLS = 2**LEVELS - 1 / np.pi


class SampleSizes(NamedTuple):
    """How many points of each kind are drawn; all of them where there are fewer."""

    velocity: int
    thickness: int
    interior: int
    front: int


def along_curve(points: Batch) -> Batch:
    """Order the points of every kind along a curve that fills the plane (Hilbert 1891).

    Neighbours in the list are then neighbours on the shelf, which is what `draw` relies upon.
    """

    def ordered(part: Points) -> Points:
        return _taken(part, _along_hilbert_curve(part.x, part.y))

    return Batch(
        velocity=ordered(points.velocity),
        thickness=ordered(points.thickness),
        interior=ordered(points.interior),
        front=ordered(points.front),
    )


def draw(points: Batch, sizes: SampleSizes, rng: np.random.Generator) -> Batch:
    """Draw points of every kind, all as likely and without repetition.

    One point comes from each of as many equal parts of the list. If this is in the order of
    `along_curve` a sample leaves no hole, and samples differ less from each other: what a network
    learns on one holds between its points as well.
    """
    return Batch(
        velocity=_draw(points.velocity, sizes.velocity, rng),
        thickness=_draw(points.thickness, sizes.thickness, rng),
        interior=_draw(points.interior, sizes.interior, rng),
        front=_draw(points.front, sizes.front, rng),
    )


class Magnitudes(NamedTuple):
    """Magnitude of the residual at every point of a batch, kind by kind."""

    velocity: Array
    thickness: Array
    interior: Array
    front: Array


def candidates(points: Batch, sizes: SampleSizes, rng: np.random.Generator) -> Batch:
    """Draw four points for each that `draw_by_residual` is to choose."""
    return draw(points, SampleSizes(*(CANDIDATES * size for size in sizes)), rng)


def draw_by_residual(
    drawn: Batch, sizes: SampleSizes, rng: np.random.Generator, magnitudes: Magnitudes
) -> Batch:
    """Choose from candidates with more weight where residuals are large.

    Residual-based adaptive distribution (RAD: Wu et al. 2023, doi 10.1016/j.cma.2022.115671): the
    probability of a point is proportional to its residual plus the mean of all residuals.

    Parameters
    ----------
    drawn : Batch
        From `candidates`.
    sizes : SampleSizes
        How many are chosen; all of them where there are fewer.
    rng : numpy.random.Generator
        Decides.
    magnitudes : Magnitudes
        Of the residuals of the candidates. Where none is positive, or one is not finite, all are
        as likely.

    Returns
    -------
    Batch
        No point twice.
    """
    velocity, thickness, interior, front = map(np.asarray, magnitudes)
    return Batch(
        velocity=_draw_by_residual(drawn.velocity, sizes.velocity, rng, velocity),
        thickness=_draw_by_residual(drawn.thickness, sizes.thickness, rng, thickness),
        interior=_draw_by_residual(drawn.interior, sizes.interior, rng, interior),
        front=_draw_by_residual(drawn.front, sizes.front, rng, front),
    )


def _draw(points: Points, size: int, rng: np.random.Generator) -> Points:
    n = points[0].shape[0]
    if n <= size:
        return points
    # Parts of n / size points, begun anywhere: all points are as likely, though n / size is no
    # whole number.
    first = np.floor((np.arange(size) + rng.uniform()) * (n / size)).astype(np.int64)
    end = np.append(first[1:], first[0] + n)
    return _taken(points, rng.integers(first, end) % n)


def _draw_by_residual(
    points: Points, size: int, rng: np.random.Generator, residual: np.ndarray
) -> Points:
    n = points[0].shape[0]
    if n <= size:
        return points
    if not (np.isfinite(residual).all() and residual.any()):
        return _draw(points, size, rng)
    likely = residual + residual.mean()
    return _taken(points, rng.choice(n, size, replace=False, p=likely / likely.sum()))


def _taken(points: Points, chosen: np.ndarray) -> Points:
    return jax.tree.map(lambda array: array[chosen], points)


def _along_hilbert_curve(x: Array, y: Array) -> np.ndarray:
    """Order of points along a Hilbert curve through the square around them."""
    span = max((np.ptp(axis) for axis in (x, y) if axis.size), default=0.0) or 1.0
    column, row = (
        ((axis - axis.min(initial=np.inf)) * (CELLS / span)).astype(np.int32) for axis in (x, y)
    )
    distance = np.zeros(x.shape, np.int32)
    for side in 2 ** np.arange(LEVELS - 1, -1, -1, dtype=np.int32):
        right, upper = (axis & side > 0 for axis in (column, row))
        quarter = np.where(right, np.where(upper, 2, 3), np.where(upper, 1, 0))
        distance += (side * side) * quarter.astype(np.int32)
        column, row = column & (side - 1), row & (side - 1)
        # The curve enters and leaves a square by its lower corners: the lower quarters are turned.
        turned = right & ~upper
        column, row = (np.where(turned, side - 1 - axis, axis) for axis in (column, row))
        column, row = np.where(upper, column, row), np.where(upper, row, column)
    return np.argsort(distance, kind="stable")
