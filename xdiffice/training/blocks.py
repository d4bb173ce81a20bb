"""A loss over many points, block by block: the streams of all layers stay in the processor's cache.

Value and gradient of a block are computed in one go, then those of the next; nothing but the sum is
kept for the way back. All kinds of points are in every block, so that they can be worked on side by
side; and blocks can be shared out over devices.
"""

from __future__ import annotations

import functools
from typing import Any

import jax
import jax.numpy as jnp
from jax.sharding import AxisType, PartitionSpec

from xdiffice.training.loss import Batch, Shares

INTERIOR_POINTS = 500  # in a block; the optimum is flat


def in_blocks(batch: Batch, n_blocks: int) -> tuple[Batch, Shares]:
    """Cut all points into blocks of equal size.

    Parameters
    ----------
    batch : Batch
        Arrays of shape (n,), n for each kind of points.
    n_blocks : int
        Number of blocks.

    Returns
    -------
    batch : Batch
        Arrays of shape (n_blocks, ⌈n / n_blocks⌉), filled up with the first point.
    shares : Shares
        Of the same shapes: 1/n, and 0 for what fills up.
    """

    def cut(array):
        filled = -array.shape[0] % n_blocks
        array = jnp.concatenate([array, jnp.broadcast_to(array[:1], (filled,))])
        return array.reshape(n_blocks, -1)

    def share(points):
        if points is None:
            return None
        n, dtype = points.x.shape[0], points.x.dtype
        filled = jnp.zeros(-n % n_blocks, dtype)
        even = jnp.full(n, 1 / n, dtype)
        return jnp.concatenate([even, filled]).reshape(n_blocks, -1)

    return jax.tree.map(cut, batch), Shares(*(share(points) for points in batch))


def suitable_number(batch: Batch, devices: int = 1) -> int:
    """Return the number of blocks that suits the machine; one each where no cache is to be kept."""
    if jax.default_backend() != "cpu":
        return devices
    n_blocks = max(1, round(batch.interior.x.shape[0] / INTERIOR_POINTS))
    return -(-n_blocks // devices) * devices


@functools.partial(jax.custom_vjp, nondiff_argnums=(0, 1))
def summed(
    function: Any, devices: int, theta: jax.Array, shared: Any, blocks: Any
) -> tuple[jax.Array, Any]:
    """Sum a function over blocks.

    Parameters
    ----------
    function : callable
        ``function(theta, shared, block) -> (value, terms)``; hashable.
    devices : int
        How many devices the blocks are shared out over; their number is a multiple of this.
    theta : Array, shape (n,)
        Parameters: what the sum of the values can be differentiated by, once and in reverse.
    shared, blocks : pytree
        The same for all blocks, and with a leading axis of blocks.

    Returns
    -------
    tuple of Array and pytree
        Sums of values and terms.
    """

    def sums(theta, shared, blocks):
        return _scanned(lambda block: function(theta, shared, block), blocks)

    return _shared_out(sums, devices)(theta, shared, blocks)


def _forward(function, devices, theta, shared, blocks):
    def sums(theta, shared, blocks):
        graded = jax.value_and_grad(function, has_aux=True)
        return _scanned(lambda block: graded(theta, shared, block), blocks)

    return _shared_out(sums, devices)(theta, shared, blocks)


def _backward(function, devices, gradient, cotangents):
    del function, devices
    return cotangents[0] * gradient, None, None


summed.defvjp(_forward, _backward)


def _scanned(function, blocks):
    """Sum over blocks, one after the other."""
    first = jax.tree.map(lambda leaf: leaf[0], blocks)
    shapes = jax.eval_shape(function, first)
    zero = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), shapes)

    def add(total, block):
        return jax.tree.map(jnp.add, total, function(block)), None

    return jax.lax.scan(add, zero, blocks)[0]


def _shared_out(sums, devices: int):
    """Let every device sum over its share of the blocks."""
    if devices == 1:
        return sums

    def own(theta, shared, blocks):
        return jax.tree.map(lambda part: jax.lax.psum(part, "blocks"), sums(theta, shared, blocks))

    everywhere, along_blocks = PartitionSpec(), PartitionSpec("blocks")
    return jax.shard_map(
        own,
        mesh=jax.make_mesh((devices,), ("blocks",), axis_types=(AxisType.Auto,)),
        in_specs=(everywhere, everywhere, along_blocks),
        out_specs=everywhere,
        check_vma=False,
    )
