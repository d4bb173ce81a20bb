"""Links of a built site that lead nowhere: to files, or to places in them, that do not exist.

    python tests/links.py build/site

Addresses of other sites are left alone.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit


@dataclass
class Page(HTMLParser):
    """What a page links, and where it can be linked."""

    links: set[str] = field(default_factory=set)
    places: set[str] = field(default_factory=set)

    def __post_init__(self):
        super().__init__()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if value and name in ("href", "src"):
                self.links.add(value)
            elif value and (name == "id" or (name == "name" and tag == "a")):
                self.places.add(value)


def read(path: Path) -> Page:
    page = Page()
    page.feed(path.read_text(encoding="utf-8"))
    return page


def broken_links(site: Path) -> list[str]:
    """Say for every broken link of the pages in a folder, and below, which it is and where."""
    site = site.resolve()
    found = (path for path in sorted(site.rglob("*.html")) if path.parent.name != "_static")
    pages = {path: read(path) for path in found}  # without templates of the theme
    problems = []
    for path, page in pages.items():
        for link in sorted(page.links):
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            target = path if not parts.path else (path.parent / unquote(parts.path)).resolve()
            where = f"{path.relative_to(site)}: {link}"
            place = unquote(parts.fragment)
            if not target.exists():
                problems.append(f"{where}: no such file")
            elif place and target in pages and place not in pages[target].places:
                problems.append(f"{where}: no such place")
    return problems


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("site", type=Path, help="folder of the built pages")
    site = parser.parse_args().site
    if not any(site.rglob("*.html")):
        parser.error(f"there are no pages in {site}")
    problems = broken_links(site)
    print("\n".join(problems) or "no broken links")
    return bool(problems)


if __name__ == "__main__":
    sys.exit(main())
