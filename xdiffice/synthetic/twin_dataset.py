"""A Dataset like the user's own, with other values: what `twin` hands on.

Names, dims, coordinates, units and attributes are those of the data. What came in several objects
is put together in one; names are changed only where two would be the same, or where the
estimator would not find a variable by the name that its user gave.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any

import numpy as np
import xarray as xr

from xdiffice.observations.projection import mapping_of
from xdiffice.observations.survey import Field, Survey, search_shelf
from xdiffice.observations.units import magnitude
from xdiffice.observations.variables import MASK_ROLES, ROLES

STORAGE = {
    "_FillValue",
    "missing_value",
    "scale_factor",
    "add_offset",
    "valid_min",
    "valid_max",
    "valid_range",
    "actual_range",
    "ancillary_variables",
    "grid_mapping",
}
"""Attributes that are of how values were stored, or are written anew."""

STANDARD_NAMES = {
    # At which depth, data without standard names do not say.
    "x_velocity": "land_ice_x_velocity",
    "y_velocity": "land_ice_y_velocity",
    "thickness": "land_ice_thickness",
}
SUFFIXES = {"thickness": "h", "thickness_error": "h", "mask": "m"}
TRUE = "_true"


class TwinDataset:
    """One Dataset that grows by a variable for every role of a survey.

    Parameters
    ----------
    found : Survey
        Loaded.
    """

    def __init__(self, found: Survey):
        self._found = found
        self._mapping: str | None = None
        self._renamed: dict[tuple[int, str], dict[Hashable, str]] = {}
        self.names: dict[str, str] = {}
        self.dataset = xr.Dataset()
        velocity = found.fields["x_velocity"]
        mapping = mapping_of(velocity.array, velocity.dataset)
        if mapping is not None:
            self._mapping = mapping
            attrs = velocity.dataset[mapping].attrs
            self.dataset = self.dataset.assign_coords({mapping: ((), np.int32(0), attrs)})

    def add(self, role: str, values: np.ndarray | None = None) -> None:
        """Add the variable of a role, with other values on its horizontal dims, or as it is."""
        one = self._found.fields[role]
        name = one.name
        if name in self.dataset.variables or name in self.dataset.dims:
            name = role
        self.names[role] = name
        array = self._array(one, values)
        attrs = _described(one)
        if role in SUFFIXES or role in ("x_velocity", "y_velocity"):
            attrs |= self._mapped()
        if role in STANDARD_NAMES:
            attrs.setdefault("standard_name", STANDARD_NAMES[role])
        parent = ROLES[role].parent
        if parent is not None:
            self.dataset[self.names[parent]].attrs["ancillary_variables"] = name
        self._put(name, array, attrs)

    def add_field(self, name: str, like: str, values: np.ndarray, attrs: dict[str, Any]) -> None:
        """Add another variable on the horizontal dims of a role."""
        array = self._array(self._found.fields[like], values, np.dtype(float))
        self._put(name, array, attrs | self._mapped())

    def add_truth(self, role: str, values: np.ndarray) -> None:
        """Add what is observed in a role, without noise and gaps, on the velocity's grid."""
        one = self._found.fields[role]
        attrs = {"units": one.units, "long_name": f"true {ROLES[role].meaning}"}
        self.add_field(f"{self.names[role]}{TRUE}", "x_velocity", values, attrs)

    def finished(self) -> xr.Dataset:
        """Return it, with names by which all is found without help."""
        seen = search_shelf(self.dataset).fields
        changed = {
            name: role
            for role, name in self.names.items()
            if role not in seen or seen[role].name != name
        }
        if not changed:
            return self.dataset
        dataset = self.dataset.rename(changed)
        for variable in dataset.variables.values():
            if variable.attrs.get("ancillary_variables") in changed:
                variable.attrs["ancillary_variables"] = changed[
                    variable.attrs["ancillary_variables"]
                ]
        return dataset

    def _put(self, name: str, array: xr.DataArray, attrs: dict[str, Any]) -> None:
        array.attrs = attrs
        array.encoding = {}
        self.dataset = self.dataset.assign({name: array})

    def _mapped(self) -> dict[str, str]:
        return {} if self._mapping is None else {"grid_mapping": self._mapping}

    def _array(
        self, one: Field, values: np.ndarray | None, dtype: np.dtype[Any] | None = None
    ) -> xr.DataArray:
        """Return a field with other values, on coordinates that do not collide with others."""
        assert one.squeezed is not None
        whole = one.role not in ROLES or one.array.size == one.squeezed.size
        own = one.array if whole else one.squeezed
        # An error may be one number, which was spread over the dims of what it belongs to.
        given = ROLES[one.role].parent is not None and values is None
        if given or one.axes is None:
            data: Any = np.asarray(magnitude(own))
            if values is not None:
                data = values.reshape(own.shape)
        else:
            stored = one.values if values is None else values
            assert stored is not None
            order = [dim for dim in own.dims if dim in one.squeezed.dims]
            data = np.transpose(stored, [one.squeezed.dims.index(dim) for dim in order])
            data = data.reshape(own.shape)
        if dtype is None and one.array.dtype.kind == "f":
            dtype = one.array.dtype
        if one.role not in MASK_ROLES:
            data = data.astype(dtype or np.float64)
        array = xr.DataArray(data, dims=own.dims, coords=self._coordinates(one, own))
        chunks = dict(own.chunksizes)
        array = array.rename(self._free_names(one, array))
        if chunks:
            array = array.chunk(dict(zip(array.dims, chunks.values(), strict=True)))
        return array

    def _coordinates(self, one: Field, own: xr.DataArray) -> dict[Hashable, Any]:
        """Return coordinates in memory, the projected ones among them with units."""
        coordinates: dict[Hashable, Any] = {}
        for name, coordinate in own.coords.items():
            if name == self._mapping or (not coordinate.ndim and coordinate.dtype == object):
                continue
            values = np.asarray(magnitude(coordinate))
            coordinates[name] = xr.Variable(coordinate.dims, values, _plain(coordinate.attrs))
        if one.axes is not None:
            stored = {one.axes.x_name: one.stored_x, one.axes.y_name: one.stored_y}
            for name, axis in ((one.axes.x_name, one.axes.x), (one.axes.y_name, one.axes.y)):
                attrs = _plain(axis.attrs) | {"units": one.axes.units}
                coordinates[name] = xr.Variable(axis.dims, stored[name], attrs)
        return coordinates

    def _free_names(self, one: Field, array: xr.DataArray) -> dict[Hashable, str]:
        """Return new names of dims and coordinates that are others here already."""
        there = self.dataset
        taken = {
            name
            for name in (*array.dims, *array.coords)
            if (name in there.dims and there.sizes[name] != array.sizes.get(name))
            or (name in there.variables and name not in array.coords)
            or (
                name in there.variables
                and not there.variables[name].equals(array.coords[name].variable)
            )
        }
        suffix = SUFFIXES.get(one.role, "front" if one.axes is None else "h")
        # The coordinates of a dim are renamed with it.
        taken |= {
            name
            for name, coordinate in array.coords.items()
            if name in there.variables and taken & set(coordinate.dims)
        }
        return {name: f"{name}_{suffix}" for name in taken}


def _described(one: Field) -> dict[str, Any]:
    """Return the attributes that hold for other values as well."""
    attrs = _plain(one.array.attrs)
    if one.units is not None:
        attrs["units"] = one.units
    return attrs


def _plain(attrs: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in attrs.items() if key not in STORAGE}
