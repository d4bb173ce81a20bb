"""The loss is zero for the truth, counts what it says, and does not depend on directions."""

from __future__ import annotations

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from analytic_model import UNITS, SpreadingModel, exact_batch
from hypothesis import given, settings
from hypothesis import strategies as st

from xdiffice.model.fields import Model
from xdiffice.model.network import Network
from xdiffice.model.precision import double_precision
from xdiffice.physics.rheology import Isotropic
from xdiffice.physics.scales import Affine, EquationUnits
from xdiffice.training.loss import (
    Batch,
    Curbs,
    FrontBatch,
    InteriorBatch,
    Sample,
    ThicknessBatch,
    VelocityBatch,
    Weights,
    curbed,
    even_shares,
    motion_at_residual_points,
    residual_terms,
    total,
)
from xdiffice.training.objectives import FitAll, FitMotion, FitViscosity

WEIGHTS = Weights(velocity=1.0, thickness=0.6, momentum=0.05, front=0.1)
DATA = ("x_velocity", "y_velocity", "thickness")
RESIDUALS = ("x_momentum", "y_momentum", "x_front", "y_front")
ROUGHNESS = "roughness"
MODEL = Model(Network(3, 7, 2), Network(1, 5, 2), Isotropic())


@functools.partial(jax.jit, static_argnums=0)
def _call(objective, theta, sample):
    return objective(theta, sample)


def evaluate(objective, theta, sample) -> tuple[float, dict[str, float]]:
    with double_precision():
        loss, terms = _call(objective, jnp.asarray(theta), sample)
    return float(loss), {name: float(value) for name, value in terms.items()}


def random_sample(seed: int = 0, n: int = 30, units: EquationUnits = UNITS) -> Sample:
    """Data that no physics has made."""
    rng = np.random.default_rng(seed)

    def positions():
        return tuple(rng.uniform(-1, 1, (2, n)))

    angle = rng.uniform(-np.pi, np.pi, n)
    batch = Batch(
        VelocityBatch(*positions(), *rng.normal(size=(2, n)), *rng.uniform(0.5, 2, (2, n))),
        ThicknessBatch(*positions(), rng.normal(size=n), rng.uniform(0.5, 2, n)),
        InteriorBatch(*positions()),
        FrontBatch(*positions(), np.cos(angle), np.sin(angle)),
    )
    return Sample(batch, units, WEIGHTS)


def test_all_terms_vanish_for_the_exact_shelf():
    sample = Sample(exact_batch(), UNITS, WEIGHTS)
    loss, terms = evaluate(FitAll(SpreadingModel()), np.zeros(4), sample)
    assert set(terms) == {*DATA, *RESIDUALS, ROUGHNESS}
    rough = terms.pop(ROUGHNESS)
    assert max(terms.values()) < 1e-28
    assert loss < 1e-28
    assert np.std(sample.batch.thickness.h) > 0.3  # and the shelf is not a slab
    # μ is proportional to h = 1 + sin(phase) / 5, whose phase has the gradient (2, 0.7).
    phase = 2 * sample.batch.interior.x + 0.7 * sample.batch.interior.y
    slope = 0.2 * np.cos(phase) / (1 + 0.2 * np.sin(phase))
    assert rough == pytest.approx(np.mean(slope**2) * (2**2 + 0.7**2), rel=1e-12)


def test_misfits_are_mean_squares_of_the_normalised_data():
    sample = Sample(exact_batch(), UNITS, WEIGHTS)
    _, terms = evaluate(FitAll(SpreadingModel()), np.array([0.1, -0.2, 0.0, 0.0]), sample)
    assert terms["x_velocity"] == pytest.approx(0.01, rel=1e-12)
    assert terms["y_velocity"] == pytest.approx(0.04, rel=1e-12)
    assert terms["thickness"] < 1e-28
    assert max(terms[name] for name in RESIDUALS) < 1e-28  # a moving frame changes no stress


def test_residuals_are_mean_squares_in_units_of_the_driving_stress():
    # μ (1 + c) leaves c h ∇h in the shelf and c ½ h n at its front.
    batch = exact_batch()
    sample = Sample(batch, UNITS, WEIGHTS)
    loss, terms = evaluate(FitAll(SpreadingModel()), np.array([0.0, 0.0, 0.0, np.log(1.3)]), sample)
    h = 1 + 0.2 * np.sin(2 * batch.front.x + 0.7 * batch.front.y)
    slope = 0.2 * np.cos(2 * batch.front.x + 0.7 * batch.front.y)
    expected = {
        "x_momentum": np.mean((0.3 * h * 2 * slope) ** 2),
        "y_momentum": np.mean((0.3 * h * 0.7 * slope) ** 2),
        "x_front": np.mean((0.15 * h * batch.front.n_x) ** 2),
        "y_front": np.mean((0.15 * h * batch.front.n_y) ** 2),
    }
    for name, value in expected.items():
        assert terms[name] == pytest.approx(value, rel=1e-10)
    momentum = expected["x_momentum"] + expected["y_momentum"]
    front = expected["x_front"] + expected["y_front"]
    assert loss == pytest.approx(0.05 * momentum + 0.1 * front, rel=1e-10)


def test_data_count_by_their_weights():
    batch = exact_batch(n=4)
    weight = np.array([0.0, 1.0, 3.0, 0.0])
    off = batch.velocity.u + np.array([100.0, 0.1, 0.2, -100.0])
    velocity = batch.velocity._replace(u=off, u_weight=weight)
    thickness = batch.thickness._replace(h=batch.thickness.h + 0.5, weight=0.5 * np.ones(4))
    sample = Sample(batch._replace(velocity=velocity, thickness=thickness), UNITS, WEIGHTS)
    _, terms = evaluate(FitMotion(SpreadingModel()), np.zeros(3), sample)
    assert terms["x_velocity"] == pytest.approx((0.01 + 3 * 0.04) / 4, rel=1e-10)
    assert terms["y_velocity"] < 1e-28
    assert terms["thickness"] == pytest.approx(0.125, rel=1e-10)


@settings(max_examples=50, deadline=None)
@given(
    squares=st.lists(st.floats(1e-12, 1e12), min_size=2, max_size=8),
    delta=st.floats(1e-4, 1e4),
)
def test_curbed_squares_are_squares_first_and_then_grow_with_the_root(squares, delta):
    squares = np.sort(squares)
    with double_precision():
        found = np.asarray(curbed(squares, delta**-2))
        np.testing.assert_array_equal(curbed(squares, 0.0), squares)
    expected = 2 * delta**2 * (np.sqrt(1 + squares / delta**2) - 1)
    assert found == pytest.approx(expected, rel=1e-9, abs=1e-12 * delta**2)
    assert (found <= squares).all()
    assert (found <= 2 * delta * np.sqrt(squares)).all()
    assert (np.diff(found) >= 0).all()


def test_every_curb_reaches_its_own_term():
    sample = random_sample(4)
    theta = MODEL.init(np.random.default_rng(4))
    _, plain = evaluate(FitAll(MODEL), theta, sample)
    affected = {
        "x_velocity": ("x_velocity",),
        "y_velocity": ("y_velocity",),
        "thickness": ("thickness",),
        "momentum": ("x_momentum", "y_momentum"),
        "front": ("x_front", "y_front"),
    }
    assert set(affected) == set(Curbs._fields)
    for name, own in affected.items():
        _, terms = evaluate(
            FitAll(MODEL), theta, sample._replace(curbs=Curbs()._replace(**{name: 3.0}))
        )
        for term, value in plain.items():
            assert (terms[term] < 0.99 * value) == (term in own)


def test_total_takes_each_weight_where_it_belongs():
    terms = {name: float(k) for k, name in enumerate((*DATA, *RESIDUALS, ROUGHNESS), 1)}
    weights = Weights(1.0, thickness=10.0, momentum=100.0, front=1000.0, roughness=10_000.0)
    expected = 1 * (1 + 2) + 10 * 3 + 100 * (4 + 5) + 1000 * (6 + 7) + 10_000 * 8
    assert total(terms, weights) == expected


def test_the_whole_is_motion_and_equations_together():
    sample, theta = random_sample(), MODEL.init(np.random.default_rng(0))
    motion, viscosity = MODEL.split(theta)
    loss, terms = evaluate(FitAll(MODEL), theta, sample)
    motion_loss, motion_terms = evaluate(FitMotion(MODEL), motion, sample)
    batch, shares = sample.batch, even_shares(sample.batch)
    with double_precision():
        motions = motion_at_residual_points(MODEL, jnp.asarray(motion), batch, UNITS)
        rest = residual_terms(
            MODEL, jnp.asarray(viscosity), motions, batch, shares, sample.curbs, 0.0
        )
        rest_loss = float(total(rest, sample.weights))
    assert set(motion_terms) == {*DATA}
    assert set(rest) == {*RESIDUALS, ROUGHNESS}
    rest = {name: float(value) for name, value in rest.items()}
    assert terms == pytest.approx(motion_terms | rest, rel=1e-12)
    assert loss == pytest.approx(motion_loss + rest_loss, rel=1e-12)
    assert min(terms.values()) > 1e-6


def knowing(sample: Sample, first, leeway: float = 0.0) -> Sample:
    interior = sample.batch.interior._replace(first=(first,))
    return sample._replace(batch=sample.batch._replace(interior=interior), leeway=leeway)


def test_viscosity_is_fitted_to_what_is_known_of_its_logarithm():
    sample, theta = random_sample(), MODEL.init(np.random.default_rng(0))
    _, viscosity = MODEL.split(theta)
    x, y = sample.batch.interior[:2]
    with double_precision():
        (log,) = MODEL.logarithms(jnp.asarray(viscosity), x, y, order=0)
    away = np.random.default_rng(1).normal(size=x.size)
    loss, terms = evaluate(
        FitViscosity(MODEL), viscosity, knowing(sample, np.asarray(log.value) + away)
    )
    assert loss == pytest.approx(np.mean(away**2), rel=1e-12)
    assert terms == {"first_viscosity": loss}


def test_departures_from_the_first_viscosity_cost_beyond_their_leeway():
    sample, theta = random_sample(), MODEL.init(np.random.default_rng(0))
    x, y = sample.batch.interior[:2]
    with double_precision():
        (log,) = MODEL.logarithms(jnp.asarray(MODEL.split(theta)[1]), x, y, order=0)
    away = np.random.default_rng(1).normal(size=x.size)
    expected = np.mean(np.maximum(np.abs(away) - 0.7, 0) ** 2)
    assert expected > 0.01
    held = knowing(sample, np.asarray(log.value) + away, leeway=0.7)
    loss, terms = evaluate(FitAll(MODEL), theta, held)
    assert terms["departure"] == pytest.approx(expected, rel=1e-9)
    plain, plain_terms = evaluate(FitAll(MODEL), theta, sample)
    assert loss == pytest.approx(plain, rel=1e-12)  # its weight is zero here
    weights = sample.weights._replace(departure=2.0)
    loss, _ = evaluate(FitAll(MODEL), theta, held._replace(weights=weights))
    assert loss == pytest.approx(plain + 2 * expected, rel=1e-9)
    assert "departure" not in plain_terms


@pytest.mark.parametrize("kind", [FitMotion, FitAll])
def test_the_gradient_is_that_of_finite_differences(kind):
    sample, rng = random_sample(1), np.random.default_rng(2)
    theta = MODEL.init(rng)
    theta = MODEL.split(theta)[0] if kind is FitMotion else theta
    objective = kind(MODEL)
    with double_precision():
        gradient = np.asarray(
            jax.jit(jax.grad(lambda theta: objective(theta, sample)[0]))(jnp.asarray(theta))
        )
        loss = jax.jit(lambda theta: objective(theta, sample)[0])
        for _ in range(5):
            direction, step = rng.normal(size=theta.size), 1e-5
            direction /= np.linalg.norm(direction)
            difference = loss(theta + step * direction) - loss(theta - step * direction)
            # Errors: step² f''' / 6, and rounding of f over step.
            assert float(difference) / (2 * step) == pytest.approx(
                gradient @ direction, abs=1e-7 * np.linalg.norm(gradient)
            )


def turned(Q: np.ndarray, theta: np.ndarray, sample: Sample) -> tuple[np.ndarray, Sample]:
    """Turn the networks and the data; the scales of u and v must be equal."""

    def pair(x, y):
        return tuple(Q @ np.stack([x, y]))

    def turned_layers(network: Network, vector: np.ndarray, velocity: bool) -> list[np.ndarray]:
        layers = [(np.array(w), np.array(b)) for w, b in network.layers(vector)]
        layers[0] = (Q @ layers[0][0], layers[0][1])  # (Qw)·(Qx) = w·x
        if velocity:
            weight, bias = layers[-1]
            weight[:, :2], bias[:2] = weight[:, :2] @ Q.T, Q @ bias[:2]
        return [part.ravel() for layer in layers for part in layer]

    motion, viscosity = MODEL.split(theta)
    vector = np.concatenate(
        turned_layers(MODEL.motion, motion, velocity=True)
        + turned_layers(MODEL.viscosity, viscosity, velocity=False)
    )
    old, units = sample.batch, sample.units
    u, v, t, front = old.velocity, old.velocity, old.thickness, old.front
    batch = Batch(
        VelocityBatch(*pair(u.x, u.y), *pair(u.u, v.v), u.u_weight, v.v_weight),
        ThicknessBatch(*pair(t.x, t.y), t.h, t.weight),
        InteriorBatch(*pair(old.interior.x, old.interior.y)),
        FrontBatch(*pair(front.x, front.y), *pair(front.n_x, front.n_y)),
    )
    means = Q @ [units.u.mean, units.v.mean]
    new = EquationUnits(Affine(means[0], units.u.scale), Affine(means[1], units.v.scale), units.h)
    return vector, Sample(batch, new, sample.weights, sample.curbs)


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 1000), angle=st.floats(-4.0, 4.0), mirror=st.booleans())
def test_the_loss_does_not_turn_with_the_shelf(seed, angle, mirror):
    units = EquationUnits(Affine(0.3, 1.0), Affine(-0.1, 1.0), Affine(1.0, 0.2))
    sample = random_sample(seed, units=units)
    velocity = sample.batch.velocity
    sample = sample._replace(
        batch=sample.batch._replace(velocity=velocity._replace(v_weight=velocity.u_weight)),
        curbs=Curbs(thickness=1.0, momentum=2.0, front=3.0),
    )
    theta = MODEL.init(np.random.default_rng(seed))
    c, s = np.cos(angle), np.sin(angle)
    Q = np.array([[c, -s], [s, c]]) @ np.diag([1.0, -1.0 if mirror else 1.0])

    loss, terms = evaluate(FitAll(MODEL), theta, sample)
    turned_loss, turned_terms = evaluate(FitAll(MODEL), *turned(Q, theta, sample))
    assert turned_loss == pytest.approx(loss, rel=1e-11)
    assert turned_terms["thickness"] == pytest.approx(terms["thickness"], rel=1e-11)
    for name in ("velocity", "momentum", "front"):
        both = terms[f"x_{name}"] + terms[f"y_{name}"]
        assert turned_terms[f"x_{name}"] + turned_terms[f"y_{name}"] == pytest.approx(
            both, rel=1e-11
        )


def test_x_and_y_are_exchangeable_term_by_term():
    sample = random_sample(5)
    theta = MODEL.init(np.random.default_rng(5))
    swapped, other = turned(np.array([[0.0, 1.0], [1.0, 0.0]]), theta, sample)
    v = other.batch.velocity
    other = other._replace(
        batch=other.batch._replace(velocity=v._replace(u_weight=v.v_weight, v_weight=v.u_weight)),
        units=EquationUnits(UNITS.v, UNITS.u, UNITS.h),
    )
    _, terms = evaluate(FitAll(MODEL), theta, sample)
    _, exchanged = evaluate(FitAll(MODEL), swapped, other)
    for name in ("velocity", "momentum", "front"):
        assert exchanged[f"x_{name}"] == pytest.approx(terms[f"y_{name}"], rel=1e-12)
        assert exchanged[f"y_{name}"] == pytest.approx(terms[f"x_{name}"], rel=1e-12)
    assert exchanged["thickness"] == pytest.approx(terms["thickness"], rel=1e-12)
    assert terms["x_momentum"] != pytest.approx(terms["y_momentum"], rel=0.1)
