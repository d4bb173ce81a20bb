"""What is made of an estimator's parameters and of observations before anything is trained.

Takes both, part by part of the shelf, and hands on networks, recipes and problems.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from xdiffice.choices import Choices, automatic_choices
from xdiffice.model.fields import Model
from xdiffice.model.network import Network
from xdiffice.nondimensional import nondimensional_points, shelf_scales, typical_errors
from xdiffice.observations.points import Observations
from xdiffice.observations.regions import Partition
from xdiffice.physics.constants import PhysicalConstants
from xdiffice.physics.rheology import RHEOLOGIES, Rheology
from xdiffice.physics.scales import Scales
from xdiffice.subdomains import repeated
from xdiffice.super_observations import (
    NOISE_FLOOR,
    SuperObservations,
    detail,
    gaps,
    noisiness,
    scatter_of_data,
    super_observations,
)
from xdiffice.training.balance import Extent
from xdiffice.training.coupling import Seams
from xdiffice.training.history import Recorder
from xdiffice.training.loss import Batch, Weights
from xdiffice.training.problem import Problem, Recipe
from xdiffice.training.sampling import SampleSizes

# Weights of what is to be the same on both sides of an interface: values as much as data. Where a
# shear zone crosses it neighbours differ most in what has most derivatives: it must not rule.
INTERFACE_SHARES = {"values": 0.3, "slopes": 0.001, "viscosity": 0.01, "forces": 0.00001}
DEPARTURE_SHARE = 1.0  # of the weight of momentum
ROUNDS = 4  # in which regions meet, while a single one would keep its sample
PATIENCE = 10  # samples of a single region without progress
# One network has to be kept from the noise by the penalty, at the price of detail that is hidden
# and that nobody hears of. Of many the noise averages out, and they are to show what is not known.
ROUGHNESS_OF_MEMBERS = 0.1
# What one sample teaches and no other confirms averages out over members as well.
SAMPLES_OF_MEMBERS = 0.75
NOISY_FACTOR = 300.0  # by which the equations gain where the velocity is all noise
GAPS_FACTOR = 100.0  # by which momentum gains where the thickness is known nowhere near


@dataclass(frozen=True)
class Part:
    """Observations of a region, or of a whole shelf, with units of their own, or earlier ones."""

    observations: Observations
    constants: PhysicalConstants
    earlier: Scales | None = None

    @cached_property
    def scales(self) -> Scales:
        """Units."""
        if self.earlier is not None:
            return replace(self.earlier, constants=self.constants)
        return shelf_scales(self.observations, self.constants)

    @cached_property
    def points(self) -> Batch:
        """All points, nondimensional."""
        return nondimensional_points(self.observations, self.scales)

    @cached_property
    def scatter(self) -> dict[str, float]:
        """Scatter of u, v and h."""
        return scatter_of_data(self.points)

    @cached_property
    def detail(self) -> float:
        """See `xdiffice.super_observations.detail`."""
        return detail(self.points, self.scatter)

    @cached_property
    def precision(self) -> dict[str, float]:
        """What squares of misfits of u, v and h in SI units count, up to a factor of all."""
        return {
            name: 1 / (getattr(self.scales, name).scale ** 2 * (1 + (noise / NOISE_FLOOR) ** 2))
            for name, noise in self.scatter.items()
        }

    def data(self, choices: Choices) -> SuperObservations:
        """Points as the training sees them, noisy ones averaged."""
        return super_observations(
            self.points,
            choices.n_velocity,
            choices.n_thickness,
            self.scatter,
            typical_errors(self.observations, self.scales),
        )


def choose(estimator: Any, shelf: Part, n_regions: int, earlier: Choices | None = None) -> Choices:
    """Sizes of networks and samples: what is given, and for the rest what the detail asks for.

    Those of an earlier fit, from which this one starts, are kept.
    """
    given = {name: getattr(estimator, name) for name in Choices._fields}
    given = {name: value for name, value in given.items() if value is not None}
    if earlier is not None:
        return earlier._replace(**given)
    if len(given) == len(Choices._fields):
        return Choices(**given)
    return automatic_choices(shelf.detail, n_regions)._replace(**given)


def make_model(estimator: Any, choices: Choices, scales: Scales) -> Model:
    """Networks and rheology."""
    given = estimator.rheology
    rheology = given if isinstance(given, Rheology) else RHEOLOGIES[given]
    rheology = rheology.nondimensional(scales)
    width, frequency = choices.width, float(choices.frequency)
    # Viscosity follows from derivatives of the velocity: fewer data for it, but finer detail.
    motion, viscosity = (
        Network(
            n_outputs, width, estimator.depth, estimator.first_layer, frequency, choices.features
        )
        for n_outputs, width, frequency in (
            (3, width, frequency),
            (len(rheology.fields), max(2, 2 * width // 3), 2 * frequency),
        )
    )
    return Model(motion, viscosity, rheology)


class Region(NamedTuple):
    """A part of a shelf, its data as the training sees them, and how it is trained."""

    part: Part
    data: SuperObservations
    recipe: Recipe


def make_regions(
    estimator: Any, choices: Choices, parts: Sequence[Part], shelf: Part
) -> list[Region]:
    """Make the regions of a shelf; their samples have the same sizes."""
    regions = []
    for part in parts:
        data = part.data(choices)
        recipe = _recipe(estimator, choices, noisiness(data.points), gaps(data.points), len(parts))
        if len(parts) > 1:
            thickness = recipe.weights.thickness * thickness_gain(part.precision, shelf.precision)
            recipe = replace(recipe, weights=recipe.weights._replace(thickness=thickness))
        regions.append(Region(part, data, recipe))
    return regions


def thickness_gain(region: Mapping[str, float], shelf: Mapping[str, float]) -> float:
    """Return the factor by which thickness gains weight where velocity does.

    Units of a region are those of its own data. Velocity varies less in a part of a shelf, and
    squares of its misfits count the more; what those of thickness count is often given by its
    noise, and the same everywhere. The weight is the geometric mean of the region's own and of the
    one with which thickness would count beside velocity as it does on the whole shelf.

    Parameters
    ----------
    region, shelf : mapping of str to float
        See `Part.precision`.

    Returns
    -------
    float
        1 at least: thickness that hardly varies in a region tells what drives the ice there.
    """
    gain = {name: region[name] / shelf[name] for name in shelf}
    return max(1.0, 0.5 * (gain["u"] + gain["v"]) / gain["h"]) ** 0.5


def make_problems(
    estimator: Any,
    choices: Choices,
    regions: Sequence[Region],
    recorder: Recorder,
    rng: np.random.Generator,
    noisy: Callable[[int, int], Batch] | None = None,
) -> list[Problem]:
    """Make the problems of all regions.

    ``noisy(region, seed)`` returns the points of a region as a member of an ensemble sees them.
    """
    n = len(regions)
    seed = 0 if noisy is None else int(rng.integers(2**62))
    recorders = [recorder]
    if n > 1:
        recorders = [recorder.of_region(k, _counts(one.part)) for k, one in enumerate(regions)]
    rngs = [rng] if n == 1 else rng.spawn(n)

    def sampled(points: Batch, recipe: Recipe) -> Batch:
        return points if n == 1 else repeated(points, recipe.sizes)

    def with_noise(region: int, seed: int) -> Batch:
        assert noisy is not None
        return sampled(noisy(region, seed), regions[region].recipe)

    return [
        Problem(
            make_model(estimator, choices, part.scales),
            part.scales.equation_units,
            sampled(data.points, recipe),
            recipe,
            own_recorder,
            own_rng,
            None if noisy is None else functools.partial(with_noise, k),
            seed,
        )
        for k, ((part, data, recipe), own_recorder, own_rng) in enumerate(
            zip(regions, recorders, rngs, strict=True)
        )
    ]


def _counts(part: Part) -> dict[str, float]:
    """Return what mean squares of a region count in those of the shelf: points, units squared."""
    seen, scales = part.observations, part.scales
    extents = {
        "velocity": Extent(seen.velocity.x.size, scales.speed),
        "thickness": Extent(seen.thickness.x.size, scales.thickness),
        **residual_extents([part])[0],
    }
    return {name: extent.points * extent.unit**2 for name, extent in extents.items()}


def residual_extents(parts: list[Part]) -> list[dict[str, Extent]]:
    """Return where every region has residuals, and in what units."""
    return [
        {
            "momentum": Extent(part.observations.domain.x.size, part.scales.momentum),
            "front": Extent(part.observations.front.x.size, part.scales.stress),
        }
        for part in parts
    ]


def velocity_error(shelf: Part, model: Model, n_regions: int) -> float:
    """Return what a fit to the data alone is wrong by, m s-1.

    A fit of p parameters to n values follows (p / n)^½ of their scatter.
    """
    scales, scatter = shelf.scales, shelf.scatter
    n_values = 2 * shelf.observations.velocity.x.size
    share = min(1.0, n_regions * model.motion.n_parameters / n_values)
    scatters = (scatter["u"] * scales.u.scale, scatter["v"] * scales.v.scale)
    return float(np.hypot(*scatters) * np.sqrt(share))


def make_seams(partition: Partition, parts: list[Part], rheology: Rheology) -> Seams:
    """Both sides of all interfaces."""
    met = partition.interfaces()
    scales = [part.scales for part in parts]
    return Seams((met.x, met.y), (met.first, met.second), scales, rheology)


def _recipe(estimator: Any, choices: Choices, noise: float, gap: float, n_regions: int) -> Recipe:
    rough = ROUGHNESS_OF_MEMBERS if estimator.n_members > 1 else 1.0
    factor = 1 + NOISY_FACTOR * noise
    momentum = (factor + GAPS_FACTOR * gap) * float(estimator.momentum_weight)
    return Recipe(
        sizes=_sample_sizes(estimator, choices),
        weights=Weights(
            velocity=float(estimator.velocity_weight),
            thickness=float(estimator.thickness_weight),
            momentum=momentum,
            front=factor * float(estimator.front_weight),
            roughness=rough * noise * float(estimator.roughness_weight),
            penalty=factor * float(estimator.penalty_weight),
            departure=DEPARTURE_SHARE * momentum,
            **{
                f"interface_{name}": share * float(estimator.interface_weight)
                for name, share in INTERFACE_SHARES.items()
            },
        ),
        resample_every=max(1, estimator.resample_every // (1 if n_regions == 1 else ROUNDS)),
        patience=PATIENCE * (1 if n_regions == 1 else ROUNDS),
        tolerance=float(estimator.tolerance),
        sampling=estimator.sampling,
        dtype=estimator.dtype,
    )


def _sample_sizes(estimator: Any, choices: Choices) -> SampleSizes:
    """Points in one sample: those of members are smaller, where nobody asked for a size."""

    def size(name: str) -> int:
        share = SAMPLES_OF_MEMBERS if estimator.n_members > 1 else 1.0
        return round((1.0 if getattr(estimator, name) else share) * getattr(choices, name))

    return SampleSizes(*(size(f"n_{kind}") for kind in SampleSizes._fields))
