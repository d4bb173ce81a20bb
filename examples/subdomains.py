"""
Sharp shear margins: many sub-regions
=====================================

A shelf with soft margins a few kilometres wide. One network has to be large to resolve them;
several small ones, each with a part of the shelf, do so at the same time.
"""

# %%
# The viscosity is ten times lower in the margins and in a suture between two streams of ice.
import matplotlib.pyplot as plt
import numpy as np

import xdiffice
from xdiffice.results.comparison import relative_error


def viscosity(x, y):
    """Soft in three bands along the flow, Pa s."""
    soft = sum(np.exp(-(((y - centre) / 4e3) ** 2)) for centre in (-42e3, 8e3, 42e3))
    return 8e13 * 10 ** -np.minimum(soft, 1.0)


shelf = xdiffice.synthetic.confined_shelf(
    (100, 160), length=160e3, width=100e3, viscosity=viscosity, noise=0.01
)

# %%
# Both have the same time. ``subdomains="auto"`` would choose the number by the size of the shelf
# and the detail of its velocity.
results = {n: shelf.diffice.invert(subdomains=n, max_seconds=45, progress=False) for n in (1, 4)}

# %%
# The regions are found from the shape of the shelf. Their networks agree where they meet and are
# blended there, so that the map shows no interface.
figure, axes = plt.subplots(2, 2, figsize=(11, 7), layout="constrained")
shelf.diffice.plot.viscosity(ax=axes[0, 0], vmin=7e12, vmax=9e13)
axes[0, 0].set_title("truth")
for ax, (n, result) in zip(axes.flat[1:], results.items(), strict=False):
    result.diffice.plot.viscosity(ax=ax, vmin=7e12, vmax=9e13)
    error = relative_error(result["viscosity"], shelf["viscosity"])
    ax.set_title(f"{n} region{'s' * (n > 1)}: error {error:.1%}")
results[4].diffice.plot.map("subdomain", ax=axes[1, 1])
plt.show()
