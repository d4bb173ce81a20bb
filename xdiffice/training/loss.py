"""What training minimises: named mean squares, with named weights.

Data misfit, equation residual and front residual, each in nondimensional units; the weights are
arguments of the compiled step and may change from step to step.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, TypeVar

import jax
import jax.numpy as jnp
import numpy as np

from xdiffice.model.fields import Model, Motion, exponential
from xdiffice.physics.jets import Jet
from xdiffice.physics.scales import EquationUnits
from xdiffice.physics.ssa import (
    front_residual,
    momentum_residual,
)

Array = jax.Array | np.ndarray  # all points of a shelf stay NumPy on the host; samples do not


class VelocityBatch(NamedTuple):
    """Normalised velocity at nondimensional points, with the relative weight of each value."""

    x: Array
    y: Array
    u: Array
    v: Array
    u_weight: Array
    v_weight: Array


class ThicknessBatch(NamedTuple):
    """Normalised thickness at nondimensional points, with the relative weight of each value."""

    x: Array
    y: Array
    h: Array
    weight: Array


class Blend(NamedTuple):
    """How predictions are made of one region's fields and those of its neighbours, at points.

    The region's own fields count by ``window``; ``rest`` is what all others add: u, v, h and the
    logarithms of the rheology's fields. Of the residual of the blend ``others`` is what these
    others are to remove.
    """

    window: Jet
    rest: tuple[Jet, ...]
    others: tuple[Array, Array]


class InteriorBatch(NamedTuple):
    """Nondimensional points at which the momentum balance is asked for.

    ``first`` are the logarithms of the rheology's fields as far as they are known beforehand,
    ``slopes`` those of each logarithm by x and y that cost nothing; zero if not given.
    """

    x: Array
    y: Array
    first: tuple[Array, ...] = ()
    slopes: tuple[tuple[Array, Array], ...] = ()
    blend: Blend | None = None


class FrontBatch(NamedTuple):
    """Nondimensional points of the calving front and its outward unit normals."""

    x: Array
    y: Array
    n_x: Array
    n_y: Array
    blend: Blend | None = None


Points = TypeVar("Points", VelocityBatch, ThicknessBatch, InteriorBatch, FrontBatch)


class Conditions(NamedTuple):
    """What has to be the same on both sides of an interface, in the units of the equations."""

    values: Any  # u, v, h
    slopes: Any  # their derivatives by x and y
    viscosity: Any  # logarithms of the rheology's fields
    forces: Any  # components of div(h T)


class InterfaceBatch(NamedTuple):
    """Nondimensional points where a region meets others, and what these have there."""

    x: Array
    y: Array
    target: Conditions
    weight: Array


class Batch(NamedTuple):
    """All points of one evaluation of the loss; interfaces only where there are any."""

    velocity: VelocityBatch
    thickness: ThicknessBatch
    interior: InteriorBatch
    front: FrontBatch
    interface: InterfaceBatch | None = None


class Shares(NamedTuple):
    """Share of each point in the mean over its kind; a number where all have the same."""

    velocity: Array | float
    thickness: Array | float
    interior: Array | float
    front: Array | float
    interface: Array | float | None = None


def even_shares(batch: Batch) -> Shares:
    """Shares of plain means."""
    shares = (None if points is None else 1 / points.x.shape[0] for points in batch)
    return Shares(*shares)  # type: ignore[arg-type]


class Weights(NamedTuple):
    """Weights of the terms of the loss."""

    velocity: float
    thickness: float
    momentum: float
    front: float
    roughness: float = 0.0
    penalty: float = 0.0
    interface_values: float = 0.0
    interface_slopes: float = 0.0
    interface_viscosity: float = 0.0
    interface_forces: float = 0.0
    departure: float = 0.0


class Curbs(NamedTuple):
    """From where a residual is an outlier: δ⁻² of every term, δ a magnitude of the residual.

    Squares r² become 2 r² / (1 + (1 + r²/δ²)^½), the pseudo-Huber loss: r² where it is small,
    2 δ |r| where it is large. Zero means plain squares.
    """

    x_velocity: Array | float = 0.0
    y_velocity: Array | float = 0.0
    thickness: Array | float = 0.0
    momentum: Array | float = 0.0
    front: Array | float = 0.0


class Sample(NamedTuple):
    """All that the loss depends on besides the parameters: the arguments of a compiled step."""

    batch: Batch
    units: EquationUnits
    weights: Weights
    curbs: Curbs = Curbs()
    leeway: Array | float = 0.0  # of logarithms of fields, around what is known beforehand


Terms = dict[str, Any]


def misfit_terms(
    model: Model, theta_motion: jax.Array, batch: Batch, shares: Shares, curbs: Curbs
) -> Terms:
    """Weighted mean squares of u, v and h minus data, in units of two standard deviations."""
    u_square, v_square, h_square = misfit_squares(model, theta_motion, batch)
    return {
        "x_velocity": jnp.sum(shares.velocity * curbed(u_square, curbs.x_velocity)),
        "y_velocity": jnp.sum(shares.velocity * curbed(v_square, curbs.y_velocity)),
        "thickness": jnp.sum(shares.thickness * curbed(h_square, curbs.thickness)),
    }


def misfit_squares(
    model: Model, theta_motion: jax.Array, batch: Batch
) -> tuple[Array, Array, Array]:
    """Weighted squares of u, v and h minus data, at every datum."""
    velocity, thickness = batch.velocity, batch.thickness
    u, v, h = model.data_values(theta_motion, *_joined(velocity, thickness))
    n = velocity.x.shape[0]
    u, v, h = u[:n], v[:n], h[n:]
    return (
        velocity.u_weight * (u - velocity.u) ** 2,
        velocity.v_weight * (v - velocity.v) ** 2,
        thickness.weight * (h - thickness.h) ** 2,
    )


def curbed(square: Array, curb: Array | float, of: Array | None = None) -> Array:
    """Squares of residuals as the loss counts them.

    Parameters
    ----------
    square : Array
        Squared magnitudes.
    curb : Array or float
        See `Curbs`.
    of : Array, optional
        A share of the squares, such as that of one component, to be counted instead.

    Returns
    -------
    Array
    """
    return (square if of is None else of) * (2 / (1 + jnp.sqrt(1 + curb * square)))


class Motions(NamedTuple):
    """Velocity and thickness where the equations are asked for."""

    interior: Motion
    front: Motion


def motion_at_residual_points(
    model: Model, theta_motion: jax.Array, batch: Batch, units: EquationUnits
) -> Motions:
    """Velocity and thickness where the equations are asked for, as the region has them."""
    interior, front = batch.interior, batch.front
    jets = model.motion_at(theta_motion, units, *_joined(interior, front), order=2)
    inside, edge = zip(*(_parted(jet, interior.x.shape[0]) for jet in jets), strict=True)
    return Motions(Motion(*inside), Motion(*edge))


def _joined(one: Any, other: Any) -> tuple[Array, Array]:
    """Positions of two kinds of points in one: a network for both is half as much to compile."""
    return jnp.concatenate([one.x, other.x]), jnp.concatenate([one.y, other.y])


def _parted(jet: Jet, n: int) -> tuple[Jet, Jet]:
    return jet.mapped(lambda part: part[:n]), jet.mapped(lambda part: part[n:])


class Logarithms(NamedTuple):
    """Logarithms of the rheology's fields where the equations are asked for."""

    interior: Sequence[Jet]
    front: Sequence[Jet]


def logarithms_at_residual_points(
    model: Model, theta_viscosity: jax.Array, batch: Batch
) -> Logarithms:
    """Logarithms of the rheology's fields where the equations are asked for."""
    interior, front = batch.interior, batch.front
    jets = model.logarithms(theta_viscosity, *_joined(interior, front), order=1)
    inside, edge = zip(*(_parted(jet, interior.x.shape[0]) for jet in jets), strict=True)
    return Logarithms(inside, edge)


Residuals = tuple[tuple[Array, Array], tuple[Array, Array]]
"""Components in x and y: of momentum (ρ g' h0² / L), of the front's stress (ρ g' h0)."""


def residuals(model: Model, motions: Motions, logarithms: Logarithms, batch: Batch) -> Residuals:
    """Residuals of the region's own fields."""
    inside, edge = motions
    front = batch.front
    fields = tuple(exponential(log) for log in logarithms.interior)
    mu_h, mu_v = model.rheology.viscosities(fields, inside.u, inside.v)
    momentum = momentum_residual(inside.u, inside.v, inside.h, mu_h, mu_v)
    at_front = tuple(exponential(log) for log in logarithms.front)
    mu_h, mu_v = model.rheology.viscosities(at_front, edge.u, edge.v)
    normal = (front.n_x, front.n_y)
    stress = front_residual(edge.u, edge.v, edge.h.value, mu_h.value, mu_v.value, normal)
    return momentum, stress


def blended_residuals(
    model: Model, motions: Motions, logarithms: Logarithms, batch: Batch
) -> Residuals:
    """Residuals of what is predicted, where neighbours have their share in it."""

    def blended(own: Sequence[Jet], blend: Blend, fields: slice) -> tuple[Jet, ...]:
        pairs = zip(own, blend.rest[fields], strict=True)
        return tuple(jet.times(blend.window).plus(rest) for jet, rest in pairs)

    inside, edge = batch.interior.blend, batch.front.blend
    assert inside is not None
    assert edge is not None
    return residuals(
        model,
        Motions(
            Motion(*blended(motions.interior, inside, slice(0, 3))),
            Motion(*blended(motions.front, edge, slice(0, 3))),
        ),
        Logarithms(
            blended(logarithms.interior, inside, slice(3, None)),
            blended(logarithms.front, edge, slice(3, None)),
        ),
        batch,
    )


def residual_terms(
    model: Model,
    theta_viscosity: jax.Array,
    motions: Motions,
    batch: Batch,
    shares: Shares,
    curbs: Curbs,
    leeway: Array | float,
) -> Terms:
    """Mean squares of the residuals and of the gradients of log μ; means of what is not wanted.

    Where regions blend, half of a square is that of the region's own fields: they have to be a
    solution by themselves, or they would be free to run away together.
    """
    interior, front = batch.interior, batch.front
    logarithms = logarithms_at_residual_points(model, theta_viscosity, batch)
    kinds = [residuals(model, motions, logarithms, batch)]
    if interior.blend is not None and front.blend is not None:
        blended = blended_residuals(model, motions, logarithms, batch)
        left = interior.blend.others, front.blend.others
        kinds.append(jax.tree.map(jnp.subtract, blended, left))
    terms = {}
    # Outliers by the length of the vector: the loss does not depend on the direction of the axes.
    for k, name, share, curb in (
        (0, "momentum", shares.interior, curbs.momentum),
        (1, "front", shares.front, curbs.front),
    ):
        vectors = [kind[k] for kind in kinds]
        for axis, direction in enumerate("xy"):
            squares = [curbed(x * x + y * y, curb, of=(x, y)[axis] ** 2) for x, y in vectors]
            terms[f"{direction}_{name}"] = jnp.sum(share * sum(squares)) / len(squares)
    slopes = interior.slopes or ((0.0, 0.0),) * len(logarithms.interior)
    rough = sum(
        (log.x - x) ** 2 + (log.y - y) ** 2
        for log, (x, y) in zip(logarithms.interior, slopes, strict=True)
    )
    terms["roughness"] = jnp.sum(shares.interior * rough)
    if interior.first:
        pairs = zip(logarithms.interior, interior.first, strict=True)
        away = (jnp.abs(log.value - known) for log, known in pairs)
        excess = sum(jnp.maximum(one - leeway, 0.0) ** 2 for one in away)
        terms["departure"] = jnp.sum(shares.interior * excess)
    penalty = model.rheology.penalty(tuple(exponential(log) for log in logarithms.interior))
    if penalty is not None:
        terms["penalty"] = jnp.sum(shares.interior * penalty)
    return terms


def interface_terms(found: Conditions, batch: Batch, shares: Shares, units: EquationUnits) -> Terms:
    """Mean squares of the jumps at interfaces.

    Parameters
    ----------
    found : Conditions
        What the region has at the points of ``batch.interface``.
    batch, shares
        Points, and their shares in the means.
    units : EquationUnits
        Jumps of u, v and h count in units of two standard deviations, as misfits do; their slopes
        in the same per half length of the region.
    """
    interface = batch.interface
    assert interface is not None
    share = jnp.asarray(shares.interface) * interface.weight
    scales = [unit.scale for unit in units]
    divisors = Conditions(
        values=tuple(scales),
        slopes=tuple(scale for scale in scales for _ in "xy"),
        viscosity=(1.0,) * len(found.viscosity),
        forces=(1.0, 1.0),
    )
    # Slopes and forces of neighbours that are not trained yet can be anything, those at the ends of
    # interfaces always: from one unit on they count as outliers.
    curbs = Conditions(values=0.0, slopes=1.0, viscosity=0.0, forces=1.0)
    return {
        f"interface_{name}": sum(
            jnp.sum(share * curbed(((a - b) / scale) ** 2, getattr(curbs, name)))
            for a, b, scale in zip(
                getattr(found, name),
                getattr(interface.target, name),
                getattr(divisors, name),
                strict=True,
            )
        )
        for name in Conditions._fields
    }


def total(terms: Terms, weights: Weights) -> jax.Array:
    """Weighted sum of the terms that are there."""
    return sum(
        getattr(weights, name.removeprefix("x_").removeprefix("y_")) * value
        for name, value in terms.items()
    )
