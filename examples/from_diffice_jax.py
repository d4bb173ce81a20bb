"""
Coming from DIFFICE_jax
=======================

The `.mat` files of DIFFICE_jax are read as they are. What they do not tell is said: the units of
the velocity.
"""

# %%
# So that this runs anywhere, a file of that form is made of a synthetic shelf: positions and
# velocities (``xd``, ``yd``, ``ud``, ``vd``), thickness on a grid of its own (``xd_h``, ``yd_h``,
# ``hd``), the calving front (``xct``, ``yct``) and its normals (``nnct``), here with the true
# viscosity (``mud``). Yours replaces it.
import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import scipy.io

import xdiffice

made = xdiffice.synthetic.confined_shelf((60, 96), noise=0.01)
X, Y = np.meshgrid(made["x"], made["y"])
path = Path(tempfile.mkdtemp()) / "data_pinns_bay.mat"
scipy.io.savemat(
    path,
    {
        "xd": X, "yd": Y, "ud": made["x_velocity"], "vd": made["y_velocity"],
        "xd_h": X, "yd_h": Y, "hd": made["thickness"], "mud": made["viscosity"],
        "xct": made["x_front"].values[:, None], "yct": made["y_front"].values[:, None],
        "nnct": np.column_stack([made["x_normal"], made["y_normal"]]),
    },
)  # fmt: skip

# %%
# Scales, networks, weights and samples need no choice: they follow from the data. Instead of
# cutting the shelf into cells by hand there is ``subdomains=``.
shelf = xdiffice.open_diffice_mat(path, velocity_units="m s-1")
inverter = xdiffice.SSAViscosityInverter(max_seconds=40, progress=False)
result = inverter.fit(shelf).predict()

# %%
# The Dataset that comes back has names, units and coordinates, and can be compared with anything on
# the same grid.
result.diffice.plot.summary(shelf, truth=shelf)
plt.show()
