"""A fitted inverter as a file: netCDF or Zarr, made of plain arrays and text, never of code.

`save` writes what `predict` needs, the parameters of the estimator and the history of its training
as a tree of Datasets; `load` checks that everything is as it was written before it is used.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import hashlib
import json
import os
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from xdiffice import __version__
from xdiffice.choices import Choices
from xdiffice.errors import FileFormatError, ParameterError, XdifficeError
from xdiffice.model.correction import Correction
from xdiffice.model.splines import SplineLattice
from xdiffice.observations.points import Domain, Labels
from xdiffice.observations.regions import Partition
from xdiffice.parameters import check_parameters
from xdiffice.physics.constants import PhysicalConstants
from xdiffice.physics.rheology import RHEOLOGIES, Rheology
from xdiffice.physics.scales import Affine, Scales
from xdiffice.preparation import make_model
from xdiffice.results.evaluate import FittedModel
from xdiffice.results.names import Quality
from xdiffice.results.writing import check_seal, seal, write_whole

if TYPE_CHECKING:
    from xdiffice.inverter import SSAViscosityInverter

FORMAT = "xdiffice fitted inverter"
FORMAT_VERSION = 3  # 1 had no members and no conditions of pixels, 2 no correction
MOST_BYTES = 4 * 2**30
"""Of all arrays together; more is not read: a small file can claim any size."""

AXES = ("x", "y", "u", "v", "h")
SHIPPED = {type(one).__name__: type(one) for one in RHEOLOGIES.values()}
PARTITION, SEEDED_OUTSIDE = {"kind": "partition"}, {"kind": "RandomState"}
REPORTED = ("n_iter_", "stop_reason_", "misfit_", "residual_", "noise_", "jump_", "notes_")


def save(estimator: SSAViscosityInverter, path: Any) -> None:
    """Write a fitted estimator; see `SSAViscosityInverter.save`."""
    tree, path = to_tree(estimator), Path(path)
    write = _to_zarr if _is_zarr(path) else _to_netcdf
    try:
        write_whole(path, lambda beside: write(tree, beside))
    except (NotImplementedError, TypeError, ValueError) as error:
        raise ParameterError(
            f"{path} was not written: coordinates or attributes of the data do not fit into a file "
            f"({error})"
        ) from error


def load(path: Any, *, rheology: Rheology | None = None) -> SSAViscosityInverter:
    """Read a fitted estimator that `SSAViscosityInverter.save` or a campaign wrote.

    Nothing in the file is executed, and nothing is read of a netCDF file before its checksum was
    found to be right.

    Parameters
    ----------
    path : str or path-like
        A netCDF file, or a Zarr store, which is a directory.
    rheology : Rheology, optional
        The rheology, where it was one of the user's own; a file holds no code.

    Returns
    -------
    SSAViscosityInverter
        Fitted; its predictions are those of the estimator that was saved, bit for bit.

    Raises
    ------
    FileFormatError
        No such file; or one that is damaged, truncated, from elsewhere, or of a later version.
    ParameterError
        The rheology is missing, or another one.
    """
    path = Path(path)
    if not path.exists():
        raise FileFormatError(f"no such file: {path}")
    with _zarr_tree(path) if path.is_dir() else _netcdf_tree(path) as tree:
        return from_tree(tree, str(path), rheology=rheology)


def to_tree(estimator: SSAViscosityInverter) -> xr.DataTree:
    """Make a fitted estimator a tree of Datasets, with a checksum of its contents."""
    fitted, labels, domain = estimator.model_, estimator._labels, estimator._domain
    partition, template = fitted.partition, labels.template
    described = {
        field.name: getattr(labels, field.name)
        for field in dataclasses.fields(Labels)
        if field.name != "template"
    }
    scales = np.array([[getattr(s, axis) for axis in AXES] for s in fitted.region_scales])
    networks = xr.Dataset(
        {
            "theta": (("member", "region", "parameter"), fitted.theta),
            "scales": (("region", "axis", "part"), scales),
            "shelf_scales": (("axis", "part"), [getattr(fitted.scales, axis) for axis in AXES]),
        },
        attrs={
            "comment": "value = mean + scale * nondimensional value, for "
            f"{', '.join(AXES)} along axis and mean, scale along part; SI",
            "choices": _text(estimator.choices_._asdict()),
            "constants": _text(dataclasses.asdict(fitted.scales.constants)),
            "strain_rate_error": float(fitted.strain_rate_error),
        },
    )
    regions = xr.Dataset(
        {
            "labels": (("y", "x"), partition.labels.astype("int32")),
            "inside": (("y", "x"), partition.inside.astype("int8")),
            "names": ("region", np.array(partition.names, "int64")),
        },
        {"x": partition.x, "y": partition.y},
        {"overlap": float(partition.overlap)},
    )
    pixels = xr.Dataset(
        {
            "x": ("pixel", domain.x),
            "y": ("pixel", domain.y),
            "condition": ("pixel", estimator._conditions),
        },
        attrs={"spacing": domain.spacing},
    )
    history = estimator.history_
    history = history.assign(stage=history["stage"].astype(object))
    template = template.assign_attrs(labels=_text(described))
    root = xr.Dataset(
        attrs={
            "format": FORMAT,
            "format_version": FORMAT_VERSION,
            "source": f"xdiffice {__version__}",
            "versions": _text({name: version(name) for name in ("jax", "numpy", "xarray")}),
            "created": dt.datetime.now(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "parameters": _text(configuration(estimator)),
            "fit": _text({name: getattr(estimator, name) for name in REPORTED}),
        }
    )
    groups = {
        "/": root,
        "networks": networks,
        "partition": regions,
        "domain": pixels,
        "history": history,
        "template": template,
    }
    if fitted.correction is not None:
        lattice = fitted.correction.lattice
        groups["correction"] = xr.Dataset(
            {"coefficients": (("member", "field", "spline"), fitted.correction.coefficients)},
            attrs=dataclasses.asdict(lattice),
        )
    return xr.DataTree.from_dict(groups)


def from_tree(
    tree: xr.DataTree, origin: str, *, rheology: Rheology | None = None
) -> SSAViscosityInverter:
    """Make the estimator again from what `to_tree` made.

    Raises
    ------
    FileFormatError
        Something else, of a later version, or incomplete.
    ParameterError
        The rheology is missing, or another one.
    """
    from xdiffice.inverter import SSAViscosityInverter

    _check_format(tree.attrs, origin)
    _check_size(sum(node.to_dataset(inherit=False).nbytes for node in tree.subtree), origin)
    try:
        parameters = json.loads(tree.attrs["parameters"])
        reported = json.loads(tree.attrs["fit"])
        partition = _partition(_dataset(tree, "partition"))
        if parameters["subdomains"] == PARTITION:
            parameters["subdomains"] = partition
        if parameters["random_state"] == SEEDED_OUTSIDE:
            parameters["random_state"] = None
        parameters["rheology"] = _rheology(parameters["rheology"], rheology, origin)
        estimator = SSAViscosityInverter(**parameters)
        check_parameters(estimator)
        networks = _dataset(tree, "networks")
        estimator.choices_ = Choices(**json.loads(networks.attrs["choices"]))
        constants = PhysicalConstants(**json.loads(networks.attrs["constants"]))
        shelf = _scales(networks["shelf_scales"].values, constants)
        of_regions = tuple(_scales(one, constants) for one in networks["scales"].values)
        model = make_model(estimator, estimator.choices_, shelf)
        theta = networks["theta"].values
        theta = theta[None] if theta.ndim == 2 else theta  # of version 1
        shape = (int(estimator.n_members), partition.n, model.n_parameters)
        if theta.shape != shape or len(of_regions) != partition.n:
            raise ValueError(f"parameters of shape {theta.shape} for {partition.n} regions")
        estimator.model_ = FittedModel(
            model,
            theta,
            shelf,
            of_regions,
            partition,
            float(networks.attrs["strain_rate_error"]),
            _correction(_dataset(tree, "correction")) if "correction" in tree else None,
        )
        estimator.scales_ = shelf
        for name in REPORTED:
            setattr(estimator, name, reported.get(name, {}) if name == "noise_" else reported[name])
        estimator.notes_ = tuple(estimator.notes_)
        history = _dataset(tree, "history")
        estimator.history_ = history.assign(
            stage=(history["stage"].dims, np.array([*map(str, history["stage"].values)]))
        )
        pixels = _dataset(tree, "domain")
        estimator._domain = Domain(
            pixels["x"].values, pixels["y"].values, float(pixels.attrs["spacing"])
        )
        estimator._conditions = np.full(pixels.sizes["pixel"], Quality.DETERMINED, np.int8)
        if "condition" in pixels:  # not in version 1
            estimator._conditions = pixels["condition"].values.astype(np.int8)
        estimator._labels = _labels(_dataset(tree, "template"))
    except XdifficeError:
        raise
    except (KeyError, ValueError, TypeError, IndexError, AttributeError, OverflowError) as error:
        raise FileFormatError(f"{origin} is not complete, or was changed: {error!r}") from error
    return estimator


def configuration(estimator: SSAViscosityInverter) -> dict[str, Any]:
    """Return the parameters of an estimator as what JSON can hold.

    Labels of subdomains, a rheology and a generator of random numbers are named, not described: a
    rheology of the package by its parameters, one of a user's own by its class.
    """
    parameters = estimator.get_params(deep=False)
    if not isinstance(parameters["subdomains"], int | np.integer | str):
        parameters["subdomains"] = PARTITION
    if isinstance(parameters["random_state"], np.random.RandomState):
        parameters["random_state"] = SEEDED_OUTSIDE
    if parameters["checkpoint"] is not None:
        parameters["checkpoint"] = os.fspath(parameters["checkpoint"])
    given = parameters["rheology"]
    if isinstance(given, Rheology):
        kind = type(given)
        shipped = SHIPPED.get(kind.__name__) is kind
        name = kind.__name__ if shipped else f"{kind.__module__}.{kind.__qualname__}"
        parameters["rheology"] = {"kind": name}
        if shipped and dataclasses.is_dataclass(given):
            parameters["rheology"]["parameters"] = dataclasses.asdict(given)
    plain: dict[str, Any] = json.loads(_text(parameters))
    return plain


def _is_zarr(path: Path) -> bool:
    return path.suffix == ".zarr" or path.is_dir()


def _to_netcdf(tree: xr.DataTree, path: Path) -> None:
    tree.to_netcdf(path, engine="netcdf4")
    seal(path)


def _netcdf_tree(path: Path) -> xr.DataTree:
    check_seal(path)
    try:
        return xr.open_datatree(path, engine="netcdf4")
    except (OSError, ValueError) as error:
        raise FileFormatError(f"{path} cannot be read as netCDF: {error}") from error


def _to_zarr(tree: xr.DataTree, path: Path) -> None:
    import zarr

    tree.to_zarr(path, mode="w", consolidated=False)
    group = zarr.open_group(path, mode="r+")
    group.attrs["checksum"] = _digest(group)


def _zarr_tree(path: Path) -> xr.DataTree:
    import zarr

    try:
        group = zarr.open_group(path, mode="r")
        _check_format(group.attrs, path)
        if group.attrs.get("checksum") != _digest(group):
            raise FileFormatError(f"{path} is damaged: its checksum is not that of its contents")
        return xr.open_datatree(path, engine="zarr", consolidated=False)
    except XdifficeError:
        raise
    except Exception as error:  # codecs raise what they like where bytes are wrong
        raise FileFormatError(f"{path} cannot be read as Zarr: {error!r}") from error


def _digest(group: Any) -> str:
    """Return a checksum of all attributes and arrays of a Zarr group."""
    import zarr

    digest = hashlib.sha256()
    for name, member in (("", group), *sorted(group.members(max_depth=None))):
        attrs = {key: value for key, value in member.attrs.items() if key != "checksum"}
        digest.update(json.dumps([name, attrs], sort_keys=True).encode())
        if isinstance(member, zarr.Array):
            _check_size(member.nbytes, str(member.store_path))
            digest.update(json.dumps([str(member.dtype), member.shape]).encode())
            values = np.asarray(member[...])
            digest.update(
                json.dumps(values.tolist()).encode() if values.dtype.hasobject else values.tobytes()
            )
    return digest.hexdigest()


def _check_size(n_bytes: int, origin: str) -> None:
    if n_bytes > MOST_BYTES:
        raise FileFormatError(
            f"{origin} claims {n_bytes / 2**30:.3g} GiB of arrays: it is not read"
        )


def _check_format(attrs: Mapping[Any, Any], origin: Any) -> None:
    if attrs.get("format") != FORMAT:
        raise FileFormatError(
            f"{origin} is no fitted inverter: its attribute 'format' is {attrs.get('format')!r}, "
            f"not {FORMAT!r}; a prediction is opened with xarray.open_dataset or open_zarr"
        )
    found = attrs.get("format_version")
    found = int(found) if isinstance(found, np.integer) else found
    if not isinstance(found, int) or not 1 <= found <= FORMAT_VERSION:
        raise FileFormatError(
            f"{origin} has format version {found!r} and was written by {attrs.get('source')!r}; "
            f"xdiffice {__version__} reads versions up to {FORMAT_VERSION}: update it"
        )


def _dataset(tree: xr.DataTree, name: str) -> xr.Dataset:
    node = tree[name]
    if not isinstance(node, xr.DataTree):
        raise TypeError(f"{name} is no group")
    return node.to_dataset(inherit=False).load()


def _rheology(stored: Any, given: Rheology | None, origin: str) -> Any:
    """Return the rheology of a file, or the user's own one that it asks for."""
    if isinstance(stored, str):
        return stored
    if stored["kind"] in SHIPPED:
        return SHIPPED[stored["kind"]](**stored["parameters"])
    found = None if given is None else f"{type(given).__module__}.{type(given).__qualname__}"
    if found is None or found.rpartition(".")[2] != stored["kind"].rpartition(".")[2]:
        raise ParameterError(
            f"{origin} was fitted with the rheology {stored['kind']}, and a file holds no code: "
            f"pass load(..., rheology=...) an instance of it; given was {found or 'none'}"
        )
    return given


def _partition(stored: xr.Dataset) -> Partition:
    return Partition(
        x=stored["x"].values.astype(float),
        y=stored["y"].values.astype(float),
        labels=stored["labels"].values.astype(np.int64),
        inside=stored["inside"].values.astype(bool),
        names=tuple(int(name) for name in stored["names"].values),
        overlap=float(stored.attrs["overlap"]),
    )


def _correction(stored: xr.Dataset) -> Correction:
    attrs = stored.attrs
    lattice = SplineLattice(
        x=float(attrs["x"]),
        y=float(attrs["y"]),
        spacing=float(attrs["spacing"]),
        n_x=int(attrs["n_x"]),
        n_y=int(attrs["n_y"]),
    )
    coefficients = stored["coefficients"].values
    if coefficients.ndim != 3 or coefficients.shape[2] != lattice.n:
        raise ValueError(f"coefficients of shape {coefficients.shape} for {lattice.n} splines")
    return Correction(lattice, coefficients)


def _scales(rows: np.ndarray, constants: PhysicalConstants) -> Scales:
    axes = (Affine(float(mean), float(scale)) for mean, scale in rows)
    return Scales(**dict(zip(AXES, axes, strict=True)), constants=constants)


def _labels(template: xr.Dataset) -> Labels:
    described = json.loads(template.attrs.pop("labels"))
    described["dims"] = tuple(described["dims"])
    return Labels(template=template, **described)


def _text(content: Mapping[str, Any]) -> str:
    """Return JSON; numbers of NumPy become those of Python."""

    def plain(value: Any) -> Any:
        if isinstance(value, np.generic | np.ndarray):
            return value.tolist()
        if isinstance(value, Mapping):
            return dict(value)
        raise TypeError(f"{value!r} of type {type(value).__name__}")

    return json.dumps(content, default=plain)
