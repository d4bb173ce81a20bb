"""The default shelf in a bay: smooth patterns of thickness, viscosity and boundary velocity.

Hands on functions of position in SI units, which `confined_shelf` takes where it is given none.
"""

from __future__ import annotations

import numpy as np


class Bay:
    """The default shelf: smooth patterns over a rectangle, in SI units.

    Parameters
    ----------
    length, width : float
        Size of the rectangle, m.
    inflow_speed, side_speed : float
        Greatest speed at the grounding line and along the sides, m s-1.
    """

    def __init__(self, length: float, width: float, inflow_speed: float, side_speed: float):
        self.length = length
        self.width = width
        self.inflow_speed = inflow_speed
        self.side_speed = side_speed

    def thickness(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Ice thickness, m."""
        along, across = self._scaled(x, y)
        ridge = 1 - 0.22 * across**2 + 0.05 * np.sin(2.2 * across + 1.5 * along)
        return (225 + 275 * (1 - along) ** 1.6) * ridge

    def viscosity(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Effective viscosity, Pa s: soft in the shear margins and towards the front."""
        along, across = self._scaled(x, y)
        margins = 0.3 + 0.7 * np.cos(0.5 * np.pi * across) ** 2
        patches = 1 + 0.18 * np.sin(2 * np.pi * along + 0.6) * np.cos(np.pi * across + 0.8)
        return 7.2e13 * margins * patches * (1 - 0.3 * along)

    def vertical_viscosity(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Vertical viscosity of anisotropic ice, Pa s: 0.5 to 1.1 times `viscosity`."""
        along, across = self._scaled(x, y)
        ratio = 0.8 + 0.3 * np.cos(1.5 * np.pi * along + 0.4) * np.cos(0.7 * np.pi * across)
        return self.viscosity(x, y) * ratio

    def boundary_speed(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Velocity along x on the rectangle's rim, m s-1, and zero on boundaries inside of it."""
        along, across = self._scaled(x, y)
        inflow = self.inflow_speed * (1 - across**2)
        slide = self.side_speed * along**2
        at_inflow, at_side = np.abs(along) < 1e-9, np.abs(np.abs(across) - 1) < 1e-9
        return np.where(at_side, slide, np.where(at_inflow, inflow, 0.0))

    def _scaled(self, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """From 0 at the grounding line to 1 at the front; from -1 to 1 between the sides."""
        return np.asarray(x) / self.length, 2 * np.asarray(y) / self.width
