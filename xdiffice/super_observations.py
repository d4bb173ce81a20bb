"""Super-observations: the means of blocks of data, where there are more data than are needed.

A quasi-Newton method fits the noise of whatever sample it is given. Means over blocks keep what
all pixels know, at a cost that does not grow with their number.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple, TypeVar

import numpy as np
from scipy.spatial import cKDTree

from xdiffice.training.loss import Array, Batch, ThicknessBatch, VelocityBatch

Data = TypeVar("Data", VelocityBatch, ThicknessBatch)
NOISE_FLOOR = 0.01  # in units of two standard deviations: what a network can be expected to fit
NOISY = 4.0  # floors: from here on velocity counts as all noise
SPARE = 1.1  # more blocks than a sample takes: its size is then that of every other shelf
GAP_SAMPLE = 2000  # points of the shelf that are looked at for gaps in the thickness
COMMON_GAPS = 0.1  # share of the shelf
DETAIL_BLOCKS = 5000  # neighbourhoods of a dozen of them are 1/400 of the shelf
_FITTED = 3  # coefficients of a plane
_BLOCK_FOR_NOISE = 12  # data: enough to tell scatter from slope


class SuperObservations(NamedTuple):
    """Points as the training sees them, and how well their data are known.

    Parameters
    ----------
    points : Batch
        Weighted means of positions and values; the mean of a block weighs as much as its data.
    errors : mapping of str to float
        Standard errors of typical values, by ``u``, ``v``, ``h``; 0 of data without errors that
        scatter less than NOISE_FLOOR, of which it is not known whether that is noise.
    """

    points: Batch
    errors: Mapping[str, float]


def super_observations(
    points: Batch,
    n_velocity: int,
    n_thickness: int,
    scatter: Mapping[str, float],
    errors: Mapping[str, float],
) -> SuperObservations:
    """Replace noisy velocity and thickness by means over blocks, and weight all by their noise.

    Data whose scatter is below NOISE_FLOOR stay as they are: there is nothing to average, and means
    over blocks flatten curved fields.

    A field whose means scatter by σ gets the weight 1 / (1 + (σ / NOISE_FLOOR)²) in the loss: of
    order one where the data are better than a network can be, and σ⁻² where they are not, so that
    momentum balance and better data rule there (discrepancy principle).

    Parameters
    ----------
    points : Batch
        All points of a shelf, nondimensional, on the host.
    n_velocity, n_thickness : int
        At most about so many of each.
    scatter : mapping of str to float
        From `scatter_of_data`.
    errors : mapping of str to float
        Standard errors of single values as far as they are known, by ``u``, ``v``, ``h``, in the
        units of the values. The noise is never taken to be less than these errors allow.

    Returns
    -------
    SuperObservations
    """
    velocity, thickness = points.velocity, points.thickness
    if max(scatter["u"], scatter["v"]) > NOISE_FLOOR:
        velocity = block_means(velocity, round(SPARE * n_velocity))
    if scatter["h"] > NOISE_FLOOR:
        thickness = block_means(thickness, round(SPARE * n_thickness))

    def uncertainties(names, means, data):
        averaged = np.sqrt(means.x.size / data.x.size)
        of_means = scatter if means is data else _scatter(means, names)
        return {name: max(of_means[name], errors.get(name, 0.0) * averaged) for name in names}

    uncertain = uncertainties("uv", velocity, points.velocity)
    uncertain |= uncertainties("h", thickness, points.thickness)
    trust = {name: 1 / (1 + (error / NOISE_FLOOR) ** 2) for name, error in uncertain.items()}
    weighted = points._replace(
        velocity=velocity._replace(
            u_weight=trust["u"] * velocity.u_weight, v_weight=trust["v"] * velocity.v_weight
        ),
        thickness=thickness._replace(weight=trust["h"] * thickness.weight),
    )
    known = {name: name in errors or scatter[name] > NOISE_FLOOR for name in uncertain}
    return SuperObservations(
        weighted, {name: error if known[name] else 0.0 for name, error in uncertain.items()}
    )


def with_noise(data: SuperObservations, rng: np.random.Generator) -> Batch:
    """Add as much noise to data as they have already.

    Parameters
    ----------
    data : SuperObservations
        The error of a value is the larger the less it weighs.
    rng : numpy.random.Generator
        Decides.

    Returns
    -------
    Batch
        The same points with other values.
    """

    def noisy(name: str, values: Array, weight: Array) -> np.ndarray:
        relative = np.sqrt(np.mean(weight) / weight)
        return np.asarray(values + data.errors[name] * relative * rng.standard_normal(values.shape))

    points = data.points
    velocity, thickness = points.velocity, points.thickness
    return points._replace(
        velocity=velocity._replace(
            u=noisy("u", velocity.u, velocity.u_weight),
            v=noisy("v", velocity.v, velocity.v_weight),
        ),
        thickness=thickness._replace(h=noisy("h", thickness.h, thickness.weight)),
    )


def scatter_of_data(points: Batch) -> dict[str, float]:
    """`noise` of u, v and h, by these names: a pass over all pixels, to be made once."""
    return _scatter(points.velocity, "uv") | _scatter(points.thickness, "h")


def _scatter(data: VelocityBatch | ThicknessBatch, names: str) -> dict[str, float]:
    values = np.stack([getattr(data, name) for name in names])
    return dict(zip(names, noise(data.x, data.y, values).tolist(), strict=True))


def noisiness(points: Batch) -> float:
    """How noisy the velocity is, from 0 to 1: (σ / 0.04)² of the noisier component, at most 1.

    Clean velocity may disagree with the equations for good reasons, singular corners of the front
    among them, and is better known than any balance. Noisy velocity has to be made smooth by the
    equations, and the viscosity that follows from its derivatives by itself.

    Parameters
    ----------
    points : Batch
        As `super_observations` returns it.

    Returns
    -------
    float
        0 for clean data, 1 where the scatter of one component reaches four times NOISE_FLOOR.
    """
    velocity = points.velocity
    trust = min(float(np.mean(w)) for w in (velocity.u_weight, velocity.v_weight))
    return float(min(1.0, (1 / trust - 1) / NOISY**2)) if trust > 0 else 1.0


def gaps(points: Batch) -> float:
    """How much of the shelf lies far from any thickness, as between flight lines: 0 to 1.

    There no datum contradicts the balance of momentum, and nothing but the balance knows the
    thickness: the equations may be asked to hold closely. "Far" is the distance of two points
    out of GAP_SAMPLE, spread over the shelf; the few gaps of gridded thickness do not count.

    Parameters
    ----------
    points : Batch
        As `super_observations` returns it.

    Returns
    -------
    float
        Share of the shelf, less what is common, over what that leaves.
    """
    interior, thickness = points.interior, points.thickness
    n = interior.x.shape[0]
    chosen = np.random.default_rng(0).permutation(n)[:GAP_SAMPLE]
    places = np.column_stack([interior.x[chosen], interior.y[chosen]])
    if len(places) < 2 or not thickness.x.size:
        return 0.0
    neighbour, _ = cKDTree(places).query(places, k=2)
    far = 2 * np.median(neighbour[:, 1])  # of random points: the side of a square for each
    data = cKDTree(np.column_stack([thickness.x, thickness.y]))
    away, _ = data.query(places, distance_upper_bound=far)
    share = float(np.mean(~np.isfinite(away)))
    return max(0.0, share - COMMON_GAPS) / (1 - COMMON_GAPS)


def detail(points: Batch, scatter: Mapping[str, float]) -> float:
    """How much of the fields no plane explains in neighbourhoods of 1/400 of the shelf.

    White noise, which averages out, is not counted: it would hide such detail anyway.

    Parameters
    ----------
    points : Batch
        All points of a shelf, nondimensional, on the host.
    scatter : mapping of str to float
        From `scatter_of_data`.

    Returns
    -------
    float
        Root mean square over u, v and h, in the units of the values.
    """
    velocity, thickness = points.velocity, points.thickness
    squares = [
        *_detail(velocity, block_means(velocity, _n_neighbourhoods(velocity)), "uv", scatter),
        *_detail(thickness, block_means(thickness, _n_neighbourhoods(thickness)), "h", scatter),
    ]
    return float(np.sqrt(np.mean(squares)))


def _detail(data, means, names: str, scatter: Mapping[str, float]) -> list[float]:
    """Squares of what the means scatter more than white noise does."""
    averaged = np.sqrt(means.x.size / data.x.size)
    coarse = _n_neighbourhoods(data) / DETAIL_BLOCKS
    excess = (
        found**2 - 1.3 * (averaged * scatter[name]) ** 2
        for name, found in _scatter(means, names).items()
    )
    return [max(square, 0.0) * coarse**2 for square in excess]


def _n_neighbourhoods(data: VelocityBatch | ThicknessBatch) -> int:
    """Blocks of at least four data each, where there are enough."""
    return max(50, min(DETAIL_BLOCKS, data.x.size // 4))


def block_means(data: Data, n: int) -> Data:
    """Means over square blocks, whose side is chosen so that about n of them hold data.

    The position of a mean is the mean of the positions with the weights of the values, so that
    planes are kept exactly and the error is of second order in the side.

    Parameters
    ----------
    data : VelocityBatch or ThicknessBatch
        Positions, values, and the relative weight of each value.
    n : int
        At most about so many; fewer data are returned as they are.

    Returns
    -------
    VelocityBatch or ThicknessBatch
        The weights have the mean 1 again.
    """
    if data.x.size <= n:
        return data
    blocks, count = _blocks(data.x, data.y, n)

    def total(values):
        return np.bincount(blocks, values, count)

    def mean(values, weight):
        return total(weight * values) / total(weight)

    if isinstance(data, VelocityBatch):
        # One weight for both components: they share their position.
        weight = 0.5 * (data.u_weight + data.v_weight)
        x, y, u, v = (mean(values, weight) for values in (data.x, data.y, data.u, data.v))
        weights = (_normalised(total(w)) for w in (data.u_weight, data.v_weight))
        return VelocityBatch(x, y, u, v, *weights)
    x, y, h = (mean(values, data.weight) for values in (data.x, data.y, data.h))
    return ThicknessBatch(x, y, h, _normalised(total(data.weight)))


def noise(x: Array, y: Array, values: Array) -> np.ndarray:
    """Estimate the standard deviation of what no plane explains in blocks of a dozen neighbours.

    Along flight lines it is a slope along the line that explains.

    The median over the blocks: a few rifts do not count. Noise with a longer range than the
    blocks is not seen.

    Parameters
    ----------
    x, y : ndarray, shape (n,)
        Positions.
    values : ndarray, shape (n,) or (k, n)
        Values of one field or of k fields there.

    Returns
    -------
    ndarray, shape () or (k,)
        In units of the values; 0 where there are too few neighbours to tell.
    """
    nothing = np.zeros(values.shape[:-1])
    if x.size < 2 * _FITTED:
        return nothing
    blocks, count = _blocks(x, y, max(1, x.size // _BLOCK_FOR_NOISE))
    size = np.bincount(blocks, minlength=count)

    def centred(column):
        return column - (np.bincount(blocks, column, count) / size)[blocks]

    dx, dy = centred(x), centred(y)
    xx, xy, yy = (np.bincount(blocks, product, count) for product in (dx * dx, dx * dy, dy * dy))
    determinant = xx * yy - xy * xy
    # On a flight line a plane is not determined, its slope along the line is.
    on_line = determinant <= 1e-6 * (xx + yy) ** 2
    usable = (size >= 2 * _FITTED) & (xx + yy > 0)
    if not usable.any():
        return nothing
    on_line, fitted = on_line[usable], np.where(on_line, _FITTED - 1, _FITTED)[usable]

    def deviation(column):
        dz = centred(column)
        xz, yz, zz = (np.bincount(blocks, d * dz, count)[usable] for d in (dx, dy, dz))
        by_plane = yy[usable] * xz * xz - 2 * xy[usable] * xz * yz + xx[usable] * yz * yz
        by_line = (xz * xz + yz * yz) / (xx + yy)[usable]
        explained = np.where(
            on_line, by_line, by_plane / np.where(on_line, 1.0, determinant[usable])
        )
        residual = np.maximum(zz - explained, 0.0)
        return np.sqrt(np.median(residual / (size[usable] - fitted)))

    return np.apply_along_axis(deviation, -1, values)


def _blocks(x: Array, y: Array, n: int) -> tuple[np.ndarray, int]:
    """Return the number of the block of every point, and how many blocks there are: about n."""
    left, low = x.min(), y.min()
    width, height = x.max() - left, y.max() - low
    side = max(np.sqrt(width * height / n), (width + height) / n, np.finfo(float).tiny)
    # The shelf fills its rectangle only in part: blocks may be smaller, until they are enough.
    for _ in range(3):
        numbers, count = _numbered(x, y, left, low, side)
        side *= np.sqrt(count / n)
    numbers, count = _numbered(x, y, left, low, side)
    return numbers, count


def _numbered(x, y, left, low, side) -> tuple[np.ndarray, int]:
    column, row = ((x - left) / side).astype(np.int64), ((y - low) / side).astype(np.int64)
    key = row * (column.max() + 1) + column
    if key.max() > 10 * key.size:  # a line or a few spots: hardly any block of the table has data
        keys, numbers = np.unique(key, return_inverse=True)
        return numbers, keys.size
    occupied = np.zeros(int(key.max()) + 1, bool)
    occupied[key] = True
    numbers = np.cumsum(occupied) - 1
    return numbers[key], int(numbers[-1]) + 1


def _normalised(weight: np.ndarray) -> np.ndarray:
    return weight / weight.mean()
