"""Masks are read by what their flags mean."""

import numpy as np
import pytest
import xarray as xr
from numpy.testing import assert_array_equal
from shelves import coordinate_attrs, shelf

from xdiffice.errors import DataValuesError
from xdiffice.observations.axes import Grid
from xdiffice.observations.gather import gather
from xdiffice.observations.masks import floating, look_up

BEDMACHINE = {
    "flag_values": np.array([0, 1, 2, 3, 4], "i1"),
    "flag_meanings": "ocean ice_free_land grounded_ice floating_ice lake_vostok",
}
BEDMAP3 = {
    "flag_values": np.array([1, 2, 3, 4], "i1"),
    "flag_meanings": "grounded_ice transiently_grounded_ice_shelf floating_ice_shelf rock",
}


@pytest.mark.parametrize(
    ("values", "attrs", "name", "expected"),
    [
        (np.array([0, 1, 2, 3, 4], "i1"), BEDMACHINE, "mask", [0, 0, 0, 1, 0]),
        (np.array([np.nan, 2, 3], "f4"), BEDMACHINE, "mask", [0, 0, 1]),
        (np.array([-9999, 1, 2, 3], "i2"), {**BEDMAP3, "_FillValue": -9999}, "mask", [0, 0, 0, 1]),
        # another product has its floating ice at 2: only the meaning counts
        (
            np.array([0, 1, 2], "i1"),
            {"flag_values": "0b 1b 2b", "flag_meanings": "ocean grounded floating"},
            "MASK",
            [0, 0, 1],
        ),
        (
            np.array([0, 1], "u1"),
            {"flag_values": [0, 1], "flag_meanings": "non-floating_ice floating_ice"},
            "m",
            [0, 1],
        ),
        # missing_value 0, decoded: NaN outside
        (
            np.array([np.nan, 1], "f4"),
            {"flag_values": [0, 1], "flag_meanings": "non-ice ice"},
            "floatingice",
            [0, 1],
        ),
        (
            np.array([0, 1], "u1"),
            {"flag_values": [0, 1], "flag_meanings": "non-ice ice", "missing_value": 0},
            "floatingice",
            [0, 1],
        ),
        (
            np.array([0, 1, 2, 3, 6]),
            {"flag_masks": [1, 2, 4], "flag_meanings": "ice floating cloud"},
            "mask",
            [0, 0, 1, 1, 1],
        ),
        (np.array([False, True]), {}, "mask", [0, 1]),
        (np.array([0.0, 0.5, 0.51, 1.0, np.nan]), {}, "sftflf", [0, 0, 1, 1, 0]),
        (np.array([0.0, 50.0, 51.0, 100.0]), {"units": "%"}, "sftflf", [0, 0, 1, 1]),
        (np.array([0, 1], "i1"), {"units": "None"}, "floating_ice", [0, 1]),
        (np.array([0, 1]), {"standard_name": "floating_ice_shelf_area_fraction"}, "m", [0, 1]),
    ],
)
def test_floating(values, attrs, name, expected):
    result = floating(values, attrs, name, attrs.get("units"))
    assert result.dtype == bool
    assert_array_equal(result, np.array(expected, bool))


@pytest.mark.parametrize(
    ("values", "attrs", "name"),
    [
        (np.array([0, 1]), {}, "mask"),
        (np.array([0.0, 2.0]), {}, "mask"),
        (np.array([0, 2]), {}, "floating_ice"),
        (np.array([np.nan, np.nan]), {}, "mask"),
        (np.array([0.0, 100.0]), {}, "sftflf"),
        (np.array([0, 1]), {"flag_values": [0, 1], "flag_meanings": "ocean grounded"}, "mask"),
        (np.array([0, 1]), {"flag_meanings": "ocean floating"}, "mask"),
        (np.array(["a", "b"]), {}, "mask"),
    ],
)
def test_unclear_masks_are_refused(values, attrs, name):
    with pytest.raises(DataValuesError):
        floating(values, attrs, name, None)


@pytest.mark.parametrize("turn", [1, -1])
def test_look_up_on_a_raster(turn):
    x, y = np.array([0.0, 10.0, 20.0]), np.array([0.0, 10.0])[::turn]
    mask = np.array([[True, False, True], [False, True, False]])[::turn]
    grid = Grid("raster", x, y)
    points = np.array(
        [
            (0, 0, 1),
            (4.9, 4.9, 1),
            (5.1, 0, 0),
            (24.9, 0, 1),
            (25.1, 0, 0),
            (-5.1, 0, 0),
            (9, 14, 1),
        ]
    )
    assert_array_equal(look_up(mask, grid, points[:, 0], points[:, 1]), points[:, 2] == 1)


def test_look_up_elsewhere_equals_the_raster():
    rng = np.random.default_rng(1)
    x, y = np.arange(12.0), np.arange(9.0)
    mask = rng.random((9, 12)) > 0.5
    raster = Grid("raster", x, y)
    X, Y = raster.points()
    at = rng.uniform(0, 11, 300), rng.uniform(0, 8, 300)
    expected = look_up(mask, raster, *at)
    assert_array_equal(look_up(mask, Grid("curvilinear", X, Y), *at), expected)
    points = Grid("points", X.ravel(), Y.ravel())
    assert_array_equal(look_up(mask.ravel(), points, *at), expected)


def test_mask_on_a_larger_finer_descending_grid():
    ds = shelf()
    x, y = np.arange(-200e3, 200e3, 1000.0), np.arange(-150e3, 150e3, 1000.0)[::-1]
    flags = np.where((x > 29e3) & (y[:, None] > -10e3), 3, 2).astype("i1")
    mask = xr.DataArray(
        flags,
        dims=("y", "x"),
        coords={
            "y": ("y", y.astype("i4"), coordinate_attrs("y")),
            "x": ("x", x.astype("i4"), coordinate_attrs("x")),
        },
        attrs=BEDMACHINE,
        name="mask",
    )
    ds["y_front"] = ds.y_front.clip(-8e3, 14e3)
    o = gather(ds, mask=mask)
    inside = (ds.x > 29e3) & (ds.y > -10e3)
    assert o.velocity.x.size == o.thickness.x.size == int(inside.sum())
    assert o.velocity.x.min() > 29e3
    assert o.velocity.y.min() > -10e3
    assert o.domain.spacing == 1000.0
    # the domain is that of the mask, as far as there are velocity pixels
    assert (o.domain.x.min(), o.domain.x.max()) == (30e3, 57e3)
    assert (o.domain.y.min(), o.domain.y.max()) == (-9e3, 15e3)
    assert o.domain.x.size == 28 * 25
    assert any("beyond the velocity's grid" in note for note in o.notes)


def test_mask_given_by_name_dataset_or_not_at_all():
    ds = shelf()
    ds["here"] = ds.thickness > 350
    number = int(ds.here.sum())
    assert gather(ds, mask="here").velocity.x.size == number
    assert gather(ds, variables={"mask": "here"}).velocity.x.size == number
    other = ds[["here"]].rename(here="mask")
    assert gather(ds, mask=other).velocity.x.size == number
    assert gather(ds).velocity.x.size == 432
    ds["mask"] = ds.here.astype(int) * 7
    assert gather(ds, variables={"mask": None}).velocity.x.size == 432
    assert gather(ds, mask=ds["mask"] == 7).velocity.x.size == number


def test_velocity_gaps_in_the_mask_stay_in_the_domain():
    ds = shelf()
    ds["mask"] = ds.thickness > 350
    ds.x_velocity.values[5:9, 3:12] = np.nan
    o = gather(ds)
    assert o.domain.x.size == int(ds.mask.sum())
    assert o.velocity.x.size == int(ds.mask.sum()) - 36
