"""Small files with the headers of real products, all of one shelf whose viscosity is known.

Ice that spreads evenly, u = a x and v = a y, is in balance whatever its thickness and wherever it
ends, with μ = ρ g' h / (12 a). dtypes, orders of rows, fill values, flags and odd attributes are
those of the products.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import xarray as xr

from xdiffice.physics.constants import SECONDS_PER_YEAR

CENTRE = (-2200e3, 1100e3)
RADIUS, COAST = 30e3, -18e3  # of the ice; grounded ice begins west of the coast
RATE = 3e-3 / SECONDS_PER_YEAR
HALF = 45e3  # of the raster's side
STEREOGRAPHIC = {
    "grid_mapping_name": "polar_stereographic",
    "latitude_of_projection_origin": -90.0,
    "straight_vertical_longitude_from_pole": 0.0,
    "standard_parallel": -71.0,
    "false_easting": 0.0,
    "false_northing": 0.0,
}
WGS84 = {"semi_major_axis": 6378137.0, "inverse_flattening": 298.257223563}
HUGHES = {"semi_major_axis": 6378273.0, "inverse_flattening": 298.27940504282}


class _Fields:
    """The shelf at positions ``east`` and ``north`` of its centre, m."""

    @property
    def u(self) -> np.ndarray:
        """m s-1; the middle moves as well, so that no pixel is at rest."""
        return RATE * self.east + 10 / SECONDS_PER_YEAR

    @property
    def v(self) -> np.ndarray:
        return RATE * self.north + 20 / SECONDS_PER_YEAR

    @property
    def h(self) -> np.ndarray:
        return 400 - 2e-3 * self.east + 40 * np.sin(self.north / 2e4)


@dataclass(frozen=True)
class Points(_Fields):
    """The shelf at points."""

    east: np.ndarray
    north: np.ndarray


@dataclass(frozen=True)
class Raster(_Fields):
    """The shelf on pixels; rows from north to south."""

    x: np.ndarray
    y: np.ndarray

    @classmethod
    def of(cls, spacing: float) -> Raster:
        steps = np.arange(-HALF, HALF + 1, spacing)
        return cls(steps + CENTRE[0], steps[::-1] + CENTRE[1])

    def empty(self) -> xr.Dataset:
        """Axes as most products have them: no ``axis``, a standard name."""
        ds = xr.Dataset(coords={"x": self.x, "y": self.y})
        for axis in "xy":
            ds[axis].attrs = {"units": "m", "standard_name": f"projection_{axis}_coordinate"}
        return ds

    @property
    def east(self) -> np.ndarray:
        return np.broadcast_to(self.x - CENTRE[0], (self.y.size, self.x.size))

    @property
    def north(self) -> np.ndarray:
        return np.broadcast_to((self.y - CENTRE[1])[:, None], (self.y.size, self.x.size))

    @property
    def ice(self) -> np.ndarray:
        inlet = np.hypot(self.east - 8e3, self.north) < 3e3  # a polynya
        return (np.hypot(self.east, self.north) < RADIUS) & ~inlet | (self.east < COAST)

    @property
    def floating(self) -> np.ndarray:
        rise = np.hypot(self.east, self.north - 12e3) < 2.5e3
        return self.ice & (self.east >= COAST) & ~rise

    def on_ice(self, values: np.ndarray, elsewhere: float, dtype: str = "f4") -> np.ndarray:
        return np.where(self.ice, values, elsewhere).astype(dtype)


def yearly(values: np.ndarray) -> np.ndarray:
    return values * SECONDS_PER_YEAR


def true_viscosity(x, y, constants) -> np.ndarray:
    """μ in Pa s at positions in m."""
    h = 400 - 2e-3 * (x - CENTRE[0]) + 40 * np.sin((y - CENTRE[1]) / 2e4)
    reduced = constants.gravity * (1 - constants.ice_density / constants.sea_water_density)
    return constants.ice_density * reduced * h / (12 * RATE)


def measures(path: Path, *, source: bool = True, spacing: float = 450.0) -> Path:
    """NSIDC-0754 (with SOURCE) or NSIDC-0484: f4, metres per year as "meter/year", NaN, 2-D lat."""
    one = Raster.of(spacing)
    axes = {
        name: (
            name,
            values,
            {
                "units": "m",
                "axis": name.upper(),
                "standard_name": f"projection_{name}_coordinate",
                "long_name": f"Cartesian {name}-coordinate",
            },
        )
        for name, values in (("x", one.x), ("y", one.y))
    }
    ds = xr.Dataset(coords=axes, attrs={"Conventions": "CF-1.6", "title": "MEaSUREs velocity"})
    ds["coord_system"] = (
        (),
        np.array(b"", "S1"),
        {**STEREOGRAPHIC, **WGS84, "ellipsoid": "WGS84"},
    )
    for axis, values in (("X", one.u), ("Y", one.v)):
        low = axis.lower()
        ds[f"V{axis}"] = (
            ("y", "x"),
            one.on_ice(yearly(values), np.nan),
            {
                "units": "meter/year",
                "standard_name": f"land_ice_{low}_velocity",
                "long_name": f"Ice velocity in {low} direction",
                "grid_mapping": "coord_system",
                "coordinates": "lon lat",
            },
        )
        for kind, start in (("ERR", "err"), ("STD", "std")):
            ds[f"{kind}{axis}"] = (
                ("y", "x"),
                one.on_ice(np.full(one.ice.shape, 3.0), np.nan),
                {
                    "units": "meter/year",
                    "standard_name": f"{start}_ice_{low}_velocity",
                    "grid_mapping": "coord_system",
                },
            )
    ds["CNT"] = (("y", "x"), np.ones(one.ice.shape, "i4"), {"units": "Count"})
    if source:
        ds["SOURCE"] = (
            ("y", "x"),
            np.ones(one.ice.shape, "i1"),
            {
                "flag_values": "0b 1b 2b 3b",
                "flag_meanings": "none tracking-based phase-based interpolation-tracking-phase",
                "units": "None",
            },
        )
    for name in ("lat", "lon"):
        ds[name] = (("y", "x"), np.zeros(one.ice.shape), {"units": f"degrees_{name}"})
    ds.to_netcdf(path)
    return path


def two_files() -> tuple[xr.Dataset, xr.Dataset]:
    """Somebody's own: velocity on one grid; on another thickness, cut to the shelf, and a mask."""
    fine, coarse = Raster.of(450.0), Raster.of(500.0)
    velocity = fine.empty().assign(
        {
            name: (("y", "x"), np.where(fine.floating, yearly(values), np.nan), {"units": "m/yr"})
            for name, values in (("vx", fine.u), ("vy", fine.v))
        }
    )
    kind = np.select([coarse.floating, coarse.ice], [2, 1], 0).astype("i1")
    flags = {
        "flag_values": np.array([0, 1, 2], "i1"),
        "flag_meanings": "ocean grounded_ice floating_ice",
    }
    thickness = np.where(coarse.floating, coarse.h, np.nan)
    bed = coarse.empty().assign(
        thickness=(("y", "x"), thickness, {"units": "m"}), surface_type=(("y", "x"), kind, flags)
    )
    return velocity, bed


def multi_year(path: Path) -> Path:
    """NSIDC-0761: zero where there is nothing, a MASK without meanings."""
    one = Raster.of(450.0)
    ds = one.empty()
    ds["crs"] = ((), np.int32(0), {**STEREOGRAPHIC, **WGS84})
    for axis, values in (("X", one.u), ("Y", one.v)):
        ds[f"V{axis}"] = (
            ("y", "x"),
            one.on_ice(yearly(values), 0.0),
            {"units": "meter/year", "grid_mapping": "crs"},
        )
    ds["MASK"] = (("y", "x"), np.select([one.floating, one.ice], [2, 1], 0).astype("i1"))
    ds.to_netcdf(path)
    return path


def its_live(path: Path) -> Path:
    """ITS_LIVE v2 mosaic: no axis attributes, packed errors, masks whose zero is missing."""
    one = Raster.of(480.0)
    ds = one.empty()
    ds["mapping"] = ((), np.array(b"", "S1"), {**STEREOGRAPHIC, **WGS84})
    fields = {"vx": one.u, "vy": one.v, "v": np.hypot(one.u, one.v)}
    encoding: dict[str, dict] = {}
    for name, values in fields.items():
        attrs = {"units": "meter/year", "grid_mapping": "mapping"}
        if name != "v":
            attrs["standard_name"] = f"land_ice_surface_{name[1]}_velocity"
        ds[name] = (("y", "x"), one.on_ice(yearly(values), np.nan), attrs)
        encoding[name] = {"_FillValue": np.float32(-32767)}
    for name in ("vx_error", "vy_error"):
        ds[name] = (
            ("y", "x"),
            one.on_ice(np.full(one.ice.shape, 5.0), np.nan),
            {"units": "meter/year", "grid_mapping": "mapping"},
        )
        encoding[name] = {"_FillValue": np.uint16(32767), "dtype": "u2"}
    for name, mask in (("landice", one.ice), ("floatingice", one.floating)):
        ds[name] = (
            ("y", "x"),
            mask.astype("f4"),
            {
                "flag_values": np.array([0, 1], "u1"),
                "flag_meanings": "non-ice ice",
                "grid_mapping": "mapping",
            },
        )
        encoding[name] = {"dtype": "u1", "_FillValue": np.uint8(0)}
    ds.to_netcdf(path, encoding=encoding)
    return path


def its_live_tiles(folder: Path) -> list[Path]:
    """ITS_LIVE as Cloud-Optimised GeoTIFF: one band a file, -32767, no units anywhere."""
    import rioxarray  # noqa: F401

    one = Raster.of(480.0)
    paths = []
    for name, values in {"vx": one.u, "vy": one.v}.items():
        band = one.empty().assign({name: (("y", "x"), one.on_ice(yearly(values), -32767.0))})[name]
        paths.append(folder / f"ITS_LIVE_velocity_120m_RGI19A_0000_v02_{name}.tif")
        band.rio.write_crs("EPSG:3031").rio.write_nodata(-32767.0).rio.to_raster(
            paths[-1], tiled=True, compress="deflate"
        )
    return paths


def bedmachine(path: Path, version: int = 2) -> Path:
    """BedMachine Antarctica: int32 axes in "meter", zero thickness over ocean, Hughes 1980.

    Versions 1 to 4 share their core; the third has ``dataid`` and the fourth ``rgi`` besides.
    """
    one = Raster.of(500.0)
    ds = xr.Dataset(
        coords={"x": one.x.astype("i4"), "y": one.y.astype("i4")},
        attrs={
            "Conventions": "CF-1.7",
            "title": "BedMachine Antarctica",
            "no_data": -9999.0,
            "ice_density (kg m-3)": 917.0,
            "sea_water_density (kg m-3)": 1027.0,
        },
    )
    ds.x.attrs, ds.y.attrs = (
        {
            "units": "meter",
            "standard_name": f"projection_{axis}_coordinate",
            "long_name": f"Cartesian {axis}-coordinate",
        }
        for axis in "xy"
    )
    ds["mapping"] = (
        (),
        np.array(b"", "S1"),
        {**STEREOGRAPHIC, **HUGHES, "proj4": "+init=epsg:3031"},
    )
    names = {
        "surface": (0.1 * one.h, "surface_altitude"),
        "thickness": (one.h, "land_ice_thickness"),
        "bed": (-one.h, "bedrock_altitude"),
        "firn": (np.full(one.h.shape, 15.0), ""),
        "errbed": (np.full(one.h.shape, 30.0), ""),
    }
    for name, (values, standard) in names.items():
        attrs = {"units": "meters", "grid_mapping": "mapping", "long_name": f"{name} of the ice"}
        if standard:
            attrs["standard_name"] = standard
        ds[name] = (("y", "x"), one.on_ice(values, 0.0), attrs)
    ds["mask"] = (
        ("y", "x"),
        np.select([one.floating, one.ice], [3, 2], 0).astype("i1"),
        {
            "long_name": "mask",
            "grid_mapping": "mapping",
            "flag_values": np.array([0, 1, 2, 3, 4], "i1"),
            "flag_meanings": "ocean ice_free_land grounded_ice floating_ice lake_vostok",
        },
    )
    for name in (
        "source",
        *(["dataid"] if version >= 3 else []),
        *(["rgi"] if version > 3 else []),
    ):
        ds[name] = (("y", "x"), np.ones(one.ice.shape, "i1"), {"grid_mapping": "mapping"})
    ds.to_netcdf(path)
    return path


def bedmap3(path: Path) -> Path:
    """Bedmap3: total thickness, ocean as a fill value, a mask that does not tell its meanings."""
    one = Raster.of(500.0)
    ds = one.empty()
    ds["mapping"] = ((), np.int32(0), {**STEREOGRAPHIC, **WGS84})
    for name in ("ice_thickness", "surface_topography", "bed_topography", "thickness_uncertainty"):
        scale = {"ice_thickness": 1.0, "surface_topography": 0.1, "bed_topography": -1.0}
        values = scale[name] * one.h if name in scale else np.full(one.h.shape, 25.0)
        ds[name] = (
            ("y", "x"),
            one.on_ice(values, np.nan),
            {"units": "m", "grid_mapping": "mapping"},
        )
    ds["mask"] = (
        ("y", "x"),
        np.select([one.floating, one.ice], [3.0, 1.0], np.nan),
        {"grid_mapping": "mapping"},
    )
    ds.to_netcdf(path, encoding={"mask": {"dtype": "i2", "_FillValue": np.int16(-9999)}})
    return path


def ismip(path: Path) -> Path:
    """ISMIP6: model output, m s-1, one time, fractions for masks."""
    one = Raster.of(1000.0)
    ds = one.empty().isel(y=slice(None, None, -1)).assign_coords(time=[2015.0])
    fields = {
        "xvelmean": (one.u, "land_ice_vertical_mean_x_velocity", "m s-1"),
        "yvelmean": (one.v, "land_ice_vertical_mean_y_velocity", "m s-1"),
        "lithk": (one.h, "land_ice_thickness", "m"),
        "sftgif": (one.ice, "land_ice_area_fraction", "1"),
        "sftgrf": (one.ice & ~one.floating, "grounded_ice_sheet_area_fraction", "1"),
        "sftflf": (one.floating, "floating_ice_shelf_area_fraction", "1"),
    }
    for name, (values, standard, units) in fields.items():
        filled = values.astype("f4") if values.dtype == bool else one.on_ice(values, np.nan)
        ds[name] = (
            ("time", "y", "x"),
            filled[None, ::-1],
            {"standard_name": standard, "units": units},
        )
    ds.to_netcdf(path)
    return path


def issm(path: Path, changed: dict[str, np.ndarray | None] | None = None) -> Path:
    """ISSM: groups without any attributes, metres per year of ``yts``, elements from one.

    ``changed`` are variables ("group/name") to be written otherwise, besides, or not at all.
    """
    from netCDF4 import Dataset
    from scipy.spatial import Delaunay

    step = 1500.0
    rows, columns = np.mgrid[-HALF : HALF + 1 : step, -HALF : HALF + 1 : step]
    east, north = (
        (columns + 0.25 * step * (np.arange(len(rows)) % 2)[:, None]).ravel(),
        rows.ravel(),
    )
    one = Points(east, north)
    year = 365 * 86400.0
    polynya, rise = np.hypot(east - 8e3, north) - 3e3, np.hypot(east, north - 12e3) - 2.5e3
    ice = np.minimum(np.maximum(np.hypot(east, north) - RADIUS, -polynya), east - COAST)
    variables = {
        "mesh/x": east + CENTRE[0],
        "mesh/y": north + CENTRE[1],
        "mesh/elements": Delaunay(np.column_stack([east, north])).simplices + 1,
        "geometry/thickness": one.h,
        "geometry/surface": 0.1 * one.h,
        "initialization/vx": one.u * year,
        "initialization/vy": one.v * year,
        "mask/ice_levelset": ice,
        "mask/ocean_levelset": np.maximum(COAST - east, -rise),
        "constants/yts": np.array(year),
        "constants/g": np.array(9.81),
        **(changed or {}),
    }
    with Dataset(path, "w") as file:
        for name, values in variables.items():
            if values is None:
                continue
            for size in values.shape:
                if f"of_{size}" not in file.dimensions:
                    file.createDimension(f"of_{size}", size)
            dims = [f"of_{size}" for size in values.shape]
            file.createVariable(name, values.dtype, dims)[...] = values
    return path


def flown() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Points on lines 4 km apart: longitude, latitude, thickness and -9999 for a few of them."""
    from pyproj import Transformer

    east, north = (
        axis.ravel()
        for axis in np.meshgrid(np.arange(-28e3, 29e3, 4e3), np.arange(-28e3, 29e3, 500))
    )
    floating = (np.hypot(east, north) < RADIUS) & (east > COAST)
    one = Points(east[floating], north[floating])
    back = Transformer.from_crs(3031, 4326, always_xy=True)
    longitude, latitude = back.transform(one.east + CENTRE[0], one.north + CENTRE[1])
    thickness = np.where(np.arange(one.h.size) % 50 == 7, -9999.0, one.h)
    return longitude, latitude, thickness


def bedmap_points(path: Path) -> Path:
    """Bedmap CSV: comments, columns with units in brackets, -9999 in all of them."""
    names = (
        "trajectory_id,trace_number,longitude (degree_east),latitude (degree_north),date,time_UTC,"
        "surface_altitude (m),land_ice_thickness (m),bedrock_altitude (m),"
        "two_way_travel_time (m),aircraft_altitude (m),along_track_distance (m)"
    )
    lines = [f"#key{k}: value" for k in range(18)] + [names]
    for k, (longitude, latitude, h) in enumerate(zip(*flown(), strict=True)):
        lines.append(
            f"T1,{k},{longitude % 360:.8f},{latitude:.8f},-9999,-9999,-9999,{h:.4f},"
            "-9999,-9999,-9999,-9999"
        )
    path.write_text("\n".join(lines) + "\n")
    return path


def opr_points(path: Path) -> Path:
    """OPR level 2: capital names without units."""
    lines = ["LAT,LON,UTCTIMESOD,THICK,ELEVATION,FRAME,SURFACE,BOTTOM,QUALITY"]
    for longitude, latitude, h in zip(*flown(), strict=True):
        lines.append(f"{latitude:.8f},{longitude:.8f},0.0,{h:.4f},500,2018010101,40,{h:.4f},1")
    path.write_text("\n".join(lines) + "\n")
    return path


def mat(path: Path) -> Path:
    """DIFFICE_jax: arrays that know no units, NaN off the shelf in positions as well."""
    from scipy.io import savemat

    one = Raster.of(1000.0)
    x, y = one.east + CENTRE[0], one.north + CENTRE[1]
    shelf = one.floating
    fields = {"xd": x, "yd": y, "ud": one.u, "vd": one.v, "xd_h": x, "yd_h": y, "hd": one.h}
    angle = np.linspace(-2, 2, 200)
    front = np.column_stack([np.cos(angle), np.sin(angle)])
    savemat(
        path,
        {name: np.where(shelf, values, np.nan) for name, values in fields.items()}
        | {
            "xct": RADIUS * front[:, :1] + CENTRE[0],
            "yct": RADIUS * front[:, 1:] + CENTRE[1],
            "nnct": front,
        },
    )
    return path
