"""HTML that several pages need."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape


def table(rows: Iterable[Sequence[str]], head: Sequence[str] = ()) -> str:
    """Return rows of text as a table, the first cell as head of its row; nothing without rows."""
    body = "".join(
        f'<tr><th scope="row">{escape(name)}</th>'
        + "".join(f"<td>{escape(cell)}</td>" for cell in cells)
        + "</tr>"
        for name, *cells in rows
    )
    titles = "".join(f'<th scope="col">{escape(title)}</th>' for title in head)
    above = f"<thead><tr>{titles}</tr></thead>" if head else ""
    return f"<table>{above}<tbody>{body}</tbody></table>" if body else ""
