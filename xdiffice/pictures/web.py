"""A result as one page for a browser: maps, tables and provenance, without anything from outside.

The page is a single file that can be sent around; on a phone its maps stand below each other.
"""

from __future__ import annotations

import ast
import base64
import io
import re
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from xdiffice.markup import table
from xdiffice.pictures.curves import draw_history
from xdiffice.pictures.layers import extent, thinned
from xdiffice.pictures.maps import map_size, require_matplotlib, round_length
from xdiffice.pictures.observed import Observed
from xdiffice.pictures.summary import draw_layer, page
from xdiffice.results.names import OUTPUT_VARIABLES, QUALITY, QUANTILE, SPREAD, Quality
from xdiffice.results.outcome import outcome_rows

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_CONSTANTS = ("ice_density", "sea_water_density", "gravity", "seconds_per_year")

_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; margin: 0; color: #222; background: #fff; }
main { max-width: 75rem; margin: 0 auto; padding: 1rem; }
h1 { font-size: 1.5rem; line-height: 1.25; }
h2 { font-size: 1.15rem; margin: 2rem 0 .5rem; border-bottom: 1px solid #ddd; }
.maps { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(20rem, 100%), 1fr)); }
figure { margin: 0; }
img { width: 100%; height: auto; }
table { border-collapse: collapse; }
.scroll { overflow-x: auto; }
th, td { text-align: left; padding: .2rem 1rem .2rem 0; vertical-align: top; }
th { font-weight: 500; color: #555; }
td { overflow-wrap: break-word; }
li { overflow-wrap: anywhere; }
"""


def web_page(
    result: xr.Dataset, observed: Observed | None = None, history: xr.Dataset | None = None
) -> str:
    """Return a result as HTML, complete in itself.

    Parameters
    ----------
    result : xarray.Dataset
        What `SSAViscosityInverter.predict` returns.
    observed : Observed, optional
        The data that it is from, to be shown beside the fit with the misfit.
    history : xarray.Dataset, optional
        ``history_`` of the fitted estimator.

    Returns
    -------
    str
        The page.

    Raises
    ------
    MissingDependencyError
        matplotlib is not installed.
    VariableNotFoundError
        Nothing to show.
    CoordinateError
        The result has no usable coordinates.
    """
    require_matplotlib()
    title = str(result.attrs.get("title") or "Viscosity of an ice shelf")
    sections = {
        "Training": _table(outcome_rows(result.attrs)),
        "Maps": _maps(result, observed),
        "Values": _table(_values(result), ("", "5 %", "median", "95 %", "units")),
        "Where the flow determines the viscosity": _table(_quality(result)),
        "How the training went": "" if history is None else _curves(history),
        "Configuration": _table(_configuration(result.attrs)),
        "Provenance": _provenance(result.attrs),
        "How to cite": _citations(str(result.attrs.get("references") or "")),
    }
    parts = (f"<section><h2>{name}</h2>{body}</section>" for name, body in sections.items() if body)
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{_STYLE}</style></head>"
        f"<body><main><h1>{escape(title)}</h1>{''.join(parts)}</main></body></html>\n"
    )


def _table(rows: Iterable[Sequence[str]], head: Sequence[str] = ()) -> str:
    """Return a table that scrolls by itself where it is wider than the page."""
    found = table(rows, head)
    return f'<div class="scroll">{found}</div>' if found else ""


def _maps(result: xr.Dataset, observed: Observed | None) -> str:
    from matplotlib.figure import Figure

    figures = []
    for layer in page(result, observed):
        figure = Figure(figsize=map_size(layer), layout="constrained")
        draw_layer(figure.subplots(), layer, observed)
        size = round_length(0.3 * extent(layer.grid)[0])
        figures.append(_picture(figure, f"map of {layer.title}, scale bar {size:g} km"))
    return f'<div class="maps">{"".join(figures)}</div>'


def _curves(history: xr.Dataset) -> str:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8.0, 4.0), layout="constrained")
    draw_history(history, figure.subplots())
    return _picture(figure, "root mean squares of misfits and residuals against iterations")


def _picture(figure: Figure, description: str) -> str:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=110)
    data = base64.b64encode(buffer.getvalue()).decode()
    source = f"data:image/png;base64,{data}"
    return f'<figure><img alt="{escape(description)}" src="{source}"></figure>'


def _values(result: xr.Dataset) -> list[tuple[str, ...]]:
    """Quantiles of every field over the shelf."""
    rows = []
    for name, array in thinned(result).data_vars.items():
        shown = array.dtype.kind == "f" and not str(name).endswith(QUANTILE)
        values = array.values[np.isfinite(array.values)] if shown else np.array([])
        if values.size and (str(name) in OUTPUT_VARIABLES or "units" in array.attrs):
            numbers = (f"{value:.4g}" for value in np.quantile(values, [0.05, 0.5, 0.95]))
            unit = str(array.attrs.get("units", ""))
            meaning = "factor" if str(name).endswith(SPREAD) else unit
            rows.append((str(name).replace("_", " "), *numbers, meaning))
    return rows


def _quality(result: xr.Dataset) -> list[tuple[str, str]]:
    """Share of every flag, of the pixels that have a value."""
    if QUALITY not in result:
        return []
    flags = thinned(result)[QUALITY].values
    shelf = max(int((flags != Quality.OUTSIDE).sum()), 1)
    shares = {flag: float((flags == flag).sum()) / shelf for flag in Quality if flag}
    return [
        (flag.name.lower().replace("_", " "), f"{100 * share:.3g} %")
        for flag, share in shares.items()
        if share
    ]


def _configuration(attrs: Mapping[Any, Any]) -> list[tuple[str, str]]:
    rows = [*parameters(str(attrs.get("estimator") or "")).items()]
    rows += [
        (name.replace("_", " "), f"{attrs[name]:.10g}") for name in _CONSTANTS if name in attrs
    ]
    return rows


def parameters(estimator: str) -> dict[str, str]:
    """Parameters in the repr of an estimator: those that are not the defaults.

    Examples
    --------
    >>> parameters("SSAViscosityInverter(max_seconds=60, subdomains='auto')")
    {'max_seconds': '60', 'subdomains': "'auto'"}
    """
    if not estimator.strip():
        return {}
    try:
        call = ast.parse(estimator.strip(), mode="eval").body
    except SyntaxError:  # a parameter whose repr is no Python
        return {"estimator": estimator}
    if not isinstance(call, ast.Call):
        return {"estimator": estimator}
    return {keyword.arg or "": ast.unparse(keyword.value) for keyword in call.keywords}


def _provenance(attrs: Mapping[Any, Any]) -> str:
    lines = [*str(attrs.get("history") or "").splitlines()]
    items = "".join(f"<li>{escape(line)}</li>" for line in lines if line.strip())
    source = _table([("source", str(attrs["source"]))]) if "source" in attrs else ""
    return source + (f"<ul>{items}</ul>" if items else "")


def _citations(references: str) -> str:
    """List references, with links to their DOIs."""
    items = "".join(
        f"<li>{_DOI.sub(_link, escape(one.strip()))}</li>" for one in references.split(";") if one
    )
    return f"<ul>{items}</ul>" if items else ""


_DOI = re.compile(r"doi:(10\.\S+)")


def _link(found: re.Match[str]) -> str:
    return f'<a href="https://doi.org/{found[1]}">doi:{found[1]}</a>'
