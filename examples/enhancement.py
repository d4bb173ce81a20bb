"""A rheology of one's own: how much softer ice is than its temperature says.

The temperature of the ice, and with it the hardness B0 of undamaged ice, is taken as known. What
is inferred is the enhancement E of its flow (crevasses, fabric, water):

    μ = ½ B0 E^(-1/n) ε_e^(1/n - 1)

One class is all that it takes. Run it with

    python examples/enhancement.py
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

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


def main(max_iterations: int = 1500) -> None:
    """Invert a disc of ice that spreads evenly and is a little softer than it should be."""
    shelf = xdiffice.synthetic.spreading_shelf((40, 40))
    result = shelf.diffice.invert(
        rheology=Enhanced(hardness=2e8), max_iterations=max_iterations, random_state=0
    )
    print(result[["enhancement", "viscosity"]])


if __name__ == "__main__":
    main()
