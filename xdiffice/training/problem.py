"""What is asked of the networks of one region: points, drawn and weighted stage by stage."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from xdiffice.model.fields import Model
from xdiffice.model.precision import Precision
from xdiffice.physics.scales import EquationUnits
from xdiffice.training.balance import Balance
from xdiffice.training.history import Recorder
from xdiffice.training.loss import (
    Array,
    Batch,
    InterfaceBatch,
    Residuals,
    Sample,
    Terms,
    Weights,
    blended_residuals,
    curbed,
    even_shares,
    logarithms_at_residual_points,
    misfit_squares,
    misfit_terms,
    motion_at_residual_points,
    residual_terms,
    residuals,
)
from xdiffice.training.neighbours import shared_out
from xdiffice.training.objectives import FitAll
from xdiffice.training.progress import yardsticks
from xdiffice.training.sampling import (
    Magnitudes,
    SampleSizes,
    along_curve,
    candidates,
    draw,
    draw_by_residual,
)


@dataclass(frozen=True)
class Recipe:
    """What a user may choose about the training.

    Parameters
    ----------
    sizes : SampleSizes
        Points in one sample.
    weights : Weights
        Weights of the terms of the loss.
    resample_every : int
        Iterations between two samples.
    stage_share : float
        Share of the budget that each of the first two stages may take at most.
    stage_iterations : int
        Iterations that each of the first two stages may take at most.
    tolerance, patience : float, int
        See `Plan`.
    sampling : {"uniform", "residual"}
        How points are drawn in the third stage: all as likely, or with more weight where residuals
        are large.
    dtype : {"float64", "float32"}
        Of parameters and samples; to be trained within `full_precision` of the same.
    """

    sizes: SampleSizes
    weights: Weights
    resample_every: int
    stage_share: float = 0.1
    stage_iterations: int = 300
    tolerance: float = 0.0
    patience: int = 10
    sampling: Literal["uniform", "residual"] = "uniform"
    dtype: Precision = "float64"


class Problem:
    """The samples of one region.

    Parameters
    ----------
    model : Model
        Networks and rheology.
    units : EquationUnits
        From normalised data to the units of the equations.
    points : Batch
        All data, nondimensional, on the host.
    recipe : Recipe
        Choices.
    recorder : Recorder
        Learns by what weights samples count.
    rng : numpy.random.Generator
        Decides.
    noisy : callable, optional
        ``noisy(seed)`` returns the same points with other noise; without it the data are what was
        observed.
    noise_seed : int
        Of this noise.

    Attributes
    ----------
    observed : Batch
        All points with the data as they were observed, in the order of `points`.
    interface : InterfaceBatch or None
        What neighbours have at the region's interfaces; it may change from sample to sample.
    blended : callable or None
        Tells a sample what neighbours have at its points.
    measured : tuple or None
        Squares and stresses on the last sample, as `shares_of_shelf` takes them.
    of_shelf : mapping of str to float or None
        What `shares_of_shelf` made of the last samples of all regions.
    """

    def __init__(
        self,
        model: Model,
        units: EquationUnits,
        points: Batch,
        recipe: Recipe,
        recorder: Recorder,
        rng: np.random.Generator,
        noisy: Callable[[int], Batch] | None = None,
        noise_seed: int = 0,
    ):
        self.model, self.units, self.recipe, self.recorder = model, units, recipe, recorder
        self.rng = rng
        self.points = self.observed = along_curve(points)
        self._noisy = noisy
        self._add_noise(noise_seed)
        recorder.compare(yardsticks(self.observed, units))
        self.interface: InterfaceBatch | None = None
        self.blended: Callable[[Batch], Batch] | None = None
        self.measured: tuple[dict[str, Any], dict[str, Any]] | None = None
        self.of_shelf: dict[str, float] | None = None
        self._balance = Balance()

    def sample(self, _: np.ndarray | None = None) -> Sample:
        """Draw points with the weights that were given."""
        self.recorder.weigh(self.recipe.weights)
        batch = draw(self.points, self.recipe.sizes, self.rng)
        return jax.device_put(Sample(batch, self.units, self.recipe.weights))

    def know(self, logarithms: Callable[[Array, Array], tuple[np.ndarray, ...]]) -> None:
        """Take over what is known beforehand of the rheology's fields, by position."""
        interior = self.points.interior
        first = tuple(log.astype(interior.x.dtype) for log in logarithms(interior.x, interior.y))
        self.points = self.points._replace(interior=interior._replace(first=first))

    def _add_noise(self, seed: int) -> None:
        """Replace the data by what might have been observed as well."""
        self._noise_seed = seed
        if self._noisy is None:
            return
        batch = along_curve(self._noisy(seed))
        interior = self.points.interior._replace(slopes=batch.interior.slopes)
        self.points = self.points._replace(
            velocity=batch.velocity, thickness=batch.thickness, interior=interior
        )

    def state(self) -> dict[str, Any]:
        """Return what changes from sample to sample, as `restore` takes it."""
        measured = self.measured and [
            {name: float(value) for name, value in part.items()} for part in self.measured
        ]
        return {
            "rng": self.rng.bit_generator.state,
            "noise_seed": self._noise_seed,
            "balance": self._balance.state(),
            "measured": measured,
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Go on with the samples that would have come next."""
        self.rng.bit_generator.state = state["rng"]
        self._add_noise(state.get("noise_seed", 0))
        self._balance.restore(state["balance"])
        self.measured = state["measured"] and tuple(state["measured"])

    def balanced_sample(self, theta: np.ndarray) -> Sample:
        """Draw points for everything at once, with weights that follow from the residuals."""
        recipe, balance = self.recipe, self._balance
        by_residual = recipe.sampling == "residual"
        batch = (candidates if by_residual else draw)(self.points, recipe.sizes, self.rng)
        if self.blended is not None:
            batch = self.blended(batch)
        drawn = jax.device_put(Sample(batch, self.units, recipe.weights, balance.curbs))
        found = _surveyed(self.model, jnp.asarray(theta), drawn)
        if self.recorder.rows and self.recorder.rows[-1]["stage"] == FitAll.name:
            # Not before the first steps.
            balance.learn(found.terms, found.stresses, self.of_shelf)
        self.measured = found.squares, found.stresses
        self.recorder.measure(*self.measured)
        if self.blended is not None:
            batch = shared_out(batch, found.blended_residuals)
            drawn = drawn._replace(batch=batch)
        if by_residual:
            chosen = draw_by_residual(batch, recipe.sizes, self.rng, found.magnitudes)
            drawn = drawn._replace(batch=jax.device_put(chosen))
        if self.interface is not None:
            interface = jax.device_put(self.interface)
            drawn = drawn._replace(batch=drawn.batch._replace(interface=interface))
        drawn = drawn._replace(
            weights=balance.applied(drawn.weights), curbs=balance.curbs, leeway=balance.leeway
        )
        self.recorder.weigh(drawn.weights)
        return drawn


class Survey(NamedTuple):
    """What parameters make of the points of a sample.

    ``squares`` and ``stresses`` are mean squares, of the residuals of what is predicted and of what
    they are measured by: the driving stress h ∇h, and h / 2 at the front. Where regions overlap
    each counts by its window.
    """

    terms: Terms
    squares: dict[str, jax.Array]
    stresses: dict[str, jax.Array]
    magnitudes: Magnitudes
    blended_residuals: Residuals | None


@functools.partial(jax.jit, static_argnames="model")
def _surveyed(model: Model, theta: jax.Array, sample: Sample) -> Survey:
    """Terms of the loss, every residual, and the stresses that residuals are measured by."""
    batch, shares = sample.batch, even_shares(sample.batch)
    theta_motion, theta_viscosity = model.split(theta)
    motions = motion_at_residual_points(model, theta_motion, batch, sample.units)
    terms = misfit_terms(model, theta_motion, batch, shares, sample.curbs)
    terms |= residual_terms(
        model, theta_viscosity, motions, batch, shares, sample.curbs, sample.leeway
    )
    inside, edge = motions
    driving = inside.h.value**2 * (inside.h.x**2 + inside.h.y**2)
    pressure = (0.5 * edge.h.value) ** 2
    u, v, h = misfit_squares(model, theta_motion, batch)
    logarithms = logarithms_at_residual_points(model, theta_viscosity, batch)
    momentum, front = residuals(model, motions, logarithms, batch)
    magnitudes = Magnitudes(jnp.sqrt(u + v), jnp.sqrt(h), jnp.hypot(*momentum), jnp.hypot(*front))
    blended, predicted = None, (momentum, front)
    windows: tuple[Any, Any] = (jnp.ones(()), jnp.ones(()))
    if batch.interior.blend is not None and batch.front.blend is not None:
        blended = predicted = blended_residuals(model, motions, logarithms, batch)
        windows = batch.interior.blend.window.value, batch.front.blend.window.value
    squares, stresses = {}, {}
    for name, (x, y), stress, window, curb in zip(
        ("momentum", "front"),
        predicted,
        (driving, pressure),
        windows,
        (sample.curbs.momentum, sample.curbs.front),
        strict=True,
    ):
        whole = jnp.mean(window)
        squares[name] = jnp.mean(window * curbed(x * x + y * y, curb)) / whole
        stresses[name] = jnp.mean(window * stress) / whole
    return Survey(terms, squares, stresses, magnitudes, blended)
