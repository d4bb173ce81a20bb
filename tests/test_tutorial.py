"""Examples are fetched once, checked, and read like any file of their kind."""

from __future__ import annotations

import functools
import hashlib
import http.server
import sys
import threading

import numpy as np
import pytest
import scipy.io

import xdiffice
from xdiffice import tutorial
from xdiffice.errors import FileFormatError, MissingDependencyError, ParameterError


@pytest.fixture
def server(tmp_path):
    """Serve a folder; count what is asked for."""
    folder, asked = tmp_path / "served", []
    folder.mkdir()

    class Handler(http.server.SimpleHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            super().do_GET()

        def log_message(self, *_):
            pass

    handler = functools.partial(Handler, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield folder, f"http://127.0.0.1:{running.server_port}", asked
        running.shutdown()


def write_example(path) -> str:
    """Write a small file of the format and return its checksum."""
    x, y = np.meshgrid(np.arange(6) * 1e3, np.arange(5)[::-1] * 1e3)
    angle = np.linspace(-1, 1, 9)
    scipy.io.savemat(
        path,
        {
            "xd": x,
            "yd": y,
            "ud": 1e-6 + 1e-10 * x,
            "vd": 1e-6 + 1e-10 * y,
            "xd_h": x,
            "yd_h": y,
            "hd": 300 + 1e-3 * x,
            "xct": np.full((9, 1), 5e3),
            "yct": (2e3 + 2e3 * angle)[:, None],
            "nnct": np.column_stack([np.ones(9), np.zeros(9)]),
        },
    )
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_an_example_is_fetched_once(server, tmp_path, monkeypatch):
    folder, url, asked = server
    checksum = write_example(folder / "small.mat")
    example = tutorial.Example(f"{url}/small.mat", checksum)
    monkeypatch.setitem(tutorial.EXAMPLES, "small", example)
    for _ in range(2):
        ds = xdiffice.tutorial.open_dataset("small", cache_dir=tmp_path / "cache")
        assert ds["x_velocity"].attrs["units"] == "m s-1"
        np.testing.assert_allclose(ds["thickness"].values.max(), 305.0)
        assert ds.sizes["front"] == 9
    assert asked == ["/small.mat"]


def test_another_file_is_refused(server, tmp_path, monkeypatch):
    folder, url, _ = server
    write_example(folder / "small.mat")
    for name, one in {
        "changed": tutorial.Example(f"{url}/small.mat", "0" * 64),
        "gone": tutorial.Example(f"{url}/none.mat", "0" * 64),
    }.items():
        monkeypatch.setitem(tutorial.EXAMPLES, name, one)
        with pytest.raises(FileFormatError, match="could not be fetched"):
            tutorial.open_dataset(name, cache_dir=tmp_path / "cache")
    assert not list((tmp_path / "cache").glob("*.mat"))


def test_what_is_wrong_is_said(monkeypatch):
    with pytest.raises(ParameterError, match="there are larsen_c, synthetic"):
        tutorial.open_dataset("ross")
    monkeypatch.setitem(sys.modules, "pooch", None)
    with pytest.raises(MissingDependencyError, match="tutorial"):
        tutorial.open_dataset("larsen_c")
