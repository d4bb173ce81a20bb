"""Thickness of floating ice from the height of its surface.

It displaces its weight of sea water; what altimeters measure becomes what the balance of forces
needs.
"""

from __future__ import annotations

import xarray as xr

from xdiffice.errors import ParameterError
from xdiffice.observations.units import factor
from xdiffice.physics.constants import PhysicalConstants


def hydrostatic_thickness(
    surface: xr.DataArray,
    firn_air_content: xr.DataArray | float = 0.0,
    *,
    ice_density: float = PhysicalConstants.ice_density,
    sea_water_density: float = PhysicalConstants.sea_water_density,
    units: str | None = None,
) -> xr.DataArray:
    """Compute the ice-equivalent thickness of a floating shelf from the height of its surface.

    Ice that floats, with a column of air a in its firn, has h = (s - a) ρ_w / (ρ_w - ρ) metres of
    solid ice. An error of 1 m in s is one of 9 m in h.

    Parameters
    ----------
    surface : DataArray
        Height above sea level: above the geoid and the mean dynamic topography, not above an
        ellipsoid. Any units of length; lazy arrays stay lazy.
    firn_air_content : DataArray or float
        Air in the firn as the height of a column, m or with units of its own.
    ice_density, sea_water_density : float
        kg m-3.
    units : str, optional
        Units of `surface`, where its attributes have none.

    Returns
    -------
    DataArray
        ``thickness``, m; what is not above the water has none (NaN).

    Raises
    ------
    UnitsError
        If there are no units, or not of length.
    ParameterError
        If the ice is not lighter than the water.
    """
    if not 0 < ice_density < sea_water_density:
        raise ParameterError(
            f"ice floats where it is lighter than the water; got ice_density {ice_density} and "
            f"sea_water_density {sea_water_density} kg m-3"
        )
    name = str(surface.name or "surface")
    height = surface * factor(units or surface.attrs.get("units"), "m", name)
    air: xr.DataArray | float = firn_air_content
    if isinstance(firn_air_content, xr.DataArray):
        air_name = str(firn_air_content.name or "firn_air_content")
        air = firn_air_content * factor(firn_air_content.attrs.get("units"), "m", air_name)
    ratio = sea_water_density / (sea_water_density - ice_density)
    thickness = ratio * (height - air)
    mapping = surface.attrs.get("grid_mapping", surface.encoding.get("grid_mapping"))
    return (
        thickness.where(thickness > 0)
        .rename("thickness")
        .assign_attrs(
            {
                "units": "m",
                "standard_name": "land_ice_thickness",
                "long_name": "ice-equivalent thickness, from the height of the surface",
                **({"grid_mapping": mapping} if mapping else {}),
            }
        )
    )
