"""How a shelf of known viscosity and thickness flows: the forward problem.

Finite elements (quadratic triangles, scikit-fem) for the depth-integrated equations; hands on a
`ShelfFlow`, which knows its velocity at any point.
"""

from __future__ import annotations

from numbers import Real

import numpy as np
import xarray as xr
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components
from skfem import MeshTri

from xdiffice.errors import ParameterError
from xdiffice.forward.equations import ForwardProblem
from xdiffice.forward.fields import (
    Field,
    FieldFunction,
    as_function,
    check_pair,
    check_positive,
)
from xdiffice.forward.flow import ShelfFlow
from xdiffice.forward.fronts import FrontCondition, edge_midpoints
from xdiffice.forward.laws import GivenViscosity, GlenLaw, Law
from xdiffice.forward.meshes import mask_mesh
from xdiffice.physics.constants import PhysicalConstants


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
    drag: Field | None = None,
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
    drag : float, callable or xarray.DataArray, optional
        β, Pa s m-1, of the drag β u under ice that touches the ground here and there (a pinning
        point); it is taken from the left side of the balance.
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
    check_pair(velocity, "velocity", "(u, v)")
    problem, front_edges, solution, fixed = posed(
        mesh,
        as_function(thickness, "thickness", positive=True),
        velocity,
        front,
        law,
        constants,
        None if drag is None else as_function(drag, "drag"),
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


def posed(
    mesh: MeshTri,
    thickness: FieldFunction,
    velocity: tuple[Field, Field],
    front: FrontCondition,
    law: Law,
    constants: PhysicalConstants | None,
    drag: FieldFunction | None = None,
) -> tuple[ForwardProblem, np.ndarray, np.ndarray, np.ndarray]:
    """Pose the equations that `solve_shelf` solves, for parameters that it has checked.

    Returns
    -------
    tuple of (ForwardProblem, ndarray, ndarray, ndarray)
        The equations, the edges that are calving front, the imposed velocity (scaled, zero
        elsewhere), and the numbers of the degrees of freedom that it fixes.
    """
    problem = ForwardProblem.on(mesh, thickness, law, constants or PhysicalConstants(), drag)
    front_edges = _front_edges(mesh, front)
    start, fixed = problem.imposed(
        np.setdiff1d(mesh.boundary_facets(), front_edges),
        as_function(velocity[0], "velocity u"),
        as_function(velocity[1], "velocity v"),
    )
    return problem, front_edges, start, fixed


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
    check_pair(glen, "glen", "(B, n)")
    exponent = glen[1]
    if not (isinstance(exponent, Real) and 1 <= float(exponent) < np.inf):
        raise ParameterError(f"Glen's exponent n must be a number, at least 1; got {exponent!r}.")
    check_positive(strain_rate_floor=strain_rate_floor)
    hardness = as_function(glen[0], "the hardness B in glen", positive=True)
    return GlenLaw(hardness, float(exponent), float(strain_rate_floor))


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
    piece = pieces(mesh)
    n_pieces = piece.max() + 1
    held = np.unique(piece[mesh.f2t[0, edges[~is_front]]])
    loose = np.setdiff1d(np.arange(n_pieces), held)
    if loose.size:
        x, y = mesh.p[:, mesh.t[:, piece == loose[0]]].mean(axis=(1, 2))
        raise ParameterError(
            f"{loose.size} of {n_pieces} pieces of the shelf (one around x={x:g} m, y={y:g} m) "
            "have calving front all around: nothing holds them, so that their velocity is not "
            "determined. Leave them out of the domain or change front."
        )
    chosen: np.ndarray = edges[is_front]
    return chosen


def pieces(mesh: MeshTri) -> np.ndarray:
    """Return the number of the connected piece that each triangle belongs to."""
    inner = mesh.f2t[:, mesh.f2t[1] >= 0]
    n_cells = mesh.t.shape[1]
    graph = coo_matrix((np.ones(inner.shape[1]), tuple(inner)), shape=(n_cells, n_cells))
    piece: np.ndarray
    _, piece = connected_components(graph, directed=False)
    return piece
