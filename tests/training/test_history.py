"""What is recorded comes out as columns; progress shows only where it is wanted."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import xarray as xr

from xdiffice.training.budget import Budget
from xdiffice.training.history import Recorder


def recorded(progress: bool = False) -> Recorder:
    recorder = Recorder(progress=progress, total=30)
    budget = Budget(None, 30)
    recorder.record("motion", budget, 0.5, {"thickness": 0.25})
    budget.iterations, budget.evaluations = 10, 12
    recorder.advance(10)
    recorder.note("line_search: restarted from the best parameters")
    recorder.record("all", budget, 0.125, {"thickness": 0.01, "x_momentum": np.float64(0.04)})
    recorder.note("not_finite: restarted from the best parameters")
    recorder.close()
    return recorder


def test_columns():
    history = recorded().to_dataset()
    assert dict(history.sizes) == {"sample": 2}
    assert history.stage.values.tolist() == ["motion", "all"]
    np.testing.assert_array_equal(history.iteration, [0, 10])
    np.testing.assert_array_equal(history.evaluations, [0, 12])
    np.testing.assert_array_equal(history.loss, [0.5, 0.125])
    np.testing.assert_array_equal(history.thickness, [0.25, 0.01])
    np.testing.assert_array_equal(history.x_momentum, [np.nan, 0.04])
    assert history.attrs["notes"] == (
        "iteration 0: line_search: restarted from the best parameters; "
        "iteration 10: not_finite: restarted from the best parameters"
    )


def test_history_can_be_written(tmp_path):
    history = recorded().to_dataset()
    history.to_netcdf(tmp_path / "history.nc")
    with xr.open_dataset(tmp_path / "history.nc") as written:
        xr.testing.assert_equal(written.load(), history)


def test_a_history_of_nothing():
    recorder = Recorder(progress=False, total=3)
    recorder.note("nothing yet")
    history = recorder.to_dataset()
    assert history.attrs["notes"] == "iteration 0: nothing yet"
    assert history.loss.dims == ("sample",)
    assert history.sizes["sample"] == 0


def test_nothing_is_printed_unless_it_is_wanted(capsys):
    recorded(progress=False)
    assert capsys.readouterr() == ("", "")


def test_a_log_of_nothing_is_empty(capsys):
    Recorder(progress=True, total=3).close()
    assert capsys.readouterr().err == ""


class Pair(NamedTuple):
    momentum: float
    front: float


def test_rows_have_the_weights_by_which_they_were_summed():
    recorder, budget = Recorder(progress=False, total=None), Budget(None, 30)
    recorder.record("motion", budget, 1.0, {})
    recorder.weigh(Pair(0.5, 2.0))
    recorder.record("all", budget, 1.0, {"momentum": 0.1})
    recorder.weigh(Pair(0.25, 1.0))
    recorder.record("all", budget, 1.0, {})
    history = recorder.to_dataset()
    np.testing.assert_array_equal(history.momentum_weight, [np.nan, 0.5, 0.25])
    np.testing.assert_array_equal(history.front_weight, [np.nan, 2.0, 1.0])


def test_rows_of_regions_go_into_the_whole():
    whole, budget = Recorder(progress=False, total=None), Budget(None, 30)
    regions = [whole.of_region(k) for k in (0, 1)]
    whole.record("motion", budget, 3.0, {})
    for region, loss in zip(regions, (1.0, 2.0), strict=True):
        region.weigh(Pair(loss, loss))
        region.record("all", budget, loss, {})
        region.advance(5)
    regions[1].note("stalled")
    assert [len(region.rows) for region in regions] == [1, 1]
    history = whole.to_dataset()
    np.testing.assert_array_equal(history.region, [np.nan, 0, 1])
    np.testing.assert_array_equal(history.loss, [3.0, 1.0, 2.0])
    np.testing.assert_array_equal(history.front_weight, [np.nan, 1.0, 2.0])
    assert history.attrs["notes"] == "region 1: iteration 0: stalled"
    assert whole._progress.iteration == 5  # of the first


def test_rows_of_the_whole_are_last_where_they_come_last():
    whole, budget = Recorder(progress=False, total=None), Budget(None, 30)
    regions = [whole.of_region(k) for k in (0, 1)]
    for loss in (3.0, 2.0, 1.0):
        for region in regions:
            region.record("all", budget, loss, {})
    for loss in (0.5, 0.4):
        whole.record("adjoint", budget, loss, {})
    history = whole.to_dataset()
    np.testing.assert_array_equal(history.loss, [3.0, 3.0, 2.0, 2.0, 1.0, 1.0, 0.5, 0.4])
    assert list(history.stage.values[-2:]) == ["adjoint"] * 2
