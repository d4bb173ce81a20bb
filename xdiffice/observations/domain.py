"""Where the shelf is, and whether everything lies there.

It reads the mask into `FloatingIce`, makes the `Domain` that the equations hold in, and compares
projections and extents.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from xdiffice.errors import CoordinateError
from xdiffice.observations.axes import Grid, point_spacing
from xdiffice.observations.front import extent_text
from xdiffice.observations.masks import floating, look_up, no_floating_ice
from xdiffice.observations.points import Domain, ThicknessPoints, VelocityPoints
from xdiffice.observations.projection import compare, mapping_of
from xdiffice.observations.survey import Survey
from xdiffice.observations.values import count


@dataclass(frozen=True)
class FloatingIce:
    """Floating ice on the grid of the mask."""

    grid: Grid
    floating: np.ndarray
    name: str

    def at(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Tell for each position (m) whether the nearest pixel is floating ice."""
        return look_up(self.floating, self.grid, x, y)

    @property
    def extent_text(self) -> str:
        """Extent of the floating ice, for messages."""
        x, y = self.grid.points()
        return extent_text(x[self.floating], y[self.floating])


def floating_ice(found: Survey) -> FloatingIce | None:
    """Read the mask; None where there is none that can be used.

    Raises
    ------
    DataValuesError
        If it does not say what floats, or nothing does.
    """
    usable = found.loaded("mask")
    if usable is None:
        return None
    (one,) = usable
    assert one.values is not None
    assert one.grid is not None
    result = floating(one.values, one.array.attrs, one.name, one.units)
    if not result.any():
        raise no_floating_ice(one.values, one.array.attrs, one.name)
    return FloatingIce(one.grid, result, one.name)


def make_domain(found: Survey, velocity: VelocityPoints, ice: FloatingIce | None) -> Domain:
    """Make the domain: floating pixels of the mask, or the pixels of the velocity."""
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


def compare_projections(found: Survey) -> None:
    """Compare the projection of thickness and mask with that of the velocity."""
    mappings = {}
    for role in ("x_velocity", "thickness", "mask"):
        if one := found.fields.get(role):
            name = mapping_of(one.array, one.dataset)
            mappings[role] = {} if name is None else one.dataset[name].attrs
    for role in ("thickness", "mask"):
        if role in mappings and "x_velocity" in mappings:
            names = (found.fields["x_velocity"].name, found.fields[role].name)
            note = compare(mappings["x_velocity"], mappings[role], names)
            if note is not None:
                found.note(note)


def near_domain(found: Survey, domain: Domain, thickness: ThicknessPoints) -> ThicknessPoints:
    """Keep the thickness in the box around the domain: a continent's says nothing of one shelf.

    Raises
    ------
    CoordinateError
        If nothing is left, with both extents.
    """
    near = np.ones(thickness.x.shape, dtype=bool)
    for position, centres in ((thickness.x, domain.x), (thickness.y, domain.y)):
        near &= position >= centres.min() - domain.spacing
        near &= position <= centres.max() + domain.spacing
    if not near.any():
        raise CoordinateError(
            "velocity and thickness do not overlap: the velocity has "
            f"{extent_text(domain.x, domain.y)}, the thickness "
            f"{extent_text(thickness.x, thickness.y)}; are they in the same projection and units?"
        )
    if near.all():
        return thickness
    found.note(f"{count(int((~near).sum()), 'thickness value')} beyond the velocity: left out")
    error = None if thickness.h_error is None else thickness.h_error[near]
    return ThicknessPoints(thickness.x[near], thickness.y[near], thickness.h[near], error)
