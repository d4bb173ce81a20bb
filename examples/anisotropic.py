"""
Ice with two viscosities
========================

Ice that was sheared for long deforms more easily in one direction. What an inversion finds of the
pair (μ_h, μ_v), and where the flow cannot tell them apart.
"""

# %%
# The flow determines only part of the pair. A share s of it may be replaced by the same share of
# (0, ρ g' h / (4 tr ε)), which solves the equations by itself; if s varies in space, the balance
# changes by (½ ρ g' h I - T) h ∇s. Nothing changes where T is ½ ρ g' h along ∇s: where ice is not
# buttressed along that axis. ``viscosity_quality`` flags such places.
#
# One shelf between side walls, and one that nothing holds back.
import matplotlib.pyplot as plt
import numpy as np

import xdiffice
from xdiffice.results.comparison import relative_error

LENGTH, WIDTH = 80e3, 50e3
VISCOSITIES = ("viscosity_horizontal", "viscosity_vertical")


def horizontal(x, y):
    """μ_h, soft at the sides, Pa s."""
    margins = 0.3 + 0.7 * np.cos(np.pi * y / WIDTH) ** 2
    return 7e13 * margins * (1 - 0.3 * x / LENGTH)


def vertical(x, y):
    """μ_v, 0.4 to 1.6 times as large."""
    ratio = 1 + 0.6 * np.sin(2 * np.pi * x / LENGTH) * np.cos(2 * np.pi * y / WIDTH)
    return ratio * horizontal(x, y)


shelves = {
    "between walls": xdiffice.synthetic.confined_shelf(
        (100, 160), rheology="anisotropic", viscosity=horizontal, vertical_viscosity=vertical
    ),
    "unconfined": xdiffice.synthetic.uniaxial_shelf(
        (60, 96), rheology="anisotropic", vertical_ratio=0.5, velocity_units="m yr-1"
    ),
}

# %%
# Of all pairs that explain the flow, the most isotropic one is returned.
figure, axes = plt.subplots(2, 3, figsize=(13, 6), layout="constrained")
for row, (name, shelf) in zip(axes, shelves.items(), strict=True):
    out = shelf.diffice.invert(rheology="anisotropic", max_seconds=45, progress=False)
    errors = [relative_error(out[one], shelf[one]) for one in VISCOSITIES]
    doubtful = out["viscosity_quality"] == xdiffice.Quality.NOT_SEPARATED
    print(f"{name}: error of μ_h {errors[0]:.1%}, of μ_v {errors[1]:.1%}")
    ratios = {
        f"{name}: true μ_v / μ_h": shelf[VISCOSITIES[1]] / shelf[VISCOSITIES[0]],
        "inferred": out[VISCOSITIES[1]] / out[VISCOSITIES[0]],
    }
    for ax, (title, ratio) in zip(row, ratios.items(), strict=False):
        ratio.plot.imshow(ax=ax, vmin=0.4, vmax=1.6, cmap="PuOr", cbar_kwargs={"label": ""})
        ax.set_title(title)
    doubtful.plot.imshow(ax=row[2], cmap="Greys", vmin=0, vmax=1, add_colorbar=False)
    row[2].set_title(f"dark: not separated ({float(doubtful.mean()):.0%})")
    for ax in row:
        ax.set(xlabel="", ylabel="", aspect="equal")
plt.show()
