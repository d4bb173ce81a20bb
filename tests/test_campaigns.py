"""Campaigns: every run ends in the store or in a sentence, whatever is killed on the way."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from pathlib import Path

import dask
import numpy as np
import pandas as pd
import pytest
import xarray as xr
from distributed import Client, LocalCluster
from small_fits import disc, inverter

import xdiffice
from xdiffice import (
    CampaignInterruptedError,
    InputTypeError,
    OutputExistsError,
    ParameterError,
    campaign,
)
from xdiffice.campaigns.archive import Archive
from xdiffice.campaigns.local import local_client
from xdiffice.campaigns.runs import runs_of

YEARS = np.array(["2015-07-01", "2016-07-01"], "datetime64[ns]")


def shelf_in_time(number: int) -> xr.Dataset:
    """Return a shelf whose drift differs from year to year; front and thickness do not."""
    epochs = [disc(drift=(1e-6 * (number + 3 * k), -2e-6), noise=0.01, seed=k) for k in (0, 1)]
    time = xr.DataArray(YEARS, dims="time", name="time")
    moving = [epoch[["x_velocity", "y_velocity"]] for epoch in epochs]
    joined = xr.concat(moving, dim=time)
    return epochs[0].drop_vars(["x_velocity", "y_velocity"]).merge(joined)


def poisoned(shelf: xr.Dataset) -> xr.Dataset:
    return shelf.assign(thickness=shelf["thickness"].where(False))


def shelves(n: int, bad: int | None = None) -> dict[str, xr.Dataset]:
    return {
        f"shelf_{k}": poisoned(shelf_in_time(k)) if k == bad else shelf_in_time(k) for k in range(n)
    }


@pytest.fixture(scope="module")
def client():
    with (
        LocalCluster(n_workers=1, threads_per_worker=1, dashboard_address="127.0.0.1:0") as cluster,
        Client(cluster) as client,
    ):
        yield client


def quiet(*args, **kwargs) -> xdiffice.Campaign:
    return campaign(*args, progress=False, **kwargs)


def test_shelves_epochs_and_sets_each_have_a_group(client, tmp_path):
    sets = {"smooth": inverter(roughness_weight=1e-3), "plain": inverter()}
    data = {"a": shelf_in_time(0), "b": disc()}
    done = quiet(data, sets, tmp_path / "all.zarr", client, variables=["viscosity"])
    assert list(done.table.index) == [
        "a/2015-07-01/smooth",
        "a/2016-07-01/smooth",
        "a/2015-07-01/plain",
        "a/2016-07-01/plain",
        "b/smooth",
        "b/plain",
    ]
    assert (done.table["status"] == "complete").all()
    assert (done.table["outcome"] == "computed").all()
    assert (done.table["stop_reason"] == "max_iterations").all()
    assert isinstance(done.table, pd.DataFrame)
    tree = done.open()
    with xr.open_datatree(tmp_path / "all.zarr", engine="zarr", consolidated=False) as own:
        assert {node.path for node in own.subtree} == {node.path for node in tree.subtree}
    for name, row in done.table.iterrows():
        node = tree[name]
        shelf, *rest = name.split("/")
        expected = data[shelf]
        if "time" in expected.dims:
            expected = expected.sel(time=rest[0]).squeeze()
            assert node["time"].values == expected["time"].values
        alone = sets[rest[-1]].fit(expected)
        xr.testing.assert_allclose(
            node.to_dataset()["viscosity"].drop_vars("time", errors="ignore"),
            alone.predict(variables=["viscosity"])["viscosity"].drop_vars("time", errors="ignore"),
            rtol=1e-8,
        )
        assert list(node.data_vars) == ["viscosity"]
        assert row["misfit_thickness"] == pytest.approx(alone.misfit_["thickness"], rel=1e-8)
        assert '"roughness_weight"' in node.attrs["configuration"]
        xr.testing.assert_allclose(
            done.model(name).predict(variables=["viscosity"])["viscosity"],
            node.to_dataset()["viscosity"],
        )
    again = quiet(data, sets, tmp_path / "all.zarr", client)
    assert (again.table["outcome"] == "skipped").all()
    more = data | {"c": disc(drift=(0.0, 3e-6))}
    more = quiet(more, sets, tmp_path / "all.zarr", client)
    assert list(more.table["outcome"]) == ["skipped"] * 6 + ["computed"] * 2
    assert "8 runs, 6 skipped, 2 computed" in repr(more)


def test_local_workers_keep_to_their_cores_and_share_what_they_compile(monkeypatch):
    monkeypatch.delenv("JAX_COMPILATION_CACHE_DIR", raising=False)
    with local_client(n_workers=2, threads_per_worker=1, memory_limit=None) as client:
        found = [*client.run(lambda: dict(os.environ)).values()]
    names = ("PJRT_NPROC", "MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_THRESHOLD_")
    assert [[one[name] for name in names] for one in found] == [["1", "67108864", "33554432"]] * 2
    shared = {one["JAX_COMPILATION_CACHE_DIR"] for one in found}
    assert len(shared) == 1
    assert not Path(shared.pop()).exists()  # it was for this call


def test_settings_of_memory_that_a_user_has_chosen_are_left_alone(monkeypatch):
    own = {"MALLOC_TRIM_THRESHOLD_": 1 << 20}
    monkeypatch.setenv("JAX_COMPILATION_CACHE_DIR", "/somewhere")
    with (
        dask.config.set({"distributed.nanny.pre-spawn-environ": own}),
        local_client(n_workers=1, threads_per_worker=1, memory_limit=None) as client,
    ):
        (found,) = client.run(lambda: dict(os.environ)).values()
    assert found["MALLOC_TRIM_THRESHOLD_"] == str(1 << 20)
    assert "MALLOC_MMAP_THRESHOLD_" not in found
    assert found["JAX_COMPILATION_CACHE_DIR"] == "/somewhere"


def test_what_failed_is_told_and_tried_again(client, tmp_path):
    data = {"good": disc(), "bad": poisoned(disc()), "gone": tmp_path / "no.nc"}
    done = quiet(data, inverter(), tmp_path / "some.zarr", client)
    assert list(done.table["outcome"]) == ["computed", "failed", "failed"]
    assert (
        "DataValuesError: all values of 'thickness' are missing" in done.table.loc["bad", "error"]
    )
    assert "there is no file" in done.table.loc["gone", "error"]
    assert done.open()["bad"].attrs["status"] == "failed"
    assert not done.open()["bad"].data_vars
    disc().to_netcdf(tmp_path / "no.nc")
    again = quiet(data | {"bad": disc()}, inverter(), tmp_path / "some.zarr", client)
    assert list(again.table["outcome"]) == ["skipped", "retried", "retried"]
    assert (again.table["status"] == "complete").all()
    viscosity = [again.open()[name]["viscosity"].values for name in data]
    np.testing.assert_array_equal(viscosity[0], viscosity[1])
    np.testing.assert_array_equal(viscosity[0], viscosity[2])


def test_other_parameters_do_not_pass_for_those_that_were_used(client, tmp_path):
    store = tmp_path / "one.zarr"
    quiet({"a": disc()}, inverter(), store, client)
    for data, other in (
        (disc(), inverter(max_iterations=31)),
        (disc(shape=(29, 30)), inverter()),
    ):
        with pytest.raises(OutputExistsError, match=r"1 runs .* other parameters .*: a; choose"):
            quiet({"a": data}, other, store, client)
    before = Archive(store).record("a")
    done = quiet({"a": disc()}, inverter(max_iterations=31), store, client, overwrite=True)
    assert done.table.loc["a", "n_iter"] == 31
    assert before["identity"] != Archive(store).record("a")["identity"]
    bad = quiet({"a": poisoned(disc())}, inverter(), store, client, overwrite=True)
    assert list(bad.table["outcome"]) == ["failed"]
    assert done.open()["a"].attrs["n_iter"] == 31  # what is good is kept


def test_later_epochs_start_from_earlier_ones(client, tmp_path):
    data = {"a": shelf_in_time(1)}
    options = {"warm_start": True, "max_iterations": 60}
    done = quiet(data, inverter(**options), tmp_path / "warm.zarr", client)
    assert list(done.table["started_from"]) == ["", "a/2015-07-01"]
    first = inverter(**options).fit(data["a"].isel(time=0))
    expected = first.fit(data["a"].isel(time=1)).predict(variables=["viscosity"])["viscosity"]
    found = done.open()["a/2016-07-01"]["viscosity"]
    np.testing.assert_allclose(found, expected, rtol=1e-8)
    # Lost in between: the second epoch is the same when it is done alone.
    store = tmp_path / "warm.zarr"
    for file in (store / "a" / "2016-07-01").rglob("*"):
        if file.is_file():
            file.unlink()
    again = quiet(data, inverter(**options), store, client)
    assert list(again.table["outcome"]) == ["skipped", "computed"]
    np.testing.assert_array_equal(again.open()["a/2016-07-01"]["viscosity"], found)


def test_files_of_a_continent_are_cut_by_the_workers(client, tmp_path):
    both = disc()
    both[["x_velocity", "y_velocity"]].to_netcdf(tmp_path / "velocity.nc")
    both[["thickness"]].to_netcdf(tmp_path / "thickness.nc")
    front = both[["x_front", "y_front", "x_normal", "y_normal"]]
    given = {
        "velocity": tmp_path / "velocity.nc",
        "thickness": tmp_path / "thickness.nc",
        "front": front,
    }
    box = (-40e3, -40e3, 40e3, 40e3)
    done = quiet(
        {"whole": given, "part": given | {"bbox": box}},
        inverter(max_iterations=5),
        tmp_path / "cut.zarr",
        client,
    )
    assert list(done.table["status"]) == ["complete", "complete"]
    tree = done.open()
    assert tree["whole"]["viscosity"].sizes["x"] == 30
    assert tree["part"]["viscosity"].sizes["x"] < 30


BAD = [
    ([disc()], inverter(), InputTypeError, "datasets is a mapping .* got list"),
    ({}, inverter(), ParameterError, "datasets is empty"),
    ({"a": disc()}, {}, ParameterError, "inverter is empty"),
    ({"a/b": disc()}, inverter(), ParameterError, r"\['a/b'\] cannot be names"),
    ({".a": disc()}, {"": inverter(), "..": inverter()}, ParameterError, r"\['.a', '', '..'\]"),
    ({"a": {"speed": disc()}}, inverter(), ParameterError, r"datasets\['a'\] has speed; velocity"),
    ({"a": disc()}, {"x": "glen"}, InputTypeError, "inverter 'x' is a str"),
    ({"a": disc()}, inverter(width=-1), ParameterError, "width=-1"),
    ({"a": disc()}, inverter(random_state=None), ParameterError, "repeatable with a whole number"),
]


@pytest.mark.parametrize(("data", "given", "error", "message"), BAD)
def test_what_cannot_be_is_said_before_anything_begins(tmp_path, data, given, error, message):
    with pytest.raises(error, match=message):
        quiet(data, given, tmp_path / "store.zarr")
    assert not any(tmp_path.iterdir())


def test_another_directory_is_left_alone(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(xdiffice.FileFormatError, match="no Zarr store"):
        quiet({"a": disc()}, inverter(), tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


def test_times_have_names(tmp_path):
    def names(times) -> list[str]:
        shelf = disc().expand_dims(time=times)
        return [run.name for run in runs_of({"a": shelf}, inverter())]

    assert names(YEARS) == ["a/2015-07-01", "a/2016-07-01"]
    hours = np.array(["2015-07-01T01", "2015-07-01T02"], "datetime64[ns]")
    assert names(hours) == ["a/2015-07-01T01-00-00", "a/2015-07-01T02-00-00"]
    assert names([2015, 2016.5]) == ["a/2015.0", "a/2016.5"]
    later = xr.date_range("2015-01-01", periods=2, calendar="noleap", use_cftime=True)
    assert names(later) == ["a/2015-01-01 00-00-00", "a/2015-01-02 00-00-00"]
    assert names(YEARS[:1]) == ["a/2015-07-01"]
    assert [run.name for run in runs_of({"a": disc()}, inverter())] == ["a"]
    with pytest.raises(ParameterError, match="not all different"):
        names(YEARS[[0, 0]])


def test_more_epochs_and_moved_files_are_no_other_data(tmp_path):
    def identities(data) -> dict[str, str]:
        return {run.name: run.identity for run in runs_of({"a": data}, inverter())}

    both = shelf_in_time(0)
    assert identities(both.isel(time=[0])).items() <= identities(both).items()
    for folder in ("here", "there"):
        (tmp_path / folder).mkdir()
        disc().to_netcdf(tmp_path / folder / "a.nc")
    assert identities(tmp_path / "here" / "a.nc") == identities(tmp_path / "there" / "a.nc")


@contextmanager
def cluster_of_processes(n_workers: int):
    """Start a scheduler and workers as programs of their own; hand on the address and scheduler."""
    environment = os.environ | {"PJRT_NPROC": "1", "DASK_DISTRIBUTED__ADMIN__TICK__LIMIT": "1h"}
    here = str(Path(__file__).parent)
    environment["PYTHONPATH"] = os.pathsep.join([here, environment.get("PYTHONPATH", "")])

    def start(module: str, *arguments: str) -> subprocess.Popen:
        return subprocess.Popen(
            [sys.executable, "-m", f"distributed.cli.{module}", *arguments],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            env=environment,
            text=True,
        )

    scheduler = start("dask_scheduler", "--port", "0", "--no-dashboard", "--host", "127.0.0.1")
    processes = [scheduler]
    try:
        address = next(
            word for line in scheduler.stderr for word in line.split() if word.startswith("tcp://")
        )
        drain(scheduler)
        for _ in range(n_workers):
            worker = start(
                "dask_worker", address, "--nthreads", "1", "--no-dashboard", "--death-timeout", "5"
            )
            processes.append(worker)
            drain(worker)
        yield address, scheduler
    finally:
        for process in processes:
            process.kill()
            process.wait()
            process.stderr.close()


def drain(process: subprocess.Popen) -> None:
    threading.Thread(target=process.stderr.read, daemon=True).start()


def complete(archive: Archive, names: list[str]) -> dict[str, dict]:
    records = {name: archive.record(name) for name in names}
    return {name: one for name, one in records.items() if one["status"] == "complete"}


def wait_for(condition, seconds: float = 240.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


@pytest.mark.parametrize("n", [3, pytest.param(12, marks=pytest.mark.slow)])
def test_whatever_is_killed_the_second_call_completes_it(tmp_path, n):
    """A worker and the scheduler are killed (-9); one shelf is all NaN."""
    data, given = shelves(n, bad=1), inverter(max_iterations=150)
    names = [run.name for run in runs_of(data, given)]
    assert len(names) == 2 * n
    good = [name for name in names if not name.startswith("shelf_1/")]
    archive = Archive(tmp_path / "killed.zarr")
    errors = []

    def first_call(address: str) -> None:
        try:
            quiet(data, given, archive.path, address)
        except CampaignInterruptedError as error:
            errors.append(error)

    with cluster_of_processes(2) as (address, scheduler):
        with Client(address, set_as_default=False) as watching:
            watching.wait_for_workers(2)
            call = threading.Thread(target=first_call, args=(address,))
            call.start()
            wait_for(lambda: len(complete(archive, names)) >= 1)
            worker = next(iter(watching.run(os.getpid).values()))
            os.kill(worker, signal.SIGKILL)
            wait_for(lambda: len(complete(archive, names)) >= max(2, n // 2))
            scheduler.kill()
        call.join(120)
    assert not call.is_alive()
    assert "call again to do the others" in str(errors[0])
    time.sleep(1.0)  # for a worker that was about to write
    before = complete(archive, names)
    assert 2 <= len(before) < len(good)
    done = quiet(data, given, archive.path, n_workers=2)
    assert list(done.table.index) == names
    assert list(done.table.index[done.table["status"] == "complete"]) == good
    failed = done.table[done.table["status"] == "failed"]
    assert len(failed) == 2
    assert failed["error"].str.contains("thickness").all()
    assert set(done.table.index[done.table["outcome"] == "skipped"]) == set(before)
    assert {name: archive.record(name) for name in before} == before  # not computed twice
    undisturbed = quiet(data, given, tmp_path / "undisturbed.zarr", n_workers=1)
    one, other = undisturbed.open(), done.open()
    for name in good:
        xr.testing.assert_equal(one[name].to_dataset(), other[name].to_dataset())
        theta = [result.model(name).model_.theta for result in (undisturbed, done)]
        np.testing.assert_array_equal(*theta)
