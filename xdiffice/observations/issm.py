"""ISSM models, saved as netCDF, become CF Datasets: a triangular mesh on a raster.

ISSM writes one group for each part of a model, without units in the file; its own documentation
gives them (Larour et al. 2012, doi 10.1029/2011JF002140): metres, and metres per year of the
length ``constants/yts``. Fields are linear on triangles, and so are they on the raster.
"""

from __future__ import annotations

from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from xdiffice.errors import FileFormatError, ParameterError
from xdiffice.observations.conventions import conforming
from xdiffice.observations.values import count

FLAGS = {0: "ocean", 1: "grounded_ice", 2: "floating_ice"}
MOST_PIXELS = 20_000_000
TRIANGLES_AT_ONCE = 20_000


def open_issm(
    path: str | PathLike[str], *, spacing: float | None = None, velocity: str = "initialization"
) -> xr.Dataset:
    """Open an ISSM model, as ``export_netCDF`` and pyISSM save it, as a CF Dataset.

    Parameters
    ----------
    path : path
        A netCDF file with the groups ``mesh``, ``geometry`` and ``mask``.
    spacing : float, optional
        Distance of the raster's pixels, m; half of the median edge of the mesh by default.
    velocity : str, default "initialization"
        Group that holds ``vx`` and ``vy`` (or ``vx_obs`` and ``vy_obs``), such as ``"inversion"``.

    Returns
    -------
    Dataset
        ``x_velocity``, ``y_velocity`` (m s-1), ``thickness`` (m) on ``(y, x)``, NaN outside the
        mesh and where there is no ice; ``mask`` with ``flag_meanings``, in which 2 is floating ice.

    Raises
    ------
    FileFormatError
        If the file cannot be read, or is no model of this kind.
    ParameterError
        If `spacing` is not positive, or asks for a raster of more than 20 million pixels.
    """
    path = Path(path)
    mesh = _group(path, "mesh", ("x", "y", "elements"))
    x, y = (mesh[axis].ravel().astype(np.float64) for axis in "xy")
    triangles = mesh["elements"].astype(np.int64) - 1  # ISSM counts from one
    _check_mesh(x, triangles, path)
    u, v = _velocity(path, velocity, x.size)
    (h,) = _nodal(path, "geometry", ("thickness",), x.size)
    levels = _nodal(path, "mask", ("ice_levelset", "ocean_levelset"), x.size)
    year = float(_group(path, "constants", ("yts",))["yts"].squeeze())
    raster = _Raster(x, y, triangles, _checked_spacing(spacing, x, y, triangles))
    ice, ocean = (raster.linear(level) for level in levels)
    icy = ice < 0
    attrs: dict[str, dict[str, Any]] = {
        "x_velocity": {
            "units": "m s-1",
            "standard_name": "land_ice_vertical_mean_x_velocity",
        },
        "y_velocity": {
            "units": "m s-1",
            "standard_name": "land_ice_vertical_mean_y_velocity",
        },
        "thickness": {"units": "m", "standard_name": "land_ice_thickness"},
    }
    fields = dict(zip(attrs, (u / year, v / year, h), strict=True))
    dims = ("y", "x")
    flags = np.select([icy & (ocean < 0), icy], [2, 1], 0).astype(np.int8)
    shelf = xr.Dataset(
        {
            **{
                name: (dims, np.where(icy, raster.linear(values), np.nan), attrs[name])
                for name, values in fields.items()
            },
            "mask": (
                dims,
                flags,
                {
                    "long_name": "mask",
                    "flag_values": np.array([*FLAGS], np.int8),
                    "flag_meanings": " ".join(FLAGS.values()),
                },
            ),
        },
        coords={
            axis: (
                axis,
                values,
                {
                    "units": "m",
                    "standard_name": f"projection_{axis}_coordinate",
                    "axis": axis.upper(),
                },
            )
            for axis, values in (("x", raster.x), ("y", raster.y))
        },
    )
    described = {
        "title": "Velocity, thickness and mask of an ISSM model",
        "history": f"read from {path.name} by xdiffice.open_issm, on a raster of "
        f"{raster.spacing:g} m; a year of {year:g} s",
    }
    return conforming(shelf, described)


class _Raster:
    """Square pixels over a mesh, each with the triangle that it lies in."""

    def __init__(self, x: np.ndarray, y: np.ndarray, triangles: np.ndarray, spacing: float):
        self.spacing, self._triangles = spacing, triangles
        # Pixels start half a spacing inside, so that none lies on the edge of the mesh.
        self.x, self.y = (
            np.arange(axis.min() + spacing / 2, axis.max(), spacing) for axis in (x, y)
        )
        self._triangle = np.full(self.y.size * self.x.size, -1, np.int32)
        self._weights = np.zeros((2, self._triangle.size))  # of the first two corners
        place = (x - self.x[0]) / spacing, (y - self.y[0]) / spacing
        for start in range(0, len(triangles), TRIANGLES_AT_ONCE):
            part = slice(start, start + TRIANGLES_AT_ONCE)
            self._locate(start, *(axis[triangles[part]].T for axis in place))

    def _locate(self, first: int, column: np.ndarray, row: np.ndarray) -> None:
        """Find the pixels in some triangles, whose corners are given in pixels, shape (3, n)."""
        low = [np.ceil(axis.min(axis=0)).astype(np.int64) for axis in (column, row)]
        high = [np.floor(axis.max(axis=0)).astype(np.int64) for axis in (column, row)]
        wide, tall = (last - begin + 1 for begin, last in zip(low, high, strict=True))
        triangle = np.repeat(np.arange(wide.size), wide * tall)
        nth = np.arange(triangle.size) - np.repeat(
            np.cumsum(wide * tall) - wide * tall, wide * tall
        )
        c = low[0][triangle] + nth % wide[triangle]
        r = low[1][triangle] + nth // wide[triangle]
        to_x, to_y = c - column[2][triangle], r - row[2][triangle]
        (a_x, b_x), (a_y, b_y) = ((axis[:2] - axis[2])[:, triangle] for axis in (column, row))
        area = a_x * b_y - b_x * a_y
        with np.errstate(divide="ignore", invalid="ignore"):
            weights = np.array([to_x * b_y - b_x * to_y, a_x * to_y - to_x * a_y]) / area
        least = np.minimum(weights.min(axis=0), 1 - weights.sum(axis=0))
        within = (least >= -1e-9) & (c >= 0) & (r >= 0) & (c < self.x.size) & (r < self.y.size)
        pixel = r[within] * self.x.size + c[within]
        self._triangle[pixel] = first + triangle[within]
        self._weights[:, pixel] = weights[:, within]

    def linear(self, nodal: np.ndarray) -> np.ndarray:
        """Return a field of the mesh at all pixels, NaN outside."""
        inside = self._triangle >= 0
        a, b, c = nodal[self._triangles[self._triangle[inside]]].T
        first, second = self._weights[:, inside]
        result = np.full(inside.size, np.nan)
        result[inside] = c + first * (a - c) + second * (b - c)
        return result.reshape(self.y.size, self.x.size)


def _group(path: Path, group: str, names: tuple[str, ...]) -> dict[str, np.ndarray]:
    """Read variables of one group."""
    if not path.is_file():
        raise FileFormatError(f"there is no file {str(path)!r}")
    try:
        with xr.open_dataset(path, group=group, decode_cf=False) as ds:
            missing = [name for name in names if name not in ds.variables]
            if missing:
                raise FileFormatError(
                    f"group {group!r} of {path.name} lacks {', '.join(missing)}; it has "
                    f"{', '.join(map(str, ds.variables)) or 'nothing'}"
                )
            return {name: ds[name].values for name in names}
    except (OSError, ValueError) as error:
        if isinstance(error, FileFormatError):
            raise
        raise FileFormatError(
            f"{path.name} is no ISSM model saved as netCDF: no group {group!r} in it ({error})"
        ) from error


def _nodal(path: Path, group: str, names: tuple[str, ...], n: int) -> list[np.ndarray]:
    """Read fields that have a value at every vertex."""
    found = _group(path, group, names)
    for name, values in found.items():
        if values.size != n:
            raise FileFormatError(
                f"{group}/{name} in {path.name} has {count(values.size, 'value')}, the mesh "
                f"{n} vertices"
            )
    return [values.ravel().astype(np.float64) for values in found.values()]


def _velocity(path: Path, group: str, n: int) -> list[np.ndarray]:
    try:
        return _nodal(path, group, ("vx", "vy"), n)
    except FileFormatError as error:
        try:
            return _nodal(path, group, ("vx_obs", "vy_obs"), n)
        except FileFormatError:
            raise error from None


def _check_mesh(x: np.ndarray, triangles: np.ndarray, path: Path) -> None:
    if triangles.ndim != 2 or triangles.shape[1] != 3:
        raise FileFormatError(
            f"mesh/elements in {path.name} has the shape {triangles.shape}: three vertices are "
            "needed for each element; extruded models have to be collapsed first"
        )
    if triangles.min(initial=0) < 0 or triangles.max(initial=0) >= x.size:
        raise FileFormatError(f"mesh/elements in {path.name} has vertices that there are not")


def _checked_spacing(
    spacing: float | None, x: np.ndarray, y: np.ndarray, triangles: np.ndarray
) -> float:
    if spacing is None:
        ends = np.roll(triangles, 1, axis=1)
        spacing = 0.5 * float(np.median(np.hypot(x[triangles] - x[ends], y[triangles] - y[ends])))
    if not spacing > 0:
        raise ParameterError(f"spacing must be positive, m; got {spacing!r}")
    pixels = np.ptp(x) / spacing * np.ptp(y) / spacing
    if pixels > MOST_PIXELS:
        raise ParameterError(
            f"a spacing of {spacing:g} m makes a raster of {pixels:.3g} pixels; ask for at least "
            f"{spacing * (pixels / MOST_PIXELS) ** 0.5:.3g} m"
        )
    return float(spacing)
