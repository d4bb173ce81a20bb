"""Labels: the numbers go out where, and in the units in which, the input came in."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from xdiffice.errors import CoordinateError, ParameterError
from xdiffice.observations.points import Labels
from xdiffice.physics.constants import PhysicalConstants
from xdiffice.results.labels import label, resolve_template
from xdiffice.results.names import OUTPUT_VARIABLES

YEAR = 365.25 * 86400.0
FLAGS = {"viscosity_quality": np.int8, "subdomain": np.int32}
CRS = {"grid_mapping_name": "polar_stereographic", "standard_parallel": -71.0}


def make_labels(*, units="km", factor=1000.0, names=("x", "y"), dims=None, crs=True) -> Labels:
    """Labels of a velocity in m/yr on a 4 x 3 grid in km whose y descends."""
    x_name, y_name = names
    coords = {
        x_name: (x_name, [0.0, 1.0, 2.0], {"standard_name": "projection_x_coordinate"}),
        y_name: (y_name, [9.0, 7.0, 5.0, 3.0], {"standard_name": "projection_y_coordinate"}),
    }
    template = xr.Dataset(coords=coords)
    if units is not None:
        template[x_name].attrs["units"] = template[y_name].attrs["units"] = units
    if crs:
        template = template.assign_coords(crs=xr.Variable((), 0, CRS))
    return Labels(
        template=template,
        dims=dims or (y_name, x_name),
        x_name=x_name,
        y_name=y_name,
        coordinate_factor=factor,
        attrs={
            "x_velocity": {"units": "meter/year", "standard_name": "land_ice_surface_x_velocity"},
            "y_velocity": {"units": "meter/year", "standard_name": "invented_y_velocity"},
            "thickness": {"units": "km"},
        },
        factors={"x_velocity": 1 / YEAR, "y_velocity": 1 / YEAR, "thickness": 1000.0},
        grid_mapping="crs" if crs else None,
        history="2020-01-01 someone made it",
    )


def make_output(template=None, labels=None, fields=None) -> xr.Dataset:
    labels = labels or make_labels()
    target = resolve_template(template, labels)
    if fields is None:
        fields = {name: np.arange(target.x.size, dtype=float) + 1 for name in OUTPUT_VARIABLES}
    return label(
        fields,
        target,
        labels,
        constants=PhysicalConstants(ice_density=900.0),
        provenance="SSAViscosityInverter(\n    max_seconds=3)",
    )


class TestTemplate:
    def test_velocity_grid_is_the_default(self):
        labels = make_labels()
        target = resolve_template(None, labels)
        assert target.dims == ("y", "x")
        assert target.shape == (4, 3)
        np.testing.assert_array_equal(target.x, np.tile([0.0, 1e3, 2e3], 4))
        np.testing.assert_array_equal(target.y, np.repeat([9e3, 7e3, 5e3, 3e3], 3))
        assert not target.coords.data_vars
        assert target.coords["crs"].attrs == CRS

    @pytest.mark.parametrize(("factor", "units"), [(1.0, "m"), (1000.0, "km")])
    def test_output_says_units_that_were_given_as_an_argument(self, factor, units):
        labels = make_labels(units=None, factor=factor)
        for template in (None, {"x": [1.0], "y": [2.0]}):
            target = resolve_template(template, labels)
            assert target.coords["x"].attrs["units"] == units
            assert target.coords["y"].attrs["units"] == units
        assert "units" not in labels.template["x"].attrs

    def test_transposed_velocity_stays_transposed(self):
        target = resolve_template(None, make_labels(dims=("x", "y")))
        assert target.shape == (3, 4)
        np.testing.assert_array_equal(target.x.reshape(3, 4)[:, 0], [0.0, 1e3, 2e3])

    def test_grid_of_a_dict_has_dims_y_x_and_borrows_the_units(self):
        target = resolve_template({"x": np.array([5, 6]), "y": [1, 2, 3]}, make_labels())
        assert (target.dims, target.shape) == (("y", "x"), (3, 2))
        np.testing.assert_array_equal(target.x, [5e3, 6e3] * 3)
        np.testing.assert_array_equal(target.y, [1e3, 1e3, 2e3, 2e3, 3e3, 3e3])
        assert target.coords["x"].attrs["units"] == "km"
        assert target.coords["x"].dtype == np.array([5]).dtype
        assert target.grid_mapping == "crs"

    def test_int32_coordinates_do_not_overflow(self):
        x = np.array([-3_333_000, 3_333_000], dtype=np.int32)
        template = {"x": ("x", x, {"units": "m"}), "y": ("y", x, {"units": "m"})}
        target = resolve_template(template, make_labels())
        np.testing.assert_array_equal(target.x, [-3333000.0, 3333000.0] * 2)
        assert target.x.dtype == np.float64
        assert target.coords["x"].dtype == np.int32

    @pytest.mark.parametrize("kind", ["tuple", "DataArray"])
    def test_points_share_one_dim(self, kind):
        x, y = np.array([3.0, 1.0, 2.0]), np.array([0.5, np.nan, 7.0])
        template = {"x": ("shot", x), "y": ("shot", y)}
        if kind == "DataArray":
            template = {name: xr.DataArray(v, dims=d) for name, (d, v) in template.items()}
        target = resolve_template(template, make_labels())
        assert (target.dims, target.shape) == (("shot",), (3,))
        np.testing.assert_array_equal(target.x, x * 1e3)
        np.testing.assert_array_equal(target.y, y * 1e3)

    def test_one_position(self):
        target = resolve_template({"x": 2.0, "y": 3}, make_labels())
        assert (target.dims, target.shape) == ((), ())
        assert (target.x.tolist(), target.y.tolist()) == ([2e3], [3e3])

    def test_units_of_the_template_win(self):
        template = xr.Dataset(
            coords={"x": ("x", [1.0], {"units": "m"}), "y": ("y", [2.0], {"units": "meter"})}
        )
        target = resolve_template(template, make_labels())
        assert (target.x.tolist(), target.y.tolist()) == ([1.0], [2.0])
        assert target.coords["y"].attrs["units"] == "meter"

    def test_dataarray_on_another_grid_of_the_same_dataset(self):
        thickness = xr.DataArray(
            np.zeros((1, 2, 3)),
            dims=("time", "x_h", "y_h"),
            coords={
                "x_h": ("x_h", [1.0, 2.0], {"axis": "X"}),
                "y_h": ("y_h", [6.0, 5.0, 4.0], {"axis": "Y"}),
                "time": [0],
                "lat": (("y_h", "x_h"), np.ones((3, 2))),
                "run": 7,
            },
            attrs={"grid_mapping": "crs"},
        )
        target = resolve_template(thickness, make_labels())
        assert (target.dims, target.shape) == (("x_h", "y_h"), (2, 3))
        np.testing.assert_array_equal(target.y[:3], [6e3, 5e3, 4e3])
        assert set(target.coords.coords) == {"x_h", "y_h", "lat", "run", "crs"}

    def test_dataset_brings_no_variables_but_its_own_grid_mapping(self):
        template = xr.Dataset(
            {
                "bed": (("x", "y"), np.ones((2, 3)), {"grid_mapping": "mapping"}),
                "mapping": ((), 0, {"proj4": "+init=epsg:3031"}),
            },
            coords={"x": [1.0, 2.0], "y": [3.0, 4.0, 5.0]},
        )
        before = template.copy(deep=True)
        target = resolve_template(template, make_labels())
        assert target.dims == ("x", "y")
        assert target.grid_mapping == "mapping"
        assert set(target.coords.variables) == {"x", "y", "mapping"}
        xr.testing.assert_identical(template, before)

    def test_names_of_the_fitted_grid_and_plain_names_are_both_known(self):
        labels = make_labels(names=("easting", "northing"))
        by_name = resolve_template({"easting": [1.0, 2.0], "northing": [3.0]}, labels)
        by_plain = resolve_template({"x": [1.0, 2.0], "y": [3.0]}, labels)
        np.testing.assert_array_equal(by_name.x, by_plain.x)
        assert (by_name.dims, by_plain.dims) == (("northing", "easting"), ("y", "x"))

    def test_curvilinear_grid(self):
        x, y = np.meshgrid([0.0, 1.0], [5.0, 6.0, 7.0])
        target = resolve_template({"x": (("j", "i"), x + y), "y": (("j", "i"), y)}, make_labels())
        assert target.shape == (3, 2)
        np.testing.assert_array_equal(target.x, 1e3 * (x + y).ravel())

    @pytest.mark.parametrize(
        ("template", "message"),
        [
            ({"x": [1.0]}, "no y coordinate"),
            ({}, "no coordinates"),
            ({"lon": [1.0], "lat": [2.0]}, "found 'lon', 'lat'"),
            ({"x": ["a"], "y": [1.0]}, "not numeric"),
            ({"x": np.ones((2, 2)), "y": [1.0]}, "dims without names"),
            ({"x": ("x", [1.0], {"units": "degrees_east"}), "y": [1.0]}, "no length"),
            ({"x": ("x", [1.0], {"units": "furlongz"}), "y": [1.0]}, "no length"),
            ({"x": [], "y": [1.0]}, "not numeric|no positions"),
            ({"x": np.array([]), "y": [1.0]}, "no positions"),
            ({"x": ("p", [1.0, 2.0]), "y": ("p", [1.0])}, "do not fit together"),
            ([1.0, 2.0], "not list"),
            (
                xr.Dataset(
                    coords={
                        name: (name, [1.0], {"axis": name[0].upper()})
                        for name in ("xa", "xb", "ya")
                    }
                ),
                "more than one x coordinate: 'xa', 'xb'",
            ),
        ],
    )
    def test_bad_templates_say_what_is_wrong(self, template, message):
        with pytest.raises(CoordinateError, match=message):
            resolve_template(template, make_labels())


class TestLabel:
    def test_values_go_out_in_the_units_in_which_they_came(self):
        out = make_output()
        np.testing.assert_allclose(out["x_velocity"][0], YEAR * np.arange(1, 4), rtol=1e-15)
        np.testing.assert_allclose(out["thickness"][0], np.arange(1, 4) / 1e3, rtol=1e-15)
        np.testing.assert_array_equal(out["viscosity"][1], [4.0, 5.0, 6.0])
        units = {name: out[name].attrs.get("units") for name in out.data_vars}
        assert {name: unit for name, unit in units.items() if unit} == {
            "viscosity": "Pa s",
            "viscosity_horizontal": "Pa s",
            "viscosity_vertical": "Pa s",
            "x_velocity": "meter/year",
            "y_velocity": "meter/year",
            "thickness": "km",
            "effective_strain_rate": "s-1",
            "x_momentum_residual": "Pa",
            "y_momentum_residual": "Pa",
        }

    def test_standard_names_only_where_cf_has_them(self):
        out = make_output()
        names = {name: out[name].attrs.get("standard_name") for name in out.data_vars}
        assert {name: value for name, value in names.items() if value} == {
            "x_velocity": "land_ice_surface_x_velocity",
            "y_velocity": "land_ice_vertical_mean_y_velocity",
            "thickness": "land_ice_thickness",
            "viscosity_quality": "quality_flag",
        }

    def test_flags_and_labels_are_whole_numbers_everywhere(self):
        values = np.append([1.0, 2.0, np.nan], np.full(9, 3.0))
        out = make_output(fields=dict.fromkeys(FLAGS, values))
        np.testing.assert_array_equal(out["viscosity_quality"].values.ravel()[:4], [1, 2, 0, 3])
        np.testing.assert_array_equal(out["subdomain"].values.ravel()[:4], [1, 2, -1, 3])
        attrs = out["viscosity_quality"].attrs
        assert out["viscosity_quality"].dtype == attrs["flag_values"].dtype == np.int8
        meanings = attrs["flag_meanings"].split()
        known = ["outside", "determined", "not_separated", "no_strain", "weakly_determined"]
        assert meanings == [*known, "near_gap", "near_pinning_point", "extrapolated"]
        assert attrs["flag_values"].tolist() == [*range(8)]

    def test_every_variable_is_described_and_placed(self):
        out = make_output()
        for name in out.data_vars:
            assert out[name].attrs["long_name"]
            assert out[name].attrs["grid_mapping"] == "crs"
            assert out[name].dtype == FLAGS.get(name, np.float64)
        assert "crs" in out.coords

    def test_no_grid_mapping_is_invented(self):
        out = make_output(labels=make_labels(crs=False))
        assert all("grid_mapping" not in out[name].attrs for name in out.data_vars)

    def test_dataset_says_where_it_comes_from(self):
        attrs = make_output().attrs
        assert attrs["Conventions"] == "CF-1.11"
        first, last = attrs["history"].splitlines()
        assert first == "2020-01-01 someone made it"
        assert "xdiffice" in last
        assert "max_seconds=3" in last
        assert (attrs["ice_density"], attrs["gravity"]) == (900.0, 9.8)
        assert attrs["seconds_per_year"] == YEAR
        assert "10.21105/joss.07254" in attrs["references"]
        assert attrs["estimator"].startswith("SSAViscosityInverter(")

    def test_input_labels_are_not_changed(self):
        labels = make_labels()
        before = labels.template.copy(deep=True)
        make_output(labels=labels)["x"].attrs["units"] = "changed"
        xr.testing.assert_identical(labels.template, before)
        assert labels.template["x"].encoding == before["x"].encoding
        assert labels.attrs["x_velocity"] == make_labels().attrs["x_velocity"]

    @pytest.mark.parametrize("engine", ["netcdf4", "scipy"])
    def test_netcdf_gives_back_the_same(self, tmp_path, engine):
        template = make_labels().template.assign_coords(
            lat=(("y", "x"), np.full((4, 3), -70.0)),
            time=np.datetime64("2020-01-01T00:00:00", "ns"),
        )
        out = make_output(template)
        out["viscosity"][0, 0] = np.nan
        path = tmp_path / "out.nc"
        out.to_netcdf(path, engine=engine)
        with xr.open_dataset(path, engine=engine) as back:
            xr.testing.assert_identical(back.load(), out)

    def test_points_give_back_the_same(self, tmp_path):
        points = {"x": ("shot", [1.0, np.nan, 2.0]), "y": ("shot", [3.0, 4.0, 5.0])}
        out = make_output(points)
        assert out["viscosity"].dims == ("shot",)
        out.to_netcdf(tmp_path / "out.nc")
        with xr.open_dataset(tmp_path / "out.nc") as back:
            xr.testing.assert_identical(back.load(), out)

    def test_unknown_field_and_wrong_size_are_refused(self):
        with pytest.raises(ParameterError, match=r"'mu'.*viscosity_horizontal"):
            make_output(fields={"mu": np.ones(12)})
        with pytest.raises(ParameterError, match="11 values for 12 positions"):
            make_output(fields={"viscosity": np.ones(11)})

    @settings(max_examples=20, deadline=None)
    @given(
        st.lists(st.integers(-(10**7), 10**7), min_size=1, max_size=5, unique=True),
        st.lists(st.floats(-1e7, 1e7, allow_subnormal=False), min_size=1, max_size=5, unique=True),
        st.booleans(),
    )
    def test_order_and_values_of_any_grid_are_kept(self, x, y, transposed):
        dims = ("x", "y") if transposed else ("y", "x")
        grid = xr.DataArray(
            np.zeros([len({"x": x, "y": y}[d]) for d in dims]), dims=dims, coords={"x": x, "y": y}
        )
        labels = make_labels()
        target = resolve_template(grid, labels)
        out = make_output(grid, labels, {"viscosity": target.x + 2 * target.y})
        expected = 1e3 * grid["x"] + 2 * (1e3 * grid["y"])  # with the rounding of positions in m
        assert out["viscosity"].dims == dims
        np.testing.assert_array_equal(out["viscosity"], expected.transpose(*dims))
        np.testing.assert_array_equal(out["x"], x)
        np.testing.assert_array_equal(out["y"], y)
