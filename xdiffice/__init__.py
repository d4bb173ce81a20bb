"""The viscosity of ice shelves, inferred from satellite velocity and thickness.

Importing the package registers the accessor ``ds.diffice``; everything heavy is loaded on use.
"""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

from . import errors
from .accessor import DifficeAccessor
from .errors import (
    AmbiguousVariableError,
    CampaignInterruptedError,
    CheckpointWarning,
    ConvergenceError,
    CoordinateError,
    DataValuesError,
    FileFormatError,
    InputTypeError,
    InvalidDatasetError,
    MissingDependencyError,
    OutputExistsError,
    ParameterError,
    PlausibilityWarning,
    UnitsError,
    VariableNotFoundError,
    XdifficeError,
)

if TYPE_CHECKING:
    from . import synthetic, tutorial
    from .campaigns.conduct import Campaign, campaign
    from .inverter import SSAViscosityInverter
    from .observations.hydrostatic import hydrostatic_thickness
    from .observations.issm import open_issm
    from .observations.readers import open_diffice_mat
    from .observations.report import report
    from .observations.shelf import assemble
    from .observations.tables import open_flight_lines
    from .physics.jets import Jet
    from .physics.rheology import Anisotropic, Glen, Isotropic, Quantity, Rheology
    from .results.names import Quality
    from .storage import load
    from .versions import show_versions

try:
    __version__ = version("xdiffice")
except PackageNotFoundError:  # on the path, but not installed
    __version__ = "0+unknown"

__all__ = [
    "AmbiguousVariableError",
    "Anisotropic",
    "Campaign",
    "CampaignInterruptedError",
    "CheckpointWarning",
    "ConvergenceError",
    "CoordinateError",
    "DataValuesError",
    "DifficeAccessor",
    "FileFormatError",
    "Glen",
    "InputTypeError",
    "InvalidDatasetError",
    "Isotropic",
    "Jet",
    "MissingDependencyError",
    "OutputExistsError",
    "ParameterError",
    "PlausibilityWarning",
    "Quality",
    "Quantity",
    "Rheology",
    "SSAViscosityInverter",
    "UnitsError",
    "VariableNotFoundError",
    "XdifficeError",
    "assemble",
    "campaign",
    "errors",
    "hydrostatic_thickness",
    "load",
    "open_diffice_mat",
    "open_flight_lines",
    "open_issm",
    "report",
    "show_versions",
    "synthetic",
    "tutorial",
]

# Name -> (module, attribute), loaded when first asked for: JAX alone takes longer to import than
# all that is imported above.
_LAZY: dict[str, tuple[str, str | None]] = {
    "Anisotropic": ("physics.rheology", "Anisotropic"),
    "Campaign": ("campaigns.conduct", "Campaign"),
    "Glen": ("physics.rheology", "Glen"),
    "Isotropic": ("physics.rheology", "Isotropic"),
    "Jet": ("physics.jets", "Jet"),
    "Quality": ("results.names", "Quality"),
    "Quantity": ("physics.rheology", "Quantity"),
    "Rheology": ("physics.rheology", "Rheology"),
    "SSAViscosityInverter": ("inverter", "SSAViscosityInverter"),
    "assemble": ("observations.shelf", "assemble"),
    "campaign": ("campaigns.conduct", "campaign"),
    "hydrostatic_thickness": ("observations.hydrostatic", "hydrostatic_thickness"),
    "load": ("storage", "load"),
    "open_diffice_mat": ("observations.readers", "open_diffice_mat"),
    "open_flight_lines": ("observations.tables", "open_flight_lines"),
    "open_issm": ("observations.issm", "open_issm"),
    "report": ("observations.report", "report"),
    "show_versions": ("versions", "show_versions"),
    "synthetic": ("synthetic", None),
    "tutorial": ("tutorial", None),
}


def __getattr__(name: str) -> Any:
    try:
        module_name, attribute = _LAZY[name]
    except KeyError:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}") from None
    module = import_module(f".{module_name}", __name__)
    value = module if attribute is None else getattr(module, attribute)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
