"""
Quick start
===========

From a Dataset of velocity and thickness to a map of the viscosity, and how to judge it. The shelf
is synthetic: its true viscosity is known.
"""

# %%
# A shelf
# -------
# Any Dataset of velocity, thickness and calving front will do; this one comes out of a forward
# model, with noise of 2 % on the velocity. The accessor tells what is found in it.
import matplotlib.pyplot as plt

import xdiffice

shelf = xdiffice.synthetic.confined_shelf(noise=0.02)
shelf.diffice

# %%
# The inversion
# -------------
# In one line it is ``shelf.diffice.invert(max_seconds=40)``; with an estimator of your own you can
# look at the fit.
inverter = xdiffice.SSAViscosityInverter(max_seconds=40, random_state=0, progress=False)
result = inverter.fit(shelf).predict()
print(result["viscosity"])

# %%
# Is it a good fit?
# -----------------
# A flow model with this viscosity should miss the observed velocity by no more than the noise,
# which is 2 % of the speed. The misfit should be about that, too: of y_velocity, which is small
# here, it is much more. Residuals of momentum and front are those of the networks, and should be
# a few percent of the stress that drives the ice.
print("noise", {name: f"{value:.2%}" for name, value in inverter.noise_.items()})
print("misfit", {name: f"{value:.2%}" for name, value in inverter.misfit_.items()})
print("residual", {name: f"{value:.2%}" for name, value in inverter.residual_.items()})
print("stopped by", inverter.stop_reason_)
inverter.history_.diffice.plot.history()
plt.show()

# %%
# Everything on one page
# ----------------------
# Data beside fit, misfits, viscosity, and what `viscosity_quality` says about it. The truth, which
# nobody has of a real shelf, comes with the error.
result.diffice.plot.summary(shelf, truth=shelf)
plt.show()
