"""What a report of a bug should tell: versions of packages, and the devices of JAX."""

from __future__ import annotations

import platform
import sys
from importlib.metadata import PackageNotFoundError, version
from typing import TextIO

from . import __version__

PACKAGES = (
    "jax",
    "jaxlib",
    "numpy",
    "scipy",
    "xarray",
    "dask",
    "scikit-learn",
    "scikit-fem",
    "netCDF4",
    "zarr",
    "matplotlib",
)


def show_versions(file: TextIO | None = None) -> None:
    """Print versions of this package and of those that it needs, and the devices of JAX.

    Parameters
    ----------
    file : text file, optional
        Where to print; standard output if not given.

    Examples
    --------
    >>> import xdiffice
    >>> xdiffice.show_versions()  # doctest: +ELLIPSIS
    xdiffice ...
    """
    rows = [
        ("xdiffice", __version__),
        ("python", platform.python_version()),
        ("platform", platform.platform()),
        *((name, _version(name)) for name in PACKAGES),
        ("devices", _devices()),
    ]
    for name, found in rows:
        print(name, found, file=file or sys.stdout)


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def _devices() -> str:
    """Say what JAX computes on; a broken driver must not keep anybody from reporting it."""
    try:
        import jax

        return ", ".join(f"{device.platform} ({device.device_kind})" for device in jax.devices())
    except Exception as error:
        return f"JAX cannot start: {' '.join(str(error).split())}"
