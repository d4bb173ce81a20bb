"""What was found in a Dataset, and what is missing: the contract, in words.

`report` never raises for a bad Dataset; its problems are those that `gather` would raise.
"""

from __future__ import annotations

import html
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import xarray as xr

from xdiffice.errors import XdifficeError
from xdiffice.markup import table
from xdiffice.observations.axes import point_spacing
from xdiffice.observations.calving import outline_length
from xdiffice.observations.domain import FloatingIce, floating_ice
from xdiffice.observations.gather import observations_from
from xdiffice.observations.lookup import Lookup
from xdiffice.observations.points import Domain, Observations
from xdiffice.observations.products import product_of
from xdiffice.observations.survey import Field, Survey, load, search_shelf
from xdiffice.observations.variables import FRONT_ROLES, MASK_ROLES, SHELF_ROLES, Explicit
from xdiffice.physics.constants import SECONDS_PER_YEAR, PhysicalConstants

_HEAD = ("role", "variable", "units", "grid", "gaps")
_REQUIRED = ("x_velocity", "y_velocity", "thickness", *FRONT_ROLES)


@dataclass(frozen=True)
class VariableReport:
    """What was found for one role.

    Parameters
    ----------
    role, name, units : str
        Role; name and units of the variable, None where there are none.
    grid : str or None
        ``"raster"``, ``"points"`` or ``"curvilinear"``.
    dims : dict
        Sizes of its horizontal dims.
    spacing : float or None
        Distance of neighbouring values, m.
    extent : tuple of float or None
        Smallest and largest x, smallest and largest y, m.
    missing : float or None
        Share of missing values, 0 to 1; on floating ice where there is a mask of it.
    """

    role: str
    name: str | None = None
    units: str | None = None
    grid: str | None = None
    dims: Mapping[str, int] | None = None
    spacing: float | None = None
    extent: tuple[float, float, float, float] | None = None
    missing: float | None = None


def _constants() -> dict[str, float]:
    return {**asdict(PhysicalConstants()), "seconds_per_year": SECONDS_PER_YEAR}


@dataclass(frozen=True)
class Report:
    """What was found in a Dataset.

    Parameters
    ----------
    variables : tuple of VariableReport
        One for each role.
    numbers : dict
        ``zero_velocities`` (pixels with both components exactly zero), ``speed_m_per_year`` and
        ``thickness_m`` (minimum, median, maximum), ``front_points``, ``front_length_m``,
        ``front_share`` (of the outline of the shelf, 0 to 1, where a mask shows that),
        ``velocity_points``, ``thickness_points``, ``domain_points``, ``domain_grid`` (whose pixels
        these are, ``"mask"`` or ``"velocity"``); absent where unknown.
    notes : tuple of str
        Choices made and doubts.
    problems : tuple of str
        What keeps the Dataset from being inverted; empty if nothing does.
    product : str or None
        What the velocity's Dataset was recognised as.
    constants : dict
        Densities (kg m-3), gravity (m s-2) and the length of a year (s) that an inversion takes
        unless it is told otherwise.
    """

    variables: tuple[VariableReport, ...]
    numbers: Mapping[str, Any]
    notes: tuple[str, ...]
    problems: tuple[str, ...]
    product: str | None = None
    constants: Mapping[str, float] = field(default_factory=_constants)

    @property
    def ok(self) -> bool:
        """Whether the Dataset can be inverted."""
        return not self.problems

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain dicts, lists, numbers and strings.

        Returns
        -------
        dict
            ``ok``, and the fields by name; JSON can hold it.
        """
        result = asdict(self)
        for key in ("variables", "notes", "problems"):
            result[key] = list(result[key])
        for one in result["variables"]:
            one["extent"] = None if one["extent"] is None else list(one["extent"])
        return {"ok": self.ok, **result}

    def __str__(self) -> str:
        rows = [_HEAD]
        rows += [_cells(one) for one in self.variables if _worth_showing(one)]
        widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
        lines = [self._headline, ""]
        for row in rows:
            cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
            lines.append("  ".join(cells).rstrip())
        for title, sentences in self._paragraphs:
            lines += ["", f"{title}:", *(f"  - {sentence}" for sentence in sentences)]
        return "\n".join(lines)

    __repr__ = __str__

    def _repr_html_(self) -> str:
        rows = [_cells(one) for one in self.variables if _worth_showing(one)]
        parts = [f"<p><b>{html.escape(self._headline)}</b></p>", table(rows, _HEAD)]
        for title, sentences in self._paragraphs:
            items = "".join(f"<li>{html.escape(sentence)}</li>" for sentence in sentences)
            parts.append(f"<p>{html.escape(title)}:</p><ul>{items}</ul>")
        return f'<div class="xdiffice-report">{"".join(parts)}</div>'

    @property
    def _headline(self) -> str:
        if self.ok:
            return "xdiffice: this Dataset can be inverted"
        number = len(self.problems)
        return (
            f"xdiffice: this Dataset cannot be inverted yet, {number} "
            f"problem{'' if number == 1 else 's'}"
        )

    @property
    def _paragraphs(self) -> list[tuple[str, list[str]]]:
        c = self.constants
        product = [f"recognised as {self.product}"] if self.product else []
        constants = (
            f"constants unless told otherwise: ice {c['ice_density']:g} and sea water "
            f"{c['sea_water_density']:g} kg m-3, gravity {c['gravity']:g} m s-2, a year of "
            f"{c['seconds_per_year'] / 86400:g} days"
        )
        known = [*product, *_sentences(self.numbers), constants]
        paragraphs = [
            ("Numbers", known),
            ("Notes", list(self.notes)),
            ("Problems", list(self.problems)),
        ]
        return [(title, sentences) for title, sentences in paragraphs if sentences]


def report(
    dataset: Any,
    thickness: Any = None,
    *,
    mask: Any = None,
    front: Any = None,
    variables: Explicit | None = None,
    units: Mapping[str, str] | None = None,
) -> Report:
    """Tell what an inversion would find in a Dataset.

    Parameters
    ----------
    dataset : xarray.Dataset
        Velocity, and by default thickness, mask and calving front as well.
    thickness, mask, front : optional
        As in `SSAViscosityInverter.fit`, where they are not in `dataset`.
    variables : mapping, optional
        Names by role where they cannot be found, ``{"thickness": "H"}``.
    units : mapping, optional
        Units by variable name where attributes lack them, ``{"vx": "m yr-1"}``.

    Returns
    -------
    Report
        Prints as a table; ``to_dict`` gives numbers. No exception is raised for a bad Dataset, its
        problems are listed.
    """
    found = Survey()
    observations = None
    try:
        found = search_shelf(dataset, thickness, mask, front, variables, units)
        load(found)
        observations = observations_from(found)
    except Exception as error:  # a report of what is wrong must not itself go wrong
        found.problem(XdifficeError(f"the Dataset cannot be read: {type(error).__name__}: {error}"))
    ice = _ice(found)
    return Report(
        tuple(_variable(role, found.fields.get(role), ice) for role in SHELF_ROLES),
        _numbers(found, observations),
        tuple(dict.fromkeys(found.notes)),
        tuple(str(problem) for problem in found.problems),
        _product(dataset),
    )


def _product(dataset: Any) -> str | None:
    product = product_of(dataset) if isinstance(dataset, xr.Dataset) else None
    return None if product is None else product.name


def _ice(found: Survey) -> FloatingIce | None:
    """Return the floating ice, on which gaps are counted; None where no mask tells."""
    try:
        ice = floating_ice(found)
    except XdifficeError:  # that has been told
        return None
    if ice is not None:
        found.note(f"gaps are counted on the floating ice of mask {ice.name!r}")
    return ice


def _missing(one: Field, ice: FloatingIce | None) -> float | None:
    """Return the share of missing values; of what is not a mask, on floating ice."""
    values = one.values
    if values is None or not values.size or values.dtype.kind not in "biuf":
        return None
    if ice is not None and one.role not in MASK_ROLES and one.grid is not None:
        on_ice = ice.at(*(np.ravel(axis) for axis in one.grid.points()))
        values = np.ravel(values)[on_ice]
    return float(np.isnan(values).mean()) if values.size else None


def _variable(role: str, one: Field | None, ice: FloatingIce | None) -> VariableReport:
    if one is None:
        return VariableReport(role)
    array = one.squeezed if one.squeezed is not None else one.array
    return VariableReport(
        role=role,
        name=one.name,
        units=one.units,
        grid=None if one.axes is None else one.axes.kind,
        dims={str(dim): int(size) for dim, size in array.sizes.items()},
        spacing=None if one.grid is None else one.grid.spacing,
        extent=None if one.grid is None or not _has_positions(one) else one.grid.extent,
        missing=_missing(one, ice),
    )


def _has_positions(one: Field) -> bool:
    assert one.grid is not None
    return bool(np.isfinite(one.grid.x).any() and np.isfinite(one.grid.y).any())


def _numbers(found: Survey, observations: Observations | None) -> dict[str, Any]:
    """Collect the numbers that tell a shelf from a mistake."""
    numbers: dict[str, Any] = {}
    velocity = found.loaded("x_velocity", "y_velocity")
    if velocity is not None and velocity[0].si.shape == velocity[1].si.shape:
        u, v = velocity[0].si, velocity[1].si
        numbers["zero_velocities"] = int(((u == 0) & (v == 0)).sum())
        speed = np.hypot(u, v)[(u != 0) | (v != 0)] * SECONDS_PER_YEAR
        numbers["speed_m_per_year"] = _range(speed)
    thickness = found.loaded("thickness")
    if thickness is not None:
        h = thickness[0].si
        numbers["thickness_m"] = _range(h[h > 0])
    front = found.loaded("x_front", "y_front")
    if front is not None and front[0].si.shape == front[1].si.shape:
        x, y = np.ravel(front[0].si), np.ravel(front[1].si)
        numbers["front_points"] = int(x.size)
        spacing = next((f.grid.spacing for f in velocity or () if f.grid is not None), np.nan)
        length = front_length(x, y, spacing)
        if length is not None:
            numbers["front_length_m"] = length
    if observations is not None:
        numbers["velocity_points"] = int(observations.velocity.x.size)
        numbers["thickness_points"] = int(observations.thickness.x.size)
        domain = observations.domain
        numbers["domain_points"] = int(domain.x.size)
        numbers["domain_grid"] = "mask" if "mask" in found.fields else "velocity"
        if "mask" in found.fields and "front_length_m" in numbers:
            numbers["front_share"] = _front_share(numbers["front_length_m"], domain)
    return {key: value for key, value in numbers.items() if value is not None}


def _front_share(length: float, domain: Domain) -> float | None:
    """Return the share of a shelf's outline that is front; None where its pixels are no raster."""
    raster = Lookup.of(domain.x, domain.y, domain.spacing)
    if raster is None:
        return None
    x, y = (domain.spacing * np.arange(size) for size in raster.known.shape[::-1])
    outline = outline_length(x, y, raster.known)
    return min(1.0, length / outline) if outline > 0 else None


def front_length(x: np.ndarray, y: np.ndarray, spacing: float) -> float | None:
    """Return about how long a front is (m), whose points come in any order.

    The points are thinned to three pixels' distance and joined by the shortest tree; two rows of
    points along one front thus count once.
    """
    from scipy.sparse.csgraph import minimum_spanning_tree
    from scipy.spatial import cKDTree
    from scipy.spatial.distance import pdist, squareform

    known = np.isfinite(x) & np.isfinite(y)
    points = np.column_stack([x[known], y[known]])
    size = 3.0 * (spacing if np.isfinite(spacing) else point_spacing(x, y))
    if len(points) < 2 or not size > 0:
        return None
    # keeps the number of thinned points, whose distances are all looked at, in the thousands
    size = max(size, float(np.hypot(*np.ptp(points, axis=0))) / 1000.0)
    tree = cKDTree(points)
    left = np.ones(len(points), dtype=bool)
    kept = []
    for i in range(len(points)):
        if left[i]:
            kept.append(i)
            left[tree.query_ball_point(points[i], size)] = False
    return float(minimum_spanning_tree(squareform(pdist(points[kept]))).sum())


def _range(values: np.ndarray) -> dict[str, float] | None:
    values = values[np.isfinite(values)]
    if not values.size:
        return None
    return {
        "minimum": float(values.min()),
        "median": float(np.median(values)),
        "maximum": float(values.max()),
    }


def _worth_showing(one: VariableReport) -> bool:
    return one.name is not None or one.role in _REQUIRED


def _cells(one: VariableReport) -> tuple[str, str, str, str, str]:
    """Return one row of the table."""
    if one.name is None:
        return one.role, "not found", "", "", ""
    grid = " × ".join(f"{dim} {size}" for dim, size in (one.dims or {}).items())
    if one.grid is not None:
        grid = f"{one.grid} {grid}"
    if one.spacing is not None and np.isfinite(one.spacing):
        grid += f", {one.spacing:.6g} m"
    if one.extent is not None:
        x_min, x_max, y_min, y_max = (value / 1e3 for value in one.extent)
        grid += f", x {x_min:.6g} to {x_max:.6g} km, y {y_min:.6g} to {y_max:.6g} km"
    gaps = "" if one.missing is None else f"{100 * one.missing:.3g} %"
    without = "" if one.role in MASK_ROLES else "no units"  # flags have none
    return one.role, one.name, one.units or without, grid, gaps


def _sentences(numbers: Mapping[str, Any]) -> list[str]:
    """Say the numbers in words."""
    sentences = []
    for key, text, unit in (
        ("speed_m_per_year", "speed", "m/yr"),
        ("thickness_m", "thickness", "m"),
    ):
        if key in numbers:
            n = numbers[key]
            sentences.append(
                f"{text} {n['minimum']:.4g} to {n['maximum']:.4g} {unit}, median {n['median']:.4g}"
            )
    if numbers.get("zero_velocities"):
        sentences.append(
            f"{numbers['zero_velocities']} velocity pixels exactly (0, 0), taken as missing"
        )
    if "front_points" in numbers:
        length = numbers.get("front_length_m")
        about = "" if length is None else f", about {length / 1e3:.4g} km long"
        if "front_share" in numbers:
            about += f", {numbers['front_share']:.0%} of the shelf's outline"
        sentences.append(f"calving front of {numbers['front_points']} points{about}")
    if "domain_points" in numbers:
        sentences.append(
            f"{numbers['velocity_points']} velocities and {numbers['thickness_points']} "
            "thicknesses can be used, each counted on its own grid, on a shelf of "
            f"{numbers['domain_points']} pixels of the {numbers['domain_grid']}"
        )
    return sentences
