"""
Does the viscosity reproduce the flow?
======================================

A small residual is no proof: residuals of one sign add up along the flow. The forward check solves
the equations anew, by finite elements and without networks.
"""

# %%
# An inversion of data with 1 % of noise, as usual. Its last stage has modelled the velocity
# already: ``residual_velocity`` among the attributes of the result.
import matplotlib.pyplot as plt

import xdiffice

shelf = xdiffice.synthetic.confined_shelf(
    noise=0.01, velocity_units="m yr-1", coordinate_units="km"
)
result = shelf.diffice.invert(max_seconds=40, progress=False)

# %%
# The velocity is imposed where the rim is no calving front; everything else follows from viscosity
# and thickness. Half of the viscosity moves the ice at another speed, and the check sees it.
check = shelf.diffice.forward_check(result)
wrong = result.assign(viscosity=0.5 * result["viscosity"])
wrong_check = shelf.diffice.forward_check(wrong)
for name, one in (("inferred", check), ("half of it", wrong_check)):
    print(f"{name}: modelled velocity is {one.attrs['relative_difference']:.2%} off")

# %%
# Modelled minus observed: noise for the inferred viscosity, a pattern of the flow for half of it.
figure, axes = plt.subplots(1, 2, figsize=(12, 3.6), layout="constrained")
for ax, (name, one) in zip(
    axes, (("inferred viscosity", check), ("half of it", wrong_check)), strict=True
):
    one["x_velocity_difference"].plot(ax=ax, cmap="PuOr", robust=True)
    ax.set(title=f"{name}: {one.attrs['relative_difference']:.2%}", aspect="equal")
plt.show()
