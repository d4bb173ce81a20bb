"""How well a fitted model reproduces its data and fulfils its equations, in plain ratios."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from xdiffice.observations.points import Observations
from xdiffice.results.evaluate import DRIVING, FittedModel, Orders
from xdiffice.results.names import MOTION, RESIDUALS, STRAIN_RATE

SAMPLE = 20_000  # pixels at which members are compared


def misfit(model: FittedModel, observations: Observations) -> dict[str, float]:
    """Relative L2 misfit ‖fit − data‖ / ‖data‖ of u, v and h over all data."""
    return {
        name: float(np.linalg.norm(fit - data) / (np.linalg.norm(data) or 1.0))
        for name, fit, data in _pairs(model, observations)
    }


def variance_explained(model: FittedModel, observations: Observations) -> dict[str, float]:
    """R² = 1 − Σ (fit − data)² / Σ (data − mean)² of those of u, v and h that vary."""
    scores = {}
    for name, fit, data in _pairs(model, observations):
        spread = np.sum((data - data.mean()) ** 2)
        if spread > 1e-24 * np.sum(data**2):  # less is rounding: flow along an axis, a slab
            scores[name] = float(1 - np.sum((fit - data) ** 2) / spread)
    return scores


def imbalance(model: FittedModel, observations: Observations) -> np.ndarray:
    """Return what is left of the momentum balance by pixel, over the rms of what drives the ice.

    The driving stress is ρ g' h ∇h.
    """
    domain = observations.domain
    inside = model.evaluate(domain.x, domain.y, (*RESIDUALS, *DRIVING))
    driving = np.hypot(*(inside[name] for name in DRIVING))
    return np.hypot(*(inside[name] for name in RESIDUALS)) / (_rms(driving) or 1.0)


def relative_residuals(
    model: FittedModel, observations: Observations, unbalanced: np.ndarray
) -> dict[str, float]:
    """Rms of what is left of the equations over the rms of what drives the ice.

    ``momentum`` over the whole shelf, from `imbalance`; ``front`` relative to ½ ρ g' h, over all
    front points.
    """
    front = observations.front
    r_x, r_y, pressure = model.front_residual(front.x, front.y, front.n_x, front.n_y)
    return {
        "momentum": _rms(unbalanced),
        "front": _rms(np.hypot(r_x, r_y)) / (_rms(pressure) or 1.0),
    }


def jumps(model: FittedModel, observations: Observations) -> dict[str, float]:
    """Rms of what the networks of two regions differ by where these meet, over the field's range.

    Of u, v, h and the logarithms of the rheology's fields; ranges are those over the whole shelf.
    Nothing with one region. Predictions blend the networks and have no jumps.
    """
    if model.partition.n == 1:
        return {}
    met, domain = model.partition.interfaces(), observations.domain
    names = (*MOTION, *(f"log_{field}" for field in model.model.rheology.fields))
    differences = np.zeros((len(names), met.x.size))
    for region in range(model.partition.n):
        (at,) = np.nonzero((met.first == region) | (met.second == region))
        jets = model.of_region(region, met.x[at], met.y[at], Orders(0, 0))
        sign = np.where(met.first[at] == region, 1.0, -1.0)
        differences[:, at] += sign * np.stack([jet.value for jet in jets])
    everywhere = model.jets(domain.x, domain.y, Orders(0, 0))
    return {
        name: _rms(difference) / (float(np.ptp(jet.value)) or 1.0)
        for name, difference, jet in zip(names, differences, everywhere, strict=True)
    }


def strain_rate_error(
    model: FittedModel, observations: Observations, misfits: Mapping[str, float]
) -> float:
    """Error of the strain rates of the fitted velocity, s-1.

    Of an ensemble it is what members differ by, at a sample of the shelf's pixels. Of one network:
    the misfit σ of the velocity (``misfits``, from `misfit`) leaves an error of σ (p / n)^½ in a
    fit of p parameters to n values. Its derivative is larger by the largest wavenumber of the
    first layer. On synthetic shelves both come to the same within a factor of two.
    """
    if model.n_members > 1:
        domain = observations.domain
        step = max(1, domain.x.size // SAMPLE)
        return model.spread(domain.x[::step], domain.y[::step], STRAIN_RATE)
    velocity, network = observations.velocity, model.model.motion
    components = zip(MOTION[:2], (velocity.u, velocity.v), strict=True)
    u, v = (misfits[name] * _rms(data) for name, data in components)
    n_parameters = len(model.region_scales) * network.n_parameters
    share = min(1.0, n_parameters / (2 * velocity.x.size))
    wavenumber = 2 * np.pi / shortest_wavelength(model)
    return float(np.hypot(u, v) * np.sqrt(share) * wavenumber)


def shortest_wavelength(model: FittedModel) -> float:
    """Wavelength of the highest frequency of the first layer of the networks for motion, m."""
    length = min(scales.length for scales in model.region_scales)
    return float(2 * np.pi * length / model.model.motion.frequency)


def _pairs(
    model: FittedModel, observations: Observations
) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    """Fit and data of u, v and h, each where it was observed; SI."""
    velocity, thickness = observations.velocity, observations.thickness
    fit = model.evaluate(velocity.x, velocity.y, MOTION[:2])
    fit |= model.evaluate(thickness.x, thickness.y, MOTION[2:])
    for name, data in zip(MOTION, (velocity.u, velocity.v, thickness.h), strict=True):
        yield name, fit[name], data


def _rms(values: np.ndarray) -> float:
    return float(np.sqrt(np.mean(values**2)))
