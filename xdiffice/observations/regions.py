"""Which part of a shelf a place belongs to, and how much it belongs to its neighbours.

`one_region`, `cut` and `from_labels` hand on a `Partition`: labels on a working raster of square
cells, windows that blend its regions, and the interfaces between them.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from numbers import Integral
from typing import Any, NamedTuple

import numpy as np
from scipy.ndimage import distance_transform_edt
from scipy.spatial import cKDTree

from xdiffice.errors import ParameterError
from xdiffice.observations.cells import Cells, Pixels, make_cells, pitch_of, sides
from xdiffice.observations.cutting import split
from xdiffice.observations.front import extent_text
from xdiffice.observations.points import Domain
from xdiffice.observations.values import count
from xdiffice.observations.windows import (
    Window,
    WindowJet,
    half_width_of,
    make_windows,
    reach_of,
    rim,
)

MOST_CELLS = 4_000_000
"""Cells at most of a raster that small regions made finer."""

CELLS_PER_REGION = 16
"""Cells at least, on average, of a region that is cut automatically."""

OVERLAP = 0.25
"""Reach of the windows, in sides of a square as large as a region on average."""


class Interfaces(NamedTuple):
    """Points between regions: middles of the edges of cells, with the two regions that meet.

    Parameters
    ----------
    x, y : ndarray, shape (m,)
        Positions, m.
    first, second : ndarray of int, shape (m,)
        Indices of the regions; the first is the smaller one.
    """

    x: np.ndarray
    y: np.ndarray
    first: np.ndarray
    second: np.ndarray


@dataclass(frozen=True, eq=False)
class Partition:
    """Regions of a shelf: a label for every place, windows that blend them, their interfaces.

    Parameters
    ----------
    x, y : ndarray, shapes (n_x,) and (n_y,)
        Centres of the cells, ascending, m. They cover the shelf with a margin; the cells are
        square.
    labels : ndarray of int, shape (n_y, n_x)
        Index of each cell's region, 0 to n - 1; off the shelf that of the nearest one.
    inside : ndarray of bool, shape (n_y, n_x)
        Cells that hold a part of the shelf.
    names : tuple of int
        The user's own number of each region; 0 to n - 1 where cut automatically.
    overlap : float
        How far each window reaches beyond its region, along x and y, m; 0 with one region.
    """

    x: np.ndarray
    y: np.ndarray
    labels: np.ndarray
    inside: np.ndarray
    names: tuple[int, ...]
    overlap: float

    @property
    def n(self) -> int:
        """Number of regions."""
        return len(self.names)

    @property
    def side(self) -> float:
        """Side of a cell, m."""
        return float((self.x[-1] - self.x[0]) / (self.x.size - 1))

    def region_at(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Return the index of the region at each position, beyond the raster that of its edge.

        Parameters
        ----------
        x, y : ndarray, any one shape
            Positions, m.

        Returns
        -------
        ndarray of int, shape of `x` and `y`
        """
        x, y = np.broadcast_arrays(x, y)
        column = np.clip(np.rint((x - self.x[0]) / self.side), 0, self.x.size - 1)
        row = np.clip(np.rint((y - self.y[0]) / self.side), 0, self.y.size - 1)
        return self.labels[row.astype(np.intp), column.astype(np.intp)]

    def window(self, region: int, x: np.ndarray, y: np.ndarray, order: int = 0) -> WindowJet:
        """Return the weight of one region at each position, and its derivatives.

        Weights lie in [0, 1] and add up to one over the regions, everywhere. They are twice
        continuously differentiable and zero where `overlap` ends. With one region the weight is
        exactly one.

        Parameters
        ----------
        region : int
            Index of the region.
        x, y : ndarray, any one shape
            Positions, m.
        order : int
            Highest derivative: 0, 1 or 2.

        Returns
        -------
        WindowJet
            Arrays of the shape of `x` and `y`: the value, derivatives in m-1 and m-2.

        Raises
        ------
        ParameterError
            If there is no such region or order.
        """
        if order not in (0, 1, 2):
            raise ParameterError(f"order is 0, 1 or 2, not {order!r}")
        if not 0 <= region < self.n:
            raise ParameterError(f"no region {region!r}: there are {self.n}, counted from 0")
        x, y = np.broadcast_arrays(x, y)
        if self.n == 1:
            nothing = (np.zeros(x.shape) for _ in range((0, 2, 5)[order]))
            return WindowJet(np.ones(x.shape), *nothing)
        jet = self._windows[region].at(
            self._place(x, self.x), self._place(y, self.y), order
        )  # in cells
        per_metre = 1 / self.side
        powers = (0, 1, 1, 2, 2, 2)
        scaled = (
            None if values is None else values.reshape(x.shape) * per_metre**power
            for values, power in zip(jet, powers, strict=True)
        )
        return WindowJet(*scaled)  # type: ignore[arg-type]

    def members(self, region: int, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Tell for each position (m, any one shape) whether the region has any weight there.

        Raises
        ------
        ParameterError
            If there is no such region.
        """
        return self.window(region, x, y).value > 0

    def interfaces(self) -> Interfaces:
        """Return the points where regions meet within the shelf.

        Both cells of an edge hold a part of the shelf: regions on either side of land do not meet.
        """
        found = []
        for axis in (0, 1):
            here: tuple[Any, ...] = (
                (slice(None, -1), slice(None)) if axis == 0 else (slice(None), slice(-1))
            )
            there: tuple[Any, ...] = (
                (slice(1, None), slice(None)) if axis == 0 else (..., slice(1, None))
            )
            one, other = self.labels[here], self.labels[there]
            edges = (one != other) & self.inside[here] & self.inside[there]
            row, column = np.nonzero(edges)
            x = self.x[column] if axis == 0 else 0.5 * (self.x[column] + self.x[column + 1])
            y = 0.5 * (self.y[row] + self.y[row + 1]) if axis == 0 else self.y[row]
            one, other = one[edges], other[edges]
            found.append((x, y, np.minimum(one, other), np.maximum(one, other)))
        return Interfaces(*map(np.concatenate, zip(*found, strict=True)))

    def neighbours(self) -> tuple[tuple[int, int], ...]:
        """Return the pairs of regions that meet, each with the smaller index first, in order."""
        edges = self.interfaces()
        pairs = np.unique(np.column_stack([edges.first, edges.second]), axis=0)
        return tuple((int(first), int(second)) for first, second in pairs)

    @cached_property
    def _half_width(self) -> int:
        return half_width_of(self.overlap / self.side)

    @cached_property
    def _windows(self) -> tuple[Window, ...]:
        return make_windows(self.labels, self.n, self._half_width)

    def _place(self, position: np.ndarray, centres: np.ndarray) -> np.ndarray:
        """Return positions in cells of the raster of the windows, kept within it."""
        wider = rim(self._half_width)
        place = (np.ravel(position) - centres[0]) / self.side + wider
        return np.clip(place, 1, centres.size + 2 * wider - 3)


def one_region(domain: Domain) -> Partition:
    """Return the whole shelf as one region, whose window is one everywhere.

    Parameters
    ----------
    domain : Domain
        Where the shelf is.
    """
    cells = make_cells(Pixels.of(domain))
    return _partition(cells, np.where(cells.inside, 0, -1), (0,))


def cut(domain: Domain, n: int, seed: int = 0) -> Partition:
    """Cut a shelf into connected, compact regions of about equal area.

    The regions are counted from small to large x. Parts of the shelf that do not hang together
    share the regions by area; one that is smaller than half a region joins the nearest. The same
    shelf is cut in the same way, in whatever order its points come.

    Parameters
    ----------
    domain : Domain
        Where the shelf is.
    n : int
        Number of regions.
    seed : int
        Seeds the search; another seed may find another cut.

    Raises
    ------
    ParameterError
        If `n` is not a positive whole number, or larger than the shelf has room for.
    """
    if not isinstance(n, Integral) or isinstance(n, bool) or n < 1:
        raise ParameterError(f"the number of regions is a whole number of at least 1, not {n!r}")
    if n == 1:
        return one_region(domain)
    cells = make_cells(Pixels.of(domain))
    available = int(cells.inside.sum())
    largest = max(1, available // CELLS_PER_REGION)
    if n > largest:
        raise ParameterError(
            f"{n} regions were asked for, but the shelf has only {count(available, 'cell')} of "
            f"{cells.side / 1e3:.4g} km and a region needs {CELLS_PER_REGION}: ask for at most "
            f"{largest}"
        )
    return _partition(cells, split(cells.inside, cells.area, int(n), seed), tuple(range(n)))


def from_labels(domain: Domain, x: np.ndarray, y: np.ndarray, labels: np.ndarray) -> Partition:
    """Take over regions of any shape from labels at given positions.

    Each pixel of the shelf has the label of the nearest position; one without a label, or farther
    than a pixel from any position, that of the nearest pixel with one. Labels that no pixel of the
    shelf has are left out. A region may have several parts.

    Parameters
    ----------
    domain : Domain
        Where the shelf is.
    x, y : ndarray, any one shape
        Positions of the labels, m; they need not be those of the domain's pixels.
    labels : ndarray, shape of `x` and `y`
        Whole numbers; NaN or less than zero where there is no label.

    Raises
    ------
    ParameterError
        If labels are not whole numbers, differ in number from the positions, none is on the shelf,
        or a region is too small for any raster of bearable size.
    """
    pixels = Pixels.of(domain)
    pixel_labels = _pixel_labels(pixels, *_checked(x, y, labels))
    names, index = np.unique(pixel_labels, return_inverse=True)
    for side in sides(pixels):
        cells = make_cells(pixels, side)
        cell_labels = _most_frequent(cells, pixels, index, names.size)
        lost = np.setdiff1d(np.arange(names.size), cell_labels)
        if not lost.size:
            return _partition(cells, cell_labels, tuple(names.tolist()))
        if cells.inside.size > MOST_CELLS:
            break
    raise ParameterError(
        f"{count(lost.size, 'region')} smaller than a cell of {cells.side:.4g} m, of which the "
        f"shelf has {cells.inside.sum()}: {', '.join(map(str, names[lost][:5]))}; join such "
        "regions to their neighbours"
    )


def _checked(
    x: np.ndarray, y: np.ndarray, labels: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return finite positions and whole numbers, -1 for no label."""
    x, y, labels = (np.ravel(values) for values in (x, y, labels))
    if not x.size == y.size == labels.size:
        raise ParameterError(
            f"labels and their positions differ in number: x has {x.size}, y {y.size}, labels "
            f"{labels.size}"
        )
    if labels.dtype.kind not in "biuf":
        raise ParameterError(f"labels are whole numbers, not of dtype {labels.dtype}")
    labels = np.where(labels >= 0, labels, -1)
    odd = labels[(labels != np.floor(labels)) | np.isinf(labels)]
    if odd.size:
        shown = ", ".join(f"{value:g}" for value in odd[:3])
        raise ParameterError(
            f"labels are whole numbers, one for each region; found {shown}; were they interpolated?"
        )
    known = np.isfinite(x) & np.isfinite(y)
    return x[known], y[known], labels[known].astype(np.int64)


def _pixel_labels(pixels: Pixels, x: np.ndarray, y: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return a label for each of the shelf's pixels."""
    # A pixel may lie midway between positions: this decides, where rounding would otherwise.
    shift = 1e-4 * pixels.pitch
    places = np.column_stack([pixels.x - shift, pixels.y - 2 * shift])
    direct = np.zeros(len(places), dtype=bool)
    result = np.full(len(places), -1)
    if x.size:
        reach = max(pixels.pitch, pitch_of(x, y)[0] if x.size > 1 else 0.0)
        distance, nearest = cKDTree(np.column_stack([x, y])).query(places)
        direct = (distance <= 0.75 * reach) & (labels[nearest] >= 0)
        result[direct] = labels[nearest[direct]]
    if not direct.any():
        labelled = labels >= 0
        found = f"{count(int(labelled.sum()), 'label')} given"
        if labelled.any():
            found += f", at {extent_text(x[labelled], y[labelled])}"
        raise ParameterError(
            f"no label on the shelf, which has {extent_text(pixels.x, pixels.y)}; {found}; are "
            "they in the same projection and units?"
        )
    _, nearest = cKDTree(places[direct]).query(places[~direct])
    result[~direct] = result[direct][nearest]
    return result


def _most_frequent(cells: Cells, pixels: Pixels, index: np.ndarray, n: int) -> np.ndarray:
    """Return for each cell the index that most of its pixels have, -1 where it has none."""
    row, column = cells.place(pixels.x, pixels.y)
    pairs, votes = np.unique((row * cells.inside.shape[1] + column) * n + index, return_counts=True)
    order = np.lexsort([-pairs, votes])  # the last one stays: most votes, then the smallest index
    result = np.full(cells.inside.size, -1)
    result[pairs[order] // n] = pairs[order] % n
    return result.reshape(cells.inside.shape)


def _partition(cells: Cells, labels: np.ndarray, names: tuple[int, ...]) -> Partition:
    """Add a margin, in which two windows have room, and fill all cells without a label."""
    n = len(names)
    region = np.sqrt(cells.inside.sum() / n)
    reach = reach_of(half_width_of(OVERLAP * region)) if n > 1 else 0.0
    margin = int(np.ceil(2 * reach)) + 4
    labels = np.pad(labels, margin, constant_values=-1)
    nearest = distance_transform_edt(labels < 0, return_distances=False, return_indices=True)
    rows, columns = labels.shape
    return Partition(
        x=cells.x + cells.side * (np.arange(columns) - margin),
        y=cells.y + cells.side * (np.arange(rows) - margin),
        labels=labels[tuple(nearest)],
        inside=np.pad(cells.inside, margin),
        names=names,
        overlap=reach * cells.side,
    )
