"""
Beside a control method
=======================

The classical way to infer a viscosity (MacAyeal 1993): finite elements, the gradient by the adjoint
equation, and a penalty on rough fields whose weight somebody has to choose. The benchmarks of this
package have one, on the mesh of the forward check.
"""

# %%
# Noise of 3 % on the velocity. The control method takes the thickness as it is.
import sys
from pathlib import Path

import matplotlib.pyplot as plt

import xdiffice
from xdiffice.results.comparison import relative_error

# A gallery that is built runs this in its folder, and without a file's name.
sys.path.append(
    str(Path(globals().get("__file__", "example")).resolve().parents[1] / "tests" / "benchmarks")
)
from control_problem import ControlProblem
from control_shelf import l_curve

shelf = xdiffice.synthetic.confined_shelf((40, 64), noise=0.03)

# %%
# Several weights of the penalty, from the greatest to the smallest, each begun with the one before.
problem = ControlProblem(shelf)
rows = list(l_curve(problem, [1e-3, 1e-4, 1e-5, 1e-6], max_iterations=60))
fields = {row.weight: problem.result(row.log_viscosity)["viscosity"] for row in rows}
errors = {weight: relative_error(field, shelf["viscosity"]) for weight, field in fields.items()}
for row in rows:
    print(
        f"weight {row.weight:g}: velocity {row.relative_difference:.2%} off, "
        f"viscosity {errors[row.weight]:.1%} off"
    )

# %%
# The networks find their balance between data and equations by themselves.
result = shelf.diffice.invert(max_seconds=40, progress=False)
ours = relative_error(result["viscosity"], shelf["viscosity"])
best, roughest = min(errors, key=errors.get), min(errors)

figure, axes = plt.subplots(2, 2, figsize=(11, 6.5), layout="constrained")
shown = {
    "truth": shelf["viscosity"],
    f"networks: {ours:.1%} off": result["viscosity"],
    f"control method, best weight {best:g}: {errors[best]:.1%} off": fields[best],
    f"control method, weight {roughest:g}: {errors[roughest]:.1%} off": fields[roughest],
}
for ax, (title, field) in zip(axes.flat, shown.items(), strict=True):
    dataset = field.to_dataset(name="viscosity")
    dataset.diffice.plot.viscosity(ax=ax, vmin=1e13, vmax=9e13)
    ax.set_title(title)
plt.show()
