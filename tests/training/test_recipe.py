"""Motion first, then viscosity, then both: what each stage hands on, and to whom."""

from __future__ import annotations

import dataclasses
import itertools
import math

import jax.numpy as jnp
import numpy as np
import pytest
from analytic_model import RATE, UNITS, SpreadingModel, exact_batch

from xdiffice.model.fields import Model, Motion
from xdiffice.model.network import Network
from xdiffice.model.precision import double_precision
from xdiffice.physics.jets import Jet
from xdiffice.physics.rheology import Isotropic
from xdiffice.training import problem as problem_module
from xdiffice.training.balance import (
    FRONT_AT_FIRST,
    MOMENTUM_AT_FIRST,
    MOMENTUM_GROWS,
    ROUGHNESS_AT_FIRST,
)
from xdiffice.training.budget import Budget
from xdiffice.training.history import Recorder
from xdiffice.training.loss import Curbs, Motions, Sample, Weights
from xdiffice.training.objectives import FitAll, FitViscosity, FrozenMotionSample
from xdiffice.training.problem import Problem, Recipe
from xdiffice.training.recipe import best_constant, early_plan, train
from xdiffice.training.sampling import CANDIDATES, SampleSizes

RECIPE = Recipe(SampleSizes(25, 20, 30, 15), Weights(1.0, 0.6, 0.05, 0.1), resample_every=10)


def run(seed: int = 0, max_iterations: int = 100, recipe: Recipe = RECIPE):
    budget, recorder = (
        Budget(None, max_iterations),
        Recorder(progress=False, total=max_iterations),
    )
    rng = np.random.default_rng(seed)
    with double_precision():
        problem = Problem(SpreadingModel(), UNITS, exact_batch(), recipe, recorder, rng)
        theta, reason = train(problem, budget)
    return theta, reason, budget, recorder.to_dataset()


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_the_exact_shelf_is_found_from_a_random_start(seed):
    theta, reason, _, history = run(seed)
    np.testing.assert_allclose(theta, 0.0, atol=1e-9)
    assert reason in ("line_search", "max_iterations")
    # Each stage in turn, and each with the terms that it minimises.
    assert [stage for stage, _ in itertools.groupby(history.stage.values)] == [
        "motion",
        "viscosity",
        "all",
    ]
    by_stage = history.groupby("stage")
    assert np.isnan(by_stage["motion"].x_momentum).all()
    assert np.isnan(by_stage["viscosity"].x_velocity).all()
    assert np.isfinite(by_stage["all"].x_momentum + by_stage["all"].x_velocity).all()
    assert (np.diff(history.iteration) >= 0).all()
    assert (np.diff(history.seconds) >= 0).all()


def test_stages_start_where_the_one_before_ended():
    _, _, _, history = run()
    motion, viscosity, both = (history.groupby("stage")[s] for s in ("motion", "viscosity", "all"))
    assert motion.loss[0] > 1e-2
    assert motion.x_velocity[-1] < 1e-12
    assert both.x_velocity[0] < 1e-12
    assert both.x_momentum[0] < 1e-12
    assert viscosity.x_momentum[-1] < 1e-12
    # The first viscosity is the best constant: log μ is off by at most half a step, 1/8.
    assert viscosity.x_front[0] < np.expm1(0.126) ** 2


def test_the_front_weighs_more_and_momentum_less_while_the_motion_is_rough():
    recipe = Recipe(RECIPE.sizes, RECIPE.weights, resample_every=1)
    _, _, _, history = run(max_iterations=24, recipe=recipe)
    weights, anchors = RECIPE.weights, {}
    for stage, rows in history.groupby("stage"):
        terms = rows.fillna(0.0)
        data = weights.velocity * (terms.x_velocity + terms.y_velocity)
        data = data + weights.thickness * terms.thickness
        momentum = weights.momentum * (terms.x_momentum + terms.y_momentum)
        front = weights.front * (terms.x_front + terms.y_front)
        rough = ROUGHNESS_AT_FIRST * terms.roughness
        if stage == "all":
            sample = np.arange(rough.size)
            grown = MOMENTUM_AT_FIRST ** np.maximum(0.0, 1 - sample / MOMENTUM_GROWS)
            momentum, rough = grown * momentum, grown * rough / 2.0**sample
        loss = rows.loss - data - momentum - rough
        anchors[stage] = (loss / front.where(front > 0)).values
    np.testing.assert_allclose(anchors["viscosity"], FRONT_AT_FIRST, rtol=1e-6)
    expected = np.maximum(FRONT_AT_FIRST / 2 ** np.arange(anchors["all"].size), 1.0)
    assert expected[-1] == 1.0
    np.testing.assert_allclose(anchors["all"], expected, rtol=1e-6)


def surveyed(theta, batch=None, curbs=None):
    """Survey of the model whose exact parameters are zero; every point with double precision."""
    sample = Sample(batch or exact_batch(), UNITS, RECIPE.weights, curbs or Curbs())
    with double_precision():
        return problem_module._surveyed(SpreadingModel(), jnp.asarray(theta), sample)


def test_a_survey_knows_terms_stresses_and_every_residual():
    theta, curbs = np.array([0.1, 0.2, -0.1, 0.3]), Curbs(3.0, 2.0, 1.0, 50.0, 40.0)
    batch = exact_batch()
    with double_precision():
        sample = Sample(batch, UNITS, RECIPE.weights, curbs)
        _, terms = FitAll(SpreadingModel())(jnp.asarray(theta), sample)
    found, plain = surveyed(theta, batch, curbs), surveyed(theta, batch)
    assert found.terms == pytest.approx({name: float(value) for name, value in terms.items()})
    magnitudes = plain.magnitudes._asdict()
    squares = {name: float(np.mean(np.asarray(r) ** 2)) for name, r in magnitudes.items()}
    both = {
        name: float(plain.terms[f"x_{name}"] + plain.terms[f"y_{name}"])
        for name in ("velocity", "momentum", "front")
    }
    assert squares["velocity"] == pytest.approx(both["velocity"])
    assert squares["thickness"] == pytest.approx(float(plain.terms["thickness"]))
    assert squares["interior"] == pytest.approx(both["momentum"])
    assert squares["front"] == pytest.approx(both["front"])
    for found, part in zip(plain.magnitudes, batch[:4], strict=True):
        assert found.shape == part.x.shape


def test_the_stress_at_the_front_is_half_the_thickness():
    theta = np.zeros(4)
    with double_precision():
        front = exact_batch().front
        motion = SpreadingModel().motion_at(jnp.zeros(3), UNITS, front.x, front.y, order=1)
    expected = float(np.mean(np.asarray(motion.h.value) ** 2)) / 4
    assert float(surveyed(theta).stresses["front"]) == pytest.approx(expected)


@pytest.mark.parametrize("sampling", ["uniform", "residual"])
def test_residuals_that_teach_are_those_of_points_that_were_all_as_likely(monkeypatch, sampling):
    taught, found = [], []
    learn, survey = problem_module.Balance.learn, problem_module._surveyed

    def noted(self, terms, stresses):
        taught.append((terms, stresses))
        learn(self, terms, stresses)

    def watched(model, theta, sample):
        found.append((np.asarray(theta), sample.batch, survey(model, theta, sample)))
        return found[-1][-1]

    monkeypatch.setattr(problem_module.Balance, "learn", noted)
    monkeypatch.setattr(problem_module, "_surveyed", watched)
    theta, _, _, history = run(recipe=dataclasses.replace(RECIPE, sampling=sampling))
    at, batch, last = found[-1]
    np.testing.assert_allclose(at, theta, atol=1e-6)
    assert taught[-1] == (last.terms, last.stresses)
    of_all = [part.x.size for part in exact_batch()[:4]]
    factor = {"uniform": 1, "residual": CANDIDATES}[sampling]
    expected = [min(n, factor * size) for n, size in zip(of_all, RECIPE.sizes, strict=True)]
    assert [part.x.size for part in batch[:4]] == expected
    # Before the first steps of the last stage there is nothing to learn.
    assert len(taught) == len(found) - 1 == (history.stage == "all").sum() - 1


@pytest.mark.parametrize("max_iterations", [3, 7, 20])
def test_iterations_are_never_more_than_allowed(max_iterations):
    _, _, budget, history = run(max_iterations=max_iterations)
    assert budget.iterations <= max_iterations
    assert set(history.stage.values) == {"motion", "viscosity", "all"}


@pytest.mark.parametrize(
    ("max_iterations", "iterations", "resample_every"),
    [(3, 1, 1), (40, 8, 2), (500, 100, 33), (100_000, 300, 100)],
)
def test_the_first_stages_take_a_fifth_each_and_never_more_than_300(
    max_iterations, iterations, resample_every
):
    recipe = Recipe(RECIPE.sizes, RECIPE.weights, resample_every=100)
    budget = Budget(50.0, max_iterations)
    plan = early_plan(recipe, budget)
    assert (plan.iterations, plan.resample_every) == (iterations, resample_every)
    assert plan.seconds == pytest.approx(0.1 * budget.seconds_left, abs=0.1)
    assert early_plan(recipe, Budget(None, 100)).seconds == math.inf


@pytest.mark.parametrize(
    ("stage", "sample"),
    [("motion", 1), ("motion", 2), ("constant", 1), ("viscosity", 1), ("viscosity", 2), ("all", 2)],
)
def test_an_interruption_keeps_what_was_reached(monkeypatch, stage, sample):
    # One sample for each row of the history, and one for the best constant.
    _, _, _, history = run()
    draws = {"motion": 0, "constant": 0, "viscosity": 1, "all": 1}
    for other in history.stage.values:
        draws["constant"] += other == "motion"
        draws["viscosity"] += other == "motion"
        draws["all"] += other != "all"
    count, draw = itertools.count(1), problem_module.draw

    def interrupted(*args):
        if next(count) == draws[stage] + sample:
            raise KeyboardInterrupt
        return draw(*args)

    monkeypatch.setattr(problem_module, "draw", interrupted)
    theta, reason, _, interrupted_history = run()
    assert reason == "interrupted"
    assert interrupted_history.sizes["sample"] == draws[stage] + sample - 1 - (
        stage in "viscosity all"
    )
    start = SpreadingModel().init(np.random.default_rng(0))
    if (stage, sample) == ("motion", 1):
        np.testing.assert_array_equal(theta, start)
    elif stage == "motion":
        assert np.linalg.norm(theta[:3]) < 0.5 * np.linalg.norm(start[:3])
    else:
        np.testing.assert_allclose(theta[:3], 0.0, atol=1e-6)
    if stage in ("motion", "constant"):
        assert theta[3] == start[3]
    else:
        assert abs(theta[3]) <= 0.126  # the best constant at least


def slab(seed: int = 0) -> FrozenMotionSample:
    """Frozen motion of an even slab that spreads evenly: μ = 1 / (12 a) everywhere."""
    batch = exact_batch(seed)

    def motion(x, y) -> Motion:
        zero, one = np.zeros_like(x), np.ones_like(x)
        return Motion(
            Jet(RATE * x, RATE * one, zero, zero, zero, zero),
            Jet(RATE * y, zero, RATE * one, zero, zero, zero),
            Jet(one, zero, zero),
        )

    motions = Motions(motion(*batch.interior), motion(batch.front.x, batch.front.y))
    return FrozenMotionSample(Sample(batch, UNITS, RECIPE.weights), motions)


def test_the_best_constant_of_an_even_slab_is_its_viscosity():
    model = Model(Network(3, 4, 2), Network(1, 4, 2), Isotropic())
    theta = np.zeros(model.viscosity.n_parameters)
    theta[0] = 0.7  # the output's weights are zero: the network is constant
    with double_precision():
        found = best_constant(model, theta, slab())
        (mu,) = model.rheology_fields(found, np.zeros(3), np.linspace(-1, 1, 3), order=0)
    np.testing.assert_array_equal(found[:-1], theta[:-1])
    # Steps of a quarter in log μ.
    assert np.abs(np.log(np.asarray(mu.value) * 12 * RATE)).max() <= 0.125


def test_no_other_constant_is_better():
    model = Model(Network(3, 4, 2), Network(1, 4, 2), Isotropic())
    theta = model.viscosity.init(np.random.default_rng(4))
    frozen, objective = slab(), FitViscosity(model)
    with double_precision():
        found = best_constant(model, theta, frozen)
        best = float(objective(jnp.asarray(found), frozen)[0])
        for shift in np.arange(-8, 1.01, 0.25):
            other = theta.copy()
            other[-1] += shift
            assert best <= float(objective(jnp.asarray(other), frozen)[0]) * (1 + 1e-12)
    shift = found[-1] - theta[-1]
    assert -8 < shift < 1  # within the range searched, not at its end
