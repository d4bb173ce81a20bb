"""Files of other projects become CF Datasets.

`open_diffice_mat` reads the MATLAB files that DIFFICE_jax is trained on, both kinds: one region
(PINN) and several (XPINN, in cells). Their format: docs/source/Data.md of YaoGroup/DIFFICE_jax.
"""

from __future__ import annotations

from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from xdiffice.errors import FileFormatError
from xdiffice.observations.conventions import conforming
from xdiffice.observations.lattice import Lattice, rebuild
from xdiffice.observations.units import factor

VELOCITY_KEYS = ("xd", "yd", "ud", "vd")
THICKNESS_KEYS = ("xd_h", "yd_h", "hd")
FRONT_KEYS = ("xct", "yct", "nnct")

# name: key in the file, keys of its positions, number of its grid, standard_name, long_name
_FIELDS: dict[str, tuple[str, tuple[str, str], int, str, str]] = {
    "x_velocity": ("ud", ("xd", "yd"), 0, "land_ice_vertical_mean_x_velocity", "velocity in x"),
    "y_velocity": ("vd", ("xd", "yd"), 0, "land_ice_vertical_mean_y_velocity", "velocity in y"),
    "thickness": ("hd", ("xd_h", "yd_h"), 1, "land_ice_thickness", "ice thickness"),
}

NORMAL_TOLERANCE = 0.01
"""Largest deviation of a front normal's length from one."""


def open_diffice_mat(
    path: str | PathLike[str],
    *,
    velocity_units: str,
    thickness_units: str = "m",
    coordinate_units: str = "m",
) -> xr.Dataset:
    """Open a MATLAB file of DIFFICE_jax as a CF Dataset.

    Parameters
    ----------
    path : path
        A ``data_pinns_*.mat`` or ``data_xpinns_*.mat`` file.
    velocity_units : str
        Units of the velocity, which the file does not tell: files with ``"m s-1"`` and with
        ``"m yr-1"`` exist.
    thickness_units, coordinate_units : str, default "m"
        Units of thickness and of positions.

    Returns
    -------
    Dataset
        In the file's units: ``x_velocity``, ``y_velocity`` on ``(y, x)``; ``thickness`` on the
        same grid, or on ``(y_h, x_h)`` where its grid differs; ``x_front``, ``y_front``,
        ``x_normal``, ``y_normal`` on ``front``. Where the file has them: the true ``viscosity``
        (Pa s); ``x_grounding_line``, ``y_grounding_line``; for several regions their numbers as
        ``subdomain`` (and ``subdomain_h``), 0 where there is none.

    Raises
    ------
    FileFormatError
        If the file cannot be read, lacks variables, or they do not fit each other.
    UnitsError
        If the units are unknown or of the wrong dimension.
    """
    for units, si, name in (
        (velocity_units, "m s-1", "velocity_units"),
        (thickness_units, "m", "thickness_units"),
        (coordinate_units, "m", "coordinate_units"),
    ):
        factor(units, si, name)
    path = Path(path)
    regions = _regions(_load(path), path)
    lattice = rebuild(regions, "xd", "yd", path.name)
    lattice_h = rebuild(regions, "xd_h", "yd_h", path.name)
    same = np.array_equal(lattice.x, lattice_h.x) and np.array_equal(lattice.y, lattice_h.y)
    dims, dims_h = ("y", "x"), ("y", "x") if same else ("y_h", "x_h")
    ds = xr.Dataset(
        coords={
            **_coordinates(lattice, dims, coordinate_units),
            **({} if same else _coordinates(lattice_h, dims_h, coordinate_units)),
        },
    )
    _add_fields(ds, regions, (lattice, lattice_h), (dims, dims_h), path)
    for name, units in zip(_FIELDS, (velocity_units, velocity_units, thickness_units), strict=True):
        ds[name].attrs["units"] = units
    if len(regions) > 1:
        _add_subdomains(ds, regions, lattice, dims, ("xd", "yd", "ud"))
        if not same:
            _add_subdomains(ds, regions, lattice_h, dims_h, ("xd_h", "yd_h", "hd"))
    _add_viscosity(ds, regions, lattice, lattice_h, dims, dims_h, path)
    _add_front(ds, regions, coordinate_units, path)
    _add_grounding_line(ds, regions, coordinate_units)
    described = {
        "title": "Ice shelf velocity, thickness and calving front",
        "history": f"read from {path.name} by xdiffice.open_diffice_mat, "
        f"velocity_units={velocity_units!r}",
    }
    return conforming(ds, described)


def _load(path: Path) -> dict[str, Any]:
    """Read the file as it is."""
    from scipy.io import loadmat

    if not path.is_file():
        raise FileFormatError(f"there is no file {str(path)!r}")
    try:
        content = loadmat(path)
    except Exception as error:  # scipy leaks ValueError, TypeError, NotImplementedError, ...
        raise FileFormatError(
            f"{str(path)!r} cannot be read as a MATLAB file up to version 7.2: {error}"
        ) from error
    return {key: value for key, value in content.items() if not key.startswith("__")}


def _regions(content: Mapping[str, Any], path: Path) -> list[dict[str, np.ndarray]]:
    """Return the variables of each region: of the one, or of every cell."""
    required = (*VELOCITY_KEYS, *THICKNESS_KEYS, *FRONT_KEYS)
    missing = [key for key in required if key not in content]
    if missing:
        raise FileFormatError(
            f"{path.name} lacks {', '.join(missing)}; it has {', '.join(content) or 'nothing'}"
        )
    cells = {key: np.ravel(value) for key, value in content.items() if value.dtype == object}
    if "xd" not in cells:
        regions = [dict(content)]
    else:
        number = cells["xd"].size
        uneven = [key for key in required if key not in cells or cells[key].size != number]
        if uneven:
            raise FileFormatError(
                f"{path.name} has {number} cells in xd, but not in {', '.join(uneven)}"
            )
        plain = {key: value for key, value in content.items() if key not in cells}
        regions = [
            {**{key: cell[i] for key, cell in cells.items() if cell.size == number}}
            for i in range(number)
        ]
        # whole-shelf variables (grounding line, ...) are told once
        regions[0] = {**plain, **regions[0]}
    for region in regions:
        for keys in (VELOCITY_KEYS, THICKNESS_KEYS):
            _check_shapes(region, keys, path)
    return regions


def _check_shapes(region: Mapping[str, np.ndarray], keys: tuple[str, ...], path: Path) -> None:
    shapes = {key: np.shape(region[key]) for key in keys}
    for key in keys:
        if np.asarray(region[key]).dtype.kind not in "iuf":
            raise FileFormatError(f"{key} in {path.name} is not numeric")
    if len(set(shapes.values())) > 1 or len(shapes[keys[0]]) != 2:
        shown = ", ".join(f"{key} {shape}" for key, shape in shapes.items())
        raise FileFormatError(f"shapes in {path.name} differ: {shown}")


def _merge(
    regions: list[dict[str, np.ndarray]],
    lattice: Lattice,
    position_keys: tuple[str, str],
    key: str,
    path: Path,
) -> np.ndarray:
    """Put one variable of all regions on the grid; where regions overlap they must agree."""
    result = np.full((lattice.y.size, lattice.x.size), np.nan)
    for number, region in enumerate(regions, 1):
        x, y, values = (np.asarray(region[k], dtype=np.float64) for k in (*position_keys, key))
        part = lattice.place(x, y, values)
        both = np.isfinite(part) & np.isfinite(result)
        if not np.allclose(part[both], result[both], rtol=1e-5, atol=0.0):
            raise FileFormatError(
                f"{key} of region {number} in {path.name} differs from that of another region at "
                f"{int((part[both] != result[both]).sum())} pixels that they share"
            )
        result = np.where(np.isfinite(result), result, part)
    return result


def _coordinates(
    lattice: Lattice, dims: tuple[str, str], units: str
) -> dict[str, tuple[str, np.ndarray, dict[str, str]]]:
    return {
        name: (
            name,
            values,
            {
                "units": units,
                "standard_name": f"projection_{axis}_coordinate",
                "long_name": f"{axis} coordinate of projection",
                "axis": axis.upper(),
            },
        )
        for name, axis, values in ((dims[0], "y", lattice.y), (dims[1], "x", lattice.x))
    }


def _add_fields(
    ds: xr.Dataset,
    regions: list[dict[str, np.ndarray]],
    lattices: tuple[Lattice, Lattice],
    dims: tuple[tuple[str, str], tuple[str, str]],
    path: Path,
) -> None:
    """Add velocity, on the first grid, and thickness, on the second."""
    for name, (key, positions, grid, standard_name, long_name) in _FIELDS.items():
        attrs = {"standard_name": standard_name, "long_name": long_name}
        ds[name] = (dims[grid], _merge(regions, lattices[grid], positions, key, path), attrs)


def _add_subdomains(
    ds: xr.Dataset,
    regions: list[dict[str, np.ndarray]],
    lattice: Lattice,
    dims: tuple[str, str],
    keys: tuple[str, str, str],
) -> None:
    """Label the pixels of each region, from 1; a shared pixel belongs to the first."""
    labels = np.zeros((lattice.y.size, lattice.x.size), dtype=np.int32)
    for number, region in enumerate(regions, 1):
        x, y, values = (np.asarray(region[k], dtype=np.float64) for k in keys)
        labels[(labels == 0) & np.isfinite(lattice.place(x, y, values))] = number
    name = "subdomain" if dims == ("y", "x") else "subdomain_h"
    ds[name] = (dims, labels, {"long_name": "number of the sub-region, 0 where there is none"})


def _add_viscosity(
    ds: xr.Dataset,
    regions: list[dict[str, np.ndarray]],
    lattice: Lattice,
    lattice_h: Lattice,
    dims: tuple[str, str],
    dims_h: tuple[str, str],
    path: Path,
) -> None:
    """Add the true viscosity of a synthetic shelf, on the grid whose shape it has."""
    if not all("mud" in region for region in regions):
        return
    attrs = {"units": "Pa s", "long_name": "effective viscosity, true"}
    if all(np.shape(region["mud"]) == np.shape(region["xd"]) for region in regions):
        ds["viscosity"] = (dims, _merge(regions, lattice, ("xd", "yd"), "mud", path), attrs)
    elif all(np.shape(region["mud"]) == np.shape(region["xd_h"]) for region in regions):
        values = _merge(regions, lattice_h, ("xd_h", "yd_h"), "mud", path)
        ds["viscosity"] = (dims_h, values, attrs)
    else:
        raise FileFormatError(f"mud in {path.name} has the shape of neither grid")


def _add_front(
    ds: xr.Dataset, regions: list[dict[str, np.ndarray]], units: str, path: Path
) -> None:
    """Add front positions and normals of all regions; those without a front have empty cells."""
    xs, ys, normals = [], [], []
    for region in regions:
        x, y, normal = (np.asarray(region[key], dtype=np.float64) for key in FRONT_KEYS)
        if x.size == 0:
            continue
        if normal.shape == (2, x.size) and x.size != 2:
            normal = normal.T
        if y.size != x.size or normal.shape != (x.size, 2):
            raise FileFormatError(
                f"the front in {path.name} does not fit together: xct {x.shape}, yct {y.shape}, "
                f"nnct {normal.shape}"
            )
        xs.append(np.ravel(x))
        ys.append(np.ravel(y))
        normals.append(normal)
    if not xs:
        raise FileFormatError(f"{path.name} has no calving front: xct is empty")
    normal = np.concatenate(normals)
    length = np.hypot(normal[:, 0], normal[:, 1])
    if not (np.abs(length - 1.0) <= NORMAL_TOLERANCE).all():
        raise FileFormatError(
            f"nnct in {path.name} are no unit normals: lengths are between {length.min():.3g} and "
            f"{length.max():.3g}"
        )
    for axis, values, n in (("x", xs, normal[:, 0]), ("y", ys, normal[:, 1])):
        ds[f"{axis}_front"] = (
            "front",
            np.concatenate(values),
            {"units": units, "long_name": f"{axis} of the calving front"},
        )
        ds[f"{axis}_normal"] = (
            "front",
            n,
            {"units": "1", "long_name": f"{axis} component of the front's outward unit normal"},
        )


def _add_grounding_line(ds: xr.Dataset, regions: list[dict[str, np.ndarray]], units: str) -> None:
    """Add the grounding line, which some files have."""
    parts = [region for region in regions if "x_gd" in region and "y_gd" in region]
    if any(np.size(region["x_gd"]) != np.size(region["y_gd"]) for region in parts):
        raise FileFormatError("x_gd and y_gd differ in size")
    for axis in ("x", "y"):
        values = [np.ravel(region[f"{axis}_gd"]).astype(np.float64) for region in parts]
        if values:
            ds[f"{axis}_grounding_line"] = (
                "grounding_line",
                np.concatenate(values),
                {"units": units, "long_name": f"{axis} of the grounding line"},
            )
