"""Observations in the units of the training: the step from SI arrays to numbers of order one.

Takes what `observations` gathered and hands on the scales of the shelf and all its points.
"""

from __future__ import annotations

import numpy as np

from xdiffice.observations.points import Observations
from xdiffice.physics.constants import PhysicalConstants
from xdiffice.physics.scales import Scales, scales_of
from xdiffice.training.loss import (
    Batch,
    FrontBatch,
    InteriorBatch,
    ThicknessBatch,
    VelocityBatch,
)


def shelf_scales(observations: Observations, constants: PhysicalConstants) -> Scales:
    """Scales of a shelf's data."""
    velocity, thickness, front = observations.velocity, observations.thickness, observations.front
    x, y = (
        np.concatenate([getattr(part, axis) for part in (velocity, thickness, front)])
        for axis in ("x", "y")
    )
    return scales_of((x, y), (velocity.u, velocity.v), thickness.h, constants)


def nondimensional_points(observations: Observations, scales: Scales) -> Batch:
    """All points of a shelf in the units of the networks."""
    velocity, thickness = observations.velocity, observations.thickness
    front, domain = observations.front, observations.domain
    return Batch(
        VelocityBatch(
            scales.x.to_unit(velocity.x),
            scales.y.to_unit(velocity.y),
            scales.u.to_unit(velocity.u),
            scales.v.to_unit(velocity.v),
            relative_weight(velocity.u_error, velocity.u),
            relative_weight(velocity.v_error, velocity.v),
        ),
        ThicknessBatch(
            scales.x.to_unit(thickness.x),
            scales.y.to_unit(thickness.y),
            scales.h.to_unit(thickness.h),
            relative_weight(thickness.h_error, thickness.h),
        ),
        InteriorBatch(scales.x.to_unit(domain.x), scales.y.to_unit(domain.y)),
        FrontBatch(scales.x.to_unit(front.x), scales.y.to_unit(front.y), front.n_x, front.n_y),
    )


def typical_errors(observations: Observations, scales: Scales) -> dict[str, float]:
    """Median standard errors that came with the data, in the units of the networks, by field."""
    velocity, thickness = observations.velocity, observations.thickness
    errors = {"u": velocity.u_error, "v": velocity.v_error, "h": thickness.h_error}
    return {
        name: float(np.median(error)) / getattr(scales, name).scale
        for name, error in errors.items()
        if error is not None
    }


def relative_weight(error: np.ndarray | None, values: np.ndarray) -> np.ndarray:
    """1/σ² over its mean, so that errors redistribute the weight of the data but keep its sum.

    σ is at least a fifth of its median: a single pixel of claimed perfection must not rule.
    """
    if error is None:
        return np.ones_like(values)
    weight = np.maximum(error, 0.2 * np.median(error)) ** -2.0
    relative: np.ndarray = weight / np.mean(weight)
    return relative
