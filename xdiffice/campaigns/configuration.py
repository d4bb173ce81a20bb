"""A campaign as a TOML file: what the ``campaign`` command reads.

```toml
store = "shelves.zarr"

[inverter]
max_iterations = 3000

[datasets.larsen_c]
velocity = "antarctic_velocity.nc"
thickness = "antarctic_bed.nc"
name = "Larsen C"
```
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from xdiffice.campaigns.runs import FIT
from xdiffice.errors import ParameterError
from xdiffice.inverter import SSAViscosityInverter
from xdiffice.toml import parameters_of, read_toml, unknown_keys

TABLES = {
    "cluster": ("address", "n_workers", "threads_per_worker", "memory_limit", "max_running"),
    "output": ("variables", "chunks"),
}
KNOWN = ("store", "inverter", "parameters", "datasets", *TABLES)


def read_configuration(path: Path) -> dict[str, Any]:
    """Read the arguments of `campaign` from a file.

    ``store`` and ``datasets`` are needed. ``[inverter]`` has parameters of `SSAViscosityInverter`;
    ``[parameters.NAME]`` others that hold in a set of this name. ``[datasets.NAME]`` has arguments
    of `fit` or `assemble`, or is the path of a file. ``[cluster]`` has ``address``, or
    ``n_workers``, ``threads_per_worker`` and ``memory_limit`` of a local one; ``[output]`` has
    ``variables`` and ``chunks``. Paths are relative to the file.

    Parameters
    ----------
    path : Path
        The file.

    Returns
    -------
    dict
        Keyword arguments.

    Raises
    ------
    FileFormatError
        No such file, or no TOML.
    ParameterError
        Unknown keys, all in one message; or needed ones that are missing.
    """
    given = read_toml(path)
    parameters = parameters_of(SSAViscosityInverter)
    sets = given.get("parameters", {})
    tables: dict[str, tuple[Any, tuple[str, ...] | None]] = {
        "": (given, KNOWN),
        "inverter": (given.get("inverter", {}), parameters),
    }
    tables |= {name: (given.get(name, {}), known) for name, known in TABLES.items()}
    tables |= {name: (given.get(name, {}), None) for name in ("parameters", "datasets")}
    if isinstance(sets, Mapping):
        tables |= {f"parameters.{name}": (one, parameters) for name, one in sets.items()}
    problems = [f"{key!r} is missing" for key in ("store", "datasets") if key not in given]
    if "store" in given and not isinstance(given["store"], str):
        problems.append(f"store is the path of a directory, not {given['store']!r}")
    for table, (content, known) in tables.items():
        if not isinstance(content, Mapping):
            problems.append(f"[{table}] is no table")
        elif known is not None:
            problems += unknown_keys(content, known, f" in [{table}]" if table else "")
    if problems:
        raise ParameterError(f"{path}: " + "; ".join(problems))
    base = dict(given.get("inverter", {}))
    inverters = {name: SSAViscosityInverter(**(base | changes)) for name, changes in sets.items()}
    cluster = dict(given.get("cluster", {}))
    folder = path.parent
    return {
        "datasets": {name: _paths(one, folder) for name, one in given["datasets"].items()},
        "inverter": inverters or SSAViscosityInverter(**base),
        "store": folder / given["store"],
        "client": cluster.pop("address", None),
        **cluster,
        **given.get("output", {}),
    }


def _paths(given: Any, folder: Path) -> Any:
    """Return the sources of one shelf with paths that do not depend on where one is."""
    if not isinstance(given, Mapping):
        return _path(given, folder)
    return {
        key: _path(value, folder, may_be_name=key == "mask") if key in FIT else value
        for key, value in given.items()
    }


def _path(value: Any, folder: Path, *, may_be_name: bool = False) -> Any:
    if isinstance(value, list):
        return [_path(one, folder) for one in value]
    if not isinstance(value, str) or (may_be_name and not (folder / value).exists()):
        return value
    return folder / value
