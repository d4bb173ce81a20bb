"""The trained networks at any position, in SI: the one way from `model` to results.

Positions go through in blocks of one fixed size, so there is one compilation and bounded memory;
what comes out is what `labels` names.
"""

from __future__ import annotations

import functools
from collections.abc import Collection
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np

from xdiffice.model.fields import Model
from xdiffice.model.precision import double_precision
from xdiffice.physics.scales import Scales
from xdiffice.physics.ssa import (
    effective_strain_rate_squared,
    front_residual,
    momentum_residual,
)

BLOCK = 16384  # points evaluated at once

MOTION = ("x_velocity", "y_velocity", "thickness")
RESIDUALS = ("x_momentum_residual", "y_momentum_residual")
DRIVING = ("x_driving_stress", "y_driving_stress")


@dataclass(frozen=True)
class FittedModel:
    """Networks with their parameters and scales: everything that a prediction needs.

    Parameters
    ----------
    model : Model
        Architecture and rheology.
    theta : ndarray, shape (model.n_parameters,)
        Parameters.
    scales : Scales
        Units.
    """

    model: Model
    theta: np.ndarray
    scales: Scales

    @property
    def variables(self) -> tuple[str, ...]:
        """Names that `evaluate` knows and `predict` returns by default."""
        rheology = self.model.rheology
        own = dict.fromkeys((*rheology.viscosity_names, *rheology.fields))
        return (*own, *MOTION, "effective_strain_rate", *RESIDUALS)

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
        x, y = self.scales.x.to_unit(x), self.scales.y.to_unit(y)
        out = {name: np.empty(x.size) for name in wanted}
        with double_precision():
            theta = jnp.asarray(self.theta)
            for start in range(0, x.size, BLOCK):
                part = slice(start, min(start + BLOCK, x.size))
                n = part.stop - start
                padding = (0, BLOCK - n)
                values = _block(
                    self.model,
                    wanted,
                    theta,
                    self.scales.equation_units,
                    np.pad(x[part], padding),
                    np.pad(y[part], padding),
                )
                for name in wanted:
                    out[name][part] = np.asarray(values[name])[:n]
        return {name: self._to_si(name, values) for name, values in out.items()}

    def front_residual(self, x, y, n_x, n_y) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Residual of T n = ½ ρ g' h n at the front, and the size of its right side, all in Pa."""
        x, y = self.scales.x.to_unit(x), self.scales.y.to_unit(y)
        with double_precision():
            values = _front(
                self.model, jnp.asarray(self.theta), self.scales.equation_units, x, y, n_x, n_y
            )
        r_x, r_y, pressure = (np.asarray(v) * self.scales.stress for v in values)
        return r_x, r_y, pressure

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
            "effective_strain_rate": scales.strain_rate,
        }
        return values * unit[name]


@functools.partial(jax.jit, static_argnames=("model", "wanted"))
def _block(model: Model, wanted: tuple[str, ...], theta, units, x, y) -> dict[str, jax.Array]:
    """Evaluate the wanted fields in the units of the equations."""
    theta_motion, theta_viscosity = model.split(theta)
    rheology = model.rheology
    residuals = bool({*wanted} & {*RESIDUALS})
    viscosities = residuals or bool({*wanted} & {*rheology.viscosity_names})
    gradients = bool({*wanted} & {"effective_strain_rate", *DRIVING})
    gradients |= viscosities and rheology.needs_strain_rate
    order = 2 if residuals else int(gradients)
    u, v, h = model.motion_at(theta_motion, units, x, y, order=order)
    out = {"x_velocity": u.value, "y_velocity": v.value, "thickness": h.value}
    fields = model.rheology_fields(theta_viscosity, x, y, order=int(residuals))
    out |= {name: f.value for name, f in zip(rheology.fields, fields, strict=True)}
    if viscosities:
        mu_h, mu_v = rheology.viscosities(fields, u, v)
        out |= {
            name: mu.value for name, mu in zip(rheology.viscosity_names, (mu_h, mu_v), strict=False)
        }
    if order >= 1:
        squared = effective_strain_rate_squared(u.x, u.y, v.x, v.y)
        out["effective_strain_rate"] = jnp.sqrt(squared)
        out |= dict(zip(DRIVING, (h.value * h.x, h.value * h.y), strict=True))
    if residuals:
        out |= dict(zip(RESIDUALS, momentum_residual(u, v, h, mu_h, mu_v), strict=True))
    return {name: out[name] for name in wanted}


@functools.partial(jax.jit, static_argnames="model")
def _front(model: Model, theta, units, x, y, n_x, n_y):
    theta_motion, theta_viscosity = model.split(theta)
    u, v, h = model.motion_at(theta_motion, units, x, y, order=1)
    fields = model.rheology_fields(theta_viscosity, x, y, order=0)
    mu_h, mu_v = model.rheology.viscosities(fields, u, v)
    residual = front_residual(u, v, h.value, mu_h.value, mu_v.value, (n_x, n_y))
    return *residual, 0.5 * h.value
