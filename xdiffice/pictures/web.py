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
from xdiffice.pictures import facts
from xdiffice.pictures.curves import draw_history
from xdiffice.pictures.layers import Layer, layer
from xdiffice.pictures.maps import map_size, require_matplotlib, scale_length
from xdiffice.pictures.observed import Observed
from xdiffice.pictures.summary import Page, draw_layer, page
from xdiffice.results.names import OUTPUT_VARIABLES, QUANTILE, VISCOSITIES
from xdiffice.results.outcome import outcome_rows

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Pictures are as wide as a phone, so that their text is as large there as that around them.
_MAP_WIDTH, _LEGEND_WIDTH = 4.2, 0.6
_CURVES_SIZE = (4.4, 3.4)
_SMALLEST = 9
"""Points; a phone shows 13 pixels of them."""

_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; margin: 0; color: #222; background: #fff; }
main { max-width: 75rem; margin: 0 auto; padding: 1rem; }
h1 { font-size: 1.5rem; line-height: 1.25; }
h2 { font-size: 1.15rem; margin: 2rem 0 .5rem; border-bottom: 1px solid #ddd; }
.maps { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(20rem, 100%), 1fr)); }
figure { margin: 0; }
img { width: 100%; height: auto; }
.curves { max-width: 40rem; }
p { max-width: 45rem; margin: .5rem 0; }
table { border-collapse: collapse; }
.scroll { overflow-x: auto; }
th, td { text-align: left; padding: .2rem 1rem .2rem 0; vertical-align: top; }
th { font-weight: 500; color: #555; }
td { overflow-wrap: break-word; }
.values td, .flags td:nth-child(2) { white-space: nowrap; }
@media (max-width: 30rem) { th, td { padding-right: .4rem; font-size: .85rem; }
  .values th, .values td { font-size: .78rem; } }
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
    shown = page(result, observed)
    flags = _table(facts.quality(result))
    values = _table(_values(result), ("", "5 %", "median", "95 %", "units"))
    sections = {
        "Training": _table(outcome_rows(result.attrs)) + _text(facts.explanations(result.attrs)),
        "Maps": _maps(shown, observed),
        "Values": values and f'<div class="values">{values}</div>',
        "Where the flow determines the viscosity": flags
        and _text([facts.FLAGS]) + f'<div class="flags">{flags}</div>',
        "How the training went": "" if history is None else _curves(history),
        "Configuration": _table(_configuration(result.attrs)),
        "Provenance": _provenance(result.attrs),
        "How to cite": _citations(str(result.attrs.get("references") or "")),
    }
    parts = (f"<section><h2>{name}</h2>{body}</section>" for name, body in sections.items() if body)
    about = _table(facts.about(result, observed, _extended(shown)))
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{_STYLE}</style></head>"
        f"<body><main><h1>{escape(title)}</h1>{about}{''.join(parts)}</main></body></html>\n"
    )


def _table(rows: Iterable[Sequence[str]], head: Sequence[str] = ()) -> str:
    """Return a table that scrolls by itself where it is wider than the page."""
    found = table(rows, head)
    return f'<div class="scroll">{found}</div>' if found else ""


def _text(sentences: Iterable[str]) -> str:
    return "".join(f"<p>{escape(sentence)}</p>" for sentence in sentences)


def _extended(shown: Page) -> Layer:
    """Return a map with the extent of the result: of its viscosity, or of whatever is first."""
    maps = [one for group in shown for one in group]
    titles = {name.replace("_", ", ") for name in VISCOSITIES}
    return next((one for one in maps if one.title in titles), maps[0])


def _maps(shown: Page, observed: Observed | None) -> str:
    from matplotlib.figure import Figure

    figures = []
    for one in (one for group in shown for one in group):
        legend = _LEGEND_WIDTH if one.scale == "categories" else 0.0
        _, height = map_size(one, _MAP_WIDTH - legend)
        figure = Figure(figsize=(_MAP_WIDTH, height), layout="constrained")
        draw_layer(figure.subplots(), one, observed)
        size = scale_length(one)
        title = one.title.replace("\n", " ")
        figures.append(_picture(figure, f"map of {title}, scale bar {size:g} km"))
    return f'<div class="maps">{"".join(figures)}</div>'


def _curves(history: xr.Dataset) -> str:
    from matplotlib.figure import Figure

    figure = Figure(figsize=_CURVES_SIZE, layout="constrained")
    draw_history(history, figure.subplots())
    text = "root mean squares of misfits and residuals against iterations"
    return f'<div class="curves">{_picture(figure, text)}</div>'


def _picture(figure: Figure, description: str) -> str:
    from matplotlib.text import Text

    for text in figure.findobj(Text):
        assert isinstance(text, Text)
        text.set_fontsize(max(text.get_fontsize(), _SMALLEST))
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=144)
    data = base64.b64encode(buffer.getvalue()).decode()
    source = f"data:image/png;base64,{data}"
    return f'<figure><img alt="{escape(description)}" src="{source}"></figure>'


def _values(result: xr.Dataset) -> list[tuple[str, ...]]:
    """Quantiles of every field over the shelf, in the units of its map."""
    placed = {result[name].dims for name in OUTPUT_VARIABLES if name in result}
    rows = []
    for name in map(str, result.data_vars):
        array = result[name]
        known = name in OUTPUT_VARIABLES or "units" in array.attrs
        if array.dtype.kind != "f" or not known or array.dims not in placed:
            continue
        if name.endswith(QUANTILE):
            continue
        field = layer(result, name)
        values = field.values[np.isfinite(field.values)]
        if values.size:
            numbers = (f"{value:.4g}" for value in np.quantile(values, [0.05, 0.5, 0.95]))
            rows.append((name.replace("_", " "), *numbers, field.unit))
    return rows


def _configuration(attrs: Mapping[Any, Any]) -> list[tuple[str, str]]:
    return [*parameters(str(attrs.get("estimator") or "")).items(), *facts.constants(attrs)]


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
