"""The trained networks at any position, in SI: the one way from `model` to results.

Networks are asked region by region, blended by the windows of the partition, and everything else
follows from the blended fields; what comes out is what `labels` names. Positions go through in
blocks of one fixed size, so there is one compilation and bounded memory.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from xdiffice.model.correction import Correction
from xdiffice.model.fields import Model, exponential
from xdiffice.model.precision import double_precision
from xdiffice.observations.regions import Partition
from xdiffice.physics.jets import Jet
from xdiffice.physics.rheology import Rheology, in_units_of
from xdiffice.physics.scales import Scales
from xdiffice.physics.ssa import (
    effective_strain_rate_squared,
    front_residual,
    momentum_residual,
)
from xdiffice.results.names import MOTION, QUALITY, RESIDUALS, SPREAD, STRAIN_RATE, SUBDOMAIN
from xdiffice.results.quality import quality

BLOCK = 16384  # points evaluated at once
CHUNK = 16 * BLOCK  # points that are blended at once

DRIVING = ("x_driving_stress", "y_driving_stress")


class Orders(NamedTuple):
    """Highest derivatives of the motion and of the rheology's fields that are needed."""

    motion: int
    fields: int


@dataclass(frozen=True)
class FittedModel:
    """Networks with their parameters and scales: everything that a prediction needs.

    Parameters
    ----------
    model : Model
        Architecture and rheology; the same in all regions.
    theta : ndarray, shape (n_members, n_regions, model.n_parameters)
        Parameters. Velocity, thickness and logarithms are means over the members; so are their
        derivatives, and what is derived of them fits together.
    scales : Scales
        Units of the shelf, in which regions are blended.
    region_scales : tuple of Scales
        Units of every region.
    partition : Partition
        Where regions are, and their windows.
    strain_rate_error : float
        Strain rates, s-1, below which none is known.
    correction : Correction, optional
        What is added to the blended fields.
    """

    model: Model
    theta: np.ndarray
    scales: Scales
    region_scales: tuple[Scales, ...]
    partition: Partition
    strain_rate_error: float = 0.0
    correction: Correction | None = None

    @property
    def n_members(self) -> int:
        """How many members there are."""
        return len(self.theta)

    @property
    def variables(self) -> tuple[str, ...]:
        """Names that `evaluate` knows and `predict` returns by default."""
        rheology = self.model.rheology
        own = [*dict.fromkeys((*rheology.viscosity_names, *rheology.fields))]
        own += [name + SPREAD for name in own] if self.n_members > 1 else []
        subdomain = (SUBDOMAIN,) if self.partition.n > 1 else ()
        return (*own, *MOTION, STRAIN_RATE, *RESIDUALS, QUALITY, *subdomain)

    def member(self, k: int) -> FittedModel:
        """Return one member by itself."""
        correction = self.correction and self.correction.member(k)
        return replace(self, theta=self.theta[k : k + 1], correction=correction)

    def evaluate(
        self, x: np.ndarray, y: np.ndarray, variables: Collection[str]
    ) -> dict[str, np.ndarray]:
        """Evaluate fields at positions.

        Parameters
        ----------
        x, y : ndarray, shape (n,)
            Positions, m.
        variables : collection of str
            Of `variables`, or ``x_driving_stress``, ``y_driving_stress`` (ρ g' h ∇h, Pa).
            Derivatives are computed only where one of them needs them.

        Returns
        -------
        dict of ndarray, shape (n,)
            SI values.
        """
        wanted = tuple(dict.fromkeys(variables))
        spreads = tuple(name for name in wanted if name.endswith(SPREAD))
        computed = tuple(name for name in wanted if name not in (SUBDOMAIN, *spreads))
        out = {name: np.empty(x.size) for name in computed}
        rheology, orders = self.model.rheology, _orders(self.model.rheology, computed)
        noise = self.strain_rate_error / self.scales.strain_rate
        with double_precision():
            for start in range(0, x.size if computed else 0, CHUNK):
                jets = self.jets(x[start : start + CHUNK], y[start : start + CHUNK], orders)
                n_jets = jets[0].value.size
                for first in range(0, n_jets, BLOCK):
                    n = min(BLOCK, n_jets - first)
                    values = _derived(rheology, computed, _padded(jets, first, n), noise)
                    part = slice(start + first, start + first + n)
                    for name in computed:
                        out[name][part] = np.asarray(values[name])[:n]
        found = {name: self._to_si(name, values) for name, values in out.items()}
        if spreads:
            found |= self._spreads(x, y, spreads)
        if SUBDOMAIN in wanted:
            found[SUBDOMAIN] = np.asarray(self.partition.names)[self.partition.region_at(x, y)]
        return {name: found[name] for name in wanted}

    def _spreads(self, x: np.ndarray, y: np.ndarray, names: Collection[str]) -> dict[str, Any]:
        """Geometric standard deviations between the members."""
        of = [name.removesuffix(SPREAD) for name in names]
        deviations = self._deviations(x, y, of, np.log)
        return {name: np.exp(one) for name, one in zip(names, deviations, strict=True)}

    def spread(self, x: np.ndarray, y: np.ndarray, name: str) -> float:
        """Root mean square, over positions in m, of the members' standard deviations, SI."""
        (deviation,) = self._deviations(x, y, [name], np.asarray)
        return float(np.sqrt(np.mean(deviation**2)))

    def _deviations(
        self,
        x: np.ndarray,
        y: np.ndarray,
        names: Collection[str],
        scale: Callable[[np.ndarray], np.ndarray],
    ) -> np.ndarray:
        """Return standard deviations between the members, with n - 1 in the denominator."""
        mean, squares = np.zeros((2, len(names), x.size))
        for k in range(self.n_members):
            found = self.member(k).evaluate(x, y, names)
            for row, name in enumerate(names):
                value = scale(found[name])
                before = value - mean[row]
                mean[row] += before / (k + 1)
                squares[row] += before * (value - mean[row])
        return np.sqrt(squares / (self.n_members - 1))

    def front_residual(
        self, x: np.ndarray, y: np.ndarray, n_x: np.ndarray, n_y: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Residual of T n = ½ ρ g' h n at the front, and the size of its right side, all in Pa."""
        with double_precision():
            jets = self.jets(x, y, Orders(1, 0))
            values = _front(self.model.rheology, jets, n_x, n_y)
        r_x, r_y, pressure = (np.asarray(v) * self.scales.stress for v in values)
        return r_x, r_y, pressure

    def of_region(self, region: int, x: np.ndarray, y: np.ndarray, orders: Orders) -> list[Jet]:
        """Jets of u, v, h and the logarithms, as one region's networks have them.

        Parameters
        ----------
        region : int
            Its number.
        x, y : ndarray, shape (n,)
            Positions, m.
        orders : Orders
            Highest derivatives.

        Returns
        -------
        list of Jet
            NumPy arrays of shape (n,), in the units of the shelf.
        """
        scales, whole = self.region_scales[region], self.scales
        parts = []
        with double_precision():
            thetas = [jnp.asarray(theta[region]) for theta in self.theta]
            for start in range(0, x.size, BLOCK):
                part = slice(start, min(start + BLOCK, x.size))
                n = part.stop - start
                at = [
                    np.pad(axis.to_unit(position[part]), (0, BLOCK - n))
                    for axis, position in ((scales.x, x), (scales.y, y))
                ]
                # One after the other: a block of one member fills the machine.
                of_members = [
                    _jets(self.model, orders, theta, scales.equation_units, *at) for theta in thetas
                ]
                jets = jax.tree.map(lambda *a: sum(map(np.asarray, a)) / len(a), *of_members)
                parts.append(jax.tree.map(lambda array, n=n: array[:n], jets))
        jets = jax.tree.map(lambda *arrays: np.concatenate(arrays), *parts)
        return in_units_of(whole, jets, scales, self.model.rheology)

    def jets(self, x: np.ndarray, y: np.ndarray, orders: Orders) -> list[Jet]:
        """Jets of u, v, h and the logarithms, as they are predicted, in the shelf's units."""
        jets = self._of_networks(x, y, orders)
        if self.correction is None:
            return jets
        return self.correction.applied(jets, self.scales.x.to_unit(x), self.scales.y.to_unit(y))

    def _of_networks(self, x: np.ndarray, y: np.ndarray, orders: Orders) -> list[Jet]:
        """Jets as the networks have them, blended by the windows."""
        if self.partition.n == 1:
            return self.of_region(0, x, y, orders)
        shapes = [*[orders.motion] * 3, *[orders.fields] * len(self.model.rheology.fields)]
        sums = [Jet(*np.zeros(((1, 3, 6)[order], x.size))) for order in shapes]
        length = self.scales.length
        for region in range(self.partition.n):
            (at,) = np.nonzero(self.partition.members(region, x, y))
            if not at.size:
                continue
            jets = self.of_region(region, x[at], y[at], orders)
            window = Jet(*self.partition.window(region, x[at], y[at], max(orders))).per(length)
            for total, jet in zip(sums, jets, strict=True):
                for array, share in zip(total, jet.times(window), strict=True):
                    if array is not None:
                        array[at] += share
        return sums

    def _to_si(self, name: str, values: np.ndarray) -> np.ndarray:
        scales = self.scales
        rheology = self.model.rheology
        if name in rheology.viscosity_names:
            return values * scales.viscosity
        if name in rheology.fields:
            return values * rheology.unit_of(name, scales)
        if name in (*RESIDUALS, *DRIVING):
            return values * scales.momentum
        unit = {
            "x_velocity": scales.speed,
            "y_velocity": scales.speed,
            "thickness": scales.thickness,
            STRAIN_RATE: scales.strain_rate,
            QUALITY: 1.0,
        }
        return values * unit[name]


def _orders(rheology: Rheology, wanted: tuple[str, ...]) -> Orders:
    """Orders of the derivatives that some variables need."""
    residuals = bool({*wanted} & {*RESIDUALS})
    gradients = bool({*wanted} & {STRAIN_RATE, *DRIVING, QUALITY})
    gradients |= rheology.needs_strain_rate and bool({*wanted} & {*rheology.viscosity_names})
    return Orders(2 if residuals else int(gradients), int(residuals))


def _padded(jets: list[Jet], first: int, n: int) -> list[Jet]:
    return jax.tree.map(lambda a: np.pad(a[first : first + n], (0, BLOCK - n), mode="edge"), jets)


@functools.partial(jax.jit, static_argnames=("model", "orders"))
def _jets(model: Model, orders: Orders, theta, units, x, y) -> list[Jet]:
    """Jets of u, v, h and the logarithms of the rheology's fields in the units of the equations."""
    theta_motion, theta_viscosity = model.split(theta)
    motion = model.motion_at(theta_motion, units, x, y, order=orders.motion)
    return [*motion, *model.logarithms(theta_viscosity, x, y, order=orders.fields)]


@functools.partial(jax.jit, static_argnames=("rheology", "wanted"))
def _derived(
    rheology: Rheology, wanted: tuple[str, ...], jets: list[Jet], strain_rate_error
) -> dict[str, jax.Array]:
    """Make the wanted fields of the jets, in the units of the equations."""
    u, v, h, *logs = jets
    fields = tuple(exponential(log) for log in logs)
    out = {"x_velocity": u.value, "y_velocity": v.value, "thickness": h.value}
    out |= {name: f.value for name, f in zip(rheology.fields, fields, strict=True)}
    if {*wanted} & {*rheology.viscosity_names, *RESIDUALS, QUALITY}:
        mu_h, mu_v = rheology.viscosities(fields, u, v)
        out |= {
            name: mu.value for name, mu in zip(rheology.viscosity_names, (mu_h, mu_v), strict=False)
        }
    if u.x is not None:
        squared = effective_strain_rate_squared(u.x, u.y, v.x, v.y)
        out[STRAIN_RATE] = jnp.sqrt(squared)
        out |= dict(zip(DRIVING, (h.value * h.x, h.value * h.y), strict=True))
    if QUALITY in wanted:
        separate = len(rheology.viscosity_names) > 1
        out[QUALITY] = quality(u, v, h.value, mu_h.value, mu_v.value, strain_rate_error, separate)
    if {*wanted} & {*RESIDUALS}:
        out |= dict(zip(RESIDUALS, momentum_residual(u, v, h, mu_h, mu_v), strict=True))
    return {name: out[name] for name in wanted}


@functools.partial(jax.jit, static_argnames="rheology")
def _front(rheology: Rheology, jets, n_x, n_y):
    u, v, h, *logs = jets
    fields = tuple(exponential(log) for log in logs)
    mu_h, mu_v = rheology.viscosities(fields, u, v)
    residual = front_residual(u, v, h.value, mu_h.value, mu_v.value, (n_x, n_y))
    return *residual, 0.5 * h.value
