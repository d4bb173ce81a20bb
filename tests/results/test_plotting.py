"""Pictures: the values that are drawn, in the units that the colour bars promise."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import xarray as xr

from xdiffice.errors import MissingDependencyError, VariableNotFoundError
from xdiffice.results import plotting
from xdiffice.results.plotting import plot_result

pytest.importorskip("matplotlib")
YEAR = 365.25 * 86400.0


@pytest.fixture
def result():
    """A result on a 3 x 4 grid in m whose y descends; speed is 500 m/yr everywhere."""
    dims = ("y", "x")
    ones = np.ones((3, 4))
    viscosity = 1e14 * np.arange(1.0, 13.0).reshape(3, 4)
    viscosity[0, 0] = np.nan
    return xr.Dataset(
        {
            "viscosity": (dims, viscosity, {"units": "Pa s"}),
            "x_velocity": (dims, 300.0 / YEAR * ones, {"units": "m s-1"}),
            "y_velocity": (dims, 400.0 / YEAR * ones, {"units": "m s-1"}),
            "thickness": (dims, 0.3 * ones, {"units": "km"}),
            "effective_strain_rate": (dims, 1e-10 * ones, {"units": "s-1"}),
        },
        coords={
            "x": ("x", [0.0, 1000.0, 2000.0, 3000.0], {"units": "m"}),
            "y": ("y", [5000.0, 4000.0, 3000.0], {"units": "m"}),
        },
    )


def shown(figure):
    """Title -> (values, colour bar's label) of each panel, as drawn."""
    panels = [ax for ax in figure.axes if ax.get_title()]
    return {
        ax.get_title(): (ax.collections[0].get_array(), ax.collections[0].colorbar.ax.get_ylabel())
        for ax in panels
    }


def test_panels_show_the_values_in_readable_units(result):
    panels = shown(plot_result(result))
    assert list(panels) == ["speed", "thickness", "effective strain rate", "viscosity"]
    for title, value, unit in (
        ("speed", 500.0, "m yr⁻¹"),
        ("thickness", 300.0, "m"),
        ("effective strain rate", 1e-10 * YEAR, "yr⁻¹"),
    ):
        values, label = panels[title]
        np.testing.assert_allclose(values, value)
        assert label == unit
    values, label = panels["viscosity"]
    np.testing.assert_array_equal(values.filled(np.nan), result["viscosity"])
    assert label == "Pa s"


def test_axes_are_in_kilometres_and_keep_their_order(result):
    ax = plot_result(result).axes[0]
    assert ax.get_xlabel() == "x (km)"
    assert ax.get_xlim() == (-0.5, 3.5)
    mesh = ax.collections[0]
    np.testing.assert_allclose(mesh.get_coordinates()[0, 0], [-0.5, 5.5])  # y descends


def test_truth_is_drawn_in_the_same_colours_with_its_error(result):
    truth = (result[["viscosity"]] / 1.02).assign_coords(result.coords)
    figure = plot_result(result, truth)
    panels = shown(figure)
    assert "error of viscosity (L2: 2 %)" in panels
    error, unit = panels["error of viscosity (L2: 2 %)"]
    np.testing.assert_allclose(error.compressed(), 2.0)
    assert unit == "%"
    limits = {
        ax.get_title(): ax.collections[0].get_clim()
        for ax in figure.axes
        if ax.get_title().endswith("viscosity")
    }
    assert limits["viscosity"] == limits["true viscosity"]


def test_anisotropic_result_has_both_viscosities(result):
    both = result.rename(viscosity="viscosity_horizontal")
    both["viscosity_vertical"] = 2 * both["viscosity_horizontal"]
    panels = shown(plot_result(both, both))
    assert {"viscosity, horizontal", "true viscosity, vertical"} <= set(panels)


def test_points_are_drawn_as_dots(result):
    points = result.stack(shot=("y", "x")).reset_index("shot")
    figure = plot_result(points)
    np.testing.assert_allclose(figure.axes[0].collections[0].get_offsets()[0], [0.0, 5.0])
    np.testing.assert_allclose(shown(figure)["thickness"][0], 300.0)


def test_front_is_drawn(result):
    front = xr.Dataset(
        {name: ("front", [1.0, 2.0], {"units": "km"}) for name in ("x_front", "y_front")}
    )
    for ax in plot_result(result, front=front).axes[:4]:
        np.testing.assert_allclose(ax.lines[0].get_xdata(), [1.0, 2.0])
    assert not plot_result(result, front=result).axes[0].lines
    for bad in (front.drop_vars("y_front"), front.drop_attrs()):
        assert not plot_result(result, front=bad).axes[0].lines


def test_constant_and_empty_fields_can_be_drawn(result, tmp_path):
    result["viscosity"] = xr.full_like(result["viscosity"], 1e14)
    result["thickness"] = xr.full_like(result["thickness"], np.nan)
    result["effective_strain_rate"] = xr.zeros_like(result["effective_strain_rate"])
    plot_result(result, result, tmp_path / "all.png")
    assert (tmp_path / "all.png").read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"


def test_large_rasters_are_thinned(result, monkeypatch):
    monkeypatch.setattr(plotting, "_MAX_PIXELS", 2)
    values, _ = shown(plot_result(result))["viscosity"]
    np.testing.assert_array_equal(values.filled(np.nan), result["viscosity"][::2, ::2])


def test_dataset_is_not_changed(result):
    before = result.copy(deep=True)
    plot_result(result, result)
    xr.testing.assert_identical(result, before)


def test_nothing_to_draw_is_said(result):
    with pytest.raises(VariableNotFoundError, match="found bed"):
        plot_result(result[["thickness"]].rename(thickness="bed"))


def test_missing_matplotlib_is_said_with_the_remedy(result, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(MissingDependencyError, match=r'pip install "xdiffice\[plot\]"'):
        plot_result(result)


def test_backend_is_left_to_the_user():
    code = (
        "import sys, numpy as np, xarray as xr\n"
        "from xdiffice.results.plotting import plot_result\n"
        "c = {n: (n, [0.0, 1.0], {'units': 'm'}) for n in 'xy'}\n"
        "ds = xr.Dataset({'viscosity': (('y', 'x'), np.ones((2, 2)))}, coords=c)\n"
        "plot_result(ds)\n"
        "assert 'matplotlib.pyplot' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)
