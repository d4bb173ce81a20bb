"""The viscosity that training starts from is near the truth, for any shelf and cut."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from small_fits import inverter

import xdiffice
import xdiffice.inversion
from xdiffice.errors import XdifficeError
from xdiffice.first_viscosity import NODES_OF_A_REGION, coarsened, first_viscosity


class EnoughError(XdifficeError):
    """Ends a fit whose beginning is all that is looked at."""


def beginning(monkeypatch, shelf, **parameters):
    """Return the first viscosity of a fit, and the model whose motion it belongs to."""
    found = {}

    def noted(fitted, front, velocity_error):
        found["model"] = fitted
        found["at"] = first_viscosity(fitted, front, velocity_error)
        raise EnoughError

    monkeypatch.setattr(xdiffice.inversion, "first_viscosity", noted)
    with pytest.raises(EnoughError):
        inverter(max_iterations=1000, **parameters).fit(shelf)
    return found["model"], found["at"]


def errors(shelf, model, logarithms) -> np.ndarray:
    """Error of log μ at all pixels, each as the region sees it that it belongs to."""
    x, y = (axis.ravel() for axis in np.meshgrid(shelf["x"].values, shelf["y"].values))
    true = np.log(shelf["viscosity"].transpose("y", "x").values.ravel())
    known, error = np.isfinite(true), np.full(true.size, np.nan)
    region = model.partition.region_at(x, y)
    for k, scales in enumerate(model.region_scales):
        own = known & (region == k)
        (log,) = logarithms(k, scales.x.to_unit(x[own]), scales.y.to_unit(y[own]))
        error[own] = log + np.log(scales.viscosity) - true[own]
    return error[known]


@pytest.mark.parametrize("subdomains", [1, 3])
@pytest.mark.parametrize("noise", [0.0, 0.03])
def test_it_is_within_some_percent_between_walls(monkeypatch, noise, subdomains):
    shelf = xdiffice.synthetic.confined_shelf((60, 90), noise=noise, mesh_size=2500.0)
    found = errors(shelf, *beginning(monkeypatch, shelf, subdomains=subdomains))
    assert np.median(np.abs(found)) < 0.08
    assert np.sqrt(np.mean(found**2)) < 0.2


def test_it_does_not_depend_on_the_order_of_rows(monkeypatch):
    shelf = xdiffice.synthetic.confined_shelf((40, 60), mesh_size=4000.0)
    found = errors(shelf, *beginning(monkeypatch, shelf))
    turned = shelf.isel(y=slice(None, None, -1))
    other = errors(turned, *beginning(monkeypatch, turned))
    assert np.median(np.abs(found)) < 0.08
    assert np.median(np.abs(other)) < 0.08


@dataclass
class Raster:
    """What is asked of a partition."""

    inside: np.ndarray
    n: int = 1
    side: float = 10.0

    @property
    def x(self):
        return 5.0 + self.side * np.arange(self.inside.shape[1])

    @property
    def y(self):
        return -5.0 + self.side * np.arange(self.inside.shape[0])


def test_small_rasters_are_taken_as_they_are():
    inside = np.random.default_rng(0).uniform(size=(7, 9)) < 0.6
    x, y, cells = coarsened(Raster(inside))
    np.testing.assert_array_equal(cells, inside)
    np.testing.assert_allclose(x, 10.0 * np.arange(10))
    np.testing.assert_allclose(y, 10.0 * np.arange(8) - 10.0)


def test_cells_of_large_rasters_are_taken_together():
    inside = np.zeros((301, 200), bool)
    inside[4:301, 8:180] = True
    x, y, cells = coarsened(Raster(inside))
    every = round((x[1] - x[0]) / 10)
    assert every == np.ceil(np.sqrt(inside.sum() / NODES_OF_A_REGION)) == 5
    assert cells.shape == (y.size - 1, x.size - 1) == (61, 40)
    assert np.ptp(x) >= 2000
    assert np.ptp(y) >= 3010
    # Half of a cell decides: the shelf keeps its area, but for a strip along its edge.
    assert cells.sum() * every**2 == pytest.approx(inside.sum(), rel=0.03)
    assert coarsened(Raster(inside, n=4))[2].sum() > 2.5 * cells.sum()


def test_a_shelf_narrower_than_the_cells_is_kept():
    inside = np.zeros((1200, 1200), bool)
    inside[:, ::40] = True  # fjords one pixel wide, a quarter of a cell
    x, _, cells = coarsened(Raster(inside))
    assert x[1] - x[0] == 40.0
    assert cells.sum() == 300 * 30
