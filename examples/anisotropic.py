"""Ice with two viscosities: what an inversion finds, and where the flow cannot tell them apart.

The flow determines only part of the pair (μ_h, μ_v). A share s of it may be replaced by the same
share of (0, ρ g' h / (4 tr ε)), which solves the equations by itself; if s varies in space, the
balance changes by (½ ρ g' h I - T) h ∇s. Nothing changes where T is ½ ρ g' h along ∇s: where ice is
not buttressed along that axis. `viscosity_quality` flags such places.

    python examples/anisotropic.py anisotropy.png --max-seconds 120
"""

from __future__ import annotations

import argparse

import matplotlib.pyplot as plt
import numpy as np
import xarray as xr

import xdiffice

LENGTH, WIDTH = 80e3, 50e3
VISCOSITIES = ("viscosity_horizontal", "viscosity_vertical")


def ice(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """μ_h, soft at the sides, and μ_v, 0.4 to 1.6 times as large; Pa s."""
    along, across = x / LENGTH, 2 * y / WIDTH
    margins = 0.3 + 0.7 * np.cos(0.5 * np.pi * across) ** 2
    horizontal = 7e13 * margins * (1 - 0.3 * along)
    ratio = 1 + 0.6 * np.sin(2 * np.pi * along) * np.cos(np.pi * across)
    return horizontal, ratio * horizontal


def shelves() -> dict[str, xr.Dataset]:
    """Make a shelf between side walls, and one that nothing holds back."""
    held = xdiffice.synthetic.confined_shelf(
        (100, 160),
        rheology="anisotropic",
        viscosity=lambda x, y: ice(x, y)[0],
        vertical_viscosity=lambda x, y: ice(x, y)[1],
    )
    free = xdiffice.synthetic.uniaxial_shelf(
        (60, 96), rheology="anisotropic", vertical_ratio=0.5, velocity_units="m yr-1"
    )
    return {"between walls": held, "unconfined": free}


def relative_error(found: xr.DataArray, truth: xr.DataArray) -> float:
    """L2 norm of the difference over that of the truth."""
    return float(np.sqrt(((found - truth) ** 2).sum() / (truth**2).sum()))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("output", metavar="PNG")
    parser.add_argument("--max-seconds", type=float, default=120.0)
    arguments = parser.parse_args()
    figure, axes = plt.subplots(2, 3, figsize=(13, 6), layout="constrained")
    for row, (name, shelf) in zip(axes, shelves().items(), strict=True):
        out = shelf.diffice.invert(
            rheology="anisotropic", max_seconds=arguments.max_seconds, progress=False
        )
        truth = [shelf[one] for one in VISCOSITIES]
        errors = [relative_error(out[v], t) for v, t in zip(VISCOSITIES, truth, strict=True)]
        flag = out["viscosity_quality"]
        doubtful = float((flag == 2).mean())
        print(
            f"{name}: error of mu_h {errors[0]:.1%}, of mu_v {errors[1]:.1%}; "
            f"not separated on {doubtful:.0%} of the shelf"
        )
        ratios = {
            "true": truth[1] / truth[0],
            "inferred": out[VISCOSITIES[1]] / out[VISCOSITIES[0]],
        }
        for ax, (kind, ratio) in zip(row, ratios.items(), strict=False):
            ratio.plot.imshow(
                ax=ax, vmin=0.4, vmax=1.6, cmap="PuOr", cbar_kwargs={"label": "μ_v / μ_h"}
            )
            ax.set_title(f"{name}: {kind}")
        (flag == 2).plot.imshow(ax=row[2], cmap="Greys", vmin=0, vmax=1, add_colorbar=False)
        row[2].set_title(f"dark: not separated ({doubtful:.0%})")
        for ax in row:
            ax.set(xlabel="", ylabel="", aspect="equal")
    figure.savefig(arguments.output, dpi=90)


if __name__ == "__main__":
    main()
