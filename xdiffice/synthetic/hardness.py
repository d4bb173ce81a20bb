"""Hardness of ice as shelves may have it: patches, and bent bands of damage.

Hands on a function of position whose random numbers depend on nothing but the seed.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.spatial import cKDTree

from xdiffice.forward.fields import FieldFunction

N_PATCHES = 12
PATCH_SIZES = (0.04, 0.125)  # standard deviation of a patch, over the longer side of the shelf
BAND_LENGTHS = (0.2, 0.45)  # over the longer side of the shelf
BEND = 1.2  # radians by which a band turns, at most
POINTS_OF_BAND = 400


@dataclass(frozen=True)
class Disorder:
    """Patches of harder and softer ice, and bands of damage.

    Parameters
    ----------
    x, y, spread, height : ndarray, shape (n,)
        Middles of the patches (m), their standard deviations (m), and the change of log B.
    bands : ndarray, shape (m, 2)
        Points along all bands, m.
    width : float
        Of a band, m.
    factor : float
        By which B is lower in a band.
    """

    x: np.ndarray
    y: np.ndarray
    spread: np.ndarray
    height: np.ndarray
    bands: np.ndarray
    width: float
    factor: float

    def times(self, hardness: FieldFunction) -> FieldFunction:
        """Return the hardness with patches and damage."""
        tree = cKDTree(self.bands) if len(self.bands) else None
        # The solver asks for the same positions in each of its steps.
        last: list[np.ndarray] = []

        def at(x: np.ndarray, y: np.ndarray) -> np.ndarray:
            if last and last[0] is x and last[1] is y:
                return last[2]
            change = np.zeros(np.shape(x))
            for patch in zip(self.x, self.y, self.spread, self.height, strict=True):
                x_0, y_0, spread, height = patch
                change += height * np.exp(-((x - x_0) ** 2 + (y - y_0) ** 2) / (2 * spread**2))
            if tree is not None:
                # Nothing changes farther away, and a bound makes the search fast.
                distance, _ = tree.query(
                    np.stack([np.ravel(x), np.ravel(y)], axis=-1),
                    distance_upper_bound=2 * self.width,
                )
                across = 2 * np.minimum(distance, 2 * self.width) / self.width
                # By halves at the edges of a band, and flat inside.
                inside = np.exp(-np.log(2) * across.reshape(np.shape(x)) ** 6)
                change += np.log(self.factor) * inside
            hardened: np.ndarray = hardness(x, y) * np.exp(change)
            last[:] = x, y, hardened
            return hardened

        return at


def drawn(
    x: np.ndarray,
    y: np.ndarray,
    patches: np.random.Generator,
    damage: np.random.Generator,
    *,
    variation: float,
    n_bands: int,
    width: float,
    factor: float,
) -> Disorder:
    """Draw patches and bands with their middles on a shelf.

    Parameters
    ----------
    x, y : ndarray, shape (n,)
        Pixels of the shelf, m.
    patches, damage : numpy.random.Generator
        Decide of each.
    variation : float
        By which share a patch changes B; 0 for none.
    n_bands, width, factor
        Of the bands, see `Disorder`.
    """
    long = float(max(np.ptp(x), np.ptp(y)))
    n = N_PATCHES if variation > 0 else 0
    middle = patches.integers(x.size, size=n)
    spread = long * patches.uniform(*PATCH_SIZES, size=n)
    height = patches.choice([-1.0, 1.0], size=n) * np.log1p(variation)
    bands = [_band(x, y, long, damage) for _ in range(n_bands)]
    points = np.concatenate(bands) if bands else np.zeros((0, 2))
    return Disorder(x[middle], y[middle], spread, height, points, width, factor)


def _band(x: np.ndarray, y: np.ndarray, long: float, random: np.random.Generator) -> np.ndarray:
    """Points along an arc through a pixel of the shelf."""
    middle = random.integers(x.size)
    length = long * random.uniform(*BAND_LENGTHS)
    along = np.linspace(-0.5, 0.5, POINTS_OF_BAND)
    direction = random.uniform(0, 2 * np.pi) + random.uniform(-BEND, BEND) * along
    step = length / (POINTS_OF_BAND - 1)
    line = step * np.cumsum(np.stack([np.cos(direction), np.sin(direction)], axis=-1), axis=0)
    return line - line[POINTS_OF_BAND // 2] + [x[middle], y[middle]]
