"""Several devices, emulated on the processor, give what one gives."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

PROGRAM = """
import sys
sys.path.insert(0, {tests!r})
import jax, numpy as np
from small_fits import disc, inverter
devices, found = jax.local_devices(), []
assert len(devices) == {n}
for used in (devices[:1], devices):
    jax.local_devices = lambda: used
    fitted = inverter(max_iterations=40, **{changes}).fit(disc())
    found.append(np.concatenate([fitted.model_.theta.ravel(), fitted.history_["loss"].values]))
np.savez({path!r}, one=found[0], several=found[1], n=fitted.model_.partition.n)
"""


@pytest.mark.parametrize(
    ("n_devices", "n_regions", "n_members"),
    [
        (2, 1, 3),
        (2, 3, 1),
        pytest.param(8, 1, 1, marks=pytest.mark.slow),
        pytest.param(8, 8, 1, marks=pytest.mark.slow),
    ],
)
def test_a_fit_on_several_devices_is_that_on_one(tmp_path, n_devices, n_regions, n_members):
    """Points are shared out over all devices where there is one network, networks otherwise."""
    path = str(tmp_path / "found.npz")
    program = PROGRAM.format(
        tests=str(Path(__file__).parent),
        n=n_devices,
        changes={"subdomains": n_regions, "n_members": n_members},
        path=path,
    )
    flags = f"{os.environ.get('XLA_FLAGS', '')} --xla_force_host_platform_device_count={n_devices}"
    environment = os.environ | {"XLA_FLAGS": flags.strip()}
    subprocess.run([sys.executable, "-c", program], env=environment, check=True)
    found = np.load(path)
    assert found["n"] == n_regions
    np.testing.assert_allclose(found["several"], found["one"], rtol=1e-8, atol=1e-8)
    if n_regions * n_members == 1:  # sums in another order: it is not the same program
        assert (found["several"] != found["one"]).any()
