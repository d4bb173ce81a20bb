"""How a user's Dataset becomes Observations.

Everything is found, checked, brought to SI and reduced to named points here; all problems of a
Dataset are reported together.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr

from xdiffice.errors import (
    CoordinateError,
    DataValuesError,
    PlausibilityWarning,
    raise_problems,
    warn,
)
from xdiffice.observations.axes import Grid
from xdiffice.observations.crop import narrow
from xdiffice.observations.domain import (
    FloatingIce,
    compare_projections,
    floating_ice,
    make_domain,
    near_domain,
)
from xdiffice.observations.front import (
    check_front_place,
    extent_text,
    inward_share,
    make_front,
)
from xdiffice.observations.points import (
    Domain,
    FrontPoints,
    Observations,
    ThicknessPoints,
    VelocityPoints,
)
from xdiffice.observations.survey import Field, Survey, load, search_shelf
from xdiffice.observations.template import make_labels
from xdiffice.observations.values import clean_error, count
from xdiffice.observations.variables import FRONT_ROLES, Explicit
from xdiffice.physics.constants import SECONDS_PER_YEAR

MIN_VALID = 10
"""Fewest valid velocity pixels, and thickness pixels, that can be worked with."""

SPEED_RANGE = (1.0, 2e4)
"""Plausible 99th percentile of the speed of an ice shelf, m/yr."""

THICKNESS_RANGE = (20.0, 3000.0)
"""Plausible median thickness of an ice shelf, m."""


EXTENT_RANGE = (300.0, 3e6)
"""Plausible extent of an ice shelf along x and along y, m."""


def gather(
    dataset: xr.Dataset,
    thickness: xr.Dataset | xr.DataArray | Any = None,
    *,
    mask: xr.DataArray | xr.Dataset | str | None = None,
    front: xr.Dataset | Any = None,
    variables: Explicit | None = None,
    units: Mapping[str, str] | None = None,
) -> Observations:
    """Read one ice shelf from Datasets: velocity, thickness, calving front, mask, errors.

    Variables are found by explicit name, by CF ``standard_name``, by name; coordinates for each
    variable by itself, so that grids may differ. Missing are NaN, fill values, velocities whose
    components are both exactly zero, and thicknesses that are not positive. Nothing that is passed
    in is changed. Lazy arrays are computed once, together; large rasters are looked through before,
    and only the rectangle around all known velocities is loaded.

    Parameters
    ----------
    dataset : Dataset
        Velocity, and by default everything else.
    thickness : Dataset, DataArray or DataFrame, or a list of them, optional
        Thickness on a grid of its own, or at points (flight lines: ``x``, ``y`` on one dim); of a
        list all values together, such as a grid and flight lines beside it.
    mask : DataArray, Dataset or str, optional
        Floating ice: booleans, fractions, or flags with ``flag_meanings``, on any grid; or the
        name of a variable. Observations elsewhere are dropped.
    front : Dataset or DataFrame, optional
        Calving front: ``x_front``, ``y_front``, ``x_normal``, ``y_normal`` on one dim.
    variables : mapping, optional
        Names by role, e.g. ``{"thickness": "h"}``; None as a name leaves a role empty. The roles
        are the keys of `xdiffice.observations.variables.ROLES`.
    units : mapping, optional
        Units by variable name or role, where the attributes have none or wrong ones.

    Returns
    -------
    Observations
        Points in SI units.

    Raises
    ------
    XdifficeError
        The one problem, or an `InvalidDatasetError` that lists all: `VariableNotFoundError`,
        `AmbiguousVariableError`, `UnitsError`, `CoordinateError`, `DataValuesError`,
        `ParameterError`, `InputTypeError`.

    Warns
    -----
    PlausibilityWarning
        If speed, thickness or extent are out of the range of ice shelves, or normals look turned
        around.
    """
    found = search_shelf(dataset, thickness, mask, front, variables, units)
    narrow(found)
    load(found)
    observations = observations_from(found)
    raise_problems(found.problems)
    assert observations is not None
    for sentence in found.warnings:
        warn(sentence, PlausibilityWarning)
    return observations


def observations_from(found: Survey) -> Observations | None:
    """Make Observations of a survey; None, and `found.problems`, where that cannot be done."""
    velocity = thickness = front = domain = ice = None
    with found.collect():
        compare_projections(found)
    with found.collect():
        ice = floating_ice(found)
    with found.collect():
        velocity = _velocity(found, ice)
    with found.collect():
        thickness = _thickness(found, ice)
    with found.collect():
        front = _front(found)
    if velocity is not None:
        with found.collect():
            domain = make_domain(found, velocity, ice)
    if domain is not None and thickness is not None:
        with found.collect():
            thickness = near_domain(found, domain, thickness)
    if domain is not None and front is not None:
        with found.collect():
            _check_front(found, front, domain)
    if velocity is None or thickness is None or front is None or domain is None or found.problems:
        return None
    notes = tuple(dict.fromkeys(found.notes))
    return Observations(velocity, thickness, front, domain, make_labels(found), notes)


def _velocity(found: Survey, ice: FloatingIce | None) -> VelocityPoints | None:
    usable = found.loaded("x_velocity", "y_velocity")
    if usable is None:
        return None
    one, two = usable
    assert one.grid is not None
    _check_same_grid(one, two)
    u, v = one.si, two.si
    finite_u, finite_v = np.isfinite(u), np.isfinite(v)
    at_rest = (u == 0) & (v == 0)
    if at_rest.any():
        found.note(
            f"{count(int(at_rest.sum()), 'velocity pixel')} with both components exactly zero: "
            "taken as missing"
        )
    halves = int((finite_u ^ finite_v).sum())
    if halves:
        found.note(f"{count(halves, 'velocity pixel')} with only one component: taken as missing")
    valid = finite_u & finite_v & ~at_rest
    names = f"{one.name!r}, {two.name!r}"
    x, y, valid = _select(found, one.grid, valid, ice, f"velocity ({names})")
    speed = np.hypot(u[valid], v[valid]) * SECONDS_PER_YEAR
    fast = float(np.percentile(speed, 99))
    if not SPEED_RANGE[0] <= fast <= SPEED_RANGE[1]:
        _doubt(
            found,
            f"the 99th percentile of the speed is {fast:.3g} m/yr, which no ice shelf has "
            f"({SPEED_RANGE[0]:g} to {SPEED_RANGE[1]:g} m/yr): check the units of {names}",
        )
    extent = np.ptp(x), np.ptp(y)
    if not EXTENT_RANGE[0] <= min(extent) <= max(extent) <= EXTENT_RANGE[1]:
        assert one.axes is not None
        _doubt(
            found,
            f"the ice extends over {extent[0]:.3g} m along x and {extent[1]:.3g} m along y, which "
            f"no ice shelf does ({EXTENT_RANGE[0]:g} to {EXTENT_RANGE[1]:g} m): check the units of "
            f"coordinates {one.axes.x_name!r}, {one.axes.y_name!r}",
        )
    errors = _errors(found, ("x_velocity_error", "y_velocity_error"), valid)
    if any(error is None for error in errors):
        errors = [None, None]
    return VelocityPoints(x, y, u[valid], v[valid], *errors)


def _thickness(found: Survey, ice: FloatingIce | None) -> ThicknessPoints | None:
    usable = found.loaded("thickness")
    if usable is None:
        return None
    (one,) = usable
    assert one.grid is not None
    h = one.si
    not_ice = h <= 0
    if not_ice.any():
        found.note(
            f"{count(int(not_ice.sum()), 'thickness value')} not above zero: taken as missing"
        )
    x, y, valid = _select(
        found, one.grid, np.isfinite(h) & ~not_ice, ice, f"thickness ({one.name!r})"
    )
    middle = float(np.median(h[valid]))
    if not THICKNESS_RANGE[0] <= middle <= THICKNESS_RANGE[1]:
        _doubt(
            found,
            f"the median thickness is {middle:.3g} m, which no ice shelf has "
            f"({THICKNESS_RANGE[0]:g} to {THICKNESS_RANGE[1]:g} m): check the units of "
            f"{one.name!r}",
        )
    (error,) = _errors(found, ("thickness_error",), valid)
    return ThicknessPoints(x, y, h[valid], error)


def _select(
    found: Survey, grid: Grid, valid: np.ndarray, ice: FloatingIce | None, what: str
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return x and y (m) of the values that are valid and floating, and where these are."""
    x, y = grid.points()
    valid = valid & np.isfinite(x) & np.isfinite(y)
    total = int(valid.sum())
    if total < MIN_VALID:
        raise DataValuesError(
            f"{what} has {count(total, 'valid pixel')} of {valid.size}; at least {MIN_VALID} are "
            "needed" + (": all values are missing" if total == 0 else "")
        )
    if ice is not None:
        inside = np.zeros_like(valid)
        inside[valid] = ice.at(x[valid], y[valid])
        kept = int(inside.sum())
        if kept < MIN_VALID:
            raise DataValuesError(
                f"{what} has {count(kept, 'valid pixel')} on floating ice of mask {ice.name!r}, of "
                f"{total} in all; at least {MIN_VALID} are needed. The values have "
                f"{extent_text(x[valid], y[valid])}, the floating ice has {ice.extent_text}"
            )
        if kept < total:
            found.note(f"{total - kept} of {total} valid pixels of {what} are not floating ice")
        valid = inside
    return x[valid], y[valid], valid


def _errors(found: Survey, roles: tuple[str, ...], valid: np.ndarray) -> list[np.ndarray | None]:
    """Return the errors at the valid values, or None for a role without."""
    errors: list[np.ndarray | None] = []
    for role in roles:
        usable = found.loaded(role)
        if usable is None:
            errors.append(None)
            continue
        errors.append(clean_error(usable[0].si[valid], usable[0].name, found.notes))
    return errors


def _front(found: Survey) -> FrontPoints | None:
    usable = found.loaded(*FRONT_ROLES)
    return None if usable is None else make_front(*(one.si for one in usable))


def _check_same_grid(one: Field, two: Field) -> None:
    assert one.axes is not None
    assert two.axes is not None
    assert one.grid is not None
    assert two.grid is not None
    same = (
        one.axes.dims == two.axes.dims
        and np.array_equal(one.grid.x, two.grid.x, equal_nan=True)
        and np.array_equal(one.grid.y, two.grid.y, equal_nan=True)
    )
    if not same:
        raise CoordinateError(
            f"{one.name!r} and {two.name!r} are not on the same grid: dims {one.axes.dims} and "
            f"{two.axes.dims}; interpolate one to the other, for example with ds.interp"
        )


def _check_front(found: Survey, front: FrontPoints, domain: Domain) -> None:
    check_front_place(front, domain)
    share = inward_share(front, domain)
    if share > 0.9:
        raise DataValuesError(
            f"the front's normals point into the ice ({share:.0%} of them); they should point out "
            "of it: turn their signs"
        )
    if share > 0.5:
        _doubt(
            found,
            f"{share:.0%} of the front's normals seem to point into the ice; they should point "
            "out of it",
        )


def _doubt(found: Survey, sentence: str) -> None:
    found.warnings.append(sentence)
    found.note(sentence)
