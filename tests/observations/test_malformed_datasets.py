"""Datasets that cannot be inverted: each has its own error, which says what to do."""

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from shelves import coordinate_attrs, shelf

from xdiffice.errors import (
    AmbiguousVariableError,
    CoordinateError,
    DataValuesError,
    InputTypeError,
    InvalidDatasetError,
    ParameterError,
    PlausibilityWarning,
    UnitsError,
    VariableNotFoundError,
    XdifficeError,
)
from xdiffice.observations.gather import gather
from xdiffice.observations.report import report

CASES = {}


def case(error, text, **arguments):
    """Register a function that spoils a shelf; `arguments` go to gather."""

    def register(spoil):
        CASES[spoil.__name__] = (spoil, error, text, arguments)
        return spoil

    return register


def changed(ds, name, values=None, **attrs):
    """Return the Dataset with other values or attributes of one variable."""
    ds = ds.copy(deep=True)
    if values is not None:
        ds[name] = (ds[name].dims, np.asarray(values), ds[name].attrs)
    ds[name].attrs.update(attrs)
    return ds


def without(ds, name, attribute):
    ds = ds.copy(deep=True)
    del ds[name].attrs[attribute]
    return ds


@case(UnitsError, "'x_velocity' has no units")
def velocity_without_units(ds):
    return without(ds, "x_velocity", "units")


@case(UnitsError, "'thickness' has no units")
def thickness_without_units(ds):
    return without(ds, "thickness", "units")


@case(UnitsError, "units 'smoots per fortnite' of 'x_velocity' cannot be understood")
def unknown_units(ds):
    return changed(ds, "x_velocity", units="smoots per fortnite")


@case(UnitsError, "units 'm' of 'y_velocity' have dimension [length]")
def velocity_of_wrong_dimension(ds):
    return changed(ds, "y_velocity", units="m")


@case(UnitsError, "units 'kg' of 'thickness' have dimension [mass]")
def thickness_of_wrong_dimension(ds):
    return changed(ds, "thickness", units="kg")


@case(UnitsError, "coordinate 'x' has no units")
def coordinates_without_units(ds):
    return ds.assign_coords(x=ds.x.values)


@case(UnitsError, "'x_front' has no units")
def front_without_units(ds):
    return without(ds, "x_front", "units")


@case(UnitsError, "units 'km' of 'x_normal' have dimension")
def normals_in_km(ds):
    return changed(ds, "x_normal", units="km")


@case(VariableNotFoundError, "no variable for the velocity in x")
def missing_velocity(ds):
    return ds.drop_vars("x_velocity")


@case(VariableNotFoundError, "no variable for the ice thickness")
def missing_thickness(ds):
    return ds.drop_vars("thickness")


@case(VariableNotFoundError, "('h' may be a surface height as well")
def bare_h(ds):
    ds = ds.rename(thickness="h")
    ds["h"].attrs = {"units": "m"}
    return ds


@case(
    VariableNotFoundError,
    "there is no variable 'thk'; found: x_velocity",
    variables={"thickness": "thk"},
)
def explicit_name_that_is_not_there(ds):
    return ds


@case(ParameterError, "variables has unknown keys 'depth'", variables={"depth": "thickness"})
def unknown_role(ds):
    return ds


@case(ParameterError, "units has unknown keys 'vx'", units={"vx": "m/yr"})
def units_of_something_else(ds):
    return ds


@case(AmbiguousVariableError, "2 variables could be the velocity in x: 'x_velocity', 'other'")
def two_candidates(ds):
    return ds.assign(other=ds.x_velocity)


@case(VariableNotFoundError, "without the stress at the front the viscosity is not determined")
def no_front(ds):
    return ds.drop_dims("front")


@case(VariableNotFoundError, "front is incomplete: no variable for y_normal")
def half_a_front(ds):
    return ds.drop_vars("y_normal")


@case(DataValuesError, "40 of 40 front normals are not of unit length: lengths are between 2 and 2")
def normals_of_length_two(ds):
    return changed(ds, "x_normal", 2 * ds.x_normal)


@case(DataValuesError, "1 of 40 front points have missing positions or normals")
def missing_front_position(ds):
    return changed(ds, "y_front", ds.y_front.where(np.arange(40) != 3))


@case(DataValuesError, "number: x_front 40, y_front 40, x_normal 39, y_normal 40")
def front_of_two_lengths(ds):
    return ds.drop_vars("x_normal").assign(x_normal=("other", np.ones(39)))


@case(DataValuesError, "'x_front' should have one dim, the points of the front")
def front_with_two_dims(ds):
    return ds.drop_vars("x_front").assign(
        x_front=(("front", "side"), np.full((40, 2), 56e3), {"units": "m"})
    )


@case(DataValuesError, "the front's normals point into the ice (100% of them)")
def normals_inward(ds):
    return changed(ds, "x_normal", -ds.x_normal)


@case(CoordinateError, "front points lie more than 5 pixels outside of the shelf")
def front_elsewhere(ds):
    return changed(ds, "y_front", ds.y_front + 100e3)


@case(CoordinateError, "are they in the same projection and units?")
def front_in_other_units(ds):
    return changed(ds, "x_front", units="km")


@case(DataValuesError, "all values of 'x_velocity' are missing")
def all_nan(ds):
    return changed(ds, "x_velocity", np.nan * ds.x_velocity)


@case(DataValuesError, "all values of 'thickness' are missing")
def all_fill(ds):
    return changed(ds, "thickness", 0 * ds.thickness - 9999, _FillValue=-9999.0)


@case(DataValuesError, "velocity ('x_velocity', 'y_velocity') has 1 valid pixel of 432")
def one_valid_pixel(ds):
    return changed(ds, "x_velocity", ds.x_velocity.where((ds.x == 20e3) & (ds.y == 0)))


@case(DataValuesError, "has 0 valid pixels of 432; at least 10 are needed: all values are missing")
def all_at_rest(ds):
    return ds.assign({n: ds[n].copy(data=0 * ds[n].data) for n in ("x_velocity", "y_velocity")})


@case(DataValuesError, "thickness ('thickness') has 0 valid pixels of 432")
def thickness_zero(ds):
    return changed(ds, "thickness", 0 * ds.thickness)


@case(DataValuesError, "'thickness' has 3 values beyond 1e+18, such as 9.96921e+36: where this")
def fill_values_that_no_attribute_tells(ds):
    values = ds.thickness.values.copy()
    values[0, :3] = 9.96921e36
    return changed(ds, "thickness", values)


@case(DataValuesError, "'thickness' has 2 infinite values")
def infinite(ds):
    values = ds.thickness.values.copy()
    values[2, 3:5] = np.inf, -np.inf
    return changed(ds, "thickness", values)


@case(DataValuesError, "'x_velocity' is not numeric: its dtype is <U")
def text(ds):
    return changed(ds, "x_velocity", ds.x_velocity.astype(str))


@case(DataValuesError, "'thickness' is not numeric: its dtype is complex128")
def complex_numbers(ds):
    return changed(ds, "thickness", ds.thickness.values.astype(complex))


@case(DataValuesError, "'thickness' is not numeric: its dtype is datetime64")
def times(ds):
    return changed(ds, "thickness", ds.thickness.values.astype("datetime64[ns]"))


@case(VariableNotFoundError, "the Dataset is empty")
def empty(ds):
    return xr.Dataset()


@case(InputTypeError, "the velocity comes as an xarray.Dataset with both components; got DataArray")
def data_array(ds):
    return ds.x_velocity


@case(InputTypeError, "got ndarray")
def array(ds):
    return ds.x_velocity.values


@case(InputTypeError, "mask must be an xarray.Dataset, an xarray.DataArray, the name", mask=3)
def mask_of_wrong_type(ds):
    return ds


@case(CoordinateError, "geographic coordinates ('lon', 'lat') only; projected coordinates")
def geographic(ds):
    return (
        ds.drop_vars(["x", "y"])
        .rename(x="lon", y="lat")
        .assign_coords(
            lon=("lon", np.linspace(-64, -60, 24), {"units": "degrees_east"}),
            lat=("lat", np.linspace(-69, -66, 18), {"units": "degrees_north"}),
        )
    )


@case(CoordinateError, "('x', 'y') only; projected coordinates in metres are needed")
def geographic_by_another_name(ds):
    x, y = ds.x.copy(), ds.y.copy()
    return ds.assign_coords(
        x=("x", np.linspace(-64, -60, 24), {"units": "degrees_east", "axis": "X"}),
        y=("y", np.linspace(-69, -66, 18), {"standard_name": "latitude", "axis": "Y"}),
    ).assign(keep=(("x", "y"), np.ones((x.size, y.size))))


@case(CoordinateError, "have no X coordinate: looked for axis 'X'")
def no_coordinates(ds):
    return ds.drop_vars("x")


@case(CoordinateError, "coordinate 'x' has 1 missing value")
def coordinate_with_a_gap(ds):
    return changed_coordinate(ds, "x", ds.x.where(ds.x != 20e3).values)


@case(CoordinateError, "coordinate 'y' repeats 1 value")
def repeated_coordinate(ds):
    return changed_coordinate(ds, "y", np.where(ds.y == 0, -2e3, ds.y))


@case(CoordinateError, "coordinate 'x' neither rises nor falls throughout")
def unsorted_coordinate(ds):
    return ds.isel(x=[1, 0, *range(2, 24)])


@case(CoordinateError, "coordinate 'x' is not numeric")
def coordinate_of_text(ds):
    return changed_coordinate(ds, "x", ds.x.values.astype(str))


@case(CoordinateError, "coordinate 'x' has 1 infinite value")
def infinite_coordinate(ds):
    return changed_coordinate(ds, "x", np.where(ds.x == 56e3, np.inf, ds.x))


@case(CoordinateError, "'x' and 'y' have different units")
def coordinates_in_two_units(ds):
    ds = changed_coordinate(ds, "y", ds.y.values / 1e3)
    ds.y.attrs["units"] = "km"
    return ds


@case(CoordinateError, "'x_velocity' and 'y_velocity' are not on the same grid")
def staggered(ds):
    x = ("x_v", ds.x.values + 1e3, coordinate_attrs("x"))
    moved = ds.y_velocity.drop_vars("x").rename(x="x_v").assign_coords(x_v=x)
    return ds.drop_vars("y_velocity").assign(y_velocity=moved)


@case(CoordinateError, "have several X coordinates: 'x1', 'x2'")
def two_x_coordinates(ds):
    attrs = coordinate_attrs("x")
    x1, x2 = ("x", ds.x.values, attrs), ("x", ds.x.values + 1, attrs)
    return ds.drop_vars("x").assign_coords(x1=x1, x2=x2)


@case(DataValuesError, "'time' (size 3); select one first, for example ds.isel(time=0)")
def several_times(ds):
    return ds.assign(thickness=ds.thickness.expand_dims(time=3))


@case(CoordinateError, "velocity and thickness do not overlap: the velocity has x 10 to 56 km, y")
def grids_apart(ds):
    x = ("x_h", ds.x.values + 500e3, coordinate_attrs("x"))
    y = ("y_h", ds.y.values, coordinate_attrs("y"))
    moved = ds.thickness.drop_vars(["x", "y"]).rename(x="x_h", y="y_h")
    return ds.drop_vars("thickness").assign(thickness=moved.assign_coords(x_h=x, y_h=y))


@case(CoordinateError, "in different projections: straight_vertical_longitude_from_pole 0.0 and 45")
def projections_differ(ds):
    crs = {"grid_mapping_name": "polar_stereographic", "standard_parallel": -71.0}
    ds = ds.assign(
        crs=((), 0, {**crs, "straight_vertical_longitude_from_pole": 0.0}),
        crs_h=((), 0, {**crs, "straight_vertical_longitude_from_pole": 45.0}),
    )
    ds.x_velocity.attrs["grid_mapping"] = "crs"
    ds.thickness.attrs["grid_mapping"] = "crs_h"
    return ds


@case(DataValuesError, "'mask' does not say which of its values mean floating ice (found: 0, 3)")
def mask_of_integers(ds):
    return ds.assign(mask=(("y", "x"), np.where(ds.thickness > 360, 3, 0)))


@case(DataValuesError, "means floating ice; its flag_meanings are ocean, grounded_ice. Pass a bool")
def mask_without_floating(ds):
    attrs = {"flag_values": [0, 1], "flag_meanings": "ocean grounded_ice"}
    return ds.assign(mask=(("y", "x"), np.ones((18, 24), int), attrs))


@case(DataValuesError, "mask 'mask' has 2 flag_meanings but flag_values [0, 1, 2]")
def flags_that_do_not_fit(ds):
    attrs = {"flag_values": [0, 1, 2], "flag_meanings": "ocean floating_ice"}
    return ds.assign(mask=(("y", "x"), np.ones((18, 24), int), attrs))


@case(DataValuesError, "mask 'mask' has no floating ice")
def empty_mask(ds):
    return ds.assign(mask=(("y", "x"), np.zeros((18, 24), bool)))


@case(DataValuesError, "0 valid pixels on floating ice of mask 'mask', of 432 in all")
def mask_elsewhere(ds):
    mask = xr.DataArray(
        np.ones((18, 24), bool),
        dims=("y_m", "x_m"),
        coords={
            "x_m": ("x_m", ds.x.values + 500e3, coordinate_attrs("x")),
            "y_m": ("y_m", ds.y.values, coordinate_attrs("y")),
        },
    )
    return ds.assign(mask=mask)


def changed_coordinate(ds, name, values):
    return ds.assign_coords({name: (name, values, ds[name].attrs)})


def messages(error: XdifficeError) -> list[str]:
    return [str(one) for one in getattr(error, "problems", [error])]


@pytest.mark.parametrize("name", CASES)
def test_malformed(name):
    spoil, error, text, arguments = CASES[name]
    ds = spoil(shelf())
    with pytest.raises(XdifficeError) as caught:
        gather(ds, **arguments)
    problems = getattr(caught.value, "problems", (caught.value,))
    matching = [one for one in problems if text in str(one)]
    assert matching, messages(caught.value)
    assert type(matching[0]) is error
    # the report lists the same sentences, and raises nothing
    assert list(report(ds, **arguments).problems) == messages(caught.value)


def test_there_are_enough_cases():
    assert len(CASES) >= 25
    assert len({text for _, _, text, _ in CASES.values()}) == len(CASES)


def test_unspoilt_shelf_is_fine():
    assert gather(shelf()).velocity.x.size == 432


def test_all_problems_in_one_message():
    ds = shelf().drop_vars(["y_normal"])
    ds = changed(ds, "thickness", units="kg")
    ds = changed(ds, "y_velocity", np.where(ds.y_velocity > 1e-5, np.inf, ds.y_velocity))
    ds = ds.assign(other=ds.x_velocity, mask=(("y", "x"), np.full((18, 24), 2)))
    with pytest.raises(InvalidDatasetError) as caught:
        gather(ds, variables={"depth": "x"}, units={"vx": "m"})
    message = str(caught.value)
    expected = (
        "the Dataset has 7 problems:",
        "variables has unknown keys 'depth'",
        "units has unknown keys 'vx'",
        "2 variables could be the velocity in x",
        "front is incomplete: no variable for y_normal",
        "units 'kg' of 'thickness'",
        "'y_velocity' has 48 infinite values",
        "mask 'mask' does not say which",
    )
    for text in expected:
        assert text in message, message
    assert len(caught.value.problems) == 7
    assert message.count("\n") == 7


@pytest.mark.parametrize(
    ("name", "units", "text"),
    [
        ("x_velocity", "m yr-1", "99th percentile of the speed"),
        ("x_velocity", "km s-1", "99th percentile of the speed"),
        ("thickness", "cm", "the median thickness is 3.6"),
        ("thickness", "km", "the median thickness is 3.6"),
    ],
)
def test_implausible_numbers_warn(name, units, text):
    ds = shelf()
    names = ["x_velocity", "y_velocity"] if name == "x_velocity" else [name]
    for one in names:
        ds[one].attrs["units"] = units
    with pytest.warns(PlausibilityWarning, match=text):
        observations = gather(ds)
    assert any(text in note for note in observations.notes)
    assert any(text in note for note in report(ds).notes)


@pytest.mark.parametrize(("factor", "extent"), [(1e-3, "46"), (1e3, r"4\.6e\+07")])
def test_kilometres_that_are_said_to_be_metres_warn(factor, extent):
    ds = shelf()
    for name in ("x", "y"):
        ds = ds.assign_coords({name: (name, factor * ds[name].values, ds[name].attrs)})
    for name in ("x_front", "y_front"):
        ds = changed(ds, name, factor * ds[name].values)
    text = rf"extends over {extent} m along x .* check the units of coordinates 'x', 'y'$"
    with pytest.warns(PlausibilityWarning, match=text):
        gather(ds)


@pytest.mark.parametrize(
    "key",
    ["axis", "standard_name", "units", "grid_mapping", "coordinates", "flag_meanings", "long_name"],
)
@pytest.mark.parametrize("value", [[1, 2], 0, 3.5, None, "x"], ids=str)
def test_attributes_of_any_type_are_at_most_a_problem(key, value):
    for name in ("x", "y", "x_velocity", "thickness", "x_front"):
        ds = shelf()
        attrs = {**ds[name].attrs, key: value}
        if name in ds.coords:
            ds = ds.assign_coords({name: (name, ds[name].values, attrs)})
        else:
            ds[name].attrs = attrs
        said = ""
        try:
            n_found = gather(ds).velocity.u.size
        except XdifficeError as error:
            n_found, said = None, str(error)
        if n_found is None:  # these decide what the numbers mean; all others are for readers
            assert key in ("axis", "standard_name", "units", "grid_mapping")
            assert name in said
        else:
            assert n_found == gather(shelf()).velocity.u.size


def test_normals_that_mostly_point_inward_warn():
    ds = shelf()
    ds = changed(ds, "x_normal", np.where(np.arange(40) < 30, -1.0, 1.0))
    with pytest.warns(PlausibilityWarning, match="75% of the front's normals"):
        gather(ds)


def test_table_of_thickness_needs_units():
    table = pd.DataFrame({"x": [1.0], "y": [2.0], "thickness": [3.0]})
    with pytest.raises(InvalidDatasetError) as caught:
        gather(shelf(), table)
    assert {type(one) for one in caught.value.problems} == {UnitsError}
    assert "'thickness' has no units" in str(caught.value)
    assert "coordinate 'x' of the thickness has no units" in str(caught.value)
