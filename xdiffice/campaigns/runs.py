"""What there is to do: every shelf at every time with every set of parameters.

Takes what a user hands over and makes a list of `Run`, in the order in which they are started.
"""

from __future__ import annotations

import hashlib
import inspect
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from sklearn.base import clone

from xdiffice.errors import InputTypeError, ParameterError
from xdiffice.inverter import SSAViscosityInverter
from xdiffice.observations.opening import opened
from xdiffice.observations.shelf import assemble
from xdiffice.parameters import check_parameters
from xdiffice.storage import configuration

FIT = ("velocity", "thickness", "mask", "front")
ASSEMBLE = tuple(inspect.signature(assemble).parameters)
NAME = re.compile(r"[A-Za-z0-9][\w .,+=-]*")
"""A group of a Zarr store and a file on any file system."""


@dataclass(frozen=True)
class Source:
    """Where one shelf at one time comes from.

    Parameters
    ----------
    given : mapping of str to Any
        Arguments of `fit`, or of `assemble` if there are others among them; Datasets or paths.
    dim : str or None
        Dim of the times.
    index : int
        Which of them.
    """

    given: Mapping[str, Any]
    dim: str | None = None
    index: int = 0

    def data(self) -> dict[str, Any]:
        """Open, select and cut: the arguments of `fit`."""
        data = {name: _opened(name, value) for name, value in self.given.items()}
        if self.dim is not None:
            velocity = data["velocity"]
            time = velocity[self.dim].values[self.index] if self.dim in velocity.coords else None
            data["velocity"] = velocity.isel({self.dim: self.index})
            for name in FIT[1:]:
                if name in data:
                    data[name] = self._at(time, data[name])
        if set(data) <= set(FIT):
            return data
        return {"velocity": assemble(**data)}

    def _at(self, time: Any, other: Any) -> Any:
        """Select the time of the velocity in another source that has it."""
        if not isinstance(other, xr.Dataset | xr.DataArray) or self.dim not in other.indexes:
            return other
        found = np.flatnonzero(other.indexes[self.dim] == time)
        return other.isel({self.dim: found[0]}) if found.size == 1 else other


@dataclass(frozen=True)
class Run:
    """One inversion.

    Parameters
    ----------
    name : str
        Its group in the store: shelf, time and set of parameters, as far as there are several,
        with slashes between.
    source : Source
        Its data.
    inverter : SSAViscosityInverter
        Not fitted.
    identity : str
        Checksum of the parameters and of what the data look like from outside.
    before : tuple of str
        Runs of earlier times, the latest first, from which it may start.
    """

    name: str
    source: Source
    inverter: SSAViscosityInverter
    identity: str
    before: tuple[str, ...] = ()


def runs_of(
    datasets: Mapping[str, Any],
    inverter: SSAViscosityInverter | Mapping[str, SSAViscosityInverter],
) -> list[Run]:
    """List all runs.

    Parameters
    ----------
    datasets : mapping of str to Any
        Shelves by name, as in `campaign`.
    inverter : SSAViscosityInverter, or mapping of str to SSAViscosityInverter
        With what parameters, or sets of parameters by name.

    Returns
    -------
    list of Run
        Those with `before` follow those that they name.

    Raises
    ------
    ParameterError
        Names that no store can have, unknown keys, parameters that do not fit; all in one message.
    InputTypeError
        Something that is no Dataset, path, mapping or inverter.
    """
    inverters = inverter if isinstance(inverter, Mapping) else {"": inverter}
    if not isinstance(datasets, Mapping):
        raise InputTypeError(
            "datasets is a mapping from the name of a shelf to its Dataset, path, or arguments of "
            f"assemble; got {type(datasets).__name__}"
        )
    for kind, things in (("datasets", datasets), ("inverter", inverters)):
        if not things:
            raise ParameterError(f"{kind} is empty: there is nothing to do")
    for label, one in inverters.items():
        if not isinstance(one, SSAViscosityInverter):
            raise InputTypeError(
                f"inverter {label!r} is a {type(one).__name__}, not an SSAViscosityInverter"
            )
        check_parameters(one)
        if one.checkpoint is not None:
            raise ParameterError(
                f"checkpoint={one.checkpoint!r} is one file, and a campaign has many runs: leave it"
                " None; runs that were lost are done again"
            )
        if not isinstance(one.random_state, int | np.integer):
            raise ParameterError(
                f"random_state={one.random_state!r}: runs are repeatable with a whole number only"
            )
    names = [*datasets, *(label for label in inverters if label or len(inverters) > 1)]
    odd = [name for name in names if not (isinstance(name, str) and NAME.fullmatch(name))]
    if odd:
        raise ParameterError(
            f"{odd} cannot be names of groups: they begin with a letter or digit and have no slash"
        )
    return [
        run for name, given in datasets.items() for run in _of_shelf(name, given, dict(inverters))
    ]


def _of_shelf(
    name: str, given: Any, inverters: Mapping[str, SSAViscosityInverter]
) -> Iterator[Run]:
    arguments = _arguments(name, given)
    epochs, dim, look = _epochs(arguments["velocity"])
    for label, inverter in inverters.items():
        earlier: list[str] = []
        parameters = configuration(inverter) | {"progress": None}
        identity = _checksum([parameters, _outside(arguments), look])
        for index, epoch in enumerate(epochs):
            full = "/".join(part for part in (name, epoch, label) if part)
            before = tuple(reversed(earlier)) if inverter.warm_start else ()
            own = clone(inverter).set_params(progress=False, warm_start=False)
            yield Run(full, Source(arguments, dim, index), own, identity, before)
            earlier.append(full)


def _arguments(name: str, given: Any) -> dict[str, Any]:
    """Return what one shelf is made of by the names of arguments of `fit` or `assemble`."""
    if not isinstance(given, Mapping) or isinstance(given, xr.Dataset):
        given = {"velocity": given}
    unknown = [key for key in given if key not in ASSEMBLE]
    if unknown or "velocity" not in given:
        raise ParameterError(
            f"datasets[{name!r}] has {', '.join(map(str, given))}; velocity is needed, and known "
            f"are {', '.join(ASSEMBLE)}"
        )
    return dict(given)


def _epochs(velocity: Any) -> tuple[list[str], str | None, Any]:
    """Return the names of the times of a velocity, their dim, and what it looks like.

    Of what cannot be opened there is one run, which will say so.
    """
    try:
        ds = _opened("velocity", velocity)
    except Exception as error:  # whatever it is, it is no reason not to begin with the others
        return [""], None, type(error).__name__
    if not isinstance(ds, xr.Dataset):
        return [""], None, type(ds).__name__
    dim = next((str(d) for d in ds.dims if _is_time(ds, d)), None)
    one = ds if dim is None else ds.isel({dim: slice(1)})  # later times may be added
    look = [
        sorted((str(name), str(var.dtype), var.shape) for name, var in one.variables.items()),
        sorted((str(d), _checksum(one.indexes[d].tolist())) for d in one.indexes if d != dim),
    ]
    if dim is None:
        return [""], None, look
    times = ds[dim].values if dim in ds.coords else np.arange(ds.sizes[dim])
    for length in (10, 19, 29):  # days, seconds, nanoseconds
        labels = [re.sub(r"[^\w .,+=-]", "-", str(time)) for time in times]
        if times.dtype.kind == "M":
            labels = [label[:length] for label in labels]
        if len(set(labels)) == len(labels):
            return labels, dim, look
    raise ParameterError(f"the times along {dim!r} are not all different")


def _is_time(ds: xr.Dataset, dim: Any) -> bool:
    if dim not in ds.coords:
        return bool(dim == "time")
    values = ds[dim].values
    is_date = values.dtype.kind == "M" or hasattr(next(iter(values), 0), "calendar")
    return bool(dim == "time" or is_date)


def _opened(name: str, value: Any) -> Any:
    if name not in FIT:
        return value
    return opened(value, [], may_be_name=name == "mask")


def _outside(value: Any) -> Any:
    """Return what tells one argument from another without reading any data."""
    if isinstance(value, Mapping) and not isinstance(value, xr.Dataset):
        return {str(key): _outside(one) for key, one in value.items()}
    if isinstance(value, str | PathLike):
        return Path(value).name  # folders may be moved
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    if isinstance(value, Sequence):
        return [_outside(one) for one in value]
    return value if isinstance(value, int | float | bool | None) else type(value).__name__


def _checksum(content: Any) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True, default=str).encode()).hexdigest()
