"""How far an estimate is from a truth, where both are known.

It hands on the one number that the command and the pictures show.
"""

from __future__ import annotations

import numpy as np
import xarray as xr

from ..errors import CoordinateError, DataValuesError


def aligned(estimate: xr.DataArray, truth: xr.DataArray) -> tuple[xr.DataArray, xr.DataArray]:
    """Return both in the estimate's order of dims and of coordinates.

    Raises
    ------
    CoordinateError
        They are not on the same grid: interpolating a truth would add an error of its own.
    """
    for dim in estimate.indexes:
        if dim in truth.indexes:
            theirs = truth.indexes[dim]
            if not estimate.indexes[dim].sort_values().equals(theirs.sort_values()):
                raise CoordinateError(
                    f"the truth has other {dim!r} coordinates than the estimate; "
                    "predict on the truth's grid"
                )
            truth = truth.reindex({dim: estimate.indexes[dim]})
    if set(estimate.dims) != set(truth.dims):
        raise CoordinateError(
            f"the estimate has dims {estimate.dims} and the truth has dims {truth.dims}; "
            "predict on the truth's grid"
        )
    if any(estimate.sizes[dim] != truth.sizes[dim] for dim in estimate.dims):
        raise CoordinateError(
            f"the estimate has shape {dict(estimate.sizes)} and the truth {dict(truth.sizes)}; "
            "predict on the truth's grid"
        )
    return estimate, truth.transpose(*estimate.dims)


def relative_error(estimate: xr.DataArray, truth: xr.DataArray) -> float:
    """Relative L2 error, ‖estimate - truth‖ / ‖truth‖, over all pixels that have both.

    Parameters
    ----------
    estimate, truth : xarray.DataArray
        On the same grid and in the same units; NaN where there is no value.

    Returns
    -------
    float
        0 where they agree.

    Raises
    ------
    CoordinateError
        The grids differ.
    DataValuesError
        No pixel has both.

    Examples
    --------
    >>> truth = xr.DataArray([3.0, 4.0, 1.0], dims="x")
    >>> relative_error(xr.DataArray([3.0, 4.5, np.nan], dims="x"), truth)
    0.1
    """
    estimate, truth = aligned(estimate, truth)
    both = estimate.notnull() & truth.notnull()
    if not bool(both.any()):
        raise DataValuesError("no pixel has both an estimate and a true value")
    squared = ((estimate - truth) ** 2).where(both).sum() / (truth**2).where(both).sum()
    return float(np.sqrt(squared))
