from __future__ import annotations

import numpy as np
import pytest
from finite_differences import momentum_residual, stress

from xdiffice.errors import ParameterError
from xdiffice.physics.constants import PhysicalConstants
from xdiffice.synthetic import spreading_shelf, uniaxial_shelf

WEIGHT = PhysicalConstants().driving_weight
ICEPACK = PhysicalConstants(ice_density=917.0, sea_water_density=1024.0, gravity=9.81)


def test_uniaxial_viscosity_is_the_formula():
    ds = uniaxial_shelf(
        (5, 8),
        length=8e3,
        width=5e3,
        velocity=lambda x: 1e-5 + 2e-10 * x + 1e-14 * x**2,
        velocity_gradient=lambda x: 2e-10 + 2e-14 * x,
        lateral_rate=-1e-10,
        thickness=lambda x: 300.0 - 0.01 * x,
    )
    x = 500.0 + 1e3 * np.arange(8)
    y = -2000.0 + 1e3 * np.arange(5)
    np.testing.assert_allclose(ds.x, x)
    np.testing.assert_allclose(ds.y, y)
    u_x = 2e-10 + 2e-14 * x
    expected = 917 * 9.8 * (1 - 917 / 1030) * (300 - 0.01 * x) / (4 * (2 * u_x - 1e-10))
    np.testing.assert_allclose(ds.viscosity, np.tile(expected, (5, 1)), rtol=1e-14)
    np.testing.assert_allclose(
        ds.x_velocity, np.tile(1e-5 + 2e-10 * x + 1e-14 * x**2, (5, 1)), rtol=1e-14
    )
    np.testing.assert_allclose(ds.y_velocity, np.tile(-1e-10 * y[:, None], 8), rtol=1e-14)
    np.testing.assert_allclose(ds.x_front, 8e3)
    np.testing.assert_allclose(ds.y_front, y)
    np.testing.assert_array_equal(ds.x_normal, 1.0)
    np.testing.assert_array_equal(ds.y_normal, 0.0)


@pytest.mark.parametrize("constants", [PhysicalConstants(), ICEPACK])
@pytest.mark.parametrize("rheology", ["isotropic", "anisotropic"])
@pytest.mark.parametrize("make", [uniaxial_shelf, spreading_shelf])
def test_momentum_is_balanced(make, rheology, constants):
    ds = make(rheology=rheology, constants=constants)
    for residual in momentum_residual(ds, constants.driving_weight):
        assert np.isfinite(residual).mean() > 0.5
        assert np.nanmax(np.abs(residual)) < 1e-10
    # A wrong viscosity is noticed: the bound above means something.
    name = "viscosity" if rheology == "isotropic" else "viscosity_horizontal"
    wrong = ds.assign({name: ds[name] * (1 + 1e-6 * np.sin(ds.x / 1e4))})
    assert np.nanmax(np.abs(momentum_residual(wrong, constants.driving_weight)[0])) > 1e-7


@pytest.mark.parametrize("rheology", ["isotropic", "anisotropic"])
def test_stress_meets_the_front_condition(rheology):
    # T n = ½ ρ g' h n holds on every line across the flow of the one, in every direction in the
    # other, not only where the front is.
    ds = uniaxial_shelf(rheology=rheology)
    t_xx, _, t_xy = stress(ds)
    valid = np.isfinite(t_xx) & np.isfinite(t_xy)
    pressure = WEIGHT * ds.thickness.values / 2
    np.testing.assert_allclose(t_xx[valid], pressure[valid], rtol=1e-9)
    assert np.abs(t_xy[valid]).max() < 1e-9 * pressure.max()

    ds = spreading_shelf(rheology=rheology, drift=(2e-5, -1e-5))
    t_xx, t_yy, t_xy = stress(ds)
    valid = np.isfinite(t_xx) & np.isfinite(t_yy) & np.isfinite(t_xy)
    pressure = WEIGHT * ds.thickness.values / 2
    np.testing.assert_allclose(t_xx[valid], pressure[valid], rtol=1e-9)
    np.testing.assert_allclose(t_yy[valid], pressure[valid], rtol=1e-9)
    assert np.abs(t_xy[valid]).max() < 1e-9 * np.nanmax(pressure)


def test_spreading_viscosity_is_the_formula():
    def thickness(x, y):
        return 300 + 0.001 * x - 0.002 * y

    ds = spreading_shelf((10, 10), radius=1e4, rate=4e-10, thickness=thickness)
    on_shelf = np.hypot(*np.meshgrid(ds.x, ds.y)) < 1e4
    expected = 917 * 9.8 * (1 - 917 / 1030) * thickness(ds.x, ds.y).T / (12 * 4e-10)
    np.testing.assert_allclose(ds.viscosity.values[on_shelf], expected.values[on_shelf], rtol=1e-14)
    for name in ("viscosity", "x_velocity", "y_velocity", "thickness"):
        np.testing.assert_array_equal(np.isfinite(ds[name]), on_shelf)
    np.testing.assert_array_equal(ds["mask"] == 3, on_shelf)
    assert ds["mask"].attrs["flag_meanings"].split()[1] == "floating_ice"


@pytest.mark.parametrize("ratio", [0.3, 2.0])
def test_anisotropic_pairs(ratio):
    ds = spreading_shelf((30, 30), rate=4e-10, rheology="anisotropic", vertical_ratio=ratio)
    mu_h, mu_v = ds.viscosity_horizontal, ds.viscosity_vertical
    np.testing.assert_allclose(mu_v, ratio * mu_h, rtol=1e-14)
    np.testing.assert_allclose(mu_h + 2 * mu_v, WEIGHT * ds.thickness / (4 * 4e-10), rtol=1e-13)
    assert "viscosity" not in ds


def test_circular_front():
    ds = spreading_shelf(radius=2e4)
    np.testing.assert_allclose(np.hypot(ds.x_front, ds.y_front), 2e4)
    np.testing.assert_allclose(ds.x_normal, ds.x_front / 2e4)
    np.testing.assert_allclose(ds.y_normal, ds.y_front / 2e4)
    steps = np.hypot(np.diff(ds.x_front), np.diff(ds.y_front))
    assert steps.max() <= 2.1 * 2e4 / 120


def test_front_of_any_shape():
    def mask(x, y):  # an ellipse with a hole, both with front
        return np.minimum(1 - (x / 4e4) ** 2 - (y / 2e4) ** 2, np.hypot(x - 1e4, y) - 5e3)

    ds = spreading_shelf((200, 200), mask=mask)
    x, y = np.meshgrid(ds.x, ds.y)
    np.testing.assert_array_equal(np.isfinite(ds.x_velocity), mask(x, y) > 0)
    x, y, n_x, n_y = (ds[name].values for name in ("x_front", "y_front", "x_normal", "y_normal"))
    np.testing.assert_allclose(np.hypot(n_x, n_y), 1.0)
    step = 100.0
    assert (mask(x - step * n_x, y - step * n_y) > 0).all()
    assert (mask(x + step * n_x, y + step * n_y) < 0).all()
    around_hole = np.hypot(x - 1e4, y) < 8e3
    gradient = np.array([x / 4e4**2, y / 2e4**2])[:, ~around_hole]
    gradient /= np.hypot(*gradient)
    along = gradient[0] * n_x[~around_hole] + gradient[1] * n_y[~around_hole]
    assert np.degrees(np.arccos(along.clip(-1, 1))).max() < 2.0
    assert 2 * np.pi * 5e3 / 525 < around_hole.sum() < 2 * np.pi * 5e3 / 200


@pytest.mark.parametrize(
    ("make", "arguments", "message"),
    [
        (uniaxial_shelf, {"velocity": lambda x: x}, "both velocity and velocity_gradient"),
        (uniaxial_shelf, {"lateral_rate": -1e-8}, "2 u_x \\+ b > 0"),
        (uniaxial_shelf, {"thickness": lambda x: 100 - x}, "thickness must be positive"),
        (uniaxial_shelf, {"thickness": "thick"}, "thickness is a str"),
        (uniaxial_shelf, {"length": -1}, "length must be a positive number"),
        (uniaxial_shelf, {"shape": (3,)}, "two integers"),
        (uniaxial_shelf, {"rheology": "plastic"}, "'isotropic' or 'anisotropic'"),
        (spreading_shelf, {"rate": 0.0}, "rate must be a positive number"),
        (spreading_shelf, {"radius": np.nan}, "radius must be a positive number"),
        (spreading_shelf, {"vertical_ratio": 0}, "vertical_ratio must be a positive"),
        (spreading_shelf, {"thickness": lambda x, y: x[:2]}, "returned shape"),
        (spreading_shelf, {"mask": lambda x, y: -1 - x**2}, "contains nothing"),
        (spreading_shelf, {"noise": -0.1}, "noise must be a share, 0 or more"),
    ],
)
def test_wrong_parameters(make, arguments, message):
    with pytest.raises(ParameterError, match=message):
        make(**arguments)


def test_unknown_keyword_is_refused():
    with pytest.raises(TypeError, match="nois"):
        spreading_shelf(nois=0.1)
