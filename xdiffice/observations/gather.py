"""How a user's Dataset becomes Observations.

Everything is found, checked, brought to SI and reduced to named points here; all problems of a
Dataset are reported together.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr

from xdiffice.errors import (
    CoordinateError,
    DataValuesError,
    PlausibilityWarning,
    raise_problems,
)
from xdiffice.observations.axes import Grid, mapping_of, point_spacing
from xdiffice.observations.front import (
    check_front_place,
    extent_text,
    inward_share,
    make_front,
)
from xdiffice.observations.masks import floating, look_up
from xdiffice.observations.points import (
    Domain,
    FrontPoints,
    Labels,
    Observations,
    ThicknessPoints,
    VelocityPoints,
)
from xdiffice.observations.survey import Field, Survey, survey
from xdiffice.observations.values import clean_error, count, decode
from xdiffice.observations.variables import FRONT_ROLES, Explicit
from xdiffice.physics.constants import SECONDS_PER_YEAR

MIN_VALID = 10
"""Fewest valid velocity pixels, and thickness pixels, that can be worked with."""

SPEED_RANGE = (1.0, 2e4)
"""Plausible 99th percentile of the speed of an ice shelf, m/yr."""

THICKNESS_RANGE = (20.0, 3000.0)
"""Plausible median thickness of an ice shelf, m."""


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
    in is changed; lazy arrays are computed once.

    Parameters
    ----------
    dataset : Dataset
        Velocity, and by default everything else.
    thickness : Dataset, DataArray or DataFrame, optional
        Thickness on a grid of its own, or at points (flight lines: ``x``, ``y`` on one dim).
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
        If speed or thickness are out of the range of ice shelves, or normals look turned around.
    """
    found = survey(dataset, thickness, mask, front, variables, units)
    observations = assemble(found)
    raise_problems(found.problems)
    assert observations is not None
    for sentence in found.warnings:
        warnings.warn(sentence, PlausibilityWarning, stacklevel=2)
    return observations


def assemble(found: Survey) -> Observations | None:
    """Make Observations of a survey; None, and `found.problems`, where that cannot be done."""
    velocity = thickness = front = domain = labels = None
    ice = None
    with found.collect():
        ice = _ice(found)
    with found.collect():
        velocity = _velocity(found, ice)
    with found.collect():
        thickness = _thickness(found, ice)
    with found.collect():
        front = _front(found)
    if velocity is not None:
        with found.collect():
            domain = _domain(found, velocity, ice)
    if domain is not None and thickness is not None:
        with found.collect():
            _check_overlap(domain, thickness)
    if domain is not None and front is not None:
        with found.collect():
            _check_front(found, front, domain)
    if velocity is None or thickness is None or front is None or domain is None or found.problems:
        return None
    labels = make_labels(found)
    return Observations(velocity, thickness, front, domain, labels, tuple(found.notes))


@dataclass(frozen=True)
class _Ice:
    """Floating ice on the grid of the mask."""

    grid: Grid
    floating: np.ndarray
    name: str

    def at(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        return look_up(self.floating, self.grid, x, y)


def _ice(found: Survey) -> _Ice | None:
    usable = found.loaded("mask")
    if usable is None:
        return None
    (one,) = usable
    assert one.values is not None
    assert one.grid is not None
    result = floating(one.values, one.array.attrs, one.name, one.units)
    if not result.any():
        raise DataValuesError(f"mask {one.name!r} has no floating ice")
    return _Ice(one.grid, result, one.name)


def _values(one: Field) -> np.ndarray:
    """Return the values of a field in SI, NaN where missing."""
    assert one.values is not None
    assert one.factor is not None
    return decode(one.values, one.array.attrs, one.name) * one.factor


def _velocity(found: Survey, ice: _Ice | None) -> VelocityPoints | None:
    usable = found.loaded("x_velocity", "y_velocity")
    if usable is None:
        for role in ("x_velocity", "y_velocity"):  # each may have problems of its own
            if single := found.loaded(role):
                with found.collect():
                    _values(single[0])
        return None
    one, two = usable
    assert one.grid is not None
    _check_same_grid(one, two)
    u = v = None
    with found.collect():
        u = _values(one)
    with found.collect():
        v = _values(two)
    if u is None or v is None:
        return None
    if one.axes is not None and two.axes is not None and one.axes.dims != two.axes.dims:
        v = v.T
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
    errors = _errors(found, ("x_velocity_error", "y_velocity_error"), valid)
    if any(error is None for error in errors):
        errors = [None, None]
    return VelocityPoints(x, y, u[valid], v[valid], *errors)


def _thickness(found: Survey, ice: _Ice | None) -> ThicknessPoints | None:
    usable = found.loaded("thickness")
    if usable is None:
        return None
    (one,) = usable
    assert one.grid is not None
    h = _values(one)
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
    found: Survey, grid: Grid, valid: np.ndarray, ice: _Ice | None, what: str
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
                f"{extent_text(x[valid], y[valid])}, the floating ice has {_ice_extent(ice)}"
            )
        if kept < total:
            found.note(f"{total - kept} of {total} valid pixels of {what} are not floating ice")
        valid = inside
    return x[valid], y[valid], valid


def _ice_extent(ice: _Ice) -> str:
    x, y = ice.grid.points()
    return extent_text(x[ice.floating], y[ice.floating])


def _errors(found: Survey, roles: tuple[str, ...], valid: np.ndarray) -> list[np.ndarray | None]:
    """Return the errors at the valid values, or None for a role without."""
    errors: list[np.ndarray | None] = []
    for role in roles:
        usable = found.loaded(role)
        if usable is None:
            errors.append(None)
            continue
        values = _values(usable[0])
        if values.shape != valid.shape:  # y_velocity on transposed dims
            values = values.T
        errors.append(clean_error(values[valid], usable[0].name, found.notes))
    return errors


def _front(found: Survey) -> FrontPoints | None:
    usable = found.loaded(*FRONT_ROLES)
    return None if usable is None else make_front(*(_values(one) for one in usable))


def _domain(found: Survey, velocity: VelocityPoints, ice: _Ice | None) -> Domain:
    grid = found.fields["x_velocity"].grid
    assert grid is not None
    if ice is None:
        spacing = grid.spacing if grid.kind == "raster" else point_spacing(velocity.x, velocity.y)
        return Domain(velocity.x, velocity.y, spacing)
    x, y = ice.grid.points()
    inside = ice.floating & np.isfinite(x) & np.isfinite(y)
    # A mask of the whole continent tells about more shelves than the one that was observed.
    x_min, x_max, y_min, y_max = grid.extent
    reach = 0.5 * max(grid.spacing, ice.grid.spacing)
    near = (x >= x_min - reach) & (x <= x_max + reach) & (y >= y_min - reach) & (y <= y_max + reach)
    beyond = int((inside & ~near).sum())
    if beyond:
        found.note(
            f"{count(beyond, 'floating pixel')} of mask {ice.name!r} beyond the velocity's grid: "
            "left out"
        )
    inside &= near
    return Domain(x[inside], y[inside], ice.grid.spacing)


def _check_same_grid(one: Field, two: Field) -> None:
    assert one.axes is not None
    assert two.axes is not None
    assert one.grid is not None
    assert two.grid is not None
    same = (
        set(one.axes.dims) == set(two.axes.dims)
        and one.grid.kind == two.grid.kind
        and one.grid.x.size == two.grid.x.size
        and one.grid.y.size == two.grid.y.size
    )
    if same:
        turned = one.axes.dims != two.axes.dims and one.grid.kind == "curvilinear"
        x, y = (two.grid.x.T, two.grid.y.T) if turned else (two.grid.x, two.grid.y)
        same = np.array_equal(one.grid.x, x, equal_nan=True) and np.array_equal(
            one.grid.y, y, equal_nan=True
        )
    if not same:
        raise CoordinateError(
            f"{one.name!r} and {two.name!r} are not on the same grid: dims {one.axes.dims} and "
            f"{two.axes.dims}; interpolate one to the other, for example with ds.interp"
        )


def _check_overlap(domain: Domain, thickness: ThicknessPoints) -> None:
    apart = (
        thickness.x.max() < domain.x.min()
        or thickness.x.min() > domain.x.max()
        or thickness.y.max() < domain.y.min()
        or thickness.y.min() > domain.y.max()
    )
    if apart:
        raise CoordinateError(
            "velocity and thickness do not overlap: the velocity has "
            f"{extent_text(domain.x, domain.y)}, the thickness "
            f"{extent_text(thickness.x, thickness.y)}; are they in the same projection and units?"
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


def make_labels(found: Survey) -> Labels:
    """Collect what the output takes over: grid of the velocity, attributes, grid mapping."""
    one = found.fields["x_velocity"]
    assert one.axes is not None
    assert one.squeezed is not None
    axes = one.axes
    # The order of the dims is the user's, not that of `axes`.
    dims = tuple(str(dim) for dim in one.array.dims if dim in axes.dims)
    coords: dict[str, Any] = {}
    for name, variable in ((axes.x_name, axes.x), (axes.y_name, axes.y)):
        attrs = {**variable.attrs}
        if str(attrs.get("units", "")) != axes.units:
            attrs["units"] = axes.units
        coords[name] = xr.Variable(variable.dims, np.array(variable), attrs)
    mapping = mapping_of(one.array, one.dataset)
    scalars = [str(name) for name, coord in one.squeezed.coords.items() if coord.ndim == 0]
    for name in dict.fromkeys([*scalars, *([mapping] if mapping else [])]):
        coords.setdefault(name, one.dataset[name].squeeze(drop=True).variable.copy(deep=True))
    attrs = {}
    factors = {}
    for role in ("x_velocity", "y_velocity", "thickness"):
        field = found.fields[role]
        kept = ("standard_name", "long_name")
        attrs[role] = {key: field.array.attrs[key] for key in kept if key in field.array.attrs}
        attrs[role]["units"] = field.units
        assert field.factor is not None
        factors[role] = field.factor
    return Labels(
        template=xr.Dataset(coords=coords).compute(),
        dims=dims,
        x_name=axes.x_name,
        y_name=axes.y_name,
        coordinate_factor=axes.factor,
        attrs=attrs,
        factors=factors,
        grid_mapping=mapping,
        history=str(one.dataset.attrs.get("history", "")),
    )
