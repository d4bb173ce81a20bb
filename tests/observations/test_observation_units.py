"""Units as real files write them."""

import numpy as np
import pint
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from xdiffice.errors import UnitsError
from xdiffice.observations.units import factor, magnitude, units_of, written_units
from xdiffice.physics.constants import SECONDS_PER_YEAR

PER_YEAR = 1.0 / SECONDS_PER_YEAR


@pytest.mark.parametrize(
    ("units", "expected"),
    [
        ("m s-1", 1.0),
        ("m/s", 1.0),
        ("m s^-1", 1.0),
        ("m s**-1", 1.0),
        ("m d-1", 1 / 86400),
        ("m day-1", 1 / 86400),
        ("km s-1", 1e3),
        ("cm s-1", 1e-2),
        ("km yr-1", 1e3 * PER_YEAR),
        *(
            (units, PER_YEAR)
            for units in (
                "m a-1",
                "m yr-1",
                "m year-1",
                "meter year-1",
                "m/yr",
                "m/a",
                "m/y",
                "m y-1",
                "m/year",
                "meter/year",
                "meters/year",
                "meters per year",
                "m yr⁻¹",
                "m a⁻¹",
                "m yr^{-1}",
                "m.yr-1",
                " m yr-1 ",
                "m annum-1",
                "Meters/Year",
            )
        ),
    ],
)
def test_velocity_units(units, expected):
    assert factor(units, "m s-1", "vx") == pytest.approx(expected, rel=1e-14)


@pytest.mark.parametrize(
    ("units", "expected"),
    [
        ("m", 1.0),
        ("meter", 1.0),
        ("meters", 1.0),
        ("metre", 1.0),
        ("metres", 1.0),
        ("Meters", 1.0),
        ("METERS", 1.0),
        ("km", 1e3),
        ("1e3 m", 1e3),
        ("10 km", 1e4),
        ("1e-3 km", 1.0),
        ("100 m", 100.0),
    ],
)
def test_length_units(units, expected):
    assert factor(units, "m", "x") == pytest.approx(expected, rel=1e-14)


@pytest.mark.parametrize(
    ("units", "si", "expected"),
    [("%", "1", 0.01), ("1", "1", 1.0), ("Pa s", "Pa s", 1.0), ("MPa a", "Pa s", 3.15576e13)],
)
def test_other_units(units, si, expected):
    assert factor(units, si, "mask") == pytest.approx(expected, rel=1e-14)


@pytest.mark.parametrize("units", [None, "", "   "])
def test_no_units(units):
    with pytest.raises(UnitsError, match=r"'vx' has no units; .*units=\{'vx': '...'\}"):
        factor(units, "m s-1", "vx")


@pytest.mark.parametrize(
    "units", ["Count", "None", "m w.e.", "furlongs per fortnite", "m yr-", "?"]
)
def test_unknown_units(units):
    with pytest.raises(UnitsError, match="'thing' cannot be understood"):
        factor(units, "m", "thing")


@pytest.mark.parametrize("units", ["m", "Pa s", "M", "degrees", "m2 s-1", "1"])
def test_wrong_dimension(units):
    with pytest.raises(UnitsError, match="have dimension"):
        factor(units, "m s-1", "vx")


def test_errors_are_raised_again():
    for _ in range(2):
        with pytest.raises(UnitsError):
            factor("Count", "m", "x")


@settings(max_examples=20, deadline=None)
@given(
    length=st.sampled_from(["m", "km", "cm", "meter"]),
    time=st.sampled_from(["s", "d", "day", "a", "yr", "year"]),
)
def test_ways_to_write_a_quotient_agree(length, time):
    values = {
        factor(text, "m s-1", "vx")
        for text in (f"{length}/{time}", f"{length} {time}-1", f"{length} {time}^-1")
    }
    assert max(values) == pytest.approx(min(values), rel=1e-14)


def test_application_registry_is_left_alone():
    before = pint.get_application_registry().get()
    factor("m a-1", "m s-1", "vx")
    assert pint.get_application_registry().get() is before
    with pytest.raises(pint.UndefinedUnitError):
        pint.UnitRegistry()("Meters")


def test_quantified_arrays():
    registry = pint.UnitRegistry()
    array = xr.DataArray(registry.Quantity(np.ones(3), "m/year"), dims="p")
    assert factor(written_units(array), "m s-1", "vx") == pytest.approx(PER_YEAR, rel=1e-14)
    assert type(magnitude(array)) is np.ndarray


def test_explicit_units():
    array = xr.DataArray([1.0], dims="p", attrs={"units": "m s-1"}, name="vx")
    notes: list[str] = []
    assert units_of(array, "vx", "x_velocity", None, notes) == "m s-1"
    assert units_of(array, "vx", "x_velocity", {"vx": "m s-1"}, notes) == "m s-1"
    assert notes == []
    assert units_of(array, "vx", "x_velocity", {"x_velocity": "m a-1"}, notes) == "m a-1"
    assert "units of 'vx' taken as 'm a-1'" in notes[0]
    assert "'m s-1'" in notes[0]
    # the variable's own name is more particular than its role
    both = {"x_velocity": "m a-1", "vx": "m d-1"}
    assert units_of(array, "vx", "x_velocity", both, notes) == "m d-1"
