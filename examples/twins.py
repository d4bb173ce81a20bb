"""
How accurate is the map of my shelf?
====================================

Nobody knows the viscosity of a real shelf, but that of its twin is known: the same outline, gaps
and noise, and a viscosity that is chosen.
"""

# %%
# A shelf in a bay, around an ice rise, with gaps in the velocity. This is what was observed, and
# what was inferred from it.
import matplotlib.pyplot as plt
import numpy as np

import xdiffice

shelf = xdiffice.synthetic.confined_shelf(
    (60, 96),
    mask=lambda x, y: np.hypot(x - 45e3, y - 6e3) - 5e3,
    gaps=0.04,
    noise=0.005,
    thickness_noise=0.01,
    error_variables=True,
    velocity_units="m yr-1",
).drop_vars("viscosity")
result = shelf.diffice.invert(max_seconds=12, progress=False)

# %%
# Its twin, with the inferred viscosity as the truth, is inverted with the same settings, by an
# ensemble that predicts its own error.
twin = shelf.diffice.twin(result, random_state=1)
again = twin.diffice.invert(n_members=2, max_seconds=20, progress=False)

# %%
# What was predicted, and what is wrong, pixel by pixel: both are factors.
error = np.exp(abs(np.log(again["viscosity"] / twin["viscosity"])))
figure, axes = plt.subplots(1, 2, figsize=(11, 3.6), layout="constrained", sharey=True)
levels = np.linspace(1.0, 1.5, 11)
for ax, (name, field) in zip(
    axes,
    (("predicted (1 standard deviation)", again["viscosity_std"]), ("true", error)),
    strict=True,
):
    field.plot(ax=ax, levels=levels, cmap="viridis", cbar_kwargs={"label": "factor"})
    ax.set(title=f"error of the viscosity, {name}", aspect="equal")
plt.show()

# %%
# By flag of ``viscosity_quality``: where the flow determines less, more is wrong.
for flag in xdiffice.Quality:
    there = again["viscosity_quality"] == flag
    if bool(there.any()) and flag != xdiffice.Quality.OUTSIDE:
        predicted = float(again["viscosity_std"].where(there).median())
        found = float(error.where(there).median())
        name = flag.name.lower().replace("_", " ")
        print(f"{name}: {int(there.sum())} pixels, predicted {predicted:.2f}, true {found:.2f}")
