"""Progress is in shares that mean something: those of a fit that is known to miss by so much."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import termios
from pathlib import Path

import numpy as np
import pytest
from analytic_model import UNITS, exact_batch

import xdiffice
from xdiffice.training import progress
from xdiffice.training.budget import Budget
from xdiffice.training.history import Recorder
from xdiffice.training.progress import Ratio, Yardstick, yardsticks

# 1 % of a velocity of 3 and 4, in units of twice the velocity and 4 times the weight.
KNOWN = {
    "x_velocity": Yardstick(4.0 / 4.0, 9.0),
    "y_velocity": Yardstick(4.0 / 4.0, 16.0),
    "thickness": Yardstick(1.0, 1.0),
}
TERMS = {"x_velocity": 9e-4, "y_velocity": 16e-4, "thickness": 0.041**2, "roughness": 15.0}
EQUATIONS = {"x_momentum": 1.0, "y_momentum": 2.0, "x_front": 0.1, "y_front": 0.1}
BESIDES = ({"momentum": 0.0036, "front": 0.01}, {"momentum": 0.25, "front": 4.0})


@pytest.fixture
def clock(monkeypatch) -> list[float]:
    now = [0.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    return now


def test_a_log_has_lines_in_percent(capsys, clock):
    recorder, budget = Recorder(progress=True, total=None), Budget(120.0, sys.maxsize, 0.0)
    recorder.compare(KNOWN)
    recorder.record("motion", budget, 0.5, TERMS)
    for clock[0] in (4.0, 9.0, 11.0, 15.0):
        recorder.advance(5)
    recorder.record("viscosity", budget, 0.5, {"first_viscosity": 0.01})
    clock[0] = 21.0
    recorder.advance(5)
    recorder.measure(*BESIDES)
    recorder.record("all", budget, 0.5, TERMS | EQUATIONS)
    clock[0] = 22.0
    recorder.close()
    out, err = capsys.readouterr()
    assert out == ""
    misfit = "misfit of velocity about 1 %, thickness 4.1 %"
    residual = "residual of momentum 12 %, front 5 %"
    assert err.splitlines() == [
        f"xdiffice: motion, iteration 15, 11 of 120 s: {misfit}",
        "xdiffice: viscosity, iteration 25, 21 of 120 s: misfit of first viscosity about 10 %",
        f"xdiffice: all, iteration 25, 22 of 120 s: {misfit}; {residual}",
    ]


def test_iterations_may_be_the_limit_and_terms_may_be_of_something_else(capsys, clock):
    recorder, budget = Recorder(progress=True, total=30), Budget(None, 30, 0.0)
    recorder.record("rosenbrock", budget, 0.5, {"valley": 0.25})
    clock[0] = 11.0
    recorder.advance(15)
    assert capsys.readouterr().err == "xdiffice: rosenbrock, iteration 15 of 30, 11 s\n"


def test_regions_count_by_their_points_and_units(capsys, clock):
    whole, budget = Recorder(progress=True, total=None), Budget(120.0, sys.maxsize, 0.0)
    counts = ({"momentum": 30 * 2.0**2, "front": 0.0}, {"momentum": 10 * 1.0**2, "front": 7.0})
    residuals = (
        ({"momentum": 0.04, "front": 9.0}, {"momentum": 1.0, "front": 1.0}),
        ({"momentum": 0.16, "front": 0.04}, {"momentum": 3.0, "front": 1.0}),
    )
    for k in range(2):
        region = whole.of_member(0).of_region(k, counts[k])
        region.measure(*residuals[k])
        region.record("all", budget, 0.5, EQUATIONS)
        region.advance(3)
    clock[0] = 1.0
    whole.close()
    # (120 * 0.04 + 10 * 0.16) / (120 * 1 + 10 * 3); one region has no front.
    momentum = 100 * (6.4 / 150) ** 0.5
    assert f"residual of momentum about {momentum:.0f} %, front 20 %" in capsys.readouterr().err


def test_only_parts_in_the_stage_that_is_shown_are_shown():
    whole, budget = Recorder(progress=False, total=None), Budget(None, 30)
    first, second = (whole.of_member(k) for k in range(2))
    for member, share in ((first, 0.5), (second, 0.03)):
        member.compare({"thickness": Yardstick(1.0, 1.0)})
        member.record("motion", budget, 1.0, {"thickness": share**2})
    assert whole._progress.percents() == {"thickness": "35 %"}  # of both
    second.record("all", budget, 1.0, {"thickness": 0.02**2})
    assert whole._progress.percents() == {"thickness": "2 %"}


def test_shares_of_the_budget_are_those_of_what_ends_first(clock):
    for total, seconds, spent in (
        (30, 40.0, 0.5),
        (None, 40.0, 0.25),
        (30, None, 0.5),
        (15, 9.0, 1),
    ):
        shown = progress.Progress(total)
        shown.take((), "all", Budget(seconds, sys.maxsize, started=-10.0), {})
        shown.advance(15)
        assert shown.share == spent


def test_yardsticks_are_those_of_the_data():
    batch = exact_batch()
    batch = batch._replace(
        velocity=batch.velocity._replace(v_weight=np.full(batch.velocity.y.shape, 0.25))
    )
    known = yardsticks(batch, UNITS)
    u, v, h = (
        unit.to_si(x)
        for unit, x in zip(
            UNITS, (batch.velocity.u, batch.velocity.v, batch.thickness.h), strict=True
        )
    )
    assert known["x_velocity"] == (1.0, pytest.approx(np.mean(u**2)))
    assert known["y_velocity"] == (pytest.approx(0.5**2 / 0.25), pytest.approx(np.mean(v**2)))
    assert known["thickness"] == (pytest.approx(0.2**2), pytest.approx(np.mean(h**2)))
    # Data that are missed by 1 % of themselves.
    for name, unit, values, weight in (
        ("y_velocity", UNITS.v, v, 0.25),
        ("thickness", UNITS.h, h, 1.0),
    ):
        term = weight * np.mean((unit.to_unit(1.01 * values) - unit.to_unit(values)) ** 2)
        ratio = Ratio(term * known[name].factor, known[name].whole)
        assert (ratio.part / ratio.whole) ** 0.5 == pytest.approx(0.01)


@pytest.mark.parametrize("subdomains", [1, 2])
def test_the_last_line_is_about_what_the_fitted_estimator_says(subdomains, capsys):
    from small_fits import disc, inverter

    shelf = disc()
    fitted = inverter(
        subdomains=subdomains, progress=True, frequency=2.0, max_iterations=60, adjoint_steps=0
    )
    fitted.fit(shelf)
    line = capsys.readouterr().err.splitlines()[-1]
    shown = {
        name: float(value) / 100
        for name, value in re.findall(r"(\w+) (?:about )?([\d.e-]+) %", line)
    }
    misfit, residual = fitted.misfit_, fitted.residual_
    assert set(shown) == {"velocity", "thickness", "momentum", "front"}
    norm = {name: float((shelf[f"{name}_velocity"] ** 2).sum()) for name in "xy"}
    velocity = sum(misfit[f"{name}_velocity"] ** 2 * norm[name] for name in "xy")
    expected = {
        **residual,
        "thickness": misfit["thickness"],
        "velocity": (velocity / sum(norm.values())) ** 0.5,
    }
    for name, share in shown.items():
        assert share == pytest.approx(expected[name], rel=0.35), name


def test_a_terminal_has_a_bar():
    ours, theirs = os.openpty()
    termios.tcsetwinsize(theirs, (24, 200))
    code = "from test_progress import shown; shown()"
    here = Path(__file__).parent
    paths = os.pathsep.join([str(here), str(Path(xdiffice.__file__).parents[1])])
    done = subprocess.run(
        [sys.executable, "-c", code],
        check=True,
        cwd=here,
        env=os.environ | {"PYTHONPATH": paths},
        stderr=theirs,
        stdout=subprocess.PIPE,
    )
    os.close(theirs)
    text = os.read(ours, 10_000).decode()
    os.close(ours)
    assert done.stdout == b""
    assert re.search(r"xdiffice:   0%\|\s+\| preparing", text)
    assert "all:  75%|" in text
    assert (
        "| iteration 10, 30 of 40 s: velocity 1 %, thickness 4.1 %, momentum 12 %, front 5 %"
        in text
    )
    assert ": :" not in text


def shown() -> None:
    """Show a bar, 30 s after the beginning."""
    recorder = Recorder(progress=True, total=None)
    recorder.compare(KNOWN)
    recorder.measure(*BESIDES)
    budget = Budget(40.0, sys.maxsize)
    budget.started -= 30.0
    recorder.record("all", budget, 0.5, TERMS | EQUATIONS)
    recorder.advance(10)
    recorder.close()
