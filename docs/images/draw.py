"""Draw the pictures of the pages on concepts and of the first five minutes; run in this folder."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch, Rectangle

import xdiffice
from xdiffice.observations.gather import gather
from xdiffice.observations.regions import cut

ICE, WATER, GROUND, DARK = "#cfe3f2", "#5b8db8", "#8a7761", "#22303c"
FORCE = "#c2410c"


def arrow(ax, start, end, colour=FORCE, width=1.8):
    """Draw an arrow from start to end."""
    ax.add_patch(
        FancyArrowPatch(
            start, end, arrowstyle="-|>", mutation_scale=14, lw=width, color=colour, zorder=5
        )
    )


def forces():
    """Draw a shelf from the side and from above."""
    figure, (side, above) = plt.subplots(1, 2, figsize=(11, 3.6), layout="constrained")
    x = np.linspace(0, 10, 200)
    h = 3.0 - 0.14 * x
    top, bottom = 0.11 * h, -0.89 * h
    side.add_patch(Rectangle((-2, -5), 15, 5, color=WATER, alpha=0.35, lw=0))
    side.fill_between([-2, 0], [-2.67, -2.67], [0.33, 0.4], color=ICE, ec="none")
    side.fill_between(x, bottom, top, color=ICE, ec="none")
    side.plot(x, top, color=DARK, lw=1)
    side.plot(x, bottom, color=DARK, lw=1)
    side.plot([10, 10], [bottom[-1], top[-1]], color=DARK, lw=2.5)
    side.fill_between([-2, 0, 1.2, 13], [-2.67, -2.67, -3.9, -4.3], -5, color=GROUND, ec="none")
    arrow(side, (2.0, -1.1), (5.2, -1.1), DARK)
    side.text(3.6, -0.9, "flow u", ha="center", color=DARK)
    for depth in (-0.2, -0.7, -1.2):
        arrow(side, (10.4 + 0.9 * (-depth), depth), (10.05, depth), "white")
    side.text(10.4, -2.2, "pressure\nof the ocean", va="center", color=DARK)
    side.annotate("", (7.0, 0.25), (7.0, -1.8), arrowprops={"arrowstyle": "<->", "color": DARK})
    side.text(7.15, -1.0, "h", color=DARK)
    side.text(9.9, 0.55, "calving front", ha="right", color=DARK)
    side.text(-0.1, 0.75, "grounding line", ha="center", color=DARK)
    side.set(xlim=(-2, 13), ylim=(-5, 1.6), title="from the side")

    above.add_patch(Rectangle((-2, -4), 15, 8, color=WATER, alpha=0.35, lw=0))
    above.add_patch(Rectangle((-2, -4), 12, 8, color=GROUND, lw=0))
    above.add_patch(Rectangle((0, -2.6), 10, 5.2, color=ICE, lw=0))
    above.plot([10, 10], [-2.6, 2.6], color=DARK, lw=2.5)
    for y in (-2.0, -1.0, 0.0, 1.0, 2.0):
        arrow(above, (1.0, y), (1.0 + 3.4 * (1 - (y / 2.7) ** 2), y), DARK)
    arrow(above, (10.1, 1.2), (12.0, 1.2))
    above.text(12.1, 1.2, "n", va="center", color=FORCE)
    above.text(
        5.0, 1.75, r"inside: $\nabla\cdot(hT) = \rho g' h \nabla h$", color=DARK, fontsize=11
    )
    above.text(
        9.7, -1.9, r"front: $T n = \frac{1}{2}\rho g' h\, n$", ha="right", color=DARK, fontsize=11
    )
    above.text(4.0, 3.2, "side wall: velocity observed", ha="center", va="center", color="white")
    above.set(xlim=(-2, 13), ylim=(-4, 4), title="from above")
    for ax in (side, above):
        ax.set(xticks=[], yticks=[], aspect="auto")
    return figure


def box(ax, x, y, text, colour, width=2.3, height=0.95):
    """Draw words in a box around a point."""
    ax.add_patch(
        FancyBboxPatch(
            (x - width / 2, y - height / 2), width, height, boxstyle="round,pad=0.06",
            fc=colour, ec=DARK, lw=1,
        )
    )  # fmt: skip
    ax.text(x, y, text, ha="center", va="center", color=DARK, fontsize=10)


def networks():
    """Draw what goes in and what comes out."""
    figure, ax = plt.subplots(figsize=(11, 3.4), layout="constrained")
    box(ax, 1.2, 2.0, "position\nx, y", "white", 1.5)
    box(ax, 4.2, 3.1, "network of\nthe motion", ICE)
    box(ax, 4.2, 0.9, "network of\nthe viscosity", ICE)
    box(ax, 7.6, 3.1, "u, v, h\nand derivatives", "white")
    box(ax, 7.6, 0.9, "log μ\nand its gradient", "white")
    box(ax, 11.2, 3.1, "misfit to\nthe data", "#fde3cf")
    box(ax, 11.2, 0.9, "balance inside,\ncondition at the front", "#fde3cf", 2.9)
    for start, end in (
        ((2.0, 2.2), (2.95, 3.0)), ((2.0, 1.8), (2.95, 1.0)), ((5.45, 3.1), (6.35, 3.1)),
        ((5.45, 0.9), (6.35, 0.9)), ((8.85, 3.1), (9.95, 3.1)), ((8.85, 2.7), (9.75, 1.3)),
        ((8.85, 0.9), (9.65, 0.9)),
    ):  # fmt: skip
        arrow(ax, start, end, DARK)
    ax.set(xlim=(0, 13), ylim=(0.2, 3.8))
    ax.axis("off")
    return figure


def loss_and_map():
    """Draw how a training went, and the viscosity that it found."""
    shelf = xdiffice.synthetic.confined_shelf(
        noise=0.02, velocity_units="m yr-1", coordinate_units="km"
    )
    inverter = xdiffice.SSAViscosityInverter(max_seconds=60, progress=False).fit(shelf)
    history, ax = plt.subplots(figsize=(8, 3.6), layout="constrained")
    inverter.history_.diffice.plot.history(ax=ax)
    found, ax = plt.subplots(figsize=(8, 4.2), layout="constrained")
    inverter.predict().diffice.plot.viscosity(ax=ax)
    return history, found


def partition():
    """Draw regions, and a window."""
    shelf = xdiffice.synthetic.confined_shelf()
    regions = cut(gather(shelf).domain, 4)
    x, y = np.meshgrid(shelf["x"], shelf["y"])
    figure, axes = plt.subplots(1, 2, figsize=(11, 3.4), layout="constrained")
    kilometres = {"xlabel": "x (km)", "ylabel": "y (km)", "aspect": "equal"}
    axes[0].pcolormesh(x / 1e3, y / 1e3, regions.region_at(x, y), cmap="Set2", vmax=7)
    axes[0].set(title="regions", **kilometres)
    image = axes[1].pcolormesh(x / 1e3, y / 1e3, regions.window(1, x, y).value, cmap="cividis")
    axes[1].set(title="window of one of them", **kilometres)
    figure.colorbar(image, ax=axes[1], label="weight")
    return figure


if __name__ == "__main__":
    history, found = loss_and_map()
    pictures = {
        "forces": forces(),
        "networks": networks(),
        "partition": partition(),
        "loss": history,
        "map": found,
    }
    for name, figure in pictures.items():
        figure.savefig(f"{name}.png", dpi=110)
