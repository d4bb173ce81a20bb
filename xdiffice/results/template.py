"""Where a prediction is wanted: grids and points of many kinds become one list of positions.

`resolve_template` hands `Target` on: SI positions for the model, coordinates for `labels.label`.
Axes of a grid are not multiplied out before somebody asks for all positions.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Literal

import numpy as np
import xarray as xr

from ..errors import CoordinateError, ParameterError, UnitsError
from ..observations.points import Labels

Template = xr.Dataset | xr.DataArray | Mapping[Hashable, Any]
Chunks = int | Literal["auto"] | Sequence[Any] | Mapping[Any, Any]

_CF_NAMES = {
    "X": ("projection_x_coordinate", "x"),
    "Y": ("projection_y_coordinate", "y"),
}
_LENGTHS = {1.0: "m", 1000.0: "km"}
_DESCRIPTION = ("standard_name", "long_name", "units", "axis")


@dataclass(frozen=True)
class Target:
    """Positions at which fields are wanted, and the coordinates that label them.

    Parameters
    ----------
    x_position, y_position : xarray.Variable
        Positions, m, each on its own ones of `dims`. NaN where the template has no position.
    shape : tuple of int
        Shape of the output's variables.
    dims : tuple of hashable
        Their dims, in the template's order.
    coords : xarray.Dataset
        The template's coordinates and grid mapping, no data variables, no encoding.
    grid_mapping : hashable or None
        Name of the grid mapping variable in `coords`.
    chunks : tuple of tuples of int, or None
        Sizes of the blocks along each of `dims`, in which the output is computed when it is asked
        for; None if it is computed at once.
    taken : mapping of hashable to str
        Horizontal coordinates that came without units, and the unit in which they were taken.
    """

    x_position: xr.Variable
    y_position: xr.Variable
    shape: tuple[int, ...]
    dims: tuple[Hashable, ...]
    coords: xr.Dataset
    grid_mapping: Hashable | None = None
    chunks: tuple[tuple[int, ...], ...] | None = None
    taken: Mapping[Hashable, str] = field(default_factory=dict)

    @cached_property
    def x(self) -> np.ndarray:
        """X of all positions, shape (n,), in C order of `shape`."""
        return self._everywhere(self.x_position)

    @cached_property
    def y(self) -> np.ndarray:
        """Y of all positions, shape (n,), in C order of `shape`."""
        return self._everywhere(self.y_position)

    @property
    def size(self) -> int:
        """Number of positions."""
        return math.prod(self.shape)

    def _everywhere(self, position: xr.Variable) -> np.ndarray:
        sizes = dict(zip(self.dims, self.shape, strict=True))
        spread: xr.Variable = position.set_dims(sizes)
        return np.ravel(spread.transpose(*self.dims).values)


def resolve_template(
    template: Template | None, labels: Labels, chunks: Chunks | None = None
) -> Target:
    """Turn whatever says "predict here" into positions in metres and coordinates for the output.

    Parameters
    ----------
    template : None, xarray.Dataset, xarray.DataArray or mapping
        ``None`` is the grid of the fitted velocity. A Dataset or DataArray lends its horizontal
        coordinates: one-dimensional axes make a grid, coordinates that share one dim make points.
        A mapping does the same: ``{"x": x, "y": y}`` with one-dimensional arrays is a grid with
        dims ``(y, x)``; values may also be ``(dims, array)`` tuples or DataArrays. Coordinates
        without ``units`` are taken to be in the units of the fitted velocity's coordinates.
    labels : Labels
        What the fitted Dataset hands on to outputs.
    chunks : int, "auto", tuple or mapping, optional
        Sizes of blocks, as `xarray.Dataset.chunk` takes them; by default those of a template
        that is dask-backed.

    Returns
    -------
    Target
        In the template's order of dims and of coordinates.

    Raises
    ------
    ParameterError
        Chunks that do not fit the template.
    CoordinateError
        Horizontal coordinates are missing, ambiguous, not numbers, or not lengths.
    """
    if template is None:
        fitted = {"X": labels.x_name, "Y": labels.y_name}
        target = _target(labels.template, fitted, labels.dims, labels, labels.grid_mapping)
        return replace(target, chunks=_chunks(chunks, target))
    if isinstance(template, xr.DataArray):
        coords, order = template.coords.to_dataset(), template.dims
    elif isinstance(template, xr.Dataset):
        coords, order = template, ()
    elif isinstance(template, Mapping):
        coords, order = _from_mapping(template), ()
    else:
        raise CoordinateError(
            "a template is a Dataset, a DataArray or a dict of coordinates, "
            f"not {type(template).__name__}"
        )
    found = {axis: _find(coords, axis, labels) for axis in ("X", "Y")}
    target = _target(coords, found, order, labels, _grid_mapping(coords, template))
    if chunks is None and isinstance(template, xr.Dataset | xr.DataArray):
        chunks = _own_chunks(template, target.dims)
    return replace(target, chunks=_chunks(chunks, target))


def _own_chunks(template: xr.Dataset | xr.DataArray, dims: tuple[Hashable, ...]) -> Any:
    """Chunks of a template that is dask-backed, None of another."""
    try:
        own = {dim: sizes for dim, sizes in template.chunksizes.items() if dim in dims}
    except ValueError as error:
        raise ParameterError(
            f"variables of the template are chunked differently ({error}); pass one of them, or "
            "chunks="
        ) from error
    return own or None


def _chunks(chunks: Chunks | None, target: Target) -> tuple[tuple[int, ...], ...] | None:
    """Sizes of blocks along each dim."""
    if chunks is None:
        return None
    from dask.array.core import normalize_chunks

    if isinstance(chunks, Mapping):
        unknown = [dim for dim in chunks if dim not in target.dims]
        if unknown:
            raise ParameterError(
                f"chunks has {_listed(unknown)}; the output has {_listed(target.dims)}"
            )
        chunks = tuple(chunks.get(dim, -1) for dim in target.dims)
    try:
        sizes_of_blocks: tuple[tuple[int, ...], ...] = normalize_chunks(
            chunks, target.shape, dtype=np.float64
        )
    except (ValueError, TypeError, NotImplementedError) as error:
        sizes = dict(zip(target.dims, target.shape, strict=True))
        raise ParameterError(f"chunks={chunks!r} do not fit {sizes}: {error}") from error
    return sizes_of_blocks


def _from_mapping(template: Mapping[Hashable, Any]) -> xr.Dataset:
    """Make coordinates of a dict, in which a bare one-dimensional array is an axis of its own."""
    coords: dict[Hashable, Any] = {}
    for name, value in template.items():
        if isinstance(value, (xr.DataArray, xr.Variable, tuple)):
            coords[name] = value
            continue
        array = np.asarray(value)
        if array.ndim > 1:
            raise CoordinateError(
                f"template coordinate {name!r} has {array.ndim} dims without names; "
                "pass a tuple (dims, array) or a DataArray"
            )
        coords[name] = (name, array) if array.ndim else ((), array)
    try:
        return xr.Dataset(coords=coords)
    except (TypeError, ValueError) as error:
        raise CoordinateError(f"the template's coordinates do not fit together: {error}") from error


def _find(coords: xr.Dataset, axis: str, labels: Labels) -> Hashable:
    """Find one horizontal coordinate: by the fitted name, by CF attributes, by plain name."""
    fitted = {"X": labels.x_name, "Y": labels.y_name}[axis]
    standard_name, plain = _CF_NAMES[axis]
    if fitted in coords.variables:
        return fitted
    by_attrs = [
        name
        for name, variable in coords.variables.items()
        if variable.attrs.get("standard_name") == standard_name
        or variable.attrs.get("axis") == axis
    ]
    if len(by_attrs) == 1:
        return by_attrs[0]
    if plain in coords.variables:
        return plain
    if by_attrs:
        raise CoordinateError(
            f"the template has more than one {plain} coordinate: {_listed(by_attrs)}. "
            "Pass one variable of it, such as template['thickness']"
        )
    raise CoordinateError(
        f"the template has no {plain} coordinate: looked for {fitted!r}, for standard_name "
        f"{standard_name!r}, for axis {axis!r} and for {plain!r}; "
        f"found {_listed(coords.variables) or 'no coordinates'}"
    )


def _target(
    coords: xr.Dataset,
    names: Mapping[str, Hashable],
    order: tuple[Hashable, ...],
    labels: Labels,
    grid_mapping: Hashable | None,
) -> Target:
    """Broadcast the two coordinates against each other in the template's order of dims."""
    x, y = (_position(coords[names[axis]], labels) for axis in ("X", "Y"))
    dims = _ordered_dims(coords, x, y, order, labels)
    sizes = {**x.sizes, **y.sizes}
    if 0 in sizes.values():
        raise CoordinateError(
            f"the template has no positions: its shape is { {dim: sizes[dim] for dim in dims} }"
        )
    kept, grid_mapping = _kept_coords(coords, names, dims, labels, grid_mapping)
    unit = _LENGTHS.get(labels.coordinate_factor, f"{labels.coordinate_factor:g} m")
    return Target(
        x_position=x.variable,
        y_position=y.variable,
        shape=tuple(sizes[dim] for dim in dims),
        dims=dims,
        coords=kept,
        grid_mapping=grid_mapping,
        taken={name: unit for name in names.values() if "units" not in coords[name].attrs},
    )


def _position(coordinate: xr.DataArray, labels: Labels) -> xr.DataArray:
    """Convert one coordinate to float64 metres, without the coordinates that it carries itself."""
    # NSIDC's grids have int32 coordinates, whose squares overflow: float64 before anything else.
    if coordinate.dtype.kind not in "iuf":
        raise CoordinateError(
            f"template coordinate {coordinate.name!r} is not numeric: its dtype is "
            f"{coordinate.dtype}"
        )
    units = coordinate.attrs.get("units")
    factor = labels.coordinate_factor
    if units is not None:
        from ..observations.units import factor as si_factor

        try:
            factor = si_factor(units, "m", str(coordinate.name))
        except UnitsError as error:
            raise CoordinateError(
                f"template coordinate {coordinate.name!r} is no length: {error} A template needs "
                "projected coordinates, in the projection of the fitted velocity."
            ) from error
    variable = coordinate.variable
    return xr.DataArray(np.asarray(variable.values, dtype=np.float64) * factor, dims=variable.dims)


def _ordered_dims(
    coords: xr.Dataset,
    x: xr.DataArray,
    y: xr.DataArray,
    order: tuple[Hashable, ...],
    labels: Labels,
) -> tuple[Hashable, ...]:
    """Dims of the output: as in `order`, as in a variable of the template, as fitted, or (y, x)."""
    horizontal = tuple(dict.fromkeys((*y.dims, *x.dims)))
    candidates = [order, *(variable.dims for variable in coords.data_vars.values()), labels.dims]
    for dims in candidates:
        if set(horizontal) <= set(dims):
            return tuple(dim for dim in dims if dim in horizontal)
    return horizontal


def _kept_coords(
    coords: xr.Dataset,
    names: Mapping[str, Hashable],
    dims: tuple[Hashable, ...],
    labels: Labels,
    grid_mapping: Hashable | None,
) -> tuple[xr.Dataset, Hashable | None]:
    """Keep coordinates on the output's dims and one grid mapping; describe bare x and y."""
    roles = [*names.values(), *([] if grid_mapping is None else [grid_mapping])]
    kept = coords[[name for name in coords.variables if name in coords.coords or name in roles]]
    kept = kept.set_coords(roles)
    kept = kept.drop_vars([name for name in kept.variables if not {*kept[name].dims} <= {*dims}])
    # A prediction is in the projection of the fitted velocity, so a bare template borrows that,
    # unless the template uses its name for something else.
    if grid_mapping is None and labels.grid_mapping not in {None, *kept.variables}:
        grid_mapping = labels.grid_mapping
        kept = kept.assign_coords({grid_mapping: labels.template[grid_mapping].variable})
    kept = kept.drop_attrs(deep=False).drop_encoding()
    for axis, fitted in (("X", labels.x_name), ("Y", labels.y_name)):
        description = labels.template[fitted].attrs
        if "units" not in kept[names[axis]].attrs:
            attrs = {key: description[key] for key in _DESCRIPTION if key in description}
            # Units that were given as an argument are in no attribute: the output says them.
            if "units" not in attrs and labels.coordinate_factor in _LENGTHS:
                attrs["units"] = _LENGTHS[labels.coordinate_factor]
            described = kept[names[axis]].assign_attrs(attrs | kept[names[axis]].attrs)
            kept = kept.assign_coords({names[axis]: described})
    return kept, grid_mapping


def _grid_mapping(coords: xr.Dataset, template: Template) -> Hashable | None:
    """Find the variable that describes the projection, by reference first, then by attributes."""
    referring: list[xr.DataArray] = []
    if isinstance(template, xr.DataArray):
        referring = [template]
    elif isinstance(template, xr.Dataset):
        referring = list(template.data_vars.values())
    for array in referring:
        for source in (array.attrs, array.encoding):
            given: Hashable = source.get("grid_mapping")
            if given in coords.variables:
                return given
    for name, variable in coords.variables.items():
        if "grid_mapping_name" in variable.attrs or "crs_wkt" in variable.attrs:
            return name
    return None


def _listed(names: Any) -> str:
    """Write names for a message."""
    return ", ".join(repr(name) for name in names)
