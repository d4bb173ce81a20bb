"""A first viscosity, on finite elements: the one that holds a known motion in equilibrium.

With velocity and thickness given the balance is linear in the viscosity, and what it says about
the ice far from the front it says through all the ice in between. A network learns that slowly, by
thousands of steps; a factorisation knows it at once.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import scipy.sparse
from scipy.sparse.linalg import splu

from xdiffice.forward.lattice_elements import Elements
from xdiffice.model.precision import double_precision
from xdiffice.physics.jets import Jet
from xdiffice.physics.rheology import Rheology
from xdiffice.physics.ssa import resistive_stress

MOST_STEPS = 12
CONVERGED = 0.03  # root mean square of the last change of the logarithm
LARGEST_CHANGE = 1.0  # of the logarithm at a node, in one step
THINNEST = 0.01  # ice, of the root mean square of all
STRESS_ERROR = 0.02  # of ½ ρ g' h², that thickness and constants leave
# What a strain rate that is wrong by its own root mean square, within a quarter of an element, and
# what an error of the velocity allow |∇ log μ| to be.
SHARPEST = 6.0  # per element
STEEPEST = 0.5  # per half length of the shelf


@dataclass(frozen=True, eq=False)
class Motion:
    """Velocity and thickness at the quadrature points of an `Elements`, nondimensional.

    Parameters
    ----------
    u, v : Jet
        Velocity with first derivatives, arrays of shape (n_elements, n_points).
    h : ndarray, shape (n_elements, n_points)
        Thickness.
    velocity_error : float
        What the velocity is wrong by.
    """

    u: Jet
    v: Jet
    h: np.ndarray
    velocity_error: float


def equilibrium(elements: Elements, motion: Motion, rheology: Rheology) -> np.ndarray:
    """Return the logarithm of the viscosity that keeps a motion in equilibrium.

    Least error in the constitutive law (Ladevèze & Leguillon 1983, doi 10.1137/0720033; Kohn &
    Vogelius 1987, doi 10.1002/cpa.3160400605): of all stresses σ that are in balance, with the sea
    at the front and with gravity, those are taken which differ least from the stress law's own T,

        min ∫ |h T - σ|² / c + λ ∫ |∇ log μ|²,   c = 2 μ h <2 μ h> + (error of ½ h²)²

    c depends on μ and is varied with it. Were it held, errors of the strain rate, by which T is
    always too large, would be explained by soft ice; were it (2 μ h)², by stiff ice.

    Gauss-Newton in log μ. The σ are eliminated: with Lagrange multipliers w, h T - σ is c ∇w, and
    forces r that are out of balance at the nodes count as rᵀ K⁻¹ r, K the stiffness of an elastic
    sheet as strong as c.

    Parameters
    ----------
    elements : Elements
        The shelf.
    motion : Motion
        What is known.
    rheology : Rheology
        Where it has several fields, all are given the same nondimensional value.

    Returns
    -------
    ndarray, shape (elements.n_nodes,)
        One value for all where nothing is free to move, or the equations cannot be solved.
    """
    area = elements.area
    # What noise has made of thin ice may be less than none, and would be no elastic sheet.
    h = np.maximum(motion.h, THINNEST * np.sqrt(np.average(motion.h**2, weights=area)))
    pressure = 0.5 * h**2
    free, n = elements.free, elements.n_nodes
    both = np.concatenate([free, n + free])
    typical = _mean_square(motion, area)
    weight = typical * (elements.side / SHARPEST) ** 2 + (motion.velocity_error / STEEPEST) ** 2
    smooth = weight * elements.stiffness(np.ones_like(h))
    penalty = smooth + 1e-9 * scipy.sparse.eye(n)
    floor = (STRESS_ERROR * 2 * np.average(pressure, weights=area)) ** 2 / typical
    log = np.full(n, np.log(np.average(h, weights=area) / (8 * np.sqrt(typical))))
    if not free.size:
        return log
    excess: list[np.ndarray] | None = None  # h T - σ
    for _ in range(MOST_STEPS):
        law = _law(rheology, elements.at_points(log), motion)
        stiff = 2 * h * np.average(2 * law.mu * h, weights=area)
        strength = stiff * law.mu + floor
        stress, slope = ([h * part for part in parts] for parts in (law.stress, law.slope))
        if excess is not None:
            softer = 0.5 * stiff * law.mu_slope / strength
            slope = [s - softer * e for s, e in zip(slope, excess, strict=True)]
        gravity = (-pressure, 0.0, 0.0, -pressure)
        net = [s + g for s, g in zip(stress, gravity, strict=True)]
        forces = np.concatenate([elements.vector(*net[:2]), elements.vector(*net[2:])])[both]
        along_x, along_y = (elements.divergence(*s)[free] for s in (slope[:2], slope[2:]))
        sheet = elements.stiffness(strength)[free][:, free]
        system = scipy.sparse.bmat(
            [
                [sheet, None, -along_x],
                [None, sheet, -along_y],
                [along_x.T, along_y.T, penalty],
            ],
            format="csc",
        )
        right = np.concatenate([forces, -(smooth @ log)])
        # Symmetric but for signs, with definite blocks: no pivoting needed.
        try:
            factors = splu(
                system,
                permc_spec="MMD_AT_PLUS_A",
                diag_pivot_thresh=0.0,
                options={"SymmetricMode": True},
            )
        except RuntimeError:  # singular to the digits there are: no shelf, but training may tell
            break
        multipliers, change_of_log = np.split(factors.solve(right), [both.size])
        w = np.zeros((2, n))
        w[:, free] = multipliers.reshape(2, -1)
        excess = [strength * part for one in w for part in elements.gradient(one)]
        step = np.clip(change_of_log, -LARGEST_CHANGE, LARGEST_CHANGE)
        log = log + step
        if np.sqrt(np.mean(step**2)) < CONVERGED:
            break
    return log


def _mean_square(motion: Motion, area: np.ndarray) -> float:
    """Mean square of the strain rate."""
    u, v = motion.u, motion.v
    square = u.x**2 + v.y**2 + u.x * v.y + 0.25 * (u.y + v.x) ** 2
    return max(float(np.average(square, weights=area)), np.finfo(float).tiny)


class _Law(NamedTuple):
    """What the stress law says at points, and its derivatives by the logarithm of the fields."""

    stress: tuple[np.ndarray, ...]  # T_xx, T_xy, T_yx, T_yy
    slope: tuple[np.ndarray, ...]
    mu: np.ndarray  # horizontal
    mu_slope: np.ndarray


def _law(rheology: Rheology, log: np.ndarray, motion: Motion) -> _Law:
    def stress(log):
        fields = (Jet(jnp.exp(log)),) * len(rheology.fields)
        mu_h, mu_v = rheology.viscosities(fields, motion.u, motion.v)
        return resistive_stress(motion.u, motion.v, mu_h.value, mu_v.value), mu_h.value

    with double_precision():
        values, slopes = jax.jvp(stress, (log,), (np.ones_like(log),))
    ((t_xx, t_xy, t_yy), mu), ((d_xx, d_xy, d_yy), mu_slope) = jax.tree.map(
        np.asarray, (values, slopes)
    )
    return _Law((t_xx, t_xy, t_xy, t_yy), (d_xx, d_xy, d_xy, d_yy), mu, mu_slope)
