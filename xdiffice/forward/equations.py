"""The shallow-shelf equations on a mesh, in scaled units, and how they are solved.

Hands on the velocity at the degrees of freedom of quadratic triangles.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_matrix
from scipy.sparse.linalg import splu
from skfem import Basis, BilinearForm, ElementTriP2, ElementVector, LinearForm, MeshTri
from skfem.helpers import ddot, div, dot, sym_grad

from xdiffice.errors import ConvergenceError
from xdiffice.forward.fields import FieldFunction
from xdiffice.forward.laws import GlenLaw, Law, StrainRate
from xdiffice.physics.constants import PhysicalConstants

QUADRATURE_ORDER = 6
PICARD_STEPS = 3
MAX_STEPS = 60
TOLERANCE = 1e-10
"""Newton's method stops when a step changes the velocity by less than this share of its maximum."""


@dataclass(frozen=True)
class ForwardProblem:
    """The equations on a mesh in scaled units: half its size, ρ g' h0 and μ0 are one.

    Parameters
    ----------
    basis : skfem.Basis
        Quadratic vector elements on the scaled mesh.
    law : GivenViscosity or GlenLaw
        The ice's stiffness.
    x, y : ndarray, shape (number of triangles, quadrature points)
        Quadrature points, m.
    thickness : ndarray
        At the quadrature points, in units of its mean h0.
    center, length : ndarray and float
        Position (m) of the scaled mesh's origin, and its unit of length (m).
    weight : float
        Unit of stress ρ g' h0, Pa.
    stiffness : float
        Unit of viscosity μ0, Pa s.
    first_guess : StrainRate
        At the quadrature points, s-1: where Glen's law starts.
    drag : ndarray
        Basal drag over velocity, at the quadrature points, scaled.
    """

    basis: Basis
    law: Law
    x: np.ndarray
    y: np.ndarray
    thickness: np.ndarray
    center: np.ndarray
    length: float
    weight: float
    stiffness: float
    first_guess: StrainRate
    drag: np.ndarray

    @classmethod
    def on(
        cls,
        mesh: MeshTri,
        thickness: FieldFunction,
        law: Law,
        constants: PhysicalConstants,
        drag: FieldFunction | None = None,
    ) -> ForwardProblem:
        """Set the equations up on a mesh, m, for functions: thickness, m, and drag, Pa s m-1."""
        low, high = mesh.p.min(axis=1), mesh.p.max(axis=1)
        center, length = (low + high) / 2, float((high - low).max()) / 2
        scaled = MeshTri((mesh.p - center[:, None]) / length, mesh.t)
        basis = Basis(scaled, ElementVector(ElementTriP2()), intorder=QUADRATURE_ORDER)
        x, y = center[:, None, None] + length * np.asarray(basis.global_coordinates())
        h = thickness(x, y)
        mean = float(h.mean())
        zero = np.zeros_like(h)
        guess = StrainRate(zero, zero, zero)
        if isinstance(law, GlenLaw):
            # A free shelf spreads under a quarter of ρ g' h; as pure shear its ε_e is ε_xy.
            stress = constants.driving_weight * h / 4
            guess = StrainRate(zero, zero, law.spreading_rate(x, y, stress))
        stiffness = float(law.viscosities(x, y, guess).horizontal.mean())
        weight = constants.driving_weight * mean
        speed = weight / stiffness * length
        friction = zero if drag is None else drag(x, y) * speed * length / (weight * mean)
        return cls(basis, law, x, y, h / mean, center, length, weight, stiffness, guess, friction)

    @property
    def rate(self) -> float:
        """Unit of strain rate, s-1."""
        return self.weight / self.stiffness

    @property
    def speed(self) -> float:
        """Unit of velocity, m s-1."""
        return self.rate * self.length

    def imposed(
        self, edges: np.ndarray, u: FieldFunction, v: FieldFunction
    ) -> tuple[np.ndarray, np.ndarray]:
        """Start vector with the velocity on held edges, and the degrees of freedom it fixes."""
        start = np.zeros(self.basis.N)
        dofs = self.basis.get_dofs(edges)
        fixed = []
        for name, function in (("u^1", u), ("u^2", v)):
            number = dofs.all([name])
            x, y = self.center[:, None] + self.length * self.basis.doflocs[:, number]
            start[number] = function(x, y) / self.speed
            fixed.append(number)
        return start, np.concatenate(fixed)

    def solve(self, start: np.ndarray, fixed: np.ndarray) -> tuple[np.ndarray, int]:
        """Newton's method from the imposed velocity; one step suffices for given viscosity."""
        free = np.setdiff1d(np.arange(self.basis.N), fixed)
        solution = start
        if self.law.linear:
            return solution + self._step(solution, free, self.first_guess, newton=False), 1
        change = np.inf
        for step in range(MAX_STEPS):
            strain = self.first_guess if step == 0 else self.strain_rate(solution)
            newton = step >= PICARD_STEPS
            update = self._step(solution, free, strain, newton=newton)
            share = self._shortened(solution, update) if newton else 1.0
            solution = solution + share * update
            change = np.abs(share * update).max() / np.abs(solution).max()
            if newton and share == 1.0 and change < TOLERANCE:
                return solution, step + 1
        raise ConvergenceError(
            f"Glen's law did not converge in {MAX_STEPS} steps: the last one changed the velocity "
            f"by {change:.1e} of its maximum. Raise strain_rate_floor, or check the hardness and "
            "the imposed velocity."
        )

    def strain_rate(self, solution: np.ndarray) -> StrainRate:
        """Strain rate at the quadrature points, s-1."""
        strain = sym_grad(self.basis.interpolate(solution)) * self.rate
        return StrainRate(strain[0, 0], strain[1, 1], strain[0, 1])

    def _step(
        self, solution: np.ndarray, free: np.ndarray, strain: StrainRate, newton: bool
    ) -> np.ndarray:
        """Solve the equations linearised at `solution`; the step is zero where velocity is held."""
        viscosities = self.law.viscosities(self.x, self.y, strain)
        given = {
            "h": self.thickness,
            "mu_h": viscosities.horizontal / self.stiffness,
            "mu_v": viscosities.vertical / self.stiffness,
        }
        matrix = stiffness_form.assemble(self.basis, **given)
        if self.drag.any():
            matrix = matrix + _drag.assemble(self.basis, drag=self.drag)
        load = driving_form.assemble(self.basis, h=self.thickness) - matrix @ solution
        if newton:
            trace = strain.xx + strain.yy
            total = np.array([[strain.xx + trace, strain.xy], [strain.xy, strain.yy + trace]])
            slope = viscosities.slope * self.rate**2 / self.stiffness
            matrix = matrix + _softening.assemble(
                self.basis, h=self.thickness, slope=slope, total=total / self.rate
            )
        step = np.zeros_like(solution)
        step[free] = symmetric_solver(matrix[free][:, free])(load[free])
        return step

    def _shortened(self, solution: np.ndarray, update: np.ndarray) -> float:
        """Share of a Newton step that lowers the (convex) energy: 1, or less far from the end."""
        energy = self._energy(solution)
        share = 1.0
        while share > 1e-4:
            if self._energy(solution + share * update) <= energy + 1e-12 * abs(energy):
                return share
            share /= 2
        return share

    def _energy(self, solution: np.ndarray) -> float:
        assert isinstance(self.law, GlenLaw)
        strain = self.strain_rate(solution)
        dissipation = self.law.dissipation(self.x, self.y, strain) / (self.weight * self.rate)
        divergence = (strain.xx + strain.yy) / self.rate
        density = self.thickness * dissipation - 0.5 * self.thickness**2 * divergence
        velocity = np.asarray(self.basis.interpolate(solution))
        density = density + 0.5 * self.drag * (velocity**2).sum(axis=0)
        return float((density * self.basis.dx).sum())


@BilinearForm
def stiffness_form(u, v, w):  # type: ignore[no-untyped-def]
    """Power of the stresses of u on the strain rate of v; h, mu_h and mu_v scaled."""
    stress = w["mu_h"] * ddot(sym_grad(u), sym_grad(v)) + w["mu_v"] * div(u) * div(v)
    return 2 * w["h"] * stress


@BilinearForm
def _softening(u, v, w):  # type: ignore[no-untyped-def]
    # dμ = μ' dε_e², and dε_e² = (ε + tr ε I) : dε.
    rate_u, rate_v = ddot(w["total"], sym_grad(u)), ddot(w["total"], sym_grad(v))
    return 2 * w["h"] * w["slope"] * rate_u * rate_v


@BilinearForm
def _drag(u, v, w):  # type: ignore[no-untyped-def]
    return w["drag"] * dot(u, v)


@LinearForm
def driving_form(v, w):  # type: ignore[no-untyped-def]
    """Power of gravity and of the sea at the front on v; h scaled."""
    return 0.5 * w["h"] ** 2 * div(v)


def symmetric_solver(matrix: csr_matrix) -> Callable[[np.ndarray], np.ndarray]:
    """Factorise a symmetric positive definite matrix; its solutions are refined once."""
    factors = splu(
        matrix.tocsc(),
        permc_spec="MMD_AT_PLUS_A",
        diag_pivot_thresh=0.0,
        options={"SymmetricMode": True},
    )

    def solve(load: np.ndarray) -> np.ndarray:
        solution = factors.solve(load)
        refined: np.ndarray = solution + factors.solve(load - matrix @ solution)
        return refined

    return solve
