"""What the output takes over from the input.

It copies the velocity's grid, the attributes of its variables and its grid mapping into `Labels`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from xdiffice.observations.points import Labels
from xdiffice.observations.projection import mapping_of
from xdiffice.observations.survey import Survey
from xdiffice.observations.units import magnitude

_KEPT = ("standard_name", "long_name")


def make_labels(found: Survey) -> Labels:
    """Collect grid, names, attributes and units of a survey whose fields are all usable."""
    one = found.fields["x_velocity"]
    assert one.axes is not None
    assert one.squeezed is not None
    axes, stored_x, stored_y = one.axes, one.stored_x, one.stored_y
    if one.whole_axes is not None:
        axes = one.whole_axes
        stored_x, stored_y = (np.asarray(magnitude(axis)) for axis in (axes.x, axes.y))
    coords: dict[str, Any] = {}
    for name, variable, stored in (
        (axes.x_name, axes.x, stored_x),
        (axes.y_name, axes.y, stored_y),
    ):
        # an explicit argument may have said more about the units than the attributes do
        coords[name] = xr.Variable(variable.dims, stored, {**variable.attrs, "units": axes.units})
    for scalar, coord in one.squeezed.coords.items():
        if coord.ndim == 0 and scalar not in coords:
            coords[str(scalar)] = coord.variable.copy(deep=True)
    mapping = mapping_of(one.array, one.dataset)
    if mapping is not None and mapping not in coords:
        variable = one.dataset[mapping].variable.squeeze()
        if variable.ndim == 0:
            coords[mapping] = variable.to_base_variable().copy(deep=True)
    attrs: dict[str, dict[str, Any]] = {}
    factors: dict[str, float] = {}
    for role in ("x_velocity", "y_velocity", "thickness"):
        field = found.fields[role]
        assert field.factor is not None
        attrs[role] = {key: field.array.attrs[key] for key in _KEPT if key in field.array.attrs}
        attrs[role]["units"] = field.units
        factors[role] = field.factor
    return Labels(
        template=xr.Dataset(coords=coords).compute(),
        # the order of the dims is the user's, not that of the axes
        dims=tuple(str(dim) for dim in one.array.dims if dim in axes.dims),
        x_name=axes.x_name,
        y_name=axes.y_name,
        coordinate_factor=axes.factor,
        attrs=attrs,
        factors=factors,
        grid_mapping=mapping if mapping in coords else None,
        history=str(one.dataset.attrs.get("history", "")),
    )
