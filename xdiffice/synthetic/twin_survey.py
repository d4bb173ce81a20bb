"""A twin as it is surveyed: its flow sampled where data are, with their gaps and noise.

Hands on variables to a `TwinDataset`, and attributes that tell what was added.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from xdiffice.errors import PlausibilityWarning, warn
from xdiffice.forward.fields import Field, FieldFunction, as_function
from xdiffice.forward.flow import ShelfFlow
from xdiffice.observations.domain import floating_ice
from xdiffice.observations.points import Observations
from xdiffice.observations.survey import Survey
from xdiffice.observations.values import clean_error, count
from xdiffice.physics.constants import PhysicalConstants
from xdiffice.synthetic.hardness import area_of
from xdiffice.synthetic.noise import (
    THICKNESS,
    VELOCITY,
    Recipe,
    Swaths,
    correlated,
    random_numbers,
    scatter_of,
)
from xdiffice.synthetic.surroundings import Extended
from xdiffice.synthetic.twin_dataset import TwinDataset

VISCOSITIES = ("viscosity", "viscosity_horizontal", "viscosity_vertical")

UNKNOWN = {"velocity": 0.005, "thickness": 0.01}
"""Noise where data tell none: shares of the rms speed and of the rms thickness."""


@dataclass(frozen=True)
class Given:
    """What a caller says is true; None where Glen's law or the data say it."""

    horizontal: Field | None = None
    vertical: Field | None = None
    thickness: Field | None = None
    constants: PhysicalConstants = field(default_factory=PhysicalConstants)


class TwinSurvey:
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
        self._width = recipe.stripe_width or float(np.sqrt(area_of(observations.domain)) / 5)
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
        self._tell("thickness", parts, one.factor)
        self.attrs["noise_correlation"] = self._recipe.correlation

    def truth(
        self,
        made: TwinDataset,
        flow: ShelfFlow,
        given: Given,
        thickness: FieldFunction,
        hardness: FieldFunction | None,
    ) -> None:
        """Add what else is true, on the velocity's grid: a map, as a forward check takes it."""
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
        factor = self._found.fields["thickness"].factor
        assert factor is not None
        values = np.full(x.shape, np.nan)
        values[there] = thickness(x[there], y[there]) / factor
        made.add_truth("thickness", values)
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
        return clean_error(one.si[seen], one.name, self._notes)

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
