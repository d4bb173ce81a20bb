"""What is given away: a wheel and an sdist, nothing missing, nothing stray; and how to cite it."""

from __future__ import annotations

import re
import shutil
import subprocess
import tarfile
import tomllib
import zipfile
from datetime import date
from email.parser import HeaderParser
from importlib.metadata import version
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

import xdiffice

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
CONSTRAINTS = ROOT / "tests" / "oldest.txt"
RECIPE = ROOT / "docs" / "packaging.md"
TOP = {"CITATION.cff", "CONTRIBUTING.md", "LICENSE", "PKG-INFO", "README.md", "pyproject.toml"}


def requirements(*extras: str) -> dict[str, Requirement]:
    """Requirements of the package and of extras, but for the package itself."""
    optional = PROJECT["project"]["optional-dependencies"]
    lines = [*PROJECT["project"]["dependencies"], *(one for e in extras for one in optional[e])]
    found = [Requirement(line) for line in lines]
    return {one.name: one for one in found if one.name != "xdiffice"}


def sources() -> set[str]:
    """Files of the package."""
    found = (ROOT / "xdiffice").rglob("*")
    kept = (path for path in found if path.is_file() and "__pycache__" not in path.parts)
    return {path.relative_to(ROOT).as_posix() for path in kept}


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """The sdist of this checkout, and the wheel of that sdist, where there is no git."""
    build = pytest.importorskip("hatchling.build")
    folder = tmp_path_factory.mktemp("dist")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(ROOT)
        sdist = folder / build.build_sdist(str(folder))
        with tarfile.open(sdist) as archive:
            archive.extractall(folder / "unpacked", filter="data")
        (unpacked,) = (folder / "unpacked").iterdir()
        patch.chdir(unpacked)
        wheel = folder / build.build_wheel(str(folder))
    return sdist, wheel, unpacked


def metadata(wheel: Path):
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith("/METADATA"))
        return HeaderParser().parsestr(archive.read(name).decode())


def test_the_wheel_has_the_package_and_nothing_else(built):
    with zipfile.ZipFile(built[1]) as archive:
        names = set(archive.namelist())
    info = f"{built[1].name.removesuffix('-py3-none-any.whl')}.dist-info"
    described = {"METADATA", "RECORD", "WHEEL", "entry_points.txt", "licenses/LICENSE"}
    assert names == sources() | {f"{info}/{name}" for name in described}
    assert "xdiffice/py.typed" in names
    assert {Path(name).suffix for name in sources()} == {".py", ".typed"}


def test_the_sdist_has_everything_that_is_kept_in_git_and_nothing_else(built):
    sdist, _, unpacked = built
    found = {
        path.relative_to(unpacked).as_posix() for path in unpacked.rglob("*") if path.is_file()
    }
    assert found >= TOP | sources()
    assert {name.partition("/")[0] for name in found} == TOP | {
        ".gitignore", "docs", "examples", "tests", "xdiffice"
    }  # fmt: skip
    assert sdist.stat().st_size < 5e6
    if shutil.which("git") is None or not (ROOT / ".git").exists():
        pytest.skip("no git to compare with")
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    kept = {name for name in listed.splitlines() if (ROOT / name).exists()}
    assert found - {"PKG-INFO"} == {name for name in kept if not name.startswith(".ci/")}


def test_the_version_is_the_same_everywhere(built):
    """A tag's in the sdist, and from there in a wheel that is built without git."""
    sdist, wheel, unpacked = built
    told = HeaderParser().parsestr((unpacked / "PKG-INFO").read_text(encoding="utf-8"))["Version"]
    assert metadata(wheel)["Version"] == told
    assert sdist.name == f"xdiffice-{told}.tar.gz"
    assert Version(told) >= Version("0.1.dev0")
    assert "version" in PROJECT["project"]["dynamic"]


def test_the_version_is_that_of_the_installed_package():
    assert xdiffice.__version__ == version("xdiffice")


def test_the_metadata_is_accepted_by_an_index(built):
    twine = pytest.importorskip("twine.commands.check")
    assert twine.check([str(path) for path in built[:2]], strict=True) is False  # no failure
    told = metadata(built[1])
    assert told["License-Expression"] == "MIT"
    assert told["Requires-Python"] == ">=3.11"
    lines = [line for line in told.get_all("Requires-Dist") if "extra" not in line]
    asked = {canonicalize_name(Requirement(line).name) for line in lines}
    assert asked == {canonicalize_name(name) for name in requirements()}


def test_the_oldest_dependencies_are_the_lower_bounds():
    pinned = {}
    for line in CONSTRAINTS.read_text(encoding="utf-8").splitlines():
        if line and not line.startswith("#"):
            name, _, oldest = line.partition("==")
            pinned[name] = oldest
    bounds = {}
    extras = PROJECT["project"]["optional-dependencies"].keys() - {"docs"}  # built with the newest
    for name, one in requirements(*extras).items():
        (specifier,) = one.specifier
        assert specifier.operator == ">=", name
        bounds[name] = specifier.version
    assert {k: Version(v) for k, v in pinned.items()} == {k: Version(v) for k, v in bounds.items()}


def test_bounds_are_the_same_wherever_they_are_written():
    optional = PROJECT["project"]["optional-dependencies"]
    written: dict[str, set[str]] = {}
    for line in [
        *PROJECT["project"]["dependencies"],
        *(one for e in optional.values() for one in e),
    ]:
        one = Requirement(line)
        written.setdefault(one.name, set()).add(str(one.specifier))
    written.pop("xdiffice")
    assert {name: found for name, found in written.items() if len(found) > 1} == {}


def test_the_recipe_asks_for_what_the_package_asks_for():
    (block,) = re.findall(r"^```yaml\n(.*?)^```$", RECIPE.read_text(encoding="utf-8"), re.M | re.S)
    recipe = yaml.safe_load(re.sub(r"\$\{\{ ?(\w+) ?\}\}", r"\1", block))
    names = {"optax": "optax", "netCDF4": "netcdf4"}  # where conda-forge has another name
    run = {line.split()[0]: line.split()[1:] for line in recipe["requirements"]["run"]}
    assert run.pop("python") == [">=python_min"]
    expected = {names.get(name, name): [str(one.specifier)] for name, one in requirements().items()}
    assert run == expected
    assert recipe["context"]["python_min"] == PROJECT["project"]["requires-python"][2:]
    host = {line.split()[0]: line.split()[1:] for line in recipe["requirements"]["host"]}
    asked = {(one := Requirement(line)).name: [str(one.specifier)]
             for line in PROJECT["build-system"]["requires"]}  # fmt: skip
    assert {name: host[name] for name in asked} == asked
    assert recipe["about"]["license"] == PROJECT["project"]["license"]
    assert recipe["about"]["summary"] == PROJECT["project"]["description"]


PERSON = {"family-names", "given-names", "name-particle", "name-suffix", "orcid", "affiliation"}
WORK = {"type", "title", "authors", "journal", "year", "volume", "issue", "start", "end", "doi"}
FILE = {
    "cff-version", "message", "title", "type", "license", "authors", "keywords", "abstract",
    "repository-code", "preferred-citation", "references",
}  # fmt: skip


def test_the_citation_file_is_one():
    """Keys and values that version 1.2.0 of the format has."""
    cff = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert cff["cff-version"] == "1.2.0"
    assert cff["type"] == "software"
    assert {"message", "title", "authors"} <= cff.keys() <= FILE
    assert cff["license"] == PROJECT["project"]["license"]
    assert [one["name"] for one in cff["authors"]] == [
        one["name"] for one in PROJECT["project"]["authors"]
    ]
    assert len(set(cff["keywords"])) == len(cff["keywords"])
    works = [cff["preferred-citation"], *cff["references"]]
    for work in works:
        assert {"type", "title", "authors", "doi"} <= work.keys() <= WORK
        assert work["type"] == "article"
        assert re.fullmatch(r"10\.\d{4,9}/\S+", work["doi"])
        assert 2000 < work["year"] <= date.today().year
        for name in {"volume", "issue", "year", "start", "end"} & work.keys():
            assert isinstance(work[name], int), name
        for person in work["authors"]:
            assert {"family-names", "given-names"} <= person.keys() <= PERSON
            if "orcid" in person:
                assert is_orcid(person["orcid"]), person
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    for work in works:
        assert work["title"] in " ".join(readme.split())
        assert work["doi"] in readme


def is_orcid(url: str) -> bool:
    """Tell whether the last digit is the checksum of the others (ISO 7064, mod 11-2)."""
    digits = url.removeprefix("https://orcid.org/").replace("-", "")
    total = 0
    for digit in digits[:-1]:
        total = (total + int(digit)) * 2
    return len(digits) == 16 and digits[-1] == "0123456789X"[(12 - total % 11) % 11]


def test_checksums_of_persons_can_fail():
    assert is_orcid("https://orcid.org/0000-0002-3987-9038")
    assert not is_orcid("https://orcid.org/0000-0002-3987-9039")
