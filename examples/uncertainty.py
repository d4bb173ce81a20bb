"""
How sure is it? An ensemble
===========================

Eight sets of networks, with initial parameters, samples and noise of their own, tell how far the
data determine the viscosity.
"""

# %%
# Noise of 3 % on the velocity, and its standard errors in the Dataset.
import matplotlib.pyplot as plt

import xdiffice

shelf = xdiffice.synthetic.confined_shelf(
    (60, 96), noise=0.03, error_variables=True, coordinate_units="km"
)
inverter = xdiffice.SSAViscosityInverter(n_members=8, max_iterations=1500, progress=False)
result = inverter.fit(shelf).predict(quantiles=(0.05, 0.95))

# %%
# ``viscosity_std`` is a factor: 1.05 is 5 %. The interval between the two quantiles should hold the
# truth in nine pixels of ten where the flow determines the viscosity.
low, high = result["viscosity_quantile"].transpose("quantile", ...)
inside = (low <= shelf["viscosity"]) & (shelf["viscosity"] <= high)
determined = result["viscosity_quality"] == xdiffice.Quality.DETERMINED
print(f"truth within the 90 % interval: {float(inside.where(determined).mean()):.0%} of pixels")

# %%
# A section along the shelf, and where the interval is wide.
figure, axes = plt.subplots(1, 2, figsize=(12, 4), layout="constrained")
section = {"indexers": {"y": 10.0}, "method": "nearest"}
x = result["x"]
axes[0].fill_between(x, low.sel(**section), high.sel(**section), alpha=0.3, label="90 % interval")
axes[0].plot(x, result["viscosity"].sel(**section), label="mean")
axes[0].plot(x, shelf["viscosity"].sel(**section), "k--", label="truth")
axes[0].set(yscale="log", xlabel="x (km)", ylabel="viscosity (Pa s)", title="section at y = 10 km")
axes[0].legend()
result.diffice.plot.map("viscosity_std", ax=axes[1])
plt.show()
