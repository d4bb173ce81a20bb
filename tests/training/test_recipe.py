"""Motion first, then viscosity, then both: what each stage hands on, and to whom."""

from __future__ import annotations

import dataclasses
import functools
import itertools
import math

import jax.numpy as jnp
import numpy as np
import pytest
from analytic_model import RATE, UNITS, SpreadingModel, exact_batch, thickness

from xdiffice.model.precision import double_precision
from xdiffice.training import problem as problem_module
from xdiffice.training.balance import (
    FRONT_AT_FIRST,
    MOMENTUM_AT_FIRST,
    MOMENTUM_GROWS,
    ROUGHNESS_AT_FIRST,
)
from xdiffice.training.budget import Budget
from xdiffice.training.history import Recorder
from xdiffice.training.loss import Curbs, Sample, Weights
from xdiffice.training.objectives import FitAll
from xdiffice.training.problem import Problem, Recipe
from xdiffice.training.recipe import early_plan, train
from xdiffice.training.sampling import CANDIDATES, SampleSizes
from xdiffice.training.shelf import Shelf

RECIPE = Recipe(SampleSizes(25, 20, 30, 15), Weights(1.0, 0.6, 0.05, 0.1), resample_every=10)


def run(seed: int = 0, max_iterations: int = 100, recipe: Recipe = RECIPE, first=None):
    first = first or slightly_wrong
    budget, recorder = (
        Budget(None, max_iterations),
        Recorder(progress=False, total=max_iterations),
    )
    rng = np.random.default_rng(seed)
    with double_precision():
        problem = Problem(SpreadingModel(), UNITS, exact_batch(), recipe, recorder, rng)
        ((theta,),), reason = train([Shelf([problem], first)], budget)
    return theta, reason, budget, recorder.to_dataset()


def slightly_wrong(thetas, factor: float = 1.2):
    """Return a first viscosity that is 20 % too large everywhere."""

    def logarithms(region, x, y):
        assert region == 0
        return (np.log(np.asarray(thickness(x, y).value) / (12 * RATE)) + np.log(factor),)

    return logarithms


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
    assert np.isnan(by_stage["viscosity"].x_momentum).all()
    assert np.isfinite(by_stage["viscosity"].first_viscosity).all()
    assert np.isfinite(by_stage["all"].x_momentum + by_stage["all"].x_velocity).all()
    assert (np.diff(history.iteration) >= 0).all()
    assert (np.diff(history.seconds) >= 0).all()


@pytest.mark.parametrize("together", [True, False])
def test_regions_of_a_shelf_go_on_until_none_has_progress(together):
    # One begins at the solution and has none to make, the other far from it.
    recipe = dataclasses.replace(
        RECIPE, resample_every=2, stage_iterations=1, tolerance=0.1, patience=2
    )
    budget, recorder = Budget(None, 2000), Recorder(progress=False, total=2000)
    with double_precision():
        problems = [
            Problem(
                SpreadingModel(),
                UNITS,
                exact_batch(),
                recipe,
                recorder.of_region(k),
                np.random.default_rng(k),
            )
            for k in range(2)
        ]
        shelves = [Shelf(problems, nothing_known)]
        if not together:
            shelves = [Shelf([problem], nothing_known) for problem in problems]
        n = SpreadingModel().n_parameters
        start = np.stack([np.zeros(n), np.full(n, 0.3)]).reshape(len(shelves), -1, n)
        train(shelves, budget, start)
    samples = [int((recorder.to_dataset().region == k).sum()) for k in range(2)]
    if together:
        assert abs(samples[0] - samples[1]) <= 1, samples
    else:  # members of an ensemble know nothing of each other
        assert samples[0] < samples[1] - 3, samples


def nothing_known(thetas):
    return lambda region, x, y: (np.zeros(x.shape),)


def test_stages_start_where_the_one_before_ended():
    _, _, _, history = run(recipe=dataclasses.replace(RECIPE, sizes=SampleSizes(40, 40, 40, 40)))
    motion, viscosity, both = (history.groupby("stage")[s] for s in ("motion", "viscosity", "all"))
    assert motion.loss[0] > 1e-2
    assert motion.x_velocity[-1] < 1e-12
    assert both.x_velocity[0] < 1e-12
    assert viscosity.first_viscosity[0] > 1e-3
    assert viscosity.first_viscosity[-1] < 1e-12
    # What the last stage begins with is the first viscosity: μ / 1.2 is in equilibrium.
    front = exact_batch().front
    pressure = 0.5 * np.asarray(thickness(front.x, front.y).value) * front.n_x
    assert both.x_front[0] == pytest.approx(0.2**2 * np.mean(pressure**2), rel=1e-5)


def test_the_first_viscosity_is_asked_for_once_with_the_trained_motion():
    asked = []

    def first(thetas):
        asked.append(thetas.copy())
        return slightly_wrong(thetas)

    run(first=first)
    (thetas,) = asked
    assert thetas.shape == (1, 4)
    np.testing.assert_allclose(thetas[0, :3], 0.0, atol=1e-6)


def test_the_front_weighs_more_and_momentum_less_while_the_motion_is_rough():
    recipe = Recipe(RECIPE.sizes, RECIPE.weights, resample_every=1)
    first = functools.partial(slightly_wrong, factor=1.0)
    _, _, _, history = run(max_iterations=24, recipe=recipe, first=first)
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
    for name in ("momentum", "front"):  # of what is predicted, curbed as the terms are
        for one in (found, plain):
            both = one.terms[f"x_{name}"] + one.terms[f"y_{name}"]
            assert float(one.squares[name]) == pytest.approx(float(both))
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

    def noted(self, terms, stresses, of_shelf):
        assert of_shelf is None  # one region has nobody to follow
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
    [("motion", 1), ("motion", 2), ("first", 1), ("viscosity", 1), ("viscosity", 2), ("all", 2)],
)
def test_an_interruption_keeps_what_was_reached(monkeypatch, stage, sample):
    _, _, _, history = run()  # one sample for each row
    stages = list(history.stage.values)
    draws = {"motion": 0, "viscosity": stages.count("motion")}
    draws["all"] = draws["viscosity"] + stages.count("viscosity")
    draws["first"] = draws["viscosity"]
    count, draw = itertools.count(1), problem_module.draw

    def interrupted(*args):
        if stage != "first" and next(count) == draws[stage] + sample:
            raise KeyboardInterrupt
        return draw(*args)

    def interrupted_first(thetas):
        if stage == "first":
            raise KeyboardInterrupt
        return slightly_wrong(thetas)

    monkeypatch.setattr(problem_module, "draw", interrupted)
    theta, reason, _, interrupted_history = run(first=interrupted_first)
    assert reason == "interrupted"
    assert interrupted_history.sizes["sample"] == draws[stage] + sample - 1
    start = SpreadingModel().init(np.random.default_rng(0))
    if (stage, sample) == ("motion", 1):
        np.testing.assert_array_equal(theta, start)
    elif stage == "motion":
        assert np.linalg.norm(theta[:3]) < 0.5 * np.linalg.norm(start[:3])
    else:
        np.testing.assert_allclose(theta[:3], 0.0, atol=1e-3 if stage == "all" else 1e-6)
    if stage in ("motion", "first") or (stage, sample) == ("viscosity", 1):
        assert theta[3] == start[3]
    elif stage == "viscosity":
        assert theta[3] == pytest.approx(np.log(1.2), abs=1e-3)
    else:
        assert abs(theta[3]) < abs(np.log(1.2))
