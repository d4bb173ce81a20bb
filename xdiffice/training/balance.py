"""Weights of the equations that follow from how well these hold (discrepancy principle).

Data and equations of a real shelf do not agree exactly. The equations get the least weight with
which they hold to a tolerance; all other freedom goes to the data.
"""

from __future__ import annotations

import numpy as np

from xdiffice.training.loss import Terms, Weights

TOLERANCE = 0.045  # of the driving stress, and of the stress at the front: what may be left over
STRONGEST = 100.0  # times the weight that was given
_STEP = 2.0  # a weight changes by this factor at most from one sample to the next


class Balance:
    """Factors of the weights of momentum and front, followed from sample to sample.

    Parameters
    ----------
    driving_stress, front_stress : float
        Mean squares of what the residuals are measured by, nondimensional.
    """

    def __init__(self, driving_stress: float, front_stress: float):
        self._allowed = {
            "momentum": TOLERANCE**2 * driving_stress,
            "front": TOLERANCE**2 * front_stress,
        }
        self.factors = dict.fromkeys(self._allowed, 1.0)

    def learn(self, terms: Terms) -> None:
        """Follow the residuals of a fresh sample; those that are not finite teach nothing."""
        for name, allowed in self._allowed.items():
            found = float(terms[f"x_{name}"] + terms[f"y_{name}"])
            if np.isfinite(found) and allowed > 0:
                # The root: a residual follows its weight with delay.
                change = np.clip(np.sqrt(found / allowed), 1 / _STEP, _STEP)
                self.factors[name] = float(np.clip(self.factors[name] * change, 1.0, STRONGEST))

    def applied(self, weights: Weights) -> Weights:
        """Weights as they are now."""
        return weights._replace(
            momentum=weights.momentum * self.factors["momentum"],
            front=weights.front * self.factors["front"],
        )
