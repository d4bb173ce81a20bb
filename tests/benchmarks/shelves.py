"""The shelves that the benchmarks invert, and the noise that is put on their velocity.

Both are the same for every method, so that their figures can be compared.
"""

from __future__ import annotations

import os

import numpy as np
import xarray as xr

import xdiffice
from xdiffice.observations.survey import load, search_shelf

BAY = (80e3, 50e3)  # length and width, m


def shelf_from(source: str | None, velocity_units: str = "m s-1") -> tuple[str, xr.Dataset]:
    """Open a shelf and name it.

    Parameters
    ----------
    source : str or None
        A `.mat` file of DIFFICE_jax, or a netCDF file with the names and units that
        `xdiffice.synthetic` uses. None is the package's own synthetic shelf.
    velocity_units : str
        Of a `.mat` file, which does not tell.

    Returns
    -------
    tuple of (str, xarray.Dataset)
        Name for the table, and the shelf in SI units.
    """
    if source is None:
        return "confined_shelf()", xdiffice.synthetic.confined_shelf()
    name, extension = os.path.splitext(os.path.basename(source))
    if extension == ".mat":
        return name, xdiffice.open_diffice_mat(source, velocity_units=velocity_units)
    return name, xr.open_dataset(source)


def with_noise(shelf: xr.Dataset, share: float, seed: int) -> xr.Dataset:
    """Return the shelf with Gaussian noise on both components of velocity.

    Parameters
    ----------
    shelf : xarray.Dataset
        With ``x_velocity`` and ``y_velocity``; it is not changed.
    share : float
        Standard deviation of the noise on each component, as a share of the rms speed
        sqrt(mean(u² + v²)).
    seed : int
        Decides the noise.

    Returns
    -------
    xarray.Dataset
    """
    u, v = shelf["x_velocity"], shelf["y_velocity"]
    deviation = share * float(np.sqrt((u**2 + v**2).mean()))
    random = np.random.default_rng(seed)
    noisy = {
        name: shelf[name].copy(data=shelf[name] + deviation * random.standard_normal(u.shape))
        for name in ("x_velocity", "y_velocity")
    }
    return shelf.assign(noisy)


def residual_shares(inverter: xdiffice.SSAViscosityInverter) -> list[float]:
    """Momentum and front as the networks leave them, and the miss of the modelled velocity."""
    return [inverter.residual_.get(name, np.nan) for name in ("momentum", "front", "velocity")]


def hold_out(
    shelf: xr.Dataset, side: float, share: float = 0.1, seed: int = 0
) -> tuple[xr.Dataset, dict[str, xr.DataArray], xr.DataArray]:
    """Take velocity and thickness out of random square blocks.

    Parameters
    ----------
    shelf : xarray.Dataset
        Any Dataset that the estimator reads; it is not changed.
    side : float
        Of a block, m. Single pixels would be told by their neighbours.
    share : float
        Of the blocks.
    seed : int
        Decides which.

    Returns
    -------
    tuple of (xarray.Dataset, dict of str to xarray.DataArray, xarray.DataArray)
        The shelf without the blocks, what was in them, by role, and a mask of the whole shelf: the
        ice is known to float where its velocity is left out.
    """
    found = search_shelf(shelf)
    load(found)
    blocks = {}
    for role in ("x_velocity", "y_velocity", "thickness"):
        x, y = found.fields[role].grid.points()
        blocks[role] = np.floor(x / side) + 1e7 * np.floor(y / side)
    every = np.unique(np.concatenate([numbers.ravel() for numbers in blocks.values()]))
    chosen = every[np.random.default_rng(seed).uniform(size=every.size) < share]
    remaining, held_out = {}, {}
    for role, numbers in blocks.items():
        one = found.fields[role]
        out = xr.DataArray(np.isin(numbers, chosen), dims=one.squeezed.dims)
        remaining[one.name] = one.array.where(~out)
        held_out[role] = one.squeezed.where(out)
    u, v = (found.fields[role] for role in ("x_velocity", "y_velocity"))
    floating = (np.isfinite(u.squeezed) & np.isfinite(v.squeezed)).astype(float)
    floating.attrs = {"standard_name": "floating_ice_shelf_area_fraction", "units": "1"}
    return shelf.assign(remaining), held_out, floating


def anisotropic_bay() -> xr.Dataset:
    """Make a bay of 80 x 50 km between walls, of ice with two viscosities.

    μ_h is soft at the walls; μ_v is 0.4 to 1.6 times as large, in a pattern of half the length.

    Returns
    -------
    xarray.Dataset
        As from `xdiffice.synthetic.confined_shelf`, 100 x 160 pixels.
    """
    length, width = BAY

    def horizontal(x, y):
        return 7e13 * (0.3 + 0.7 * np.cos(np.pi * y / width) ** 2) * (1 - 0.3 * x / length)

    def vertical(x, y):
        ratio = 1 + 0.6 * np.sin(2 * np.pi * x / length) * np.cos(2 * np.pi * y / width)
        return ratio * horizontal(x, y)

    return xdiffice.synthetic.confined_shelf(
        (100, 160),
        length=length,
        width=width,
        rheology="anisotropic",
        viscosity=horizontal,
        vertical_viscosity=vertical,
    )


def sutured_shelf(spacing: float = 1000.0, mesh_size: float = 2000.0) -> xr.Dataset:
    """Make a shelf of 800 km with sharp bands of soft ice, more than one network resolves.

    Three meandering suture zones between the outflows of glaciers and both shear margins, 5 km wide
    each, are ten times as soft as the ice around them.

    Parameters
    ----------
    spacing, mesh_size : float
        Of the pixels and of the finite elements, m.

    Returns
    -------
    xarray.Dataset
        As from `xdiffice.synthetic.confined_shelf`.
    """
    length, width, band, contrast = 800e3, 200e3, 5e3, 10.0

    def softened(distance):
        """1 far from a band, 1 / contrast within, by halves at its edges."""
        return contrast ** (-np.exp(-np.log(2) * (2 * distance / band) ** 4))

    def viscosity(x, y):
        along = x / length
        ice = 5e14 * (1 - 0.4 * along) * (1 + 0.2 * np.sin(9 * along + y / 5e4))
        for start, swing, phase in ((-5e4, 1.2e4, 0.0), (0.0, 1.5e4, 1.0), (5.5e4, 1e4, 2.5)):
            ice = ice * softened(y - start - swing * np.sin(8 * along + phase))
        for side in (-width / 2, width / 2):
            ice = ice * softened(y - side)
        return ice

    return xdiffice.synthetic.confined_shelf(
        (round(width / spacing), round(length / spacing)),
        length=length,
        width=width,
        viscosity=viscosity,
        inflow_speed=1e-5,
        side_speed=2e-5,
        mesh_size=mesh_size,
    )
