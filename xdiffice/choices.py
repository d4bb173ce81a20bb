"""What the estimator chooses by itself, from how much detail the data have."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

SMOOTH_DETAIL = 0.0015  # of an exact shelf whose viscosity varies over half its length


class Choices(NamedTuple):
    """Sizes of the networks and of a sample; see `automatic_choices`."""

    width: int
    features: int
    frequency: float
    n_velocity: int
    n_thickness: int
    n_interior: int
    n_front: int


def automatic_choices(detail: float) -> Choices:
    """Choose sizes by the detail of the data.

    One number rules all: how many times finer the data are than those of a smooth shelf,
    (detail / 0.0015)^½ between 1 and 4, in half octaves, so that shelves of a kind share their
    compiled programs. A field of wavenumber k differs from a plane by a share k² of its amplitude,
    hence the root. The largest frequency of the first layer, in radians per half extent, rises
    faster: rough fields have more of their detail in tails of their spectra. Smooth shelves get
    small networks, which are trained in a fraction of the time and average more noise; rough ones
    the capacity that they need.

    Parameters
    ----------
    detail : float
        From `xdiffice.super_observations.detail`.

    Returns
    -------
    Choices
    """
    octaves = 0.5 * np.log2(max(detail / SMOOTH_DETAIL, 1.0))
    finer = float(2 ** (np.clip(np.round(2 * octaves), 0, 4) / 2))
    return Choices(
        width=round(11 + 5.25 * finer),
        features=round(16 * finer),
        frequency=2 * finer**1.5,
        n_velocity=round(2800 + 1300 * finer),
        n_thickness=round(2000 * finer),
        n_interior=round(1500 * finer),
        n_front=round(150 + 120 * finer),
    )
