"""What tests of several folders share: compiled programs, and files like those of real products.

There is one cache of compiled programs for all tests, and for the processes that they start.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from pathlib import Path

import pytest

SETTINGS = {
    "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0.3",
}
OWN = pytest.StashKey[str]()


def pytest_configure(config: pytest.Config) -> None:
    # JAX reads the environment when it is imported, which no test has done yet.
    if "JAX_COMPILATION_CACHE_DIR" not in os.environ:
        config.stash[OWN] = tempfile.mkdtemp(prefix="xdiffice-compiled-")
        os.environ.update(SETTINGS | {"JAX_COMPILATION_CACHE_DIR": config.stash[OWN]})


def pytest_unconfigure(config: pytest.Config) -> None:
    if directory := config.stash.get(OWN, None):
        shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture(scope="session")
def products():
    """The module that writes small files with the headers of real products."""
    folder = str(Path(__file__).parent / "observations")
    sys.path.insert(0, folder)
    yield __import__("real_products")
    sys.path.remove(folder)
