"""Self-scaled BFGS against the textbook, and as one member of a chain of optax."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xdiffice.model.precision import double_precision
from xdiffice.training.optimizers import forget_previous_step, scale_by_self_scaled_bfgs

BFGS = scale_by_self_scaled_bfgs()
update = jax.jit(BFGS.update)
seeds = st.integers(0, 10_000)


def quadratic(seed: int, n: int = 6, condition: float = 100.0) -> tuple[np.ndarray, np.ndarray]:
    """Matrix and minimum of ½ (x − m)ᵀ A (x − m), A symmetric and positive definite."""
    rng = np.random.default_rng(seed)
    Q, _ = np.linalg.qr(rng.normal(size=(n, n)))
    return Q @ np.diag(np.geomspace(1, condition, n)) @ Q.T, rng.normal(size=n)


def textbook(B: np.ndarray, s: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Self-scaled BFGS update of the Hessian itself (Al-Baali 1998), without any shortcut."""
    tau = min(1.0, (y @ s) / (s @ B @ s))
    B_s = B @ s
    return tau * (B - np.outer(B_s, B_s) / (s @ B_s)) + np.outer(y, y) / (y @ s)


def bumpy_gradient(x: np.ndarray) -> np.ndarray:
    """Gradient of Σ x⁴/4 + x²/2 + cos-coupling: convex along the steps taken here."""
    return x**3 + x + 0.1 * np.sin(x + np.roll(x, 1)) + 0.1 * np.sin(x + np.roll(x, -1))


@settings(max_examples=20, deadline=None)
@given(seed=seeds)
def test_updates_are_those_of_the_textbook(seed):
    rng = np.random.default_rng(seed)
    x, B = rng.normal(size=6), np.eye(6)
    with double_precision():
        state = BFGS.init(jnp.asarray(x))
        product, state = update(bumpy_gradient(x), state, x)
        np.testing.assert_array_equal(product, bumpy_gradient(x))  # H is the identity at first
        for _ in range(8):
            s = -rng.uniform(0.05, 0.5) * np.asarray(product)
            y = bumpy_gradient(x + s) - bumpy_gradient(x)
            assert y @ s > 0
            x, B = x + s, textbook(B, s, y)
            product, state = update(bumpy_gradient(x), state, x)
            H = np.asarray(state.inverse_hessian)
            np.testing.assert_allclose(H, np.linalg.inv(B), rtol=1e-9, atol=1e-9 * np.abs(H).max())
            np.testing.assert_allclose(H @ y, s, rtol=1e-9, atol=1e-9 * np.abs(s).max())
            np.testing.assert_allclose(H, H.T, rtol=1e-14, atol=1e-15 * np.abs(H).max())
            np.linalg.cholesky(H)
            np.testing.assert_allclose(
                product, H @ bumpy_gradient(x), rtol=1e-9, atol=1e-9 * np.abs(product).max()
            )


def minimise_exactly(A: np.ndarray, minimum: np.ndarray, steps: int) -> np.ndarray:
    """Take steps with exact line searches; return the gradients met."""
    x, gradients = np.zeros_like(minimum), []
    with double_precision():
        state = BFGS.init(jnp.asarray(x))
        for _ in range(steps):
            gradient = A @ (x - minimum)
            gradients.append(gradient)
            direction, state = update(gradient, state, x)
            direction = np.asarray(direction)
            x = x - (direction @ gradient) / (direction @ A @ direction) * direction
    return np.array([*gradients, A @ (x - minimum)])


@settings(max_examples=20, deadline=None)
@given(seed=seeds)
def test_a_quadratic_is_minimised_in_as_many_steps_as_it_has_dimensions(seed):
    A, minimum = quadratic(seed)
    gradients = np.linalg.norm(minimise_exactly(A, minimum, 6), axis=1)
    assert gradients[-1] < 1e-9 * gradients[0]
    assert gradients[-2] > 1e-6 * gradients[0]  # and not in fewer, for a general start


def test_the_inverse_hessian_becomes_the_inverse_of_a_quadratics_matrix():
    # New starts instead of one path: a single path knows only the directions that it took.
    A, minimum = quadratic(1, n=5, condition=30.0)
    rng, truth = np.random.default_rng(0), np.linalg.inv(A)
    with double_precision():
        state, errors = BFGS.init(jnp.zeros(5)), []
        for _ in range(200):
            x = minimum + rng.normal(size=5)
            product, state = update(A @ (x - minimum), forget_previous_step(state), x)
            x = x - np.asarray(product)
            _, state = update(A @ (x - minimum), state, x)
            errors.append(np.linalg.norm(state.inverse_hessian - truth) / np.linalg.norm(truth))
    assert errors[0] > 0.5
    assert errors[-1] < 1e-6


@pytest.mark.parametrize("case", ["uphill", "flat", "no move", "first"])
def test_pairs_without_positive_curvature_change_nothing(case):
    rng = np.random.default_rng(0)
    x, gradient = rng.normal(size=4), rng.normal(size=4)
    with double_precision():
        state = BFGS.init(jnp.asarray(x))
        product, state = update(gradient, state, x)
        for _ in range(2):  # a matrix that is not the identity any more
            x = x - 0.1 * np.asarray(product)
            gradient = gradient - 0.05 * np.asarray(product)
            product, state = update(gradient, state, x)
        before = np.asarray(state.inverse_hessian)
        assert not np.allclose(before, np.eye(4))
        s = -0.3 * np.asarray(product)
        new = {
            "uphill": (gradient - 0.2 * s, x + s),  # yᵀs < 0
            "flat": (gradient, x + s),  # y = 0
            "no move": (gradient + s, x),  # s = 0
            "first": (gradient + s, x + s),
        }
        if case == "first":
            state = forget_previous_step(state)
        product, after = update(new[case][0], state, new[case][1])
    np.testing.assert_array_equal(after.inverse_hessian, before)
    np.testing.assert_allclose(product, before @ new[case][0], rtol=1e-12)
    np.testing.assert_array_equal(after.params, new[case][1])
    np.testing.assert_array_equal(after.gradient, new[case][0])
    assert bool(after.has_previous)


def test_after_a_new_sample_only_the_matrix_is_kept():
    with double_precision():
        state = BFGS.init(jnp.zeros(3))
        _, state = update(np.ones(3), state, np.zeros(3))
        assert bool(state.has_previous)
        forgotten = forget_previous_step(state)
    assert not bool(forgotten.has_previous)
    np.testing.assert_array_equal(forgotten.inverse_hessian, state.inverse_hessian)


def test_a_chain_with_a_line_search_minimises_the_rosenbrock_function():
    def rosenbrock(x):
        return jnp.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2)

    optimiser = optax.chain(
        scale_by_self_scaled_bfgs(),
        optax.scale(-1.0),
        optax.scale_by_zoom_linesearch(max_linesearch_steps=20, initial_guess_strategy="one"),
    )
    with double_precision():

        @jax.jit
        def step(x, state):
            value, gradient = jax.value_and_grad(rosenbrock)(x)
            move, state = optimiser.update(
                gradient, state, x, value=value, grad=gradient, value_fn=rosenbrock
            )
            return optax.apply_updates(x, move), state, value

        x = jnp.array([-1.2, 1.0, -0.5, 0.8])
        state, values = optimiser.init(x), []
        for _ in range(80):
            x, state, value = step(x, state)
            values.append(float(value))
    np.testing.assert_allclose(x, np.ones(4), atol=1e-6)
    assert (np.diff(values) <= 0).all()


def test_parameters_must_be_given():
    with pytest.raises(ValueError, match="needs the parameters"):
        BFGS.update(jnp.ones(2), BFGS.init(jnp.ones(2)))


def test_a_state_can_be_donated():
    # Two leaves that share one buffer could not be.
    with double_precision():
        state = BFGS.init(jnp.zeros(3))
        buffers = {leaf.unsafe_buffer_pointer() for leaf in jax.tree.leaves(state)}
        assert len(buffers) == len(jax.tree.leaves(state))
