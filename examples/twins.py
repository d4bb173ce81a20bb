"""
How accurate is the map of my shelf?
====================================

Nobody knows the viscosity of a real shelf, but that of its twin is known: the same outline, gaps
and noise, and a viscosity that is chosen.
"""

# %%
# What was observed: a shelf in a bay, around an ice rise, with gaps in the velocity. Its viscosity
# is forgotten.
import matplotlib.pyplot as plt
import numpy as np

import xdiffice

shelf = xdiffice.synthetic.confined_shelf(
    (50, 80),
    mask=lambda x, y: np.hypot(x - 45e3, y - 6e3) - 5e3,
    gaps=0.04,
    noise=0.005,
    thickness_noise=0.01,
    error_variables=True,
    velocity_units="m yr-1",
).drop_vars("viscosity")

# %%
# A twin by Glen's law, with two bands of damage. Of a result, ``shelf.diffice.twin(result)`` takes
# the inferred viscosity. The twin is observed as the shelf is, and inverted in the same way: here
# by an ensemble, which predicts its own error. That a flow model with the inferred viscosity moves
# the ice as observed does not say that the viscosity is right: the twin does.
twin = shelf.diffice.twin(hardness=1.3e8, damage_bands=2, damage_width=5e3, random_state=1)
found = twin.diffice.invert(n_members=2, max_iterations=400, progress=False)
for name in ("residual_velocity", "noise_velocity"):
    print(f"{name}: {found.attrs[name]:.2%}")

# %%
# What the ensemble predicts, and what is wrong, pixel by pixel: both are factors.
error = np.exp(abs(np.log(found["viscosity"] / twin["viscosity"])))
figure, axes = plt.subplots(1, 3, figsize=(14, 3.6), layout="constrained")
levels = [1.0, 1.05, 1.1, 1.2, 1.5, 2.0, 3.0]
maps = {"predicted, one standard deviation": found["viscosity_std"], "true": error}
for ax, (name, field) in zip(axes, maps.items(), strict=False):
    field.plot(ax=ax, levels=levels, cmap="viridis", cbar_kwargs={"label": "factor"})
    ax.set(title=f"error, {name}", aspect="equal")

# %%
# By flag of ``viscosity_quality``, root mean squares: what the flow determines less is known less.
# Errors that all members share, such as a band that is wider than it should be, no ensemble
# predicts.
for flag in xdiffice.Quality:
    there = (found["viscosity_quality"] == flag) & error.notnull()
    if bool(there.any()):
        squares = (float((np.log(one.where(there)) ** 2).mean()) for one in maps.values())
        predicted, true = np.exp(np.sqrt([*squares]))
        name = flag.name.lower().replace("_", " ")
        print(f"{name}: {int(there.sum())} pixels, predicted {predicted:.2f}, true {true:.2f}")
        axes[2].plot(predicted, true, "o", label=name)
axes[2].axline((1, 1), slope=1, color="grey", linewidth=1)
axes[2].set(xlabel="predicted factor", ylabel="true factor")
axes[2].legend()
plt.show()
