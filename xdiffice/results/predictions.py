"""Fields at the positions of a template: at once, or block by block when they are asked for.

Blocks are computed by dask with whatever scheduler the user has. Memory is that of the blocks at
work: within one, positions are evaluated slab by slab, and none outside of the shelf.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from xdiffice.errors import PlausibilityWarning, warn
from xdiffice.observations.points import Domain
from xdiffice.results.evaluate import CHUNK, FittedModel
from xdiffice.results.names import QUALITY, Quality
from xdiffice.results.template import Target


@dataclass(frozen=True)
class Predictor:
    """What is evaluated, and where.

    Parameters
    ----------
    fitted : FittedModel
        Networks of all regions.
    domain : Domain
        Where the shelf is.
    conditions : ndarray of int8
        `Quality` of its pixels, from `xdiffice.results.quality.conditions`.
    names : tuple of str
        Variables, of `FittedModel.variables`.
    extrapolate : bool
        Whether to evaluate outside of the shelf as well.
    """

    fitted: FittedModel
    domain: Domain
    conditions: np.ndarray
    names: tuple[str, ...]
    extrapolate: bool = False

    def at(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Evaluate at positions.

        Parameters
        ----------
        x, y : ndarray, shape (n,)
            Positions, m.

        Returns
        -------
        ndarray, shape (len(names), n)
            SI values, NaN off the shelf and where there is no position.
        """
        inside = on_shelf = self.domain.contains(x, y)
        if self.extrapolate:
            inside = np.isfinite(x) & np.isfinite(y)
        result = np.full((len(self.names), x.size), np.nan)
        if inside.any():
            values = self.fitted.evaluate(x[inside], y[inside], self.names)
            for row, name in zip(result, self.names, strict=True):
                row[inside] = values[name]
        if QUALITY in self.names:
            row = result[self.names.index(QUALITY)]
            row[inside & ~on_shelf] = Quality.EXTRAPOLATED
            sure = np.flatnonzero(on_shelf & (row == Quality.DETERMINED))
            if self._flags is not None and sure.size:
                row[sure] = self._flags(x[sure], y[sure])
        return result

    @cached_property
    def _flags(self) -> Callable[[np.ndarray, np.ndarray], np.ndarray] | None:
        """Conditions at positions in the shelf; None where there is nothing to be said."""
        if (self.conditions == Quality.DETERMINED).all():
            return None
        return self.domain.spread(self.conditions)

    def on(self, target: Target) -> Mapping[str, Any]:
        """Return the variables at all positions of a template.

        Returns
        -------
        mapping of str to ndarray or dask array
            Arrays of shape (n,); dask arrays of the target's shape where it has chunks.

        Warns
        -----
        PlausibilityWarning
            No position is on the shelf. Of blocks, which are not evaluated here, it is said where
            none is in the rectangle around the shelf.
        """
        if target.chunks is None:
            values = self.at(target.x, target.y)
            if not self.extrapolate and np.isnan(values[0]).all():
                self._warn_off_shelf(target)
            return dict(zip(self.names, values, strict=True))
        if not (self.extrapolate or self._may_be_on_shelf(target)):
            self._warn_off_shelf(target)
        import dask
        import dask.array as da

        sizes = dict(zip(target.dims, target.chunks, strict=True))
        positions = [
            da.from_array(position.values, chunks=tuple(sizes[dim] for dim in position.dims))[
                tuple(slice(None) if dim in position.dims else None for dim in target.dims)
            ]
            for position in (
                position.transpose(*(dim for dim in target.dims if dim in position.dims))
                for position in (target.x_position, target.y_position)
            )
        ]
        # One object in the graph, not a copy in every task.
        shared = dask.delayed(self, pure=False, traverse=False)
        stacked = da.map_blocks(
            _block,
            *positions,
            predictor=shared,
            chunks=((len(self.names),), *target.chunks),
            new_axis=0,
            dtype=np.float64,
            meta=np.empty((0,) * (1 + len(target.dims))),
            name=None,
        )
        return dict(zip(self.names, stacked, strict=True))

    def _may_be_on_shelf(self, target: Target) -> bool:
        """Tell whether x and y, each for itself, are anywhere within a pixel of the shelf."""
        beyond = self.domain.spacing
        pairs = ((target.x_position, self.domain.x), (target.y_position, self.domain.y))
        return all(
            bool(((at.values >= own.min() - beyond) & (at.values <= own.max() + beyond)).any())
            for at, own in pairs
        )

    def _warn_off_shelf(self, target: Target) -> None:
        """Say where the shelf is, and where somebody looked for it."""
        shelf = _extent(self.domain.x, self.domain.y)
        asked = _extent(target.x_position.values, target.y_position.values)
        hint = ""
        if target.taken:
            names = " and ".join(map(repr, target.taken))
            unit = next(iter(target.taken.values()))
            hint = f"; {names} without units taken as {unit}, as those of the fitted velocity"
        warn(
            f"none of the positions is on the shelf ({shelf}): they are {asked}{hint}",
            PlausibilityWarning,
        )


def _extent(x: np.ndarray, y: np.ndarray) -> str:
    """Write the ranges of positions."""
    parts = []
    for name, values in (("x", x), ("y", y)):
        known = 1e-3 * values[np.isfinite(values)]
        low, high = (known.min(), known.max()) if known.size else (np.nan, np.nan)
        parts.append(f"{name} {low:.5g} to {high:.5g} km")
    return ", ".join(parts)


def _block(x: np.ndarray, y: np.ndarray, predictor: Predictor) -> np.ndarray:
    """Evaluate one block, in slabs along its first dim."""
    shape = np.broadcast_shapes(x.shape, y.shape)
    x, y = (np.broadcast_to(axis, shape) for axis in (x, y))
    result = np.empty((len(predictor.names), *shape))
    if not shape:
        result[...] = predictor.at(x.ravel(), y.ravel()).reshape(result.shape)
        return result
    rows = max(1, CHUNK // max(1, int(np.prod(shape[1:]))))
    for start in range(0, shape[0], rows):
        part = slice(start, start + rows)
        values = predictor.at(x[part].ravel(), y[part].ravel())
        result[:, part] = values.reshape(len(values), *x[part].shape)
    return result
