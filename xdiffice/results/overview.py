"""What a prediction is, in a few lines: what `result.diffice` shows."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape

import numpy as np
import xarray as xr

from xdiffice.markup import table
from xdiffice.results.flags import percent, shares, whole_numbers, words
from xdiffice.results.names import QUALITY, QUANTILE, SPREAD, VISCOSITIES
from xdiffice.results.outcome import doubt, outcome_rows

_NEXT = (
    "maps: .diffice.plot.summary(ds); hardness: .diffice.hardness(); "
    "a check without networks: ds.diffice.forward_check(result)"
)


def is_result(dataset: xr.Dataset) -> bool:
    """Tell whether a Dataset is what `SSAViscosityInverter.predict` returned, or a part of that."""
    return "stop_reason" in dataset.attrs and any(name in dataset for name in VISCOSITIES)


@dataclass(frozen=True)
class Overview:
    """How the training of a prediction ended, and what came out.

    Parameters
    ----------
    rows : tuple of (str, str)
        What, and its value in words.
    doubt : str or None
        Why nothing of it is to be trusted.
    """

    rows: tuple[tuple[str, str], ...]
    doubt: str | None

    def __str__(self) -> str:
        width = max(len(name) for name, _ in self.rows)
        lines = ["xdiffice: an inferred viscosity", ""]
        lines += [f"{name.ljust(width)}  {value}" for name, value in self.rows]
        lines += ["", *([f"Doubt: {self.doubt}"] if self.doubt else []), f"Next: {_NEXT}"]
        return "\n".join(lines)

    __repr__ = __str__

    def _repr_html_(self) -> str:
        last = [f"Doubt: {self.doubt}"] if self.doubt else []
        below = "".join(f"<p>{escape(text)}</p>" for text in [*last, f"Next: {_NEXT}"])
        head = "<p><b>xdiffice: an inferred viscosity</b></p>"
        return f'<div class="xdiffice-report">{head}{table(self.rows)}{below}</div>'


def overview(result: xr.Dataset) -> Overview:
    """Sum a prediction up.

    Parameters
    ----------
    result : Dataset
        Of `SSAViscosityInverter.predict`. What dask has yet to compute is left away.

    Returns
    -------
    Overview
        Prints as lines, and as a table in notebooks.
    """
    rows = []
    for name in VISCOSITIES:
        for one in (name, name + SPREAD):
            if one in result and result[one].chunks is None:
                rows += _distribution(one, result[one])
    for name in (str(each) for each in result if str(each).endswith(QUANTILE)):
        levels = ", ".join(f"{100 * level:g} %" for level in np.ravel(result[name]["quantile"]))
        rows.append((name.replace("_", " "), levels))
    if QUALITY in result and result[QUALITY].chunks is None:
        found = shares(whole_numbers(result[QUALITY].values)).items()
        told = ", ".join(f"{percent(share)} {words(flag)}" for flag, share in found)
        rows.append(("of the shelf", told))
    return Overview((*rows, *outcome_rows(result.attrs)), doubt(result.attrs))


def _distribution(name: str, array: xr.DataArray) -> list[tuple[str, str]]:
    values = array.values[np.isfinite(array.values)]
    if not values.size:
        return []
    low, middle, high = np.quantile(values, [0.05, 0.5, 0.95])
    units = str(array.attrs.get("units", "")) if not name.endswith(SPREAD) else "(a factor)"
    told = f"median {middle:.3g} {units}, 5 to 95 % of pixels {low:.3g} to {high:.3g}"
    return [(name.replace("_", " "), told)]
