"""The picture of a training: a curve for every stage, in colours that can be seen."""

from __future__ import annotations

import sys

import numpy as np
import pytest
import xarray as xr

from xdiffice.pictures.curves import CURVES, FORWARD

matplotlib = pytest.importorskip("matplotlib")


@pytest.fixture(autouse=True)
def figures_of_pyplot_are_closed():
    yield
    if "matplotlib.pyplot" in sys.modules:
        sys.modules["matplotlib.pyplot"].close("all")


def test_curves_contrast_with_the_paper_and_leave_no_stage_empty():
    history = xr.Dataset(
        {
            "stage": ("sample", ["motion", "viscosity", "viscosity", "all"]),
            "iteration": ("sample", [0, 100, 200, 200]),
            "loss": ("sample", [1.0, 1.0, 0.1, 0.1]),
            "thickness": ("sample", [4.0, np.nan, np.nan, 1.0]),
            "x_front": ("sample", [np.nan, np.nan, np.nan, 1.0]),
            "first_viscosity": ("sample", [np.nan, 9.0, 0.25, np.nan]),
        }
    )
    lines = {line.get_label(): line for line in history.diffice.plot.history()}
    assert [*lines] == ["thickness", "front", "viscosity, to its first guess"]
    np.testing.assert_allclose(
        lines["viscosity, to its first guess"].get_ydata(), [np.nan, 3.0, 0.5, np.nan]
    )
    for colour in [line.get_color() for line in lines.values()] + [CURVES[FORWARD][1]]:
        rgb = np.array(matplotlib.colors.to_rgb(colour))
        linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
        assert 1.05 / (linear @ [0.2126, 0.7152, 0.0722] + 0.05) >= 3  # of WCAG, for graphics


def test_steps_against_a_forward_model_stand_side_by_side():
    history = xr.Dataset(
        {
            "stage": ("sample", ["motion", "all", "adjoint", "adjoint", "adjoint"]),
            "iteration": ("sample", [0, 100, 100, 100, 100]),
            "loss": ("sample", [1.0, 0.1, 0.4, 0.3, 0.2]),
            "thickness": ("sample", [4.0, 1.0, np.nan, np.nan, np.nan]),
            "modelled_velocity": ("sample", [np.nan, np.nan, 0.04, 0.0004, 0.0001]),
        }
    )
    _, forward = history.diffice.plot.history()
    assert forward.get_label() == "velocity, by a forward model"
    np.testing.assert_allclose(forward.get_ydata()[2:], [0.2, 0.02, 0.01])
    np.testing.assert_allclose(forward.get_xdata()[2:], [100.0, 102.0, 104.0])
