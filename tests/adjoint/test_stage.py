"""How wrong the thickness of networks is, by what data scatter about them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from known_shelf import bay, bay_model, bay_viscosity

from xdiffice.adjoint.stage import Adjoint, Noise
from xdiffice.forward.meshes import USUAL_TRIANGLES

SHARE = 0.03  # of the mean thickness


def stage(by) -> tuple[Adjoint, float]:
    """Make the stage of the bay with a thickness that differs by a function of place."""
    observations = bay()
    ice, speed = observations.thickness, observations.velocity
    model = bay_model(bay_viscosity)
    wrong = SHARE * model.scales.thickness * by(ice.x, ice.y)
    changed = replace(observations, thickness=replace(ice, h=ice.h + wrong))
    noise = Noise(*(np.full(speed.x.size, 1e-8) for _ in range(2)))
    adjoint = Adjoint(changed, model.scales, noise, USUAL_TRIANGLES)
    return adjoint, adjoint._thickness_error(model)


def test_what_neighbours_have_in_common_is_error():
    waves = lambda x, y: np.sin(x / 6e3) * np.cos(y / 6e3)  # noqa: E731
    ice = bay().thickness
    expected = SHARE * np.sqrt(np.mean(waves(ice.x, ice.y) ** 2))
    # Neighbours are a pixel of 1.7 km apart: their common part is cos(1.7 / 6) = 0.96 of it.
    assert stage(waves)[1] == pytest.approx(expected, rel=0.03)


def test_noise_that_does_not_depend_on_place_is_none():
    rng = np.random.default_rng(0)
    # Mean of 864 products of independent numbers: 1 / 864^½ = 3 % of a square, three times that.
    assert stage(lambda x, y: rng.standard_normal(x.size))[1] < np.sqrt(0.1) * SHARE


def test_the_true_thickness_is_right():
    assert stage(lambda x, y: 0 * x)[1] < 1e-6


def test_a_given_error_is_added():
    adjoint, error = stage(lambda x, y: 0 * x)
    assert adjoint._with_given(error) == error
    ice = adjoint._observations.thickness
    given = np.full(ice.x.size, SHARE * adjoint._scales.thickness)
    adjoint._observations = replace(adjoint._observations, thickness=replace(ice, h_error=given))
    assert adjoint._with_given(0.04) == pytest.approx(0.05)
