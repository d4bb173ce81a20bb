"""The report tells what was found, in numbers and words, and never raises."""

import json
from html.parser import HTMLParser

import numpy as np
import pytest
import xarray as xr
from shelves import shelf

from xdiffice.observations.report import front_length, report
from xdiffice.physics.constants import SECONDS_PER_YEAR


def test_numbers():
    ds = shelf()
    ds.x_velocity.values[0, :4] = np.nan
    ds.x_velocity.values[1, :3] = ds.y_velocity.values[1, :3] = 0.0
    ds.thickness.values[2, :5] = 0.0
    found = report(ds)
    assert found.ok
    assert found.problems == ()
    by_role = {one.role: one for one in found.variables}
    u = by_role["x_velocity"]
    assert (u.name, u.units, u.grid, u.dims) == (
        "x_velocity",
        "m s-1",
        "raster",
        {"y": 18, "x": 24},
    )
    assert u.spacing == 2000.0
    assert u.extent == (10e3, 56e3, -20e3, 14e3)
    assert u.missing == pytest.approx(4 / 432)
    assert by_role["mask"].name is None
    assert by_role["x_front"].dims == {"front": 40}
    numbers = found.numbers
    assert numbers["zero_velocities"] == 3
    speed = numbers["speed_m_per_year"]
    assert speed["maximum"] == pytest.approx(1e-9 * np.hypot(56e3, 20e3) * SECONDS_PER_YEAR)
    assert numbers["thickness_m"]["minimum"] == pytest.approx(400 - 56 - 10)
    assert numbers["front_points"] == 40
    assert numbers["front_length_m"] == pytest.approx(34e3, rel=0.15)
    assert numbers["velocity_points"] == numbers["domain_points"] == 432 - 7
    assert numbers["thickness_points"] == 432 - 5


def test_text():
    text = str(report(shelf()))
    assert text.startswith("xdiffice: this Dataset can be inverted\n")
    for part in (
        "raster y 18 × x 24, 2000 m, x 10 to 56 km, y -20 to 14 km",
        "calving front of 40 points",
        "432 velocities and 432 thicknesses can be used, each counted on its own grid",
        "on a shelf of 432 pixels of the velocity",
    ):
        assert part in text
    assert "mask" not in text
    assert repr(report(shelf())) == text


def test_notes_and_problems():
    ds = shelf().drop_dims("front")
    ds.thickness.attrs["units"] = "bananas"
    ds.x_velocity.values[:] = ds.y_velocity.values[:] = 0.0
    found = report(ds)
    assert not found.ok
    text = str(found)
    assert "cannot be inverted yet, 3 problems" in text
    assert "x_front     not found" in text
    for problem in found.problems:
        assert f"  - {problem}" in text
    assert any("bananas" in problem for problem in found.problems)
    assert any("exactly zero" in note for note in found.notes)


class Texts(HTMLParser):
    def __init__(self):
        super().__init__()
        self.tags, self.open, self.texts = set(), [], []

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.texts.append(data)


def test_html_is_escaped_and_well_formed():
    ds = shelf().rename(thickness="<script>")
    ds["<script>"].attrs["units"] = "<b>&"
    found = report(ds)
    parser = Texts()
    parser.feed(found._repr_html_())
    assert parser.open == []
    assert parser.tags == {"div", "p", "b", "table", "thead", "tbody", "tr", "th", "td", "ul", "li"}
    for text in ("<script>", "<b>&", *found.problems):
        assert text in parser.texts


def test_dict_is_plain():
    result = report(shelf()).to_dict()
    assert json.loads(json.dumps(result)) == result
    assert result["ok"] is True
    assert result["variables"][0]["role"] == "x_velocity"


@pytest.mark.parametrize(
    "thing",
    [
        None,
        3,
        xr.Dataset(),
        xr.Dataset({"x_velocity": ((), 1.0)}),
        xr.Dataset({"x_velocity": ("x", [1.0]), "y_velocity": ("y", [1.0])}),
        xr.Dataset({"x_velocity": (("y", "x"), np.empty((0, 0)))}, coords={"x": [], "y": []}),
        xr.Dataset({"vx": ("x", [object()]), "vy": ("x", ["a"])}, coords={"x": [0.0]}),
        xr.Dataset({1: ("x", [1.0]), "mask": ("x", [None])}),
        shelf().isel(x=slice(0, 0)),
        shelf().isel(front=slice(0, 0)),
        shelf().isel(x=[0], y=[0]),
        shelf().isel(x=0),
        shelf().assign_coords(x=("x", [object()] * 24)),
        shelf().assign(mask=(("y", "x"), np.full((18, 24), "a"))),
        shelf().assign(mask=((), True)),
    ],
)
def test_never_raises(thing):
    found = report(thing)
    assert not found.ok
    assert str(found)
    assert found._repr_html_()
    json.dumps(found.to_dict())
    assert not any("cannot be read" in problem for problem in found.problems)


def test_front_length_in_any_order():
    rng = np.random.default_rng(3)
    angle = np.linspace(0, np.pi, 800)
    x, y = 30e3 * np.cos(angle), 30e3 * np.sin(angle)
    order = rng.permutation(800)
    assert front_length(x[order], y[order], 500.0) == pytest.approx(30e3 * np.pi, rel=0.05)
    # two rows of points along one front
    x2, y2 = np.concatenate([x, x * 1.01]), np.concatenate([y, y * 1.01])
    assert front_length(x2, y2, 500.0) == pytest.approx(30e3 * np.pi, rel=0.1)
    assert front_length(x[:1], y[:1], 500.0) is None


def test_the_product_and_the_constants_are_told(tmp_path):
    import real_products

    with xr.open_dataset(real_products.measures(tmp_path / "velocity.nc")) as ds:
        told = ds.diffice.report()
    assert told.product == "MEaSUREs phase-based velocity (NSIDC-0754)"
    assert f"recognised as {told.product}" in str(told)
    assert told.to_dict()["constants"] == {
        "ice_density": 917.0,
        "sea_water_density": 1030.0,
        "gravity": 9.8,
        "seconds_per_year": 365.25 * 86400,
    }
    assert "ice 917 and sea water 1030 kg m-3" in told._repr_html_()
    assert report(xr.Dataset()).product is None
