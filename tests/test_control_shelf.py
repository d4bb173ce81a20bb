"""The control method on any shelf must be a sound one: results are compared with it."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from xdiffice.results.comparison import relative_error
from xdiffice.synthetic import confined_shelf

BENCHMARKS = Path(__file__).parent / "benchmarks"


@pytest.fixture(scope="module")
def control():
    """Import the script as Python does when it is run: with its folder on the path."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(BENCHMARKS)
        patch.delitem(sys.modules, "shelves", raising=False)  # of the tests of observations
        yield importlib.import_module("control_shelf")


def ice_rise(x, y):
    """Positive on a shelf with a hole."""
    return np.hypot(x - 45e3, y + 5e3) - 6e3


@pytest.fixture(scope="module")
def shelves() -> dict[str, xr.Dataset]:
    return {
        "rectangle": confined_shelf((30, 45)),
        "ice rise": confined_shelf((40, 60), mask=ice_rise),
    }


@pytest.fixture(scope="module")
def problems(control, shelves):
    return {name: control.ControlProblem(shelf) for name, shelf in shelves.items()}


@pytest.fixture(scope="module")
def inferred(control, problems):
    """Take log μ at the end of a curve of two weights."""
    found = {}
    for name, problem in problems.items():
        log_viscosity = problem.first_guess()
        for weight in (3e-5, 3e-6):
            log_viscosity, _ = control.control_inversion(problem, weight, log_viscosity)
        found[name] = log_viscosity
    return found


@pytest.mark.parametrize("weight", [1e-6, 1e6])  # the misfit, and the penalty, alone
@pytest.mark.parametrize("name", ["rectangle", "ice rise"])
def test_gradient_is_that_of_finite_differences(problems, name, weight):
    problem = problems[name]
    random = np.random.default_rng(0)
    at = problem.first_guess()
    at += 0.3 * random.standard_normal(at.size)
    direction = random.standard_normal(at.size)
    _, gradient = problem.objective(at, weight)
    step = 1e-5
    above, below = (problem.objective(at + s * direction, weight)[0] for s in (step, -step))
    assert gradient @ direction == pytest.approx((above - below) / (2 * step), rel=1e-6)


def test_controls_are_a_square_root_of_the_penalty(problems):
    problem = problems["ice rise"]
    roots = problem.preconditioner
    random = np.random.default_rng(1)
    field, by_field, change = random.standard_normal((3, problem.first_guess().size))
    np.testing.assert_allclose(roots.field(roots.controls(field)), field, atol=1e-12)
    level = np.sum((roots.controls(field)) ** 2) - problem.roughness(field) ** 2
    # What is left is the mean square, which no constant escapes.
    assert 0 < level < (field**2).max()
    assert np.sum(roots.controls(np.ones_like(field)) ** 2) == pytest.approx(1)
    expected = by_field @ roots.field(change)
    assert roots.gradient(by_field) @ change == pytest.approx(expected)


def test_first_guess_is_the_best_constant(problems):
    problem = problems["ice rise"]
    best = problem.first_guess()
    assert np.ptp(best) == 0
    errors = [problem.relative_difference(best + change) for change in (-0.1, 0, 0.1)]
    assert errors[1] < min(errors[0], errors[2])


def test_a_constant_viscosity_comes_back_at_once(control):
    shelf = confined_shelf((20, 30), viscosity=3e13)
    problem = control.ControlProblem(shelf)
    result = problem.result(problem.first_guess())
    assert relative_error(result["viscosity"], shelf["viscosity"]) < 0.02


@pytest.mark.parametrize(("name", "most"), [("rectangle", 0.035), ("ice rise", 0.05)])
def test_the_true_viscosity_comes_back(shelves, problems, inferred, name, most):
    result = problems[name].result(inferred[name])
    truth = shelves[name]["viscosity"]
    first = problems[name].result(problems[name].first_guess())
    assert relative_error(result["viscosity"], truth) < most
    assert relative_error(first["viscosity"], truth) > 0.3


@pytest.mark.parametrize("name", ["rectangle", "ice rise"])
def test_the_forward_check_finds_the_same_velocity(shelves, problems, inferred, name):
    problem, log_viscosity = problems[name], inferred[name]
    for one in (problem.first_guess(), log_viscosity):
        check = shelves[name].diffice.forward_check(problem.result(one))
        assert check.attrs["n_compared"] == problem.n_compared
        # Not the same: the viscosity goes from the mesh to pixels and back.
        assert problem.relative_difference(one) == pytest.approx(
            check.attrs["relative_difference"], abs=1e-3
        )


def test_a_smaller_weight_lowers_the_misfit_and_roughens_the_viscosity(control, problems):
    problem = problems["rectangle"]
    rows = list(control.l_curve(problem, [1e-4, 1e-2, 1e-3]))
    assert [row.weight for row in rows] == [1e-2, 1e-3, 1e-4]
    misfits, roughness = (
        [getattr(row, name) for row in rows] for name in ("relative_difference", "roughness")
    )
    assert misfits == sorted(misfits, reverse=True)
    assert roughness == sorted(roughness)


def test_the_corner_is_where_the_curve_bends(control):
    misfits, roughness = [1.0, 0.5, 0.1, 0.09, 0.085], [1.0, 1.1, 1.3, 10.0, 90.0]
    assert control.corner(misfits, roughness) == 2
