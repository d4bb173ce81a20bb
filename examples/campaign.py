"""
A campaign: several shelves and times
=====================================

Many shelves, times or sets of parameters go to the workers of a dask cluster. Results are in one
Zarr store; whatever was killed goes on when the script is run again.
"""

# %%
# Two shelves; one of them was seen at two times. The ice of the second time is softer by a fifth.
import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import xarray as xr

import xdiffice


def bay(stiffness, width):
    """A small shelf whose ice is so many times as stiff as usual."""
    return xdiffice.synthetic.confined_shelf(
        (36, 56),
        width=width,
        viscosity=lambda x, y: stiffness * 6e13 * (1 - 0.5 * (2 * y / width) ** 2) + 0 * x,
    )


def at_two_times():
    """Stack velocities on a dim of time."""
    early, late = bay(1.0, 50e3), bay(0.8, 50e3)
    moving = ["x_velocity", "y_velocity"]
    velocity = xr.concat([early[moving], late[moving]], "time")
    time = np.array(["2016-07-01", "2020-07-01"], "datetime64[ns]")
    return early.drop_vars([*moving, "viscosity"]).merge(velocity).assign_coords(time=time)


# %%
# Datasets, or paths of files, by name. One worker for each core is the default; a cluster of your
# own is ``client=``.
if __name__ == "__main__":
    shelves = {"twice": at_two_times(), "narrow": bay(1.0, 40e3)}
    inverter = xdiffice.SSAViscosityInverter(max_iterations=800)
    store = Path(tempfile.mkdtemp()) / "shelves.zarr"
    done = xdiffice.campaign(shelves, inverter, store, progress=False)
    print(done.table[["outcome", "n_iter", "seconds"]])

    # %%
    # The store opens as a tree of Datasets. The change between the two times is what was asked for.
    tree = done.open()
    first, second = (tree[run]["viscosity"] for run in sorted(done.table.index) if "twice" in run)
    change = float(np.log(second.values / first.values)[np.isfinite(first.values)].mean())
    print(f"viscosity of the second time: {np.exp(change):.2f} of the first")
    figure, axes = plt.subplots(1, 2, figsize=(11, 3.6), layout="constrained")
    for ax, field, year in zip(axes, (first, second), (2016, 2020), strict=True):
        field.to_dataset(name="viscosity").diffice.plot.viscosity(ax=ax, vmin=2e13, vmax=7e13)
        ax.set_title(str(year))
    plt.show()
