"""How a shelf of known viscosity and thickness flows: the forward problem.

Finite elements (quadratic triangles, scikit-fem) for the depth-integrated equations; hands on a
`ShelfFlow`, which knows its velocity at any point.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import xarray as xr
from scipy.sparse import coo_matrix, csr_matrix
from scipy.sparse.csgraph import connected_components
from scipy.sparse.linalg import splu
from skfem import Basis, BilinearForm, ElementTriP2, ElementVector, LinearForm, MeshTri
from skfem.helpers import ddot, div, sym_grad

from xdiffice.errors import ParameterError
from xdiffice.physics.constants import PhysicalConstants
from xdiffice.synthetic.fields import Field, as_function
from xdiffice.synthetic.flow import ConvergenceError, ShelfFlow
from xdiffice.synthetic.fronts import FrontCondition, edge_midpoints
from xdiffice.synthetic.meshes import mask_mesh
from xdiffice.synthetic.rheology import GivenViscosity, GlenLaw, Law, StrainRate

QUADRATURE_ORDER = 6
PICARD_STEPS = 3
MAX_STEPS = 60
TOLERANCE = 1e-10
"""Newton's method stops when a step changes the velocity by less than this share of its maximum."""


def solve_shelf(
    domain: MeshTri | xr.DataArray,
    thickness: Field,
    velocity: tuple[Field, Field],
    front: FrontCondition,
    *,
    viscosity: Field | None = None,
    vertical_viscosity: Field | None = None,
    glen: tuple[Field, float] | None = None,
    strain_rate_floor: float = 1e-14,
    mesh_size: float | None = None,
    constants: PhysicalConstants | None = None,
) -> ShelfFlow:
    r"""Solve the shallow-shelf equations for the velocity of a floating shelf.

    Finds the velocity with :math:`\nabla\cdot(h T) = \rho g' h \nabla h`,
    :math:`T = 2\mu_h\varepsilon + 2\mu_v\,\mathrm{tr}(\varepsilon)\,I`, in the weak form

    .. math:: \int h\,T(u):\nabla\phi = \int \tfrac12\rho g' h^2\,\nabla\cdot\phi

    in which the calving-front condition :math:`T n = \tfrac12\rho g' h\,n` is the natural one
    (MacAyeal 1989, doi 10.1029/JB094iB04p04071; with μ_h and μ_v, Wang et al. 2025,
    doi 10.1126/science.adp3300). Quadratic triangles: the velocity converges with the third power
    of the mesh size where the solution is smooth.

    Parameters
    ----------
    domain : skfem.MeshTri or xarray.DataArray
        A mesh in metres (`box_mesh`, `level_set_mesh`, or of any origin), or a raster mask, True
        on the shelf, that is meshed by `mask_mesh`.
    thickness : float, callable or xarray.DataArray
        Ice thickness, m; a number, a function of (x, y) in m, or a raster with coordinates x and
        y in m (missing values are filled with the nearest valid one).
    velocity : pair of (float, callable or xarray.DataArray)
        Velocity (u, v), m s-1, imposed wherever the boundary is not calving front.
    front : callable
        ``front(x, y)``: whether the boundary at positions x, y (m, middles of boundary edges) is
        calving front. `near_points` makes such a function of an observed front.
    viscosity : float, callable or xarray.DataArray, optional
        Viscosity μ, or μ_h if `vertical_viscosity` is given, Pa s.
    vertical_viscosity : float, callable or xarray.DataArray, optional
        Viscosity μ_v, Pa s: the ice is anisotropic.
    glen : pair of (field, float), optional
        Instead of a viscosity: hardness B in Pa s^(1/n), and n ≥ 1, of Glen's law
        μ = ½ B (ε_e² + ε_0²)^((1/n − 1)/2).
    strain_rate_floor : float
        ε_0, s-1.
    mesh_size : float, optional
        For a raster mask: see `mask_mesh`.
    constants : PhysicalConstants, optional
        Densities and gravity.

    Returns
    -------
    ShelfFlow
        Velocity, strain rate and viscosity at any point; the front's points and normals.

    Raises
    ------
    ParameterError
        If a parameter is of the wrong kind or value, or nothing holds a piece of the shelf.
    ConvergenceError
        If Glen's law could not be solved to a relative change of 1e-10 per step.
    """
    law = make_law(viscosity, vertical_viscosity, glen, strain_rate_floor)
    mesh = domain if isinstance(domain, MeshTri) else _mesh_of(domain, mesh_size)
    if len(velocity) != 2:
        raise ParameterError("velocity must be a pair (u, v).")
    problem = _Problem.on(
        mesh,
        as_function(thickness, "thickness", positive=True),
        law,
        constants or PhysicalConstants(),
    )
    front_edges = _front_edges(mesh, front)
    solution, fixed = problem.imposed(
        np.setdiff1d(mesh.boundary_facets(), front_edges),
        as_function(velocity[0], "velocity u"),
        as_function(velocity[1], "velocity v"),
    )
    solution, n_steps = problem.solve(solution, fixed)
    return ShelfFlow(
        basis=problem.basis,
        solution=solution * problem.speed,
        mesh=mesh,
        center=problem.center,
        length=problem.length,
        front_edges=front_edges,
        law=law,
        n_steps=n_steps,
    )


def make_law(
    viscosity: Field | None,
    vertical_viscosity: Field | None,
    glen: tuple[Field, float] | None,
    strain_rate_floor: float,
) -> Law:
    """Check what was given about the ice's stiffness and make one law of it."""
    if (viscosity is None) == (glen is None):
        raise ParameterError("give either viscosity or glen=(B, n), and not both.")
    if glen is None:
        assert viscosity is not None
        horizontal = as_function(viscosity, "viscosity", positive=True)
        if vertical_viscosity is None:
            return GivenViscosity(horizontal, horizontal)
        vertical = as_function(vertical_viscosity, "vertical_viscosity", positive=True)
        return GivenViscosity(horizontal, vertical)
    if vertical_viscosity is not None:
        raise ParameterError("Glen's law is isotropic here: vertical_viscosity cannot be given.")
    try:
        hardness, exponent = glen
        exponent = float(exponent)
    except (TypeError, ValueError) as error:
        raise ParameterError(f"glen must be a pair (B, n); got {glen!r}.") from error
    if not (np.isfinite(exponent) and exponent >= 1):
        raise ParameterError(f"Glen's exponent must be at least 1; got {exponent:g}.")
    if not strain_rate_floor > 0:
        raise ParameterError(f"strain_rate_floor must be positive; got {strain_rate_floor!r}.")
    hardness = as_function(hardness, "the hardness B in glen", positive=True)
    return GlenLaw(hardness, exponent, float(strain_rate_floor))


def _mesh_of(domain: object, mesh_size: float | None) -> MeshTri:
    if isinstance(domain, xr.DataArray):
        return mask_mesh(domain, mesh_size)
    raise ParameterError(
        f"domain is a {type(domain).__name__}; give a skfem.MeshTri or a raster mask (DataArray)."
    )


def _front_edges(mesh: MeshTri, front: FrontCondition) -> np.ndarray:
    """Boundary edges that are calving front; every piece of the mesh must be held elsewhere."""
    edges = mesh.boundary_facets()
    is_front = np.asarray(front(*edge_midpoints(mesh, edges)))
    if is_front.shape != edges.shape:
        raise ParameterError(
            f"front(x, y) returned shape {is_front.shape} for {edges.size} boundary edges."
        )
    is_front = is_front.astype(bool)
    inner = mesh.f2t[:, mesh.f2t[1] >= 0]
    n_cells = mesh.t.shape[1]
    graph = coo_matrix((np.ones(inner.shape[1]), tuple(inner)), shape=(n_cells, n_cells))
    n_pieces, piece = connected_components(graph, directed=False)
    held = np.unique(piece[mesh.f2t[0, edges[~is_front]]])
    loose = np.setdiff1d(np.arange(n_pieces), held)
    if loose.size:
        x, y = mesh.p[:, mesh.t[:, piece == loose[0]]].mean(axis=(1, 2))
        raise ParameterError(
            f"{loose.size} of {n_pieces} pieces of the shelf (one around x={x:g} m, y={y:g} m) "
            "have calving front all around: nothing holds them, so that their velocity is not "
            "determined. Leave them out of the domain or change front."
        )
    return edges[is_front]


@dataclass(frozen=True)
class _Problem:
    """The equations on a mesh in scaled units: lengths, ρ g' h0 and μ0 are one."""

    basis: Basis
    law: Law
    x: np.ndarray  # quadrature points, m
    y: np.ndarray
    thickness: np.ndarray  # at quadrature points, in units of its mean
    center: np.ndarray
    length: float
    weight: float  # ρ g' h0, Pa
    stiffness: float  # μ0, Pa s
    first_guess: StrainRate

    @classmethod
    def on(
        cls,
        mesh: MeshTri,
        thickness: Callable,
        law: Law,
        constants: PhysicalConstants,
    ) -> _Problem:
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
        return cls(basis, law, x, y, h / mean, center, length, weight, stiffness, guess)

    @property
    def rate(self) -> float:
        """Unit of strain rate, s-1."""
        return self.weight / self.stiffness

    @property
    def speed(self) -> float:
        """Unit of velocity, m s-1."""
        return self.rate * self.length

    def imposed(self, edges: np.ndarray, u: Callable, v: Callable) -> tuple[np.ndarray, np.ndarray]:
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
        matrix = _stiffness.assemble(self.basis, **given)
        load = _driving.assemble(self.basis, h=self.thickness) - matrix @ solution
        if newton:
            trace = strain.xx + strain.yy
            total = np.array([[strain.xx + trace, strain.xy], [strain.xy, strain.yy + trace]])
            slope = viscosities.slope * self.rate**2 / self.stiffness
            matrix = matrix + _softening.assemble(
                self.basis, h=self.thickness, slope=slope, total=total / self.rate
            )
        step = np.zeros_like(solution)
        step[free] = _solve_symmetric(matrix[free][:, free], load[free])
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
        return float((density * self.basis.dx).sum())


@BilinearForm
def _stiffness(u, v, w):  # type: ignore[no-untyped-def]
    stress = w["mu_h"] * ddot(sym_grad(u), sym_grad(v)) + w["mu_v"] * div(u) * div(v)
    return 2 * w["h"] * stress


@BilinearForm
def _softening(u, v, w):  # type: ignore[no-untyped-def]
    # dμ = μ' dε_e², and dε_e² = (ε + tr ε I) : dε.
    rate_u, rate_v = ddot(w["total"], sym_grad(u)), ddot(w["total"], sym_grad(v))
    return 2 * w["h"] * w["slope"] * rate_u * rate_v


@LinearForm
def _driving(v, w):  # type: ignore[no-untyped-def]
    return 0.5 * w["h"] ** 2 * div(v)


def _solve_symmetric(matrix: csr_matrix, load: np.ndarray) -> np.ndarray:
    """Sparse direct solution of a symmetric positive definite system, refined once."""
    factors = splu(
        matrix.tocsc(),
        permc_spec="MMD_AT_PLUS_A",
        diag_pivot_thresh=0.0,
        options={"SymmetricMode": True},
    )
    solution = factors.solve(load)
    return solution + factors.solve(load - matrix @ solution)
