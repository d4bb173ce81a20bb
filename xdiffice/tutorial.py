"""Public example data of the reference code, fetched on demand.

Nothing of it is part of this package: files are downloaded once, compared with their checksum, and
kept in the user's cache directory.
"""

from __future__ import annotations

from dataclasses import dataclass
from os import PathLike

import xarray as xr

from .errors import FileFormatError, MissingDependencyError, ParameterError
from .observations.readers import open_diffice_mat


@dataclass(frozen=True)
class Example:
    """One file.

    Parameters
    ----------
    url : str
        Where it is, at a fixed commit.
    sha256 : str
        Of its content.
    velocity_units : str
        Which the file does not tell.
    """

    url: str
    sha256: str
    velocity_units: str = "m s-1"


_DIFFICE = "https://raw.githubusercontent.com/YaoGroup/DIFFICE_jax/"
EXAMPLES: dict[str, Example] = {
    "larsen_c": Example(
        _DIFFICE + "fa95063db9534251410399df387b9c5fe26c412b/data/data_pinns_LarsenC.mat",
        "0cab64ba4496afddb5da78a4200a24bbb4a6d954b87c6ccfcd56e7e5f17cc7b3",
    ),
    "synthetic": Example(
        _DIFFICE + "dc0c505ce17c18dc62b48c4317e15686f81cde28/tutorial/SynData_exp1.mat",
        "035a262630561b4e42307c9ae3233a832504d467911755b6005cb8c9099edf8a",
    ),
}
"""Larsen C, and a synthetic shelf with its true viscosity: DIFFICE_jax, MIT licence, Lai Research
Group (Wang & Lai 2025, doi 10.21105/joss.07254)."""


def open_dataset(name: str, *, cache_dir: str | PathLike[str] | None = None) -> xr.Dataset:
    """Open an example, downloading it the first time.

    Parameters
    ----------
    name : {"larsen_c", "synthetic"}
        Which.
    cache_dir : path, optional
        Where the file is kept; by default the operating system's place for caches.

    Returns
    -------
    Dataset
        As from `xdiffice.open_diffice_mat`.

    Raises
    ------
    ParameterError
        If there is no such example.
    MissingDependencyError
        Without pooch.
    FileFormatError
        If it cannot be downloaded, or is not the file that is expected.
    """
    if name not in EXAMPLES:
        raise ParameterError(f"no example {name!r}; there are {', '.join(EXAMPLES)}")
    try:
        import pooch
    except ImportError as error:
        raise MissingDependencyError(
            "examples are downloaded by pooch: pip install 'xdiffice[tutorial]'"
        ) from error
    example = EXAMPLES[name]
    try:
        path = pooch.retrieve(
            example.url,
            f"sha256:{example.sha256}",
            fname=example.url.rsplit("/", 1)[-1],
            path=cache_dir or pooch.os_cache("xdiffice"),
        )
    except (OSError, ValueError) as error:  # no connection; another checksum
        raise FileFormatError(f"{example.url} could not be fetched: {error}") from error
    return open_diffice_mat(path, velocity_units=example.velocity_units)
