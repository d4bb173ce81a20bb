"""Twins of a user's shelf: its shape, its data and their noise, with a viscosity that is known.

What a method finds on a twin tells how far it is to be trusted on the shelf itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from numbers import Integral
from typing import Any, TypeAlias

import numpy as np
import xarray as xr
from scipy.spatial import cKDTree

from xdiffice.errors import (
    CoordinateError,
    DataValuesError,
    ParameterError,
    PlausibilityWarning,
    raise_problems,
    warn,
)
from xdiffice.forward.fields import Field, as_function, check_positive
from xdiffice.forward.observed import NEIGHBOURS, ObservedShelf
from xdiffice.forward.solve import solve_shelf
from xdiffice.observations.conventions import conforming, history_line
from xdiffice.observations.crop import narrow
from xdiffice.observations.front import extent_text
from xdiffice.observations.gather import observations_from
from xdiffice.observations.points import Domain, Observations
from xdiffice.observations.projection import compare, mapping_of
from xdiffice.observations.rasters import constants_of, raster_of, viscosities_of
from xdiffice.observations.survey import Survey, load, search_shelf
from xdiffice.observations.values import count
from xdiffice.physics.constants import PhysicalConstants
from xdiffice.synthetic.hardness import GlenTruth, area_of
from xdiffice.synthetic.noise import (
    Noise,
    Recipe,
    scatter_of,
)
from xdiffice.synthetic.surroundings import smoothed
from xdiffice.synthetic.twin_dataset import TwinDataset
from xdiffice.synthetic.twin_survey import Given, TwinSurvey

FINER = 1.5
"""Triangles of a twin are so many times smaller than those of a forward check."""

SMOOTHING = 2.0
"""Pixels over which the data's own thickness is smoothed before it is true."""

LEAST_COVER = 0.5
"""Share of the shelf that a viscosity must cover: the rest is taken from the nearest pixel."""

CLEAN, MOST_NEIGHBOURS = 1e-3, 144
"""Scatter over rms speed that 16 neighbours of a rim can bear, and most neighbours beyond."""

Stiffness: TypeAlias = xr.Dataset | Field


def twin(
    dataset: xr.Dataset,
    viscosity: Stiffness | None = None,
    *,
    hardness: Field | None = None,
    glen_exponent: float = 3.0,
    hardness_variation: float | None = None,
    damage_bands: int | None = None,
    damage_width: float | None = None,
    damage_factor: float | None = None,
    noise: Noise = "as data",
    random_state: int | None = 0,
    mesh_size: float | None = None,
    constants: PhysicalConstants | None = None,
    thickness: Any = None,
    mask: Any = None,
    front: Any = None,
    variables: Mapping[str, str | None] | None = None,
    units: Mapping[str, str] | None = None,
) -> xr.Dataset:
    """Make the Dataset that a shelf would have given if a viscosity were the true one.

    The shallow-shelf equations are solved on the outline of the shelf, with the viscosity that is
    given, or by Glen's law; the observed velocity, smoothed, holds the rim where it is not calving
    front. The solution is sampled where the data are, with their gaps, and noise is added as data
    have it. An inversion of the twin can be held against its truth: that tells how accurate a map
    of the shelf itself can be.

    Parameters
    ----------
    dataset : xarray.Dataset
        Of the real shelf: velocity, and what `SSAViscosityInverter.fit` takes with it. It is not
        changed. Of a large dask-backed raster the rectangle around the velocity is used.
    viscosity : xarray.Dataset, xarray.DataArray, callable or float, optional
        A prediction on a grid, with ``viscosity``, or ``viscosity_horizontal`` and
        ``viscosity_vertical``; its ``thickness`` is then the true one, if it has one. Or the
        viscosity alone: an array with units, a function of x and y in m, or a number, Pa s.
        Pixels of the shelf without a value get the nearest one, with a warning.
    hardness : float, callable or xarray.DataArray, optional
        Instead of a viscosity: B of Glen's law, Pa s^(1/n), such as 1.5e8 for n = 3. The true
        viscosity is that of the flow that results.
    glen_exponent : float
        n.
    hardness_variation : float, optional
        By which share B is higher or lower in a dozen patches. By default 0.3 where the hardness
        is a number, and 0 where it is a field.
    damage_bands : int, optional
        Bent bands in which B is lower. By default 5.
    damage_width : float, optional
        Of a band, m. By default 4 % of the square root of the shelf's area.
    damage_factor : float, optional
        What is left of B in a band; by default a quarter.
    noise : {"as data"}, False or dict
        Standard deviations, by any of the keys ``"velocity"``, ``"velocity_correlated"``,
        ``"velocity_stripes"``, ``"thickness"`` and ``"thickness_correlated"``, in the units of the
        data; 0 or False switches a part off, and parts that are not named are ``"as data"``: of
        the variance that the data's errors state, velocity gets 60 % white, 20 % correlated and
        20 % in stripes, thickness 30 % white and 70 % correlated. Data without errors: the white
        part is what data scatter about quadratic surfaces among 24 neighbours, the other parts in
        proportion. ``"correlation"`` is the length in pixels (8), ``"stripe_width"`` the width of
        an image in m (a fifth of the square root of the area).
    random_state : int or None
        Decides noise, patches and bands. None draws one; the Dataset tells which.
    mesh_size : float, optional
        Greatest length of the legs of a triangle, m; by default two thirds of what
        `forward_check` takes. Elements are quadratic.
    constants : PhysicalConstants, optional
        Densities and gravity; by default those of the result.
    thickness, mask, front : optional
        As in `SSAViscosityInverter.fit`, where they are not in `dataset`.
    variables, units : mapping, optional
        As in `SSAViscosityInverter`.

    Returns
    -------
    xarray.Dataset
        What `SSAViscosityInverter.fit` takes as it is, with names, dims, coordinates, units and
        gaps of the data. The truth beside it: ``viscosity``, or ``viscosity_horizontal`` and
        ``viscosity_vertical``, Pa s, ``hardness`` of Glen's law, and velocity and thickness under
        their names with ``_true``, all on the grid of the velocity. Attributes tell seed, noise,
        mesh and constants.

    Raises
    ------
    ParameterError
        A parameter has a value that it cannot have, the shelf is no raster, or nothing holds it.
    CoordinateError
        The viscosity is of another shelf, or in another projection.
    ConvergenceError
        Glen's law could not be solved.
    XdifficeError
        The Dataset cannot be used; see `SSAViscosityInverter.fit`.

    Warns
    -----
    PlausibilityWarning
        Pixels of the shelf have no viscosity, or data tell no noise.

    Examples
    --------
    >>> import xdiffice
    >>> shelf = xdiffice.synthetic.confined_shelf((20, 30))
    >>> twin = xdiffice.synthetic.twin(shelf, hardness=1.5e8, noise={"velocity": 1e-7})
    >>> sorted(name for name in twin if "velocity" in name)
    ['x_velocity', 'x_velocity_true', 'y_velocity', 'y_velocity_true']
    """
    recipe = Recipe.of(noise)
    seed = _seed(random_state)
    law = GlenTruth(
        glen_exponent, hardness_variation, damage_bands, damage_width, damage_factor, seed
    )
    law.check(hardness, viscosity)
    check_positive(mesh_size=mesh_size)
    found, observations = _read(dataset, thickness, mask, front, variables, units)
    domain, notes = observations.domain, list(observations.notes)
    given = _given(viscosity, found, domain, notes)
    scatter = scatter_of(
        observations.velocity.x,
        observations.velocity.y,
        np.stack([observations.velocity.u, observations.velocity.v]),
    )
    shelf = ObservedShelf.of(
        observations,
        mesh_size or default_mesh_size(domain) / FINER,
        _neighbours(observations, scatter),
    )
    true_thickness = given.thickness
    if true_thickness is None:
        true_thickness = _own_thickness(found, observations)
    b = None if hardness is None else law.hardness(hardness, domain)
    flow = solve_shelf(
        shelf.mesh,
        true_thickness,
        shelf.velocity,
        shelf.front,
        viscosity=given.horizontal,
        vertical_viscosity=given.vertical,
        glen=None if b is None else (b, glen_exponent),
        constants=constants or given.constants,
    )
    survey = TwinSurvey(found, observations, recipe, seed, notes)
    made = TwinDataset(found)
    survey.velocity(made, flow, scatter)
    h = as_function(true_thickness, "thickness", positive=True)
    survey.thickness(made, h)
    for role in found.fields:
        if role not in made.names:
            made.add(role)
    survey.truth(made, flow, given, h, b)
    result = made.finished()
    attrs = {
        "title": "Twin of an ice shelf: its data as they would be with a known viscosity",
        "source": "synthetic: finite elements, and the gaps and noise of data",
        "history": _history(dataset, found),
        "comment": ". ".join(dict.fromkeys(notes)),
        **_constants_attrs(constants or given.constants),
        **(law.attrs(domain) if b is not None else {}),
        "seed": seed,
        **survey.attrs,
        "mesh_size": float(mesh_size or default_mesh_size(domain) / FINER),
        "n_triangles": int(flow.mesh.t.shape[1]),
    }
    return conforming(result, {key: value for key, value in attrs.items() if value != ""})


def default_mesh_size(domain: Domain) -> float:
    """Legs of the triangles of a forward check of a shelf, m: see `mask_mesh`."""
    return max(2 * domain.spacing, float(np.sqrt(area_of(domain) / 10_000)))


def _seed(random_state: int | None) -> int:
    if random_state is None:
        return int(np.random.SeedSequence().generate_state(1)[0])
    valid = isinstance(random_state, Integral) and not isinstance(random_state, bool)
    if not (valid and random_state >= 0):
        raise ParameterError(
            f"random_state must be an integer, 0 or more, or None; got {random_state!r}"
        )
    return int(random_state)


def _read(
    dataset: xr.Dataset,
    thickness: Any,
    mask: Any,
    front: Any,
    variables: Mapping[str, str | None] | None,
    units: Mapping[str, str] | None,
) -> tuple[Survey, Observations]:
    """Find and load everything, as `gather` does; its fields are wanted as well here."""
    found = search_shelf(dataset, thickness, mask, front, variables, units)
    narrow(found)
    load(found)
    observations = observations_from(found)
    raise_problems(found.problems)
    assert observations is not None
    for sentence in found.warnings:
        warn(sentence, PlausibilityWarning)
    return found, observations


def _given(viscosity: Stiffness | None, found: Survey, domain: Domain, notes: list[str]) -> Given:
    """Read a viscosity, and hold it against the shelf."""
    if viscosity is None:
        return Given()
    if isinstance(viscosity, xr.DataArray):
        viscosity = viscosity.to_dataset(name="viscosity")
    if not isinstance(viscosity, xr.Dataset):
        return Given(horizontal=viscosity)
    fields = viscosities_of(viscosity)
    names = list(fields)
    one = found.fields["x_velocity"]
    ours = mapping_of(one.array, one.dataset)
    theirs = mapping_of(viscosity[names[0]], viscosity)
    if ours is not None and theirs is not None:
        attrs = one.dataset[ours].attrs, viscosity[theirs].attrs
        note = compare(*attrs, (one.name, names[0]))
        notes += [note] if note else []
    for name, field in fields.items():
        _check_cover(field, name, domain, notes)
    return Given(
        fields[names[0]],
        fields[names[1]] if len(names) == 2 else None,
        raster_of(viscosity, "thickness", "m") if "thickness" in viscosity else None,
        constants_of(viscosity),
    )


def _check_cover(field: xr.DataArray, name: str, domain: Domain, notes: list[str]) -> None:
    """Refuse a viscosity of elsewhere; tell how many pixels of the shelf it lacks."""
    row, column = np.nonzero(np.isfinite(field.values))
    x, y = field["x"].values, field["y"].values
    if not row.size:
        raise DataValuesError(f"all values of {name!r} of the result are missing")
    if np.nanmin(field.values) <= 0:
        wrong = int((field.values <= 0).sum())
        raise DataValuesError(f"{name!r} of the result is not positive at {count(wrong, 'pixel')}")
    pixel = max(float(np.median(np.abs(np.diff(axis)))) for axis in (x, y))
    reach = 1.5 * max(pixel, domain.spacing)  # the rim of a mask may lie a pixel farther out
    places = np.column_stack([x[column], y[row]])
    shelf = np.column_stack([domain.x, domain.y])
    distance, _ = cKDTree(places).query(shelf, distance_upper_bound=reach)
    holes = int((~np.isfinite(distance)).sum())
    covered = 1 - holes / len(shelf)
    if covered < LEAST_COVER:
        raise CoordinateError(
            f"{name!r} of the result covers {covered:.0%} of the shelf: it has "
            f"{extent_text(x[column], y[row])}, the shelf has "
            f"{extent_text(domain.x, domain.y)}. Is it of another shelf, or in another projection?"
        )
    if holes:
        sentence = (
            f"{count(holes, 'pixel')} of the shelf, {holes / len(shelf):.2g} of all, have no value "
            f"of {name!r}: they got that of the nearest pixel"
        )
        notes.append(sentence)
        warn(sentence, PlausibilityWarning)


def _own_thickness(found: Survey, observations: Observations) -> xr.DataArray:
    """Smooth the data's own thickness: its noise is not true."""
    one, data = found.fields["thickness"], observations.thickness
    assert one.grid is not None
    raster = one.grid.kind == "raster"
    spacing = one.grid.spacing if raster else observations.domain.spacing
    return smoothed(data.x, data.y, data.h, spacing, SMOOTHING)


def _neighbours(observations: Observations, scatter: np.ndarray) -> int:
    """How many data hold a node of the rim: the noisier they are the more."""
    speed = np.sqrt(np.mean(observations.velocity.u**2 + observations.velocity.v**2))
    errors = observations.velocity.u_error, observations.velocity.v_error
    known = [np.median(error) for error in errors if error is not None]
    noise = float(max([*scatter, *known]) / speed)
    # A surface over much of a coarse grid would follow its bends no more.
    most = min(MOST_NEIGHBOURS, max(NEIGHBOURS, observations.velocity.x.size // 100))
    return int(np.clip(NEIGHBOURS * noise / CLEAN, NEIGHBOURS, most))


def _constants_attrs(constants: PhysicalConstants) -> dict[str, float]:
    return {
        "ice_density": constants.ice_density,
        "sea_water_density": constants.sea_water_density,
        "gravity": constants.gravity,
    }


def _history(dataset: xr.Dataset, found: Survey) -> str:
    """Append a line to what was done before."""
    sources = [one.dataset for one in found.fields.values()]
    before = str(dataset.attrs.get("history", "")).rstrip().splitlines()
    return "\n".join([*before, history_line("twin made by xdiffice.synthetic.twin", sources)])
