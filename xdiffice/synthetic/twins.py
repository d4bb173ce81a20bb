"""Twins of a user's shelf: its shape, its data and their noise, with a viscosity that is known.

What a method finds on a twin tells how far it is to be trusted on the shelf itself.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any, TypeAlias

import numpy as np
import xarray as xr
from scipy.spatial import cKDTree

from xdiffice.errors import (
    CoordinateError,
    DataValuesError,
    ParameterError,
    PlausibilityWarning,
    UnitsError,
    VariableNotFoundError,
    raise_problems,
    warn,
)
from xdiffice.forward.fields import Field, FieldFunction, as_function, check_positive
from xdiffice.forward.flow import ShelfFlow
from xdiffice.forward.observed import NEIGHBOURS, ObservedShelf
from xdiffice.forward.solve import solve_shelf
from xdiffice.observations.conventions import conforming, history_line
from xdiffice.observations.crop import narrow
from xdiffice.observations.domain import floating_ice
from xdiffice.observations.front import extent_text
from xdiffice.observations.gather import observations_from
from xdiffice.observations.points import Domain, Observations
from xdiffice.observations.projection import compare, mapping_of
from xdiffice.observations.rasters import raster_of
from xdiffice.observations.survey import Survey, load, search_shelf
from xdiffice.observations.values import count
from xdiffice.physics.constants import PhysicalConstants
from xdiffice.synthetic.hardness import drawn
from xdiffice.synthetic.noise import (
    THICKNESS,
    VELOCITY,
    Noise,
    Recipe,
    Swaths,
    correlated,
    random_numbers,
    scatter_of,
)
from xdiffice.synthetic.surroundings import Extended, smoothed
from xdiffice.synthetic.twin_dataset import TwinDataset

FINER = 1.5
"""Triangles of a twin are so many times smaller than those of a forward check."""

SMOOTHING = 2.0
"""Pixels over which the data's own thickness is smoothed before it is true."""

VISCOSITIES = ("viscosity", "viscosity_horizontal", "viscosity_vertical")

VARIATION, DAMAGE_BANDS, DAMAGE_FACTOR, DAMAGE_WIDTH = 0.3, 5, 0.25, 0.04
"""Of Glen's law: patches, bands, by what B is lower in them, how wide over the shelf's size."""

UNKNOWN = {"velocity": 0.005, "thickness": 0.01}
"""Noise where data tell none: shares of the rms speed and of the mean thickness."""

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
        their names with ``_true``. Attributes tell seed, noise, mesh and constants.

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
    law = _Glen(glen_exponent, hardness_variation, damage_bands, damage_width, damage_factor, seed)
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
    survey = _Survey(found, observations, recipe, seed, notes)
    made = TwinDataset(found)
    survey.velocity(made, flow, scatter)
    survey.thickness(made, as_function(true_thickness, "thickness", positive=True))
    for role in found.fields:
        if role not in made.names:
            made.add(role)
    survey.viscosity(made, flow, given, b)
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
    return max(2 * domain.spacing, float(np.sqrt(_area(domain) / 10_000)))


def _area(domain: Domain) -> float:
    return domain.x.size * domain.spacing**2


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


@dataclass(frozen=True)
class _Given:
    """What a caller says is true; None where Glen's law or the data say it."""

    horizontal: Field | None = None
    vertical: Field | None = None
    thickness: Field | None = None
    constants: PhysicalConstants = PhysicalConstants()


def _given(viscosity: Stiffness | None, found: Survey, domain: Domain, notes: list[str]) -> _Given:
    """Read a viscosity, and hold it against the shelf."""
    if viscosity is None:
        return _Given()
    if isinstance(viscosity, xr.DataArray):
        viscosity = viscosity.to_dataset(name="viscosity")
    if not isinstance(viscosity, xr.Dataset):
        return _Given(horizontal=viscosity)
    names = [name for name in VISCOSITIES if name in viscosity]
    if names not in (["viscosity"], list(VISCOSITIES[1:])):
        raise VariableNotFoundError(
            "the result needs 'viscosity', or 'viscosity_horizontal' and 'viscosity_vertical'; it "
            f"has {', '.join(map(repr, viscosity.data_vars)) or 'no variables'}"
        )
    one = found.fields["x_velocity"]
    ours = mapping_of(one.array, one.dataset)
    theirs = mapping_of(viscosity[names[0]], viscosity)
    if ours is not None and theirs is not None:
        attrs = one.dataset[ours].attrs, viscosity[theirs].attrs
        note = compare(*attrs, (one.name, names[0]))
        notes += [note] if note else []
    fields = [raster_of(viscosity, name, "Pa s") for name in names]
    for name, field in zip(names, fields, strict=True):
        _check_cover(field, name, domain, notes)
    h = raster_of(viscosity, "thickness", "m") if "thickness" in viscosity else None
    known = ("ice_density", "sea_water_density", "gravity")
    constants = {name: float(viscosity.attrs[name]) for name in known if name in viscosity.attrs}
    return _Given(
        fields[0], fields[1] if len(fields) > 1 else None, h, PhysicalConstants(**constants)
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
    return int(np.clip(NEIGHBOURS * noise / CLEAN, NEIGHBOURS, MOST_NEIGHBOURS))


@dataclass(frozen=True)
class _Glen:
    """Glen's law as it was asked for."""

    exponent: float
    variation: float | None
    bands: int | None
    width: float | None
    factor: float | None
    seed: int

    def check(self, hardness: Any, viscosity: Any) -> None:
        """Refuse both, neither, and what does not concern a viscosity."""
        if hardness is not None and viscosity is not None:
            raise ParameterError("give either viscosity or hardness: both would be the truth")
        if hardness is None and viscosity is None:
            raise ParameterError(
                "give a viscosity, such as the result of an inversion, or hardness=1.5e8 "
                "(Pa s^(1/3)) for Glen's law"
            )
        own = {
            "hardness_variation": self.variation,
            "damage_bands": self.bands,
            "damage_width": self.width,
            "damage_factor": self.factor,
        }
        if hardness is None:
            needless = [name for name, value in own.items() if value is not None]
            if needless:
                raise ParameterError(f"{', '.join(needless)} need hardness=, not a viscosity")
        if not (isinstance(self.exponent, Real) and 1 <= float(self.exponent) < np.inf):
            raise ParameterError(
                f"glen_exponent must be a number, at least 1; got {self.exponent!r}"
            )
        if self.variation != 0:
            check_positive(hardness_variation=self.variation)
        check_positive(damage_width=self.width, damage_factor=self.factor)
        whole = isinstance(self.bands, Integral) and not isinstance(self.bands, bool)
        if self.bands is not None and not (whole and self.bands >= 0):
            raise ParameterError(f"damage_bands must be an integer, 0 or more; got {self.bands!r}")

    def hardness(self, hardness: Field, domain: Domain) -> FieldFunction:
        """Return B with its patches and bands, Pa s^(1/n)."""
        field = hardness
        if isinstance(hardness, xr.DataArray):
            field = _hardness_raster(hardness, self.exponent)
        variation = self.variation
        if variation is None:
            variation = VARIATION if isinstance(hardness, Real) else 0.0
        disorder = drawn(
            domain.x,
            domain.y,
            random_numbers(self.seed, "hardness"),
            random_numbers(self.seed, "damage"),
            variation=variation,
            n_bands=DAMAGE_BANDS if self.bands is None else self.bands,
            width=self._width(domain),
            factor=self.factor or DAMAGE_FACTOR,
        )
        return disorder.times(as_function(field, "hardness", positive=True))

    def attrs(self, domain: Domain) -> dict[str, Any]:
        """Tell what was drawn."""
        return {
            "glen_exponent": float(self.exponent),
            "damage_bands": DAMAGE_BANDS if self.bands is None else int(self.bands),
            "damage_width": self._width(domain),
            "damage_factor": self.factor or DAMAGE_FACTOR,
        }

    def _width(self, domain: Domain) -> float:
        return float(self.width or DAMAGE_WIDTH * np.sqrt(_area(domain)))


def _hardness_raster(hardness: xr.DataArray, exponent: float) -> xr.DataArray:
    """Read B on a raster; `ds.diffice.hardness` gives it in Pa, for want of a unit in CF."""
    units = str(hardness.attrs.get("units", "")).strip()
    powers = rf"(1/{exponent:g}|{1 / exponent:.2f}\d*)"
    if units != "Pa" and not re.fullmatch(rf"Pa[ *.]s\W*{powers}\)?", units):
        raise UnitsError(
            f"hardness has units {units or None!r}; give it in Pa s^(1/{exponent:g}), with the "
            "attribute units='Pa', as ds.diffice.hardness() does"
        )
    plain = hardness.assign_attrs(units="Pa").to_dataset(name="hardness")
    return raster_of(plain, "hardness", "Pa")


class _Survey:
    """Samples a flow where data are, with their gaps and noise."""

    def __init__(
        self,
        found: Survey,
        observations: Observations,
        recipe: Recipe,
        seed: int,
        notes: list[str],
    ):
        self._found, self._observations = found, observations
        self._recipe, self._seed, self._notes = recipe, seed, notes
        self._ice = floating_ice(found)
        self._width = recipe.stripe_width or float(np.sqrt(_area(observations.domain)) / 5)
        self.attrs: dict[str, Any] = {}

    def velocity(self, made: TwinDataset, flow: ShelfFlow, scatter: np.ndarray) -> None:
        """Add both components, with noise and without."""
        fields = [self._found.fields[role] for role in ("x_velocity", "y_velocity")]
        assert fields[0].grid is not None
        x, y = fields[0].grid.points()
        seen = np.isfinite(fields[0].si) & np.isfinite(fields[1].si)
        still = (fields[0].si == 0) & (fields[1].si == 0)
        there = self._on_shelf(x, y) & np.isfinite(x)
        # The truth is told in gaps, too.
        true = np.full((2, *x.shape), np.nan)
        sampled = Extended(flow, x[there], y[there], self._reach(flow))
        true[:, there] = sampled.velocity()
        seen &= ~still
        lost = int((seen & there & ~np.isfinite(true[0])).sum())
        if lost:
            self._notes.append(
                f"{count(lost, 'velocity pixel')} on pieces of the shelf that nothing holds, or in "
                "corners narrower than the mesh: left out"
            )
        seen &= np.isfinite(true[0])
        data = self._observations.velocity
        scatter = self._known(scatter, "velocity", np.hypot(data.u, data.v))
        swaths = Swaths.drawn(self._width, random_numbers(self._seed, "swaths"))
        for one, values, deviation in zip(fields, true, scatter, strict=True):
            assert one.factor is not None
            assert one.values is not None
            error = self._error(one.role, seen)
            parts = self._recipe.deviations(VELOCITY, one.factor, error, float(deviation))
            noisy = values.copy()
            random = random_numbers(self._seed, one.role)
            at, length = (x[seen], y[seen]), self._recipe.correlation * fields[0].grid.spacing
            noisy[seen] += parts["velocity"] * random.standard_normal(at[0].size)
            noisy[seen] += parts["velocity_correlated"] * correlated(*at, length, random)
            noisy[seen] += parts["velocity_stripes"] * swaths.stripes(*at, random)
            observed = np.where(seen, noisy / one.factor, np.nan)
            # What was missing without being NaN stays as it was.
            observed = np.where(still, one.values, observed)
            made.add(one.role, observed)
            self._tell(one.role, parts, one.factor)
        for one, values in zip(fields, true, strict=True):
            made.add_truth(one.role, values / one.factor)
        self.attrs["stripe_width"] = self._width

    def thickness(self, made: TwinDataset, true: FieldFunction) -> None:
        """Add the thickness, with noise and without."""
        one, data = self._found.fields["thickness"], self._observations.thickness
        assert one.grid is not None
        assert one.factor is not None
        assert one.values is not None
        x, y = one.grid.points()
        there = np.isfinite(x) & np.isfinite(y)
        if self._ice is not None:
            there = there & self._ice.at(np.ravel(x), np.ravel(y)).reshape(x.shape)
        with np.errstate(invalid="ignore"):
            none, seen = one.values <= 0, one.values > 0
        values = np.full(x.shape, np.nan)
        values[there] = true(x[there], y[there])
        seen &= there
        scatter = scatter_of(data.x, data.y, data.h[None])
        (deviation,) = self._known(scatter, "thickness", data.h)
        error = self._error("thickness", seen)
        parts = self._recipe.deviations(THICKNESS, one.factor, error, float(deviation))
        raster = one.grid.kind == "raster"
        spacing = one.grid.spacing if raster else self._observations.domain.spacing
        random, at = random_numbers(self._seed, "thickness"), (x[seen], y[seen])
        noisy = values.copy()
        noisy[seen] += parts["thickness"] * random.standard_normal(at[0].size)
        length = self._recipe.correlation * spacing
        noisy[seen] += parts["thickness_correlated"] * correlated(*at, length, random)
        least = 0.01 * float(np.mean(values[seen]))
        if (low := int((noisy[seen] < least).sum())) > 0:
            self._notes.append(
                f"{count(low, 'thickness value')} that noise had made less than a hundredth of "
                "the mean: set to that"
            )
            noisy[seen] = np.maximum(noisy[seen], least)
        observed = np.where(seen, noisy / one.factor, np.nan)
        made.add("thickness", np.where(none, one.values, observed))
        made.add_truth("thickness", values / one.factor)
        self._tell("thickness", parts, one.factor)
        self.attrs["noise_correlation"] = self._recipe.correlation

    def viscosity(
        self, made: TwinDataset, flow: ShelfFlow, given: _Given, hardness: FieldFunction | None
    ) -> None:
        """Add the true viscosity, and the hardness of Glen's law."""
        grid = self._found.fields["x_velocity"].grid
        assert grid is not None
        x, y = grid.points()
        there = self._on_shelf(x, y) & np.isfinite(x)
        sampled = Extended(flow, x[there], y[there], self._reach(flow))
        names = VISCOSITIES[:1] if given.vertical is None else VISCOSITIES[1:]
        found = sampled.viscosity()
        if hardness is None:
            # A field is known beyond the mesh as well as inside.
            law = [one for one in (given.horizontal, given.vertical) if one is not None]
            found = np.stack([as_function(one, "viscosity")(sampled.x, sampled.y) for one in law])
        for name, own in zip(names, found, strict=False):
            values = np.full(x.shape, np.nan)
            values[there] = own
            kind = name.partition("_")[2]
            attrs = {"units": "Pa s", "long_name": f"true {kind} effective viscosity"}
            attrs["long_name"] = " ".join(attrs["long_name"].split())
            made.add_field(name, "x_velocity", values, attrs)
        if hardness is not None:
            values = np.full(x.shape, np.nan)
            values[there] = hardness(x[there], y[there])
            attrs = {"units": "Pa", "long_name": "true hardness B (1 s-1)^(1/n) of Glen's law"}
            made.add_field("hardness", "x_velocity", values, attrs)

    def _on_shelf(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        inside: np.ndarray = self._observations.domain.contains(x, y)
        return inside

    def _reach(self, flow: ShelfFlow) -> float:
        """How far outside of the mesh a pixel may lie, m: its rim is smooth, that of pixels not."""
        edges = flow.mesh.p[:, flow.mesh.facets]
        return max(2 * self._observations.domain.spacing, float(np.hypot(*np.ptp(edges, 1)).max()))

    def _error(self, role: str, seen: np.ndarray) -> np.ndarray | None:
        """Errors of the data that are seen, SI; those that are missing are the median of others."""
        one = self._found.fields.get(f"{role}_error")
        if one is None or not one.usable:
            return None
        error = one.si[seen]
        usable = np.isfinite(error) & (error > 0)
        if not usable.any():
            return None
        return np.where(usable, error, np.median(error[usable]))

    def _known(self, scatter: np.ndarray, what: str, size: np.ndarray) -> np.ndarray:
        """Return the scatter, or what is taken instead where data tell none."""
        stated = "x_velocity_error" if what == "velocity" else "thickness_error"
        asked = self._recipe.parts[what] == "as data"
        if stated in self._found.fields or not asked:
            return scatter
        typical = float(np.sqrt(np.mean(size**2)))
        if (scatter > 1e-9 * typical).all():
            self._notes.append(
                f"{what} has no errors: its noise is what the data scatter about smooth surfaces"
            )
            return scatter
        sentence = (
            f"the data tell no noise of {what}: it has neither errors nor scatter. "
            f"{100 * UNKNOWN[what]:g} % of its root mean square are taken; "
            f"noise={{'{what}': ...}} sets another value"
        )
        self._notes.append(sentence)
        warn(sentence, PlausibilityWarning)
        return np.full_like(scatter, UNKNOWN[what] * typical)

    def _tell(self, role: str, parts: Mapping[str, Any], unit: float) -> None:
        """Keep the standard deviations for the attributes, in units of the data."""
        for name, deviation in parts.items():
            kind = name.partition("_")[2] or "white"
            rms = float(np.sqrt(np.mean(np.square(deviation)))) / unit
            self.attrs[f"{role}_noise_{kind}"] = rms


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
