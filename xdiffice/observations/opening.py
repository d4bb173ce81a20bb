"""What a user hands over becomes a Dataset: opened lazily, and what its product is known for added.

Takes Datasets, paths, and lists of paths of one product's files; hands on Datasets whose attributes
say what the rest of the reading needs.
"""

from __future__ import annotations

from collections.abc import Sequence
from os import PathLike
from pathlib import Path
from typing import Any

import xarray as xr

from xdiffice.errors import CoordinateError, FileFormatError, MissingDependencyError, ParameterError
from xdiffice.observations.products import standardised

GEOTIFF = (".tif", ".tiff")


def opened(source: Any, notes: list[str], *, may_be_name: bool = False) -> Any:
    """Open paths lazily, and write what is known of a product into attributes.

    Parameters
    ----------
    source : Dataset, path, sequence of paths, or anything else
        Several paths are files of one raster, one variable in each. What is no Dataset and no
        path is handed on as it is.
    notes : list of str
        Learns which product it is.
    may_be_name : bool
        A string that is no file is the name of a variable.

    Returns
    -------
    Dataset, or what it was

    Raises
    ------
    FileFormatError
        There is no such file, or it is of a kind that is opened otherwise.
    CoordinateError
        Files of one raster differ in their coordinates.
    MissingDependencyError
        GeoTIFF without rioxarray.
    """
    if _is_path(source):
        if may_be_name and isinstance(source, str) and not Path(source).exists():
            return source
        source = _open(Path(source))
    elif isinstance(source, Sequence) and source and all(map(_is_path, source)):
        source = _together([Path(one) for one in source])
    if not isinstance(source, xr.Dataset):
        return source
    result, product = standardised(source)
    if product is not None:
        kind = product.thickness.replace("_", " ")
        notes.append(f"recognised {product.name}" + (f", thickness {kind}" if kind else ""))
    return result


def _is_path(source: Any) -> bool:
    return isinstance(source, str | PathLike)


def _open(path: Path) -> xr.Dataset:
    if not path.exists():
        raise FileFormatError(f"there is no file {str(path)!r}")
    if path.suffix.lower() in GEOTIFF:
        return _open_geotiff(path)
    if path.suffix.lower() == ".mat":
        raise FileFormatError(
            f"{path.name} is a MATLAB file, which does not tell its units: pass "
            "xdiffice.open_diffice_mat(path, velocity_units=...)"
        )
    try:
        ds = xr.open_dataset(path, chunks={}, decode_coords="all")
    except ValueError as error:  # xarray knows no engine for it
        raise FileFormatError(
            f"{str(path)!r} cannot be opened by xarray: {str(error).splitlines()[0]}"
        ) from error
    if not ds.variables:
        raise FileFormatError(
            f"{path.name} has no variables, except perhaps in groups: open one of them with xarray "
            "and pass that; ISSM models are opened by xdiffice.open_issm(path)"
        )
    return ds


def _open_geotiff(path: Path) -> xr.Dataset:
    """Return its one band, named like the end of the file's name: ``..._vx.tif`` holds ``vx``."""
    try:
        import rioxarray
    except ImportError as error:
        raise MissingDependencyError(
            f"{path.name} is a GeoTIFF, which rioxarray opens: pip install 'xdiffice[geo]'"
        ) from error
    band = rioxarray.open_rasterio(path, masked=True, chunks={})
    if not isinstance(band, xr.DataArray) or band.sizes["band"] != 1:
        raise FileFormatError(
            f"{path.name} has several bands; open it with rioxarray and pass a Dataset of them"
        )
    name = path.stem.rsplit("_", 1)[-1]
    return band.squeeze("band", drop=True).to_dataset(name=name)


def _together(paths: Sequence[Path]) -> xr.Dataset:
    parts = [_open(path) for path in paths]
    names = [str(name) for part in parts for name in part.data_vars]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ParameterError(
            f"variable {', '.join(twice)} is in more than one of "
            f"{', '.join(path.name for path in paths)}; pass files of one raster, each of its own"
        )
    try:
        return xr.merge(parts, join="exact", compat="override", combine_attrs="drop_conflicts")
    except ValueError as error:
        raise CoordinateError(
            f"{', '.join(path.name for path in paths)} are not on one raster: "
            f"{str(error).splitlines()[0]}. Pass velocity, thickness and mask one by one"
        ) from error
