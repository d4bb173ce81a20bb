"""Twins: a shelf's data with another truth, in the form that the data have, and as noisy."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

import xdiffice
from xdiffice import (
    CoordinateError,
    DataValuesError,
    ParameterError,
    PlausibilityWarning,
    UnitsError,
    VariableNotFoundError,
)
from xdiffice.cli import main
from xdiffice.forward.observed import ObservedShelf
from xdiffice.observations.gather import gather
from xdiffice.synthetic import confined_shelf, spreading_shelf, twin
from xdiffice.synthetic.noise import Swaths, correlated, random_numbers, scatter_of

YEAR = 365.25 * 86400
NONE = dict.fromkeys(
    (
        "velocity",
        "velocity_correlated",
        "velocity_stripes",
        "thickness",
        "thickness_correlated",
    ),
    0,
)
COARSE = {"mesh_size": 4000.0}
SHELF = (24, 36)


@pytest.fixture(scope="module")
def shelf() -> xr.Dataset:
    return confined_shelf(SHELF)


@pytest.fixture(scope="module")
def result(shelf) -> xr.Dataset:
    return shelf[["viscosity", "thickness"]].assign_attrs(ice_density=910.0)


def relative(one: xr.DataArray, other: xr.DataArray) -> float:
    return float(np.sqrt(((one - other) ** 2).mean() / (other**2).mean()))


def rms(values: xr.DataArray) -> float:
    return float(np.sqrt((values**2).mean()))


def noise_of(made: xr.Dataset, name: str) -> xr.DataArray:
    return made[name] - made[f"{name}_true"]


# What is true


def test_the_twin_of_a_shelf_with_its_own_viscosity_moves_as_the_shelf_does():
    fine = confined_shelf((60, 90))
    made = twin(fine, fine, noise=False)
    assert relative(made["x_velocity"], fine["x_velocity"]) < 0.005
    xr.testing.assert_allclose(made["viscosity"].drop_attrs(), fine["viscosity"].drop_attrs())
    xr.testing.assert_allclose(made["thickness_true"], fine["thickness"])
    assert made["viscosity"].attrs["units"] == "Pa s"
    assert float(noise_of(made, "x_velocity").max()) == 0.0
    for name in ("x_velocity", "y_velocity", "thickness"):
        assert float(made[name].isnull().sum()) == 0


def test_glens_law_with_patches_and_a_band_is_what_the_forward_check_finds():
    fine = confined_shelf((60, 90))
    made = twin(fine, hardness=1.3e8, damage_bands=1, damage_width=9e3, noise=False)
    truth = made[["viscosity"]].assign(thickness=made["thickness_true"])
    assert made.diffice.forward_check(truth).attrs["relative_difference"] < 0.003
    softest, hardest = float(made["hardness"].min()), float(made["hardness"].max())
    assert softest < 0.5 * 1.3e8 < 1.3e8 < hardest
    assert made.attrs["damage_bands"] == 1
    assert made.attrs["glen_exponent"] == 3.0
    assert made.attrs["damage_width"] == 9e3


def test_both_viscosities_of_anisotropic_ice_are_the_truth():
    both = confined_shelf(SHELF, rheology="anisotropic")
    made = twin(both, both, noise=False)
    assert relative(made["x_velocity"], both["x_velocity"]) < 0.02
    for name in ("viscosity_horizontal", "viscosity_vertical"):
        np.testing.assert_allclose(made[name], both[name])
    assert "viscosity" not in made


@pytest.mark.parametrize(
    "viscosity",
    [5e13, lambda x, y: 5e13 + 0 * x, "array"],
    ids=["number", "function", "array"],
)
def test_a_viscosity_alone_leaves_the_thickness_to_the_data(shelf, viscosity):
    if isinstance(viscosity, str):
        viscosity = xr.full_like(shelf["viscosity"], 5e1).assign_attrs(units="TPa s")
    made = twin(shelf, viscosity, noise=False, **COARSE)
    np.testing.assert_allclose(made["viscosity"], 5e13)
    # Smoothed over two pixels, which bends a little.
    assert 0 < relative(made["thickness_true"], shelf["thickness"]) < 0.02


def test_noise_of_the_data_is_not_true():
    noisy = confined_shelf(SHELF, noise=0.05, thickness_noise=0.05, seed=3)
    clean = confined_shelf(SHELF)
    made = twin(noisy, clean[["viscosity"]], noise=False, **COARSE)
    assert relative(made["thickness"], clean["thickness"]) < 0.02
    assert relative(made["x_velocity"], clean["x_velocity"]) < 0.03


def test_constants_are_those_of_the_result(shelf, result):
    light = twin(shelf, result, noise=False, **COARSE)
    assert light.attrs["ice_density"] == 910.0
    own = twin(shelf, result.drop_attrs(deep=False), noise=False, **COARSE)
    assert own.attrs["ice_density"] == 917.0
    assert float(abs(light["x_velocity"] - own["x_velocity"]).max()) > 1e-9


# What is seen


def test_noise_has_the_standard_deviation_that_was_asked_for(shelf, result):
    for name, key, asked in (
        ("x_velocity", "velocity", 2e-7),
        ("y_velocity", "velocity_correlated", 3e-7),
        ("x_velocity", "velocity_stripes", 1e-7),
        ("thickness", "thickness", 4.0),
        ("thickness", "thickness_correlated", 6.0),
    ):
        made = twin(shelf, result, noise=NONE | {key: asked}, **COARSE)
        found = rms(noise_of(made, name))
        assert found == pytest.approx(asked, rel=0.05), key
        kind = key.partition("_")[2] or "white"
        assert made.attrs[f"{name}_noise_{kind}"] == pytest.approx(asked)
        others = {"x_velocity", "y_velocity", "thickness"} - {name}
        untouched = "thickness" if name != "thickness" else "x_velocity"
        assert untouched in others
        assert rms(noise_of(made, untouched)) == 0.0


def test_errors_of_the_data_are_the_noise_of_the_twin(result):
    data = confined_shelf(
        SHELF, noise=0.01, thickness_noise=0.02, error_variables=True, velocity_units="m yr-1"
    )
    # Twice as uncertain on the left.
    wide = data["x_velocity_error"] * xr.where(data["x"] < 40e3, 2.0, 1.0)
    data["x_velocity_error"] = wide.transpose("y", "x").assign_attrs(data["x_velocity_error"].attrs)
    made = twin(data, result, **COARSE)
    for name in ("x_velocity", "y_velocity", "thickness"):
        xr.testing.assert_identical(
            made[f"{name}_error"].drop_attrs(), data[f"{name}_error"].drop_attrs()
        )
        share = noise_of(made, name) / data[f"{name}_error"]
        assert rms(share) == pytest.approx(1.0, rel=0.25)
    assert "comment" not in made.attrs


def test_without_errors_the_scatter_of_the_data_is_the_noise(result):
    data = confined_shelf((60, 90), noise=0.01, thickness_noise=0.02, seed=5)
    made = twin(data, result, **COARSE)
    speed = rms(np.hypot(data["x_velocity"], data["y_velocity"]))
    white = made.attrs["x_velocity_noise_white"]
    assert white == pytest.approx(0.01 * speed, rel=0.1)
    assert made.attrs["thickness_noise_white"] == pytest.approx(
        0.02 * float(data["thickness"].mean()), rel=0.1
    )
    kinds = [made.attrs[f"x_velocity_noise_{k}"] for k in ("white", "stripes", "correlated")]
    total = float(np.sqrt(np.sum(np.square(kinds))))
    assert total == pytest.approx(white / 0.6**0.5)
    assert "x_velocity" not in made.attrs["comment"]
    assert "velocity has no errors: its noise is what the data scatter" in made.attrs["comment"]


def test_scatter_knows_noise_from_bends():
    x, y = (axis.ravel() for axis in np.meshgrid(np.arange(40.0), np.arange(30.0)))
    smooth = 300 + x**2 - x * y + 0.5 * y**2
    noise = np.random.default_rng(0).normal(0, 2.0, x.size)
    found = scatter_of(x, y, np.stack([smooth, smooth + noise]))
    assert found[0] < 1e-6
    assert found[1] == pytest.approx(2.0, rel=0.05)
    line = scatter_of(x, 0 * x, (x + noise)[None])
    assert line[0] == pytest.approx(2.0, rel=0.1)
    assert scatter_of(x[:5], y[:5], noise[None, :5]).tolist() == [0.0]


def test_stripes_have_straight_edges_and_are_constant_within(shelf, result):
    made = twin(shelf, result, noise=NONE | {"velocity_stripes": 1e-7, "stripe_width": 9e3})
    offsets = noise_of(made, "x_velocity").values
    values = np.unique(np.round(offsets, 15))
    swaths = Swaths.drawn(9e3, random_numbers(0, "swaths"))
    x, y = np.meshgrid(shelf["x"], shelf["y"])
    number = swaths.number(x, y)
    assert 4 < values.size <= number.max() + 1
    for swath in range(number.max() + 1):
        inside = offsets[number == swath]
        np.testing.assert_allclose(inside, inside[0], atol=1e-18)
    across = x * np.cos(swaths.angle) + y * np.sin(swaths.angle)
    for swath in range(number.max() + 1):  # a swath is all that lies between two straight lines
        low, high = across[number == swath].min(), across[number == swath].max()
        assert high - low <= 9e3
        assert (number[(across >= low) & (across <= high)] == swath).all()


def test_correlated_noise_is_alike_nearby_and_not_far_away():
    x, y = np.meshgrid(np.arange(200.0), np.arange(200.0))
    field = correlated(x.ravel(), y.ravel(), 8.0, np.random.default_rng(0)).reshape(x.shape)
    assert rms(field) == pytest.approx(1.0)

    def alike(shift):
        return float(np.mean(field[:, shift:] * field[:, :-shift]))

    # White noise smoothed by a Gaussian of 8 pixels correlates as exp(-(r / 16)²).
    for shift in (4, 8, 16):
        assert alike(shift) == pytest.approx(np.exp(-((shift / 16) ** 2)), abs=0.15)
    assert abs(alike(80)) < 0.25


def test_a_seed_decides_everything(shelf, result):
    first, again, other = (
        twin(shelf, result, noise={"velocity": 1e-7, "thickness": 1.0}, random_state=seed, **COARSE)
        for seed in (1, 1, 2)
    )
    xr.testing.assert_identical(first.drop_attrs(deep=False), again.drop_attrs(deep=False))
    for name in ("x_velocity", "y_velocity", "thickness"):
        assert float(abs(first[name] - other[name]).min()) > 0
        assert first[f"{name}_true"].equals(other[f"{name}_true"])
    drawn = twin(shelf, result, random_state=None, **COARSE)
    assert drawn.attrs["seed"] >= 0
    again = twin(shelf, result, random_state=int(drawn.attrs["seed"]), **COARSE)
    assert again["x_velocity"].equals(drawn["x_velocity"])
    hard = [twin(shelf, hardness=1.5e8, random_state=seed, **COARSE) for seed in (1, 2)]
    assert float(abs(hard[0]["hardness"] - hard[1]["hardness"]).max()) > 1e6


# The form of the data


def test_gaps_units_order_and_attributes_are_those_of_the_data(result):
    data = confined_shelf(
        SHELF,
        gaps=0.1,
        thickness_gaps=0.1,
        separate_grids=True,
        velocity_units="m yr-1",
        coordinate_units="km",
        y_order="descending",
        noise=0.01,
    )
    data["crs"] = ((), 0, {"grid_mapping_name": "polar_stereographic"})
    for name in ("x_velocity", "y_velocity", "thickness"):
        data[name].attrs |= {"grid_mapping": "crs", "comment": "mine"}
    data["x_velocity"] = data["x_velocity"].astype("float32")
    before = data.copy(deep=True)
    made = twin(data, result, **COARSE)
    xr.testing.assert_identical(data, before)
    for name in ("x_velocity", "y_velocity", "thickness"):
        assert made[name].dims == data[name].dims
        assert made[name].dtype == data[name].dtype
        np.testing.assert_array_equal(made[name].isnull(), data[name].isnull())
        assert made[name].attrs == data[name].attrs
        for dim in data[name].dims:
            assert made[dim].variable.equals(data[dim].variable)
            assert made[dim].attrs == data[dim].attrs
    assert made["crs"].attrs["grid_mapping_name"] == "polar_stereographic"
    assert made["viscosity"].attrs["grid_mapping"] == "crs"
    # The truth is told in the gaps as well.
    assert not made["viscosity"].isnull().any() or "mask" not in made
    for name in ("x_front", "y_front", "x_normal", "y_normal"):
        np.testing.assert_array_equal(made[name], data[name])
    assert gather(made).velocity.x.size == gather(data).velocity.x.size


def test_missing_by_zero_stays_zero(shelf, result):
    data = shelf.copy(deep=True)
    for name in ("x_velocity", "y_velocity", "thickness"):
        data[name][5:8, 5:8] = 0.0
    made = twin(data, result, **COARSE)
    for name in ("x_velocity", "y_velocity", "thickness"):
        np.testing.assert_array_equal(made[name] == 0, data[name] == 0)


def test_chunks_of_the_data_are_those_of_the_twin(shelf, result):
    lazy = shelf.chunk(y=12, x=18)
    made = twin(lazy, result.chunk(), noise={"velocity": 1e-7}, **COARSE)
    assert made["x_velocity"].chunks == lazy["x_velocity"].chunks
    eager = twin(shelf, result, noise={"velocity": 1e-7}, **COARSE)
    assert made["x_velocity"].compute().equals(eager["x_velocity"])


def test_data_in_several_objects_become_one_that_is_found_without_help(shelf, result):
    year = shelf[["x_velocity", "y_velocity"]].rename(x_velocity="east", y_velocity="north")
    velocity = (year * YEAR).drop_attrs()
    velocity = velocity.assign_coords(x=shelf["x"], y=shelf["y"])
    line = np.linspace(2e3, 78e3, 300)
    lines = xr.Dataset(
        {"dicke": ("point", 300.0 - 1e-3 * line, {"units": "m"})},
        {
            "x": ("point", line, {"units": "m"}),
            "y": ("point", 1e4 * np.sin(line / 5e3), {"units": "m"}),
        },
    )
    mask = (shelf["viscosity"] > 0).rename("floats")
    front = shelf[["x_front", "y_front", "x_normal", "y_normal"]]
    names = {"x_velocity": "east", "y_velocity": "north", "thickness": "dicke"}
    made = twin(
        velocity,
        result,
        thickness=lines,
        mask=mask,
        front=front,
        variables=names,
        units={"east": "m yr-1", "north": "m yr-1"},
        **COARSE,
    )
    seen = gather(made)  # nothing else is given
    assert seen.thickness.x.size == 300
    np.testing.assert_allclose(seen.thickness.x, line)
    assert seen.domain.x.size == mask.size
    assert made["east"].attrs["units"] == "m yr-1"
    assert made["dicke"].dims == ("point",)
    np.testing.assert_allclose(seen.velocity.u.mean() * YEAR, float(made["east"].mean()))


def test_velocity_at_points_needs_a_mask_that_is_a_raster(shelf, result):
    some = shelf[["x_velocity", "y_velocity"]].stack(point=("y", "x")).reset_index("point")
    points = some.isel(point=slice(None, None, 2))
    front = shelf[["x_front", "y_front", "x_normal", "y_normal"]]
    more = {"thickness": shelf[["thickness"]], "front": front}
    made = twin(points, result, mask=shelf["thickness"] > 0, noise=False, **more, **COARSE)
    assert made["x_velocity"].dims == ("point",)
    wrong = made["x_velocity"].values - points["x_velocity"].values
    assert np.linalg.norm(wrong) < 0.06 * np.linalg.norm(points["x_velocity"])  # held by half
    scattered = points.assign_coords(x=points["x"] + 300 * np.sin(7 * points["y"]))
    scattered["x"].attrs = points["x"].attrs
    with pytest.raises(ParameterError, match="made of points: give a mask on a raster"):
        twin(scattered, result, **more, **COARSE)


def test_holes_and_pixels_at_the_rim_have_values(result):
    data = confined_shelf((40, 60), mask=lambda x, y: np.hypot(x - 4e4, y) - 7e3, gaps=0.05)
    made = twin(data, data[["viscosity", "thickness"]], noise=False)
    for name in ("x_velocity", "thickness", "mask"):
        np.testing.assert_array_equal(made[name].isnull(), data[name].isnull())
    on_shelf = made["mask"] == 3
    assert not bool(made["viscosity"].where(on_shelf, 1.0).isnull().any())
    assert not bool(made["x_velocity_true"].where(on_shelf, 1.0).isnull().any())
    assert relative(made["x_velocity"], data["x_velocity"]) < 0.03


def test_a_fit_finds_the_noisy_data_and_not_the_truth(shelf, result, tmp_path):
    made = twin(shelf, result, noise={"velocity": 1e-7, "thickness": 3.0}, **COARSE)
    made.to_netcdf(tmp_path / "twin.nc")
    with xr.open_dataset(tmp_path / "twin.nc") as again:
        seen = gather(again)
        np.testing.assert_allclose(seen.velocity.u, made["x_velocity"].values.ravel())
        np.testing.assert_allclose(seen.thickness.h, made["thickness"].values.ravel())
        found = xdiffice.SSAViscosityInverter(max_iterations=3, progress=False).fit(again)
    assert found.predict()["viscosity"].shape == SHELF


def test_more_neighbours_hold_a_noisy_rim():
    noisy = gather(confined_shelf(SHELF, noise=0.05, seed=1))
    clean = gather(confined_shelf(SHELF))
    x, y = np.full(20, 1.0), np.linspace(-2e4, 2e4, 20)

    def wrong(neighbours):
        at = [ObservedShelf.of(one, 4000.0, neighbours).velocity[0](x, y) for one in (noisy, clean)]
        return float(np.std(at[0] - at[1]))

    assert wrong(60) < 0.8 * wrong(16)


# What cannot be used


def moved(result: xr.Dataset, by: float) -> xr.Dataset:
    return result.assign_coords(x=("x", result["x"].values + by, result["x"].attrs))


def without_middle(result: xr.Dataset) -> xr.Dataset:
    there = (abs(result["x"] - 40e3) > 8e3) | (abs(result["y"]) > 8e3)
    return result.assign(viscosity=result["viscosity"].where(there).assign_attrs(units="Pa s"))


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (lambda r: moved(r, 1e6), CoordinateError, r"covers 0% of the shelf.*of another shelf"),
        (lambda r: moved(r, 6e4), CoordinateError, r"covers 2\d% of the shelf"),
        (lambda r: r[["thickness"]], VariableNotFoundError, "the result needs 'viscosity'"),
        (
            lambda r: r.assign(viscosity=r["viscosity"].assign_attrs(units="Pa")),
            UnitsError,
            "'Pa s' are needed",
        ),
        (lambda r: r["viscosity"].drop_attrs(deep=False), UnitsError, "'viscosity' has no units"),
        (
            lambda r: r.assign(viscosity=xr.full_like(r["viscosity"], np.nan)),
            DataValuesError,
            "all values of 'viscosity' of the result are missing",
        ),
        (
            lambda r: r.stack(point=("y", "x")).reset_index("point"),
            CoordinateError,
            "needed on a raster",
        ),
        (lambda r: "soft", ParameterError, "viscosity is a str"),
        (lambda r: -1e13, ParameterError, "viscosity must be positive"),
    ],
)
def test_a_viscosity_that_cannot_be_the_truth_is_refused(shelf, result, change, error, message):
    with pytest.raises(error, match=message):
        twin(shelf, change(result), **COARSE)


def test_holes_in_a_viscosity_are_filled_and_told(shelf, result):
    with pytest.warns(
        PlausibilityWarning, match=r"\d+ pixels of the shelf, 0.0\d+ of all, have no"
    ):
        made = twin(shelf, without_middle(result), **COARSE)
    assert not bool(made["viscosity"].isnull().any())
    assert "got that of the nearest pixel" in made.attrs["comment"]


def test_another_projection_is_refused(shelf, result):
    def with_crs(dataset, parallel):
        crs = {"grid_mapping_name": "polar_stereographic", "standard_parallel": parallel}
        return dataset.assign(crs=((), 0, crs))

    with pytest.raises(CoordinateError, match="different projections: standard_parallel"):
        twin(with_crs(shelf, -71.0), with_crs(result, 70.0), **COARSE)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "give a viscosity, such as the result"),
        ({"viscosity": 5e13, "hardness": 1e8}, "either viscosity or hardness"),
        ({"viscosity": 5e13, "damage_bands": 2}, "damage_bands need hardness="),
        ({"hardness": 1e8, "damage_bands": 1.5}, "damage_bands must be an integer"),
        ({"hardness": 1e8, "damage_width": -1}, "damage_width must be a positive"),
        ({"hardness": 1e8, "hardness_variation": -1}, "hardness_variation must be"),
        ({"hardness": 1e8, "glen_exponent": 0.5}, "glen_exponent must be a number, at least 1"),
        ({"hardness": 1e8, "random_state": -1}, "random_state must be an integer"),
        ({"hardness": 1e8, "mesh_size": 0}, "mesh_size must be a positive"),
        ({"hardness": 1e8, "noise": "loud"}, "noise must be 'as data', False, or a dict"),
        ({"hardness": 1e8, "noise": {"speed": 1}}, "unknown keys 'speed'"),
        ({"hardness": 1e8, "noise": {"velocity": -1}}, "'velocity' of noise must be a standard"),
        ({"hardness": 1e8, "noise": {"correlation": 0}}, "'correlation' of noise must be"),
    ],
)
def test_parameters_that_make_no_sense_are_refused(shelf, options, message):
    with pytest.raises(ParameterError, match=message):
        twin(shelf, **options)


def test_a_hardness_needs_its_own_units(shelf):
    array = xr.full_like(shelf["viscosity"], 1.5e8)
    with pytest.raises(UnitsError, match=r"hardness has units 'MPa'.*Pa s\^\(1/3\)"):
        twin(shelf, hardness=array.assign_attrs(units="MPa"))
    made = twin(
        shelf,
        hardness=array.assign_attrs(units="Pa s^(1/3)"),
        damage_bands=0,
        noise=False,
        **COARSE,
    )
    np.testing.assert_allclose(made["hardness"], 1.5e8)  # of a field no patches either


def test_nothing_holds_an_island():
    free = spreading_shelf((20, 20))
    with pytest.raises(ParameterError, match="nothing holds it"):
        twin(free, 5e13)


def test_data_that_tell_no_noise_get_some_and_are_told(shelf, result):
    flat = shelf.assign(thickness=shelf["thickness"] * 0 + 300.0)
    flat["thickness"].attrs = shelf["thickness"].attrs
    with pytest.warns(PlausibilityWarning, match="the data tell no noise of thickness"):
        made = twin(flat, result, **COARSE)
    assert made.attrs["thickness_noise_white"] == pytest.approx(3.0)


# The doors


def test_the_accessor_is_a_door(shelf, result):
    before = shelf.copy(deep=True)
    one = shelf.diffice.twin(result, random_state=3, **COARSE)
    xr.testing.assert_identical(shelf, before)
    assert one["x_velocity"].equals(twin(shelf, result, random_state=3, **COARSE)["x_velocity"])


def test_the_command_writes_a_twin(shelf, result, tmp_path, capsys):
    data, found, out = (tmp_path / f"{name}.nc" for name in ("shelf", "result", "twin"))
    shelf.drop_vars("viscosity").to_netcdf(data)
    result.to_netcdf(found)
    command = ["twin", str(data), str(found), "-o", str(out), "--seed", "3", "--mesh-size", "4000"]
    assert main(command) == 0
    told = capsys.readouterr().out
    assert "seed 3" in told
    assert f"wrote {out}" in told
    with xr.open_dataset(out) as made:
        expected = twin(shelf, result, random_state=3, **COARSE)
        np.testing.assert_allclose(made["x_velocity"], expected["x_velocity"])
        assert made.attrs["Conventions"].startswith("CF-")
    assert main(command) == 2
    assert "exists; choose another name" in capsys.readouterr().err
    glen = ["twin", str(data), "--hardness", "1.5e8", "--no-noise", "--mesh-size", "4000", "-o"]
    assert main([*glen, str(out), "--overwrite", "--quiet"]) == 0
    with xr.open_dataset(out) as made:
        assert float(noise_of(made, "thickness").max()) == 0.0
    assert main(["twin", str(data), "-o", str(tmp_path / "none.nc")]) == 2
    assert "give a viscosity" in capsys.readouterr().err
    assert not (tmp_path / "none.nc").exists()
