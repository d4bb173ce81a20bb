r"""
A rheology of your own
======================

How much softer is ice than its temperature says? The temperature, and with it the hardness
:math:`B_0` of undamaged ice, is taken as known; what is inferred is the enhancement :math:`E` of
its flow by crevasses, fabric or water:

.. math:: \mu = \tfrac{1}{2} B_0 E^{-1/n} \dot\varepsilon_e^{1/n - 1}
"""

# %%
# One class is all that it takes: it names its positive fields, gives them units, and makes
# viscosities of them and of the velocity.
from dataclasses import dataclass, replace
from typing import ClassVar

import matplotlib.pyplot as plt
import numpy as np

import xdiffice


@dataclass(frozen=True)
class Enhanced(xdiffice.Glen):
    """Glen's law with known hardness and unknown enhancement.

    Parameters
    ----------
    hardness : float
        B0 of undamaged ice, Pa s^(1/n).
    """

    hardness: float = 2e8

    fields: ClassVar = ("enhancement",)

    @property
    def quantities(self):
        """What the output says about the field."""
        return {"enhancement": xdiffice.Quantity("1", "enhancement of ice flow", "(B0 / B)^n")}

    def unit_of(self, field, scales):
        """Return 1: it is a pure number."""
        return 1.0

    def nondimensional(self, scales):
        """With B0 in the units of the shelf."""
        return replace(self, hardness=self.hardness / super().unit_of("hardness", scales))

    def viscosities(self, fields, u, v):
        """Glen's viscosity, twice, with B0 E^(-1/n) for the hardness."""
        (e,) = fields
        value = self.hardness * e.value ** (-1 / self.n)
        if e.x is None:  # at the front no derivatives are asked for
            hardness = xdiffice.Jet(value)
        else:
            change = -value / (self.n * e.value)
            hardness = xdiffice.Jet(value, change * e.x, change * e.y)
        return super().viscosities((hardness,), u, v)


# %%
# Ice that obeys Glen's law, four times as fast in the middle of the shelf as its temperature says.
def enhancement(x, y):
    """E, from 1 at the rim to 4."""
    return 1 + 3 * np.exp(-(((x - 40e3) / 15e3) ** 2) - (y / 12e3) ** 2)


COLD = 2e8
shelf = xdiffice.synthetic.confined_shelf(
    (50, 80), glen=(lambda x, y: COLD * enhancement(x, y) ** (-1 / 3), 3.0)
)
result = shelf.diffice.invert(rheology=Enhanced(hardness=COLD), max_seconds=45, progress=False)

# %%
# The field has the name, the units and the words that the class gives it.
print(result["enhancement"].attrs)
figure, axes = plt.subplots(1, 2, figsize=(12, 3.6), layout="constrained")
x, y = result["x"], result["y"]
true = result["enhancement"].copy(data=enhancement(*np.meshgrid(x, y)))
for ax, (title, field) in zip(
    axes, (("true", true), ("inferred", result["enhancement"])), strict=True
):
    field.plot(ax=ax, vmin=1, vmax=4, cmap="viridis")
    ax.set(title=f"{title} enhancement", aspect="equal")
plt.show()
