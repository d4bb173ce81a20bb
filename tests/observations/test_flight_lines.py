"""Tables of radar surveys, as they are written, and thickness from the height of the surface."""

from __future__ import annotations

import dask.array
import numpy as np
import pytest
import xarray as xr

import xdiffice
from xdiffice.errors import FileFormatError, MissingDependencyError, ParameterError, UnitsError

BEDMAP = """\
#project: 2009_Antarctica_DC8
#time_coverage_start: 2009
#firn_correction: 0
#electromagnetic_wave_speed_in_ice: 168.9 (m/microseconds)
trajectory_id,trace_number,longitude (degree_east),latitude (degree_north),date,time_UTC,\
surface_altitude (m),land_ice_thickness (m),bedrock_altitude (m),two_way_travel_time (m),\
aircraft_altitude (m),along_track_distance (m)
20091016_01,1,0.0,-71.0,2009-10-16,14:00:00,60.0,500.5,-9999,-9999,500,0
20091016_01,2,-90.0,-71.0,-9999,-9999,61.0,480.25,-9999,-9999,500,30
20091016_01,3,270.0,-71.0,-9999,-9999,61.0,470.0,-9999,-9999,500,30
20091016_01,4,180.0,-71.0,-9999,-9999,61.0,-9999,-9999,-9999,500,60
"""
OPR = """\
LAT,LON,UTCTIMESOD,THICK,ELEVATION,FRAME,SURFACE,BOTTOM,QUALITY
-71.0,90.0,51000.1,350.5,480.0,2009101601001,400.0,750.5,1
-71.0,90.0,51000.2,-9999.00,480.0,2009101601001,400.0,-9999.00,1
"""
AT_71 = 2082760.109  # distance of the standard parallel from the pole on the map of EPSG:3031, m


def written(folder, text, name="lines.csv"):
    path = folder / name
    path.write_text(text)
    return path


def test_bedmap(tmp_path):
    lines = xdiffice.open_flight_lines(written(tmp_path, BEDMAP))
    np.testing.assert_array_equal(lines["thickness"], [500.5, 480.25, 470.0])
    np.testing.assert_allclose(lines["x"], [0.0, -AT_71, -AT_71], atol=1e-2)
    np.testing.assert_allclose(lines["y"], [AT_71, 0.0, 0.0], atol=1e-2)
    assert lines["thickness"].attrs["units"] == "m"
    assert lines["thickness"].dims == lines["x"].dims == ("point",)


def test_opr(tmp_path):
    lines = xdiffice.open_flight_lines(written(tmp_path, OPR))
    np.testing.assert_array_equal(lines["thickness"], [350.5])
    np.testing.assert_allclose(lines["x"], [AT_71], atol=1e-2)


def test_a_plain_table_needs_units(tmp_path):
    path = written(tmp_path, "x, y, ice_thickness, thickness_error\n1, 2, 0.3, 0.01\n1.5, 2, , 1\n")
    with pytest.raises(UnitsError, match="ice_thickness"):
        xdiffice.open_flight_lines(path, units={"x": "km", "y": "km"})
    units = {"x": "km", "y": "km", "thickness": "km", "thickness_error": "km"}
    lines = xdiffice.open_flight_lines(path, units=units)
    for name, value in (("x", 1e3), ("y", 2e3), ("thickness", 300.0), ("thickness_error", 10.0)):
        np.testing.assert_allclose(lines[name], [value])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a,b\n1,2\n", "no column of thickness; it has a, b"),
        ("THICK (m),b\n1,2\n", "no positions"),
        ("x (m),y (m),thick (m)\n1,2,-9999\n", "no row with a thickness"),
        ("", "cannot be read as a table"),
    ],
)
def test_what_is_wrong_is_said(tmp_path, text, message):
    with pytest.raises(FileFormatError, match=message):
        xdiffice.open_flight_lines(written(tmp_path, text))
    with pytest.raises(FileFormatError, match="there is no file"):
        xdiffice.open_flight_lines(tmp_path / "none.csv")


def test_without_pyproj_it_says_so(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "pyproj", None)
    with pytest.raises(MissingDependencyError, match="geo"):
        xdiffice.open_flight_lines(written(tmp_path, OPR))


def test_floating_ice_displaces_its_weight():
    h = np.array([100.0, 400.0])
    surface = xr.DataArray(
        (h * (1 - 917 / 1030) + 12.0) / 1e3, dims="p", name="s", attrs={"units": "km"}
    )
    found = xdiffice.hydrostatic_thickness(surface, 12.0)
    np.testing.assert_allclose(found, h)
    assert found.attrs["units"] == "m"
    air = xr.DataArray([12.0, 12.0], dims="p", attrs={"units": "m"})
    xr.testing.assert_allclose(xdiffice.hydrostatic_thickness(surface, air), found)
    below = xdiffice.hydrostatic_thickness(surface - 1, 12.0, units="km")
    assert below.isnull().all()
    lazy = surface.copy(data=dask.array.from_array(surface.values))
    assert xdiffice.hydrostatic_thickness(lazy).chunks is not None
    with pytest.raises(UnitsError):
        xdiffice.hydrostatic_thickness(surface.drop_attrs())
    with pytest.raises(ParameterError, match="lighter"):
        xdiffice.hydrostatic_thickness(surface, ice_density=1040.0)
