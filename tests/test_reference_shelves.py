"""The reference project's data, where they are at hand: accuracy that a user may count on."""

from pathlib import Path

import numpy as np
import pytest
import xarray as xr

import xdiffice
from xdiffice.cli import main
from xdiffice.results.comparison import relative_error

DATA = Path(__file__).resolve().parents[1] / "../shared/data"


def reference(name):
    path = DATA / name
    if not path.exists():
        pytest.skip(f"{name} of DIFFICE_jax is not in ../shared/data")
    return xdiffice.open_diffice_mat(path, velocity_units="m s-1")


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_viscosity_of_the_synthetic_shelf_is_within_one_percent(seed):
    shelf = reference("SynData_exp1.mat")
    inverter = xdiffice.SSAViscosityInverter(max_seconds=180, random_state=seed, progress=False)
    result = inverter.fit(shelf).predict()
    assert relative_error(result["viscosity"], shelf["viscosity"]) <= 0.01


@pytest.mark.slow
def test_larsen_c_is_inverted_from_netcdf_to_a_plausible_shelf(tmp_path):
    reference("data_pinns_LarsenC.mat").to_netcdf(tmp_path / "larsen_c.nc")
    arguments = ["invert", str(tmp_path / "larsen_c.nc"), "-o", str(tmp_path / "out.nc")]
    assert main([*arguments, "--max-seconds", "300", "--quiet"]) == 0
    with (
        xr.open_dataset(tmp_path / "out.nc") as result,
        xr.open_dataset(tmp_path / "larsen_c.nc") as data,
    ):
        for name, limit in {"x_velocity": 0.035, "y_velocity": 0.03}.items():
            assert relative_error(result[name], data[name]) < limit
        low, middle, high = np.nanpercentile(result["viscosity"], [5, 50, 95])
        # Fast shear goes with soft ice: the two are strongly anticorrelated in a real shelf.
        strain, viscosity = result["effective_strain_rate"], result["viscosity"]
        correlation = xr.corr(np.log(strain), np.log(viscosity))
    assert 1e14 < low < middle < high < 3e15
    assert correlation < -0.5
