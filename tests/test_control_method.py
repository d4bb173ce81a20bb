"""The control method that the benchmarks compare with must be a sound one.

It is loaded from its file: the folder of the benchmarks is on nobody's path.
"""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from small_fits import relative_error

from xdiffice.synthetic import confined_shelf, uniaxial_shelf

FILE = Path(__file__).parent / "benchmarks" / "control.py"


@pytest.fixture(scope="module")
def control():
    name = "control_method_of_the_benchmarks"
    spec = importlib.util.spec_from_file_location(name, FILE)
    sys.modules[name] = module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    yield module
    del sys.modules[name]


@pytest.fixture(scope="module")
def small_shelf() -> xr.Dataset:
    return confined_shelf((20, 32), noise=0.01)


def turned(shelf: xr.Dataset) -> xr.Dataset:
    """Turn the shelf by 90 degrees: x' = -y, y' = x."""
    field = {
        "x_velocity": -shelf["y_velocity"],
        "y_velocity": shelf["x_velocity"],
        "thickness": shelf["thickness"],
        "viscosity": shelf["viscosity"],
    }
    front = {
        "x_front": -shelf["y_front"],
        "y_front": shelf["x_front"],
        "x_normal": -shelf["y_normal"],
        "y_normal": shelf["x_normal"],
    }
    swapped = {name: values.rename(x="y", y="x") for name, values in field.items()}
    x, y = -shelf["y"].to_numpy(), shelf["x"].to_numpy()
    return xr.Dataset(swapped | front).assign_coords(x=x, y=y)


def test_gradient_is_that_of_finite_differences(control, small_shelf):
    problem = control.ControlProblem(small_shelf, (7, 5))
    random = np.random.default_rng(0)
    controls = problem.first_guess()
    controls += 0.3 * random.standard_normal(controls.size)
    direction = random.standard_normal(controls.size)
    _, gradient = problem.objective(controls, 1e-4)
    step = 1e-5
    above, below = (problem.objective(controls + s * direction, 1e-4)[0] for s in (step, -step))
    assert gradient @ direction == pytest.approx((above - below) / (2 * step), rel=1e-7)


def test_velocity_approaches_that_of_the_package_on_finer_meshes(control):
    shelf = confined_shelf((40, 64))
    errors = []
    for cells in ((12, 8), (24, 16)):
        problem = control.ControlProblem(shelf, cells)
        x, y = problem.nodes
        log_truth = np.log(shelf["viscosity"]).interp(
            x=x, y=y, kwargs={"fill_value": "extrapolate"}
        )
        nodes = log_truth.transpose("x", "y").to_numpy() - np.log(problem.viscosity_unit)
        velocity = problem.velocity(problem.controls(nodes))
        errors.append(np.linalg.norm(velocity - problem.observed) / np.linalg.norm(velocity))
    assert errors[1] < 0.006
    # Not quite 4: the flow is singular where the front meets the sides.
    assert errors[0] / errors[1] > 2.3


def test_viscosity_of_an_exact_shelf_comes_back(control):
    shelf = uniaxial_shelf((20, 32))
    viscosity = control.control_inversion(shelf, 1e-9, (16, 10))
    assert relative_error(viscosity, shelf["viscosity"]) < 0.005


def test_a_turned_shelf_has_the_turned_viscosity(control, small_shelf):
    weight = 1e-5
    straight = control.control_inversion(small_shelf, weight, (10, 7), max_iterations=15)
    other = turned(small_shelf)
    # Twice more, so that the front is once on each side and the rows once descend.
    for cells in ((7, 10), (10, 7), (7, 10)):
        result = control.control_inversion(other, weight, cells, max_iterations=15)
        assert result.dims == other["x_velocity"].dims
        assert float(result.mean()) == pytest.approx(float(straight.mean()), rel=1e-6)
        assert relative_error(result, other["viscosity"]) == pytest.approx(
            relative_error(straight, small_shelf["viscosity"]), rel=1e-4
        )
        other = turned(other)


def test_smoothing_takes_noise_away_and_leaves_exact_data_alone(control):
    lines = control.Line(16, 1.0), control.Line(10, 0.6)
    pixels = (np.arange(80) + 0.5) / 80, 0.6 * (np.arange(50) + 0.5) / 50
    nodes = tuple(np.linspace(0, line.length, line.cells + 1) for line in lines)

    def plane(x, y):
        return (1 + 2 * x[:, None] - 3 * y)[..., None]

    exact = plane(*pixels)
    assert control.smoothed(exact, lines, pixels) == pytest.approx(plane(*nodes), abs=1e-6)
    noise = np.random.default_rng(0).standard_normal(exact.shape)
    off = control.smoothed(exact + noise, lines, pixels) - plane(*nodes)
    assert np.sqrt(np.mean(off**2)) < 0.1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda shelf: shelf.where(shelf["x"] > 2e4), "gaps"),
        (lambda shelf: shelf.assign(x_normal=0 * shelf["x_normal"]), "front"),
        (lambda shelf: shelf.assign(thickness=shelf["thickness"].assign_attrs(units="km")), "km"),
    ],
)
def test_shelves_that_it_cannot_invert_are_refused(control, small_shelf, change, message):
    with pytest.raises(ValueError, match=message):
        control.ControlProblem(change(small_shelf), (4, 3))
