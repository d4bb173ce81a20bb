"""The README is true: its two commands, its ten lines and its tables of names.

Its code is run by test_docs.py, with the docs.
"""

from __future__ import annotations

import ast
import inspect
import re
import subprocess
import sys
from pathlib import Path

import pytest
import xarray as xr

import xdiffice
from xdiffice.observations.variables import ROLES, find
from xdiffice.physics.rheology import RHEOLOGIES
from xdiffice.results.names import OUTPUT_VARIABLES, SPREAD

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(language: str, text: str = README) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def python_block() -> str:
    (code,) = blocks("python", section("Ten lines"))
    return code


def section(title: str) -> str:
    parts = re.split(r"^## ", README, flags=re.MULTILINE)
    return {part.partition("\n")[0]: part for part in parts}[title]


def rows(title: str) -> list[list[str]]:
    """First-column names of the table in a section."""
    lines = [line for line in section(title).splitlines() if line.startswith("| `")]
    return [re.findall(r"`([a-z_]+)`", line.split("|")[1]) for line in lines]


def test_two_commands_set_everything_up():
    commands = [line for text in blocks("bash") for line in text.splitlines() if "venv" in line]
    assert len(commands) == 2
    main_job, tests = commands
    assert main_job.endswith("&& xdiffice demo")
    assert tests.endswith("&& pytest")
    for command in commands:
        assert command.startswith("python3 -m venv .venv && . .venv/bin/activate && pip install ")
    # .ci/run finds the second by this pattern
    assert re.findall(r"^python3 -m venv .*&& pytest$", README, re.MULTILINE) == [tests]


def test_ten_lines_are_at_most_ten():
    code = [line for line in python_block().splitlines() if line.strip()]
    assert len(code) <= 10


def test_names_in_the_ten_lines_exist():
    for node in ast.walk(ast.parse(python_block())):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            if node.value.id == "xdiffice":
                assert hasattr(xdiffice, node.attr), node.attr
            if node.value.id == "ds" and node.attr != "diffice":
                assert hasattr(xr.Dataset, node.attr)


def test_parameters_in_the_ten_lines_exist():
    known = set(inspect.signature(xdiffice.SSAViscosityInverter).parameters)
    calls = [node for node in ast.walk(ast.parse(python_block())) if isinstance(node, ast.Call)]
    made = [c for c in calls if ast.unparse(c.func).endswith("SSAViscosityInverter")]
    assert made
    for call in made:
        assert {keyword.arg for keyword in call.keywords} <= known


@pytest.mark.slow
def test_ten_lines_run_as_they_stand(tmp_path):
    subprocess.run([sys.executable, "-c", python_block()], check=True, cwd=tmp_path, timeout=600)
    assert (tmp_path / "viscosity.nc").stat().st_size


def test_roles_in_the_table_are_roles():
    for names in rows("What goes in"):
        assert set(names) <= set(ROLES), names


def test_example_names_in_the_table_are_recognised():
    lines = [line for line in section("What goes in").splitlines() if line.startswith("| `")]
    checked = 0
    for line in lines:
        cells = line.split("|")
        role = re.findall(r"`([a-z_]+)`", cells[1])[0]
        for column, make in (
            (3, lambda name: {"anything": ("p", [1.0], {"standard_name": name})}),
            (4, lambda name: {name: ("p", [1.0])}),
        ):
            for name in re.findall(r"`(\w+)`", cells[column]):
                found = find([xr.Dataset(make(name))], role)
                if found is None and role == "x_velocity_error":
                    found = find([xr.Dataset(make(name))], "thickness_error")
                assert found is not None, (role, name)
                checked += 1
    assert checked >= 12


def test_output_variables_in_the_table_exist():
    names = {name for row in rows("What comes out") for name in row}
    of_rheologies = {name for one in RHEOLOGIES.values() for name in one.quantities}
    spreads = {f"{name}{SPREAD}" for name in ("viscosity", *of_rheologies)}
    assert names <= {*OUTPUT_VARIABLES, *of_rheologies, *spreads}
    assert of_rheologies <= names
    assert {"viscosity", "x_momentum_residual"} <= names
