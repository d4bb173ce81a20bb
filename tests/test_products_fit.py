"""Files of every product become the viscosity of the shelf that they were written from."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from small_fits import inverter

import xdiffice
from xdiffice.physics.constants import PhysicalConstants


def shelf_of(products, kind: str, folder: Path) -> xr.Dataset:
    """Assemble the shelf from the files of one product, or of two."""
    versions = {"measures": 1, "older measures": 3, "its_live tiles": 4}
    bed = products.bedmachine(folder / "bed.nc", versions.get(kind, 2))
    box = (*np.subtract(products.CENTRE, 42e3), *np.add(products.CENTRE, 42e3))
    if kind == "measures":
        return xdiffice.assemble(products.measures(folder / "v.nc"), bed, bbox=box)
    if kind == "older measures":
        path = products.measures(folder / "v.nc", source=False)
        return xdiffice.assemble(path, bed, seed_point=products.CENTRE)
    if kind == "its_live":
        return xdiffice.assemble(
            products.its_live(folder / "v.nc"),
            products.bedmap3(folder / "h.nc"),
            mask=xr.open_dataset(folder / "h.nc"),
            seed_point=products.CENTRE,
        )
    if kind == "multi-year":
        return xdiffice.assemble(
            products.multi_year(folder / "v.nc"),
            xr.open_dataset(bed)["thickness"],
            bbox=box,
            floating_values=2,
            ocean_values=0,
        )
    if kind == "its_live tiles":
        tiles = products.its_live_tiles(folder)
        units = {"vx": "m yr-1", "vy": "m yr-1"}
        return xdiffice.assemble(tiles, bed, seed_point=products.CENTRE, units=units)
    if kind in ("bedmap points", "opr points"):
        write = products.bedmap_points if kind == "bedmap points" else products.opr_points
        points = xdiffice.open_flight_lines(write(folder / "lines.csv"))
        velocity = products.measures(folder / "v.nc")
        return xdiffice.assemble(velocity, points, xr.open_dataset(bed)["mask"], bbox=box)
    if kind == "issm":
        return xdiffice.assemble(xdiffice.open_issm(products.issm(folder / "model.nc")), bbox=box)
    if kind == "diffice mat":
        data = xdiffice.open_diffice_mat(products.mat(folder / "s.mat"), velocity_units="m s-1")
        return xdiffice.assemble(data, bbox=box)
    return xdiffice.assemble(products.ismip(folder / "model.nc"), bbox=box)


@pytest.mark.parametrize(
    "kind",
    [
        "measures",
        "older measures",
        "its_live",
        "its_live tiles",
        "multi-year",
        "ismip",
        "bedmap points",
        "opr points",
        "issm",
        "diffice mat",
    ],
)
def test_a_product_becomes_its_viscosity(products, kind, tmp_path):
    shelf = shelf_of(products, kind, tmp_path)
    found = inverter(max_iterations=1500).fit(shelf).predict()["viscosity"]
    x, y = (found[name].values for name in "xy")
    truth = products.true_viscosity(x, y[:, None], PhysicalConstants())
    known = np.isfinite(found.values)
    error = np.linalg.norm((found.values - truth)[known]) / np.linalg.norm(truth[known])
    assert known.sum() == pytest.approx(int(shelf["floating_ice"].sum()), rel=0.3)
    assert error < 0.02, error
