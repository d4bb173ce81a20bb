"""How a training ended: as attributes of a prediction, and in the words of a table."""

from __future__ import annotations

from collections.abc import Mapping
from numbers import Integral
from typing import Any

STRESSES = {"momentum": "the driving stress", "front": "the stress at the front"}
"""What residuals are measured by."""
_REASONS = {
    "tolerance": "converged: no further progress",
    "max_seconds": "time was up before it had converged",
    "max_iterations": "iterations were used up before it had converged",
    "line_search": "no step lowered the loss any further",
    "not_finite": "values were no longer finite; the best before is kept",
    "interrupted": "the best until then is kept",
}
MODELLED = "a forward model with this viscosity misses the observed velocity by"
UNMOVED = 0.03  # of the velocity, beyond its noise
UNBALANCED = 0.1  # of the driving stress; fits that have settled leave half of it on real shelves
_MEANINGS = {
    "misfit": "relative L2 misfit",
    "noise": "noise of the data, estimated",
    "residual": "residual{}, of {} (rms)",
    "jump": "jump between sub-regions, of its range (rms)",
}
_IN_ONE_ROW = {("residual", "velocity"), ("noise", "velocity")}  # `modelled` has both


def outcome(estimator: Any) -> dict[str, str | int | float]:
    """Return how the training of a fitted estimator ended, by names of attributes."""
    result: dict[str, str | int | float] = {
        "stop_reason": estimator.stop_reason_,
        "n_iter": estimator.n_iter_,
    }
    if isinstance(estimator.random_state, Integral):  # the default, too, which no repr shows
        result["random_state"] = int(estimator.random_state)
    for kind in _MEANINGS:
        numbers = getattr(estimator, f"{kind}_")
        result |= {f"{kind}_{name}": float(value) for name, value in numbers.items()}
    return result


def doubt(attrs: Mapping[Any, Any]) -> str | None:
    """Say why a viscosity is not to be trusted at all, given these; None where it may be.

    Parameters
    ----------
    attrs : mapping
        Of a prediction, as `outcome` makes them.

    Examples
    --------
    >>> doubt({"residual_velocity": 0.0064, "noise_velocity": 0.0062, "residual_momentum": 0.2})
    >>> doubt({"residual_momentum": 0.03, "stop_reason": "tolerance", "n_iter": 2500})
    >>> doubt({"residual_momentum": 1.46, "stop_reason": "max_seconds", "n_iter": 40})[:52]
    'the momentum balance is off by 146 % of the driving '
    """
    if "residual_velocity" in attrs:
        missed, noise = float(attrs["residual_velocity"]), float(attrs.get("noise_velocity", 0.0))
        if missed <= 1.1 * noise + UNMOVED:
            return None
        return (
            f"{MODELLED} {100 * missed:.3g} %, where the noise of the data is {100 * noise:.2g} %: "
            f"train longer (stopped by {attrs['stop_reason']} after {attrs['n_iter']} iterations) "
            "or, if that does not help, look whether all of the front is at the sea and all of the "
            "mask is afloat"
        )
    off = float(attrs.get("residual_momentum", 0.0))
    if off <= UNBALANCED:
        return None
    return (
        f"the momentum balance is off by {100 * off:.3g} % of the driving stress, where a few "
        "percent are usual, and the viscosity with it: train longer (stopped by "
        f"{attrs['stop_reason']} after {attrs['n_iter']} iterations) or, if that does not help, "
        "look whether all of the front is at the sea and all of the mask is afloat"
    )


def modelled(attrs: Mapping[Any, Any]) -> str | None:
    """Say by how much a forward model misses the observed velocity; None where it is not known.

    Examples
    --------
    >>> modelled({"residual_velocity": 0.0064, "noise_velocity": 0.0062})
    '0.64 %; the noise of the data is 0.62 %'
    """
    if "residual_velocity" not in attrs:
        return None
    told = f"{100 * float(attrs['residual_velocity']):.2g} %"
    if "noise_velocity" in attrs:
        told += f"; the noise of the data is {100 * float(attrs['noise_velocity']):.2g} %"
    return told


def stopped_by(reason: str) -> str:
    """Return why a training ended, in words.

    Examples
    --------
    >>> stopped_by("tolerance")
    'tolerance (converged: no further progress)'
    """
    return f"{reason} ({_REASONS[reason]})" if reason in _REASONS else reason


def outcome_rows(attrs: Mapping[Any, Any]) -> list[tuple[str, str]]:
    """Return what of it is among some attributes, in words.

    What a forward model makes of the viscosity comes before misfits and residuals. Files of
    versions that modelled no velocity have no such row.

    Examples
    --------
    >>> outcome_rows({"n_iter": 3000, "misfit_thickness": 0.0123})
    [('iterations', '3000'), ('thickness: relative L2 misfit', '1.23 %')]
    >>> for row in outcome_rows({"residual_momentum": 0.045, "residual_velocity": 0.0064}):
    ...     print(*row, sep=": ")
    velocity: a forward model with this viscosity misses it by: 0.64 %
    momentum: residual of the networks, of the driving stress (rms): 4.5 %
    """
    rows = []
    if "stop_reason" in attrs:
        rows.append(("stopped by", stopped_by(str(attrs["stop_reason"]))))
    if "n_iter" in attrs:
        rows.append(("iterations", str(attrs["n_iter"])))
    if "random_state" in attrs:
        rows.append(("random state", str(attrs["random_state"])))
    told = modelled(attrs)
    if told is not None:
        rows.append(("velocity: a forward model with this viscosity misses it by", told))
    for kind, meaning in _MEANINGS.items():
        for name, value in attrs.items():
            what = str(name).removeprefix(f"{kind}_")
            if what == name or (told is not None and (kind, what) in _IN_ONE_ROW):
                continue
            # Finite elements balance forces over a triangle: at points the networks are judged.
            by = "" if kind != "residual" or told is None else " of the networks"
            meant = meaning.format(by, STRESSES.get(what, "its stress"))
            rows.append((f"{what.replace('_', ' ')}: {meant}", f"{100 * float(value):.3g} %"))
    return rows
