"""Checkpoints: killed, terminated, on a full disk, a training ends where it would have ended."""

from __future__ import annotations

import errno
import itertools
import json
import os
import pickle
import signal
import subprocess
import sys
import time
import warnings
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from small_fits import disc, inverter

import xdiffice
from xdiffice import CheckpointWarning, FileFormatError, ParameterError
from xdiffice.results import writing
from xdiffice.training.loop import Descent
from xdiffice.training.objectives import FitAll

HERE = Path(__file__).resolve().parent
# Many samples, each of a moment, and a checkpoint at each: most kills fall into or near a writing.
LONG = {"max_iterations": 120, "resample_every": 5, "checkpoint_seconds": 0.0}
PROGRAM = """
import sys
from small_fits import disc, inverter
changes = eval(sys.argv[3])
one = inverter(checkpoint=sys.argv[1] or None, **changes)
print("begins", flush=True)
one.fit(disc(noise=0.02))
one.set_params(checkpoint=None).save(sys.argv[2])
print(one.stop_reason_, flush=True)
"""
KINDS = {
    "one": {},
    "regions": {"subdomains": 2, "rheology": "anisotropic", "sampling": "residual"},
    "members": {"n_members": 2},
}


def begun(checkpoint: Path | str, model: Path, changes: dict) -> subprocess.Popen:
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(HERE), str(HERE.parent)])}
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(checkpoint), str(model), repr(changes)],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "begins\n", process.communicate()[1]
    return process


def ended(process: subprocess.Popen) -> str:
    out, err = process.communicate(timeout=300)
    assert process.returncode == 0, err
    return out.strip()


def assert_same(found, expected) -> None:
    """Hold everything but the clock against an undisturbed fit."""
    np.testing.assert_array_equal(found.model_.theta, expected.model_.theta)
    assert found.n_iter_ == expected.n_iter_
    assert found.stop_reason_ == expected.stop_reason_
    xr.testing.assert_identical(
        found.history_.drop_vars("seconds"), expected.history_.drop_vars("seconds")
    )


@pytest.mark.parametrize(
    ("kind", "kills"),
    [
        ("one", 1),
        ("regions", 1),
        pytest.param("members", 1, marks=pytest.mark.slow),
        pytest.param("one", 30, marks=pytest.mark.slow),
        pytest.param("regions", 30, marks=pytest.mark.slow),
    ],
)
def test_killed_at_any_time_it_ends_where_it_would_have_ended(kind, kills, tmp_path):
    changes = LONG | KINDS[kind]
    for run in ("first", "undisturbed"):  # the first compiles, which those to be killed need not
        undisturbed = begun("", tmp_path / f"{run}.nc", changes)
        started = time.monotonic()
        assert ended(undisturbed) == "max_iterations"
        whole = time.monotonic() - started
    expected = xdiffice.load(tmp_path / "undisturbed.nc")
    assert_same(xdiffice.load(tmp_path / "first.nc"), expected)
    rng = np.random.default_rng(kills)
    done = 0
    for chain in itertools.count():
        if done >= kills:
            break
        checkpoint, model = tmp_path / f"run_{chain}.nc", tmp_path / f"model_{chain}.nc"
        for _ in range(3):  # each of them may be killed before or after its first checkpoint
            process = begun(checkpoint, model, changes)
            time.sleep(rng.uniform(0, whole))
            process.kill()
            process.communicate()
            done += process.returncode == -signal.SIGKILL
        ended(begun(checkpoint, model, changes))
        assert_same(xdiffice.load(model), expected)
    assert [path for path in tmp_path.iterdir() if path.name.startswith(".old")] == []


def test_a_checkpoint_changes_nothing_and_goes_on_with_more_iterations(tmp_path):
    shelf, path = disc(noise=0.02), tmp_path / "run.nc"
    expected = inverter(**LONG).fit(shelf)
    kept = inverter(**LONG, checkpoint=path)
    assert_same(kept.fit(shelf), expected)
    n = len(kept.history_["sample"])
    assert_same(kept.fit(shelf), expected)  # it was complete: nothing is left to be done
    # The first stages depend on the number of iterations up to their share of it.
    more = kept.set_params(max_iterations=150).fit(shelf)
    assert (more.n_iter_, more.stop_reason_) == (150, "max_iterations")
    assert len(more.history_["sample"]) > n
    xr.testing.assert_identical(
        more.history_.drop_vars("seconds").isel(sample=slice(n - 1)),
        expected.history_.drop_vars("seconds").isel(sample=slice(n - 1)),
    )


def test_terminated_it_returns_the_best_and_can_go_on(tmp_path):
    checkpoint, model = tmp_path / "run.nc", tmp_path / "model.nc"
    endless = LONG | {"max_iterations": 1_000_000}
    process = begun(checkpoint, model, endless)
    while not checkpoint.exists():
        time.sleep(0.05)
        assert process.poll() is None
    process.send_signal(signal.SIGTERM)
    assert ended(process) == "interrupted"
    found = xdiffice.load(model)
    assert np.isfinite(found.model_.theta).all()
    # From the checkpoint on it is the training that was not interrupted.
    limit = int(found.n_iter_) + 20
    again = inverter(**endless | {"max_iterations": limit}, checkpoint=checkpoint)
    assert again.fit(disc(noise=0.02)).stop_reason_ == "max_iterations"
    assert again.n_iter_ == limit


def test_interrupted_long_before_a_snapshot_is_due_it_goes_on_with_the_same_bits(
    tmp_path, monkeypatch
):
    shelf, path = disc(noise=0.02), tmp_path / "run.nc"
    expected = inverter(**LONG).fit(shelf)
    use, calls = Descent.use, []

    def interrupted(descent, *sample):
        calls.extend([descent] * isinstance(descent.objective, FitAll))
        if len(calls) == 3:  # in the third sample of the last stage, which is lost
            use(descent, *sample)
            raise KeyboardInterrupt
        use(descent, *sample)

    seldom = LONG | {"checkpoint": path, "checkpoint_seconds": 3600.0}
    with monkeypatch.context() as patch:
        patch.setattr(Descent, "use", interrupted)
        stopped = inverter(**seldom).fit(shelf)
    assert stopped.stop_reason_ == "interrupted"
    with xr.open_dataset(path) as kept:
        reached = json.loads(kept.attrs["numbers"])["iterations"]
    assert 0 < reached < stopped.n_iter_ <= expected.n_iter_
    again = inverter(**seldom).fit(shelf)
    assert_same(again, expected)


def test_sigterm_is_as_it_was_after_a_fit():
    before = signal.getsignal(signal.SIGTERM)
    inverter().fit(disc())
    assert signal.getsignal(signal.SIGTERM) is before


def test_a_full_disk_leaves_the_old_checkpoint_and_the_training_alone(tmp_path, monkeypatch):
    shelf, path = disc(noise=0.02), tmp_path / "run.nc"
    expected = inverter(**LONG).fit(shelf)
    inverter(**LONG | {"max_iterations": 60}, checkpoint=path).fit(shelf)
    before = path.read_bytes()

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("xdiffice.checkpoint.seal", full)
    with pytest.warns(CheckpointWarning, match=r"no checkpoint .*run.nc.* No space left.*goes on"):
        found = inverter(**LONG, checkpoint=path).fit(shelf)
    assert path.read_bytes() == before
    assert [path] == [*tmp_path.iterdir()]
    assert "No space left" in found.history_.attrs["notes"]
    assert (found.n_iter_, found.stop_reason_) == (expected.n_iter_, expected.stop_reason_)


def test_a_checkpoint_of_another_fit_is_refused(tmp_path):
    path = tmp_path / "run.nc"
    inverter(checkpoint=path).fit(disc())
    before = path.read_bytes()
    for one, shelf in (
        (inverter(checkpoint=path), disc(noise=0.02)),
        (inverter(checkpoint=path, momentum_weight=0.002), disc()),
        (inverter(checkpoint=path, rheology="anisotropic"), disc()),
        (inverter(checkpoint=path, subdomains=2), disc()),
    ):
        with pytest.raises(ParameterError, match=r"is of other data or parameters .*; remove it"):
            one.fit(shelf)
    assert path.read_bytes() == before


def test_a_place_where_no_file_can_be_is_refused_before_the_work(tmp_path):
    for path in (tmp_path, tmp_path / "no" / "run.nc"):
        with pytest.raises(ParameterError, match=r"give a file in a directory that exists"):
            inverter(checkpoint=path).fit(disc())
    assert not [*tmp_path.iterdir()]


def test_a_file_that_is_no_checkpoint_is_refused(tmp_path):
    path = tmp_path / "run.nc"
    shelf, good = disc(), tmp_path / "good.nc"
    fitted = inverter(checkpoint=good).fit(shelf)
    whole = good.read_bytes()
    flipped = bytearray(whole)
    flipped[len(whole) // 2] ^= 1
    for content in (whole[:-1], whole[: len(whole) // 2], bytes(flipped), pickle.dumps(print), b""):
        path.write_bytes(content)
        with pytest.raises(FileFormatError, match=r"damaged|truncated"):
            inverter(checkpoint=path).fit(shelf)
        assert path.read_bytes() == content
    fitted.save(path)
    with pytest.raises(FileFormatError, match=r"is no checkpoint .*remove it, or choose another"):
        inverter(checkpoint=path).fit(shelf)
    with xr.open_dataset(good) as later:
        later.load().assign_attrs(format_version=2).to_netcdf(path)
    writing.seal(path)
    with pytest.raises(FileFormatError, match="format version 2"):
        inverter(checkpoint=path).fit(shelf)


def test_a_warm_start_has_checkpoints_too(tmp_path):
    first, later = disc(noise=0.02), disc(noise=0.02, seed=1)
    expected, kept = (inverter(**LONG).fit(first).set_params(warm_start=True) for _ in range(2))
    expected.fit(later)
    with warnings.catch_warnings():
        warnings.simplefilter("error", CheckpointWarning)
        kept.set_params(checkpoint=tmp_path / "run.nc", max_iterations=60).fit(later)
    again = inverter(**LONG).fit(first).set_params(warm_start=True)
    again.set_params(checkpoint=tmp_path / "run.nc").fit(later)
    assert_same(again, expected)
