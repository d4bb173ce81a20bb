"""What the estimator chooses by itself, from how much detail the data have."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

SMOOTH_DETAIL = 0.0015  # of an exact shelf whose viscosity varies over half its length
HIGHEST_IN_REGIONS = 12.0  # radians per half extent of a region


class Choices(NamedTuple):
    """Sizes of the networks and of a sample; see `automatic_choices`."""

    width: int
    features: int
    frequency: float
    n_velocity: int
    n_thickness: int
    n_interior: int
    n_front: int


def automatic_choices(detail: float, n_regions: int = 1) -> Choices:
    """Choose sizes by the detail of the data.

    One number rules all: how many times finer the data are than those of a smooth shelf,
    (detail / 0.0015)^½ between 1 and 4, in half octaves, so that shelves of a kind share their
    compiled programs. A field of wavenumber k differs from a plane by a share k² of its amplitude,
    hence the root. The largest frequency of the first layer, in radians per half extent, rises
    faster: rough fields have more of their detail in tails of their spectra. Smooth shelves get
    small networks, which are trained in a fraction of the time and average more noise; rough ones
    the capacity that they need.

    Each of n regions has less to resolve: the number falls with n^(1/3), to √2 at least, samples
    are smaller by n^(1/3). Their frequencies are twice as high, for shear zones and sutures, which
    are as narrow on any shelf, show in few of the data; 12 radians at most, for a region is small.

    Parameters
    ----------
    detail : float
        Of the whole shelf, from `xdiffice.super_observations.detail`.
    n_regions : int
        Regions with networks of these sizes.

    Returns
    -------
    Choices
    """
    octaves = np.clip(0.5 * np.log2(max(detail / SMOOTH_DETAIL, 1.0)), 0, 2)
    if n_regions > 1:
        octaves = max(0.5, octaves - np.log2(n_regions) / 3)
    finer = float(2 ** (np.round(2 * octaves) / 2))
    share = n_regions ** (-1 / 3)
    return Choices(
        width=round(11 + 5.25 * finer),
        features=round(16 * finer),
        frequency=2 * finer**1.5 if n_regions == 1 else min(4 * finer**1.5, HIGHEST_IN_REGIONS),
        n_velocity=round(share * (2800 + 1300 * finer)),
        n_thickness=round(share * 2000 * finer),
        n_interior=round(share * 1500 * finer),
        n_front=round(share * (150 + 120 * finer)),
    )
