"""What is added to the fields of networks: splines, for what finite elements found out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from xdiffice.model.splines import SplineLattice
from xdiffice.physics.jets import Jet


@dataclass(frozen=True)
class Correction:
    """Corrections of u, v, log h and the logarithms of a rheology's fields, in a shelf's units.

    Parameters
    ----------
    lattice : SplineLattice
        Where the splines are.
    coefficients : ndarray, shape (n_members, 3 + n_fields, lattice.n)
        Of every field. What is added is their mean over the members.
    """

    lattice: SplineLattice
    coefficients: np.ndarray

    def member(self, k: int) -> Correction:
        """Return that of one member."""
        return replace(self, coefficients=self.coefficients[k : k + 1])

    def applied(self, jets: Sequence[Jet], x: np.ndarray, y: np.ndarray) -> list[Jet]:
        """Correct u, v, h and the logarithms at nondimensional positions."""
        orders = [0 if jet.x is None else 1 if jet.xx is None else 2 for jet in jets]
        splines = self.lattice.jets(self.coefficients.mean(axis=0), x, y, max(orders))
        u, v, log_h, *logs = (
            Jet(*spline[: (1, 3, 6)[order]]) for spline, order in zip(splines, orders, strict=True)
        )
        return [
            jets[0].plus(u),
            jets[1].plus(v),
            jets[2].times(_exponential(log_h)),
            *(jet.plus(log) for jet, log in zip(jets[3:], logs, strict=True)),
        ]


def _exponential(log: Jet) -> Jet:
    """Jet of the exponential of a field, of any order."""
    value = np.exp(log.value)
    if log.x is None:
        return Jet(value)
    slopes = (value * log.x, value * log.y)
    if log.xx is None:
        return Jet(value, *slopes)
    return Jet(
        value,
        *slopes,
        value * (log.xx + log.x**2),
        value * (log.xy + log.x * log.y),
        value * (log.yy + log.y**2),
    )
