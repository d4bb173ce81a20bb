"""Every public name says what it does, takes, returns and raises, as numpydoc wants it."""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Iterator
from enum import Enum
from typing import Any

import pytest
from numpydoc.validate import validate

import xdiffice
from xdiffice import errors
from xdiffice.observations.report import Report
from xdiffice.pictures.plots import Plots

CHECKS = {
    "GL06",  # sections have the names that numpydoc knows
    "GL07",  # in their order
    "GL08",  # there is one
    "PR01",  # all parameters
    "PR02",  # and no others
    "PR03",  # in the order of the signature
    "PR04",  # with a type
    "PR07",  # and what they mean
    "RT01",  # what is returned
    "RT03",  # and what it is
    "SS01",  # a summary
    "SS02",  # that begins with a capital letter
    "SS03",  # and ends with a full stop
    "YD01",  # what is yielded
}
FOUND_BY_USE = [Report, Plots]  # what methods return, and users call methods of


def is_own(thing: Any) -> bool:
    return getattr(thing, "__module__", "").startswith("xdiffice")


def objects() -> dict[str, Any]:
    """Classes and functions that users import, by name."""
    found = list(FOUND_BY_USE)
    for name in xdiffice.__all__:
        thing = getattr(xdiffice, name)
        if inspect.ismodule(thing):
            inside = getattr(thing, "__all__", [key for key in vars(thing) if key[0] != "_"])
            found += [getattr(thing, key) for key in inside]
        else:
            found.append(thing)
    kinds = (inspect.isclass, inspect.isfunction)
    return {
        f"{thing.__module__}.{thing.__qualname__}": thing
        for thing in found
        if is_own(thing) and any(is_kind(thing) for is_kind in kinds)
    }


def is_inherited(kind: type, name: str) -> bool:
    """Tell whether a method does what one of a base promises, where it is described."""
    return any(name in vars(base) for base in kind.__mro__[1:])


def public() -> Iterator[str]:
    """Names of these, and of their public methods and properties."""
    for path, thing in objects().items():
        yield path
        if inspect.isclass(thing):
            for name, member in vars(thing).items():
                described = isinstance(member, property) or callable(
                    getattr(member, "__func__", member)
                )
                if name[0] != "_" and described and not is_inherited(thing, name):
                    yield f"{path}.{name}"


NAMES = sorted(public())


def test_the_list_has_what_users_call():
    assert len(NAMES) > 80
    assert {
        "xdiffice.accessor.DifficeAccessor.flow_exponent",
        "xdiffice.campaigns.conduct.campaign",
        "xdiffice.errors.UnitsError",
        "xdiffice.inverter.SSAViscosityInverter.predict",
        "xdiffice.observations.shelf.assemble",
        "xdiffice.physics.rheology.Rheology.viscosities",
        "xdiffice.pictures.plots.Plots.summary",
        "xdiffice.synthetic.confined.confined_shelf",
        "xdiffice.tutorial.open_dataset",
    } <= {*NAMES}


@pytest.mark.parametrize("name", NAMES)
def test_everything_is_described(name):
    thing = objects().get(name)
    # Nobody calls an enumeration; what it seems to take is for those who make one.
    enumeration = inspect.isclass(thing) and issubclass(thing, Enum)
    wanted = CHECKS - {"PR01"} if enumeration else CHECKS
    found = validate(name)["errors"]
    assert [f"{code} {text}" for code, text in found if code in wanted] == []


def raised(function: Any) -> set[type]:
    """Errors of the package that the body of a function raises itself."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
    calls = (node.exc for node in ast.walk(tree) if isinstance(node, ast.Raise))
    names = (ast.unparse(call.func) for call in calls if isinstance(call, ast.Call))
    found = (getattr(errors, name.rpartition(".")[2], None) for name in names)
    return {one for one in found if one is not None}


def said(text: str) -> set[type]:
    """Errors that the section about errors names."""
    section = text.partition("Raises\n")[2].partition("\n\n")[0]
    words = section.replace(",", " ").split()
    return {getattr(errors, word) for word in words if word.endswith(("Error", "Warning"))
            and hasattr(errors, word)}  # fmt: skip


def functions() -> dict[str, Any]:
    found = {}
    for name in NAMES:
        path, _, last = name.rpartition(".")
        thing = objects().get(name) or getattr(objects()[path], last)
        thing = thing.fget if isinstance(thing, property) else thing
        if inspect.isfunction(thing):
            found[name] = thing
    return found


@pytest.mark.parametrize("name", list(functions()))
def test_errors_are_described(name):
    function = functions()[name]
    told = said(inspect.getdoc(function) or "")
    missing = [one.__name__ for one in raised(function) if not told & {*one.__mro__}]
    assert missing == []


def test_what_is_missing_would_be_seen():
    def bad(x):
        """no capital letter"""
        raise errors.UnitsError(x)

    assert raised(bad) == {errors.UnitsError}
    assert said(bad.__doc__) == set()
    assert said("Raises\n------\nUnitsError, ParameterError\n    When.\n\nNotes") == {
        errors.UnitsError, errors.ParameterError
    }  # fmt: skip
