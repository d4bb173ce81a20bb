"""Whether an inferred viscosity moves the ice as it was seen to move: the equations, solved anew.

Independent of the networks: finite elements on the shelf's own mask, held by the observed velocity
where it is not calving front. Takes a Dataset and a prediction, hands on modelled velocities.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr
from scipy.spatial import cKDTree

from xdiffice import __version__
from xdiffice.errors import CoordinateError, ParameterError, VariableNotFoundError
from xdiffice.observations.axes import find_axes, load_grid
from xdiffice.observations.gather import gather
from xdiffice.observations.points import Domain, Observations, VelocityPoints
from xdiffice.observations.units import factor, magnitude, units_of
from xdiffice.physics.constants import PhysicalConstants
from xdiffice.results.template import Target, resolve_template

if TYPE_CHECKING:
    from skfem import MeshTri

NEIGHBOURS = 16  # observed velocities by which a node of the rim is held
SMALLEST = 1e-3  # singular value of the places of neighbours that still counts
REACH = 1.5  # pixels, or distances between points of the front, from a rim that is front
FACING = 0.5  # cosine between a rim and the front that it is taken for
MARGIN = 3  # pixels of no shelf around the mask, over which its rim is smoothed
UNITS = {
    "viscosity": "Pa s",
    "viscosity_horizontal": "Pa s",
    "viscosity_vertical": "Pa s",
    "thickness": "m",
}
MEANT = {"x_velocity": "x velocity of ice", "y_velocity": "y velocity of ice"}


def forward_check(
    dataset: xr.Dataset,
    result: xr.Dataset,
    *,
    thickness: Any = None,
    mask: Any = None,
    front: Any = None,
    variables: Mapping[str, str | None] | None = None,
    units: Mapping[str, str] | None = None,
    mesh_size: float | None = None,
) -> xr.Dataset:
    """Solve the shallow-shelf equations with an inferred viscosity, and compare velocities.

    The equations are linear, because the viscosity is given. Viscosity and thickness are those of
    the result; the velocity is imposed where the rim of the shelf is not calving front, as the
    quadratic surface that fits the 16 nearest observations best; at the front the sea pushes.
    Pieces of a shelf that nothing holds are left out.

    Parameters
    ----------
    dataset : xarray.Dataset
        What the viscosity was inferred from: velocity, and what `fit` was given with it.
    result : xarray.Dataset
        Prediction on a grid: ``viscosity``, or ``viscosity_horizontal`` and
        ``viscosity_vertical``, Pa s, and ``thickness``.
    thickness, mask, front : optional
        As in `SSAViscosityInverter.fit`, where they are not in `dataset`.
    variables, units : mapping, optional
        As in `SSAViscosityInverter`.
    mesh_size : float, optional
        Greatest length of the legs of a triangle, m; by default two pixels of the mask, more where
        that would give above 20 000 triangles. Elements are quadratic.

    Returns
    -------
    xarray.Dataset
        On the grid of the observed velocity, in its units: ``x_velocity``, ``y_velocity`` as
        modelled, ``x_velocity_difference``, ``y_velocity_difference``, modelled minus observed,
        NaN where either is missing. Attributes ``relative_difference``,
        ``x_velocity_relative_difference`` and ``y_velocity_relative_difference`` are L2 norms of
        the difference over those of what was observed; ``rms_difference`` has the velocity's units.

    Raises
    ------
    VariableNotFoundError
        The result has no viscosity, or no thickness.
    CoordinateError
        It is not on a raster.
    ParameterError
        The shelf is no raster either, or calving front all around: nothing holds it.
    XdifficeError
        The Dataset cannot be used; see `SSAViscosityInverter.fit`.

    Examples
    --------
    >>> import xdiffice
    >>> shelf = xdiffice.synthetic.confined_shelf(shape=(20, 30))
    >>> check = shelf.diffice.forward_check(shelf)  # with the true viscosity
    >>> check.attrs["relative_difference"] < 0.01
    True
    """
    from xdiffice.synthetic.forward import solve_shelf
    from xdiffice.synthetic.meshes import mask_mesh

    observations = gather(
        dataset, thickness, mask=mask, front=front, variables=variables, units=units
    )
    names = [name for name in UNITS if name in result and name != "thickness"]
    if names not in (["viscosity"], ["viscosity_horizontal", "viscosity_vertical"]):
        raise VariableNotFoundError(
            "the result needs 'viscosity', or 'viscosity_horizontal' and 'viscosity_vertical'; it "
            f"has {', '.join(map(repr, result.data_vars)) or 'no variables'}"
        )
    fields = {name: _raster(result, name) for name in names}
    whole = mask_mesh(_mask(observations.domain), mesh_size)
    mesh, is_front = _held(whole, observations)
    flow = solve_shelf(
        mesh,
        _raster(result, "thickness"),
        _surfaces(observations.velocity),
        is_front,
        viscosity=fields[names[0]],
        vertical_viscosity=fields[names[1]] if len(names) == 2 else None,
        constants=_constants(result),
    )
    target = resolve_template(None, observations.labels)
    inside = np.isfinite(target.x) & np.isfinite(target.y)
    modelled = np.full((2, target.size), np.nan)
    modelled[:, inside] = flow.velocity(target.x[inside], target.y[inside])
    return _labelled(modelled, target, observations, result)


def _raster(result: xr.Dataset, name: str) -> xr.DataArray:
    """One variable of the result in SI units, on coordinates x and y in m."""
    if name not in result:
        raise VariableNotFoundError(f"the result has no variable {name!r}; predict it as well")
    array = result[name]
    axes = find_axes(array, result, None, notes=[])
    if axes.kind != "raster" or set(axes.dims) != set(array.dims):
        raise CoordinateError(
            f"{name!r} of the result is on {axes.kind} with dims {array.dims}; a forward check "
            "needs it on a raster of x and y: predict on a grid"
        )
    load_grid(axes, axes.x.values, axes.y.values)
    scale = factor(units_of(array, name, name, None, []), UNITS[name], name)
    array = array.transpose(*axes.dims)
    return xr.DataArray(
        scale * np.asarray(magnitude(array), np.float64),
        dims=("y", "x"),
        coords={
            "y": axes.factor * np.asarray(axes.y.values, np.float64),
            "x": axes.factor * np.asarray(axes.x.values, np.float64),
        },
    )


def _constants(result: xr.Dataset) -> PhysicalConstants:
    """Take the constants with which a viscosity was inferred, where the result tells them."""
    known = ("ice_density", "sea_water_density", "gravity")
    given = {name: float(result.attrs[name]) for name in known if name in result.attrs}
    return PhysicalConstants(**given)


def _mask(domain: Domain) -> xr.DataArray:
    """Make a raster of the pixels of a shelf, with a margin of none."""
    (x, column), (y, row) = (_line(axis) for axis in (domain.x, domain.y))
    inside = np.zeros((y.size, x.size), bool)
    inside[row, column] = True
    return xr.DataArray(inside, dims=("y", "x"), coords={"y": y, "x": x})


def _line(positions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the coordinate of a raster along one axis, and the number of every position on it."""
    there = np.unique(positions)
    steps = np.diff(there)
    step = np.median(steps) if steps.size else 1.0
    number = np.round((positions - there[0]) / step).astype(int)
    if np.abs(there[0] + number * step - positions).max() > 0.1 * step:
        raise ParameterError(
            "a forward check needs a shelf of pixels, and this one is made of points: give a mask "
            "on a raster"
        )
    line = there[0] + step * (np.arange(number.max() + 1 + 2 * MARGIN) - MARGIN)
    return line, number + MARGIN


def _held(mesh: MeshTri, observations: Observations) -> tuple[MeshTri, Callable[..., np.ndarray]]:
    """Return those pieces of a mesh that something holds, and which of their rim is front.

    The rim is front where points of the front are near that look the same way: not where a wall
    begins beside them.
    """
    from xdiffice.synthetic.forward import pieces
    from xdiffice.synthetic.fronts import edge_midpoints, edge_normals, near_points

    front = observations.front
    is_front = np.zeros(mesh.facets.shape[1], bool)
    edges = mesh.boundary_facets()
    if front.x.size:
        points = np.column_stack([front.x, front.y])
        tree = cKDTree(points)
        apart = np.median(tree.query(points, k=[2])[0]) if front.x.size > 1 else 0.0
        reach = REACH * max(observations.domain.spacing, apart, _longest(mesh))
        distance, nearest = tree.query(edge_midpoints(mesh, edges).T)
        n_x, n_y = edge_normals(mesh, edges)
        facing = n_x * front.n_x[nearest] + n_y * front.n_y[nearest]
        is_front[edges] = (distance <= reach) & (facing > FACING)
    piece = pieces(mesh)
    kept = np.unique(piece[mesh.f2t[0, edges[~is_front[edges]]]])
    if not kept.size:
        raise ParameterError(
            "the shelf is calving front all around: nothing holds it, and its velocity is not "
            "determined"
        )
    x, y = edge_midpoints(mesh, np.flatnonzero(is_front))
    restricted = mesh.restrict(np.flatnonzero(np.isin(piece, kept)))
    if not x.size:
        return restricted, lambda x, y: np.zeros(np.shape(x), bool)
    return restricted, near_points(x, y, 1e-6 * observations.domain.spacing)


def _longest(mesh: MeshTri) -> float:
    """Length of the longest edge of a rim."""
    start, end = mesh.p[:, mesh.facets[:, mesh.boundary_facets()]].transpose(1, 0, 2)
    return float(np.hypot(*(end - start)).max())


def _surfaces(
    velocity: VelocityPoints,
) -> tuple[Callable[..., np.ndarray], Callable[..., np.ndarray]]:
    """Functions of position: the quadratic surface that fits the nearest observations best.

    Noise averages, and on a raster it also holds half a pixel beyond the outermost pixels, where
    the rim is, and where the velocity bends next to a wall.
    """
    tree = cKDTree(np.column_stack([velocity.x, velocity.y]))
    n = min(NEIGHBOURS, velocity.x.size)

    def surface(values: np.ndarray) -> Callable[..., np.ndarray]:
        def at(x: np.ndarray, y: np.ndarray) -> np.ndarray:
            x_at, y_at = np.ravel(x)[:, None], np.ravel(y)[:, None]
            distance, near = tree.query(np.hstack([x_at, y_at]), k=range(1, n + 1))
            unit = np.maximum(distance[:, -1:], np.finfo(float).tiny)
            d_x, d_y = (velocity.x[near] - x_at) / unit, (velocity.y[near] - y_at) / unit
            one = np.ones_like(d_x)
            design = np.stack([one, d_x, d_y, d_x**2, d_x * d_y, d_y**2], axis=-1)
            # Points in a line tell nothing across it: the smallest coefficients are taken.
            solved = np.linalg.pinv(design, rcond=SMALLEST) @ values[near][..., None]
            return solved[:, 0, 0].reshape(np.shape(x))

        return at

    return surface(velocity.u), surface(velocity.v)


def _labelled(
    modelled: np.ndarray, target: Target, observations: Observations, result: xr.Dataset
) -> xr.Dataset:
    """Name everything, and sum up the differences."""
    labels, velocity = observations.labels, observations.velocity
    known = np.isfinite(target.x) & np.isfinite(target.y)
    tree = cKDTree(np.column_stack([target.x[known], target.y[known]]))
    reach = 1e-3 * observations.domain.spacing
    distance, nearest = tree.query(
        np.column_stack([velocity.x, velocity.y]), distance_upper_bound=reach
    )
    found = np.isfinite(distance)
    place = np.flatnonzero(known)[nearest[found]]
    variables, attrs = {}, {}
    squares = np.zeros(2)
    for name, ours, seen in zip(MEANT, modelled, (velocity.u, velocity.v), strict=True):
        scale = labels.factors[name]
        observed = np.full(target.size, np.nan)
        observed[place] = seen[found]
        difference = ours - observed
        both = np.isfinite(difference)
        own = np.array([np.sum(difference[both] ** 2), np.sum(observed[both] ** 2)])
        squares += own
        attrs[f"{name}_relative_difference"] = _root_of_ratio(*own)
        described = {"units": str(labels.attrs[name]["units"])}
        if target.grid_mapping is not None:
            described["grid_mapping"] = str(target.grid_mapping)
        for variable, values, long_name in (
            (name, ours, f"modelled {MEANT[name]}"),
            (f"{name}_difference", difference, f"modelled minus observed {MEANT[name]}"),
        ):
            shaped = (values / scale).reshape(target.shape)
            variables[variable] = (target.dims, shaped, described | {"long_name": long_name})
    n = int(np.isfinite(variables["x_velocity_difference"][1]).sum())
    scale = labels.factors["x_velocity"]
    out = target.coords.assign(variables)
    out.attrs = {
        "Conventions": "CF-1.11",
        "title": "Velocity of an ice shelf with an inferred viscosity, by finite elements",
        "source": f"xdiffice {__version__}",
        "relative_difference": _root_of_ratio(*squares),
        **attrs,
        "rms_difference": float(np.sqrt(squares[0] / max(n, 1)) / scale),
        "n_compared": n,
    }
    if "estimator" in result.attrs:
        out.attrs["estimator"] = result.attrs["estimator"]
    return out


def _root_of_ratio(part: float, whole: float) -> float:
    return float(np.sqrt(part / whole)) if whole > 0 else float("nan")
