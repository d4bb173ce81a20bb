"""Predictions block by block: the same numbers, computed when and where they are asked for."""

from __future__ import annotations

import functools

import dask
import dask.array as da
import numpy as np
import pytest
import xarray as xr
from small_fits import disc, inverter

from xdiffice.errors import ParameterError
from xdiffice.results.evaluate import FittedModel


@pytest.fixture(scope="module")
def fitted():
    shelf = disc(coordinate_units="km", velocity_units="m yr-1", y_order="descending")
    return inverter(max_iterations=20).fit(shelf)


@pytest.fixture(scope="module")
def regions():
    return inverter(subdomains=2, frequency=2.0, max_iterations=20).fit(disc())


def raster(n: int = 70) -> xr.Dataset:
    """Template in m, wider than the shelf, rows from north to south."""
    step = 120e3 / n
    axis = -60e3 + step * np.arange(n)
    ds = xr.Dataset(coords={"x": axis, "y": axis[::-1]})
    for name in "xy":
        ds[name].attrs["units"] = "m"
    return ds


CHUNKS = [{"y": 33}, {"x": 17, "y": 70}, 25, (30, 40), {"y": -1, "x": 1}, "auto"]


@pytest.mark.parametrize("chunks", CHUNKS, ids=str)
def test_blocks_are_what_the_whole_is(fitted, chunks):
    whole, lazy = fitted.predict(raster()), fitted.predict(raster(), chunks=chunks)
    assert all(isinstance(lazy[name].data, da.Array) for name in whole.data_vars)
    drop = ["history"]
    assert {k: v for k, v in lazy.attrs.items() if k not in drop} == {
        k: v for k, v in whole.attrs.items() if k not in drop
    }
    computed = lazy.compute(scheduler="synchronous")
    for name in whole.variables:
        assert computed[name].dtype == whole[name].dtype == lazy[name].dtype
        assert computed[name].attrs == whole[name].attrs
        np.testing.assert_allclose(computed[name], whole[name], rtol=1e-12)
    assert whole["viscosity"].isnull().any()
    assert whole["viscosity"].notnull().any()


def test_regions_and_points(regions):
    x, y = np.random.default_rng(0).uniform(-50e3, 50e3, (2, 400))
    template = xr.Dataset(coords={"x": ("shot", x), "y": ("shot", y)})
    whole = regions.predict(template)
    lazy = regions.predict(template, chunks={"shot": 150})
    assert lazy["viscosity"].chunks == ((150, 150, 100),)
    for name in whole.data_vars:
        np.testing.assert_allclose(lazy[name].values, whole[name], rtol=1e-12)


def test_a_template_in_chunks_lends_them(fitted):
    template = raster().assign(a=(("y", "x"), da.zeros((70, 70), chunks=(20, 35))))
    for one in (template, template["a"]):
        assert fitted.predict(one)["viscosity"].chunks == ((20, 20, 20, 10), (35, 35))
    turned = fitted.predict(template["a"].transpose("x", "y"))
    assert turned["viscosity"].chunks == ((35, 35), (20, 20, 20, 10))
    assert fitted.predict(template.compute())["viscosity"].chunks is None


def test_only_what_is_asked_for_is_computed(fitted, monkeypatch):
    seen = []
    evaluate = FittedModel.evaluate

    def counted(self, x, y, variables):
        seen.append((x.size, tuple(variables)))
        return evaluate(self, x, y, variables)

    monkeypatch.setattr(FittedModel, "evaluate", counted)
    lazy = fitted.predict(raster(), variables=["thickness"], chunks={"y": 5, "x": 70})
    assert not seen
    on_shelf = int(lazy["thickness"].isel(y=slice(30, 35)).notnull().sum())
    assert seen == [(on_shelf, ("thickness",))]  # one block of 14, and nothing off the shelf
    assert 0 < on_shelf < 350
    seen.clear()
    lazy["thickness"].isel(y=slice(0, 5)).compute()
    assert not seen


def test_it_goes_to_a_file_block_by_block(fitted, tmp_path):
    lazy = fitted.predict(raster(), chunks={"y": 20})
    whole = fitted.predict(raster())
    # Zarr warns of what xarray does by default.
    to_zarr = functools.partial(lazy.to_zarr, consolidated=False)
    open_zarr = functools.partial(xr.open_zarr, consolidated=False)
    for path, write, read in (
        (tmp_path / "out.zarr", to_zarr, open_zarr),
        (tmp_path / "out.nc", lazy.to_netcdf, xr.open_dataset),
    ):
        write(path)
        with read(path) as back:
            for name in whole.data_vars:
                np.testing.assert_allclose(back[name], whole[name], rtol=1e-12)
                assert back[name].dtype == whole[name].dtype


@pytest.mark.parametrize("scheduler", ["synchronous", "threads", "processes"])
def test_any_scheduler_computes_the_same(fitted, scheduler):
    whole = fitted.predict(raster(), variables=["viscosity"])["viscosity"]
    lazy = fitted.predict(raster(), variables=["viscosity"], chunks=35)["viscosity"]
    with dask.config.set({"multiprocessing.context": "spawn"}):
        found = lazy.compute(scheduler=scheduler, num_workers=2)
    np.testing.assert_array_equal(found, whole)


@pytest.mark.parametrize("workers", [2, pytest.param(1, marks=pytest.mark.slow)])
def test_a_cluster_computes_the_same(fitted, workers):
    from distributed import Client, LocalCluster

    whole = fitted.predict(raster(), variables=["viscosity"])["viscosity"]
    lazy = fitted.predict(raster(), variables=["viscosity"], chunks=35)["viscosity"]
    with (
        LocalCluster(
            n_workers=workers, threads_per_worker=1, dashboard_address="127.0.0.1:0"
        ) as cluster,
        Client(cluster),
    ):
        found = lazy.compute()
    np.testing.assert_array_equal(found, whole)


@pytest.mark.parametrize(
    ("chunks", "message"),
    [
        ({"z": 3}, "chunks has 'z'; the output has 'y', 'x'"),
        ((3, 4, 5), r"chunks=\(3, 4, 5\) do not fit {'y': 70, 'x': 70}"),
        ({"y": (3, 4)}, "do not fit"),
        ("many", "do not fit"),
    ],
)
def test_chunks_that_do_not_fit_are_refused(fitted, chunks, message):
    with pytest.raises(ParameterError, match=message):
        fitted.predict(raster(), chunks=chunks)


def test_variables_in_different_chunks_are_refused(fitted):
    def field(size):
        return (("y", "x"), da.zeros((70, 70), chunks=size))

    with pytest.raises(ParameterError, match="chunked differently"):
        fitted.predict(raster().assign(a=field(20), b=field(30)))
