"""Self-scaled quasi-Newton against the textbook, alone, in blocks and with its line search."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal, localcontext

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xdiffice.model.precision import double_precision
from xdiffice.training.line_search import judged, opened
from xdiffice.training.quasi_newton import (
    MATRIX_BYTES,
    PENDING,
    block_sizes,
    forget_previous_step,
    in_blocks,
    inverse_hessian,
    scale_by_self_scaled,
)

N = 6  # one shape, compiled once
BFGS = scale_by_self_scaled()
update = jax.jit(BFGS.update)
UPDATES = {"bfgs": update, "broyden": jax.jit(scale_by_self_scaled("broyden").update)}
BLOCKS = in_blocks(BFGS, (N, N))
update_blocks = jax.jit(BLOCKS.update)
matrix = jax.jit(inverse_hessian)
start_search, judge = jax.jit(opened), jax.jit(judged)
FAMILIES = tuple(UPDATES)
seeds = st.integers(0, 10_000)


def quadratic(seed: int, n: int = N, condition: float = 100.0) -> tuple[np.ndarray, np.ndarray]:
    """Matrix and minimum of ½ (x − m)ᵀ A (x − m), A symmetric and positive definite."""
    rng = np.random.default_rng(seed)
    Q, _ = np.linalg.qr(rng.normal(size=(n, n)))
    return Q @ np.diag(np.geomspace(1, condition, n)) @ Q.T, rng.normal(size=n)


def self_scaling(family: str, b: float, h: float, n: int = N) -> tuple[float, float, float]:
    """τ, θ and φ from b = sᵀB s / yᵀs and h = yᵀH y / yᵀs, with digits for every cancellation.

    BFGS: Al-Baali (1998). Broyden: Urbán, Stefanou & Pons (2025), section 3.
    """
    with localcontext(prec=60):
        one, b, h = Decimal(1), Decimal(float(b)), Decimal(float(h))
        rho = min(one, 1 / b)
        if family == "bfgs":
            return float(rho), 0.0, 1.0
        a = b * h - 1
        c = (a / (1 + a)).sqrt()
        rho_minus = min(one, h * (1 - c))
        theta_minus, theta_plus = (rho_minus - 1) / a, 1 / rho_minus
        theta = max(theta_minus, min(theta_plus, (1 - b) / b))
        sigma = 1 + theta * a
        power = abs(sigma) ** (one / (1 - n))
        tau = min(rho * power, sigma) if theta <= 0 else rho * min(power, 1 / theta)
        return float(tau), float(theta), float((1 - theta) / sigma)


def hessian_form(B: np.ndarray, s: np.ndarray, y: np.ndarray, tau: float, theta: float):
    """Broyden's family with a scaled Hessian, θ = 0 for BFGS, 1 for DFP (Al-Baali 1998)."""
    B_s, y_s = B @ s, y @ s
    s_B_s = s @ B_s
    w = np.sqrt(s_B_s) * (y / y_s - B_s / s_B_s)
    member = B - np.outer(B_s, B_s) / s_B_s + theta * np.outer(w, w)
    return tau * member + np.outer(y, y) / y_s


def inverse_form(H: np.ndarray, s: np.ndarray, y: np.ndarray, tau: float, phi: float):
    """Broyden's family of inverse Hessians, φ = 1 for BFGS, 0 for DFP (Urbán et al. 2025)."""
    H_y, y_s = H @ y, y @ s
    y_H_y = y @ H_y
    v = np.sqrt(y_H_y) * (s / y_s - H_y / y_H_y)
    member = H - np.outer(H_y, H_y) / y_H_y + phi * np.outer(v, v)
    return member / tau + np.outer(s, s) / y_s


def bfgs(B: np.ndarray, s: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Update by self-scaled BFGS as one finds it written (Al-Baali 1998)."""
    tau = min(1.0, (y @ s) / (s @ B @ s))
    B_s = B @ s
    return tau * (B - np.outer(B_s, B_s) / (s @ B_s)) + np.outer(y, y) / (y @ s)


def assert_close(actual, expected, tolerance=1e-9):
    """Compare with a tolerance relative to the largest element."""
    scale = np.abs(expected).max()
    np.testing.assert_allclose(actual, expected, rtol=0, atol=tolerance * scale)


class Walk:
    """Steps of random length, each through a random convex landscape: y = A s, A new every time."""

    def __init__(self, family: str, seed: int, condition: float = 30.0):
        self.update, self.condition = UPDATES[family], condition
        self.rng = np.random.default_rng(seed)
        self.x, self.gradient = self.rng.normal(size=(2, N))
        self.product, self.state = self.update(
            self.gradient, BFGS.init(jnp.asarray(self.x)), self.x
        )

    def step(self) -> tuple[np.ndarray, np.ndarray]:
        """Take one, and return s and y."""
        Q, _ = np.linalg.qr(self.rng.normal(size=(N, N)))
        A = (Q * self.condition ** self.rng.uniform(size=N)) @ Q.T
        s = -self.rng.uniform(0.05, 1.0) * np.asarray(self.product)
        return s, self.take(s, A @ s)

    def steps(self, n: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Take n of them, with a new sample now and then; yield s and y."""
        for _ in range(n):
            if self.rng.random() < 0.5:
                self.meet_a_new_sample()
            yield self.step()

    def meet_a_new_sample(self) -> None:
        self.gradient = self.rng.normal(size=N)
        self.product, self.state = self.update(
            self.gradient, forget_previous_step(self.state), self.x
        )

    def take(self, s: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Take a given one."""
        x, gradient = self.x + s, self.gradient + y
        # What the transformation sees is rounded.
        y = gradient - self.gradient
        self.x, self.gradient = x, gradient
        self.product, self.state = self.update(gradient, self.state, x)
        return y

    @property
    def H(self) -> np.ndarray:  # noqa: N802
        return np.asarray(matrix(self.state))


@settings(max_examples=20, deadline=None)
@given(seed=seeds)
def test_bfgs_is_the_member_with_phi_one(seed):
    rng = np.random.default_rng(seed)
    B, _ = quadratic(seed)
    A, _ = quadratic(seed + 1)
    s = rng.normal(size=N)
    y = A @ s
    B_new = bfgs(B, s, y)
    tau = min(1.0, (y @ s) / (s @ B @ s))
    assert_close(hessian_form(B, s, y, tau, 0.0), B_new, 1e-12)
    H_new = inverse_form(np.linalg.inv(B), s, y, tau, 1.0)
    assert_close(H_new @ B_new, np.eye(N), 1e-9)


@pytest.mark.parametrize("family", FAMILIES)
@settings(max_examples=15, deadline=None)
@given(seed=seeds)
def test_updates_are_those_of_the_textbook(family, seed):
    with double_precision():
        walk = Walk(family, seed)
        np.testing.assert_array_equal(walk.product, walk.gradient)  # H is the identity at first
        B, H = np.eye(N), np.eye(N)
        for s, y in walk.steps(8):
            b, h = (s @ B @ s) / (y @ s), (y @ H @ y) / (y @ s)
            tau, theta, phi = self_scaling(family, b, h)
            B, H = hessian_form(B, s, y, tau, theta), inverse_form(H, s, y, tau, phi)
            assert_close(H @ B, np.eye(N), 1e-6)  # two textbooks agree
            assert_close(walk.H, H, 1e-7)
            assert_close(walk.H @ B, np.eye(N), 1e-6)
            assert_close(walk.H @ y, s, 1e-7)
            np.testing.assert_array_equal(walk.H, walk.H.T)
            assert_close(walk.product, walk.H @ walk.gradient, 1e-7)


@pytest.mark.parametrize("family", FAMILIES)
@settings(max_examples=15, deadline=None)
@given(seed=seeds, exponent=st.floats(0, 3.5))
def test_convex_steps_keep_the_matrix_positive_definite(family, seed, exponent):
    with double_precision():
        walk = Walk(family, seed, 10.0**exponent)
        for _ in walk.steps(10):
            np.linalg.cholesky(walk.H)
            assert walk.gradient @ walk.product > 0


@pytest.mark.parametrize("family", FAMILIES)
def test_hundreds_of_steps_keep_the_matrix_positive_definite(family):
    # No correction reaches an antisymmetric part. Each division by τ enlarges it: had rounding
    # ever made one, it would be as large as the matrix by now.
    with double_precision():
        walk = Walk(family, 0)
        for _ in walk.steps(512):
            pass
        np.testing.assert_array_equal(walk.H, walk.H.T)
        np.linalg.cholesky(walk.H)


def test_the_matrix_is_symmetric_to_the_last_bit():
    rng = np.random.default_rng(0)
    with double_precision():
        cores = rng.normal(size=(PENDING, 2, 2))
        state = BFGS.init(jnp.zeros(301))._replace(
            scale=jnp.asarray(1.37),
            cores=jnp.asarray(cores + cores.swapaxes(1, 2)),
            pairs=jnp.asarray(rng.normal(size=(PENDING, 2, 301))),
        )
        H = np.asarray(matrix(state))
    assert np.linalg.norm(H - 1.37 * np.eye(301)) > 100
    np.testing.assert_array_equal(H, H.T)


@pytest.mark.parametrize("family", FAMILIES)
def test_corrections_that_wait_change_nothing(family):
    with double_precision():
        walk, H, pending = Walk(family, 3), np.eye(N), []
        for s, y in walk.steps(2 * PENDING + 5):
            b, h = (s @ np.linalg.solve(H, s)) / (y @ s), (y @ H @ y) / (y @ s)
            tau, _, phi = self_scaling(family, b, h)
            H = inverse_form(H, s, y, tau, phi)
            pending.append(int(walk.state.n_pending))
            assert_close(walk.H, H, 1e-8)
            assert_close(walk.product, walk.H @ walk.gradient)
    once = list(range(1, PENDING + 1))
    assert pending == [*once, *once, 1, 2, 3, 4, 5]


def pair_with(curvature: float, s: np.ndarray, B: np.ndarray, rng) -> np.ndarray:
    """Return y with yᵀs = curvature · sᵀB s."""
    z = rng.normal(size=N)
    z -= (z @ s) / (s @ s) * s
    return curvature * (s @ B @ s) / (s @ s) * s + np.linalg.norm(B @ s) * z


def after_a_pair(seed: int, walked: int, curvature: float):
    """Walk, take a step whose yᵀs is so many times sᵀB s; return the walk, H before it, s and y."""
    walk = Walk("broyden", seed)
    for _ in range(walked):
        walk.step()
    s, H = -0.7 * np.asarray(walk.product), walk.H
    return walk, H, s, walk.take(s, pair_with(curvature, s, np.linalg.inv(H), walk.rng))


@settings(max_examples=15, deadline=None)
@given(seed=seeds, walked=st.integers(0, 4))
def test_where_the_curvature_is_as_expected_broyden_is_bfgs(seed, walked):
    with double_precision():
        walk, H, s, y = after_a_pair(seed, walked, 1.0)
        assert_close(walk.H, inverse_form(H, s, y, 1.0, 1.0), 1e-6)


@settings(max_examples=15, deadline=None)
@given(seed=seeds, walked=st.integers(0, 4))
def test_where_the_curvature_is_twice_as_expected_broyden_is_dfp(seed, walked):
    # b = ½, hence θ = 1 and φ = 0, and τ = (b h)^(-1/(n-1)).
    with double_precision():
        walk, H, s, y = after_a_pair(seed, walked, 2.0)
        tau = ((y @ H @ y) / (2 * (y @ s))) ** (-1 / (N - 1))
        H_y = H @ y
        dfp = (H - np.outer(H_y, H_y) / (y @ H_y)) / tau + np.outer(s, s) / (y @ s)
        assert tau < 0.999
        assert_close(walk.H, dfp, 1e-6)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("b", [2.0**-10, 1.0, 2.0**30, 2.0**60])
@pytest.mark.parametrize("cosine", [2.0**-13, 2.0**-30, 2.0**-36])
def test_a_pair_almost_at_a_right_angle_does_no_harm(family, b, cosine):
    # b h = 1 / cos², up to 5e21: 1 - c and 1 + θ a have no digit left. All numbers are exact here.
    axes = np.eye(N)
    y = 2.0**-20 * (axes[1] / cosine - axes[0])
    s = -(2.0**-20) * b * axes[0]
    with double_precision():
        walk = Walk(family, 0)
        walk.x, walk.gradient = np.zeros(N), axes[0]
        walk.product, walk.state = walk.update(axes[0], BFGS.init(jnp.zeros(N)), walk.x)
        walk.take(s, y)
        tau, _, phi = self_scaling(family, b, (y @ y) / (y @ s))
        expected = inverse_form(np.eye(N), s, y, tau, phi)
        assert walk.H[2, 2] == pytest.approx(1 / tau, rel=1e-5)  # across s and y it is H / τ
        assert_close(walk.H, expected, 1e-5)
        assert_close(walk.product, walk.H @ walk.gradient, 1e-5)


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
    gradients = np.linalg.norm(minimise_exactly(A, minimum, N), axis=1)
    assert gradients[-1] < 1e-9 * gradients[0]
    assert gradients[-2] > 1e-8 * gradients[0]  # and not in fewer, for a general start


def test_the_inverse_hessian_becomes_the_inverse_of_a_quadratics_matrix():
    # New starts instead of one path: a single path knows only the directions that it took.
    A, minimum = quadratic(1, condition=30.0)
    rng, truth = np.random.default_rng(0), np.linalg.inv(A)
    with double_precision():
        state, errors = BFGS.init(jnp.zeros(N)), []
        for _ in range(200):
            x = minimum + rng.normal(size=N)
            product, state = update(A @ (x - minimum), forget_previous_step(state), x)
            x = x - np.asarray(product)
            _, state = update(A @ (x - minimum), state, x)
            errors.append(np.linalg.norm(matrix(state) - truth) / np.linalg.norm(truth))
    assert errors[0] > 0.5
    assert errors[-1] < 1e-6


@pytest.mark.parametrize("case", ["uphill", "flat", "no move", "first"])
def test_pairs_without_positive_curvature_change_nothing(case):
    rng = np.random.default_rng(0)
    x, gradient = rng.normal(size=N), rng.normal(size=N)
    with double_precision():
        state = BFGS.init(jnp.asarray(x))
        product, state = update(gradient, state, x)
        for _ in range(2):  # a matrix that is not the identity any more
            x = x - 0.1 * np.asarray(product)
            gradient = gradient - 0.05 * np.asarray(product)
            product, state = update(gradient, state, x)
        before = np.asarray(matrix(state))
        assert not np.allclose(before, np.eye(N))
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
        np.testing.assert_array_equal(matrix(after), before)
    np.testing.assert_allclose(product, before @ new[case][0], rtol=1e-12)
    np.testing.assert_array_equal(after.params, new[case][1])
    np.testing.assert_array_equal(after.gradient, new[case][0])
    assert bool(after.has_previous)


def test_after_a_new_sample_only_the_matrix_is_kept():
    with double_precision():
        walk = Walk("bfgs", 0)
        walk.step()
        before, state = walk.H, walk.state
        assert not np.allclose(before, np.eye(N))
        assert bool(state.has_previous)
        walk.meet_a_new_sample()
        np.testing.assert_array_equal(walk.H, before)
        assert_close(walk.product, before @ walk.gradient, 1e-12)
        # What the new sample changed in the gradient is no curvature; the next step knows it.
        s, y = walk.step()
        assert_close(walk.H @ y, s)


def test_all_blocks_forget():
    with double_precision():
        state = tuple(Walk("bfgs", seed).state for seed in (0, 1))
        assert all(bool(part.has_previous) for part in state)
        forgotten = forget_previous_step(state)
        assert isinstance(forgotten, tuple)
        for part, before in zip(forgotten, state, strict=True):
            assert not bool(part.has_previous)
            np.testing.assert_array_equal(part.matrix, before.matrix)


def rosenbrock(x: np.ndarray) -> tuple[np.float64, np.ndarray]:
    """Value and gradient."""
    valley, rest, gradient = x[1:] - x[:-1] ** 2, 1 - x[:-1], np.zeros_like(x)
    gradient[:-1] = -400 * valley * x[:-1] - 2 * rest
    gradient[1:] += 200 * valley
    return 100 * valley @ valley + rest @ rest, gradient


@pytest.mark.parametrize("family", FAMILIES)
def test_with_the_line_search_it_minimises_the_rosenbrock_function(family):
    with double_precision():
        x = np.array([-1.2, 1.0, -0.5, 0.8, 1.5, 0.0])
        state, values = BFGS.init(jnp.asarray(x)), []
        value, gradient = rosenbrock(x)
        while value > 1e-16:
            values.append(value)
            product, state = UPDATES[family](gradient, state, x)
            move = -np.asarray(product)
            slope, accepted = move @ gradient, False
            bracket = start_search(value, slope)
            assert slope < 0
            while not accepted:
                trial = x + float(bracket.trial) * move
                new_value, new_gradient = rosenbrock(trial)
                verdict = judge(
                    bracket, value, slope, new_value, new_gradient @ move, np.isfinite(new_value)
                )
                assert not verdict.failed
                accepted, bracket = bool(verdict.accepted), verdict.bracket
            x, value, gradient = trial, new_value, new_gradient
            assert len(values) < 80
    np.testing.assert_allclose(x, np.ones(N), atol=1e-6)
    assert (np.diff(values) < 0).all()


def test_parameters_must_be_given():
    with double_precision():
        for transformation in (BFGS, BLOCKS):
            vector = jnp.zeros(N if transformation is BFGS else 2 * N)
            with pytest.raises(ValueError, match="needs the parameters"):
                transformation.update(vector, transformation.init(vector))


@pytest.mark.parametrize("transformation", [BFGS, BLOCKS], ids=["one matrix", "blocks"])
def test_a_state_can_be_donated(transformation):
    # Two leaves that share one buffer could not be.
    with double_precision():
        state = transformation.init(jnp.zeros(N if transformation is BFGS else 2 * N))
        buffers = {leaf.unsafe_buffer_pointer() for leaf in jax.tree.leaves(state)}
        assert len(buffers) == len(jax.tree.leaves(state))


@settings(max_examples=15, deadline=None)
@given(seed=seeds)
def test_blocks_are_separate_transformations(seed):
    with double_precision():
        walks = Walk("bfgs", seed), Walk("bfgs", seed + 1)

        def joined(name):
            return np.concatenate([np.asarray(getattr(walk, name)) for walk in walks])

        product, state = update_blocks(
            joined("gradient"), BLOCKS.init(jnp.zeros(2 * N)), joined("x")
        )
        for _ in range(4):
            for walk in walks:
                walk.step()
            product, state = update_blocks(joined("gradient"), state, joined("x"))
            assert_close(product, joined("product"), 1e-12)
            for part, walk in zip(state, walks, strict=True):
                assert_close(matrix(part), walk.H, 1e-12)


def test_parts_are_consecutive_and_of_the_sizes_given():
    # Each part becomes a unit vector, minus a tenth of its parameters; no number is lost or moved.
    def update(gradient, state, params):
        return gradient / np.linalg.norm(gradient) - 0.1 * params, state + 1

    unit = optax.GradientTransformationExtraArgs(lambda params: params[0], update)
    transformation = in_blocks(unit, (2, 3, 1))
    params = np.arange(6.0)
    state = transformation.init(params)
    assert state == (0.0, 2.0, 5.0)
    vector = np.array([3.0, 4.0, 2.0, -6.0, 3.0, -9.0])
    product, state = transformation.update(vector, state, params)
    expected = np.array([0.6, 0.8, 2 / 7, -6 / 7, 3 / 7, -1.0]) - 0.1 * params
    np.testing.assert_allclose(product, expected, rtol=1e-5)
    assert state == (1.0, 3.0, 6.0)


def test_blocks_do_not_ask_for_parameters_that_nobody_needs():
    transformation = in_blocks(optax.scale(-2.0), (2, 1))
    vector = np.array([3.0, 4.0, -2.0])
    product, _ = transformation.update(vector, transformation.init(vector))
    np.testing.assert_array_equal(product, [-6.0, -8.0, 4.0])


@pytest.mark.parametrize(
    ("n", "sizes"),
    # 11585² · 8 bytes is the last square below 2³⁰ bytes.
    [(1, (1,)), (6, (6,)), (11585, (11585,)), (11586, (5793, 5793)), (16385, (5462, 5462, 5461))],
)
def test_known_sizes_of_blocks(n, sizes):
    assert block_sizes(n) == sizes


@settings(max_examples=200, deadline=None)
@given(
    n=st.integers(1, 200_000),
    itemsize=st.sampled_from([4, 8]),
    limit=st.integers(2**22, MATRIX_BYTES),
)
def test_blocks_are_equal_and_as_few_as_memory_allows(n, itemsize, limit):
    sizes = block_sizes(n, itemsize, limit)
    k = len(sizes)
    assert sum(sizes) == n
    assert max(sizes) - min(sizes) <= 1
    # k does not divide n as a rule: that costs a quarter of a number per block at most.
    assert itemsize * sum(size**2 for size in sizes) <= limit + itemsize * k / 4
    assert k == 1 or itemsize * n**2 / (k - 1) > limit
