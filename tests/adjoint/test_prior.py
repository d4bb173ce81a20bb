"""What is likely: roughness of known fields, the hardness of a flow, the spread of draws."""

from __future__ import annotations

import numpy as np
import pytest
from known_shelf import (
    MODELS,
    SCALES,
    KnownModel,
    L,
    box,
    lattice_of,
    model_of,
    prior_of,
    thickness,
)

from xdiffice.adjoint.prior import EXPONENT, RIDGE, SLOWEST, SPREAD, Prior
from xdiffice.physics.jets import Jet
from xdiffice.physics.rheology import Anisotropic, Glen, Isotropic
from xdiffice.physics.ssa import effective_strain_rate_squared
from xdiffice.results.evaluate import Orders

MESH = box()
POINTS = MESH.response
REACH, ERROR = 0.4, 0.01


def jets_of(name: str) -> tuple[tuple[Jet, Jet], list[Jet]]:
    u, v, _, *logs = MESH.jets(model_of(name), Orders(1, 1))
    return (u, v), logs


def prior(name: str, spacing: float = 0.5) -> tuple[Prior, tuple[Jet, Jet], list[Jet]]:
    motion, logs = jets_of(name)
    return prior_of(MESH, MODELS[name][0], logs, spacing, ERROR, REACH), motion, logs


def slopes(spacing: float = 0.5):
    lattice, used = lattice_of(MESH, spacing)
    return [lattice.matrix(POINTS.x, POINTS.y, nu)[:, used] for nu in ((1, 0), (0, 1))]


def lattice_value(spacing: float) -> np.ndarray:
    lattice, used = lattice_of(MESH, spacing)
    return lattice.matrix(POINTS.x, POINTS.y)[:, used].toarray()


def energy(prior: Prior, controls: np.ndarray) -> float:
    return 0.5 * float(controls @ (prior.precision @ controls))


def in_field(prior: Prior, n_fields: int, k: int, coefficients: np.ndarray) -> np.ndarray:
    """Put coefficients of one field among those of all."""
    rows = np.zeros((n_fields + 1, coefficients.size))
    rows[k] = coefficients
    return rows.ravel()


def test_the_roughness_of_a_ramp_is_that_of_its_slope():
    """½ ∫ |∇ log μ|² / (2 π s²), for a logarithm that grows by 0.3 along x and 0.1 along y."""
    one, _, _ = prior("isotropic")
    ramp = one.spline(0.3 * POINTS.x + 0.1 * POINTS.y)
    area = POINTS.weight.sum()
    expected = 0.5 * area * (0.3**2 + 0.1**2) / (2 * np.pi * SPREAD**2)
    # A ridge of 1e-4 is added to the precision, and where a ramp is made a spline.
    assert energy(one, in_field(one, 1, 0, ramp)) == pytest.approx(expected, rel=0.01)


def test_a_constant_is_not_rough():
    one, _, _ = prior("isotropic")
    n = one.value.shape[1]
    d_x, d_y = slopes()
    share = 1 / (2 * np.pi * SPREAD**2)
    diagonal = share * sum(d.power(2).T @ POINTS.weight for d in (d_x, d_y))
    constant = in_field(one, 1, 0, np.ones(n))
    found = (one.precision @ constant)[:n]
    np.testing.assert_allclose(found, RIDGE * diagonal.mean(), rtol=1e-6)
    # An e-fold of all costs less than a tenth of that from one end of the box to the other.
    ramp = in_field(one, 1, 0, one.spline(0.5 * (POINTS.x + 1)))
    assert energy(one, constant) < 0.1 * energy(one, ramp)


def test_both_viscosities_are_expected_to_change_together():
    one, _, _ = prior("anisotropic")
    field = one.spline(0.2 * np.sin(2 * POINTS.x))
    both = in_field(one, 2, 0, field) + in_field(one, 2, 1, field)
    apart = in_field(one, 2, 0, field) - in_field(one, 2, 1, field)
    # Departures from each other cost ½ ∫ (log μ_h - log μ_v)² / 2 / (2 π s² reach²) more.
    square = np.sum(POINTS.weight * (one.value @ (2 * field)) ** 2)
    more = 0.5 * square / 2 / (2 * np.pi * SPREAD**2 * REACH**2)
    assert energy(one, apart) - energy(one, both) == pytest.approx(more, rel=1e-10)


def test_the_thickness_is_as_sure_as_it_is_said_to_be():
    """Waves whose length is that of the reach cost (1 + 1) / 4 π of their squares over error²."""
    one, _, _ = prior("isotropic")
    h = one.spline(np.sin(POINTS.x / REACH))
    wave, (d_x, d_y) = one.value @ h, slopes()
    square = np.sum(POINTS.weight * wave**2) / REACH**2
    slope = np.sum(POINTS.weight * ((d_x @ h) ** 2 + (d_y @ h) ** 2))
    expected = 0.5 * (square + slope) / (4 * np.pi * ERROR**2)
    assert energy(one, in_field(one, 1, 1, h)) == pytest.approx(expected, rel=1e-3)  # the ridge


@pytest.mark.parametrize("name", MODELS)
def test_the_slope_is_that_of_the_roughness(name):
    """Differences of ½ ∫ |∇ (log B + change)|² / (2 π s²), which are exact for squares."""
    one, motion, logs = prior(name)
    rng = np.random.default_rng(0)
    n, n_fields = one.value.shape[1], len(logs)
    d_x, d_y = slopes()
    expected_of = np.zeros(n)
    if name != "glen":  # what viscosity is expected to follow, as a spline
        rate = effective_strain_rate_squared(motion[0].x, motion[0].y, motion[1].x, motion[1].y)
        softer = 0.5 * (1 / EXPONENT - 1) * np.log(rate + SLOWEST**2)
        expected_of = one.spline(softer - softer.mean())

    def rough(controls):
        total = 0.0
        for log, change in zip(logs, controls.reshape(n_fields + 1, n)[:-1], strict=True):
            along = log.x + d_x @ (change - expected_of), log.y + d_y @ (change - expected_of)
            total += 0.5 * np.sum(POINTS.weight * (along[0] ** 2 + along[1] ** 2))
        return total / (2 * np.pi * SPREAD**2)

    found = one.slope(*motion)
    np.testing.assert_array_equal(found[-n:], 0.0)  # nothing is expected of the thickness
    for _ in range(3):
        change = rng.normal(size=found.size)
        slope = 0.5 * (rough(change) - rough(-change))
        ridge = RIDGE * np.linalg.norm(found) * np.linalg.norm(change)
        assert found @ change == pytest.approx(slope, abs=10 * ridge)


def uneven(x, y):
    """Stretching flow whose strain rate triples along x."""
    return 4e-10 * x * (1 + x / L)


def sideways(x, y):
    return 1e-10 * y


def glen_viscosity(x, y):
    """Of ice of one hardness, in that flow; with the floor that the prior has."""
    u_x, v_y = 4e-10 * (1 + 2 * x / L), 1e-10
    square = u_x**2 + v_y**2 + u_x * v_y + (SLOWEST * SCALES.strain_rate) ** 2
    return 0.5 * 1e8 * square ** ((1 / EXPONENT - 1) / 2)


def test_ice_of_one_hardness_is_as_likely_as_can_be():
    """Its viscosity varies with the strain rate, by a factor of two, and nothing pulls at it."""
    fitted = KnownModel(Isotropic(), SCALES, (uneven, sideways, thickness), (glen_viscosity,))
    u, v, _, log = MESH.jets(fitted, Orders(1, 1))
    assert np.ptp(log.value) > 0.6
    pulls = []
    for spacing in (0.5, 0.25):
        one = prior_of(MESH, fitted.rheology, [log], spacing)
        still = Jet(0 * u.value, 0 * u.value, 0 * u.value)
        pull, without = one.slope(u, v), one.slope(still, still)  # the same strain rate everywhere
        pulls.append(np.linalg.norm(pull) / np.linalg.norm(without))
    assert pulls[0] < 0.02  # what a spline and its ridge leave
    assert pulls[1] < 0.02


def test_hardness_itself_has_nothing_to_follow():
    (u, v), logs = jets_of("glen")
    one = prior_of(MESH, Glen(), logs)
    still = Jet(0 * u.value, 0 * u.value, 0 * u.value)
    np.testing.assert_array_equal(one.slope(u, v), one.slope(still, still))


def test_a_spline_is_close_to_its_field():
    one, _, _ = prior("isotropic", spacing=0.25)
    field = np.sin(2 * POINTS.x) * np.cos(POINTS.y + 0.3)
    found = one.value @ one.spline(field)
    # Cells of a quarter: (¼)⁴ of fourth derivatives, 16, over 384; and the ridge, 1e-4.
    np.testing.assert_allclose(found, field, rtol=0, atol=2e-3)


def test_the_preconditioner_inverts_the_precision_of_what_is_not_level():
    one, _, _ = prior("anisotropic")
    rng = np.random.default_rng(1)
    right, other = rng.normal(size=(2, one.precision.shape[0]))
    found = one.conditioned(right)
    assert found @ other == pytest.approx(right @ one.conditioned(other), rel=1e-9)
    assert found @ right > 0
    # It is stiffer than the precision by no more than what makes constants as free as others.
    assert found @ (one.precision @ found) < found @ right


def test_draws_have_the_covariance_of_roughness():
    """So that precision⁻¹ times a draw is a sample of what is likely, levels apart."""
    logs = jets_of("anisotropic")[1]
    one = prior_of(MESH, Anisotropic(), logs, spacing=2.0, reach=REACH)
    n = one.value.shape[1]
    d_x, d_y = slopes(2.0)
    weight = POINTS.weight[:, None] / (2 * np.pi * SPREAD**2)
    expected = sum(d.toarray().T @ (weight * d.toarray()) for d in (d_x, d_y))
    rng = np.random.default_rng(2)
    n_draws = 1500
    draws = np.stack([one.draw(rng) for _ in range(n_draws)])
    np.testing.assert_array_equal(draws[:, 2 * n :], 0.0)
    found = draws[:, : 2 * n].T @ draws[:, : 2 * n] / n_draws
    # Fields are drawn apart, but for what holds both viscosities together.
    value = lattice_value(2.0)
    between = value.T @ (POINTS.weight[:, None] / (2 * np.pi * SPREAD**2 * REACH**2) * value)
    whole = np.kron(np.eye(2), expected) + np.kron(np.eye(2) - 0.5, between)
    deviation = np.sqrt(np.diag(whole))
    # Standard error of a covariance: at most (2 / n)½ of the deviations; some 10³ are compared.
    bound = 5 * np.sqrt(2 / n_draws) * np.outer(deviation, deviation)
    assert (abs(found - whole) < bound).all()
    assert (abs(draws.mean(axis=0)[: 2 * n]) < 5 * deviation / np.sqrt(n_draws)).all()


def test_the_thickness_drawn_is_as_wrong_as_it_is_said_to_be():
    """Its energy has one half for every coefficient, times the squares of both errors' ratio."""
    one, _, _ = prior("anisotropic")
    n, rng, n_draws = one.value.shape[1], np.random.default_rng(3), 100
    draws = [one.thickness(3 * ERROR, rng) for _ in range(n_draws)]
    assert not any(draw[:-n].any() for draw in draws)
    found = np.mean([energy(one, draw) for draw in draws])
    # The sum of n n_draws squares of normal numbers has a standard error of (2 / n n_draws)^½.
    assert found == pytest.approx(9 * n / 2, rel=5 * np.sqrt(2 / (n * n_draws)))
