"""Derivatives and momentum residuals of a Dataset, by finite differences of order eight."""

from __future__ import annotations

import numpy as np
import xarray as xr

COEFFICIENTS = np.array([4 / 5, -1 / 5, 4 / 105, -1 / 280])


def derivative(values: np.ndarray, spacing: float, axis: int) -> np.ndarray:
    """Central difference; NaN within four pixels of the edge."""
    values = np.moveaxis(values, axis, -1)
    out = np.full(values.shape, np.nan)
    n = values.shape[-1]
    inner = slice(4, n - 4)
    out[..., inner] = sum(
        c * (values[..., 4 + k : n - 4 + k] - values[..., 4 - k : n - 4 - k])
        for k, c in enumerate(COEFFICIENTS, 1)
    )
    return np.moveaxis(out / spacing, -1, axis)


def stress(ds: xr.Dataset) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """T_xx, T_yy, T_xy in Pa of a Dataset in SI units on ascending, common grids."""
    d_x, d_y = float(ds.x[1] - ds.x[0]), float(ds.y[1] - ds.y[0])
    u, v = ds.x_velocity.values, ds.y_velocity.values
    e_xx, e_yy = derivative(u, d_x, 1), derivative(v, d_y, 0)
    e_xy = (derivative(u, d_y, 0) + derivative(v, d_x, 1)) / 2
    if "viscosity" in ds:
        mu_h = mu_v = ds.viscosity.values
    else:
        mu_h, mu_v = ds.viscosity_horizontal.values, ds.viscosity_vertical.values
    pressure = 2 * mu_v * (e_xx + e_yy)
    return 2 * mu_h * e_xx + pressure, 2 * mu_h * e_yy + pressure, 2 * mu_h * e_xy


def momentum_residual(ds: xr.Dataset, weight: float) -> tuple[np.ndarray, np.ndarray]:
    """Both residuals of div(h T) = ρ g' h ∇h, in units of ρ g' h0² / L."""
    d_x, d_y = float(ds.x[1] - ds.x[0]), float(ds.y[1] - ds.y[0])
    h = ds.thickness.values
    t_xx, t_yy, t_xy = (h * t for t in stress(ds))
    in_x = derivative(t_xx, d_x, 1) + derivative(t_xy, d_y, 0) - weight * h * derivative(h, d_x, 1)
    in_y = derivative(t_xy, d_x, 1) + derivative(t_yy, d_y, 0) - weight * h * derivative(h, d_y, 0)
    length = max(np.ptp(ds.x.values), np.ptp(ds.y.values)) / 2
    scale = weight * np.nanmean(h) ** 2 / length
    return in_x / scale, in_y / scale
