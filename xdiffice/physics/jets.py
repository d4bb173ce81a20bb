"""A field together with its derivatives at the same points.

The network hands these on, the equations read them: no derivative is ever taken twice.
"""

from __future__ import annotations

from typing import Any, NamedTuple

Array = Any  # jax.Array of any shape; also NumPy or float, in tests and on scalars


class Jet(NamedTuple):
    """Value and derivatives of one scalar field; ``None`` where an order was not asked for."""

    value: Array
    x: Array = None
    y: Array = None
    xx: Array = None
    xy: Array = None
    yy: Array = None

    def scaled(self, factor: Array, offset: Array = 0.0) -> Jet:
        """Jet of ``offset + factor * field``."""
        derivatives = (None if d is None else factor * d for d in self[1:])
        return Jet(offset + factor * self.value, *derivatives)
