"""
Thickness along flight lines only
=================================

Radar measures thickness along the tracks of an aircraft. Between them the physics knows more than
an interpolation: ice that is thinner must flow to be so.
"""

# %%
# Eight flights 10 km apart, with an error of 30 m, over a synthetic shelf. Points are on a dim of
# their own; the velocity stays on its grid.
import matplotlib.pyplot as plt
import numpy as np
import xarray as xr

import xdiffice
from xdiffice.results.comparison import relative_error

shelf = xdiffice.synthetic.confined_shelf(separate_grids=False)
rng = np.random.default_rng(0)
x, y = np.meshgrid(np.arange(5e3, 80e3, 10e3), np.linspace(-24.5e3, 24.5e3, 100), indexing="ij")
metres = {"units": "m"}
lines = xr.DataArray(
    shelf["thickness"].interp(x=("point", x.ravel()), y=("point", y.ravel())).values
    + 30 * rng.standard_normal(x.size),
    dims="point",
    coords={"x": ("point", x.ravel(), metres), "y": ("point", y.ravel(), metres)},
    name="thickness",
    attrs=metres | {"standard_name": "land_ice_thickness"},
)

# %%
# The thickness of the grid is left out, so that only the lines are known.
velocity = shelf.drop_vars(["thickness", "viscosity"])
result = velocity.diffice.invert(thickness=lines, max_seconds=45, progress=False)

# %%
# What the lines say, what the inversion makes of them, and how far off it is.
figure, axes = plt.subplots(1, 3, figsize=(15, 4), layout="constrained")
axes[0].scatter(x / 1e3, y / 1e3, c=lines, s=6, vmin=150, vmax=500, cmap="cividis")
axes[0].set(title="flown", xlabel="x (km)", ylabel="y (km)", aspect="equal")
result.diffice.plot.map("thickness", ax=axes[1], vmin=150, vmax=500)
difference = (result["thickness"] - shelf["thickness"]).assign_attrs(units="m")
difference.to_dataset(name="inferred minus true").diffice.plot.map(
    "inferred minus true", ax=axes[2]
)
print(f"error: {relative_error(result['thickness'], shelf['thickness']):.1%}")
plt.show()
