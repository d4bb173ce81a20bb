"""The last stage finds a viscosity that is known, and leaves one alone that explains the flow."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from known_shelf import KnownModel, bay, bay_model, bay_viscosity

from xdiffice.adjoint.stage import EXPLAINED, LEAST_MODEL_ERROR, Adjoint, Noise
from xdiffice.forward.meshes import USUAL_TRIANGLES
from xdiffice.results.evaluate import Orders

NOISE = 0.02
EVERYWHERE = 4e13


def constant(x, y):
    return np.full(np.shape(x), EVERYWHERE)


def stage(noise: float) -> Adjoint:
    """Make the stage of the bay, whose noise is known: a share of the rms speed."""
    observations, clean = bay(noise), bay().velocity
    speed = np.sqrt(np.mean(clean.u**2 + clean.v**2))
    error = np.full(clean.x.size, noise * speed)
    return Adjoint(
        observations, bay_model(constant, noise).scales, Noise(error, error), USUAL_TRIANGLES
    )


class Run:
    """What the stage makes of a viscosity that is the same everywhere."""

    def __init__(self, noise: float, steps: int = 12, seconds_left=lambda: np.inf):
        self.noise, self.adjoint = noise, stage(noise)
        self.given = bay_model(constant, noise)
        self.sums: list[float] = []
        self.misfits: list[float] = []
        self.found, self.misfit = self.adjoint.corrected(
            self.given, steps, seconds_left, np.random.default_rng(0), self._take
        )

    def _take(self, total: float, misfit: float) -> None:
        self.sums.append(total)
        self.misfits.append(misfit)

    def jets(self, fitted: KnownModel):
        pixels = bay(self.noise).domain
        return fitted.jets(pixels.x, pixels.y, Orders(0, 0))

    def errors(self, fitted: KnownModel) -> np.ndarray:
        """Logarithm of the viscosity over the true one, pixel by pixel."""
        true = self.jets(bay_model(bay_viscosity, self.noise))[3].value
        return self.jets(fitted)[3].value - true


@pytest.fixture(scope="module")
def clean() -> Run:
    return Run(0.0)


@pytest.fixture(scope="module")
def noisy() -> Run:
    return Run(NOISE)


def rms(values: np.ndarray) -> float:
    return float(np.sqrt(np.mean(values**2)))


def test_without_noise_the_viscosity_comes_back(clean):
    """But for a few pixels in corners, where the mesh is not the shelf."""
    assert rms(clean.errors(clean.given)) > 0.5
    found = abs(clean.errors(clean.found))
    assert np.median(found) < 0.02
    assert np.quantile(found, 0.9) < 0.1


def test_with_noise_it_comes_back_less_well(noisy, clean):
    found = abs(noisy.errors(noisy.found))
    assert np.median(found) < 0.1
    assert np.quantile(found, 0.9) < 0.25
    assert np.median(found) > np.median(abs(clean.errors(clean.found)))


def test_the_ice_then_moves_as_observed(clean, noisy):
    assert clean.misfits[0] > 0.1
    assert clean.misfit < LEAST_MODEL_ERROR
    # Relative to the clean velocity: noise of both components over the rms of both is 2 % of √2.
    assert noisy.adjoint.noise == pytest.approx(NOISE * np.sqrt(2), rel=0.01)
    assert noisy.misfit == pytest.approx(noisy.adjoint.noise, rel=0.05)  # not less: no overfit


@pytest.mark.parametrize("name", ["clean", "noisy"])
def test_what_it_states_is_what_a_forward_model_says(name, request):
    run = request.getfixturevalue(name)
    assert run.misfits[-1] == run.misfit
    # The prediction has splines of what the mesh has at its points: within the error of a model.
    near = pytest.approx(run.misfit, rel=0.05, abs=LEAST_MODEL_ERROR / 4)
    assert run.adjoint.modelled(run.found) == near


@pytest.mark.parametrize("name", ["clean", "noisy"])
def test_the_predicted_velocity_is_the_modelled_one(name, request):
    run, true = request.getfixturevalue(name), bay().velocity
    u, v, *_ = run.found.jets(true.x, true.y, Orders(0, 0))
    speed = run.found.scales.speed
    off = np.hypot(speed * u.value - true.u, speed * v.value - true.v)
    # Smooth as a flow is: far closer to the truth than the noise, and with the error of the mesh.
    assert rms(off) / rms(np.hypot(true.u, true.v)) < (0.012 if name == "noisy" else 0.006)


@pytest.mark.parametrize("name", ["clean", "noisy"])
def test_every_step_lowers_the_sum(name, request):
    """On each mesh by itself; outliers are weighed anew at each step, by little."""
    run = request.getfixturevalue(name)
    sums = np.array(run.sums)
    rises = np.flatnonzero(np.diff(sums) > 0.001 * abs(sums[:-1]))
    assert rises.size <= 1  # where the finer mesh begins
    assert sums[-1] < 0.05 * sums[0]


def test_a_true_thickness_stays(clean, noisy):
    for run in (clean, noisy):
        ratio = run.jets(run.found)[2].value / run.jets(run.given)[2].value
        assert rms(ratio - 1) < 0.002


def test_the_truth_explains_the_velocity_and_a_wrong_constant_does_not():
    adjoint = stage(0.0)
    assert adjoint.coarse.modelled(bay_model(bay_viscosity)) < EXPLAINED
    assert adjoint.explained(bay_model(bay_viscosity))
    assert not adjoint.explained(bay_model(constant))
    twice = bay_model(lambda x, y: 1.1 * bay_viscosity(x, y))
    assert not adjoint.explained(twice)


def test_from_a_viscosity_that_is_found_there_is_little_left_to_correct(clean):
    again, misfit = clean.adjoint.corrected(
        bay_model(bay_viscosity), 12, lambda: np.inf, np.random.default_rng(0), lambda *_: None
    )
    assert misfit < LEAST_MODEL_ERROR
    assert np.median(abs(clean.errors(again))) < 0.02


def test_steps_and_seconds_are_kept():
    one = Run(0.0, steps=1)
    assert len(one.sums) == 4  # before and after a step, on each of two meshes
    hurried = Run(0.0, seconds_left=lambda: -1.0)
    assert len(hurried.sums) <= 2  # on the coarse mesh alone
    assert np.isfinite(hurried.errors(hurried.found)).all()


def test_members_differ_by_what_noise_leaves_open(noisy):
    members = replace(noisy.given, n_members=6)
    found, misfit = noisy.adjoint.corrected(
        members, 12, lambda: np.inf, np.random.default_rng(1), lambda *_: None
    )
    assert misfit == noisy.misfit  # of what they are drawn around
    assert found.correction.coefficients.shape[0] == 6
    logs = np.stack([noisy.jets(found.member(k))[3].value for k in range(6)])
    spread = logs.std(axis=0, ddof=1)
    best = noisy.jets(noisy.found)[3].value
    # Drawn around the best; and as far from each other as they are from the truth, within 3.
    assert np.median(abs(logs.mean(axis=0) - best)) < np.median(spread)
    actual = np.median(abs(noisy.errors(noisy.found)))
    assert actual / 3 < np.median(spread) < 3 * actual
    same, _ = noisy.adjoint.corrected(
        members, 12, lambda: np.inf, np.random.default_rng(1), lambda *_: None
    )
    np.testing.assert_array_equal(same.correction.coefficients, found.correction.coefficients)
