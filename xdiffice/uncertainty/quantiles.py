"""Quantiles of positive fields, from a geometric mean and a geometric standard deviation."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import xarray as xr
from scipy import stats

from xdiffice.errors import ParameterError
from xdiffice.results.names import QUANTILE, SPREAD


def check_quantiles(quantiles: Sequence[float], n_members: int) -> np.ndarray:
    """Return quantiles as an array.

    Raises
    ------
    ParameterError
        They are none, or there is no ensemble that could tell.
    """
    values = np.atleast_1d(np.asarray(quantiles, float))
    if values.ndim > 1 or not values.size or not ((values > 0) & (values < 1)).all():
        raise ParameterError(f"quantiles={quantiles!r}: must be numbers between 0 and 1")
    if n_members == 1:
        raise ParameterError("quantiles need an ensemble; fit with n_members=8, say, to have one")
    return values


def quantile(
    field: xr.DataArray, factor: xr.DataArray, quantiles: np.ndarray, n_members: int
) -> xr.DataArray:
    """Return quantiles of a field of which members are samples.

    The logarithm of the truth is taken for one more sample of the normal distribution that the
    members come from: with so few of them its quantiles are those of Student's t with one degree
    of freedom less than members, for the standard deviation times (1 + 1 / n_members)^½.

    Parameters
    ----------
    field, factor : DataArray
        Geometric mean of the members, and their geometric standard deviation.
    quantiles : ndarray, shape (n,)
        Between 0 and 1.
    n_members : int
        At least 2.

    Returns
    -------
    DataArray
        With a first dim ``quantile``, in units of the field.
    """
    deviations = stats.t.ppf(quantiles, n_members - 1) * np.sqrt(1 + 1 / n_members)
    along = xr.DataArray(
        deviations,
        dims="quantile",
        coords={
            "quantile": xr.Variable(
                "quantile",
                quantiles,
                {"long_name": "cumulative probability", "units": "1"},
                {"_FillValue": None},  # which CF forbids
            )
        },
    )
    found = field * factor**along
    found.attrs = {
        name: field.attrs[name] for name in ("units", "grid_mapping") if name in field.attrs
    }
    found.attrs["long_name"] = f"quantiles of the {field.attrs['long_name']}"
    return found.transpose("quantile", *field.dims)


def with_quantiles(result: xr.Dataset, quantiles: np.ndarray, n_members: int) -> xr.Dataset:
    """Add quantiles of all fields of which the Dataset has the geometric standard deviation."""
    return result.assign(
        {
            f"{name}{QUANTILE}": quantile(
                result[name], result[f"{name}{SPREAD}"], quantiles, n_members
            )
            for name in result.data_vars
            if f"{name}{SPREAD}" in result
        }
    )
