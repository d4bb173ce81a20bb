from __future__ import annotations

import doctest

import numpy as np
import pytest
import xarray as xr
from finite_differences import momentum_residual

from xdiffice.errors import ParameterError
from xdiffice.physics.constants import PhysicalConstants
from xdiffice.synthetic import confined, confined_shelf, spreading_shelf

WEIGHT = PhysicalConstants().driving_weight
SHAPE = (25, 40)
COARSE = {"shape": SHAPE, "mesh_size": 4e3}


@pytest.fixture(scope="module")
def default() -> xr.Dataset:
    return confined_shelf()


@pytest.fixture(scope="module")
def plain() -> xr.Dataset:
    return confined_shelf(**COARSE)


def bay_with_rise(x, y):
    """A curved front and an ice rise."""
    return np.minimum(70e3 + 5e3 * np.cos(y / 6e3) - x, np.hypot(x - 40e3, y - 4e3) - 7e3)


def test_default_is_a_plausible_shelf(default):
    speed = np.hypot(default.x_velocity, default.y_velocity)
    assert dict(default.sizes) == {"y": 100, "x": 160, "front": 100}
    assert 4e-5 < speed.max() < 7e-5
    assert 1.3e13 < default.viscosity.min() < default.viscosity.max() < 8e13
    assert 165 < default.thickness.min() < default.thickness.max() < 510
    # Faster along the middle than along the sides, soft margins, thinner towards the front.
    middle, side = default.isel(y=50), default.isel(y=0)
    assert (middle.x_velocity > side.x_velocity).all()
    assert (middle.viscosity > 2 * side.viscosity).all()
    assert (middle.thickness.diff("x") < 0).all()
    assert default.x_velocity.isel(x=0).max() == pytest.approx(1.5e-5, rel=0.05)


def test_default_balances_momentum(default):
    # Away from the corners, where the strain rate is not smooth. (Pixels lie at the same places of
    # all triangles here: differences between them do not see the kinks between elements.)
    window = {"y": slice(15, 85), "x": slice(15, 140)}
    residual = [np.nanstd(r) for r in momentum_residual(default.isel(window), WEIGHT)]
    assert max(residual) < 1e-3
    wrong = default.assign(viscosity=default.viscosity * (1 + 0.01 * np.sin(default.x / 5e3)))
    assert np.nanstd(momentum_residual(wrong.isel(window), WEIGHT)[0]) > 1e-2


def test_default_is_resolved(default):
    finer = confined_shelf((50, 80), mesh_size=640.0)
    for name in ("x_velocity", "y_velocity"):
        same = default[name].interp(x=finer.x, y=finer.y, method="cubic")
        error = np.abs(same - finer[name]).isel(x=slice(4, -4), y=slice(4, -4))
        assert error.max() < 2e-4 * default.x_velocity.max()


def test_names_and_attributes_are_those_of_cf(plain):
    assert plain.attrs["Conventions"].startswith("CF-")
    assert plain.attrs["ice_density"] == 917.0
    assert plain.attrs["sea_water_density"] == 1030.0
    assert plain.attrs["gravity"] == 9.8
    assert plain.attrs["title"]
    for axis in "xy":
        assert plain[axis].attrs["standard_name"] == f"projection_{axis}_coordinate"
        assert plain[axis].attrs["units"] == "m"
        assert plain[axis].attrs["axis"] == axis.upper()
        velocity = plain[f"{axis}_velocity"].attrs
        assert velocity["standard_name"] == f"land_ice_vertical_mean_{axis}_velocity"
        assert velocity["units"] == "m s-1"
        assert plain[f"{axis}_front"].attrs["units"] == "m"
    assert plain.thickness.attrs["standard_name"] == "land_ice_thickness"
    assert plain.viscosity.attrs["units"] == "Pa s"
    assert "standard_name" not in plain.viscosity.attrs
    assert all(variable.attrs["long_name"] for variable in plain.variables.values())
    assert set(plain) == {
        *("x_velocity", "y_velocity", "thickness", "viscosity"),
        *("x_front", "y_front", "x_normal", "y_normal"),
    }


def test_survives_netcdf(plain, tmp_path):
    ds = confined_shelf(
        **COARSE, mask=bay_with_rise, separate_grids=True, noise=0.1, error_variables=True
    )
    assert "x_velocity_error" in ds
    assert "thickness_error" not in ds  # there is no noise on thickness
    ds.to_netcdf(tmp_path / "shelf.nc")
    with xr.open_dataset(tmp_path / "shelf.nc") as back:
        xr.testing.assert_identical(back.load(), ds)


def test_given_fields_are_respected():
    def viscosity(x, y):
        return 4e13 + 1e8 * x - 2e8 * y

    def thickness(x, y):
        return 350 - 1e-3 * x + 5e-4 * y

    def inflow(x, y):
        return np.where(x < 1.0, 2e-5, 1e-5)

    ds = confined_shelf(
        **COARSE, viscosity=viscosity, thickness=thickness, boundary_velocity=(inflow, 1e-6)
    )
    x, y = np.meshgrid(ds.x, ds.y)
    np.testing.assert_allclose(ds.viscosity, viscosity(x, y), rtol=1e-14)
    np.testing.assert_allclose(ds.thickness, thickness(x, y), rtol=1e-14)
    # The pixels next to the boundary are half a pixel (1 km) away from it.
    assert ds.x_velocity.isel(x=0, y=12).item() == pytest.approx(2e-5, rel=0.05)
    assert ds.x_velocity.isel(y=-1, x=10).item() == pytest.approx(1e-5, rel=0.3)
    assert ds.y_velocity.isel(y=-1, x=10).item() == pytest.approx(1e-6, rel=0.3)


@pytest.mark.parametrize("y_order", ["ascending", "descending"])
def test_arrays_are_in_the_datasets_order(y_order):
    ds = confined_shelf(**COARSE, y_order=y_order)
    again = confined_shelf(
        **COARSE, y_order=y_order, viscosity=ds.viscosity.values, thickness=ds.thickness
    )
    np.testing.assert_allclose(again.viscosity, ds.viscosity, rtol=1e-12)
    np.testing.assert_allclose(again.thickness, ds.thickness, rtol=1e-12)
    # Between pixels the array is interpolated: the flow differs, but only by that.
    np.testing.assert_allclose(
        again.x_velocity, ds.x_velocity, atol=0.02 * ds.x_velocity.max().item()
    )


def test_mirror_image_of_the_fields_gives_the_mirror_image():
    fine = {"shape": SHAPE, "mesh_size": 2e3}
    bay = confined.Bay(80e3, 50e3, 0, 0)
    ds = confined_shelf(**fine)
    image = confined_shelf(
        **fine,
        viscosity=lambda x, y: bay.viscosity(x, -y),
        thickness=lambda x, y: bay.thickness(x, -y),
    )
    # The diagonals of the triangles are not mirrored: equal to the mesh's error, not to rounding.
    scale = ds.x_velocity.max().item()
    np.testing.assert_allclose(image.x_velocity, ds.x_velocity[::-1], atol=5e-3 * scale)
    np.testing.assert_allclose(image.y_velocity, -ds.y_velocity[::-1], atol=5e-3 * scale)
    assert np.abs(ds.y_velocity + ds.y_velocity[::-1].data).max() > 0.05 * scale  # not symmetric


def test_anisotropic_shelf():
    ds = confined_shelf(**COARSE, rheology="anisotropic")
    ratio = ds.viscosity_vertical / ds.viscosity_horizontal
    assert 0.45 < ratio.min() < 0.7 < 0.95 < ratio.max() < 1.15
    equal = confined_shelf(
        **COARSE,
        rheology="anisotropic",
        viscosity=4e13,
        vertical_viscosity=4e13,
    )
    isotropic = confined_shelf(**COARSE, viscosity=4e13)
    scale = isotropic.x_velocity.max().item()
    np.testing.assert_allclose(equal.x_velocity, isotropic.x_velocity, atol=1e-12 * scale)
    np.testing.assert_allclose(equal.viscosity_vertical, isotropic.viscosity)


def test_glen_shelf_obeys_glens_law():
    ds = confined_shelf((50, 80), glen=(9e7, 3.0), mesh_size=2e3)
    d_x = 1e3
    u, v = ds.x_velocity, ds.y_velocity
    u_x, v_y = u.diff("x").data / d_x, v.diff("y").data / d_x
    u_x, v_y = (u_x[:-1] + u_x[1:]) / 2, (v_y[:, :-1] + v_y[:, 1:]) / 2
    u_y, v_x = u.diff("y").data / d_x, v.diff("x").data / d_x
    shear = (u_y[:, :-1] + u_y[:, 1:]) / 2 + (v_x[:-1] + v_x[1:]) / 2
    square = u_x**2 + v_y**2 + u_x * v_y + shear**2 / 4
    expected = 0.5 * 9e7 * square ** (-1 / 3)
    corners = ds.viscosity.data
    found = (corners[:-1, :-1] + corners[1:, :-1] + corners[:-1, 1:] + corners[1:, 1:]) / 4
    error = found / expected - 1
    assert np.median(np.abs(error)) < 2e-3
    assert np.abs(error[5:-5, 5:-5]).max() < 0.05


def test_noise_has_the_size_that_was_asked_for(default):
    ds = confined_shelf(noise=0.02, thickness_noise=0.03, error_variables=True, seed=3)
    rms = np.sqrt(float((default.x_velocity**2 + default.y_velocity**2).mean()))
    noise = [(ds[name] - default[name]).values.ravel() for name in ("x_velocity", "y_velocity")]
    n = noise[0].size
    for component, name in zip(noise, ("x_velocity", "y_velocity"), strict=True):
        # Four standard errors of a mean, of a standard deviation, of a correlation.
        assert abs(component.mean()) < 4 * 0.02 * rms / np.sqrt(n)
        assert component.std() == pytest.approx(0.02 * rms, rel=4 / np.sqrt(2 * n))
        np.testing.assert_allclose(ds[f"{name}_error"], 0.02 * rms)
        assert ds[name].attrs["ancillary_variables"] == f"{name}_error"
    assert abs(np.corrcoef(*noise)[0, 1]) < 4 / np.sqrt(n)
    h_noise = (ds.thickness - default.thickness).values
    mean = default.thickness.mean().item()
    assert h_noise.std() == pytest.approx(0.03 * mean, rel=4 / np.sqrt(2 * n))
    np.testing.assert_allclose(ds.thickness_error, 0.03 * mean)
    np.testing.assert_array_equal(ds.viscosity, default.viscosity)


@pytest.mark.parametrize("share", [0.1, 0.45])
def test_gaps_have_the_share_that_was_asked_for_and_are_blobs(plain, share):
    ds = confined_shelf(**COARSE, gaps=share, thickness_gaps=share / 2)
    missing = np.isnan(ds.x_velocity.values)
    assert missing.sum() == round(share * missing.size)
    np.testing.assert_array_equal(missing, np.isnan(ds.y_velocity))
    assert np.isnan(ds.thickness).sum() == round(share / 2 * missing.size)
    # In a blob the neighbour is missing too: far more often than by chance.
    assert missing[:, 1:][missing[:, :-1]].mean() > 0.55 + share / 2
    valid = ~missing
    np.testing.assert_array_equal(ds.x_velocity.values[valid], plain.x_velocity.values[valid])
    assert np.isfinite(ds.viscosity).all()


def test_gaps_count_only_the_shelfs_pixels():
    ds = confined_shelf(**COARSE, mask=bay_with_rise, gaps=0.2)
    on_shelf = ds.mask == 3
    assert (np.isnan(ds.x_velocity) & on_shelf).sum() == round(0.2 * int(on_shelf.sum()))
    np.testing.assert_array_equal(np.isfinite(ds.viscosity), on_shelf)


def test_separate_grids():
    def thickness(x, y):
        return 300 + 1e-3 * x - 2e-3 * y

    ds = confined_shelf(**COARSE, thickness=thickness, separate_grids=True)
    assert ds.thickness.dims == ("y_h", "x_h")
    assert ds.thickness.shape == (19, 31)
    np.testing.assert_allclose(ds.thickness, thickness(ds.x_h, ds.y_h).T, rtol=1e-14)
    assert not np.isin(ds.x_h, ds.x).any()
    for axis in "xy":
        assert ds[f"{axis}_h"].attrs == ds[axis].attrs
        step = ds[f"{axis}_h"].diff(f"{axis}_h").values
        np.testing.assert_allclose(step, step[0])
        # Both grids tile the same rectangle.
        edges = (ds[f"{axis}_h"][0] - step[0] / 2, ds[f"{axis}_h"][-1] + step[0] / 2)
        half = float(ds[axis][1] - ds[axis][0]) / 2
        np.testing.assert_allclose(edges, (ds[axis][0] - half, ds[axis][-1] + half), atol=1e-8)
    together = confined_shelf(**COARSE, thickness=thickness)
    np.testing.assert_array_equal(ds.x_velocity, together.x_velocity)


def test_units_change_numbers_and_nothing_else(plain):
    ds = confined_shelf(**COARSE, velocity_units="m yr-1", coordinate_units="km")
    np.testing.assert_allclose(ds.x_velocity, plain.x_velocity * 31557600.0, rtol=1e-14)
    np.testing.assert_allclose(ds.x_velocity.x, plain.x / 1e3, rtol=1e-14)
    np.testing.assert_allclose(ds.y_front, plain.y_front / 1e3, rtol=1e-14)
    np.testing.assert_array_equal(ds.viscosity, plain.viscosity)
    np.testing.assert_array_equal(ds.x_normal, plain.x_normal)
    assert ds.y_velocity.attrs["units"] == "m yr-1"
    assert ds.x.attrs["units"] == ds.x_front.attrs["units"] == "km"


def test_row_order_changes_the_order_and_nothing_else():
    options = {"noise": 0.05, "gaps": 0.1, "separate_grids": True, "mask": bay_with_rise}
    up = confined_shelf(**COARSE, **options)
    down = confined_shelf(**COARSE, **options, y_order="descending")
    assert (down.y.diff("y") < 0).all()
    assert (down.y_h.diff("y_h") < 0).all()
    xr.testing.assert_identical(down.sortby(["y", "y_h"]), up)


def test_seed_decides_noise_and_gaps():
    options = {**COARSE, "noise": 0.05, "thickness_noise": 0.01, "gaps": 0.1}
    xr.testing.assert_identical(confined_shelf(**options), confined_shelf(**options))
    one, other = confined_shelf(**options, seed=1), confined_shelf(**options, seed=2)
    assert (np.isnan(one.x_velocity) != np.isnan(other.x_velocity)).any()
    assert not np.isclose(one.thickness, other.thickness, rtol=1e-6).any()
    # Noise is the same whether or not there are gaps.
    without = confined_shelf(**options | {"gaps": 0.0}, seed=1)
    valid = np.isfinite(one.x_velocity.values)
    np.testing.assert_array_equal(without.x_velocity.values[valid], one.x_velocity.values[valid])


def test_curved_front_and_ice_rise():
    ds = confined_shelf(**COARSE, mask=bay_with_rise)
    x, y = np.meshgrid(ds.x, ds.y)
    level = bay_with_rise(x, y)
    on_shelf = np.isfinite(ds.x_velocity.values)
    assert on_shelf[level > 300].all()
    assert not on_shelf[level < -300].any()
    np.testing.assert_array_equal(ds.mask == 3, on_shelf)
    # Front all along the curve and nowhere else: not around the ice rise, not at the sides.
    assert np.abs(ds.x_front - 70e3 - 5e3 * np.cos(ds.y_front / 6e3)).max() < 400
    assert np.abs(ds.y_front).max() < 25e3
    assert ds.y_front.max() - ds.y_front.min() > 48e3
    slope = 5 / 6 * np.sin(ds.y_front / 6e3)  # the outward normal is (1, slope) / |(1, slope)|
    cosine = (ds.x_normal + slope * ds.y_normal) / np.hypot(1, slope)
    assert np.degrees(np.arccos(cosine.clip(-1, 1))).max() < 25
    assert np.degrees(np.arccos(cosine.clip(-1, 1))).mean() < 6
    # Ice sticks to the rise: slower near it than in the middle of the same shelf without.
    near = on_shelf & (np.hypot(x - 40e3, y - 4e3) < 9e3)
    assert ds.x_velocity.values[near].mean() < 0.3 * np.nanmean(ds.x_velocity.values)


def test_raster_masks_are_like_functions():
    fine = {"shape": (50, 80), "mesh_size": 2e3}
    given = confined_shelf(**fine, mask=bay_with_rise)
    pixels = confined_shelf(**fine, mask=bay_with_rise(*np.meshgrid(given.x, given.y)) > 0)
    labelled = confined_shelf(**fine, mask=(given.mask == 3)[::-1])
    scale = given.x_velocity.max().item()
    for ds in (pixels, labelled):
        error = np.abs(ds.x_velocity - given.x_velocity)
        assert error.max() < 0.1 * scale
        assert error.mean() < 0.01 * scale
        assert (np.isfinite(ds.x_velocity) != np.isfinite(given.x_velocity)).mean() < 0.01


def test_own_boundary_velocity_and_front_reproduce_an_exact_shelf():
    # A spreading ring, held at the hole: the public function end to end against a formula.
    def ring(x, y):
        return np.minimum(24e3 - np.hypot(x - 40e3, y), np.hypot(x - 40e3, y) - 8e3)

    a = 4e-10

    def thickness(x, y):
        return 300 + 2e-3 * (x - 40e3) + 1e-3 * y

    ds = confined_shelf(
        **COARSE,
        mask=ring,
        thickness=thickness,
        viscosity=lambda x, y: WEIGHT * thickness(x, y) / (12 * a),
        boundary_velocity=(lambda x, y: a * (x - 40e3), lambda x, y: a * y),
        front=lambda x, y: np.hypot(x - 40e3, y) > 16e3,
    )
    x, y = np.meshgrid(ds.x, ds.y)
    valid = np.isfinite(ds.x_velocity.values)
    assert valid.sum() > 300
    np.testing.assert_allclose(
        ds.x_velocity.values[valid], a * (x[valid] - 40e3), atol=1e-12 * a * 24e3
    )
    np.testing.assert_allclose(ds.y_velocity.values[valid], a * y[valid], atol=1e-12 * a * 24e3)
    np.testing.assert_allclose(np.hypot(ds.x_front - 40e3, ds.y_front), 24e3, rtol=0.02)


def test_gather_reads_every_kind():
    gather = pytest.importorskip("xdiffice.observations.gather").gather
    for ds in (
        confined_shelf(
            **COARSE,
            mask=bay_with_rise,
            noise=0.01,
            gaps=0.1,
            separate_grids=True,
            velocity_units="m yr-1",
            coordinate_units="km",
            y_order="descending",
            thickness_noise=0.01,
            error_variables=True,
        ),
        spreading_shelf((40, 40)),
    ):
        observations = gather(ds)
        seconds = 31557600.0 if ds.x_velocity.attrs["units"] == "m yr-1" else 1.0
        valid = np.isfinite(ds.x_velocity)
        assert observations.velocity.u.size == valid.sum()
        assert np.sort(observations.velocity.u) == pytest.approx(
            np.sort(ds.x_velocity.values[valid.values]) / seconds, rel=1e-12
        )
        assert observations.front.x.size == ds.sizes["front"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"shape": (1, 40)}, "at least 2 each"),
        ({"shape": 40}, "two integers"),
        ({"length": 0}, "length must be a positive"),
        ({"width": "wide"}, "width must be a positive"),
        ({"rheology": "orthotropic"}, "'isotropic' or 'anisotropic'"),
        ({"vertical_viscosity": 1e13}, "needs rheology='anisotropic'"),
        ({"rheology": "anisotropic", "viscosity": 1e13}, "two viscosities"),
        ({"rheology": "anisotropic", "glen": (1e8, 3)}, "isotropic"),
        ({"viscosity": 1e13, "glen": (1e8, 3)}, "takes the place"),
        ({"glen": (1e8,)}, r"pair \(B, n\)"),
        ({"viscosity": np.ones((3, 3))}, r"shape \(3, 3\)"),
        ({"viscosity": 0.0}, "viscosity must be positive"),
        ({"thickness": "thin"}, "thickness is a str"),
        ({"mask": "disc"}, "mask is a str"),
        ({"mask": np.zeros(SHAPE, bool)}, "False everywhere"),
        ({"mask_size": 3}, None),
        ({"noise": np.nan}, "noise must be a share"),
        ({"thickness_noise": "much"}, "thickness_noise must be a share"),
        ({"gaps": 1.0}, "gaps must be a share from 0 to below 1"),
        ({"thickness_gaps": -0.1}, "thickness_gaps must be a share"),
        ({"velocity_units": "furlong"}, "velocity_units"),
        ({"velocity_units": "kg"}, "velocity_units"),
        ({"coordinate_units": "degrees"}, "coordinate_units"),
        ({"error_variables": True}, "error_variables needs noise"),
        ({"y_order": "up"}, "'ascending' or 'descending'"),
        ({"seed": -1}, "seed must be an integer"),
        ({"seed": 0.5}, "seed must be an integer"),
        ({"mesh_size": -5.0}, "mesh_size must be a positive"),
        ({"boundary_velocity": 1e-5}, r"pair \(u, v\)"),
    ],
)
def test_wrong_parameters(arguments, message):
    with pytest.raises(ParameterError if message else TypeError, match=message):
        confined_shelf(**COARSE | arguments)


def test_given_objects_are_not_changed(plain):
    viscosity, thickness = plain.viscosity.copy(deep=True), plain.thickness.values.copy()
    confined_shelf(**COARSE, viscosity=viscosity, thickness=thickness, noise=0.1, gaps=0.2)
    xr.testing.assert_identical(viscosity, plain.viscosity)
    np.testing.assert_array_equal(thickness, plain.thickness)


def test_docstring_example():
    assert doctest.testmod(confined).failed == 0
