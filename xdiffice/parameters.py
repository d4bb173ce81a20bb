"""Which values the estimator's parameters can have, as a table."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Mapping
from numbers import Integral, Real
from textwrap import shorten
from typing import Any

import numpy as np
import xarray as xr

from xdiffice.errors import ParameterError
from xdiffice.observations.regions import Partition
from xdiffice.physics.rheology import RHEOLOGIES, Rheology


def check_parameters(estimator: Any) -> None:
    """Hold all parameters of an estimator against the table.

    Raises
    ------
    ParameterError
        All that do not fit, in one message.
    """
    problems = [
        f"{name}={shorten(repr(value), 60, placeholder='...')}: {must}"
        for name, (holds, must) in _RULES.items()
        if not holds(value := getattr(estimator, name))
    ]
    if not problems and not estimator.ice_density < estimator.sea_water_density:
        problems.append(
            f"ice_density={estimator.ice_density!r}: must be below sea_water_density="
            f"{estimator.sea_water_density!r}, or the shelf does not float"
        )
    if problems:
        raise ParameterError("; ".join(problems))


def _number(value: Any) -> bool:
    if not isinstance(value, Real) or isinstance(value, bool):
        return False
    return bool(value < math.inf and not value <= -math.inf)  # False for NaN, too


def _whole(least: int) -> tuple[Callable[[Any], bool], str]:
    def holds(value: Any) -> bool:
        return isinstance(value, Integral) and not isinstance(value, bool) and int(value) >= least

    return holds, f"must be a whole number of at least {least}"


def _seed(value: Any) -> bool:
    if isinstance(value, Integral) and not isinstance(value, bool):
        return 0 <= int(value) < 2**32
    return value is None or isinstance(value, np.random.RandomState)


def _or_none(holds: Callable[[Any], bool], must: str) -> tuple[Callable[[Any], bool], str]:
    return lambda value: value is None or holds(value), f"{must}, or None"


def _one_of(*choices: Any) -> tuple[Callable[[Any], bool], str]:
    def holds(value: Any) -> bool:
        # `type` first: arrays have no truth value, and 1 == True.
        return any(type(value) is type(choice) and value == choice for choice in choices)

    listed = ", ".join(repr(choice) for choice in choices)
    return holds, f"this version has {listed}"


def _rheology() -> tuple[Callable[[Any], bool], str]:
    named, must = _one_of(*RHEOLOGIES)
    return lambda value: isinstance(value, Rheology) or named(value), f"{must}, or a Rheology"


def _subdomains(value: Any) -> bool:
    return (
        _whole(1)[0](value)
        or (isinstance(value, str) and value == "auto")
        or isinstance(value, xr.DataArray | Partition)
    )


_POSITIVE = (lambda value: _number(value) and value > 0, "must be a positive number")
_NOT_NEGATIVE = (lambda value: _number(value) and value >= 0, "must be a number of at least 0")
_NAMES = _or_none(lambda value: isinstance(value, Mapping), "must be a mapping of names")
_RULES: dict[str, tuple[Callable[[Any], bool], str]] = {
    "rheology": _rheology(),
    "subdomains": (
        _subdomains,
        "must be a whole number of at least 1, 'auto', a DataArray of labels or a Partition",
    ),
    "n_members": _whole(1),
    "max_seconds": _or_none(*_POSITIVE),
    "max_iterations": _or_none(*_whole(3)),
    "tolerance": _NOT_NEGATIVE,
    "random_state": (
        _seed,
        "must be None, a whole number from 0 to 2**32 - 1, or a numpy.random.RandomState",
    ),
    "adjoint_steps": _whole(0),
    "warm_start": (lambda value: isinstance(value, bool | np.bool_), "must be True or False"),
    "progress": (lambda value: isinstance(value, bool | np.bool_), "must be True or False"),
    "checkpoint": _or_none(
        lambda value: isinstance(value, str | os.PathLike), "must be the path of a file"
    ),
    "checkpoint_seconds": _NOT_NEGATIVE,
    "width": _or_none(*_whole(2)),
    "depth": _whole(2),
    "first_layer": _one_of("sine", "tanh"),
    "frequency": _or_none(*_POSITIVE),
    "features": _or_none(*_whole(2)),
    "n_velocity": _or_none(*_whole(10)),
    "n_thickness": _or_none(*_whole(10)),
    "n_interior": _or_none(*_whole(10)),
    "n_front": _or_none(*_whole(2)),
    "sampling": _one_of("uniform", "residual"),
    "resample_every": _whole(1),
    "dtype": _one_of("float64", "float32"),
    "velocity_weight": _POSITIVE,
    "thickness_weight": _POSITIVE,
    "momentum_weight": _POSITIVE,
    "front_weight": _POSITIVE,
    "roughness_weight": _NOT_NEGATIVE,
    "penalty_weight": _NOT_NEGATIVE,
    "interface_weight": _NOT_NEGATIVE,
    "ice_density": _POSITIVE,
    "sea_water_density": _POSITIVE,
    "gravity": _POSITIVE,
    "variables": _NAMES,
    "units": _NAMES,
}
