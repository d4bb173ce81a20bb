"""How a shelf is cut by itself: into connected, compact parts of equal area.

It works on a raster of cells alone, whose every number is whole, so that neither the order of the
points nor the origin of their coordinates matters; `split` hands on a label for each cell.

The parts are the cells of an additively weighted Voronoi diagram whose distances are measured
within the shelf: a cell belongs to the site to which distance plus the site's handicap is least.
With distances along paths such cells are connected, whatever the shape of the shelf, and raising a
site's handicap makes its cell smaller.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.ndimage import distance_transform_edt
from scipy.sparse import coo_array, csr_array
from scipy.sparse.csgraph import connected_components, dijkstra
from scipy.spatial import cKDTree

# Steps to neighbours, (rows, columns), and the cells that they pass: a step may not jump a gap.
STEPS = {
    (0, 1): (),
    (1, 0): (),
    (1, 1): ((0, 1), (1, 0)),
    (1, -1): ((0, -1), (1, 0)),
    (1, 2): ((0, 1), (1, 1)),
    (2, 1): ((1, 0), (1, 1)),
    (1, -2): ((0, -1), (1, -1)),
    (2, -1): ((1, 0), (1, -1)),
}

STARTS = 8  # of the search for sites, of which the most compact is taken
SAMPLE = 4000  # cells at most that this search looks at
MOVES = 20  # of the sites to the middle of their parts
BALANCES = 60  # of the handicaps, while sites rest
TOLERANCE = 0.02  # of the areas, relative to their mean
DAMPING = 0.3  # of the handicaps, in lengths of a part; more and neighbours overshoot together


class _Links(NamedTuple):
    """Pairs of cells, with their distance in cells."""

    first: np.ndarray
    second: np.ndarray
    length: np.ndarray


def split(inside: np.ndarray, area: np.ndarray, n: int, seed: int) -> np.ndarray:
    """Cut the cells of a shelf into parts of about equal area.

    Components of the shelf share the parts by their area. One that is smaller than half a part
    joins the nearest other one; so do the smallest, if there are more of them than parts.

    Parameters
    ----------
    inside : ndarray of bool, shape (n_y, n_x)
        Cells of the shelf, at least `n`.
    area : ndarray, shape (n_y, n_x)
        Area of the shelf in each cell, in any unit.
    n : int
        Number of parts.
    seed : int
        Seeds the search for the first sites.

    Returns
    -------
    ndarray of int, shape (n_y, n_x)
        Labels 0 to n - 1 by rising x of the parts' middles, -1 outside the shelf.
    """
    number = np.full(inside.shape, -1)
    number[inside] = np.arange(inside.sum())
    rows, columns = np.nonzero(inside)
    position = np.column_stack([columns, rows]).astype(np.float64)
    weight = area[inside].astype(np.float64)
    steps = _steps(number, rows, columns)
    sides = _Links(*(values[steps.length == 1] for values in steps))
    _, component = connected_components(_graph(sides, len(position)), directed=False)
    bridges, group = _join(_bridges(number, position, component), component, weight, n)
    graph = _graph(_Links(*map(np.concatenate, zip(steps, bridges, strict=True))), len(position))
    shares = _shares(np.bincount(group, weight), n)
    rng = np.random.default_rng(seed)
    label = np.zeros(len(position), dtype=np.int64)
    for k, share in enumerate(shares):
        cells = np.flatnonzero(group == k)
        part = _balanced(graph[cells][:, cells], position[cells], weight[cells], share, rng)
        label[cells] = part + sum(shares[:k])
    label = _without_fragments(label, sides, weight)
    result = np.full(inside.shape, -1)
    result[inside] = _ordered(label, position, n)
    return result


def _steps(number: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> _Links:
    """Return the steps between cells of the shelf that are near each other, each once."""
    wide = np.pad(number, 2, constant_values=-1)

    def at(step: tuple[int, int]) -> np.ndarray:
        there: np.ndarray = wide[rows + 2 + step[0], columns + 2 + step[1]]
        return there

    found = []
    for step, passed in STEPS.items():
        other = at(step)
        open_ = np.all([other >= 0, *(at(cell) >= 0 for cell in passed)], axis=0)
        first = np.flatnonzero(open_)
        found.append((first, other[open_], np.full(first.size, np.hypot(*step))))
    return _Links(*map(np.concatenate, zip(*found, strict=True)))


def _graph(links: _Links, size: int) -> csr_array:
    ends = (
        np.concatenate([links.first, links.second]),
        np.concatenate([links.second, links.first]),
    )
    return coo_array((np.tile(links.length, 2), ends), shape=(size, size)).tocsr()


def _bridges(number: np.ndarray, position: np.ndarray, component: np.ndarray) -> _Links:
    """Return the shortest links between components that face each other, shortest first."""
    nearest = distance_transform_edt(number < 0, return_distances=False, return_indices=True)
    owner = number[tuple(nearest)]
    first = np.concatenate([owner[:, :-1].ravel(), owner[:-1].ravel()])
    second = np.concatenate([owner[:, 1:].ravel(), owner[1:].ravel()])
    apart = component[first] != component[second]
    first, second = first[apart], second[apart]
    length = np.hypot(*(position[first] - position[second]).T)
    order = np.lexsort([second, first, length])
    first, second, length = first[order], second[order], length[order]
    pairs = np.sort(np.column_stack([component[first], component[second]]), axis=1)
    _, keep = np.unique(pairs, axis=0, return_index=True)
    keep.sort()
    return _Links(first[keep], second[keep], length[keep])


def _join(
    bridges: _Links, component: np.ndarray, weight: np.ndarray, n: int
) -> tuple[_Links, np.ndarray]:
    """Join components until each is worth a part; return the bridges used and a group per cell."""
    sizes = np.bincount(component, weight)
    group = np.arange(sizes.size)
    smallest_part = 0.5 * weight.sum() / n
    used = []
    for left in range(sizes.size, 1, -1):
        smallest = int(np.argmin(np.where(group == np.arange(group.size), sizes, np.inf)))
        if sizes[smallest] >= smallest_part and left <= n:
            break
        ends = group[component[bridges.first]], group[component[bridges.second]]
        leads_out = (ends[0] != ends[1]) & ((ends[0] == smallest) | (ends[1] == smallest))
        bridge = int(np.argmax(leads_out))  # the first is the shortest
        other = int(ends[0][bridge] + ends[1][bridge] - smallest)
        group[group == smallest] = other
        sizes[other] += sizes[smallest]
        used.append(bridge)
    _, group = np.unique(group, return_inverse=True)
    return _Links(*(values[used] for values in bridges)), group[component]


def _shares(sizes: np.ndarray, n: int) -> list[int]:
    """Share n parts by size, at least one each; Huntington-Hill keeps the quotients closest."""
    shares = np.ones(sizes.size, dtype=np.int64)
    for _ in range(n - sizes.size):
        shares[np.argmax(sizes / np.sqrt(shares * (shares + 1.0)))] += 1
    return shares.tolist()


def _balanced(
    graph: csr_array, position: np.ndarray, weight: np.ndarray, n: int, rng: np.random.Generator
) -> np.ndarray:
    """Return a label per cell: n parts of one group, connected along the graph."""
    if n == 1:
        return np.zeros(len(position), dtype=np.int64)
    sites = _first_sites(position, weight, n, rng)
    handicap = np.zeros(n)
    length = np.sqrt(len(position) / n)
    graph = _with_entrances(graph, n)
    best, smallest_error = np.zeros(0, dtype=np.int64), np.inf
    for step in range(MOVES + BALANCES):
        label = _nearest_site(graph, sites, handicap)
        excess = np.bincount(label, weight, n) * (n / weight.sum()) - 1
        error = np.abs(excess).max()
        if step >= MOVES // 2 and error < smallest_error:
            best, smallest_error = label, error
        if step >= MOVES and error < TOLERANCE:
            break
        handicap += DAMPING * length * np.minimum(excess, 1)
        if step < MOVES:
            sites = _middles(label, position, weight, sites)
        if excess.min() <= -1:
            _revive(
                int(np.argmin(excess)), int(np.argmax(excess)), label, position, sites, handicap
            )
        handicap -= handicap.min()
    return best


def _revive(
    empty: int,
    largest: int,
    label: np.ndarray,
    position: np.ndarray,
    sites: np.ndarray,
    handicap: np.ndarray,
) -> None:
    """Let a part that was swallowed have half of the largest one, changing sites and handicaps.

    Left alone, two sites in a bottleneck would swallow each other in turn for ever.
    """
    cells = np.flatnonzero(label == largest)
    offset = position[cells] - position[cells].mean(axis=0)
    along = offset @ np.linalg.eigh(offset.T @ offset)[1][:, -1]
    order = cells[np.argsort(along, kind="stable")]
    sites[[largest, empty]] = order[len(order) // 4], order[3 * len(order) // 4]
    handicap[empty] = handicap[largest]


def _first_sites(
    position: np.ndarray, weight: np.ndarray, n: int, rng: np.random.Generator
) -> np.ndarray:
    """Return the cells at the centres of the most compact of several k-means clusterings."""
    sample = rng.permutation(len(position))[: max(SAMPLE, 32 * n)]
    points, mass = position[sample], weight[sample]
    spread, centres = np.inf, points[:n]
    for _ in range(STARTS):
        found = _spread_out(points, mass, n, rng)
        for _ in range(MOVES):
            _, label = cKDTree(found).query(points)
            total = np.bincount(label, mass, n)
            sums = np.column_stack([np.bincount(label, mass * c, n) for c in points.T])
            found = np.where(total[:, None] > 0, sums / np.maximum(total, 1e-9)[:, None], found)
        distance, _ = cKDTree(found).query(points)
        if (cost := mass @ distance**2) < spread:
            spread, centres = cost, found
    nearest: np.ndarray = cKDTree(position).query(centres)[1]
    return nearest


def _spread_out(
    points: np.ndarray, mass: np.ndarray, n: int, rng: np.random.Generator
) -> np.ndarray:
    """Choose n points, each with a probability that rises with the distance to those before."""
    chosen: list[int] = []
    distance2 = np.ones(len(points))
    for _ in range(n):
        odds = mass * distance2
        chosen.append(int(rng.choice(len(points), p=odds / odds.sum())))
        new = ((points - points[chosen[-1]]) ** 2).sum(axis=1)
        distance2 = new if len(chosen) == 1 else np.minimum(distance2, new)
    return points[chosen]


def _with_entrances(graph: csr_array, n: int) -> csr_array:
    """Add n nodes, each with one link (the last n of the matrix), from which all paths start."""
    size = graph.shape[0]
    ends = graph.indptr[-1] + np.arange(1, n + 1)
    # SciPy before 1.14 finds paths by 32-bit numbers alone, and may make 64-bit ones itself.
    indices = np.concatenate([graph.indices, np.zeros(n)]).astype(np.int32)
    indptr = np.concatenate([graph.indptr, ends]).astype(np.int32)
    data = np.concatenate([graph.data, np.ones(n)])
    return csr_array((data, indices, indptr), shape=(size + n, size + n))


def _nearest_site(graph: csr_array, sites: np.ndarray, handicap: np.ndarray) -> np.ndarray:
    n = sites.size
    size = graph.shape[0] - n
    graph.indices[-n:] = sites
    graph.data[-n:] = 1 + handicap  # a sparse zero would be no link at all
    *_, start = dijkstra(
        graph, indices=np.arange(size, size + n), min_only=True, return_predecessors=True
    )
    nearest: np.ndarray = start[:size] - size
    return nearest


def _middles(
    label: np.ndarray, position: np.ndarray, weight: np.ndarray, sites: np.ndarray
) -> np.ndarray:
    """Return for each part its cell nearest to its centre of gravity; an empty one's site stays."""
    result = sites.copy()
    for k in range(sites.size):
        cells = np.flatnonzero(label == k)
        if weight[cells].sum() > 0:
            middle = np.average(position[cells], axis=0, weights=weight[cells])
            distance2 = ((position[cells] - middle) ** 2).sum(axis=1)
            result[k] = cells[np.argmin(distance2)]
    return result


def _without_fragments(label: np.ndarray, sides: _Links, weight: np.ndarray) -> np.ndarray:
    """Give each piece of a part apart from its main piece to the part that it touches most.

    Paths along a diagonal, or over a bridge, leave such pieces. An island that touches nothing
    stays.
    """
    label = label.copy()
    while True:
        same = label[sides.first] == label[sides.second]
        within = _Links(*(values[same] for values in sides))
        count, piece = connected_components(_graph(within, label.size), directed=False)
        size = np.bincount(piece, weight + 1e-9)  # cells without area count, a little
        part = np.zeros(count, dtype=np.int64)
        part[piece] = label
        main = np.zeros(count, dtype=bool)
        order = np.argsort(-size, kind="stable")
        main[order[np.unique(part[order], return_index=True)[1]]] = True
        ends = np.concatenate([piece[sides.first[~same]], piece[sides.second[~same]]])
        others = np.concatenate([label[sides.second[~same]], label[sides.first[~same]]])
        loose = ~main & np.isin(np.arange(count), ends)
        if not loose.any():
            return label
        smallest = np.argmin(np.where(loose, size, np.inf))
        label[piece == smallest] = np.argmax(np.bincount(others[ends == smallest]))


def _ordered(label: np.ndarray, position: np.ndarray, n: int) -> np.ndarray:
    """Count the parts by rising x of their middles, then y."""
    count = np.bincount(label, minlength=n)
    middle = [np.bincount(label, along, n) / count for along in position.T]
    rank = np.empty(n, dtype=np.int64)
    rank[np.lexsort([middle[1], middle[0]])] = np.arange(n)
    ordered: np.ndarray = rank[label]
    return ordered
