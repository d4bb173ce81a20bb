"""A shelf in a bay, for which nobody has a formula: the forward problem is solved for it.

Hands on a CF Dataset with what satellites would see, the calving front and the true viscosity.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
import xarray as xr
from skfem import MeshTri

from xdiffice.errors import ParameterError
from xdiffice.forward.fields import (
    Field,
    FieldFunction,
    as_function,
    check_pair,
    check_positive,
)
from xdiffice.forward.fronts import FrontCondition, facing_ocean
from xdiffice.forward.location import PointLocator
from xdiffice.forward.meshes import box_mesh, level_set_mesh, mask_mesh
from xdiffice.forward.solve import solve_shelf
from xdiffice.physics.constants import PhysicalConstants
from xdiffice.synthetic.bay import Bay
from xdiffice.synthetic.datasets import Truth, observe
from xdiffice.synthetic.survey import Grid, Survey

Pattern: TypeAlias = Field | np.ndarray
"""A field, or its values on the pixels of the velocity grid, in the y order of the Dataset."""


def confined_shelf(
    shape: tuple[int, int] = (100, 160),
    *,
    length: float = 80e3,
    width: float = 50e3,
    viscosity: Pattern | None = None,
    vertical_viscosity: Pattern | None = None,
    thickness: Pattern | None = None,
    rheology: str = "isotropic",
    glen: tuple[Pattern, float] | None = None,
    drag: Pattern | None = None,
    inflow_speed: float = 1.5e-5,
    side_speed: float = 4.2e-5,
    boundary_velocity: tuple[Field, Field] | None = None,
    mask: np.ndarray | xr.DataArray | FieldFunction | None = None,
    front: FrontCondition | None = None,
    noise: float = 0.0,
    thickness_noise: float = 0.0,
    gaps: float = 0.0,
    thickness_gaps: float = 0.0,
    error_variables: bool = False,
    separate_grids: bool = False,
    velocity_units: str = "m s-1",
    coordinate_units: str = "m",
    y_order: str = "ascending",
    seed: int = 0,
    mesh_size: float | None = None,
    constants: PhysicalConstants | None = None,
) -> xr.Dataset:
    """Make a shelf that flows from a grounding line between side walls to a calving front.

    The shelf fills x from 0 to `length` and y from -`width`/2 to `width`/2, or what `mask` leaves
    of it. Ice comes in at x = 0, is slowed by the sides and calves at x = `length`. The velocity
    is the solution of the shallow-shelf equations for the given viscosity and thickness
    (`solve_shelf`), evaluated at the pixel centres with its own quadratic basis; viscosity and
    thickness there are exact.

    Parameters
    ----------
    shape : tuple of int
        Number of pixels along y and x.
    length, width : float
        Size of the rectangle, m.
    viscosity : float, callable, array or xarray.DataArray, optional
        μ, or μ_h of anisotropic ice, Pa s. A function takes x and y in m; an array has the shape
        `shape`. Default: 1.3e13 to 8e13 Pa s, soft along the sides and towards the front.
    vertical_viscosity : float, callable, array or xarray.DataArray, optional
        μ_v of anisotropic ice, Pa s. Default: 0.5 to 1.1 times the default of `viscosity`; of the
        two, both or none are given.
    thickness : float, callable, array or xarray.DataArray, optional
        m. Default: 500 m at the grounding line to 200 m at the front, thinner at the sides.
    rheology : {"isotropic", "anisotropic"}
        Whether the ice has one viscosity or two.
    glen : pair of (field, float), optional
        Instead of a viscosity: B (Pa s^(1/n)) and n of Glen's law. The true viscosity is then
        that of the computed strain rate.
    drag : float, callable, array or xarray.DataArray, optional
        β, Pa s m-1, of the drag β u of the ground under the ice, as at pinning points.
    inflow_speed : float
        Greatest speed at the grounding line, m s-1; it falls to zero at the sides.
    side_speed : float
        Speed along the sides at the front, m s-1; it grows from zero with the square of x. At
        zero the ice sticks to the sides, and its strain rate is infinite where they end.
    boundary_velocity : pair of (float, callable or xarray.DataArray), optional
        Velocity (u, v) in m s-1 on everything that is not front, instead of the above. By default
        it is zero on boundaries inside of the rectangle (ice rises, curved coasts).
    mask : callable, array or xarray.DataArray, optional
        Which part of the rectangle is shelf; it may be of any shape and have holes. A function
        ``mask(x, y)``, positive or True on the shelf, is followed to O(size²) of the mesh by a
        rim of straight edges, and the Dataset's front holds points and normals of these edges:
        the solution is that of the domain within them. A raster (a bool array of the shape
        `shape`, or a DataArray) is smoothed over one pixel first, so that its front has no steps.
    front : callable, optional
        ``front(x, y)``: which boundary is calving front. Default: x = `length`; with a mask,
        where the nearest place that is not shelf is connected with x = `length` around the shelf.
    noise : float
        Standard deviation of the Gaussian noise on u and on v, as a share of the rms speed.
    thickness_noise : float
        Standard deviation of the noise on thickness, as a share of the mean thickness.
    gaps, thickness_gaps : float
        Share of the shelf's pixels without velocity, and without thickness, in blobs.
    error_variables : bool
        Add the standard deviations of the noise as variables, where there is noise.
    separate_grids : bool
        Put thickness on its own grid (y_h, x_h), 1.3 times as coarse.
    velocity_units, coordinate_units : str
        Units in the Dataset, e.g. ``"m yr-1"`` and ``"km"``. They do not concern the parameters.
    y_order : {"ascending", "descending"}
        Order of the rows.
    seed : int
        Decides noise and gaps.
    mesh_size : float, optional
        Greatest length of the legs of a triangle, m. Default: two pixels, within limits.
    constants : PhysicalConstants, optional
        Densities and gravity.

    Returns
    -------
    xarray.Dataset
        ``x_velocity``, ``y_velocity``, ``thickness``; ``x_front``, ``y_front``, ``x_normal``,
        ``y_normal``; the truth as ``viscosity`` (or ``viscosity_horizontal`` and
        ``viscosity_vertical``) without noise and gaps; ``mask`` where a pixel is not shelf.

    Raises
    ------
    ParameterError
        If a parameter has a value that it cannot have.
    ConvergenceError
        If Glen's law could not be solved.

    Examples
    --------
    >>> ds = confined_shelf((20, 32), noise=0.01, seed=1)
    >>> dict(ds.sizes)
    {'y': 20, 'x': 32, 'front': 40}
    """
    check_positive(length=length, width=width, mesh_size=mesh_size)
    survey = Survey(
        noise=noise,
        thickness_noise=thickness_noise,
        gaps=gaps,
        thickness_gaps=thickness_gaps,
        separate_grids=separate_grids,
        velocity_units=velocity_units,
        coordinate_units=coordinate_units,
        y_order=y_order,
        error_variables=error_variables,
        seed=seed,
    )
    grid = Grid((0.0, float(length)), (-width / 2, width / 2), shape)
    bay = Bay(length, width, inflow_speed, side_speed)
    if mesh_size is None:
        mesh_size = _default_mesh_size(grid)
    mesh = _mesh(mask, grid, y_order, mesh_size)

    def on_grid(field: Pattern, name: str) -> Field:
        return _on_grid(field, name, grid, y_order)

    h = as_function(
        on_grid(bay.thickness if thickness is None else thickness, "thickness"),
        "thickness",
        positive=True,
    )
    stiffness = _stiffness(bay, on_grid, rheology, viscosity, vertical_viscosity, glen)
    if boundary_velocity is None:
        boundary_velocity = (bay.boundary_speed, 0.0)
    constants = constants or PhysicalConstants()
    flow = solve_shelf(
        mesh,
        h,
        boundary_velocity,
        front or _front_condition(mask, grid, mesh, mesh_size),
        drag=None if drag is None else on_grid(drag, "drag"),
        constants=constants,
        **stiffness,
    )
    truth = Truth(
        flow.velocity,
        h,
        flow.viscosity,
        flow.contains,
        flow.front(min(grid.spacing)),
        anisotropic=rheology == "anisotropic",
    )
    title = f"Synthetic ice shelf in a bay, {rheology}"
    return observe(truth, grid, survey, title, constants)


def _stiffness(
    bay: Bay,
    on_grid: Callable[[Pattern, str], Field],
    rheology: str,
    viscosity: Pattern | None,
    vertical_viscosity: Pattern | None,
    glen: tuple[Pattern, float] | None,
) -> dict[str, Any]:
    """Collect what the solver is told of the ice, with defaults filled in."""
    if rheology not in ("isotropic", "anisotropic"):
        raise ParameterError(f"rheology must be 'isotropic' or 'anisotropic'; got {rheology!r}.")
    if rheology == "isotropic" and vertical_viscosity is not None:
        raise ParameterError("vertical_viscosity needs rheology='anisotropic'.")
    if glen is not None:
        if rheology != "isotropic" or viscosity is not None:
            raise ParameterError("glen takes the place of viscosity, and is isotropic.")
        check_pair(glen, "glen", "(B, n)")
        return {"glen": (on_grid(glen[0], "the hardness B in glen"), glen[1])}
    if rheology == "isotropic":
        horizontal = bay.viscosity if viscosity is None else viscosity
        return {"viscosity": on_grid(horizontal, "viscosity")}
    if (viscosity is None) != (vertical_viscosity is None):
        raise ParameterError(
            "anisotropic ice has two viscosities: give both, viscosity and vertical_viscosity, or "
            "neither."
        )
    horizontal = bay.viscosity if viscosity is None else viscosity
    vertical = bay.vertical_viscosity if vertical_viscosity is None else vertical_viscosity
    return {
        "viscosity": on_grid(horizontal, "viscosity"),
        "vertical_viscosity": on_grid(vertical, "vertical_viscosity"),
    }


def _on_grid(field: Pattern, name: str, grid: Grid, y_order: str) -> Field:
    """Give an array the coordinates of the pixels; leave other fields alone."""
    if not isinstance(field, np.ndarray):
        return field
    if field.shape != tuple(grid.shape):
        raise ParameterError(
            f"{name} is an array of shape {field.shape}; the grid has {tuple(grid.shape)}."
        )
    y = grid.y if y_order == "ascending" else grid.y[::-1]
    return xr.DataArray(field, {"y": y, "x": grid.x}, ("y", "x"))


def _mesh(
    mask: np.ndarray | xr.DataArray | FieldFunction | None, grid: Grid, y_order: str, size: float
) -> MeshTri:
    if mask is None:
        return box_mesh(grid.x_limits, grid.y_limits, size)
    raster = _on_grid(mask, "mask", grid, y_order) if isinstance(mask, np.ndarray) else mask
    if isinstance(raster, xr.DataArray):
        return mask_mesh(raster, size)
    if callable(mask):
        return level_set_mesh(mask, grid.x_limits, grid.y_limits, size)
    raise ParameterError(
        f"mask is a {type(mask).__name__}; give a function of (x, y), an array or a DataArray."
    )


def _default_mesh_size(grid: Grid) -> float:
    """Two pixels, but between a fortieth of the width and what gives 20 000 triangles."""
    n_y, n_x = grid.shape
    width, length = grid.spacing[0] * n_y, grid.spacing[1] * n_x
    fine = min(2 * min(grid.spacing), min(width, length) / 40)
    return max(fine, float(np.sqrt(width * length / 10_000)))


def _front_condition(mask: object, grid: Grid, mesh: MeshTri, size: float) -> FrontCondition:
    """Choose the front: x = length, or with a mask whatever faces the water around x = length."""
    if mask is None:
        near_end = grid.x_limits[1] - 1e-6 * (grid.x_limits[1] - grid.x_limits[0])
        return lambda x, y: x > near_end
    fine = grid.coarser(size / 2 / max(grid.spacing))
    x, y = np.meshgrid(fine.x, fine.y)
    cells, _ = PointLocator(mesh).locate(np.stack([x.ravel(), y.ravel()]))
    return facing_ocean(fine.x, fine.y, (cells >= 0).reshape(x.shape))
