"""The table of names, row by row, and the order of the search."""

import numpy as np
import pytest
import xarray as xr

from xdiffice.errors import AmbiguousVariableError, ParameterError, VariableNotFoundError
from xdiffice.observations.variables import ROLES, check_roles, find, not_found

STANDARD_NAMES = {
    "x_velocity": [
        "land_ice_x_velocity",
        "land_ice_surface_x_velocity",
        "land_ice_vertical_mean_x_velocity",
        "x_velocity",
    ],
    "y_velocity": [
        "land_ice_y_velocity",
        "land_ice_surface_y_velocity",
        "land_ice_vertical_mean_y_velocity",
        "y_velocity",
    ],
    "thickness": ["land_ice_thickness", "floating_ice_thickness"],
    "mask": ["floating_ice_shelf_area_fraction", "floating_ice_sheet_area_fraction"],
    "land_ice": ["land_ice_area_fraction"],
    "x_velocity_error": ["land_ice_x_velocity standard_error", "err_ice_x_velocity"],
    "y_velocity_error": ["land_ice_surface_y_velocity standard_error", "err_ice_y_velocity"],
    "thickness_error": ["land_ice_thickness standard_error"],
}
NAMES = {
    "x_velocity": ["VX", "vx", "u", "U", "xvelmean", "xvelsurf", "x_velocity", "ud"],
    "y_velocity": ["VY", "vy", "v", "V", "yvelmean", "yvelsurf", "y_velocity", "vd"],
    "thickness": ["thickness", "ice_thickness", "lithk", "thk", "land_ice_thickness"],
    "mask": ["mask", "MASK", "floatingice", "floating_ice", "sftflf", "icemask"],
    "land_ice": ["landice", "land_ice", "sftgif"],
    "x_velocity_error": ["ERRX", "vx_error", "vx_err", "x_velocity_error", "errx"],
    "y_velocity_error": ["ERRY", "vy_error", "vy_err", "y_velocity_error", "erry"],
    "thickness_error": ["errbed", "thickness_error", "thickness_uncertainty", "thk_error"],
    "x_front": ["x_front", "xct", "front_x"],
    "y_front": ["y_front", "yct", "front_y"],
    "x_normal": ["x_normal", "nx", "n_x", "normal_x"],
    "y_normal": ["y_normal", "ny", "n_y", "normal_y"],
}


def dataset(**attrs_by_name) -> xr.Dataset:
    return xr.Dataset({name: ("p", np.ones(2), attrs) for name, attrs in attrs_by_name.items()})


def found_name(ds, role, variables=None):
    found = find([ds], role, variables)
    return None if found is None else found[1]


def test_every_role_has_rows_here():
    assert set(NAMES) == set(ROLES)


@pytest.mark.parametrize(
    ("role", "standard_name"), [(role, n) for role, names in STANDARD_NAMES.items() for n in names]
)
def test_standard_name_is_found_and_plays_no_other_role(role, standard_name):
    ds = dataset(anything={"standard_name": standard_name}, other={})
    assert {r: found_name(ds, r) for r in ROLES} == {
        r: "anything" if r == role else None for r in ROLES
    }


@pytest.mark.parametrize(
    ("role", "name"), [(role, n) for role, names in NAMES.items() for n in names]
)
def test_name_is_found_and_plays_no_other_role(role, name):
    ds = dataset(**{name: {}, "other": {}})
    assert {r: found_name(ds, r) for r in ROLES} == {r: name if r == role else None for r in ROLES}


@pytest.mark.parametrize(
    "name",
    ["v0", "velocity", "bed", "surface", "STDX", "CNT", "lat", "x", "viscosity", "subdomain"],
)
def test_names_of_other_things_play_no_role(name):
    assert all(found_name(dataset(**{name: {}}), role) is None for role in ROLES)


def test_order_of_the_search():
    ds = dataset(vx={}, speed_x={"standard_name": "land_ice_x_velocity"}, mine={})
    assert found_name(ds, "x_velocity", {"x_velocity": "mine"}) == "mine"
    assert found_name(ds, "x_velocity") == "speed_x"
    assert found_name(ds.drop_vars("speed_x"), "x_velocity") == "vx"
    assert found_name(ds, "x_velocity", {"x_velocity": None}) is None


def test_first_dataset_that_has_one_decides():
    one, two = dataset(other={}), dataset(mask={})
    found = find([one, two], "mask")
    assert found is not None
    assert found[0] is two


def test_name_that_the_standard_name_contradicts():
    ds = dataset(u={"standard_name": "land_ice_thickness"})
    assert found_name(ds, "x_velocity") is None
    assert found_name(ds, "thickness") == "u"


@pytest.mark.parametrize(
    "attrs", [{"units": "m"}, {"units": "m", "long_name": "surface height"}, {}]
)
def test_bare_h_may_be_a_surface_height(attrs):
    ds = dataset(h=attrs)
    assert found_name(ds, "thickness") is None
    assert "pass variables={'thickness': 'h'}" in str(not_found([ds], "thickness"))
    assert found_name(ds, "thickness", {"thickness": "h"}) == "h"


def test_bare_h_that_says_thickness():
    assert found_name(dataset(h={"long_name": "Ice Thickness"}), "thickness") == "h"


def test_errors_by_ancillary_variables():
    ds = dataset(
        vx={"ancillary_variables": "count quality_x"},
        quality_x={"standard_name": "land_ice_x_velocity standard_error"},
        count={},
        thk={"ancillary_variables": "sigma"},
        sigma={},
    )
    assert found_name(ds, "x_velocity_error") == "quality_x"
    assert found_name(ds, "thickness_error") == "sigma"
    ds = dataset(mine={"ancillary_variables": "uncertain"}, uncertain={})
    assert found_name(ds, "thickness_error", {"thickness": "mine"}) == "uncertain"


def test_arithmetic_that_kept_attributes():
    thickness = {"standard_name": "land_ice_thickness"}
    ds = dataset(thk=thickness, thickness_error=thickness, mask=thickness)
    assert found_name(ds, "thickness") == "thk"
    assert found_name(ds, "thickness_error") == "thickness_error"
    assert found_name(ds, "mask") == "mask"
    # alone, the standard name is right and the name is not
    assert found_name(dataset(mask=thickness), "thickness") == "mask"
    assert found_name(dataset(mask=thickness), "mask") is None


def test_comparisons_that_kept_attributes_are_masks():
    ds = dataset(thk={"standard_name": "land_ice_thickness"})
    ds["mask"] = ("p", np.ones(2, bool), ds.thk.attrs)
    assert found_name(ds, "thickness") == "thk"
    assert found_name(ds, "mask") == "mask"


def test_axes_are_no_fields():
    ds = xr.Dataset({"thickness": ("h", [1.0, 2.0])}, coords={"h": ("h", [0.0, 1.0])})
    assert found_name(ds, "thickness") == "thickness"


@pytest.mark.parametrize(
    "ds",
    [
        dataset(vx={}, u={}),
        dataset(
            a={"standard_name": "land_ice_x_velocity"},
            b={"standard_name": "land_ice_vertical_mean_x_velocity"},
        ),
    ],
)
def test_two_candidates(ds):
    first, second = list(ds)
    with pytest.raises(AmbiguousVariableError) as caught:
        find([ds], "x_velocity")
    message = str(caught.value)
    assert f"'{first}', '{second}'" in message
    assert f"variables={{'x_velocity': '{first}'}}" in message


def test_explicit_name_that_is_not_there():
    with pytest.raises(VariableNotFoundError, match=r"no variable 'hh'; found: vx, thk"):
        find([dataset(vx={}, thk={})], "thickness", {"thickness": "hh"})


def test_unknown_role():
    with pytest.raises(ParameterError, match=r"unknown keys 'thick'; the roles are x_velocity"):
        check_roles({"thick": "h", "mask": None})


def test_not_found_says_what_was_looked_for_and_found():
    message = str(not_found([dataset(vx={}, bed={})], "thickness"))
    for text in ("land_ice_thickness", "found: vx, bed", "variables={'thickness': '<name>'}"):
        assert text in message
