"""The documentation as a site: `sphinx-build -W docs build/site`, see CONTRIBUTING.md."""

from __future__ import annotations

import os

from docutils import nodes
from docutils.parsers.rst import Directive

import xdiffice
from xdiffice.cli import _parser

project = "xdiffice"
author = "The xdiffice developers"
version = release = xdiffice.__version__

extensions = [
    "myst_parser",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.intersphinx",
    "sphinx.ext.mathjax",
    "sphinx_gallery.gen_gallery",
]
exclude_patterns = ["_templates"]
templates_path = ["_templates"]
html_theme = "pydata_sphinx_theme"
html_title = "xdiffice"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_show_sourcelink = False
html_theme_options = {
    "show_toc_level": 2,
    "navigation_with_keys": False,
    "footer_start": ["copyright"],
    "footer_end": [],
}
copyright = "the xdiffice developers, MIT licence"

# Pages are Markdown that a code-hosting site shows as well: headings have its anchors.
myst_heading_anchors = 3
myst_enable_extensions = ["dollarmath"]

# Names in docstrings are links where there is such an object.
default_role = "py:obj"
autosummary_generate = True
autodoc_typehints = "none"  # numpydoc sections have the types, in words
numpydoc_show_class_members = False  # the template of a class shows them
numpydoc_xref_param_type = True
numpydoc_xref_ignore = "all"  # types are words; only these are links
# By default words are labels of other projects, which are warned of where they are missing.
_WORDS = "None bool boolean int float str dict list tuple callable iterable sequence array_like"
numpydoc_xref_aliases = {word: word for word in _WORDS.split()} | {
    "Dataset": "xarray.Dataset",
    "DataArray": "xarray.DataArray",
    "ndarray": "numpy.ndarray",
    "Partition": "xdiffice.observations.regions.Partition",
    "Rheology": "xdiffice.Rheology",
    "SSAViscosityInverter": "xdiffice.SSAViscosityInverter",
}

# Links into other projects need their inventories from the network. Only on demand: a build is the
# same wherever it runs, and somebody else's server that is down breaks none.
intersphinx_mapping = {}
if os.environ.get("XDIFFICE_DOCS_ONLINE"):
    intersphinx_mapping = {
        "dask": ("https://docs.dask.org/en/stable", None),
        "jax": ("https://docs.jax.dev/en/latest", None),
        "matplotlib": ("https://matplotlib.org/stable", None),
        "numpy": ("https://numpy.org/doc/stable", None),
        "python": ("https://docs.python.org/3", None),
        "scipy": ("https://docs.scipy.org/doc/scipy", None),
        "sklearn": ("https://scikit-learn.org/stable", None),
        "xarray": ("https://docs.xarray.dev/en/stable", None),
    }
# Without them names of others lead nowhere; our own have to, with `sphinx-build -n`.
# (A table of names has no page.)
nitpick_ignore_regex = [("py:.*", r"(?!xdiffice).*"), ("py:obj", r".*\.ROLES")]

sphinx_gallery_conf = {
    "examples_dirs": "../examples",
    "gallery_dirs": "gallery",
    "filename_pattern": r"\.py$",  # all are executed
    "download_all_examples": False,
    "show_signature": False,
    "min_reported_time": 0,
}

# What a page links in the repository is a page here, too; and so is what these two link.
PAGES = {"README.md": "overview.md", "CONTRIBUTING.md": "contributing.md"}


def _link_pages(app, *where_and_text):
    text = where_and_text[-1]
    for file, page in PAGES.items():
        text[0] = (
            text[0].replace(f"](../{file}", f"]({page}").replace(f"]({file}", f"](docs/{page}")
        )


class CommandHelp(Directive):
    """What the command, or one of its subcommands, prints with ``--help``."""

    optional_arguments = 1

    def run(self):
        """Return it as it is printed on a terminal of 80 columns."""
        os.environ["COLUMNS"] = "80"
        parser = _parser()
        if self.arguments:
            parser = next(a for a in parser._actions if a.dest == "command").choices[
                self.arguments[0]
            ]
        text = parser.format_help()
        return [nodes.literal_block(text, text, language="text")]


def setup(app):
    """Connect what is special about this site."""
    app.connect("source-read", _link_pages)
    app.connect("include-read", _link_pages)
    app.add_directive("command-help", CommandHelp)
