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
# The misfit should be about the noise, which is 2 % of the speed: of y_velocity, which is small
# here, it is much more. Residuals of the equations should be a few percent of the stress that
# drives the ice, and the terms of the loss should have stopped falling.
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
