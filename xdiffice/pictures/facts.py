"""What a result says of itself, in words: where and when it is from, how to read its numbers."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import PurePath
from typing import Any

import numpy as np
import xarray as xr

from xdiffice.observations.projection import mapping_of
from xdiffice.pictures.layers import Layer
from xdiffice.pictures.observed import Observed
from xdiffice.results.flags import percent, shares, whole_numbers, words
from xdiffice.results.names import OUTPUT_VARIABLES, QUALITY, Quality
from xdiffice.results.outcome import MODELLED, doubt, modelled, stopped_by

MISFIT = (
    "Misfits are fitted minus observed, relative to what was observed: on a real shelf about 1 % "
    "of the velocity and 4 % of the thickness, of which maps should show noise, tracks of "
    "satellites and rifts, no pattern of the flow."
)
FORWARD = (
    "A forward model solves the balance of forces for the velocity that viscosity and thickness "
    "cause: the viscosity explains the flow where that misses the observed velocity by no more "
    "than the noise of the data and one percent or so."
)
RESIDUAL = (
    "The momentum residual is what the balance of forces leaves over: about 5 % of the driving "
    "stress or less is usual on a real shelf, 1 % or less on a synthetic one; more means that the "
    "viscosity does not explain the flow."
)
RESIDUAL_OF_NETWORKS = (
    "The momentum residual is what the networks leave over of the balance of forces at points, "
    "before the forward model corrects them: about 5 % of the driving stress or less is usual on a "
    "real shelf, 1 % or less on a synthetic one. Its map is that of the corrected fields, which "
    "balance forces over triangles and not at points."
)
FLAGS = (
    "Flags say, in shares of the shelf, whether the flow determines the viscosity. Where they say "
    "anything else than determined, take its values with care."
)
_MEANINGS = {
    Quality.DETERMINED: "none of the doubts below",
    Quality.NOT_SEPARATED: "two viscosities, of which the flow sees one combination",
    Quality.NO_STRAIN: "the strain rate is within its error: a larger viscosity does as well",
    Quality.WEAKLY_DETERMINED: "the strain rate is within four errors",
    Quality.NEAR_GAP: "no velocity or thickness nearby",
    Quality.NEAR_PINNING_POINT: "forces are left over, as where ground holds the ice",
    Quality.EXTRAPOLATED: "no shelf, but a value was asked for",
}
_UNITS = {
    "ice_density": "kg m⁻³",
    "sea_water_density": "kg m⁻³",
    "gravity": "m s⁻²",
    "seconds_per_year": "s",
}


def about(
    result: xr.Dataset, observed: Observed | None, shown: Layer | None
) -> list[tuple[str, str]]:
    """Return what there is to say first: files, extent, projection, date, how the training ended.

    Parameters
    ----------
    result : xarray.Dataset
        A prediction.
    observed : Observed, optional
        The data.
    shown : Layer, optional
        A map of the result, for its extent.
    """
    reason = str(result.attrs.get("stop_reason") or "")
    rows = {
        "result": PurePath(str(result.encoding.get("source") or "")).name,
        "data": "" if observed is None else ", ".join(observed.files),
        "extent": "" if shown is None else _extent(shown),
        "projection": _projection(result),
        "date": _date(str(result.attrs.get("history") or "")),
        "training": stopped_by(reason),
        "flow": f"{MODELLED} {told}" if (told := modelled(result.attrs)) else "",
        "doubt": doubt(result.attrs) or "",
    }
    return [(name, text) for name, text in rows.items() if text]


def quality(result: xr.Dataset) -> list[tuple[str, str, str]]:
    """Return flags that are there, with their shares of the shelf and what they mean."""
    if QUALITY not in result:
        return []
    return [
        (words(flag), percent(share), _MEANINGS[flag])
        for flag, share in shares(whole_numbers(result[QUALITY].values)).items()
    ]


def constants(attrs: Mapping[Any, Any]) -> list[tuple[str, str]]:
    """Return the constants of an inversion, with their units."""
    return [
        (name.replace("_", " "), f"{attrs[name]:.10g} {unit}")
        for name, unit in _UNITS.items()
        if name in attrs
    ]


def explanations(attrs: Mapping[Any, Any]) -> list[str]:
    """Return sentences about the numbers that there are."""
    names = {str(name) for name in attrs}
    forward = "residual_velocity" in names
    sentences = {
        FORWARD: forward,
        MISFIT: any(name.startswith("misfit_") for name in names),
        RESIDUAL_OF_NETWORKS if forward else RESIDUAL: "residual_momentum" in names,
    }
    return [text for text, there in sentences.items() if there]


def _extent(layer: Layer) -> str:
    known = np.isfinite(layer.values)
    if not known.any():
        return ""
    ranges = []
    sides = []
    for name, coordinate in zip("xy", layer.grid.points(), strict=True):
        low, high = (float(end(coordinate[known])) / 1e3 for end in (np.min, np.max))
        ranges.append(f"{name} from {low:.4g} to {high:.4g} km")
        sides.append(f"{high - low:.3g}")
    return f"{' × '.join(sides)} km: {', '.join(ranges)}"


def _projection(result: xr.Dataset) -> str:
    """Return the name of the projection or, without one, what defines it."""
    fields = [result[name] for name in OUTPUT_VARIABLES if name in result]
    name = mapping_of(fields[0], result) if fields else None
    if name is None:
        return ""
    attrs = result[name].attrs
    for key in ("projected_crs_name", "crs_name"):
        if attrs.get(key):
            return str(attrs[key])
    written = str(attrs.get("crs_wkt") or attrs.get("spatial_ref") or "")
    if found := re.match(r'\s*PROJ(?:CRS|CS)\["([^"]+)"', written):
        return found[1]
    text = [str(attrs.get("grid_mapping_name") or "").replace("_", " ")]
    for meaning, keys in _DEFINING.items():
        text += [f"{meaning} {float(attrs[key]):g}°" for key in keys if _is_number(attrs.get(key))]
    return ", ".join(part for part in text if part).replace("-", "−")


_DEFINING = {
    "standard parallel": ("standard_parallel",),
    "central meridian": (
        "straight_vertical_longitude_from_pole",
        "longitude_of_central_meridian",
        "longitude_of_projection_origin",
    ),
}


def _is_number(value: object) -> bool:
    return np.ndim(value) == 0 and isinstance(value, int | float | np.number)  # type: ignore[arg-type]


def _date(history: str) -> str:
    """When the viscosity was inferred, or what else came last."""
    dated = [line for line in history.splitlines() if re.match(r"\d{4}-\d\d-\d\d", line.strip())]
    inferred = [line for line in dated if "inferred" in line]
    for line in (inferred or dated)[-1:]:
        return line.strip()[:10]
    return ""
