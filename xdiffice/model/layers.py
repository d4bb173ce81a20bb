"""Layers of a network that carry value, gradient and Hessian, with their reverse written out.

Automatic differentiation would keep every product of the chain rule for the way back; here only
the inputs, tanh and the streams before it are kept. Arrays are (units, points): what an activation
works on is contiguous, and the products of the way back need no transposed copies.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp

from xdiffice.model.trigonometry import sine_and_cosine

Streams = list[jax.Array]  # value; with order 1 also x, y; with order 2 also xx, xy, yy


def first_layer(activation: str, weight, bias, x, y, order: int) -> Streams:
    """Return the streams after the first layer, whose argument is linear in x and y.

    Parameters
    ----------
    activation : {"sine", "tanh"}
        Of the layer.
    weight, bias : Array, shapes (2, units) and (units,)
        Its parameters.
    x, y : Array, shape (points,)
        Positions.
    order : {0, 1, 2}
        Highest derivative carried along.

    Returns
    -------
    list of Array, shape (units, points)
        The value and its derivatives.
    """
    w_x, w_y = weight[0][:, None], weight[1][:, None]
    z = w_x * x + w_y * y + bias[:, None]
    if activation == "sine":
        value, slope = sine_and_cosine(z)
        curvature = -value
    else:
        value = jnp.tanh(z)
        slope = 1 - value * value
        curvature = -2 * value * slope
    streams = [value]
    if order >= 1:
        streams += [slope * w_x, slope * w_y]
    if order >= 2:
        streams += [curvature * (w_x * w_x), curvature * (w_x * w_y), curvature * (w_y * w_y)]
    return streams


def last_layer(weight, bias, streams: Streams) -> Streams:
    """Streams of the outputs, each of shape (outputs, points); the bias moves the value only."""
    value, *derivatives = (weight.T @ stream for stream in streams)
    return [value + bias[:, None], *derivatives]


@jax.custom_vjp
def tanh_layer(weight, bias, streams: Streams) -> Streams:
    """Affine map and tanh of all streams, by the chain rule up to their order.

    Parameters
    ----------
    weight, bias : Array, shapes (n_in, n_out) and (n_out,)
        Parameters.
    streams : list of Array, shape (n_in, points)
        1, 3 or 6 of them.

    Returns
    -------
    list of Array, shape (n_out, points)
        As many.
    """
    return _forward(weight, bias, streams)[0]


def _forward(weight, bias, streams):
    # Transposed once and for all: left to itself, XLA fuses it into every product, at half speed.
    transposed = jax.lax.optimization_barrier(weight.T)
    z, *derivatives = (transposed @ stream for stream in streams)
    t = jnp.tanh(z + bias[:, None])
    return _tanh_chain(t, derivatives), (weight, streams, t, derivatives)


def _backward(kept, cotangents):
    weight, streams, t, derivatives = kept
    before = _tanh_chain_reversed(t, derivatives, cotangents)
    to_weight = sum(stream @ c.T for stream, c in zip(streams, before, strict=True))
    return to_weight, before[0].sum(axis=1), [weight @ c for c in before]


tanh_layer.defvjp(_forward, _backward)


def _tanh_chain(t, derivatives) -> Streams:
    """Streams after tanh; t its value, ``derivatives`` those of its argument."""
    if not derivatives:
        return [t]
    first = 1 - t * t
    z_x, z_y, *second_order = derivatives
    out = [t, first * z_x, first * z_y]
    if second_order:
        second = -2 * t * first
        z_xx, z_xy, z_yy = second_order
        out += [
            first * z_xx + second * (z_x * z_x),
            first * z_xy + second * (z_x * z_y),
            first * z_yy + second * (z_y * z_y),
        ]
    return out


def _tanh_chain_reversed(t, derivatives, cotangents) -> Streams:
    """Cotangents of the argument and its derivatives, from those of `_tanh_chain`."""
    first = 1 - t * t
    if not derivatives:
        return [first * cotangents[0]]
    second = -2 * t * first
    z_x, z_y, *second_order = derivatives
    c, c_x, c_y, *c_second_order = cotangents
    to_first = c_x * z_x + c_y * z_y
    if not second_order:
        return [first * c + second * to_first, first * c_x, first * c_y]
    z_xx, z_xy, z_yy = second_order
    c_xx, c_xy, c_yy = c_second_order
    third = first * (4 - 6 * first)
    to_first += c_xx * z_xx + c_xy * z_xy + c_yy * z_yy
    to_second = c_xx * (z_x * z_x) + c_xy * (z_x * z_y) + c_yy * (z_y * z_y)
    return [
        first * c + second * to_first + third * to_second,
        first * c_x + second * (2 * z_x * c_xx + z_y * c_xy),
        first * c_y + second * (2 * z_y * c_yy + z_x * c_xy),
        first * c_xx,
        first * c_xy,
        first * c_yy,
    ]
