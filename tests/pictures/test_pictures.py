"""Pictures: the values that are drawn, in the units that the colour bars promise."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import xarray as xr

from xdiffice.errors import (
    CoordinateError,
    MissingDependencyError,
    ParameterError,
    VariableNotFoundError,
)
from xdiffice.pictures import layers
from xdiffice.pictures.observed import Observed
from xdiffice.pictures.summary import summary_figure
from xdiffice.results.names import Quality

matplotlib = pytest.importorskip("matplotlib")
YEAR = 365.25 * 86400.0


@pytest.fixture(autouse=True)
def figures_of_pyplot_are_closed():
    yield
    if "matplotlib.pyplot" in sys.modules:
        sys.modules["matplotlib.pyplot"].close("all")


def shown(figure):
    """Title -> (values, colour bar's label) of each panel, as drawn."""
    panels = [ax for ax in figure.axes if ax.get_title()]
    return {
        ax.get_title(): (ax.collections[0].get_array(), ax.collections[0].colorbar.ax.get_ylabel())
        for ax in panels
    }


def test_panels_show_the_values_in_readable_units(result):
    panels = shown(summary_figure(result))
    assert list(panels) == ["speed", "thickness", "viscosity", "effective strain rate"]
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
    ax = summary_figure(result).axes[0]
    assert ax.get_xlabel() == "x (km)"
    assert ax.get_xlim() == (-0.5, 3.5)
    mesh = ax.collections[0]
    np.testing.assert_allclose(mesh.get_coordinates()[0, 0], [-0.5, 5.5])  # y descends


def test_a_scale_bar_tells_a_round_length(result):
    (bar,) = [a for a in summary_figure(result).axes[0].artists if hasattr(a, "size_bar")]
    assert bar.txt_label.get_text() == "0.5 km"
    assert bar.size_bar.get_children()[0].get_width() == 0.5


def test_truth_is_drawn_in_the_same_colours_with_its_error(result):
    truth = (
        (result[["viscosity"]] / 1.02).assign_coords(result.coords).isel(y=slice(None, None, -1))
    )
    figure = summary_figure(result, truth=truth)
    panels = shown(figure)
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
    panels = shown(summary_figure(both, truth=both))
    assert {"viscosity, horizontal", "true viscosity, vertical"} <= set(panels)


def test_everything_else_that_a_result_has_is_drawn(result):
    ones = xr.ones_like(result["thickness"])
    result["hardness"] = (2e8 * ones).assign_attrs(units="Pa s^(1/3)")
    result["viscosity_std"] = 1.05 * ones
    result["x_momentum_residual"] = (3.0 * ones).assign_attrs(units="Pa")
    result["y_momentum_residual"] = (4.0 * ones).assign_attrs(units="Pa")
    result["viscosity_quantile"] = result["viscosity"].expand_dims(quantile=[0.05, 0.95])
    panels = shown(summary_figure(result))
    for title, value, unit in (
        ("hardness", 2e8, "Pa s^(1/3)"),
        ("viscosity: factor by which members differ", 1.05, "factor"),
        ("momentum residual", 5.0, "Pa"),
    ):
        values, label = panels[title]
        np.testing.assert_allclose(values, value, err_msg=title)
        assert label == unit
    assert not any("quantile" in title for title in panels)


def test_flags_and_labels_are_named(result):
    flags = xr.full_like(result["thickness"], Quality.DETERMINED, dtype="int8")
    flags[0, 0], flags[2, 3] = Quality.OUTSIDE, Quality.NEAR_GAP
    result["viscosity_quality"] = flags
    labels = np.array([[-1, 0, 2, 2], [0, 0, 2, 2], [0, 0, 2, 2]])
    result["subdomain"] = flags.copy(data=labels)
    figure = summary_figure(result)
    panels = shown(figure)
    for title in ("viscosity quality", "subdomain"):
        values = panels[title][0]
        assert values.mask[0, 0]
        assert values.mask.sum() == 1
    axes = {ax.get_title(): ax for ax in figure.axes if ax.get_title()}
    mesh = axes["viscosity quality"].collections[0]
    ticks = {
        label.get_text(): float(mesh.norm(tick))
        for tick, label in zip(
            mesh.colorbar.get_ticks(), mesh.colorbar.ax.get_yticklabels(), strict=True
        )
    }
    # of the eleven pixels of the shelf; nobody needs to know the colours of what is not there
    assert [*ticks] == ["determined\n91 %", "near gap\n9.1 %"]
    assert ticks["near gap\n9.1 %"] == float(mesh.norm(panels["viscosity quality"][0][2, 3]))
    assert len(set(ticks.values())) == len(ticks)


def test_data_stand_beside_what_was_fitted(result, observed):
    velocity, flown = observed
    figure = summary_figure(result, Observed(velocity, flown))
    panels = shown(figure)
    speed, thickness = (f"misfit of {name}: fitted − observed" for name in ("speed", "thickness"))
    in_rows = [ax.get_subplotspec().rowspan.start for ax in figure.axes if ax.get_title()]
    assert dict(zip(panels, in_rows, strict=True)) == {
        "observed speed": 0, "fitted speed": 0, speed: 0,
        "observed thickness": 1, "fitted thickness": 1, thickness: 1,
        "viscosity": 2, "effective strain rate": 2,
    }  # fmt: skip
    np.testing.assert_allclose(panels["observed speed"][0], 550.0)
    np.testing.assert_allclose(panels[speed][0], -50.0)
    np.testing.assert_allclose(panels[thickness][0], [10.0, 0.0, -20.0])
    assert panels[thickness][1] == "m"
    for ax in figure.axes[:7]:
        np.testing.assert_allclose(ax.lines[0].get_xdata(), [1.0, 2.0])
    colours = {ax.get_title(): ax.collections[0].get_clim() for ax in figure.axes[:2]}
    assert colours["observed speed"] == colours["fitted speed"]


def test_a_slope_is_interpolated_to_where_it_was_observed(result, observed):
    result["thickness"] = (0.1 * result["x"] - 0.05 * result["y"]).assign_attrs(units="m")
    mesh = result.diffice.plot.misfit(*observed[:1], "thickness", thickness=observed[1])
    expected = [50 - 225 - 290, 150 - 200 - 300, 250 - 175 - 320]
    np.testing.assert_allclose(mesh.get_array(), expected)


def test_velocities_of_exactly_zero_are_no_data(result, observed):
    velocity, _ = observed
    velocity["x_velocity"][0, 0] = velocity["y_velocity"][0, 0] = 0.0
    values = result.diffice.plot.misfit(velocity).get_array()
    assert values.mask[0, 0]
    assert values.mask.sum() == 1


def test_thickness_of_exactly_zero_is_no_ice(result, observed):
    _, flown = observed
    flown[0] = 0.0
    data = Observed(flown.to_dataset())
    np.testing.assert_array_equal(data.layer("thickness").values, [np.nan, 300.0, 320.0])


def test_one_map_goes_where_it_is_told_with_the_colours_it_is_told(result):
    figure = matplotlib.figure.Figure()
    ax = figure.subplots()
    mesh = result.diffice.plot.viscosity(ax=ax, vmin=1e13, cmap="viridis", alpha=0.5)
    assert mesh.axes is ax
    assert mesh.get_cmap().name == "viridis"
    assert mesh.norm.vmin == 1e13
    assert isinstance(mesh.norm, matplotlib.colors.LogNorm)
    assert mesh.get_alpha() == 0.5
    with pytest.raises(ParameterError, match="vmin=2 must be less than vmax=1"):
        result.diffice.plot.viscosity(ax=ax, vmin=2.0, vmax=1.0)
    linear = matplotlib.colors.Normalize(0.0, 1.0)
    assert result.diffice.plot.viscosity(ax=ax, norm=linear).norm is linear


def test_a_viscosity_is_chosen_by_name(result):
    both = result.rename(viscosity="viscosity_horizontal")
    both["viscosity_vertical"] = 2 * both["viscosity_horizontal"]
    plot = both.diffice.plot
    np.testing.assert_array_equal(plot.viscosity().get_array()[2, 3], 12e14)
    np.testing.assert_array_equal(plot.viscosity("viscosity_vertical").get_array()[2, 3], 24e14)
    with pytest.raises(VariableNotFoundError, match="no variable 'viscosity'"):
        plot.viscosity("viscosity")


def test_any_field_is_drawn_by_name(result):
    plot = result.diffice.plot
    np.testing.assert_allclose(plot.map("speed").get_array(), 500.0)
    np.testing.assert_allclose(plot.map("x_velocity").get_array(), 300.0)
    difference = result.assign(difference=(result["x_velocity"] - 1e-5).assign_attrs(units="m s-1"))
    drawn = difference.diffice.plot.map("difference")
    np.testing.assert_allclose(drawn.get_array(), 300.0 / YEAR - 1e-5)
    assert drawn.norm.vmin == -drawn.norm.vmax  # it has both signs, or is negative
    assert drawn.colorbar.ax.get_ylabel() == "m s-1"
    with pytest.raises(VariableNotFoundError, match="no variable 'bed'; found viscosity"):
        plot.map("bed")


def test_residuals_are_one_length(result):
    with pytest.raises(VariableNotFoundError, match="x_momentum_residual"):
        result.diffice.plot.residuals()
    for name, value in (("x", 3.0), ("y", -4.0)):
        result[f"{name}_momentum_residual"] = xr.full_like(result["thickness"], value)
    np.testing.assert_allclose(result.diffice.plot.residuals().get_array(), 5.0)


def test_summary_fills_a_figure_of_the_users(result):
    figure = matplotlib.figure.Figure()
    axes = result.diffice.plot(figure=figure, truth=result)
    assert [ax.get_title() for ax in axes] == list(shown(figure))
    own = result.diffice.plot.summary()
    assert len(own) == 4
    assert own[0].figure.number == 1  # pyplot's, so that notebooks show it


def test_points_are_drawn_as_dots(result):
    points = result.stack(shot=("y", "x")).reset_index("shot")
    figure = summary_figure(points)
    np.testing.assert_allclose(figure.axes[0].collections[0].get_offsets()[0], [0.0, 5.0])
    np.testing.assert_allclose(shown(figure)["thickness"][0], 300.0)


def test_points_are_compared_where_they_are_the_same(result, observed):
    velocity, flown = observed
    points = result.stack(shot=("y", "x")).reset_index("shot")
    where = velocity[["x_velocity", "y_velocity"]].stack(shot=("y", "x")).reset_index("shot")
    np.testing.assert_allclose(points.diffice.plot.misfit(where).get_array(), -50.0)
    with pytest.raises(CoordinateError, match="predict on a grid"):
        points.diffice.plot.misfit(velocity, "thickness", thickness=flown)


def test_what_was_not_observed_is_said(result, observed):
    velocity, _ = observed
    with pytest.raises(VariableNotFoundError, match="the data have no thickness"):
        result.diffice.plot.misfit(velocity, "thickness")
    with pytest.raises(ParameterError, match="must be one of speed, x_velocity"):
        result.diffice.plot.misfit(velocity, "viscosity")
    nothing = velocity[["x_front", "y_front"]]
    with pytest.raises(ValueError, match="x_velocity"):
        result.diffice.plot.misfit(nothing)


def test_history_has_a_line_for_each_term_and_part():
    history = xr.Dataset(
        {
            "stage": ("sample", ["motion", "motion", "all", "all"]),
            "iteration": ("sample", [0, 0, 100, 100]),
            "loss": ("sample", [1.0, 1.0, 0.1, 0.1]),
            "x_velocity": ("sample", [9.0, 16.0, 0.5, 1.0]),
            "y_velocity": ("sample", [16.0, 9.0, 0.5, 3.0]),
            "thickness": ("sample", [4.0, 4.0, 1.0, 1.0]),
            "member": ("sample", [0, 1, 0, 1]),
        }
    )
    lines = history.diffice.plot.history()
    ax = lines[0].axes
    velocity = [line for line in lines if line.get_color() == lines[0].get_color()]
    np.testing.assert_allclose([line.get_ydata() for line in velocity], [[5.0, 1.0], [5.0, 2.0]])
    np.testing.assert_array_equal(lines[0].get_xdata(), [0, 100])
    names = [text.get_text() for text in ax.get_legend().get_texts()]
    assert names[:2] == ["velocity", "thickness"]
    assert {"motion", "all"} <= {text.get_text() for text in ax.texts}


def test_no_history_is_said(result):
    with pytest.raises(VariableNotFoundError, match="Pass history_ of a fitted"):
        result.diffice.plot.history()


def test_constant_and_empty_fields_can_be_drawn(result, tmp_path):
    result["viscosity"] = xr.full_like(result["viscosity"], 1e14)
    result["thickness"] = xr.full_like(result["thickness"], np.nan)
    result["effective_strain_rate"] = xr.zeros_like(result["effective_strain_rate"])
    summary_figure(result, truth=result).savefig(tmp_path / "all.png")
    assert (tmp_path / "all.png").read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"


def test_large_rasters_are_thinned_before_they_are_loaded(result, monkeypatch):
    monkeypatch.setattr(layers, "MAX_PIXELS", 2)
    thin = layers.thinned(result.chunk())
    assert all(variable.chunks for variable in thin.data_vars.values())
    values, _ = shown(summary_figure(result.chunk()))["viscosity"]
    np.testing.assert_array_equal(values.filled(np.nan), result["viscosity"][::2, ::2])


def test_nothing_is_changed(result, observed):
    velocity, flown = observed
    before = [one.copy(deep=True) for one in (result, velocity, flown)]
    style = dict(matplotlib.rcParams)
    result.diffice.plot.summary(velocity, thickness=flown, truth=result)
    for one, other in zip((result, velocity, flown), before, strict=True):
        xr.testing.assert_identical(one, other)
    assert dict(matplotlib.rcParams) == style


def test_nothing_to_draw_is_said(result):
    with pytest.raises(VariableNotFoundError, match="found bed"):
        summary_figure(result[["thickness"]].rename(thickness="bed"))


def test_missing_matplotlib_is_said_with_the_remedy(result, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    for draw in (
        result.diffice.plot,
        result.diffice.plot.viscosity,
        lambda: summary_figure(result),
    ):
        with pytest.raises(MissingDependencyError, match=r'pip install "xdiffice\[plot\]"'):
            draw()


def test_backend_is_left_to_the_user():
    code = (
        "import sys, numpy as np, xarray as xr, xdiffice\n"
        "from matplotlib.figure import Figure\n"
        "from xdiffice.pictures.summary import summary_figure\n"
        "c = {n: (n, [0.0, 1.0], {'units': 'm'}) for n in 'xy'}\n"
        "ds = xr.Dataset({'viscosity': (('y', 'x'), np.ones((2, 2)))}, coords=c)\n"
        "summary_figure(ds)\n"
        "ds.diffice.plot.viscosity(ax=Figure().subplots())\n"
        "assert 'matplotlib.pyplot' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)
