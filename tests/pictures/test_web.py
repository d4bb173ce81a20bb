"""The page for a browser: what it says, that it is complete, and that a browser shows it."""

from __future__ import annotations

import base64
import json
import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

import xdiffice
from xdiffice import cli
from xdiffice.pictures import facts
from xdiffice.pictures.observed import Observed
from xdiffice.pictures.web import parameters, web_page
from xdiffice.results.names import Quality

pytest.importorskip("matplotlib")
from matplotlib.figure import Figure
from matplotlib.text import Text

BROWSER = shutil.which("chromium") or shutil.which("google-chrome")
CITED = "Wang & Lai (2025), JOSS, doi:10.21105/joss.07254; Wang et al. (2025), doi:10.1126/x"


class Reader(HTMLParser):
    """Rows of all tables by their first cell, pictures by their description, links."""

    VOID = frozenset({"meta", "img"})

    def __init__(self, text: str):
        super().__init__()
        self.rows: dict[str, list[str]] = {}
        self.images: dict[str, str] = {}
        self.links: list[str] = []
        self.open: list[str] = []
        self._row: list[str] = []
        self.feed(text)
        assert not self.open

    def handle_starttag(self, tag, attrs):
        given = dict(attrs)
        if tag not in self.VOID:
            self.open.append(tag)
        if tag == "tr":
            self._row = []
        elif tag in {"td", "th"}:
            self._row.append("")
        elif tag == "img":
            self.images[given["alt"]] = given["src"]
        elif tag == "a":
            self.links.append(given["href"])

    def handle_endtag(self, tag):
        assert self.open.pop() == tag
        if tag == "tr":
            self.rows[self._row[0]] = self._row[1:]

    def handle_data(self, data):
        if self.open and self.open[-1] in {"td", "th"}:
            self._row[-1] += data


@pytest.fixture
def described(result):
    """A result with flags and the attributes that a prediction has."""
    flags = xr.full_like(result["thickness"], Quality.DETERMINED, dtype="int8")
    flags[0] = Quality.OUTSIDE
    flags[1, :2] = Quality.NEAR_GAP
    return result.assign(viscosity_quality=flags).assign_attrs(
        title="A shelf <of ice> & more",
        estimator="SSAViscosityInverter(max_seconds=60, subdomains='auto')",
        history="2026-01-01 cut\n2026-01-02 inverted",
        references=CITED,
        source="xdiffice 0.1.0",
        stop_reason="tolerance",
        n_iter=1234,
        misfit_x_velocity=0.0123,
        residual_momentum=0.045,
        gravity=9.8,
    )


def test_tables_say_what_the_result_says(described):
    rows = Reader(web_page(described)).rows
    assert rows["stopped by"] == ["tolerance (converged: no further progress)"]
    assert rows["iterations"] == ["1234"]
    assert rows["x velocity: relative L2 misfit"] == ["1.23 %"]
    assert rows["momentum: residual, of the driving stress (rms)"] == ["4.5 %"]
    assert rows["max_seconds"] == ["60"]
    assert rows["subdomains"] == ["'auto'"]
    assert rows["gravity"] == ["9.8 m s⁻²"]
    assert rows["thickness"] == ["300", "300", "300", "m"]  # as on the map, and not in km
    assert rows["effective strain rate"] == ["0.003156", "0.003156", "0.003156", "yr⁻¹"]
    assert rows["viscosity"] == ["2.5e+14", "7e+14", "1.15e+15", "Pa s"]
    assert rows["determined"][0] == "75 %"  # of the shelf, not of the raster
    assert rows["near gap"] == ["25 %", "no velocity or thickness nearby"]
    assert "outside" not in rows
    assert rows["source"] == ["xdiffice 0.1.0"]


def test_the_first_lines_say_what_when_and_where(described, observed, tmp_path):
    velocity, flown = observed
    described["crs"] = ((), 0, {
        "grid_mapping_name": "polar_stereographic", "standard_parallel": -71.0,
        "straight_vertical_longitude_from_pole": 0.0,
    })  # fmt: skip
    described.attrs["history"] = "cut out\n2026-01-02T03:04:05Z inferred\n2026-02-03 renamed"
    described.to_netcdf(tmp_path / "result.nc")
    velocity.to_netcdf(tmp_path / "ice.nc")
    with (
        xr.open_dataset(tmp_path / "result.nc", decode_coords="all") as result,
        xr.open_dataset(tmp_path / "ice.nc") as ice,
    ):
        page = web_page(result, Observed(ice, flown))
    about = page[: page.index("<section>")]
    assert Reader(about + "</main></body></html>").rows == {
        "result": ["result.nc"],
        "data": ["ice.nc"],
        "extent": ["3 × 2 km: x from 0 to 3 km, y from 3 to 5 km"],
        "projection": ["polar stereographic, standard parallel −71°, central meridian 0°"],
        "date": ["2026-01-02"],
        "training": ["tolerance (converged: no further progress)"],
    }


@pytest.mark.parametrize(
    ("attrs", "expected"),
    [
        ({"crs_wkt": 'PROJCRS["WGS 84 / Antarctic Polar Stereographic",BASEGEOGCRS["WGS 84"]]'},
         "WGS 84 / Antarctic Polar Stereographic"),
        ({"crs_wkt": 'PROJCRS["a"]', "projected_crs_name": "b"}, "b"),
        ({"grid_mapping_name": "polar_stereographic", "standard_parallel": [70.0, 71.0]},
         "polar stereographic"),
    ],
)  # fmt: skip
def test_projections_have_the_name_that_they_give_themselves(result, attrs, expected):
    result["crs"] = ((), 0, attrs)
    assert Reader(web_page(result)).rows["projection"] == [expected]


def test_numbers_are_explained_where_they_stand(described):
    page = web_page(described)
    training, _, rest = page[page.index("<h2>Training") :].partition("</section>")
    assert "about 5 % of the driving stress or less is usual on a real shelf" in training
    assert "Misfits are fitted minus observed" in training
    flags = rest[rest.index("<h2>Where the flow") :].partition("</section>")[0]
    assert "Flags say, in shares of the shelf, whether the flow determines" in flags
    bare = described[["viscosity"]]
    bare.attrs = {}
    for sentence in (facts.FORWARD, facts.MISFIT, facts.RESIDUAL, facts.FLAGS):
        assert sentence not in web_page(bare)


def test_what_a_forward_model_makes_of_it_comes_first(described):
    assert facts.FORWARD not in web_page(described)  # of a version that had none
    page = web_page(described.assign_attrs(residual_velocity=0.0064, noise_velocity=0.0062))
    said = "0.64 %; the noise of the data is 0.62 %"
    rows = Reader(page).rows
    assert rows["flow"] == [
        f"a forward model with this viscosity misses the observed velocity by {said}"
    ]
    assert rows["velocity: a forward model with this viscosity misses it by"] == [said]
    assert rows["momentum: residual of the networks, of the driving stress (rms)"] == ["4.5 %"]
    assert facts.FORWARD in page
    assert page.index(facts.FORWARD) < page.index(facts.RESIDUAL_OF_NETWORKS)
    assert facts.RESIDUAL not in page


def test_a_spread_is_a_factor_and_a_quantile_no_row(result):
    result["viscosity_std"] = xr.full_like(result["thickness"], 1.07).assign_attrs(units="1")
    result["viscosity_quantile"] = result["viscosity"].expand_dims(quantile=[0.05, 0.95])
    rows = Reader(web_page(result)).rows
    assert rows["viscosity std"] == ["1.07", "1.07", "1.07", "factor"]
    assert "viscosity quantile" not in rows


def test_text_in_pictures_is_readable_on_a_phone(described, fitted, monkeypatch):
    sizes = []

    def remember(figure, *args, **kwargs):
        shown = [text for text in figure.findobj(Text) if text.get_text() and text.get_visible()]
        per_point = (400 - 2 * 16) / figure.get_figwidth() / 72
        sizes.append(per_point * min(text.get_fontsize() for text in shown))

    monkeypatch.setattr(Figure, "savefig", remember)
    _, inverter = fitted
    web_page(described, history=inverter.history_)
    assert len(sizes) == 6
    assert min(sizes) > 10  # pixels


def test_what_others_wrote_is_text_and_no_markup(described):
    page = web_page(described)
    assert "<title>A shelf &lt;of ice&gt; &amp; more</title>" in page
    assert "2026-01-02 inverted" in page
    links = Reader(page).links
    assert links == ["https://doi.org/10.21105/joss.07254", "https://doi.org/10.1126/x"]


def test_nothing_is_fetched_from_outside(described):
    page = web_page(described)
    sources = re.findall(r'(?:src|srcset|data|action)="([^"]*)"', page)
    assert sources
    assert all(source.startswith("data:image/png;base64,") for source in sources)
    assert not re.search(r"<(link|script|iframe)\b|@import|url\(", page)


def test_maps_have_descriptions_and_stand_beside_the_data(described, observed):
    velocity, flown = observed
    images = Reader(web_page(described, Observed(velocity, flown))).images
    assert {
        "map of observed speed, scale bar 0.5 km",
        "map of misfit of thickness: fitted − observed, scale bar 0.5 km",
        "map of viscosity, scale bar 0.5 km",
    } <= set(images)
    for source in images.values():
        assert base64.b64decode(source.partition(",")[2])[:8] == b"\x89PNG\r\n\x1a\n"


def test_a_bare_result_makes_a_page(result):
    rows = Reader(web_page(result)).rows
    assert set(rows) == {"extent", "", "viscosity", "x velocity", "y velocity", "thickness",
                         "effective strain rate"}  # fmt: skip


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("SSAViscosityInverter()", {}),
        ("SSAViscosityInverter(\n    rheology=Glen(n=3.0),\n    width=16)",
         {"rheology": "Glen(n=3.0)", "width": "16"}),
        ("SSAViscosityInverter(rheology=<object at 0x1>)",
         {"estimator": "SSAViscosityInverter(rheology=<object at 0x1>)"}),
        ("something", {"estimator": "something"}),
        ("", {}),
    ],
)  # fmt: skip
def test_parameters_are_read_and_never_run(text, expected):
    assert parameters(text) == expected


def test_accessor_gives_the_page_or_writes_it(described, tmp_path):
    text = described.diffice.to_html()
    assert described.diffice.to_html(tmp_path / "page.html") is None
    assert (tmp_path / "page.html").read_text(encoding="utf-8") == text
    assert [path.name for path in tmp_path.iterdir()] == ["page.html"]


@pytest.fixture(scope="module")
def fitted():
    shelf = xdiffice.synthetic.confined_shelf((12, 18))
    inverter = xdiffice.SSAViscosityInverter(max_iterations=10, progress=False)
    return shelf, inverter.fit(shelf)


def test_command_makes_a_page_of_a_result_beside_its_data(fitted, tmp_path, capsys):
    shelf, inverter = fitted
    shelf.to_netcdf(tmp_path / "shelf.nc")
    inverter.predict().to_netcdf(tmp_path / "result.nc")
    command = ["report", f"{tmp_path}/result.nc", "-o", f"{tmp_path}/page.html"]
    assert cli.main([*command, "--data", f"{tmp_path}/shelf.nc"]) == 0
    page = Reader((tmp_path / "page.html").read_text(encoding="utf-8"))
    assert page.rows["iterations"] == ["10"]
    misfit = float(page.rows["thickness: relative L2 misfit"][0].removesuffix(" %"))
    assert misfit == pytest.approx(100 * inverter.misfit_["thickness"], rel=5e-3)
    assert any("misfit of speed" in name for name in page.images)
    assert capsys.readouterr().out == f"wrote {tmp_path}/page.html\n"
    assert cli.main(command) == cli.BAD_INPUT
    assert "exists" in capsys.readouterr().err


def test_command_makes_a_page_of_a_saved_inverter(fitted, tmp_path):
    _, inverter = fitted
    inverter.save(tmp_path / "model.nc")
    assert cli.main(["report", f"{tmp_path}/model.nc", "-o", f"{tmp_path}/page.html"]) == 0
    page = Reader((tmp_path / "page.html").read_text(encoding="utf-8"))
    assert page.rows["iterations"] == ["10"]
    assert "root mean squares of misfits and residuals against iterations" in page.images


def test_command_says_what_is_no_result(tmp_path, capsys):
    xr.Dataset({"bed": ("x", np.zeros(3))}).to_netcdf(tmp_path / "bed.nc")
    assert cli.main(["report", f"{tmp_path}/bed.nc", "-o", f"{tmp_path}/p.html"]) == cli.BAD_INPUT
    assert "is no result" in capsys.readouterr().err
    assert not (tmp_path / "p.html").exists()


def test_notebooks_show_how_the_training_ended(fitted):
    _, inverter = fitted
    shown = inverter._repr_mimebundle_()["text/html"]
    assert '<th scope="row">iterations</th><td>10</td>' in shown
    misfit = f"{100 * inverter.misfit_['thickness']:.3g} %"
    assert f"thickness: relative L2 misfit</th><td>{misfit}</td>" in shown
    unfitted = type(inverter)()._repr_mimebundle_()["text/html"]
    assert "iterations</th><td>" not in unfitted


PROBE = """<script>addEventListener("load", () => parent.postMessage(JSON.stringify({
  width: document.documentElement.scrollWidth, window: innerWidth,
  columns: new Set([...document.images].map(i => Math.round(i.getBoundingClientRect().x))).size,
  images: [...document.images].map(i => i.naturalWidth),
}), "*"))</script></main>"""
FRAME = """<!doctype html><pre id="found"></pre><script>
addEventListener("message", e => document.getElementById("found").textContent = e.data)
</script><iframe src="page.html" style="width:{width}px;height:800px;border:0"></iframe>"""


def in_browser(page: str, width: int, folder: Path) -> dict:
    """What a browser makes of the page in a window so wide."""
    (folder / "page.html").write_text(page.replace("</main>", PROBE), encoding="utf-8")
    (folder / "frame.html").write_text(FRAME.format(width=width), encoding="utf-8")
    flags = "--headless --no-sandbox --disable-gpu --no-first-run --disable-sync --disable-quic "
    flags += "--disable-background-networking --disable-component-update --hide-scrollbars "
    flags += f"--user-data-dir={folder}/profile --window-size=1600,1000 "
    flags += "--virtual-time-budget=20000 --dump-dom"
    command = [str(BROWSER), *flags.split(), f"file://{folder}/frame.html"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    return json.loads(re.search(r'<pre id="found">(.*?)</pre>', done.stdout)[1])


@pytest.mark.skipif(BROWSER is None, reason="no chromium or google-chrome to show the page")
@pytest.mark.parametrize(("width", "columns"), [(360, 1), (1280, 3)])
def test_a_browser_shows_all_of_it_on_a_phone_and_a_desk(
    described, observed, tmp_path, width, columns
):
    velocity, flown = observed
    seen = in_browser(web_page(described, Observed(velocity, flown)), width, tmp_path)
    assert seen["window"] == width
    assert seen["width"] <= width  # nothing to scroll sideways
    assert seen["columns"] == columns
    assert len(seen["images"]) == 9
    assert min(seen["images"]) > 300  # all of them were decoded
