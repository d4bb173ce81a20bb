"""Every block of code in the README and the docs runs, and every link leads somewhere.

The blocks of a page run in their order, in one folder and one namespace, as for somebody who types
them. Files that a page is about are small ones with the headers of the real products; trainings
end after a few iterations.
"""

from __future__ import annotations

import argparse
import re
import runpy
import shlex
import shutil
import sys
import tomllib
import types
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest
from links import broken_links
from small_fits import SMALL

import xdiffice
from xdiffice import cli

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
FENCE = re.compile(r"^```(\S*)[^\n]*\n(.*?)^```$", re.MULTILINE | re.DOTALL)
SET_UP = re.compile(r"^python3 -m venv \.venv && \. \.venv/bin/activate && pip install ")
OLDEST = re.compile(
    r"^python3\.11 -m venv \.venv-oldest && \.venv-oldest/bin/pip install .* -c (\S+)$"
)
DIRECTIVES = {"{toctree}", "{include}", "{command-help}"}  # the build of the site checks them
CHECKS = {"mypy", "pip", "pytest", "ruff", "sphinx-build"}
PROSE = {"text"}  # equations
RECIPES = {"yaml"}  # test_packaging.py reads them
ITERATIONS = 20
SLOW = {"campaigns.md"}  # fits twelve shelves

MINE = ("my_velocity.nc", "my_thickness.nc")

# What a reader of a page has before the first line, by the name that the page has for it.
PREPARED = {
    "README.md": (
        "shelf.nc",
        "velocity.nc",
        "bed.nc",
        "front.nc",
        "antarctic_velocity.nc",
        "BedMachineAntarctica-v3.nc",
        *MINE,
    ),
    "benchmarks.md": ("LarsenC.nc",),
    "campaigns.md": ("antarctic_velocity.nc", "antarctic_bed.nc", "larsen_b.nc"),
    "command.md": ("shelf.nc",),
    "diffice_jax.md": ("data_pinns_LarsenC.mat",),
    "inputs.md": (
        "antarctic_ice_vel_phase_map_v01.nc",
        "BedMachineAntarctica-v3.nc",
        "BAS_2011_Adelaide_AIR_BM3.csv",
        *MINE,
    ),
    "large.md": ("larsen_c.nc",),
    "real_data.md": ("antarctic_ice_vel_phase_map_v01.nc", "BedMachineAntarctica-v3.nc"),
    "start.md": MINE,
}


@dataclass(frozen=True)
class Block:
    """Code between fences."""

    page: Path
    line: int
    language: str
    text: str

    @property
    def where(self) -> str:
        return f"{self.page.name}:{self.line}"


def blocks(page: Path) -> list[Block]:
    text = page.read_text(encoding="utf-8")
    return [
        Block(page, text.count("\n", 0, match.start()) + 1, match[1], match[2])
        for match in FENCE.finditer(text)
    ]


@pytest.fixture(scope="module")
def files(products, tmp_path_factory) -> Path:
    """Small files under all names that pages have for them."""
    folder = tmp_path_factory.mktemp("files")
    velocity = products.measures(folder / "antarctic_ice_vel_phase_map_v01.nc")
    bed = products.bedmachine(folder / "BedMachineAntarctica-v3.nc", version=3)
    products.bedmap_points(folder / "BAS_2011_Adelaide_AIR_BM3.csv")
    products.mat(folder / "data_pinns_LarsenC.mat")
    shutil.copy(velocity, folder / "antarctic_velocity.nc")
    shutil.copy(bed, folder / "antarctic_bed.nc")
    shelf = xdiffice.assemble(velocity, bed, name="Larsen C")
    for name in ("shelf.nc", "larsen_b.nc", "larsen_c.nc", "LarsenC.nc"):
        shelf.to_netcdf(folder / name)
    for name, ds in zip(MINE, products.two_files(), strict=True):
        ds.to_netcdf(folder / name)
    front = ["x_front", "y_front", "x_normal", "y_normal"]
    moving = shelf[["x_velocity", "y_velocity"]].rename(x_velocity="vx", y_velocity="vy")
    for name in moving:
        del moving[name].attrs["units"]
    moving.drop_encoding().to_netcdf(folder / "velocity.nc")
    shelf[["thickness"]].drop_encoding().to_netcdf(folder / "bed.nc")
    shelf[front].to_netcdf(folder / "front.nc")
    return folder


@pytest.fixture
def small_budgets(monkeypatch):
    """Trainings are over soon, whatever a page asks for; networks and shelves are small."""
    from xdiffice.training.budget import Budget

    estimator = xdiffice.SSAViscosityInverter
    for name, size in SMALL.items():
        monkeypatch.setitem(estimator.__init__.__kwdefaults__, name, size)
    monkeypatch.setattr(estimator, "_budget", lambda self: Budget(None, ITERATIONS))
    monkeypatch.setattr(xdiffice.synthetic.confined_shelf, "__defaults__", ((40, 64),))


@pytest.fixture
def one_place(monkeypatch, products):
    """All shelves of Antarctica are where the small files have theirs."""
    from xdiffice.observations.gazetteer import PLACES

    for name in PLACES:
        monkeypatch.setitem(PLACES, name, products.CENTRE)


@pytest.fixture
def small_cluster(monkeypatch, tmp_path, files):
    """Workers are threads of this process: here, on the addresses of a page, and on SLURM."""
    from distributed import Client, LocalCluster

    from xdiffice.campaigns import conduct

    class SLURMCluster(LocalCluster):
        """Takes what the one of dask-jobqueue does."""

        def __init__(self, *, queue, cores, processes, memory, walltime, job_script_prologue):
            super().__init__(
                n_workers=1, threads_per_worker=cores, processes=False, dashboard_address=":0"
            )
            started.append(self)

        def scale(self, n=None, *, jobs=None):
            if jobs is None:
                super().scale(n)
            else:
                assert jobs > 1  # one worker has to do

    @contextmanager
    def client_of(client, local):
        if isinstance(client, Client):
            yield client
            return
        assert client is None or client.startswith("tcp://")
        options = {"processes": False, "dashboard_address": ":0", "threads_per_worker": 1}
        with LocalCluster(n_workers=1, **options) as cluster, Client(cluster) as connected:
            yield connected

    started: list[LocalCluster] = []
    module = types.ModuleType("dask_jobqueue")
    module.SLURMCluster = SLURMCluster  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "dask_jobqueue", module)
    monkeypatch.setattr(conduct, "_client", client_of)
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "ice").mkdir()
    for name, source in {
        "antarctica_ice_velocity_450m_v2.nc": "antarctic_velocity.nc",
        "BedMachineAntarctica-v3.nc": "antarctic_bed.nc",
    }.items():
        shutil.copy(files / source, tmp_path / "ice" / name)
    yield
    for client in [*Client._instances]:
        client.close()
    for cluster in started:
        cluster.close()


@pytest.fixture
def folder(files, tmp_path, monkeypatch, request) -> Path:
    """Return where the page runs, with what its reader has."""
    import matplotlib.pyplot as plt

    for name in PREPARED.get(request.param, ()):
        shutil.copy(files / name, tmp_path / name)
    monkeypatch.chdir(tmp_path)
    plt.switch_backend("Agg")
    yield tmp_path
    plt.close("all")


def run_python(block: Block, names: dict) -> None:
    code = "\n" * block.line + block.text  # so that a traceback has the line of the page
    exec(compile(code, str(block.page), "exec"), names)


def read_toml(block: Block, folder: Path) -> None:
    """Read a configuration by the reader of the command that takes it."""
    from xdiffice.campaigns.configuration import read_configuration
    from xdiffice.toml import read_parameters

    name = re.match(r"# (\S+\.toml)\n", block.text)
    assert name, f"{block.where}: the first line is no comment with the name of the file"
    path = folder / name[1]
    path.write_text(block.text, encoding="utf-8")
    if "datasets" in tomllib.loads(block.text):
        assert read_configuration(path)["datasets"]
    else:
        xdiffice.SSAViscosityInverter(**read_parameters(path, xdiffice.SSAViscosityInverter))


class ParsedError(Exception):
    """Arguments were understood; nothing is to be run."""


def parse_only(script: Path, arguments: list[str], monkeypatch) -> None:
    """Let a script read its arguments, and stop it then."""

    def parse(parser, *_):
        raise ParsedError(understand(parser, arguments))

    understand = argparse.ArgumentParser.parse_args
    # Modules beside the script may have the names of others that tests have imported.
    beside = {path.stem for path in script.parent.glob("*.py")}
    others = {name: sys.modules.pop(name) for name in beside & {*sys.modules}}
    try:
        with monkeypatch.context() as patch:
            patch.setattr(argparse.ArgumentParser, "parse_args", parse)
            patch.syspath_prepend(str(script.parent))
            patch.setattr(sys, "argv", [str(script), *arguments])
            with pytest.raises(ParsedError):
                runpy.run_path(str(script), run_name="__main__")
    finally:
        for name in beside:
            sys.modules.pop(name, None)
        sys.modules.update(others)


def run_bash(block: Block, monkeypatch) -> None:
    for line in block.text.replace("\\\n", " ").splitlines():
        words = shlex.split(line, comments=True)
        if not words:
            continue
        if SET_UP.match(line):  # those of the README, of which .ci/run runs one
            readme = (ROOT / "README.md").read_text(encoding="utf-8").splitlines()
            assert any(known.startswith(line) for known in readme), f"{block.where}: {line}"
            continue
        if match := OLDEST.match(line):  # by hand: it downloads another set of everything
            assert (ROOT / match[1]).exists(), f"{block.where}: {line}"
            continue
        if words[0] == "xdiffice":
            with suppress(SystemExit):  # of --version
                assert cli.main(words[1:]) == 0, f"{block.where}: {line}"
        elif words[0] == "python" and words[1].startswith("tests/"):
            assert (ROOT / words[1]).exists(), f"{block.where}: {line}"
            parse_only(ROOT / words[1], words[2:], monkeypatch)
        else:  # what somebody who changes the code types, and .ci/run does
            program = Path(words[0]).name  # of an environment, or of the one that is active
            assert program in CHECKS, f"{block.where}: what kind of line is {line!r}?"
            assert program in (ROOT / ".ci" / "run").read_text(encoding="utf-8")


@pytest.mark.usefixtures("small_budgets", "one_place")
@pytest.mark.parametrize(
    "folder",
    [
        pytest.param(page.name, marks=[pytest.mark.slow] if page.name in SLOW else [])
        for page in PAGES
        if blocks(page)
    ],
    indirect=True,
)
def test_the_blocks_of_a_page_run(folder, request, monkeypatch, capfd):
    name = request.node.callspec.params["folder"]
    (page,) = (page for page in PAGES if page.name == name)
    if name in SLOW:
        request.getfixturevalue("small_cluster")
    names = {"__name__": "__main__"}
    for block in blocks(page):
        if block.language == "python":
            run_python(block, names)
        elif block.language == "bash":
            run_bash(block, monkeypatch)
        elif block.language == "toml":
            read_toml(block, folder)
        else:
            assert block.language in DIRECTIVES | PROSE | RECIPES, (
                f"{block.where}: {block.language!r}?"
            )


def test_there_is_no_code_without_fences():
    for page in PAGES:
        text = FENCE.sub("", page.read_text(encoding="utf-8"))
        assert "```" not in text, page
        assert not re.search(r"\n\n {4,}\S", text), page


def anchors(page: Path) -> set[str]:
    """Anchors of the headings, as code-hosting sites and the built site make them."""
    text = FENCE.sub("", page.read_text(encoding="utf-8"))
    titles = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_between_pages_lead_somewhere(page):
    text = FENCE.sub("", page.read_text(encoding="utf-8"))
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"https?://", target):
            continue
        file, _, place = target.partition("#")
        path = (page.parent / file).resolve() if file else page
        assert path.exists(), target
        if place:
            assert place in anchors(path), target


def test_every_page_is_in_a_tree():
    listed = {
        name
        for page in PAGES
        for block in blocks(page)
        if block.language == "{toctree}"
        for name in re.findall(r"(\S+?)>?$", block.text.replace("<", " "), re.MULTILINE)
    }
    named = (ROOT / "docs" / "api.rst").read_text(encoding="utf-8")
    for page in PAGES[2:]:
        name = page.stem
        assert name == "index" or name in listed or re.search(rf"^   {name}$", named, re.MULTILINE)


def test_broken_links_of_a_site_are_found(tmp_path):
    (tmp_path / "sub").mkdir()
    (tmp_path / "index.html").write_text(
        '<h1 id="top">A</h1><a href="sub/page.html#here">b</a><a href="#top">c</a>'
        '<a href="https://example.org/none">d</a><img src="none.png">'
    )
    (tmp_path / "sub" / "page.html").write_text('<a href="../index.html#bottom">e</a>')
    assert broken_links(tmp_path) == [
        "index.html: none.png: no such file",
        "index.html: sub/page.html#here: no such place",
        "sub/page.html: ../index.html#bottom: no such place",
    ]
