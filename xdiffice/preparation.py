"""What is made of an estimator's parameters and of observations before anything is trained.

Takes both, part by part of the shelf, and hands on networks, recipes and problems.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

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
from xdiffice.subdomains import of_equal_size, volumes_of
from xdiffice.super_observations import (
    detail,
    noisiness,
    scatter_of_data,
    super_observations,
)
from xdiffice.training.coupling import Seams
from xdiffice.training.history import Recorder
from xdiffice.training.loss import Batch, Weights
from xdiffice.training.problem import Problem, Recipe
from xdiffice.training.regions import Region
from xdiffice.training.sampling import SampleSizes

# Weights of what is to be the same on both sides of an interface: values as much as data. Where a
# shear zone crosses it neighbours differ most in what has most derivatives: it must not rule.
INTERFACE_SHARES = {"values": 1.0, "slopes": 0.01, "viscosity": 0.02, "forces": 0.00001}
VOLUMES_SHARE = 6.0  # of the weight of momentum, for its means over volumes
LEAST_ROUGHNESS = (
    1e-8  # a weight, in regions: shear zones cost little, patches without viscosity much
)
FREQUENCY_OF_A_GUESS = 5.0  # radians per half length of the shelf
NOISY_FACTOR = 300.0  # by which the equations gain where the velocity is all noise


@dataclass(frozen=True)
class Part:
    """Observations of a region, or of a whole shelf, with units of their own."""

    observations: Observations
    constants: PhysicalConstants

    @cached_property
    def scales(self) -> Scales:
        """Units."""
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

    def data(self, choices: Choices) -> Batch:
        """Points as the training sees them, noisy ones averaged."""
        return super_observations(
            self.points,
            choices.n_velocity,
            choices.n_thickness,
            self.scatter,
            typical_errors(self.observations, self.scales),
        )


def choose(estimator: Any, shelf: Part, n_regions: int) -> Choices:
    """Sizes of networks and samples: what is given, and for the rest what the detail asks for."""
    given = {name: getattr(estimator, name) for name in Choices._fields}
    given = {name: value for name, value in given.items() if value is not None}
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


def make_regions(
    estimator: Any,
    choices: Choices,
    parts: list[Part],
    partition: Partition,
    recorder: Recorder,
    rng: np.random.Generator,
) -> list[Region]:
    """Make the problems of all parts; their samples have the same sizes.

    One part is the whole shelf, else there are as many as regions.
    """
    if len(parts) < partition.n:  # a guess, which has to be smooth
        choices = choices._replace(frequency=min(choices.frequency, FREQUENCY_OF_A_GUESS))
    data = [part.data(choices) for part in parts]
    recipes = [_recipe(estimator, choices, noisiness(one), partition.n) for one in data]
    recorders = (
        [recorder] if len(parts) == 1 else [recorder.of_region(k) for k, _ in enumerate(parts)]
    )
    rngs = [rng] if len(parts) == 1 else rng.spawn(len(parts))
    regions = []
    for k, (part, batch, recipe, own_recorder, own_rng) in enumerate(
        zip(parts, of_equal_size(data, recipes[0].sizes), recipes, recorders, rngs, strict=True)
    ):
        model = make_model(estimator, choices, part.scales)
        units = part.scales.equation_units
        volumes = None
        if partition.n > 1:
            volumes = volumes_of(partition, part.scales, k if len(parts) > 1 else None)
        problem = Problem(model, units, batch, recipe, own_recorder, own_rng, volumes)
        regions.append(Region(problem, part.scales))
    return regions


def make_seams(partition: Partition, regions: list[Region]) -> Seams:
    """Both sides of all interfaces."""
    met = partition.interfaces()
    return Seams(
        (met.x, met.y),
        (met.first, met.second),
        [region.scales for region in regions],
        regions[0].problem.model.rheology,
    )


def _recipe(estimator: Any, choices: Choices, noise: float, n_regions: int) -> Recipe:
    factor = 1 + NOISY_FACTOR * noise
    return Recipe(
        sizes=SampleSizes(
            choices.n_velocity, choices.n_thickness, choices.n_interior, choices.n_front
        ),
        weights=Weights(
            velocity=float(estimator.velocity_weight),
            thickness=float(estimator.thickness_weight),
            momentum=factor * float(estimator.momentum_weight),
            front=factor * float(estimator.front_weight),
            roughness=max(
                noise * float(estimator.roughness_weight),
                0.0 if n_regions == 1 else LEAST_ROUGHNESS,
            ),
            penalty=factor * float(estimator.penalty_weight),
            volumes=VOLUMES_SHARE * factor * float(estimator.momentum_weight),
            **{
                f"interface_{name}": share * float(estimator.interface_weight)
                for name, share in INTERFACE_SHARES.items()
            },
        ),
        resample_every=max(1, estimator.resample_every // (1 if n_regions == 1 else 2)),
        tolerance=float(estimator.tolerance),
        sampling=estimator.sampling,
        dtype=estimator.dtype,
    )
