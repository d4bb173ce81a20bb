"""What members of an ensemble do not have in common: what was random when the ice was observed.

Each is trained on data with other noise, and drawn towards another viscosity of those that the
penalty on roughness holds for as likely. In a linear problem members are samples of what data and
penalty leave possible (randomised maximum a posteriori: Kitanidis 1995, doi 10.1029/95WR01945;
Bardsley et al. 2014, doi 10.1137/140964023).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from xdiffice.preparation import Region
from xdiffice.super_observations import with_noise
from xdiffice.training.loss import Batch
from xdiffice.uncertainty.random_slopes import RandomSlopes


class Chance:
    """Points of all regions with something random on them.

    Parameters
    ----------
    regions : sequence of Region
        All regions of the shelf.
    n_fields : int
        Fields of the rheology.
    """

    def __init__(self, regions: Sequence[Region], n_fields: int):
        self._regions, self._n_fields = regions, n_fields
        known = [value for value in map(_stiffness, regions) if value > 0]
        self._stiffness = float(np.mean(known)) if known else 0.0

    def points(self, region: int, seed: int) -> Batch:
        """Return the points of a region; the same seed stands for the same member in all of them.

        Regions average data over blocks of their own, so the noise of theirs is their own as well.
        """
        data = self._regions[region].data
        points = with_noise(data, np.random.default_rng([seed, region]))
        if not self._stiffness:
            return points
        interior = points.interior._replace(slopes=self._slopes(region, seed))
        return points._replace(interior=interior)

    def _slopes(self, region: int, seed: int) -> tuple[tuple[np.ndarray, np.ndarray], ...]:
        """Slopes of logarithms that are expected in a region, per half length of it."""
        part, rng = self._regions[region].part, np.random.default_rng(seed)
        domains = [one.part.observations.domain for one in self._regions]
        lowest = min(one.x.min() for one in domains), min(one.y.min() for one in domains)
        highest = max(one.x.max() for one in domains), max(one.y.max() for one in domains)
        at, length = part.observations.domain, part.scales.length
        slopes = []
        for _ in range(self._n_fields):
            field = RandomSlopes(lowest, highest, self._stiffness, rng)
            by_x, by_y = field.at(at.x, at.y)
            slopes.append((length * by_x, length * by_y))
        return tuple(slopes)


def _stiffness(region: Region) -> float:
    """Return what the penalty amounts to: -log p = stiffness ∫ |∇ log μ|² dA + constant.

    Zero where the noise is not known, or the penalty counts for nothing.
    """
    part, data, recipe = region
    velocity, domain, weights = data.points.velocity, part.observations.domain, recipe.weights
    # n misfits of error σ and weight w count as w / n Σ r² in the loss, in -log p as Σ r² / (2 σ²).
    per_weight = [
        velocity.x.size / (2 * data.errors[name] ** 2 * weights.velocity * np.mean(weight))
        for name, weight in (("u", velocity.u_weight), ("v", velocity.v_weight))
        if data.errors[name] > 0
    ]
    if not per_weight:
        return 0.0
    area = domain.x.size * domain.spacing**2 / part.scales.length**2
    return float(np.mean(per_weight)) * weights.roughness / area
