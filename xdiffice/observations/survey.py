"""What can be found in the user's Datasets, before anything is judged.

It finds and loads the variable of every role and hands on a `Survey`: fields with their grids and
values, and all problems met on the way, so that `gather` can raise them and `report` show them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import xarray as xr

from xdiffice.errors import (
    DataValuesError,
    InputTypeError,
    ParameterError,
    VariableNotFoundError,
    XdifficeError,
    raise_problems,
)
from xdiffice.observations.axes import Axes, Grid, check_one_grid, find_axes, load_grid
from xdiffice.observations.front import front_missing
from xdiffice.observations.units import factor, magnitude, units_of
from xdiffice.observations.values import decode, squeeze
from xdiffice.observations.variables import (
    FRONT_ROLES,
    MASK_ROLES,
    ROLES,
    SHELF_ROLES,
    Explicit,
    check_roles,
    find,
    not_found,
)

THICKNESS_ROLES = ("thickness", "thickness_error")

Source = xr.Dataset | xr.DataArray | str | Any


@dataclass
class Field:
    """The variable of one role.

    Parameters
    ----------
    role, name : str
        Its role and its name.
    dataset : Dataset
        Where it comes from.
    array : DataArray
        The variable itself, not squeezed.
    units : str or None
        Its units, as written or as given by the caller.
    factor : float or None
        SI value of one unit; None where the units are wrong, or not needed.
    axes : Axes or None
        Its coordinates; None for a front variable, or where there are none.
    whole_axes : Axes or None
        Those that it had before it was narrowed down.
    squeezed : DataArray or None
        On its horizontal dims only, in the order of `axes`.
    values : ndarray or None
        Loaded values: float64 in the user's units with NaN where missing; of a mask as stored.
    stored_x, stored_y : ndarray or None
        Loaded coordinates, as stored.
    grid : Grid or None
        Loaded coordinates, m.
    """

    role: str
    name: str
    dataset: xr.Dataset
    array: xr.DataArray
    units: str | None = None
    factor: float | None = None
    axes: Axes | None = None
    whole_axes: Axes | None = None
    squeezed: xr.DataArray | None = None
    values: np.ndarray | None = None
    stored_x: np.ndarray | None = None
    stored_y: np.ndarray | None = None
    grid: Grid | None = None

    @property
    def usable(self) -> bool:
        """Tell whether values, units and coordinates are all there."""
        placed = self.axes is None or self.grid is not None
        return self.values is not None and self.factor is not None and placed

    @property
    def si(self) -> np.ndarray:
        """The values in SI units."""
        assert self.values is not None
        assert self.factor is not None
        return self.values * self.factor


@dataclass
class Survey:
    """Fields by role, roles that nothing plays, and what was noticed.

    Problems are to be raised, warnings to be warned of, notes to be told. Where there are several
    Datasets, ``origins`` has the argument as which each came, by its id.
    """

    fields: dict[str, Field] = field(default_factory=dict)
    absent: list[str] = field(default_factory=list)
    problems: list[XdifficeError] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    origins: dict[int, str] = field(default_factory=dict)

    @contextmanager
    def collect(self) -> Iterator[None]:
        """Keep an error of ours as a problem, and go on after the block."""
        try:
            yield
        except XdifficeError as error:
            self.problem(error)

    def problem(self, error: XdifficeError) -> None:
        """Keep a problem, once."""
        if str(error) not in {str(known) for known in self.problems}:
            self.problems.append(error)

    def note(self, sentence: str) -> None:
        """Keep a sentence, once."""
        if sentence not in self.notes:
            self.notes.append(sentence)

    def loaded(self, *roles: str) -> list[Field] | None:
        """Return the fields of the roles, or None where one of them is not usable."""
        found = [self.fields[role] for role in roles if role in self.fields]
        return found if len(found) == len(roles) and all(one.usable for one in found) else None


def search_shelf(
    dataset: xr.Dataset,
    thickness: Source = None,
    mask: Source = None,
    front: Source = None,
    variables: Explicit | None = None,
    units: Mapping[str, str] | None = None,
) -> Survey:
    """Find what the inversion needs, the calving front with it; parameters as in `gather`.

    Nothing is loaded, see `load`, and nothing raised: see `Survey.problems`.
    """
    result = search(dataset, thickness, mask, front, variables, units)
    missing = [role for role in FRONT_ROLES if role in result.absent]
    if missing:
        result.problem(front_missing(missing))
    return result


def search(
    dataset: xr.Dataset,
    thickness: Source = None,
    mask: Source = None,
    front: Source = None,
    variables: Explicit | None = None,
    units: Mapping[str, str] | None = None,
    roles: Sequence[str] = SHELF_ROLES,
    required: Sequence[str] = ("x_velocity", "y_velocity", "thickness"),
) -> Survey:
    """Find what an inversion needs and load nothing; parameters as in `gather`.

    A front that is not there is no problem yet.
    """
    result = Survey()
    if isinstance(thickness, list | tuple):
        with result.collect():
            thickness = _thickness_together(thickness, variables, units)
            # Those that only its sources had have done their work.
            names = {*ROLES, *map(str, getattr(dataset, "variables", ()))} - {*THICKNESS_ROLES}
            units = {key: unit for key, unit in (units or {}).items() if key in names}
            variables = {k: v for k, v in (variables or {}).items() if k not in THICKNESS_ROLES}
        if result.problems:
            return result
    with result.collect():
        check_roles(variables)
    variables = {role: name for role, name in (variables or {}).items() if role in ROLES}
    sources = _sources(result, dataset, thickness, mask, front, variables)
    if sources is None:
        return result
    if _swapped(sources, variables):
        result.problem(
            InputTypeError(
                "the first Dataset has a thickness and no velocity, the second a velocity and no "
                "thickness: were they swapped? The velocity comes first"
            )
        )
        return result
    required = [*required, *_needed(mask, variables)]
    with result.collect():
        _check_units_keys(sources, units)
    for role in roles:
        with result.collect():
            found = find(sources[role], role, variables)
            if found is not None:
                data, name = found
                result.fields[role] = Field(role, name, data, data[name])
            elif role in required:
                raise not_found(sources[role], role)
            elif role != "mask" or mask is None or variables.get("mask", "") is None:
                result.absent.append(role)
    _drop_single_velocity_error(result)
    for one in result.fields.values():
        _describe(result, one, units)
    return result


def _sources(
    result: Survey,
    dataset: xr.Dataset,
    thickness: Source,
    mask: Source,
    front: Source,
    variables: dict[str, str | None],
) -> dict[str, list[xr.Dataset]] | None:
    """Return for each role the Datasets to search, in order; adds explicit names to `variables`."""
    if not isinstance(dataset, xr.Dataset):
        result.problem(
            InputTypeError(
                "the velocity comes as an xarray.Dataset with both components; got "
                f"{type(dataset).__name__}"
            )
        )
        return None
    if not dataset.variables:
        result.problem(VariableNotFoundError("the Dataset is empty: it has no variables"))
        return None
    given: dict[str, xr.Dataset] = {}
    arguments = {"thickness": thickness, "mask": mask, "front": front}
    for argument, value in arguments.items():
        if isinstance(value, str) and argument == "mask":
            variables["mask"] = value
        elif value is not None:
            with result.collect():
                given[argument] = _as_dataset(value, argument, variables)
    if given:
        arrived = {"velocity": dataset, **given}
        result.origins = {id(one): name for name, one in reversed(arrived.items())}
    base = [dataset, *([given["thickness"]] if "thickness" in given else [])]
    sources = {role: [dataset] for role in ROLES}
    sources["thickness"] = sources["thickness_error"] = base[-1:]
    sources["mask"] = [given["mask"]] if "mask" in given else base
    sources["land_ice"] = [*([given["mask"]] if "mask" in given else []), *base]
    for role in FRONT_ROLES:
        sources[role] = [given["front"]] if "front" in given else base
    return sources


def _swapped(sources: dict[str, list[xr.Dataset]], variables: Explicit) -> bool:
    """Tell whether velocity and thickness came in each other's place."""
    velocity, thickness = sources["x_velocity"][0], sources["thickness"][0]
    if velocity is thickness:
        return False
    try:
        moves, thick = (
            [find([one], role, variables) is not None for one in (velocity, thickness)]
            for role in ("x_velocity", "thickness")
        )
    except XdifficeError:
        return False
    return moves == [False, True] and thick == [True, False]


def _needed(mask: Source, variables: Explicit) -> list[str]:
    """Return the role of a mask that was given: it must not be left out silently."""
    given = isinstance(mask, xr.Dataset) or hasattr(mask, "columns")
    return ["mask"] if given and "mask" not in variables else []


def _as_dataset(value: Source, argument: str, variables: dict[str, str | None]) -> xr.Dataset:
    """Return a Dataset for an argument that may be a DataArray or a table of points."""
    if isinstance(value, xr.Dataset):
        return value
    if isinstance(value, xr.DataArray) and argument != "front":
        # a name that no coordinate of its own has, as to_dataset requires
        name = argument if value.name is None or value.name in value.coords else str(value.name)
        variables[argument] = name
        return value.to_dataset(name=name)
    if hasattr(value, "columns") and hasattr(value, "to_xarray"):  # a pandas DataFrame
        columns = {str(name): ("point", np.asarray(value[name])) for name in value.columns}
        return xr.Dataset(columns)
    raise InputTypeError(
        f"{argument} must be an xarray.Dataset"
        + ("" if argument == "front" else ", an xarray.DataArray")
        + (", the name of a variable" if argument == "mask" else "")
        + f" or a pandas.DataFrame; got {type(value).__name__}"
    )


def _thickness_together(
    sources: Sequence[Any], variables: Explicit | None, units: Mapping[str, str] | None
) -> xr.Dataset:
    """Make one Dataset of points of several sources of thickness, such as a grid and flight lines.

    Returns
    -------
    Dataset
        ``thickness``, and ``thickness_error`` where all sources have it, in m.

    Raises
    ------
    XdifficeError
        What is wrong with one of them; `DataValuesError` if only some have errors.
    """
    roles, columns = THICKNESS_ROLES, []
    for source in sources:
        named: dict[str, str | None] = {}
        data = _as_dataset(source, "thickness", named)
        named |= {key: one for key, one in (variables or {}).items() if one in data.variables}
        own = {k: v for k, v in (units or {}).items() if k in (*roles, *map(str, data.variables))}
        found = search(data, None, None, None, named, own, roles, roles[:1])
        load(found)
        raise_problems(found.problems)
        one, error = found.fields["thickness"], found.fields.get("thickness_error")
        assert one.grid is not None
        x, y = one.grid.points()
        values = [x, y, one.si, *([] if error is None else [error.si])]
        known = np.isfinite(one.si)
        columns.append([np.broadcast_to(a, known.shape)[known] for a in values])
    if len({len(column) for column in columns}) > 1:
        raise DataValuesError(
            "some sources of thickness have errors and some have none, so that they cannot be "
            "weighed against each other: give errors of all, or of none"
        )
    # Names of their own: units that are given for x and y have been applied already.
    names = ("x_of_thickness", "y_of_thickness", *roles)
    joined = map(np.concatenate, zip(*columns, strict=True))
    made = {
        name: ("point", values, {"units": "m"}) for name, values in zip(names, joined, strict=False)
    }
    for name in names[:2]:
        made[name][2]["axis"] = name[0].upper()
    result = xr.Dataset(made).set_coords(names[:2])
    if "thickness_error" in result:
        result["thickness"].attrs["ancillary_variables"] = "thickness_error"
    return result


def _check_units_keys(
    sources: dict[str, list[xr.Dataset]], units: Mapping[str, str] | None
) -> None:
    known = set(ROLES)
    for datasets in sources.values():
        for data in datasets:
            known.update(str(name) for name in data.variables)
    unknown = [key for key in units or {} if key not in known]
    if unknown:
        raise ParameterError(
            f"units has unknown keys {', '.join(map(repr, unknown))}: neither a variable of the "
            f"Dataset nor a role ({', '.join(ROLES)})"
        )


def _drop_single_velocity_error(result: Survey) -> None:
    """Use the errors of both velocity components, or none: one alone would bias the weights."""
    both = [role for role in ("x_velocity_error", "y_velocity_error") if role in result.fields]
    if len(both) == 1:
        dropped = result.fields.pop(both[0])
        result.note(f"errors {dropped.name!r} are not used: the other velocity component has none")


def _describe(result: Survey, one: Field, units: Mapping[str, str] | None) -> None:
    """Find units and coordinates of a field."""
    row = ROLES[one.role]
    with result.collect():
        one.units = units_of(one.array, one.name, one.role, units, result.notes)
        if one.role in MASK_ROLES:
            one.factor = 1.0
        elif row.si == "1" and (one.units is None or not one.units.strip()):
            one.factor = 1.0  # a unit vector may go without units
        else:
            one.factor = factor(one.units, row.si, one.name)
    with result.collect():
        if one.role in FRONT_ROLES:
            long = tuple(dim for dim in one.array.dims if one.array.sizes[dim] != 1)
            if len(long) > 1:
                raise DataValuesError(
                    f"{one.name!r} should have one dim, the points of the front; it has "
                    f"{tuple(one.array.dims)}"
                )
            dims = long or tuple(one.array.dims[:1])
            one.squeezed = squeeze(one.array, [str(dim) for dim in dims])
        elif row.parent is not None:
            parent = result.fields.get(row.parent)
            if parent is not None and parent.squeezed is not None:
                one.squeezed = _like_parent(one, parent)
        else:
            origin = result.origins.get(id(one.dataset), "")
            one.axes = find_axes(one.array, one.dataset, units, result.notes, origin)
            one.squeezed = squeeze(one.array, one.axes.dims)


def _like_parent(one: Field, parent: Field) -> xr.DataArray:
    """Bring an error variable, which may be one number, to the dims of what it belongs to."""
    assert parent.squeezed is not None
    dims = [str(dim) for dim in parent.squeezed.dims]
    own = squeeze(one.array, [dim for dim in dims if dim in one.array.dims]).variable
    return xr.DataArray(own.set_dims(dict(parent.squeezed.sizes)).transpose(*dims))


def load(result: Survey) -> None:
    """Load all values and coordinates, lazy ones in one computation, and decode them."""
    import dask

    lazy: list[Any] = []
    for one in result.fields.values():
        if one.squeezed is not None:
            lazy.append(magnitude(one.squeezed))
            if one.axes is not None:
                lazy += [magnitude(one.axes.x), magnitude(one.axes.y)]
    computed = iter(dask.compute(*lazy))
    for one in result.fields.values():
        if one.squeezed is None:
            continue
        stored = np.asarray(next(computed))
        if one.axes is not None:
            one.stored_x, one.stored_y = np.asarray(next(computed)), np.asarray(next(computed))
            with result.collect():
                one.grid = load_grid(one.axes, one.stored_x, one.stored_y)
        if one.role in MASK_ROLES:
            one.values = stored
            continue
        with result.collect():
            values = decode(stored, one.array.attrs, one.name)
            if values.size and np.isnan(values).all() and ROLES[one.role].parent is None:
                raise DataValuesError(f"all values of {one.name!r} are missing")
            if one.grid is not None and one.grid.kind == "raster":
                check_one_grid(one.grid, values)
            one.values = values
