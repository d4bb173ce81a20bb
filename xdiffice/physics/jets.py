"""A field together with its derivatives at the same points.

The network hands these on, the equations read them: no derivative is ever taken twice.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

Array = Any  # jax.Array of any shape; also NumPy or float, in tests and on scalars


class Jet(NamedTuple):
    """Value and derivatives of one scalar field; ``None`` where an order was not asked for.

    Parameters
    ----------
    value : Array
        The field at points, of any shape.
    x, y : Array, optional
        First derivatives, of the same shape.
    xx, xy, yy : Array, optional
        Second derivatives, of the same shape.
    """

    value: Array
    x: Array = None
    y: Array = None
    xx: Array = None
    xy: Array = None
    yy: Array = None

    def scaled(self, factor: Array, offset: Array = 0.0) -> Jet:
        """Jet of ``offset + factor * field``.

        Parameters
        ----------
        factor, offset : Array
            Numbers, or the same at all points.

        Returns
        -------
        Jet
            Of the same order.
        """
        derivatives = (None if d is None else factor * d for d in self[1:])
        return Jet(offset + factor * self.value, *derivatives)

    def mapped(self, function: Callable[[Array], Array]) -> Jet:
        """Jet of what a linear function makes of the value and of every derivative.

        Parameters
        ----------
        function : callable
            ``function(part)``, linear.

        Returns
        -------
        Jet
            Of the same order.
        """
        return Jet(*(None if part is None else function(part) for part in self))

    def per(self, length: float) -> Jet:
        """Jet by a position in units ``length`` times as long.

        Parameters
        ----------
        length : float
            New unit of the position over the old one.

        Returns
        -------
        Jet
            Of the same order; derivatives are larger by ``length`` or its square.
        """
        slopes = (None if d is None else length * d for d in self[1:3])
        curvatures = (None if d is None else length**2 * d for d in self[3:])
        return Jet(self.value, *slopes, *curvatures)

    def times(self, other: Jet) -> Jet:
        """Jet of the product with another field, up to the order that this one has.

        Parameters
        ----------
        other : Jet
            Of this order at least.

        Returns
        -------
        Jet
            Of the order of this one.
        """
        a, b = self, other
        if a.x is None:
            return Jet(a.value * b.value)
        slopes = (a.x * b.value + a.value * b.x, a.y * b.value + a.value * b.y)
        if a.xx is None:
            return Jet(a.value * b.value, *slopes)
        return Jet(
            a.value * b.value,
            *slopes,
            a.xx * b.value + 2 * a.x * b.x + a.value * b.xx,
            a.xy * b.value + a.x * b.y + a.y * b.x + a.value * b.xy,
            a.yy * b.value + 2 * a.y * b.y + a.value * b.yy,
        )

    def plus(self, other: Jet) -> Jet:
        """Jet of the sum with another field, up to the order that this one has.

        Parameters
        ----------
        other : Jet
            Of the same order.

        Returns
        -------
        Jet
            Of the same order.
        """
        pairs = zip(self, other, strict=True)
        return Jet(*(None if one is None else one + more for one, more in pairs))
