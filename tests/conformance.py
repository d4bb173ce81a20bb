"""What the public checker of the CF conventions says about a Dataset, written as a user would."""

from __future__ import annotations

from pathlib import Path

import xarray as xr
from compliance_checker.runner import CheckSuite

from xdiffice.observations.conventions import CONVENTIONS

CHECK = "cf:" + CONVENTIONS.removeprefix("CF-")


def complaints(dataset: xr.Dataset, folder: Path) -> list[str]:
    """Write a Dataset and return everything that it does wrong, recommendations included."""
    path = folder / "written.nc"
    dataset.to_netcdf(path)
    CheckSuite.load_all_available_checkers()
    suite = CheckSuite()
    opened = suite.load_dataset(str(path))
    try:
        results, failures = suite.run_all(opened, [CHECK], [])[CHECK]
    finally:
        opened.close()
        path.unlink()
    assert len(results) > 10  # sections of the conventions
    said = [f"{name}: {error!r}" for name, (error, _) in failures.items()]
    for one in results:
        passed = one.value[0] == one.value[1] if isinstance(one.value, tuple) else one.value
        if not passed:
            said += one.msgs or [one.name]
    return said
