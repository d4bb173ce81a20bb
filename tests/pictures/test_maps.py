"""Maps that tell what a reader looks for: flags too rare for a pixel, bars that cover nothing."""

from __future__ import annotations

import sys

import numpy as np
import pytest
import xarray as xr

from xdiffice.errors import CoordinateError, VariableNotFoundError
from xdiffice.pictures import layers
from xdiffice.pictures.flags import visible
from xdiffice.pictures.observed import Observed
from xdiffice.pictures.summary import in_rows, summary_figure
from xdiffice.results.flags import percent
from xdiffice.results.names import Quality

matplotlib = pytest.importorskip("matplotlib")
PINNED, SURE = Quality.NEAR_PINNING_POINT, Quality.DETERMINED


@pytest.fixture(autouse=True)
def figures_of_pyplot_are_closed():
    yield
    if "matplotlib.pyplot" in sys.modules:
        sys.modules["matplotlib.pyplot"].close("all")


def bars(ax):
    return [one for one in ax.artists if hasattr(one, "size_bar")]


def shelf(shape, **fields):
    """Return fields on a grid of pixels of 1 km."""
    coords = {
        name: (name, 1e3 * np.arange(size), {"units": "m"})
        for name, size in zip("yx", shape, strict=True)
    }
    attrs = {"viscosity": {"units": "Pa s"}}
    variables = {n: (("y", "x"), values, attrs.get(n, {})) for n, values in fields.items()}
    return xr.Dataset(variables, coords)


@pytest.mark.parametrize("points", [False, True])
@pytest.mark.parametrize(("south", "east"), [(0, 0), (0, 1), (1, 0), (1, 1)])
def test_the_scale_bar_goes_where_there_is_no_ice(south, east, points):
    values = np.full((40, 30), 1e14)
    rows = slice(12) if south else slice(28, None)
    values[rows, slice(15, None) if east else slice(15)] = np.nan
    result = shelf(values.shape, viscosity=values)
    if points:
        result = result.stack(shot=("y", "x")).reset_index("shot")
    drawn = result.diffice.plot.viscosity()
    (bar,) = bars(drawn.axes)
    drawn.axes.figure.draw_without_rendering()
    box = bar.get_window_extent().transformed(drawn.axes.transData.inverted())
    ice = np.argwhere(np.isfinite(values))
    assert not [(x, y) for y, x in ice if box.contains(x, y)]


def test_a_full_map_has_its_scale_bar_in_the_lower_right():
    (bar,) = bars(shelf((9, 9), viscosity=np.full((9, 9), 1e14)).diffice.plot.viscosity().axes)
    assert bar.loc == matplotlib.offsetbox.AnchoredOffsetbox.codes["lower right"]


def test_own_figures_have_bar_and_front_and_given_axes_the_map_alone(result, observed):
    velocity, _ = observed
    alone = result.diffice.plot.misfit(velocity).axes
    assert len(bars(alone)) == 1
    np.testing.assert_allclose(alone.lines[0].get_xdata(), [1.0, 2.0])
    given = matplotlib.figure.Figure().subplots()
    result.diffice.plot.misfit(velocity, ax=given)
    assert not bars(given)
    assert not given.lines


def test_single_flagged_pixels_are_large_enough_to_be_seen():
    flags = np.full((300, 400), int(SURE), "int8")
    flags[:, :100] = Quality.OUTSIDE
    flags[150, 200] = PINNED
    flags[20, 100] = Quality.NO_STRAIN  # beside the edge of the shelf, which stays where it is
    drawn = shelf(flags.shape, viscosity_quality=flags).diffice.plot.map("viscosity_quality")
    values = drawn.get_array()
    np.testing.assert_array_equal(np.ma.getmaskarray(values), flags == Quality.OUTSIDE)
    rows, columns = np.nonzero(values == PINNED)
    np.testing.assert_array_equal(np.unique(rows), np.arange(148, 153))
    np.testing.assert_array_equal(np.unique(columns), np.arange(198, 203))
    assert np.count_nonzero(values == Quality.NO_STRAIN) == 5 * 3
    texts = [text.get_text() for text in drawn.colorbar.ax.get_yticklabels()]
    assert texts == ["determined\n100.00 %", "no strain\n0.0011 %", "near pinning point\n0.0011 %"]


def test_thinning_keeps_the_rarest_flag_of_each_block(monkeypatch):
    flags = np.full((5, 4), int(SURE), "int8")
    flags[0, 1], flags[4, 3] = PINNED, Quality.NEAR_GAP
    flags[2:4, :2] = [[0, Quality.NEAR_GAP], [0, 0]]
    expected = [[PINNED, SURE], [Quality.NEAR_GAP, SURE], [SURE, Quality.NEAR_GAP]]
    np.testing.assert_array_equal(visible(flags, (2, 2)), expected)
    monkeypatch.setattr(layers, "MAX_PIXELS", 3)
    result = shelf(flags.shape, viscosity_quality=flags).chunk()
    np.testing.assert_array_equal(
        result.diffice.plot.map("viscosity_quality").get_array(), expected
    )


def test_no_dot_covers_a_rarer_one():
    flags = np.full((3, 3), int(SURE), "int8")
    flags[0, 0] = PINNED
    points = shelf(flags.shape, viscosity_quality=flags).stack(shot=("y", "x")).reset_index("shot")
    dots = points.diffice.plot.map("viscosity_quality")
    assert dots.get_array()[-1] == PINNED  # what is drawn last is on top
    np.testing.assert_array_equal(dots.get_offsets()[-1], [0.0, 0.0])


def test_absent_flags_and_labels_make_an_empty_map():
    nothing = shelf((3, 3), viscosity_quality=np.zeros((3, 3), "int8"))
    assert nothing.diffice.plot.map("viscosity_quality").get_array().mask.all()
    with pytest.raises(VariableNotFoundError, match="no variable 'viscosity_quality'"):
        shelf((3, 3)).diffice.plot.map("viscosity_quality")


def test_shares_are_never_rounded_to_all_or_nothing():
    assert [percent(share) for share in (1.0, 0.995, 0.9, 2e-5)] == [
        "100 %", "99.50 %", "90 %", "0.002 %",
    ]  # fmt: skip


def quantiles(result):
    levels = ("quantile", [0.05, 0.95])
    both = xr.concat([result["viscosity"] / 2, 2 * result["viscosity"]], "quantile")
    return result.assign(viscosity_quantile=both.assign_attrs(units="Pa s")).assign_coords(
        quantile=levels
    )


def test_a_map_of_several_quantiles_asks_for_one(result):
    several = quantiles(result)
    with pytest.raises(
        CoordinateError, match=r"choose one of quantile.*result\.sel\(quantile=0\.95"
    ):
        several.diffice.plot.map("viscosity_quantile")
    drawn = several.sel(quantile=0.95).diffice.plot.map("viscosity_quantile")
    assert drawn.axes.get_title() == "95 % quantile of viscosity"
    assert drawn.get_array()[2, 3] == 24e14
    unnamed = several.drop_vars("quantile")
    with pytest.raises(CoordinateError, match=r"result\.isel\(quantile=0\)"):
        unnamed.diffice.plot.map("viscosity_quantile")


def test_a_profile_is_left_to_xarray(result):
    with pytest.raises(
        CoordinateError, match=r"at x = 2000 is a profile and no map; .*result\['viscosity'\]\.plot"
    ):
        result.sel(x=2.1e3, method="nearest").diffice.plot.viscosity()
    with pytest.raises(CoordinateError, match="at x = 2000 and y = 3000 is one value"):
        result.sel(x=2e3, y=3e3).diffice.plot.viscosity()


def test_residuals_tell_their_share_of_the_driving_stress(result):
    for name in "xy":
        result[f"{name}_momentum_residual"] = xr.full_like(result["thickness"], 3.0)
    for share, percent_ in ((0.0489, "4.9"), (1.2, "120")):
        result.attrs["residual_momentum"] = share
        title = result.diffice.plot.residuals().axes.get_title()
        assert title == f"momentum residual\n({percent_} % of the driving stress, rms)"
    result.attrs["residual_velocity"] = 0.0064
    title = result.diffice.plot.residuals().axes.get_title()
    assert title.endswith("(networks alone: 120 % of the driving stress, rms)")


def test_the_page_says_first_how_the_ice_moves(result):
    assert summary_figure(result).get_suptitle() == ""
    result.attrs |= {"residual_velocity": 0.0064, "noise_velocity": 0.0062}
    expected = (
        "A forward model with this viscosity misses the observed velocity by 0.64 %; "
        "the noise of the data is 0.62 %"
    )
    assert summary_figure(result).get_suptitle() == expected
    assert result.diffice.plot.summary()[0].figure.get_suptitle() == expected


def test_ten_maps_fill_two_rows_with_what_is_compared_side_by_side():
    ones = np.ones((60, 50))
    names = {"x_velocity": "m s-1", "y_velocity": "m s-1", "thickness": "m", "viscosity": "Pa s",
             "effective_strain_rate": "s-1", "x_momentum_residual": "Pa",
             "y_momentum_residual": "Pa"}  # fmt: skip
    result = shelf(ones.shape, **dict.fromkeys(names, ones))
    for name, unit in names.items():
        result[name].attrs["units"] = unit
    result["viscosity_quality"] = (("y", "x"), np.ones(ones.shape, "int8"))
    figure = summary_figure(result, Observed(result[["x_velocity", "y_velocity", "thickness"]]))
    places = {
        ax.get_title(): (ax.get_subplotspec().rowspan.start, ax.get_subplotspec().colspan.start)
        for ax in figure.axes
        if ax.get_subplotspec()
    }
    assert len(places) == 10
    assert set(places.values()) == {(row, column) for row in range(2) for column in range(5)}
    for row, name in enumerate(("speed", "thickness")):
        titles = (f"observed {name}", f"fitted {name}", f"misfit of {name}: fitted − observed")
        assert [places[title] for title in titles] == [(row, column) for column in range(3)]


def test_groups_begin_rows_while_single_maps_fill_the_gaps():
    page = [[*"abc"], ["1"], [*"def"], ["2"], ["3"]]
    assert "".join(in_rows(page, 4)) == "abc1def23"
    assert "".join(in_rows(page, 3)) == "abcdef123"
    assert "".join(in_rows(page, 5)) == "abc12def3"
