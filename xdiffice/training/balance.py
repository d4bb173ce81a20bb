"""Weights of the equations that follow from how well these hold (discrepancy principle).

Data and equations of a real shelf do not agree exactly. The equations get the least weight with
which they hold to a tolerance; all other freedom goes to the data.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from xdiffice.training.loss import Curbs, Terms, Weights

# What may be left over of the driving stress, and of the stress at the front.
TOLERANCE = {"momentum": 0.045, "front": 0.047}
# Of these where there are regions. Their residuals have longer tails, which are curbed when they
# are held against the tolerance, and count in full for whoever looks at the result.
SHARE_IN_REGIONS = 0.96
STRONGEST = {"momentum": 50.0, "front": 1000.0}  # times the weights that were given
FRONT_AT_FIRST = STRONGEST["front"]  # it anchors the viscosity
ROUGHNESS_AT_FIRST = 1e-5  # a weight: it keeps the viscosity from edges between the points
MOMENTUM_AT_FIRST = 1 / 32  # of its weight
MOMENTUM_GROWS = 15  # samples until momentum has all of it, and its residuals say anything
LEEWAY = (0.05, 2.0)  # of a logarithm around the first viscosity, first and last
PENALTY_AT_FIRST = 1000.0  # times the weight that was given
PENALTY_FALLS = 20  # samples until the rheology's penalty has the weight that was given
CURBED_AFTER = 6  # samples: until then residuals are no outliers but on their way
DATA_OUTLIER, EQUATION_OUTLIER = 3.0, 4.0  # root mean squares: what is more counts less
_DATA, _EQUATIONS = ("x_velocity", "y_velocity", "thickness"), ("momentum", "front")
_STEP = 2.0  # a weight changes by this factor at most from one sample to the next
_PATIENCE = {"momentum": MOMENTUM_GROWS, "front": 0}  # samples
_POWER = 0.25  # a residual follows its weight with delay


class Balance:
    """Weights of momentum, front and roughness, and curbs, followed from sample to sample.

    The front begins with much weight: second derivatives of a velocity that was fitted to data
    alone are mostly noise, and noise is best explained by ice without viscosity, from where no
    gradient leads back. The front's condition, which has first derivatives only, keeps the
    viscosity away from there. Nor may the viscosity be rough at first: patches without any have
    edges that hide between the points of a sample.

    Momentum begins with little weight, and roughness in proportion: the motion keeps to its data
    and gives up no more of them than it has to, instead of finding them again.
    """

    def __init__(self) -> None:
        self.factors = {"momentum": 1.0, "front": FRONT_AT_FIRST}
        self.curbs = Curbs()
        self._learned = 0  # samples

    def state(self) -> dict[str, Any]:
        """Return what was learned, as `restore` takes it."""
        return {
            "factors": dict(self.factors),
            "curbs": [*map(float, self.curbs)],
            "n": self._learned,
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Take over what another balance has learned."""
        self.factors = {name: float(state["factors"][name]) for name in self.factors}
        self.curbs, self._learned = Curbs(*state["curbs"]), int(state["n"])

    def learn(
        self,
        terms: Terms,
        stresses: Mapping[str, float],
        of_shelf: Mapping[str, float] | None = None,
    ) -> None:
        """Follow the residuals of fresh points; those that are not finite teach nothing.

        Parameters
        ----------
        terms : dict of str to float
            Mean squares, nondimensional, with the present curbs; of points that were all as
            likely, for those that were drawn by their residuals say nothing about the shelf.
        stresses : mapping of str to float
            Mean squares of what residuals are measured by, at present: the driving stress for
            ``momentum``, the stress at the ``front``.
        of_shelf : mapping of str to float, optional
            Residuals over the stresses of the whole shelf, mean squares, where these points are
            those of a region of it (`shares_of_shelf`).
        """
        self._learned += 1
        for name, stress in stresses.items():
            found = float(terms[f"x_{name}"] + terms[f"y_{name}"])
            share, tolerance = found / float(stress) if stress > 0 else 0.0, TOLERANCE[name]
            if of_shelf is not None:
                share, tolerance = of_shelf[name], SHARE_IN_REGIONS * tolerance
            if self._learned > _PATIENCE[name] and np.isfinite(share):
                ratio = share / tolerance**2
                change = np.clip(ratio**_POWER, 1 / _STEP, _STEP)
                self.factors[name] = float(
                    np.clip(self.factors[name] * change, 1.0, STRONGEST[name])
                )
        if self._learned > CURBED_AFTER:
            self.curbs = curbs(terms)

    @property
    def leeway(self) -> float:
        """How far logarithms may be from what is known beforehand, without cost."""
        grown = min(1.0, self._learned / MOMENTUM_GROWS)
        return LEEWAY[0] + grown * (LEEWAY[1] - LEEWAY[0])

    def applied(self, weights: Weights) -> Weights:
        """Weights as they are now."""
        growing = max(0.0, 1 - self._learned / MOMENTUM_GROWS)
        share = MOMENTUM_AT_FIRST**growing
        rough = (
            share * ROUGHNESS_AT_FIRST * _STEP**-self._learned
        )  # not a division: 2^1024 overflows
        falling = PENALTY_AT_FIRST ** max(0.0, 1 - self._learned / PENALTY_FALLS)
        return weights._replace(
            momentum=weights.momentum * share * self.factors["momentum"],
            front=weights.front * self.factors["front"],
            roughness=max(weights.roughness, rough),
            penalty=weights.penalty * falling,
            interface_forces=weights.interface_forces * share,
        )


class Extent(NamedTuple):
    """Where a region has residuals of one kind: at how many points, and in what unit, SI."""

    points: int
    unit: float


def shares_of_shelf(
    measured: Sequence[tuple[Mapping[str, Any], Mapping[str, Any]]],
    extents: Sequence[Mapping[str, Extent]],
) -> list[dict[str, float]]:
    """Return the residuals of every region over the stresses of the whole shelf.

    A region in which hardly anything drives the ice need not obey its equations to a share of
    hardly anything: what is left over counts as it would for one network.

    Parameters
    ----------
    measured : sequence of tuple of two mappings of str to float
        Mean squares of the residuals of every region, and of what they are measured by, of
        ``momentum`` and ``front``.
    extents : sequence of mapping of str to Extent
        Of every region, for the same.

    Returns
    -------
    list of dict of str to float
        Mean squares over mean squares, by region.
    """
    result: list[dict[str, float]] = [{} for _ in extents]
    for name in extents[0]:
        points = np.array([extent[name].points for extent in extents], float)
        units = np.array([extent[name].unit for extent in extents]) ** 2
        squares, stresses = (units * [float(one[k][name]) for one in measured] for k in (0, 1))
        there = points > 0
        stress = float(points[there] @ stresses[there]) / max(points.sum(), 1.0)
        for share, square, n in zip(result, squares, points, strict=True):
            share[name] = float(square) / stress if n and stress > 0 else 0.0
    return result


def curbs(terms: Terms) -> Curbs:
    """Curb misfits above three root mean squares of their kind, residuals of equations above four.

    Velocity and its derivatives are singular in the corners where calving front and wall meet, and
    so are rifts. A few pixels of a hundred thousand hold most of the sum of squares there: samples
    with and without them would ask for different fields.

    Parameters
    ----------
    terms : dict of str to float
        Mean squares on an earlier sample, curbed themselves: repeated, the threshold is a robust
        measure of scale.

    Returns
    -------
    Curbs
    """
    return Curbs(
        **{name: _curb(DATA_OUTLIER, terms[name]) for name in _DATA},
        **{
            name: _curb(EQUATION_OUTLIER, terms[f"x_{name}"] + terms[f"y_{name}"])
            for name in _EQUATIONS
        },
    )


def _curb(outlier: float, mean_square) -> float:
    square = outlier**2 * float(mean_square)
    return 1 / square if square > 0 and np.isfinite(square) else 0.0
