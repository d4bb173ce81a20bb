"""Shelves whose viscosity is known: exact formulas, and a forward solver for everything else.

Each hands on a CF Dataset with the observations, the calving front and the truth.
"""

from __future__ import annotations

from xdiffice.forward.flow import ShelfFlow
from xdiffice.forward.fronts import near_points
from xdiffice.forward.meshes import box_mesh, level_set_mesh, mask_mesh
from xdiffice.forward.solve import solve_shelf
from xdiffice.synthetic.confined import confined_shelf
from xdiffice.synthetic.exact import spreading_shelf, uniaxial_shelf
from xdiffice.synthetic.twins import twin

__all__ = [
    "ShelfFlow",
    "box_mesh",
    "confined_shelf",
    "level_set_mesh",
    "mask_mesh",
    "near_points",
    "solve_shelf",
    "spreading_shelf",
    "twin",
    "uniaxial_shelf",
]
