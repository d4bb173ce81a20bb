"""Whether the calving front can be used: positions and outward unit normals.

It hands on `FrontPoints` in m, with normals of length one.
"""

from __future__ import annotations

import numpy as np

from xdiffice.errors import CoordinateError, DataValuesError, VariableNotFoundError
from xdiffice.observations.points import Domain, FrontPoints
from xdiffice.observations.values import count
from xdiffice.observations.variables import FRONT_ROLES

LENGTH_TOLERANCE = 0.01
"""Largest deviation of a normal's length from one."""

REACH = 5.0
"""How many pixels front points may lie outside the shelf's bounding box."""

HOW_TO_GIVE = (
    "give x_front, y_front (positions) and x_normal, y_normal (unit normals that point out of the "
    "ice) on one dim, as variables of the Dataset or with front=<Dataset>"
)


def front_missing(missing: list[str]) -> VariableNotFoundError:
    """Make the error for a front that is not, or not wholly, there."""
    if len(missing) == len(FRONT_ROLES):
        return VariableNotFoundError(
            "no calving front: without the stress at the front the viscosity is not determined. A "
            "mask that tells ice from ocean is enough: xdiffice.assemble(velocity, thickness, "
            f"mask=...) or ds.diffice.calving_front(mask) find the front. Or {HOW_TO_GIVE}"
        )
    return VariableNotFoundError(
        f"the calving front is incomplete: no variable for {', '.join(missing)}; {HOW_TO_GIVE}"
    )


def make_front(x: np.ndarray, y: np.ndarray, n_x: np.ndarray, n_y: np.ndarray) -> FrontPoints:
    """Check positions (m) and normals, and make the normals' length exactly one.

    Parameters
    ----------
    x, y : ndarray, shape (n,)
        Positions, m.
    n_x, n_y : ndarray, shape (n,)
        Components of the outward normals.

    Raises
    ------
    DataValuesError
        If there are no points, numbers of points differ, values are missing, or a normal's length
        differs from one by more than 1 %.
    """
    sizes = {"x_front": x.size, "y_front": y.size, "x_normal": n_x.size, "y_normal": n_y.size}
    if len(set(sizes.values())) > 1:
        shown = ", ".join(f"{role} {size}" for role, size in sizes.items())
        raise DataValuesError(f"front positions and normals differ in number: {shown}")
    x, y, n_x, n_y = (np.ravel(values) for values in (x, y, n_x, n_y))
    if x.size == 0:
        raise DataValuesError("the calving front has no points")
    missing = ~np.isfinite(np.column_stack([x, y, n_x, n_y])).all(axis=1)
    if missing.any():
        raise DataValuesError(
            f"{missing.sum()} of {count(x.size, 'front point')} have missing positions or normals; "
            "drop them"
        )
    length = np.hypot(n_x, n_y)
    wrong = np.abs(length - 1.0) > LENGTH_TOLERANCE
    if wrong.any():
        raise DataValuesError(
            f"{wrong.sum()} of {count(x.size, 'front normal')} are not of unit length: lengths are "
            f"between {length.min():.3g} and {length.max():.3g}; divide them by their length"
        )
    return FrontPoints(x, y, n_x / length, n_y / length)


def check_front_place(front: FrontPoints, domain: Domain) -> None:
    """Check that the front lies at the shelf.

    Raises
    ------
    CoordinateError
        If points lie more than 5 pixels outside of the shelf's bounding box.
    """
    reach = REACH * domain.spacing
    outside = (
        (front.x < domain.x.min() - reach)
        | (front.x > domain.x.max() + reach)
        | (front.y < domain.y.min() - reach)
        | (front.y > domain.y.max() + reach)
    )
    if outside.any():
        raise CoordinateError(
            f"{outside.sum()} of {count(front.x.size, 'front point')} lie more than {REACH:g} "
            f"pixels outside of the shelf: the front has {extent_text(front.x, front.y)}, the "
            f"shelf {extent_text(domain.x, domain.y)}; are they in the same projection and units?"
        )


def inward_share(front: FrontPoints, domain: Domain) -> float:
    """Return the share of front normals that point into the ice, of those that can be told.

    A normal can be told where a few pixels along it, forward and backward, ice lies on one side
    more than on the other.
    """
    score = np.zeros(front.x.size)
    for step in (1.5, 3.0, 5.0):
        along_x, along_y = step * domain.spacing * front.n_x, step * domain.spacing * front.n_y
        score += domain.contains(front.x + along_x, front.y + along_y)
        score -= domain.contains(front.x - along_x, front.y - along_y)
    told = score != 0
    return float((score[told] > 0).mean()) if told.any() else 0.0


def extent_text(x: np.ndarray, y: np.ndarray) -> str:
    """Return the extent of positions (m) for a message, in km."""
    return (
        f"x {np.nanmin(x) / 1e3:.6g} to {np.nanmax(x) / 1e3:.6g} km, "
        f"y {np.nanmin(y) / 1e3:.6g} to {np.nanmax(y) / 1e3:.6g} km"
    )
