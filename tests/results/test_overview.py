"""What a prediction shows of itself has the numbers that are in it."""

from __future__ import annotations

import json

import numpy as np
import pytest
import xarray as xr

import xdiffice
from xdiffice.cli import main
from xdiffice.results.overview import is_result, overview

ATTRS = {"stop_reason": "tolerance", "n_iter": 1200, "residual_momentum": 0.031}


def result(**attrs) -> xr.Dataset:
    viscosity = np.linspace(0, 200, 201).reshape(3, 67) * 1e12
    flags = np.ones((3, 67), "i1")
    flags[0, :17], flags[1, :46] = 0, 5
    return xr.Dataset(
        {
            "viscosity": (("y", "x"), viscosity, {"units": "Pa s"}),
            "viscosity_quality": (("y", "x"), flags),
        },
        attrs=ATTRS | attrs,
    )


def test_it_tells_how_large_how_sure_and_why_it_ended():
    rows = dict(overview(result()).rows)
    assert rows["viscosity"] == "median 1e+14 Pa s, 5 to 95 % of pixels 1e+13 to 1.9e+14"
    assert rows["of the shelf"] == "75 % determined, 25 % near gap"
    assert rows["stopped by"] == "tolerance (converged: no further progress)"
    assert rows["momentum: residual, of the driving stress (rms)"] == "3.1 %"
    assert overview(result()).doubt is None


def test_the_accessor_shows_it_as_text_and_html():
    text, page = repr(result().diffice), result().diffice._repr_html_()
    for part in ("an inferred viscosity", "median 1e+14 Pa s", "75 % determined", "plot.summary"):
        assert part in text
        assert part in page
    assert "cannot be inverted" not in text
    assert "cannot be inverted" in repr(xr.Dataset({"viscosity": ("x", [1.0])}).diffice)


def test_doubt_is_shown():
    bad = result(residual_momentum=1.46, stop_reason="max_seconds")
    assert "Doubt: the momentum balance is off by 146 %" in repr(bad.diffice)
    assert "off by 146 %" in bad.diffice._repr_html_()


def test_what_a_forward_model_makes_of_it_comes_before_the_share_of_the_stress():
    good = result(residual_front=0.04, noise_velocity=0.0062, residual_velocity=0.0064)
    rows = [*overview(good).rows][-3:]
    assert rows == [
        ("velocity: a forward model with this viscosity misses it by",
         "0.64 %; the noise of the data is 0.62 %"),
        ("momentum: residual of the networks, of the driving stress (rms)", "3.1 %"),
        ("front: residual of the networks, of the stress at the front (rms)", "4 %"),
    ]  # fmt: skip
    assert overview(good.assign_attrs(residual_momentum=1.46)).doubt is None
    bad = good.assign_attrs(residual_velocity=0.2)
    assert "misses the observed velocity by 20 %, where the noise" in str(overview(bad).doubt)


def test_of_an_ensemble_the_spread_is_a_factor_and_quantiles_are_named():
    ds = result().assign(
        viscosity_std=(("y", "x"), np.full((3, 67), 1.07), {"units": "1"}),
        viscosity_quantile=(("quantile", "y", "x"), np.ones((2, 3, 67))),
    )
    rows = dict(overview(ds.assign_coords(quantile=[0.05, 0.95])).rows)
    assert rows["viscosity std"].startswith("median 1.07 (a factor)")
    assert rows["viscosity quantile"] == "5 %, 95 %"


def test_nothing_is_computed():
    dask = pytest.importorskip("dask")

    def refuse(*_, **__):
        raise AssertionError("computed")

    with dask.config.set(scheduler=refuse):
        rows = dict(overview(result().chunk(x=10)).rows)
    assert "viscosity" not in rows
    assert rows["iterations"] == "1200"


def test_results_are_told_from_observations():
    assert is_result(result())
    assert not is_result(xdiffice.synthetic.uniaxial_shelf((8, 12)))
    assert not is_result(xr.Dataset(attrs=ATTRS))


def test_the_command_shows_a_result(capsys, tmp_path):
    result().to_netcdf(tmp_path / "result.nc")
    assert main(["info", str(tmp_path / "result.nc")]) == 0
    assert "median 1e+14 Pa s" in capsys.readouterr().out
    assert main(["info", str(tmp_path / "result.nc"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["iterations"] == "1200"
