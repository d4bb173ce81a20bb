"""From one shelf to its regions: the estimator's ``subdomains`` become parts of the observations.

Takes `Observations` and hands on a `Partition`, the observations of every region, and batches of
equal size, so that all regions share one compiled program.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Protocol, TypeVar

import jax
import numpy as np
import xarray as xr

from xdiffice.errors import DataValuesError
from xdiffice.observations.points import (
    Domain,
    FrontPoints,
    Observations,
    ThicknessPoints,
    VelocityPoints,
)
from xdiffice.observations.regions import Partition, cut, from_labels, one_region
from xdiffice.results.template import resolve_template
from xdiffice.training.loss import Batch, FrontBatch, Points
from xdiffice.training.sampling import SampleSizes

MIN_DATA = 30
"""Fewest velocity values, and thickness values, within reach of a region's own networks."""
AREA_OF_A_REGION = 1e10
"""m2: shear zones and sutures are some kilometres wide on any shelf, a hundred see them."""
ROUGH_DETAIL = 0.006
"""Of a shelf that is cut into as many regions as its area asks for, a smoother one into fewer."""
MOST_REGIONS = 16
"""That are chosen automatically."""

Kind = TypeVar("Kind", VelocityPoints, ThicknessPoints, FrontPoints, Domain)


class HasDetail(Protocol):
    """What knows how much detail its data have (`xdiffice.super_observations.detail`)."""

    @property
    def detail(self) -> float:
        """Root mean square, relative to the spread of the data."""


def partition_of(subdomains: Any, observations: Observations, shelf: HasDetail) -> Partition:
    """Make the partition that a user asks for.

    Parameters
    ----------
    subdomains : int, "auto", DataArray or Partition
        Number of regions; or labels, integers on a raster of their own, NaN or negative where
        there is none.
    observations : Observations
        The shelf.
    shelf : HasDetail
        Asked for its detail where the number is chosen.

    Returns
    -------
    Partition

    Raises
    ------
    ParameterError
        More regions than there is room for; labels that are no integers or lie elsewhere.
    CoordinateError
        Labels without usable coordinates.
    """
    domain = observations.domain
    if isinstance(subdomains, Partition):
        return subdomains
    if isinstance(subdomains, xr.DataArray):
        target = resolve_template(subdomains, observations.labels)
        values = subdomains.transpose(*target.dims).values
        return from_labels(domain, target.x, target.y, values.ravel())
    whole = one_region(domain)
    if subdomains == "auto":
        subdomains = automatic_number(whole.inside.sum() * whole.side**2, shelf.detail)
    return whole if subdomains == 1 else cut(domain, int(subdomains))


def automatic_number(area: float, detail: float) -> int:
    """Choose a number of regions by the area of a shelf, m2, and the detail of its data."""
    n = area / AREA_OF_A_REGION * min(1.0, detail / ROUGH_DETAIL)
    return int(np.clip(round(n), 1, MOST_REGIONS))


def split(observations: Observations, partition: Partition) -> list[Observations]:
    """Return the observations of every region, those that it shares with its neighbours included.

    Raises
    ------
    DataValuesError
        All regions that have too few data for networks of their own, in one message.
    """
    if partition.n == 1:
        return [observations]
    parts = [_within(observations, partition, k) for k in range(partition.n)]
    problems = [
        f"subdomain {name} has {part.velocity.x.size} velocity and {part.thickness.x.size} "
        "thickness values within its reach"
        for name, part in zip(partition.names, parts, strict=True)
        if min(part.velocity.x.size, part.thickness.x.size) < MIN_DATA
    ]
    if problems:
        raise DataValuesError(
            "; ".join(problems) + f"; at least {MIN_DATA} of each are needed: join it with a "
            "neighbour, or ask for fewer subdomains"
        )
    return parts


def _within(observations: Observations, partition: Partition, region: int) -> Observations:
    def taken(points: Kind) -> Kind:
        inside = partition.members(region, points.x, points.y)
        arrays = {
            name: value[inside]
            for name, value in vars(points).items()
            if isinstance(value, np.ndarray)
        }
        return replace(points, **arrays)

    return replace(
        observations,
        velocity=taken(observations.velocity),
        thickness=taken(observations.thickness),
        front=taken(observations.front),
        domain=taken(observations.domain),
    )


def repeated(batch: Batch, sizes: SampleSizes) -> Batch:
    """Repeat points of a region that has fewer than are drawn, so that all samples are as large.

    A region without calving front gets front points without normal, which ask for nothing.
    """
    return batch._replace(
        velocity=_repeated(batch.velocity, sizes.velocity),
        thickness=_repeated(batch.thickness, sizes.thickness),
        interior=_repeated(batch.interior, sizes.interior),
        front=_repeated(batch.front, sizes.front),
    )


def _repeated(points: Points, n: int) -> Points:
    if points.x.size == 0 and isinstance(points, FrontBatch):
        x, y, n_x, n_y = np.zeros((4, n))
        return FrontBatch(x, y, n_x, n_y)
    if points.x.size >= n:
        return points
    return jax.tree.map(lambda array: np.resize(array, n), points)
