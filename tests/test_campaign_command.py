"""``xdiffice campaign``: a file in TOML says what is done, the exit status whether it was."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import xarray as xr
from small_fits import SMALL, disc

from xdiffice import FileFormatError, ParameterError
from xdiffice.campaigns.configuration import read_configuration
from xdiffice.cli import main

DOCS = Path(__file__).resolve().parents[1] / "docs" / "campaigns.md"


def toml(**tables) -> str:
    """Write tables of plain values as TOML."""
    head = {key: value for key, value in tables.items() if not isinstance(value, dict)}
    lines = [f"{key} = {_value(value)}" for key, value in head.items()]
    for name, content in tables.items():
        if isinstance(content, dict):
            lines += [f"[{name}]", *(f"{key} = {_value(one)}" for key, one in content.items())]
    return "\n".join(lines)


def _value(value) -> str:
    return str(value).lower() if isinstance(value, bool) else repr(value)


def test_a_campaign_from_the_command_line(tmp_path, capsys):
    disc().to_netcdf(tmp_path / "one.nc")
    config = tmp_path / "shelves.toml"
    config.write_text(
        toml(
            store="all.zarr",
            inverter=SMALL,
            datasets={"one": "one.nc", "other": "other.nc"},
            cluster={"n_workers": 1},
            output={"variables": ["viscosity", "thickness"]},
        )
    )
    assert main(["campaign", str(config)]) == 1
    out, err = capsys.readouterr()
    assert "computed  one\n" in out
    assert re.search(r"failed    other: FileFormatError: there is no file .*other.nc", out)
    assert err.splitlines()[-1].startswith("xdiffice: failed: other; the others are in ")
    assert "\r" not in err  # a log has lines
    assert re.search(r"^campaign: 1 of 2 runs(, 1 failed)?, \d+ s$", err, re.MULTILINE)
    assert re.search(r"^campaign: 2 of 2 runs, 1 failed, \d+ s$", err, re.MULTILINE)
    disc().to_netcdf(tmp_path / "other.nc")
    assert main(["campaign", str(config), "--quiet"]) == 0
    assert capsys.readouterr().out == ""
    with xr.open_datatree(tmp_path / "all.zarr", engine="zarr", consolidated=False) as tree:
        for name in ("one", "other"):
            assert set(tree[name].data_vars) == {"viscosity", "thickness"}
            assert tree[name].attrs["status"] == "complete"
    assert main(["campaign", str(config)]) == 0
    assert "skipped   one\nskipped   other\nwrote " in capsys.readouterr().out


def test_the_file_of_the_docs_is_read(tmp_path):
    (text,) = re.findall(r"^```toml\n(.*?)^```$", DOCS.read_text(), re.MULTILINE | re.DOTALL)
    config = tmp_path / "shelves.toml"
    config.write_text(text)
    found = read_configuration(config)
    assert found.pop("store") == tmp_path / "antarctica.zarr"
    assert found.pop("datasets") == {
        "larsen_b": tmp_path / "larsen_b.nc",
        "larsen_c": {
            "velocity": tmp_path / "antarctic_velocity.nc",
            "thickness": tmp_path / "antarctic_bed.nc",
            "name": "Larsen C",
        },
    }
    sets = found.pop("inverter")
    assert {name: one.rheology for name, one in sets.items()} == {
        "isotropic": "isotropic",
        "glen": "glen",
    }
    assert {one.max_iterations for one in sets.values()} == {5000}
    assert found == {
        "client": None,
        "n_workers": 2,
        "memory_limit": "6GB",
        "variables": ["viscosity", "x_velocity", "y_velocity"],
    }


def test_a_mask_may_be_a_name_and_files_may_be_many(tmp_path):
    config = tmp_path / "shelves.toml"
    (tmp_path / "mask.nc").touch()
    config.write_text(
        'store = "s.zarr"\n[datasets.a]\nvelocity = ["vx.tif", "vy.tif"]\nmask = "ice"\n'
        '[datasets.b]\nvelocity = "v.nc"\nmask = "mask.nc"\nbbox = [0, 0, 1, 1]\n'
    )
    found = read_configuration(config)["datasets"]
    assert found["a"] == {"velocity": [tmp_path / "vx.tif", tmp_path / "vy.tif"], "mask": "ice"}
    assert found["b"]["mask"] == tmp_path / "mask.nc"
    assert found["b"]["bbox"] == [0, 0, 1, 1]


@pytest.mark.parametrize(
    ("text", "error", "message"),
    [
        ("store = ", FileFormatError, "is no TOML"),
        ("", ParameterError, "'store' is missing; 'datasets' is missing"),
        ("store='s'\nspeed=3\n[datasets]", ParameterError, "'speed' is unknown; known are store"),
        (
            "store='s'\n[datasets]\n[inverter]\nwidht=3\n[cluster]\ncores=2",
            ParameterError,
            r"'widht' is unknown in \[inverter\].*'cores' is unknown in \[cluster\]",
        ),
        (
            "store='s'\n[datasets]\n[parameters.a]\nwidht=3",
            ParameterError,
            r"'widht' is unknown in \[parameters.a\]",
        ),
        ("store='s'\ninverter=3\n[datasets]", ParameterError, r"\[inverter\] is no table"),
        ("store='s'\nparameters=3\n[datasets]", ParameterError, r"\[parameters\] is no table"),
        ("store=3\n[datasets]", ParameterError, "store is the path of a directory, not 3"),
        ("store='s'\ndatasets=3", ParameterError, r"\[datasets\] is no table"),
    ],
)
def test_what_is_wrong_with_a_file_is_said(tmp_path, text, error, message):
    config = tmp_path / "shelves.toml"
    config.write_text(text)
    with pytest.raises(error, match=message):
        read_configuration(config)


def test_no_file(tmp_path, capsys):
    assert main(["campaign", str(tmp_path / "no.toml")]) == 2
    assert "no such file" in capsys.readouterr().err
