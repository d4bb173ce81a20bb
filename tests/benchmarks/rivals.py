"""Other ways to minimise the joint loss, each with the signature of `minimise`.

They see the same samples, weights and curbs as the library's own, stop by the same clock, and
report to the same history: a table of them compares nothing but how they descend.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.scipy.sparse.linalg import cg

from xdiffice.model.fields import Model
from xdiffice.training.loop import Outcome
from xdiffice.training.loss import (
    Batch,
    FrontBatch,
    InteriorBatch,
    Sample,
    logarithms_at_residual_points,
    motion_at_residual_points,
    residuals,
)

STEPS_ON_A_SAMPLE = 50
LM_STEPS_ON_A_SAMPLE = 5
CG_STEPS = 60
BLOCK = 250  # points whose Jacobian is held at once


class Descent:
    """What all rivals share: fresh samples until time is up, and the best of what was judged."""

    def __init__(self, objective: Any):
        self.objective = objective
        self.loss = jax.jit(objective)

    def start(self, theta: jax.Array) -> Any:
        """State before the first step."""
        raise NotImplementedError

    def advance(self, theta: jax.Array, state: Any, sample: Sample, share: float, spent) -> Any:
        """Descend on one sample; return theta, state and the number of steps."""
        raise NotImplementedError

    def minimise(self, theta, draw, budget, recorder) -> Outcome:
        """Descend until the time is up."""
        at, state, total = jnp.asarray(theta), self.start(jnp.asarray(theta)), budget.seconds_left
        best, best_theta = np.inf, theta
        while True:
            sample = draw(np.asarray(at))
            value, terms = self.loss(at, sample)
            recorder.record(self.objective.name, budget, float(value), terms)
            best = float(self.loss(best_theta, sample)[0])
            if float(value) <= best:
                best_theta = np.asarray(at)
            if budget.seconds_left <= 0 or budget.iterations_left <= 0:
                return Outcome(best_theta, "max_seconds")
            share = 1 - budget.seconds_left / total if np.isfinite(total) else 0.0
            at, state, steps = self.advance(
                at, state, sample, share, lambda: budget.seconds_left <= 0
            )
            budget.iterations += steps


class Adam(Descent):
    """`optax.adam`; the learning rate falls to a thousandth of itself."""

    def __init__(self, objective, learning_rate: float):
        super().__init__(objective)
        self.learning_rate = learning_rate
        self.chunk = jax.jit(self._chunk)

    def start(self, theta):
        """Moments of zero."""
        return optax.scale_by_adam().init(theta)

    def advance(self, theta, state, sample, share, spent):
        """Take steps on one sample, in one program."""
        rate = self.learning_rate * 10 ** (-3 * share)
        return *self.chunk(theta, state, sample, rate), STEPS_ON_A_SAMPLE

    def _chunk(self, theta, state, sample, rate):
        def step(carry, _):
            theta, state = carry
            gradient = jax.grad(lambda t: self.objective(t, sample)[0])(theta)
            update, state = optax.scale_by_adam().update(gradient, state)
            return (theta - rate * update, state), None

        return jax.lax.scan(step, (theta, state), length=STEPS_ON_A_SAMPLE)[0]


class LBFGS(Descent):
    """`optax.lbfgs` with its own zoom line search."""

    def __init__(self, objective, memory_size: int):
        super().__init__(objective)
        self.optimizer = optax.lbfgs(memory_size=memory_size)
        self.chunk = jax.jit(self._chunk)

    def start(self, theta):
        """No pairs yet."""
        return self.optimizer.init(theta)

    def advance(self, theta, state, sample, share, spent):
        """Take steps on one sample, in one program; the pairs are kept, the old value is not."""
        return *self.chunk(theta, state, sample), STEPS_ON_A_SAMPLE

    def _chunk(self, theta, state, sample):
        def loss(theta):
            return self.objective(theta, sample)[0]

        # The value and gradient that the line search stored belong to another sample.
        value, gradient = jax.value_and_grad(loss)(theta)
        state = optax.tree.set(state, value=value, grad=gradient)

        def step(carry, _):
            theta, state = carry
            value, gradient = optax.value_and_grad_from_state(loss)(theta, state=state)
            update, state = self.optimizer.update(
                gradient, state, theta, value=value, grad=gradient, value_fn=loss
            )
            return (optax.apply_updates(theta, update), state), None

        return jax.lax.scan(step, (theta, state), length=STEPS_ON_A_SAMPLE)[0]


# Gauss-Newton ------------------------------------------------------------------------------------


def _by_point(model: Model, sample: Sample) -> list[tuple[Callable, Any, jax.Array, bool]]:
    """Residuals of one point of every kind, points, factors, and whether they form a vector.

    The factors of the squares: weight in the loss, weight of the datum, trust in it.
    """
    batch, weights, curbs, units = sample.batch, sample.weights, sample.curbs, sample.units

    def velocity(theta, p):
        u, v, _ = model.data_values(model.split(theta)[0], p.x[None], p.y[None])
        return jnp.stack([jnp.sqrt(p.u_weight) * (u[0] - p.u), jnp.sqrt(p.v_weight) * (v[0] - p.v)])

    def thickness(theta, p):
        h = model.data_values(model.split(theta)[0], p.x[None], p.y[None])[2]
        return jnp.sqrt(p.weight) * (h - p.h)

    def equations(theta, inside, edge):
        motion, viscosity = model.split(theta)
        at = Batch(batch.velocity, batch.thickness, inside, edge)
        motions = motion_at_residual_points(model, motion, at, units)
        logarithms = logarithms_at_residual_points(model, viscosity, at)
        return residuals(model, motions, logarithms, at)

    nowhere = InteriorBatch(*jnp.zeros((2, 0))), FrontBatch(*jnp.zeros((4, 0)))

    def momentum(theta, p):
        inside = InteriorBatch(p.x[None], p.y[None])
        return jnp.concatenate(equations(theta, inside, nowhere[1])[0])

    def departure(theta, p):
        fields = model.logarithms(model.split(theta)[1], p.x[None], p.y[None], order=0)
        away = (abs(log.value - first) for log, first in zip(fields, p.first, strict=True))
        return jnp.concatenate([jnp.maximum(one - sample.leeway, 0.0) for one in away])

    def front(theta, p):
        edge = jax.tree.map(lambda a: a[None], p)
        return jnp.concatenate(equations(theta, nowhere[0], edge)[1])

    data = jnp.array([curbs.x_velocity, curbs.y_velocity])
    known = batch.interior.first
    extra = [(departure, batch.interior, weights.departure, jnp.zeros(len(known)), False)]
    return [
        (velocity, batch.velocity, weights.velocity, data, False),
        (thickness, batch.thickness, weights.thickness, jnp.array([curbs.thickness]), False),
        (momentum, batch.interior, weights.momentum, jnp.array([curbs.momentum]), True),
        (front, batch.front, weights.front, jnp.array([curbs.front]), True),
        *(extra if known else []),
    ]


def _factors(residual, weight, curb, is_vector: bool):
    """Square roots of what the squares are multiplied by, the curb held where it is."""
    square = residual**2
    if is_vector:
        square = square.sum(axis=-1, keepdims=True)
    return jnp.sqrt(weight / residual.shape[0]) * (1 + curb * square) ** -0.25


def normal_equations(model: Model, theta: jax.Array, sample: Sample):
    """JᵀJ and Jᵀr of the weighted residuals: half of the loss's Gauss-Newton matrix."""
    matrix, vector = jnp.zeros((theta.size, theta.size)), jnp.zeros_like(theta)
    for function, points, weight, curb, is_vector in _by_point(model, sample):
        residual = jax.vmap(lambda p, f=function: f(theta, p))(points)
        factor = jnp.broadcast_to(_factors(residual, weight, curb, is_vector), residual.shape)
        filled = -residual.shape[0] % BLOCK

        def cut(array, filled=filled):
            # What fills up has the factor zero.
            last = jnp.broadcast_to(array[:1], (filled, *array.shape[1:]))
            return jnp.concatenate([array, last]).reshape(-1, BLOCK, *array.shape[1:])

        zeros = jnp.zeros((filled, *factor.shape[1:]))
        factor = jnp.concatenate([factor, zeros]).reshape(-1, BLOCK, *factor.shape[1:])

        def add(total, block, f=function):
            (matrix, vector), (points, residual, factor) = total, block
            jacobian = jax.vmap(lambda p: jax.jacrev(f)(theta, p))(points)
            jacobian = (factor[..., None] * jacobian).reshape(-1, theta.size)
            residual = (factor * residual).ravel()
            return (matrix + jacobian.T @ jacobian, vector + jacobian.T @ residual), None

        blocks = jax.tree.map(cut, points), cut(residual), factor
        (matrix, vector), _ = jax.lax.scan(add, (matrix, vector), blocks)
    return matrix, vector


def weighted_residuals(model: Model, sample: Sample, at: jax.Array) -> Callable:
    """All weighted residuals as a vector of the parameters; the curbs are those ``at`` a point."""
    parts = _by_point(model, sample)

    def values(theta, function, points):
        return jax.vmap(lambda p: function(theta, p))(points)

    factors = [
        _factors(values(at, function, points), weight, curb, is_vector)
        for function, points, weight, curb, is_vector in parts
    ]

    def everything(theta):
        return jnp.concatenate(
            [
                (factor * values(theta, function, points)).ravel()
                for factor, (function, points, *_) in zip(factors, parts, strict=True)
            ]
        )

    return everything


class LevenbergMarquardt(Descent):
    """Gauss-Newton steps with Marquardt's damping, by the gain that was promised and was had.

    Dense: the normal equations, by Cholesky. Matrix-free: by conjugate gradients, with products of
    the Jacobian from derivatives in reverse alone, which is what the networks have.
    """

    def __init__(self, objective, dense: bool):
        super().__init__(objective)
        self.prepared = jax.jit(self._dense if dense else self._gradient)
        self.solved = jax.jit(self._cholesky if dense else self._conjugate_gradients)

    def start(self, theta):
        """Damping, as a share of the diagonal or of the gradient's curvature."""
        return 1e-2

    def _dense(self, theta, sample):
        return normal_equations(self.objective.model, theta, sample)

    def _cholesky(self, theta, sample, prepared, damping):
        matrix, vector = prepared
        diagonal = jnp.diag(matrix)
        damped = matrix + jnp.diag(damping * diagonal + 1e-12 * diagonal.mean())
        step = -jax.scipy.linalg.cho_solve(jax.scipy.linalg.cho_factor(damped), vector)
        return step, -(2 * vector @ step + step @ (matrix @ step))

    def _gradient(self, theta, sample):
        residual = weighted_residuals(self.objective.model, sample, theta)
        return jax.vjp(residual, theta)[1](residual(theta))[0]

    def _conjugate_gradients(self, theta, sample, vector, damping):
        residual = weighted_residuals(self.objective.model, sample, theta)
        _, transposed = jax.vjp(residual, theta)

        def product(direction):
            # J d is the derivative of Jᵀw by w: no derivatives forward are needed.
            dual = jnp.zeros_like(residual(theta))
            return jax.vjp(lambda w: transposed(w)[0], dual)[1](direction)[0]

        def multiplied(direction):
            return transposed(product(direction))[0]

        scale = jnp.linalg.norm(multiplied(vector)) / jnp.linalg.norm(vector)
        step, _ = cg(
            lambda d: multiplied(d) + 1e-3 * damping * scale * d, -vector, maxiter=CG_STEPS
        )
        return step, -(2 * vector @ step + step @ multiplied(step))

    def advance(self, theta, state, sample, share, spent):
        """Take a few steps on one sample."""
        damping, value = state, float(self.loss(theta, sample)[0])
        for taken in range(LM_STEPS_ON_A_SAMPLE):
            prepared = self.prepared(theta, sample)
            for _ in range(8):
                if spent():
                    return theta, damping, taken
                step, promised = self.solved(theta, sample, prepared, damping)
                new = float(self.loss(theta + step, sample)[0])
                gain = (value - new) / float(promised) if np.isfinite(new) else -1.0
                if gain > 0:
                    break
                damping = min(10 * damping, 1e6)
            if not gain > 0:
                return theta, damping, taken
            theta, value = theta + step, new
            if gain > 0.5:
                damping = max(damping / 4, 1e-9)
        return theta, damping, LM_STEPS_ON_A_SAMPLE
