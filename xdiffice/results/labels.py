"""What predicted numbers are called: SI arrays become a CF Dataset that explains itself.

Names, units, standard names, grid mapping, constants and history are given here and nowhere else;
what goes out is what ``predict`` returns and what is written to netCDF.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import numpy as np
import xarray as xr

from .. import __version__
from ..errors import ParameterError
from ..observations.conventions import conforming
from ..observations.points import Labels
from ..physics.constants import SECONDS_PER_YEAR, PhysicalConstants
from ..physics.rheology import Quantity
from .names import OUTPUT_VARIABLES, QUALITY, SPREAD, VISCOSITIES, Quality
from .quality import BUTTRESSING, GAP, UNBALANCED, WEAK
from .template import Target, resolve_template

__all__ = ["Target", "label", "resolve_template"]

REFERENCES = (
    "Wang & Lai (2025), Journal of Open Source Software, doi:10.21105/joss.07254; "
    "Wang et al. (2025), Science, doi:10.1126/science.adp3300"
)
_TITLE = "Viscosity of an ice shelf, inferred from its velocity and thickness"

# Of netCDF-4. Writers of Zarr, and of netCDF-3, leave out what they do not know.
COMPRESSION = {"zlib": True, "complevel": 4, "shuffle": True}

# CF defines no standard_name for viscosity and strain rate, so those have none. The residual is
# that of the depth-integrated balance: div(h T) is Pa m over m, hence Pa, as is rho g' h grad(h).
_RESIDUAL_COMMENT = (
    "div(h T) - rho g' h grad(h) of the depth-integrated shallow-shelf balance, a force per "
    "horizontal area, hence Pa; divided by thickness it is a force per volume, Pa m-1"
)
_STRESS_COMMENT = (
    "depth-averaged stress T = 2 viscosity_horizontal strain_rate "
    "+ 2 viscosity_vertical trace(strain_rate) I"
)
_SI_ATTRS: dict[str, dict[str, str]] = {
    "viscosity": {
        "units": "Pa s",
        "long_name": "depth-averaged effective dynamic viscosity of ice",
        "comment": "depth-averaged stress T = 2 viscosity (strain_rate + trace(strain_rate) I)",
    },
    "viscosity_horizontal": {
        "units": "Pa s",
        "long_name": "depth-averaged effective dynamic viscosity of ice in horizontal deformation",
        "comment": _STRESS_COMMENT,
    },
    "viscosity_vertical": {
        "units": "Pa s",
        "long_name": "depth-averaged effective dynamic viscosity of ice in vertical deformation",
        "comment": _STRESS_COMMENT,
    },
    "effective_strain_rate": {
        "units": "s-1",
        "long_name": "effective strain rate of the fitted velocity",
        "comment": "square root of u_x^2 + v_y^2 + u_x v_y + (u_y + v_x)^2 / 4",
    },
    "x_momentum_residual": {
        "units": "Pa",
        "long_name": "residual of the depth-integrated x momentum balance",
        "comment": _RESIDUAL_COMMENT,
    },
    "y_momentum_residual": {
        "units": "Pa",
        "long_name": "residual of the depth-integrated y momentum balance",
        "comment": _RESIDUAL_COMMENT,
    },
}

_FLAGS: dict[str, dict[str, Any]] = {
    "viscosity_quality": {
        "long_name": "whether the flow determines the viscosity",
        "standard_name": "quality_flag",
        "flag_values": np.array([*Quality], dtype="int8"),
        "flag_meanings": " ".join(flag.name.lower() for flag in Quality),
        "comment": (
            "no_strain: effective strain rate within its error, which is what members of an "
            "ensemble differ by, or the error of the fitted velocity times the largest wavenumber "
            "of the first layer of the networks; stress says nothing about viscosity. "
            f"weakly_determined: within {WEAK:g} such errors. "
            "not_separated: ice is not buttressed along one axis (buttressing number "
            f"within {BUTTRESSING:g} of zero); the flow does not tell horizontal from vertical "
            "viscosity, only the preference for isotropic ice does. "
            f"near_gap: no velocity within {GAP:g} pixels, or no thickness within these and a "
            "quarter of the shortest wavelength of the first layer. "
            "near_pinning_point: the momentum balance leaves over more than "
            f"{UNBALANCED:g} of the rms driving stress, as where the ground pushes, which the "
            "equations do not know. extrapolated: off the shelf. The first that holds "
            "is said, of extrapolated, no_strain, weakly_determined, not_separated, "
            "near_pinning_point and near_gap"
        ),
    },
    "subdomain": {
        "long_name": "label of the sub-region of the networks",
        "comment": "-1 outside of the shelf",
    },
}
_MISSING = {"viscosity_quality": int(Quality.OUTSIDE), "subdomain": -1}

# The fitted counterparts of what was observed go out in the units in which it came in. Their
# standard_name is the input's where that is one of CF's, else the one that the model's quantity
# has: the shallow-shelf velocity does not vary with depth.
_FITTED_NAMES: dict[str, tuple[str, tuple[str, ...]]] = {
    "x_velocity": (
        "fitted x velocity of ice",
        (
            "land_ice_vertical_mean_x_velocity",
            "land_ice_surface_x_velocity",
            "land_ice_x_velocity",
        ),
    ),
    "y_velocity": (
        "fitted y velocity of ice",
        (
            "land_ice_vertical_mean_y_velocity",
            "land_ice_surface_y_velocity",
            "land_ice_y_velocity",
        ),
    ),
    "thickness": ("fitted ice thickness", ("land_ice_thickness", "floating_ice_thickness")),
}

_SPREAD_COMMENT = (
    "geometric standard deviation, a factor: the exponential of the standard deviation of the "
    "logarithm of {name} between the members of an ensemble, which differ in initial parameters, "
    "samples, and noise of the data where it is known. What all members have in common, such as "
    "smoothing, is not in it"
)


def label(
    fields: Mapping[str, np.ndarray],
    target: Target,
    labels: Labels,
    *,
    constants: PhysicalConstants,
    provenance: str,
    quantities: Mapping[str, Quantity] = MappingProxyType({}),
    outcome: Mapping[str, str | int | float] = MappingProxyType({}),
    title: str = _TITLE,
) -> xr.Dataset:
    """Give SI arrays their names, units, coordinates and provenance.

    Parameters
    ----------
    fields : mapping of str to ndarray or dask array, shape (n,) or ``target.shape``
        SI values by name (`OUTPUT_VARIABLES`, ``quantities``, and how far members differ in
        viscosities and quantities, with ``_std`` at the end): viscosities in Pa s, velocity in
        m s-1, thickness in m, ``effective_strain_rate`` in s-1, momentum residuals in Pa; NaN where
        a flag or a label has no value.
    target : Target
        Where the values are, from `resolve_template`.
    labels : Labels
        The input's units, names, grid mapping and history.
    constants : PhysicalConstants
        The constants with which the fields were computed.
    provenance : str
        The estimator's ``repr``.
    quantities : mapping of str to Quantity
        Further variables that a rheology has, by name.
    outcome : mapping of str to str, int or float
        How the training ended, for the attributes of the Dataset.
    title : str
        ``title`` attribute of the Dataset.

    Returns
    -------
    xarray.Dataset
        CF-1.11. Velocity and thickness are in the input's units, everything else in SI. Writing
        to netCDF and reading back gives an identical Dataset.

    Raises
    ------
    ParameterError
        A field has an unknown name or does not have one value per position.
    """
    positive = [*dict.fromkeys((*VISCOSITIES, *quantities))]
    spreads = [name + SPREAD for name in positive]
    known = dict.fromkeys((*positive, *spreads, *OUTPUT_VARIABLES))
    unknown = [name for name in fields if name not in known]
    if unknown:
        raise ParameterError(
            f"unknown output variables {unknown}; an output has {', '.join(known)}"
        )
    described = _SI_ATTRS | {name: _described(one) for name, one in quantities.items()}
    described |= {name + SPREAD: _spread_attrs(name) for name in positive}
    variables = {
        name: _variable(name, fields[name], target, labels, described)
        for name in known
        if name in fields
    }
    for name in variables.keys() & {*positive}:
        ancillary = [other for other in (name + SPREAD, QUALITY) if other in variables]
        if ancillary:
            variables[name].attrs["ancillary_variables"] = " ".join(ancillary)
    attrs = _dataset_attrs(labels, constants, provenance, title) | dict(outcome)
    # Variables first: dims of a Dataset are in the order in which its variables bring them.
    dataset = conforming(xr.Dataset(variables, target.coords.coords), attrs)
    for name in variables:
        dataset[name].encoding["_FillValue"] = None if name in _FLAGS else np.nan
        dataset[name].encoding |= COMPRESSION
    return dataset


def _described(quantity: Quantity) -> dict[str, str]:
    """Attributes of a rheology's own field; empty ones are left out."""
    return {name: value for name, value in quantity._asdict().items() if value}


def _spread_attrs(name: str) -> dict[str, str]:
    return {
        "units": "1",
        "long_name": f"factor by which {name} differs between members",
        "comment": _SPREAD_COMMENT.format(name=name),
    }


def _variable(
    name: str, values: Any, target: Target, labels: Labels, described: Mapping[str, dict[str, str]]
) -> xr.Variable:
    """Shape one field as the target, in the units that the output promises."""
    array = values if target.chunks is not None else np.asarray(values, dtype=np.float64)
    if array.size != target.size:
        raise ParameterError(
            f"{name} has {array.size} values for {target.size} positions of the template"
        )
    if name in _FLAGS:
        kind = "int8" if "flag_values" in _FLAGS[name] else "int32"
        array = np.where(np.isfinite(array), array, _MISSING[name]).astype(kind)
        attrs = dict(_FLAGS[name])
    elif name in _FITTED_NAMES:
        array = array / labels.factors[name]
        attrs = _fitted_attrs(name, labels.attrs[name])
    else:
        attrs = dict(described[name])
    if target.grid_mapping is not None:
        attrs["grid_mapping"] = str(target.grid_mapping)
    return xr.Variable(target.dims, array.reshape(target.shape), attrs)


def _fitted_attrs(name: str, given: Mapping[str, Any]) -> dict[str, str]:
    """Attributes of a fitted variable: the input's units, and a name that CF knows."""
    long_name, standard_names = _FITTED_NAMES[name]
    standard_name = given.get("standard_name")
    if standard_name not in standard_names:
        standard_name = standard_names[0]
    return {
        "units": str(given["units"]),
        "long_name": long_name,
        "standard_name": str(standard_name),
    }


def _dataset_attrs(
    labels: Labels, constants: PhysicalConstants, provenance: str, title: str
) -> dict[str, Any]:
    """Attributes of the whole: provenance, and the constants as numbers."""
    now = dt.datetime.now(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    line = f"{now} xdiffice {__version__}: viscosity inferred with {' '.join(provenance.split())}"
    return {
        "title": title,
        "source": f"xdiffice {__version__}",
        "references": REFERENCES,
        "history": "\n".join([*labels.history.rstrip().splitlines(), line]),
        "estimator": provenance,
        "ice_density": float(constants.ice_density),
        "sea_water_density": float(constants.sea_water_density),
        "gravity": float(constants.gravity),
        "seconds_per_year": SECONDS_PER_YEAR,
    }
