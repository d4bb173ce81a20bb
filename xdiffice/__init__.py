"""The viscosity of ice shelves, inferred from satellite velocity and thickness.

Importing the package registers the accessor ``ds.diffice``; everything heavy is loaded on use.
"""

from __future__ import annotations

__version__ = "0.1.0"
