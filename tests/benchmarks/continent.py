"""What it costs to cut one shelf out of rasters of a continent: seconds, memory, blocks.

    python continent.py FOLDER

Writes a velocity of 12 445 x 12 445 and a geometry of 13 333 x 13 333 pixels into FOLDER (float32,
blocks of 500 x 500, compressed) unless they are there, with one round shelf of 500 km in them, and
assembles it in a fresh process for each way to say which shelf is meant.
"""

from __future__ import annotations

import argparse
import os
import platform
import subprocess
import sys
from pathlib import Path

import dask.array as da
import numpy as np
import xarray as xr

CENTRE, RADIUS, BLOCK = (-600e3, -900e3), 250e3, 500
STEREOGRAPHIC = {
    "grid_mapping_name": "polar_stereographic",
    "straight_vertical_longitude_from_pole": 0.0,
    "standard_parallel": -71.0,
}
PROBE = """
import sys, time
import dask.callbacks, xarray as xr, xdiffice
from xdiffice.observations.shelf import assemble
xr.open_dataset(sys.argv[1], chunks={}).close()
def highest():  # kB; ru_maxrss would be that of the parent, if it was larger
    return int(open("/proc/self/status").read().split("VmHWM:")[1].split()[0])
before = highest()
read = []
def note(key, *_):
    name = key[0] if isinstance(key, tuple) else key
    if isinstance(name, str) and name.startswith("open_dataset") and isinstance(key, tuple):
        read.append(name.removeprefix("open_dataset-").split("-")[0])
start = time.perf_counter()
with dask.callbacks.Callback(pretask=note):
    shelf = assemble(sys.argv[1], sys.argv[2], **eval(sys.argv[3]))
seconds = time.perf_counter() - start
peak = highest() - before
print(f"{seconds:.1f} | {peak / 1024:.0f} | {len(read)} | {dict(shelf.sizes)}")
"""


def axis(number: int, spacing: float) -> np.ndarray:
    return (np.arange(number) - (number - 1) / 2) * spacing


def raster(number: int, spacing: float, function):
    """A lazy raster, rows from north to south, of a function of x and y."""
    along = axis(number, spacing)
    x = da.from_array(along, chunks=BLOCK)[None, :]
    y = da.from_array(along[::-1], chunks=BLOCK)[:, None]
    return da.map_blocks(
        lambda x, y: function(x, y).astype("f4"),
        x,
        y,
        dtype="f4",
        chunks=(y.chunks[0], x.chunks[1]),
    )


def away(x, y):
    return np.hypot(x - CENTRE[0], y - CENTRE[1])


def thickness(x, y):
    return np.where(away(x, y) < RADIUS, 400 - 1e-4 * (x - CENTRE[0]), 0)


def mask_values(x, y):
    return np.where(away(x, y) < RADIUS, 3, np.where(x < CENTRE[0] - RADIUS, 2, 0))


def write(path: Path, number: int, spacing: float, fields: dict, units: dict, integer=()) -> None:
    along = axis(number, spacing)
    ds = xr.Dataset(coords={"x": along, "y": along[::-1]})
    for name in "xy":
        ds[name].attrs = {"units": "m", "standard_name": f"projection_{name}_coordinate"}
    ds["mapping"] = ((), np.int32(0), STEREOGRAPHIC)
    encoding = {}
    for name, function in fields.items():
        data = raster(number, spacing, function)
        encoding[name] = {"zlib": True, "complevel": 1, "chunksizes": (BLOCK, BLOCK)}
        if name in integer:
            data = data.astype("i1")
        ds[name] = (("y", "x"), data, {"grid_mapping": "mapping", **units.get(name, {})})
    part = path.with_suffix(".part")
    ds.to_netcdf(part, encoding=encoding)
    part.rename(path)


def write_continent(folder: Path) -> tuple[Path, Path]:
    folder.mkdir(parents=True, exist_ok=True)
    velocity, geometry = folder / "velocity.nc", folder / "geometry.nc"
    speed = {"units": "meter/year"}
    if not velocity.exists():
        fields = {
            "VX": lambda x, y: np.where(
                away(x, y) < 2 * RADIUS, 1e-3 * (x - CENTRE[0]) + 9, np.nan
            ),
            "VY": lambda x, y: np.where(
                away(x, y) < 2 * RADIUS, 1e-3 * (y - CENTRE[1]) + 9, np.nan
            ),
            "ERRX": lambda x, y: np.full(np.broadcast_shapes(x.shape, y.shape), 3.0),
            "ERRY": lambda x, y: np.full(np.broadcast_shapes(x.shape, y.shape), 3.0),
        }
        write(velocity, 12445, 450.0, fields, dict.fromkeys(fields, speed))
    if not geometry.exists():
        fields = {"thickness": thickness, "mask": mask_values}
        mask = {
            "flag_values": np.arange(5, dtype="i1"),
            "flag_meanings": "ocean ice_free_land grounded_ice floating_ice lake_vostok",
        }
        units = {"thickness": {"units": "meters"}, "mask": mask}
        write(geometry, 13333, 500.0, fields, units, integer=("mask",))
    return velocity, geometry


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    velocity, geometry = write_continent(parser.parse_args().folder)
    sizes = ", ".join(f"{p.name} {p.stat().st_size / 1e6:.0f} MB" for p in (velocity, geometry))
    print(f"{platform.machine()}, {os.cpu_count()} cores; {sizes}")
    print("| shelf by | seconds | peak above import, MB | blocks read | sizes |")
    print("| --- | --- | --- | --- | --- |")
    margin = 1.04 * RADIUS
    box = tuple(c + sign * margin for sign in (-1, 1) for c in CENTRE)
    for how in (f"dict(bbox={box})", f"dict(seed_point={CENTRE})"):
        command = [sys.executable, "-c", PROBE, str(velocity), str(geometry), how]
        out = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        print(f"| {how.split('(')[1].split('=')[0]} | {out.strip()} |", flush=True)


if __name__ == "__main__":
    main()
