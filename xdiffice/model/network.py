"""A multilayer perceptron that carries its first and second derivatives forward.

Value, gradient and Hessian go through the layers together, one matrix product per layer for all
of them; nothing is differentiated in reverse except the loss, once.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import jax
import jax.numpy as jnp
import numpy as np

from xdiffice.physics.jets import Jet

Layers = list[tuple[jax.Array, jax.Array]]


@dataclass(frozen=True)
class Network:
    """Shape of a perceptron from the plane to ``n_outputs`` fields.

    Parameters
    ----------
    n_outputs : int
        Number of fields.
    width, depth : int
        Units of a hidden layer, number of hidden layers.
    first_layer : {"sine", "tanh"}
        Activation of the first hidden layer; the others are tanh. Sine with random frequencies
        lets the network see detail that a tanh network learns late (spectral bias).
    frequency : float
        Standard deviation of the sine layer's angular frequencies, radians per half extent.
    """

    n_outputs: int
    width: int
    depth: int
    first_layer: Literal["sine", "tanh"] = "sine"
    frequency: float = 4.0

    @property
    def sizes(self) -> list[int]:
        """Units of all layers, from the two coordinates to the outputs."""
        return [2, *[self.width] * self.depth, self.n_outputs]

    @property
    def n_parameters(self) -> int:
        """Number of weights and biases."""
        return sum((n_in + 1) * n_out for n_in, n_out in pairwise(self.sizes))

    def init(self, rng: np.random.Generator) -> np.ndarray:
        """Draw initial parameters, shape (n_parameters,).

        Glorot normal weights and zero biases; for a sine layer random frequencies and phases.
        """
        parts = []
        for number, (n_in, n_out) in enumerate(pairwise(self.sizes)):
            scale, bias = np.sqrt(2.0 / (n_in + n_out)), np.zeros(n_out)
            if number == 0 and self.first_layer == "sine":
                scale, bias = self.frequency, rng.uniform(-np.pi, np.pi, n_out)
            parts += [scale * rng.normal(size=n_in * n_out), bias]
        return np.concatenate(parts)

    def layers(self, theta: jax.Array) -> Layers:
        """Weights and biases as views of the vector of parameters."""
        layers, start = [], 0
        for n_in, n_out in pairwise(self.sizes):
            middle, end = start + n_in * n_out, start + (n_in + 1) * n_out
            layers.append((theta[start:middle].reshape(n_in, n_out), theta[middle:end]))
            start = end
        return layers

    def jets(self, theta: jax.Array, x: jax.Array, y: jax.Array, order: int) -> list[Jet]:
        """Evaluate all outputs at points.

        Parameters
        ----------
        theta : Array, shape (n_parameters,)
            Parameters, as from `init`.
        x, y : Array, shape (n,)
            Nondimensional positions.
        order : {0, 1, 2}
            Highest derivative carried along.

        Returns
        -------
        list of Jet
            One for each output; arrays of shape (n,).
        """
        first = _sine if self.first_layer == "sine" else _tanh
        (weight, bias), *hidden, (last_weight, last_bias) = self.layers(theta)
        streams = _first_layer(first, weight, bias, x, y, order)
        for weight, bias in hidden:
            streams = _activate(_tanh, _affine(streams, weight, bias), order)
        streams = _affine(streams, last_weight, last_bias)
        return [Jet(*streams[:, :, k]) for k in range(self.n_outputs)]


def _affine(streams: jax.Array, weight: jax.Array, bias: jax.Array) -> jax.Array:
    """Multiply all streams, shape (s, n, width), by the weight; the bias moves the value only."""
    s, n, width = streams.shape
    product = (streams.reshape(s * n, width) @ weight).reshape(s, n, -1)
    return product.at[0].add(bias)


def _tanh(z: jax.Array, order: int) -> tuple[jax.Array, ...]:
    value = jnp.tanh(z)
    first = 1 - value * value
    return (value, first, -2 * value * first)[: order + 1]


def _sine(z: jax.Array, order: int) -> tuple[jax.Array, ...]:
    value = jnp.sin(z)
    return (value, jnp.cos(z), -value)[: order + 1]


def _first_layer(activation, weight, bias, x, y, order: int) -> jax.Array:
    """First hidden layer: its argument is linear in x and y, so no product carries streams."""
    z = x[:, None] * weight[0] + y[:, None] * weight[1] + bias
    values = activation(z, order)
    streams = [values[0]]
    if order >= 1:
        streams += [values[1] * weight[0], values[1] * weight[1]]
    if order >= 2:
        w_x, w_y = weight
        streams += [values[2] * (w_x * w_x), values[2] * (w_x * w_y), values[2] * (w_y * w_y)]
    return jnp.stack(streams)


def _activate(activation, z: jax.Array, order: int) -> jax.Array:
    """Chain rule of an activation up to second order, for all streams."""
    values = activation(z[0], order)
    streams = [values[0]]
    if order >= 1:
        streams += [values[1] * z[1], values[1] * z[2]]
    if order >= 2:
        first, second, z_x, z_y = values[1], values[2], z[1], z[2]
        streams += [
            first * z[3] + second * (z_x * z_x),
            first * z[4] + second * (z_x * z_y),
            first * z[5] + second * (z_y * z_y),
        ]
    return jnp.stack(streams)
