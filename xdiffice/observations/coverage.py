"""Whether the floating ice that was chosen is the ice that was observed.

A mask whose flags are mistaken, or of another place, shows a shelf on which there are no data; that
is told here, before a front is looked for.
"""

from __future__ import annotations

import numpy as np

from xdiffice.errors import DataValuesError, PlausibilityWarning, warn
from xdiffice.observations.coast import Shelf
from xdiffice.observations.masks import look_up, pixel_of, values_text
from xdiffice.observations.survey import Field, Survey
from xdiffice.observations.values import count
from xdiffice.observations.variables import ROLES

LEAST = 0.05
"""Share of the shelf's pixels with data below which it is not the one that was observed."""

GAPS = 0.25
"""Share of the shelf's pixels without data above which that is warned of."""


def check_coverage(found: Survey, shelf: Shelf) -> None:
    """Check that velocity and thickness lie on the shelf that a mask shows.

    Thickness at points is left out: flight lines cover little of any shelf.

    Parameters
    ----------
    found : Survey
        Loaded, with a mask.
    shelf : Shelf
        The floating ice that was chosen.

    Raises
    ------
    DataValuesError
        If less than a twentieth of it has data, with the values of the mask where they lie.

    Warns
    -----
    PlausibilityWarning
        If more than a quarter of it has none.
    """
    mask = found.fields["mask"]
    x, y = (axis[shelf.floating] for axis in shelf.grid.points())
    for roles in (("x_velocity", "y_velocity"), ("thickness",)):
        fields = [found.fields[role] for role in roles]
        grid = fields[0].grid
        assert grid is not None
        if grid.kind != "raster":
            continue
        known = _known(fields)
        share = float(look_up(known, grid, x, y).mean())
        what = f"{ROLES[roles[0]].meaning.removesuffix(' in x')} ({fields[0].name!r})"
        if share < LEAST:
            at_x, at_y = (axis[known] for axis in grid.points())
            raise DataValuesError(
                f"{share:.0%} of the floating ice of mask {mask.name!r} "
                f"({count(x.size, 'pixel')}) has a {what}, which {_where(mask, at_x, at_y)}. Do "
                "its flags (floating_values=) mean floating ice, are both in the same projection, "
                "and is it the shelf that was meant (seed_point=, bbox=)?"
            )
        if share < 1 - GAPS:
            sentence = (
                f"{1 - share:.0%} of the shelf has no {what}: it was not observed there, or mask "
                f"{mask.name!r} takes grounded ice or ocean for floating ice"
            )
            found.note(sentence)
            warn(sentence, PlausibilityWarning)


def _known(fields: list[Field]) -> np.ndarray:
    """Tell where there are values: of the thickness above zero, of the velocity not both zero."""
    values = [one.values for one in fields if one.values is not None]
    known: np.ndarray = np.logical_and.reduce([np.isfinite(each) for each in values])
    if fields[0].role == "thickness":
        known &= values[0] > 0
    else:
        known &= np.logical_or.reduce([each != 0 for each in values])
    return known


def _where(mask: Field, x: np.ndarray, y: np.ndarray) -> str:
    """Say which values the mask has at positions, m."""
    assert mask.grid is not None
    assert mask.values is not None
    if not x.size:
        return "has no values here"
    row, column, inside = pixel_of(mask.grid, x, y)
    if not inside.any():
        return "lies beyond the mask"
    return f"lies where the mask is {values_text(mask.values[row, column][inside])}"
