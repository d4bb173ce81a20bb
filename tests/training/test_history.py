"""What is recorded comes out as columns; the bar shows only where it is wanted."""

from __future__ import annotations

import numpy as np
import pytest
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


@pytest.mark.parametrize("progress", [False, True])
def test_the_bar(capsys, progress):
    recorded(progress)
    out, err = capsys.readouterr()
    assert out == ""
    if progress:
        assert "10/30" in err
        assert "x_momentum=2.0e-01" in err  # the root of the mean square
    else:
        assert err == ""
